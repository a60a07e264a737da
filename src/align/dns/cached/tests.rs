//! What the cache keeps, for how long, and what it does while the server is down.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::*;
use crate::clock::{BootId, Now, WallMs};

/// A clock that goes when it is told to.
#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Hand {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Now {
        Now { boot: BootMs(self.0.load(Ordering::Relaxed)), wall: WallMs(0) }
    }

    fn boot_id(&self) -> BootId {
        BootId("test".into())
    }

    fn synchronised(&self) -> bool {
        true
    }
}

/// A server that counts, can be made to fail or to stay silent, and gives one text to every name.
#[derive(Debug, Default)]
struct Server {
    asked: AtomicUsize,
    failing: AtomicBool,
    silent: AtomicBool,
}

impl Lookup for Arc<Server> {
    fn ask<'a>(&'a self, _name: &'a str, _kind: Kind) -> Asking<'a> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.silent.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.failing.load(Ordering::Relaxed) {
                return Reply::unsigned(Err(NoAnswer::Failed("down".into())), Duration::ZERO);
            }
            let records = vec![Data::Text(b"v=spf1 -all".as_slice().into())];
            Reply { answer: Ok(records.into()), ttl: Duration::from_mins(10), assurance: Assurance::Signed }
        })
    }
}

fn cached(settings: &AlignDnsSettings) -> (Arc<Server>, Arc<Hand>, Cached<Arc<Server>>) {
    let (server, clock) = (Arc::new(Server::default()), Arc::new(Hand::default()));
    (Arc::clone(&server), Arc::clone(&clock) as _, Cached::new(server, settings, clock))
}

/// Patience that a test can have.
fn impatient() -> AlignDnsSettings {
    let short = Duration::from_millis(20);
    AlignDnsSettings { timeout: short, stale_after: short, ..AlignDnsSettings::default() }
}

#[tokio::test]
async fn old_answers_outlive_a_server_that_fails_or_is_silent() {
    let settings = impatient();
    let (server, clock, dns) = cached(&settings);
    assert!(dns.ask("example.com", Kind::Text).await.answer.is_ok());
    let again = dns.ask("EXAMPLE.com.", Kind::Text).await;
    assert!(again.answer.is_ok(), "names have no case");
    assert_eq!(again.assurance, Assurance::Signed, "what vouches for it is kept with it");
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);

    clock.advance(Duration::from_mins(11));
    server.silent.store(true, Ordering::Relaxed);
    assert!(dns.ask("example.com", Kind::Text).await.answer.is_ok(), "stale");
    assert_eq!(server.asked.load(Ordering::Relaxed), 2);
    assert!(dns.ask("example.com", Kind::Text).await.answer.is_ok());
    assert_eq!(server.asked.load(Ordering::Relaxed), 2, "not asked again at once");

    server.silent.store(false, Ordering::Relaxed);
    server.failing.store(true, Ordering::Relaxed);
    clock.advance(settings.stale_max + Duration::from_hours(1));
    assert!(dns.ask("example.com", Kind::Text).await.answer.is_err(), "too old to be told");
    server.failing.store(false, Ordering::Relaxed);
    clock.advance(settings.failure_ttl);
    assert!(dns.ask("example.com", Kind::Text).await.answer.is_ok(), "back");
}

#[tokio::test]
async fn a_silent_server_is_waited_for_once() {
    let settings = impatient();
    let (server, clock, dns) = cached(&settings);
    server.silent.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let reply = dns.ask("example.com", Kind::Text).await;
        assert!(matches!(reply.answer, Err(NoAnswer::Failed(_))), "{reply:?}");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
    clock.advance(settings.failure_ttl);
    server.silent.store(false, Ordering::Relaxed);
    assert!(dns.ask("example.com", Kind::Text).await.answer.is_ok());
}

#[tokio::test]
async fn memory_is_bounded_by_entries_and_by_bytes() {
    let few = AlignDnsSettings { cache_entries_max: 100, ..AlignDnsSettings::default() };
    let small = AlignDnsSettings { cache_bytes_max: 20_000, ..AlignDnsSettings::default() };
    for (settings, most) in [(few, 100), (small, 20_000 / ENTRY_BYTES)] {
        let (_, _, dns) = cached(&settings);
        for n in 0..1_000 {
            dns.ask(&format!("host{n}.example.com"), Kind::Text).await;
            // What is used all the time stays.
            dns.ask("example.com", Kind::Text).await;
        }
        assert!(!dns.is_empty() && dns.len() <= most, "{} entries", dns.len());
        let asked = dns.upstream.asked.load(Ordering::Relaxed);
        dns.ask("example.com", Kind::Text).await;
        assert_eq!(dns.upstream.asked.load(Ordering::Relaxed), asked);
    }
}

#[tokio::test]
async fn who_asks_the_same_at_once_shares_the_answer() {
    let (server, _, cache) = cached(&AlignDnsSettings::default());
    let (one, two, other) = tokio::join!(
        cache.ask("example.com", Kind::Text),
        cache.ask("EXAMPLE.com.", Kind::Text),
        cache.ask("example.com", Kind::Ipv4)
    );
    assert_eq!((one.answer.is_ok(), one.answer == two.answer, other.answer.is_ok()), (true, true, true));
    assert_eq!(server.asked.load(Ordering::Relaxed), 2);
    // Who gives up leaves nothing behind, and does not keep others from asking.
    server.silent.store(true, Ordering::Relaxed);
    let waiting = cache.ask("example.net", Kind::Text);
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    server.silent.store(false, Ordering::Relaxed);
    assert!(cache.ask("example.net", Kind::Text).await.answer.is_ok());
    assert!(cache.asking.lock().unwrap().is_empty());
}
