//! The end of what is as old as mail may become, and the word a day about what is held until then.
//!
//! Time that mail is held, behind a gate or waiting for slots does not count towards its expiry; this bound does, whatever
//! it waits for and whoever holds it, so that nothing stays for ever. It never lets anything go.

use std::sync::PoisonError;

use bytes::Bytes;

use super::Engine;
use super::core::Core;
use super::reports::Why as Ending;
use crate::clock::{BootMs, Now, WallMs};
use crate::dispatch::Why;
use crate::event::Event;
use crate::limits::WallClock;
use crate::store::{
    DeliveryRow, DeliveryState, Filter, Gate, GateKind, Index, Memory, MemoryKind, MessageRow, Page, StoreError,
};

/// How often it is looked for mail that is as old as mail may become, in milliseconds.
const LOOK_MS: u64 = 3_600_000;
/// How much of the oldest mail is read at once.
const PAGE: usize = 100;
/// How often people are reminded of what is held, in milliseconds.
const REMIND_MS: u64 = 24 * 3_600_000;
/// How many gates a reminder names.
const GATES_MAX: usize = 20;
/// What the last reminder is remembered under.
const REMINDED: &[u8] = b"held";

/// How far the wall clock may run ahead of the boot clock between two looks, in milliseconds, for mail to end by its age.
const AHEAD_MS_MAX: u64 = 3_600_000;
/// How long nothing ends by its age after that, in milliseconds: time to set the clock right.
const BRAKE_MS: u64 = 24 * 3_600_000;

/// Whether the wall clock may tell how old mail is.
#[derive(Debug, Default)]
pub(super) struct Dates {
    seen: Option<Now>,
    /// Not before then.
    from: BootMs,
}

impl Dates {
    fn count(&mut self, now: Now) -> bool {
        if let Some(seen) = self.seen.replace(now) {
            let passed_ms = now.boot.0.saturating_sub(seen.boot.0);
            let ahead_ms = now.wall.0.saturating_sub(seen.wall.0.saturating_add(passed_ms));
            if ahead_ms > AHEAD_MS_MAX {
                tracing::warn!(ahead_ms, "the wall clock was stepped forward: for a day no mail ends by its age");
                self.from = BootMs(now.boot.0.saturating_add(BRAKE_MS));
            }
        }
        now.boot >= self.from
    }
}

/// What is known from the looks before.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Option<BootMs>,
    reminded: Option<WallMs>,
}

impl Engine {
    /// Once an hour: ends what is too old, and once a day tells what is held.
    pub(super) async fn look_at_the_old(&self, looks: &mut Looks, now: Now) {
        let dates_count = self.dates_count(now);
        if looks.last.is_some_and(|last| now.boot.0.saturating_sub(last.0) < LOOK_MS) {
            return;
        }
        looks.last = Some(now.boot);
        if dates_count {
            self.end_aged(DeliveryState::Waiting, Ending::TooOld, now).await;
            self.end_aged(DeliveryState::Held, Ending::Unreleased, now).await;
        }
        self.remind(looks, now).await;
        if dates_count {
            self.forget_used_up(now).await;
        }
    }

    /// Ends what is in that state and as old as mail may become. Deliveries under way meet their end when they come back.
    async fn end_aged(&self, state: DeliveryState, ending: Ending, now: Now) {
        let age_ms_max = self.core().settings.retry.age_ms_max;
        let filter = Filter { state: Some(state), ..Filter::default() };
        let mut after = None;
        loop {
            let oldest = match self.store.list(filter.clone(), Page { after, limit: PAGE }).await {
                Ok(oldest) => oldest,
                Err(error) => {
                    tracing::error!(%error, advice = error.advice(), "the oldest mail cannot be read; tried again in an hour");
                    return;
                }
            };
            let Some((last, _)) = oldest.last() else { return };
            after = Some(last.id);
            for (row, deliveries) in &oldest {
                // Ids are given in the order of acceptance.
                if self.draining.is_cancelled() {
                    return;
                }
                if row.received_by == WallClock::Unsynchronised {
                    continue;
                }
                if now.wall.0.saturating_sub(row.received.0) < age_ms_max {
                    return;
                }
                let (gated, others) = self.core().gated_apart(row, deliveries, now);
                for (indices, ending) in [(others, ending), (gated, Ending::Gated)] {
                    if !indices.is_empty() {
                        self.bounce_unattempted(row.id, &indices, ending, words(ending), now).await;
                    }
                }
            }
        }
    }

    /// One event a day while anything is held, whoever holds it.
    async fn remind(&self, looks: &mut Looks, now: Now) {
        let reminded = match looks.reminded {
            Some(at) => Some(at),
            None => match self.store.memory(MemoryKind::Reminder, Bytes::from_static(REMINDED)).await {
                Ok(value) => value.and_then(|value| Some(WallMs(std::str::from_utf8(&value).ok()?.parse().ok()?))),
                Err(error) => {
                    tracing::warn!(%error, advice = error.advice(), "what is held is not told now");
                    return;
                }
            },
        };
        if reminded.is_some_and(|at| now.wall.0.abs_diff(at.0) < REMIND_MS) {
            return;
        }
        let Some(event) = self.held_now().await else { return };
        self.note(event).await;
        looks.reminded = Some(now.wall);
        let remembered = Memory::keep(MemoryKind::Reminder, REMINDED, now.wall.0.to_string());
        if let Ok(remembered) = remembered
            && let Err(error) = self.store.remember(vec![remembered], now).await
        {
            tracing::warn!(%error, advice = error.advice(), "after a restart it is told again what is held");
        }
    }

    /// How much is held now, and the oldest of it; `None` if nothing is.
    async fn held_now(&self) -> Option<Event> {
        let (gates, behind_gates) = {
            let core = self.core();
            let mut gates: Vec<&Gate> = core.gates.iter().collect();
            gates.sort_unstable_by_key(|gate| gate.since);
            (gates.into_iter().take(GATES_MAX).map(gate_words).collect::<Vec<_>>(), core.behind_gates())
        };
        let held = Filter { state: Some(DeliveryState::Held), ..Filter::default() };
        let read = async {
            let totals = self.store.totals().await?;
            Ok::<_, StoreError>((totals.held, self.store.list(held, Page { after: None, limit: 1 }).await?))
        };
        let (held, oldest) = match read.await {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, advice = error.advice(), "what is held is not told now");
                return None;
            }
        };
        let oldest = oldest.first();
        (held > 0 || !gates.is_empty()).then(|| Event::HeldReminder {
            held,
            oldest: oldest.map(|(row, _)| row.id.to_string()),
            since: oldest.map(|(row, _)| row.received),
            behind_gates,
            gates,
        })
    }
}

impl Core {
    /// Deliveries of accounts before which a gate stands; of all, where one stands before all mail.
    fn behind_gates(&self) -> u64 {
        if self.gates.stops_all() {
            return self.load.all();
        }
        let accounts = self.gates.iter().filter(|gate| gate.kind == GateKind::Account);
        accounts.map(|gate| self.load.of(&crate::account::Account::named(&gate.key))).sum()
    }

    /// Deliveries that wait behind a gate, and all others.
    fn gated_apart(&self, row: &MessageRow, deliveries: &[DeliveryRow], now: Now) -> (Vec<Index>, Vec<Index>) {
        let is_gated = |delivery: &&DeliveryRow| matches!(self.why(row, delivery, now), Some((Why::Held(_), _)));
        let (gated, others): (Vec<_>, Vec<_>) = deliveries.iter().partition(is_gated);
        let indices = |of: Vec<&DeliveryRow>| of.into_iter().map(|delivery| delivery.index).collect();
        (indices(gated), indices(others))
    }

    /// What kept a delivery until now, in words for its sender; `None` where its last attempt says it.
    pub(super) fn waited_for(&self, row: &MessageRow, delivery: &DeliveryRow, now: Now) -> Option<&'static str> {
        match self.why(row, delivery, now)?.0 {
            Why::Held(_) => Some("it was held by the operator of this relay"),
            Why::NoWay { .. } => Some("this relay has no way to deliver it"),
            Why::WaitingForSlot { .. } | Why::Paced { .. } => {
                Some("it waited for its turn under the limits of this relay")
            }
            Why::NextHopBusy { .. } => Some("the server it goes to was not to be used"),
            Why::Turn { .. } => Some("its turn did not come"),
            Why::Retry { .. } | Why::Unreleased { .. } | Why::UnderWay => None,
        }
    }
}

impl Engine {
    /// How long ago a message came, in milliseconds; no time, if nobody called the clock right then or does now.
    pub(super) fn age_ms(&self, (received, by): (WallMs, WallClock), now: Now) -> u64 {
        let counts = self.dates_count(now) && by == WallClock::Synchronised;
        if counts { now.wall.0.saturating_sub(received.0) } else { 0 }
    }

    /// A clock that nobody calls right, or that was just set far ahead, makes nothing old.
    fn dates_count(&self, now: Now) -> bool {
        let count = self.dates.lock().unwrap_or_else(PoisonError::into_inner).count(now);
        count && self.clock.synchronised()
    }
}

/// What is told of the end.
pub(super) fn words(ending: Ending) -> &'static str {
    match ending {
        Ending::Unreleased => {
            "held for review by this relay, and released by nobody within the age that mail may reach"
        }
        Ending::TooOld | Ending::Gated | Ending::Refused(_) => "not delivered within the age that mail may reach",
    }
}

fn gate_words(gate: &Gate) -> String {
    let of = if gate.key.is_empty() { String::new() } else { format!(" {}", gate.key) };
    format!("{}{of} by {}: {}", gate.kind.as_str(), gate.by, gate.reason)
}
