//! What passes between dispatch and the connection that asked: an offer, the answer of the limits, a turn.

use crate::limits::Moment;
use crate::mail::QueueId;

use super::line::{Line, LineNo};

/// A turn that may be taken, for the caller to say whether its recipients fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Whose mail, and where to.
    pub line: Line,
    /// Which message.
    pub id: QueueId,
    /// The most recipients the turn may have.
    pub recipients: u32,
}

/// What the limits say to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// So many of its recipients fit, at least one; they are leased.
    Take(u32),
    /// The account may not go on before then, at any hop.
    ParkAccount(Moment),
    /// Nobody may go on at this hop before then.
    ParkHop(Moment),
    /// This line may not go on before then.
    ParkLine(Moment),
    /// No turn now; nothing is parked.
    Stop,
}

/// Leave to send some recipients of one message over a connection to its hop. It is spent by [`Dispatch::finish`](super::Dispatch::finish),
/// [`Dispatch::put_back`](super::Dispatch::put_back) or [`Dispatch::annul`](super::Dispatch::annul); one that was dropped is told by its id ([`Dispatch::lost`](super::Dispatch::lost)).
#[must_use = "the message stays under way until the turn is spent"]
#[derive(Debug)]
pub struct Turn {
    id: TurnId,
    line: Line,
    recipients: u32,
    left: u32,
}

/// Which turn it was; stays valid as a name after its [`Turn`] is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TurnId {
    pub(super) line: LineNo,
    pub(super) message: QueueId,
}

impl Turn {
    pub(super) fn new(id: TurnId, line: Line, recipients: u32, left: u32) -> Self {
        Self { id, line, recipients, left }
    }

    /// Ends the proof: nobody can spend it twice.
    pub(super) fn spend(self) -> TurnId {
        self.id
    }

    /// The name of this turn.
    pub fn id(&self) -> TurnId {
        self.id
    }

    /// Whose mail, and where to.
    pub fn line(&self) -> Line {
        self.line
    }

    /// Which message.
    pub fn message(&self) -> QueueId {
        self.id.message
    }

    /// How many recipients the turn may have. The store says which; it may know of fewer.
    pub fn recipients(&self) -> u32 {
        self.recipients
    }

    /// How many of the message's recipients wait here beside those, as far as dispatch knows.
    pub fn left(&self) -> u32 {
        self.left
    }
}
