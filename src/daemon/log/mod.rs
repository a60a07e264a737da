//! Where log lines go.
//!
//! Events of the journal become one line each, `key=value`, made from the event itself: no second list of fields. Lines of
//! things outside the journal (the store's own trouble, refused sessions) are limited for each place in the code, so
//! that whoever can cause a line cannot fill the disk. Start with [`Log`]; what the line of an event is stands in `event`.

mod event;
mod limiter;
mod lines;

use std::io::{self, Write as _};
use std::sync::Arc;

use serde_json::Value;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::clock::Clock;
use crate::config::log::{LogLevel, LogSettings, LogTarget};
use crate::event::Event;
use crate::store::EventRow;
use event::{fields, key_values, level_of};
use limiter::{Limit, Limiter};
use lines::{EventLines, Lines, Look};

/// Lines of the journal: never limited, for each is a fact.
const JOURNAL: &str = "outguard::journal";

/// The running log.
#[derive(Debug, Clone)]
pub struct Log {
    limiter: Arc<Limiter>,
    journal: Journal,
}

/// How the lines of events leave.
#[derive(Debug, Clone)]
enum Journal {
    /// By `tracing`: systemd's journal takes fields, and so may a process that runs outguard inside.
    Traced,
    /// Written here, those of one commit at once: at thousands of messages a second, a write and a `tracing` line for each
    /// event would be a tenth of all work.
    Written(Arc<EventLines>),
}

/// Why no log could be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The systemd journal was asked for and cannot be reached.
    #[error("log: the systemd journal cannot be reached: {0}; set [log] to = \"text\", or run under systemd")]
    Journal(#[source] io::Error),
    /// It is set up already.
    #[error("log: set up twice: {0}")]
    Twice(#[from] TryInitError),
}

impl Log {
    /// Sets the log up for this process, once.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start(settings: &LogSettings, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let limiter = Arc::new(Limiter::new(clock.clone()));
        let targets = Targets::new().with_default(Level::WARN).with_target("outguard", level(settings.level));
        let registry = tracing_subscriber::registry().with(targets);
        let limit = Limit(limiter.clone());
        let look = match settings.to {
            LogTarget::Auto if !stderr_is_journal() => Look::Text,
            LogTarget::Auto | LogTarget::Journal => match (tracing_journald::layer(), settings.to) {
                (Ok(layer), _) => {
                    let layer = layer.with_field_prefix(Some("OUTGUARD".to_owned())).with_filter(limit);
                    registry.with(layer).try_init()?;
                    return Ok(Self { limiter, journal: Journal::Traced });
                }
                (Err(error), LogTarget::Journal) => return Err(LogError::Journal(error)),
                (Err(_), _) => Look::Text,
            },
            LogTarget::Text => Look::Text,
            LogTarget::Json => Look::Json,
        };
        let lines = Lines { look, clock: clock.clone(), to: Box::new(io::stderr) };
        registry.with(lines.with_filter(limit)).try_init()?;
        let to = Box::new(|lines: &[u8]| drop(io::stderr().write_all(lines))); // a log must not stop mail
        let lines = EventLines { look, least: level(settings.level), clock, to };
        Ok(Self { limiter, journal: Journal::Written(Arc::new(lines)) })
    }

    /// A log for a daemon that runs inside something else, which reads the journal itself: lines go where the process
    /// sends them, if anywhere.
    pub fn silent(clock: Arc<dyn Clock>) -> Self {
        Self { limiter: Arc::new(Limiter::new(clock)), journal: Journal::Traced }
    }

    /// Writes the lines of events, in their order.
    pub fn events(&self, rows: &[EventRow]) {
        match &self.journal {
            Journal::Traced => rows.iter().for_each(|row| traced(&row.event)),
            Journal::Written(lines) => lines.write(rows),
        }
    }

    /// Says how many lines were left out since it was last called, one line for each place. To be called about once a
    /// minute.
    pub fn report_left_out(&self) {
        for (place, lines) in self.limiter.left_out() {
            tracing::warn!(target: JOURNAL, place, lines, "lines like others were left out");
        }
    }
}

/// The line of an event by way of `tracing`.
fn traced(event: &Event) {
    let fields = fields(event);
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, id, account) = (event.name(), text("id"), text("account"));
    let line = key_values(&fields);
    let json = Value::Object(fields).to_string();
    // Fields of a `tracing` line are fixed when it is compiled; what every search wants stands in fields of its own.
    if level_of(event) == Level::WARN {
        tracing::warn!(target: JOURNAL, event = name, id, account, json, "{line}");
    } else {
        tracing::info!(target: JOURNAL, event = name, id, account, json, "{line}");
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// Whether systemd connected standard error to its journal: then lines go there with their fields.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests;
