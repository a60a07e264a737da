//! A few connections that only read, and a bound on how long each may hold the log.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{CachedStatement, Connection, InterruptHandle, OptionalExtension as _, params};
use tokio::sync::Semaphore;

use super::database;
use super::failure::of_read;
use super::spool::{Spool, off_the_runtime};
use crate::clock::{BootMs, Clock};
use crate::store::StoreError;

/// Connections that read at the same time.
const READERS_MAX: usize = 4;
/// How long a read may hold its snapshot while the log is over its bound.
const READ_MS_MAX: u64 = 1_000;
/// Names kept by one reader before it starts anew.
const NAMES_MAX: usize = 100_000;

/// One connection that reads, with the names it has seen.
pub(super) struct Reader {
    pub(super) db: Connection,
    pub(super) spool: Arc<Spool>,
    names: std::cell::RefCell<HashMap<i64, Arc<str>, foldhash::fast::RandomState>>,
    /// How often the connections had been forgotten when this one was opened.
    resets: u64,
}

/// Why a read failed.
pub(super) enum ReadFailure {
    /// SQLite's word.
    Database(rusqlite::Error),
    /// Ours.
    Store(StoreError),
}

impl From<rusqlite::Error> for ReadFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for ReadFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a read gives.
pub(super) type Read<T> = Result<T, ReadFailure>;

impl Reader {
    fn open(file: &Path, spool: Arc<Spool>, resets: u64) -> rusqlite::Result<Self> {
        Ok(Self { db: database::open_reader(file)?, spool, names: std::cell::RefCell::default(), resets })
    }

    /// The number of the last batch that is seen here.
    fn batch(&self) -> rusqlite::Result<i64> {
        self.db.query_row("SELECT batch FROM progress", [], |row| row.get(0))
    }

    /// A statement, compiled once.
    pub(super) fn sql(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.db.prepare_cached(sql)
    }

    /// The name of that number.
    pub(super) fn name(&self, id: i64) -> Read<Arc<str>> {
        if let Some(name) = self.names.borrow().get(&id) {
            return Ok(Arc::clone(name));
        }
        let text: Option<String> =
            self.sql("SELECT text FROM name WHERE id = ?")?.query_row(params![id], |row| row.get(0)).optional()?;
        let text = text.ok_or_else(|| damaged(format!("name {id}"), "it is missing"))?;
        let name: Arc<str> = text.into();
        let mut names = self.names.borrow_mut();
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(id, Arc::clone(&name));
        Ok(name)
    }

    /// The number of that name, if it occurs.
    pub(super) fn number_of(&self, name: &str) -> Read<Option<i64>> {
        Ok(self.sql("SELECT id FROM name WHERE text = ?")?.query_row(params![name], |row| row.get(0)).optional()?)
    }
}

/// A row that says something impossible.
pub(super) fn damaged(object: String, detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt { object, detail: detail.into() }
}

/// The connections.
pub(super) struct Readers {
    file: PathBuf,
    spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    free: Mutex<Vec<Reader>>,
    places: Semaphore,
    running: Mutex<Running>,
    resets: AtomicU64,
    /// Held, for reading, by whoever has the database open beside the writer and is at work in it.
    opened: RwLock<()>,
    /// The last batch that is known to be on disk, while others may be seen; [`SURE`] otherwise.
    confirmed: AtomicI64,
}

/// All that can be read is on disk.
const SURE: i64 = i64::MAX;

#[derive(Default)]
struct Running {
    next: u64,
    reads: HashMap<u64, (BootMs, InterruptHandle)>,
}

impl Readers {
    pub(super) fn new(file: PathBuf, spool: Arc<Spool>, clock: Arc<dyn Clock>) -> Self {
        Self {
            file,
            spool,
            clock,
            free: Mutex::default(),
            places: Semaphore::new(READERS_MAX),
            running: Mutex::default(),
            resets: AtomicU64::new(0),
            opened: RwLock::default(),
            confirmed: AtomicI64::new(SURE),
        }
    }

    /// Runs a read on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: Arc<Self>,
        read: impl FnOnce(&Reader) -> Read<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let me = Arc::clone(&self);
        let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
        off_the_runtime(move || me.read_here(read)).await
    }

    fn read_here<T>(&self, read: impl FnOnce(&Reader) -> Read<T>) -> Result<T, StoreError> {
        let _open = self.open();
        let free = lock(&self.free).pop();
        let resets = self.resets.load(Ordering::Acquire);
        let reader = match free {
            Some(reader) => reader,
            None => Reader::open(&self.file, Arc::clone(&self.spool), resets).map_err(|e| of_read(&e))?,
        };
        let confirmed = self.confirmed.load(Ordering::Acquire);
        if confirmed != SURE && reader.batch().map_err(|e| of_read(&e))? > confirmed {
            return Err(StoreError::Unavailable { detail: "a write is not known to be on disk".into() });
        }
        let ticket = self.begin(&reader);
        let result = read(&reader);
        lock(&self.running).reads.remove(&ticket);
        match result {
            Ok(value) => {
                self.keep(reader);
                Ok(value)
            }
            Err(ReadFailure::Store(error)) => {
                self.keep(reader);
                Err(error)
            }
            // The connection goes with its error: the next read begins with a new one.
            Err(ReadFailure::Database(error)) => Err(of_read(&error)),
        }
    }

    fn keep(&self, reader: Reader) {
        let mut free = lock(&self.free);
        if reader.resets == self.resets.load(Ordering::Acquire) {
            free.push(reader);
        }
    }

    fn begin(&self, reader: &Reader) -> u64 {
        let since = self.clock.now().boot;
        let mut running = lock(&self.running);
        running.next += 1;
        let ticket = running.next;
        running.reads.insert(ticket, (since, reader.db.get_interrupt_handle()));
        ticket
    }

    /// Stops the reads that have held the log for long: called while it is over its bound.
    pub(super) fn interrupt_long(&self) {
        let now = self.clock.now().boot;
        for (since, handle) in lock(&self.running).reads.values() {
            if now.0.saturating_sub(since.0) > READ_MS_MAX {
                handle.interrupt();
            }
        }
    }

    /// From now on nothing is told that a batch after this one wrote: its commit failed, and may be taken back though it
    /// can be read.
    pub(super) fn doubt(&self, confirmed: i64) {
        self.confirmed.store(confirmed, Ordering::Release);
    }

    /// What can be read is on disk.
    pub(super) fn sure(&self) {
        self.confirmed.store(SURE, Ordering::Release);
    }

    /// While this is held the database may be open beside the writer.
    pub(super) fn open(&self) -> RwLockReadGuard<'_, ()> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops every read, and waits until nobody of this process has the database open: while this is held, nobody will.
    pub(super) fn shut(&self) -> RwLockWriteGuard<'_, ()> {
        self.reset();
        let alone = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.free).clear();
        alone
    }

    /// Stops every read and forgets the connections: after a failed commit the file is recovered without them.
    pub(super) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::AcqRel);
        for (_, handle) in lock(&self.running).reads.values() {
            handle.interrupt();
        }
        lock(&self.free).clear();
    }
}

/// A panic of one reader leaves plain data behind, which the next may use.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
