//! Where log lines go, and what the line of an event is.
//!
//! Events of the journal become one line each, `key=value`, made from the event itself: no second list of fields. Lines of
//! things outside the journal (the store's own trouble, refused sessions) are limited for each place in the code, so
//! that whoever can cause a line cannot fill the disk.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event as Line, Level, Metadata, Subscriber, callsite};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::clock::{Clock, WallMs};
use crate::config::log::{LogLevel, LogSettings, LogTarget};
use crate::event::Event;
use crate::mail::Quoted;
use crate::store::EventRow;

/// Lines of the journal: never limited, for each is a fact.
const JOURNAL: &str = "outguard::journal";
/// Lines from one place in the code within [`WINDOW_MS`]; further ones are counted.
const LINES_MAX: u32 = 20;
const WINDOW_MS: u64 = 60_000;

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
        let limiter = Arc::new(Limiter { clock: clock.clone(), places: Mutex::default() });
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
        Self { limiter: Arc::new(Limiter { clock, places: Mutex::default() }), journal: Journal::Traced }
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

/// Takes whole lines.
type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Writes the lines of events to one place.
struct EventLines {
    look: Look,
    /// Lines below this level are not wanted.
    least: LevelFilter,
    clock: Arc<dyn Clock>,
    to: Sink,
}

impl std::fmt::Debug for EventLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLines").field("look", &self.look).field("least", &self.least).finish_non_exhaustive()
    }
}

impl EventLines {
    fn write(&self, rows: &[EventRow]) {
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

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// What may need a person is a warning.
fn level_of(event: &Event) -> Level {
    match event {
        Event::AttemptUnknown { .. }
        | Event::DsnToOperator { .. }
        | Event::LimitNearlyReached { .. }
        | Event::GateClosed { .. }
        | Event::NextHopTrouble { .. }
        | Event::AccountMerged { .. }
        | Event::AccountSuspect { .. }
        | Event::HeldReminder { .. }
        | Event::DoctorWorse { .. } => Level::WARN,
        Event::Accepted { .. }
        | Event::Held { .. }
        | Event::Rejected { .. }
        | Event::Delivered { .. }
        | Event::Deferred { .. }
        | Event::Bounced { .. }
        | Event::Removed { .. }
        | Event::Released { .. }
        | Event::EightBitAsIs { .. }
        | Event::DsnQueued { .. }
        | Event::GateOpened { .. }
        | Event::DoctorBetter { .. }
        | Event::Started { .. }
        | Event::Reloaded { .. }
        | Event::Stopped { .. } => Level::INFO,
    }
}

/// Whether systemd connected standard error to its journal: then lines go there with their fields.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// The event as its journal row has it.
fn fields(event: &Event) -> Map<String, Value> {
    match serde_json::to_value(event) {
        Ok(Value::Object(mut fields)) => {
            // Whatever an event calls them: who looks for a message or an account finds all of it.
            if let Some(id) = event.message().filter(|_| !fields.contains_key("id")) {
                fields.insert("id".to_owned(), id.into());
            }
            if let Some(account) = concerned(event).filter(|_| !fields.contains_key("account")) {
                fields.insert("account".to_owned(), account.into());
            }
            fields
        }
        // An event is a struct with a tag, so this is an error of a release, not of a message.
        Ok(_) | Err(_) => Map::from_iter([("event".to_owned(), event.name().into())]),
    }
}

/// The account that an event is about, where its field has another name.
fn concerned(event: &Event) -> Option<&str> {
    match event {
        Event::LimitNearlyReached { key, source: Some(_), .. } => Some(key),
        Event::GateClosed { kind, key, .. } | Event::GateOpened { kind, key, .. } if kind == "account" => Some(key),
        Event::AccountMerged { into, .. } => Some(into.as_str()),
        _ => None,
    }
}

/// `message.accepted id=… account=…`: name, queue id and account first, then the rest by name.
fn key_values(fields: &Map<String, Value>) -> String {
    let mut line = fields.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = ["id", "account"];
    let rest = fields.keys().map(String::as_str).filter(|key| *key != "event" && !first.contains(key));
    for key in first.into_iter().filter(|key| fields.contains_key(*key)).chain(rest) {
        let _ = write!(line, " {key}="); // writing to a String cannot fail
        match &fields[key] {
            Value::String(text) => push_quoted(&mut line, text),
            Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                push_quoted(&mut line, &items.join(","));
            }
            other => push_quoted(&mut line, &other.to_string()),
        }
    }
    line
}

fn push_quoted(line: &mut String, text: &str) {
    let _ = write!(line, "{}", Quoted(text)); // writing to a String cannot fail
}

/// How a line on standard error looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Text,
    Json,
}

/// Writes each line whole.
struct Lines<W> {
    look: Look,
    clock: Arc<dyn Clock>,
    to: Box<dyn Fn() -> W + Send + Sync>,
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
        let mut line = format!("{at} {:5} {}", about.level().as_str(), crate::mail::Visible(&self.message));
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

/// Counts lines for each place in the code.
struct Limiter {
    clock: Arc<dyn Clock>,
    places: Mutex<HashMap<callsite::Identifier, Place>>,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

struct Place {
    since_ms: u64,
    lines: u32,
    left_out: u64,
    name: String,
}

impl Limiter {
    /// Whether one more line may be written. The number of places is that of the log lines in the code.
    fn allows(&self, about: &Metadata<'_>) -> bool {
        if about.target() == JOURNAL {
            return true;
        }
        let now_ms = self.clock.now().boot.0;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(about.callsite()).or_insert_with(|| Place {
            since_ms: now_ms,
            lines: 0,
            left_out: 0,
            name: format!("{}:{}", about.file().unwrap_or_default(), about.line().unwrap_or_default()),
        });
        if now_ms >= place.since_ms + WINDOW_MS {
            (place.since_ms, place.lines) = (now_ms, 0);
        }
        place.lines = place.lines.saturating_add(1);
        let allowed = place.lines <= LINES_MAX;
        place.left_out += u64::from(!allowed);
        allowed
    }

    fn left_out(&self) -> Vec<(String, u64)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.values_mut().filter(|place| place.left_out > 0);
        taken.map(|place| (place.name.clone(), std::mem::take(&mut place.left_out))).collect()
    }
}

/// The limiter as a filter of a layer.
struct Limit(Arc<Limiter>);

impl<S: Subscriber> Filter<S> for Limit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, line: &Line<'_>, _: &Context<'_, S>) -> bool {
        self.0.allows(line.metadata())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::account::Account;
    use crate::clock::{BootId, BootMs, Now};

    /// A clock that a test sets.
    #[derive(Default)]
    struct SetClock(AtomicU64);

    impl Clock for SetClock {
        fn now(&self) -> Now {
            Now { boot: BootMs(self.0.load(Ordering::SeqCst)), wall: WallMs(1_795_255_200_123) }
        }

        fn boot_id(&self) -> BootId {
            BootId("boot".into())
        }

        fn synchronised(&self) -> bool {
            true
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_looks_for_an_account_or_a_message_finds_all_of_it() {
        let gate = |kind: &str| Event::GateClosed {
            kind: kind.to_owned(),
            key: "ann@x.example".to_owned(),
            by: "root".to_owned(),
            reason: "hijacked".to_owned(),
            under_way: 0,
        };
        assert_eq!(fields(&gate("account"))["account"], "ann@x.example");
        assert!(!fields(&gate("egress")).contains_key("account"));
        let of = "7".to_owned();
        let told = Event::DsnToOperator { of, account: Account::named("a"), reason: String::new() };
        assert_eq!(fields(&told)["id"], "7");
    }

    /// What is written while `deed` runs.
    fn written(look: Look, clock: &Arc<SetClock>, deed: impl FnOnce(&Log)) -> String {
        let written = Written::default();
        let to = written.clone();
        let clock: Arc<dyn Clock> = clock.clone();
        let limiter = Arc::new(Limiter { clock: clock.clone(), places: Mutex::default() });
        let events = to.clone();
        let journal = Journal::Written(Arc::new(EventLines {
            look,
            least: LevelFilter::INFO,
            clock: clock.clone(),
            to: Box::new(move |lines| events.clone().write_all(lines).unwrap()),
        }));
        let lines = Lines { look, clock, to: Box::new(move || to.clone()) }.with_filter(Limit(limiter.clone()));
        let log = Log { limiter, journal };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || deed(&log));
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn bounced() -> EventRow {
        let event = Event::Bounced {
            id: "000000001a".into(),
            account: Account::named("shop@example.org"),
            to: "b@c.example".into(),
            reply: "550 5.1.1 \"no\"\r\n\u{1b}[2Jsuch user".into(),
            dsn: None,
        };
        EventRow { row: 1, at: WallMs(1), event }
    }

    #[test]
    fn an_event_is_one_line_with_all_its_fields() {
        let text = written(Look::Text, &Arc::default(), |log| log.events(&[bounced()]));
        let expected = " INFO  delivery.bounced id=000000001a account=shop@example.org \
             reply=\"550 5.1.1 \\\"no\\\"\\r\\n\\u{1b}[2Jsuch user\" to=b@c.example\n";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(text.lines().count(), 1);

        let json = written(Look::Json, &Arc::default(), |log| log.events(&[bounced()]));
        let mut line: Map<String, Value> = serde_json::from_str(&json).unwrap();
        assert!(line.remove("at").is_some() && line.remove("level").is_some());
        assert_eq!(Value::Object(line), serde_json::to_value(bounced().event).unwrap(), "the journal's own fields");
    }

    #[test]
    fn other_lines_are_limited_and_counted() {
        let clock = Arc::new(SetClock::default());
        let complain = |times: usize| (0..times).for_each(|n| tracing::warn!(n, client = "a\nb", "refused"));
        let text = written(Look::Text, &clock, |log| {
            complain(50);
            (0..50).for_each(|_| log.events(&[bounced()]));
            log.report_left_out();
            log.report_left_out();
            clock.0.store(WINDOW_MS, Ordering::SeqCst);
            complain(1);
        });
        assert_eq!(text.matches("refused").count(), 21, "twenty, and one in the next minute");
        assert!(text.contains("refused n=0 client=\"a\\nb\""), "{text}");
        assert_eq!(text.matches("delivery.bounced").count(), 50, "facts are never left out");
        assert_eq!(text.matches("lines=30").count(), 1, "told once: {text}");
    }
}
