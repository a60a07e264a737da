//! Attempts: their lease before MAIL (invariants 2 and 3), and their end with the outcome of each delivery.

use rusqlite::{OptionalExtension as _, params};

use super::accept::accept;
use super::failure::Failure;
use super::rows::{self, attempt as state, state_number};
use super::salvage;
use super::tx::{Care, Tx, count, many, number, wall};
use crate::account::Account;
use crate::clock::{BootId, WallMs};
use crate::event::Event;
use crate::mail::QueueId;
use crate::store::{
    Acceptance, AttemptId, Conclusion, DeliveryEnd, DeliveryOutcome, DeliveryState, GateKind, Index, LeaseRequest,
    SlotsEnd, StoreError,
};
use DeliveryState::{Bounced, Delivered, Held, UnderWay, Waiting};

/// What a lease took, before it is synced.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) attempt: AttemptId,
    pub(super) deliveries: Vec<Index>,
}

/// What a conclusion did, before it is synced.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) next: Option<Taken>,
    pub(super) message_ended: bool,
    /// Reports that could not be stored.
    pub(super) reports_lost: Vec<QueueId>,
}

/// The deliveries of the request that still wait go under way. Behind a closed gate none does.
pub(super) fn lease(request: &LeaseRequest, tx: &mut Tx<'_>) -> Result<Taken, Failure> {
    let attempt = tx.memory.last_attempt + 1;
    let mut deliveries = Vec::with_capacity(request.deliveries.len());
    let closed = tx.memory.is_closed(GateKind::All, "")
        || tx.memory.is_closed(GateKind::Account, request.account.as_str())
        || tx.memory.is_closed(GateKind::Egress, &request.egress);
    if !closed {
        let mut take =
            tx.sql("UPDATE delivery SET state = 2, attempt = ? WHERE message = ? AND place = ? AND state = 0")?;
        for index in &request.deliveries {
            if take.execute(params![attempt, number(request.message), index.0])? == 1 {
                deliveries.push(*index);
            }
        }
    }
    if deliveries.is_empty() {
        // No slot is used, so there is nothing to remember: attempt 0 has no row.
        return Ok(Taken { attempt: AttemptId(0), deliveries });
    }
    tx.memory.last_attempt = attempt;
    tx.memory.counts.moved(Waiting, UnderWay, deliveries.len());
    let account = tx.name(request.account.as_str())?;
    let egress = tx.name(&request.counted_as)?;
    let login = request.login.as_deref().map(|login| tx.name(login)).transpose()?;
    let route = tx.name(&request.route)?;
    let boot = tx.name(&request.boot_id.0)?;
    tx.run(
        "INSERT INTO attempt (id, message, account, egress, login, route, boot, leased_boot, leased_wall, state, \
         recipients, messages) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        params![
            attempt,
            number(request.message),
            account,
            egress,
            login,
            route,
            boot,
            count(request.leased.boot.0),
            wall(request.leased.wall),
            state::LEASED,
            many(deliveries.len()),
        ],
    )?;
    Ok(Taken { attempt: AttemptId(attempt.unsigned_abs()), deliveries })
}

/// Ends an attempt and begins the next one of its connection.
pub(super) fn conclude(
    (conclusion, next): &(Conclusion, Option<LeaseRequest>),
    tx: &mut Tx<'_>,
) -> Result<Settled, Failure> {
    if tx.care == Care::Parts {
        return salvage::conclude(conclusion, next.as_ref(), tx);
    }
    check(&conclusion.reports)?;
    let lease = &conclusion.lease;
    end_attempt(conclusion, tx)?;
    let at = conclusion.ended.wall;
    let mut ended = 0;
    for index in &lease.deliveries {
        match conclusion.outcomes.iter().find(|end| end.index == *index) {
            Some(end) => ended += end_leased(conclusion, end, tx)?,
            None => wait_again(lease.message, *index, lease.attempt, tx)?,
        }
    }
    let message_ended = end_message(lease.message, ended, at, tx)?;
    for report in &conclusion.reports {
        accept(report, tx)?;
    }
    for event in &conclusion.events {
        tx.event(at, event.clone())?;
    }
    let next = match next {
        Some(request) if tx.leases => Some(self::lease(request, tx)?),
        Some(_) | None => None,
    };
    Ok(Settled { next, message_ended, reports_lost: Vec::new() })
}

/// Nothing was written yet, so that a wrong report can still refuse all of it; an outcome is then stored in parts.
fn check(reports: &[Acceptance]) -> Result<(), Failure> {
    reports.iter().try_for_each(super::accept::check)
}

/// The outcome of one delivery of the attempt. Gives how many deliveries ended: 1 or 0.
pub(super) fn end_leased(conclusion: &Conclusion, end: &DeliveryEnd, tx: &mut Tx<'_>) -> Result<usize, Failure> {
    let lease = &conclusion.lease;
    let words = Words { account: &lease.account, egress: &conclusion.egress, next_hop: &conclusion.next_hop };
    end_delivery(lease.message, end, From::UnderWay(lease.attempt), &words, conclusion.ended.wall, tx)
}

/// The attempt's row; attempt 0 has none.
pub(super) fn end_attempt(conclusion: &Conclusion, tx: &Tx<'_>) -> Result<(), Failure> {
    if conclusion.lease.attempt.0 == 0 {
        return Ok(());
    }
    let (state, recipients, messages) = match conclusion.slots {
        SlotsEnd::Used { recipients, messages } => (state::USED, recipients, messages),
        SlotsEnd::Returned => (state::RETURNED, 0, 0),
        SlotsEnd::Unknown => (state::UNKNOWN, u32::try_from(conclusion.lease.deliveries.len()).unwrap_or(u32::MAX), 1),
    };
    tx.run(
        "UPDATE attempt SET state = ?, recipients = ?, messages = ?, ended_boot = ?, ended_wall = ? \
         WHERE id = ? AND state = 0",
        params![
            state,
            recipients,
            messages,
            count(conclusion.ended.boot.0),
            wall(conclusion.ended.wall),
            count(conclusion.lease.attempt.0),
        ],
    )?;
    Ok(())
}

/// One text for both places that a delivery can end from: only the condition differs.
macro_rules! end_sql {
    ($condition:literal) => {
        concat!(
            "UPDATE delivery SET state = ?1, due = coalesce(?2, due), again = 1, attempts = attempts + ?3, ",
            "spent_ms = spent_ms + ?4, reply = ?5, attempt = NULL WHERE message = ?6 AND place = ?7 AND ",
            $condition,
            " RETURNING recipient"
        )
    };
}
/// What all outcomes of one attempt share, for their events.
pub(super) struct Words<'a> {
    pub(super) account: &'a Account,
    pub(super) egress: &'a str,
    pub(super) next_hop: &'a str,
}

/// Where a delivery must stand for its outcome to count: an outcome never ends what someone else has ended meanwhile.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// With this attempt.
    UnderWay(AttemptId),
    /// In this one, with no attempt.
    Queue(DeliveryState),
}

/// The outcome of one delivery, with its event. Gives how many deliveries ended: 1 or 0.
pub(super) fn end_delivery(
    message: QueueId,
    end: &DeliveryEnd,
    from: From,
    words: &Words<'_>,
    at: WallMs,
    tx: &mut Tx<'_>,
) -> Result<usize, Failure> {
    let (state, due, spent_ms, reply) = match &end.outcome {
        DeliveryOutcome::Delivered { reply } => (Delivered, None, 0, reply),
        DeliveryOutcome::Deferred { due, reply, spent_ms } => (Waiting, Some(*due), *spent_ms, reply),
        DeliveryOutcome::Bounced { reply, .. } => (Bounced, None, 0, reply),
        DeliveryOutcome::Held { reason } => (Held, None, 0, reason),
    };
    let (stands, tried, sql, before) = match from {
        From::UnderWay(attempt) => (count(attempt.0), 1, end_sql!("state = 2 AND attempt = ?8"), UnderWay),
        From::Queue(before) => (state_number(before), 0, end_sql!("state = ?8"), before),
    };
    let to: Option<String> = tx
        .sql(sql)?
        .query_row(
            params![
                state_number(state),
                due.map(wall),
                tried,
                count(spent_ms),
                reply,
                number(message),
                end.index.0,
                stands,
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(to) = to else { return Ok(0) };
    tx.memory.counts.moved(before, state, 1);
    tx.event(at, event_of(message, to, &end.outcome, words))?;
    Ok(usize::from(matches!(state, Delivered | Bounced)))
}

/// Where a delivery stands; `None` if there is no such delivery.
fn state_of(message: QueueId, index: Index, tx: &Tx<'_>) -> Result<Option<DeliveryState>, Failure> {
    let found: Option<i64> = tx
        .sql("SELECT state FROM delivery WHERE message = ? AND place = ?")?
        .query_row(params![number(message), index.0], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(rows::state))
}

fn event_of(message: QueueId, to: String, outcome: &DeliveryOutcome, words: &Words<'_>) -> Event {
    let (id, account) = (message.to_string(), words.account.clone());
    match outcome {
        DeliveryOutcome::Delivered { reply } => Event::Delivered {
            id,
            account,
            to,
            egress: words.egress.to_owned(),
            next_hop: words.next_hop.to_owned(),
            reply: reply.clone(),
        },
        DeliveryOutcome::Deferred { due, reply, .. } => {
            Event::Deferred { id, account, to, reply: reply.clone(), due: *due }
        }
        DeliveryOutcome::Bounced { reply, dsn } => {
            Event::Bounced { id, account, to, reply: reply.clone(), dsn: dsn.map(|dsn| dsn.to_string()) }
        }
        DeliveryOutcome::Held { reason } => Event::Held { id, account, score_points: 0, reason: reason.clone() },
    }
}

/// A delivery of a lease that had no outcome waits again, in its old place.
pub(super) fn wait_again(message: QueueId, index: Index, attempt: AttemptId, tx: &mut Tx<'_>) -> Result<(), Failure> {
    let waiting = tx.run(
        "UPDATE delivery SET state = 0, attempt = NULL WHERE message = ? AND place = ? AND state = 2 AND attempt = ?",
        params![number(message), index.0, count(attempt.0)],
    )?;
    tx.memory.counts.moved(UnderWay, Waiting, waiting);
    Ok(())
}

/// Counts ended deliveries; with the last one the body goes. Gives whether the message has ended.
pub(super) fn end_message(message: QueueId, ended: usize, at: WallMs, tx: &mut Tx<'_>) -> Result<bool, Failure> {
    if ended == 0 {
        return Ok(false);
    }
    let (left, flags): (i64, i64) = tx
        .sql(
            "UPDATE message SET unended = unended - ?1, ended = CASE WHEN unended = ?1 THEN ?2 END WHERE id = ?3 \
             RETURNING unended, flags",
        )?
        .query_row(params![many(ended), wall(at), number(message)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if left > 0 {
        return Ok(false);
    }
    tx.memory.counts.messages -= 1;
    tx.run("DELETE FROM body WHERE message = ?", params![number(message)])?;
    if flags & super::rows::flag::SPOOLED != 0 {
        tx.after.unlink.push(message);
    }
    Ok(true)
}

/// Whose message it is; `None` if there is no such message.
pub(super) fn account_of(message: QueueId, tx: &Tx<'_>) -> Result<Option<Account>, Failure> {
    let name: Option<String> = tx
        .sql("SELECT text FROM message JOIN name ON name.id = account WHERE message.id = ?")?
        .query_row(params![number(message)], |row| row.get(0))
        .optional()?;
    Ok(name.as_deref().map(Account::named))
}

/// Ends without an attempt, with the reports that stand in their place: all, or `false` and none.
pub(super) fn end_unattempted(ends: &UnattemptedEnds, tx: &mut Tx<'_>) -> Result<bool, Failure> {
    check(&ends.reports)?;
    let Some(account) = account_of(ends.message, tx)? else {
        return Err(Failure::Refused(StoreError::NoSuchMessage(ends.message)));
    };
    // Before anything is written: what was leased or released meanwhile did not end, and nobody is told that it did.
    for end in &ends.ends {
        if state_of(ends.message, end.index, tx)? != Some(ends.from) {
            return Ok(false);
        }
    }
    let words = Words { account: &account, egress: "", next_hop: "" };
    let mut ended = 0;
    for end in &ends.ends {
        ended += end_delivery(ends.message, end, From::Queue(ends.from), &words, ends.at, tx)?;
    }
    end_message(ends.message, ended, ends.at, tx)?;
    for report in &ends.reports {
        accept(report, tx)?;
    }
    Ok(true)
}

/// The input of [`end_unattempted`].
pub(super) struct UnattemptedEnds {
    pub(super) message: QueueId,
    pub(super) at: WallMs,
    pub(super) from: DeliveryState,
    pub(super) ends: Vec<DeliveryEnd>,
    pub(super) reports: Vec<Acceptance>,
}

/// The delay of these deliveries is told.
pub(super) fn report_delay(
    (message, deliveries, report): &(QueueId, Vec<Index>, Acceptance),
    tx: &mut Tx<'_>,
) -> Result<(), Failure> {
    check(std::slice::from_ref(report))?;
    for index in deliveries {
        tx.run(
            "UPDATE delivery SET delay_reported = 1 WHERE message = ? AND place = ?",
            params![number(*message), index.0],
        )?;
    }
    accept(report, tx)
}

/// Ends the attempts that a crash left under way: their slots are used from now on, their deliveries wait again.
/// Gives how many.
pub(super) fn recover(boot: &BootId, now: crate::clock::Now, tx: &mut Tx<'_>) -> Result<u32, Failure> {
    let open: Vec<(i64, i64, i64)> = {
        let mut statement = tx.sql(
            "SELECT attempt, message, count(*) FROM delivery INDEXED BY delivery_queue \
             WHERE state <= 2 AND state = 2 GROUP BY attempt, message",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    super::waiting::fresh_is_due(&now.wall, tx)?;
    let boot = tx.name(&boot.0)?;
    for (attempt, message, recipients) in &open {
        // Of another boot, the boot clock of the lease means nothing any more: both ends are taken as now.
        tx.run(
            "UPDATE attempt SET state = 3, ended_boot = ?2, ended_wall = ?3, \
             leased_boot = CASE WHEN boot = ?4 THEN leased_boot ELSE ?2 END, boot = ?4 WHERE id = ?1 AND state = 0",
            params![attempt, count(now.boot.0), wall(now.wall), boot],
        )?;
        let waiting = tx.run(
            "UPDATE delivery SET state = 0, attempt = NULL, attempts = attempts + 1, again = 1, due = ?1 \
             WHERE message = ?2 AND state = 2 AND attempt = ?3",
            params![wall(now.wall), message, attempt],
        )?;
        tx.memory.counts.moved(UnderWay, Waiting, waiting);
        let id = QueueId::new(message.unsigned_abs()).unwrap_or(QueueId::MAX);
        let account = account_of(id, tx)?.unwrap_or_else(|| Account::named("unknown"));
        let recipients = u32::try_from(*recipients).unwrap_or(u32::MAX);
        let reason = "outguard ended while it was under way".to_owned();
        tx.event(now.wall, Event::AttemptUnknown { id: id.to_string(), account, recipients, reason })?;
    }
    Ok(u32::try_from(open.len()).unwrap_or(u32::MAX))
}
