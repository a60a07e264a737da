//! What the store costs: accepts a second, the whole life of a message, time to the answer, CPU a message.
//!
//! `cargo bench --bench store [-- messages]`. On a disk of its own: `OUTGUARD_BENCH_DIR=/path`. The disk's sync decides
//! what one submitter reaches; the CPU decides what a hundred do.
//!
//! `cargo bench --bench store -- log [seconds]`: whether the write-ahead log stays bounded under load that never pauses.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench is read by people and ends at the first fault")]
#![expect(clippy::disallowed_methods, reason = "a bench measures the time that passes")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use outguard::account::{Account, AccountSource};
use outguard::clock::{Clock, SystemClock};
use outguard::guard::{Decision, Verdict};
use outguard::mail::{Address, BodyType, Envelope, QueueId, Recipient, ReversePath};
use outguard::store::settings::{FreeMin, StoreSettings};
use outguard::store::sqlite::SqliteStore;
use outguard::store::{
    Acceptance, Body, Conclusion, DeliveryEnd, DeliveryOutcome, Destination, Index, LeaseRequest, SlotsEnd, Store,
};

const BODY_BYTES: usize = 4_096;

fn main() {
    let number = std::env::args().find_map(|a| a.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::args().any(|a| a == "log") {
        runtime.block_on(log(number.unwrap_or(30)));
        return;
    }
    let messages = number.unwrap_or(20_000);
    println!("4 KiB bodies, one recipient, {messages} messages; CPU of the whole process, callers included");
    println!(
        "{:>10} {:>11} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "what", "submitters", "a second", "p50 ms", "p99 ms", "CPU us/msg", "log MiB max"
    );
    for submitters in [1, 10, 100] {
        for what in [What::Accept, What::Life] {
            let few = if submitters == 1 { messages / 4 } else { messages };
            runtime.block_on(run(what, submitters, few));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Accept,
    Life,
}

/// A hundred submitters without a pause, and what their log does meanwhile.
async fn log(seconds: u64) {
    let (folder, store, clock) = open();
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for n in 0..100 {
        let (store, clock, stop, done) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&stop), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let sample = sample(n);
            while !stop.load(Ordering::Relaxed) {
                let acceptance = acceptance(&sample, allocate(&*store).await, &*clock);
                let id = store.accept(acceptance).await.unwrap().into_inner();
                deliver(&*store, &*clock, id, &sample).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    println!("{:>8} {:>12} {:>12} {:>12}", "second", "messages", "log MiB", "begun anew");
    let (begin, mut seconds_left) = (Instant::now(), seconds);
    while seconds_left > 0 {
        let some = seconds_left.min(3);
        tokio::time::sleep(Duration::from_secs(some)).await;
        seconds_left -= some;
        let file = folder.path().join("store/queue.db-wal");
        let (bytes, anew) = (std::fs::metadata(&file).unwrap().len(), log_begun(&file));
        let messages = done.load(Ordering::Relaxed);
        println!("{:>8} {messages:>12} {:>12} {anew:>12}", begin.elapsed().as_secs(), bytes >> 20);
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    store.close();
}

/// How often SQLite began the log anew: the number in its header, <https://www.sqlite.org/fileformat.html> 4.1.
fn log_begun(file: &std::path::Path) -> u32 {
    use std::io::Read as _;
    let mut header = [0; 16];
    std::fs::File::open(file).unwrap().read_exact(&mut header).unwrap();
    u32::from_be_bytes([header[12], header[13], header[14], header[15]])
}

/// Ids are reserved in blocks, one block ahead.
async fn allocate(store: &dyn Store) -> QueueId {
    loop {
        match store.allocate() {
            Ok(id) => return id,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn open() -> (tempfile::TempDir, Arc<SqliteStore>, Arc<dyn Clock>) {
    let parent = std::env::var_os("OUTGUARD_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let settings = StoreSettings {
        path: folder.path().join("store"),
        free_min: FreeMin::Bytes(0),
        ballast_bytes: 0,
        ..StoreSettings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
    let (store, _) = SqliteStore::open(&settings, Arc::clone(&clock)).unwrap();
    (folder, store, clock)
}

async fn run(what: What, submitters: u64, messages: u64) {
    let (folder, store, clock) = open();
    let left = Arc::new(AtomicU64::new(messages));
    let (cpu, begin) = (cpu_time(), Instant::now());
    let mut tasks = Vec::new();
    for n in 0..submitters {
        let (store, clock, left) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&left));
        tasks.push(tokio::spawn(async move {
            let sample = sample(n);
            let mut times = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |l| l.checked_sub(1)).is_ok() {
                let sent = Instant::now();
                let acceptance = acceptance(&sample, allocate(&*store).await, &*clock);
                let id = store.accept(acceptance).await.unwrap().into_inner();
                times.push(sent.elapsed());
                if what == What::Life {
                    deliver(&*store, &*clock, id, &sample).await;
                }
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let (wall, cpu) = (begin.elapsed(), cpu_time().saturating_sub(cpu));
    times.sort();
    let name = if what == What::Accept { "accept" } else { "life" };
    let per_second = u64::try_from(u128::from(messages) * 1_000_000 / wall.as_micros()).unwrap();
    // The log's file never shrinks: its size is the most that it ever held.
    let log_bytes = std::fs::metadata(folder.path().join("store/queue.db-wal")).unwrap().len();
    println!(
        "{name:>10} {submitters:>11} {per_second:>10} {:>12.2} {:>12.2} {:>12} {:>12}",
        ms(times[times.len() / 2]),
        ms(times[times.len() * 99 / 100]),
        cpu.as_micros() / u128::from(messages),
        log_bytes >> 20
    );
    store.close();
}

async fn deliver(store: &dyn Store, clock: &dyn Clock, id: QueueId, sample: &Acceptance) {
    let request = LeaseRequest {
        message: id,
        deliveries: vec![Index(0)],
        account: sample.account.clone(),
        egress: "192.0.2.1".into(),
        counted_as: "192.0.2.1".into(),
        login: None,
        route: "mx".into(),
        boot_id: clock.boot_id(),
        leased: clock.now(),
        granted: None,
    };
    let lease = store.lease(request).await.unwrap().into_inner();
    let reply = "250 2.0.0 Ok: queued as 4ZxYw13Tz".to_owned();
    let conclusion = Conclusion {
        lease,
        ended: clock.now(),
        slots: SlotsEnd::Used { recipients: 1, messages: 1 },
        outcomes: vec![DeliveryEnd { index: Index(0), outcome: DeliveryOutcome::Delivered { reply } }],
        reports: Vec::new(),
        events: Vec::new(),
        next_hop: "mx.example.net [198.51.100.1]:25".into(),
        egress: "192.0.2.1".into(),
    };
    assert!(store.conclude(conclusion, None).await.unwrap().into_inner().message_ended);
}

/// One message of the submitter, to be copied.
fn sample(n: u64) -> Acceptance {
    let address = |text: String| Address::parse(text.as_bytes()).unwrap();
    Acceptance {
        id: QueueId::new(0).unwrap(),
        received: outguard::clock::Now::default(),
        client: "127.0.0.1".into(),
        account: Account::named(&format!("account{n}@shop.example")),
        source: AccountSource::Received,
        envelope: Envelope {
            reverse_path: ReversePath::Address(address(format!("account{n}@shop.example"))),
            recipients: vec![Recipient::plain(address(format!("someone{n}@example.net")))],
            body: BodyType::EightBitMime,
            smtputf8: false,
            ret: None,
            envid: None,
        },
        destinations: vec![Destination(format!("mx:{}.example", n % 10).into())],
        class: 0,
        mta_id: Some("4ZxYw13TzQz9Sdt".into()),
        message_id: Some("<20261121100000.4ZxYw13TzQz9Sdt@mail.shop.example>".into()),
        header_from: Some("shop.example".into()),
        prefix: Bytes::from(vec![b'p'; 200]),
        verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
        header_needs_utf8: false,
        body: Body::Inline(Bytes::from(vec![b'x'; BODY_BYTES])),
        report_on: None,
    }
}

fn acceptance(sample: &Acceptance, id: QueueId, clock: &dyn Clock) -> Acceptance {
    Acceptance {
        id,
        received: clock.now(),
        client: sample.client.clone(),
        account: sample.account.clone(),
        source: sample.source,
        envelope: sample.envelope.clone(),
        destinations: sample.destinations.clone(),
        class: sample.class,
        // As in life, no two are the same: the index of `find` must pay for it.
        mta_id: Some(format!("4ZxYw{id}")),
        message_id: Some(format!("<20261121100000.{id}@mail.shop.example>")),
        header_from: sample.header_from.clone(),
        prefix: sample.prefix.clone(),
        verdict: sample.verdict.clone(),
        header_needs_utf8: false,
        body: sample.body.clone(),
        report_on: None,
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap())
}
