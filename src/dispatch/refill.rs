//! Between the heads here and the waiting mail in the store: adding, refilling, taking out.
//!
//! The order of a line is the store's. Once a line has more in the store than here, what comes is not kept but found
//! there later, behind what came before it. A reading of the store may be older than an addition made while it ran; so
//! such an addition keeps the line from being called complete.

use crate::limits::Moment;
use crate::mail::QueueId;

use super::line::{AccountId, HopId, InStore, Item, Line, LineNo};
use super::schedule::{Again, Dispatch};

/// The most heads of a line.
pub(super) const LINE_HEADS_MAX: usize = 64;
/// Heads that every line may have, whatever the others have.
pub(super) const LINE_HEADS_SURE: usize = 2;
/// Heads of all lines together, beside the sure ones, in 16 bytes each.
pub(super) const HEADS_SPARE: usize = 16_384;

/// What became of an addition. Nothing is lost by either: the message is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It stands in its line here.
    Kept,
    /// It is left in the store, and a refill will find it.
    Overflowed,
}

/// Whether the store has more of a line than was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// That was all that is due.
    None,
    /// There is more, or the reading failed.
    InStore,
}

impl Dispatch {
    /// A message waits and is due: accepted, released, or at its time to be tried again.
    pub fn add(&mut self, line: Line, item: Item) -> Added {
        let Some(no) = self.make_line(line) else { return Added::Overflowed };
        if let Some(again) = self.under_way.get_mut(&(no, item.id)) {
            *again = Again::Yes;
            return Added::Overflowed;
        }
        self.unready(no);
        let has_room = self.has_room(no);
        let state = self.state_mut(no);
        let added = if let Some(known) = state.heads.find_mut(item.id) {
            known.recipients = known.recipients.saturating_add(item.recipients);
            Added::Kept
        } else if state.store == InStore::Nothing && has_room {
            state.heads.push_back(item);
            self.heads += 1;
            Added::Kept
        } else {
            self.more_in_store(no);
            Added::Overflowed
        };
        self.ready(no);
        self.ask_for_refill(no);
        added
    }

    /// A line has waiting mail in the store: found at start, or in a round through lines that had no room here.
    pub fn add_from_store(&mut self, line: Line) -> Added {
        let Some(no) = self.make_line(line) else { return Added::Overflowed };
        self.more_in_store(no);
        self.ask_for_refill(no);
        Added::Kept
    }

    /// The next line to be read from the store, with how many messages to read at most. The answer is
    /// [`Dispatch::refill`]; until then the line is not named again.
    pub fn needs_refill(&mut self) -> Option<(Line, usize)> {
        while let Some(no) = self.to_refill.pop_front() {
            // The line may have been taken out since, with its hop, and in a quiet moment the place as well.
            let state = self.lines.get_mut(no.place()).and_then(Option::as_mut);
            let Some(state) = state.filter(|state| state.store == InStore::Asked) else { continue };
            state.store = InStore::Reading;
            let line = state.line;
            // One more than has room: those under way are read too, and must not crowd out the rest.
            let most = self.heads_max() + usize::from(self.state(no).turns);
            return Some((line, most));
        }
        None
    }

    /// What the store has of a line, from its first due message on.
    pub fn refill(&mut self, line: Line, items: impl IntoIterator<Item = Item>, more: More) {
        let Some(no) = self.line_no(line) else { return };
        let outdated = self.state(no).store == InStore::ReadingStale;
        self.unready(no);
        let mut left_out = false;
        let mut kept = 0;
        for item in items {
            if let Some(again) = self.under_way.get_mut(&(no, item.id)) {
                // It may have recipients that are not of the turn under way: asked again when that ends.
                *again = Again::Yes;
                continue;
            }
            let has_room = self.has_room(no);
            let heads = &mut self.state_mut(no).heads;
            if let Some(known) = heads.find_mut(item.id) {
                known.recipients = known.recipients.max(item.recipients);
            } else if has_room {
                heads.push_back(item);
                self.heads += 1;
                kept += 1;
            } else {
                left_out = true;
            }
        }
        let state = self.state_mut(no);
        state.store = if outdated || left_out || more == More::InStore { InStore::More } else { InStore::Nothing };
        self.ready(no);
        if kept > 0 || more == More::None {
            self.ask_for_refill(no);
        } else {
            self.ask_again(no);
        }
        self.forget_line_if_idle(no);
    }

    /// Whether the store has lines that had no room here; asking answers it. The caller reads the store's lines and adds
    /// them ([`Dispatch::add_from_store`]) once [`Dispatch::has_line_room`].
    pub fn take_lines_in_store(&mut self) -> bool {
        self.has_line_room() && std::mem::take(&mut self.lines_in_store)
    }

    /// Whether there is room for further lines: a tenth is free, so that a round is worth its while.
    pub fn has_line_room(&self) -> bool {
        self.index.len() <= self.lines_max - self.lines_max / 10
    }

    /// Takes waiting messages out: held, discarded, moved. Those under way end as they end.
    pub fn remove(&mut self, line: Line, named: impl FnMut(QueueId) -> bool) {
        let Some(no) = self.line_no(line) else { return };
        self.unready(no);
        self.heads -= self.state_mut(no).heads.remove(named);
        self.ready(no);
        self.ask_for_refill(no);
        self.forget_line_if_idle(no);
    }

    /// The lines of an account.
    pub fn lines_of(&self, account: AccountId) -> impl Iterator<Item = Line> + '_ {
        let first = self.accounts.get(&account).and_then(|state| state.lines);
        std::iter::successors(first, |no| self.state(*no).after).map(|no| self.state(no).line)
    }

    /// Takes all lines of a hop out, for its mail does not wait any more. Turns under way end as they end.
    pub fn take_hop(&mut self, hop: HopId) {
        let count = self.hops.get(&hop).map_or(0, |state| state.lines as usize);
        let lines = self.index.iter().filter(|(line, _)| line.hop == hop).map(|(_, no)| *no);
        let lines: Vec<LineNo> = lines.take(count).collect();
        for no in lines {
            self.empty_line(no);
        }
    }

    /// Takes all lines out, for they are read anew from the store. Turns under way end as they end.
    pub fn take_all(&mut self) {
        let lines: Vec<LineNo> = self.index.values().copied().collect();
        for no in lines {
            self.empty_line(no);
        }
    }

    fn empty_line(&mut self, no: LineNo) {
        self.unready(no);
        let state = self.state_mut(no);
        state.store = InStore::Nothing;
        self.heads -= self.state_mut(no).heads.remove(|_| true);
        self.forget_line_if_idle(no);
    }

    /// Notes that the store has more of a line than stands here.
    pub(super) fn more_in_store(&mut self, no: LineNo) {
        let state = self.state_mut(no);
        state.store = match state.store {
            InStore::Nothing | InStore::More => InStore::More,
            InStore::Asked => InStore::Asked,
            InStore::Reading | InStore::ReadingStale => InStore::ReadingStale,
        };
    }

    /// Asks for a refill where few heads are left, the store has more, and the line may go on.
    pub(super) fn ask_for_refill(&mut self, no: LineNo) {
        let low = self.state(no).heads.len() * 4 <= self.heads_max();
        let state = self.state(no);
        let free = state.parked_until == Moment::BEGINNING && self.account(state.line.account).may_go();
        if state.store == InStore::More && low && free {
            self.ask_again(no);
        }
    }

    fn ask_again(&mut self, no: LineNo) {
        let state = self.state_mut(no);
        if state.store == InStore::More {
            state.store = InStore::Asked;
            self.to_refill.push_back(no);
        }
    }

    fn has_room(&self, no: LineNo) -> bool {
        self.state(no).heads.len() < self.heads_max()
    }

    /// How many heads a line may have now: fewer where many lines have some.
    pub(super) fn heads_max(&self) -> usize {
        if self.heads < HEADS_SPARE + LINE_HEADS_SURE * self.index.len() { LINE_HEADS_MAX } else { LINE_HEADS_SURE }
    }
}
