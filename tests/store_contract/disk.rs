//! Real disks: a full one, a read-only one, a damaged file. A small tmpfs is mounted for each; without root they are
//! skipped, and say so.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use outguard::clock::{Clock, SystemClock};
use outguard::store::sqlite::{OpenError, SqliteStore};
use outguard::store::{Body, DeliveryState, Reads as _, Store, StoreError};

use super::faults::wait_for;
use super::sample::{at, conclusion, delivered, message, open, request, settings, states};

/// A small file system, unmounted at the end.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None` where this process may not mount.
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { folder };
        if mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"], disk.path()) {
            return Some(disk);
        }
        let _ =
            writeln!(std::io::stderr(), "skipped: a disk cannot be mounted here (root and CAP_SYS_ADMIN are needed)");
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn store(&self) -> PathBuf {
        self.path().join("store")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

fn mount(options: &[&str], path: &Path) -> bool {
    Command::new("mount").args(options).arg(path).output().is_ok_and(|output| output.status.success())
}

fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new().unwrap())
}

#[tokio::test]
async fn a_full_disk_refuses_mail_keeps_outcomes_and_recovers() {
    let Some(disk) = Disk::of("112m") else { return };
    let mut settings = settings(&disk.store());
    settings.ballast_bytes = 48 << 20;
    let (store, _) = SqliteStore::open(&settings, system_clock()).unwrap();
    let (mut ids, mut leases) = (Vec::new(), Vec::new());
    let error = loop {
        let mut m = message(&*store, at(0), &["b@example.net"]);
        m.body = Body::Inline(Bytes::from(vec![b'x'; 60_000]));
        let id = m.id;
        match store.accept(m).await {
            Ok(stored) => ids.push(stored.into_inner()),
            Err(error) => break error,
        }
        if leases.len() < 20 {
            leases.push(store.lease(request(id, &[0], at(1))).await.unwrap().into_inner());
        }
        assert!(ids.len() < 3_000, "the disk does not fill");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(!disk.store().join("ballast").exists(), "given up for the outcomes");
    for lease in leases {
        store.conclude(conclusion(lease, at(2), vec![delivered(0)]), None).await.unwrap().into_inner();
    }
    let mut delivered = 0;
    for id in &ids {
        match states(&*store, *id).await[..] {
            [DeliveryState::Delivered] => delivered += 1,
            [DeliveryState::Waiting] => {}
            ref other => panic!("{id}: {other:?}"),
        }
    }
    assert_eq!(delivered, 20);
    for id in &ids {
        store.remove(*id, "anna".into(), at(3)).await.unwrap().into_inner();
    }
    wait_for(|| async { store.accept(message(&*store, at(4), &["b@example.net"])).await.is_ok() }).await;
}

/// A log that was left by a crash is copied at the start, which takes room.
#[tokio::test]
async fn a_start_on_a_full_disk_gives_the_ballast_up() {
    let Some(disk) = Disk::of("96m") else { return };
    let mut settings = settings(&disk.store());
    settings.ballast_bytes = 16 << 20;
    let (store, _) = SqliteStore::open(&settings, system_clock()).unwrap();
    let mut ids = Vec::new();
    for _ in 0..80 {
        let mut m = message(&*store, at(0), &["b@example.net"]);
        m.body = Body::Inline(Bytes::from(vec![b'x'; 60_000]));
        ids.push(m.id);
        store.accept(m).await.unwrap().into_inner();
    }
    // As it lies there now, a crash would leave it.
    let left = disk.path().join("left");
    let copied = Command::new("cp").arg("-a").args([&disk.store(), &left]).output().unwrap();
    assert!(copied.status.success(), "{copied:?}");
    drop(store);
    std::fs::remove_dir_all(disk.store()).unwrap();
    std::fs::rename(&left, disk.store()).unwrap();
    assert!(std::fs::metadata(disk.store().join("queue.db-wal")).unwrap().len() > 4 << 20, "nothing is to be copied");
    let mut filler = std::fs::File::create(disk.path().join("filler")).unwrap();
    while filler.write_all(&[0; 4_096]).is_ok() {}
    let (store, _) = SqliteStore::open(&settings, system_clock()).unwrap();
    assert!(!disk.store().join("ballast").exists(), "given up for the copy");
    for id in ids {
        assert_eq!(states(&*store, id).await, [DeliveryState::Waiting], "{id}");
    }
}

#[tokio::test]
async fn a_read_only_disk_refuses_mail_and_recovers() {
    let Some(disk) = Disk::of("32m") else { return };
    let (store, _) = SqliteStore::open(&settings(&disk.store()), system_clock()).unwrap();
    let m = message(&*store, at(0), &["b@example.net"]);
    let id = m.id;
    store.accept(m).await.unwrap().into_inner();
    // A file system with files open for writing is not remounted; a mount point can be.
    if !mount(&["-o", "remount,bind,ro"], disk.path()) {
        let _ = writeln!(std::io::stderr(), "skipped: this disk cannot be made read-only");
        return;
    }
    let spooled = store.spool(store.allocate().unwrap()).await.err();
    assert!(matches!(spooled, Some(StoreError::ReadOnly { .. })), "{spooled:?}");
    assert!(store.content(id).await.is_ok(), "what is there can be read");
    assert!(mount(&["-o", "remount,bind,rw"], disk.path()));
    wait_for(|| async { store.accept(message(&*store, at(1), &["b@example.net"])).await.is_ok() }).await;
    assert_eq!(states(&*store, id).await, [DeliveryState::Waiting]);
}

#[tokio::test]
async fn a_damaged_file_is_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path);
    for _ in 0..50 {
        store.accept(message(&*store, at(0), &["b@example.net"])).await.unwrap().into_inner();
    }
    drop(store);
    let database = path.join("queue.db");
    let whole = std::fs::read(&database).unwrap();
    // The log is cut off as well: it would heal the file.
    for name in ["queue.db-wal", "queue.db-shm"] {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    let mut pages = whole.clone();
    for byte in pages.iter_mut().skip(4_096 * 2) {
        *byte = 0xa5;
    }
    let cases: [(&str, Vec<u8>); 3] = [
        ("pages overwritten", pages),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("another file", b"this is no database at all, and long enough to be looked at".repeat(100)),
    ];
    for (what, bytes) in cases {
        std::fs::write(&database, bytes).unwrap();
        let error = SqliteStore::open(&settings(&path), system_clock()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Database { .. }), "{what}: {error}");
        for name in ["queue.db-wal", "queue.db-shm"] {
            let _ = std::fs::remove_file(path.join(name));
        }
    }
}
