//! After a failed write, commit or sync: the connection is never used again. The file is opened anew, what of the batch is
//! in it is found out, what must not be there is taken back, what was promised is written until it holds.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use rustix::fs::OFlags;

use super::counts::Counts;
use super::database::{self, WriterConnection};
use super::failure::of_write;
use super::folder::{FILE_MODE, Folder};
use super::open::OpenError;
use super::readers::lock;
use super::request::{Kind, Request, Undo};
use super::rows;
use super::shared::Copying;
use super::tx::{After, count, number};
use super::writer::Writer;
use crate::clock::BootMs;
use crate::mail::QueueId;
use crate::store::{DeliveryState, EventRow, StoreError};

/// After so many failures in a row, intake and leases are off until a probe write syncs.
const FAILURES_MAX: u32 = 3;
/// How long is waited between tries, in milliseconds, once there were that many.
const PROBE_EVERY_MS: u64 = 1_000;
/// How much of the log is written anew at once.
const LOG_PIECE_BYTES: usize = 1 << 20;
/// How long each try waits for other processes that have the database open.
const ALONE_WAIT: Duration = Duration::from_millis(50);
/// What they are told of.
const WATCHED: &str = "another process has its database open, and it must be alone with it after a failed write: end what \
                       looks at it (an outguard command without a daemon, sqlite3)";
/// How often lasting trouble is told, in milliseconds.
const TELL_EVERY_MS: u64 = 60_000;

/// What went wrong and what is to be put right.
#[derive(Default)]
pub(super) struct Trouble {
    failures: u32,
    error: Option<StoreError>,
    next_try: BootMs,
    told: Option<BootMs>,
    undo: Vec<Undo>,
    /// Outcomes that are not known to be on disk, in order.
    promised: VecDeque<(Promise, Box<dyn Request>)>,
    /// What was asked for in the batch that failed, and is answered once it is known whether it holds.
    asked: Vec<(Box<dyn Request>, StoreError)>,
    /// The batch whose end is unknown.
    in_doubt: Option<InDoubt>,
}

/// A batch whose commit failed and may be on disk all the same.
struct InDoubt {
    /// Where it is.
    promise: Promise,
    /// Which of its requests were refused for themselves, and why.
    faults: Vec<Option<StoreError>>,
    /// What follows it if it is on disk.
    after: After,
}

/// What is known of an outcome whose commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// It is there if the stored number has reached this one: numbers only grow.
    WithBatch(i64),
    /// It is in the file.
    Stored,
    /// It is to be written again.
    Open,
}

impl Trouble {
    /// Whether something waits for the disk.
    pub(super) fn is_pending(&self) -> bool {
        self.error.is_some() || !self.promised.is_empty()
    }

    /// Whether all is well.
    pub(super) fn is_calm(&self) -> bool {
        !self.is_pending()
    }

    /// A batch was synced.
    pub(super) fn well(&mut self) {
        if self.failures > 0 {
            tracing::info!("the store writes again");
        }
        self.failures = 0;
        self.error = None;
        self.told = None;
    }

    /// Why nothing but outcomes is taken.
    pub(super) fn closes(&self, database_is_shut: bool) -> Option<StoreError> {
        if database_is_shut {
            return Some(self.error.clone().unwrap_or(StoreError::Closed));
        }
        None
    }

    /// Keeps an outcome until it can be written.
    pub(super) fn promise(&mut self, request: Box<dyn Request>) {
        self.promised.push_back((Promise::Open, request));
    }

    /// The outcomes to be written now.
    pub(super) fn promised(&mut self) -> impl Iterator<Item = Box<dyn Request>> {
        std::mem::take(&mut self.promised).into_iter().map(|(_, request)| request)
    }

    /// A commit that failed may be on disk all the same.
    pub(super) fn in_doubt(&mut self, batch: i64, faults: Vec<Option<StoreError>>, after: After) {
        self.in_doubt = Some(InDoubt { promise: Promise::WithBatch(batch), faults, after });
    }

    /// Who asked waits no longer to hear whether it holds.
    fn leave_open(&mut self) {
        for (request, error) in self.asked.drain(..) {
            request.answer(Err(error));
        }
    }

    /// The store closes: what could not be written is found as unknown at the next start.
    pub(super) fn give_up(&mut self) {
        self.leave_open();
        for request in self.promised() {
            request.answer(Err(StoreError::Closed));
        }
    }
}

impl Writer {
    /// Ends a batch whose write failed, and the connection with it.
    pub(super) fn failed(&mut self, batch: Vec<Box<dyn Request>>, error: &StoreError) {
        let number = self.memory.batch;
        // First of all: a reader that opens the file anew would see a commit that may be taken back.
        self.shared.readers.doubt(self.confirmed);
        self.db = None;
        // The helper ends what it is at, and begins nothing.
        *lock(&self.shared.copying) = Copying::Stopped;
        self.shared.readers.reset();
        self.make_room_for(error);
        let mut faults =
            self.trouble.in_doubt.as_mut().map(|doubt| std::mem::take(&mut doubt.faults)).unwrap_or_default();
        faults.resize_with(batch.len(), || None);
        for (request, fault) in batch.into_iter().zip(faults) {
            match request.kind() {
                Kind::Outcome => self.trouble.promised.push_back((Promise::WithBatch(number), request)),
                // Nothing of it is taken back: "it failed" would not be true of what is on disk.
                Kind::Other if fault.is_none() => self.trouble.asked.push((request, error.clone())),
                Kind::Other => request.answer(fault.map_or(Ok(()), Err)),
                Kind::Accept | Kind::Lease => {
                    self.trouble.undo.extend(request.undo());
                    request.answer(Err(error.clone()));
                }
            }
        }
        self.note_failure(error.clone());
    }

    fn note_failure(&mut self, error: StoreError) {
        let now = self.clock.now().boot;
        let trouble = &mut self.trouble;
        trouble.failures += 1;
        trouble.next_try =
            if trouble.failures < FAILURES_MAX { now } else { BootMs(now.0.saturating_add(PROBE_EVERY_MS)) };
        if trouble.told.is_none_or(|told| now.0.saturating_sub(told.0) >= TELL_EVERY_MS) {
            trouble.told = Some(now);
            let (store, failures) = (self.shared.folder.path.display(), trouble.failures);
            tracing::error!(%error, %store, failures, advice = error.advice(), "the store cannot write");
        }
        trouble.error = Some(error);
        if trouble.failures >= FAILURES_MAX {
            trouble.leave_open();
        }
    }

    /// Opens the file again when it is time, and puts right what the failure left.
    pub(super) fn recover(&mut self) {
        if self.clock.now().boot < self.trouble.next_try {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // Connections of before would keep SQLite's shared memory as it was: read-only, or with pages called copied that are
        // on no disk.
        let _alone = shared.readers.shut();
        match self.reopen() {
            Ok(db) => {
                self.db = Some(db);
                self.log_frames_done = 0;
                tracing::warn!("the store was opened again after a failed write");
            }
            Err(error) => {
                self.make_room_for(&error);
                self.note_failure(error);
            }
        }
    }

    /// Gives the ballast up where the disk is full.
    fn make_room_for(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Full { .. }) && self.space.drop_ballast() {
            tracing::warn!("the disk is full: the ballast file was given up so that outcomes can be stored");
            self.room = self.space.look();
        }
    }

    fn reopen(&mut self) -> Result<WriterConnection, StoreError> {
        if !self.faults.reopen() {
            return Err(StoreError::Unknown { detail: "injected: the file does not open".into() });
        }
        copy_log_anew(&self.shared.folder, ALONE_WAIT).map_err(of_open)?;
        let db = WriterConnection::open(&database::file_in(&self.shared.folder.path)).map_err(of_open)?;
        self.memory.load(&db.db).map_err(|e| db.wrong(&e))?;
        let stored = self.memory.batch;
        // Settled before anything is written: the number grows with the next transaction.
        let promised = self.trouble.promised.iter_mut().map(|(promise, _)| promise);
        for promise in promised.chain(self.trouble.in_doubt.as_mut().map(|doubt| &mut doubt.promise)) {
            if let Promise::WithBatch(batch) = *promise {
                *promise = if batch <= stored { Promise::Stored } else { Promise::Open };
            }
        }
        self.shared.folder.sync().map_err(|e| of_system(&e))?;
        let unlink = take_back(&db, &self.trouble.undo, stored + 1).map_err(|e| db.wrong(&e))?;
        if !self.faults.probe() {
            return Err(StoreError::Unknown { detail: "injected: the probe's answer was lost".into() });
        }
        self.memory.load(&db.db).map_err(|e| db.wrong(&e))?;
        self.trouble.undo.clear();
        for id in unlink {
            self.shared.spool.remove(id);
        }
        let stored_all_the_same = self.trouble.in_doubt.take().filter(|doubt| doubt.promise == Promise::Stored);
        let mut follows = stored_all_the_same.map(|doubt| doubt.after);
        if let Some(after) = &mut follows {
            keep_stored(&db.db, &mut after.events);
        }
        // Before anybody is told: who hears that an outcome is stored may read it at once.
        self.confirmed = self.memory.batch;
        self.shared.readers.sure();
        *lock(&self.shared.copying) = Copying::Trusted;
        for (request, error) in std::mem::take(&mut self.trouble.asked) {
            request.answer(if follows.is_some() { Ok(()) } else { Err(error) });
        }
        if let Some(after) = follows {
            self.shared.reserved(self.memory.ids_reserved);
            self.follow(after);
        }
        for (promise, request) in std::mem::take(&mut self.trouble.promised) {
            if promise == Promise::Stored {
                request.answer(Ok(()));
            } else {
                self.trouble.promised.push_back((promise, request));
            }
        }
        Ok(db)
    }
}

fn of_open(error: OpenError) -> StoreError {
    match error {
        OpenError::Database { source, system, .. } => of_write(&source, system.as_ref()),
        OpenError::Folder { source, .. } => of_system(&source),
        OpenError::Watched { .. } => StoreError::Unavailable { detail: WATCHED.into() },
        other => StoreError::ReadOnly { detail: other.to_string() },
    }
}

/// Whether a store cannot be opened for want of room.
pub(super) fn is_full(error: &OpenError) -> bool {
    let error = match error {
        OpenError::Database { source, system, .. } => of_write(source, system.as_ref()),
        OpenError::Folder { source, .. } => of_system(source),
        _ => return false,
    };
    matches!(error, StoreError::Full { .. })
}

fn of_system(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { free_bytes: None },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly { detail: error.to_string() }
        }
        _ => StoreError::Unknown { detail: error.to_string() },
    }
}

/// Writes the log anew and copies all of it into the database. For every opening that may follow a sync that failed: of this
/// process or of one before it, for the pages outlive the process. A log that was emptied in order is left alone, and so is
/// who looks at such a store.
pub(super) fn copy_log_anew(folder: &Folder, wait: Duration) -> Result<(), OpenError> {
    let unwritten = |source| OpenError::Folder { path: folder.path.join(database::LOG), source };
    let file = database::file_in(&folder.path);
    let Some(log) = open_log(folder).map_err(unwritten)? else { return Ok(()) };
    if log.metadata().map_err(unwritten)?.len() == 0 {
        return log.sync_all().map_err(unwritten);
    }
    // Asked first: whoever is not alone would write all of it in vain, at every try, while nobody can read.
    database::ask_alone(&file, wait)?;
    write_anew(&log).map_err(unwritten)?;
    drop(log);
    database::empty_log(&file, wait)
}

/// The write-ahead log, if there is one. No lock of SQLite's is on this file, so it may be opened here.
fn open_log(folder: &Folder) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&folder.handle, database::LOG, flags, FILE_MODE) {
        Ok(log) => Ok(Some(File::from(log))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the write-ahead log over itself, byte for byte, and syncs it. A sync that failed leaves pages in memory that the
/// kernel calls clean and that are not on disk: no later sync writes them, each one succeeds, and a checkpoint would copy
/// half a transaction out of them into the database. Written again they are dirty again; what was dropped from memory
/// meanwhile has no valid checksum and is no part of the log. What such a sync of the database covered is written again from
/// this log.
fn write_anew(log: &File) -> io::Result<()> {
    let mut piece = vec![0; LOG_PIECE_BYTES];
    let mut at = 0;
    loop {
        let length = log.read_at(&mut piece, at)?;
        if length == 0 {
            return log.sync_all();
        }
        log.write_all_at(&piece[..length], at)?;
        at += length as u64;
    }
}

/// Removes what nobody was told of. This transaction is the probe write as well. Gives the bodies to be removed.
fn take_back(db: &WriterConnection, undo: &[Undo], batch: i64) -> rusqlite::Result<Vec<QueueId>> {
    let mut unlink = Vec::new();
    let tx = db.db.unchecked_transaction()?;
    let mut counts = Counts::read(&tx)?;
    for undo in undo {
        match undo {
            Undo::Message(id) => {
                let id_number = number(*id);
                counts.messages -= i64::from(is_unended(&tx, id_number)?);
                for (state, deliveries) in states(&tx, id_number)? {
                    counts.add(state, -deliveries);
                }
                tx.execute("DELETE FROM event WHERE message = ?", params![id_number])?;
                tx.execute("DELETE FROM body WHERE message = ?", params![id_number])?;
                tx.execute("DELETE FROM delivery WHERE message = ?", params![id_number])?;
                tx.execute("DELETE FROM message WHERE id = ?", params![id_number])?;
                unlink.push(*id);
            }
            Undo::Attempt(id) => {
                let id = count(id.0);
                let waiting = tx.execute(
                    "UPDATE delivery SET state = 0, attempt = NULL WHERE state = 2 AND attempt = ?1 \
                     AND message = (SELECT message FROM attempt WHERE id = ?1)",
                    params![id],
                )?;
                counts.moved(DeliveryState::UnderWay, DeliveryState::Waiting, waiting);
                tx.execute("DELETE FROM attempt WHERE id = ?", params![id])?;
            }
        }
    }
    tx.execute("UPDATE progress SET batch = ?", params![batch])?;
    counts.write(&tx)?;
    tx.commit()?;
    Ok(unlink)
}

/// Leaves out the events of what was taken back. One that cannot be looked up is told.
fn keep_stored(db: &Connection, events: &mut Vec<EventRow>) {
    let is_stored = |row: u64| -> rusqlite::Result<bool> {
        let mut statement = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE id = ?)")?;
        statement.query_row(params![count(row)], |found| found.get(0))
    };
    events.retain(|event| is_stored(event.row).unwrap_or(true));
}

/// Whether that message is there and has a delivery left.
fn is_unended(db: &Connection, message: i64) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM message WHERE id = ? AND unended > 0)", params![message], |row| {
        row.get(0)
    })
}

/// How many deliveries of a message are in each state.
fn states(db: &Connection, message: i64) -> rusqlite::Result<Vec<(DeliveryState, i64)>> {
    let mut statement = db.prepare_cached("SELECT state, count(*) FROM delivery WHERE message = ? GROUP BY state")?;
    let rows = statement.query_map(params![message], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let counted: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    Ok(counted.into_iter().filter_map(|(state, n)| Some((rows::state(state)?, n))).collect())
}
