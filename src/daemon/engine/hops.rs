//! Destinations as they are reached now: their plans, connections and troubles.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::core::Core;
use super::servers::{Pause, Server};
use super::shunned::Shunned;
use super::slots::Parked;
use crate::clock::Now;
use crate::delivery::{Egress, NoPlan, Plan, Router};
use crate::dispatch::HopId;
use crate::limits::Moment;
use crate::store::{Destination, GateKind};

/// How many troubles are listed.
const TROUBLES_MAX: usize = 20;

/// One destination as it is reached now.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) plan: Result<Arc<Plan>, NoPlan>,
    /// Connections that wait for a turn are told by this that there may be one.
    pub(super) turns: Arc<Notify>,
    /// The server that it leads to, by its name ([`Router::server`]).
    pub(super) server: Arc<str>,
    /// Failed connects in a row.
    pub(super) failures: u32,
    /// Until when those are remembered though nothing waits.
    failures_kept_until: Moment,
    /// Not to be connected to before then: it could not be.
    unreachable_until: Moment,
    /// The egresses that it is not to be reached by for now, by name: others of its pool may go on.
    pub(super) shunned: HashMap<Arc<str>, Shunned>,
    /// The words of the last failed connect, until one succeeds.
    pub(super) trouble: Option<String>,
    /// The number of connections that its egresses are let in with, and until when that is believed.
    fewer: Option<(u32, Moment)>,
    /// The next egress of the pool, in turn.
    next_egress: usize,
    /// The egress that the mail whose turn it is has to leave by: those of the other connections keep their last slots for
    /// others.
    pub(super) wants_egress: Option<Arc<str>>,
}

impl Hop {
    pub(super) fn new(plan: Result<Arc<Plan>, NoPlan>, server: Arc<str>) -> Self {
        Self {
            plan,
            turns: Arc::new(Notify::new()),
            server,
            failures: 0,
            failures_kept_until: Moment::BEGINNING,
            unreachable_until: Moment::BEGINNING,
            shunned: HashMap::new(),
            trouble: None,
            fewer: None,
            next_egress: 0,
            wants_egress: None,
        }
    }

    /// Whether there is something to know of it beside its mail and connections.
    pub(super) fn is_remembered(&self, now: Moment) -> bool {
        (self.failures > 0 && self.failures_kept_until > now) || self.shunned.values().any(|one| one.kept_until > now)
    }

    /// How many connections it may have of those that its server lets in.
    pub(super) fn connections_max(&self, of_server: u32) -> u32 {
        self.fewer.map_or(of_server, |(max, _)| max.min(of_server))
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
        self.closed_to_server(hop);
        self.share_connections(hop);
        self.dispatch.closed(hop);
        self.open.closed(egress);
        self.share_connections(hop);
    }

    /// Whether a connection should end though its hop has more mail: its egress or its server may have no further one, and
    /// another hop wants one.
    pub(super) fn gives_way(&self, hop: HopId, egress: &Egress) -> bool {
        (self.open.is_full(egress) && self.dispatch.another_wants_connection(hop)) || self.gives_way_to_sibling(hop)
    }

    /// Whether one of the hop's egresses could have a further connection now.
    pub(super) fn has_free_egress(&self, hop: HopId) -> bool {
        let Some(Ok(plan)) = self.hops.get(&hop).map(|state| &state.plan) else { return false };
        let now = self.slots.limits.now();
        plan.egresses.iter().any(|egress| {
            !self.open.is_full(egress)
                && self.gates.stops_egress(&egress.name).is_none()
                && self.egress_waits_until(hop, egress, plan) <= now
        })
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
            let left_alone_until = self.left_alone_until(hop);
            if left_alone_until > moment {
                self.dispatch.park_hop(hop, left_alone_until);
                continue;
            }
            if self.leaves_it_to_siblings(hop) {
                continue; // asked again when a connection closes
            }
            let state = self.hops.get_mut(&hop)?;
            let len = plan.egresses.len();
            let wants = |egress: &Arc<Egress>| state.wants_egress.as_ref().is_some_and(|wanted| *wanted == egress.name);
            let wanted = plan.egresses.iter().position(wants);
            state.next_egress = wanted.unwrap_or(state.next_egress);
            let first = state.next_egress;
            let is_usable = |place: &usize| {
                let egress = &plan.egresses[*place];
                self.egress_waits_until(hop, egress, &plan) <= moment && self.gates.stops_egress(&egress.name).is_none()
            };
            // A connection of another egress would end at once, for the mail whose turn it is leaves by this one.
            let mut full = wanted.is_some_and(|place| is_usable(&place) && self.open.is_full(&plan.egresses[place]));
            if full {
                continue; // asked again when a connection closes
            }
            let mut usable = (0..len).map(|step| (first + step) % len).filter(is_usable);
            let free = usable.find(|place| {
                let has_room = !self.open.is_full(&plan.egresses[*place]);
                full |= !has_room;
                has_room
            });
            drop(usable);
            if let Some(place) = free {
                self.hops.get_mut(&hop)?.next_egress = place + 1;
                self.dispatch.opened(hop);
                let egress = plan.egresses[place].clone();
                self.open.opened(&egress);
                self.opened_to_server(hop);
                return Some((hop, plan, egress));
            }
            if full {
                continue; // asked again when a connection closes
            }
            // Those behind a gate do not count: opening it ends the park.
            let open = plan.egresses.iter().filter(|egress| self.gates.stops_egress(&egress.name).is_none());
            let until = |egress: &Arc<Egress>| self.egress_waits_until(hop, egress, &plan);
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

    /// Whether mail can go by the hop, once nothing parks it: without a way it stays parked until routes change. One that is
    /// left alone may be unparked for whatever else it waited for, as it is parked anew when it wants a connection.
    pub(super) fn has_way(&self, hop: HopId) -> bool {
        self.hops.get(&hop).is_some_and(|state| state.plan.is_ok())
    }

    /// Until when nothing is sent by the hop, though there may be connections: it, or its server, is left alone.
    pub(super) fn paused_until(&self, hop: HopId) -> Moment {
        let own = self.hops.get(&hop).and_then(Hop::pause).map_or(Moment::BEGINNING, |pause| pause.until);
        self.server(hop).map_or(own, |server| server.pause.until.max(own))
    }

    /// No connection is begun for the hop before then.
    pub(super) fn left_alone_until(&self, hop: HopId) -> Moment {
        let unreachable_until = self.hops.get(&hop).map_or(Moment::BEGINNING, |state| state.unreachable_until);
        self.paused_until(hop).max(unreachable_until)
    }

    /// A hop that dispatch just came to know is parked as it was: what it did is remembered here.
    pub(super) fn park_while_left_alone(&mut self, hop: HopId) {
        let until = self.left_alone_until(hop);
        if until > self.slots.limits.now() && self.has_way(hop) {
            self.dispatch.park_hop(hop, until);
        }
    }

    /// The hop's server answers that egress.
    pub(super) fn reached_hop(&mut self, hop: HopId, egress: &str) {
        let Some(state) = self.hops.get_mut(&hop) else { return };
        if let Some(shunned) = state.shunned.get_mut(egress) {
            shunned.failures = 0;
        }
        state.trouble = None;
        if std::mem::take(&mut state.failures) > 0 {
            state.unreachable_until = Moment::BEGINNING;
            self.dispatch.unpark_hop(hop);
        }
    }

    /// Whether the last that was tried to connect there came to nothing.
    pub(super) fn is_out_of_reach(&self, destination: &Destination) -> bool {
        let hop = self.destinations.find(destination).and_then(|number| self.hops.get(&HopId(number)));
        hop.is_some_and(|hop| hop.failures > 0)
    }

    /// Why the hop is left alone, as long as it is.
    pub(super) fn left_alone_for(&self, hop: HopId, now: Moment) -> Option<&str> {
        let state = self.hops.get(&hop)?;
        let unreachable = || state.trouble.as_deref().filter(|_| state.unreachable_until > now);
        state.pause().and_then(|pause| pause.why(now)).or_else(unreachable).or_else(|| self.server(hop)?.pause.why(now))
    }

    /// The hop could not be reached once more: it is not connected to before `until`, and what stands in line for it here is
    /// forgotten.
    pub(super) fn missed_hop(&mut self, hop: HopId, until: Moment, kept_until: Moment) {
        if let Some(state) = self.hops.get_mut(&hop) {
            (state.unreachable_until, state.failures_kept_until) = (until, kept_until);
        }
        // Parked before its heads go: what comes meanwhile stands in line and finds the park.
        self.dispatch.park_hop(hop, until);
        self.dispatch.take_hop(hop);
    }

    /// The hop's egresses are let in with no more connections than those open now; more are tried after `until`.
    pub(super) fn fewer_connections(&mut self, hop: HopId, open: u32, until: Moment) {
        if let Some(state) = self.hops.get_mut(&hop) {
            state.fewer = Some((open.max(1), until));
            self.fewer_until = self.fewer_until.min(until);
            self.share_connections(hop);
        }
    }

    /// More connections are tried where the time has come.
    fn more_connections(&mut self, moment: Moment) {
        self.fewer_until = Moment::END;
        let mut free = Vec::new();
        for (hop, state) in &mut self.hops {
            match state.fewer {
                Some((_, until)) if until > moment => self.fewer_until = self.fewer_until.min(until),
                Some(_) => {
                    state.fewer = None;
                    free.push(*hop);
                }
                None => {}
            }
        }
        for hop in free {
            self.share_connections(hop);
        }
    }

    /// An operator wants it tried now: what next hops did before is forgotten, what limits say is not.
    pub(super) fn forgive_troubles(&mut self) {
        let mut paused = Vec::new();
        for server in self.servers.values_mut().filter(|server| server.pause.until > Moment::BEGINNING) {
            server.pause = Pause::default();
            paused.extend_from_slice(&server.hops);
        }
        for (hop, state) in &mut self.hops {
            if state.failures > 0 || !state.shunned.is_empty() {
                (state.failures, state.trouble) = (0, None);
                state.shunned.clear();
                state.unreachable_until = Moment::BEGINNING;
                paused.push(*hop);
            }
        }
        for hop in paused {
            if self.has_way(hop) {
                self.dispatch.unpark_hop(hop);
            }
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

    /// When something that waits for time alone may go on.
    pub(super) fn next_wakeup(&mut self) -> Option<Moment> {
        let parks = self.dispatch.next_wakeup();
        let fewer = Some(self.fewer_until).filter(|until| *until != Moment::END);
        parks.into_iter().chain(fewer).min()
    }

    /// Next hops that cannot be used now, and destinations without a way, one sentence each.
    pub(super) fn troubles(&self, now: Moment) -> Vec<String> {
        // A route that is gone troubles nobody once its mail goes by another.
        let no_plan = |id: &HopId, hop: &Hop| {
            let why = hop.plan.as_ref().err().filter(|_| self.dispatch.has_lines(*id));
            why.map(ToString::to_string)
        };
        let of_hop = |hop: &Hop| {
            let shunned = hop.shunned.values().find_map(|shunned| shunned.pause.why(now));
            Some(format!("{}: {}", hop.plan.as_ref().ok()?.target, shunned.or(hop.trouble.as_deref())?))
        };
        let of_server = |server: &Server| {
            let trouble = server.pause.why(now)?;
            let plan = server.hops.iter().find_map(|hop| self.hops.get(hop)?.plan.as_ref().ok())?;
            Some(format!("{}: {trouble}", plan.target))
        };
        let hops = self.hops.iter().filter_map(|(id, hop)| no_plan(id, hop).or_else(|| of_hop(hop)));
        let all = hops.chain(self.servers.values().filter_map(of_server));
        all.take(TROUBLES_MAX).collect()
    }

    /// Other routes: every hop is planned anew.
    pub(super) fn reroute(&mut self, router: Arc<Router>) {
        self.router = router;
        self.refile();
        for (hop, state) in &mut self.hops {
            let Some(destination) = self.destinations.name(hop.0) else { continue };
            state.plan = self.router.plan(destination).map(Arc::new);
        }
        let hops: Vec<HopId> = self.hops.keys().copied().collect();
        for hop in hops {
            self.share_connections(hop);
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
