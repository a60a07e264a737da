//! The store on SQLite: one writer thread that commits the work of many sessions in one sync, and readers beside it.
//!
//! It never answers before the sync, never uses a connection again whose write failed, and never opens the database file
//! but through SQLite. Invariants kept here: 1, 3, 6.
//!
//! Read [`writer`] first, then [`recovery`] (what follows a failed write), then `v1.sql`. What a transaction does is in
//! [`accept`], [`attempt`], [`operator`], [`waiting`], [`memory`], [`history`] and [`names`]; reads are `read_queue` and `read_history`.
//!
//! What it assumes of its disk: that a sync which returned without error is on it, and that what was written is what is
//! read. A disk whose cache lies about flushes loses the last moments at a power cut, as every store on it would.

mod accept;
mod attempt;
mod checkpoint;
mod counts;
mod database;
mod failure;
pub mod faults;
mod folder;
mod folder_sync;
mod front;
mod history;
mod memory;
mod names;
pub mod open;
mod operator;
mod read_history;
mod read_only;
mod read_queue;
mod read_waiting;
mod readers;
mod recovery;
mod request;
mod rows;
mod salvage;
mod shared;
mod space;
pub(in crate::store) mod spool;
mod subscription;
mod term;
mod tx;
mod waiting;
mod writer;

use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::mail::QueueId;
use crate::store::settings::StoreSettings;
use database::WriterConnection;
use faults::{Faults, NoFaults};
use folder::Folder;
pub use open::{OpenError, Recovered};
pub use read_only::ReadOnlyStore;
use readers::{Readers, lock};
use shared::{IDS_BLOCK, Shared};
use spool::Spool;
pub use subscription::Subscription;
use tx::{After, Care, Known, Tx};
use writer::{Message, Writer};

/// Requests that may wait for the writer; further callers wait for a place.
const WAITING_MAX: usize = 4_096;
/// Up to this size the whole database is checked at start; a larger one has only its small tables checked.
const CHECK_BYTES_MAX: i64 = 256 << 20;

/// The store of a running daemon. Dropped, it ends its writer after what was asked of it.
pub struct SqliteStore {
    shared: Arc<Shared>,
    requests: Sender<Message>,
    places: Arc<Semaphore>,
    stop: Arc<checkpoint::Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The journal's last row before this opening: subscriptions begin after it.
    first_event: u64,
    /// Where the pass over old messages stands.
    pruned: AtomicI64,
    /// How many names the last sweep left.
    names_left: AtomicI64,
    sweeping_names: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.shared.folder.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store, migrates it if it is older, and puts right what a crash left: attempts that were under way end as
    /// unknown, spool files without a message go.
    pub fn open(settings: &StoreSettings, clock: Arc<dyn Clock>) -> Result<(Arc<Self>, Recovered), OpenError> {
        Self::open_with_faults(settings, clock, Arc::new(NoFaults))
    }

    /// For tests: the same over a disk that fails on demand.
    pub fn open_with_faults(
        settings: &StoreSettings,
        clock: Arc<dyn Clock>,
        faults: Arc<dyn Faults>,
    ) -> Result<(Arc<Self>, Recovered), OpenError> {
        let folder = Arc::new(Folder::take(&settings.path)?);
        let spool = Spool::new(folder.inner("spool")?, Arc::clone(&faults));
        let spool = Arc::new(spool.map_err(|source| OpenError::Folder { path: folder.path.join("spool"), source })?);
        let file = database::file_in(&folder.path);
        let mut space = space::Space::new(Arc::clone(&folder), settings, Arc::clone(&faults));
        // Whoever ran here before may have ended after a sync that failed.
        if let Err(error) = recovery::copy_log_anew(&folder, database::BUSY_MAX) {
            if !recovery::is_full(&error) || !space.drop_ballast() {
                return Err(error);
            }
            tracing::warn!("the disk is full: the ballast file was given up so that the store can be opened");
            recovery::copy_log_anew(&folder, database::BUSY_MAX)?;
        }
        let db = WriterConnection::open(&file)?;
        let wrong = |source| database::unopened_because(&db.db, &file, source);
        let checked = check(&db.db, &file)?;
        let mut memory = Known::default();
        memory.load(&db.db).map_err(wrong)?;
        if checked == Checked::All {
            memory.recount(&db.db).map_err(wrong)?;
        }
        let first_event = memory.last_event.unsigned_abs();
        let first_id = memory.ids_reserved.unsigned_abs();
        let mut recovered = recover(&db.db, &mut memory, &*clock).map_err(wrong)?;
        // The names of database, log and spool. SQLite syncs the folder for its log, and does not say if that fails.
        folder.sync().map_err(|source| OpenError::Folder { path: folder.path.clone(), source })?;
        let alive = |id| has_body(&db.db, id).unwrap_or(true);
        recovered.orphans =
            spool.sweep(alive).map_err(|source| OpenError::Folder { path: folder.path.join("spool"), source })?;
        let readers = Arc::new(Readers::new(file.clone(), Arc::clone(&spool), Arc::clone(&clock)));
        let ids = (first_id, memory.ids_reserved.unsigned_abs());
        let shared = Arc::new(Shared::new(folder, spool, readers, ids));
        let (requests, receiver) = channel();
        space.lay_ballast();
        let writer = Writer {
            requests: receiver,
            db: Some(db),
            confirmed: memory.batch,
            memory,
            shared: Arc::clone(&shared),
            looked: clock.now().boot,
            tidied: clock.now().boot,
            clock,
            faults,
            room: space.look(),
            space,
            trouble: recovery::Trouble::default(),
            log_frames_done: 0,
        };
        let stop = Arc::new(checkpoint::Stop::default());
        let threads = start(writer, &shared, &stop)
            .map_err(|source| OpenError::Folder { path: settings.path.clone(), source })?;
        let store = Self {
            shared,
            requests,
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            stop,
            threads: Mutex::new(threads),
            first_event,
            pruned: AtomicI64::new(0),
            names_left: AtomicI64::new(0),
            sweeping_names: tokio::sync::Mutex::default(),
        };
        Ok((Arc::new(store), recovered))
    }

    /// Opens the store for reading only, beside a daemon or without one.
    pub fn open_read_only(path: &std::path::Path, clock: Arc<dyn Clock>) -> Result<ReadOnlyStore, OpenError> {
        ReadOnlyStore::open(path, clock)
    }

    /// Whether it is certain that no store was ever made in that folder.
    pub fn is_absent(path: &std::path::Path) -> bool {
        matches!(database::file_in(path).try_exists(), Ok(false))
    }

    /// All events since this opening, those of its recovery included, each after its sync and in the journal's order.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(self.first_event, self.shared.listen(), Arc::clone(&self.shared.readers))
    }

    /// Ends the writer after what was asked so far; blocks until it has. Outcomes that cannot be written even now are
    /// found as unknown at the next start. What is asked later gets [`StoreError::Closed`](crate::store::StoreError).
    pub fn close(&self) {
        let _ = self.requests.send(Message::Close); // it may have ended before
        self.stop.stop();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
        self.shared.end_subscriptions();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn start(writer: Writer, shared: &Arc<Shared>, stop: &Arc<checkpoint::Stop>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let faults = Arc::clone(&writer.faults);
    let name = |name: &str| std::thread::Builder::new().name(name.into());
    let writing = name("store").spawn(move || writer.run())?;
    let (shared, stop) = (Arc::clone(shared), Arc::clone(stop));
    let copying = name("store-copy").spawn(move || checkpoint::run(&shared, &stop, &*faults))?;
    Ok(vec![writing, copying])
}

/// How much of the database the look at start was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    All,
    SmallTables,
}

/// A bounded look for damage.
fn check(db: &Connection, file: &std::path::Path) -> Result<Checked, OpenError> {
    let wrong = |source| database::unopened_because(db, file, source);
    let bytes: i64 = db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map_err(wrong)? * 4_096;
    let checked = if bytes <= CHECK_BYTES_MAX { Checked::All } else { Checked::SmallTables };
    let checks: &[&str] = match checked {
        Checked::All => &["PRAGMA quick_check(3)"],
        Checked::SmallTables => {
            &["PRAGMA quick_check(progress)", "PRAGMA quick_check(gate)", "PRAGMA quick_check(name)"]
        }
    };
    for sql in checks {
        let mut statement = db.prepare(sql).map_err(wrong)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(wrong)?;
        let findings: Vec<String> = rows.collect::<Result<_, _>>().map_err(wrong)?;
        if findings != ["ok"] {
            return Err(OpenError::Damaged { file: file.to_path_buf(), findings: findings.join("; ") });
        }
    }
    Ok(checked)
}

/// What a crash left is put right, and ids are reserved, before anybody asks for anything.
fn recover(db: &Connection, memory: &mut Known, clock: &dyn Clock) -> rusqlite::Result<Recovered> {
    let transaction = db.unchecked_transaction()?;
    memory.batch += 1;
    memory.ids_reserved += IDS_BLOCK.cast_signed();
    let mut after = After::default();
    let mut tx = Tx { db, clock, memory, after: &mut after, leases: true, care: Care::Whole };
    let boot = clock.boot_id();
    let unknown_attempts = attempt::recover(&boot, clock.now(), &mut tx).map_err(|failure| match failure {
        failure::Failure::Statement(error) | failure::Failure::Store(error) => error,
        failure::Failure::Refused(_) => rusqlite::Error::InvalidQuery,
    })?;
    tx.save_progress()?;
    let waiting = tx.memory.counts.waiting.unsigned_abs();
    transaction.commit()?;
    Ok(Recovered { unknown_attempts, waiting, orphans: 0, boot })
}

fn has_body(db: &Connection, id: QueueId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM body WHERE message = ?")?
        .query_row(params![tx::number(id)], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}
