//! What the running daemon does for operators: the deeds and answers that the store alone cannot give.
//!
//! The daemon implements [`Operator`]; the routes call it. Reads of the queue and its history go to the store directly.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use super::guardian::{ReleaseRequest, RemoveRequest};
use super::view::MessageView;
use crate::align::doctor::{Examined, Sent};
use crate::clock::WallMs;
use crate::mail::QueueId;
use crate::store::{DeliveryRow, Filter, GateKind, MessageRow, StoreError};

/// What a call to the daemon gives.
pub type OperatorFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, OperatorError>> + Send + 'a>>;

/// The daemon, as operators see it. A deed returns after its transaction was synced; `by` is who asked, for the journal.
pub trait Operator: Send + Sync + 'static {
    /// What the daemon does now.
    fn running(&self) -> OperatorFuture<'_, Running>;

    /// Messages of the store with what stands in the way of each delivery that waits, is held or is under way, and when it
    /// is expected to leave.
    fn views(&self, found: Vec<(MessageRow, Vec<DeliveryRow>)>) -> OperatorFuture<'_, Vec<MessageView>>;

    /// How full each limit is that counts something now.
    fn limits(&self) -> OperatorFuture<'_, Vec<LimitUse>>;

    /// Closes a gate: what stands behind it is held. Says how many deliveries are under way and cannot be called back.
    fn hold(&self, kind: GateKind, key: String, by: String, reason: String) -> OperatorFuture<'_, u32>;

    /// Opens a gate; `false` if it was not closed.
    fn resume(&self, kind: GateKind, key: String, by: String) -> OperatorFuture<'_, bool>;

    /// Makes waiting deliveries due now. Limits hold as ever. Returns how many.
    fn flush(&self, which: Filter, by: String) -> OperatorFuture<'_, u64>;

    /// Takes what waits or is held of a message out of the queue. Returns how many deliveries; `None`: no such message.
    fn remove(&self, id: QueueId, how: RemoveRequest, by: String) -> OperatorFuture<'_, Option<u32>>;

    /// Lets a message that its verdict held go. Returns how many deliveries; `None`: no such message.
    fn release(&self, id: QueueId, how: ReleaseRequest, by: String) -> OperatorFuture<'_, Option<u32>>;

    /// What the doctor found when it last looked by itself.
    fn examined(&self) -> OperatorFuture<'_, Examined>;

    /// In whose name mail was sent lately, for a look of the doctor.
    fn sent(&self) -> OperatorFuture<'_, Sent>;

    /// Reads the configuration again. Returns what is different, one short phrase a section; a configuration that cannot
    /// be used is refused whole ([`OperatorError::Refused`]), and the daemon goes on with the old one.
    fn reload(&self, by: String) -> OperatorFuture<'_, Vec<String>>;
}

/// What the daemon does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: WallMs,
    /// Sessions of clients now open.
    pub sessions: u32,
    /// Connections to next hops now open.
    pub connections: u32,
    /// What is not as it should be, one sentence each, worst first: intake stopped, store unavailable, draining. Empty
    /// when all is well.
    pub troubles: Vec<String>,
}

/// How full one limit of one key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitUse {
    /// `account`, `egress` or `login`.
    pub kind: String,
    /// Which one.
    pub key: String,
    /// The rule with its unit, as in every report.
    pub rule: String,
    /// Slots used within the window.
    pub used: u32,
    /// Slots leased to attempts under way.
    pub leased: u32,
    /// How many there are.
    pub slots: u32,
    /// When the next one comes free; `None` if one is free now or no time can be said.
    pub next_slot: Option<WallMs>,
}

/// Why the daemon did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorError {
    /// The store could not.
    Store(StoreError),
    /// It is not to be done as asked: a reload with faults, a key that does not exist.
    Refused {
        /// What is wrong, one line each.
        faults: Vec<String>,
        /// What to do.
        advice: String,
    },
    /// The daemon is stopping.
    Stopping,
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for OperatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Refused { faults, .. } => f.write_str(&faults.join("\n")),
            Self::Stopping => f.write_str("outguard is stopping"),
        }
    }
}

impl std::error::Error for OperatorError {}

impl OperatorError {
    /// What the operator can do.
    pub fn advice(&self) -> &str {
        match self {
            Self::Store(error) => error.advice(),
            Self::Refused { advice, .. } => advice,
            Self::Stopping => "ask again after the start",
        }
    }
}
