//! One line of time for stored and living moments, whatever boots and clock steps lie between them.
//!
//! Limits are kept on the boot clock, which no step of the wall clock moves. A moment stored in an earlier boot has to
//! be placed on the clock of this one: by the wall clock where it may be believed, and else as late as it can have been,
//! which errs towards waiting (invariant 2).

use crate::clock::{BootId, BootMs, Now, WallMs};

/// Where this boot begins on the line, in milliseconds: far enough from zero for 35 years before it.
const BOOT_START_MS: u64 = 1 << 40;

/// A point on the line of time that limits and dispatch are kept on, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Before everything that can be stored.
    pub const BEGINNING: Self = Self(0);
    /// After everything that can be reached.
    pub const END: Self = Self(u64::MAX);

    /// That moment of this boot.
    pub const fn of_boot(boot: BootMs) -> Self {
        Self(BOOT_START_MS.saturating_add(boot.0))
    }

    /// The moment that many milliseconds from the line's beginning.
    pub(super) const fn at_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds from the line's beginning.
    pub(super) const fn ms(self) -> u64 {
        self.0
    }

    /// The same moment on the boot clock; the boot's start for moments before it.
    pub const fn to_boot(self) -> BootMs {
        BootMs(self.0.saturating_sub(BOOT_START_MS))
    }

    /// So much later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// So much earlier.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// How long after `earlier` this is, in milliseconds; zero if it is not after it.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The wall time of this moment, as far as the present reading of both clocks says.
    pub fn to_wall(self, now: Now) -> WallMs {
        let present = Self::of_boot(now.boot);
        WallMs(now.wall.0.saturating_add(self.since_ms(present)).saturating_sub(present.since_ms(self)))
    }
}

impl From<Now> for Moment {
    fn from(now: Now) -> Self {
        Self::of_boot(now.boot)
    }
}

/// A moment as the store keeps it: both clocks, and the boot that the first belongs to. Always one that has been, never a
/// planned one: the last of a boot is what the next boot is measured from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The boot that `boot_ms` counts from.
    pub boot: BootId,
    /// The boot clock.
    pub boot_ms: BootMs,
    /// The wall clock, read at the same time.
    pub wall_ms: WallMs,
}

/// How the gap between the last stored moment and this boot was bridged; the second is for the log to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bridge {
    /// By the wall clock, or nothing of another boot is stored.
    Wall,
    /// Not at all: the clock is not synchronised, or shows a time before the last stored one. No time counts as passed
    /// between that moment and the start of this boot, so slots of before may be taken for longer than they need be.
    NoTimePassed,
}

/// Places stored moments on the line of this boot.
#[derive(Debug, Clone)]
pub struct Timeline {
    boot: BootId,
    /// Earlier boots, oldest first: the id, and where their boot clock's zero lies on the line. It may lie before the
    /// line's beginning where nothing but the wall clock's error separates them.
    zeroes: Vec<(BootId, i128)>,
    bridge: Bridge,
}

/// Whether the kernel calls the wall clock synchronised ([`crate::clock::Clock::synchronised`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WallClock {
    /// Synchronised: believed across boots.
    Synchronised,
    /// Free-running: not compared with anything of another boot.
    Unsynchronised,
}

impl Timeline {
    /// The line of this boot. `stored` holds moments of the record in the order they were stored, of any boots; only
    /// the last of each boot is used, to bridge to the boot after it.
    pub fn new<'a>(boot: BootId, now: Now, clock: WallClock, stored: impl IntoIterator<Item = &'a Stamp>) -> Self {
        let mut lasts: Vec<&Stamp> = Vec::new();
        for stamp in stored.into_iter().filter(|stamp| stamp.boot != boot) {
            match lasts.iter_mut().rfind(|last| last.boot == stamp.boot) {
                Some(last) if last.boot_ms <= stamp.boot_ms => *last = stamp,
                Some(_) => {}
                None => lasts.push(stamp),
            }
        }
        let believed = clock == WallClock::Synchronised && lasts.last().is_none_or(|last| last.wall_ms <= now.wall);
        let bridge = if believed || lasts.is_empty() { Bridge::Wall } else { Bridge::NoTimePassed };
        // Each boot ended before the next began, and the last of them before this one. What cannot be known better is put
        // at that bound, for the later a slot was used the longer it is taken.
        let present = i128::from(Moment::from(now).0);
        let mut bound = i128::from(BOOT_START_MS);
        let mut zeroes = Vec::with_capacity(lasts.len());
        for last in lasts.into_iter().rev() {
            let by_wall = present - (i128::from(now.wall.0) - i128::from(last.wall_ms.0));
            let at = if believed { by_wall.min(bound) } else { bound };
            let zero = at - i128::from(last.boot_ms.0);
            bound = zero;
            zeroes.push((last.boot.clone(), zero));
        }
        zeroes.reverse();
        Self { boot, zeroes, bridge }
    }

    /// How the gap to the boot before was bridged.
    pub fn bridge(&self) -> Bridge {
        self.bridge
    }

    /// Where a stored moment lies. One of a boot that [`Timeline::new`] was not told of counts as this boot's start,
    /// the latest it can have been.
    pub fn place(&self, stamp: &Stamp) -> Moment {
        if stamp.boot == self.boot {
            return Moment::of_boot(stamp.boot_ms);
        }
        let zero = self.zeroes.iter().rfind(|(boot, _)| *boot == stamp.boot).map(|(_, zero)| *zero);
        let Some(zero) = zero else { return Moment(BOOT_START_MS) };
        let at = zero + i128::from(stamp.boot_ms.0);
        Moment(u64::try_from(at.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: &str, boot_ms: u64, wall_ms: u64) -> Stamp {
        Stamp { boot: BootId(boot.into()), boot_ms: BootMs(boot_ms), wall_ms: WallMs(wall_ms) }
    }

    fn now(boot_ms: u64, wall_ms: u64) -> Now {
        Now { boot: BootMs(boot_ms), wall: WallMs(wall_ms) }
    }

    /// How long before `now` each stamp is placed, in ms.
    fn ages(now: Now, clock: WallClock, stored: &[Stamp]) -> Vec<u64> {
        let line = Timeline::new(BootId("this".into()), now, clock, stored);
        stored.iter().map(|s| Moment::from(now).since_ms(line.place(s))).collect()
    }

    /// A reason, the reading now, the state of the wall clock, what is stored, and how long ago each lies.
    type Case = (&'static str, Now, WallClock, Vec<Stamp>, Vec<u64>);

    #[test]
    fn placing_stored_moments() {
        use WallClock::{Synchronised, Unsynchronised};
        const T: u64 = 1_700_000_000_000;
        let this = |ms| stamp("this", ms, 5); // its wall time is nonsense on purpose
        let cases: [Case; 9] = [
            (
                "same boot: exact, whatever the wall clock did",
                now(9_000, T),
                Unsynchronised,
                vec![this(4_000)],
                vec![5_000],
            ),
            (
                "other boot, by the wall clock",
                now(1_000, T),
                Synchronised,
                vec![stamp("a", 50, T - 7_000)],
                vec![7_000],
            ),
            (
                "clock not synchronised: only this boot's time has passed",
                now(9_000, T),
                Unsynchronised,
                vec![stamp("a", 50, T - 70_000)],
                vec![9_000],
            ),
            (
                "clock runs backwards: only this boot's time has passed",
                now(9_000, T),
                Synchronised,
                vec![stamp("a", 50, T + 1)],
                vec![9_000],
            ),
            (
                "within an earlier boot its own clock decides, though the wall clock was stepped by a year",
                now(1_000, T),
                Synchronised,
                vec![stamp("a", 10_000, 0), stamp("a", 16_000, T - 2_000)],
                vec![8_000, 2_000],
            ),
            (
                "without a clock, the distances within the last boot stay",
                now(1_000, 0),
                Unsynchronised,
                vec![stamp("a", 10_000, 0), stamp("a", 16_000, 0)],
                vec![7_000, 1_000],
            ),
            (
                "without a clock, an earlier boot ended no later than the last one began",
                now(1_000, 0),
                Unsynchronised,
                vec![stamp("a", 10_000, 0), stamp("b", 3_000, 0)],
                vec![4_000, 1_000],
            ),
            (
                "a wall time after this boot's start is cut to it: that boot was over",
                now(9_000, T),
                Synchronised,
                vec![stamp("a", 50, T - 1_000)],
                vec![9_000],
            ),
            (
                "moments of this boot and of another, side by side",
                now(1_000, T),
                Synchronised,
                vec![stamp("a", 50, T - 7_000), this(4_000)],
                vec![7_000, 0],
            ),
        ];
        for (reason, now, clock, stored, expected) in cases {
            assert_eq!(ages(now, clock, &stored), expected, "{reason}");
        }
    }

    #[test]
    fn wall_time_of_a_moment() {
        let now = now(1_000, 50_000);
        assert_eq!(Moment::from(now).plus_ms(500).to_wall(now), WallMs(50_500));
        assert_eq!(Moment::from(now).minus_ms(2_000).to_wall(now), WallMs(48_000));
    }
}
