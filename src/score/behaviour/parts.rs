//! Whether messages that say the same are parts of one.
//!
//! Some MTAs send each recipient of a message a transaction of its own; most send one for all, and split only a message to
//! more than they put into one. Where mail comes like that, single copies of one text under one Message-ID are no parts but
//! a flood, whatever they look like.

use super::bytes::{Reader, Writer};
use super::footprint::Footprint;
use super::habit::Habit;
use super::peers::Peers;

/// Recipients of a message before its further parts are what an MTA splits off.
const FULL_RECIPIENTS: u32 = 20;
/// Days of accounts on which messages came whole before that is known to be the way.
const WHOLE_DAYS_MIN: u32 = 10;
/// Such days on which messages came in short parts, one in so many, make it the way of some client.
const APART_DAYS_PART: u32 = 20;
/// When so many days are counted, all are halved.
const DAYS_MAX: u32 = 1_000;
/// The share of an account's days with short parts from which on they are its way.
pub(super) const OWN_DAYS: f64 = 0.05;

/// What a message is to the one that its account sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Part {
    /// Another message.
    #[default]
    None,
    /// One more part of a message to many.
    OfMany,
    /// One more part of a message to a few.
    OfFew,
    /// It looks like a part of a message to a few, but mail comes whole here.
    Doubtful,
}

impl Part {
    /// What that message is.
    pub(super) fn of(habit: &Habit, peers: &Peers, seen: &Footprint) -> Self {
        if !habit.recent.is_part(seen.whole, seen.at.0) {
            Self::None
        } else if habit.recent.latest_recipients() >= FULL_RECIPIENTS {
            Self::OfMany
        } else if habit.usual.apart.as_f64() >= OWN_DAYS || peers.ways.has_parts() {
            Self::OfFew
        } else {
            Self::Doubtful
        }
    }

    /// Whether it is no message of its own.
    pub(super) fn is_part(self) -> bool {
        matches!(self, Self::OfMany | Self::OfFew)
    }
}

/// How messages to several come, by the days of all accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ways {
    /// Days on which one came whole.
    whole: u32,
    /// Days on which one to a few came in parts.
    apart: u32,
}

impl Ways {
    /// Whether a message to a few may come in parts, as far as is known.
    fn has_parts(self) -> bool {
        self.whole < WHOLE_DAYS_MIN || self.apart.saturating_mul(APART_DAYS_PART) >= self.whole
    }

    /// Takes the finished day of one account.
    pub(super) fn learn(&mut self, whole: u32, apart: u32) {
        self.whole = self.whole.saturating_add(whole.min(1));
        self.apart = self.apart.saturating_add(apart.min(1));
        if self.whole.max(self.apart) >= DAYS_MAX {
            (self.whole, self.apart) = (self.whole / 2, self.apart / 2);
        }
    }

    pub(super) fn write(self, to: &mut Writer) {
        to.u32(self.whole);
        to.u32(self.apart);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { whole: from.u32()?, apart: from.u32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_learned_and_learned_anew() {
        let cases = [
            (0, 0, true, "nothing is known"),
            (9, 0, true, "little is known"),
            (10, 0, false, "mail comes whole"),
            (100, 4, false, "but for a few days"),
            (100, 5, true, "some client sends in parts"),
            (0, 50, true, "it always comes in parts"),
            (5_000, 0, false, "for years"),
        ];
        for (whole, apart, expected, why) in cases {
            let mut ways = Ways::default();
            (0..whole).for_each(|_| ways.learn(3, 0));
            (0..apart).for_each(|_| ways.learn(0, 7));
            assert_eq!(ways.has_parts(), expected, "{why}: {ways:?}");
            assert!(ways.whole < DAYS_MAX && ways.apart < DAYS_MAX);
            (0..100).for_each(|_| ways.learn(0, 1));
            assert!(ways.has_parts(), "another MTA: {ways:?}");
        }
    }
}
