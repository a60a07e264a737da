//! Gates whose change failed, and may be on record all the same: a sync that failed does not tell.
//!
//! Whoever asked heard that it failed, and the dispatcher goes on as before. Were it on record, mail would be held by a gate
//! that nobody sees, while turns are given and leases come back empty. So what is believed is written again until it holds.

use std::time::Duration;

use super::Engine;
use crate::store::{GateKind, StoreError};

/// How long is waited after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Who opens a gate that was never meant to be closed.
const BY: &str = "outguard: the hold had failed";

impl Engine {
    /// Brings the record of gates in line with what is believed of them, whenever one is in doubt.
    pub(super) async fn gates_loop(&self) {
        loop {
            tokio::select! {
                () = self.signals.gates.notified() => {}
                () = self.stopped.cancelled() => return,
            }
            while let Some((kind, key)) = self.doubted_gate() {
                if self.settle_gate(kind, key).await.is_ok() {
                    continue;
                }
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.stopped.cancelled() => return,
                }
            }
        }
    }

    fn doubted_gate(&self) -> Option<(GateKind, String)> {
        self.core().gates.doubted()
    }

    /// Writes down what is believed of that gate, unless somebody changed it meanwhile and knows.
    async fn settle_gate(&self, kind: GateKind, key: String) -> Result<(), StoreError> {
        let _one_at_a_time = self.gating.lock().await;
        let (is_doubted, believed, under_way) = {
            let core = self.core();
            let is_doubted = core.gates.doubted().is_some_and(|(of, other)| of == kind && other == key);
            (is_doubted, core.gates.get(kind, &key).cloned(), core.under_way(kind, &key))
        };
        if !is_doubted {
            return Ok(());
        }
        let now = self.clock.now();
        match believed {
            Some(gate) => drop(self.store.close_gate(gate, now, under_way).await?),
            None => drop(self.store.open_gate(kind, key.clone(), BY.to_owned(), now).await?),
        }
        self.core().gates.sure(kind, &key);
        Ok(())
    }
}
