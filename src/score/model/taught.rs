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

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::features::{Features, PAIR};
use super::train::Label;
use crate::clock::WallMs;

/// Pairs of words in a sketch at most.
const PAIRS_MAX: usize = 160;
/// Other features in a sketch at most.
const OTHERS_MAX: usize = 64;
/// Features that a lesson is shared over at least: a message of three words is like very many others.
const SHARE_MIN: i64 = 48;
/// Of a message's sketch, how much ham lessons must know before they speak for it at all, and in full.
const HAM_SHARE_NONE: f64 = 0.5;
const HAM_SHARE_FULL: f64 = 0.85;
/// For other accounts than the one whose mail was wanted, one part of so many of a lesson counts.
const OTHERS_PART: i64 = 3;
/// Lengths in bytes of who taught, of what, and of whose mail.
const WHO_BYTES_MAX: usize = 256;

/// What a message was made of, short enough to keep for days: those of its features whose hashes are least, so that
/// messages much alike have much of it in common. At most 900 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(Vec<u32>);

impl Sketch {
    /// The longest sketch in bytes.
    pub const BYTES_MAX: usize = (PAIRS_MAX + OTHERS_MAX) * 4;

    /// Draws one.
    pub fn of(features: &Features) -> Self {
        let (pairs, text) = (Self::pairs_of(features), &features.text);
        let mut kept = least(&text.iter().filter(|hash| *hash & PAIR != 0), pairs, PAIRS_MAX);
        kept.extend(least(&text.iter().filter(|hash| *hash & PAIR == 0), text.len() - pairs, OTHERS_MAX));
        kept.sort_unstable();
        Self(kept)
    }

    /// How many features the sketch of a message has.
    fn len_of(features: &Features) -> usize {
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
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LessonError> {
        if bytes.len() > Self::BYTES_MAX || !bytes.len().is_multiple_of(4) {
            return Err(LessonError::Sketch);
        }
        let hashes: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if hashes.is_sorted_by(|a, b| a < b) { Ok(Self(hashes)) } else { Err(LessonError::Sketch) }
    }

    /// Whether there is nothing to learn from it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Those of `count` that come first in an order of their own, at most so many.
fn least<'h>(hashes: &(impl Iterator<Item = &'h u32> + Clone), count: usize, most: usize) -> Vec<u32> {
    // The order of hashes would be that of pieces before pairs; multiplying by an odd number mixes them anew.
    const ODD: u32 = 0x85eb_ca6b;
    let most = most.min(count);
    let below = |bound: u32| -> Vec<u32> {
        let mut mixed = Vec::with_capacity(most * 4);
        mixed.extend(hashes.clone().map(|hash| hash.wrapping_mul(ODD)).filter(|mixed| *mixed <= bound));
        mixed
    };
    // Mixed, they lie evenly: in the part where three times as many are expected there are nearly always enough.
    let share = u64::from(u32::MAX) * (most as u64 * 3) / count.max(1) as u64;
    let mut mixed = below(u32::try_from(share).unwrap_or(u32::MAX));
    if mixed.len() < most {
        mixed = below(u32::MAX);
    }
    if mixed.len() > most {
        mixed.select_nth_unstable(most);
        mixed.truncate(most);
    }
    mixed.into_iter().map(|mixed| mixed.wrapping_mul(const { inverse(ODD) })).collect()
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

/// One decision that teaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The queue id or Message-ID of the message: one lesson for each.
    pub about: String,
    /// Who decided: an operator's name, or the provider.
    pub by: String,
    /// When.
    pub at: WallMs,
    /// What it was.
    pub label: Label,
    /// What it was made of.
    pub sketch: Sketch,
    /// Whose wanted mail it was, for whom it counts most. `None`: it counts the same for all, as what says spam does.
    pub account: Option<Box<str>>,
}

/// Why bytes are not a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LessonError {
    /// A line is not JSON of this form.
    #[error("not a lesson: {0}; nothing was taken over from it")]
    Line(String),
    /// Its sketch is broken.
    #[error("a lesson's sketch is damaged; nothing was taken over from it")]
    Sketch,
    /// A name in it is too long.
    #[error(
        "a lesson names its message, its teacher and an account in 1 to 256 bytes each; nothing was taken over from it"
    )]
    Names,
}

/// A lesson as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    about: String,
    by: String,
    at_ms: WallMs,
    label: String,
    sketch: String,
    /// Lines of before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Box<str>>,
}

impl Lesson {
    /// The same, of that account's mail. What is too long to be kept is left out.
    #[must_use]
    pub fn of_account(self, account: &str) -> Self {
        let fits = self.label == Label::Ham && (1..=WHO_BYTES_MAX).contains(&account.len());
        Self { account: fits.then(|| account.into()), ..self }
    }

    /// The key under which the store keeps it.
    pub fn key(&self) -> &str {
        &self.about
    }

    /// One line of JSON, without its end.
    ///
    /// # Panics
    /// Never: strings and numbers are JSON.
    pub fn to_line(&self) -> String {
        let label = match self.label {
            Label::Ham => "ham",
            Label::Spam => "spam",
        };
        let line = Line {
            about: self.about.clone(),
            by: self.by.clone(),
            at_ms: self.at,
            label: label.to_owned(),
            sketch: BASE64.encode(self.sketch.to_bytes()),
            account: self.account.clone(),
        };
        serde_json::to_string(&line).expect("strings and numbers are JSON")
    }

    /// Reads such a line.
    pub fn from_line(line: &str) -> Result<Self, LessonError> {
        let line: Line = serde_json::from_str(line).map_err(|error| LessonError::Line(error.to_string()))?;
        let label = match line.label.as_str() {
            "ham" => Label::Ham,
            "spam" => Label::Spam,
            _ => return Err(LessonError::Line("its label is neither ham nor spam".to_owned())),
        };
        let bytes = BASE64.decode(&line.sketch).map_err(|_| LessonError::Sketch)?;
        let named = |name: &str| (1..=WHO_BYTES_MAX).contains(&name.len());
        if !named(&line.about) || !named(&line.by) || line.account.as_deref().is_some_and(|name| !named(name)) {
            return Err(LessonError::Names);
        }
        let (sketch, account) = (Sketch::from_bytes(&bytes)?, line.account);
        Ok(Self { about: line.about, by: line.by, at: line.at_ms, label, sketch, account })
    }
}

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
        let Sketch(hashes) = Sketch::of(features);
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
        let share = i64::try_from(lesson.sketch.0.len()).unwrap_or(i64::MAX).max(SHARE_MIN);
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
    for hash in &sketch.0 {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn features(words: &[u32]) -> Features {
        Features { text: words.to_vec(), ..Features::default() }
    }

    fn lesson(about: &str, at_days: u64, label: Label, words: &[u32]) -> Lesson {
        Lesson {
            about: about.into(),
            by: "ada".into(),
            at: WallMs(at_days * 86_400_000),
            label,
            sketch: Sketch::of(&features(words)),
            account: None,
        }
    }

    fn newsletter() -> Vec<u32> {
        (1..=400).map(|i| (i * 7_919) | if i % 2 == 0 { PAIR } else { 0 }).collect()
    }

    #[test]
    fn ham_that_is_copied_under_other_text_speaks_for_nothing() {
        let mut taught = Taught::default();
        let words = newsletter();
        taught.teach(lesson("issue 1", 1, Label::Ham, &words));
        let own = taught.adds(&features(&words), None);
        assert!(own < -1.5, "{own}");
        let other = |count: u32| (1..=count).map(|i| (i * 104_729 + 13) | if i % 2 == 0 { PAIR } else { 0 });
        let with =
            |count: u32| taught.adds(&features(&words.iter().copied().chain(other(count)).collect::<Vec<_>>()), None);
        assert!(with(20) < own * 0.5, "a changed line: {}", with(20));
        assert!(with(800).abs() < 0.05, "twice as much of something else: {}", with(800));
        assert!((0..40).map(|i| with(i * 20)).is_sorted(), "the more of it, the less");
    }

    #[test]
    fn a_lesson_moves_what_is_like_it() {
        let mut taught = Taught::default();
        let words = newsletter();
        assert!(taught.teach(lesson("1", 1, Label::Ham, &words)).kept);
        let same = taught.adds(&features(&words), None);
        assert!((-3.01..=-2.98).contains(&same), "{same}");
        let half: Vec<u32> = words.iter().enumerate().filter(|(i, _)| i % 4 < 2).map(|(_, w)| *w).collect();
        assert!((-2.0..=0.0).contains(&taught.adds(&features(&half), None)), "an excerpt of what was wanted: less");
        taught.teach(lesson("1", 1, Label::Spam, &words));
        assert!((1.0..=2.0).contains(&taught.adds(&features(&half), None)), "an excerpt of spam");
        assert!(taught.adds(&features(&[1, 2, 3]), None).abs() < 1e-9, "another message");
    }

    #[test]
    fn bounds() {
        let mut taught = Taught::new(Teaching { lessons_max: 3, ..Teaching::default() });
        let words = newsletter();
        for i in 0..5 {
            let changed = taught.teach(lesson(&i.to_string(), i, Label::Spam, &words));
            let dropped: Vec<String> = i.checked_sub(3).map(|i| i.to_string()).into_iter().collect();
            assert_eq!(changed, Changed { forgotten: dropped, kept: true }, "lesson {i}");
        }
        assert!((taught.adds(&features(&words), None) - 6.0).abs() < 1e-9, "three steps of 3 are cut to 6");
        assert!(Sketch::of(&features(&(0..20_000).collect::<Vec<_>>())).to_bytes().len() <= Sketch::BYTES_MAX);
        const { assert!(Sketch::BYTES_MAX <= 1_024) };
    }

    #[test]
    fn the_last_word_counts() {
        let (mut taught, words) = (Taught::default(), newsletter());
        taught.teach(lesson("1", 1, Label::Spam, &words));
        assert_eq!(taught.teach(lesson("1", 2, Label::Spam, &words)), Changed::default(), "known");
        assert!(taught.teach(lesson("1", 3, Label::Ham, &words)).kept);
        assert_eq!(taught.lessons().count(), 1);
        assert!(taught.adds(&features(&words), None) < 0.0);
    }

    #[test]
    fn lessons_fade() {
        let (mut taught, words) = (Taught::default(), newsletter());
        taught.teach(lesson("1", 0, Label::Spam, &words));
        let fresh = taught.adds(&features(&words), None);
        taught.fade(WallMs(91 * 86_400_000));
        let faded = taught.adds(&features(&words), None);
        assert!((faded / fresh - 0.5).abs() < 0.01, "{faded} of {fresh}");
        taught.fade(WallMs(0));
        assert!(
            (taught.adds(&features(&words), None) - faded).abs() < 1e-12,
            "a clock that steps back gives nothing back"
        );
        taught.undo("1");
        assert!(taught.adds.is_empty());
    }

    #[test]
    fn what_an_account_wanted_counts_most_for_it() {
        let (mut taught, words) = (Taught::default(), newsletter());
        taught.teach(lesson("1", 1, Label::Ham, &words).of_account("news@shop.example"));
        let of = |taught: &Taught, account| taught.adds(&features(&words), account);
        let own = of(&taught, Some("news@shop.example"));
        assert!((-3.01..=-2.98).contains(&own), "{own}");
        for other in [None, Some("thief@shop.example")] {
            let others = of(&taught, other);
            assert!((-1.01..=-0.98).contains(&others), "{other:?}: {others}");
        }
        // A provider's word against it holds for all.
        taught.teach(lesson("2", 2, Label::Spam, &words).of_account("news@shop.example"));
        assert!(of(&taught, Some("news@shop.example")).abs() < 0.01);
        assert!(of(&taught, None) > 1.9);
        taught.undo("2");
        taught.fade(WallMs(92 * 86_400_000));
        assert!((of(&taught, Some("news@shop.example")) / own - 0.5).abs() < 0.01, "it fades as the rest does");
        taught.undo("1");
        assert!(taught.adds.is_empty() && taught.own.is_empty());
    }

    /// The store of a version that knew no accounts, and its exports.
    #[test]
    fn a_lesson_without_an_account_counts_for_all() {
        let line = lesson("1", 1, Label::Ham, &newsletter()).to_line();
        assert!(!line.contains("account"));
        let mut taught = Taught::default();
        taught.import(&line).unwrap();
        for account in [None, Some("any@example.org")] {
            assert!(taught.adds(&features(&newsletter()), account) < -2.9);
        }
        let of = lesson("1", 1, Label::Ham, &newsletter()).of_account("a@example.org");
        assert_eq!(Lesson::from_line(&of.to_line()), Ok(of));
        let long = lesson("1", 1, Label::Ham, &newsletter()).of_account(&"a".repeat(300));
        assert_eq!(long.account, None, "and can be read again");
    }

    #[test]
    fn lines_that_are_no_lessons() {
        let good = lesson("1", 1, Label::Ham, &newsletter()).to_line();
        assert_eq!(Lesson::from_line(&good).unwrap().to_line(), good);
        let long = good.replace("\"ada\"", &format!("\"{}\"", "a".repeat(300)));
        let cases = [
            ("", "nothing"),
            (&good.replace("ham", "eggs"), "another label"),
            (&good.replace("\"by\"", "\"buy\""), "another name"),
            (&good.replace("\"sketch\":\"", "\"sketch\":\"A"), "a sketch of odd length"),
            (&long, "a long name"),
        ];
        for (line, why) in cases {
            assert!(Lesson::from_line(line).is_err(), "{why}");
            assert!(Taught::default().import(&format!("{good}\n{line}!\n")).is_err(), "{why}");
        }
    }

    proptest! {
        /// Whatever was taught and undone in whatever order, the layer is what its lessons alone would make.
        #[test]
        fn undo_is_exact(deeds in prop::collection::vec((0_u8..12, prop::bool::ANY, prop::bool::ANY, 0_u64..400), 0..40)) {
            let mut taught = Taught::new(Teaching { lessons_max: 6, ..Teaching::default() });
            for (i, undo, spam, day) in deeds {
                if undo {
                    taught.undo(&i.to_string());
                } else {
                    let words: Vec<u32> = (0..300).map(|w| (w * 31 + u32::from(i) * 500) ^ (w << 24)).collect();
                    let label = if spam { Label::Spam } else { Label::Ham };
                    let one = lesson(&i.to_string(), day, label, &words);
                    let account = ["a@example.org", "b@example.org"].get(usize::from(i % 3));
                    taught.teach(account.map_or(one.clone(), |account| one.of_account(account)));
                }
                taught.fade(WallMs(day * 86_400_000));
            }
            let mut again = Taught::new(Teaching { lessons_max: 6, ..Teaching::default() });
            again.fade(taught.now);
            again.import(&taught.export()).unwrap();
            prop_assert_eq!(&again, &taught);
            let all: Vec<String> = taught.lessons().map(|l| l.about.clone()).collect();
            for about in all {
                taught.undo(&about);
            }
            prop_assert!(taught.adds.is_empty() && taught.own.is_empty());
        }
    }
}
