//! Forgetting names (accounts, destinations, egresses, boots) that no row has any more.
//!
//! Rows are read a page at a time beside the writer and their names marked, in a bit for each number. What a row gets after
//! that began is noted by the writer, so a name that is neither marked nor noted is in no row, and can't come to be in one
//! but through the writer, which then gives it a new number. The newest number stays: numbers are never given twice.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use rusqlite::{Row, params};

use super::SqliteStore;
use super::failure::Failure;
use super::readers::{Read, Reader};
use super::request::Kind;
use super::tx::{Tx, many};
use crate::store::StoreError;

/// Fewer names are not worth the look at every row.
const NAMES_MIN: i64 = 10_000;
/// How many rows are read at once.
const PAGE_ROWS: usize = 5_000;
/// How many names go in one request.
const FORGOTTEN_MAX: usize = 500;

/// The tables with names, each with its key and its columns of names.
const TABLES: [&str; 3] = [
    "SELECT id, 0, account FROM message WHERE id > ?1 AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
    "SELECT message, place, account, destination FROM delivery WHERE (message, place) > (?1, ?2) \
     ORDER BY message, place LIMIT ?3",
    "SELECT id, 0, account, egress, login, route, boot FROM attempt WHERE id > ?1 AND ?2 IS NOT NULL \
     ORDER BY id LIMIT ?3",
];

/// A bit for each number below the newest.
struct Marks {
    words: Vec<u64>,
    newest: i64,
}

impl Marks {
    fn below(newest: i64) -> Self {
        Self { words: vec![0; usize::try_from(newest / 64 + 1).unwrap_or(0)], newest }
    }

    fn set(&mut self, number: i64) {
        if let Some(word) = self.words.get_mut(usize::try_from(number / 64).unwrap_or(usize::MAX)) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether a name may go, for all that was read.
    fn is_free(&self, number: i64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.words.get(word));
        number < self.newest && word.is_some_and(|word| word & (1 << (number % 64)) == 0)
    }
}

impl SqliteStore {
    /// Forgets names, if there are many more than were left the last time.
    pub(super) async fn sweep_names(&self) -> Result<(), StoreError> {
        // Two at once would undo each other's notes.
        let Ok(_alone) = self.sweeping_names.try_lock() else { return Ok(()) };
        let (names, newest) = self.read(Reader::names).await?;
        if names < NAMES_MIN.max(2 * self.names_left.load(Ordering::Relaxed)) {
            return Ok(());
        }
        self.plain(Kind::Other, (), |(), tx| note(tx, Some(HashSet::new()))).await?.into_inner();
        let mut marks = Marks::below(newest);
        for table in TABLES {
            let mut after = Some((-1, -1));
            while let Some(begin) = after {
                let page = self.read(move |reader| reader.names_in(table, begin)).await?;
                for number in page.names {
                    marks.set(number);
                }
                after = page.next;
            }
        }
        let (mut after, mut forgotten) = (0, 0);
        loop {
            let page = self.read(move |reader| reader.name_numbers(after)).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            let free: Vec<i64> = page.into_iter().filter(|number| marks.is_free(*number)).collect();
            for some in free.chunks(FORGOTTEN_MAX) {
                forgotten += self.plain(Kind::Other, some.to_vec(), forget).await?.into_inner();
            }
        }
        self.plain(Kind::Other, (), |(), tx| note(tx, None)).await?.into_inner();
        self.names_left.store(names - many(forgotten), Ordering::Relaxed);
        Ok(())
    }
}

/// From here on the writer notes which old names it gives to rows, or no longer.
#[expect(clippy::unnecessary_wraps, reason = "requests may fail")]
fn note(tx: &mut Tx<'_>, noted: Option<HashSet<i64>>) -> Result<(), Failure> {
    tx.memory.names_noted = noted;
    Ok(())
}

/// Names of some rows.
struct Page {
    names: Vec<i64>,
    /// The key of the last row, if there may be more.
    next: Option<(i64, i64)>,
}

/// Forgets those that were not noted. Gives how many.
#[expect(clippy::ptr_arg, reason = "requests hand their input over by reference")]
fn forget(numbers: &Vec<i64>, tx: &mut Tx<'_>) -> Result<usize, Failure> {
    let mut forgotten = Vec::new();
    {
        let mut delete = tx.sql("DELETE FROM name WHERE id = ? RETURNING text")?;
        let noted = tx.memory.names_noted.as_ref();
        // Without notes there is no sweep that these could be of.
        for number in numbers.iter().filter(|number| noted.is_some_and(|noted| !noted.contains(number))) {
            let texts = delete.query_map(params![number], |row| row.get::<_, String>(0))?;
            forgotten.extend(texts.collect::<Result<Vec<_>, _>>()?);
        }
    }
    for text in &forgotten {
        tx.memory.forget_name(text);
    }
    Ok(forgotten.len())
}

impl Reader {
    /// How many names there are, and the newest number.
    fn names(&self) -> Read<(i64, i64)> {
        let sql = "SELECT count(*), coalesce(max(id), 0) FROM name";
        Ok(self.sql(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// The names in a page of a table, and where the next one begins.
    fn names_in(&self, table: &'static str, after: (i64, i64)) -> Read<Page> {
        let mut statement = self.sql(table)?;
        let mut rows = statement.query(params![after.0, after.1, many(PAGE_ROWS)])?;
        let (mut names, mut read, mut last) = (Vec::new(), 0, after);
        while let Some(row) = rows.next()? {
            (read, last) = (read + 1, (row.get(0)?, row.get(1)?));
            names.extend(numbers(row)?);
        }
        Ok(Page { names, next: (read == PAGE_ROWS).then_some(last) })
    }

    fn name_numbers(&self, after: i64) -> Read<Vec<i64>> {
        let mut statement = self.sql("SELECT id FROM name WHERE id > ? ORDER BY id LIMIT ?")?;
        let numbers = statement.query_map(params![after, many(PAGE_ROWS)], |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }
}

/// What stands after the key; a login may be missing.
fn numbers(row: &Row<'_>) -> rusqlite::Result<Vec<i64>> {
    let columns = 2..row.as_ref().column_count();
    columns.filter_map(|column| row.get::<_, Option<i64>>(column).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_each_number_and_no_other() {
        for newest in [0, 1, 63, 64, 65, 200] {
            let mut marks = Marks::below(newest);
            for number in (0..=newest + 200).step_by(3) {
                marks.set(number);
            }
            for number in 0..=newest + 200 {
                let free = number < newest && number % 3 != 0;
                assert_eq!(marks.is_free(number), free, "{number}, newest {newest}");
            }
        }
    }
}
