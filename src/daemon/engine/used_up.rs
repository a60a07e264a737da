//! What next hops call used up (555), kept in the store until it is over: a restart must not ask again for an hour that a
//! network counts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::clock::{BootId, BootMs, Now, WallMs};
use crate::limits::{Filled, KeyKind, RecordId, Stamp, Timeline};
use crate::store::{Memory, MemoryKind, MemoryRow, Store, StoreError};

/// How long it is kept, in milliseconds: longer than any window.
const KEEP_MS: u64 = 40 * 24 * 3_600_000;
/// How many are read at once.
const PAGE: usize = 1_000;

/// One as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    kind: String,
    name: String,
    route: String,
    window_ms: u64,
    /// The attempt that heard it: its place among what is on record, whose rows may be gone by now. The first version that
    /// kept this did not write it.
    attempt: Option<u64>,
    boot: String,
    boot_ms: u64,
    wall_ms: u64,
}

impl Row {
    /// The attempt that heard it, if that is known.
    pub(super) fn attempt(&self) -> Option<RecordId> {
        self.attempt.map(RecordId)
    }

    /// When.
    pub(super) fn stamp(&self) -> Stamp {
        let (boot_ms, wall_ms) = (BootMs(self.boot_ms), WallMs(self.wall_ms));
        Stamp { boot: BootId(self.boot.as_str().into()), boot_ms, wall_ms }
    }

    /// What was said, on this boot's line of time.
    pub(super) fn placed(self, timeline: &Timeline) -> Option<Filled> {
        let kinds = [KeyKind::Account, KeyKind::Egress, KeyKind::Login];
        let kind = kinds.into_iter().find(|kind| kind.to_string() == self.kind)?;
        let at = timeline.place(&self.stamp());
        Some(Filled { kind, name: self.name.into(), route: self.route.into(), window_ms: self.window_ms, at })
    }
}

/// All that was said. A row that cannot be read is left out: the next hop says it again.
pub(super) async fn remembered(store: &dyn Store) -> Result<Vec<Row>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page: Vec<MemoryRow> = store.memories(MemoryKind::UsedUp, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.key.clone());
        all.extend(page.iter().filter_map(|row| serde_json::from_slice::<Row>(&row.value).ok()));
    }
}

impl Engine {
    /// Keeps what a next hop just said to an attempt.
    pub(super) async fn remember_used_up(&self, said: Vec<Filled>, attempt: RecordId, now: Now) {
        let boot = self.clock.boot_id();
        let memory = |filled: Filled| {
            let key = format!("{}\0{}\0{}", filled.kind, filled.name, filled.route);
            let row = Row {
                kind: filled.kind.to_string(),
                name: filled.name.to_string(),
                route: filled.route.to_string(),
                window_ms: filled.window_ms,
                attempt: Some(attempt.0),
                boot: boot.0.to_string(),
                boot_ms: filled.at.to_boot().0,
                wall_ms: now.wall.0,
            };
            let value = serde_json::to_vec(&row).expect("texts and numbers");
            Memory::keep(MemoryKind::UsedUp, Bytes::from(key), value).ok()
        };
        let memories: Vec<Memory> = said.into_iter().filter_map(memory).collect();
        if memories.is_empty() {
            return;
        }
        if let Err(error) = self.store.remember(memories, now).await {
            tracing::warn!(%error, advice = error.advice(), "what a next hop calls used up is not known after a restart");
        }
    }

    /// Forgets what is long over, as a wall clock says that may be believed.
    pub(super) async fn forget_used_up(&self, now: Now) {
        let before = WallMs(now.wall.0.saturating_sub(KEEP_MS));
        if let Err(error) = self.store.forget_memories(MemoryKind::UsedUp, before).await {
            tracing::warn!(%error, advice = error.advice(), "what next hops called used up is kept longer");
        }
    }
}
