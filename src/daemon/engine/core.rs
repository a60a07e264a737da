//! What the engine decides with, behind one lock: fair order, limits, gates and names. Short critical sections, no I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cache::{FreshMessages, Loaded};
use super::gates::Gates;
use super::hops::{Hop, OpenFrom};
use super::load::WaitingLoad;
use super::servers::Server;
use super::slots::{Asking, Parked, Slots};
use crate::account::Account;
use crate::clock::{BootMs, Now, WallMs};
use crate::delivery::{Egress, NoPlan, Plan, Router};
use crate::dispatch::{
    AccountId, Class, Dispatch, DispatchSettings, Fit, GateState, HopId, Item, Line, Names, Turn, TurnId, Weight,
};
use crate::guard::Decision;
use crate::limits::{Crossing, Granted, Moment};
use crate::mail::QueueId;
use crate::store::{Destination, Index, WaitingMessage};

/// The state of dispatching.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) dispatch: Dispatch,
    pub(super) slots: Slots,
    pub(super) gates: Gates,
    pub(super) router: Arc<Router>,
    /// When routes changed last.
    pub(super) rerouted: BootMs,
    /// How often plans were changed, or what waits forgotten, as at the begin and the end of filing it anew: a turn that
    /// was taken before may be of another line by now.
    refiled: u64,
    /// Mail came where nothing leads: it may have been filed by routes that are gone.
    stranded: bool,
    pub(super) fresh: FreshMessages,
    pub(super) load: WaitingLoad,
    pub(super) settings: DispatchSettings,
    pub(super) accounts: Names<Account>,
    pub(super) destinations: Names<Destination>,
    pub(super) hops: HashMap<HopId, Hop>,
    /// By name ([`Router::server`]).
    pub(super) servers: HashMap<Arc<str>, Server>,
    pub(super) under_way: HashMap<TurnId, (AccountId, Arc<str>, u32)>,
    pub(super) draining: bool,
    pub(super) open: OpenFrom,
    /// The first moment at which a server is tried with more connections again.
    pub(super) fewer_until: Moment,
    /// The earliest due time that was set since the due loop last looked: it may have passed it already.
    due_from: Option<WallMs>,
}

/// What a turn is for.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) account: Account,
    pub(super) destination: Destination,
    pub(super) crossings: Vec<Crossing>,
    refiled: u64,
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
        slots: Slots,
        gates: Gates,
        router: Arc<Router>,
        fresh_bytes_max: usize,
        load: WaitingLoad,
    ) -> Self {
        let mut core = Self {
            dispatch: Dispatch::new(&settings),
            slots,
            gates,
            router,
            rerouted: BootMs(0),
            refiled: 0,
            stranded: false,
            fresh: FreshMessages::new(fresh_bytes_max),
            load,
            settings,
            accounts: Names::default(),
            destinations: Names::default(),
            hops: HashMap::new(),
            servers: HashMap::new(),
            under_way: HashMap::new(),
            draining: false,
            open: OpenFrom::default(),
            fewer_until: Moment::END,
            due_from: None,
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
        let is_new = !self.hops.contains_key(&hop);
        // Mail is never filed where routes of now do not lead: it was missed by the filing that should have moved it.
        let leads_nowhere = |hop: &Hop| matches!(hop.plan, Err(NoPlan::RouteGone { .. } | NoPlan::LoginGone { .. }));
        self.stranded |= self.hops.get(&hop).is_some_and(leads_nowhere);
        if is_new {
            let plan = self.router.plan(destination).map(Arc::new);
            if let Ok(plan) = &plan {
                // The gate before all mail is dispatch's own: only an egress's gate is also its hops'.
                if plan.egresses.iter().all(|egress| self.gates.stops_egress_alone(&egress.name).is_some()) {
                    self.dispatch.gate_hop(hop, GateState::Closed);
                }
            } else {
                self.dispatch.park_hop(hop, Moment::END);
                self.stranded = true;
            }
            let server = self.join_server(hop, destination);
            self.hops.insert(hop, Hop::new(plan, server));
        }
        if !self.dispatch.knows_hop(hop) || is_new {
            self.dispatch.set_hop_limit(hop, 1);
            self.share_connections(hop);
            self.park_while_left_alone(hop);
        }
        if !self.dispatch.knows_account(account_id) {
            if let Some(weight) = self.weight_of(account) {
                self.dispatch.set_weight(account_id, weight);
            }
            if self.gates.stops_account_alone(account).is_some() {
                self.dispatch.gate_account(account_id, GateState::Closed);
            }
        }
        Line { account: account_id, class: Class::from_number(class), hop }
    }

    /// The weight that an account was given; `None` is the ordinary one.
    fn weight_of(&self, account: &Account) -> Option<Weight> {
        let own = account == &self.load.own_account;
        let given =
            self.settings.weights.iter().find(|(name, _)| **name == *account.as_str()).map(|(_, weight)| *weight);
        given.or(own.then_some(self.settings.own_weight))
    }

    /// Weights changed: accounts whose mail is here have theirs anew.
    pub(super) fn reweigh(&mut self) {
        let known = self.accounts.iter().filter(|(number, _)| self.dispatch.knows_account(AccountId(*number)));
        let weights: Vec<(AccountId, Weight)> =
            known.map(|(number, name)| (AccountId(number), self.weight_of(name).unwrap_or_default())).collect();
        for (account, weight) in weights {
            self.dispatch.set_weight(account, weight);
        }
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

    /// Whether a connection that was opened by that plan may be of use: routes are those of now, and its egress is not the
    /// one of several that has to wait.
    pub(super) fn is_of_use(&self, hop: HopId, plan: &Arc<Plan>, egress: &Egress, now: Now) -> bool {
        let Some(Ok(present)) = self.hops.get(&hop).map(|state| &state.plan) else { return false };
        let waits = || {
            self.egress_waits_until(hop, egress, plan) > Moment::from(now)
                || self.gates.stops_egress(&egress.name).is_some()
        };
        let wanted = self.hops.get(&hop).and_then(|state| state.wants_egress.as_ref());
        Arc::ptr_eq(present, plan)
            && !self.gives_way_to_sibling(hop)
            && (plan.egresses.len() == 1 || !waits() && wanted.is_none_or(|wanted| *wanted == egress.name))
    }

    /// The next turn over a connection of that plan and egress to that hop, its slots leased: leave to prepare one
    /// transaction.
    pub(super) fn take_turn(
        &mut self,
        hop: HopId,
        plan: &Arc<Plan>,
        egress: &Egress,
        now: Now,
    ) -> Option<(Turn, Granted, Work)> {
        if self.draining || self.gates.stops_egress(&egress.name).is_some() {
            return None;
        }
        let moment = Moment::from(now);
        self.wake(moment);
        if self.slots.egress_waits_until(egress, plan) > moment {
            return None;
        }
        let state = self.hops.get(&hop)?;
        if !state.plan.as_ref().is_ok_and(|present| Arc::ptr_eq(present, plan)) {
            return None;
        }
        let paused_until = self.paused_until(hop);
        if paused_until > moment {
            self.dispatch.park_hop(hop, paused_until);
            return None;
        }
        if state.shuns_until(egress) > moment {
            return None;
        }
        let open = |other: &&Arc<Egress>| other.name != egress.name && self.gates.stops_egress(&other.name).is_none();
        // One that is left alone for now takes mail again when that is over.
        let others = plan.egresses.iter().filter(open).map(|other| (Arc::clone(other), state.shuns_until(other)));
        let others: Vec<(Arc<Egress>, Moment)> = others.collect();
        let mut leased = None;
        let Self { dispatch, slots, accounts, .. } = self;
        let turn = dispatch.next(hop, moment, |offer| {
            let Some(account) = accounts.name(offer.line.account.0) else { return Fit::Stop };
            match slots.fit(offer, Asking { account, egress, plan, others: &others }, moment) {
                Ok(lease) => {
                    let recipients = lease.granted.recipients();
                    leased = Some(lease);
                    Fit::Take(recipients)
                }
                Err(fit) => fit,
            }
        });
        self.want_egress(hop);
        let turn = turn?;
        let leased = leased.expect("a turn is taken only with a lease");
        let account = self.accounts.name(turn.line().account.0)?.clone();
        self.under_way.insert(turn.id(), (turn.line().account, egress.name.clone(), turn.recipients()));
        let (destination, refiled) = (plan.destination.clone(), self.refiled);
        let work = Work { account, destination, crossings: leased.crossings, refiled };
        Some((turn, leased.granted, work))
    }

    /// Whether what a turn is for stands where it stood when it was taken, as far as routes go.
    pub(super) fn still_stands(&self, work: &Work) -> bool {
        work.refiled == self.refiled
    }

    /// Turns that were taken before are of routes that are gone, or of lines that are read anew.
    pub(super) fn refile(&mut self) {
        self.refiled += 1;
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

    /// A turn was for a message that does not wait any more: it cost nothing.
    pub(super) fn annul(&mut self, turn: Turn) {
        self.under_way.remove(&turn.id());
        self.dispatch.annul(turn);
    }

    /// A turn was lost with the task that held it.
    pub(super) fn lost_turn(&mut self, id: TurnId) {
        self.under_way.remove(&id);
        self.dispatch.lost(id);
    }

    /// A lease that nothing was sent with: its slots are free for whoever waited for them.
    pub(super) fn give_back(&mut self, granted: Granted, now: Now) {
        self.slots.limits.give_back(granted, now.into());
        self.slots_came_back();
    }

    /// Slots came back, so what was parked for want of them may go on sooner.
    pub(super) fn slots_came_back(&mut self) {
        for parked in self.slots.came_back() {
            match parked {
                Parked::Account(account) => self.dispatch.unpark_account(account),
                Parked::Hop(hop) if self.has_way(hop) => self.dispatch.unpark_hop(hop),
                Parked::Hop(_) => {}
                Parked::Line(line) => self.dispatch.unpark_line(line),
            }
        }
        self.notify_all();
    }

    /// What waits for leases under way to end hears of each end.
    pub(super) fn lease_ended(&mut self) {
        if self.slots.waits_for_leases() {
            self.slots_came_back();
        }
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

    pub(super) fn hop(&self, hop: HopId) -> Option<&Hop> {
        self.hops.get(&hop)
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

    pub(super) fn names_of(&self, line: Line) -> Option<crate::store::Line> {
        Some(crate::store::Line {
            account: self.accounts.name(line.account.0)?.clone(),
            class: line.class.number(),
            destination: self.destinations.name(line.hop.0)?.clone(),
        })
    }

    /// Deliveries were made due then, and are so on record.
    pub(super) fn due_from(&mut self, due: WallMs) {
        self.due_from = Some(self.due_from.map_or(due, |before| before.min(due)));
    }

    /// From when on due deliveries are to be looked for, if the last look may have been too early for them.
    pub(super) fn take_due_from(&mut self) -> Option<WallMs> {
        self.due_from.take()
    }

    /// The queue is to be filed anew: some of it may stand by routes that are gone.
    pub(super) fn strand(&mut self) {
        self.stranded = true;
    }

    /// Whether mail came where nothing leads, since this was asked last.
    pub(super) fn take_stranded(&mut self) -> bool {
        std::mem::take(&mut self.stranded)
    }

    /// No further turns: the daemon stops.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.notify_all();
    }

    /// Forgets everything that waits here, for it is read again from the store: the wall clock was stepped back, or routes
    /// changed. Turns and connections under way end as they end.
    pub(super) fn forget_waiting(&mut self) {
        self.refile();
        self.dispatch.take_all();
        self.fresh.clear();
    }

    /// Forgets names, hops and keys that nothing uses. About once a minute.
    pub(super) fn sweep(&mut self, now: Now) {
        let moment = Moment::from(now);
        self.dispatch.sweep();
        self.sweep_hops(moment);
        let dispatch = &self.dispatch;
        let hops = &self.hops;
        self.destinations.keep(|number| hops.contains_key(&HopId(number)));
        let in_turn: HashSet<AccountId> = self.under_way.values().map(|(account, ..)| *account).collect();
        self.accounts.keep(|number| dispatch.knows_account(AccountId(number)) || in_turn.contains(&AccountId(number)));
        let accounts = &self.accounts;
        let known = |parked: &Parked| match parked {
            Parked::Account(account) => accounts.name(account.0).is_some(),
            Parked::Hop(hop) => hops.contains_key(hop),
            Parked::Line(line) => accounts.name(line.account.0).is_some() && hops.contains_key(&line.hop),
        };
        self.slots.sweep(known, moment);
    }

    /// A connection of the hop that waits for a turn is told; all of them where the one may have the wrong egress.
    pub(super) fn notify(&self, hop: HopId) {
        if let Some(state) = self.hops.get(&hop) {
            match &state.plan {
                Ok(plan) if plan.egresses.len() > 1 => state.turns.notify_waiters(),
                Ok(_) | Err(_) => state.turns.notify_one(),
            }
        }
        // An idle connection of another hop of the server may be in its way.
        for other in self.server(hop).into_iter().flat_map(|server| &server.hops).filter(|other| **other != hop) {
            if let Some(state) = self.hops.get(other) {
                state.turns.notify_waiters();
            }
        }
    }

    pub(super) fn notify_all(&self) {
        for hop in self.hops.values() {
            hop.turns.notify_waiters();
        }
    }
}
