//! Egresses that a hop is not to be reached by for a while: it refused them, or they cannot leave for it. Others of its pool
//! go on; where there is none, the hop is left alone as a whole.

use std::sync::Arc;

use super::core::Core;
use super::hops::Hop;
use super::servers::Pause;
use crate::delivery::{Egress, Plan};
use crate::dispatch::HopId;
use crate::limits::Moment;

/// One of them.
#[derive(Debug)]
pub(super) struct Shunned {
    pub(super) pause: Pause,
    /// How often in a row it could not connect.
    pub(super) failures: u32,
    /// Until when that is remembered.
    pub(super) kept_until: Moment,
}

impl Default for Shunned {
    fn default() -> Self {
        Self { pause: Pause::default(), failures: 0, kept_until: Moment::BEGINNING }
    }
}

impl Hop {
    /// Until when that egress is not to be used for it.
    pub(super) fn shuns_until(&self, egress: &Egress) -> Moment {
        self.shunned.get(&egress.name).map_or(Moment::BEGINNING, |shunned| shunned.pause.until)
    }

    /// The pause of the whole hop: each of its egresses has one, and this one ends first.
    pub(super) fn pause(&self) -> Option<&Pause> {
        let plan = self.plan.as_ref().ok()?;
        let of = |egress: &Arc<Egress>| self.shunned.get(&egress.name).map(|shunned| &shunned.pause);
        let pauses: Option<Vec<&Pause>> = plan.egresses.iter().map(of).collect();
        pauses?.into_iter().min_by_key(|pause| pause.until)
    }
}

impl Core {
    /// When mail of that plan may go to the hop by an egress of its: slots, pace, and what the hop said to it.
    pub(super) fn egress_waits_until(&self, hop: HopId, egress: &Egress, plan: &Plan) -> Moment {
        let shunned = self.hop(hop).map_or(Moment::BEGINNING, |state| state.shuns_until(egress));
        self.slots.egress_waits_until(egress, plan).max(shunned)
    }

    /// Whether nothing but slots, pace and connections keeps mail for the hop from leaving by that egress.
    pub(super) fn may_leave_by(&self, hop: HopId, egress: &Egress, now: Moment) -> bool {
        let is_shunned = self.hop(hop).is_some_and(|state| state.shuns_until(egress) > now);
        !is_shunned && self.gates.stops_egress_alone(&egress.name).is_none() && self.paused_until(hop) <= now
    }

    /// The hop refused an egress, and is left alone by it for a while.
    pub(super) fn shun_egress(&mut self, hop: HopId, egress: &Arc<str>, until: Moment, why: String) {
        let Some(state) = self.hops.get_mut(&hop) else { return };
        let shunned = state.shunned.entry(Arc::clone(egress)).or_default();
        shunned.pause.prolong(until, why);
        shunned.kept_until = shunned.kept_until.max(until);
        let until = state.pause().map(|pause| pause.until).filter(|until| *until > self.slots.limits.now());
        if let Some(until) = until {
            self.dispatch.park_hop(hop, until);
        }
    }

    /// An egress could not connect to the hop, though others may. How often in a row, with this time.
    pub(super) fn failed_by(&mut self, hop: HopId, egress: &Egress) -> u32 {
        let Some(state) = self.hops.get_mut(&hop) else { return 1 };
        let shunned = state.shunned.entry(Arc::clone(&egress.name)).or_default();
        shunned.failures = shunned.failures.saturating_add(1);
        shunned.failures
    }

    /// It is not tried again before `until`.
    pub(super) fn missed_by(
        &mut self,
        hop: HopId,
        egress: &Egress,
        (until, kept_until): (Moment, Moment),
        why: String,
    ) {
        self.shun_egress(hop, &egress.name, until, why);
        if let Some(shunned) = self.hops.get_mut(&hop).and_then(|state| state.shunned.get_mut(&egress.name)) {
            shunned.kept_until = shunned.kept_until.max(kept_until);
        }
    }
}
