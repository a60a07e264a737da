//! The end of attempts whose task is gone: what a start would find under way is ended at once, and the same way.
//!
//! The outcome is unknown, so the slots count and its recipients are tried again: a second copy rather than none. What the
//! next hop had said is believed: who was served is not served again. The waits grow and count as life, and a delivery whose
//! attempts break off to its end is held for a person, so that a message over which we stumble is not sent for ever.

use super::Engine;
use super::in_hand::{BrokenOff, OpenAttempt};
use crate::clock::{Now, WallMs};
use crate::delivery::{Abandoned, ContentBegan, Fate};
use crate::dispatch::{DelayNotice, Life, NextTry};
use crate::event::Event;
use crate::limits::RecordId;
use crate::store::{Conclusion, DeliveryEnd, DeliveryOutcome, DeliveryRow, Index, MessageRow, SlotsEnd};

const WORDS: &str = "the attempt was broken off by outguard itself; its outcome is unknown";
const HELD: &str = "outguard itself breaks off its attempts, as its log says; it is not sent again by itself";

impl Engine {
    /// Ends an attempt that was dropped before its dialogue was over.
    pub(super) async fn abandoned(&self, abandoned: Abandoned) {
        let Abandoned { lease, egress, next_hop } = abandoned;
        self.broken_off(BrokenOff::Open(OpenAttempt { lease, egress, next_hop, ends: Vec::new() })).await;
    }

    /// Ends an attempt whose task is gone.
    pub(super) async fn broken_off(&self, broken: BrokenOff) {
        let conclusion = match broken {
            BrokenOff::Decided(conclusion) => *conclusion,
            BrokenOff::Open(attempt) => self.conclusion_of(attempt).await,
        };
        let (attempt, message) = (conclusion.lease.attempt(), conclusion.lease.message());
        tracing::error!(id = %message, next_hop = conclusion.next_hop, "an attempt was broken off; it is ended on record");
        let is_end = |outcome: &DeliveryOutcome| {
            matches!(outcome, DeliveryOutcome::Delivered { .. } | DeliveryOutcome::Bounced { .. })
        };
        let ended = conclusion.outcomes.iter().filter(|end| is_end(&end.outcome)).count() as u64;
        let account = conclusion.lease.account().clone();
        let reports: Vec<_> = conclusion.reports.iter().map(|report| (report.id, report.account.clone())).collect();
        let due = conclusion.outcomes.iter().filter_map(|end| match end.outcome {
            DeliveryOutcome::Deferred { due, .. } => Some(due),
            DeliveryOutcome::Delivered { .. } | DeliveryOutcome::Bounced { .. } | DeliveryOutcome::Held { .. } => None,
        });
        let due = due.min();
        match self.store.conclude(conclusion, None).await {
            Ok(concluded) => {
                let lost = concluded.into_inner().reports_lost;
                let mut core = self.core();
                core.slots.limits.recorded(RecordId(attempt.0));
                core.load.remove(&account, ended);
                for (_, account) in reports.iter().filter(|(id, _)| !lost.contains(id)) {
                    core.load.add(account, 1);
                }
            }
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "a broken-off attempt was not ended; the next start does");
            }
        }
        if let Some(due) = due {
            self.due_from(due);
        }
        // What waits on at once, and reports, are known to the store alone.
        self.signals.lines.notify_one();
    }

    async fn conclusion_of(&self, attempt: OpenAttempt) -> Conclusion {
        let OpenAttempt { mut lease, egress, next_hop, ends } = attempt;
        // What was spent before the task broke off counts on record as if nobody knew how it ended.
        let (ended, _) = self.spend(&mut lease, ContentBegan::Unanswered, &[]);
        let found = match self.store.message(lease.message()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, advice = error.advice(), "how long a message was tried is not known now");
                None
            }
        };
        let seed = lease.attempt().0;
        let outcome = |index: &Index| {
            let taken = ends.iter().find(|end| end.index == *index && matches!(end.fate, Fate::Delivered(_)));
            let outcome = match taken {
                Some(end) => DeliveryOutcome::Delivered { reply: end.words.clone() },
                None => self.once_more(found.as_ref(), *index, seed, ended),
            };
            DeliveryEnd { index: *index, outcome }
        };
        let outcomes: Vec<DeliveryEnd> = lease.deliveries().iter().map(outcome).collect();
        let unknown = outcomes.iter().filter(|end| !matches!(end.outcome, DeliveryOutcome::Delivered { .. })).count();
        let events = (unknown > 0).then(|| Event::AttemptUnknown {
            id: lease.message().to_string(),
            account: lease.account().clone(),
            recipients: u32::try_from(unknown).unwrap_or(u32::MAX),
            reason: WORDS.to_owned(),
        });
        Conclusion {
            lease,
            ended,
            slots: SlotsEnd::Unknown,
            outcomes,
            reports: Vec::new(),
            events: events.into_iter().collect(),
            next_hop,
            egress: egress.to_string(),
        }
    }

    fn once_more(
        &self,
        found: Option<&(MessageRow, Vec<DeliveryRow>)>,
        index: Index,
        seed: u64,
        now: Now,
    ) -> DeliveryOutcome {
        let delivery = found.and_then(|(_, deliveries)| deliveries.iter().find(|delivery| delivery.index == index));
        let life = Life {
            age_ms: found.map_or(0, |(row, _)| self.age_ms((row.received, row.received_by), now)),
            spent_ms: delivery.map_or(0, |delivery| delivery.spent_ms),
            failed_attempts: delivery.map_or(0, |delivery| delivery.attempts).saturating_add(1),
            delay: DelayNotice::Told,
        };
        match self.core().settings.retry.after_failure(&life, seed) {
            NextTry::After { wait_ms } => {
                let due = WallMs(now.wall.0.saturating_add(wait_ms));
                DeliveryOutcome::Deferred { due, reply: WORDS.to_owned(), spent_ms: wait_ms }
            }
            NextTry::Expired | NextTry::TooOld => DeliveryOutcome::Held { reason: HELD.to_owned() },
        }
    }
}
