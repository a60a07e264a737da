//! Stores of older versions, as SQL: each must open, and its mail must be there. A new version adds its fixture here
//! before it is released.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::sync::Arc;

use outguard::store::sqlite::{OpenError, SqliteStore};
use outguard::store::{DeliveryState, GateKind, Memory, MemoryKind, Page, Reads as _, Store as _, Totals};

use super::sample::{FixedClock, at, open, settings};

/// Version and contents of a store that a release of that version wrote.
const FIXTURES: [(u32, &str); 2] = [(1, include_str!("fixtures/v1.sql")), (2, include_str!("fixtures/v2.sql"))];

fn store_of(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    let file = path.join("queue.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch(sql).unwrap();
    drop(db);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

#[tokio::test]
async fn old_stores_open_with_all_they_hold() {
    for (version, sql) in FIXTURES {
        let (_folder, path) = store_of(sql);
        let (store, recovered) = SqliteStore::open(&settings(&path), Arc::new(FixedClock)).unwrap();
        assert_eq!((recovered.unknown_attempts, recovered.waiting), (1, 2), "version {version}");
        let (row, deliveries) = store.message("0000000001".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(row.account.as_str(), "shop@example.org", "version {version}");
        let totals = Totals { messages: 1, waiting: 2, held: 0, under_way: 0 };
        assert_eq!(store.totals().await.unwrap(), totals, "version {version}");
        let header_from = (version > 1).then_some("example.org");
        assert_eq!(row.header_from.as_deref(), header_from, "version {version}");
        assert_eq!(row.verdict.score_points, 40, "version {version}");
        let states: Vec<_> = deliveries.iter().map(|d| d.state).collect();
        let expected = [DeliveryState::Delivered, DeliveryState::Waiting, DeliveryState::Waiting];
        assert_eq!(states, expected, "version {version}");
        assert_eq!(deliveries[1].recipient.notify.map(outguard::mail::Notify::bits), Some(3), "version {version}");
        assert_eq!(store.content(row.id).await.unwrap().size_bytes, 24, "version {version}");
        for term in ["shop@example.org", deliveries[0].recipient.address.as_str()] {
            assert_eq!(
                store.find(term.to_owned(), Page { after: None, limit: 10 }).await.unwrap().len(),
                1,
                "version {version}: {term}"
            );
        }
        assert_eq!(store.attempts_pruned().await.unwrap(), None, "version {version}");
        assert_eq!(store.gates().await.unwrap()[0].kind, GateKind::Account, "version {version}");
        let names: Vec<_> = store.events(0, 10).await.unwrap().iter().map(|e| e.event.name()).collect();
        assert_eq!(names, ["message.accepted", "delivery.delivered", "attempt.unknown"], "version {version}");
        let attempts = store.attempts(u64::MAX).await.unwrap();
        let ends: Vec<_> = attempts.iter().map(|a| (a.recipients, a.unknown, a.boot_id.as_str())).collect();
        assert_eq!(ends, [(1, false, "old-boot"), (1, true, "boot")], "version {version}");
        let memory = vec![Memory::keep(MemoryKind::Habit, "shop@example.org", "v1").unwrap()];
        store.remember(memory, at(0)).await.unwrap().into_inner();
        assert_eq!(store.memories(MemoryKind::Habit, None, 10).await.unwrap().len(), 1, "version {version}");
        assert!(store.allocate().unwrap().number() >= 65_537, "ids go on");
    }
}

#[test]
fn a_newer_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(open(&path));
    let db = rusqlite::Connection::open(path.join("queue.db")).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    let error = SqliteStore::open(&settings(&path), Arc::new(FixedClock)).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    let error = SqliteStore::open_read_only(&path, Arc::new(FixedClock)).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}
