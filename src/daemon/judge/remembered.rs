//! What judging knows, across restarts: written every few seconds, read at the start. A crash loses the last seconds.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Judging, Memory};
use crate::clock::{Clock, Now, WallMs};
use crate::mail::QueueId;
use crate::score::behaviour::RowKind;
use crate::score::model::lesson::Lesson;
use crate::score::model::sketch::Sketch;
use crate::store::{self, MemoryKind, Store, StoreError};

/// Rows of behaviour that are written at once.
const ROWS_MAX: usize = 100;
/// Rows that are read at once.
const PAGE: usize = 500;
/// How long sketches and texts are kept, in milliseconds: a provider's notice comes within hours.
const SKETCH_KEEP_MS: u64 = 4 * 86_400_000;
/// How long texts are kept; behaviour looks back two days.
const SIGHTING_KEEP_MS: u64 = 3 * 86_400_000;

impl Judging {
    /// Reads what an earlier run left. What cannot be read is forgotten, and said.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::daemon) async fn recall(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        let mut broken = Vec::new();
        let mut failed = None;
        // First what people decided; a kind that cannot be read keeps no other from being read.
        for kind in [MemoryKind::Allow, MemoryKind::Taught, MemoryKind::Habit, MemoryKind::Sighting] {
            if let Err(error) = self.recall_kind(store, kind, &mut broken).await {
                failed = Some(error);
            }
        }
        let now = clock.now();
        self.teaching().fade(now.wall);
        if !broken.is_empty() {
            tracing::warn!(rows = broken.len(), "memories of behaviour or teaching cannot be read and are forgotten");
            store.remember(broken, now).await?.into_inner();
        }
        failed.map_or(Ok(()), Err)
    }

    async fn recall_kind(
        &self,
        store: &dyn Store,
        kind: MemoryKind,
        broken: &mut Vec<store::Memory>,
    ) -> Result<(), StoreError> {
        let mut after: Option<Bytes> = None;
        loop {
            let rows = store.memories(kind, after.clone(), PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for row in &rows {
                let is_read = match kind {
                    MemoryKind::Taught => self.restore_lesson(&row.value),
                    _ => self.memory().restore(kind, &row.key, &row.value),
                };
                if !is_read {
                    broken.extend(store::Memory::forget(kind, row.key.clone()));
                }
            }
        }
    }

    /// Writes what changed since the last time.
    ///
    /// # Errors
    /// The store refused it: it is learned again, or written when the same account sends again. Lessons and allow rules
    /// are kept for the next time.
    pub(in crate::daemon) async fn write(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        let now = clock.now();
        let _alone = self.writing.lock().await;
        let believed = self.believes(now);
        let deeds = {
            let mut memory = self.memory();
            if believed {
                memory.expire(now.wall);
            }
            std::mem::take(&mut memory.unwritten)
        };
        if let Err(error) = store.remember(deeds.clone(), now).await {
            let mut memory = self.memory();
            let newer = std::mem::replace(&mut memory.unwritten, deeds);
            memory.unwritten.extend(newer);
            return Err(error);
        }
        loop {
            // In pieces, so that no judgement waits long for the memory.
            let changed = self.memory().changed();
            if changed.is_empty() {
                return Ok(());
            }
            store.remember(changed, now).await?.into_inner();
        }
    }

    /// Forgets what is too old to be of use, and lets lessons fade.
    ///
    /// # Errors
    /// The store cannot now.
    pub(in crate::daemon) async fn prune(&self, store: &dyn Store, now: Now) -> Result<(), StoreError> {
        if !self.believes(now) {
            return Ok(()); // a clock that may be years ahead forgets nothing
        }
        let now = now.wall;
        self.teaching().fade(now);
        for (kind, keep) in [(MemoryKind::Sketch, SKETCH_KEEP_MS), (MemoryKind::Sighting, SIGHTING_KEEP_MS)] {
            while store.forget_memories(kind, WallMs(now.0.saturating_sub(keep))).await? {}
        }
        Ok(())
    }
}

impl Judging {
    fn restore_lesson(&self, line: &Bytes) -> bool {
        let lesson = std::str::from_utf8(line).ok().and_then(|line| Lesson::from_line(line).ok());
        lesson.is_some_and(|lesson| {
            self.teaching().teach(lesson);
            true
        })
    }
}

impl Memory {
    /// Takes a row back; `false` if it is broken.
    fn restore(&mut self, kind: MemoryKind, key: &Bytes, value: &Bytes) -> bool {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
        match kind {
            MemoryKind::Habit => text(key).is_some_and(|key| self.behaviour.restore(RowKind::Habit, &key, value)),
            MemoryKind::Sighting => text(key).is_some_and(|key| self.behaviour.restore(RowKind::Sighting, &key, value)),
            MemoryKind::Allow => self.allow.restore(value),
            // Lessons are not this memory's; sketches are read when one is asked for; the rest is the daemon's.
            MemoryKind::Taught
            | MemoryKind::Sketch
            | MemoryKind::Reminder
            | MemoryKind::Doctor
            | MemoryKind::UsedUp
            | MemoryKind::Alignment => true,
        }
    }

    /// Rows that changed, at most [`ROWS_MAX`] of behaviour, and sketches.
    fn changed(&mut self) -> Vec<store::Memory> {
        let rows = self.behaviour.changed(ROWS_MAX);
        let mut changed: Vec<store::Memory> = Vec::with_capacity(rows.len());
        for row in rows {
            let kind = match row.kind {
                RowKind::Habit => MemoryKind::Habit,
                RowKind::Sighting => MemoryKind::Sighting,
            };
            let memory = match row.bytes {
                Some(bytes) => store::Memory::keep(kind, row.key.into_bytes(), bytes),
                None => store::Memory::forget(kind, row.key.into_bytes()),
            };
            match memory {
                Ok(memory) => changed.push(memory),
                Err(error) => tracing::debug!(%error, "a habit is too long to be kept"),
            }
        }
        let sketches: VecDeque<(QueueId, Sketch)> = std::mem::take(&mut self.sketches);
        let kept = sketches.into_iter().filter(|(_, sketch)| !sketch.is_empty());
        changed.extend(kept.filter_map(|(id, sketch)| {
            store::Memory::keep(MemoryKind::Sketch, id.to_string().into_bytes(), sketch.to_bytes()).ok()
        }));
        changed
    }

    /// Allow rules whose end has passed are forgotten.
    fn expire(&mut self, now: WallMs) {
        let ended = self.allow.expire(now);
        self.unwritten.extend(
            ended
                .into_iter()
                .filter_map(|rule| store::Memory::forget(MemoryKind::Allow, rule.id.to_string().into_bytes()).ok()),
        );
    }
}
