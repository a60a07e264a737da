//! What a store tells: rows as they are read.

use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::transaction::{AttemptId, DeliveryState, Destination, Index};
use crate::account::{Account, AccountSource};
use crate::clock::WallMs;
use crate::dispatch::Why;
use crate::event::Event;
use crate::guard::Verdict;
use crate::limits::WallClock;
use crate::mail::{BodyType, QueueId, Recipient, Ret, ReversePath};

/// One message of the queue or of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Queue id.
    pub id: QueueId,
    /// When its content ended.
    pub received: WallMs,
    /// What clock that was read from: of one that nobody called right, it says nothing of the message's age.
    pub received_by: WallClock,
    /// The client's address or socket.
    pub client: String,
    /// Whom it counts against.
    pub account: Account,
    /// How that is known.
    pub source: AccountSource,
    /// Where failures are told.
    pub reverse_path: ReversePath,
    /// `BODY=` as declared.
    pub body_type: BodyType,
    /// Whether the client declared SMTPUTF8.
    pub smtputf8: bool,
    /// Whether the header needs SMTPUTF8.
    pub header_needs_utf8: bool,
    /// `RET=`.
    pub ret: Option<Ret>,
    /// `ENVID=`.
    pub envid: Option<Box<str>>,
    /// The client MTA's queue id.
    pub mta_id: Option<String>,
    /// Message-ID.
    pub message_id: Option<String>,
    /// The domain of the From field.
    pub header_from: Option<String>,
    /// The guard's word.
    pub verdict: Verdict,
    /// Dispatch's class.
    pub class: u8,
    /// The received content in bytes.
    pub size_bytes: u64,
    /// The message this is a report on.
    pub report_on: Option<QueueId>,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its place in the envelope.
    pub index: Index,
    /// The recipient with its DSN parameters.
    pub recipient: Recipient,
    /// Where it stands in line.
    pub destination: Destination,
    /// Where it is.
    pub state: DeliveryState,
    /// When it is tried (again), if it waits.
    pub due: WallMs,
    /// How often it was tried.
    pub attempts: u32,
    /// How much of its life time is spent, in milliseconds.
    pub spent_ms: u64,
    /// Whether its delay was reported.
    pub delay_reported: bool,
    /// The last words about it: the next hop's, or ours.
    pub last_reply: Option<String>,
}

/// A message of a line that can leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Which message.
    pub id: QueueId,
    /// Its waiting, due deliveries to that destination.
    pub deliveries: Vec<Index>,
    /// When they became due.
    pub due: WallMs,
}

/// Deliveries of one message to one destination that became due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// Whose.
    pub account: Account,
    /// Dispatch's class.
    pub class: u8,
    /// Where to.
    pub destination: Destination,
    /// Which.
    pub message: WaitingMessage,
    /// The most life time that any of them has spent, in milliseconds.
    pub spent_ms: u64,
    /// When the message came.
    pub received: WallMs,
    /// As in [`MessageRow::received_by`].
    pub received_by: WallClock,
}

/// Behind which delivery a look through what became due goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueAfter {
    /// Its moment.
    pub due: WallMs,
    /// The last message of that moment that was seen.
    pub message: QueueId,
}

/// Behind all of that moment.
impl From<WallMs> for DueAfter {
    fn from(due: WallMs) -> Self {
        Self { due, message: QueueId::MAX }
    }
}

impl DueDelivery {
    /// Behind its message.
    pub fn behind(&self) -> DueAfter {
        DueAfter { due: self.message.due, message: self.message.id }
    }
}

/// How much waits in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineCount {
    /// Which line.
    pub line: super::Line,
    /// Deliveries waiting, due or not.
    pub deliveries: u64,
}

/// The bytes of a message.
#[derive(Debug, Clone)]
pub struct Content {
    /// Our own header fields.
    pub prefix: Bytes,
    /// What was received.
    pub body: ContentBody,
    /// Length of prefix and body together, in bytes.
    pub size_bytes: u64,
}

/// Where the received bytes are.
#[derive(Debug, Clone)]
pub enum ContentBody {
    /// In memory.
    Bytes(Bytes),
    /// In a file, opened for reading.
    File(std::sync::Arc<std::fs::File>),
}

impl ContentBody {
    /// Its beginning, at most so many bytes; `None` where its file cannot be read. Reads a disk: not for a thread of the
    /// runtime.
    pub fn beginning(&self, bytes_max: usize) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes.slice(..bytes.len().min(bytes_max))),
            Self::File(file) => {
                let length = usize::try_from(file.metadata().ok()?.len()).unwrap_or(usize::MAX);
                let mut bytes = vec![0; length.min(bytes_max)];
                file.read_exact_at(&mut bytes, 0).ok()?;
                Some(bytes.into())
            }
        }
    }
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The cursor: strictly growing.
    pub row: u64,
    /// When.
    pub at: WallMs,
    /// What.
    pub event: Event,
}

/// Who sent a message, and whom it counts against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderRow {
    /// The message.
    pub id: QueueId,
    /// When it came.
    pub received: WallMs,
    /// The client that brought it.
    pub client: String,
    /// Its reverse-path.
    pub reverse_path: ReversePath,
    /// Its account.
    pub account: Account,
    /// How that was known.
    pub source: AccountSource,
}

/// In whose name a message was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorRow {
    /// The message.
    pub id: QueueId,
    /// When it came.
    pub received: WallMs,
    /// Whose.
    pub account: Account,
    /// How that was known.
    pub source: AccountSource,
    /// Its reverse-path as it is kept; empty for the null one.
    pub reverse_path: String,
    /// The domain of its From field.
    pub header_from: Option<String>,
}

/// One attempt, as the limits are rebuilt from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which one.
    pub id: AttemptId,
    /// Whom it counts against.
    pub account: Account,
    /// What the egress's limit counts by: its public address.
    pub egress: String,
    /// Login at the smarthost.
    pub login: Option<String>,
    /// Route.
    pub route: String,
    /// The boot whose clock `leased_boot` and `ended_boot` are of.
    pub boot_id: String,
    /// Boot clock at the lease, in milliseconds.
    pub leased_boot: u64,
    /// Wall clock at the lease.
    pub leased_wall: WallMs,
    /// Boot clock at the end; `None` while under way.
    pub ended_boot: Option<u64>,
    /// Wall clock at the end.
    pub ended_wall: Option<WallMs>,
    /// Recipients whose slots count.
    pub recipients: u32,
    /// Transactions whose slot counts: 1, or 0 where all was returned.
    pub messages: u32,
    /// Whether the end is unknown, so that `unknown_grace` is added.
    pub unknown: bool,
}

/// What a gate stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateKind {
    /// Everything.
    All,
    /// The mail of one account.
    Account,
    /// What leaves from one egress.
    Egress,
}

impl GateKind {
    /// The word that log, page and store use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Account => "account",
            Self::Egress => "egress",
        }
    }
}

/// A closed gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What it stops.
    pub kind: GateKind,
    /// Which one; empty for all.
    pub key: String,
    /// Who closed it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: WallMs,
    /// Until when, if it opens by itself.
    pub until: Option<WallMs>,
}

/// As people read it.
impl From<&Gate> for crate::dispatch::Gate {
    fn from(gate: &Gate) -> Self {
        let before = match gate.kind {
            GateKind::All => "all mail".to_owned(),
            GateKind::Account | GateKind::Egress => format!("{} {}", gate.kind.as_str(), gate.key),
        };
        Self {
            before: before.into(),
            by: gate.by.as_str().into(),
            reason: gate.reason.as_str().into(),
            until: gate.until,
        }
    }
}

impl MessageRow {
    /// Why a delivery of it that is held itself waits for a person.
    pub fn why_held(&self, delivery: &DeliveryRow) -> Why {
        let by_verdict = || match self.verdict.headline() {
            Some(reason) => format!("{} points: {}", self.verdict.score_points, reason.sentence),
            None => "an operator's word".to_owned(),
        };
        let reason = delivery.last_reply.clone().unwrap_or_else(by_verdict).into();
        Why::Unreleased { id: self.id, reason }
    }
}

/// Which messages of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only this message.
    pub id: Option<QueueId>,
    /// Only of this account.
    pub account: Option<Account>,
    /// Only to this recipient, or with `@example.org` to this domain.
    pub recipient: Option<String>,
    /// Only with deliveries in this state.
    pub state: Option<DeliveryState>,
}

/// Which page of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only what comes after this one in the order of the listing.
    pub after: Option<QueueId>,
    /// At most so many messages; a store may give fewer than 1,000 asked for.
    pub limit: usize,
}

/// Counts over the whole queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Messages with a delivery left.
    pub messages: u64,
    /// Deliveries waiting.
    pub waiting: u64,
    /// Deliveries held.
    pub held: u64,
    /// Deliveries under way.
    pub under_way: u64,
}
