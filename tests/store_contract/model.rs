//! The store beside a plain model of it: the same random deeds on both, and they never differ (invariant 1: each delivery
//! is in exactly one state, at each moment).

use std::collections::BTreeMap;
use std::sync::Arc;

use outguard::clock::{BootId, Clock, Now};
use outguard::guard::Decision;
use outguard::mail::QueueId;
use outguard::store::sqlite::SqliteStore;
use outguard::store::{
    DeliveryEnd, DeliveryOutcome, DeliveryState as S, Filter, Gate, GateKind, Index, KeepAttempts, Lease, Page, Store,
    Totals,
};

use super::sample::{account, at, conclusion, message, request, settings, to, wall};

const STEPS: u64 = 250;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[derive(Default)]
struct Model {
    messages: BTreeMap<QueueId, Vec<Delivery>>,
    gate: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Delivery {
    state: S,
    due: u64,
    attempts: u32,
    domain: u64,
}

impl Model {
    fn totals(&self) -> Totals {
        let count = |state| self.messages.values().flatten().filter(|d| d.state == state).count() as u64;
        let (waiting, held, under_way) = (count(S::Waiting), count(S::Held), count(S::UnderWay));
        let alive = |ds: &&Vec<Delivery>| ds.iter().any(Delivery::in_queue);
        Totals { messages: self.messages.values().filter(alive).count() as u64, waiting, held, under_way }
    }

    fn any(&self, random: &mut Random) -> Option<QueueId> {
        let n = random.below(self.messages.len().max(1) as u64);
        self.messages.keys().nth(usize::try_from(n).unwrap()).copied()
    }
}

impl Delivery {
    fn in_queue(&self) -> bool {
        matches!(self.state, S::Waiting | S::Held | S::UnderWay)
    }
}

/// When stores are opened: after all that happens, so that no mail is from the future.
const LATE: u64 = 900_000;

struct LateClock;

impl Clock for LateClock {
    fn now(&self) -> Now {
        at(LATE)
    }
    fn boot_id(&self) -> BootId {
        BootId("boot".into())
    }
    fn synchronised(&self) -> bool {
        true
    }
}

fn open_late(path: &std::path::Path) -> Arc<dyn Store> {
    SqliteStore::open(&settings(path), Arc::new(LateClock)).unwrap().0
}

#[tokio::test]
async fn the_store_and_a_plain_model_agree() {
    for seed in 1..=4 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut store = open_late(&path);
        let (mut model, mut leases, mut random) = (Model::default(), Vec::new(), Random(seed * 7_919));
        for step in 0..STEPS {
            let now = 10_000 + step * 10;
            if random.below(60) == 0 {
                // The process ends: what was under way is unknown, and waits again.
                leases.clear();
                drop(store);
                store = open_late(&path);
                for delivery in model.messages.values_mut().flatten().filter(|d| d.state == S::UnderWay) {
                    *delivery = Delivery { state: S::Waiting, attempts: delivery.attempts + 1, due: LATE, ..*delivery };
                }
            } else {
                deed(&*store, &mut model, &mut leases, &mut random, now).await;
            }
            assert_eq!(store.totals().await.unwrap(), model.totals(), "seed {seed} step {step}");
            if step % 10 == 0 {
                compare(&store, &model, now, &format!("seed {seed} step {step}")).await;
            }
        }
        compare(&store, &model, 1_000_000, &format!("seed {seed} at the end")).await;
    }
}

async fn deed(store: &dyn Store, model: &mut Model, leases: &mut Vec<Lease>, random: &mut Random, now: u64) {
    match random.below(12) {
        0..=3 => accept(store, model, random, now).await,
        4..=6 => {
            let Some(id) = model.any(random) else { return };
            let wanted: Vec<u32> = (0..3).filter(|_| random.below(2) == 0).collect();
            let lease = store.lease(request(id, &wanted, at(now))).await.unwrap().into_inner();
            let mut taken = Vec::new();
            for (n, delivery) in model.messages.get_mut(&id).into_iter().flatten().enumerate() {
                let n = u32::try_from(n).unwrap();
                if wanted.contains(&n) && delivery.state == S::Waiting && !model.gate {
                    delivery.state = S::UnderWay;
                    taken.push(Index(n));
                }
            }
            assert_eq!(lease.deliveries(), taken);
            leases.push(lease);
        }
        7..=8 if !leases.is_empty() => {
            let lease = leases.swap_remove(usize::try_from(random.below(leases.len() as u64)).unwrap());
            conclude(store, model, lease, random, now).await;
        }
        9 => operator(store, model, random, now).await,
        10 => {
            let destination = random.below(3);
            let due = now + random.below(500);
            let reply = "no route".to_owned();
            let name = to(&format!("mx:d{destination}.example"));
            let n = store.defer_destination(name, at(now), wall(due), reply).await.unwrap();
            let mut changed = 0;
            for delivery in model.messages.values_mut().flatten() {
                if delivery.state == S::Waiting && delivery.domain == destination && delivery.due <= now {
                    delivery.due = due;
                    changed += 1;
                }
            }
            // What is due again at once may be met twice by the pages.
            assert!(n >= changed, "{n} of {changed}");
        }
        _ => {
            let before = wall(now.saturating_sub(random.below(2_000)));
            let attempts = KeepAttempts { keep_ms: 1_000, earlier_boots_since: Some(before) };
            while store.prune(before, attempts, u64::MAX).await.unwrap() {}
            let mut gone = Vec::new();
            for (id, deliveries) in &model.messages {
                if store.message(*id).await.unwrap().is_none() {
                    assert!(!deliveries.iter().any(Delivery::in_queue), "invariant 1: {id} was forgotten in the queue");
                    gone.push(*id);
                }
            }
            for id in gone {
                model.messages.remove(&id);
            }
        }
    }
}

async fn accept(store: &dyn Store, model: &mut Model, random: &mut Random, now: u64) {
    let domains: Vec<u64> = (0..=random.below(3)).map(|_| random.below(3)).collect();
    let recipients: Vec<String> = domains.iter().enumerate().map(|(n, d)| format!("r{n}@d{d}.example")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut m = message(store, at(now), &recipients);
    let mut state = S::Waiting;
    if random.below(6) == 0 {
        m.verdict.decision = Decision::Hold;
        state = S::Held;
    }
    let deliveries = domains.iter().map(|d| Delivery { state, due: now, attempts: 0, domain: *d }).collect();
    model.messages.insert(m.id, deliveries);
    store.accept(m).await.unwrap().into_inner();
}

async fn conclude(store: &dyn Store, model: &mut Model, lease: Lease, random: &mut Random, now: u64) {
    let (mut outcomes, id) = (Vec::new(), lease.message());
    let empty = lease.deliveries().is_empty();
    if let Some(deliveries) = model.messages.get_mut(&id) {
        for index in lease.deliveries() {
            let delivery = &mut deliveries[index.0 as usize];
            let reply = String::from("said");
            let (outcome, state) = match random.below(5) {
                0 => (DeliveryOutcome::Delivered { reply }, S::Delivered),
                1 => (DeliveryOutcome::Bounced { reply, dsn: None }, S::Bounced),
                2 => (DeliveryOutcome::Deferred { due: wall(now + 300), reply, spent_ms: 300 }, S::Waiting),
                3 => (DeliveryOutcome::Held { reason: reply }, S::Held),
                _ => {
                    delivery.state = S::Waiting; // no outcome
                    continue;
                }
            };
            delivery.state = state;
            delivery.attempts += 1;
            if matches!(outcome, DeliveryOutcome::Deferred { .. }) {
                delivery.due = now + 300;
            }
            outcomes.push(DeliveryEnd { index: *index, outcome });
        }
    }
    let done = store.conclude(conclusion(lease, at(now), outcomes), None).await.unwrap().into_inner();
    let ended = model.messages.get(&id).is_some_and(|ds| !ds.iter().any(Delivery::in_queue));
    assert!(!done.message_ended || ended, "{id}");
    assert!(empty || done.message_ended == ended, "{id}");
}

async fn operator(store: &dyn Store, model: &mut Model, random: &mut Random, now: u64) {
    let Some(id) = model.any(random) else { return };
    match random.below(4) {
        0 => {
            let n = store.remove(id, "anna".into(), at(now)).await.unwrap().into_inner();
            let mut removed = 0;
            for delivery in model.messages.get_mut(&id).into_iter().flatten() {
                if matches!(delivery.state, S::Waiting | S::Held) {
                    delivery.state = S::Removed;
                    removed += 1;
                }
            }
            assert_eq!(n, Some(removed));
        }
        1 => {
            store.release(id, "anna".into(), None, at(now)).await.unwrap().into_inner();
            for delivery in model.messages.get_mut(&id).into_iter().flatten().filter(|d| d.state == S::Held) {
                (delivery.state, delivery.due) = (S::Waiting, now);
            }
        }
        2 => {
            store.flush(Filter::default(), at(now)).await.unwrap().into_inner();
            for delivery in model.messages.values_mut().flatten().filter(|d| d.state == S::Waiting && d.due > now) {
                delivery.due = now;
            }
        }
        _ => {
            let (kind, key, by) = (GateKind::Account, "a@example.org".to_owned(), "anna".to_owned());
            if model.gate {
                assert!(store.open_gate(kind, key, by, at(now)).await.unwrap().into_inner());
            } else {
                let gate = Gate { kind, key, by, reason: "test".into(), since: wall(now), until: None };
                store.close_gate(gate, at(now), 0).await.unwrap().into_inner();
            }
            model.gate = !model.gate;
        }
    }
}

/// Every message, every line.
async fn compare(store: &Arc<dyn Store>, model: &Model, now: u64, place: &str) {
    for (id, expected) in &model.messages {
        let (_, deliveries) = store.message(*id).await.unwrap().unwrap();
        for (delivery, expected) in deliveries.iter().zip(expected) {
            let found = (delivery.state, delivery.attempts);
            assert_eq!(found, (expected.state, expected.attempts), "{place}: {id} {expected:?}");
            if expected.state == S::Waiting {
                assert_eq!(delivery.due, wall(expected.due), "{place}: {id} {expected:?}");
            }
        }
        let alive = expected.iter().any(Delivery::in_queue);
        assert_eq!(store.content(*id).await.is_ok(), alive, "{place}: a body lives as long as its message");
    }
    let listed = store.list(Filter::default(), Page { after: None, limit: 1_000 }).await.unwrap();
    assert_eq!(listed.len() as u64, model.totals().messages, "{place}");
    for domain in 0..3 {
        let line = outguard::store::Line {
            account: account("a@example.org"),
            class: 0,
            destination: to(&format!("mx:d{domain}.example")),
        };
        let page = store.line_page(line, wall(now), 1_000).await.unwrap();
        let due = |d: &&Delivery| d.state == S::Waiting && d.domain == domain && d.due <= now;
        let expected = model.messages.values().flatten().filter(due).count();
        assert_eq!(page.iter().map(|m| m.deliveries.len()).sum::<usize>(), expected, "{place}: line {domain}");
        assert!(page.is_sorted_by_key(|m| m.due), "{place}: oldest due first");
    }
}
