//! `outguard run`: the daemon, in the foreground.

use std::io::{self, Write};
use std::path::Path;

use super::arguments::{Arguments, CONFIG_PATH};
use super::exit::Failed;
use crate::daemon::{self, RunError};
use crate::mail::Visible;

/// Runs until a signal ends it. Says on standard error when it is ready, in one line that scripts can wait for.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let ready = |places: &[String]| {
        // Nobody may listen; the daemon runs all the same.
        let _ = writeln!(io::stderr().lock(), "outguard: ready, taking mail at {}", Visible(&places.join(", ")));
    };
    daemon::run(file, ready).map_err(|error| match error {
        RunError::Config(faults) => Failed::Config(faults.to_string()),
        other => Failed::Daemon(other),
    })
}
