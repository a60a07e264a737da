//! A short drawing of what a message was made of, by which messages much alike are known.

use thiserror::Error;

use super::features::{Features, PAIR};

/// Pairs of words in a sketch at most.
const PAIRS_MAX: usize = 160;
/// Other features in a sketch at most.
const OTHERS_MAX: usize = 64;

/// What a message was made of, short enough to keep for days: those of its features whose hashes are least, so that
/// messages much alike have much of it in common. At most 900 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(Vec<u32>);

/// Bytes are no sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a lesson's sketch is damaged; nothing was taken over from it")]
pub struct Damaged;

impl Sketch {
    /// The longest sketch in bytes.
    pub const BYTES_MAX: usize = (PAIRS_MAX + OTHERS_MAX) * 4;

    /// Draws one.
    pub fn of(features: &Features) -> Self {
        let pairs = Self::pairs_of(features);
        let mut kinds = [Least::of(features.text.len() - pairs, OTHERS_MAX), Least::of(pairs, PAIRS_MAX)];
        let kind_of = |hash: u32| usize::from(hash & PAIR != 0);
        for hash in &features.text {
            kinds[kind_of(*hash)].look_at(*hash);
        }
        for (kind, least) in kinds.iter_mut().enumerate().filter(|(_, least)| least.lacks_some()) {
            *least = Least { bound: u32::MAX, mixed: Vec::new(), most: least.most };
            features.text.iter().filter(|hash| kind_of(**hash) == kind).for_each(|hash| least.look_at(*hash));
        }
        let [others, pairs] = kinds;
        let mut kept = others.finish();
        kept.append(&mut pairs.finish());
        kept.sort_unstable();
        Self(kept)
    }

    /// How many features the sketch of a message has.
    pub(super) fn len_of(features: &Features) -> usize {
        let pairs = Self::pairs_of(features);
        pairs.min(PAIRS_MAX) + (features.text.len() - pairs).min(OTHERS_MAX)
    }

    fn pairs_of(features: &Features) -> usize {
        features.text.iter().filter(|hash| *hash & PAIR != 0).count()
    }

    /// For the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.to_le_bytes()).collect()
    }

    /// From the store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        if bytes.len() > Self::BYTES_MAX || !bytes.len().is_multiple_of(4) {
            return Err(Damaged);
        }
        let hashes: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if hashes.is_sorted_by(|a, b| a < b) { Ok(Self(hashes)) } else { Err(Damaged) }
    }

    /// The features it kept, in order.
    pub(super) fn hashes(&self) -> &[u32] {
        &self.0
    }

    /// Whether there is nothing to learn from it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The order in which some hashes are the first. That of the hashes themselves would be that of pieces before pairs;
/// multiplying by an odd number mixes them anew.
const ODD: u32 = 0x85eb_ca6b;

/// Those of some features that come first in an order of their own.
struct Least {
    most: usize,
    /// Mixed, up to which they are kept at first.
    bound: u32,
    mixed: Vec<u32>,
}

impl Least {
    /// At most so many of `count`.
    fn of(count: usize, most: usize) -> Self {
        let most = most.min(count);
        // Mixed, they lie evenly: in the part where three times as many are expected there are nearly always enough.
        let share = u64::from(u32::MAX) * (most as u64 * 3) / count.max(1) as u64;
        Self { most, bound: u32::try_from(share).unwrap_or(u32::MAX), mixed: Vec::with_capacity(most * 4) }
    }

    fn look_at(&mut self, hash: u32) {
        let mixed = hash.wrapping_mul(ODD);
        if mixed <= self.bound {
            self.mixed.push(mixed);
        }
    }

    fn lacks_some(&self) -> bool {
        self.mixed.len() < self.most
    }

    fn finish(mut self) -> Vec<u32> {
        if self.mixed.len() > self.most {
            self.mixed.select_nth_unstable(self.most);
            self.mixed.truncate(self.most);
        }
        self.mixed.iter_mut().for_each(|mixed| *mixed = mixed.wrapping_mul(const { inverse(ODD) }));
        self.mixed
    }
}

/// What undoes a multiplication by an odd number (Newton: each step doubles the bits that are right, from three).
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 4 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}
