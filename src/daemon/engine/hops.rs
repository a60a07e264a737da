//! Destinations as they are reached now: their plans, connections and troubles.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::core::Core;
use super::slots::Parked;
use crate::clock::Now;
use crate::delivery::{Egress, NoPlan, Plan, Router};
use crate::dispatch::HopId;
use crate::limits::Moment;
use crate::store::GateKind;

/// How long the operator is not told of the same trouble again, in milliseconds.
const TELL_AGAIN_MS: u64 = 3_600_000;
/// How many troubles are listed.
const TROUBLES_MAX: usize = 20;

/// One destination as it is reached now.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) plan: Result<Arc<Plan>, NoPlan>,
    /// Connections that wait for a turn are told by this that there may be one.
    pub(super) turns: Arc<Notify>,
    /// Failed connects in a row.
    pub(super) failures: u32,
    /// Until when those are remembered though nothing waits.
    pub(super) failures_kept_until: Moment,
    /// The last words of a failed connect.
    pub(super) trouble: Option<String>,
    /// Left alone until then, because its server said so; limits' parks neither end nor shorten this.
    pub(super) paused_until: Moment,
    /// The number of connections that it lets in, until when that is believed.
    fewer: Option<Moment>,
    /// What the operator was told of it, by the row of the reply table, and when.
    told: HashMap<String, Moment>,
    /// The next egress of the pool, in turn.
    next_egress: usize,
    /// The egress that the mail whose turn it is has to leave by: those of the other connections keep their last slots for
    /// others.
    pub(super) wants_egress: Option<Arc<str>>,
}

impl Hop {
    pub(super) fn new(plan: Result<Arc<Plan>, NoPlan>) -> Self {
        Self {
            plan,
            turns: Arc::new(Notify::new()),
            failures: 0,
            failures_kept_until: Moment::BEGINNING,
            trouble: None,
            paused_until: Moment::BEGINNING,
            fewer: None,
            told: HashMap::new(),
            next_egress: 0,
            wants_egress: None,
        }
    }

    /// Whether there is something to know of it beside its mail and connections.
    pub(super) fn is_remembered(&self, now: Moment) -> bool {
        (self.failures > 0 && self.failures_kept_until > now) || self.paused_until > now
    }

    /// Whether nothing but slots keeps it from going on.
    pub(super) fn waits_for_slots_alone(&self) -> bool {
        self.failures == 0 && self.plan.is_ok()
    }
}

/// Connections open or being opened, by the egress that they leave from.
#[derive(Debug, Default)]
pub(super) struct OpenFrom(HashMap<Arc<str>, u32>);

impl OpenFrom {
    /// Whether there are as many as there may be.
    fn is_full(&self, egress: &Egress) -> bool {
        self.0.get(&egress.name).is_some_and(|open| *open >= egress.concurrency)
    }

    fn opened(&mut self, egress: &Egress) {
        *self.0.entry(egress.name.clone()).or_default() += 1;
    }

    fn closed(&mut self, egress: &Egress) {
        if let Some(open) = self.0.get_mut(&egress.name) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.0.remove(&egress.name);
            }
        }
    }
}

impl Core {
    /// A connection is closed, or came to nothing.
    pub(super) fn closed(&mut self, hop: HopId, egress: &Egress) {
        self.dispatch.closed(hop);
        self.open.closed(egress);
    }

    /// Whether a connection should end though its hop has more mail: its egress may have no further one, and another hop
    /// wants one.
    pub(super) fn gives_way(&self, hop: HopId, egress: &Egress) -> bool {
        self.open.is_full(egress) && self.dispatch.another_wants_connection(hop)
    }

    /// Whether the operator is to be told of that row of the reply table: once an hour for each hop, or a flood of refused
    /// mail becomes a flood of events.
    pub(super) fn may_tell(&mut self, hop: HopId, row: &str, now: Now) -> bool {
        let moment = Moment::from(now);
        let Some(state) = self.hops.get_mut(&hop) else { return true };
        state.told.retain(|_, at| moment.since_ms(*at) < TELL_AGAIN_MS);
        if state.told.contains_key(row) {
            return false;
        }
        state.told.insert(row.to_owned(), moment);
        true
    }

    /// The next hop that wants a connection and an egress that it can leave from, counted as opened.
    pub(super) fn next_connection(&mut self, now: Now) -> Option<(HopId, Arc<Plan>, Arc<Egress>)> {
        if self.draining {
            return None;
        }
        let moment = Moment::from(now);
        self.wake(moment);
        if self.router.egresses().iter().all(|egress| self.open.is_full(egress)) {
            return None;
        }
        for _ in 0..=self.hops.len() {
            let hop = self.dispatch.next_wanting(moment)?;
            let Some(Ok(plan)) = self.hops.get(&hop).map(|state| state.plan.clone()) else {
                self.dispatch.park_hop(hop, Moment::END);
                continue;
            };
            let state = self.hops.get_mut(&hop)?;
            if state.paused_until > moment {
                self.dispatch.park_hop(hop, state.paused_until);
                continue;
            }
            let len = plan.egresses.len();
            if let Some(wanted) = &state.wants_egress
                && let Some(place) = plan.egresses.iter().position(|egress| egress.name == *wanted)
            {
                state.next_egress = place;
            }
            let mut usable = (0..len).map(|step| (state.next_egress + step) % len).filter(|place| {
                let egress = &plan.egresses[*place];
                self.slots.egress_waits_until(egress, &plan) <= moment
                    && self.gates.stops_egress(&egress.name).is_none()
            });
            let mut full = false;
            let free = usable.find(|place| {
                let has_room = !self.open.is_full(&plan.egresses[*place]);
                full |= !has_room;
                has_room
            });
            drop(usable);
            if let Some(place) = free {
                state.next_egress = place + 1;
                self.dispatch.opened(hop);
                let egress = plan.egresses[place].clone();
                self.open.opened(&egress);
                return Some((hop, plan, egress));
            }
            if full {
                continue; // asked again when a connection closes
            }
            // Those behind a gate do not count: opening it ends the park.
            let open = plan.egresses.iter().filter(|egress| self.gates.stops_egress(&egress.name).is_none());
            let until = |egress: &Arc<Egress>| self.slots.egress_waits_until(egress, &plan);
            let first = open.map(|egress| (until(egress), egress)).min_by_key(|(until, _)| *until);
            let until = first.map_or(Moment::END, |(until, _)| until);
            self.slots.hopes(Parked::Hop(hop), first.map(|(_, egress)| &**egress), &plan);
            self.dispatch.park_hop(hop, until);
        }
        None
    }

    /// What was just asked for may have to leave by another egress: a connection of that one is told, or opened once this
    /// one is gone.
    pub(super) fn want_egress(&mut self, hop: HopId) {
        let wanted = self.slots.take_wanted().filter(|(of, _)| *of == hop).map(|(_, egress)| egress);
        let is_wanted = wanted.is_some();
        if let Some(state) = self.hops.get_mut(&hop) {
            state.wants_egress = wanted;
        }
        if is_wanted {
            self.notify(hop);
        }
    }

    /// The hop is left alone for a while: its server said so.
    pub(super) fn pause_hop(&mut self, hop: HopId, until: Moment, why: String) {
        if let Some(state) = self.hops.get_mut(&hop) {
            state.paused_until = state.paused_until.max(until);
            state.trouble = Some(why);
            self.dispatch.park_hop(hop, state.paused_until);
        }
    }

    /// The hop lets in no more than those open now; more are tried after `until`.
    pub(super) fn fewer_connections(&mut self, hop: HopId, open: u32, until: Moment) {
        if let Some(state) = self.hops.get_mut(&hop) {
            state.fewer = Some(until);
            self.fewer_until = self.fewer_until.min(until);
            self.dispatch.set_hop_limit(hop, open.max(1));
        }
    }

    /// Ends the parks whose time has come, and has more connections tried again. Connections that wait are told, for
    /// whoever asked first has taken the timer's place.
    pub(super) fn wake(&mut self, moment: Moment) {
        let parks_ended = self.dispatch.wake(moment);
        let more_connections = self.fewer_until <= moment;
        if more_connections {
            self.more_connections(moment);
        }
        if parks_ended || more_connections {
            self.notify_all();
        }
    }

    fn more_connections(&mut self, moment: Moment) {
        self.fewer_until = Moment::END;
        for (hop, state) in &mut self.hops {
            match state.fewer {
                Some(until) if until > moment => self.fewer_until = self.fewer_until.min(until),
                Some(_) => {
                    state.fewer = None;
                    if let Ok(plan) = &state.plan {
                        self.dispatch.set_hop_limit(*hop, plan.concurrency);
                    }
                }
                None => {}
            }
        }
    }

    /// When something that waits for time alone may go on.
    pub(super) fn next_wakeup(&mut self) -> Option<Moment> {
        let parks = self.dispatch.next_wakeup();
        let fewer = Some(self.fewer_until).filter(|until| *until != Moment::END);
        parks.into_iter().chain(fewer).min()
    }

    /// An operator wants it tried now: what next hops did before is forgotten, what limits say is not.
    pub(super) fn forgive_troubles(&mut self) {
        for (hop, state) in &mut self.hops {
            if (state.failures > 0 || state.paused_until > Moment::BEGINNING) && state.plan.is_ok() {
                state.failures = 0;
                state.trouble = None;
                state.paused_until = Moment::BEGINNING;
                self.dispatch.unpark_hop(*hop);
            }
        }
    }

    /// Next hops that cannot be used now, and destinations without a way, one sentence each.
    pub(super) fn troubles(&self) -> Vec<String> {
        let sentence = |hop: &Hop| match (&hop.plan, &hop.trouble) {
            (Err(no_plan), _) => Some(no_plan.to_string()),
            (Ok(plan), Some(trouble)) => Some(format!("{}: {trouble}", plan.target)),
            (Ok(_), None) => None,
        };
        self.hops.values().filter_map(sentence).take(TROUBLES_MAX).collect()
    }

    /// Other routes: every hop is planned anew.
    pub(super) fn reroute(&mut self, router: Arc<Router>) {
        self.router = router;
        for (hop, state) in &mut self.hops {
            let Some(destination) = self.destinations.name(hop.0) else { continue };
            state.plan = self.router.plan(destination).map(Arc::new);
            if let Ok(plan) = &state.plan {
                self.dispatch.set_hop_limit(*hop, plan.concurrency);
            }
        }
        self.dispatch.unpark_all();
        self.slots.forget_refusals();
        let closed: Vec<String> =
            self.gates.iter().filter(|g| g.kind == GateKind::Egress).map(|g| g.key.clone()).collect();
        for key in closed {
            self.gate_changed(GateKind::Egress, &key);
        }
        self.notify_all();
    }
}
