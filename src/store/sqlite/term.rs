//! What a message can be found by: Message-ID, the MTA's queue id, account, sender, recipients.
//!
//! An index on each of these columns would touch a page in a different place for each of them, with every message. Here all
//! are small numbers in one table, in buckets of queue ids that follow each other: what is written together lies together.
//! A search looks into each bucket, newest first, and reads the messages themselves: the hash only says where to look.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::failure::Failure;
use super::read_history::{LIST_MAX, Whole};
use super::read_queue::queue_id;
use super::readers::{Read, Reader};
use super::tx::{Tx, many, number};
use crate::mail::QueueId;
use crate::store::{Acceptance, Page};

/// A bucket holds the ids that are equal above so many bits.
const BUCKET_BITS: u32 = 14;
/// How many messages one search reads at most, found or not: hashes can be made to collide.
const LOOKS_MAX: usize = 10_000;
/// How many rows of an old bucket go at once.
const ROWS_MAX: usize = 2_000;

/// Writes what this message is found by.
pub(super) fn insert(acceptance: &Acceptance, tx: &Tx<'_>) -> Result<(), Failure> {
    let envelope = &acceptance.envelope;
    let texts = [acceptance.account.as_str(), envelope.reverse_path.as_str()]
        .into_iter()
        .chain(acceptance.mta_id.as_deref())
        .chain(acceptance.message_id.as_deref())
        .chain(envelope.recipients.iter().map(|recipient| recipient.address.as_str()));
    insert_hashes(tx.db, number(acceptance.id), texts)?;
    Ok(())
}

fn insert_hashes<'a>(db: &Connection, message: i64, texts: impl Iterator<Item = &'a str>) -> rusqlite::Result<()> {
    let hashes: BTreeSet<i64> = texts.filter(|text| !text.is_empty()).map(hash).collect();
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO term (bucket, hash, message) VALUES (?, ?, ?)")?;
    for hash in hashes {
        insert.execute(params![message >> BUCKET_BITS, hash, message])?;
    }
    Ok(())
}

/// For stores of version 1, which had no such table.
pub(super) fn fill(db: &Connection) -> rusqlite::Result<()> {
    let mut messages = db.prepare(
        "SELECT message.id, text, reverse_path, mta_id, message_id FROM message JOIN name ON name.id = account",
    )?;
    let mut recipients = db.prepare("SELECT recipient FROM delivery WHERE message = ?")?;
    let mut rows = messages.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut texts: Vec<String> =
            (1..5).filter_map(|n| row.get::<_, Option<String>>(n).transpose()).collect::<Result<_, _>>()?;
        for recipient in recipients.query_map(params![id], |row| row.get(0))? {
            texts.push(recipient?);
        }
        insert_hashes(db, id, texts.iter().map(String::as_str))?;
    }
    Ok(())
}

/// Forgets a part of the oldest bucket whose messages are all forgotten; `true` if something went.
pub(super) fn prune(tx: &Tx<'_>) -> Result<bool, Failure> {
    let mut after = -1;
    while let Some(bucket) = next_bucket(tx.db, after)? {
        let (first, end) = (bucket << BUCKET_BITS, (bucket + 1) << BUCKET_BITS);
        let used: bool = tx
            .sql("SELECT EXISTS (SELECT 1 FROM message WHERE id >= ? AND id < ?)")?
            .query_row(params![first, end], |row| row.get(0))?;
        if !used {
            let removed = tx.run(
                "DELETE FROM term WHERE (bucket, hash, message) IN \
                 (SELECT bucket, hash, message FROM term WHERE bucket = ? LIMIT ?)",
                params![bucket, many(ROWS_MAX)],
            )?;
            return Ok(removed > 0);
        }
        after = bucket;
    }
    Ok(false)
}

fn next_bucket(db: &Connection, after: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT bucket FROM term WHERE bucket > ? ORDER BY bucket LIMIT 1")?
        .query_row(params![after], |row| row.get(0))
        .optional()
}

impl Reader {
    /// Messages known by this term, newest first.
    pub(super) fn find(&self, term: &str, page: Page) -> Read<Vec<Whole>> {
        let (wanted, limit) = (normal(term), page.limit.min(LIST_MAX));
        let mut found: Vec<Whole> = Vec::new();
        let older = |id: QueueId| page.after.is_none_or(|after| id < after);
        let by_id = term.parse::<QueueId>().ok();
        if let Some(id) = by_id.filter(|id| older(*id)) {
            found.extend(self.message(id)?);
        }
        let mut below = page.after.map_or(i64::MAX, |after| (number(after) >> BUCKET_BITS) + 1);
        let mut looks = 0;
        while found.len() < limit
            && looks < LOOKS_MAX
            && let Some(bucket) = self.bucket_below(below)?
        {
            let ids = self.ids_in(bucket, hash(term))?;
            for id in ids {
                if found.len() == limit || looks == LOOKS_MAX {
                    break;
                }
                let id = queue_id(id)?;
                if !older(id) {
                    continue;
                }
                looks += 1;
                let message = if by_id == Some(id) { None } else { self.message(id)? };
                found.extend(message.filter(|message| is_known_by(message, &wanted)));
            }
            below = bucket;
        }
        found.sort_by_key(|(row, _)| std::cmp::Reverse(row.id));
        Ok(found)
    }

    fn bucket_below(&self, bucket: i64) -> Read<Option<i64>> {
        let below = self
            .sql("SELECT bucket FROM term WHERE bucket < ? ORDER BY bucket DESC LIMIT 1")?
            .query_row(params![bucket], |row| row.get(0))
            .optional()?;
        Ok(below)
    }

    fn ids_in(&self, bucket: i64, hash: i64) -> Read<Vec<i64>> {
        let mut statement = self.sql("SELECT message FROM term WHERE bucket = ? AND hash = ? ORDER BY message DESC")?;
        let ids = statement.query_map(params![bucket, hash], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    }
}

fn is_known_by((row, deliveries): &Whole, wanted: &str) -> bool {
    let is = |text: &str| normal(text) == wanted;
    is(row.account.as_str())
        || is(row.reverse_path.as_str())
        || row.mta_id.as_deref().is_some_and(is)
        || row.message_id.as_deref().is_some_and(is)
        || deliveries.iter().any(|delivery| is(delivery.recipient.address.as_str()))
}

/// Without the brackets of a Message-ID, in lower case.
fn normal(term: &str) -> String {
    term.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase()
}

/// FNV-1a, folded to 31 bits: stored, so it may never change. That it can be made to collide costs a search some looks.
fn hash(term: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in normal(term).bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    ((hash ^ (hash >> 31)) & 0x7fff_ffff).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_stored_ones() {
        // From the first version that stored them: a change would lose every message of older stores.
        assert_eq!(hash("shop@example.org"), 487_155_042);
        assert_eq!(hash("<4ABC@Example.org>"), hash("4abc@example.org"));
    }
}
