//! How much is in the queue, kept beside it in the same transactions: counting a million rows takes seconds.
//!
//! Every statement that moves a delivery says so here. `tests/store_contract/model.rs` counts beside it.

use rusqlite::{Connection, params};

use super::tx::{many, wall};
use crate::clock::WallMs;
use crate::store::DeliveryState;

/// See the module. As stored, and as the transaction at hand will have it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Messages with a delivery left.
    pub(super) messages: i64,
    /// Deliveries waiting.
    pub(super) waiting: i64,
    /// Deliveries held.
    pub(super) held: i64,
    /// Deliveries under way.
    pub(super) under_way: i64,
    /// The latest moment that a message came at: no mail that waits for its first attempt is due later.
    pub(super) received_max: i64,
}

impl Counts {
    pub(super) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT messages, waiting, held, under_way, received_max FROM progress";
        db.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                messages: row.get(0)?,
                waiting: row.get(1)?,
                held: row.get(2)?,
                under_way: row.get(3)?,
                received_max: row.get(4)?,
            })
        })
    }

    /// The same by counting, for where the rows may have gone without a word: a store that was put together again.
    pub(super) fn counted(db: &Connection) -> rusqlite::Result<Self> {
        let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(Self {
            messages: one("SELECT count(*) FROM message WHERE unended > 0")?,
            waiting: one("SELECT count(*) FROM delivery WHERE state = 0")?,
            held: one("SELECT count(*) FROM delivery WHERE state = 1")?,
            under_way: one("SELECT count(*) FROM delivery WHERE state = 2")?,
            received_max: one("SELECT coalesce(max(received), 0) FROM message")?,
        })
    }

    /// A message came with so many deliveries.
    pub(super) fn came(&mut self, at: WallMs, deliveries: usize, state: DeliveryState) {
        self.messages += 1;
        self.received_max = self.received_max.max(wall(at));
        self.add(state, many(deliveries));
    }

    /// So many deliveries went from one state to another.
    pub(super) fn moved(&mut self, from: DeliveryState, to: DeliveryState, deliveries: usize) {
        self.add(from, -many(deliveries));
        self.add(to, many(deliveries));
    }

    /// So many more deliveries are in that state; fewer where it is negative.
    pub(super) fn add(&mut self, state: DeliveryState, deliveries: i64) {
        match state {
            DeliveryState::Waiting => self.waiting += deliveries,
            DeliveryState::Held => self.held += deliveries,
            DeliveryState::UnderWay => self.under_way += deliveries,
            DeliveryState::Delivered | DeliveryState::Bounced | DeliveryState::Removed => {}
        }
    }

    /// To be done in the transaction of what was counted.
    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let Self { messages, waiting, held, under_way, received_max } = self;
        db.prepare_cached("UPDATE progress SET messages = ?, waiting = ?, held = ?, under_way = ?, received_max = ?")?
            .execute(params![messages, waiting, held, under_way, received_max])?;
        Ok(())
    }
}
