//! `outguard check`.

use std::io::{self, Write};
use std::path::Path;

use super::arguments::{Arguments, CONFIG_PATH};
use super::exit::Failed;
use crate::config::{Config, effective};
use crate::mail::Visible;

/// Says everything that is wrong with the configuration at once; where nothing is, prints what holds, as TOML.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let loaded = Config::load(file).map_err(|faults| Failed::Config(faults.to_string()))?;
    let mut err = io::stderr().lock();
    for warning in &loaded.warnings {
        let _ = writeln!(err, "outguard: {}", Visible(&warning.to_string())); // nobody is left to tell
    }
    write!(out, "{}", effective::print(&loaded.record, &file.display().to_string()).trim_start())?;
    Ok(())
}
