//! One used slot in 8 bytes: when its attempt ended, to the millisecond, and whose it was.

use std::fmt;

use super::rate::WINDOW_MS_MAX;
use super::timeline::Moment;

/// Bits for the owner; the other 40 are milliseconds, which are 34 years.
const OWNER_BITS: u32 = 24;
const TIME_MS_MAX: u64 = u64::MAX >> OWNER_BITS;
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

/// A used slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u64);

impl Slot {
    /// Nothing is rounded: [`Slot::ended`] gives `ended` back. One before [`ORIGIN`] counts as of then, later than it was
    /// and still too old for any window.
    pub(super) fn new(ended: Moment, owner: Owner) -> Self {
        Self(ended.since_ms(ORIGIN).min(TIME_MS_MAX) << OWNER_BITS | u64::from(owner.0))
    }

    /// When its attempt ended.
    pub(super) fn ended(self) -> Moment {
        ORIGIN.plus_ms(self.0 >> OWNER_BITS)
    }

    /// Whose it is.
    pub(super) fn owner(self) -> Owner {
        Owner(u32::try_from(self.0 & u64::from(Owner::NOBODY.0)).expect("24 bits"))
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
            ("thirty years up", boot.plus_ms(30 * 366 * DAY_MS)),
        ];
        for (reason, ended) in times {
            for place in [0, 1, 4_711, 10_000_000, Owner::NOBODY.place() - 1] {
                let slot = Slot::new(ended, Owner::at(place).unwrap());
                assert_eq!((slot.ended(), slot.owner().place()), (ended, place), "{reason}");
            }
            assert_eq!(Slot::new(ended, Owner::NOBODY).owner(), Owner::NOBODY, "{reason}");
        }
        assert_eq!(Owner::at(Owner::NOBODY.place()), None);
        assert_eq!(size_of::<Slot>(), 8);
    }

    #[test]
    fn an_end_too_old_for_the_bits_is_too_old_for_any_window() {
        let slot = Slot::new(Moment::BEGINNING, Owner::NOBODY);
        let longest_ms = WINDOW_MS_MAX + WINDOW_MS_MAX.div_ceil(1_000);
        assert!(slot.ended().plus_ms(longest_ms) <= Moment::of_boot(BootMs(0)));
    }
}
