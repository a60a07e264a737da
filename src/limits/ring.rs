//! The exact log of one key and rule: outcome times, oldest first, and a count of slots leased.
//!
//! A slot is taken from its lease until W after its outcome, the end not included. So k more fit exactly if the outcomes
//! younger than W, the leased slots and k together are at most N; nothing is rounded, and no window, however laid, holds
//! more than N (invariant 2).

use std::collections::VecDeque;

use super::report::NextSlot;
use super::slot::{Owner, Slot};
use super::timeline::Moment;

/// What a slot in use may cost, in bytes, the air of the buffer included.
const SLOT_BYTES_MAX: usize = 8;
/// A buffer is made larger than what it holds by this part of it: half of the air it may have, so that it is copied neither
/// at the next slot that comes nor at the next that goes.
const AIR_DIVISOR: usize = 14;

/// A ring costs at most 8 bytes a slot in use, at every moment, and has no buffer when idle. What a key costs beside them
/// does not grow with its slots ([`Keys`](super::keys::Keys)).
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Used slots in the order of their outcomes. Those W old or older are dropped when the ring is next touched.
    used: VecDeque<Slot>,
    leased: u32,
}

impl Ring {
    /// Drops what no longer takes a slot, and says of each whose it was.
    pub(super) fn expire(&mut self, now: Moment, window_ms: u64, mut dropped: impl FnMut(Owner)) {
        let before = self.used.len();
        while let Some(slot) = self.used.pop_front_if(|slot| slot.ended().plus_ms(window_ms) <= now) {
            dropped(slot.owner());
        }
        let len = self.used.len();
        if len < before && self.buffer_bytes() > SLOT_BYTES_MAX * len {
            self.used.shrink_to(with_air(len));
        }
    }

    /// Slots taken, leased ones included. The ring is expired to now.
    pub(super) fn taken(&self) -> u32 {
        count(self.used.len()) + self.leased
    }

    /// Slots taken at `now` in a ring that may not be expired yet.
    pub(super) fn taken_at(&self, now: Moment, window_ms: u64) -> u32 {
        let old = self.used.partition_point(|slot| slot.ended().plus_ms(window_ms) <= now);
        count(self.used.len() - old) + self.leased
    }

    /// Slots leased and without an outcome yet.
    pub(super) fn leased(&self) -> u32 {
        self.leased
    }

    /// How many more fit. The ring is expired to now.
    pub(super) fn room(&self, slots: u32) -> u32 {
        slots.saturating_sub(self.taken())
    }

    /// Takes `n` slots for an attempt under way. The caller asked [`Ring::room`] in the same breath.
    pub(super) fn lease(&mut self, n: u32) {
        self.leased += n;
    }

    /// Frees `n` leased slots at once: for them nothing left.
    pub(super) fn give_back(&mut self, n: u32) {
        assert!(n <= self.leased, "invariant 2: more slots given back than were leased");
        self.leased -= n;
    }

    /// Turns `n` leased slots into used ones of `owner`, taken until W after `outcome`.
    pub(super) fn settle(&mut self, n: u32, outcome: Moment, owner: Owner, slots: u32) {
        self.give_back(n);
        self.insert(n, outcome, owner, slots);
    }

    /// Puts `n` used slots where their time belongs: last, except beside unknown outcomes, which lie ahead.
    fn insert(&mut self, n: u32, outcome: Moment, owner: Owner, slots: u32) {
        let at = match self.used.back() {
            Some(newest) if newest.ended() > outcome => self.used.partition_point(|other| other.ended() <= outcome),
            _ => self.used.len(),
        };
        self.make_room(n as usize, slots as usize);
        for _ in 0..n {
            self.used.insert(at, Slot::new(outcome, owner));
        }
    }

    /// When `taken` has come down to where one more fits, if no further outcome comes.
    pub(super) fn next_slot(&self, slots: u32, window_ms: u64) -> NextSlot {
        if slots == 0 {
            return NextSlot::Never;
        }
        let excess = (self.taken() + 1).saturating_sub(slots) as usize;
        self.when_gone(excess, window_ms)
    }

    /// When the `n` oldest entries no longer take a slot.
    pub(super) fn when_gone(&self, n: usize, window_ms: u64) -> NextSlot {
        match n.checked_sub(1) {
            None => NextSlot::NOW,
            Some(last) => match self.used.get(last) {
                Some(slot) => NextSlot::At(slot.ended().plus_ms(window_ms)),
                None => NextSlot::AfterLeases,
            },
        }
    }

    /// When a slot comes free for the one after `ahead` others, if each slot is used again as soon as it is free and what
    /// is under way ends now. Unknown outcomes, which lie ahead, may make it wrong by as much as they do.
    pub(super) fn outlook(&self, slots: u32, window_ms: u64, ahead: u32, now: Moment) -> NextSlot {
        if slots == 0 {
            return NextSlot::Never;
        }
        let (taken, slots) = (u64::from(self.taken_at(now, window_ms)), u64::from(slots));
        let wanted = (taken + u64::from(ahead) + 1).saturating_sub(slots);
        let Some(i) = wanted.checked_sub(1) else { return NextSlot::At(now) };
        // What is taken beyond N is not used again; of the rest each is, W after it was.
        let extra = taken.saturating_sub(slots);
        let (round, place) = match i.checked_sub(extra) {
            Some(i) => (i / slots, extra + i % slots),
            None => (0, i),
        };
        let old = self.used.partition_point(|slot| slot.ended().plus_ms(window_ms) <= now);
        let place = usize::try_from(place).unwrap_or(usize::MAX).saturating_add(old);
        // Behind the log come those under way or about to be used, as if they ended now.
        let first = self.used.get(place).map_or(now, |slot| slot.ended());
        NextSlot::At(first.plus_ms(window_ms).plus_ms(window_ms.saturating_mul(round)))
    }

    /// Whether nothing is in it. The ring is expired to now.
    pub(super) fn is_idle(&self) -> bool {
        self.used.is_empty() && self.leased == 0
    }

    /// The slots kept, oldest first.
    pub(super) fn used(&self) -> impl Iterator<Item = Slot> {
        self.used.iter().copied()
    }

    /// Bytes of its buffer.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.used.capacity() * size_of::<Slot>()
    }

    /// Grows the buffer, though not past N where no more can come. (More is there where N was lowered, or where the record
    /// holds more.)
    fn make_room(&mut self, n: usize, slots: usize) {
        let needed = self.used.len() + n;
        if needed > self.used.capacity() {
            let airy = with_air(needed);
            let wanted = if needed <= slots { airy.min(slots) } else { airy };
            self.used.reserve_exact(wanted - self.used.len());
        }
    }
}

/// The size of a new buffer for so many slots.
fn with_air(slots: usize) -> usize {
    slots + slots / AIR_DIVISOR
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a ring holds at most SLOTS_MAX entries, and the record of one window beside them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootMs;

    fn at(ms: u64) -> Moment {
        Moment::of_boot(BootMs(ms))
    }

    fn used(ring: &mut Ring, n: u32, now: Moment) {
        ring.lease(n);
        ring.settle(n, now, Owner::NOBODY, 100);
    }

    #[test]
    fn the_end_of_a_window_is_open() {
        let mut ring = Ring::default();
        used(&mut ring, 1, at(1_000));
        ring.expire(at(1_999), 1_000, |_| ());
        assert_eq!(ring.room(1), 0, "one beside W");
        ring.expire(at(2_000), 1_000, |_| ());
        assert_eq!(ring.room(1), 1, "exactly W");
    }

    #[test]
    fn a_later_end_does_not_hide_an_earlier_one() {
        let mut ring = Ring::default();
        used(&mut ring, 1, at(5_000)); // an unknown outcome, put ten minutes ahead
        ring.lease(1);
        ring.settle(1, at(1_000), Owner::at(7).unwrap(), 100);
        assert_eq!(ring.next_slot(2, 1_000), NextSlot::At(at(2_000)));
        let mut dropped = Vec::new();
        ring.expire(at(2_000), 1_000, |owner| dropped.push(owner));
        assert_eq!(dropped, [Owner::at(7).unwrap()]);
        assert_eq!(ring.taken(), 1);
    }

    #[test]
    fn next_slot_waits_for_as_many_as_must_go() {
        let mut ring = Ring::default();
        for ms in [10, 20, 30] {
            used(&mut ring, 1, at(ms));
        }
        let cases = [
            (4, NextSlot::NOW), // there is room
            (3, NextSlot::At(at(1_010))),
            (1, NextSlot::At(at(1_030))), // N was lowered: all three must go
            (0, NextSlot::Never),
        ];
        for (slots, expected) in cases {
            assert_eq!(ring.next_slot(slots, 1_000), expected, "N = {slots}");
        }
        ring.lease(1);
        assert_eq!(ring.next_slot(1, 1_000), NextSlot::AfterLeases, "the only slot is under way");
    }

    #[test]
    fn at_most_eight_bytes_a_slot_and_none_when_idle() {
        let mut ring = Ring::default();
        assert_eq!(ring.buffer_bytes(), 0);
        for n in 0..300 {
            ring.lease(1);
            ring.settle(1, at(n), Owner::NOBODY, 300);
        }
        assert_eq!(ring.buffer_bytes(), 300 * 7, "grown to N, and no air where no more can come");
        ring.expire(at(10_000), 1_000, |_| ());
        assert_eq!(ring.buffer_bytes(), 0);
        assert!(size_of::<Ring>() <= 40, "{}", size_of::<Ring>());
    }

    /// A ring whose bytes and copies are looked at after each step.
    struct Watched {
        ring: Ring,
        slots: u32,
        steps: usize,
        /// Slots moved to another buffer.
        copied: usize,
    }

    impl Watched {
        fn new(slots: u32) -> Self {
            Self { ring: Ring::default(), slots, steps: 0, copied: 0 }
        }

        fn come(&mut self, n: u32, outcome: Moment) {
            self.ring.lease(n);
            self.step(n as usize, |ring, slots| ring.settle(n, outcome, Owner::NOBODY, slots));
        }

        fn go(&mut self, now: Moment) {
            let before = self.ring.used.len();
            let old = self.ring.used.partition_point(|slot| slot.ended().plus_ms(1_000) <= now);
            self.step(old, |ring, _| ring.expire(now, 1_000, |_| ()));
            assert_eq!(self.ring.used.len(), before - old);
        }

        fn step(&mut self, slots: usize, deed: impl FnOnce(&mut Ring, u32)) {
            let before = self.ring.used.capacity();
            deed(&mut self.ring, self.slots);
            let (in_use, bytes) = (self.ring.used.len(), self.ring.buffer_bytes());
            assert!(bytes <= 8 * in_use, "{in_use} of {} in {bytes} bytes", self.slots);
            self.steps += slots;
            if self.ring.used.capacity() != before {
                self.copied += in_use;
            }
        }

        /// However slots come and go, each is copied so often at most on average.
        fn assert_few_copies(&self, seed: u64) {
            let Self { slots, steps, copied, .. } = self;
            assert!(*copied <= 24 * steps, "N {slots}, seed {seed}: {copied} copies in {steps} steps");
        }
    }

    #[test]
    fn at_most_eight_bytes_a_slot_however_full_and_emptying() {
        for slots in (1..=40).chain([200, 300, 1_000, 20_000]) {
            let mut ring = Watched::new(slots);
            for n in 0..u64::from(slots) {
                ring.come(1, at(n));
            }
            for n in 0..u64::from(slots) {
                ring.go(at(n + 1_000));
            }
            assert_eq!(ring.ring.buffer_bytes(), 0, "{slots} are gone");
            ring.assert_few_copies(0);
        }
    }

    #[test]
    fn at_most_eight_bytes_a_slot_whatever_comes_and_goes() {
        for seed in 0..300 {
            let mut dice = crate::limits::oracle::Dice(seed);
            let slots = dice.pick(&[1, 3, 7, 8, 13, 14, 15, 28, 30, 100, 300, 1_000, 5_000]);
            let mut ring = Watched::new(slots);
            let mut now = 0;
            for _ in 0..200 {
                now += dice.pick(&[0, 1, 1, 7, 50, 300, 1_000]);
                ring.go(at(now));
                // Some of it beside what an unknown outcome put ahead, and at times more than N: it was lowered.
                let room = ring.ring.room(slots).max(dice.pick(&[0, 0, 0, 0, slots / 8]));
                let n = dice.pick(&[1, 1, 2, room / 2, room]).min(room);
                let outcome = at(now + dice.pick(&[0, 0, 0, 600]));
                ring.come(n, outcome);
            }
            now += 2_000;
            ring.go(at(now));
            assert_eq!(ring.ring.buffer_bytes(), 0, "seed {seed}");
            ring.assert_few_copies(seed);
        }
    }

    #[test]
    fn to_and_fro_where_a_buffer_grows_costs_few_copies() {
        for full in [1, 6, 7, 8, 13, 14, 15, 27, 28, 29, 300, 3_000_u64] {
            for swing in [1, 2, full / 16, full / 14, full / 8].map(|swing| swing.clamp(1, full)) {
                let mut ring = Watched::new(u32::MAX);
                let mut ends = 0..;
                for end in ends.by_ref().take(usize::try_from(full).unwrap()) {
                    ring.come(1, at(end));
                }
                for _ in 0..50 {
                    for _ in 0..swing {
                        let oldest = ring.ring.used().next().unwrap().ended();
                        ring.go(oldest.plus_ms(1_000));
                    }
                    for end in ends.by_ref().take(usize::try_from(swing).unwrap()) {
                        ring.come(1, at(end));
                    }
                }
                ring.assert_few_copies(swing);
            }
        }
    }

    #[test]
    fn what_is_over_a_lowered_limit_is_not_copied_for_each_slot() {
        let mut ring = Watched::new(10);
        for n in 0..20_000 {
            ring.come(1, at(n));
        }
        ring.assert_few_copies(0);
    }

    #[test]
    fn the_outlook_is_when_those_before_have_left() {
        let mut dice = crate::limits::oracle::Dice(3);
        for round in 0..3_000 {
            let (slots, now) = (dice.pick(&[1, 2, 3, 7]), 10_000);
            let mut ring = Ring::default();
            let mut ends: Vec<u64> = (0..dice.roll(10)).map(|_| 8_500 + dice.roll(1_500)).collect();
            for end in &ends {
                ring.insert(1, at(*end), Owner::NOBODY, slots);
            }
            let leased = u32::try_from(dice.roll(3)).unwrap();
            ring.lease(leased);
            ends.retain(|end| end + 1_000 > now);
            ends.extend((0..leased).map(|_| now));
            for ahead in 0..20 {
                // Each waits until fewer than N are in the window, and is in it from then on.
                let (mut window, mut leaves) = (ends.clone(), now);
                for _ in 0..=ahead {
                    window.sort_unstable();
                    while window.len() >= slots as usize {
                        leaves = leaves.max(window.remove(0) + 1_000);
                    }
                    window.push(leaves);
                }
                let outlook = ring.outlook(slots, 1_000, ahead, at(now));
                assert_eq!(outlook, NextSlot::At(at(leaves)), "round {round}: {ahead} ahead, N {slots}, {ends:?}");
            }
        }
    }
}
