//! A next hop that cannot be used: its mail is put off as a whole, with growing intervals, and nothing bounces for it.

use std::sync::Arc;

use super::Engine;
use super::reports::Why;
use crate::clock::WallMs;
use crate::delivery::{ConnectFate, DeliveryError, Egress, OfEgress, Plan};
use crate::dispatch::{DelayNotice, HopId, Life, NextTry};
use crate::limits::Moment;
use crate::store::Destination;

/// How long the login that was refused is left alone, in milliseconds: each further try may prolong a provider's block.
pub(super) const LOGIN_PAUSE_MS: u64 = 30 * 60_000;
/// How long a hop keeps the number of connections that it let in, in milliseconds, before more are tried.
const FEWER_CONNECTIONS_MS: u64 = 60_000;

/// How long failed connects are remembered after the next try was due, in milliseconds, so that intervals go on growing.
const FAILURES_KEPT_MS: u64 = 60 * 60_000;

/// Whether all of a destination's waiting mail ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

impl Engine {
    pub(super) fn connected(&self, hop: HopId, egress: &Egress) {
        self.core().reached_hop(hop, &egress.name);
    }

    /// Where an egress of several cannot leave for the hop, the others take its mail. Whether one may.
    async fn others_take_over(&self, hop: HopId, plan: &Plan, egress: &Egress, error: &DeliveryError) -> bool {
        let now = self.clock.now();
        let (is_first, wait_ms) = {
            let mut core = self.core();
            let (open, ..) = core.dispatch.hop_load(hop);
            let is_its_own = match error.is_of_egress() {
                OfEgress::Surely => true,
                // Where others are in, it may be the number of connections.
                OfEgress::Perhaps => open == 0,
                OfEgress::No => false,
            };
            if !is_its_own || plan.egresses.len() < 2 {
                return false;
            }
            let failed_attempts = core.failed_by(hop, egress);
            let life = Life { age_ms: 0, spent_ms: 0, failed_attempts, delay: DelayNotice::Told };
            let retry = core.settings.retry;
            let wait_ms = match retry.after_failure(&life, self.random()) {
                NextTry::After { wait_ms } => wait_ms,
                NextTry::Expired | NextTry::TooOld => retry.wait_ms_max,
            };
            let until = Moment::from(now).plus_ms(wait_ms);
            core.missed_by(hop, egress, (until, until.plus_ms(FAILURES_KEPT_MS)), error.to_string());
            let goes = |other: &Arc<Egress>| other.name != egress.name && core.may_leave_by(hop, other, now.into());
            if open == 0 && !plan.egresses.iter().any(goes) {
                return false;
            }
            (failed_attempts == 1, wait_ms)
        };
        let due = WallMs(now.wall.0.saturating_add(wait_ms));
        tracing::info!(destination = %plan.destination, egress = %egress.name, %error, "others of the pool take its mail");
        if is_first {
            self.note(error.event(&plan.destination, due)).await;
        }
        true
    }

    /// A connection came to nothing. Where others of the hop work, it only has as many as it may have; where none does, all
    /// its mail is put off. Mail for the same server that may leave by other egresses goes on.
    pub(super) async fn not_connected(&self, hop: HopId, plan: &Plan, egress: &Egress, error: &DeliveryError) {
        if self.others_take_over(hop, plan, egress, error).await {
            return;
        }
        let now = self.clock.now();
        let (wait_ms, first) = {
            let mut core = self.core();
            let (open, ..) = core.dispatch.hop_load(hop);
            if open > 0 {
                core.fewer_connections(hop, open, Moment::from(now).plus_ms(FEWER_CONNECTIONS_MS));
                tracing::info!(destination = %plan.destination, %error, open, "no further connection; those open go on");
                return;
            }
            let retry = core.settings.retry;
            let Some(state) = core.hops.get_mut(&hop) else { return };
            state.failures = state.failures.saturating_add(1);
            state.trouble = Some(error.to_string());
            let failures = state.failures;
            let life = Life { age_ms: 0, spent_ms: 0, failed_attempts: failures, delay: DelayNotice::Told };
            let wait_ms = match (error.fate(), retry.after_failure(&life, self.random())) {
                (ConnectFate::PauseLogin, NextTry::After { wait_ms }) => wait_ms.max(LOGIN_PAUSE_MS),
                (_, NextTry::After { wait_ms }) => wait_ms,
                (_, NextTry::Expired | NextTry::TooOld) => retry.wait_ms_max,
            };
            let until = Moment::from(now).plus_ms(wait_ms);
            core.missed_hop(hop, until, until.plus_ms(FAILURES_KEPT_MS));
            (wait_ms, failures == 1)
        };
        // Read anew: what stood in line until a moment ago is to be put off too.
        let now = self.clock.now();
        if let ConnectFate::Bounce { status, words } = error.fate() {
            self.bounce_destination((hop, egress), &plan.destination, status, &words).await;
            return;
        }
        let due = WallMs(now.wall.0 + wait_ms);
        match self.store.defer_destination(plan.destination.clone(), now, due, error.to_string()).await {
            Ok(deferred) => tracing::debug!(destination = %plan.destination, deferred, "put off"),
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "mail was not put off on record; it waits");
                // Its heads are gone here, and no timer of the store knows of it.
                self.signals.lines.notify_one();
            }
        }
        if first && let Err(error) = self.store.note(error.event(&plan.destination, due), now).await {
            tracing::error!(%error, advice = error.advice(), "the journal lacks the trouble of a next hop");
        }
        self.due_from(due);
    }

    /// The domain takes no mail, or does not exist: everything that waits for it goes back to its sender. What is held
    /// stays held.
    async fn bounce_destination(
        &self,
        (hop, egress): (HopId, &Egress),
        destination: &Destination,
        status: &'static str,
        words: &str,
    ) {
        if self.bounced_destination(destination, status, words).await == Whole::No {
            // Their heads are gone here, and no timer of the store knows of them.
            self.signals.lines.notify_one();
            return;
        }
        let mut core = self.core();
        let trouble = core.hops.get_mut(&hop).and_then(|state| state.trouble.take());
        core.reached_hop(hop, &egress.name);
        if let Some(state) = core.hops.get_mut(&hop) {
            state.trouble = trouble;
        }
    }

    async fn bounced_destination(&self, destination: &Destination, status: &'static str, words: &str) -> Whole {
        let mut whole = Whole::Yes;
        let lines = match self.store.lines().await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "mail for a domain that takes none waits on");
                return Whole::No;
            }
        };
        for count in lines.into_iter().filter(|count| count.line.destination == *destination) {
            if self.core().gates.stops_account(&count.line.account).is_some() {
                whole = Whole::No;
                continue;
            }
            loop {
                let now = self.clock.now();
                let page = match self.store.line_page(count.line.clone(), now.wall, 100).await {
                    Ok(page) if !page.is_empty() => page,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::error!(%error, advice = error.advice(), "mail for a domain that takes none waits on");
                        return Whole::No;
                    }
                };
                for message in page {
                    // A stop does not wait for a long queue of bounces: the rest waits and bounces after the start.
                    if self.draining.is_cancelled() {
                        return Whole::No;
                    }
                    if !self.bounce_unattempted(message.id, &message.deliveries, Why::Refused(status), words, now).await
                    {
                        return Whole::No;
                    }
                }
            }
        }
        whole
    }
}
