//! One hop: the lines that are ready for it in their fair order, and its connections.

use std::collections::BTreeSet;

use crate::limits::Moment;

use super::class::Class;
use super::line::LineNo;

/// A hop with mail, connections or a park.
#[derive(Debug)]
pub(super) struct HopState {
    /// By class: ready lines by their tag.
    ready: [BTreeSet<(u64, LineNo)>; 2],
    /// By class: the virtual time that accounts are compared by, the tag of the last turn.
    pub(super) virtual_now: [u64; 2],
    /// By class: where its last turn ends, in the virtual time that classes are compared by.
    class_finish: [u64; 2],
    class_now: u64,
    /// [`Moment::BEGINNING`]: not parked; [`Moment::END`]: until told.
    pub(super) parked_until: Moment,
    pub(super) gated: bool,
    pub(super) connections_max: u32,
    /// Connections open or being opened.
    pub(super) open: u32,
    /// Turns under way.
    pub(super) turns: u32,
    /// Messages in ready lines.
    pub(super) free_messages: u32,
    /// Lines of any state.
    pub(super) lines: u32,
    /// Whether it stands in the list of hops that may want a connection.
    pub(super) listed: bool,
}

impl HopState {
    pub(super) fn new(connections_max: u32, virtual_now: [u64; 2]) -> Self {
        Self {
            ready: Default::default(),
            virtual_now,
            class_finish: [0; 2],
            class_now: 0,
            parked_until: Moment::BEGINNING,
            gated: false,
            connections_max,
            open: 0,
            turns: 0,
            free_messages: 0,
            lines: 0,
            listed: false,
        }
    }

    pub(super) fn may_go(&self) -> bool {
        !self.gated && self.parked_until == Moment::BEGINNING
    }

    /// Free mail, and fewer connections than the limit and than turns that could be under way at once.
    pub(super) fn wants_connection(&self) -> bool {
        let backlog = self.free_messages.saturating_add(self.turns);
        self.may_go() && self.free_messages > 0 && self.open < self.connections_max.min(backlog)
    }

    /// Nothing left to know: it can be forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.lines == 0 && self.open == 0 && self.turns == 0 && self.may_go()
    }

    pub(super) fn insert(&mut self, class: Class, tag: u64, line: LineNo, messages: usize) {
        self.ready[class as usize].insert((tag, line));
        self.free_messages += u32::try_from(messages).unwrap_or(u32::MAX);
    }

    pub(super) fn remove(&mut self, class: Class, tag: u64, line: LineNo, messages: usize) {
        let was_there = self.ready[class as usize].remove(&(tag, line));
        assert!(was_there, "a ready line stands in its hop's set under its tag");
        self.free_messages -= u32::try_from(messages).unwrap_or(u32::MAX);
    }

    pub(super) fn ready_lines(&self) -> usize {
        self.ready.iter().map(BTreeSet::len).sum()
    }

    pub(super) fn ready(&self, class: Class) -> impl ExactSizeIterator<Item = LineNo> + '_ {
        self.ready[class as usize].iter().map(|(_, line)| *line)
    }

    /// The line whose turn it is: of the class that had less than its share, the account that had less than its.
    pub(super) fn first(&self) -> Option<LineNo> {
        let start = |class: Class| self.class_finish[class as usize].max(self.class_now);
        let waiting = Class::ALL.into_iter().filter(|class| !self.ready[*class as usize].is_empty());
        // `min_by_key` takes the first of equals, and the small mail stands first.
        let class = waiting.min_by_key(|class| start(*class))?;
        self.ready[class as usize].first().map(|(_, line)| *line)
    }

    /// Counts a turn: of that class, with that tag, for so many recipients.
    pub(super) fn charge(&mut self, class: Class, tag: u64, recipients: u32, bulk_share_percent: u32) {
        let share = match class {
            Class::Transactional => 100 - bulk_share_percent,
            Class::Bulk => bulk_share_percent,
        };
        let start = self.class_finish[class as usize].max(self.class_now);
        self.class_now = start;
        self.class_finish[class as usize] = start + u64::from(recipients) * 1_000_000 / u64::from(share.max(1));
        let virtual_now = &mut self.virtual_now[class as usize];
        *virtual_now = tag.max(*virtual_now);
    }
}
