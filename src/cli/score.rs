//! `outguard score`: the verdict on messages of files, without a daemon.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{Arguments, CONFIG_PATH, Look, ScoreArguments};
use super::exit::Failed;
use super::show::decision;
use super::{json_line, mailbox};
use crate::account::{Account, AccountSource, normal};
use crate::clock::{Clock, SystemClock, WallMs};
use crate::config::surroundings::Machine;
use crate::config::{self, Config};
use crate::guard::{Decision, Sender, Verdict};
use crate::mail::Visible;
use crate::message::{Bounds, DateField, Message};
use crate::score::behaviour::Assessment;
use crate::score::scorer::{Scorer, read_in_part};
use crate::score::settings::OwnModel;
use crate::score::{Submission, allow::Allow};

/// One message judged, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Judged<'a> {
    file: &'a str,
    /// Which of the file, from 1.
    number: usize,
    #[serde(flatten)]
    verdict: &'a Verdict,
    /// The probability that its text is spam.
    probability: f64,
}

pub(super) fn run(arguments: &Arguments, asked: &ScoreArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let mut config = settings(arguments)?;
    if let Some(path) = &asked.model {
        config.score.model = Some(model_of(path)?);
    }
    let identity = |name: &str| normal::identity(name, config.account.local_part);
    let account = asked.account.as_deref().and_then(identity).map(|name| Account::named(&name));
    let scorer = Scorer::new(config.score).map_err(|error| Failed::Config(error.to_string()))?;
    let mut files = Vec::new();
    for path in &asked.files {
        if path != Path::new("-") && !path.exists() {
            return Err(mailbox::absent(path));
        }
        mailbox::files_under(path, &mut files)?;
    }
    if files.is_empty() && asked.files.is_empty() {
        files.push(PathBuf::from("-"));
    }
    let clock = SystemClock::new()?;
    for path in &files {
        let name = path.display().to_string();
        let bytes =
            if path == Path::new("-") { standard_input()? } else { std::fs::read(path).map_err(mailbox::at(path))? };
        for (index, message) in mailbox::messages(&bytes).into_iter().enumerate() {
            let message = Message::parse(message, &Bounds::default());
            let at = written_at(&message, clock.now().wall);
            let submission = Submission {
                message: &message,
                envelope: None,
                account: account.as_ref(),
                source: account.as_ref().map(|_| AccountSource::Login),
                client: None,
                at,
            };
            let (verdict, probability) = judge(&scorer, &submission);
            let judged = Judged { file: &name, number: index + 1, verdict: &verdict, probability };
            match arguments.look() {
                Look::Json => json_line(out, &judged)?,
                Look::People => print(&judged, out)?,
            }
        }
    }
    Ok(())
}

/// When it was submitted, as far as a file tells: mail of an archive is judged as on the day that it names.
fn written_at(message: &Message, now: WallMs) -> WallMs {
    match message.date {
        DateField::At { unix_s, .. } => {
            u64::try_from(unix_s).map_or(now, |seconds| WallMs(seconds.saturating_mul(1_000)).min(now))
        }
        DateField::Missing | DateField::Broken => now,
    }
}

fn judge(scorer: &Scorer, submission: &Submission<'_>) -> (Verdict, f64) {
    let mut content = scorer.content(submission, None);
    let message_bytes = submission.message.shape.message_bytes;
    let looked_at_bytes = message_bytes.min(Bounds::default().message_bytes_max as u64);
    content.reasons.extend(read_in_part(looked_at_bytes, message_bytes));
    let thresholds = scorer.settings().thresholds(submission.account, &[]);
    let reasons = scorer.joined(submission, content.reasons, &Assessment::default(), &Allow::default(), thresholds);
    // Without an account nobody has logged in, and a rejection is shown as the hold that it would be.
    let sender = if submission.account.is_some() { Sender::Here } else { Sender::Elsewhere };
    (Verdict::from_reasons(reasons, thresholds, sender, Decision::Send), content.text.probability)
}

fn print(judged: &Judged<'_>, out: &mut dyn Write) -> Result<(), Failed> {
    let decision = decision(judged.verdict.decision);
    let file = Visible(judged.file);
    let number = if judged.number > 1 { format!(" ({})", judged.number) } else { String::new() };
    writeln!(out, "{file}{number}: {} points, {decision}", judged.verdict.score_points)?;
    for reason in &judged.verdict.reasons {
        writeln!(out, "  {:>+5}  {}  {}", reason.points, reason.name, Visible(&reason.sentence))?;
    }
    Ok(())
}

/// The configuration that is named, or the usual one where there is one, or the defaults.
fn settings(arguments: &Arguments) -> Result<Config, Failed> {
    let path = match &arguments.config {
        Some(path) => path.as_path(),
        None if Path::new(CONFIG_PATH).exists() => Path::new(CONFIG_PATH),
        None => return Ok(Config::default()),
    };
    Ok(Config::load(path).map_err(|faults| Failed::Config(faults.to_string()))?.config)
}

/// The model of a file.
pub(super) fn model_of(path: &Path) -> Result<OwnModel, Failed> {
    let unusable = |what: String| Failed::Usage { what: format!("{}: {what}", path.display()) };
    config::model::load(&Machine::new(Path::new(".")), path).map_err(unusable)
}

fn standard_input() -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An account is judged under the name that the daemon gives it, however it is written.
    #[test]
    fn accounts_are_named_as_the_daemon_names_them() {
        use clap::Parser as _;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let rule = "[[score.rule]]\nname = \"bulbs\"\npoints = 40\nsentence = \"Bulbs\"\npattern = \"bulbs\"\n";
        let spared = "[[score.override]]\naccount = \"news@example.com\"\npoints = { bulbs = 0 }\n";
        std::fs::write(at("a.toml"), format!("{rule}{spared}")).unwrap();
        std::fs::write(at("a.eml"), "Subject: spring\n\nbulbs\n").unwrap();
        let cases = [("news@example.com", false), (" NEWS@Example.com", false), ("other@example.com", true)];
        for (account, expected) in cases {
            let words = ["outguard", "score", &at("a.eml"), "--config", &at("a.toml"), "--account", account];
            let mut out = Vec::new();
            crate::cli::run(&Arguments::try_parse_from(words).unwrap(), &mut out).unwrap();
            let said = String::from_utf8(out).unwrap();
            assert_eq!(said.contains("bulbs"), expected, "{account:?}: {said}");
        }
    }
}
