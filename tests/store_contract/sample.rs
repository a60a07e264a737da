//! Messages, leases and conclusions to try a store with.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use outguard::account::{Account, AccountSource};
use outguard::clock::{BootId, BootMs, Clock, Now, WallMs};
use outguard::guard::{Decision, Verdict};
use outguard::mail::{Address, BodyType, Envelope, QueueId, Recipient, ReversePath};
use outguard::store::settings::{FreeMin, StoreSettings};
use outguard::store::sqlite::SqliteStore;
use outguard::store::{
    Acceptance, Body, Conclusion, DeliveryEnd, DeliveryOutcome, DeliveryState, Destination, Index, Lease, LeaseRequest,
    Line, SlotsEnd, Store,
};

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Now {
        at(5_000)
    }
    fn boot_id(&self) -> BootId {
        BootId("boot".into())
    }
    fn synchronised(&self) -> bool {
        true
    }
}

pub(crate) fn at(ms: u64) -> Now {
    Now { boot: BootMs(ms), wall: WallMs(1_000_000 + ms) }
}

pub(crate) fn wall(ms: u64) -> WallMs {
    at(ms).wall
}

pub(crate) fn settings(path: &Path) -> StoreSettings {
    StoreSettings {
        path: path.to_path_buf(),
        free_min: FreeMin::Bytes(0),
        ballast_bytes: 0,
        ..StoreSettings::default()
    }
}

pub(crate) fn open(path: &Path) -> Arc<dyn Store> {
    SqliteStore::open(&settings(path), Arc::new(FixedClock)).unwrap().0
}

pub(crate) fn account(name: &str) -> Account {
    Account::named(name)
}

pub(crate) fn to(name: &str) -> Destination {
    Destination(name.into())
}

/// A message from `a@example.org` with these recipients, each at the destination `mx:` and its domain.
pub(crate) fn message(store: &dyn Store, now: Now, recipients: &[&str]) -> Acceptance {
    let recipients: Vec<Recipient> =
        recipients.iter().map(|r| Recipient::plain(Address::parse(r.as_bytes()).unwrap())).collect();
    Acceptance {
        id: store.allocate().unwrap(),
        received: now,
        client: "127.0.0.1".into(),
        account: account("a@example.org"),
        source: AccountSource::ReversePath,
        destinations: recipients.iter().map(|r| to(&format!("mx:{}", r.address.domain()))).collect(),
        envelope: Envelope {
            reverse_path: ReversePath::parse(b"a@example.org").unwrap(),
            recipients,
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
        },
        class: 0,
        mta_id: Some("4ABC".into()),
        message_id: Some("<1@example.org>".into()),
        header_from: None,
        prefix: Bytes::from_static(b"Received: by outguard\r\n"),
        verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
        header_needs_utf8: false,
        body: Body::Inline(Bytes::from_static(b"Subject: x\r\n\r\nhello\r\n")),
        report_on: None,
    }
}

pub(crate) fn request(id: QueueId, deliveries: &[u32], now: Now) -> LeaseRequest {
    LeaseRequest {
        message: id,
        deliveries: deliveries.iter().copied().map(Index).collect(),
        account: account("a@example.org"),
        egress: "192.0.2.1".into(),
        counted_as: "192.0.2.1".into(),
        login: None,
        route: "mx".into(),
        boot_id: BootId("boot".into()),
        leased: now,
        granted: None,
    }
}

pub(crate) fn conclusion(lease: Lease, now: Now, outcomes: Vec<DeliveryEnd>) -> Conclusion {
    let recipients = u32::try_from(outcomes.len()).unwrap();
    Conclusion {
        lease,
        ended: now,
        slots: SlotsEnd::Used { recipients, messages: 1 },
        outcomes,
        reports: Vec::new(),
        events: Vec::new(),
        next_hop: "mx.example.net [198.51.100.1]:25".into(),
        egress: "192.0.2.1".into(),
    }
}

pub(crate) fn delivered(index: u32) -> DeliveryEnd {
    DeliveryEnd { index: Index(index), outcome: DeliveryOutcome::Delivered { reply: "250 ok".into() } }
}

pub(crate) fn deferred(index: u32, due: WallMs) -> DeliveryEnd {
    let outcome = DeliveryOutcome::Deferred { due, reply: "451 later".into(), spent_ms: 60_000 };
    DeliveryEnd { index: Index(index), outcome }
}

pub(crate) async fn states(store: &dyn Store, id: QueueId) -> Vec<DeliveryState> {
    store.message(id).await.unwrap().unwrap().1.iter().map(|d| d.state).collect()
}

pub(crate) fn line(destination: &str) -> Line {
    Line { account: account("a@example.org"), class: 0, destination: to(destination) }
}
