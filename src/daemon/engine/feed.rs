//! Bringing waiting mail from the store into dispatch: refills of lines, retries that became due, rounds of lines.
//!
//! Dispatch holds heads only; the store is the truth. Each loop here ends with the engine.

use std::time::Duration;

use super::Engine;
use crate::clock::{Now, WallMs};
use crate::dispatch::{Line, More, NextTry};
use crate::store::DueDelivery;

/// How long is waited after a read of the store that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the due index is looked at, whatever it said last: the wall clock may have been stepped.
const DUE_POLL_MAX: Duration = Duration::from_secs(10);
/// Deliveries that became due, read at once.
const DUE_PAGE: usize = 500;

impl Engine {
    /// Reads every line that has waiting mail, at start and for lines that had no room.
    pub(super) async fn feed_lines(&self) {
        let counts = match self.store.lines().await {
            Ok(counts) => counts,
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "waiting mail cannot be read; tried again");
                tokio::time::sleep(PAUSE).await;
                self.signals.lines.notify_one();
                return;
            }
        };
        for chunk in counts.chunks(1_000) {
            let mut core = self.core();
            for count in chunk {
                let line = core.line(&count.line.account, count.line.class, &count.line.destination);
                let _ = core.dispatch.add_from_store(line);
            }
        }
        self.signals.refills.notify_one();
    }

    /// Answers dispatch's wishes for more of a line.
    pub(super) async fn refill_loop(&self) {
        loop {
            let wish = self.core().dispatch.needs_refill();
            let Some((line, most)) = wish else {
                let lines_in_store = self.core().dispatch.take_lines_in_store();
                if lines_in_store {
                    self.feed_lines().await;
                    continue;
                }
                tokio::select! {
                    () = self.signals.refills.notified() => continue,
                    () = self.signals.lines.notified() => self.feed_lines().await,
                    () = self.stopped.cancelled() => return,
                }
                continue;
            };
            self.refill(line, most).await;
        }
    }

    async fn refill(&self, line: Line, most: usize) {
        let names = self.core().names_of(line);
        let Some(names) = names else { return };
        let read = self.store.line_page(names, self.clock.now().wall, most).await;
        match read {
            Ok(page) => {
                let more = if page.len() < most { More::None } else { More::InStore };
                let items = page.iter().map(|message| crate::dispatch::Item {
                    id: message.id,
                    recipients: u32::try_from(message.deliveries.len()).unwrap_or(u32::MAX).max(1),
                });
                let mut core = self.core();
                core.dispatch.refill(line, items, more);
                core.notify(line.hop);
            }
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "a line of waiting mail cannot be read; tried again");
                self.core().dispatch.refill(line, [], More::InStore);
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.signals.connections.notify_one();
    }

    /// Brings back what a retry made due, ends what is too old, tells delays.
    pub(super) async fn due_loop(&self, started: Now) {
        let mut seen = started.wall;
        loop {
            let now = self.clock.now();
            if now.wall < seen {
                // The wall clock was stepped back: what is due cannot be told from what was, so all is read again.
                tracing::warn!("the wall clock was stepped back; waiting mail is read again, limits are not touched");
                self.core().forget_waiting();
                seen = now.wall;
                self.signals.lines.notify_one();
            }
            match self.bring_due(seen, now).await {
                Some(until) => seen = until,
                None => tokio::time::sleep(PAUSE).await,
            }
            let wait = match self.store.next_due(seen).await {
                Ok(Some(due)) => Duration::from_millis(due.0.saturating_sub(self.clock.now().wall.0)),
                Ok(None) | Err(_) => DUE_POLL_MAX,
            };
            tokio::select! {
                () = tokio::time::sleep(wait.min(DUE_POLL_MAX)) => {}
                () = self.signals.deferred.notified() => {}
                () = self.stopped.cancelled() => return,
            }
        }
    }

    /// Adds what became due after `seen`; up to when all is added, or `None` where the store cannot be read. The store
    /// never splits a moment between two pages.
    async fn bring_due(&self, seen: WallMs, now: Now) -> Option<WallMs> {
        let mut seen = seen;
        loop {
            let page = match self.store.due(seen, now.wall, DUE_PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, advice = error.advice(), "deferred mail cannot be read; tried again");
                    return None;
                }
            };
            let Some(last) = page.last().map(|due| due.message.due) else { return Some(now.wall) };
            for due in &page {
                self.due_again(due, now).await;
            }
            seen = last;
        }
    }

    async fn due_again(&self, due: &DueDelivery, now: Now) {
        let life = crate::dispatch::Life {
            age_ms: now.wall.0.saturating_sub(due.received.0),
            spent_ms: due.spent_ms,
            failed_attempts: 1,
            delay: crate::dispatch::DelayNotice::Untold,
        };
        let retry = self.core().settings.retry;
        match retry.end_of_life(&life) {
            Some(end @ (NextTry::Expired | NextTry::TooOld)) => self.expire(due, end, now).await,
            Some(NextTry::After { .. }) | None => {
                if retry.tells_delay(&life) {
                    self.tell_delay(due, now).await;
                }
                self.core().add(&due.account, due.class, &due.destination, &due.message);
                self.signals.connections.notify_one();
            }
        }
    }
}
