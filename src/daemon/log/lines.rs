//! Lines on standard error, as text or as JSON.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event as Line, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::event::{fields, key_values, level_of, push_quoted};
use crate::clock::{Clock, WallMs};
use crate::mail::Visible;
use crate::store::EventRow;

/// How a line on standard error looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Text,
    Json,
}

/// Takes whole lines.
type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Writes the lines of events to one place.
pub(super) struct EventLines {
    pub(super) look: Look,
    /// Lines below this level are not wanted.
    pub(super) least: LevelFilter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) to: Sink,
}

impl std::fmt::Debug for EventLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLines").field("look", &self.look).field("least", &self.least).finish_non_exhaustive()
    }
}

impl EventLines {
    pub(super) fn write(&self, rows: &[EventRow]) {
        let at = timestamp(self.clock.now().wall);
        let mut lines = String::new();
        for row in rows {
            let level = level_of(&row.event);
            if level > self.least {
                continue;
            }
            let fields = fields(&row.event);
            match self.look {
                Look::Text => {
                    let _ = writeln!(lines, "{at} {:5} {}", level.as_str(), key_values(&fields)); // to a String
                }
                Look::Json => {
                    let mut line = json_head(&at, level);
                    line.extend(fields);
                    let _ = writeln!(lines, "{}", Value::Object(line)); // to a String
                }
            }
        }
        if !lines.is_empty() {
            (self.to)(lines.as_bytes());
        }
    }
}

/// What every JSON line begins with.
fn json_head(at: &str, level: Level) -> Map<String, Value> {
    Map::from_iter([("at".to_owned(), at.into()), ("level".to_owned(), level.as_str().to_lowercase().into())])
}

/// Writes each line whole.
pub(super) struct Lines<W> {
    pub(super) look: Look,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) to: Box<dyn Fn() -> W + Send + Sync>,
}

impl<W: Write + 'static, S: Subscriber> Layer<S> for Lines<W> {
    fn on_event(&self, line: &Line<'_>, _: Context<'_, S>) {
        let mut read = Read::default();
        line.record(&mut read);
        let at = timestamp(self.clock.now().wall);
        let text = match self.look {
            Look::Text => read.text(&at, line.metadata()),
            Look::Json => read.json(&at, line.metadata()),
        };
        let _ = (self.to)().write_all(text.as_bytes()); // a log that cannot be written must not stop mail
    }
}

fn timestamp(at: WallMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let Ok(at) = jiff::Timestamp::from_millisecond(ms) else { return at.0.to_string() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
}

/// The fields of a line.
#[derive(Debug, Default)]
struct Read {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Visit for Read {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}").into()));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.fields.push((field.name(), value.to_string().into()));
    }
}

impl Read {
    fn text(self, at: &str, about: &Metadata<'_>) -> String {
        let mut line = format!("{at} {:5} {}", about.level().as_str(), Visible(&self.message));
        for (name, value) in &self.fields {
            let _ = write!(line, " {name}=");
            push_quoted(&mut line, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        line.push('\n');
        line
    }

    fn json(self, at: &str, about: &Metadata<'_>) -> String {
        let mut line = json_head(at, *about.level());
        line.insert("message".to_owned(), self.message.into());
        line.extend(self.fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        format!("{}\n", Value::Object(line))
    }
}
