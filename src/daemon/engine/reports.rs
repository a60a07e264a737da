//! Reports to senders: made when a delivery ends or is late, stored in the transaction of that end.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::Engine;
use super::cache::Loaded;
use super::settle::{Action, Report};
use crate::clock::{Now, WallMs};
use crate::delivery::dsn::{self, ReportBasis, ReportKind, Reported};
use crate::delivery::original::Original;
use crate::delivery::{Fate, RecipientEnd};
use crate::dispatch::{Class, NextTry};
use crate::event::Event;
use crate::mail::QueueId;
use crate::store::{
    Acceptance, Body, Content, DeliveryEnd, DeliveryOutcome, DeliveryRow, DeliveryState, Index, MessageRow, StoreError,
    Stored,
};

/// Why a delivery ends without a further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its time is over.
    TooOld,
    /// Nobody released it for as long as mail may be kept.
    Unreleased,
    /// As old as mail may become, behind a gate that nobody opened.
    Gated,
    /// The domain takes no mail: the status that says so.
    Refused(&'static str),
}

/// A message that is to end; without its content where that cannot be read.
type Ending = (MessageRow, Vec<DeliveryRow>, Option<Content>);

/// What stands in the place of a report that is not sent.
pub(super) enum Unsent {
    /// These events; none, where nobody wants to be told.
    Events(Vec<Event>),
    /// What was to be reported failed as a report itself, and there is nobody else: it is held, for this reason.
    Held(&'static str),
}

/// Deliveries that failed for so long by now that their sender is to hear of it.
pub(super) struct Late {
    pub(super) id: QueueId,
    pub(super) deliveries: Vec<Index>,
    /// The host that has just put them off; `None` where it cannot be reached.
    pub(super) attempted: Option<String>,
    pub(super) now: Now,
}

/// The most deliveries that an account may have in the queue for a report of it that failed to be held there. Beyond that a
/// flood of reports to nowhere would fill the store, and nobody looks at each of so many.
const HELD_MAX: u64 = 1_000;
/// The status of mail that was held to its end: not authorised (RFC 3463 3.8).
const HELD_STATUS: &str = "5.7.1";

impl Engine {
    /// Ends what was free to leave for as long as it may be.
    pub(super) async fn end_too_old(&self, id: QueueId, deliveries: &[Index], end: NextTry, now: Now) {
        let words = match end {
            NextTry::Expired => "not delivered in the time that mail is tried for",
            NextTry::TooOld | NextTry::After { .. } => "not delivered within the age that mail may reach",
        };
        if !self.bounce_unattempted(id, deliveries, Why::TooOld, words, now).await {
            // What of it waits on is in no line here, and no timer of the store knows of it.
            self.signals.lines.notify_one();
        }
    }

    /// Ends waiting deliveries, or held ones that nobody released, without an attempt, and reports it; `false` if it could
    /// not be stored, or some of it does not stand there any more.
    pub(super) async fn bounce_unattempted(
        &self,
        id: QueueId,
        indices: &[Index],
        why: Why,
        words: &str,
        now: Now,
    ) -> bool {
        let (row, deliveries, content) = match self.load_ending(id).await {
            Ok(Some(ending)) => ending,
            Ok(None) => return true,
            Err(error) => {
                tracing::error!(%id, %error, advice = error.advice(), "a message that should end waits on");
                return false;
            }
        };
        let (state, action) = match why {
            Why::TooOld | Why::Refused(_) => (DeliveryState::Waiting, Action::Failed),
            Why::Gated => (DeliveryState::Waiting, Action::Unreleased),
            Why::Unreleased => (DeliveryState::Held, Action::Unreleased),
        };
        let ends = |delivery: &&DeliveryRow| indices.contains(&delivery.index) && delivery.state == state;
        let ending: Vec<DeliveryRow> = deliveries.iter().filter(ends).cloned().collect();
        if ending.is_empty() {
            return true;
        }
        let end_of = |delivery: DeliveryRow| {
            let mut words = words.to_owned();
            let waited_for = self.core().waited_for(&row, &delivery, now);
            words.extend(
                waited_for.iter().filter(|_| matches!(why, Why::TooOld | Why::Gated)).flat_map(|what| [": ", what]),
            );
            match (&delivery.last_reply, why) {
                (Some(reason), Why::Unreleased) => words.extend(["; it was held for: ", reason]),
                (Some(last), _) => words.extend(["; the last attempt: ", last]),
                (None, _) => {}
            }
            let end = RecipientEnd {
                index: delivery.index,
                fate: Fate::Bounced,
                words,
                status: match why {
                    Why::Refused(status) => status.to_owned(),
                    Why::Unreleased | Why::Gated => HELD_STATUS.to_owned(),
                    Why::TooOld => RecipientEnd::status_of_late(delivery.last_reply.as_deref()),
                },
                diagnostic: delivery.last_reply.as_deref().and_then(RecipientEnd::reply_in).map(str::to_owned),
            };
            (delivery, end)
        };
        let recipients = ending.into_iter().map(end_of).collect();
        let report = Report { action, remote_mta: None, recipients };
        let made = self.report(&row, content.as_ref(), &report, now);
        let (reports, events, hold) = match made {
            Ok(acceptance) => (vec![acceptance], Vec::new(), None),
            Err(Unsent::Events(events)) => (Vec::new(), events, None),
            Err(Unsent::Held(why)) => (Vec::new(), Vec::new(), Some(why)),
        };
        let dsn = reports.first().map(|report| report.id);
        let fresh: Vec<Loaded> = reports.iter().filter_map(Loaded::from_acceptance).collect();
        let end_of = |(delivery, end): (DeliveryRow, RecipientEnd)| {
            let outcome = match hold.filter(|_| delivery.recipient.wants_failure()) {
                Some(why) => DeliveryOutcome::Held { reason: format!("{why}: {}", end.words) },
                None => DeliveryOutcome::Bounced { reply: end.words, dsn },
            };
            DeliveryEnd { index: end.index, outcome }
        };
        let ends: Vec<DeliveryEnd> = report.recipients.into_iter().map(end_of).collect();
        let ended = ends.iter().filter(|end| matches!(end.outcome, DeliveryOutcome::Bounced { .. })).count() as u64;
        match self.store.end_unattempted(id, now, state, ends, reports).await.map(Stored::into_inner) {
            Ok(true) => {}
            Ok(false) => return false, // it was leased or released meanwhile
            Err(error) => {
                tracing::error!(%id, %error, advice = error.advice(), "a message that should end waits on");
                return false;
            }
        }
        {
            let mut core = self.core();
            core.load.remove(&row.account, ended);
            for report in fresh {
                core.add_loaded(report);
            }
        }
        for event in events {
            self.note(event).await;
        }
        self.signals.connections.notify_one();
        true
    }

    /// A message that is to end, with its content; without it where that is damaged: its sender hears of it all the same.
    async fn load_ending(&self, id: QueueId) -> Result<Option<Ending>, StoreError> {
        match self.load_message(id).await {
            Ok(loaded) => Ok(loaded.map(|Loaded { row, deliveries, content }| (row, deliveries, Some(content)))),
            Err(error @ StoreError::Corrupt { .. }) => {
                let Some((row, deliveries)) = self.store.message(id).await? else { return Ok(None) };
                tracing::error!(%id, %error, "a message ends whose content cannot be read");
                Ok(Some((row, deliveries, None)))
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the sender, once, that a message is late.
    pub(super) async fn tell_delay(&self, late: Late) {
        let Late { id, deliveries, attempted, now } = late;
        let loaded = match self.load_message(id).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%id, %error, advice = error.advice(), "a delay is not told now");
                return;
            }
        };
        let is_late = |delivery: &&DeliveryRow| {
            deliveries.contains(&delivery.index)
                // A next hop that could not be reached failed too; waiting for a slot is no failure.
                && (delivery.attempts > 0 || delivery.last_reply.is_some())
                && !delivery.delay_reported
                && delivery.recipient.wants_delay()
        };
        let end_of = |delivery: &DeliveryRow| {
            let words = delivery.last_reply.clone().unwrap_or_else(|| "not reached yet".to_owned());
            let end = RecipientEnd {
                index: delivery.index,
                fate: Fate::Deferred,
                diagnostic: RecipientEnd::reply_in(&words).map(str::to_owned),
                status: RecipientEnd::status_of_late(Some(&words)),
                words,
            };
            (delivery.clone(), end)
        };
        let recipients: Vec<_> = loaded.deliveries.iter().filter(is_late).map(end_of).collect();
        if recipients.is_empty() {
            return;
        }
        let indices = recipients.iter().map(|(delivery, _)| delivery.index).collect();
        let report = Report { action: Action::Delayed, remote_mta: attempted, recipients };
        // Nobody to tell is no failure: a delay is not the end of anything.
        let Ok(acceptance) = self.report(&loaded.row, Some(&loaded.content), &report, now) else { return };
        let fresh = Loaded::from_acceptance(&acceptance);
        match self.store.report_delay(id, indices, acceptance).await {
            Ok(_) => {
                let mut core = self.core();
                if let Some(fresh) = fresh {
                    core.add_loaded(fresh);
                }
            }
            Err(error) => tracing::warn!(%id, %error, advice = error.advice(), "a delay is not told now"),
        }
    }

    /// The report as a message of ours; or what stands in its place where none may be sent.
    pub(super) fn report(
        &self,
        row: &MessageRow,
        content: Option<&Content>,
        report: &Report,
        now: Now,
    ) -> Result<Acceptance, Unsent> {
        let delivery = self.delivery();
        let kind = match report.action {
            Action::Failed => ReportKind::Failed,
            Action::Unreleased => ReportKind::Unreleased,
            Action::Relayed => ReportKind::Relayed,
            Action::Delayed => ReportKind::Delayed { until: self.given_up_at(report, now) },
        };
        if !report.recipients.iter().any(|(delivery, _)| kind.is_wanted(&delivery.recipient)) {
            return Err(Unsent::Events(Vec::new()));
        }
        let original = match content.map(|content| Original::read(content, kind.carries(row.ret), &delivery.dsn)) {
            Some(Ok(original)) => original,
            Some(Err(error)) => {
                tracing::warn!(id = %row.id, %error, "a report goes without the message it is about");
                Original::none()
            }
            None => Original::none(),
        };
        let id = match self.store.allocate() {
            Ok(id) => id,
            Err(error) => {
                // An end without its report would be mail lost in silence: the journal and the operator hear of it.
                tracing::error!(id = %row.id, %error, advice = error.advice(), "no report could be made");
                let (of, account) = (row.id.to_string(), row.account.clone());
                let reason = format!("nobody was told, for no report could be made: {error}");
                return Err(Unsent::Events(vec![Event::DsnToOperator { of, account, reason }]));
            }
        };
        let router = self.core().router.clone();
        let basis = ReportBasis {
            id,
            now,
            host_name: &self.host_name,
            settings: &delivery.dsn,
            router: &router,
            class: Class::Transactional.number(),
        };
        let reported: Vec<Reported<'_>> = report
            .recipients
            .iter()
            .map(|(delivery, end)| Reported {
                recipient: &delivery.recipient,
                status: &end.status,
                words: &end.words,
                diagnostic: end.diagnostic.as_deref(),
                remote_mta: report.remote_mta.as_deref(),
                // What was not tried just now was tried at a time that is on no record here: nothing is said then.
                last_attempt: report.remote_mta.is_some().then_some(now.wall),
            })
            .collect();
        match dsn::report(kind, row, &original, &reported, basis) {
            dsn::Report::Message(acceptance) => Ok(self.signed(*acceptance, now)),
            dsn::Report::Hold(why) if self.core().load.of(&row.account) > HELD_MAX => {
                let (of, account) = (row.id.to_string(), row.account.clone());
                let words = reported.first().map_or("", |one| one.words);
                let reason =
                    format!("nobody was told, nor is it held, for {HELD_MAX} of its account are: {why}: {words}");
                Err(Unsent::Events(vec![Event::DsnToOperator { of, account, reason }]))
            }
            dsn::Report::Hold(why) => {
                tracing::warn!(id = %row.id, account = %row.account, why, "a report that failed is held");
                Err(Unsent::Held(why))
            }
            dsn::Report::EventOnly(event) => Err(Unsent::Events(vec![event])),
            dsn::Report::NotWanted => Err(Unsent::Events(Vec::new())),
        }
    }

    /// A report with the signature of its From domain, where that has a key. Signed before it is stored: the bytes that
    /// are signed are those that leave. What settles an attempt waits for nothing, so it is signed here, but the other
    /// tasks of this thread go to another meanwhile: RSA takes longer than all else.
    fn signed(&self, mut report: Acceptance, now: Now) -> Acceptance {
        let Body::Inline(bytes) = &report.body else { return report };
        let from = report.header_from.as_deref().unwrap_or_default();
        let edges = self.edges();
        if edges.signer.covers(from) {
            let signature = aside(|| edges.signer.sign(&[&report.prefix, bytes], from, now.wall));
            report.prefix = [&signature, &report.prefix[..]].concat().into();
        }
        report
    }

    /// When what is late would be given up, if it is not delivered before.
    fn given_up_at(&self, report: &Report, now: Now) -> WallMs {
        let expiry_ms = self.core().settings.retry.expiry_ms;
        let spent_ms = report.recipients.iter().map(|(delivery, _)| delivery.spent_ms).max().unwrap_or(0);
        WallMs(now.wall.0.saturating_add(expiry_ms.saturating_sub(spent_ms)))
    }
}

/// Work that takes its time, where the other tasks of a thread can be handed on.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}
