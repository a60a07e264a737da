//! The end of what is as old as mail may become, and the word a day about what is held until then.
//!
//! Time that mail is held, behind a gate or waiting for slots does not count towards its expiry; this bound does, whatever
//! it waits for and whoever holds it, so that nothing stays for ever. It never lets anything go.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Engine;
use super::core::Core;
use super::reports::Why as Ending;
use crate::clock::{BootMs, Now, WallMs};
use crate::dispatch::Why;
use crate::event::Event;
use crate::limits::WallClock;
use crate::mail::QueueId;
use crate::store::{
    DeliveryRow, DeliveryState, Filter, Gate, GateKind, Index, Memory, MemoryKind, MessageRow, Page, StoreError,
};

/// How often it is looked for mail that is as old as mail may become, in milliseconds.
const LOOK_MS: u64 = 3_600_000;
/// How often it is asked whether an hour has passed; the loop of retries lets it be asked sooner.
const LOOK_POLL: Duration = Duration::from_mins(1);
/// How many of the oldest messages are looked at, or ended, before a pause.
const PIECE: usize = 200;
/// The pause: however much ends at once, the store is free for others.
const PIECE_PAUSE: Duration = Duration::from_secs(1);
/// How often people are reminded of what is held, in milliseconds, and how long they have before any of it ends.
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

/// What is known from the looks before. It outlives a panic of the loop that looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Option<BootMs>,
    told: Option<Told>,
    /// Where the look under way goes on.
    place: Option<Place>,
}

/// What of the oldest mail is looked at next.
#[derive(Debug, Clone, Copy)]
struct Place {
    state: DeliveryState,
    after: Option<QueueId>,
}

impl Place {
    const FIRST: Self = Self { state: DeliveryState::Waiting, after: None };

    /// The same of what is in the next state.
    fn next_state(self) -> Option<Self> {
        (self.state == DeliveryState::Waiting).then_some(Self { state: DeliveryState::Held, after: None })
    }
}

/// When people were told of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Told {
    last: Option<WallMs>,
    /// The first time, by a clock that may be believed. Versions before this one told nobody, or did not note it.
    since: Option<WallMs>,
}

impl Told {
    /// As it is remembered: both times, or the last alone.
    fn read(value: &[u8]) -> Self {
        let mut times =
            std::str::from_utf8(value).unwrap_or_default().split(' ').map(|time| time.parse().ok().map(WallMs));
        Self { last: times.next().flatten(), since: times.next().flatten() }
    }

    fn value(self) -> String {
        let times = self.last.into_iter().chain(self.since);
        times.map(|time| time.0.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// Whether people had a day to look at what is held, before any of it ends.
    fn a_day_ago(self, now: Now) -> bool {
        self.since.is_some_and(|since| now.wall.0.saturating_sub(since.0) >= REMIND_MS)
    }
}

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Done,
    /// There is more to look at.
    GoesOn,
}

impl Engine {
    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once an hour: tells once a day what is held, and ends what is too old, a piece at a time.
    pub(super) async fn age_loop(&self) {
        loop {
            let goes_on = self.look_at_the_old(self.clock.now()).await == Look::GoesOn;
            let pause = if goes_on { PIECE_PAUSE } else { LOOK_POLL };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.signals.ages.notified(), if !goes_on => {}
                () = self.stopped.cancelled() => return,
            }
        }
    }

    async fn look_at_the_old(&self, now: Now) -> Look {
        let dates_count = self.dates_count(now);
        let begins = {
            let mut looks = self.looks();
            let begins = looks.place.is_none();
            if begins && looks.last.is_some_and(|last| now.boot.0.saturating_sub(last.0) < LOOK_MS) {
                return Look::Done;
            }
            if begins {
                looks.last = Some(now.boot);
            }
            looks.place = looks.place.or(Some(Place::FIRST)).filter(|_| dates_count);
            begins
        };
        if begins {
            self.remind(now, dates_count).await;
            if dates_count {
                self.forget_used_up(now).await;
            }
        }
        self.end_aged(now).await
    }

    /// Ends what is as old as mail may become, of a piece of the oldest. Deliveries under way meet their end when they come
    /// back.
    async fn end_aged(&self, now: Now) -> Look {
        let age_ms_max = self.core().settings.retry.age_ms_max;
        let held_may_end = self.looks().told.is_some_and(|told| told.a_day_ago(now));
        let mut left = PIECE;
        loop {
            let Some(place) = self.looks().place else { return Look::Done };
            if left == 0 {
                return Look::GoesOn;
            }
            let filter = Filter { state: Some(place.state), ..Filter::default() };
            let oldest = match self.store.list(filter, Page { after: place.after, limit: left }).await {
                Ok(oldest) => oldest,
                Err(error) => {
                    tracing::error!(%error, advice = error.advice(), "the oldest mail cannot be read; tried again in an hour");
                    self.looks().place = None;
                    return Look::Done;
                }
            };
            // Ids are given in the order of acceptance.
            let is_young = |row: &MessageRow| {
                row.received_by == WallClock::Synchronised && now.wall.0.saturating_sub(row.received.0) < age_ms_max
            };
            let to_its_end = oldest.is_empty() || oldest.iter().any(|(row, _)| is_young(row));
            for (row, deliveries) in oldest.iter().take_while(|(row, _)| !is_young(row)) {
                if self.draining.is_cancelled() {
                    return Look::Done;
                }
                left -= 1;
                // Before it ends: one over which this breaks off is passed over until the next look.
                self.looks().place = Some(Place { after: Some(row.id), ..place });
                if row.received_by == WallClock::Synchronised {
                    self.end_one(row, deliveries, place.state, held_may_end, now).await;
                }
            }
            if to_its_end {
                self.looks().place = place.next_state();
            }
        }
    }

    /// Ends a message that is as old as mail may become; what of it is held, if people had the time to look at it.
    async fn end_one(
        &self,
        row: &MessageRow,
        deliveries: &[DeliveryRow],
        state: DeliveryState,
        held_may_end: bool,
        now: Now,
    ) {
        let (gated, others) = self.core().gated_apart(row, deliveries, now);
        let others_end = if state == DeliveryState::Held { Ending::Unreleased } else { Ending::TooOld };
        for (indices, ending) in [(others, others_end), (gated, Ending::Gated)] {
            if !indices.is_empty() && (held_may_end || ending == Ending::TooOld) {
                self.bounce_unattempted(row.id, &indices, ending, words(ending), now).await;
            }
        }
    }

    /// One event a day while anything is held, whoever holds it.
    async fn remind(&self, now: Now, dates_count: bool) {
        let told = self.looks().told;
        let told = match told {
            Some(told) => told,
            None => match self.store.memory(MemoryKind::Reminder, Bytes::from_static(REMINDED)).await {
                Ok(value) => value.map(|value| Told::read(&value)).unwrap_or_default(),
                Err(error) => {
                    tracing::warn!(%error, advice = error.advice(), "what is held is not told now");
                    return;
                }
            },
        };
        self.looks().told = Some(told);
        if told.last.is_some_and(|at| now.wall.0.abs_diff(at.0) < REMIND_MS) {
            return;
        }
        let Some(event) = self.held_now().await else { return };
        self.note(event).await;
        let since = told.since.filter(|since| *since <= now.wall).or(dates_count.then_some(now.wall));
        let told = Told { last: Some(now.wall), since };
        self.looks().told = Some(told);
        if let Ok(remembered) = Memory::keep(MemoryKind::Reminder, REMINDED, told.value())
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
