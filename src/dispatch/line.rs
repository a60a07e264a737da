//! A line: the mail of one account, of one class, to one hop; and what stands in it.

use crate::limits::Moment;
use crate::mail::QueueId;

use super::class::Class;
use super::heads::Heads;

/// An account by its number ([`super::Names`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

/// A way onward by its number: route, egress, login and destination together ([`super::Names`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HopId(pub u32);

/// The name of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// Whose mail.
    pub account: AccountId,
    /// Of which class.
    pub class: Class,
    /// Where it goes on.
    pub hop: HopId,
}

/// A message in a line. The store knows which recipients; how many there are is a hint that sizes the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Which message.
    pub id: QueueId,
    /// How many of its recipients wait for that hop and are due, at least one.
    pub recipients: u32,
}

/// A line as it is kept.
#[derive(Debug)]
pub(super) struct LineState {
    pub(super) line: Line,
    /// Its place in the fair order while it is ready.
    pub(super) tag: u64,
    /// How far the tag may move on while it is ready, for turns that its account has elsewhere.
    pub(super) tag_max: u64,
    /// [`Moment::BEGINNING`]: not parked; [`Moment::END`]: until told.
    pub(super) parked_until: Moment,
    pub(super) heads: Heads,
    /// Neighbours in the list of the account's lines.
    pub(super) before: Option<LineNo>,
    pub(super) after: Option<LineNo>,
    /// Turns under way.
    pub(super) turns: u16,
    /// Whether it stands in its hop's ready set.
    pub(super) ready: bool,
    pub(super) store: InStore,
}

/// What a line knows of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InStore {
    /// All that is due is here or under way.
    Nothing,
    /// There is more, or may be.
    More,
    /// There is more, and the line stands in the list of lines to refill.
    Asked,
    /// The store is being read.
    Reading,
    /// The store is being read, and something was added that the reading may have missed.
    ReadingStale,
}

/// A line by its place, one from the start so that none costs nothing. Valid while the line has heads, turns under way or
/// more in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LineNo(pub(super) std::num::NonZeroU32);

impl LineNo {
    pub(super) fn at(place: usize) -> Self {
        let number = u32::try_from(place + 1).ok().and_then(std::num::NonZeroU32::new);
        Self(number.expect("there are at most LINES_MAX lines"))
    }

    pub(super) fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}
