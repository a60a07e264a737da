//! The one thread that writes: it takes all that waits, runs it in one transaction, syncs once, and answers.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use super::database::WriterConnection;
use super::failure::Failure;
use super::faults::{CommitFault, Faults};
use super::readers::lock;
use super::recovery::Trouble;
use super::request::{Kind, Request};
use super::shared::{Copying, Shared};
use super::space::{Room, Space};
use super::tx::{After, Care, Known, Tx};
use crate::clock::{BootMs, Clock};
use crate::store::StoreError;

/// Requests in one transaction: more would make the first of them wait too long for its answer.
const BATCH_MAX: usize = 512;
/// The writer looks at what happens without requests this often.
const IDLE: Duration = Duration::from_millis(200);
/// How often the free space is looked at, in milliseconds.
const SPACE_EVERY_MS: u64 = 200;
/// How often a writer without quiet moments tidies up while the disk is full, in milliseconds.
const TIDY_EVERY_MS: u64 = 200;
/// From this many frames of log on, the writer finishes the checkpoint itself: 96 MiB. All who wait for an answer wait for
/// it, two syncs long: it must stay rarer than one message in a hundred at a thousand a second.
const LOG_FRAMES_TAIL: u32 = 24 * 1024;
/// Pages that stay free for new mail before the file is made smaller: 16 MiB.
const FREE_PAGES_KEPT: i64 = 4 * 1024;

/// What comes through the channel.
pub(super) enum Message {
    /// Work.
    Request(Box<dyn Request>),
    /// The end, after what came before it.
    Close,
}

/// The writer and all it owns.
pub(super) struct Writer {
    pub(super) requests: Receiver<Message>,
    /// `None` after a failed write, until the file is opened again.
    pub(super) db: Option<WriterConnection>,
    pub(super) memory: Known,
    /// The last batch that is known to be on disk.
    pub(super) confirmed: i64,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) faults: Arc<dyn Faults>,
    pub(super) space: Space,
    pub(super) room: Room,
    pub(super) looked: BootMs,
    pub(super) tidied: BootMs,
    pub(super) trouble: Trouble,
    /// The log's length at the last checkpoint of ours.
    pub(super) log_frames_done: u32,
}

impl Writer {
    /// Runs until the store is closed and all outcomes are written.
    pub(super) fn run(mut self) {
        loop {
            let (batch, open) = self.take();
            let quiet = batch.is_empty();
            self.work(batch);
            if quiet || self.must_tidy() {
                self.idle();
            }
            if !open {
                break;
            }
        }
        self.trouble.give_up();
        let copying = lock(&self.shared.copying);
        if let Some(db) = &self.db
            && matches!(*copying, Copying::Trusted)
        {
            // Emptied, unless somebody reads it: the next start has nothing to copy then, and who reads without a daemon
            // opens faster. If this fails the log is as it was, and the next start copies all of it.
            let _ = db.db.busy_timeout(Duration::ZERO).and_then(|()| checkpoint(db, "PRAGMA wal_checkpoint(TRUNCATE)"));
        }
    }

    /// Whether what is done at quiet moments cannot wait for one: on a full disk, clients that are refused come again and
    /// again, and only this gives them space.
    fn must_tidy(&mut self) -> bool {
        let now = self.clock.now().boot;
        self.room != Room::Enough && now.0.saturating_sub(self.tidied.0) >= TIDY_EVERY_MS
    }

    /// All that waits, at most a batch; and whether more may come.
    fn take(&mut self) -> (VecDeque<Box<dyn Request>>, bool) {
        let mut batch = VecDeque::new();
        let wait = if self.trouble.is_pending() { Duration::from_millis(20) } else { IDLE };
        match self.requests.recv_timeout(wait) {
            Ok(Message::Request(request)) => batch.push_back(request),
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => return (batch, false),
            Err(RecvTimeoutError::Timeout) => return (batch, true),
        }
        while batch.len() < BATCH_MAX {
            match self.requests.try_recv() {
                Ok(Message::Request(request)) => batch.push_back(request),
                Ok(Message::Close) => return (batch, false),
                Err(_) => break,
            }
        }
        (batch, true)
    }

    fn work(&mut self, requests: VecDeque<Box<dyn Request>>) {
        self.look_at_space();
        self.hear_of_copies();
        if self.db.is_none() {
            self.recover();
        }
        let mut batch: Vec<Box<dyn Request>> = Vec::new();
        if self.db.is_some() {
            batch.extend(self.trouble.promised());
        }
        for request in requests {
            if let Some(error) = self.refusal(request.kind()) {
                request.answer(Err(error));
            } else if self.db.is_none() {
                self.trouble.promise(request);
            } else {
                batch.push(request);
            }
        }
        if batch.is_empty() {
            return;
        }
        match self.commit(&mut batch) {
            Ok((faults, after)) => self.committed(batch, faults, after),
            Err(error) => self.failed(batch, &error),
        }
    }

    /// Why a request cannot be taken now.
    fn refusal(&self, kind: Kind) -> Option<StoreError> {
        if kind == Kind::Outcome {
            return None;
        }
        if let Some(error) = self.trouble.closes(self.db.is_none()) {
            return Some(error);
        }
        match (self.room, kind) {
            (Room::NoMail { free_bytes } | Room::OutcomesOnly { free_bytes }, Kind::Accept)
            | (Room::OutcomesOnly { free_bytes }, Kind::Lease) => {
                Some(StoreError::Full { free_bytes: Some(free_bytes) })
            }
            _ => None,
        }
    }

    /// Everything in one transaction. `Ok` gives what each request's own fault was, and what follows.
    fn commit(&mut self, batch: &mut [Box<dyn Request>]) -> Result<(Vec<Option<StoreError>>, After), StoreError> {
        let Some(writer) = &self.db else {
            return Err(StoreError::Unavailable { detail: "the database is not open".into() });
        };
        let db = &writer.db;
        let mut after = After::default();
        let leases = !matches!(self.room, Room::OutcomesOnly { .. });
        let clock = &*self.clock;
        let mut tx = Tx { db, clock, memory: &mut self.memory, after: &mut after, leases, care: Care::Whole };
        let faults = run_batch(batch, &mut tx).map_err(|e| writer.wrong(&e))?;
        let commit =
            || db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(|e| writer.wrong(&e));
        let injected = |what: &str| Err(StoreError::Unknown { detail: format!("injected: {what} was lost") });
        let committed = match self.faults.commit() {
            CommitFault::None => commit(),
            CommitFault::Lost => injected("the commit"),
            CommitFault::StoredAllTheSame => commit().and_then(|_| injected("the commit's answer")),
        };
        match committed {
            Ok(_) => Ok((faults, after)),
            Err(error) => {
                self.trouble.in_doubt(self.memory.batch, faults, after);
                Err(error)
            }
        }
    }

    fn committed(&mut self, batch: Vec<Box<dyn Request>>, faults: Vec<Option<StoreError>>, after: After) {
        self.trouble.well();
        self.confirmed = self.memory.batch;
        for (request, fault) in batch.into_iter().zip(faults) {
            request.answer(fault.map_or(Ok(()), Err));
        }
        self.shared.reserved(self.memory.ids_reserved);
        self.follow(after);
        self.shared.log_grew(self.log_frames());
        self.notice_new_log();
        if self.log_frames() > self.log_frames_done + LOG_FRAMES_TAIL {
            self.checkpoint();
        }
    }

    /// What follows a transaction that is on disk.
    pub(super) fn follow(&self, after: After) {
        for id in after.unlink {
            self.shared.spool.remove(id);
        }
        self.shared.publish(after.events);
    }

    /// Once all of it is copied, SQLite begins the log anew: then nothing of it is done.
    fn notice_new_log(&mut self) {
        if self.log_frames() < self.log_frames_done {
            self.log_frames_done = 0;
        }
    }

    /// A copy of the helper's that failed is trouble like one of ours.
    fn hear_of_copies(&mut self) {
        // One that is under way is not waited for.
        let failed = match self.shared.copying.try_lock().as_deref() {
            Ok(Copying::Failed(error)) => Some(error.clone()),
            Ok(Copying::Trusted | Copying::Stopped) | Err(_) => None,
        };
        if let Some(error) = failed {
            self.failed(Vec::new(), &error);
        }
    }

    /// The helper has copied all but the tail: finished here, between two batches, the log begins anew with the next.
    fn checkpoint(&mut self) {
        if let Err(error) = self.try_checkpoint() {
            self.failed(Vec::new(), &error);
        }
    }

    fn try_checkpoint(&mut self) -> Result<(), StoreError> {
        // While the helper is at it, it is not waited for.
        let copying = match self.shared.copying.try_lock() {
            Ok(copying) => copying,
            Err(TryLockError::Poisoned(copying)) => copying.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if let Some(db) = &self.db
            && matches!(*copying, Copying::Trusted)
        {
            let frames = db.log_frames();
            checkpoint(db, "PRAGMA wal_checkpoint(PASSIVE)").map_err(|error| db.wrong(&error))?;
            self.log_frames_done = frames;
        }
        Ok(())
    }

    fn log_frames(&self) -> u32 {
        self.db.as_ref().map_or(0, WriterConnection::log_frames)
    }

    fn look_at_space(&mut self) {
        let now = self.clock.now().boot;
        if now.0.saturating_sub(self.looked.0) < SPACE_EVERY_MS {
            return;
        }
        self.looked = now;
        let room = self.space.look();
        match (self.room, room) {
            (Room::Enough, Room::NoMail { free_bytes } | Room::OutcomesOnly { free_bytes }) => {
                tracing::error!(
                    free_bytes,
                    advice = StoreError::Full { free_bytes: None }.advice(),
                    "the store's disk is nearly full: no mail is taken"
                );
            }
            (Room::NoMail { .. } | Room::OutcomesOnly { .. }, Room::Enough) => {
                tracing::info!("the store's disk has space again: mail is taken");
            }
            _ => {}
        }
        self.room = room;
    }

    /// What is done while nothing waits: the log's tail, the ballast, pages given back.
    fn idle(&mut self) {
        self.tidied = self.clock.now().boot;
        if self.db.is_none() {
            return;
        }
        // Giving pages back writes too, and the file gets shorter only with the checkpoint.
        self.notice_new_log();
        if self.log_frames() > self.log_frames_done {
            self.checkpoint();
        }
        if self.trouble.is_calm() {
            self.space.lay_ballast();
            self.give_pages_back();
        }
    }

    fn give_pages_back(&mut self) {
        let Some(db) = &self.db else { return };
        let free = db.db.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)).unwrap_or(0);
        // On a full disk every page counts; otherwise some stay for the mail to come.
        let (kept, sql) = match self.room {
            Room::Enough => (FREE_PAGES_KEPT, "PRAGMA incremental_vacuum(512)"),
            Room::NoMail { .. } | Room::OutcomesOnly { .. } => (0, "PRAGMA incremental_vacuum(4096)"),
        };
        if free > kept
            && let Err(error) = vacuum(&db.db, sql)
        {
            let error = db.wrong(&error);
            self.failed(Vec::new(), &error);
        }
    }
}

/// SQLite gives one page back with each row of this pragma: all rows must be asked for.
fn vacuum(db: &rusqlite::Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Copies what the log holds into the database.
fn checkpoint(db: &WriterConnection, how: &str) -> rusqlite::Result<()> {
    db.db.query_row(how, [], |_| Ok(()))
}

/// Runs all requests. A request that fails for itself must not spoil the others; as that is rare, the batch is first run
/// without savepoints, and only then once more with one around each request.
fn run_batch(batch: &mut [Box<dyn Request>], tx: &mut Tx<'_>) -> rusqlite::Result<Vec<Option<StoreError>>> {
    begin(tx)?;
    let mut faults = Vec::with_capacity(batch.len());
    for request in batch.iter_mut() {
        match request.run(tx) {
            Ok(()) => faults.push(None),
            Err(Failure::Refused(error)) if request.kind() != Kind::Outcome => faults.push(Some(error)),
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Refused(_) | Failure::Statement(_)) => {
                take_back(tx)?;
                begin(tx)?;
                faults = run_each_alone(batch, tx)?;
                break;
            }
        }
    }
    tx.save_progress()?;
    Ok(faults)
}

fn begin(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    tx.run("BEGIN IMMEDIATE", [])?;
    tx.memory.batch += 1;
    Ok(())
}

/// Back to before the batch, in the database and in memory.
fn take_back(tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    tx.run("ROLLBACK", [])?;
    tx.after.events.clear();
    tx.after.unlink.clear();
    tx.memory.load(tx.db)
}

fn run_each_alone(batch: &mut [Box<dyn Request>], tx: &mut Tx<'_>) -> rusqlite::Result<Vec<Option<StoreError>>> {
    let mut faults = Vec::with_capacity(batch.len());
    for request in batch.iter_mut() {
        let mut fault = run_alone(&mut **request, tx)?;
        if let Some(error) = &fault {
            tracing::error!(%error, "a request to the store failed for itself and was taken back");
            if request.kind() == Kind::Outcome {
                tx.care = Care::Parts;
                fault = run_alone(&mut **request, tx)?;
                tx.care = Care::Whole;
            }
        }
        faults.push(fault);
    }
    Ok(faults)
}

fn run_alone(request: &mut dyn Request, tx: &mut Tx<'_>) -> rusqlite::Result<Option<StoreError>> {
    match tx.apart(|tx| request.run(tx)) {
        Ok(done) => Ok(done.err()),
        Err(Failure::Statement(error) | Failure::Store(error)) => Err(error),
        Err(Failure::Refused(error)) => Ok(Some(error)),
    }
}
