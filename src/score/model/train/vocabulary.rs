//! Which features are kept, and each message as a row of numbers over them.

use std::collections::HashMap;

use super::solver::Row;
use super::{Example, Header, Label, Recipe};
use crate::score::model::features::Features;

/// The features that are kept: text first, then marks, each in the order of their hashes.
pub(super) struct Vocabulary {
    text: Vec<u32>,
    /// How far each feature of the text leans to one side: what it counts in a row.
    leaning: Vec<f32>,
    marks: Vec<u32>,
    index: HashMap<u32, u32, foldhash::fast::FixedState>,
    mark_index: HashMap<u32, u32, foldhash::fast::FixedState>,
    /// The share of real mail, half of it spam, that has each mark of the sender.
    sender_shares: Vec<(u32, f32)>,
}

/// Hashes with weights.
type Weighted = Vec<(u32, f32)>;

/// How often a feature was seen: in so many messages, so many of them spam, in which sources.
#[derive(Clone, Copy, Default)]
struct Seen {
    messages: u32,
    spam: u32,
    sources: u64,
}

impl Seen {
    /// The root of how many times as often (as a logarithm) the feature is in one label as in the other, after Wang and
    /// Manning, "Baselines and bigrams" (2012): what tells nothing by itself weighs little, so that much of it together
    /// does not drown what tells much.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "counts of messages")]
    fn leaning(self, spam: usize, ham: usize) -> f32 {
        let share = |seen: u32, all: usize| (f64::from(seen) + 1.0) / (all as f64 + 2.0);
        let ratio = (share(self.spam, spam) / share(self.messages - self.spam, ham)).ln();
        ratio.abs().sqrt() as f32
    }
}

impl Vocabulary {
    pub(super) fn of(examples: &[&Example], recipe: &Recipe) -> Self {
        let mut seen: HashMap<u32, Seen, foldhash::fast::FixedState> = HashMap::default();
        let mut marks = Vec::new();
        for example in examples {
            for hash in &example.features.text {
                let seen = seen.entry(*hash).or_default();
                seen.messages += 1;
                seen.spam += u32::from(example.label == Label::Spam);
                seen.sources |= 1 << (example.source % 64);
            }
            let read = example.features.marks.iter().filter(|m| example.header == Header::Real || !m.is_of_sender());
            marks.extend(read.map(|mark| mark.hash()));
        }
        let is_kept = |s: &Seen| s.messages >= recipe.messages_min && s.sources.count_ones() >= recipe.sources_min;
        let mut text: Vec<u32> = seen.iter().filter(|(_, s)| is_kept(s)).map(|(hash, _)| *hash).collect();
        text.sort_unstable();
        let spam = examples.iter().filter(|example| example.label == Label::Spam).count();
        let leaning = text.iter().map(|hash| seen[hash].leaning(spam, examples.len() - spam)).collect();
        marks.sort_unstable();
        marks.dedup();
        let numbered = |hashes: &[u32], from: usize| {
            let number = |i: usize| u32::try_from(from + i).expect("features are fewer than 2^32");
            hashes.iter().enumerate().map(|(i, hash)| (*hash, number(i))).collect()
        };
        let mark_index = numbered(&marks, text.len());
        let sender_shares = sender_shares(examples, &mark_index);
        Self { index: numbered(&text, 0), mark_index, sender_shares, text, leaning, marks }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len() + self.marks.len()
    }

    /// A message to learn from. Where its header was constructed, each mark of the sender stands there with its share of
    /// real mail: so it says nothing, and is not missed.
    pub(super) fn row(&self, example: &Example, recipe: &Recipe) -> Row {
        let mut row = match example.header {
            Header::Real => self.judged_row(&example.features, recipe, |_| true),
            Header::Constructed => {
                let mut row = self.judged_row(&example.features, recipe, |of_sender| !of_sender);
                row.extend(self.sender_shares.iter().map(|(i, share)| (*i, share * recipe.mark)));
                row
            }
        };
        row.sort_unstable_by_key(|cell| cell.0);
        row
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "at most 12,000 features")]
    fn judged_row(&self, features: &Features, recipe: &Recipe, is_kept: impl Fn(bool) -> bool) -> Row {
        let each = (1.0 / (features.text.len() as f64 + f64::from(recipe.short)).sqrt()) as f32;
        let text = features.text.iter().filter_map(|hash| self.index.get(hash));
        let text = text.map(|i| (*i, each * self.leaning[*i as usize]));
        let marks = features.marks.iter().filter(|mark| is_kept(mark.is_of_sender()));
        let marks = marks.filter_map(|mark| self.mark_index.get(&mark.hash()));
        text.chain(marks.map(|i| (*i, recipe.mark))).collect()
    }

    /// Weights with their hashes again: text, and marks. A weight of the text has its leaning in it: who judges a message
    /// counts each feature once.
    pub(super) fn split(&self, weights: &[f32]) -> (Weighted, Weighted) {
        let (text, marks) = weights.split_at(self.text.len());
        let leant = text.iter().zip(&self.leaning).map(|(weight, leaning)| weight * leaning);
        (
            self.text.iter().copied().zip(leant).collect(),
            self.marks.iter().copied().zip(marks.iter().copied()).collect(),
        )
    }
}

/// Each label counts as one half, however many messages it has.
#[expect(clippy::cast_precision_loss, reason = "counts of messages")]
fn sender_shares(examples: &[&Example], index: &HashMap<u32, u32, foldhash::fast::FixedState>) -> Vec<(u32, f32)> {
    let mut shares: Vec<(u32, f32)> = Vec::new();
    for label in [Label::Ham, Label::Spam] {
        let real: Vec<_> = examples.iter().filter(|e| e.header == Header::Real && e.label == label).collect();
        let each = 0.5 / real.len().max(1) as f32;
        let marks = real.iter().flat_map(|e| e.features.marks.iter().filter(|mark| mark.is_of_sender()));
        let mut counts: HashMap<u32, u32, foldhash::fast::FixedState> = HashMap::default();
        for i in marks.filter_map(|mark| index.get(&mark.hash())) {
            *counts.entry(*i).or_default() += 1;
        }
        shares.extend(counts.into_iter().map(|(i, count)| (i, count as f32 * each)));
    }
    shares.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    shares.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    shares
}
