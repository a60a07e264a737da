//! Reading messages with their deliveries, and the journal.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, Row, params};

use super::read_queue::{queue_id, small, time, unsigned};
use super::readers::{Read, Reader, damaged};
use super::rows::{self, flag};
use super::tx::{count, many, number};
use crate::mail::{Address, BodyType, Notify, OriginalRecipient, QueueId, Recipient, Ret, ReversePath};
use crate::store::{
    AuthorRow, DeliveryRow, DeliveryState, Destination, EventRow, Filter, Index, MessageRow, Page, SenderRow,
};

/// How many messages one call lists at most.
pub(super) const LIST_MAX: usize = 1_000;

/// A message with its deliveries.
pub(super) type Whole = (MessageRow, Vec<DeliveryRow>);

impl Reader {
    pub(super) fn message(&self, id: QueueId) -> Read<Option<Whole>> {
        let mut statement = self.sql(
            "SELECT id, received, account, class, flags, size_bytes, report_on, source, reverse_path, client, mta_id, \
             message_id, envid, verdict, header_from FROM message WHERE id = ?",
        )?;
        let mut rows = statement.query(params![number(id)])?;
        match rows.next()? {
            Some(row) => Ok(Some((self.message_row(row)?, self.deliveries(id)?))),
            None => Ok(None),
        }
    }

    fn message_row(&self, row: &Row<'_>) -> Read<MessageRow> {
        let id = queue_id(row.get(0)?)?;
        let bad = |what: &str| damaged(format!("message {id}"), format!("its {what} cannot be read"));
        let flags: i64 = row.get(4)?;
        let ret = match flags & (flag::RET_FULL | flag::RET_HEADERS) {
            flag::RET_FULL => Some(Ret::Full),
            flag::RET_HEADERS => Some(Ret::Headers),
            _ => None,
        };
        let verdict = match row.get::<_, Option<String>>(13)? {
            None => rows::plain_verdict(),
            Some(json) => serde_json::from_str(&json).map_err(|_| bad("verdict"))?,
        };
        Ok(MessageRow {
            id,
            received: time(row.get(1)?),
            received_by: rows::dated(flags),
            client: row.get(9)?,
            account: self.account(row.get(2)?)?,
            source: rows::source(&row.get::<_, String>(7)?).ok_or_else(|| bad("source"))?,
            reverse_path: ReversePath::parse(row.get::<_, String>(8)?.as_bytes()).map_err(|_| bad("reverse-path"))?,
            body_type: if flags & flag::EIGHT_BIT == 0 { BodyType::SevenBit } else { BodyType::EightBitMime },
            smtputf8: flags & flag::SMTPUTF8 != 0,
            header_needs_utf8: flags & flag::HEADER_UTF8 != 0,
            ret,
            envid: row.get::<_, Option<String>>(12)?.map(Into::into),
            mta_id: row.get(10)?,
            message_id: row.get(11)?,
            header_from: row.get(14)?,
            verdict,
            class: row.get(3)?,
            size_bytes: unsigned(row.get(5)?),
            report_on: row.get::<_, Option<i64>>(6)?.map(queue_id).transpose()?,
        })
    }

    fn deliveries(&self, id: QueueId) -> Read<Vec<DeliveryRow>> {
        let mut statement = self.sql(
            "SELECT place, state, destination, due, attempts, spent_ms, delay_reported, recipient, notify, \
             original_type, original, reply FROM delivery WHERE message = ? ORDER BY place",
        )?;
        let mut rows = statement.query(params![number(id)])?;
        let mut deliveries = Vec::new();
        while let Some(row) = rows.next()? {
            let bad = |what: &str| damaged(format!("a delivery of {id}"), format!("its {what} cannot be read"));
            let address = Address::parse(row.get::<_, String>(7)?.as_bytes()).map_err(|_| bad("recipient"))?;
            let original = match (row.get::<_, Option<String>>(9)?, row.get::<_, Option<String>>(10)?) {
                (Some(kind), Some(address)) => {
                    Some(OriginalRecipient { address_type: kind.into(), address: address.into() })
                }
                _ => None,
            };
            let notify = row.get::<_, Option<u8>>(8)?.map(Notify::from_bits);
            deliveries.push(DeliveryRow {
                index: Index(row.get(0)?),
                recipient: Recipient { address, notify, original },
                destination: Destination(self.name(row.get(2)?)?),
                state: rows::state(row.get(1)?).ok_or_else(|| bad("state"))?,
                due: time(row.get(3)?),
                attempts: small(row.get(4)?),
                spent_ms: unsigned(row.get(5)?),
                delay_reported: row.get(6)?,
                last_reply: row.get(11)?,
            });
        }
        Ok(deliveries)
    }

    pub(super) fn list(&self, filter: &Filter, page: Page) -> Read<Vec<Whole>> {
        let limit = page.limit.min(LIST_MAX);
        let mut listed = Vec::new();
        let mut after = page.after.map_or(-1, number);
        while listed.len() < limit {
            let ids = self.queued_after(filter, after, limit)?;
            let Some(last) = ids.last() else { break };
            after = *last;
            for id in ids {
                let Some(whole) = self.message(queue_id(id)?)? else { continue };
                if listed.len() < limit && passes(filter, &whole) {
                    listed.push(whole);
                }
            }
        }
        Ok(listed)
    }

    /// The smallest ids after `after` of messages with a delivery in the queue, of the filter's account and state.
    fn queued_after(&self, filter: &Filter, after: i64, limit: usize) -> Read<Vec<i64>> {
        if let Some(id) = filter.id {
            return Ok(if number(id) > after { vec![number(id)] } else { Vec::new() });
        }
        let account = match &filter.account {
            None => None,
            Some(account) => match self.number_of(account.as_str())? {
                None => return Ok(Vec::new()),
                some => some,
            },
        };
        let state = filter.state.map(rows::state_number);
        // The index is in order of lines. The set keeps the smallest ids, so memory is that of a page.
        let mut statement = self.sql(
            "SELECT message FROM delivery INDEXED BY delivery_queue WHERE state <= 2 AND message > ?1 \
             AND (?2 IS NULL OR account = ?2) AND (?3 IS NULL OR state = ?3)",
        )?;
        let mut rows = statement.query(params![after, account, state])?;
        let mut smallest = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if smallest.len() < limit || smallest.last().is_some_and(|last| id < *last) {
                smallest.insert(id);
                if smallest.len() > limit {
                    smallest.pop_last();
                }
            }
        }
        Ok(smallest.into_iter().collect())
    }

    pub(super) fn history(&self, id: QueueId) -> Read<Vec<EventRow>> {
        let mut statement = self.sql("SELECT id, at, body FROM event WHERE message = ? ORDER BY id")?;
        let mut rows = statement.query(params![number(id)])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(event_row(row)?);
        }
        Ok(events)
    }

    pub(super) fn events(&self, after: u64, limit: usize) -> Read<Vec<EventRow>> {
        let mut statement = self.sql("SELECT id, at, body FROM event WHERE id > ? ORDER BY id LIMIT ?")?;
        let mut rows = statement.query(params![count(after), many(limit)])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(event_row(row)?);
        }
        Ok(events)
    }

    pub(super) fn senders(&self, after: Option<QueueId>, limit: usize) -> Read<Vec<SenderRow>> {
        let mut statement = self.sql(
            "SELECT id, received, client, reverse_path, account, source FROM message WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let mut rows = statement.query(params![after.map_or(-1, number), many(limit)])?;
        let mut senders = Vec::new();
        while let Some(row) = rows.next()? {
            let id = queue_id(row.get(0)?)?;
            let bad = |what: &str| damaged(format!("message {id}"), format!("its {what} cannot be read"));
            senders.push(SenderRow {
                id,
                received: time(row.get(1)?),
                client: row.get(2)?,
                reverse_path: ReversePath::parse(row.get::<_, String>(3)?.as_bytes())
                    .map_err(|_| bad("reverse-path"))?,
                account: self.account(row.get(4)?)?,
                source: rows::source(&row.get::<_, String>(5)?).ok_or_else(|| bad("source"))?,
            });
        }
        Ok(senders)
    }

    pub(super) fn authors(&self, before: Option<QueueId>, limit: usize) -> Read<Vec<AuthorRow>> {
        let mut statement = self.sql(
            "SELECT id, received, account, source, reverse_path, header_from FROM message WHERE id < ? \
             ORDER BY id DESC LIMIT ?",
        )?;
        let mut rows = statement.query(params![before.map_or(i64::MAX, number), many(limit)])?;
        let mut authors = Vec::new();
        while let Some(row) = rows.next()? {
            let id = queue_id(row.get(0)?)?;
            authors.push(AuthorRow {
                id,
                received: time(row.get(1)?),
                account: self.account(row.get(2)?)?,
                source: rows::source(&row.get::<_, String>(3)?)
                    .ok_or_else(|| damaged(format!("message {id}"), "its source cannot be read".to_owned()))?,
                reverse_path: row.get(4)?,
                header_from: row.get(5)?,
            });
        }
        Ok(authors)
    }

    /// What a delivery's route is chosen by, beside its account; `None` if it is gone.
    pub(super) fn addresses(&self, message: i64, place: i64) -> Read<Option<Addresses>> {
        let row = self
            .sql(
                "SELECT m.reverse_path, d.recipient, m.header_from, m.report_on FROM delivery d \
                 JOIN message m ON m.id = d.message WHERE d.message = ? AND d.place = ?",
            )?
            .query_row(params![message, place], |row| {
                let report_on: Option<i64> = row.get(3)?;
                Ok(Addresses {
                    reverse_path: row.get(0)?,
                    recipient: row.get(1)?,
                    header_from: row.get(2)?,
                    is_report: report_on.is_some(),
                })
            })
            .optional()?;
        Ok(row)
    }
}

/// See [`Reader::addresses`].
pub(super) struct Addresses {
    pub(super) reverse_path: String,
    pub(super) recipient: String,
    pub(super) header_from: Option<String>,
    pub(super) is_report: bool,
}

fn event_row(row: &Row<'_>) -> Read<EventRow> {
    let id: i64 = row.get(0)?;
    let body: String = row.get(2)?;
    let event = serde_json::from_str(&body).map_err(|e| damaged(format!("event {id}"), e.to_string()))?;
    Ok(EventRow { row: unsigned(id), at: time(row.get(1)?), event })
}

/// Whether a message of the queue passes what the index does not know.
pub(super) fn passes(filter: &Filter, (message, deliveries): &Whole) -> bool {
    let in_queue =
        |d: &DeliveryRow| matches!(d.state, DeliveryState::Waiting | DeliveryState::Held | DeliveryState::UnderWay);
    filter.id.is_none_or(|id| id == message.id)
        && filter.account.as_ref().is_none_or(|account| *account == message.account)
        && deliveries.iter().any(|d| {
            in_queue(d)
                && filter.state.is_none_or(|state| state == d.state)
                && passes_delivery(filter, d.recipient.address.as_str())
        })
}

/// Whether a recipient is the filter's, or of its domain.
pub(super) fn passes_delivery(filter: &Filter, recipient: &str) -> bool {
    match &filter.recipient {
        None => true,
        Some(wanted) if wanted.starts_with('@') => recipient
            .rfind('@')
            .and_then(|at| recipient.get(at..))
            .is_some_and(|domain| domain.eq_ignore_ascii_case(wanted)),
        Some(wanted) => recipient.eq_ignore_ascii_case(wanted),
    }
}
