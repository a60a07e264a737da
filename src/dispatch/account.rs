//! What dispatch knows of an account: how much it had, and whether it may go on.

use crate::limits::Moment;

use super::line::LineNo;
use super::settings::Weight;

/// An account with lines, or one that had its turn a moment ago.
#[derive(Debug)]
pub(super) struct AccountState {
    pub(super) weight: Weight,
    /// By class: where its last turn ends in virtual time.
    pub(super) finish: [u64; 2],
    /// [`Moment::BEGINNING`]: not parked; [`Moment::END`]: until told.
    pub(super) parked_until: Moment,
    /// A gate stands: held mail does not move, whatever the limits say.
    pub(super) gated: bool,
    /// The first of its lines.
    pub(super) lines: Option<LineNo>,
}

impl AccountState {
    pub(super) fn new(weight: Weight) -> Self {
        Self { weight, finish: [0; 2], parked_until: Moment::BEGINNING, gated: false, lines: None }
    }

    pub(super) fn may_go(&self) -> bool {
        !self.gated && self.parked_until == Moment::BEGINNING
    }
}
