//! What a request sees of the transaction it runs in: statements, names as numbers, the journal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::counts::Counts;
use super::failure::{Failure, of_statement};
use crate::clock::{Clock, Now, WallMs};
use crate::event::Event;
use crate::mail::QueueId;
use crate::store::{EventRow, GateKind, StoreError};

/// How many names are kept in memory before the map starts anew.
const NAMES_MAX: usize = 200_000;
/// What an event costs beside its text, for `journal_bytes_max`: row, index entry.
pub(super) const EVENT_OVERHEAD_BYTES: i64 = 40;

/// What the writer knows without asking the database. Right only while every transaction that changed it was committed.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: HashMap<Arc<str>, i64, foldhash::fast::RandomState>,
    gates: HashSet<(GateKind, String)>,
    /// While names are swept: those that rows were given meanwhile. Not read again after a failure: too many do no harm.
    pub(super) names_noted: Option<HashSet<i64>>,
    /// The last event's row.
    pub(super) last_event: i64,
    /// The last attempt's row.
    pub(super) last_attempt: i64,
    /// Number of the last batch.
    pub(super) batch: i64,
    /// Size of the kept events in bytes.
    pub(super) journal_bytes: i64,
    /// What is in the queue.
    pub(super) counts: Counts,
    /// First queue id that is not reserved.
    pub(super) ids_reserved: i64,
}

impl Known {
    /// Reads all of it; the row counters never fall.
    pub(super) fn load(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.names.clear();
        let last = |table: &str| -> rusqlite::Result<i64> {
            db.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| row.get(0))
        };
        self.last_event = self.last_event.max(last("event")?);
        self.last_attempt = self.last_attempt.max(last("attempt")?);
        (self.batch, self.ids_reserved, self.journal_bytes) =
            db.query_row("SELECT batch, ids_reserved, journal_bytes FROM progress", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        self.counts = Counts::read(db)?;
        self.gates = read_gates(db)?;
        Ok(())
    }

    /// Counts what is kept as a count, where it can be done quickly. They differ in a store that was saved from a damaged one.
    pub(super) fn recount(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut counted = Counts::counted(db)?;
        counted.received_max = counted.received_max.max(self.counts.received_max);
        if counted != self.counts {
            tracing::warn!(kept = ?self.counts, ?counted, "the store holds not what it had counted; what is there counts");
            self.counts = counted;
        }
        Ok(())
    }

    /// A name is no longer in the table.
    pub(super) fn forget_name(&mut self, text: &str) {
        self.names.remove(text);
    }

    /// Whether a gate is closed.
    pub(super) fn is_closed(&self, kind: GateKind, key: &str) -> bool {
        // A handful of gates at most: no need for a borrowed key.
        !self.gates.is_empty() && self.gates.iter().any(|(k, name)| *k == kind && name == key)
    }
}

fn read_gates(db: &Connection) -> rusqlite::Result<HashSet<(GateKind, String)>> {
    let mut statement = db.prepare_cached("SELECT kind, key FROM gate")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut gates = HashSet::new();
    for row in rows {
        let (kind, key) = row?;
        if let Some(kind) = super::rows::gate_kind(&kind) {
            gates.insert((kind, key));
        }
    }
    Ok(gates)
}

/// What happens once the transaction is synced.
#[derive(Debug, Default)]
pub(super) struct After {
    /// Events to be told, in the journal's order.
    pub(super) events: Vec<EventRow>,
    /// Spool files whose message ended.
    pub(super) unlink: Vec<QueueId>,
}

/// The transaction of a batch.
pub(super) struct Tx<'c> {
    pub(super) db: &'c Connection,
    pub(super) clock: &'c dyn Clock,
    pub(super) memory: &'c mut Known,
    pub(super) after: &'c mut After,
    /// Whether leases may be made now: not while the disk is nearly full.
    pub(super) leases: bool,
    /// How the request at hand is to be run.
    pub(super) care: Care,
}

/// How a request is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// As a whole: it holds or fails.
    Whole,
    /// It failed for itself as a whole: what can be stored of it is, part by part.
    Parts,
}

/// How far the wall clock may have been stepped since mail came, in milliseconds, to have been right then.
const STEP_MS_MAX: u64 = 3_600_000;

impl Tx<'_> {
    /// Whether a reading of the clocks made just now is a date.
    pub(super) fn is_dated(&self, read: Now) -> bool {
        let now = self.clock.now();
        let expected = read.wall.0.saturating_add(now.boot.0.saturating_sub(read.boot.0));
        self.clock.synchronised() && now.wall.0.abs_diff(expected) <= STEP_MS_MAX
    }

    /// A statement, compiled once.
    pub(super) fn sql(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.db.prepare_cached(sql)
    }

    /// Runs a statement and gives how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.sql(sql)?.execute(params)
    }

    /// Runs something behind a savepoint. If it fails for itself it leaves nothing, and its error is the inner one; a fault
    /// of disk or database is the outer one.
    pub(super) fn apart<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<Result<T, StoreError>, Failure> {
        let (events, unlink) = (self.after.events.len(), self.after.unlink.len());
        let (bytes, batch, reserved) = (self.memory.journal_bytes, self.memory.batch, self.memory.ids_reserved);
        let counts = self.memory.counts;
        self.run("SAVEPOINT apart", [])?;
        let done = match run(self) {
            Ok(done) => Ok(done),
            Err(Failure::Store(error)) => return Err(Failure::Store(error)),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Statement(error)) => Err(of_statement(&error)),
        };
        if done.is_err() {
            self.run("ROLLBACK TO apart", [])?;
            self.after.events.truncate(events);
            self.after.unlink.truncate(unlink);
            self.memory.load(self.db)?;
            (self.memory.journal_bytes, self.memory.batch, self.memory.ids_reserved) = (bytes, batch, reserved);
            self.memory.counts = counts;
        }
        self.run("RELEASE apart", [])?;
        Ok(done)
    }

    /// The number of a name, new or old, to be written into a row.
    pub(super) fn name(&mut self, text: &str) -> rusqlite::Result<i64> {
        let number = self.name_number(text)?;
        if let Some(noted) = &mut self.memory.names_noted {
            noted.insert(number);
        }
        Ok(number)
    }

    fn name_number(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.memory.names.get(text) {
            return Ok(*id);
        }
        let known =
            self.sql("SELECT id FROM name WHERE text = ?")?.query_row(params![text], |row| row.get(0)).optional()?;
        let id = if let Some(id) = known {
            id
        } else {
            self.run("INSERT INTO name (text) VALUES (?)", params![text])?;
            self.db.last_insert_rowid()
        };
        if self.memory.names.len() >= NAMES_MAX {
            self.memory.names.clear();
        }
        self.memory.names.insert(text.into(), id);
        Ok(id)
    }

    /// Writes the numbers of the transaction: last, for all that it did is in them.
    pub(super) fn save_progress(&self) -> rusqlite::Result<()> {
        let Known { batch, ids_reserved, journal_bytes, counts, .. } = &*self.memory;
        self.run(
            "UPDATE progress SET batch = ?, ids_reserved = ?, journal_bytes = ?",
            params![batch, ids_reserved, journal_bytes],
        )?;
        counts.write(self.db)
    }

    /// Appends to the journal.
    pub(super) fn event(&mut self, at: WallMs, event: Event) -> rusqlite::Result<()> {
        let message = event.message().and_then(|id| id.parse::<QueueId>().ok());
        let body = serde_json::to_string(&event).expect("an event is plain fields, strings and lists of strings");
        self.memory.last_event += 1;
        let row = self.memory.last_event;
        self.run(
            "INSERT INTO event (id, at, message, body) VALUES (?, ?, ?, ?)",
            params![row, wall(at), message.map(number), body],
        )?;
        self.memory.journal_bytes += journal_bytes(body.len());
        self.after.events.push(EventRow { row: row.unsigned_abs(), at, event });
        Ok(())
    }

    /// Keeps the gates in memory as the table has them.
    pub(super) fn gate_changed(&mut self, kind: GateKind, key: &str, closed: Closed) {
        match closed {
            Closed::Yes => self.memory.gates.insert((kind, key.to_owned())),
            Closed::No => self.memory.gates.remove(&(kind, key.to_owned())),
        };
    }
}

/// What became of a gate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Closed {
    /// Mail behind it is held.
    Yes,
    /// It is open again.
    No,
}

/// What an event of so many bytes counts towards `journal_bytes_max`.
pub(super) fn journal_bytes(text_bytes: usize) -> i64 {
    i64::try_from(text_bytes).unwrap_or(i64::MAX / 2) + EVENT_OVERHEAD_BYTES
}

/// A queue id as the tables have it. Ids have 50 bits.
pub(super) fn number(id: QueueId) -> i64 {
    id.number().cast_signed()
}

/// A time as the tables have it: over 292 million years are cut.
pub(super) fn wall(at: WallMs) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A number of things in memory as the tables have it.
pub(super) fn many(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A span or count as the tables have it.
pub(super) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
