//! The keys that have something to remember, and their windows. A key without outcomes or leases is not kept.

use std::collections::HashMap;
use std::sync::Arc;

use super::fair::FairLog;
use super::report::{Cause, NextSlot};
use super::ring::Ring;
use super::rule::{FairReserve, KeyKind, LimitRule, RuleBook, SetId};
use super::slot::{Owner, Slot};
use super::timeline::Moment;

/// A key by its place. Valid while the key has outcomes or leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyId(u32);

/// One key: an account, egress or login under one rule set.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: Arc<str>,
    pub(super) set: SetId,
    pub(super) windows: Windows,
}

/// The windows of a key, one for each rule of its set. Most keys have one rule, and there may be a million keys.
#[derive(Debug)]
pub(super) enum Windows {
    One([Window; 1]),
    Many(Box<[Window]>),
}

impl Windows {
    pub(super) fn all(&self) -> &[Window] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }

    pub(super) fn all_mut(&mut self) -> &mut [Window] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

/// One rule's log for one key.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) ring: Ring,
    /// Whose slots they are: for egresses, where the last tenth is kept.
    pub(super) fair: Option<Box<FairLog>>,
    /// Whether nine tenths were told of and three quarters not gone below since.
    pub(super) told: bool,
}

impl Window {
    pub(super) fn expire(&mut self, now: Moment, rule: &LimitRule) {
        self.drop_used(now, rule.window_ms);
    }

    /// Drops the slots used `window_ms` ago or earlier.
    fn drop_used(&mut self, now: Moment, window_ms: u64) {
        match &mut self.fair {
            Some(fair) => {
                self.ring.expire(now, window_ms, |owner| fair.release(owner, 1));
                fair.shrink();
            }
            None => self.ring.expire(now, window_ms, |_| ()),
        }
    }

    /// How many more slots `account` may take, and what stands in the way of one more.
    pub(super) fn room(&self, account: &str, rule: &LimitRule) -> (u32, Cause) {
        let room = self.ring.room(rule.slots);
        match &self.fair {
            Some(fair) if room > 0 => {
                let (fair_room, cause) = fair.room(account, rule.slots, self.ring.taken());
                if fair_room < room { (fair_room, cause) } else { (room, Cause::Full) }
            }
            _ => (room, Cause::Full),
        }
    }

    /// When `account` may take one slot. The window is expired to now.
    pub(super) fn next_slot(&self, account: &str, rule: &LimitRule) -> NextSlot {
        let full = self.ring.next_slot(rule.slots, rule.window_ms);
        let Some(fair) = &self.fair else { return full };
        let owners = self.ring.used().map(Slot::owner);
        let reserve = match fair.entries_to_go(account, rule.slots, self.ring.taken(), owners) {
            Some(n) => self.ring.when_gone(n, rule.window_ms),
            None => NextSlot::AfterLeases,
        };
        full.later(reserve)
    }

    pub(super) fn lease(&mut self, account: &Arc<str>, n: u32) {
        self.ring.lease(n);
        if let Some(fair) = &mut self.fair {
            fair.lease(account, n);
        }
    }

    /// Ends `leased` slots, of which `used` stay taken until W after `outcome`.
    pub(super) fn settle(&mut self, account: &str, leased: u32, used: u32, outcome: Moment, rule: &LimitRule) {
        self.ring.give_back(leased - used);
        let owner = self.fair.as_mut().map_or(Owner::NOBODY, |fair| fair.settle(account, leased, used));
        self.ring.settle(used, outcome, owner, rule.slots);
    }

    /// Puts slots of the record where they belong.
    pub(super) fn remember(&mut self, account: &Arc<str>, used: u32, outcome: Moment, rule: &LimitRule) {
        self.lease(account, used);
        self.settle(account, used, used, outcome, rule);
    }

    /// Takes every slot for W from `now` on, for nobody that is known. What was used until now ends sooner than that, and
    /// makes room: a next hop may say it for each attempt under way.
    pub(super) fn fill(&mut self, now: Moment, rule: &LimitRule) {
        self.drop_used(now, 0);
        self.remember(&"".into(), rule.slots, now, rule);
    }

    /// Takes over the outcomes of the same window under another book; leases are taken again one by one.
    pub(super) fn take_outcomes(&mut self, old: &Window, rule: &LimitRule) {
        let fair = self.fair.as_ref().map(|fair| Box::new(fair.anew()));
        *self = Self { fair, ..Self::default() };
        let nobody: Arc<str> = "".into();
        for slot in old.ring.used() {
            let account = old.fair.as_ref().and_then(|fair| fair.account(slot.owner()));
            self.remember(account.unwrap_or(&nobody), 1, slot.ended(), rule);
        }
    }

    /// Whether this just went over nine tenths, for the first time since it was below three quarters.
    pub(super) fn crosses(&mut self, rule: &LimitRule) -> bool {
        let crosses = !self.told && self.is_high(rule);
        self.told |= crosses;
        crosses
    }

    /// Arms the notice again once below three quarters.
    pub(super) fn rearm(&mut self, rule: &LimitRule) {
        if u64::from(self.ring.taken()) * 4 < u64::from(rule.slots) * 3 {
            self.told = false;
        }
    }

    /// Takes what stands above nine tenths for told: after a restart it was.
    pub(super) fn take_as_told(&mut self, rule: &LimitRule) {
        self.told = self.is_high(rule);
    }

    fn is_high(&self, rule: &LimitRule) -> bool {
        u64::from(self.ring.taken()) * 10 >= u64::from(rule.slots) * 9
    }
}

/// All keys that are not idle. What each costs beside its slots is bounded by
/// `a_million_keys_are_known_in_bounded_bytes`.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// By rule set: names to places.
    names: Vec<HashMap<Arc<str>, u32, foldhash::fast::RandomState>>,
    slab: Vec<Option<Key>>,
    free: Vec<u32>,
    /// Where the sweep goes on.
    hand: usize,
}

impl Keys {
    pub(super) fn new(book: &RuleBook) -> Self {
        Self { names: book.set_ids().map(|_| HashMap::default()).collect(), ..Self::default() }
    }

    pub(super) fn find(&self, set: SetId, name: &str) -> Option<KeyId> {
        self.names[set.0 as usize].get(name).copied().map(KeyId)
    }

    pub(super) fn key(&self, id: KeyId) -> &Key {
        self.slab[id.0 as usize].as_ref().expect("a key is kept while it has outcomes or leases")
    }

    pub(super) fn key_mut(&mut self, id: KeyId) -> &mut Key {
        self.slab[id.0 as usize].as_mut().expect("a key is kept while it has outcomes or leases")
    }

    /// The key of that name, made if it is not there.
    pub(super) fn make(&mut self, set: SetId, name: &Arc<str>, book: &RuleBook) -> KeyId {
        if let Some(id) = self.find(set, name) {
            return id;
        }
        let rules = book.set(set);
        let window = |_: &LimitRule| Window {
            fair: (rules.kind == KeyKind::Egress && book.fair_reserve == FairReserve::Kept)
                .then(|| Box::new(FairLog::new(book.own_account.clone()))),
            ..Window::default()
        };
        let windows = match &rules.rules[..] {
            [rule] => Windows::One([window(rule)]),
            rules => Windows::Many(rules.iter().map(window).collect()),
        };
        let key = Some(Key { name: Arc::clone(name), set, windows });
        let place = if let Some(place) = self.free.pop() {
            self.slab[place as usize] = key;
            place
        } else {
            self.slab.push(key);
            u32::try_from(self.slab.len() - 1).expect("fewer keys than 2^32 fit in memory")
        };
        self.names[set.0 as usize].insert(Arc::clone(name), place);
        KeyId(place)
    }

    /// All keys, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.slab.iter().flatten()
    }

    /// All keys, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Key> {
        self.slab.iter_mut().flatten()
    }

    /// How many keys are kept.
    pub(super) fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    /// Bytes of all keys beside their names: what is fixed, and the buffers of slots.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> (usize, usize) {
        let entry = size_of::<(Arc<str>, u32)>() + 1;
        // A table is at most seven eighths full, and a power of two.
        let names = self.names.iter().map(|names| (names.capacity() * 8).div_ceil(7) * entry).sum::<usize>();
        let places = self.slab.capacity() * size_of::<Option<Key>>() + self.free.capacity() * size_of::<u32>();
        let windows = self.iter().flat_map(|key| key.windows.all());
        (names + places, windows.map(|window| window.ring.buffer_bytes()).sum())
    }

    /// Looks at the next `places` and forgets the idle keys among them. Returns how many were forgotten.
    pub(super) fn sweep(&mut self, now: Moment, places: usize, book: &RuleBook) -> usize {
        let mut forgotten = 0;
        for _ in 0..places.min(self.slab.len()) {
            if self.hand >= self.slab.len() {
                self.hand = 0;
                self.shrink();
                if self.slab.is_empty() {
                    break;
                }
            }
            let place = self.hand;
            self.hand += 1;
            let Some(key) = &mut self.slab[place] else { continue };
            let rules = &book.set(key.set).rules;
            for (window, rule) in key.windows.all_mut().iter_mut().zip(rules) {
                window.expire(now, rule);
                window.rearm(rule);
            }
            if key.windows.all().iter().all(|window| window.ring.is_idle()) {
                self.names[key.set.0 as usize].remove(&key.name);
                self.slab[place] = None;
                self.free.push(u32::try_from(place).expect("places were counted in u32 when made"));
                forgotten += 1;
            }
        }
        forgotten
    }

    /// Once a round: gives memory back where most places are empty.
    fn shrink(&mut self) {
        if self.free.len() * 4 > self.slab.len() * 3 {
            while matches!(self.slab.last(), Some(None)) {
                self.slab.pop();
            }
            let len = self.slab.len();
            self.free.retain(|&place| (place as usize) < len);
            self.slab.shrink_to(len * 2);
            self.free.shrink_to(self.free.len() * 2);
        }
        for names in &mut self.names {
            if names.len() * 4 < names.capacity() {
                names.shrink_to(names.len() * 2);
            }
        }
    }
}
