//! A flood of a hundred thousand messages in the real store: it delays another's single message by its fair share alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use outguard::account::{Account, AccountSource};
use outguard::clock::Clock;
use outguard::guard::{Decision, Verdict};
use outguard::mail::{Address, BodyType, Envelope, QueueId, Recipient, ReversePath};
use outguard::store::settings::{FreeMin, StoreSettings};
use outguard::store::sqlite::SqliteStore;
use outguard::store::{Acceptance, Body, DeliveryState, Destination, Store};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::Sink;

const FLOOD: u64 = 100_000;
/// As many as go into one transaction of the store.
const SUBMITTERS: u64 = 512;

fn flood_message(n: u64, id: QueueId, clock: &dyn Clock) -> Acceptance {
    let address = |text: &str| Address::parse(text.as_bytes()).unwrap();
    Acceptance {
        id,
        received: clock.now(),
        client: "127.0.0.1".into(),
        account: Account::named("flood@x.example"),
        source: AccountSource::ReversePath,
        envelope: Envelope {
            reverse_path: ReversePath::Address(address("flood@x.example")),
            recipients: vec![Recipient::plain(address(&format!("f{n}@a.example")))],
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
        },
        destinations: vec![Destination("to-a".into())],
        class: 0,
        mta_id: None,
        message_id: None,
        header_from: None,
        prefix: Bytes::from_static(b"Received: by relay.example\r\n"),
        verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
        header_needs_utf8: false,
        body: Body::Inline(Bytes::from_static(b"Subject: x\r\n\r\nbuy\r\n")),
        report_on: None,
    }
}

/// Fills a store as many sessions at once would.
fn fill(folder: &Path, clock: &Arc<TestClock>) {
    let settings = StoreSettings {
        path: folder.to_path_buf(),
        free_min: FreeMin::Bytes(0),
        ballast_bytes: 0,
        ..StoreSettings::default()
    };
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let (store, _) = SqliteStore::open(&settings, Arc::clone(&clock)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let next = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..SUBMITTERS {
            let (store, clock, next) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&next));
            tasks.spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= FLOOD {
                        return;
                    }
                    let id = loop {
                        // Ids are reserved in blocks, one block ahead.
                        match store.allocate() {
                            Ok(id) => break id,
                            Err(_) => tokio::task::yield_now().await,
                        }
                    };
                    store.accept(flood_message(n, id, &*clock)).await.unwrap().into_inner();
                }
            });
        }
        tasks.join_all().await;
    });
    store.close();
}

#[test]
fn a_hundred_thousand_of_one_delay_the_single_one_of_another_by_its_fair_share() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let began = std::time::Instant::now();
    fill(&place, &clock);
    println!("{FLOOD} messages stored in {:?}", began.elapsed());
    let plan =
        Plan { egress: "100/h", adjust: |written| written.delivery.routes[0].concurrency = 1, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &place, &clock);
    // In the middle of it, with the flood's own turn under way and perhaps the next one leased.
    sink.wait_accepted(30);
    let of_flood =
        |sink: &Sink| sink.arrivals().iter().filter(|arrival| arrival.mail_from.starts_with("flood")).count();
    let before = of_flood(&sink);
    let letter = bed.accept("letter@x.example", &recipients("letter", 1, "a.example"));
    wait_for("the letter", || bed.states(letter) == [DeliveryState::Delivered]);
    let all = sink.accepted();
    let place_of = |from: &str| all.iter().position(|arrival| arrival.mail_from.starts_with(from)).unwrap();
    assert!(place_of("letter") <= before + 4, "{} of the flood went before it came to {}", before, place_of("letter"));
    // The flood has what it may of the hour, and waits; a letter takes a slot that was kept, and the clock stands still.
    wait_for("the flood to be stopped", || {
        bed.waits().values().flatten().any(|why| why.contains("the limit egress 100/h"))
    });
    assert_eq!(of_flood(&sink), 89, "ninety slots but the letter's");
    let late = bed.accept("late@x.example", &recipients("late", 1, "a.example"));
    wait_for("the late letter", || bed.states(late) == [DeliveryState::Delivered]);
    assert_eq!(of_flood(&sink), 89);
    assert_eq!(bed.unended(), FLOOD - 89, "the rest waits, and nothing of it is lost");
    // An hour later both have their turn again.
    clock.advance(3_604_000);
    bed.poke();
    let again = bed.accept("late@x.example", &recipients("again", 1, "a.example"));
    wait_for("the letter of the next hour", || bed.states(again) == [DeliveryState::Delivered]);
}
