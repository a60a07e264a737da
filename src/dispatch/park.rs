//! What may not go on for a while: accounts, hops and lines at their limits, and whatever stands behind a gate.
//!
//! A parked account's lines leave their hops' ready sets, so that they cost nothing while they wait. A moment of
//! [`Moment::END`] parks until told.

use std::cmp::Reverse;

use crate::limits::Moment;

use super::hop::HopState;
use super::line::{AccountId, HopId, Line, LineNo};
use super::schedule::Dispatch;

/// The end of a park, if it still stands by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Moment,
    what: Parked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Parked {
    Account(AccountId),
    Hop(HopId),
    Line(LineNo),
}

impl Dispatch {
    /// Whether a hop other than this one wants a connection, so that this one should not keep what they share.
    pub fn another_wants_connection(&self, hop: HopId) -> bool {
        let wants = |other: &HopId| self.hops.get(other).is_some_and(HopState::wants_connection);
        !self.gated && self.wanting.iter().any(|other| *other != hop && wants(other))
    }

    /// Whether a hop has mail free to leave and no connection at all.
    pub fn waits_for_connection(&self, hop: HopId) -> bool {
        let waits = |state: &HopState| state.may_go() && state.free_messages > 0 && state.open == 0;
        !self.gated && self.hops.get(&hop).is_some_and(waits)
    }

    /// Nothing of this account leaves before then: its limit is used up.
    pub fn park_account(&mut self, account: AccountId, until: Moment) {
        self.account_mut(account).parked_until = until;
        self.set_timer(until, Parked::Account(account));
        self.account_changed(account);
    }

    /// Nothing leaves by this hop before then: its limit is used up, it does not answer, it asked for patience.
    pub fn park_hop(&mut self, hop: HopId, until: Moment) {
        self.hop_mut(hop).parked_until = until;
        self.set_timer(until, Parked::Hop(hop));
    }

    /// Nothing of this line leaves before then.
    pub fn park_line(&mut self, line: Line, until: Moment) {
        if let Some(no) = self.line_no(line) {
            self.unready(no);
            self.state_mut(no).parked_until = until;
            self.set_timer(until, Parked::Line(no));
        }
    }

    /// The account may go on: a lease came back, its limit was raised.
    pub fn unpark_account(&mut self, account: AccountId) {
        if let Some(state) = self.accounts.get_mut(&account) {
            state.parked_until = Moment::BEGINNING;
            self.account_changed(account);
        }
    }

    /// The hop may go on.
    pub fn unpark_hop(&mut self, hop: HopId) {
        if let Some(state) = self.hops.get_mut(&hop) {
            state.parked_until = Moment::BEGINNING;
            self.list_hop(hop);
            self.forget_hop_if_idle(hop);
        }
    }

    /// The line may go on.
    pub fn unpark_line(&mut self, line: Line) {
        if let Some(no) = self.line_no(line) {
            self.state_mut(no).parked_until = Moment::BEGINNING;
            self.ready(no);
            self.ask_for_refill(no);
        }
    }

    /// Ends every park: limits were raised, rules changed. What still does not fit is parked again when asked.
    pub fn unpark_all(&mut self) {
        self.timers.clear();
        let accounts: Vec<AccountId> = self.accounts.keys().copied().collect();
        let hops: Vec<HopId> = self.hops.keys().copied().collect();
        let lines: Vec<Line> = self.index.keys().copied().collect();
        for line in lines {
            self.unpark_line(line);
        }
        for account in accounts {
            self.unpark_account(account);
        }
        for hop in hops {
            self.unpark_hop(hop);
        }
    }

    /// A gate stands before the account, or no longer does: its mail is held.
    pub fn gate_account(&mut self, account: AccountId, gate: GateState) {
        self.account_mut(account).gated = gate == GateState::Closed;
        self.account_changed(account);
    }

    /// A gate stands before the hop (its egress, login or destination), or no longer does.
    pub fn gate_hop(&mut self, hop: HopId, gate: GateState) {
        self.hop_mut(hop).gated = gate == GateState::Closed;
        self.list_hop(hop);
        self.forget_hop_if_idle(hop);
    }

    /// A gate stands before all mail, or no longer does.
    pub fn gate_all(&mut self, gate: GateState) {
        self.gated = gate == GateState::Closed;
    }

    /// The next moment at which a park ends, for the caller to come back at.
    pub fn next_wakeup(&mut self) -> Option<Moment> {
        while let Some(Reverse(timer)) = self.timers.peek().copied() {
            if self.stands(timer) {
                return Some(timer.at);
            }
            self.timers.pop();
        }
        None
    }

    /// Ends the parks whose time has come; whether any did. Called by whatever asks for a turn.
    pub fn wake(&mut self, now: Moment) -> bool {
        let mut any = false;
        while let Some(Reverse(timer)) = self.timers.peek().copied() {
            if timer.at > now {
                break;
            }
            self.timers.pop();
            if !self.stands(timer) {
                continue;
            }
            any = true;
            match timer.what {
                Parked::Account(account) => self.unpark_account(account),
                Parked::Hop(hop) => self.unpark_hop(hop),
                Parked::Line(no) => self.unpark_line(self.state(no).line),
            }
        }
        any
    }

    fn set_timer(&mut self, at: Moment, what: Parked) {
        if at == Moment::END {
            return;
        }
        self.timers.push(Reverse(Timer { at, what }));
        // Parks that were changed leave their old timers behind; more of them than of living things are swept out.
        if self.timers.len() > 2 * (self.accounts.len() + self.hops.len() + self.index.len()) + 64 {
            let mut timers = std::mem::take(&mut self.timers).into_vec();
            timers.retain(|Reverse(timer)| self.stands(*timer));
            timers.sort_unstable();
            timers.dedup();
            self.timers = timers.into();
        }
    }

    /// Whether the park that a timer ends is still there and still ends then.
    fn stands(&self, timer: Timer) -> bool {
        let until = match timer.what {
            Parked::Account(account) => self.accounts.get(&account).map(|state| state.parked_until),
            Parked::Hop(hop) => self.hops.get(&hop).map(|state| state.parked_until),
            Parked::Line(no) => self.lines.get(no.place()).and_then(Option::as_ref).map(|state| state.parked_until),
        };
        until == Some(timer.at)
    }

    /// Brings the account's lines in or out of their hops' ready sets.
    fn account_changed(&mut self, account: AccountId) {
        let state = self.account(account);
        let (may_go, mut next) = (state.may_go(), state.lines);
        while let Some(no) = next {
            next = self.state(no).after;
            if may_go {
                self.ready(no);
                self.ask_for_refill(no);
            } else {
                self.unready(no);
            }
        }
    }
}

/// Whether a gate lets mail through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// There is none.
    Open,
    /// It stands: what is behind it is held.
    Closed,
}
