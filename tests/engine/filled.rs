//! A store filled as by many sessions at once: for the flood of a test, and for the bench of a million messages.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use outguard::account::{Account, AccountSource};
use outguard::clock::{Clock, Now};
use outguard::guard::{Decision, Verdict};
use outguard::mail::{Address, BodyType, Envelope, QueueId, Recipient, ReversePath};
use outguard::store::settings::{FreeMin, StoreSettings};
use outguard::store::sqlite::SqliteStore;
use outguard::store::{Acceptance, Body, Destination, Store as _};

/// As many as go into one transaction of the store.
const SUBMITTERS: u64 = 512;

/// A store that leaves the disk's room to others.
pub(crate) fn place(path: &Path) -> StoreSettings {
    StoreSettings { path: path.to_owned(), free_min: FreeMin::Bytes(0), ballast_bytes: 0, ..StoreSettings::default() }
}

/// A message free to leave.
pub(crate) fn message(
    (id, received): (QueueId, Now),
    from: &str,
    to: &str,
    destination: &str,
    body: &[u8],
) -> Acceptance {
    let address = |text: &str| Address::parse(text.as_bytes()).unwrap();
    Acceptance {
        id,
        received,
        client: "127.0.0.1".into(),
        account: Account::named(from),
        source: AccountSource::ReversePath,
        envelope: Envelope {
            reverse_path: ReversePath::Address(address(from)),
            recipients: vec![Recipient::plain(address(to))],
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
        },
        destinations: vec![Destination(destination.into())],
        class: 0,
        mta_id: None,
        message_id: None,
        header_from: None,
        prefix: Bytes::from_static(b"Received: by relay.example\r\n"),
        verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
        header_needs_utf8: false,
        body: Body::Inline(Bytes::copy_from_slice(body)),
        report_on: None,
    }
}

/// Puts `count` messages in, the n-th as `make` has it, and closes the store.
pub(crate) async fn fill(
    settings: &StoreSettings,
    clock: Arc<dyn Clock>,
    count: u64,
    make: fn(u64, (QueueId, Now)) -> Acceptance,
) {
    let (store, _) = SqliteStore::open(settings, Arc::clone(&clock)).unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..SUBMITTERS {
        let (store, clock, next) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                let id = loop {
                    // Ids are reserved in blocks, one block ahead.
                    match store.allocate() {
                        Ok(id) => break id,
                        Err(_) => tokio::task::yield_now().await,
                    }
                };
                store.accept(make(n, (id, clock.now()))).await.unwrap().into_inner();
            }
        });
    }
    tasks.join_all().await;
    store.close();
}
