//! Whether the wall clock can be believed enough to forget by it.
//!
//! A clock that jumps ahead for a minute (a virtual machine that wakes with a wrong one) must not end every allow rule and
//! fade every lesson. The boot clock, which never jumps, says how far the wall clock should have come.

use crate::clock::Now;

/// A wall clock this far from where it should be has been set, in milliseconds.
const OFF_MAX_MS: u64 = 3_600_000;
/// One that has stayed there for so long is right, in milliseconds.
const BELIEVED_AFTER_MS: u64 = 86_400_000;

/// What the clocks said when they were last believed.
#[derive(Debug)]
pub(super) struct Steady {
    anchor: Now,
    /// When the wall clock was first seen to be off.
    off_since: Option<Now>,
}

impl Steady {
    pub(super) fn new(now: Now) -> Self {
        Self { anchor: now, off_since: None }
    }

    /// Whether the wall clock runs on from where it was believed. One that was set is believed after a day.
    pub(super) fn believes(&mut self, now: Now) -> bool {
        if is_near(self.anchor, now) {
            (self.anchor, self.off_since) = (now, None);
            return true;
        }
        match self.off_since {
            // Set once more: the day begins anew.
            Some(since) if !is_near(since, now) => self.off_since = Some(now),
            Some(since) if now.boot.0.saturating_sub(since.boot.0) >= BELIEVED_AFTER_MS => {
                (self.anchor, self.off_since) = (now, None);
                return true;
            }
            Some(_) => {}
            None => self.off_since = Some(now),
        }
        false
    }
}

/// Whether both clocks moved alike.
fn is_near(then: Now, now: Now) -> bool {
    let expected = then.wall.0.saturating_add(now.boot.0.saturating_sub(then.boot.0));
    expected.abs_diff(now.wall.0) < OFF_MAX_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{BootMs, WallMs};

    #[test]
    fn a_jump_is_believed_after_a_day() {
        const HOUR: u64 = 3_600_000;
        let year = 365 * 24 * HOUR;
        let at = |boot_h: u64, wall: u64| Now { boot: BootMs(boot_h * HOUR), wall: WallMs(wall) };
        let mut steady = Steady::new(at(0, year));
        let cases = [
            (at(5, year + 5 * HOUR), true, "both clocks went on"),
            (at(6, 5 * year), false, "years ahead"),
            (at(7, year + 7 * HOUR), true, "set right again"),
            (at(8, 5 * year), false, "ahead once more"),
            (at(20, 5 * year + 12 * HOUR), false, "half a day of it"),
            (at(21, 7 * year), false, "another jump begins anew"),
            (at(40, 7 * year + 19 * HOUR), false, "not yet a day"),
            (at(45, 7 * year + 24 * HOUR), true, "a day of the same"),
            (at(46, 7 * year + 25 * HOUR), true, "and on"),
            (at(47, year), false, "back is off too"),
        ];
        for (now, expected, why) in cases {
            assert_eq!(steady.believes(now), expected, "{why}");
        }
    }
}
