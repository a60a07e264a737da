//! Load on the real binary, and on Postfix in the same run: what a relay takes, delivers, answers late, and costs.
//!
//! ```text
//! cargo bench --bench load                                    everything, outguard and Postfix
//! cargo bench --bench load -- throughput --relay outguard --connections 100 --seconds 20
//! cargo bench --bench load -- rate --per-second 1000
//! cargo bench --bench load -- idle --sessions 10000
//! ```
//!
//! Both relays are driven identically: the same connections, messages (4 KB, one recipient, ten senders) and sink, each
//! with a store in a temporary folder (`TMPDIR` chooses the disk) and the durability it has by default. The generator
//! is one thread, [`generator`] towards the relay and [`sink`] behind it, and shares the machine's cores with the relay:
//! figures of one run compare with each other, not with those of another machine.

#![expect(clippy::print_stdout, reason = "a bench's report goes to standard output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]
#![expect(clippy::disallowed_methods, reason = "it measures time, and stands outside the rooms")]

mod generator;
mod measure;
mod sink;
mod target;

#[path = "../../tests/rig/mod.rs"]
#[allow(unused_macros, reason = "skipping is for tests")]
mod rig;

use std::time::{Duration, Instant};

use generator::{Load, Pipelining};
use measure::{Percentiles, Used};
use sink::Sink;
use target::Target;

/// What the command line asks for.
struct Wanted {
    scenario: String,
    relays: Vec<String>,
    connections: Vec<usize>,
    seconds: u64,
    per_second: u64,
    sessions: usize,
}

impl Wanted {
    fn read() -> Self {
        let mut this = Self {
            scenario: "all".into(),
            relays: vec!["outguard".into(), "postfix".into()],
            connections: vec![10, 100],
            seconds: 10,
            per_second: 1000,
            sessions: 5000,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
            match word.as_str() {
                // What `cargo bench` adds by itself.
                "--bench" => {}
                "--relay" => this.relays = value().split(',').map(str::to_owned).collect(),
                "--connections" => this.connections = value().split(',').map(|n| n.parse().unwrap()).collect(),
                "--seconds" => this.seconds = value().parse().unwrap(),
                "--per-second" => this.per_second = value().parse().unwrap(),
                "--sessions" => this.sessions = value().parse().unwrap(),
                "all" | "throughput" | "rate" | "idle" => this.scenario = word,
                _ => panic!(
                    "{word}: not one of throughput, rate, idle, --relay, --connections, --seconds, --per-second, --sessions"
                ),
            }
        }
        this
    }

    fn wants(&self, scenario: &str) -> bool {
        self.scenario == "all" || self.scenario == scenario
    }
}

fn main() {
    let wanted = Wanted::read();
    measure::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        if wanted.wants("throughput") {
            throughput(&wanted).await;
        }
        if wanted.wants("rate") {
            rate(&wanted).await;
        }
        if wanted.wants("idle") {
            idle(&wanted).await;
        }
    });
}

/// A fresh relay in front of a fresh sink, or `None` where it cannot be had (said aloud).
async fn fresh(relay: &str) -> Option<(Target, Sink)> {
    let sink = Sink::start().await;
    let target = Target::start(relay, sink.address())?;
    Some((target, sink))
}

async fn throughput(wanted: &Wanted) {
    println!("\nthroughput: {} s of 4 KB messages, connections kept open, then until all is delivered", wanted.seconds);
    println!(
        "{:<9} {:>5} {:<10} {:>9} {:>11} {:>26} {:>10} {:>9}",
        "relay", "conns", "", "accept/s", "delivered/s", "ack p50/p90/p99/max ms", "CPU us/msg", "PSS MiB"
    );
    for &connections in &wanted.connections {
        for pipelining in [Pipelining::Off, Pipelining::On] {
            let mut rates: Vec<(String, f64, f64)> = Vec::new();
            for relay in &wanted.relays {
                let Some((target, sink)) = fresh(relay).await else { continue };
                let load = Load { to: target.address(), connections, pipelining };
                // What starts lazily (processes, connections, caches) has started before the clock does.
                let warm = load.for_time(Duration::from_secs(1)).await;
                sink.wait_for(warm.accepted()).await;
                let before = Used::by(target.pid());
                let start = Instant::now();
                let run = load.numbered_from(warm.accepted()).for_time(Duration::from_secs(wanted.seconds)).await;
                let accepting = start.elapsed();
                sink.wait_for(warm.accepted() + run.accepted()).await;
                let delivering = sink.last_arrival() - start;
                let used = Used::by(target.pid());
                let count = as_f64(run.accepted());
                let cpu_us = used.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / count;
                let delivered = count / delivering.as_secs_f64();
                println!(
                    "{relay:<9} {connections:>5} {pipelining:<10} {:>9.0} {delivered:>11.0} {:>26} {cpu_us:>10.0} {:>9.1}",
                    count / accepting.as_secs_f64(),
                    run.acks.to_string(),
                    mib(used.memory_bytes),
                );
                sink.report_oddities(warm.accepted() + run.accepted());
                rates.push((relay.clone(), delivered, cpu_us));
            }
            if let [first, second] = &rates[..] {
                println!(
                    "          {}: {:.1} times the messages of {}, at 1/{:.1} of its CPU a message",
                    first.0,
                    first.1 / second.1,
                    second.0,
                    second.2 / first.2
                );
            }
        }
    }
}

async fn rate(wanted: &Wanted) {
    println!(
        "\nrate: {} messages/s for {} s, 20 connections, times from the planned moment",
        wanted.per_second, wanted.seconds
    );
    println!(
        "{:<9} {:>8} {:>9} {:>28} {:>28} {:>10}",
        "relay", "held/s", "behind ms", "ack p50/p90/p99/max ms", "arrival p50/p90/p99/max ms", "CPU us/msg"
    );
    for relay in &wanted.relays {
        let Some((target, sink)) = fresh(relay).await else { continue };
        let load = Load { to: target.address(), connections: 20, pipelining: Pipelining::On };
        let warm = load.for_time(Duration::from_secs(1)).await;
        sink.wait_for(warm.accepted()).await;
        let before = Used::by(target.pid());
        let start = Instant::now();
        let count = wanted.per_second * wanted.seconds;
        let run = load.numbered_from(warm.accepted()).at_rate(wanted.per_second, count).await;
        let elapsed = start.elapsed();
        sink.wait_for(warm.accepted() + run.accepted()).await;
        let used = Used::by(target.pid());
        let arrivals = Percentiles::of(sink.delays_since(&run.planned, warm.accepted()));
        println!(
            "{relay:<9} {:>8.0} {:>9.1} {:>28} {:>28} {:>10.0}",
            as_f64(run.accepted()) / elapsed.as_secs_f64(),
            run.behind_max.as_secs_f64() * 1e3,
            run.acks.to_string(),
            arrivals.to_string(),
            used.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / as_f64(run.accepted()),
        );
    }
}

async fn idle(wanted: &Wanted) {
    println!("\nidle: open sessions, memory of the relay (PSS) for each");
    for relay in &wanted.relays {
        let Some((target, sink)) = fresh(relay).await else { continue };
        // One process a session, and a hundred processes: Postfix's default.
        let sessions = if relay == "postfix" { wanted.sessions.min(90) } else { wanted.sessions };
        let one = generator::greeted(target.address(), 1).await;
        let before = Used::by(target.pid()).memory_bytes;
        let say = |what: &str, sessions: usize| {
            let after = Used::by(target.pid()).memory_bytes;
            println!(
                "{relay:<9} {sessions:>6} sessions after {what}: {:.1} MiB before, {:.1} MiB after, {:.1} KiB a session",
                mib(before),
                mib(after),
                as_f64(after.saturating_sub(before)) / 1024.0 / as_f64(u64::try_from(sessions).unwrap()),
            );
        };
        let mut open = generator::greeted(target.address(), sessions).await;
        say("EHLO", sessions);
        for (client, number) in open.iter_mut().zip(0..) {
            client.send(number, Pipelining::On).await;
        }
        sink.wait_for(u64::try_from(sessions).unwrap()).await;
        // Delivery keeps its connections for five seconds.
        tokio::time::sleep(Duration::from_secs(6)).await;
        say("a message each", sessions);
        drop((one, open));
    }
}

fn mib(bytes: u64) -> f64 {
    as_f64(bytes) / (1024.0 * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
