//! What next hops call used up (555), kept in the store until it is over: a restart must not ask again for an hour that a
//! network counts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::clock::{BootId, BootMs, Now, WallMs};
use crate::limits::{Filled, KeyKind, Moment, Stamp, Timeline};
use crate::store::{Memory, MemoryKind, MemoryRow, Store, StoreError};

/// How long it is kept, in milliseconds: longer than any window.
const KEEP_MS: u64 = 40 * 24 * 3_600_000;
/// How many are read at once.
const PAGE: usize = 1_000;

/// One as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    kind: String,
    name: String,
    route: String,
    window_ms: u64,
    boot: String,
    boot_ms: u64,
    wall_ms: u64,
}

impl Row {
    fn filled(self, timeline: &Timeline) -> Option<Filled> {
        let kinds = [KeyKind::Account, KeyKind::Egress, KeyKind::Login];
        let kind = kinds.into_iter().find(|kind| kind.to_string() == self.kind)?;
        let (boot_ms, wall_ms) = (BootMs(self.boot_ms), WallMs(self.wall_ms));
        let at = timeline.place(&Stamp { boot: BootId(self.boot.into()), boot_ms, wall_ms });
        Some(Filled { kind, name: self.name.into(), route: self.route.into(), window_ms: self.window_ms, at })
    }
}

/// All that was said, placed on this boot's line of time. A row that cannot be read is left out: the next hop says it again.
pub(super) async fn remembered(store: &dyn Store, timeline: &Timeline) -> Result<Vec<Filled>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page: Vec<MemoryRow> = store.memories(MemoryKind::UsedUp, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.key.clone());
        let rows = page.iter().filter_map(|row| serde_json::from_slice::<Row>(&row.value).ok());
        all.extend(rows.filter_map(|row| row.filled(timeline)));
    }
}

impl Engine {
    /// Keeps what a next hop just said.
    pub(super) async fn remember_used_up(&self, said: Vec<Filled>, now: Now) {
        let boot = self.clock.boot_id();
        let memory = |filled: Filled| {
            let at = now.boot.0.saturating_sub(Moment::from(now).since_ms(filled.at));
            let key = format!("{}\0{}\0{}", filled.kind, filled.name, filled.route);
            let row = Row {
                kind: filled.kind.to_string(),
                name: filled.name.to_string(),
                route: filled.route.to_string(),
                window_ms: filled.window_ms,
                boot: boot.0.to_string(),
                boot_ms: at,
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

    /// Forgets what is long over.
    pub(super) async fn forget_used_up(&self, now: Now) {
        let before = WallMs(now.wall.0.saturating_sub(KEEP_MS));
        if let Err(error) = self.store.forget_memories(MemoryKind::UsedUp, before).await {
            tracing::warn!(%error, advice = error.advice(), "what next hops called used up is kept longer");
        }
    }
}
