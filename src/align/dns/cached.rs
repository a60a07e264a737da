//! A bounded cache before the name servers, that outlives their trouble.
//!
//! Entries live in two generations. A new or used entry stands in the young one; when that is full the old one is
//! dropped whole and the young one becomes old. So memory is bounded and nothing is ever searched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::super::settings::AlignDnsSettings;
use super::{Asking, Assurance, Data, Kind, Lookup, NoAnswer, Reply};
use crate::clock::{BootMs, Clock};

/// What one entry costs beside its data, in bytes.
const ENTRY_BYTES: usize = 160;

/// A lookup with a memory. It never holds its lock while it waits.
pub struct Cached<L> {
    upstream: L,
    clock: Arc<dyn Clock>,
    settings: AlignDnsSettings,
    entries: Arc<Mutex<Generations>>,
    /// Questions under way.
    questions: Arc<Semaphore>,
    /// What is being asked: who asks the same waits for that answer.
    asking: Mutex<HashMap<Key, Gate>>,
}

type Gate = Arc<tokio::sync::Mutex<()>>;

/// One who asks, or waits for another's answer. The last takes the gate away.
struct Turn<'a> {
    asking: &'a Mutex<HashMap<Key, Gate>>,
    key: &'a Key,
    gate: Gate,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and ours: they are counted under this lock alone.
        if Arc::strong_count(&self.gate) <= 2 {
            asking.remove(self.key);
        }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    answer: Result<super::Records, NoAnswer>,
    assurance: Assurance,
    /// Until then it is taken without asking.
    fresh_until: BootMs,
    /// Until then it stands in where DNS fails (RFC 8767 4).
    stale_until: BootMs,
}

type Key = (Box<str>, Kind);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Entry>,
    young_bytes: usize,
    old: HashMap<Key, Entry>,
}

impl<L> std::fmt::Debug for Cached<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<L: Lookup> Cached<L> {
    /// A cache before `upstream`.
    pub fn new(upstream: L, settings: &AlignDnsSettings, clock: Arc<dyn Clock>) -> Self {
        let questions = Arc::new(Semaphore::new(settings.questions_max.max(1)));
        Self {
            upstream,
            clock,
            settings: settings.clone(),
            entries: Arc::default(),
            questions,
            asking: Mutex::default(),
        }
    }

    /// With the memory of another: what servers said before a reload they still say.
    #[must_use]
    pub fn remembering(self, before: &Self) -> Self {
        Self { entries: Arc::clone(&before.entries), ..self }
    }

    /// How many answers are kept.
    pub fn len(&self) -> usize {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.young.len() + entries.old.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, key: &Key) -> Option<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.young.get(key) {
            return Some(entry.clone());
        }
        let entry = entries.old.remove(key)?;
        self.insert(&mut entries, key, entry.clone());
        Some(entry)
    }

    fn put(&self, key: &Key, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.old.remove(key);
        self.insert(&mut entries, key, entry);
    }

    fn insert(&self, entries: &mut Generations, key: &Key, entry: Entry) {
        let bytes = cost(key, &entry);
        let half = |whole: usize| (whole / 2).max(1);
        if entries.young.len() >= half(self.settings.cache_entries_max)
            || entries.young_bytes + bytes > half(self.settings.cache_bytes_max)
        {
            entries.old = std::mem::take(&mut entries.young);
            entries.young_bytes = 0;
        }
        entries.young_bytes += bytes;
        if let Some(before) = entries.young.insert(key.clone(), entry) {
            entries.young_bytes -= cost(key, &before);
        }
    }

    async fn upstream(&self, name: &str, kind: Kind, patience: Duration) -> Reply {
        let asking = async {
            let _turn = self.questions.acquire().await;
            self.upstream.ask(name, kind).await
        };
        tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| {
            let why = format!("no answer in {} ms", patience.as_millis());
            Reply::unsigned(Err(NoAnswer::Failed(why.into())), Duration::ZERO)
        })
    }

    /// What is known and fresh.
    fn fresh(&self, key: &Key) -> Option<Reply> {
        let now = self.clock.now().boot;
        let entry = self.get(key).filter(|entry| now < entry.fresh_until)?;
        let ttl = Duration::from_millis(entry.fresh_until.0 - now.0);
        Some(Reply { answer: entry.answer, ttl, assurance: entry.assurance })
    }

    async fn answer(&self, name: &str, kind: Kind) -> Reply {
        let key: Key = (name.trim_end_matches('.').to_ascii_lowercase().into(), kind);
        if let Some(reply) = self.fresh(&key) {
            return reply;
        }
        let gate =
            Arc::clone(self.asking.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
        let turn = Turn { asking: &self.asking, key: &key, gate };
        let _alone = turn.gate.lock().await;
        match self.fresh(&key) {
            Some(reply) => reply,
            None => self.anew(&key).await,
        }
    }

    /// What the servers say now, or what they said before.
    async fn anew(&self, key: &Key) -> Reply {
        let settings = &self.settings;
        let now = self.clock.now().boot;
        let stale = self.get(key).filter(|entry| now < entry.stale_until && certain(&entry.answer));
        // Who has something to fall back on does not wait long for better (RFC 8767 5).
        let patience = if stale.is_some() { settings.stale_after.min(settings.timeout) } else { settings.timeout };
        let reply = self.upstream(&key.0, key.1, patience).await;
        let now = self.clock.now().boot;
        if certain(&reply.answer) {
            let ttl = reply.ttl.clamp(settings.ttl_min, settings.ttl_max.max(settings.ttl_min));
            let fresh_until = after(now, ttl);
            let entry = Entry {
                answer: reply.answer.clone(),
                assurance: reply.assurance,
                fresh_until,
                stale_until: after(fresh_until, settings.stale_max),
            };
            self.put(key, entry);
            return Reply { ttl, ..reply };
        }
        // A failure is remembered for a moment too, so that a server that is down is not asked for every message.
        let fresh_until = after(now, settings.failure_ttl);
        let entry = match stale {
            Some(stale) => Entry { fresh_until, ..stale },
            None => Entry { answer: reply.answer, assurance: reply.assurance, fresh_until, stale_until: now },
        };
        let (answer, assurance) = (entry.answer.clone(), entry.assurance);
        self.put(key, entry);
        Reply { answer, ttl: settings.failure_ttl, assurance }
    }
}

fn after(moment: BootMs, span: Duration) -> BootMs {
    BootMs(moment.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

fn certain(answer: &Result<super::Records, NoAnswer>) -> bool {
    answer.as_ref().map_or_else(NoAnswer::is_certain, |_| true)
}

fn cost(key: &Key, entry: &Entry) -> usize {
    let data = |data: &Data| match data {
        Data::Text(text) => text.len() + 24,
        Data::Address(_) => 24,
        Data::Exchange(_, name) | Data::Name(name) => name.len() + 24,
    };
    ENTRY_BYTES + key.0.len() + entry.answer.as_ref().map_or(64, |records| records.iter().map(data).sum())
}

impl<L: Lookup> Lookup for Cached<L> {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        Box::pin(self.answer(name, kind))
    }
}

#[cfg(test)]
mod tests;
