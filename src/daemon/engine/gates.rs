//! The closed gates, as the dispatcher asks for them at each lease.
//!
//! Gates are never written into messages: closing one holds all that stands behind it at once, and opening it lets go
//! exactly that.

use std::collections::HashMap;

use super::core::Core;
use crate::account::Account;
use crate::clock::WallMs;
use crate::dispatch::{AccountId, GateState, HopId};
use crate::store::{Gate, GateKind};

/// The gates that are closed now.
#[derive(Debug, Default)]
pub(super) struct Gates {
    all: Option<Gate>,
    accounts: HashMap<String, Gate>,
    egresses: HashMap<String, Gate>,
    /// Whose last change failed, and may be on record all the same.
    doubted: Vec<(GateKind, String)>,
}

impl Gates {
    pub(super) fn new(closed: Vec<Gate>) -> Self {
        let mut gates = Self::default();
        for gate in closed {
            gates.close(gate);
        }
        gates
    }

    pub(super) fn close(&mut self, gate: Gate) {
        match gate.kind {
            GateKind::All => self.all = Some(gate),
            GateKind::Account => drop(self.accounts.insert(gate.key.clone(), gate)),
            GateKind::Egress => drop(self.egresses.insert(gate.key.clone(), gate)),
        }
    }

    pub(super) fn open(&mut self, kind: GateKind, key: &str) -> Option<Gate> {
        match kind {
            GateKind::All => self.all.take(),
            GateKind::Account => self.accounts.remove(key),
            GateKind::Egress => self.egresses.remove(key),
        }
    }

    /// What is on record of that gate is not known: its change failed.
    pub(super) fn doubt(&mut self, kind: GateKind, key: String) {
        self.sure(kind, &key);
        self.doubted.push((kind, key));
    }

    /// What is on record of it is what is believed here.
    pub(super) fn sure(&mut self, kind: GateKind, key: &str) {
        self.doubted.retain(|(of, other)| *of != kind || other != key);
    }

    /// The first whose record is in doubt.
    pub(super) fn doubted(&self) -> Option<(GateKind, String)> {
        self.doubted.first().cloned()
    }

    /// Whether everything is stopped.
    pub(super) fn stops_all(&self) -> bool {
        self.all.is_some()
    }

    /// The gate of this very account.
    pub(super) fn stops_account_alone(&self, account: &Account) -> Option<&Gate> {
        self.accounts.get(account.as_str())
    }

    /// The gate of this very egress.
    pub(super) fn stops_egress_alone(&self, egress: &str) -> Option<&Gate> {
        self.egresses.get(egress)
    }

    /// The gate that stops an account's mail, the widest first.
    pub(super) fn stops_account(&self, account: &Account) -> Option<&Gate> {
        self.all.as_ref().or_else(|| self.accounts.get(account.as_str()))
    }

    /// The gate that stops an egress, the widest first.
    pub(super) fn stops_egress(&self, egress: &str) -> Option<&Gate> {
        self.all.as_ref().or_else(|| self.egresses.get(egress))
    }

    /// Those whose own end has come.
    pub(super) fn ended(&self, now: WallMs) -> Vec<(GateKind, String)> {
        self.iter().filter(|g| g.until.is_some_and(|until| until <= now)).map(|g| (g.kind, g.key.clone())).collect()
    }

    /// The gate that stands there.
    pub(super) fn get(&self, kind: GateKind, key: &str) -> Option<&Gate> {
        match kind {
            GateKind::All => self.all.as_ref(),
            GateKind::Account => self.accounts.get(key),
            GateKind::Egress => self.egresses.get(key),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gate> {
        self.all.iter().chain(self.accounts.values()).chain(self.egresses.values())
    }
}

impl Core {
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
                let hops: Vec<HopId> = self.hops.keys().copied().collect();
                for hop in hops {
                    let Some(Ok(plan)) = self.hops.get(&hop).map(|state| &state.plan) else { continue };
                    let closed = plan.egresses.iter().all(|e| self.gates.stops_egress_alone(&e.name).is_some());
                    self.dispatch.gate_hop(hop, gate_state(closed));
                    if self.has_way(hop) {
                        // It was parked for the slots of those egresses that were open then.
                        self.dispatch.unpark_hop(hop);
                    }
                }
                // What other egresses kept for others may go by one that was opened.
                self.slots_came_back();
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
}

fn gate_state(closed: bool) -> GateState {
    if closed { GateState::Closed } else { GateState::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(kind: GateKind, key: &str, until: Option<u64>) -> Gate {
        Gate {
            kind,
            key: key.into(),
            by: "root".into(),
            reason: "test".into(),
            since: WallMs(1),
            until: until.map(WallMs),
        }
    }

    #[test]
    fn gates_stop_what_is_behind_them() {
        let (a, b) = (Account::named("a@x"), Account::named("b@x"));
        let mut gates =
            Gates::new(vec![gate(GateKind::Account, "a@x", Some(9)), gate(GateKind::Egress, "192.0.2.1", None)]);
        assert!(gates.stops_account(&a).is_some() && gates.stops_account(&b).is_none());
        assert!(gates.stops_egress("192.0.2.1").is_some() && gates.stops_egress("192.0.2.2").is_none());
        assert_eq!(gates.ended(WallMs(8)), []);
        assert_eq!(gates.ended(WallMs(9)), [(GateKind::Account, "a@x".to_owned())]);
        gates.close(gate(GateKind::All, "", None));
        assert!(gates.stops_account(&b).is_some() && gates.stops_egress("192.0.2.2").is_some());
        assert!(gates.open(GateKind::All, "").is_some() && gates.open(GateKind::All, "").is_none());
        assert!(gates.stops_account(&b).is_none());
    }
}
