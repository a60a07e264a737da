//! Reading the queue: lines, what is due, content, counts.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{OptionalExtension as _, params};

use super::counts::Counts;
use super::readers::{Read, Reader, damaged};
use super::rows::{flag, state_number};
use super::tx::{many, number, wall};
use super::waiting::Place;
use crate::account::Account;
use crate::clock::WallMs;
use crate::mail::QueueId;
use crate::store::query::ContentBody;
use crate::store::{
    AttemptId, AttemptRow, AttemptsPruned, Content, DeliveryState, Destination, DueAfter, DueDelivery, Gate, Index,
    Line, LineCount, StoreError, Totals, WaitingMessage,
};

/// A queue id out of a row.
pub(super) fn queue_id(id: i64) -> Read<QueueId> {
    u64::try_from(id).ok().and_then(QueueId::new).ok_or_else(|| damaged(format!("message {id}"), "no queue id").into())
}

/// A time out of a row.
pub(super) fn time(at: i64) -> WallMs {
    WallMs(u64::try_from(at).unwrap_or(0))
}

/// A count out of a row.
pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A small number out of a row.
pub(super) fn small(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Reader {
    pub(super) fn account(&self, id: i64) -> Read<Account> {
        Ok(Account::named(&self.name(id)?))
    }

    pub(super) fn lines(&self) -> Read<Vec<LineCount>> {
        let mut statement = self.sql(
            "SELECT account, class, destination, count(*) FROM delivery INDEXED BY delivery_queue \
             WHERE state <= 2 AND state = 0 GROUP BY account, class, destination",
        )?;
        let mut rows = statement.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let line = Line {
                account: self.account(row.get(0)?)?,
                class: row.get(1)?,
                destination: Destination(self.name(row.get(2)?)?),
            };
            lines.push(LineCount { line, deliveries: unsigned(row.get(3)?) });
        }
        Ok(lines)
    }

    pub(super) fn line_page(&self, line: &Line, now: WallMs, limit: usize) -> Read<Vec<WaitingMessage>> {
        let (Some(account), Some(destination)) =
            (self.number_of(line.account.as_str())?, self.number_of(&line.destination.0)?)
        else {
            return Ok(Vec::new());
        };
        let mut heads = self.sql(
            "SELECT message, due FROM delivery INDEXED BY delivery_queue WHERE state <= 2 AND state = 0 \
             AND account = ? AND class = ? AND destination = ? AND due <= ? ORDER BY due, message",
        )?;
        let mut rows = heads.query(params![account, line.class, destination, wall(now)])?;
        let (mut seen, mut page) = (HashSet::new(), Vec::new());
        while page.len() < limit
            && let Some(row) = rows.next()?
        {
            let (message, due): (i64, i64) = (row.get(0)?, row.get(1)?);
            if seen.insert(message) {
                let deliveries = self.waiting_of(message, destination, now)?;
                page.push(WaitingMessage { id: queue_id(message)?, deliveries, due: time(due) });
            }
        }
        Ok(page)
    }

    fn waiting_of(&self, message: i64, destination: i64, now: WallMs) -> Read<Vec<Index>> {
        let mut statement = self.sql(
            "SELECT place FROM delivery WHERE message = ? AND state = 0 AND destination = ? AND due <= ? ORDER BY place",
        )?;
        let rows = statement.query_map(params![message, destination, wall(now)], |row| row.get(0).map(Index))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A message is never split between two calls: all of it that is due at its moment comes together.
    pub(super) fn due(&self, after: DueAfter, until: WallMs, limit: usize) -> Read<Vec<DueDelivery>> {
        let mut statement = self.sql(
            "SELECT d.due, d.message, d.place, d.account, d.class, d.destination, d.spent_ms, m.received, \
             m.flags \
             FROM delivery d INDEXED BY delivery_again JOIN message m ON m.id = d.message \
             WHERE d.state = 0 AND d.again = 1 AND (d.due, d.message) > (?, ?) AND d.due <= ? \
             ORDER BY d.due, d.message, d.place",
        )?;
        let mut rows = statement.query(params![wall(after.due), number(after.message), wall(until)])?;
        let mut groups: Vec<DueDelivery> = Vec::new();
        // Groups of one message are beside each other; where each one is, by its destination.
        let mut of_message: std::collections::HashMap<i64, usize> = std::collections::HashMap::new();
        let mut last = None;
        while let Some(row) = rows.next()? {
            let (due, message, destination): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(5)?);
            if last != Some((due, message)) {
                if groups.len() >= limit {
                    break;
                }
                last = Some((due, message));
                of_message.clear();
            }
            let index = Index(row.get(2)?);
            let spent_ms = unsigned(row.get(6)?);
            if let Some(group) = of_message.get(&destination).and_then(|n| groups.get_mut(*n)) {
                group.message.deliveries.push(index);
                group.spent_ms = group.spent_ms.max(spent_ms);
                continue;
            }
            of_message.insert(destination, groups.len());
            groups.push(DueDelivery {
                account: self.account(row.get(3)?)?,
                class: row.get(4)?,
                destination: Destination(self.name(destination)?),
                message: WaitingMessage { id: queue_id(message)?, deliveries: vec![index], due: time(due) },
                spent_ms,
                received: time(row.get(7)?),
                received_by: super::rows::dated(row.get(8)?),
            });
        }
        Ok(groups)
    }

    pub(super) fn next_due(&self, after: WallMs) -> Read<Option<WallMs>> {
        let due: Option<i64> = self
            .sql("SELECT min(due) FROM delivery INDEXED BY delivery_again WHERE state = 0 AND again = 1 AND due > ?")?
            .query_row(params![wall(after)], |row| row.get(0))?;
        Ok(due.map(time))
    }

    pub(super) fn content(&self, id: QueueId) -> Read<Content> {
        let row = self
            .sql(
                "SELECT m.flags, m.size_bytes, b.prefix, b.content FROM body b JOIN message m ON m.id = b.message \
                 WHERE b.message = ?",
            )?
            .query_row(params![number(id)], |row| {
                let (flags, size): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok((flags, size, row.get::<_, Vec<u8>>(2)?, row.get::<_, Option<Vec<u8>>>(3)?))
            })
            .optional()?;
        let Some((flags, size, prefix, content)) = row else { return Err(StoreError::NoSuchMessage(id).into()) };
        let body = match content {
            Some(bytes) => ContentBody::Bytes(Bytes::from(bytes)),
            None if flags & flag::SPOOLED != 0 => ContentBody::File(Arc::new(self.spool.open(id)?)),
            None => return Err(damaged(format!("the body of {id}"), "it is missing").into()),
        };
        let size_bytes = prefix.len() as u64 + unsigned(size);
        Ok(Content { prefix: Bytes::from(prefix), body, size_bytes })
    }

    pub(super) fn totals(&self) -> Read<Totals> {
        let Counts { messages, waiting, held, under_way, .. } = Counts::read(&self.db)?;
        Ok(Totals {
            messages: unsigned(messages),
            waiting: unsigned(waiting),
            held: unsigned(held),
            under_way: unsigned(under_way),
        })
    }

    pub(super) fn waiting_by_account(&self) -> Read<Vec<(Account, u64)>> {
        let mut statement = self.sql(
            "SELECT account, sum(n) FROM (SELECT account, count(*) AS n FROM delivery INDEXED BY delivery_queue \
             WHERE state <= 2 AND state <= 1 GROUP BY state, account) GROUP BY account",
        )?;
        let mut rows = statement.query([])?;
        let mut accounts = Vec::new();
        while let Some(row) = rows.next()? {
            accounts.push((self.account(row.get(0)?)?, unsigned(row.get(1)?)));
        }
        Ok(accounts)
    }

    pub(super) fn gates(&self) -> Read<Vec<Gate>> {
        let mut statement =
            self.sql("SELECT kind, key, by, reason, since, until FROM gate ORDER BY since, kind, key")?;
        let mut rows = statement.query([])?;
        let mut gates = Vec::new();
        while let Some(row) = rows.next()? {
            let kind: String = row.get(0)?;
            let kind = super::rows::gate_kind(&kind).ok_or_else(|| damaged(format!("gate {kind}"), "unknown kind"))?;
            gates.push(Gate {
                kind,
                key: row.get(1)?,
                by: row.get(2)?,
                reason: row.get(3)?,
                since: time(row.get(4)?),
                until: row.get::<_, Option<i64>>(5)?.map(time),
            });
        }
        Ok(gates)
    }

    pub(super) fn attempts(&self, look_back_ms: u64) -> Read<Vec<AttemptRow>> {
        let mut statement = self.sql(
            "WITH last AS (SELECT boot, max(coalesce(ended_boot, leased_boot)) AS moment FROM attempt GROUP BY boot) \
             SELECT account, egress, login, route, boot, leased_boot, leased_wall, ended_boot, ended_wall, recipients, \
             messages, state, id FROM attempt JOIN last USING (boot) \
             WHERE ended_boot IS NULL OR ended_boot > last.moment - ? ORDER BY id",
        )?;
        let mut rows = statement.query(params![i64::try_from(look_back_ms).unwrap_or(i64::MAX)])?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next()? {
            let login = row.get::<_, Option<i64>>(2)?;
            attempts.push(AttemptRow {
                id: AttemptId(unsigned(row.get(12)?)),
                account: self.account(row.get(0)?)?,
                egress: self.name(row.get(1)?)?.to_string(),
                login: login.map(|id| self.name(id)).transpose()?.map(|login| login.to_string()),
                route: self.name(row.get(3)?)?.to_string(),
                boot_id: self.name(row.get(4)?)?.to_string(),
                leased_boot: unsigned(row.get(5)?),
                leased_wall: time(row.get(6)?),
                ended_boot: row.get::<_, Option<i64>>(7)?.map(unsigned),
                ended_wall: row.get::<_, Option<i64>>(8)?.map(time),
                recipients: small(row.get(9)?),
                messages: small(row.get(10)?),
                unknown: row.get::<_, i64>(11)? == super::rows::attempt::UNKNOWN,
            });
        }
        Ok(attempts)
    }

    pub(super) fn attempts_pruned(&self) -> Read<Option<AttemptsPruned>> {
        let (until, kept_ms): (Option<i64>, i64) = self
            .sql("SELECT attempts_pruned, attempts_kept_ms FROM progress")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(until.map(|until| AttemptsPruned { until: time(until), kept_ms: unsigned(kept_ms) }))
    }

    /// Deliveries of the queue in that state, in the order of its index, after a place, of one account or destination or of
    /// all.
    pub(super) fn places(
        &self,
        state: DeliveryState,
        after: Option<Place>,
        account: Option<i64>,
        destination: Option<i64>,
        limit: usize,
    ) -> Read<Vec<Place>> {
        let after = after.unwrap_or(Place { account: -1, class: -1, destination: -1, due: -1, message: -1, index: -1 });
        let mut statement = self.sql(
            "SELECT account, class, destination, due, message, place FROM delivery INDEXED BY delivery_queue \
             WHERE state <= 2 AND state = ?10 \
             AND (account, class, destination, due, message, place) > (?1, ?2, ?3, ?4, ?5, ?6) \
             AND (?7 IS NULL OR account = ?7) AND (?8 IS NULL OR destination = ?8) \
             ORDER BY account, class, destination, due, message, place LIMIT ?9",
        )?;
        let rows = statement.query_map(
            params![
                after.account,
                after.class,
                after.destination,
                after.due,
                after.message,
                after.index,
                account,
                destination,
                many(limit),
                state_number(state)
            ],
            Place::of_row,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
