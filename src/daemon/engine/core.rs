//! What the engine decides with, behind one lock: fair order, limits, gates and names. Short critical sections, no I/O.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::Notify;

use super::cache::{FreshMessages, Loaded};
use super::gates::Gates;
use super::load::WaitingLoad;
use crate::account::Account;
use crate::clock::{Now, WallMs};
use crate::delivery::{Egress, NoPlan, Plan, Router};
use crate::dispatch::{
    AccountId, Class, Dispatch, DispatchSettings, Fit, GateState, HopId, Item, Line, Names, Turn, TurnId,
};
use crate::guard::Decision;
use crate::limits::{
    Cause, Charged, Crossing, Granted, KeyKind, Limits, Moment, NextSlot, Paced, Paces, Refusal, TooFast,
};
use crate::mail::QueueId;
use crate::store::{Destination, GateKind, Index, WaitingMessage};

/// How many troubles are listed.
const TROUBLES_MAX: usize = 20;

/// The state of dispatching.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) dispatch: Dispatch,
    pub(super) limits: Limits,
    pub(super) paces: Paces,
    pub(super) gates: Gates,
    pub(super) router: Arc<Router>,
    pub(super) fresh: FreshMessages,
    pub(super) load: WaitingLoad,
    pub(super) settings: DispatchSettings,
    accounts: Names<Account>,
    destinations: Names<Destination>,
    hops: HashMap<HopId, Hop>,
    /// Why an account or a hop is parked, for people to read; gone with the park's end.
    refusals: HashMap<Parked, Refusal>,
    /// Egresses without a free slot, and until when.
    full_egresses: HashMap<Arc<str>, Moment>,
    /// Egresses whose pace says not yet, and until when.
    paced_egresses: HashMap<Arc<str>, Moment>,
    /// Parks that end when leased slots come back sooner than the park says.
    hoping: HashSet<Parked>,
    under_way: HashMap<TurnId, (AccountId, Arc<str>, u32)>,
    draining: bool,
}

/// What is parked for want of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Parked {
    Account(AccountId),
    Hop(HopId),
    Line(Line),
}

/// One destination as it is reached now.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) plan: Result<Arc<Plan>, NoPlan>,
    /// Connections that wait for a turn are told by this that there may be one.
    pub(super) turns: Arc<Notify>,
    /// Failed connects in a row.
    pub(super) failures: u32,
    /// The last words of a failed connect.
    pub(super) trouble: Option<String>,
    /// Left alone until then, because its server said so; limits' parks neither end nor shorten this.
    paused_until: Moment,
    /// The number of connections that it lets in, until when that is believed.
    fewer: Option<Moment>,
    /// The next egress of the pool, in turn.
    next_egress: usize,
}

/// A turn with its slots: leave to prepare one transaction.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) turn: Turn,
    pub(super) granted: Granted,
    pub(super) account: Account,
    pub(super) destination: Destination,
    pub(super) crossings: Vec<Crossing>,
}

/// What was accepted, as its lines need it. Its deliveries are those of the envelope, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted<'a> {
    pub(super) id: QueueId,
    pub(super) class: u8,
    pub(super) decision: Decision,
    pub(super) destinations: &'a [Destination],
}

impl Core {
    pub(super) fn new(
        settings: DispatchSettings,
        limits: Limits,
        paces: Paces,
        gates: Gates,
        router: Arc<Router>,
        fresh_bytes_max: usize,
        load: WaitingLoad,
    ) -> Self {
        let mut core = Self {
            dispatch: Dispatch::new(&settings),
            limits,
            paces,
            gates,
            router,
            fresh: FreshMessages::new(fresh_bytes_max),
            load,
            settings,
            accounts: Names::default(),
            destinations: Names::default(),
            hops: HashMap::new(),
            refusals: HashMap::new(),
            full_egresses: HashMap::new(),
            paced_egresses: HashMap::new(),
            hoping: HashSet::new(),
            under_way: HashMap::new(),
            draining: false,
        };
        if core.gates.stops_all() {
            core.dispatch.gate_all(GateState::Closed);
        }
        core
    }

    /// The line of that mail, its account's weight and its hop's limit set.
    pub(super) fn line(&mut self, account: &Account, class: u8, destination: &Destination) -> Line {
        let account_id = AccountId(self.accounts.number(account.clone()));
        let hop = HopId(self.destinations.number(destination.clone()));
        if !self.hops.contains_key(&hop) {
            let plan = self.router.plan(destination).map(Arc::new);
            match &plan {
                Ok(plan) => {
                    self.dispatch.set_hop_limit(hop, plan.concurrency);
                    if plan.egresses.iter().all(|egress| self.gates.stops_egress(&egress.name).is_some()) {
                        self.dispatch.gate_hop(hop, GateState::Closed);
                    }
                }
                Err(_) => self.dispatch.park_hop(hop, Moment::END),
            }
            self.hops.insert(hop, Hop::new(plan));
        }
        if !self.dispatch.knows_account(account_id) {
            let own = account == &self.load.own_account;
            let weight = self.settings.weights.iter().find(|(name, _)| **name == *account.as_str()).map(|(_, w)| *w);
            if let Some(weight) = weight.or(own.then_some(self.settings.own_weight)) {
                self.dispatch.set_weight(account_id, weight);
            }
            if self.gates.stops_account_alone(account).is_some() {
                self.dispatch.gate_account(account_id, GateState::Closed);
            }
        }
        Line { account: account_id, class: Class::from_number(class), hop }
    }

    /// Mail that may leave: accepted, due again, released.
    pub(super) fn add(&mut self, account: &Account, class: u8, destination: &Destination, message: &WaitingMessage) {
        let line = self.line(account, class, destination);
        let recipients = u32::try_from(message.deliveries.len()).unwrap_or(u32::MAX);
        if recipients > 0 {
            let _ = self.dispatch.add(line, Item { id: message.id, recipients });
            self.notify(line.hop);
        }
    }

    /// The next turn over a connection of that egress to that hop, its slots leased.
    pub(super) fn take_turn(&mut self, hop: HopId, egress: &Egress, now: Now) -> Option<Work> {
        if self.draining || self.gates.stops_egress(&egress.name).is_some() {
            return None;
        }
        let moment = Moment::from(now);
        if self.egress_waits_until(&egress.name) > moment {
            return None;
        }
        let state = self.hops.get(&hop)?;
        if state.paused_until > moment {
            self.dispatch.park_hop(hop, state.paused_until);
            return None;
        }
        let plan = state.plan.as_ref().ok()?.clone();
        let login = plan.login.as_ref().map(|login| login.user.clone());
        let mut leased = None;
        let Self { dispatch, limits, paces, accounts, refusals, full_egresses, paced_egresses, hoping, .. } = self;
        let turn = dispatch.next(hop, moment, |offer| {
            let Some(account) = accounts.name(offer.line.account.0) else { return Fit::Stop };
            let Some(most) = NonZeroU32::new(offer.recipients) else { return Fit::Stop };
            let to = Charged {
                account: account.as_str(),
                egress: &egress.name,
                login: login.as_deref(),
                route: &plan.route,
            };
            // A destination that is one server is paced as that server.
            let paced = Paced { egress: &egress.name, account: account.as_str(), domain: &plan.destination.0 };
            if let Err(too_fast) = paces.would_pass(paced, most, moment) {
                return match too_fast {
                    TooFast::Egress(until) => {
                        paced_egresses.insert(egress.name.clone(), until);
                        match pool_until(&plan, [full_egresses, paced_egresses], moment) {
                            Some(until) => Fit::ParkHop(until),
                            None => Fit::Stop,
                        }
                    }
                    TooFast::Account(until) => Fit::ParkAccount(until),
                    TooFast::Domain(until) => Fit::ParkHop(until),
                };
            }
            match limits.lease(to, most, moment) {
                Ok(lease) => {
                    let recipients = lease.granted.recipients();
                    if let Some(recipients) = NonZeroU32::new(recipients) {
                        let _ = paces.pass(paced, recipients, moment); // as many as would have passed, or fewer
                    }
                    leased = Some(lease);
                    Fit::Take(recipients)
                }
                Err(refusal) => {
                    let until = until(&refusal);
                    let (parked, fit) = match (refusal.kind, refusal.cause) {
                        (KeyKind::Account, _) => (Parked::Account(offer.line.account), Fit::ParkAccount(until)),
                        (KeyKind::Egress, Cause::FairReserve) => (Parked::Line(offer.line), Fit::ParkLine(until)),
                        (KeyKind::Login, _) => (Parked::Hop(hop), Fit::ParkHop(until)),
                        (KeyKind::Egress, _) => {
                            full_egresses.insert(egress.name.clone(), until);
                            match pool_until(&plan, [full_egresses, paced_egresses], moment) {
                                Some(until) => (Parked::Hop(hop), Fit::ParkHop(until)),
                                None => (Parked::Hop(hop), Fit::Stop),
                            }
                        }
                    };
                    if !matches!(fit, Fit::Stop) {
                        hoping.insert(parked);
                    }
                    refusals.insert(parked, refusal);
                    fit
                }
            }
        })?;
        let leased = leased.expect("a turn is taken only with a lease");
        let account = self.accounts.name(turn.line().account.0)?.clone();
        self.refusals.remove(&Parked::Account(turn.line().account));
        self.under_way.insert(turn.id(), (turn.line().account, egress.name.clone(), turn.recipients()));
        Some(Work {
            turn,
            granted: leased.granted,
            account,
            destination: plan.destination.clone(),
            crossings: leased.crossings,
        })
    }

    /// A turn is over. `left` recipients of its message can go on at once.
    pub(super) fn finish_turn(&mut self, turn: Turn, left: u32) {
        let hop = turn.line().hop;
        self.under_way.remove(&turn.id());
        self.dispatch.finish(turn, left);
        if left > 0 {
            self.notify(hop);
        }
    }

    /// A turn came to nothing: its message stands first in its line again.
    pub(super) fn put_back(&mut self, turn: Turn) {
        self.under_way.remove(&turn.id());
        self.dispatch.put_back(turn);
    }

    /// A turn was lost with the task that held it.
    pub(super) fn lost_turn(&mut self, id: TurnId) {
        self.under_way.remove(&id);
        self.dispatch.lost(id);
    }

    /// Slots came back, so what was parked for want of them may go on sooner.
    pub(super) fn slots_came_back(&mut self) {
        self.full_egresses.clear();
        for parked in std::mem::take(&mut self.hoping) {
            self.refusals.remove(&parked);
            match parked {
                Parked::Account(account) => self.dispatch.unpark_account(account),
                Parked::Hop(hop) if self.hops.get(&hop).is_some_and(|hop| hop.failures == 0 && hop.plan.is_ok()) => {
                    self.dispatch.unpark_hop(hop);
                }
                Parked::Hop(_) => {}
                Parked::Line(line) => self.dispatch.unpark_line(line),
            }
        }
        self.notify_all();
    }

    /// What waits for leases under way to end hears of each end.
    pub(super) fn lease_ended(&mut self) {
        let waits_for_leases = |refusal: &Refusal| refusal.next == NextSlot::AfterLeases;
        if self.refusals.values().any(waits_for_leases) {
            self.slots_came_back();
        }
    }

    /// The next hop that wants a connection and an egress that it can leave from, counted as opened.
    pub(super) fn next_connection(&mut self, now: Now) -> Option<(HopId, Arc<Plan>, Arc<Egress>)> {
        if self.draining {
            return None;
        }
        let moment = Moment::from(now);
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
            let free = (0..len).map(|step| (state.next_egress + step) % len).find(|place| {
                let egress = &plan.egresses[*place];
                let full = |map: &HashMap<Arc<str>, Moment>| map.get(&egress.name).is_some_and(|until| *until > moment);
                !full(&self.full_egresses)
                    && !full(&self.paced_egresses)
                    && self.gates.stops_egress(&egress.name).is_none()
            });
            if let Some(place) = free {
                state.next_egress = place + 1;
                self.dispatch.opened(hop);
                let egress = plan.egresses[place].clone();
                return Some((hop, plan, egress));
            }
            let until = pool_until(&plan, [&self.full_egresses, &self.paced_egresses], moment).unwrap_or(Moment::END);
            self.hoping.insert(Parked::Hop(hop));
            self.dispatch.park_hop(hop, until);
        }
        None
    }

    /// A message that was just accepted: kept for its first attempt, and in its lines.
    pub(super) fn add_loaded(&mut self, loaded: Loaded) {
        let destinations: Vec<Destination> = loaded.deliveries.iter().map(|d| d.destination.clone()).collect();
        let (id, class, decision) = (loaded.row.id, loaded.row.class, loaded.row.verdict.decision);
        let account = loaded.row.account.clone();
        self.add_accepted(&account, Accepted { id, class, decision, destinations: &destinations });
        self.fresh.put(loaded);
    }

    /// A message that was just accepted, in its lines.
    pub(super) fn add_accepted(&mut self, account: &Account, accepted: Accepted<'_>) {
        self.load.add(account, accepted.destinations.len() as u64);
        if accepted.decision == Decision::Hold {
            return;
        }
        let mut groups: Vec<(&Destination, WaitingMessage)> = Vec::new();
        for (destination, index) in accepted.destinations.iter().zip(0..) {
            let index = Index(index);
            match groups.iter_mut().find(|(known, _)| *known == destination) {
                Some((_, group)) => group.deliveries.push(index),
                None => groups.push((
                    destination,
                    WaitingMessage { id: accepted.id, deliveries: vec![index], due: WallMs::default() },
                )),
            }
        }
        for (destination, message) in groups {
            self.add(account, accepted.class, destination, &message);
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
            self.dispatch.set_hop_limit(hop, open.max(1));
        }
    }

    /// Whether more connections may be tried again, and what was parked may go on: connections that wait are told.
    pub(super) fn parks_may_have_ended(&mut self, now: Now) {
        let moment = Moment::from(now);
        self.dispatch.wake(moment);
        for (hop, state) in &mut self.hops {
            if let (Some(until), Ok(plan)) = (state.fewer, &state.plan)
                && until <= moment
            {
                state.fewer = None;
                self.dispatch.set_hop_limit(*hop, plan.concurrency);
            }
        }
        self.notify_all();
    }

    pub(super) fn hop(&self, hop: HopId) -> Option<&Hop> {
        self.hops.get(&hop)
    }

    pub(super) fn hop_mut(&mut self, hop: HopId) -> Option<&mut Hop> {
        self.hops.get_mut(&hop)
    }

    pub(super) fn find_line(&self, account: &Account, class: u8, destination: &Destination) -> Option<Line> {
        Some(Line {
            account: AccountId(self.accounts.find(account)?),
            class: Class::from_number(class),
            hop: HopId(self.destinations.find(destination)?),
        })
    }

    /// The lines of an account.
    pub(super) fn lines_of(&self, account: &Account) -> Vec<Line> {
        let id = self.accounts.find(account).map(AccountId);
        id.map(|id| self.dispatch.lines_of(id).collect()).unwrap_or_default()
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

    pub(super) fn names_of(&self, line: Line) -> Option<crate::store::Line> {
        Some(crate::store::Line {
            account: self.accounts.name(line.account.0)?.clone(),
            class: line.class.number(),
            destination: self.destinations.name(line.hop.0)?.clone(),
        })
    }

    /// Why something is parked for want of slots.
    pub(super) fn refusal(&self, parked: Parked) -> Option<&Refusal> {
        self.refusals.get(&parked)
    }

    /// Brings dispatch in line with a gate that was closed or opened. The gate itself is already in [`Core::gates`].
    pub(super) fn gate_changed(&mut self, kind: GateKind, key: &str) {
        match kind {
            GateKind::All => self.dispatch.gate_all(gate_state(self.gates.stops_all())),
            GateKind::Account => {
                let account = Account::named(key);
                if let Some(id) = self.accounts.find(&account).map(AccountId) {
                    self.dispatch.gate_account(id, gate_state(self.gates.stops_account_alone(&account).is_some()));
                }
            }
            GateKind::Egress => {
                for (hop, state) in &self.hops {
                    if let Ok(plan) = &state.plan {
                        let closed = plan.egresses.iter().all(|e| self.gates.stops_egress_alone(&e.name).is_some());
                        self.dispatch.gate_hop(*hop, gate_state(closed));
                    }
                }
            }
        }
        self.notify_all();
    }

    /// Recipients under way behind a gate: they cannot be called back.
    pub(super) fn under_way(&self, kind: GateKind, key: &str) -> u32 {
        let behind = |account: AccountId, egress: &str| match kind {
            GateKind::All => true,
            GateKind::Account => self.accounts.name(account.0).is_some_and(|name| name.as_str() == key),
            GateKind::Egress => egress == key,
        };
        self.under_way.values().filter(|(account, egress, _)| behind(*account, egress)).map(|(_, _, n)| *n).sum()
    }

    /// No further turns: the daemon stops.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.notify_all();
    }

    /// Forgets everything that waits here, for it is read again from the store: the wall clock was stepped back, or routes
    /// changed. Turns and connections under way end as they end.
    pub(super) fn forget_waiting(&mut self) {
        let hops: Vec<HopId> = self.hops.keys().copied().collect();
        for hop in hops {
            let _ = self.dispatch.take_hop(hop);
        }
    }

    /// Other routes: every hop is planned anew.
    pub(super) fn reroute(&mut self, router: Arc<Router>) {
        self.router = router;
        self.full_egresses.clear();
        for (hop, state) in &mut self.hops {
            let Some(destination) = self.destinations.name(hop.0) else { continue };
            state.plan = self.router.plan(destination).map(Arc::new);
            if let Ok(plan) = &state.plan {
                self.dispatch.set_hop_limit(*hop, plan.concurrency);
            }
        }
        self.dispatch.unpark_all();
        self.refusals.clear();
        self.hoping.clear();
        let closed: Vec<String> =
            self.gates.iter().filter(|g| g.kind == GateKind::Egress).map(|g| g.key.clone()).collect();
        for key in closed {
            self.gate_changed(GateKind::Egress, &key);
        }
        self.notify_all();
    }

    /// Forgets names, hops and keys that nothing uses. About once a minute.
    pub(super) fn sweep(&mut self, now: Now) {
        let moment = Moment::from(now);
        self.dispatch.sweep();
        self.limits.sweep(usize::MAX, moment);
        let dispatch = &self.dispatch;
        self.hops.retain(|hop, state| dispatch.knows_hop(*hop) || state.failures > 0);
        let hops = &self.hops;
        self.destinations.keep(|number| hops.contains_key(&HopId(number)));
        let in_turn: HashSet<AccountId> = self.under_way.values().map(|(account, ..)| *account).collect();
        self.accounts.keep(|number| dispatch.knows_account(AccountId(number)) || in_turn.contains(&AccountId(number)));
        let (accounts, hops) = (&self.accounts, &self.hops);
        let known = |parked: &Parked| match parked {
            Parked::Account(account) => accounts.name(account.0).is_some(),
            Parked::Hop(hop) => hops.contains_key(hop),
            Parked::Line(line) => accounts.name(line.account.0).is_some() && hops.contains_key(&line.hop),
        };
        self.refusals.retain(|parked, _| known(parked));
        self.hoping.retain(known);
        self.full_egresses.retain(|_, until| *until > moment);
        self.paced_egresses.retain(|_, until| *until > moment);
        self.paces.sweep(moment);
    }

    /// When an egress has a slot and its pace lets one go.
    fn egress_waits_until(&self, egress: &str) -> Moment {
        let of = |map: &HashMap<Arc<str>, Moment>| map.get(egress).copied().unwrap_or(Moment::BEGINNING);
        of(&self.full_egresses).max(of(&self.paced_egresses))
    }

    /// One connection of the hop that waits for a turn is told.
    pub(super) fn notify(&self, hop: HopId) {
        if let Some(state) = self.hops.get(&hop) {
            state.turns.notify_one();
        }
    }

    fn notify_all(&self) {
        for hop in self.hops.values() {
            hop.turns.notify_waiters();
        }
    }
}

impl Hop {
    fn new(plan: Result<Arc<Plan>, NoPlan>) -> Self {
        Self {
            plan,
            turns: Arc::new(Notify::new()),
            failures: 0,
            trouble: None,
            paused_until: Moment::BEGINNING,
            fewer: None,
            next_egress: 0,
        }
    }
}

fn gate_state(closed: bool) -> GateState {
    if closed { GateState::Closed } else { GateState::Open }
}

/// When asking again is not in vain. Leases under way tell their end ([`Core::lease_ended`]).
fn until(refusal: &Refusal) -> Moment {
    match refusal.next {
        NextSlot::At(at) => at,
        NextSlot::AfterLeases | NextSlot::Never => Moment::END,
    }
}

/// Until when no egress of a pool may go on; `None` if one may.
fn pool_until(plan: &Plan, waits: [&HashMap<Arc<str>, Moment>; 2], now: Moment) -> Option<Moment> {
    let until = |egress: &Arc<Egress>| {
        let of = |map: &HashMap<Arc<str>, Moment>| map.get(&egress.name).copied().filter(|until| *until > now);
        waits.into_iter().filter_map(of).max()
    };
    plan.egresses.iter().map(until).try_fold(Moment::END, |first, until| until.map(|until| first.min(until)))
}
