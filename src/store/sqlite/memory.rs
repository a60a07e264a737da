//! What the rooms that learn keep: written in small batches, read in pages, forgotten by age.

use bytes::Bytes;
use rusqlite::params;

use super::failure::Failure;
use super::read_queue::time;
use super::readers::{Read, Reader};
use super::tx::{Tx, many, wall};
use crate::clock::WallMs;
use crate::store::{Memory, MemoryKind, MemoryRow};

/// How many rows are forgotten at once.
const ROWS_MAX: usize = 500;
/// A page ends behind the row that passes so many bytes.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// Writes and forgets.
pub(super) fn remember((memories, at): &(Vec<Memory>, WallMs), tx: &mut Tx<'_>) -> Result<(), Failure> {
    for memory in memories {
        let (kind, key) = (memory.kind().as_str(), &memory.key()[..]);
        match memory.value() {
            Some(value) => tx.run(
                "INSERT INTO memory (kind, key, updated, value) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (kind, key) DO UPDATE SET updated = excluded.updated, value = excluded.value",
                params![kind, key, wall(*at), &value[..]],
            )?,
            None => tx.run("DELETE FROM memory WHERE kind = ? AND key = ?", params![kind, key])?,
        };
    }
    Ok(())
}

/// Forgets some of a kind that were written last before that; `true` if there may be more.
pub(super) fn forget((kind, before): &(MemoryKind, WallMs), tx: &mut Tx<'_>) -> Result<bool, Failure> {
    let forgotten = tx.run(
        "DELETE FROM memory WHERE id IN (SELECT id FROM memory INDEXED BY memory_updated \
         WHERE kind = ? AND updated < ? ORDER BY updated LIMIT ?)",
        params![kind.as_str(), wall(*before), many(ROWS_MAX)],
    )?;
    Ok(forgotten == ROWS_MAX)
}

impl Reader {
    /// What is remembered under one key.
    pub(super) fn memory(&self, kind: MemoryKind, key: &[u8]) -> Read<Option<Bytes>> {
        let mut statement = self.sql("SELECT value FROM memory WHERE kind = ? AND key = ?")?;
        let mut rows = statement.query(params![kind.as_str(), key])?;
        Ok(rows.next()?.map(|row| row.get::<_, Vec<u8>>(0)).transpose()?.map(Bytes::from))
    }

    /// A kind in the order of its keys.
    pub(super) fn memories(&self, kind: MemoryKind, after: Option<&[u8]>, limit: usize) -> Read<Vec<MemoryRow>> {
        let mut statement = self.sql(
            // Without a bound from below, for the empty key is one: every text is smaller than every blob.
            "SELECT key, updated, value FROM memory WHERE kind = ? AND key > coalesce(?, '') ORDER BY key LIMIT ?",
        )?;
        let mut rows = statement.query(params![kind.as_str(), after, many(limit)])?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes <= PAGE_BYTES_MAX
            && let Some(row) = rows.next()?
        {
            let (key, value): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(2)?);
            bytes += key.len() + value.len();
            page.push(MemoryRow { key: Bytes::from(key), value: Bytes::from(value), updated: time(row.get(1)?) });
        }
        Ok(page)
    }
}
