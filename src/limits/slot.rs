//! One used slot in 7 bytes: when its attempt ended, to the millisecond, and whose it was.

use std::fmt;

use super::rate::WINDOW_MS_MAX;
use super::timeline::Moment;

/// Bits for the owner: 131,071 accounts in one window. The other 39 are milliseconds, which are 17 years.
const OWNER_BITS: u32 = 17;
const TIME_BITS: u32 = 7 * 8 - OWNER_BITS;
const TIME_MS_MAX: u64 = (1 << TIME_BITS) - 1;
/// What slots count from: longer before this boot than any window is, so that an end before it takes no slot any more.
const ORIGIN: Moment = Moment::of_boot(crate::clock::BootMs(0)).minus_ms(2 * WINDOW_MS_MAX);

/// An account of an egress's window, by its place in [`FairLog`](super::fair::FairLog).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Owner(u32);

impl Owner {
    /// Nobody that is known: where nothing is kept for others, and beyond the places there are.
    pub(super) const NOBODY: Self = Self((1 << OWNER_BITS) - 1);

    /// The owner at that place; `None` if there are no more.
    pub(super) fn at(place: usize) -> Option<Self> {
        u32::try_from(place).ok().filter(|place| *place < Self::NOBODY.0).map(Self)
    }

    /// Its place; nothing is there for [`Owner::NOBODY`].
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

/// A used slot. In bytes, for a `u64` would be eight of them and aligned; one byte of eight is left for the air that a
/// buffer needs to grow ([`Ring`](super::ring::Ring)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot([u8; 7]);

impl Slot {
    /// Nothing is rounded: [`Slot::ended`] gives `ended` back. One before [`ORIGIN`] counts as of then, later than it was
    /// and still too old for any window. One past the bits, on a machine that is up for 17 years, never ends: no slot may
    /// look older than it is (invariant 2).
    pub(super) fn new(ended: Moment, owner: Owner) -> Self {
        let bits = ended.since_ms(ORIGIN).min(TIME_MS_MAX) << OWNER_BITS | u64::from(owner.0);
        let [b0, b1, b2, b3, b4, b5, b6, _] = bits.to_le_bytes();
        Self([b0, b1, b2, b3, b4, b5, b6])
    }

    /// When its attempt ended.
    pub(super) fn ended(self) -> Moment {
        match self.bits() >> OWNER_BITS {
            TIME_MS_MAX => Moment::END,
            ms => ORIGIN.plus_ms(ms),
        }
    }

    /// Whose it is.
    pub(super) fn owner(self) -> Owner {
        Owner(u32::try_from(self.bits() & u64::from(Owner::NOBODY.0)).expect("17 bits"))
    }

    fn bits(self) -> u64 {
        let [b0, b1, b2, b3, b4, b5, b6] = self.0;
        u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, 0])
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.ended(), self.owner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootMs;

    const DAY_MS: u64 = 24 * 3_600_000;

    #[test]
    fn time_and_owner_are_kept_exactly() {
        let boot = Moment::of_boot(BootMs(0));
        let times = [
            ("the boot", boot),
            ("beside it", boot.plus_ms(1)),
            ("the longest window before it", boot.minus_ms(WINDOW_MS_MAX + WINDOW_MS_MAX.div_ceil(1_000))),
            ("seventeen years up", boot.plus_ms(17 * 365 * DAY_MS)),
        ];
        for (reason, ended) in times {
            for place in [0, 1, 4_711, 100_000, Owner::NOBODY.place() - 1] {
                let slot = Slot::new(ended, Owner::at(place).unwrap());
                assert_eq!((slot.ended(), slot.owner().place()), (ended, place), "{reason}");
            }
            assert_eq!(Slot::new(ended, Owner::NOBODY).owner(), Owner::NOBODY, "{reason}");
        }
        assert_eq!(Owner::at(Owner::NOBODY.place()), None);
        assert_eq!((size_of::<Slot>(), align_of::<Slot>()), (7, 1));
    }

    #[test]
    fn an_end_too_old_for_the_bits_is_too_old_for_any_window() {
        let slot = Slot::new(Moment::BEGINNING, Owner::NOBODY);
        let longest_ms = WINDOW_MS_MAX + WINDOW_MS_MAX.div_ceil(1_000);
        assert!(slot.ended().plus_ms(longest_ms) <= Moment::of_boot(BootMs(0)));
    }

    #[test]
    fn no_time_makes_a_slot_look_older_than_it_is() {
        let last = ORIGIN.plus_ms(TIME_MS_MAX - 1);
        let times = [
            ("before the line's beginning for slots", ORIGIN.minus_ms(1)),
            ("the last that fits", last),
            ("one beside it", last.plus_ms(1)),
            ("far past it", last.plus_ms(1 << 50)),
            ("the end", Moment::END),
        ];
        for (reason, ended) in times {
            assert!(Slot::new(ended, Owner::NOBODY).ended() >= ended, "{reason}");
        }
        assert_eq!(Slot::new(last, Owner::NOBODY).ended(), last);
        assert_eq!(Slot::new(last.plus_ms(1), Owner::NOBODY).ended(), Moment::END);
    }
}
