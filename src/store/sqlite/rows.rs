//! The numbers and texts of the tables, and the values they stand for.

use crate::account::AccountSource;
use crate::guard::{Decision, Verdict};
use crate::limits::WallClock;
use crate::store::{DeliveryState, GateKind};

/// The bits of `message.flags`.
pub(super) mod flag {
    pub(in super::super) const EIGHT_BIT: i64 = 1;
    pub(in super::super) const SMTPUTF8: i64 = 2;
    pub(in super::super) const HEADER_UTF8: i64 = 4;
    pub(in super::super) const RET_FULL: i64 = 8;
    pub(in super::super) const RET_HEADERS: i64 = 16;
    pub(in super::super) const SPOOLED: i64 = 32;
    /// It came while nobody called the wall clock right.
    pub(in super::super) const UNDATED: i64 = 64;
}

/// `delivery.state`. The partial indexes and all statements rest on these: waiting, held and under way are up to 2.
pub(super) const fn state_number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Waiting => 0,
        DeliveryState::Held => 1,
        DeliveryState::UnderWay => 2,
        DeliveryState::Delivered => 3,
        DeliveryState::Bounced => 4,
        DeliveryState::Removed => 5,
    }
}

/// The state of that number.
pub(super) const fn state(number: i64) -> Option<DeliveryState> {
    Some(match number {
        0 => DeliveryState::Waiting,
        1 => DeliveryState::Held,
        2 => DeliveryState::UnderWay,
        3 => DeliveryState::Delivered,
        4 => DeliveryState::Bounced,
        5 => DeliveryState::Removed,
        _ => return None,
    })
}

/// `attempt.state`.
pub(super) mod attempt {
    pub(in super::super) const LEASED: i64 = 0;
    pub(in super::super) const USED: i64 = 1;
    pub(in super::super) const RETURNED: i64 = 2;
    pub(in super::super) const UNKNOWN: i64 = 3;
}

/// What `received` was read from.
pub(super) const fn dated(flags: i64) -> WallClock {
    if flags & flag::UNDATED == 0 { WallClock::Synchronised } else { WallClock::Unsynchronised }
}

/// The kind of a gate by its word.
pub(super) fn gate_kind(word: &str) -> Option<GateKind> {
    [GateKind::All, GateKind::Account, GateKind::Egress].into_iter().find(|kind| kind.as_str() == word)
}

/// The source of an account by its word.
pub(super) fn source(word: &str) -> Option<AccountSource> {
    use AccountSource as S;
    [
        S::Login,
        S::Xclient,
        S::MailAuth,
        S::Received,
        S::LocalUser,
        S::HeaderField,
        S::ReversePath,
        S::NullReversePath,
        S::Own,
    ]
    .into_iter()
    .find(|source| source.as_str() == word)
}

/// Whether a verdict is the one that most messages have, which is stored as nothing.
pub(super) fn is_plain(verdict: &Verdict) -> bool {
    *verdict == plain_verdict()
}

/// Send, no points, no reasons.
pub(super) fn plain_verdict() -> Verdict {
    Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() }
}
