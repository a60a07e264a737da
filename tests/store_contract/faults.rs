//! Commits that fail: lost, or stored although they were reported as lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use outguard::clock::{Clock, SystemClock};
use outguard::store::settings::FreeMin;
use outguard::store::sqlite::SqliteStore;
use outguard::store::sqlite::faults::{CommitFault, Faults};
use outguard::store::{Body, DeliveryState, Index, Memory, MemoryKind, Reads as _, Store, StoreError, Totals};

use super::sample::{at, conclusion, delivered, message, request, settings, states};

/// How long anything may take before a test gives up: generous, since nothing here measures speed.
const PATIENCE: Duration = Duration::from_mins(2);

/// Faults as the test says, then none.
#[derive(Default)]
struct Script {
    commits: Mutex<VecDeque<CommitFault>>,
    /// How many openings fail.
    reopen: AtomicU64,
    /// How many openings after a failure there were.
    reopened: AtomicU64,
    /// How many first commits after a failure are answered as failed.
    probe: AtomicU64,
    /// How many copies of the log fail.
    copy: AtomicU64,
    /// How many syncs of the spool's folder fail.
    folder_sync: AtomicU64,
    /// Free bytes; 0 for what there really is.
    free: AtomicU64,
    /// A commit under way goes on when this is free.
    turnstile: Mutex<()>,
    /// How many commits were begun.
    begun: AtomicU64,
}

impl Faults for Script {
    fn commit(&self) -> CommitFault {
        self.begun.fetch_add(1, Ordering::Relaxed);
        drop(self.turnstile.lock().unwrap());
        self.commits.lock().unwrap().pop_front().unwrap_or(CommitFault::None)
    }

    fn probe(&self) -> bool {
        self.probe.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }

    fn copy(&self) -> bool {
        self.copy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }

    fn folder_sync(&self) -> bool {
        self.folder_sync.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }

    fn reopen(&self) -> bool {
        self.reopened.fetch_add(1, Ordering::Relaxed);
        self.reopen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }

    fn free_bytes(&self, real: u64) -> u64 {
        match self.free.load(Ordering::Relaxed) {
            0 => real,
            free => free,
        }
    }
}

impl Script {
    fn next(&self, faults: &[CommitFault]) {
        self.commits.lock().unwrap().extend(faults);
    }
}

fn open() -> (tempfile::TempDir, Arc<SqliteStore>, Arc<Script>) {
    let folder = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::default());
    let mut settings = settings(&folder.path().join("store"));
    settings.free_min = FreeMin::Bytes(1_000);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
    let faults = Arc::clone(&script) as Arc<dyn Faults>;
    let (store, _) = SqliteStore::open_with_faults(&settings, clock, faults).unwrap();
    (folder, store, script)
}

/// The names of the events that a follower of the journal hears of.
fn told(store: &Arc<SqliteStore>) -> Arc<Mutex<Vec<&'static str>>> {
    let names = Arc::new(Mutex::new(Vec::new()));
    let (mut events, into) = (store.subscribe(), Arc::clone(&names));
    tokio::spawn(async move {
        while let Some(row) = events.next().await {
            into.lock().unwrap().push(row.event.name());
        }
    });
    names
}

/// Waits for as many events as are expected, and a moment for more: after it the follower lives from what it is told.
async fn are_told(names: &Mutex<Vec<&'static str>>, expected: &[&str]) {
    wait_for(|| async { names.lock().unwrap().len() >= expected.len() }).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*names.lock().unwrap(), expected);
}

const BOTH: [CommitFault; 2] = [CommitFault::Lost, CommitFault::StoredAllTheSame];

#[tokio::test]
async fn an_accept_that_was_not_confirmed_is_not_there() {
    for fault in BOTH {
        let (_folder, store, script) = open();
        let kept = message(&*store, at(0), &["b@example.net"]);
        let kept_id = kept.id;
        store.accept(kept).await.unwrap().into_inner();
        script.next(&[fault]);
        let lost = message(&*store, at(0), &["b@example.net"]);
        let lost_id = lost.id;
        let error = store.accept(lost).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { .. }), "{fault:?}: {error}");
        // The client comes again: with the old id nobody would know which one it was told.
        let again = message(&*store, at(0), &["b@example.net"]);
        let again_id = again.id;
        store.accept(again).await.unwrap().into_inner();
        assert!(store.message(lost_id).await.unwrap().is_none(), "{fault:?}: sent twice");
        assert!(store.history(lost_id).await.unwrap().is_empty(), "{fault:?}");
        for id in [kept_id, again_id] {
            assert_eq!(states(&*store, id).await, [DeliveryState::Waiting], "{fault:?}");
        }
        assert_eq!(store.totals().await.unwrap().waiting, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_large_body_goes_with_its_unconfirmed_message() {
    for fault in BOTH {
        let (folder, store, script) = open();
        let mut m = message(&*store, at(0), &["b@example.net"]);
        m.body = store.spool(m.id).await.unwrap().finish().await.unwrap();
        script.next(&[fault]);
        store.accept(m).await.unwrap_err();
        store.accept(message(&*store, at(0), &["b@example.net"])).await.unwrap().into_inner();
        store.close();
        let left = std::fs::read_dir(folder.path().join("store/spool")).unwrap().count();
        assert_eq!(left, 0, "{fault:?}");
    }
}

/// The sync that failed covered its name too, and only the other was told.
#[tokio::test]
async fn a_large_body_older_than_a_failed_sync_of_the_spool_is_not_taken() {
    let (folder, store, script) = open();
    let first = store.spool(store.allocate().unwrap()).await.unwrap();
    let second = store.spool(store.allocate().unwrap()).await.unwrap();
    script.folder_sync.store(1, Ordering::Relaxed);
    first.finish().await.unwrap_err();
    let error = second.finish().await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
    let mut m = message(&*store, at(0), &["b@example.net"]);
    m.body = store.spool(m.id).await.unwrap().finish().await.expect("made after it");
    store.accept(m).await.unwrap().into_inner();
    let left = std::fs::read_dir(folder.path().join("store/spool")).unwrap().count();
    assert_eq!(left, 1, "those that were refused are gone");
}

#[tokio::test]
async fn a_lease_that_was_not_confirmed_leaves_nothing_under_way() {
    for fault in BOTH {
        let (_folder, store, script) = open();
        let m = message(&*store, at(0), &["b@example.net"]);
        let id = m.id;
        store.accept(m).await.unwrap().into_inner();
        script.next(&[fault]);
        store.lease(request(id, &[0], at(1))).await.unwrap_err();
        let lease = store.lease(request(id, &[0], at(2))).await.unwrap().into_inner();
        assert_eq!(lease.deliveries(), [Index(0)], "{fault:?}: it waits again");
        assert_eq!(store.attempts(u64::MAX).await.unwrap().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_outcome_holds_and_is_stored_once() {
    let cases: [&[CommitFault]; 4] = [
        &[CommitFault::Lost],
        &[CommitFault::StoredAllTheSame],
        &[CommitFault::Lost, CommitFault::StoredAllTheSame],
        &[CommitFault::Lost, CommitFault::Lost, CommitFault::Lost], // off, until the probe a second later
    ];
    for faults in cases {
        let (_folder, store, script) = open();
        let m = message(&*store, at(0), &["b@example.net"]);
        let id = m.id;
        store.accept(m).await.unwrap().into_inner();
        let lease = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
        script.next(faults);
        let done = store.conclude(conclusion(lease, at(2), vec![delivered(0)]), None).await.unwrap().into_inner();
        assert!(done.message_ended, "{faults:?}");
        assert_eq!(states(&*store, id).await, [DeliveryState::Delivered], "{faults:?}");
        let names: Vec<&str> = store.history(id).await.unwrap().iter().map(|e| e.event.name()).collect();
        assert_eq!(names, ["message.accepted", "delivery.delivered"], "{faults:?}");
    }
}

/// What follows a commit follows one that is found on disk afterwards: the journal's readers miss nothing, no body stays.
#[tokio::test]
async fn what_is_stored_all_the_same_is_told_and_cleaned_up() {
    for fault in BOTH {
        let (folder, store, script) = open();
        let told = told(&store);
        let mut m = message(&*store, at(0), &["b@example.net"]);
        m.body = store.spool(m.id).await.unwrap().finish().await.unwrap();
        let id = m.id;
        store.accept(m).await.unwrap().into_inner();
        let lease = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
        are_told(&told, &["message.accepted"]).await;
        script.next(&[fault]);
        store.conclude(conclusion(lease, at(2), vec![delivered(0)]), None).await.unwrap().into_inner();
        store.accept(message(&*store, at(3), &["c@example.net"])).await.unwrap().into_inner();
        are_told(&told, &["message.accepted", "delivery.delivered", "message.accepted"]).await;
        let spool = folder.path().join("store/spool");
        wait_for(|| async { std::fs::read_dir(&spool).unwrap().count() == 0 }).await;
    }
}

/// An operator hears what is so: "it failed" of a gate that is closed after the next start would be the worst.
#[tokio::test]
async fn who_asks_hears_whether_it_holds() {
    for fault in BOTH {
        let (_folder, store, script) = open();
        let told = told(&store);
        let m = message(&*store, at(0), &["b@example.net"]);
        let id = m.id;
        store.accept(m).await.unwrap().into_inner();
        are_told(&told, &["message.accepted"]).await;
        // One batch has both: what comes while a commit is under way.
        script.next(&[CommitFault::None, fault]);
        let turnstile = script.turnstile.lock().unwrap();
        let begun = script.begun.load(Ordering::Relaxed);
        let before = message(&*store, at(1), &["b@example.net"]);
        let refused = message(&*store, at(1), &["c@example.net"]);
        let let_go = async {
            while script.begun.load(Ordering::Relaxed) == begun {
                tokio::task::yield_now().await;
            }
            let both = async {
                tokio::join!(store.accept(refused), store.remove(id, "ann".into(), at(1)), async { drop(turnstile) })
            };
            both.await
        };
        let (before, (refused, removed, ())) = tokio::join!(store.accept(before), let_go);
        before.unwrap().into_inner();
        refused.unwrap_err();
        let is_gone = states(&*store, id).await == [DeliveryState::Removed];
        match (fault, removed) {
            (CommitFault::StoredAllTheSame, Ok(removed)) => {
                assert_eq!((removed.into_inner(), is_gone), (Some(1), true));
            }
            (CommitFault::Lost, Err(error)) => assert!(!is_gone, "{error}"),
            (_, removed) => panic!("{fault:?}: {removed:?}"),
        }
        store.accept(message(&*store, at(2), &["d@example.net"])).await.unwrap().into_inner();
        let mut expected = vec!["message.accepted", "message.accepted", "message.accepted"];
        if is_gone {
            expected.insert(2, "message.removed");
        }
        are_told(&told, &expected).await;
        store.close();
    }
}

/// What a second failure left in the file has the number of the batch that was lost, and is not that batch.
#[tokio::test]
async fn a_lost_batch_is_lost_though_the_probe_after_it_is_stored() {
    let (folder, store, script) = open();
    let mut m = message(&*store, at(0), &["b@example.net"]);
    m.body = store.spool(m.id).await.unwrap().finish().await.unwrap();
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    script.probe.store(1, Ordering::Relaxed);
    script.next(&[CommitFault::Lost]);
    store.remove(id, "ann".into(), at(1)).await.unwrap_err();
    assert_eq!(states(&*store, id).await, [DeliveryState::Waiting]);
    assert_eq!(std::fs::read_dir(folder.path().join("store/spool")).unwrap().count(), 1, "its body is there");
}

#[tokio::test]
async fn while_the_file_does_not_open_only_outcomes_wait() {
    let (_folder, store, script) = open();
    let m = message(&*store, at(0), &["b@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let lease = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
    script.reopen.store(4, Ordering::Relaxed);
    script.next(&[CommitFault::Lost]);
    let outcome = store.conclude(conclusion(lease, at(2), vec![delivered(0)]), None);
    // The answer to new mail does not wait for the disk.
    while store.accept(message(&*store, at(0), &["c@example.net"])).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(outcome.await.unwrap().into_inner().message_ended);
    store.accept(message(&*store, at(0), &["d@example.net"])).await.expect("on again by itself").into_inner();
}

#[tokio::test]
async fn space_goes_to_outcomes_first() {
    let (_folder, store, script) = open();
    let m = message(&*store, at(0), &["b@example.net", "c@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let first = store.lease(request(id, &[0], at(1))).await.unwrap().into_inner();
    script.free.store(999, Ordering::Relaxed);
    let full = |result: Result<_, StoreError>| matches!(result, Err(StoreError::Full { free_bytes: Some(999) }));
    let accept = || async { store.accept(message(&*store, at(0), &["d@example.net"])).await.map(|_| ()) };
    // The writer looks at the disk a few times a second.
    wait_for(|| async { full(accept().await) }).await;
    let second = store.lease(request(id, &[1], at(2))).await.expect("half of it is for leases").into_inner();
    script.free.store(499, Ordering::Relaxed);
    wait_for(|| async { store.lease(request(id, &[1], at(2))).await.is_err() }).await;
    let next = Some(request(id, &[1], at(3)));
    let done = store.conclude(conclusion(first, at(3), vec![delivered(0)]), next).await.unwrap().into_inner();
    assert!(done.next.is_none(), "an outcome holds, a lease with it does not");
    store.conclude(conclusion(second, at(3), vec![delivered(1)]), None).await.unwrap().into_inner();
    script.free.store(0, Ordering::Relaxed);
    wait_for(|| async { accept().await.is_ok() }).await;
}

/// What the helper copied, and could not sync, no later sync covers: the writer opens the file anew, and copies all of it.
#[tokio::test]
async fn a_copy_that_was_not_synced_is_trouble_of_the_writer() {
    let (_folder, store, script) = open();
    script.copy.store(1, Ordering::Relaxed);
    let mut ids = Vec::new();
    // The helper begins at 8 MiB of log.
    while ids.len() < 200 {
        let mut m = message(&*store, at(0), &["b@example.net"]);
        m.body = Body::Inline(Bytes::from(vec![b'x'; 60_000]));
        let id = m.id;
        store.accept(m).await.expect("the writer is never off for it").into_inner();
        ids.push(id);
    }
    wait_for(|| async { script.reopened.load(Ordering::Relaxed) > 0 }).await;
    store.accept(message(&*store, at(1), &["b@example.net"])).await.unwrap().into_inner();
    for id in ids {
        assert_eq!(states(&*store, id).await, [DeliveryState::Waiting]);
    }
    assert_eq!(script.reopened.load(Ordering::Relaxed), 1);
}

/// A process that looks at the database makes each try come to nothing: then none of it writes the log, however long that is,
/// and reads go on between them.
#[tokio::test]
async fn a_try_that_is_not_alone_with_the_database_writes_nothing() {
    let (folder, store, script) = open();
    let m = message(&*store, at(0), &["b@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let log = folder.path().join("store/queue.db-wal");
    let other = rusqlite::Connection::open(folder.path().join("store/queue.db")).unwrap();
    other.query_row("SELECT count(*) FROM message", [], |row| row.get::<_, u32>(0)).unwrap();
    script.next(&[CommitFault::Lost]);
    store.accept(message(&*store, at(0), &["c@example.net"])).await.unwrap_err();
    let written = || std::fs::metadata(&log).unwrap().modified().unwrap();
    let before = written();
    wait_for(|| async { script.reopened.load(Ordering::Relaxed) >= 5 }).await;
    let error = store.accept(message(&*store, at(0), &["c@example.net"])).await.unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(states(&*store, id).await, [DeliveryState::Waiting]);
    assert_eq!(written(), before, "{:?}", script.reopened);
    drop(other);
    wait_for(|| async { store.accept(message(&*store, at(0), &["d@example.net"])).await.is_ok() }).await;
    assert!(written() > before, "the log is written anew and emptied by who is alone with it");
}

/// A row that cannot be written, whatever its reason: what was under way with it never stays there.
#[tokio::test]
async fn an_end_that_cannot_be_written_waits_for_a_person() {
    let (folder, store, _script) = open();
    let m = message(&*store, at(0), &["b@example.net", "c@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    let lease = store.lease(request(id, &[0, 1], at(1))).await.unwrap().into_inner();
    let other = rusqlite::Connection::open(folder.path().join("store/queue.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER fault BEFORE UPDATE ON delivery WHEN NEW.state = 3 AND NEW.place = 0 \
             BEGIN SELECT RAISE(ABORT, 'this row is not written'); END",
        )
        .unwrap();
    let end = conclusion(lease, at(2), vec![delivered(0), delivered(1)]);
    let done = store.conclude(end, None).await.unwrap().into_inner();
    assert!(!done.message_ended);
    assert_eq!(states(&*store, id).await, [DeliveryState::Held, DeliveryState::Delivered]);
    assert_eq!(store.totals().await.unwrap(), counted(folder.path()));
    let names: Vec<&str> = store.history(id).await.unwrap().iter().map(|e| e.event.name()).collect();
    assert_eq!(names, ["message.accepted", "message.held", "delivery.delivered"]);
    assert_eq!(store.attempts(u64::MAX).await.unwrap()[0].ended_wall, Some(at(2).wall));
}

/// What is learned is asked for again by who learned it: after the fault it is there whole.
#[tokio::test]
async fn what_is_learned_may_be_asked_for_again() {
    for fault in BOTH {
        let (_folder, store, script) = open();
        let learned = |value: &str| {
            let keep = |key: &str| Memory::keep(MemoryKind::Habit, key.to_owned(), value.to_owned()).unwrap();
            vec![keep("a"), keep("b")]
        };
        let values = || async {
            let rows = store.memories(MemoryKind::Habit, None, 10).await.unwrap();
            rows.into_iter().map(|row| String::from_utf8(row.value.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        store.remember(learned("1"), at(0)).await.unwrap().into_inner();
        script.next(&[fault]);
        let error = store.remember(learned("2"), at(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { .. }), "{fault:?}: {error}");
        store.accept(message(&*store, at(0), &["b@example.net"])).await.unwrap().into_inner();
        let found = values().await;
        assert!(found == ["1", "1"] || found == ["2", "2"], "{fault:?}: together or not at all: {found:?}");
        store.remember(learned("3"), at(2)).await.unwrap().into_inner();
        assert_eq!(values().await, ["3", "3"], "{fault:?}");
    }
    let (_folder, store, script) = open();
    script.free.store(999, Ordering::Relaxed);
    let habit = || vec![Memory::keep(MemoryKind::Habit, "a", "1").unwrap()];
    wait_for(|| async { matches!(store.remember(habit(), at(0)).await, Err(StoreError::Full { .. })) }).await;
    script.free.store(0, Ordering::Relaxed);
    wait_for(|| async { store.remember(habit(), at(0)).await.is_ok() }).await;
}

/// What the tables hold, row by row.
fn counted(folder: &std::path::Path) -> Totals {
    let other = rusqlite::Connection::open(folder.join("store/queue.db")).unwrap();
    let count = |what: &str| {
        other.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get::<_, u32>(0)).unwrap().into()
    };
    let in_state = |state: u8| count(&format!("delivery WHERE state = {state}"));
    let messages = count("message WHERE unended > 0");
    Totals { messages, waiting: in_state(0), held: in_state(1), under_way: in_state(2) }
}

pub(crate) async fn wait_for<F: Future<Output = bool>>(mut until: impl FnMut() -> F) {
    let looks = async {
        while !until().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looks).await.is_ok(), "it did not come to that in {PATIENCE:?}");
}

/// Many callers over a disk that fails at random: what was confirmed is there, what was refused is not, outcomes hold.
#[tokio::test(flavor = "multi_thread")]
async fn confirmed_is_there_and_refused_is_not() {
    let (folder, store, script) = open();
    let mut seed = 7_u64;
    let faults: Vec<CommitFault> = (0..60)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (seed >> 33) % 8 {
                0 => CommitFault::Lost,
                1 => CommitFault::StoredAllTheSame,
                _ => CommitFault::None,
            }
        })
        .collect();
    script.next(&faults);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let (mut confirmed, mut refused) = (Vec::new(), Vec::new());
            for n in 0..20 {
                let m = message(&*store, at(0), &["b@example.net"]);
                let id = m.id;
                if let Err(error) = store.accept(m).await.map(outguard::store::Stored::into_inner) {
                    refused.push((id, error));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                let lease = if n % 2 == 0 { store.lease(request(id, &[0], at(1))).await.ok() } else { None };
                let ended = lease.is_some();
                if let Some(lease) = lease {
                    let conclusion = conclusion(lease.into_inner(), at(2), vec![delivered(0)]);
                    store.conclude(conclusion, None).await.unwrap().into_inner();
                }
                confirmed.push((id, ended));
            }
            (confirmed, refused)
        });
    }
    let (mut all_confirmed, mut all_refused) = (Vec::new(), Vec::new());
    for (confirmed, refused) in tasks.join_all().await {
        all_confirmed.extend(confirmed);
        all_refused.extend(refused);
    }
    // What the last failure left is put right before anything new is taken.
    wait_for(|| async { store.accept(message(&*store, at(3), &["b@example.net"])).await.is_ok() }).await;
    assert!(!all_refused.is_empty() && !all_confirmed.is_empty(), "the faults came");
    for (id, ended) in all_confirmed {
        let expected = if ended { DeliveryState::Delivered } else { DeliveryState::Waiting };
        assert_eq!(states(&*store, id).await, [expected], "{id}");
        assert_eq!(store.content(id).await.is_ok(), !ended, "{id}");
    }
    assert_eq!(store.totals().await.unwrap(), counted(folder.path()), "kept counts and counting agree");
    for (id, error) in all_refused {
        let found = store.message(id).await.unwrap();
        assert!(found.is_none(), "{id} was refused with {error} and is there: {found:?}");
    }
}
