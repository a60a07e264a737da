//! Forgetting: ended messages, events and attempts that are old enough, a small batch at a time.

use rusqlite::params;

use super::failure::Failure;
use super::tx::{EVENT_OVERHEAD_BYTES, Tx, count, many, wall};
use crate::clock::WallMs;
use crate::store::KeepAttempts;

/// How many rows of a table one batch looks at: a few milliseconds of the writer.
const ROWS_MAX: usize = 500;

/// What may be forgotten.
pub(super) struct Prune {
    pub(super) before: WallMs,
    pub(super) attempts: KeepAttempts,
    pub(super) journal_bytes_max: u64,
    /// The message after which this batch looks on; the pass begins at 0.
    pub(super) after: i64,
}

/// What a batch did.
pub(super) struct Pruned {
    /// Where the next batch goes on; `None` at the end of the pass.
    pub(super) messages_after: Option<i64>,
    /// Whether events or attempts are left to forget.
    pub(super) more: bool,
}

/// One batch of each kind.
pub(super) fn prune(prune: &Prune, tx: &mut Tx<'_>) -> Result<Pruned, Failure> {
    let events = prune_events(prune, tx)?;
    let attempts = prune_attempts(prune, tx)?;
    let messages_after = prune_messages(prune, tx)?;
    let terms = super::term::prune(tx)?;
    Ok(Pruned { messages_after, more: events || attempts || terms })
}

/// The last row of events and attempts stays: the next row number is taken from it, and a cursor never goes back.
fn prune_events(prune: &Prune, tx: &mut Tx<'_>) -> Result<bool, Failure> {
    let oldest: Vec<(i64, i64, i64)> = {
        let mut statement =
            tx.sql("SELECT id, at, length(CAST(body AS BLOB)) FROM event WHERE id < ? ORDER BY id LIMIT ?")?;
        let rows = statement.query_map(params![tx.memory.last_event, many(ROWS_MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    for (id, at, bytes) in &oldest {
        if *at >= wall(prune.before) && tx.memory.journal_bytes <= count(prune.journal_bytes_max) {
            return Ok(false);
        }
        tx.run("DELETE FROM event WHERE id = ?", params![id])?;
        tx.memory.journal_bytes -= bytes + EVENT_OVERHEAD_BYTES;
    }
    Ok(oldest.len() == ROWS_MAX)
}

/// The newest boot by its own clock, from its last lease on record; earlier ones by the wall clock, where it is believed.
fn prune_attempts(prune: &Prune, tx: &mut Tx<'_>) -> Result<bool, Failure> {
    let KeepAttempts { keep_ms, earlier_boots_since } = prune.attempts;
    let mut delete = tx.sql(
        "WITH newest AS (SELECT boot, leased_boot AS moment FROM attempt ORDER BY id DESC LIMIT 1) \
         DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE id < ?1 ORDER BY id LIMIT ?2) AND state <> 0 \
         AND CASE WHEN boot = (SELECT boot FROM newest) THEN ended_boot < (SELECT moment FROM newest) - ?3 \
         ELSE ended_wall < ?4 AND leased_wall < ?4 END \
         RETURNING max(ended_wall, leased_wall)",
    )?;
    let ends = delete.query_map(
        params![
            tx.memory.last_attempt,
            many(ROWS_MAX),
            i64::try_from(keep_ms).unwrap_or(i64::MAX),
            earlier_boots_since.map_or(i64::MIN, wall),
        ],
        |row| row.get::<_, i64>(0),
    )?;
    let ends: Vec<i64> = ends.collect::<Result<_, _>>()?;
    if let Some(last) = ends.iter().max() {
        tx.run(
            "UPDATE progress SET attempts_pruned = max(coalesce(attempts_pruned, ?1), ?1), \
             attempts_kept_ms = min(attempts_kept_ms, ?2)",
            params![last, count(keep_ms)],
        )?;
    }
    Ok(ends.len() == ROWS_MAX)
}

fn prune_messages(prune: &Prune, tx: &mut Tx<'_>) -> Result<Option<i64>, Failure> {
    let page: Vec<(i64, Option<i64>, i64)> = {
        let mut statement = tx.sql("SELECT id, ended, received FROM message WHERE id > ? ORDER BY id LIMIT ?")?;
        let rows = statement
            .query_map(params![prune.after, many(ROWS_MAX)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let before = wall(prune.before);
    for (id, ended, _) in &page {
        if ended.is_some_and(|ended| ended < before) {
            tx.run("DELETE FROM delivery WHERE message = ?", params![id])?;
            tx.run("DELETE FROM message WHERE id = ?", params![id])?;
        }
    }
    // Ids grow with the time of arrival, and nothing ends before it came: past the first young one there is nothing old.
    let last = page.last().filter(|(_, _, received)| *received < before);
    Ok(last.filter(|_| page.len() == ROWS_MAX).map(|(id, ..)| *id))
}
