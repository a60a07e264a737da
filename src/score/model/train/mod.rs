//! Training: from labelled mail to a [`Model`], the same bytes from the same mail, settings and seed.
//!
//! Features are kept only if several messages of at least two sources have them: what one source alone has tells that
//! source. Each counts by how far it leans to one label ([`vocabulary`]). The weights are those of a logistic regression
//! ([`solver`]). The calibration comes from sums that each group of sources got from a model trained without it
//! ([`across`]), so that it holds on mail from elsewhere. Start with [`train`].

pub mod across;
pub mod measure;
mod solver;
mod vocabulary;

use super::calibration::{Calibration, Unseen};
use super::features::Features;
use super::file::{Card, SourceCount};
use super::table::Table;
use super::{Model, Weights};
use vocabulary::Vocabulary;

/// One labelled message.
#[derive(Debug, Clone)]
pub struct Example {
    /// What the model sees of it.
    pub features: Features,
    /// What it is.
    pub label: Label,
    /// Which source it is from: an index into the names given to [`train`].
    pub source: usize,
    /// Whether its header is what a sender wrote.
    pub header: Header,
}

/// Where a message's header is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Its sender's software.
    Real,
    /// Whoever made the collection: the text is mail, who sent it is invented and teaches nothing.
    Constructed,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// Wanted.
    Ham,
    /// Not wanted.
    Spam,
}

/// How a model is made. The defaults were chosen on the training split, across sources.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The order in which messages are looked at.
    pub seed: u64,
    /// What an error costs beside the size of the weights: more fits the training mail closer.
    pub cost: f64,
    /// Messages that a feature is in at least.
    pub messages_min: u32,
    /// Sources that a feature is in at least.
    pub sources_min: u32,
    /// Added to the number of a text's features before they are shared out.
    pub short: f32,
    /// What a mark of form weighs beside a text.
    pub mark: f32,
    /// Rounds over all messages.
    pub rounds: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { seed: 1, cost: 20.0, messages_min: 3, sources_min: 2, short: 50.0, mark: 0.1, rounds: 12 }
    }
}

/// What a model is called and where its mail came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// What it is called.
    pub name: String,
    /// The day it is made.
    pub made: String,
    /// The names of the sources.
    pub sources: Vec<String>,
    /// Sources that were left out.
    pub excluded: Vec<String>,
}

/// Makes a model. `groups` names for each source the group that is left out together with it (see [`across::groups`]).
pub fn train(examples: &[&Example], origin: &Origin, groups: &[usize], recipe: &Recipe) -> Model {
    let unseen = across::unseen(examples, groups, recipe);
    with_calibration(examples, origin, Calibration::fit(&unseen), recipe)
}

/// Makes a model whose calibration is known already.
pub fn with_calibration(examples: &[&Example], origin: &Origin, calibration: Calibration, recipe: &Recipe) -> Model {
    let weights = weights(examples, recipe);
    let count =
        |source: usize, label: Label| examples.iter().filter(|e| e.source == source && e.label == label).count();
    let sources = origin.sources.iter().enumerate().map(|(i, name)| SourceCount {
        name: name.clone(),
        ham: count(i, Label::Ham),
        spam: count(i, Label::Spam),
    });
    let card = Card {
        name: origin.name.clone(),
        made: origin.made.clone(),
        seed: recipe.seed,
        sources: sources.filter(|s| s.ham + s.spam > 0).collect(),
        excluded: origin.excluded.clone(),
        features: weights.table.len(),
        figures: Vec::new(),
    };
    Model { card, weights, calibration }
}

impl Model {
    /// Writes what was measured into its card.
    #[must_use]
    pub fn with_figures(mut self, figures: Vec<String>) -> Self {
        self.card.figures = figures;
        self
    }
}

/// The weights before calibration, quantized as they are shipped.
fn weights(examples: &[&Example], recipe: &Recipe) -> Weights {
    let (vocabulary, solved) = solved(examples, recipe);
    let (text, marks) = vocabulary.split(&solved.weights);
    let marks = marks.into_iter().map(|(hash, weight)| (hash, weight * recipe.mark)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "one small number")]
    let bias = solved.bias as f32;
    Weights { table: Table::of(&text), marks, bias, short: recipe.short }
}

fn solved(examples: &[&Example], recipe: &Recipe) -> (Vocabulary, solver::Solved) {
    let vocabulary = Vocabulary::of(examples, recipe);
    let rows: Vec<solver::Row> = examples.iter().map(|example| vocabulary.row(example, recipe)).collect();
    let labels: Vec<Label> = examples.iter().map(|example| example.label).collect();
    let solved = solver::solve(&rows, &labels, vocabulary.len(), recipe);
    (vocabulary, solved)
}

/// The weights as shipped, and the sums without quantization.
#[cfg(test)]
pub(super) fn weights_and_exact(examples: &[&Example], recipe: &Recipe) -> (Weights, impl Fn(&Features) -> f64) {
    let (vocabulary, solved) = solved(examples, recipe);
    let recipe_of_rows = recipe.clone();
    let exact = move |features: &Features| {
        let example = Example { features: features.clone(), label: Label::Ham, source: 0, header: Header::Real };
        solved.sum(&vocabulary.row(&example, &recipe_of_rows))
    };
    (weights(examples, recipe), exact)
}
