//! Messages fresh from intake, kept for their first attempt so that it need not read the store.
//!
//! Bounded by bytes, oldest out first. The store stays the truth: what is not here is read from there.

use std::collections::{HashMap, VecDeque};

use crate::limits::WallClock;
use crate::mail::QueueId;
use crate::store::query::ContentBody;
use crate::store::{Acceptance, Body, Content, DeliveryRow, DeliveryState, Index, MessageRow};

/// A message with all that an attempt needs.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) row: MessageRow,
    pub(super) deliveries: Vec<DeliveryRow>,
    pub(super) content: Content,
}

/// What an entry costs beside its bytes: rows, map, names.
const ENTRY_BYTES: usize = 1024;

/// The cache.
#[derive(Debug)]
pub(super) struct FreshMessages {
    entries: HashMap<QueueId, Loaded, foldhash::fast::RandomState>,
    order: VecDeque<QueueId>,
    bytes: usize,
    bytes_max: usize,
}

impl FreshMessages {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::default(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Keeps a message that was just accepted, unless its body is in a file: then there is nothing to save.
    pub(super) fn put(&mut self, loaded: Loaded) {
        let cost = cost(&loaded);
        if matches!(loaded.content.body, ContentBody::File(_)) || cost > self.bytes_max {
            return;
        }
        self.bytes += cost;
        self.order.push_back(loaded.row.id);
        self.entries.insert(loaded.row.id, loaded);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.take(oldest);
        }
        // Ids taken out of turn stay in the order until they come to its front; keep it in proportion.
        if self.order.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.order.retain(|id| entries.contains_key(id));
        }
    }

    /// Forgets all: what the store has is no longer what is here.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// Hands the message over: its first attempt is the only one that finds it here.
    pub(super) fn take(&mut self, id: QueueId) -> Option<Loaded> {
        let loaded = self.entries.remove(&id)?;
        self.bytes -= cost(&loaded);
        Some(loaded)
    }
}

fn cost(loaded: &Loaded) -> usize {
    let body = match &loaded.content.body {
        ContentBody::Bytes(bytes) => bytes.len(),
        ContentBody::File(_) => 0,
    };
    body + loaded.content.prefix.len() + ENTRY_BYTES * (1 + loaded.deliveries.len())
}

impl Loaded {
    /// The message as the store will tell it; `None` where its body is in a file, which is read from there.
    pub(super) fn from_acceptance(acceptance: &Acceptance) -> Option<Self> {
        let Body::Inline(bytes) = &acceptance.body else { return None };
        let envelope = &acceptance.envelope;
        let due = acceptance.received.wall;
        let deliveries = envelope.recipients.iter().zip(&acceptance.destinations).zip(0..);
        Some(Self {
            content: Content {
                prefix: acceptance.prefix.clone(),
                size_bytes: (acceptance.prefix.len() + bytes.len()) as u64,
                body: ContentBody::Bytes(bytes.clone()),
            },
            deliveries: deliveries
                .map(|((recipient, destination), index)| DeliveryRow {
                    index: Index(index),
                    recipient: recipient.clone(),
                    destination: destination.clone(),
                    state: DeliveryState::Waiting,
                    due,
                    attempts: 0,
                    spent_ms: 0,
                    delay_reported: false,
                    last_reply: None,
                })
                .collect(),
            row: MessageRow {
                id: acceptance.id,
                received: due,
                // The store knows; the first attempt, which this is for, is no question of age.
                received_by: WallClock::Unsynchronised,
                client: acceptance.client.clone(),
                account: acceptance.account.clone(),
                source: acceptance.source,
                reverse_path: envelope.reverse_path.clone(),
                body_type: envelope.body,
                smtputf8: envelope.smtputf8,
                header_needs_utf8: acceptance.header_needs_utf8,
                ret: envelope.ret,
                envid: envelope.envid.clone(),
                mta_id: acceptance.mta_id.clone(),
                message_id: acceptance.message_id.clone(),
                header_from: acceptance.header_from.clone(),
                verdict: acceptance.verdict.clone(),
                class: acceptance.class,
                size_bytes: bytes.len() as u64,
                report_on: acceptance.report_on.as_ref().map(|(of, _)| *of),
            },
        })
    }
}
