//! What the writer and the callers both hold: ids, events, the readers, the length of the log.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;

use super::folder::Folder;
use super::readers::{Readers, lock};
use super::spool::Spool;
use crate::mail::QueueId;
use crate::store::{EventRow, StoreError};

/// Queue ids that are reserved at once. Those left at a crash are never used.
pub(super) const IDS_BLOCK: u64 = 1 << 16;
/// Batches of events that a slow subscriber may be behind before it reads from the journal instead.
const EVENT_BATCHES_MAX: usize = 1_024;

/// See the module.
pub(super) struct Shared {
    pub(super) folder: Arc<Folder>,
    pub(super) spool: Arc<Spool>,
    pub(super) readers: Arc<Readers>,
    next_id: AtomicU64,
    reserved_ids: AtomicU64,
    reserving: AtomicBool,
    /// `None` once the store is closed, which ends the subscriptions.
    events: Mutex<Option<broadcast::Sender<Arc<[EventRow]>>>>,
    log_frames: AtomicU32,
    /// Held by whoever copies the log into the database.
    pub(super) copying: Mutex<Copying>,
}

/// Whether what was copied out of the log can be relied on. After a sync that failed, none that succeeds later says anything
/// of what that one covered: nobody copies until the file was opened anew.
#[derive(Debug)]
pub(super) enum Copying {
    /// Every sync so far succeeded.
    Trusted,
    /// One of the helper's did not: the writer is to be told.
    Failed(StoreError),
    /// The writer knows.
    Stopped,
}

/// Whether more ids must be reserved soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// There are plenty.
    Plenty,
    /// The caller asks for the next block: nobody else does.
    AskForMore,
}

impl Shared {
    /// Ids from `first` on are unused, up to `reserved`.
    pub(super) fn new(folder: Arc<Folder>, spool: Arc<Spool>, readers: Arc<Readers>, ids: (u64, u64)) -> Self {
        Self {
            folder,
            spool,
            readers,
            next_id: AtomicU64::new(ids.0),
            reserved_ids: AtomicU64::new(ids.1),
            reserving: AtomicBool::new(false),
            events: Mutex::new(Some(broadcast::Sender::new(EVENT_BATCHES_MAX))),
            log_frames: AtomicU32::new(0),
            copying: Mutex::new(Copying::Trusted),
        }
    }

    /// An id that was never given before.
    pub(super) fn allocate(&self) -> (Result<QueueId, StoreError>, Ids) {
        let next = self.next_id.fetch_add(1, Ordering::Relaxed);
        let reserved = self.reserved_ids.load(Ordering::Acquire);
        let ids = if next + IDS_BLOCK / 2 >= reserved && !self.reserving.swap(true, Ordering::AcqRel) {
            Ids::AskForMore
        } else {
            Ids::Plenty
        };
        let id = if next < reserved { QueueId::new(next) } else { None };
        let unavailable = || StoreError::Unavailable { detail: "no queue id is reserved".into() };
        (id.ok_or_else(unavailable), ids)
    }

    /// All ids below this one are reserved on disk.
    pub(super) fn reserved(&self, below: i64) {
        let below = below.unsigned_abs();
        if below > self.reserved_ids.load(Ordering::Relaxed) {
            self.reserved_ids.store(below, Ordering::Release);
            self.reserving.store(false, Ordering::Release);
        }
    }

    /// A reservation failed: the next caller asks again.
    pub(super) fn not_reserved(&self) {
        self.reserving.store(false, Ordering::Release);
    }

    /// Tells subscribers what is synced.
    pub(super) fn publish(&self, events: Vec<EventRow>) {
        if !events.is_empty()
            && let Some(sender) = &*lock(&self.events)
            && sender.receiver_count() > 0
        {
            let _ = sender.send(events.into()); // the last one may have gone meanwhile
        }
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<[EventRow]>> {
        match &*lock(&self.events) {
            Some(sender) => sender.subscribe(),
            None => broadcast::channel(1).1, // ends after what the journal holds
        }
    }

    /// Nothing is told any more.
    pub(super) fn end_subscriptions(&self) {
        lock(&self.events).take();
    }

    pub(super) fn log_grew(&self, frames: u32) {
        self.log_frames.store(frames, Ordering::Relaxed);
    }

    pub(super) fn log_frames(&self) -> u32 {
        self.log_frames.load(Ordering::Relaxed)
    }
}
