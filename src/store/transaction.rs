//! What goes into the transactions of [`Store`](super::Store), and what comes out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::proof::Stored;
use crate::account::{Account, AccountSource};
use crate::clock::{BootId, Now, WallMs};
use crate::event::Event;
use crate::guard::Verdict;
use crate::limits::Granted;
use crate::mail::{Envelope, QueueId};

/// The line of waiting mail that a delivery stands in: the name that routing gives to a next hop (route, login, and for
/// `mx` routes the recipient's domain). Made by routing, opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination(pub Arc<str>);

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message to be taken over.
#[derive(Debug)]
pub struct Acceptance {
    /// From [`Store::allocate`](super::Store::allocate).
    pub id: QueueId,
    /// When its content ended.
    pub received: Now,
    /// The client's address or socket, for log and history.
    pub client: String,
    /// Whom it counts against.
    pub account: Account,
    /// How that is known.
    pub source: AccountSource,
    /// Who it is from and for.
    pub envelope: Envelope,
    /// The destination of each recipient, in the envelope's order.
    pub destinations: Vec<Destination>,
    /// Dispatch's class, as a number.
    pub class: u8,
    /// The client MTA's queue id (XFORWARD IDENT, or its Received field).
    pub mta_id: Option<String>,
    /// The Message-ID field, cleaned and bounded.
    pub message_id: Option<String>,
    /// The domain of the From field, in its comparable form: what a login may be chosen by.
    pub header_from: Option<String>,
    /// Our own header fields, sent before the body.
    pub prefix: Bytes,
    /// What the guard said. [`Decision::Hold`](crate::guard::Decision::Hold) stores it as held.
    pub verdict: Verdict,
    /// Whether the header has bytes over 127, which needs SMTPUTF8 at the next hop.
    pub header_needs_utf8: bool,
    /// The content as received, dot-stuffing undone.
    pub body: Body,
    /// Which message this is a report on, and the event that says so.
    pub report_on: Option<(QueueId, Event)>,
}

/// The content of a message.
#[derive(Debug, Clone)]
pub enum Body {
    /// In memory, for the store's own table: at most [`Body::INLINE_BYTES_MAX`].
    Inline(Bytes),
    /// In a spool file, synced with its folder. Only a store makes one.
    Spooled(SpoolFile),
}

impl Body {
    /// Over this, a body goes to a file of its own.
    pub const INLINE_BYTES_MAX: usize = 64 * 1024;

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Spooled(file) => file.size_bytes,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A body in a file of the spool. Dropped without having become a message's, the file goes.
#[derive(Debug, Clone)]
pub struct SpoolFile {
    pub(in crate::store) entry: Arc<super::sqlite::spool::SpoolEntry>,
    pub(in crate::store) size_bytes: u64,
}

impl SpoolFile {
    /// Its first bytes, at most `bytes_max`.
    ///
    /// # Errors
    /// It cannot be read now.
    pub async fn first_bytes(&self, bytes_max: usize) -> Result<Bytes, StoreError> {
        super::sqlite::spool::first_bytes(Arc::clone(&self.entry), bytes_max).await
    }

    /// Reads all of it, piece by piece, into a state.
    ///
    /// # Errors
    /// It cannot be read now.
    pub async fn fold<T: Send + 'static>(
        &self,
        state: T,
        step: impl FnMut(&mut T, &[u8]) + Send + 'static,
    ) -> Result<T, StoreError> {
        super::sqlite::spool::fold(Arc::clone(&self.entry), state, step).await
    }
}

/// Which recipient of a message: its place in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u32);

/// What a message leaves with that was held or waited, made anew before it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// Our own header fields, in place of those that were made when it came.
    pub prefix: Bytes,
    /// Which of its deliveries stand elsewhere in line from now on.
    pub refiled: Vec<Refiled>,
}

/// A delivery that is to stand elsewhere in line. Where a reload filed it meanwhile, it stays there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refiled {
    /// Which.
    pub index: Index,
    /// Where it stood when it was looked at.
    pub from: Destination,
    /// Where it stands from now on.
    pub to: Destination,
}

/// One transaction with a next hop, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// Asks to record an attempt.
#[derive(Debug)]
pub struct LeaseRequest {
    /// Which message.
    pub message: QueueId,
    /// Which of its deliveries.
    pub deliveries: Vec<Index>,
    /// Whom it counts against.
    pub account: Account,
    /// The egress's name, by which gates are closed.
    pub egress: String,
    /// What the egress's limit counts by (its public address): kept with the attempt.
    pub counted_as: String,
    /// The login used at the smarthost.
    pub login: Option<String>,
    /// The route, for limits that a route overrides.
    pub route: String,
    /// The boot that `now.boot` belongs to.
    pub boot_id: BootId,
    /// When the slots were taken.
    pub leased: Now,
    /// The limits' proof that there were slots; `None` where nothing is counted (LMTP). The store only carries it: it
    /// comes back in the [`Lease`], or in the [`LeaseError`] so that the slots can be given back.
    pub granted: Option<Granted>,
}

/// A lease that was not made. No MAIL may be sent, and no row of it stays: the slots can be given back.
#[derive(Debug)]
pub struct LeaseError {
    /// Why.
    pub error: StoreError,
    /// The proof of the request, unless the store ended under way.
    pub granted: Option<Granted>,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for LeaseError {}

impl From<StoreError> for LeaseError {
    fn from(error: StoreError) -> Self {
        Self { error, granted: None }
    }
}

/// An attempt on record: leave to send MAIL for these deliveries.
#[derive(Debug)]
pub struct Lease {
    pub(in crate::store) attempt: AttemptId,
    pub(in crate::store) message: QueueId,
    pub(in crate::store) deliveries: Vec<Index>,
    pub(in crate::store) account: Account,
    pub(in crate::store) granted: Option<Granted>,
}

impl Lease {
    /// For tests of the rooms above, whose stores keep nothing.
    #[cfg(test)]
    pub(crate) fn pretended(message: QueueId, deliveries: Vec<Index>) -> Self {
        Self { attempt: AttemptId(1), message, deliveries, account: Account::named("test"), granted: None }
    }

    /// The attempt's row.
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Which message.
    pub fn message(&self) -> QueueId {
        self.message
    }

    /// Whom it counts against.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The limits' proof, to be spent when the outcome is known: the time that the limits give belongs into the
    /// [`Conclusion`]. `None` where nothing is counted, and the second time.
    pub fn take_granted(&mut self) -> Option<Granted> {
        self.granted.take()
    }

    /// The deliveries that are under way with it; empty if none was waiting any more.
    pub fn deliveries(&self) -> &[Index] {
        &self.deliveries
    }
}

/// The end of an attempt. It spends the lease.
#[derive(Debug)]
pub struct Conclusion {
    /// What was leased.
    pub lease: Lease,
    /// When it ended, as the limits took it.
    pub ended: Now,
    /// Where its slots go.
    pub slots: SlotsEnd,
    /// The outcome of each delivery of the lease; one that is missing waits again at once, with no attempt counted.
    pub outcomes: Vec<DeliveryEnd>,
    /// DSNs that stand in the place of what ended here.
    pub reports: Vec<Acceptance>,
    /// Further events of this attempt (an unknown end, a bounce to the operator).
    pub events: Vec<Event>,
    /// The next hop's name and address, for history.
    pub next_hop: String,
    /// The egress's name, for history.
    pub egress: String,
}

/// What became of the slots of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotsEnd {
    /// So many recipients' content began; the rest went back.
    Used {
        /// Recipients whose slots count.
        recipients: u32,
        /// Whether content began, which is what counts as a message.
        messages: u32,
    },
    /// No content left.
    Returned,
    /// The end is not known: all count, and for `unknown_grace` longer.
    Unknown,
}

/// The outcome of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEnd {
    /// Which recipient.
    pub index: Index,
    /// What became of it.
    pub outcome: DeliveryOutcome,
}

/// What became of one delivery in an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The next hop took it.
    Delivered {
        /// Its words.
        reply: String,
    },
    /// Not now.
    Deferred {
        /// When it is tried again.
        due: WallMs,
        /// The next hop's words or ours.
        reply: String,
        /// How much of its life time this costs: the wait until `due`, in milliseconds.
        spent_ms: u64,
    },
    /// Never. The DSN, if one is due, is among the reports of the same transaction.
    Bounced {
        /// The next hop's words or ours.
        reply: String,
        /// The report that stands in its place.
        dsn: Option<QueueId>,
    },
    /// It waits for a person.
    Held {
        /// Why.
        reason: String,
    },
}

/// Where a delivery stands (invariant 1: in exactly one of these).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Leaves by itself when its time, turn and slot come.
    Waiting,
    /// Waits for a person.
    Held,
    /// With a next hop now.
    UnderWay,
    /// Taken by a next hop.
    Delivered,
    /// Failed; reported.
    Bounced,
    /// Taken out by an operator.
    Removed,
}

/// What [`Store::conclude`](super::Store::conclude) gives.
#[derive(Debug)]
pub struct Concluded {
    /// The next lease of the same connection, if one was asked for and leases are possible now.
    pub next: Option<Stored<Lease>>,
    /// The proof of the next lease where it was not made: its slots can be given back.
    pub next_granted: Option<Granted>,
    /// The proof of the lease that ended, if nobody had taken it.
    pub granted: Option<Granted>,
    /// Whether the message has no delivery left, so that its body is gone.
    pub message_ended: bool,
    /// Reports that could not be stored for a fault of their own: the outcomes hold, and an event tells the operator.
    pub reports_lost: Vec<QueueId>,
}
