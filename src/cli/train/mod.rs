//! `outguard train`: a model from labelled mail, and what it is worth.
//!
//! [`mail`] finds and reads messages, [`crate::score::model::train`] makes the model, [`report`] measures it on mail that
//! was kept apart, and [`svg`] draws that. The same mail, settings and seed give the same bytes.

mod mail;
mod report;
mod svg;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::Failed;
use super::mailbox::at;
use crate::score::model::train::{self, Example, Origin, Recipe, across};
use mail::{Found, Split};

/// `outguard train`.
#[derive(Debug, Clone, Args)]
pub struct TrainArguments {
    /// Wanted mail: an mbox, a Maildir, a folder of messages, or one message. NAME=PATH names the source.
    #[arg(long, value_name = "[NAME=]PATH")]
    pub ham: Vec<String>,
    /// Unwanted mail, in the same forms.
    #[arg(long, value_name = "[NAME=]PATH")]
    pub spam: Vec<String>,
    /// A folder with manifest.csv (split, label, source, file) and the files it names, or .tar.zst archives of them.
    #[arg(long, value_name = "FOLDER")]
    pub corpus: Vec<PathBuf>,
    /// Leave a source out. May be given more than once.
    #[arg(long, value_name = "NAME")]
    pub exclude_source: Vec<String>,
    /// Sources that belong together when one is left out for calibration: A,B.
    #[arg(long, value_name = "A,B")]
    pub together: Vec<String>,
    /// The order in which mail is looked at; the same seed gives the same model.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// What the model is called.
    #[arg(long, value_name = "NAME", default_value = "outguard")]
    pub name: String,
    /// The day it is made, for its card.
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "")]
    pub made: String,
    /// Where the model is written.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Measure on the mail kept apart, and across sources.
    #[arg(long)]
    pub evaluate: bool,
    /// Measure this model instead of making one.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub model: Option<PathBuf>,
    /// Where the score of each message kept apart is written, as CSV.
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,
    /// Where the ROC and the histogram of scores are drawn, as SVG.
    #[arg(long, value_name = "FOLDER")]
    pub draw: Option<PathBuf>,
}

pub(super) fn run(asked: &TrainArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let found = mail::find(asked)?;
    let kept: Vec<&Found> = found.messages.iter().filter(|m| m.split == Split::Train).collect();
    let apart: Vec<&Found> = found.messages.iter().filter(|m| m.split == Split::Apart).collect();
    writeln!(
        out,
        "{} messages to learn from, {} kept apart, {} sources",
        kept.len(),
        apart.len(),
        found.sources.len()
    )?;
    let examples: Vec<&Example> = kept.iter().map(|m| &m.example).collect();
    if let Some(path) = &asked.model {
        let own = super::score::model_of(path)?;
        let measured = report::Measured { model: &own.model, apart: &apart, found: &found, across: None };
        return measure(&measured, asked, out);
    }
    let both = [train::Label::Ham, train::Label::Spam].iter().all(|l| examples.iter().any(|e| e.label == *l));
    if !both {
        return Err(Failed::Usage {
            what: "a model needs wanted and unwanted mail: give --ham and --spam, or --corpus".into(),
        });
    }
    let recipe = Recipe { seed: asked.seed, ..Recipe::default() };
    let families: Vec<Vec<String>> =
        asked.together.iter().map(|names| names.split(',').map(str::to_owned).collect()).collect();
    let groups = across::groups(&examples, &found.sources, &families);
    let unseen = across::unseen(&examples, &groups, &recipe);
    let calibration = crate::score::model::calibration::Calibration::fit(&unseen);
    let origin = Origin {
        name: asked.name.clone(),
        made: asked.made.clone(),
        sources: found.sources.clone(),
        excluded: asked.exclude_source.clone(),
    };
    let model = train::with_calibration(&examples, &origin, calibration, &recipe);
    let across = report::Across { kept: &kept, unseen: &unseen, groups: &groups };
    let measured = report::Measured { model: &model, apart: &apart, found: &found, across: Some(across) };
    measure(&measured, asked, out)?;
    if let Some(path) = &asked.output {
        let figures = report::figures(&measured);
        let bytes = model.with_figures(figures).to_bytes();
        std::fs::write(path, &bytes).map_err(at(path))?;
        writeln!(out, "{}: {} bytes", path.display(), bytes.len())?;
    }
    Ok(())
}

/// Tells what was asked for of a model's worth.
fn measure(measured: &report::Measured<'_>, asked: &TrainArguments, out: &mut dyn Write) -> Result<(), Failed> {
    if asked.evaluate {
        report::write(measured, asked, out)?;
    }
    if let Some(path) = &asked.scores {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).map_err(at(path))?);
        report::scores(measured, &mut file)?;
        file.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
