//! The core: leases of all keys or of none, and what becomes of them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::filled::Filled;
use super::keys::{KeyId, Keys};
use super::lease::{Charge, Counted, Granted, LeaseId, Spent};
use super::past::PastState;
use super::report::{Cause, Crossing, NextSlot, Reach, Refusal};
use super::rule::{Charged, KINDS, KeyKind, LimitRule, RuleBook, RuleScope, SetId};
use super::timeline::Moment;
use super::unrecorded::{RecordId, Unrecorded};

/// Places that each lease looks at for idle keys: with two, a key is looked at once while half as many leases are
/// granted as there are keys.
const SWEEP_PLACES: usize = 2;

/// The limits of all keys, exact to the millisecond.
#[derive(Debug)]
pub struct Limits {
    pub(super) book: RuleBook,
    pub(super) keys: Keys,
    pub(super) under_way: HashMap<LeaseId, UnderWay>,
    /// Attempts that ended and are not on record yet.
    pub(super) unrecorded: Unrecorded,
    /// Rules that the record does not reach back over, and when it will.
    pub(super) full_until: Vec<(SetId, usize, Moment)>,
    /// What next hops called used up.
    pub(super) filled: Vec<Filled>,
    pub(super) now: Moment,
    next_lease: u64,
}

/// Slots leased and without an outcome.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) charge: Arc<Charge>,
    pub(super) recipients: u32,
}

/// A lease, and what is to be told about it.
#[derive(Debug)]
#[must_use]
pub struct Leased {
    /// The proof, to be stored before MAIL is said (invariant 3).
    pub granted: Granted,
    /// Limits that this lease took over nine tenths.
    pub crossings: Vec<Crossing>,
}

/// How the slots of a lease end.
#[derive(Clone, Copy)]
enum End {
    /// So many stay used, from now on; the rest is free at once.
    Now(Counted),
    /// All stay used, from `unknown_grace` after now.
    Unknown,
}

impl Limits {
    /// Limits under which nothing was ever sent.
    pub fn new(book: RuleBook) -> Self {
        Self {
            keys: Keys::new(&book),
            book,
            under_way: HashMap::new(),
            unrecorded: Unrecorded::default(),
            full_until: Vec::new(),
            filled: Vec::new(),
            now: Moment::BEGINNING,
            next_lease: 0,
        }
    }

    /// The latest moment that was told.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The rules.
    pub fn book(&self) -> &RuleBook {
        &self.book
    }

    /// Takes as many slots as fit, from one to `recipients_max`, of every key that applies, or none of any.
    ///
    /// The proof must be stored and synced before MAIL is said, so that a crash finds the slots taken (invariant 3).
    ///
    /// # Errors
    /// [`Refusal`]: not even one recipient has room under every rule.
    pub fn lease(&mut self, to: Charged<'_>, recipients_max: NonZeroU32, now: Moment) -> Result<Leased, Refusal> {
        let now = self.tick(now);
        self.keys.sweep(now, SWEEP_PLACES, &self.book);
        let recipients = self.room(&to, recipients_max.get())?;

        let charge = Arc::new(Charge::new(&to));
        let mut crossings = Vec::new();
        for (set, name) in sets_of(&self.book, &charge) {
            let id = self.keys.make(set, name, &self.book);
            let rules = self.book.set(set);
            let windows = self.keys.key_mut(id).windows.all_mut();
            for (window, rule) in windows.iter_mut().zip(&rules.rules) {
                window.lease(&charge.account, Counted::all(recipients).in_unit(rule.unit));
                if window.crosses(rule) {
                    crossings.push(Crossing {
                        rule: Arc::clone(&rule.name),
                        kind: rules.kind,
                        key: Arc::clone(name),
                        taken: window.ring.taken(),
                        slots: rule.slots,
                    });
                }
            }
        }
        let id = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.under_way.insert(id, UnderWay { charge: Arc::clone(&charge), recipients });
        Ok(Leased { granted: Granted { id, charge, recipients, at: now }, crossings })
    }

    /// Whether one recipient would fit; nothing is taken.
    ///
    /// # Errors
    /// As [`Limits::lease`].
    pub fn would_fit(&mut self, to: Charged<'_>, now: Moment) -> Result<(), Refusal> {
        self.tick(now);
        self.room(&to, 1).map(drop)
    }

    /// Ends a lease whose transaction got as far as RCPT or content. What counts stays taken until W after now; the rest
    /// is free at once. Returns what counted, as [`Limits::counted`], which goes on record as attempt `id`:
    /// [`Limits::recorded`] is told once it has.
    pub fn used(&mut self, granted: Granted, spent: Spent, id: RecordId, now: Moment) -> Counted {
        let counted = self.counted(spent);
        self.end(granted.spend(), End::Now(counted), Some(id), now);
        counted
    }

    /// What a transaction counts, so that the record can be written before [`Limits::used`].
    pub fn counted(&self, spent: Spent) -> Counted {
        Counted::of(spent, self.book.count_refused)
    }

    /// Ends a lease for which no byte of a message left and no recipient was refused: all its slots are free at once.
    pub fn give_back(&mut self, granted: Granted, now: Moment) {
        self.end(granted.spend(), End::Now(Counted::default()), None, now);
    }

    /// Ends a lease whose outcome nobody knows: the connection was lost after content began, or the task that held it is
    /// gone. All its slots stay taken until W after `unknown_grace` from now, for the kernel may still be flushing the
    /// socket. It goes on record as attempt `id`.
    pub fn unknown(&mut self, granted: Granted, id: RecordId, now: Moment) {
        self.end(granted.spend(), End::Unknown, Some(id), now);
    }

    /// Which rules a key meets with mail of that route.
    pub fn scope(&self, kind: KeyKind, name: &str, route: &str) -> RuleScope {
        self.book.scope(kind, name, route)
    }

    /// The end of an attempt is on record: whoever reads it from now on finds it there.
    pub fn recorded(&mut self, id: RecordId) {
        self.unrecorded.recorded(id);
    }

    /// Forgets idle keys among the next `places`; returns how many. Each lease does a little of it; this is for quiet
    /// times, about once a minute.
    pub fn sweep(&mut self, places: usize, now: Moment) -> usize {
        let now = self.tick(now);
        self.keys.sweep(now, places, &self.book)
    }

    /// How many keys have something to remember.
    pub fn keys_len(&self) -> usize {
        self.keys.len()
    }

    /// Leases without an outcome.
    pub fn under_way_len(&self) -> usize {
        self.under_way.len()
    }

    /// Time never runs back in here: whoever read the clock before somebody else may ask after them.
    pub(super) fn tick(&mut self, now: Moment) -> Moment {
        self.now = self.now.max(now);
        self.now
    }

    /// Until when a rule counts as used up because the record does not reach back over its window.
    pub(super) fn full_until(&self, set: SetId, rule: usize, now: Moment) -> Option<Moment> {
        let until = self.full_until.iter().find(|(s, r, _)| (*s, *r) == (set, rule)).map(|(_, _, until)| *until);
        until.filter(|until| *until > now)
    }

    pub(super) fn sets_for<'a>(&self, to: &Charged<'a>) -> impl Iterator<Item = (SetId, &'a str)> + use<'a> {
        let route = to.route;
        let sets = KINDS.map(|kind| to.name(kind).map(|name| (self.book.set_for(kind, name, route), name)));
        sets.into_iter().flatten()
    }

    /// How many of `recipients_max` fit, at least one.
    fn room(&mut self, to: &Charged<'_>, recipients_max: u32) -> Result<u32, Refusal> {
        let now = self.now;
        let mut room = recipients_max;
        let mut refusal: Option<Refusal> = None;
        for (set, name) in self.sets_for(to) {
            let key = self.keys.find(set, name);
            self.expire(key, set);
            let rules = self.book.set(set);
            for (i, rule) in rules.rules.iter().enumerate() {
                let (fits, cause, next) = self.room_in(key, i, to.account, rule, self.full_until(set, i, now));
                if fits > 0 {
                    // A rule that counts messages has room for a transaction, whatever its size.
                    room = if rule.unit.is_recipients() { room.min(fits) } else { room };
                    continue;
                }
                let reach = if rules.route.is_some() { Reach::OneRoute } else { Reach::AllRoutes };
                let (rule, key) = (Arc::clone(&rule.name), Arc::from(name));
                let new = Refusal { rule, kind: rules.kind, key, cause, reach, next };
                refusal = Some(stricter(refusal, new));
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(room),
        }
    }

    /// How many fit under one rule; if none, why and until when.
    fn room_in(
        &self,
        key: Option<KeyId>,
        i: usize,
        account: &str,
        rule: &LimitRule,
        full_until: Option<Moment>,
    ) -> (u32, Cause, NextSlot) {
        let window = key.map(|id| &self.keys.key(id).windows.all()[i]);
        let (fits, cause) = window.map_or((rule.slots, Cause::Full), |window| window.room(account, rule));
        let next = || match window {
            Some(window) => window.next_slot(account, rule),
            None if rule.slots == 0 => NextSlot::Never,
            None => NextSlot::NOW,
        };
        match full_until {
            Some(until) => (0, Cause::RecordTooShort, next().later(NextSlot::At(until))),
            None if fits == 0 => (0, cause, next()),
            None => (fits, cause, NextSlot::NOW),
        }
    }

    fn expire(&mut self, key: Option<KeyId>, set: SetId) {
        let Some(id) = key else { return };
        let now = self.now;
        let windows = self.keys.key_mut(id).windows.all_mut();
        for (window, rule) in windows.iter_mut().zip(&self.book.set(set).rules) {
            window.expire(now, rule);
            window.rearm(rule);
        }
    }

    /// Ends a lease.
    fn end(&mut self, id: LeaseId, end: End, record: Option<RecordId>, now: Moment) {
        let now = self.tick(now);
        let Some(UnderWay { charge, recipients }) = self.under_way.remove(&id) else { return };
        let leased = Counted::all(recipients);
        let (counted, outcome, state) = match end {
            End::Now(counted) => (counted, now, PastState::Used(now)),
            End::Unknown => (leased, now.plus_ms(self.book.unknown_grace_ms), PastState::Unknown(now)),
        };
        if let Some(record) = record {
            self.unrecorded.keep(record, Arc::clone(&charge), counted, state);
        }
        for (set, name) in sets_of(&self.book, &charge) {
            let key = self.keys.find(set, name).expect("a key is kept while it has leases");
            self.expire(Some(key), set);
            let rules = &self.book.set(set).rules;
            for (window, rule) in self.keys.key_mut(key).windows.all_mut().iter_mut().zip(rules) {
                let (leased, used) = (leased.in_unit(rule.unit), counted.in_unit(rule.unit));
                assert!(used <= leased, "invariant 2: a transaction counted more than it leased");
                window.settle(&charge.account, leased, used, outcome, rule);
            }
        }
    }
}

/// The rule sets with rules that a charge meets, and the name of each key.
pub(super) fn sets_of<'a>(book: &RuleBook, charge: &'a Charge) -> Vec<(SetId, &'a Arc<str>)> {
    let names = [
        (KeyKind::Account, Some(&charge.account)),
        (KeyKind::Egress, Some(&charge.egress)),
        (KeyKind::Login, charge.login.as_ref()),
    ];
    let sets = names.into_iter().filter_map(|(kind, name)| Some((book.set_for(kind, name?, &charge.route), name?)));
    sets.filter(|(set, _)| !book.set(*set).rules.is_empty()).collect()
}

/// Of two refusals the one that lasts longer: it names the rule, and its time is that of both.
fn stricter(other: Option<Refusal>, new: Refusal) -> Refusal {
    match other {
        Some(other) if other.next.later(new.next) == other.next => other,
        _ => new,
    }
}

#[cfg(test)]
mod tests;
