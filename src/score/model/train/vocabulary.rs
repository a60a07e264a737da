//! Which features are kept, and each message as a row of numbers over them.

use std::collections::HashMap;

use super::solver::Row;
use super::{Example, Recipe};
use crate::score::model::features::Features;

/// The features that are kept: text first, then marks, each in the order of their hashes.
pub(super) struct Vocabulary {
    text: Vec<u32>,
    marks: Vec<u32>,
    index: HashMap<u32, u32, foldhash::fast::FixedState>,
    mark_index: HashMap<u32, u32, foldhash::fast::FixedState>,
}

/// Hashes with weights.
type Weighted = Vec<(u32, f32)>;

/// How often a feature was seen: in so many messages, first in which source, and whether in another too.
#[derive(Clone, Copy, Default)]
struct Seen {
    messages: u32,
    sources: u64,
}

impl Vocabulary {
    pub(super) fn of(examples: &[&Example], recipe: &Recipe) -> Self {
        let mut seen: HashMap<u32, Seen, foldhash::fast::FixedState> = HashMap::default();
        let mut marks = Vec::new();
        for example in examples {
            for hash in &example.features.text {
                let seen = seen.entry(*hash).or_default();
                seen.messages += 1;
                seen.sources |= 1 << (example.source % 64);
            }
            marks.extend(example.features.marks.iter().map(|mark| mark.hash()));
        }
        let is_kept = |s: &Seen| s.messages >= recipe.messages_min && s.sources.count_ones() >= recipe.sources_min;
        let mut text: Vec<u32> = seen.iter().filter(|(_, s)| is_kept(s)).map(|(hash, _)| *hash).collect();
        text.sort_unstable();
        marks.sort_unstable();
        marks.dedup();
        let numbered = |hashes: &[u32], from: usize| {
            let number = |i: usize| u32::try_from(from + i).expect("features are fewer than 2^32");
            hashes.iter().enumerate().map(|(i, hash)| (*hash, number(i))).collect()
        };
        Self { index: numbered(&text, 0), mark_index: numbered(&marks, text.len()), text, marks }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len() + self.marks.len()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "at most 12,000 features")]
    pub(super) fn row(&self, features: &Features, recipe: &Recipe) -> Row {
        let each = (1.0 / (features.text.len() as f64 + f64::from(recipe.short)).sqrt()) as f32;
        let text = features.text.iter().filter_map(|hash| self.index.get(hash)).map(|i| (*i, each));
        let marks = features.marks.iter().filter_map(|mark| self.mark_index.get(&mark.hash()));
        let mut row: Row = text.chain(marks.map(|i| (*i, recipe.mark))).collect();
        row.sort_unstable_by_key(|cell| cell.0);
        row
    }

    /// Weights with their hashes again: text, and marks.
    pub(super) fn split(&self, weights: &[f32]) -> (Weighted, Weighted) {
        let (text, marks) = weights.split_at(self.text.len());
        (
            self.text.iter().copied().zip(text.iter().copied()).collect(),
            self.marks.iter().copied().zip(marks.iter().copied()).collect(),
        )
    }
}
