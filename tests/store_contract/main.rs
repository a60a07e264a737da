//! What every store promises, written against the trait: another engine runs the same. And what SQLite's store adds:
//! faults of the disk (`faults`), a disk that is full or read-only (`disk`), a process that is killed (`crash`), a plain
//! model beside it (`model`), older stores (`upgrade`).

#![expect(clippy::unwrap_used, reason = "this is a test; what it skips it says")]

mod crash;
mod disk;
mod faults;
mod model;
mod sample;
mod upgrade;

use std::sync::Arc;

use bytes::Bytes;
use outguard::clock::WallMs;
use outguard::event::Event;
use outguard::guard::Decision;
use outguard::mail::QueueId;
use outguard::store::query::ContentBody;
use outguard::store::{
    DeliveryEnd, DeliveryOutcome, DeliveryState, Destination, DueDelivery, Filter, Gate, GateKind, Index, KeepAttempts,
    Memory, MemoryKind, Page, Reads, Refiled, Renewed, RouteFacts, Store, StoreError,
};
use sample::{account, at, conclusion, deferred, delivered, line, message, open, request, states, to, wall};

/// All cases, each on a store of its own that `make` opens.
async fn contract(make: impl Fn() -> Arc<dyn Store>) {
    a_whole_life(&*make()).await;
    a_deferral_is_found_when_due(&*make()).await;
    gates_stop_leases(&*make()).await;
    held_removed_released(&*make()).await;
    what_waits_is_made_anew(&*make()).await;
    a_fault_of_one_request_spoils_no_other(&make()).await;
    an_outcome_holds_though_its_report_does_not(&*make()).await;
    nobody_is_told_of_an_end_that_did_not_come(&*make()).await;
    many_changes_at_once(&make()).await;
    large_bodies_live_as_long_as_their_message(&*make()).await;
    lists_and_searches(&*make()).await;
    history_is_forgotten_in_time(&*make()).await;
    what_is_learned_is_kept_by_kind(&*make()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    let folders = std::sync::Mutex::new(Vec::new());
    contract(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("store"));
        folders.lock().unwrap().push(folder);
        store
    })
    .await;
}

/// A subscriber that is slow reads from the journal what it missed; at the end of the store it is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sample::settings(&folder.path().join("store"));
    let clock = Arc::new(sample::FixedClock);
    let (store, _) = outguard::store::sqlite::SqliteStore::open(&settings, clock).unwrap();
    let mut early = store.subscribe();
    for waiting in 0..1_200 {
        store.note(Event::Stopped { waiting }, at(0)).await.unwrap().into_inner();
    }
    let mut late = store.subscribe();
    store.note(Event::Stopped { waiting: 1_200 }, at(0)).await.unwrap().into_inner();
    let other = outguard::store::sqlite::SqliteStore::open_read_only(&settings.path, Arc::new(sample::FixedClock));
    assert_eq!(Reads::events(&other.unwrap(), 0, 5_000).await.unwrap().len(), 1_201, "read beside the daemon");
    store.close();
    for subscription in [&mut early, &mut late] {
        for waiting in 0..=1_200 {
            let row = subscription.next().await.unwrap();
            assert_eq!((row.row, row.event), (waiting + 1, Event::Stopped { waiting }));
        }
        assert!(subscription.next().await.is_none());
    }
    assert_eq!(store.note(Event::Stopped { waiting: 0 }, at(0)).await.unwrap_err(), StoreError::Closed);
}

/// What `find` looks in goes with the messages, or it would grow for ever.
#[tokio::test]
async fn the_index_forgets_what_the_journal_forgot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let m = message(&*store, at(0), &["b@example.net"]);
        ids.push(m.id);
        store.accept(m).await.unwrap().into_inner();
    }
    let terms = || {
        let other = rusqlite::Connection::open(path.join("queue.db")).unwrap();
        other.query_row("SELECT count(*) FROM term", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let attempts = KeepAttempts { keep_ms: 0, earlier_boots_since: None };
    for (removed, expected) in [(ids[0], 12), (ids[1], 12), (ids[2], 0)] {
        store.remove(removed, "anna".into(), at(1)).await.unwrap().into_inner();
        while store.prune(wall(10), attempts, u64::MAX).await.unwrap() {}
        assert_eq!(terms(), expected, "account and sender are one, Message-ID, the MTA's id, the recipient");
    }
}

/// Bodies of 24 MB come and go: what stays of the file is what is kept free for the next ones, 16 MiB, and little more.
#[tokio::test]
async fn space_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store"));
    let body = bytes::Bytes::from(vec![b'x'; 60_000]);
    let mut ids = Vec::new();
    for n in 0..400 {
        let mut message = message(&*store, at(n), &["b@example.net"]);
        message.body = outguard::store::Body::Inline(body.clone());
        ids.push(message.id);
        store.accept(message).await.unwrap().into_inner();
    }
    let file_reaches = async |wanted: std::ops::Range<u64>| {
        for _ in 0..600 {
            let length = std::fs::metadata(folder.path().join("store/queue.db")).unwrap().len();
            if wanted.contains(&length) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        false
    };
    assert!(file_reaches(24_000_000..u64::MAX).await, "copied out of the log");
    for id in ids {
        assert_eq!(store.remove(id, "root".into(), at(5_000)).await.unwrap().into_inner(), Some(1));
    }
    let given_back = file_reaches(0..18_000_000).await;
    let db = rusqlite::Connection::open(folder.path().join("store/queue.db")).unwrap();
    let ask = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let (pages, free) = (ask("PRAGMA page_count"), ask("PRAGMA freelist_count"));
    assert!(given_back, "{pages} pages, {free} free");
}

/// Names that nothing has any more go, while others come and some come back: a name that a row has is never missing.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_forgotten_with_the_last_that_had_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path);
    let attempts = KeepAttempts { keep_ms: 0, earlier_boots_since: Some(wall(u64::MAX >> 1)) };
    let accept = |first: u32, count: u32| {
        let store = Arc::clone(&store);
        async move {
            let recipients: Vec<String> = (first..first + count).map(|n| format!("b@d{n}.example")).collect();
            let m = message(&*store, at(0), &recipients.iter().map(String::as_str).collect::<Vec<_>>());
            store.accept(m).await.unwrap().into_inner()
        }
    };
    let names = || {
        let other = rusqlite::Connection::open(path.join("queue.db")).unwrap();
        other.query_row("SELECT count(*) FROM name", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let stays = accept(0, 2).await;
    let mut kept = vec![stays];
    for round in 0..4 {
        let many = accept(1_000, 11_000).await;
        let before = names();
        store.remove(many, "anna".into(), at(1)).await.unwrap().into_inner();
        let comes_back = async {
            let mut ids = Vec::new();
            for n in 0..60 {
                ids.push(accept(1_000 + n * 100, 20).await);
            }
            ids
        };
        let sweep = async { while store.prune(wall(10), attempts, u64::MAX).await.unwrap() {} };
        let ((), ids) = tokio::join!(sweep, comes_back);
        kept.extend(ids);
        assert!(names() < before / 4, "round {round}: {} of {before} are left", names());
        for id in &kept {
            let (_, deliveries) = store.message(*id).await.unwrap().unwrap();
            let domain = deliveries[0].recipient.address.domain().to_owned();
            assert_eq!(deliveries[0].destination, to(&format!("mx:{domain}")), "round {round}: {id}");
        }
    }
}

async fn a_whole_life(store: &dyn Store) {
    let m = message(store, at(0), &["b@example.net", "c@example.com"]);
    let id = m.id;
    let stored = store.accept(m).await.unwrap();
    assert_eq!(*stored.get(), id);
    let lines = store.lines().await.unwrap();
    assert_eq!(lines.iter().map(|l| l.deliveries).sum::<u64>(), 2);
    assert_eq!(lines.len(), 2);

    let page = store.line_page(line("mx:example.net"), wall(0), 10).await.unwrap();
    assert_eq!((page.len(), page[0].id, &page[0].deliveries[..]), (1, id, &[Index(0)][..]));
    assert!(store.line_page(line("mx:example.org"), wall(0), 10).await.unwrap().is_empty());

    let content = store.content(id).await.unwrap();
    assert_eq!(&content.prefix[..], b"Received: by outguard\r\n");
    assert!(matches!(&content.body, ContentBody::Bytes(b) if &b[..] == b"Subject: x\r\n\r\nhello\r\n"));
    assert_eq!(content.size_bytes, 23 + 21);

    let lease = store.lease(request(id, &[0, 1], at(10))).await.unwrap().into_inner();
    assert_eq!(lease.deliveries(), [Index(0), Index(1)]);
    assert_eq!(states(store, id).await, [DeliveryState::UnderWay; 2]);
    assert!(store.lines().await.unwrap().is_empty());
    let again = store.lease(request(id, &[0, 1], at(11))).await.unwrap().into_inner();
    assert!(again.deliveries().is_empty(), "what is under way is leased once");
    store.conclude(conclusion(again, at(12), Vec::new()), None).await.unwrap().into_inner();
    assert_eq!(states(store, id).await, [DeliveryState::UnderWay; 2], "an empty lease ends nothing");

    let done = store.conclude(conclusion(lease, at(20), vec![delivered(0)]), None).await.unwrap().into_inner();
    assert!(!done.message_ended);
    assert_eq!(states(store, id).await, [DeliveryState::Delivered, DeliveryState::Waiting], "no outcome: waits again");

    let lease = store.lease(request(id, &[1], at(30))).await.unwrap().into_inner();
    let done = store.conclude(conclusion(lease, at(40), vec![delivered(1)]), None).await.unwrap().into_inner();
    assert!(done.message_ended);
    assert_eq!(store.content(id).await.unwrap_err(), StoreError::NoSuchMessage(id), "no body stays behind");
    let names: Vec<&str> = store.history(id).await.unwrap().iter().map(|e| e.event.name()).collect();
    assert_eq!(names, ["message.accepted", "delivery.delivered", "delivery.delivered"]);

    let attempts = store.attempts(u64::MAX).await.unwrap();
    let ends: Vec<_> = attempts.iter().map(|a| (a.leased_boot, a.ended_boot, a.recipients, a.messages)).collect();
    assert_eq!(ends, [(10, Some(20), 1, 1), (30, Some(40), 1, 1)]);
    assert_eq!(store.totals().await.unwrap(), outguard::store::Totals::default());
}

async fn a_deferral_is_found_when_due(store: &dyn Store) {
    let (first, second) = (message(store, at(0), &["b@example.net"]), message(store, at(1), &["c@example.net"]));
    let (a, b) = (first.id, second.id);
    store.accept(first).await.unwrap().into_inner();
    store.accept(second).await.unwrap().into_inner();
    assert!(store.due(WallMs(0).into(), wall(9_999), 10).await.unwrap().is_empty(), "new mail needs no timer");
    let lease = store.lease(request(a, &[0], at(10))).await.unwrap().into_inner();
    let next = Some(request(b, &[0], at(20)));
    let done = store.conclude(conclusion(lease, at(20), vec![deferred(0, wall(500))]), next).await.unwrap();
    let next = done.into_inner().next.unwrap().into_inner();
    assert_eq!((next.message(), next.deliveries()), (b, &[Index(0)][..]), "the next lease rides along");
    assert_eq!(store.next_due(wall(20)).await.unwrap(), Some(wall(500)));
    assert!(store.due(wall(20).into(), wall(499), 10).await.unwrap().is_empty());
    assert!(store.line_page(line("mx:example.net"), wall(499), 10).await.unwrap().is_empty());
    let due = store.due(wall(499).into(), wall(500), 10).await.unwrap();
    assert_eq!((due.len(), due[0].message.id, due[0].spent_ms, due[0].received), (1, a, 60_000, wall(0)));
    assert!(store.due(wall(500).into(), wall(900), 10).await.unwrap().is_empty(), "half-open: after, until included");
    let (_, deliveries) = store.message(a).await.unwrap().unwrap();
    assert_eq!((deliveries[0].attempts, deliveries[0].last_reply.as_deref()), (1, Some("451 later")));

    let bounce =
        DeliveryEnd { index: Index(0), outcome: DeliveryOutcome::Bounced { reply: "too old".into(), dsn: None } };
    let mut report = message(store, at(600), &["a@example.org"]);
    let report_id = report.id;
    let queued = Event::DsnQueued {
        id: report_id.to_string(),
        of: a.to_string(),
        account: account("a@example.org"),
        action: "failed".into(),
        to: "a@example.org".into(),
    };
    report.report_on = Some((a, queued));
    let ended = store.end_unattempted(a, at(600), DeliveryState::Waiting, vec![bounce], vec![report]).await;
    assert!(ended.unwrap().into_inner());
    assert_eq!(states(store, a).await, [DeliveryState::Bounced]);
    assert_eq!(states(store, report_id).await, [DeliveryState::Waiting]);
    assert_eq!(store.message(report_id).await.unwrap().unwrap().0.report_on, Some(a));
    let delay = message(store, at(601), &["a@example.org"]);
    store.report_delay(b, vec![Index(0)], delay).await.unwrap().into_inner();
    assert!(store.message(b).await.unwrap().unwrap().1[0].delay_reported);
}

async fn gates_stop_leases(store: &dyn Store) {
    let m = message(store, at(0), &["b@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let cases = [(GateKind::All, ""), (GateKind::Account, "a@example.org"), (GateKind::Egress, "192.0.2.1")];
    for (kind, key) in cases {
        let gate =
            Gate { kind, key: key.into(), by: "anna".into(), reason: "test".into(), since: wall(1), until: None };
        store.close_gate(gate.clone(), at(1), 0).await.unwrap().into_inner();
        assert_eq!(store.gates().await.unwrap(), [gate]);
        let lease = store.lease(request(id, &[0], at(2))).await.unwrap().into_inner();
        assert!(lease.deliveries().is_empty(), "{kind:?}");
        assert!(store.open_gate(kind, key.into(), "anna".into(), at(3)).await.unwrap().into_inner());
        assert!(!store.open_gate(kind, key.into(), "anna".into(), at(3)).await.unwrap().into_inner());
    }
    let lease = store.lease(request(id, &[0], at(4))).await.unwrap().into_inner();
    assert_eq!(lease.deliveries().len(), 1);
}

async fn held_removed_released(store: &dyn Store) {
    let mut m = message(store, at(0), &["b@example.net", "c@example.net"]);
    m.verdict.decision = Decision::Hold;
    let (id, unknown) = (m.id, store.allocate().unwrap());
    store.accept(m).await.unwrap().into_inner();
    assert_eq!(states(store, id).await, [DeliveryState::Held; 2]);
    assert_eq!(store.waiting_by_account().await.unwrap(), [(account("a@example.org"), 2)]);
    let senders = store.senders(None, 10).await.unwrap();
    let sender = senders.iter().find(|sender| sender.id == id).expect("every message has a sender");
    assert_eq!((sender.account.as_str(), sender.client.as_str()), ("a@example.org", "127.0.0.1"));
    assert_eq!(sender.reverse_path.address().map(outguard::mail::Address::as_str), Some("a@example.org"));
    assert_eq!(store.senders(Some(id), 10).await.unwrap(), []);
    let authors = store.authors(None, 10).await.unwrap();
    let row = store.message(id).await.unwrap().unwrap().0;
    let (path, from) = (row.reverse_path.to_string(), row.header_from);
    let newest = authors.first().unwrap();
    assert_eq!((newest.id, &newest.account, newest.source), (id, &row.account, row.source));
    assert_eq!((newest.received, &newest.reverse_path, &newest.header_from), (row.received, &path, &from));
    assert!(authors.windows(2).all(|pair| pair[0].id > pair[1].id), "the newest first");
    assert_eq!(store.authors(Some(id), 10).await.unwrap(), authors[1..]);
    let lease = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
    assert!(lease.deliveries().is_empty(), "invariant 5: held stays held");
    assert_eq!(store.release(unknown, "anna".into(), None, at(2)).await.unwrap().into_inner(), None);
    let destination = Destination("default to=example.net via=two".into());
    let renewed = |prefix: &'static str| {
        let refiled = Refiled { index: Index(1), from: to("mx:example.net"), to: destination.clone() };
        Some(Renewed { prefix: prefix.into(), refiled: vec![refiled] })
    };
    let released = store.release(id, "anna".into(), renewed("X: anew\r\n"), at(2)).await.unwrap().into_inner();
    assert_eq!(released, Some(2));
    assert_eq!(&store.content(id).await.unwrap().prefix[..], b"X: anew\r\n");
    let (_, deliveries) = store.message(id).await.unwrap().unwrap();
    assert_ne!(deliveries[0].destination, destination, "it is not named");
    assert_eq!(deliveries[1].destination, destination);
    let again = store.release(id, "anna".into(), renewed("X: late\r\n"), at(2)).await.unwrap().into_inner();
    assert_eq!(again, Some(0));
    assert_eq!(&store.content(id).await.unwrap().prefix[..], b"X: anew\r\n", "nothing was held any more");
    let lease = store.lease(request(id, &[0], at(3))).await.unwrap().into_inner();
    assert_eq!(store.remove(unknown, "anna".into(), at(4)).await.unwrap().into_inner(), None);
    assert_eq!(store.remove(id, "anna".into(), at(4)).await.unwrap().into_inner(), Some(1));
    assert_eq!(states(store, id).await, [DeliveryState::UnderWay, DeliveryState::Removed]);
    assert!(store.content(id).await.is_ok(), "what is under way needs its body");
    let done = store.conclude(conclusion(lease, at(5), vec![delivered(0)]), None).await.unwrap().into_inner();
    assert!(done.message_ended);
    let names: Vec<&str> = store.history(id).await.unwrap().iter().map(|e| e.event.name()).collect();
    assert_eq!(
        names,
        ["message.accepted", "message.held", "message.released", "message.removed", "delivery.delivered"]
    );
}

async fn what_waits_is_made_anew(store: &dyn Store) {
    let m = message(store, at(0), &["b@example.net", "c@example.net", "d@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let destination = Destination("default to=example.net via=two".into());
    let to_there = |prefix: &'static str, from: &str| Renewed {
        prefix: prefix.into(),
        refiled: (0..3).map(|n| Refiled { index: Index(n), from: to(from), to: destination.clone() }).collect(),
    };
    let of_a_route_before = to_there("X: before\r\n", "mx:gone.example");
    assert!(!store.renew(id, of_a_route_before, at(1)).await.unwrap().into_inner(), "it was filed elsewhere meanwhile");
    let (_, deliveries) = store.message(id).await.unwrap().unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.destination == to("mx:example.net")), "and stays there");
    let before = store.content(id).await.unwrap().prefix;
    let renewed = || to_there("X: anew\r\n", "mx:example.net");
    let lease = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
    assert!(!store.renew(id, renewed(), at(5)).await.unwrap().into_inner(), "one is under way");
    assert_eq!(store.content(id).await.unwrap().prefix, before, "one is under way");
    let (_, deliveries) = store.message(id).await.unwrap().unwrap();
    let stands: Vec<bool> = deliveries.iter().map(|delivery| delivery.destination == destination).collect();
    assert_eq!(stands, [false, true, true], "what is under way stays where it is");
    let due = store.due(at(4).wall.into(), at(5).wall, 10).await.unwrap();
    assert_eq!(due.len(), 1, "a timer finds what moved");
    assert_eq!((due[0].message.id, due[0].message.deliveries.len()), (id, 2));
    store.conclude(conclusion(lease, at(6), vec![delivered(0)]), None).await.unwrap().into_inner();
    assert!(store.renew(id, renewed(), at(7)).await.unwrap().into_inner(), "none is any more");
    assert_eq!(&store.content(id).await.unwrap().prefix[..], b"X: anew\r\n", "partly delivered: the rest is anew");
    assert_eq!(
        store.due(at(5).wall.into(), at(9).wall, 10).await.unwrap(),
        [],
        "what stands there already is not moved"
    );
    assert_eq!(store.remove(id, "anna".into(), at(8)).await.unwrap().into_inner(), Some(2));
}

async fn a_fault_of_one_request_spoils_no_other(store: &Arc<dyn Store>) {
    let first = message(&**store, at(0), &["b@example.net"]);
    let id = first.id;
    store.accept(first).await.unwrap().into_inner();
    let mut tasks = Vec::new();
    for n in 0..20 {
        let mut m = message(&**store, at(0), &["b@example.net"]);
        if n % 5 == 0 {
            m.id = id; // stored before: its insert fails
        }
        let store = Arc::clone(store);
        tasks.push(tokio::spawn(async move { (n, store.accept(m).await.map(outguard::store::Stored::into_inner)) }));
    }
    for task in tasks {
        let (n, result) = task.await.unwrap();
        assert_eq!(result.is_err(), n % 5 == 0, "{n}: {result:?}");
    }
    assert_eq!(store.totals().await.unwrap().waiting, 17);
    let events = store.events(0, 100).await.unwrap();
    assert_eq!(events.len(), 17, "a request taken back leaves no event");
}

/// A report whose id was taken, or that is no message at all, once left the delivery under way until the next start.
async fn an_outcome_holds_though_its_report_does_not(store: &dyn Store) {
    let taken = message(store, at(0), &["z@example.net"]);
    let taken_id = taken.id;
    store.accept(taken).await.unwrap().into_inner();
    for fault in ["its id was taken", "it has no destination"] {
        let (m, other) =
            (message(store, at(0), &["b@example.net", "c@example.net"]), message(store, at(0), &["d@e.org"]));
        let (id, other_id) = (m.id, other.id);
        store.accept(m).await.unwrap().into_inner();
        store.accept(other).await.unwrap().into_inner();
        let lease = store.lease(request(id, &[0, 1], at(1))).await.unwrap().into_inner();
        let mut report = message(store, at(2), &["a@example.org"]);
        if fault == "its id was taken" {
            report.id = taken_id;
        } else {
            report.destinations.clear();
        }
        let report_id = report.id;
        let outcome = DeliveryOutcome::Bounced { reply: "550 no".into(), dsn: Some(report_id) };
        let mut end = conclusion(lease, at(2), vec![DeliveryEnd { index: Index(0), outcome }, delivered(1)]);
        end.reports.push(report);
        let done = store.conclude(end, Some(request(other_id, &[0], at(2)))).await.expect(fault).into_inner();
        assert!(done.message_ended, "{fault}");
        assert_eq!(done.reports_lost, [report_id], "{fault}");
        assert_eq!(done.next.expect("the next lease is sound").into_inner().deliveries(), [Index(0)], "{fault}");
        assert_eq!(states(store, id).await, [DeliveryState::Bounced, DeliveryState::Delivered], "{fault}");
        let events: Vec<Event> = store.history(id).await.unwrap().into_iter().map(|row| row.event).collect();
        let names: Vec<&str> = events.iter().map(Event::name).collect();
        let expected = ["message.accepted", "delivery.bounced", "delivery.delivered", "dsn.to-operator"];
        assert_eq!(names, expected, "{fault}: invariant 1, the operator's copy stands in the report's place");
        assert!(matches!(&events[1], Event::Bounced { dsn: None, .. }), "{fault}: names a report that is not there");
        let attempts = store.attempts(u64::MAX).await.unwrap();
        assert!(attempts.iter().any(|a| a.ended_wall == Some(wall(2)) && a.recipients == 2), "{fault}");
    }
    assert_eq!(store.message(taken_id).await.unwrap().unwrap().1[0].recipient.address.as_str(), "z@example.net");
    // What is no outcome is refused whole.
    let mut report = message(store, at(3), &["a@example.org"]);
    report.destinations.clear();
    let end = DeliveryEnd { index: Index(0), outcome: DeliveryOutcome::Bounced { reply: "old".into(), dsn: None } };
    store.end_unattempted(taken_id, at(3), DeliveryState::Waiting, vec![end], vec![report]).await.unwrap_err();
    assert_eq!(states(store, taken_id).await, [DeliveryState::Waiting], "it waits on");
}

/// Between a look at a message and its end somebody else may take it.
async fn nobody_is_told_of_an_end_that_did_not_come(store: &dyn Store) {
    let m = message(store, at(0), &["b@example.net", "c@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let end = |index| DeliveryEnd {
        index: Index(index),
        outcome: DeliveryOutcome::Bounced { reply: "too old".into(), dsn: None },
    };
    let try_end = async |from, ends: Vec<DeliveryEnd>| {
        let report = message(store, at(2), &["a@example.org"]);
        let report_id = report.id;
        let ended = store.end_unattempted(id, at(2), from, ends, vec![report]).await.unwrap().into_inner();
        assert_eq!(store.message(report_id).await.unwrap().is_some(), ended, "a report stands for an end");
        ended
    };
    // The first goes under way between the look and the end.
    let lease = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
    assert!(!try_end(DeliveryState::Waiting, vec![end(1), end(0)]).await);
    assert_eq!(states(store, id).await, [DeliveryState::UnderWay, DeliveryState::Waiting], "neither ends");
    // What was held is released.
    assert!(!try_end(DeliveryState::Held, vec![end(1)]).await);
    assert_eq!(states(store, id).await, [DeliveryState::UnderWay, DeliveryState::Waiting]);
    store.conclude(conclusion(lease, at(3), vec![delivered(0)]), None).await.unwrap().into_inner();
    assert!(!try_end(DeliveryState::Waiting, vec![end(0)]).await, "it has its end");
    assert!(try_end(DeliveryState::Waiting, vec![end(1)]).await);
    assert_eq!(states(store, id).await, [DeliveryState::Delivered, DeliveryState::Bounced]);
}

async fn many_changes_at_once(store: &Arc<dyn Store>) {
    let mut accepts = tokio::task::JoinSet::new();
    for n in 0..700 {
        let recipient = format!("b{n}@{}", if n % 2 == 0 { "example.net" } else { "example.com" });
        let (store, mut m) = (Arc::clone(store), message(&**store, at(0), &[&recipient]));
        m.header_from = Some("shop.example".into());
        accepts.spawn(async move { store.accept(m).await.map(outguard::store::Stored::into_inner) });
    }
    for accepted in accepts.join_all().await {
        accepted.unwrap();
    }
    let put_off = |due| store.defer_destination(to("mx:example.net"), at(10), due, "no route".into());
    assert_eq!(put_off(wall(100)).await.unwrap(), 350);
    assert_eq!(put_off(wall(100)).await.unwrap(), 0, "not due any more");
    // However many are due at one moment, none is read twice or left out, and no page is larger than asked.
    let (mut due, mut after): (Vec<DueDelivery>, _) = (Vec::new(), wall(10).into());
    loop {
        let page = store.due(after, wall(100), 7).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 7, "{} groups at once", page.len());
        after = last.behind();
        due.extend(page);
    }
    assert_eq!(due.len(), 350);
    assert!(due.is_sorted_by(|a, b| a.message.id < b.message.id));
    assert_eq!(due[0].spent_ms, 90);
    let flush = |which: Filter| store.flush(which, at(20));
    let one = Filter { id: Some(due[0].message.id), ..Filter::default() };
    assert_eq!(flush(one).await.unwrap().into_inner(), 1);
    let other = Filter { account: Some(account("z@example.org")), ..Filter::default() };
    assert_eq!(flush(other).await.unwrap().into_inner(), 0);
    let domain = Filter { recipient: Some("@example.com".into()), ..Filter::default() };
    assert_eq!(flush(domain).await.unwrap().into_inner(), 0);
    assert_eq!(flush(Filter::default()).await.unwrap().into_inner(), 349);
    let route = |waiting: &RouteFacts<'_>| {
        let RouteFacts { reverse_path, recipient, header_from, .. } = *waiting;
        assert_eq!((reverse_path, header_from), ("a@example.org", Some("shop.example")));
        if recipient.ends_with("@example.com") { to("smarthost:one") } else { to("mx:example.net") }
    };
    assert_eq!(store.reroute(Box::new(route)).await.unwrap(), 350);
    assert_eq!(store.reroute(Box::new(route)).await.unwrap(), 0);
    assert_eq!(store.line_page(line("smarthost:one"), wall(20), 1_000).await.unwrap().len(), 350);
    assert_eq!(store.lines().await.unwrap().len(), 2);
}

async fn large_bodies_live_as_long_as_their_message(store: &dyn Store) {
    let mut m = message(store, at(0), &["b@example.net"]);
    let id = m.id;
    let chunk = Bytes::from(vec![b'x'; 100_000]);
    let mut spool = store.spool(id).await.unwrap();
    spool.write(chunk.clone()).await.unwrap();
    spool.write(chunk).await.unwrap();
    m.body = spool.finish().await.unwrap();
    assert_eq!(m.body.len(), 200_000);
    store.accept(m).await.unwrap().into_inner();
    let content = store.content(id).await.unwrap();
    assert_eq!(content.size_bytes, 200_023);
    let ContentBody::File(file) = content.body else { panic!("a large body is a file") };
    assert_eq!(file.metadata().unwrap().len(), 200_000);
    assert_eq!(store.remove(id, "anna".into(), at(1)).await.unwrap().into_inner(), Some(1));
    // The file goes after the answer, in the writer's own time.
    faults::wait_for(|| async { std::os::unix::fs::MetadataExt::nlink(&file.metadata().unwrap()) == 0 }).await;
    // A body that becomes nobody's goes as well.
    let other = store.allocate().unwrap();
    let body = store.spool(other).await.unwrap().finish().await.unwrap();
    drop(body);
    store.spool(other).await.expect("the name is free again");
}

async fn lists_and_searches(store: &dyn Store) {
    let mut ids = Vec::new();
    for n in 0..30 {
        let recipient = format!("b{}@example.net", n % 3);
        let mut m = message(store, at(n), &[&recipient]);
        m.message_id = Some(format!("<{n}@example.org>"));
        m.mta_id = Some(format!("MTA{n}"));
        ids.push(m.id);
        store.accept(m).await.unwrap().into_inner();
    }
    let list = |filter: Filter, after, limit| async move {
        let listed = store.list(filter, Page { after, limit }).await.unwrap();
        listed.into_iter().map(|(m, _)| m.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter::default(), None, 10).await, ids[..10]);
    assert_eq!(list(Filter::default(), Some(ids[9]), 100).await, ids[10..]);
    let to_b0 = Filter { recipient: Some("b0@example.net".into()), ..Filter::default() };
    let expected: Vec<QueueId> = ids.iter().copied().step_by(3).collect();
    assert_eq!(list(to_b0.clone(), None, 4).await, expected[..4]);
    assert_eq!(list(to_b0, Some(expected[3]), 100).await, expected[4..]);
    let held = Filter { state: Some(DeliveryState::Held), ..Filter::default() };
    assert!(list(held, None, 10).await.is_empty());
    let find = |term: &str, after, limit| {
        let found = store.find(term.to_owned(), Page { after, limit });
        async { found.await.unwrap().into_iter().map(|(m, _)| m.id).collect::<Vec<QueueId>>() }
    };
    let cases = [
        (ids[3].to_string(), vec![ids[3]]),
        ("<4@example.org>".into(), vec![ids[4]]),
        ("4@example.org".into(), vec![ids[4]]), // without its brackets
        ("MTA5".into(), vec![ids[5]]),
        ("B2@example.net".into(), ids.iter().rev().copied().step_by(3).collect()), // newest first
        ("a@example.org".into(), ids.iter().rev().copied().collect()),
        ("nobody@example.org".into(), vec![]),
    ];
    for (term, expected) in cases {
        assert_eq!(find(&term, None, 100).await, expected, "{term}");
        // A page at a time it is the same.
        let mut paged = Vec::new();
        while let page = find(&term, paged.last().copied(), 3).await
            && !page.is_empty()
        {
            paged.extend(page);
        }
        assert_eq!(paged, expected, "{term}");
    }
}

async fn history_is_forgotten_in_time(store: &dyn Store) {
    let mut ids = Vec::new();
    for n in 0..20 {
        let m = message(store, at(n * 100), &["b@example.net"]);
        let id = m.id;
        ids.push(id);
        store.accept(m).await.unwrap().into_inner();
        if n > 0 {
            let now = at(n * 100 + 10);
            let lease = store.lease(request(id, &[0], now)).await.unwrap().into_inner();
            store.conclude(conclusion(lease, now, vec![delivered(0)]), None).await.unwrap().into_inner();
        }
    }
    let last = store.events(0, 1_000).await.unwrap().last().unwrap().row;
    // The last lease is of 1,910: what ended 1,400 before it and later is kept, whatever the wall clock says.
    let attempts = KeepAttempts { keep_ms: 1_400, earlier_boots_since: Some(wall(u64::MAX >> 1)) };
    assert_eq!(store.attempts_pruned().await.unwrap(), None, "a young store's record is complete, however short it is");
    while store.prune(wall(1_000), attempts, u64::MAX).await.unwrap() {}
    let pruned = store.attempts_pruned().await.unwrap().unwrap();
    assert_eq!((pruned.until, pruned.kept_ms), (wall(410), 1_400));
    let alive: Vec<bool> = {
        let mut alive = Vec::new();
        for id in &ids {
            alive.push(store.message(*id).await.unwrap().is_some());
        }
        alive
    };
    let expected: Vec<bool> = (0..20).map(|n| n == 0 || n >= 10).collect();
    assert_eq!(alive, expected, "the first still waits: age alone removes nothing");
    assert!(store.events(0, 1_000).await.unwrap().iter().all(|e| e.at >= wall(1_000)));
    assert_eq!(store.attempts(u64::MAX).await.unwrap().len(), 15);
    while store.prune(wall(0), attempts, 0).await.unwrap() {}
    let rest = store.events(0, 1_000).await.unwrap();
    assert_eq!(rest.len(), 1, "over its bound the journal shrinks whatever its age; the last row keeps the cursor");
    assert_eq!(rest[0].row, last);
    store.note(Event::Stopped { waiting: 1 }, at(9_000)).await.unwrap().into_inner();
    assert_eq!(store.events(last, 10).await.unwrap()[0].row, last + 1);
}

async fn what_is_learned_is_kept_by_kind(store: &dyn Store) {
    let keep = |kind, key: &[u8], value: &str| Memory::keep(kind, key.to_vec(), value.to_owned()).unwrap();
    let read = |kind, after: Option<&[u8]>, limit| {
        let after = after.map(Bytes::copy_from_slice);
        async move {
            let rows = store.memories(kind, after, limit).await.unwrap();
            rows.into_iter().map(|row| (row.key.to_vec(), row.value.to_vec(), row.updated)).collect::<Vec<_>>()
        }
    };
    store.remember(Vec::new(), at(0)).await.unwrap().into_inner();
    for kind in MemoryKind::ALL {
        assert!(read(kind, None, 10).await.is_empty(), "{kind:?}");
        // The same key of another kind is another one; the empty key is one.
        let memories = vec![keep(kind, b"", kind.as_str()), keep(kind, b"b", "1"), keep(kind, b"\0\xff", "2")];
        store.remember(memories, at(10)).await.unwrap().into_inner();
    }
    let habits: [(&[u8], &[u8]); 3] = [(b"", b"habit"), (b"\0\xff", b"2"), (b"b", b"1")];
    let habits = habits.map(|(key, value)| (key.to_vec(), value.to_vec(), wall(10)));
    assert_eq!(read(MemoryKind::Habit, None, 10).await, habits, "in the order of bytes");
    assert_eq!(read(MemoryKind::Habit, None, 2).await, habits[..2]);
    assert_eq!(read(MemoryKind::Habit, Some(b""), 1).await, habits[1..2], "after the empty key");
    assert_eq!(read(MemoryKind::Habit, Some(b"b"), 10).await, []);
    // One call may speak of a key again: the last word counts.
    let turns = vec![
        keep(MemoryKind::Habit, b"b", "3"),
        Memory::forget(MemoryKind::Habit, "").unwrap(),
        Memory::forget(MemoryKind::Habit, "never there").unwrap(),
        keep(MemoryKind::Habit, b"b", "4"),
    ];
    store.remember(turns, at(20)).await.unwrap().into_inner();
    let expected = [habits[1].clone(), (b"b".to_vec(), b"4".to_vec(), wall(20))];
    assert_eq!(read(MemoryKind::Habit, None, 10).await, expected);
    while store.forget_memories(MemoryKind::Habit, wall(20)).await.unwrap() {}
    assert_eq!(read(MemoryKind::Habit, None, 10).await, expected[1..], "half-open: what was written at it stays");
    assert_eq!(read(MemoryKind::Taught, None, 10).await.len(), 3, "another kind has another age");
    // More than one transaction, more than one page, more than one batch of forgetting.
    let many = |n: u32| keep(MemoryKind::Sketch, &n.to_be_bytes(), "sketch");
    store.remember((0..1_200).map(many).collect(), at(30)).await.unwrap().into_inner();
    assert_eq!(read(MemoryKind::Sketch, None, 5_000).await.len(), 1_203);
    let large = Bytes::from(vec![7; Memory::VALUE_BYTES_MAX]);
    let large = |n: u8| Memory::keep(MemoryKind::Taught, vec![b'x', n], large.clone()).unwrap();
    store.remember((0..100).map(large).collect(), at(30)).await.unwrap().into_inner();
    let (mut after, mut pages) = (Some(b"b".to_vec()), Vec::new());
    loop {
        let page = read(MemoryKind::Taught, after.as_deref(), 1_000).await;
        let Some(last) = page.last() else { break };
        after = Some(last.0.clone());
        pages.push(page.len());
    }
    assert_eq!(pages, [64, 36], "a page is bounded in bytes");
    let mut batches = 0;
    while store.forget_memories(MemoryKind::Sketch, wall(31)).await.unwrap() {
        batches += 1;
    }
    assert_eq!((batches, read(MemoryKind::Sketch, None, 10).await), (2, Vec::new()));
}
