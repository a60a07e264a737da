//! kill -9 on the real binary under load, again and again: invariants 1 to 3 as the two sides of it see them.
//!
//! Clients write down every 250 they get; the sink writes down every message with its moment. At the end each 250 has
//! its message, copies are no more than crashes explain, and by brute force over the sink's moments no window of any
//! account or of the egress ever held more than its limit, the crashes in the middle of windows included.
//!
//! `OUTGUARD_CRASHES=200 cargo test --test crash` crashes more often than the default.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests stand outside the rooms: they wait for real processes")]

#[path = "../rig/mod.rs"]
mod rig;

mod copies;
mod damage;
mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rig::client::Client;
use rig::process::wait_for;
use rig::relay::{Site, smarthost};
use rig::sink::{Answer, Arrival, Said, Sink};

const ACCOUNTS: usize = 4;
const SUBMITTERS: usize = 6;
const WINDOW_MS: u64 = 4_000;
const ACCOUNT_SLOTS: usize = 20;
const EGRESS_SLOTS: usize = 60;
/// Connections to the next hop: so many messages at most are under way when a crash comes.
const CONNECTIONS: usize = 5;

/// What the clients were promised: the number in the subject of each message that was answered 250.
#[derive(Default)]
struct Promises {
    numbers: Mutex<BTreeSet<usize>>,
    next: AtomicUsize,
    stopping: AtomicBool,
}

/// Submits as long as it may, over a new connection after every crash.
fn submit(to: SocketAddr, book: &Promises) {
    while !book.stopping.load(Ordering::Relaxed) {
        let Ok((mut client, greeting)) = Client::connect(to) else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        if greeting.code != 220 || client.say("EHLO crash.example").is_err() {
            continue;
        }
        while !book.stopping.load(Ordering::Relaxed) {
            let number = book.next.fetch_add(1, Ordering::Relaxed);
            // Some are larger than what is kept in the database itself.
            let size = if number % 10 == 9 { 80_000 } else { 500 };
            let content = format!("Subject: number-{number};\r\n\r\n{}\r\n", "x".repeat(70).repeat(size / 70));
            let from = format!("account{}@example.com", number % ACCOUNTS);
            match client.deliver(&from, &["reader@example.net"], content.as_bytes()) {
                Ok(heard) if heard.code == 250 => {
                    book.numbers.lock().expect("no panic under this lock").insert(number);
                }
                // Refused for now: the number was not promised.
                Ok(_) => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => break,
            }
            // A steady load, not a flood: what was promised must leave at the pace of the limits.
            std::thread::sleep(Duration::from_millis(120));
        }
    }
}

fn number_of(arrival: &Arrival) -> usize {
    let text = arrival.text();
    let after = text.split("Subject: number-").nth(1).expect("each message has its number");
    after.split(';').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

#[test]
fn kill_9_loses_nothing_and_breaks_no_limit() {
    let crashes: usize = std::env::var("OUTGUARD_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    // A next hop that takes its time, so that crashes find messages under way, before and after the final dot.
    let sink = Sink::scripted(|said| match said {
        Said::Content(..) => Answer::After(Duration::from_millis(30), Box::new(Answer::Usual)),
        Said::Mail(_) => Answer::After(Duration::from_millis(5), Box::new(Answer::Usual)),
        _ => Answer::Usual,
    });
    let further = format!(
        "[limits]\naccount = \"{ACCOUNT_SLOTS}/{w}s\"\negress = \"{EGRESS_SLOTS}/{w}s\"\nunknown_grace = \"1s\"\n\
         fair_reserve = false\n{}concurrency = {CONNECTIONS}\n",
        smarthost(sink.address()),
        w = WINDOW_MS / 1_000,
    );
    let site = Site::new(&further);
    let book = Arc::new(Promises::default());
    let submitters: Vec<_> = (0..SUBMITTERS)
        .map(|_| {
            let (book, to) = (Arc::clone(&book), site.address());
            std::thread::spawn(move || submit(to, &book))
        })
        .collect();

    // On a slow machine lives are longer, and more of them, until there is something to lose.
    let taken = || book.numbers.lock().expect("no panic under this lock").len();
    let mut crash = 0;
    while crash < crashes || (taken() <= crashes && crash < 4 * crashes) {
        let relay = site.start();
        // Different moments of the relay's life: some crashes come during its recovery.
        std::thread::sleep(Duration::from_millis((150 + 397 * (crash as u64 * 7 % 5)) * (1 + crash / crashes) as u64));
        relay.kill();
        crash += 1;
    }
    let crashes = crash;
    let relay = site.start();
    book.stopping.store(true, Ordering::Relaxed);
    for submitter in submitters {
        submitter.join().expect("a submitter ends");
    }
    let promised = book.numbers.lock().expect("no panic under this lock").clone();
    assert!(!promised.is_empty(), "nothing to prove anything by");

    // Invariant 1: every 250 arrives. It takes as long as the limits say.
    let missing = || {
        let arrived: BTreeSet<usize> = sink.accepted().iter().map(number_of).collect();
        promised.difference(&arrived).copied().collect::<Vec<_>>()
    };
    let mut left = promised.len();
    while left > 0 {
        let before = left;
        wait_for(&format!("progress; {before} promised messages are missing"), || {
            left = missing().len();
            left < before || left == 0
        });
    }

    // Invariant 3: copies only of what was under way.
    let arrivals = sink.accepted();
    let mut copies: BTreeMap<usize, usize> = BTreeMap::new();
    for arrival in &arrivals {
        *copies.entry(number_of(arrival)).or_default() += 1;
    }
    let further: usize = copies.values().map(|count| count - 1).sum();
    println!(
        "{crashes} crashes: {} promised, {} arrived, {further} further copies, {} arrived without a promise",
        promised.len(),
        copies.len(),
        copies.keys().filter(|number| !promised.contains(number)).count(),
    );
    assert!(further <= crashes * CONNECTIONS, "{further} further copies after {crashes} crashes");

    // Invariant 2, at the moment the next hop would have counted.
    let moments = |of: &dyn Fn(&Arrival) -> bool| -> Vec<u64> {
        sink.arrivals().iter().filter(|arrival| of(arrival)).map(|arrival| arrival.content_ms).collect()
    };
    for account in 0..ACCOUNTS {
        let from = format!("account{account}@example.com");
        let fullest = rig::windows::fullest(&moments(&|arrival| arrival.mail_from == from), WINDOW_MS);
        assert!(fullest <= ACCOUNT_SLOTS, "{from}: {fullest} in {WINDOW_MS} ms");
    }
    let fullest = rig::windows::fullest(&moments(&|_| true), WINDOW_MS);
    assert!(fullest <= EGRESS_SLOTS, "egress: {fullest} in {WINDOW_MS} ms");
    if fullest <= EGRESS_SLOTS / 2 {
        println!("this machine is too slow to come near the limits: {fullest} of {EGRESS_SLOTS}");
    }
    relay.stop();
}
