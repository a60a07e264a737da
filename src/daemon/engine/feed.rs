//! Bringing waiting mail from the store into dispatch: refills of lines, retries that became due, rounds of lines.
//!
//! Dispatch holds heads only; the store is the truth. Each loop here ends with the engine.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::reports::Late;
use crate::clock::{Now, WallMs};
use crate::dispatch::{Line, More, NextTry};
use crate::store::{DueAfter, DueDelivery};

/// How long is waited after a read of the store that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the due index is looked at, whatever it said last: the wall clock may have been stepped.
const DUE_POLL_MAX: Duration = Duration::from_secs(10);
/// How far the wall clock must fall behind the boot clock between two looks to count as stepped back, in milliseconds.
const STEP_MS: u64 = 500;
/// By how much mail may be early, in milliseconds: a clock that is stepped by less makes nothing wait for ever.
pub(super) const SLACK_MS: u64 = 1_000;
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
        let router = Arc::clone(&self.core().router);
        if counts.iter().any(|count| router.has_lost_its_egresses(&count.line.destination)) {
            // It has the lines read again; if it could not file the mail, not at once.
            if !self.reroute_queue().await {
                tokio::time::sleep(PAUSE).await;
            }
            return;
        }
        for chunk in counts.chunks(1_000) {
            let mut core = self.core();
            for count in chunk {
                let line = core.line(&count.line.account, count.line.class, &count.line.destination);
                let _ = core.dispatch.add_from_store(line);
            }
        }
        self.signals.refills.notify_one();
        self.signals.stranded.notify_one();
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
        let until = WallMs(self.clock.now().wall.0.saturating_add(SLACK_MS));
        let read = self.store.line_page(names.clone(), until, most).await;
        if self.core().names_of(line).as_ref() != Some(&names) {
            return; // its numbers were given to others meanwhile: it has ended
        }
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
        let mut last = started;
        loop {
            let now = self.clock.now();
            if stepped_back(last, now) {
                self.after_step_back(now).await;
                seen = now.wall;
            }
            last = now;
            self.signals.ages.notify_one();
            if let Some(from) = self.core().take_due_from() {
                seen = seen.min(WallMs(from.0.saturating_sub(1)));
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

    /// Deliveries were made due then, on record: the due loop looks from there on.
    pub(super) fn due_from(&self, due: WallMs) {
        self.core().due_from(due);
        self.signals.deferred.notify_one();
    }

    /// What is due cannot be told from what was, so all is read again.
    async fn after_step_back(&self, now: Now) {
        tracing::warn!("the wall clock was stepped back; waiting mail is read again, limits are not touched");
        while let Err(error) = self.store.fresh_is_due(now).await {
            tracing::error!(%error, advice = error.advice(), "mail accepted before the clock was stepped waits; tried again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stopped.cancelled() => return,
            }
        }
        self.core().forget_waiting();
        self.signals.lines.notify_one();
    }

    /// Adds what became due after `seen`; up to when all is added, or `None` where the store cannot be read.
    async fn bring_due(&self, seen: WallMs, now: Now) -> Option<WallMs> {
        let mut seen = DueAfter::from(seen);
        loop {
            let page = match self.store.due(seen, now.wall, DUE_PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, advice = error.advice(), "deferred mail cannot be read; tried again");
                    return None;
                }
            };
            let Some(last) = page.last().map(DueDelivery::behind) else { return Some(now.wall) };
            for due in &page {
                self.due_again(due, now).await;
            }
            seen = last;
        }
    }

    async fn due_again(&self, due: &DueDelivery, now: Now) {
        let life = crate::dispatch::Life {
            age_ms: self.age_ms((due.received, due.received_by), now),
            spent_ms: due.spent_ms,
            failed_attempts: 1,
            delay: crate::dispatch::DelayNotice::Untold,
        };
        let retry = self.core().settings.retry;
        match retry.end_of_life(&life) {
            // What is behind a gate ends as held mail does, at the hourly look.
            Some(NextTry::TooOld) if !self.is_behind_gate(due) => {
                self.end_too_old(due.message.id, &due.message.deliveries, NextTry::TooOld, now).await;
            }
            // Its last wait ended with its life: one attempt is made now, which ends it if it fails.
            Some(NextTry::Expired) if due.spent_ms > retry.expiry_ms && !self.is_behind_gate(due) => {
                self.end_too_old(due.message.id, &due.message.deliveries, NextTry::Expired, now).await;
            }
            Some(NextTry::TooOld | NextTry::Expired | NextTry::After { .. }) | None => {
                // An attempt that is due may succeed: its failure tells the delay. Where none comes about, nothing else does.
                if retry.tells_delay(&life) && self.core().is_out_of_reach(&due.destination) {
                    let (id, deliveries) = (due.message.id, due.message.deliveries.clone());
                    self.tell_delay(Late { id, deliveries, attempted: None, now }).await;
                }
                let router = Arc::clone(&self.core().router);
                if router.has_lost_its_egresses(&due.destination) {
                    self.signals.lines.notify_one(); // it was under way when they went
                    return;
                }
                self.core().add(&due.account, due.class, &due.destination, &due.message);
                self.signals.connections.notify_one();
            }
        }
    }

    /// Held mail does not bounce here: only [`age_loop`](Self::age_loop) ends it.
    fn is_behind_gate(&self, due: &DueDelivery) -> bool {
        let core = self.core();
        let closed = |plan: crate::delivery::Plan| {
            plan.egresses.iter().all(|egress| core.gates.stops_egress_alone(&egress.name).is_some())
        };
        core.gates.stops_account(&due.account).is_some() || core.router.plan(&due.destination).is_ok_and(closed)
    }
}

/// Whether the wall clock went back beside the boot clock between two readings.
fn stepped_back(last: Now, now: Now) -> bool {
    let passed_ms = now.boot.0.saturating_sub(last.boot.0);
    now.wall.0.saturating_add(STEP_MS) < last.wall.0.saturating_add(passed_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootMs;

    #[test]
    fn a_step_back_is_seen_however_little_of_it_is_left_at_the_next_look() {
        let at = |boot, wall| Now { boot: BootMs(boot), wall: WallMs(wall) };
        let last = at(1_000, 900_000);
        let cases = [
            (at(11_000, 910_000), false),    // time went on
            (at(11_000, 909_900), false),    // slewed
            (at(11_000, 905_000), true),     // stepped by five seconds within ten
            (at(1_000, 899_000), true),      // just now
            (at(11_000, 99_000_000), false), // forward: what is due is found
        ];
        for (now, expected) in cases {
            assert_eq!(stepped_back(last, now), expected, "{now:?}");
        }
    }
}
