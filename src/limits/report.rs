//! What limits tell: why a lease was refused and until when, that a limit is nearly used up, and how full each one is.

use std::fmt;
use std::sync::Arc;

use super::rule::KeyKind;
use super::timeline::Moment;

/// When a further slot comes free, if no further outcome comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextSlot {
    /// At that moment, and not a millisecond sooner.
    At(Moment),
    /// When an attempt under way ends; each end is a reason to ask again.
    AfterLeases,
    /// Not while the rule stands: it has no slots.
    Never,
}

impl NextSlot {
    /// A slot is free already.
    pub const NOW: Self = Self::At(Moment::BEGINNING);

    /// The one of two that decides where both must have room. A known time outweighs the leases under way: before it,
    /// asking again is in vain whatever they do.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::NOW, other) | (other, Self::NOW) => other,
            (Self::At(a), Self::At(b)) => Self::At(a.max(b)),
            (at @ Self::At(_), Self::AfterLeases) | (Self::AfterLeases, at @ Self::At(_)) => at,
            (Self::AfterLeases, Self::AfterLeases) => Self::AfterLeases,
        }
    }
}

/// What stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The window is full.
    Full,
    /// The rest of the egress's window is kept for accounts that used less than their share of it.
    FairReserve,
    /// The rest of the egress's window is kept for outguard's own mail: reports to senders.
    OwnReserve,
    /// The record does not reach back over the whole window, so what it does not show counts as used.
    RecordTooShort,
}

/// Which mail of the key a refusal stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of it.
    AllRoutes,
    /// That of the request's route, which has limits of its own.
    OneRoute,
}

/// Why no slot was leased. Nothing was taken from any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule as in every report: `account 200/h`.
    pub rule: Arc<str>,
    /// What kind of key it counts.
    pub kind: KeyKind,
    /// The account, egress or login.
    pub key: Arc<str>,
    /// What stood in the way.
    pub cause: Cause,
    /// Which mail of the key it stops.
    pub reach: Reach,
    /// When asking again is not in vain: for all keys and rules of the request, not only for the one named.
    pub next: NextSlot,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, kind, key, cause, .. } = self;
        match cause {
            Cause::Full => write!(f, "the limit {rule} of {kind} {key} is used up"),
            Cause::FairReserve => {
                write!(
                    f,
                    "the last tenth of {rule} of {kind} {key} is kept for accounts that used less than their share"
                )
            }
            Cause::OwnReserve => {
                write!(f, "the last fiftieth of {rule} of {kind} {key} is kept for reports to senders")
            }
            Cause::RecordTooShort => write!(
                f,
                "the limit {rule} of {kind} {key} reaches back further than the record of attempts, so it counts as used up"
            ),
        }?;
        match self.next {
            NextSlot::At(_) => Ok(()), // the caller knows the wall clock and names the time
            NextSlot::AfterLeases => f.write_str("; the next slot depends on attempts under way"),
            NextSlot::Never => f.write_str("; it has no slots, so nothing leaves until it is raised"),
        }
    }
}

/// A limit went over nine tenths; told once, and again only after it was below three quarters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The rule as in every report.
    pub rule: Arc<str>,
    /// What kind of key it counts.
    pub kind: KeyKind,
    /// The account, egress or login.
    pub key: Arc<str>,
    /// Slots taken, leased ones included.
    pub taken: u32,
    /// N.
    pub slots: u32,
}

/// How full one limit of one key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The rule as in every report.
    pub rule: Arc<str>,
    /// What kind of key it counts.
    pub kind: KeyKind,
    /// The account, egress or login.
    pub key: Arc<str>,
    /// Slots used within the window.
    pub used: u32,
    /// Slots leased to attempts under way.
    pub leased: u32,
    /// N.
    pub slots: u32,
    /// When one more fits under this rule alone; `At` a time that has been where one fits now.
    pub next: NextSlot,
}
