//! Following the journal: what log lines and metrics are written from.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::readers::Readers;
use crate::store::EventRow;

/// Events read from the journal at once.
const PAGE: usize = 500;
/// How long is waited after a read that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Events in the journal's order, each exactly once. One that is slow loses nothing: it reads from the journal what it
/// missed, as far as the journal is kept.
pub struct Subscription {
    cursor: u64,
    ready: VecDeque<EventRow>,
    behind: bool,
    live: Receiver<Arc<[EventRow]>>,
    readers: Arc<Readers>,
}

impl Subscription {
    pub(super) fn new(cursor: u64, live: Receiver<Arc<[EventRow]>>, readers: Arc<Readers>) -> Self {
        Self { cursor, ready: VecDeque::new(), behind: true, live, readers }
    }

    /// The next event; `None` once the store is closed. Safe to cancel.
    pub async fn next(&mut self) -> Option<EventRow> {
        self.fill().await?;
        let row = self.ready.pop_front()?;
        self.cursor = row.row;
        Some(row)
    }

    /// The next events, at least one: those of a commit, or a page of what was missed. Safe to cancel.
    pub async fn next_all(&mut self) -> Option<Vec<EventRow>> {
        self.fill().await?;
        let rows = Vec::from(std::mem::take(&mut self.ready));
        self.cursor = rows.last()?.row;
        Some(rows)
    }

    /// Waits until there is an event.
    async fn fill(&mut self) -> Option<()> {
        loop {
            if !self.ready.is_empty() {
                return Some(());
            }
            if self.behind {
                let cursor = self.cursor;
                match Arc::clone(&self.readers).read(move |reader| reader.events(cursor, PAGE)).await {
                    Ok(rows) if rows.is_empty() => self.behind = false,
                    Ok(rows) => self.ready.extend(rows),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
                continue;
            }
            match self.live.recv().await {
                Ok(rows) => self.ready.extend(rows.iter().filter(|row| row.row > self.cursor).cloned()),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
