//! Changes to many deliveries of the queue at once. A reader collects them page by page, the writer changes a page at a time:
//! neither holds the log or the writer for long.

use rusqlite::{Row, params};

use super::failure::Failure;
use super::tx::{Tx, count, number, wall};
use crate::clock::WallMs;
use crate::mail::QueueId;
use crate::store::{Destination, Refiled, Renewed};

/// How many deliveries are changed in one request.
pub(super) const PAGE: usize = 500;

/// A delivery of one state, in the order of the queue's index: a page goes on after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) account: i64,
    pub(super) class: i64,
    pub(super) destination: i64,
    pub(super) due: i64,
    pub(super) message: i64,
    pub(super) index: i64,
}

impl Place {
    /// Out of a row with these columns in this order.
    pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            account: row.get(0)?,
            class: row.get(1)?,
            destination: row.get(2)?,
            due: row.get(3)?,
            message: row.get(4)?,
            index: row.get(5)?,
        })
    }
}

/// A page of deliveries of a destination that cannot be used now.
pub(super) struct PutOff {
    pub(super) page: Vec<Place>,
    pub(super) now: WallMs,
    pub(super) due: WallMs,
    pub(super) reply: String,
}

/// Puts them off; the time until they are due again counts as spent, for they were free to leave.
pub(super) fn put_off(put_off: &PutOff, tx: &mut Tx<'_>) -> Result<u64, Failure> {
    let mut changed = 0;
    let spent = count(put_off.due.0.saturating_sub(put_off.now.0));
    let mut update = tx.sql(
        "UPDATE delivery SET due = ?, again = 1, spent_ms = spent_ms + ?, reply = ? \
         WHERE message = ? AND place = ? AND state = 0 AND due <= ?",
    )?;
    for place in &put_off.page {
        let now = wall(put_off.now);
        changed += update.execute(params![wall(put_off.due), spent, put_off.reply, place.message, place.index, now])?;
    }
    Ok(changed as u64)
}

/// Makes waiting deliveries due now.
pub(super) fn flush((page, now): &(Vec<Place>, WallMs), tx: &mut Tx<'_>) -> Result<u64, Failure> {
    let mut changed = 0;
    let mut update =
        tx.sql("UPDATE delivery SET due = ?1, again = 1 WHERE message = ? AND place = ? AND state = 0 AND due > ?1")?;
    for place in page {
        changed += update.execute(params![wall(*now), place.message, place.index])?;
    }
    Ok(changed as u64)
}

/// No timer looks for mail that waits for its first attempt; so it must not be due later than now.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "requests hand their input over by reference")]
pub(super) fn fresh_is_due(now: &WallMs, tx: &mut Tx<'_>) -> Result<u64, Failure> {
    if tx.memory.counts.received_max <= wall(*now) {
        return Ok(0); // the rule, unless the clock was stepped back: no need to look at all that waits
    }
    let changed = tx.run(
        "UPDATE delivery INDEXED BY delivery_queue SET due = ?1 \
         WHERE state <= 2 AND state = 0 AND due > ?1 AND again = 0",
        params![wall(*now)],
    )?;
    tx.memory.counts.received_max = wall(*now);
    Ok(changed as u64)
}

/// Gives what waits of a message its new prefix and places in line. Whether it has the prefix now, and stands there.
pub(super) fn renew((message, renewed, at): &(QueueId, Renewed, WallMs), tx: &mut Tx<'_>) -> Result<bool, Failure> {
    // What is under way leaves with the bytes that it was begun with, and is told of by them.
    let written = tx.run(
        "UPDATE body SET prefix = ?1 WHERE message = ?2 \
         AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?2 AND state = 2) \
         AND EXISTS (SELECT 1 FROM delivery WHERE message = ?2 AND state = 0)",
        params![&renewed.prefix[..], number(*message)],
    )?;
    let mut all_stand = true;
    for Refiled { index, from, to } in &renewed.refiled {
        let (from, to) = (tx.name(&from.0)?, tx.name(&to.0)?);
        tx.run(
            "UPDATE delivery SET destination = ?1, again = 1, due = MAX(due, ?4) \
             WHERE message = ?2 AND place = ?3 AND state = 0 AND destination = ?5 AND destination <> ?1",
            params![to, number(*message), index.0, wall(*at), from],
        )?;
        let mut elsewhere =
            tx.sql("SELECT 1 FROM delivery WHERE message = ? AND place = ? AND state = 0 AND destination <> ?")?;
        all_stand &= !elsewhere.exists(params![number(*message), index.0, to])?;
    }
    Ok(written > 0 && all_stand)
}

/// Writes deliveries of the queue to other destinations.
pub(super) fn reroute(page: &Vec<(Place, Destination)>, tx: &mut Tx<'_>) -> Result<u64, Failure> {
    let mut changed = 0;
    for (place, destination) in page {
        let to = tx.name(&destination.0)?;
        changed += tx.run(
            "UPDATE delivery SET destination = ?1 WHERE message = ?2 AND place = ?3 AND state <= 2 AND destination <> ?1",
            params![to, place.message, place.index],
        )?;
    }
    Ok(changed as u64)
}
