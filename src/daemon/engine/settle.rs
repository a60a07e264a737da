//! The end of an attempt: from what the next hop said to what is stored, and to where the slots go.

use std::collections::HashMap;
use std::sync::Arc;

use super::Engine;
use super::cache::Loaded;
use super::failure::LOGIN_PAUSE_MS;
use super::in_hand::{InHand, OpenAttempt, Undecided, Unstored};
use super::reports::{Late, Unsent};
use crate::clock::{Now, WallMs};
use crate::delivery::{
    AttemptEnd, ContentBegan, DeliverySettings, Fate, NoPlan, Plan, RecipientEnd, ReportDuty, Signal, SignalKind,
};
use crate::dispatch::{DelayNotice, HopId, Life, NextTry};
use crate::event::Event;
use crate::limits::{Filled, Moment, RecordId, Spent};
use crate::mail::{QueueId, ReversePath};
use crate::store::{
    Acceptance, Conclusion, Content, DeliveryEnd, DeliveryOutcome, DeliveryRow, Index, Lease, MessageRow, SlotsEnd,
};

/// A message that was sent, as far as its end needs it.
pub(super) struct Sent {
    pub(super) row: MessageRow,
    /// Those of the lease.
    pub(super) deliveries: HashMap<Index, DeliveryRow>,
    pub(super) content: Content,
    /// Whether nothing of it was tried before.
    first_attempt: bool,
}

/// What an attempt leaves to be stored, and to be done once it is.
pub(super) struct Settled {
    pub(super) conclusion: Unstored,
    pub(super) after: After,
}

/// What is done after the outcome is on disk.
pub(super) struct After {
    /// Whose mail it was and how many of its deliveries ended.
    ended: (crate::account::Account, u64),
    attempt: RecordId,
    /// Deliveries that can go on at once.
    again: u32,
    /// The first due time of what was deferred.
    deferred: Option<WallMs>,
    /// What was deferred for so long by now that its sender is to hear of it.
    late: Option<Late>,
    reports: Vec<Loaded>,
    /// The way it went, which a reload may have changed since.
    plan: Arc<Plan>,
    /// The routes that reports were filed by.
    delivery: Arc<DeliverySettings>,
    /// The egress that it left from.
    egress: Arc<str>,
    signals: Vec<Signal>,
}

/// What is to be reported to the sender.
pub(super) struct Report {
    pub(super) action: Action,
    /// The host that said so.
    pub(super) remote_mta: Option<String>,
    pub(super) recipients: Vec<(DeliveryRow, RecipientEnd)>,
}

/// RFC 3464 2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Failed,
    /// It was held to its end.
    Unreleased,
    Delayed,
    Relayed,
}

impl After {
    /// Leaves out reports that the store could not take.
    pub(super) fn without_reports(&mut self, lost: &[QueueId]) {
        self.reports.retain(|report| !lost.contains(&report.row.id));
    }

    /// Whether it went the way that is its hop's now.
    fn is_of(&self, plan: &Result<Arc<Plan>, NoPlan>) -> bool {
        plan.as_ref().is_ok_and(|plan| Arc::ptr_eq(plan, &self.plan))
    }
}

impl Sent {
    pub(super) fn new(loaded: &Loaded, lease: &Lease) -> Self {
        let leased = loaded.deliveries.iter().filter(|delivery| lease.deliveries().contains(&delivery.index));
        Self {
            row: loaded.row.clone(),
            deliveries: leased.map(|delivery| (delivery.index, delivery.clone())).collect(),
            content: loaded.content.clone(),
            first_attempt: loaded.deliveries.iter().all(|delivery| delivery.attempts == 0),
        }
    }
}

impl Engine {
    /// Decides what becomes of each recipient, spends the slots, and makes the reports.
    pub(super) fn settle(&self, end: AttemptEnd, sent: &Sent, hop: HopId, plan: &Arc<Plan>) -> Settled {
        let AttemptEnd { lease, content, recipients, signals, egress, next_hop, eightbit_as_is, .. } = end;
        let open = OpenAttempt { lease, egress: egress.clone(), next_hop: next_hop.clone(), ends: recipients };
        let mut undecided = Undecided::new(open, &self.broken);
        let OpenAttempt { lease, ends: recipients, .. } = undecided.attempt();
        let (now, slots) = self.spend(lease, content, recipients);
        let nobody = (sent.row.account.clone(), 0);
        let attempt = RecordId(lease.attempt().0);
        let mut after = After {
            ended: nobody,
            attempt,
            again: 0,
            deferred: None,
            late: None,
            reports: Vec::new(),
            plan: Arc::clone(plan),
            delivery: self.delivery(),
            egress,
            signals,
        };
        let mut outcomes = Vec::with_capacity(recipients.len());
        let (mut failed, mut relayed, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for recipient in recipients.iter() {
            let Some(delivery) = sent.deliveries.get(&recipient.index) else { continue };
            let outcome = self.outcome(&sent.row, delivery, recipient, now);
            match &outcome {
                Some(DeliveryOutcome::Delivered { .. }) => {
                    after.ended.1 += 1;
                    if recipient.fate == Fate::Delivered(ReportDuty::Ours) && delivery.recipient.wants_success() {
                        relayed.push((delivery.clone(), recipient.clone()));
                    }
                }
                Some(DeliveryOutcome::Bounced { reply, .. }) => {
                    after.ended.1 += 1;
                    // "Not now" may have been the last word: the sender is told that it was too old for another try.
                    failed.push((delivery.clone(), RecipientEnd { words: reply.clone(), ..recipient.clone() }));
                }
                Some(DeliveryOutcome::Deferred { due, .. }) => {
                    after.deferred = Some(after.deferred.map_or(*due, |first| first.min(*due)));
                    if self.core().settings.retry.tells_delay(&self.life(&sent.row, delivery, now)) {
                        late.push(recipient.index);
                    }
                }
                Some(DeliveryOutcome::Held { .. }) => {}
                None => after.again += 1,
            }
            outcomes.extend(outcome.map(|outcome| DeliveryEnd { index: recipient.index, outcome }));
        }
        if !late.is_empty() {
            let attempted = Some(host_of(&next_hop).to_owned());
            after.late = Some(Late { id: sent.row.id, deliveries: late, attempted, now });
        }
        let mut events: Vec<Event> = {
            let mut core = self.core();
            let new = after.signals.iter().filter(|signal| core.may_tell(hop, &signal.row, now));
            new.map(|signal| trouble(&after.plan, signal, now)).collect()
        };
        if slots == SlotsEnd::Unknown {
            events.push(Event::AttemptUnknown {
                id: sent.row.id.to_string(),
                account: sent.row.account.clone(),
                recipients: u32::try_from(lease.deliveries().len()).unwrap_or(u32::MAX),
                reason: format!("{next_hop} did not answer the content; a second copy is possible"),
            });
        }
        if eightbit_as_is && sent.first_attempt {
            let (id, account) = (sent.row.id.to_string(), sent.row.account.clone());
            events.push(Event::EightBitAsIs { id, account, next_hop: next_hop.clone() });
        }
        let mut reports = Vec::new();
        for (action, recipients) in [(Action::Failed, failed), (Action::Relayed, relayed)] {
            if recipients.is_empty() {
                continue;
            }
            let report = Report { action, remote_mta: Some(host_of(&next_hop).to_owned()), recipients };
            match self.report(&sent.row, Some(&sent.content), &report, now) {
                Ok(acceptance) => {
                    name_report(&mut outcomes, &report, &acceptance);
                    after.reports.extend(Loaded::from_acceptance(&acceptance));
                    reports.push(acceptance);
                }
                Err(Unsent::Events(told)) => events.extend(told),
                Err(Unsent::Held(why)) => after.ended.1 -= hold_instead(&mut outcomes, &report, why),
            }
        }
        let egress = after.egress.to_string();
        let conclusion = undecided.decide(|OpenAttempt { lease, .. }| Conclusion {
            lease,
            ended: now,
            slots,
            outcomes,
            reports,
            events,
            next_hop,
            egress,
        });
        Settled { conclusion, after }
    }

    /// A lease with nothing in it: its slots go back.
    pub(super) fn settle_empty(&self, mut lease: Lease) -> Conclusion {
        let (ended, slots) = self.spend(&mut lease, ContentBegan::No, &[]);
        Conclusion {
            lease,
            ended,
            slots,
            outcomes: Vec::new(),
            reports: Vec::new(),
            events: Vec::new(),
            next_hop: String::new(),
            egress: String::new(),
        }
    }

    /// Spends the slots of a lease, now. What the limits took is what the record says.
    pub(super) fn spend(
        &self,
        lease: &mut Lease,
        content: ContentBegan,
        recipients: &[RecipientEnd],
    ) -> (Now, SlotsEnd) {
        let granted = lease.take_granted();
        let id = RecordId(lease.attempt().0);
        // Read under the lock, where no other moment can come between: the record says what the limits take.
        let mut core = self.core();
        let now = self.clock.now();
        let moment = Moment::from(now);
        let Some(granted) = granted else { return (now, SlotsEnd::Returned) };
        let leased = granted.recipients();
        let slots = match content {
            ContentBegan::Unanswered => {
                core.slots.limits.unknown(granted, id, moment);
                SlotsEnd::Unknown
            }
            ContentBegan::Yes { .. } | ContentBegan::No => {
                let content = if let ContentBegan::Yes { recipients } = content { recipients } else { 0 };
                let refused = recipients.iter().filter(|end| end.diagnostic.is_some()).count();
                let refused = u32::try_from(refused).unwrap_or(u32::MAX).min(leased - content.min(leased));
                let spent = Spent { content: content.min(leased), refused };
                let counted = core.slots.limits.used(granted, spent, id, moment);
                if counted.recipients < leased {
                    core.slots_came_back();
                }
                match counted.recipients {
                    0 => SlotsEnd::Returned,
                    _ => SlotsEnd::Used { recipients: counted.recipients, messages: counted.messages },
                }
            }
        };
        core.lease_ended();
        (now, slots)
    }

    /// What becomes of one recipient; `None`: it waits on, and no attempt is counted.
    fn outcome(
        &self,
        row: &MessageRow,
        delivery: &DeliveryRow,
        end: &RecipientEnd,
        now: Now,
    ) -> Option<DeliveryOutcome> {
        let reply = end.words.clone();
        Some(match end.fate {
            Fate::Delivered(_) => DeliveryOutcome::Delivered { reply },
            Fate::Bounced => DeliveryOutcome::Bounced { reply, dsn: None },
            Fate::Held => DeliveryOutcome::Held { reason: reply },
            Fate::Again => return None,
            Fate::Deferred => {
                let life = self.life(row, delivery, now);
                match self.core().settings.retry.after_failure(&life, self.random()) {
                    NextTry::After { wait_ms } => {
                        DeliveryOutcome::Deferred { due: WallMs(now.wall.0 + wait_ms), reply, spent_ms: wait_ms }
                    }
                    NextTry::Expired | NextTry::TooOld => DeliveryOutcome::Bounced {
                        reply: format!("too old to be tried again; the last: {reply}"),
                        dsn: None,
                    },
                }
            }
        })
    }

    /// What a delivery went through, with the attempt that has just failed.
    fn life(&self, row: &MessageRow, delivery: &DeliveryRow, now: Now) -> Life {
        let is_told =
            delivery.delay_reported || !delivery.recipient.wants_delay() || row.reverse_path == ReversePath::Null;
        Life {
            age_ms: self.age_ms((row.received, row.received_by), now),
            spent_ms: delivery.spent_ms,
            failed_attempts: delivery.attempts.saturating_add(1),
            delay: if is_told { DelayNotice::Told } else { DelayNotice::Untold },
        }
    }

    /// What follows once the outcome is on disk.
    pub(super) async fn after_conclusion(&self, mut after: After, hand: InHand, left: u32) {
        let hop = hand.line().hop;
        let After { ended: (account, ended), reports, .. } = &mut after;
        let reported = !reports.is_empty();
        {
            // First what nobody makes up for, should the rest break off.
            let mut core = self.core();
            core.load.remove(account, *ended);
            for report in std::mem::take(reports) {
                core.add_loaded(report);
            }
        }
        if let Some(due) = after.deferred {
            self.due_from(due);
        }
        if let Some(late) = after.late.take() {
            self.tell_delay(late).await;
        }
        let now = self.clock.now();
        let used_up: Vec<Filled> = {
            let mut core = self.core();
            let heeded = after.signals.iter().map(|signal| Self::heed(&mut core, hop, &after, signal, now));
            heeded.flatten().collect()
        };
        self.remember_used_up(used_up, after.attempt, now).await;
        let is_rerouted = {
            let mut core = self.core();
            let is_rerouted = core.hop(hop).is_none_or(|state| !after.is_of(&state.plan));
            if reported && after.delivery.routes != self.delivery().routes {
                core.strand(); // filed by the routes of before, and perhaps after those were looked through
            }
            is_rerouted
        };
        if is_rerouted {
            // What is left of it stands in another line by now, which nobody has read since: it was under way then.
            drop(hand);
            self.signals.lines.notify_one();
        } else {
            hand.finish(left + after.again);
        }
        self.signals.connections.notify_one();
    }
}

/// The name in `mx.example[192.0.2.1]:25`.
fn host_of(next_hop: &str) -> &str {
    next_hop.split('[').next().unwrap_or(next_hop)
}

/// Holds what of a report could not be delivered. Gives how many deliveries have not ended therefore.
fn hold_instead(outcomes: &mut [DeliveryEnd], report: &Report, why: &str) -> u64 {
    let mut held = 0;
    for end in outcomes {
        if let DeliveryOutcome::Bounced { reply, .. } = &end.outcome
            && report.recipients.iter().any(|(of, _)| of.index == end.index && of.recipient.wants_failure())
        {
            end.outcome = DeliveryOutcome::Held { reason: format!("{why}: {reply}") };
            held += 1;
        }
    }
    held
}

/// Writes the report's id into the outcomes that it stands for.
fn name_report(outcomes: &mut [DeliveryEnd], report: &Report, acceptance: &Acceptance) {
    for end in outcomes {
        if let DeliveryOutcome::Bounced { dsn, .. } = &mut end.outcome
            && report.recipients.iter().any(|(delivery, _)| delivery.index == end.index)
        {
            *dsn = Some(acceptance.id);
        }
    }
}

/// How long a destination that asked for patience is left alone, in milliseconds.
const SLOW_MS: u64 = 5 * 60_000;
/// The window of the networks' hourly limits.
const HOUR_MS: u64 = 3_600_000;

/// How long a signal keeps mail from a destination, in milliseconds; zero for what only the operator can mend.
fn pause_ms(kind: SignalKind) -> u64 {
    match kind {
        SignalKind::LimitFull => HOUR_MS,
        SignalKind::LoginRefused => LOGIN_PAUSE_MS,
        SignalKind::SlowDestination | SignalKind::EgressRefused => SLOW_MS,
        SignalKind::AskOperator => 0,
    }
}

/// The event that tells the operator of a signal.
fn trouble(plan: &Plan, signal: &Signal, now: Now) -> Event {
    Event::NextHopTrouble {
        destination: plan.destination.to_string(),
        reason: signal.reply.clone(),
        advice: signal.sentence.clone(),
        due: WallMs(now.wall.0.saturating_add(pause_ms(signal.kind))),
    }
}

impl Engine {
    /// What a reply said beyond its message. A limit that is used up is to be remembered.
    fn heed(core: &mut super::core::Core, hop: HopId, after: &After, signal: &Signal, now: Now) -> Option<Filled> {
        let pause_ms = pause_ms(signal.kind);
        if pause_ms == 0 {
            return None;
        }
        let until = Moment::from(now).plus_ms(pause_ms);
        let After { plan, egress, .. } = after;
        let has_login = plan.login.is_some();
        if signal.kind == SignalKind::LimitFull
            && let Some(egress) = plan.egresses.iter().find(|of_pool| of_pool.name == *egress)
            && let Some(filled) = core.slots.fill(egress, plan, HOUR_MS, now.into())
        {
            return Some(filled); // its mail waits for slots; other egresses and logins go on
        }
        let why = format!("{}: {}", signal.sentence, signal.reply);
        match signal.kind {
            SignalKind::SlowDestination | SignalKind::LoginRefused => core.pause_server(hop, until, why),
            SignalKind::LimitFull if has_login => core.pause_server(hop, until, why),
            // What was refused is an address: what may leave by others goes on.
            SignalKind::EgressRefused | SignalKind::LimitFull | SignalKind::AskOperator => {
                core.shun_egress(hop, egress, until, why);
            }
        }
        None
    }
}
