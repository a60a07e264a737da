//! What operators and the network teach, in a layer of its own over the shipped model.
//!
//! A released message was not spam, a rejected one or one that a provider flagged was. Each such decision is a
//! [`Lesson`]: who said it, when, of which message, and a [`Sketch`] of what the message was made of. The layer is the sum
//! of its lessons and nothing else, in whole millionths, so that taking one back leaves exactly what would be there without
//! it. A lesson moves messages much like its own by at most [`Teaching::step`], fades with age, and all lessons together
//! move none by more than [`Teaching::sum_max`], nor by more than the share of it that they have in common. That mail was wanted
//! is said of the account that sent it: for others such a lesson counts a third. Pure state: the store keeps each lesson under
//! [`Lesson::key`].

use std::collections::{HashMap, VecDeque};

use super::features::Features;
use super::lesson::{Lesson, LessonError};
use super::sketch::Sketch;
use super::train::Label;
use crate::clock::WallMs;

/// Features that a lesson is shared over at least: a message of three words is like very many others.
const SHARE_MIN: i64 = 48;
/// Of a message's sketch, how much ham lessons must know before they speak for it at all, and in full.
const HAM_SHARE_NONE: f64 = 0.5;
const HAM_SHARE_FULL: f64 = 0.85;
/// For other accounts than the one whose mail was wanted, one part of so many of a lesson counts.
const OTHERS_PART: i64 = 3;

/// How much a lesson does.
#[derive(Debug, Clone, PartialEq)]
pub struct Teaching {
    /// What a fresh lesson adds to the log-odds of a message like its own, either way.
    pub step: f64,
    /// What all lessons add to one message's log-odds at most, either way.
    pub sum_max: f64,
    /// After so many days a lesson counts half.
    pub half_life_days: u64,
    /// Lessons that are kept at most; a further one drops the oldest.
    pub lessons_max: usize,
}

impl Default for Teaching {
    fn default() -> Self {
        Self { step: 3.0, sum_max: 6.0, half_life_days: 90, lessons_max: 2_000 }
    }
}

/// What changed by a lesson: what the store has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Lessons that are gone, by key.
    pub forgotten: Vec<String>,
    /// Whether the lesson is kept: it is not if it says what is known, or has nothing in it.
    pub kept: bool,
}

/// By feature, in millionths.
type Adds = HashMap<u32, i64, foldhash::fast::FixedState>;

/// What a lesson adds to each feature of its sketch, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Weight {
    /// For everybody.
    all: i64,
    /// Beside that, for the account whose mail it was.
    own: i64,
}

impl Weight {
    /// What takes it to another.
    fn to(self, other: Self) -> Self {
        Self { all: other.all - self.all, own: other.own - self.own }
    }

    fn taken_back(self) -> Self {
        Self { all: -self.all, own: -self.own }
    }
}

/// All lessons, and what they add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Taught {
    teaching: Teaching,
    /// The oldest first, each with what it adds to a feature.
    lessons: VecDeque<(Lesson, Weight)>,
    /// What they add for everybody, and by account what they add for it alone.
    adds: Adds,
    own: HashMap<Box<str>, Adds, foldhash::fast::FixedState>,
    /// The time that ages are told from.
    now: WallMs,
}

impl Taught {
    /// Nothing taught yet.
    pub fn new(teaching: Teaching) -> Self {
        let (adds, own) = (Adds::default(), HashMap::default());
        Self { teaching, lessons: VecDeque::new(), adds, own, now: WallMs(0) }
    }

    /// Takes a lesson. The same word on the same message changes nothing; the opposite word replaces it.
    pub fn teach(&mut self, lesson: Lesson) -> Changed {
        let mut changed = Changed::default();
        let known = self.lessons.iter().find(|(l, _)| l.about == lesson.about);
        if lesson.sketch.is_empty() || known.is_some_and(|(l, _)| l.label == lesson.label) {
            return changed;
        }
        if let Some(undone) = self.undo(&lesson.about) {
            changed.forgotten.push(undone.about);
        }
        while self.lessons.len() >= self.teaching.lessons_max.max(1) {
            let Some((oldest, each)) = self.lessons.pop_front() else { break };
            self.apply(&oldest, each.taken_back());
            changed.forgotten.push(oldest.about);
        }
        changed.forgotten.retain(|key| *key != lesson.about);
        let each = self.weight(&lesson);
        self.apply(&lesson, each);
        let place = self.lessons.partition_point(|(l, _)| l.at <= lesson.at);
        self.lessons.insert(place, (lesson, each));
        changed.kept = true;
        changed
    }

    /// Takes a lesson back, exactly.
    pub fn undo(&mut self, about: &str) -> Option<Lesson> {
        let at = self.lessons.iter().position(|(lesson, _)| lesson.about == about)?;
        let (lesson, each) = self.lessons.remove(at)?;
        self.apply(&lesson, each.taken_back());
        Some(lesson)
    }

    /// Lets lessons fade to what they count now. Call it now and then; a clock that steps back changes nothing.
    pub fn fade(&mut self, now: WallMs) {
        self.now = self.now.max(now);
        let mut lessons = std::mem::take(&mut self.lessons);
        for (lesson, each) in &mut lessons {
            let faded = self.weight(lesson);
            self.apply(lesson, each.to(faded));
            *each = faded;
        }
        self.lessons = lessons;
    }

    /// All lessons, the oldest first.
    pub fn lessons(&self) -> impl ExactSizeIterator<Item = &Lesson> {
        self.lessons.iter().map(|(lesson, _)| lesson)
    }

    /// All lessons, one a line.
    pub fn export(&self) -> String {
        self.lessons().map(|lesson| lesson.to_line() + "\n").collect()
    }

    /// Takes the lessons of an export; empty lines are passed over.
    pub fn import(&mut self, lines: &str) -> Result<Vec<Changed>, LessonError> {
        // All are read before one is taken: half an import would be hard to see.
        let lessons: Vec<Lesson> =
            lines.lines().filter(|line| !line.trim().is_empty()).map(Lesson::from_line).collect::<Result<_, _>>()?;
        Ok(lessons.into_iter().map(|lesson| self.teach(lesson)).collect())
    }

    /// What the lessons add to the log-odds of a message of this account.
    pub fn adds(&self, features: &Features, account: Option<&str>) -> f64 {
        let own = account.and_then(|account| self.own.get(account));
        if self.adds.is_empty() && own.is_none_or(Adds::is_empty) {
            return 0.0;
        }
        // However often a word was in lessons, it moves a message by its share of the cap and no more: otherwise many
        // lessons on one text would move all that has a word in common with it.
        let share = Sketch::len_of(features).max(usize::try_from(SHARE_MIN).unwrap_or(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a cap is a small number")]
        let most = (self.teaching.sum_max * 1e6 / share as f64).ceil() as i64;
        let known = features.text.iter().map(|hash| self.each(own, *hash));
        let millionths: i64 = known.map(|each| each.clamp(-most, most)).sum();
        #[expect(clippy::cast_precision_loss, reason = "2,000 lessons of 3,000,000 millionths")]
        let adds = (millionths as f64 / 1e6).clamp(-self.teaching.sum_max, self.teaching.sum_max);
        // What was wanted once and stands beside much else is no longer what was wanted: a thief copies the newsletter
        // that everybody gets under his own text.
        if adds < 0.0 { adds * self.ham_share(features, own) } else { adds }
    }

    /// What a feature adds for everybody and, beside that, for an account.
    fn each(&self, own: Option<&Adds>, hash: u32) -> i64 {
        let of = |adds: &Adds| adds.get(&hash).copied().unwrap_or(0);
        of(&self.adds) + own.map_or(0, of)
    }

    /// How far a message is made of what ham lessons know: 0 below half of its sketch, 1 from 85 % on.
    fn ham_share(&self, features: &Features, own: Option<&Adds>) -> f64 {
        let sketch = Sketch::of(features);
        let hashes = sketch.hashes();
        let known = hashes.iter().filter(|hash| self.each(own, **hash) < 0).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 224 of them")]
        let share = known as f64 / hashes.len().max(1) as f64;
        ((share - HAM_SHARE_NONE) / (HAM_SHARE_FULL - HAM_SHARE_NONE)).clamp(0.0, 1.0)
    }

    /// What a lesson adds to each feature of its sketch now, in millionths.
    #[expect(clippy::cast_possible_truncation, reason = "a step is a small number")]
    fn weight(&self, lesson: &Lesson) -> Weight {
        const DAY_MS: u64 = 24 * 3_600 * 1_000;
        let age_days = self.now.0.saturating_sub(lesson.at.0) / DAY_MS;
        let halves = u32::try_from(age_days / self.teaching.half_life_days.max(1)).unwrap_or(u32::MAX).min(40);
        let step = (self.teaching.step * 1e6) as i64 >> halves;
        let share = i64::try_from(lesson.sketch.hashes().len()).unwrap_or(i64::MAX).max(SHARE_MIN);
        let each = match lesson.label {
            Label::Ham => -(step / share),
            Label::Spam => step / share,
        };
        let all = if lesson.account.is_some() { each / OTHERS_PART } else { each };
        Weight { all, own: each - all }
    }

    fn apply(&mut self, lesson: &Lesson, each: Weight) {
        apply(&mut self.adds, &lesson.sketch, each.all);
        let Some(account) = &lesson.account else { return };
        let own = self.own.entry(account.clone()).or_default();
        apply(own, &lesson.sketch, each.own);
        if own.is_empty() {
            self.own.remove(account);
        }
    }
}

fn apply(adds: &mut Adds, sketch: &Sketch, each: i64) {
    if each == 0 {
        return;
    }
    for hash in sketch.hashes() {
        let sum = adds.entry(*hash).or_insert(0);
        *sum += each;
        if *sum == 0 {
            adds.remove(hash);
        }
    }
}

impl Default for Taught {
    fn default() -> Self {
        Self::new(Teaching::default())
    }
}

#[cfg(test)]
mod tests;
