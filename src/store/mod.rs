//! Where accepted mail lives: whole transactions, each synced before its proof is handed out.
//!
//! [`Store`] is a trait of transactions, not of tables, so that another engine can stand behind it. It never decides what
//! leaves, what a reply means or who may send: it keeps and proves. Read [`proof`] first, then [`transaction`], then
//! [`query`].
//!
//! Invariants kept here: 1 (nothing is lost), 3 (no word without its deed), 6 (bounded).

pub mod error;
pub mod memory;
pub mod proof;
pub mod query;
pub mod settings;
pub mod sqlite;
pub mod transaction;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

pub use error::StoreError;
pub use memory::{Memory, MemoryKind, MemoryRow, MemoryTooLong};
pub use proof::Stored;
pub use query::{
    AttemptRow, AuthorRow, Content, ContentBody, DeliveryRow, DueAfter, DueDelivery, EventRow, Filter, Gate, GateKind,
    LineCount, MessageRow, Page, SenderRow, Totals, WaitingMessage,
};
pub use transaction::{
    Acceptance, AttemptId, Body, Concluded, Conclusion, DeliveryEnd, DeliveryOutcome, DeliveryState, Destination,
    Index, Lease, LeaseError, LeaseRequest, Refiled, Renewed, SlotsEnd, SpoolFile,
};

use crate::account::Account;
use crate::clock::{Now, WallMs};
use crate::event::Event;
use crate::mail::QueueId;

/// What a call to the store gives: the answer once the work is synced (or read).
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What [`Store::lease`] gives.
pub type LeaseFuture<'a> = Pin<Box<dyn Future<Output = Result<Stored<Lease>, LeaseError>> + Send + 'a>>;

/// A queue that loses nothing. Every method that changes something returns after the sync of its transaction.
///
/// The methods may be called from many tasks at once; their work is committed together.
pub trait Store: Reads {
    /// A new queue id, never given before, whether or not a message is stored under it.
    ///
    /// # Errors
    /// When the store cannot reserve ids durably now.
    fn allocate(&self) -> Result<QueueId, StoreError>;

    /// Opens a place for a body too large to be kept in memory, under that id.
    fn spool(&self, id: QueueId) -> StoreFuture<'_, Box<dyn SpoolWriter>>;

    /// Takes a message over: envelope, body, verdict, gates' state and event in one transaction.
    fn accept(&self, acceptance: Acceptance) -> StoreFuture<'_, Stored<QueueId>>;

    /// Records an attempt before its MAIL is sent (invariants 2 and 3): the deliveries go from waiting to under way.
    ///
    /// Deliveries that are no longer waiting (removed by an operator) or stand behind a closed gate are left out of the
    /// lease; if none is left the lease is empty and must be given back.
    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_>;

    /// Ends an attempt: the outcome of each of its deliveries, DSNs, the end of the body where no delivery is left, and
    /// the next lease of the same connection, all in one transaction.
    fn conclude(&self, conclusion: Conclusion, next: Option<LeaseRequest>) -> StoreFuture<'_, Stored<Concluded>>;

    /// Puts off every delivery of a destination that is waiting and due, because the next hop could not be used: due
    /// again at `due`, the time until then counted towards their expiry. Bounded batches inside; returns how many.
    fn defer_destination(&self, destination: Destination, now: Now, due: WallMs, reply: String)
    -> StoreFuture<'_, u64>;

    /// Ends deliveries without an attempt: expiry, bounce by configuration. Outcomes as in [`Store::conclude`].
    /// All of them, or nothing and `false` where one is not in the state `from` any more (leased, released or ended
    /// meanwhile): a report must not tell of an end that did not come.
    fn end_unattempted(
        &self,
        message: QueueId,
        now: Now,
        from: DeliveryState,
        ends: Vec<DeliveryEnd>,
        reports: Vec<Acceptance>,
    ) -> StoreFuture<'_, Stored<bool>>;

    /// Marks that the delay report of these deliveries was made, and stores it, in one transaction.
    fn report_delay(&self, message: QueueId, deliveries: Vec<Index>, report: Acceptance)
    -> StoreFuture<'_, Stored<()>>;

    /// Closes a gate: what stands behind it is held. Closing a closed gate changes its reason.
    fn close_gate(&self, gate: Gate, now: Now, under_way: u32) -> StoreFuture<'_, Stored<()>>;

    /// Opens a gate; `false` if it was not closed.
    fn open_gate(&self, kind: GateKind, key: String, by: String, now: Now) -> StoreFuture<'_, Stored<bool>>;

    /// Takes what still waits or is held of a message out of the queue, by an operator's name. Deliveries under way go on.
    /// Returns how many deliveries ended; `None` if there is no such message.
    fn remove(&self, message: QueueId, by: String, now: Now) -> StoreFuture<'_, Stored<Option<u32>>>;

    /// Lets a message that its verdict held go: its deliveries wait from now on, and leave with what was made anew.
    /// Returns how many; `None`: no such message.
    fn release(
        &self,
        message: QueueId,
        by: String,
        renewed: Option<Renewed>,
        now: Now,
    ) -> StoreFuture<'_, Stored<Option<u32>>>;

    /// Gives what waits of a message what was made anew for it: its prefix, and where its deliveries stand in line; those
    /// that are due and moved are due now. `false`: one of its deliveries is under way, so that its prefix stays as it is,
    /// or one was filed elsewhere since it was looked at, and stays there.
    fn renew(&self, message: QueueId, renewed: Renewed, now: Now) -> StoreFuture<'_, Stored<bool>>;

    /// Makes waiting deliveries due now (`queue flush`): of one message, of one account, or all. Returns how many.
    fn flush(&self, which: Filter, now: Now) -> StoreFuture<'_, Stored<u64>>;

    /// Makes mail that waits for its first attempt due now where the wall clock was stepped back behind its acceptance.
    /// Returns how many; opening a store does it too.
    fn fresh_is_due(&self, now: Now) -> StoreFuture<'_, Stored<u64>>;

    /// Writes deliveries of the queue (waiting, held, under way) anew to the destination that `route` names for them, after
    /// routes changed: called in batches. Returns how many changed.
    fn reroute(&self, route: Reroute) -> StoreFuture<'_, u64>;

    /// Appends an event that belongs to no other transaction.
    fn note(&self, event: Event, now: Now) -> StoreFuture<'_, Stored<()>>;

    /// Writes what a room that learns will want to know after a restart. Up to [`Memory::BATCH_MAX`] of them, of
    /// [`Memory::BATCH_BYTES_MAX`], are kept together or not at all; more are several transactions, in order. Refused
    /// like new mail when the disk is nearly full; after an error any of them may be there: ask again, or leave it.
    fn remember(&self, memories: Vec<Memory>, now: Now) -> StoreFuture<'_, Stored<()>>;

    /// Forgets what was last written before `before`. In small batches; returns whether there may be more to do.
    fn forget_memories(&self, kind: MemoryKind, before: WallMs) -> StoreFuture<'_, bool>;

    /// Forgets history older than `before`, and more while the journal is over `journal_bytes_max`; attempts only as
    /// [`KeepAttempts`] says. In small batches; returns whether there is more to do.
    fn prune(&self, before: WallMs, attempts: KeepAttempts, journal_bytes_max: u64) -> StoreFuture<'_, bool>;
}

/// The half of a store that changes nothing: also what is left of it while the daemon is down.
pub trait Reads: Send + Sync + 'static {
    /// Every line that has waiting deliveries, with counts.
    fn lines(&self) -> StoreFuture<'_, Vec<LineCount>>;

    /// The first waiting messages of a line that are due, oldest due first, at most `limit`; for each the waiting, due
    /// deliveries to that destination.
    fn line_page(&self, line: Line, now: WallMs, limit: usize) -> StoreFuture<'_, Vec<WaitingMessage>>;

    /// Waiting deliveries behind `after` that are due at `until`, in order of due and message, grouped by message and
    /// destination: at most `limit` groups, and what is left of the last one's message at its moment. However much is due at one
    /// moment (a flush, a next hop that was down), a page is bounded. What a retry makes due is found here.
    fn due(&self, after: DueAfter, until: WallMs, limit: usize) -> StoreFuture<'_, Vec<DueDelivery>>;

    /// When the next delivery becomes due after `after`.
    fn next_due(&self, after: WallMs) -> StoreFuture<'_, Option<WallMs>>;

    /// A message's row and its deliveries.
    fn message(&self, id: QueueId) -> StoreFuture<'_, Option<(MessageRow, Vec<DeliveryRow>)>>;

    /// The bytes that leave: prefix and body.
    fn content(&self, id: QueueId) -> StoreFuture<'_, Content>;

    /// Messages of the queue (waiting, held, under way) that the filter lets through, oldest first, a page at a time.
    fn list(&self, filter: Filter, page: Page) -> StoreFuture<'_, Vec<(MessageRow, Vec<DeliveryRow>)>>;

    /// Messages known by a Message-ID, a queue id, the MTA's queue id or an address (sender, account or recipient), ended
    /// ones too while the journal keeps them; newest first, a page at a time: here the next page is of older ones.
    fn find(&self, term: String, page: Page) -> StoreFuture<'_, Vec<(MessageRow, Vec<DeliveryRow>)>>;

    /// The events of a message in order.
    fn history(&self, id: QueueId) -> StoreFuture<'_, Vec<EventRow>>;

    /// Events after a cursor, at most `limit`.
    fn events(&self, after: u64, limit: usize) -> StoreFuture<'_, Vec<EventRow>>;

    /// What the limits are rebuilt from: attempts that have not ended, and those that ended less than `look_back_ms` before
    /// the last moment on record of their boot. By the boot clocks alone, so that no step of the wall clock hides one.
    fn attempts(&self, look_back_ms: u64) -> StoreFuture<'_, Vec<AttemptRow>>;

    /// What the record of attempts lacks; `None` if nothing of it was ever pruned.
    fn attempts_pruned(&self) -> StoreFuture<'_, Option<AttemptsPruned>>;

    /// The closed gates.
    fn gates(&self) -> StoreFuture<'_, Vec<Gate>>;

    /// What is remembered of a kind, in the order of the keys, after `after_key`, at most `limit` (a page of large values
    /// may be shorter; an empty one is the end).
    fn memories(&self, kind: MemoryKind, after_key: Option<Bytes>, limit: usize) -> StoreFuture<'_, Vec<MemoryRow>>;

    /// What is remembered under one key.
    fn memory(&self, kind: MemoryKind, key: Bytes) -> StoreFuture<'_, Option<Bytes>>;

    /// Counts over the whole queue.
    fn totals(&self) -> StoreFuture<'_, Totals>;

    /// Who sent the messages that are remembered, in the order of their ids, after `after`, at most `limit`: what the memory
    /// of reverse-paths is made from again.
    fn senders(&self, after: Option<QueueId>, limit: usize) -> StoreFuture<'_, Vec<SenderRow>>;

    /// In whose name the messages that are remembered were sent, the newest first, before `before`, at most `limit`.
    fn authors(&self, before: Option<QueueId>, limit: usize) -> StoreFuture<'_, Vec<AuthorRow>>;

    /// How many waiting or held deliveries each account has.
    fn waiting_by_account(&self) -> StoreFuture<'_, Vec<(Account, u64)>>;
}

/// Which attempts are kept, for the limits to be rebuilt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAttempts {
    /// Those of the newest boot that ended less than this before its last moment on record, in milliseconds: by the boot
    /// clock, whatever the wall clock did.
    pub keep_ms: u64,
    /// Those of earlier boots that ended at or after this. `None` keeps them all: the wall clock is not to be believed.
    pub earlier_boots_since: Option<WallMs>,
}

/// What was pruned from the record of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptsPruned {
    /// The last end of what is gone: the record is complete after it, if the wall clock was right.
    pub until: WallMs,
    /// However wrong the wall clock was: nothing was pruned that had ended less than this before, in milliseconds.
    pub kept_ms: u64,
}

/// What [`Store::reroute`] asks for each delivery.
pub type Reroute = Box<dyn Fn(&RouteFacts<'_>) -> Destination + Send + Sync>;

/// What the route of a delivery is chosen by, as the store keeps it.
#[derive(Debug, Clone, Copy)]
pub struct RouteFacts<'a> {
    /// Whose.
    pub account: &'a Account,
    /// Empty for the null reverse-path.
    pub reverse_path: &'a str,
    /// The recipient.
    pub recipient: &'a str,
    /// The domain of the From field.
    pub header_from: Option<&'a str>,
    /// Where it waits now.
    pub destination: &'a str,
    /// Whether it is a report of ours, which may have a route of its own.
    pub is_report: bool,
}

/// A line: waiting mail of one account and class for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// Whose.
    pub account: Account,
    /// Small and transactional, or bulk: as dispatch numbers them.
    pub class: u8,
    /// Where to.
    pub destination: Destination,
}

/// A body on its way to disk. Dropped before [`SpoolWriter::finish`], what was written is removed.
pub trait SpoolWriter: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: Bytes) -> StoreFuture<'_, ()>;
    /// Syncs file and folder, and gives the body to put into an [`Acceptance`].
    fn finish(self: Box<Self>) -> StoreFuture<'static, Body>;
}
