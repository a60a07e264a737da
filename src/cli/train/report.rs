//! What a model is worth: on mail kept apart, and on sources left out of training.

use std::io::Write;

use super::mail::{Found, Mail};
use super::{TrainArguments, svg};
use crate::cli::exit::Failed;
use crate::score::model::calibration::Unseen;
use crate::score::model::train::measure::{self, Judged, area, share_above, threshold};
use crate::score::model::train::{Header, Label};
use crate::score::model::{Model, ModelScore};

/// Shares of ham held at which recall is told.
const SHARES: [f64; 3] = [0.001, 0.005, 0.01];

/// A model and the mail it is measured on.
pub(super) struct Measured<'a> {
    pub(super) model: &'a Model,
    pub(super) apart: &'a [&'a Found],
    pub(super) found: &'a Mail,
    pub(super) across: Option<Across<'a>>,
}

/// What models said of sources they were not trained on.
pub(super) struct Across<'a> {
    pub(super) kept: &'a [&'a Found],
    pub(super) unseen: &'a [Unseen],
    pub(super) groups: &'a [usize],
}

/// One message with what was said of it.
struct Said<'a> {
    found: &'a Found,
    score: ModelScore,
}

impl Said<'_> {
    fn judged(&self) -> Judged {
        Judged { score: self.score.logit, spam: self.found.example.label == Label::Spam }
    }

    fn points(&self) -> Judged {
        Judged { score: f64::from(self.score.points()), spam: self.found.example.label == Label::Spam }
    }
}

impl Measured<'_> {
    fn said(&self) -> Vec<Said<'_>> {
        let score = |found: &&'_ Found| self.model.score_features(&found.example.features, None, None);
        self.apart.iter().map(|found| Said { found, score: score(found) }).collect()
    }

    /// What is said across sources, with the calibration that ships.
    fn across(&self) -> Vec<Said<'_>> {
        let Some(across) = &self.across else { return Vec::new() };
        let line = self.model.calibration();
        let said = across.kept.iter().zip(across.unseen).map(|(found, unseen)| {
            let logit = line.log_odds(unseen.sum, unseen.coverage, found.example.features.text.len());
            let probability = 1.0 / (1.0 + (-logit).exp());
            Said {
                found,
                score: ModelScore {
                    probability,
                    logit,
                    untaught: logit,
                    coverage: unseen.coverage,
                    evidence: Vec::new(),
                },
            }
        });
        said.collect()
    }
}

/// The figures for a model's card.
pub(super) fn figures(measured: &Measured<'_>) -> Vec<String> {
    let mut figures = Vec::new();
    for (name, said) in [("mail kept apart", measured.said()), ("sources left out", measured.across())] {
        let judged: Vec<Judged> = said.iter().map(Said::judged).collect();
        if area(&judged).is_some() {
            figures.push(row(name, &judged));
        }
    }
    figures
}

/// Writes one line for each message kept apart, so that other filters can be compared on the same mail.
pub(super) fn scores(measured: &Measured<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "label,source,file,log_odds,points")?;
    for said in measured.said() {
        let label = match said.found.example.label {
            Label::Ham => "ham",
            Label::Spam => "spam",
        };
        let source = &measured.found.sources[said.found.example.source];
        // A comma in a name would move the columns.
        let file = said.found.file.display().to_string().replace(',', "_");
        writeln!(out, "{label},{source},{file},{:.6},{}", said.score.logit, said.score.points())?;
    }
    Ok(())
}

/// Writes all tables, and draws what was asked to be drawn.
pub(super) fn write(measured: &Measured<'_>, asked: &TrainArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let said = measured.said();
    let across = measured.across();
    writeln!(out, "\nMail kept apart; recall at a share of ham held (a tie is not held):")?;
    tables(&said, out)?;
    per_source(measured, &said, out)?;
    writeln!(out, "\nCalibration, mail kept apart:")?;
    calibration(&said, out)?;
    if !across.is_empty() {
        writeln!(out, "\nSources left out of training, whole groups at a time:")?;
        tables(&across, out)?;
        per_group(measured, &across, out)?;
        writeln!(out, "\nCalibration, sources left out:")?;
        calibration(&across, out)?;
    }
    if let Some(folder) = &asked.draw {
        std::fs::create_dir_all(folder)?;
        let curves: Vec<(&str, Vec<Judged>)> = [("mail kept apart", &said), ("sources left out", &across)]
            .into_iter()
            .filter(|(_, said)| !said.is_empty())
            .map(|(name, said)| (name, said.iter().map(Said::judged).collect()))
            .collect();
        std::fs::write(folder.join("roc.svg"), svg::roc(&curves))?;
        let points: Vec<Judged> = said.iter().map(Said::points).collect();
        std::fs::write(folder.join("scores.svg"), svg::histogram(&points))?;
        writeln!(out, "\ndrawn: {0}/roc.svg, {0}/scores.svg", folder.display())?;
    }
    Ok(())
}

fn row(name: &str, judged: &[Judged]) -> String {
    let ham = judged.iter().filter(|j| !j.spam).count();
    let recalls: Vec<String> = SHARES
        .iter()
        .map(|share| threshold(judged, *share).and_then(|at| share_above(judged, at, true)))
        .map(|recall| recall.map_or_else(|| "–".to_owned(), |r| format!("{r:.3}")))
        .collect();
    let area = area(judged).map_or_else(|| "–".to_owned(), |area| format!("{area:.5}"));
    let spam = judged.len() - ham;
    format!("{name}: AUC {area}, recall {} at 0.1 / 0.5 / 1 %, {ham} ham, {spam} spam", recalls.join(" / "))
}

/// All, real and constructed; then what is held at which points.
fn tables(said: &[Said<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    type Chosen = fn(&Found) -> bool;
    let kinds: [(&str, Chosen); 3] = [
        ("all", |_| true),
        ("real", |f| f.example.header == Header::Real),
        ("constructed", |f| f.example.header == Header::Constructed),
    ];
    for (name, chosen) in kinds {
        let judged: Vec<Judged> = said.iter().filter(|s| chosen(s.found)).map(Said::judged).collect();
        if !judged.is_empty() {
            writeln!(out, "  {}", row(name, &judged))?;
        }
    }
    let points: Vec<Judged> = said.iter().map(Said::points).collect();
    for at in [50.0, 100.0, 150.0] {
        let ham = share_above(&points, at - 0.5, false).unwrap_or(0.0);
        let spam = share_above(&points, at - 0.5, true).unwrap_or(0.0);
        writeln!(
            out,
            "  {at:>5} points or more by text alone: {:.2} % of ham, {:.1} % of spam",
            ham * 100.0,
            spam * 100.0
        )?;
    }
    Ok(())
}

fn per_source(measured: &Measured<'_>, said: &[Said<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    let all: Vec<Judged> = said.iter().map(Said::judged).collect();
    let (Some(tenth), Some(half)) = (threshold(&all, 0.001), threshold(&all, 0.005)) else { return Ok(()) };
    writeln!(out, "  by source, at the thresholds of 0.1 % and 0.5 % of all ham:")?;
    for (i, name) in measured.found.sources.iter().enumerate() {
        for (label, word) in [(Label::Ham, "ham"), (Label::Spam, "spam")] {
            let of = |s: &&Said<'_>| s.found.example.source == i && s.found.example.label == label;
            let judged: Vec<Judged> = said.iter().filter(of).map(Said::judged).collect();
            let spam = label == Label::Spam;
            if let (Some(t), Some(h)) = (share_above(&judged, tenth, spam), share_above(&judged, half, spam)) {
                writeln!(out, "    {name:<20} {word:<4} {:>5}  held {t:.3}  {h:.3}", judged.len())?;
            }
        }
    }
    Ok(())
}

fn per_group(measured: &Measured<'_>, said: &[Said<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    let Some(across) = &measured.across else { return Ok(()) };
    let all: Vec<Judged> = measured.said().iter().map(Said::judged).collect();
    let half = threshold(&all, 0.005).unwrap_or(f64::INFINITY);
    writeln!(
        out,
        "  by group: AUC; ham and spam held at the threshold of 0.5 % of the ham kept apart; at 150 points:"
    )?;
    for group in 0..=across.groups.iter().max().copied().unwrap_or(0) {
        let of = |s: &&Said<'_>| across.groups[s.found.example.source] == group;
        let judged: Vec<Judged> = said.iter().filter(of).map(Said::judged).collect();
        let points: Vec<Judged> = said.iter().filter(of).map(Said::points).collect();
        let is_there = |i: usize| said.iter().any(|s| s.found.example.source == i);
        let sources = measured.found.sources.iter().enumerate();
        let names: Vec<&str> = sources
            .filter(|(i, _)| across.groups[*i] == group && is_there(*i))
            .map(|(_, name)| name.as_str())
            .collect();
        let share = |judged: &[Judged], at: f64, spam: bool| {
            share_above(judged, at, spam).map_or_else(|| "    –".to_owned(), |share| format!("{share:.3}"))
        };
        writeln!(
            out,
            "    {:>5}  {}  ham {} spam {}  150: ham {} spam {}  {}",
            judged.len(),
            area(&judged).map_or_else(|| "     –".to_owned(), |area| format!("{area:.4}")),
            share(&judged, half, false),
            share(&judged, half, true),
            share(&points, 149.5, false),
            share(&points, 149.5, true),
            names.join(", ")
        )?;
    }
    Ok(())
}

fn calibration(said: &[Said<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    let pairs: Vec<(f64, bool)> = said.iter().map(|s| (s.score.probability, s.judged().spam)).collect();
    writeln!(out, "  probability    messages   said   was spam")?;
    for bin in measure::calibration(&pairs) {
        writeln!(out, "  {:.3} – {:.3}  {:>8}  {:.3}   {:.3}", bin.from, bin.to, bin.messages, bin.said, bin.was)?;
    }
    Ok(())
}
