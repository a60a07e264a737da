//! A whole session up to the commit: relay and client in this process, over loopback, to a store on the disk of `TMPDIR`.
//!
//! ```text
//! cargo bench --bench session              1, 10 and 100 connections
//! cargo bench --bench session -- 1 20      these numbers of connections
//! ```
//!
//! Each message has 4 KB and one recipient. The next hop refuses connections, so that what is measured ends at the 250:
//! session, account, verdict, transaction, sync. From the final dot to the 250 as percentiles.

#![expect(clippy::print_stdout, reason = "a bench tells its figures there")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock itself")]

#[path = "load/generator.rs"]
#[allow(dead_code, reason = "fixed rates are for the load bench")]
mod generator;
#[path = "load/measure.rs"]
#[allow(dead_code, reason = "processes are for the load bench")]
mod measure;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outguard::clock::{Clock, SystemClock};
use outguard::config::Config;
use outguard::daemon::Daemon;
use outguard::daemon::log::Log;
use outguard::intake::Intake;

use generator::{Load, Pipelining};

const TIME: Duration = Duration::from_secs(3);

fn main() {
    let mut connections: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    if connections.is_empty() {
        connections = vec![1, 10, 100];
    }
    let folder = tempfile::tempdir().unwrap();
    let relay = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let daemon = relay.block_on(start(folder.path()));
    let to = daemon.addresses[0];
    println!("{:>5} {:<10} {:>9}  {:>27}", "conns", "", "message/s", "ack p50/p90/p99/max ms");
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for connections in connections {
        for pipelining in [Pipelining::Off, Pipelining::On] {
            tokio::task::LocalSet::new().block_on(&client, measure(to, connections, pipelining));
        }
    }
    relay.block_on(daemon.shutdown());
}

async fn measure(to: SocketAddr, connections: usize, pipelining: Pipelining) {
    let start = Instant::now();
    let run = Load { to, connections, pipelining }.for_time(TIME).await;
    let millis = start.elapsed().as_millis().max(1);
    let rate = u128::from(run.accepted()) * 1_000 / millis;
    println!("{connections:>5} {pipelining:<10} {rate:>9}  {:>27}", run.acks.to_string());
}

async fn start(folder: &Path) -> Arc<Daemon> {
    let file = folder.join("outguard.toml");
    let shown = folder.display();
    let text = format!(
        "store = \"{shown}/store\"\n\
         [control]\n\
         socket = \"{shown}/control.sock\"\n\
         [disk]\n\
         free_min = \"1 MiB\"\n\
         ballast = \"1 MiB\"\n\
         [waiting]\n\
         account_deliveries = 1000000\n\
         [limits]\n\
         account = \"10000000/h\"\n\
         egress = \"10000000/h\"\n\
         [[listen]]\n\
         address = \"127.0.0.1:0\"\n\
         [trust]\n\
         trusted_networks = [\"127.0.0.1\"]\n\
         [[egress]]\n\
         address = \"127.0.0.1\"\n\
         ehlo = \"bench.example\"\n\
         [[route]]\n\
         smarthost = \"127.0.0.1:1\"\n\
         tls = \"none\"\n\
         [align]\n\
         judge = false\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).unwrap_or_else(|faults| panic!("{faults}")).config;
    let sockets = Intake::bind(&config.intake).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
    let log = Log::silent(Arc::clone(&clock));
    Daemon::start(config, sockets, clock, None, log).await.unwrap()
}
