//! What holds of an outcome when one of its statements failed for itself (a report whose id was taken, say).
//!
//! The attempt happened, so its end must be on record (invariant 3) and no delivery may stay under way for ever. Each part
//! runs for itself: a report that cannot be stored is told to the operator instead (invariant 1), a next lease is not made,
//! and a delivery whose end cannot be written is held for a person, for it may have been delivered.

use rusqlite::params;

use super::accept::accept;
use super::attempt::{self, Settled};
use super::failure::Failure;
use super::tx::{Tx, count, number};
use crate::event::Event;
use crate::mail::QueueId;
use crate::store::{Conclusion, DeliveryEnd, DeliveryOutcome, DeliveryState, Index, LeaseRequest};

/// What a delivery whose end could not be written waits with.
const NOT_STORED: &str =
    "the outcome of an attempt could not be stored (see the log); it may have been delivered: release or remove it";

/// Ends an attempt part by part.
pub(super) fn conclude(
    conclusion: &Conclusion,
    next: Option<&LeaseRequest>,
    tx: &mut Tx<'_>,
) -> Result<Settled, Failure> {
    let (lease, at) = (&conclusion.lease, conclusion.ended.wall);
    part("the end of an attempt", tx, |tx| attempt::end_attempt(conclusion, tx))?;
    let mut reports_lost = Vec::new();
    for report in &conclusion.reports {
        if part("a report", tx, |tx| accept(report, tx))?.is_none() {
            reports_lost.push(report.id);
        }
    }
    let mut ended = 0;
    for index in &lease.deliveries {
        let Some(end) = conclusion.outcomes.iter().find(|end| end.index == *index) else {
            part("a delivery's place", tx, |tx| attempt::wait_again(lease.message, *index, lease.attempt, tx))?;
            continue;
        };
        let end = without(end, &reports_lost);
        match part("a delivery's end", tx, |tx| attempt::end_leased(conclusion, &end, tx))? {
            Some(n) => ended += n,
            None => hold(conclusion, *index, tx)?,
        }
    }
    let message_ended =
        part("a message's end", tx, |tx| attempt::end_message(lease.message, ended, at, tx))?.unwrap_or(false);
    for _ in &reports_lost {
        let event = Event::DsnToOperator {
            of: lease.message.to_string(),
            account: lease.account.clone(),
            reason: "nobody was told, for its report could not be stored".into(),
        };
        part("an event", tx, |tx| Ok(tx.event(at, event)?))?;
    }
    for event in &conclusion.events {
        part("an event", tx, |tx| Ok(tx.event(at, event.clone())?))?;
    }
    let next = match next {
        Some(request) if tx.leases => part("a lease", tx, |tx| attempt::lease(request, tx))?,
        Some(_) | None => None,
    };
    Ok(Settled { next, message_ended, reports_lost })
}

/// The outcome without the name of a report that is not there.
fn without(end: &DeliveryEnd, lost: &[QueueId]) -> DeliveryEnd {
    let mut end = end.clone();
    if let DeliveryOutcome::Bounced { dsn, .. } = &mut end.outcome {
        *dsn = dsn.filter(|id| !lost.contains(id));
    }
    end
}

fn hold(conclusion: &Conclusion, index: Index, tx: &mut Tx<'_>) -> Result<(), Failure> {
    let lease = &conclusion.lease;
    let held = tx.run(
        "UPDATE delivery SET state = 1, attempt = NULL, reply = ? \
         WHERE message = ? AND place = ? AND state = 2 AND attempt = ?",
        params![NOT_STORED, number(lease.message), index.0, count(lease.attempt.0)],
    )?;
    tx.memory.counts.moved(DeliveryState::UnderWay, DeliveryState::Held, held);
    let event = Event::Held {
        id: lease.message.to_string(),
        account: lease.account.clone(),
        score_points: 0,
        reason: NOT_STORED.into(),
    };
    part("an event", tx, |tx| Ok(tx.event(conclusion.ended.wall, event)?))?;
    Ok(())
}

/// Runs a part behind a savepoint; `None` if it failed for itself, which the log tells.
fn part<T>(
    what: &str,
    tx: &mut Tx<'_>,
    run: impl FnOnce(&mut Tx<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    match tx.apart(run)? {
        Ok(done) => Ok(Some(done)),
        Err(error) => {
            tracing::error!(%error, "{what} could not be stored; the rest of the outcome holds");
            Ok(None)
        }
    }
}
