//! The weights of text features: a table of bytes, small enough to ship and quick enough to ask six thousand times a
//! message.
//!
//! A slot holds eight bits of a feature's hash (0: empty) and its weight in steps. So what was never seen in training is
//! told from what is known (but for one in some hundred), which is what [coverage](super::ModelScore::coverage) counts.

/// Slots: a power of two.
pub(super) const SLOTS: usize = 1 << 19;
/// Slots that are read at once.
const TOGETHER: usize = 16;
/// Features that are kept at most: past this, looking for one takes too many steps.
pub(super) const FEATURES_MAX: usize = SLOTS * 7 / 10;
/// Bytes of the table in a model's file.
pub(super) const BYTES: usize = SLOTS * 2;

/// Weights by hash.
#[derive(Clone, PartialEq)]
pub(super) struct Table {
    /// Mark and weight of each slot, one after the other.
    slots: Vec<[u8; 2]>,
    /// What one step of a weight is.
    pub(super) step: f32,
}

impl Table {
    /// Puts weights into a table: the heaviest first, so that of two that cannot be told apart the lighter is lost.
    pub(super) fn of(weights: &[(u32, f32)]) -> Self {
        let mut sorted: Vec<(u32, f32)> = weights.to_vec();
        sorted.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        sorted.truncate(FEATURES_MAX);
        // The few heaviest are cut off: they would make the steps of all others coarse.
        let largest = sorted.get(sorted.len() / 2_000).map_or(1.0, |w| w.1.abs()).max(f32::MIN_POSITIVE);
        let mut table = Self { slots: vec![[0; 2]; SLOTS], step: largest / 127.0 };
        for (hash, weight) in sorted {
            let (mut slot, mark) = place(hash);
            while table.slots[slot][0] != 0 && table.slots[slot][0] != mark {
                slot = (slot + 1) % SLOTS;
            }
            if table.slots[slot][0] == 0 {
                #[expect(clippy::cast_possible_truncation, reason = "clamped to the range before")]
                let steps = (weight / table.step).round().clamp(-127.0, 127.0) as i8;
                table.slots[slot] = [mark, steps.cast_unsigned()];
            }
        }
        table
    }

    /// A feature's weight in steps, if it is known.
    #[inline]
    pub(super) fn get(&self, hash: u32) -> Option<i32> {
        let (slot, mark) = place(hash);
        self.get_from(slot, mark, self.slots[slot])
    }

    /// The sum of the weights of all features, and how many of them are known. The first slots of several are read before
    /// any is looked at: most are in no cache, and so they are waited for together.
    pub(super) fn sum(&self, hashes: &[u32]) -> (i64, u32) {
        let (mut sum, mut known) = (0, 0);
        let mut first = [(0, 0, [0, 0]); TOGETHER];
        for hashes in hashes.chunks(TOGETHER) {
            for (first, hash) in first.iter_mut().zip(hashes) {
                let (slot, mark) = place(*hash);
                *first = (slot, mark, self.slots[slot]);
            }
            for (slot, mark, found) in &first[..hashes.len()] {
                if let Some(weight) = self.get_from(*slot, *mark, *found) {
                    sum += i64::from(weight);
                    known += 1;
                }
            }
        }
        (sum, known)
    }

    /// Looks on from the first slot, in which this stands.
    #[inline]
    fn get_from(&self, mut slot: usize, mark: u8, first: [u8; 2]) -> Option<i32> {
        let [mut at, mut steps] = first;
        loop {
            if at == mark {
                return Some(i32::from(steps.cast_signed()));
            }
            if at == 0 {
                return None;
            }
            slot = (slot + 1) % SLOTS; // ends: a table is never full
            [at, steps] = self.slots[slot];
        }
    }

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        into.extend(self.slots.iter().flatten());
    }

    /// Reads a table; nothing if it is full, since looking for what is not there would not end.
    pub(super) fn read(bytes: &[u8], step: f32) -> Option<Self> {
        if bytes.len() != BYTES {
            return None;
        }
        let slots: Vec<[u8; 2]> = bytes.chunks_exact(2).map(|slot| [slot[0], slot[1]]).collect();
        let used = slots.iter().filter(|slot| slot[0] != 0).count();
        (used <= FEATURES_MAX).then_some(Self { slots, step })
    }

    /// Features that are known.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot[0] != 0).count()
    }
}

/// The first slot of a hash, and its mark, which is never 0.
#[inline]
fn place(hash: u32) -> (usize, u8) {
    // The highest bit tells pairs and is spread over the slots with the others.
    let spread = hash.wrapping_mul(0x9e37_79b1);
    let mark = (spread & 0xff) as u8;
    ((spread >> 13) as usize % SLOTS, if mark == 0 { 0xa5 } else { mark })
}
