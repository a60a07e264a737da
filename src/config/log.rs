//! `[log]`: where log lines go and how they look.

use super::reader::{TableReader, key};
use super::values::words;

/// How the log is written. The daemon sets it up before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Where lines go.
    pub to: LogTarget,
    /// Which lines are written.
    pub level: LogLevel,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTarget {
    /// The journal where systemd started the process with one, else standard error as text.
    Auto,
    /// Lines for people on standard error.
    Text,
    /// One JSON object a line on standard error.
    Json,
    /// The systemd journal, with fields.
    Journal,
}

/// The least severe lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// What may soon.
    Warn,
    /// Each event of the mail.
    Info,
    /// How decisions came about.
    Debug,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { to: LogTarget::Auto, level: LogLevel::Info }
    }
}

words!(LogTarget, "\"auto\", \"text\", \"json\" or \"journal\"", {
    "auto" => LogTarget::Auto,
    "text" => LogTarget::Text,
    "json" => LogTarget::Json,
    "journal" => LogTarget::Journal,
});

words!(LogLevel, "\"error\", \"warn\", \"info\" or \"debug\"", {
    "error" => LogLevel::Error,
    "warn" => LogLevel::Warn,
    "info" => LogLevel::Info,
    "debug" => LogLevel::Debug,
});

/// Reads `[log]`.
pub(super) fn read(root: &mut TableReader<'_>) -> LogSettings {
    let default = LogSettings::default();
    let mut log = root.table("log", "Log lines. No line ever holds a password, a body or a key.");
    LogSettings {
        to: log.or(
            key("to", "Where lines go: auto takes the systemd journal where the service has one, else standard error.")
                .example("\"json\""),
            default.to,
        ),
        level: log.or(key("level", "The least severe lines that are written.").example("\"debug\""), default.level),
    }
}
