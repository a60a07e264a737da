//! The JSON that the routes speak: stable names, times in milliseconds since 1970-01-01 UTC (`…_ms`).
//!
//! Fields are added, never renamed; a reader must let fields pass that it does not know.

use serde::{Deserialize, Serialize};

use super::operator::{LimitUse, Running};
use super::why::{Stand, WhyLine};
use crate::account::{Account, AccountSource};
use crate::clock::WallMs;
use crate::event::Event;
use crate::guard::Verdict;
use crate::store::{DeliveryRow, DeliveryState, EventRow, Gate, GateKind, MessageRow, Totals};

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The daemon; absent where the store was read without one.
    pub daemon: Option<Running>,
    /// The whole queue.
    pub queue: Totals,
    /// The closed gates.
    pub gates: Vec<Gate>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Queue id.
    pub id: String,
    /// When it was taken.
    pub received_ms: WallMs,
    /// The client's address or socket.
    pub client: String,
    /// Whom it counts against.
    pub account: Account,
    /// How that is known.
    pub source: AccountSource,
    /// Reverse-path, empty for the null one.
    pub from: String,
    /// The client MTA's queue id.
    pub mta_id: Option<String>,
    /// Message-ID.
    pub message_id: Option<String>,
    /// The guard's word.
    pub verdict: Verdict,
    /// The received content in bytes.
    pub size_bytes: u64,
    /// The message that it is a report on.
    pub report_on: Option<String>,
    /// One for each recipient.
    pub deliveries: Vec<DeliveryView>,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its place in the envelope.
    pub place: u32,
    /// The recipient.
    pub to: String,
    /// Where it stands in line.
    pub destination: String,
    /// Where it is.
    pub state: DeliveryState,
    /// When it is expected to be tried (again), if it waits and that can be said: a time to come, and none behind a gate.
    pub due_ms: Option<WallMs>,
    /// What stands in its way; absent once it is done, and without a daemon where only time does.
    #[serde(default)]
    pub why: Option<Stand>,
    /// How often it was tried.
    pub attempts: u32,
    /// The last words about it.
    pub last_reply: Option<String>,
}

/// `GET /v1/queue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePage {
    /// Oldest first.
    pub messages: Vec<MessageView>,
    /// What to give as `after` for the next page; absent on the last.
    pub next: Option<String>,
}

/// `GET /v1/queue/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDetail {
    /// The message.
    pub message: MessageView,
    /// Why its deliveries have not left; without a daemon, of those that are held.
    pub why: Vec<WhyLine>,
    /// What happened to it, in order.
    pub history: Vec<EventView>,
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// The cursor.
    pub row: u64,
    /// When.
    pub at_ms: WallMs,
    /// What, its fields beside these.
    #[serde(flatten)]
    pub event: Event,
}

/// `GET /v1/trace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceView {
    /// Newest first.
    pub messages: Vec<MessageDetail>,
    /// What to give as `after` for older ones; absent where there are none.
    #[serde(default)]
    pub next: Option<String>,
}

/// `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsPage {
    /// In order.
    pub events: Vec<EventView>,
    /// What to give as `after` next time.
    pub next: u64,
}

/// `GET /v1/holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsView {
    /// The closed gates.
    pub gates: Vec<Gate>,
}

/// `GET /v1/limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// Fullest first.
    pub limits: Vec<LimitUse>,
}

/// `POST /v1/hold` and, without a reason, `POST /v1/resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRequest {
    /// What is stopped.
    pub kind: GateKind,
    /// Which one; empty for all.
    #[serde(default)]
    pub key: String,
    /// Why, for people. Who asked is added by the daemon.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/queue/flush`: all of what is named together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlushRequest {
    /// Only this message.
    #[serde(default)]
    pub id: Option<String>,
    /// Only of this account.
    #[serde(default)]
    pub account: Option<String>,
    /// Only to this recipient, or with `@example.org` to this domain.
    #[serde(default)]
    pub recipient: Option<String>,
}

/// What a deed did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {
    /// How many deliveries it changed; for a hold, how many are under way and go on.
    pub deliveries: u64,
    /// Whether anything is different now.
    pub changed: bool,
    /// What is different, in words (reload).
    #[serde(default)]
    pub changes: Vec<String>,
}

/// The body of every answer that is not 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened, one sentence or a line for each fault.
    pub error: String,
    /// What to do.
    pub advice: String,
}

impl MessageView {
    /// The view of a stored message at that time, by what stands in the way of its deliveries.
    pub fn of(
        row: MessageRow,
        deliveries: Vec<DeliveryRow>,
        now: WallMs,
        mut stand: impl FnMut(&MessageRow, &DeliveryRow) -> Option<Stand>,
    ) -> Self {
        let deliveries = deliveries.into_iter().map(|delivery| {
            let stand = stand(&row, &delivery);
            DeliveryView::of(delivery, stand, now)
        });
        let deliveries = deliveries.collect();
        Self {
            id: row.id.to_string(),
            received_ms: row.received,
            client: row.client,
            account: row.account,
            source: row.source,
            from: row.reverse_path.as_str().to_owned(),
            mta_id: row.mta_id,
            message_id: row.message_id,
            verdict: row.verdict,
            size_bytes: row.size_bytes,
            report_on: row.report_on.map(|id| id.to_string()),
            deliveries,
        }
    }
}

impl DeliveryView {
    fn of(row: DeliveryRow, why: Option<Stand>, now: WallMs) -> Self {
        // Without a word of the daemon: when it is due.
        let next = why.as_ref().map_or(Some(row.due), |why| why.expected.filter(|_| !why.held));
        Self {
            place: row.index.0,
            to: row.recipient.address.as_str().to_owned(),
            destination: row.destination.to_string(),
            due_ms: next.filter(|at| row.state == DeliveryState::Waiting && *at > now),
            why,
            state: row.state,
            attempts: row.attempts,
            last_reply: row.last_reply,
        }
    }
}

impl EventView {
    /// The view of a journal row.
    pub fn of(row: EventRow) -> Self {
        Self { row: row.row, at_ms: row.at, event: row.event }
    }
}
