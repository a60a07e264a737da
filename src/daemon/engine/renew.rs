//! Mail whose turn has come and whose signature or egress was overtaken while it waited: made anew before it leaves.
//!
//! Lazily, at its turn: a reload that changes a key costs nothing for a million that wait. No attempt is under way with
//! what is changed here: the turn has no lease yet, and what others of the message are sent with stays as it is.

use std::future::Future;
use std::pin::Pin;

use super::Engine;
use super::cache::Loaded;
use crate::clock::WallMs;
use crate::dispatch::Line;
use crate::event::Event;
use crate::limits::Moment;
use crate::mail::QueueId;
use crate::store::{
    Content, DeliveryEnd, DeliveryOutcome, DeliveryRow, DeliveryState, Destination, MessageRow, Refiled, Renewed,
    StoreError, Stored,
};

/// How long a line is left alone whose message is damaged and cannot be held now, in milliseconds.
const UNREADABLE_PAUSE_MS: u64 = 60_000;
/// How long it is where the store cannot be read at all now, in milliseconds: it tries by itself every second.
const STORE_PAUSE_MS: u64 = 2_000;
/// How long it is where a reload came between, in milliseconds.
const RELOAD_PAUSE_MS: u64 = 100;

/// A message whose turn has come.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// What is known of it.
    pub row: &'a MessageRow,
    /// Its recipients.
    pub deliveries: &'a [DeliveryRow],
    /// Its bytes.
    pub content: &'a Content,
}

/// What becomes of it.
#[derive(Debug)]
pub enum Renewal {
    /// It leaves as it is.
    AsItIs,
    /// It leaves with this.
    Anew(Anew),
    /// It would fail at its receivers now: it is held, unless a person let it go before.
    Hold {
        /// Why.
        reason: String,
        /// What it leaves with if a person did; `None`: as it is.
        released: Option<Anew>,
    },
}

/// What was made of a message.
#[derive(Debug)]
pub struct Anew {
    /// What it leaves with.
    pub renewed: Renewed,
    /// By what it was made.
    pub by: Print,
    /// Whether all of it could be told.
    pub outlook: Outlook,
}

/// Which keys, egresses and deeds of alignment something was made by, in so far as two configurations are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Print(pub u128);

/// For how long what was made holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// While the configuration is of that print.
    ForGood,
    /// DNS left it open: it is looked at again after a while.
    ForNow,
}

/// Whether what was read of a message may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearing {
    /// It may.
    UpToDate,
    /// It is to be made anew first.
    Overtaken,
}

/// What is done where a message is to be made anew, which may take as long as DNS does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overtaken {
    /// It is.
    MadeAnew,
    /// Its turn is left for later: something waits that is more urgent.
    PutBack,
}

/// Who knows what mail is to leave with.
pub trait Renewing: Send + Sync {
    /// Whether keys or egresses have changed since it was looked at, or its signature grows old. Asked at every turn.
    fn is_overtaken(&self, waiting: Waiting<'_>, now: WallMs) -> bool;

    /// Looks at it anew.
    fn renewal<'a>(&'a self, waiting: Waiting<'a>, now: WallMs) -> Pin<Box<dyn Future<Output = Renewal> + Send + 'a>>;

    /// Whether what is made by that still is what would be made.
    fn holds(&self, by: Print) -> bool;

    /// What was made of a message is on record with it.
    fn was_renewed(&self, id: QueueId, by: Print, outlook: Outlook, now: WallMs);

    /// By what a message was looked at since that holds. Where it is another than before a message was read, what was
    /// read may be older than what is on record.
    fn looked_at_by(&self, id: QueueId) -> Option<Print>;
}

/// Everything leaves as it came.
#[derive(Debug, Clone, Copy)]
pub struct AsItCame;

impl Renewing for AsItCame {
    fn is_overtaken(&self, _: Waiting<'_>, _: WallMs) -> bool {
        false
    }

    fn renewal<'a>(&'a self, _: Waiting<'a>, _: WallMs) -> Pin<Box<dyn Future<Output = Renewal> + Send + 'a>> {
        Box::pin(async { Renewal::AsItIs })
    }

    fn holds(&self, _: Print) -> bool {
        true
    }

    fn was_renewed(&self, _: QueueId, _: Print, _: Outlook, _: WallMs) {}

    fn looked_at_by(&self, _: QueueId) -> Option<Print> {
        None
    }
}

impl Engine {
    /// Whether a message may leave as it was read.
    pub(super) fn bearing(&self, loaded: &Loaded) -> Bearing {
        let waiting = Waiting { row: &loaded.row, deliveries: &loaded.deliveries, content: &loaded.content };
        let is_overtaken = self.renewing.is_overtaken(waiting, self.clock.now().wall);
        if is_overtaken { Bearing::Overtaken } else { Bearing::UpToDate }
    }

    /// An overtaken message as it is to leave now. `None`: what of it stood in that line is held, or stands elsewhere
    /// later.
    pub(super) async fn brought_up_to_date(
        &self,
        mut loaded: Loaded,
        line: Line,
        destination: &Destination,
    ) -> Option<Loaded> {
        let now = self.clock.now();
        let waiting = Waiting { row: &loaded.row, deliveries: &loaded.deliveries, content: &loaded.content };
        let id = loaded.row.id;
        let renewal = self.renewing.renewal(waiting, now.wall).await;
        if let Renewal::Anew(anew) | Renewal::Hold { released: Some(anew), .. } = &renewal
            && !self.renewing.holds(anew.by)
        {
            self.line_rests(line, RELOAD_PAUSE_MS);
            return None;
        }
        let anew = match renewal {
            Renewal::AsItIs => return Some(loaded),
            Renewal::Anew(anew) => anew,
            Renewal::Hold { reason, released } => match self.was_released(id).await {
                Ok(false) => {
                    self.hold_overtaken(&loaded, line, destination, reason).await;
                    return None;
                }
                Ok(true) => match released {
                    Some(anew) => anew,
                    None => return Some(loaded),
                },
                Err(error) => {
                    self.later(&loaded, line, &error);
                    return None;
                }
            },
        };
        // Asked again, as the store was: what holds now holds when this is written, or is written over by what is newer.
        if !self.renewing.holds(anew.by) {
            self.line_rests(line, RELOAD_PAUSE_MS);
            return None;
        }
        let Anew { renewed, by, outlook } = anew;
        let now = self.clock.now();
        match self.store.renew(id, renewed.clone(), now).await.map(Stored::into_inner) {
            // What is under way keeps its bytes and its place, and is looked at when it waits again.
            Ok(written) if written && !loaded.deliveries.iter().any(is_under_way) => {
                self.renewing.was_renewed(id, by, outlook, now.wall);
            }
            Ok(_) => {}
            Err(error) => {
                // It may hold all the same, and stand in another line.
                self.due_from(now.wall);
                self.later(&loaded, line, &error);
                return None;
            }
        }
        let body_bytes = loaded.content.size_bytes - loaded.content.prefix.len() as u64;
        loaded.content.size_bytes = body_bytes + renewed.prefix.len() as u64;
        loaded.content.prefix = renewed.prefix;
        let mut moved = 0;
        for Refiled { index, to, .. } in renewed.refiled {
            let waits = loaded.deliveries.iter_mut().filter(|delivery| delivery.state == DeliveryState::Waiting);
            for delivery in waits.filter(|delivery| delivery.index == index && delivery.destination != to) {
                delivery.destination = to.clone();
                moved += 1;
            }
        }
        tracing::debug!(%id, moved, "keys or egresses changed while it waited: it leaves as it is configured now");
        if moved > 0 {
            self.due_from(now.wall);
        }
        Some(loaded)
    }

    /// Whether a person let a message go that was held: what they decided stands.
    async fn was_released(&self, id: QueueId) -> Result<bool, StoreError> {
        let history = self.store.history(id).await?;
        Ok(history.iter().any(|row| matches!(row.event, Event::Released { .. })))
    }

    async fn hold_overtaken(&self, loaded: &Loaded, line: Line, destination: &Destination, reason: String) {
        let id = loaded.row.id;
        // What stands in other lines has a turn of its own, and may have one now.
        let here =
            |delivery: &&DeliveryRow| delivery.state == DeliveryState::Waiting && delivery.destination == *destination;
        let held = |delivery: &DeliveryRow| DeliveryEnd {
            index: delivery.index,
            outcome: DeliveryOutcome::Held { reason: reason.clone() },
        };
        let ends: Vec<DeliveryEnd> = loaded.deliveries.iter().filter(here).map(held).collect();
        let now = self.clock.now();
        let stored = self.store.end_unattempted(id, now, DeliveryState::Waiting, ends, Vec::new()).await;
        match stored.map(Stored::into_inner) {
            Ok(true) => tracing::warn!(%id, account = %loaded.row.account, reason, "a message that waited is held"),
            // An operator was faster; what is left of it is found in the store.
            Ok(false) => self.signals.lines.notify_one(),
            Err(error) => self.later(loaded, line, &error),
        }
    }

    fn later(&self, loaded: &Loaded, line: Line, error: &StoreError) {
        tracing::error!(id = %loaded.row.id, %error, advice = error.advice(), "a message that waited is not made anew yet");
        self.line_later(line, error);
    }

    /// Leaves a line alone for a while whose message cannot be read or written now, and then reads it anew.
    pub(super) fn line_later(&self, line: Line, error: &StoreError) {
        let pause_ms = match error {
            StoreError::Corrupt { .. } => UNREADABLE_PAUSE_MS,
            _ => STORE_PAUSE_MS,
        };
        self.line_rests(line, pause_ms);
    }

    fn line_rests(&self, line: Line, pause_ms: u64) {
        let until = Moment::from(self.clock.now()).plus_ms(pause_ms);
        let mut core = self.core();
        core.dispatch.park_line(line, until);
        let _ = core.dispatch.add_from_store(line);
    }
}

fn is_under_way(delivery: &DeliveryRow) -> bool {
    delivery.state == DeliveryState::UnderWay
}
