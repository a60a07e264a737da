//! `outguard check`.

use std::io::{self, Write};
use std::path::Path;

use super::arguments::{Arguments, CONFIG_PATH, CheckArguments};
use super::exit::Failed;
use crate::config::{Config, Loaded, effective};
use crate::daemon::lacks;
use crate::daemon::privileges::drop_to;
use crate::mail::Visible;

/// Says everything that is wrong with the configuration at once; where nothing is, prints what holds, as TOML.
pub(super) fn run(arguments: &Arguments, asked: CheckArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let loaded = load(file)?;
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

/// Reads the file, and as root once more as the user that it names: keys, passwords and the file itself must be readable
/// by the daemon at a reload, when it is root no more. The process stays that user; it has nothing else to do.
fn load(file: &Path) -> Result<Loaded, Failed> {
    let load = || Config::load(file).map_err(|faults| Failed::Config(faults.to_string()));
    let loaded = load()?;
    let Some(user) = loaded.config.user.as_deref().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(loaded);
    };
    drop_to(Some(user)).map_err(|e| Failed::Config(format!("{}: user: {e}", file.display())))?;
    load().map_err(|failed| match failed {
        Failed::Config(faults) => Failed::Config(format!("read as user {user}, as a reload does:\n{faults}")),
        other => other,
    })
}
