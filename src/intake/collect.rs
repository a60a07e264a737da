//! A message's content on its way in: in memory while it is small, to the spool once it is not.

use std::sync::Arc;

use bytes::Bytes;

use super::limits::Share;
use super::queue::Queue;
use crate::mail::QueueId;
use crate::store::{Body, SpoolWriter, StoreError};

/// Collects one message. Dropped before its end, nothing of it stays.
pub(super) struct Collector {
    queue: Arc<dyn Queue>,
    share: Share,
    bytes: u64,
    /// What is not in the spool yet.
    memory: Vec<u8>,
    spooled: Option<Spooled>,
    /// The store failed: the rest is dropped, and the client told at the end.
    failed: Option<StoreError>,
}

struct Spooled {
    id: QueueId,
    head: Bytes,
    writer: Box<dyn SpoolWriter>,
}

/// A message whose bytes are where they will be accepted from.
pub(super) struct Collected {
    /// Its id.
    pub id: QueueId,
    /// Its first bytes, all of a small one: enough for what is read in a header.
    pub head: Bytes,
    /// All of it.
    pub body: Body,
    /// Its share of what is in flight, until it is stored.
    pub share: Share,
}

impl Collector {
    pub(super) fn new(queue: Arc<dyn Queue>, share: Share, told_bytes: Option<u64>) -> Self {
        let expected = usize::try_from(told_bytes.unwrap_or(4_096)).unwrap_or(usize::MAX);
        let memory = Vec::with_capacity(expected.min(Body::INLINE_BYTES_MAX));
        Self { queue, share, bytes: 0, memory, spooled: None, failed: None }
    }

    /// Takes bytes; they are bounded by what the session has read at once.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.share.grown_to(self.bytes);
        if self.failed.is_none() {
            self.memory.extend_from_slice(bytes);
        }
    }

    /// Whether [`Collector::flush`] is due.
    pub(super) fn is_full(&self) -> bool {
        self.memory.len() > Body::INLINE_BYTES_MAX
    }

    /// Writes what is in memory to the spool. A failure is kept for the end: the content must be read to its end first.
    pub(super) async fn flush(&mut self) {
        if let Err(error) = self.spool().await {
            self.failed = Some(error);
            self.spooled = None;
            self.memory = Vec::new();
        }
    }

    async fn spool(&mut self) -> Result<(), StoreError> {
        let bytes = Bytes::from(std::mem::take(&mut self.memory));
        if let Some(spooled) = &mut self.spooled {
            return spooled.writer.write(bytes).await;
        }
        let id = self.queue.allocate()?;
        let writer = self.queue.spool(id).await?;
        let spooled = self.spooled.insert(Spooled { id, head: bytes.clone(), writer });
        spooled.writer.write(bytes).await
    }

    /// The end of the message.
    ///
    /// # Errors
    /// What the store said, now or on the way.
    pub(super) async fn finish(mut self) -> Result<Collected, StoreError> {
        if self.spooled.is_some() && !self.memory.is_empty() {
            self.flush().await;
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let share = self.share;
        if let Some(spooled) = self.spooled {
            let body = spooled.writer.finish().await?;
            return Ok(Collected { id: spooled.id, head: spooled.head, body, share });
        }
        let id = self.queue.allocate()?;
        let head = Bytes::from(self.memory);
        Ok(Collected { id, body: Body::Inline(head.clone()), head, share })
    }
}
