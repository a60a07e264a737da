//! The core: leases of all keys or of none, and what becomes of them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::filled::Filled;
use super::keys::{KeyId, Keys};
use super::lease::{Charge, Counted, Granted, LeaseId, Spent};
use super::past::PastState;
use super::report::{Cause, Crossing, NextSlot, Reach, Refusal, Usage};
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

    /// How full each limit of each key is that is not idle, by kind, name and rule.
    pub fn usage(&self, now: Moment) -> Vec<Usage> {
        let now = now.max(self.now);
        let mut all: Vec<Usage> = Vec::with_capacity(self.keys.len());
        for key in self.keys.iter() {
            let set = self.book.set(key.set);
            for (i, (window, rule)) in key.windows.all().iter().zip(&set.rules).enumerate() {
                let taken = window.ring.taken_at(now, rule.window_ms);
                if taken > 0 {
                    let leased = window.ring.leased();
                    let full = self.full_until(key.set, i, now).map_or(NextSlot::NOW, NextSlot::At);
                    all.push(Usage {
                        rule: Arc::clone(&rule.name),
                        kind: set.kind,
                        key: Arc::clone(&key.name),
                        used: taken - leased,
                        leased,
                        slots: rule.slots,
                        next: window.ring.next_slot(rule.slots, rule.window_ms).later(full),
                    });
                }
            }
        }
        all.sort_unstable_by(|a, b| (a.kind, &a.key, &a.rule).cmp(&(b.kind, &b.key, &b.rule)));
        all
    }

    /// When a recipient that has `ahead` others before it would have a slot, if every slot is used as soon as it is
    /// free: for people to read, and no promise.
    pub fn outlook(&self, to: Charged<'_>, ahead: u32, now: Moment) -> NextSlot {
        let now = now.max(self.now);
        let mut next = NextSlot::At(now);
        for (set, name) in self.sets_for(&to) {
            let key = self.keys.find(set, name).map(|id| self.keys.key(id));
            for (i, rule) in self.book.set(set).rules.iter().enumerate() {
                if let Some(until) = self.full_until(set, i, now) {
                    next = next.later(NextSlot::At(until));
                }
                let window = key.map(|key| &key.windows.all()[i]);
                next = next.later(match window {
                    Some(window) => window.ring.outlook(rule.slots, rule.window_ms, ahead, now),
                    None => super::ring::Ring::default().outlook(rule.slots, rule.window_ms, ahead, now),
                });
            }
        }
        next
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
    fn full_until(&self, set: SetId, rule: usize, now: Moment) -> Option<Moment> {
        let until = self.full_until.iter().find(|(s, r, _)| (*s, *r) == (set, rule)).map(|(_, _, until)| *until);
        until.filter(|until| *until > now)
    }

    fn sets_for<'a>(&self, to: &Charged<'a>) -> impl Iterator<Item = (SetId, &'a str)> + use<'a> {
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
mod tests {
    use super::super::{LimitSettings, PastAttempt, PastState};
    use super::*;
    use crate::clock::BootMs;

    const TO: Charged<'static> = Charged { account: "a@x.example", egress: "192.0.2.1", login: None, route: "mx" };
    const W: u64 = 1_001;

    fn at(ms: u64) -> Moment {
        Moment::of_boot(BootMs(ms))
    }

    fn book(account: &str) -> RuleBook {
        let account = vec![account.parse().unwrap()];
        RuleBook::new(&LimitSettings { account, egress: Vec::new(), ..LimitSettings::default() }).unwrap()
    }

    fn send(limits: &mut Limits, n: u32, ms: u64) -> Vec<Crossing> {
        let Leased { granted, crossings } = limits.lease(TO, NonZeroU32::new(n).unwrap(), at(ms)).unwrap();
        limits.used(granted, Spent { content: n, refused: 0 }, RecordId(0), at(ms));
        crossings
    }

    #[test]
    fn nine_tenths_are_told_once_until_it_was_below_three_quarters() {
        let mut limits = Limits::new(book("20/s"));
        let told = |crossings: Vec<Crossing>| crossings.first().map(|c| (c.taken, c.slots));
        assert_eq!(told(send(&mut limits, 4, 0)), None);
        assert_eq!(told(send(&mut limits, 13, 10)), None, "17 of 20");
        assert_eq!(told(send(&mut limits, 1, 20)), Some((18, 20)));
        assert_eq!(told(send(&mut limits, 1, 30)), None, "told before");
        assert_eq!(told(send(&mut limits, 3, W)), None, "15 left: not below three quarters, and 18 again");
        assert_eq!(told(send(&mut limits, 18, 3 * W)), Some((18, 20)), "it was empty between");
    }

    #[test]
    fn a_rule_that_reaches_past_the_record_starts_as_used_up() {
        let past = [PastAttempt {
            id: RecordId(1),
            charged: TO,
            counted: Counted { recipients: 1, messages: 1 },
            state: PastState::Used(at(5_000)),
        }];
        let mut limits = Limits::start(book("2/s"), past, at(4_800), at(5_100));
        let refusal = limits.lease(TO, NonZeroU32::MIN, at(5_100)).unwrap_err();
        assert_eq!((refusal.cause, refusal.next), (Cause::RecordTooShort, NextSlot::At(at(4_800 + W))));
        assert!(limits.lease(TO, NonZeroU32::MIN, at(4_799 + W)).is_err());
        assert!(limits.lease(TO, NonZeroU32::MIN, at(4_800 + W)).is_ok(), "the record covers the window now");
        // A reload that keeps the rule keeps its time; a longer window is not covered, and says so.
        let reading = limits.reading();
        limits.reload(book("3/m"), past, at(4_800), reading, at(6_000));
        let refusal = limits.lease(TO, NonZeroU32::MIN, at(6_000)).unwrap_err();
        assert_eq!(refusal.next, NextSlot::At(at(4_800 + 60_060)));
    }

    #[test]
    fn usage_and_outlook() {
        let mut limits = Limits::new(book("3/s"));
        send(&mut limits, 2, 100);
        let leased = limits.lease(TO, NonZeroU32::MIN, at(200)).unwrap();
        let usage = limits.usage(at(300));
        let [account] = &usage[..] else { panic!("{usage:?}") };
        assert_eq!((account.used, account.leased, account.slots, &*account.rule), (2, 1, 3, "account 3/s"));
        assert_eq!(account.next, NextSlot::At(at(100 + W)));
        let cases = [
            (0, 100 + W),     // the first slot to come free
            (1, 100 + W),     // the second
            (2, 300 + W),     // the leased one, if it ended now
            (3, 100 + 2 * W), // the first again
        ];
        for (ahead, expected) in cases {
            assert_eq!(limits.outlook(TO, ahead, at(300)), NextSlot::At(at(expected)), "{ahead} ahead");
        }
        limits.give_back(leased.granted, at(300));
        assert_eq!(limits.outlook(TO, 0, at(300)), NextSlot::At(at(300)));
    }

    #[test]
    fn a_limit_that_the_next_hop_calls_used_up_is_full_for_its_hour() {
        let rates = ["20/m", "5/h", "90/d"].map(|rate| rate.parse().unwrap()).to_vec();
        let settings =
            LimitSettings { egress: rates, account: vec!["9/m".parse().unwrap()], ..LimitSettings::default() };
        let mut limits = Limits::new(RuleBook::new(&settings).unwrap());
        let one = |limits: &mut Limits, ms| limits.lease(TO, NonZeroU32::MIN, at(ms));
        let said = |limits: &mut Limits, kind, name, ms| limits.fill(kind, name, TO.route, 3_600_000, at(ms));
        let fill = |limits: &mut Limits, kind, name, ms| {
            said(limits, kind, name, ms).map(|filled| filled.at.plus_ms(filled.window_ms))
        };
        let first = one(&mut limits, 0).unwrap().granted;
        let under_way = one(&mut limits, 0).unwrap().granted;
        limits.used(first, Spent { content: 1, refused: 0 }, RecordId(1), at(10));
        assert_eq!(fill(&mut limits, KeyKind::Egress, TO.egress, 900), Some(at(3_604_500)));
        assert_eq!(fill(&mut limits, KeyKind::Egress, TO.egress, 1_000), Some(at(3_604_600)));
        let use_of = |limits: &Limits| limits.usage(at(1_000)).into_iter().find(|u| &*u.rule == "egress 5/h").unwrap();
        assert_eq!((use_of(&limits).used, use_of(&limits).leased), (5, 1), "no slot is filled twice");
        limits.give_back(under_way, at(2_000));
        let refusal = one(&mut limits, 3_604_599).unwrap_err();
        assert_eq!((&*refusal.rule, refusal.next), ("egress 5/h", NextSlot::At(at(3_604_600))));
        // A reload that keeps the rule keeps it full.
        let (same, reading) = (RuleBook::new(&settings).unwrap(), limits.reading());
        limits.reload(same, [], Moment::BEGINNING, reading, at(3_604_599));
        assert!(one(&mut limits, 3_604_599).is_err());
        // Rings made anew are full, too, and a start is told of it.
        let reading = limits.reading();
        limits.retime([], Moment::BEGINNING, reading, at(3_604_599));
        assert!(one(&mut limits, 3_604_599).is_err());
        limits = Limits::start(RuleBook::new(&settings).unwrap(), [], Moment::BEGINNING, at(3_604_598));
        let (kind, name, route) = (KeyKind::Egress, TO.egress.into(), TO.route.into());
        let told = Filled { kind, name, route, window_ms: 3_603_600, at: at(1_000) };
        assert_eq!(limits.filled(told.clone(), at(3_604_598)), Some(at(3_604_600)));
        let before = Filled { at: at(500), ..told.clone() };
        assert_eq!(limits.filled(before, at(3_604_598)), Some(at(3_604_600)), "what was said last holds");
        let other = Filled { window_ms: 3_600_000, ..told };
        assert_eq!(limits.filled(other, at(3_604_598)), None, "no limit has that window");
        assert!(one(&mut limits, 3_604_599).is_err());
        assert!(one(&mut limits, 3_604_600).is_ok());
        assert_eq!(
            fill(&mut limits, KeyKind::Account, TO.account, 1),
            None,
            "an hour's limit is not kept for accounts"
        );
    }

    #[test]
    fn a_slot_takes_eight_bytes_whoevers_it_is() {
        let rates = || vec!["300/h".parse().unwrap()];
        let settings =
            LimitSettings { account: rates(), egress: rates(), login: Some(rates()), ..LimitSettings::default() };
        let mut limits = Limits::new(RuleBook::new(&settings).unwrap());
        let to = Charged { login: Some("box"), ..TO };
        for n in 0..300 {
            let leased = limits.lease(to, NonZeroU32::MIN, at(n)).unwrap();
            limits.used(leased.granted, Spent { content: 1, refused: 0 }, RecordId(n), at(n));
        }
        let mut kinds: Vec<KeyKind> = Vec::new();
        for key in limits.keys.iter() {
            let [window] = key.windows.all() else { panic!("one rule each") };
            let kind = limits.book.set(key.set).kind;
            assert_eq!(window.ring.buffer_bytes(), 300 * 8, "{kind}");
            let places = window.fair.as_ref().map(|fair| fair.places());
            assert_eq!(places, (kind == KeyKind::Egress).then_some(1), "{kind}: one for the account, none for a slot");
            kinds.push(kind);
        }
        kinds.sort_unstable();
        assert_eq!(kinds, KINDS);
    }

    #[test]
    fn idle_keys_cost_nothing() {
        let mut limits = Limits::new(book("3/s"));
        for n in 0..5_000u64 {
            let account = format!("a{n}@x.example");
            let leased = limits.lease(Charged { account: &account, ..TO }, NonZeroU32::MIN, at(n)).unwrap();
            limits.used(leased.granted, Spent { content: 1, refused: 0 }, RecordId(n), at(n));
            limits.recorded(RecordId(n));
        }
        assert!(limits.keys_len() < 3_500, "leases forget idle keys as they go: {} are left", limits.keys_len());
        limits.sweep(10_000, at(9_000));
        limits.sweep(10_000, at(9_000));
        assert_eq!((limits.keys_len(), limits.under_way_len()), (0, 0));
    }
}
