//! Who is known to an account: a set of hashes that grows with what it holds, up to a bound, and forgets the oldest.

use super::bytes::{Reader, Writer};

/// Slots of one bucket: one cache line's half.
const BUCKET: usize = 8;
/// After so many weeks unseen an entry is forgotten.
const WEEKS_KEPT: u8 = 26;

/// A set of at most `MAX` hashes (four bytes each) with the week in which each was last seen. A list with more addresses is
/// known in part, and the usual share of strangers says so.
///
/// A slot holds 24 bits of the hash and 8 of the week. Taking a stranger for known happens to at most one in
/// 1,000 (two buckets of 8 slots, 2^24 values in 1,024 buckets); taking a known one for a stranger only where the set is full
/// or it was unseen for half a year.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known<const MAX: usize> {
    slots: Box<[u32]>,
}

impl<const MAX: usize> Known<MAX> {
    /// Whether the hash was seen within the last 26 weeks.
    pub(super) fn has(&self, hash: u64, week: u8) -> bool {
        let tag = tag_of(hash);
        self.places(tag).any(|place| self.slots[place] >> 8 == tag && age(self.slots[place], week) <= WEEKS_KEPT)
    }

    /// Learns it, or sees it again.
    pub(super) fn learn(&mut self, hash: u64, week: u8) {
        let tag = tag_of(hash);
        let new = tag << 8 | u32::from(week);
        loop {
            let same = self.places(tag).find(|place| self.slots[*place] >> 8 == tag);
            let is_free = |slot: u32| slot == 0 || age(slot, week) > WEEKS_KEPT;
            let free = || self.places(tag).find(|place| is_free(self.slots[*place]));
            if let Some(place) = same.or_else(free) {
                self.slots[place] = new;
                return;
            }
            if self.slots.len() < MAX {
                self.grow();
                continue;
            }
            if let Some(oldest) = self.places(tag).max_by_key(|place| age(self.slots[*place], week)) {
                self.slots[oldest] = new;
            }
            return;
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| **slot != 0).count()
    }

    pub(super) fn write(&self, to: &mut Writer) {
        let kept: Vec<u32> = self.slots.iter().copied().filter(|slot| *slot != 0).collect();
        to.u32(u32::try_from(kept.len()).unwrap_or(u32::MAX));
        for slot in kept {
            to.u32(slot);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let len = usize::try_from(from.u32()?).ok().filter(|len| *len <= MAX)?;
        let mut known = Self::default();
        for _ in 0..len {
            known.put(from.u32().filter(|slot| *slot >> 8 != 0)?);
        }
        Some(known)
    }

    /// Twice the buckets; the first time, one.
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![0; (old.len() * 2).max(BUCKET)].into();
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            self.put(slot);
        }
    }

    fn put(&mut self, slot: u32) {
        let week = slot.to_le_bytes()[0];
        self.learn_tag(slot >> 8, week);
    }

    fn learn_tag(&mut self, tag: u32, week: u8) {
        self.learn(u64::from(tag) << 40, week);
    }

    /// The places where a hash may stand: two buckets, which lets the set be nearly full before it grows.
    fn places(&self, tag: u32) -> impl Iterator<Item = usize> + use<MAX> {
        let buckets = self.slots.len() / BUCKET;
        let [first, second] = [tag, tag >> 12].map(|hash| (hash as usize & buckets.saturating_sub(1)) * BUCKET);
        let places = if buckets == 0 { [0..0, 0..0] } else { [first..first + BUCKET, second..second + BUCKET] };
        places.into_iter().flatten()
    }
}

/// The upper 24 bits; never 0, which marks a free slot.
fn tag_of(hash: u64) -> u32 {
    u32::try_from(hash >> 40).unwrap_or(1).max(1)
}

/// Weeks since the slot was seen. A clock set back makes it young, not ancient.
fn age(slot: u32, week: u8) -> u8 {
    let age = week.wrapping_sub(slot.to_le_bytes()[0]);
    if age > 200 { 0 } else { age }
}

#[cfg(test)]
mod tests {
    use super::super::footprint::hash;
    use super::*;

    fn nth(n: usize) -> u64 {
        hash(0, format!("person{n}@example.org").as_bytes())
    }

    #[test]
    fn what_was_learned_is_known_and_strangers_are_not() {
        for count in [0_usize, 1, 8, 9, 100, 3_000] {
            let mut known = Known::<8_192>::default();
            (0..count).for_each(|n| known.learn(nth(n), 7));
            let missed = (0..count).filter(|n| !known.has(nth(*n), 7)).count();
            let taken = (count..count + 20_000).filter(|n| known.has(nth(*n), 7)).count();
            assert_eq!(missed, 0, "of {count}");
            assert!(taken <= 20, "{taken} of 20,000 strangers are taken for one of {count}");
            assert!(known.bytes() <= 64.max(count * 11), "{} bytes for {count}", known.bytes());
        }
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut known = Known::<8_192>::default();
        (0..20_000).for_each(|n| known.learn(nth(n), u8::try_from(n / 1_000).unwrap()));
        assert_eq!(known.bytes(), 8_192 * 4);
        let recent = (19_000..20_000).filter(|n| known.has(nth(*n), 20)).count();
        let first = (0..1_000).filter(|n| known.has(nth(*n), 20)).count();
        assert!(recent > 990 && first < 60, "{recent} of the newest, {first} of the oldest thousand");
    }

    #[test]
    fn half_a_year_unseen_is_forgotten_across_the_turn_of_the_weeks() {
        let mut known = Known::<8_192>::default();
        known.learn(nth(1), 250);
        assert!(known.has(nth(1), 20), "26 weeks later");
        assert!(!known.has(nth(1), 21), "27 weeks later");
        assert!(known.has(nth(1), 249), "the clock was set back");
    }

    #[test]
    fn bytes_give_it_back() {
        let mut known = Known::<8_192>::default();
        (0..500).for_each(|n| known.learn(nth(n), 3));
        let mut to = Writer::default();
        known.write(&mut to);
        let bytes = to.finish();
        let back = Known::<8_192>::read(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(back.len(), 500);
        assert!((0..500).all(|n| back.has(nth(n), 3)));
        assert!(Known::<8_192>::read(&mut Reader::new(&bytes[..bytes.len() - 1])).is_none(), "cut short");
    }
}
