//! What operators do to the queue: gates, flush, remove, release.

use std::collections::HashMap;

use super::Engine;
use crate::dispatch::Line;
use crate::event::Event;
use crate::limits::{Crossing, KeyKind};
use crate::mail::QueueId;
use crate::store::{Filter, Gate, GateKind, Page, Renewed, StoreError};

/// How many of an account's last messages are looked at for whom it wrote to most.
const RECENT_MESSAGES: usize = 200;
/// How many of those are named.
const BUSIEST: usize = 5;

impl Engine {
    /// Closes a gate: from now on nothing behind it gets a turn. Returns how many recipients are under way.
    pub async fn close_gate(&self, kind: GateKind, key: String, by: String, reason: String) -> Result<u32, StoreError> {
        let _one_at_a_time = self.gating.lock().await;
        let now = self.clock.now();
        let gate = Gate { kind, key, by, reason, since: now.wall, until: None };
        let (before, under_way) = {
            let mut core = self.core();
            let before = core.gates.get(kind, &gate.key).cloned();
            core.gates.close(gate.clone());
            core.gate_changed(kind, &gate.key);
            (before, core.under_way(kind, &gate.key))
        };
        if let Err(error) = self.store.close_gate(gate.clone(), now, under_way).await {
            // What is not on record would be gone after a restart: better no gate than one that is believed to stay. One
            // that stood there before is on record.
            let mut core = self.core();
            match before {
                Some(before) => core.gates.close(before),
                None => drop(core.gates.open(kind, &gate.key)),
            }
            core.gate_changed(kind, &gate.key);
            core.gates.doubt(kind, gate.key);
            drop(core);
            self.signals.gates.notify_one();
            return Err(error);
        }
        self.core().gates.sure(kind, &gate.key);
        Ok(under_way)
    }

    /// Opens a gate; `false` if it was not closed.
    pub async fn open_gate(&self, kind: GateKind, key: String, by: String) -> Result<bool, StoreError> {
        let _one_at_a_time = self.gating.lock().await;
        self.open_gate_alone(kind, key, by).await
    }

    /// Opens a gate whose end has come, unless somebody closed it anew meanwhile.
    pub(super) async fn open_ended_gate(&self, kind: GateKind, key: String) -> Result<bool, StoreError> {
        let _one_at_a_time = self.gating.lock().await;
        let now = self.clock.now().wall;
        let is_over = |gate: &Gate| gate.until.is_some_and(|until| until <= now);
        if !self.core().gates.get(kind, &key).is_some_and(is_over) {
            return Ok(false);
        }
        self.open_gate_alone(kind, key, "its own end".to_owned()).await
    }

    async fn open_gate_alone(&self, kind: GateKind, key: String, by: String) -> Result<bool, StoreError> {
        let was_closed = match self.store.open_gate(kind, key.clone(), by, self.clock.now()).await {
            Ok(was_closed) => was_closed.into_inner(),
            Err(error) => {
                self.core().gates.doubt(kind, key);
                self.signals.gates.notify_one();
                return Err(error);
            }
        };
        let mut core = self.core();
        core.gates.open(kind, &key);
        core.gates.sure(kind, &key);
        core.gate_changed(kind, &key);
        drop(core);
        self.signals.connections.notify_one();
        self.signals.refills.notify_one();
        Ok(was_closed)
    }

    /// The gates that are closed.
    pub fn gates(&self) -> Vec<Gate> {
        self.core().gates.iter().cloned().collect()
    }

    /// Makes waiting deliveries due now. Limits hold as ever.
    pub async fn flush(&self, which: Filter) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let flushed = self.store.flush(which, now).await;
        // What failed may hold all the same, for a part or as a whole.
        self.due_from(now.wall);
        let flushed = flushed?.into_inner();
        self.core().forgive_troubles();
        self.signals.connections.notify_one();
        Ok(flushed)
    }

    /// Takes what waits or is held of a message out of the queue.
    pub async fn remove(&self, id: QueueId, by: String) -> Result<Option<u32>, StoreError> {
        let row = self.store.message(id).await?.map(|(row, _)| row);
        let removed = self.store.remove(id, by, self.clock.now()).await?.into_inner();
        if let (Some(row), Some(count)) = (row, removed) {
            let mut core = self.core();
            core.load.remove(&row.account, count.into());
            core.fresh.take(id);
            let lines: Vec<Line> = core.lines_of(&row.account);
            for line in lines {
                core.dispatch.remove(line, |other| other == id);
            }
        }
        Ok(removed)
    }

    /// Lets a message that its verdict held go, with what was made anew of it.
    pub async fn release(&self, id: QueueId, by: String, renewed: Option<Renewed>) -> Result<Option<u32>, StoreError> {
        let now = self.clock.now();
        let released = self.store.release(id, by, renewed, now).await;
        // What failed may hold all the same.
        self.core().fresh.take(id);
        self.due_from(now.wall);
        Ok(released?.into_inner())
    }

    /// Appends an event to the journal, or says in the log that it could not.
    pub(super) async fn note(&self, event: Event) {
        let name = event.name();
        if let Err(error) = self.store.note(event, self.clock.now()).await {
            tracing::error!(%error, event = name, advice = error.advice(), "the journal lacks an event");
        }
    }

    /// One event for a limit that is nearly used up, with whose mail it was and to whom most of it went.
    pub(super) async fn tell_crossing(&self, crossing: Crossing) {
        let (mut busiest, mut source) = (Vec::new(), None);
        if crossing.kind == KeyKind::Account
            && let Ok(found) =
                self.store.find(crossing.key.to_string(), Page { after: None, limit: RECENT_MESSAGES }).await
        {
            let own = found.iter().filter(|(row, _)| row.account.as_str() == &*crossing.key);
            let mut counts: HashMap<&str, u32> = HashMap::new();
            for (row, deliveries) in own {
                source = source.or(Some(row.source));
                for delivery in deliveries {
                    *counts.entry(delivery.recipient.address.as_str()).or_default() += 1;
                }
            }
            let mut counts: Vec<(&str, u32)> = counts.into_iter().collect();
            counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            busiest = counts.iter().take(BUSIEST).map(|(to, n)| format!("{to} ({n})")).collect();
        }
        let Crossing { rule, key, taken, slots, .. } = crossing;
        let (key, rule) = (key.to_string(), rule.to_string());
        self.note(Event::LimitNearlyReached { key, rule, used: taken, slots, source, busiest }).await;
    }

    /// The egresses of the present configuration.
    pub fn egress_names(&self) -> Vec<String> {
        self.core().router.egresses().iter().map(|egress| egress.name.to_string()).collect()
    }

    /// What keeps mail from leaving beyond its turn and limits, one sentence each.
    pub fn troubles(&self) -> Vec<String> {
        let now = self.clock.now().into();
        let core = self.core();
        let draining = self.draining.is_cancelled().then(|| "stopping: nothing leaves any more".to_owned());
        draining.into_iter().chain(core.troubles(now)).collect()
    }
}
