//! `outguard check`.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::arguments::{Arguments, CONFIG_PATH, CheckArguments, Look};
use super::exit::Failed;
use super::json_line;
use crate::config::{Config, Diagnostic, Diagnostics, Loaded, Severity, effective};
use crate::daemon::lacks;
use crate::daemon::privileges::drop_to;
use crate::mail::Visible;

/// Says everything that is wrong with the configuration at once; where nothing is, prints what holds, as TOML.
pub(super) fn run(arguments: &Arguments, asked: CheckArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let look = arguments.look();
    let loaded = load(file).map_err(|refused| match look {
        Look::People => Failed::Config(refused.to_string()),
        Look::Json => refused.for_scripts(file, out).err().unwrap_or_else(|| refused.in_short(file)),
    })?;
    match look {
        Look::People => for_people(&loaded, file, asked, out),
        Look::Json => for_scripts(&loaded, file, asked, out),
    }
}

fn for_people(loaded: &Loaded, file: &Path, asked: CheckArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let mut err = io::stderr().lock();
    for warning in &loaded.warnings {
        let _ = writeln!(err, "outguard: {}", Visible(&warning.to_string())); // nobody is left to tell
    }
    for warning in lacks(&loaded.config) {
        let _ = writeln!(err, "outguard: {}: warning: {}", file.display(), Visible(&warning));
    }
    if asked.quiet {
        return Ok(());
    }
    write!(out, "{}", effective::print(&loaded.record, &file.display().to_string()).trim_start())?;
    Ok(())
}

fn for_scripts(loaded: &Loaded, file: &Path, asked: CheckArguments, out: &mut dyn Write) -> Result<(), Failed> {
    for warning in &loaded.warnings {
        json_line(out, &Told::of(warning))?;
    }
    let name = file.display().to_string();
    for warning in lacks(&loaded.config) {
        json_line(out, &Told::about(&name, "warning", &warning))?;
    }
    if asked.quiet {
        return Ok(());
    }
    let effective = effective::print(&loaded.record, &name);
    json_line(out, &serde_json::json!({ "effective": effective.trim_start() }))
}

/// One fault or warning, for scripts. What is not known is left out.
#[derive(Debug, Serialize)]
struct Told<'d> {
    file: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'d str>,
    severity: &'static str,
    message: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'d str>,
}

impl<'d> Told<'d> {
    fn of(diagnostic: &'d Diagnostic) -> Self {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self {
            line: diagnostic.position.map(|at| at.line),
            column: diagnostic.position.map(|at| at.column),
            key: Some(diagnostic.key.as_str()).filter(|key| !key.is_empty()),
            value: diagnostic.value.as_deref(),
            ..Self::about(&diagnostic.file, severity, &diagnostic.sentence)
        }
    }

    /// About the whole file. What to write instead stands at a sentence's end.
    fn about(file: &'d str, severity: &'static str, sentence: &'d str) -> Self {
        let (message, expected) = match sentence.split_once("; write ") {
            Some((message, expected)) => (message, Some(expected)),
            None => (sentence, None),
        };
        Self { file, line: None, column: None, key: None, value: None, severity, message, expected }
    }
}

/// Why the configuration cannot be used.
enum Refused {
    /// By whoever asks; or as the user that the file names.
    Faults { faults: Diagnostics, user: Option<String> },
    /// There is no becoming that user.
    User(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults { faults, user: None } => faults.fmt(f),
            Self::Faults { faults, user: Some(user) } => write!(f, "read as user {user}, as a reload does:\n{faults}"),
            Self::User(why) => f.write_str(why),
        }
    }
}

impl Refused {
    fn for_scripts(&self, file: &Path, out: &mut dyn Write) -> Result<(), Failed> {
        match self {
            Self::Faults { faults, .. } => faults.iter().try_for_each(|fault| json_line(out, &Told::of(fault))),
            Self::User(why) => json_line(out, &Told::about(&file.display().to_string(), "error", why)),
        }
    }

    /// What people read beside the lines for scripts.
    fn in_short(&self, file: &Path) -> Failed {
        let file = file.display();
        Failed::Config(match self {
            Self::Faults { user: Some(user), .. } => format!("{file}: cannot be used as user {user}, as a reload does"),
            Self::Faults { user: None, .. } | Self::User(_) => format!("{file}: cannot be used"),
        })
    }
}

/// Reads the file, and as root once more as the user that it names: keys, passwords and the file itself must be readable
/// by the daemon at a reload, when it is root no more. The process stays that user; it has nothing else to do.
fn load(file: &Path) -> Result<Loaded, Refused> {
    let loaded = Config::load(file).map_err(|faults| Refused::Faults { faults, user: None })?;
    let Some(user) = loaded.config.user.as_deref().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(loaded);
    };
    drop_to(Some(user)).map_err(|e| Refused::User(format!("{}: user: {e}", file.display())))?;
    Config::load(file).map_err(|faults| Refused::Faults { faults, user: Some(user.to_owned()) })
}
