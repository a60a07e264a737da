//! Lines of events and of everything else, as they are written.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Map;

use super::limiter::WINDOW_MS;
use super::*;
use crate::account::Account;
use crate::clock::{BootId, BootMs, Now, WallMs};

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
    let limiter = Arc::new(Limiter::new(clock.clone()));
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
