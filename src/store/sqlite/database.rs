//! Opening the database file: pragmas, version, migrations.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, FileControl, OpenFlags, ffi};

use super::failure::{is_of_system, of_write};
use super::open::OpenError;
use crate::store::StoreError;

/// One script a version, in order. A script that was released is never changed: stores of that version exist.
const MIGRATIONS: [&str; 3] = [include_str!("v1.sql"), include_str!("v2.sql"), include_str!("v3.sql")];
/// "ogrd", so that `file` and a curious person can tell whose database it is.
const APPLICATION_ID: i32 = 0x6f67_7264;
/// How long a connection waits for the lock that recovery or a checkpoint of another connection holds.
pub(super) const BUSY_MAX: Duration = Duration::from_secs(5);

/// The writer's connection, with the length of the write-ahead log after its last commit.
#[derive(Debug)]
pub(super) struct WriterConnection {
    pub(super) db: Connection,
    /// In frames of one page. Kept here because the hook below points to it for as long as `db` lives.
    log_frames: Arc<AtomicU32>,
}

impl WriterConnection {
    /// Opens the database for writing, creating or migrating it as needed.
    pub(super) fn open(file: &Path) -> Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let unopened = |source| OpenError::Database { file: file.to_path_buf(), source, system: None };
        let db = connect(file, flags).map_err(unopened)?;
        let wrong = |source| unopened_because(&db, file, source);
        let version = version(&db).map_err(wrong)?;
        if version > MIGRATIONS.len() {
            return Err(OpenError::Newer { file: file.to_path_buf(), found: version, known: MIGRATIONS.len() });
        }
        prepare(&db, version == 0).map_err(wrong)?;
        if version < MIGRATIONS.len() {
            migrate(&db, version).map_err(wrong)?;
        }
        let writer = Self { db, log_frames: Arc::default() };
        writer.watch_log();
        Ok(writer)
    }

    /// What a failed write means for all that waited for it.
    pub(super) fn wrong(&self, error: &rusqlite::Error) -> StoreError {
        of_write(error, system_error(&self.db, error).as_ref())
    }

    /// The length of the write-ahead log, as far as it is in use.
    pub(super) fn log_frames(&self) -> u32 {
        self.log_frames.load(Ordering::Relaxed)
    }

    /// Asks SQLite to tell the length of its log after each commit. This also replaces its own checkpoints.
    #[expect(unsafe_code, reason = "the safe wrapper needs a feature of rusqlite that compiles far more hooks in")]
    fn watch_log(&self) {
        unsafe extern "C" fn committed(
            frames: *mut std::ffi::c_void,
            _db: *mut ffi::sqlite3,
            _name: *const std::ffi::c_char,
            pages: std::ffi::c_int,
        ) -> std::ffi::c_int {
            // SAFETY: `frames` is the `AtomicU32` of the `WriterConnection`, which drops its connection first.
            let frames = unsafe { &*frames.cast::<AtomicU32>() };
            frames.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            ffi::SQLITE_OK
        }
        let frames = Arc::as_ptr(&self.log_frames).cast_mut().cast::<std::ffi::c_void>();
        // SAFETY: the handle is open, and the hook's argument outlives it: fields drop in order, `db` first.
        unsafe { ffi::sqlite3_wal_hook(self.db.handle(), Some(committed), frames) };
    }
}

/// What the system said to that error of a connection, the last it had, where a call of the system failed: SQLite's own
/// words are "disk I/O error" for most of it. It keeps the number of the last such call and never clears it.
#[expect(unsafe_code, reason = "rusqlite has no safe way to it")]
pub(super) fn system_error(db: &Connection, error: &rusqlite::Error) -> Option<io::Error> {
    if !is_of_system(error) {
        return None;
    }
    // SAFETY: the handle is open as long as `db` is, and only read here.
    let code = unsafe { ffi::sqlite3_system_errno(db.handle()) };
    (code != 0).then(|| io::Error::from_raw_os_error(code))
}

/// Whether nobody else has the database open; found out by opening it alone, and closing it again with nothing written.
pub(super) fn ask_alone(file: &Path, wait: Duration) -> Result<(), OpenError> {
    open_alone(file, wait).map(drop)
}

/// Copies the whole log into the database and empties it, alone with both. For an opening after a sync that may have failed:
/// the wal-index says which part of the log was copied, not which was synced, and it lives as long as anybody has the database
/// open. Who has the file's lock for itself keeps an index of its own, made from the log, in which nothing is copied yet.
pub(super) fn empty_log(file: &Path, wait: Duration) -> Result<(), OpenError> {
    let db = open_alone(file, wait)?;
    let copied = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match copied.map_err(|source| not_alone_because(&db, file, source))? {
        0 => Ok(()),
        _ => Err(OpenError::Watched { file: file.to_path_buf() }),
    }
}

/// A connection that has the file's lock for itself.
fn open_alone(file: &Path, wait: Duration) -> Result<Connection, OpenError> {
    let unopened = |source| OpenError::Database { file: file.to_path_buf(), source, system: None };
    let db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unopened)?;
    let found = alone(&db, wait).and_then(|()| version(&db));
    let found = found.map_err(|source| not_alone_because(&db, file, source))?;
    if found > MIGRATIONS.len() {
        return Err(OpenError::Newer { file: file.to_path_buf(), found, known: MIGRATIONS.len() });
    }
    Ok(db)
}

fn not_alone_because(db: &Connection, file: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Watched { file: file.to_path_buf() },
        _ => unopened_because(db, file, source),
    }
}

/// Must come before the first look into the file.
fn alone(db: &Connection, wait: Duration) -> rusqlite::Result<()> {
    db.busy_timeout(wait)?;
    db.query_row("PRAGMA locking_mode=EXCLUSIVE", [], |_| Ok(()))?;
    db.execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")?;
    keep_log(db)
}

/// A connection that only reads.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let db = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    keep_log(&db)?;
    Ok(db)
}

/// Why the database does not open.
pub(super) fn unopened_because(db: &Connection, file: &Path, source: rusqlite::Error) -> OpenError {
    let system = system_error(db, &source);
    OpenError::Database { file: file.to_path_buf(), source, system }
}

/// A connection for checkpoints beside the writer.
pub(super) fn open_checkpointer(file: &Path) -> rusqlite::Result<Connection> {
    let db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;")?;
    keep_log(&db)?;
    Ok(db)
}

/// The store's version, 0 for an empty file.
pub(super) fn version(db: &Connection) -> rusqlite::Result<usize> {
    db.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)).map(|v| v as usize)
}

/// The newest version this program knows.
pub(super) const fn known_version() -> usize {
    MIGRATIONS.len()
}

/// The name of its write-ahead log.
pub(super) const LOG: &str = "queue.db-wal";

/// Where the database is.
pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join("queue.db")
}

fn connect(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_MAX)?;
    // Whoever closes last would copy the log, after a failed sync as well, and sync what it can no longer write.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Plans that do not depend on bound values: otherwise each new `due` compiles its statement anew.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(128);
    Ok(db)
}

/// The log stays when the last connection closes, so that the CLI can read a store whose daemon is down.
fn keep_log(db: &Connection) -> rusqlite::Result<()> {
    db.file_control(None::<&str>, FileControl::PersistWal(&mut 1))
}

fn prepare(db: &Connection, empty: bool) -> rusqlite::Result<()> {
    if empty {
        // Both hold for the life of the file, and only if set before its first table.
        db.execute_batch("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;")?;
    }
    db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    db.execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384;")?;
    keep_log(db)
}

fn migrate(db: &Connection, from: usize) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    for script in &MIGRATIONS[from..] {
        db.execute_batch(script)?;
    }
    if from == 1 {
        super::term::fill(db)?;
    }
    db.execute_batch(&format!(
        "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={}; COMMIT",
        MIGRATIONS.len()
    ))
}
