//! Which words of a message spoke for spam: read once more, beside the features that they brought.

use super::features::{self, Features};
use super::text::Token;
use super::{Evidence, Weights};
use crate::message::Message;

/// What is said where the form of the message is among what spoke for spam.
const FORM: &str = "its form";
/// Words that an explanation names at most.
const EVIDENCE_MAX: usize = 6;
/// Words that are kept while a message is read; of twice as many the lighter half is forgotten.
const KEPT_MAX: usize = EVIDENCE_MAX * 8;
/// Places of the index over them.
const PLACES: usize = 256;

/// The words that spoke most for spam, the heaviest first, and whether its form did.
pub(super) fn heaviest(weights: &Weights, message: &Message, features: &Features) -> Vec<Evidence> {
    let unit = weights.unit(features);
    let mut gathered = Gathered::default();
    let (mut from, mut ends) = (0, features.words.iter());
    features::read(message, |token, _| {
        if token == Token::Break {
            return;
        }
        let to = ends.next().map_or(from, |end| *end as usize);
        let known = features.text[from..to].iter().filter_map(|hash| weights.table.get(*hash));
        let steps: i32 = known.sum();
        from = to;
        if steps != 0 {
            gathered.add(token, f64::from(steps) * unit);
        }
    });
    // Marks have names that only who trains knows: all that people are told is that the form spoke, too.
    let marks = features.marks.iter().filter_map(|mark| weights.mark(mark.hash()).map(f64::from));
    let form = marks.fold(0.0, f64::max);
    // Only of those that may be named is the name made.
    let least = heavy_enough(gathered.all.iter().map(|spoken| spoken.weight).chain([form]));
    let spoken = gathered.all.iter().filter(|spoken| spoken.weight >= least);
    let mut all: Vec<Evidence> = spoken.map(|spoken| spoken.evidence(&gathered.letters)).collect();
    if form > 0.0 && form >= least {
        all.push(Evidence { what: FORM.into(), weight: form });
    }
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.what.cmp(&b.what)));
    all.truncate(EVIDENCE_MAX);
    all
}

/// What a word must weigh to be among the heaviest.
fn heavy_enough(weights: impl Iterator<Item = f64>) -> f64 {
    let mut weights: Vec<f64> = weights.collect();
    if weights.len() <= EVIDENCE_MAX {
        return f64::NEG_INFINITY;
    }
    *weights.select_nth_unstable_by(EVIDENCE_MAX - 1, |a, b| b.total_cmp(a)).1
}

/// What spoke for spam so far.
struct Gathered {
    /// Letters of all that was added.
    letters: Vec<char>,
    all: Vec<Spoken>,
    /// By hash, the place in `all`, plus one.
    index: [u8; PLACES],
}

/// One word, run or kind.
#[derive(Debug, Clone, Copy)]
struct Spoken {
    hash: u64,
    /// Where its letters stand.
    from: usize,
    to: usize,
    weight: f64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { letters: Vec::new(), all: Vec::new(), index: [0; PLACES] }
    }
}

impl Gathered {
    fn add(&mut self, token: Token<'_>, weight: f64) {
        let from = self.letters.len();
        match token {
            Token::Word(letters) | Token::Run(letters) => self.letters.extend_from_slice(letters),
            Token::Kind(kind) => self.letters.extend(format!("({kind:?})").chars()),
            Token::Break => {}
        }
        let new = Spoken { hash: features::hash_of(&self.letters[from..]), from, to: self.letters.len(), weight };
        match self.place(&new) {
            Ok(known) => {
                self.all[known].weight += weight;
                self.letters.truncate(from);
            }
            Err(free) if weight > 0.0 => {
                self.all.push(new);
                self.index[free] = u8::try_from(self.all.len()).expect("at most twice what is kept");
            }
            Err(_) => self.letters.truncate(from),
        }
        if self.all.len() >= KEPT_MAX * 2 {
            self.forget();
        }
    }

    /// The place of the same word in `all`, or the free place of the index.
    fn place(&self, new: &Spoken) -> Result<usize, usize> {
        let mut at = usize::try_from(new.hash % PLACES as u64).unwrap_or(0);
        while self.index[at] != 0 {
            let known = usize::from(self.index[at]) - 1;
            let other = &self.all[known];
            if other.hash == new.hash && self.letters[other.from..other.to] == self.letters[new.from..new.to] {
                return Ok(known);
            }
            at = (at + 1) % PLACES; // ends: there are more places than words
        }
        Err(at)
    }

    /// Keeps the heaviest.
    fn forget(&mut self) {
        let letters = &self.letters;
        let of = |spoken: &Spoken| &letters[spoken.from..spoken.to];
        self.all.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| of(a).cmp(of(b))));
        self.all.truncate(KEPT_MAX);
        self.index = [0; PLACES];
        for nth in 0..self.all.len() {
            if let Err(free) = self.place(&self.all[nth]) {
                self.index[free] = u8::try_from(nth + 1).expect("at most twice what is kept");
            }
        }
    }
}

impl Spoken {
    fn evidence(&self, letters: &[char]) -> Evidence {
        Evidence { what: letters[self.from..self.to].iter().collect(), weight: self.weight }
    }
}
