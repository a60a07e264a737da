//! What the text says: a linear model over hashed words and marks of form, trained ahead, calibrated, explained.
//!
//! It reads a [`Message`] and nothing else, so it knows neither account nor history, and one message does not change it:
//! what operators decide is kept in a layer of its own, [`Taught`], over the model as shipped. Of the header it looks at the
//! subject, and at the form of From and Reply-To ([`features`] says why at no more). Nothing here reads a file or a clock; `outguard train` makes the file
//! of a model by [`train`]. Start with [`Model`], then [`features`], then [`calibration`].

pub mod calibration;
mod evidence;
pub mod features;
pub mod file;
mod innocents;
pub mod lesson;
mod marks;
mod pieces;
mod sender;
pub mod sketch;
mod table;
pub mod taught;
mod text;
pub mod train;

use std::sync::OnceLock;

use crate::message::Message;
use calibration::Calibration;
use features::{Features, Words};
pub use file::{Card, ModelError};
pub use taught::Taught;

/// The model that ships with outguard.
const SHIPPED: &[u8] = include_bytes!("../../../config/model/outguard.model");

/// A trained model.
#[derive(Clone, PartialEq)]
pub struct Model {
    card: Card,
    weights: Weights,
    calibration: Calibration,
}

/// A number that is unlike itself stands in no model: [`file`] refuses it.
impl Eq for Model {}

/// What training finds.
#[derive(Clone, PartialEq)]
struct Weights {
    table: table::Table,
    /// Marks of form, by their hash, in order.
    marks: Vec<(u32, f32)>,
    bias: f32,
    /// Added to the number of a text's features before they are shared out: short texts say less.
    short: f32,
}

/// What a model says of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelScore {
    /// The probability that it is spam, where one message in three is (as in training).
    pub probability: f64,
    /// Its log-odds: `ln(p / (1 - p))`.
    pub logit: f64,
    /// The log-odds without what was taught here.
    pub untaught: f64,
    /// The share of the text's features that the model knows, 0 to 1.
    pub coverage: f64,
    /// What spoke most for spam, the heaviest first; empty where the model finds nothing to add.
    pub evidence: Vec<Evidence>,
}

/// One word or mark that spoke for spam.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// A word of the message in normal form (mail-borne: escape it), or the name of a mark.
    pub what: String,
    /// What it added to the log-odds.
    pub weight: f64,
}

/// The raw sum over one message's features.
struct Sum {
    sum: f64,
    coverage: f64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Model {
    /// The model that ships with outguard.
    ///
    /// # Panics
    /// Never: a test loads it.
    pub fn shipped() -> &'static Self {
        static MODEL: OnceLock<Model> = OnceLock::new();
        MODEL.get_or_init(|| Self::load(SHIPPED).expect("the shipped model loads; a test reads it"))
    }

    /// Reads a model's file; it is checked whole.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        file::read(bytes)
    }

    /// The bytes of its file.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::write(self)
    }

    /// What it was made from, and what was measured.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The line from sums to log-odds.
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Judges a message.
    pub fn score(&self, message: &Message) -> ModelScore {
        self.score_taught(message, None)
    }

    /// Judges a message of nobody in particular, with what operators taught.
    pub fn score_taught(&self, message: &Message, taught: Option<&Taught>) -> ModelScore {
        let features = Features::of(message, Words::Kept);
        let mut score = self.score_features(&features, taught, None);
        if score.points() > 0 {
            score.evidence = self.evidence(message, &features);
        }
        score
    }

    /// The words and marks of a message that spoke most for spam; `features` are its own, with [`Words::Kept`].
    pub fn evidence(&self, message: &Message, features: &Features) -> Vec<Evidence> {
        evidence::heaviest(&self.weights, message, features)
    }

    /// Judges features of a message of this account; brings no evidence.
    pub fn score_features(&self, features: &Features, taught: Option<&Taught>, account: Option<&str>) -> ModelScore {
        let Sum { sum, coverage } = self.weights.sum(features);
        // What was taught here needs no calibration across sources: it is this place's own mail.
        let taught = taught.map_or(0.0, |taught| taught.adds(features, account));
        let untaught = self.calibration.log_odds(sum, coverage, features.text.len());
        let logit = untaught + taught;
        ModelScore { probability: 1.0 / (1.0 + (-logit).exp()), logit, untaught, coverage, evidence: Vec::new() }
    }
}

impl Weights {
    fn sum(&self, features: &Features) -> Sum {
        let (steps, known) = self.table.sum(&features.text);
        let marks: f64 = features.marks.iter().filter_map(|mark| self.mark(mark.hash())).map(f64::from).sum();
        #[expect(clippy::cast_precision_loss, reason = "at most 12,000 features of at most 127 steps")]
        let text = steps as f64 * self.unit(features);
        #[expect(clippy::cast_precision_loss, reason = "at most 12,000 features")]
        let all = features.text.len().max(1) as f64;
        Sum { sum: f64::from(self.bias) + text + marks, coverage: f64::from(known) / all }
    }

    /// What one step of a feature adds: less, the more features share the message.
    fn unit(&self, features: &Features) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 12,000 features")]
        let count = features.text.len() as f64;
        f64::from(self.table.step) / (count + f64::from(self.short)).sqrt()
    }

    fn mark(&self, hash: u32) -> Option<f32> {
        let at = self.marks.binary_search_by_key(&hash, |mark| mark.0).ok()?;
        Some(self.marks[at].1)
    }
}

impl ModelScore {
    /// What the text adds to a score, on the scale where ordinary mail is under 50 and spam from 200: a line through the
    /// points below, from the log-odds.
    ///
    /// | probability | log-odds | points |
    /// |--:|--:|--:|
    /// | 0.02 or less | -4 | -30 |
    /// | 0.12 | -2 | -15 |
    /// | 0.5 | 0 | 0 |
    /// | 0.73 | 1 | 25 |
    /// | 0.91 | 2.35 | 45 |
    /// | 0.97 | 3.5 | 75 |
    /// | 0.9933 | 5 | 150 |
    /// | 0.9991 or more | 7 | 200 |
    ///
    /// Even odds say nothing: of the mail that a server sends, far less than one message in three is spam. Up to 4 lie the
    /// advertisements of shops *never seen*, in which no rule sees anything: text alone does not hold them. Beyond is the spam
    /// of kinds that the model knows.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the table's range")]
    pub fn points(&self) -> i32 {
        const LINE: [(f64, f64); 8] = [
            (-4.0, -30.0),
            (-2.0, -15.0),
            (0.0, 0.0),
            (1.0, 25.0),
            (2.35, 45.0),
            (3.5, 75.0),
            (5.0, 150.0),
            (7.0, 200.0),
        ];
        let logit = self.logit.clamp(LINE[0].0, LINE[LINE.len() - 1].0);
        let (from, to) =
            LINE.windows(2).map(|w| (w[0], w[1])).find(|(_, to)| logit <= to.0).unwrap_or((LINE[6], LINE[7]));
        (from.1 + (logit - from.0) / (to.0 - from.0) * (to.1 - from.1)).round() as i32
    }
}

#[cfg(test)]
mod tests;
