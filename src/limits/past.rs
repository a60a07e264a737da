//! The rings made again from the record of attempts: at start, when rules change, when the clock comes to be trusted.

use super::book::{Limits, UnderWay, sets_of};
use super::keys::{Key, Keys};
use super::lease::{Charge, Counted};
use super::rule::{Charged, RuleBook, SetId};
use super::timeline::Moment;
use super::unrecorded::{Reading, RecordId};
use crate::clock::BootMs;

/// An attempt of the record, placed on this boot's line of time ([`super::Timeline::place`]). Those that were given back
/// count nothing and need not be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastAttempt<'a> {
    /// Which one.
    pub id: RecordId,
    /// Whom it was counted against.
    pub charged: Charged<'a>,
    /// What it counted, or what was leased if it has no outcome.
    pub counted: Counted,
    /// How it stands.
    pub state: PastState,
}

/// How an attempt of the record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastState {
    /// Leased by a process that is gone. Its outcome is unknown: slots begin to age `unknown_grace` from now, for the
    /// kernel may flush what that process wrote.
    UnderWay,
    /// Ended then.
    Used(Moment),
    /// Ended then with an unknown outcome: slots begin to age `unknown_grace` later.
    Unknown(Moment),
}

/// Whether rings in memory are kept where the new rules still have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OldRings {
    Kept,
    Dropped,
}

impl Limits {
    /// The limits at start. `kept_since` is the moment from which on the record is complete,
    /// [`Moment::BEGINNING`] if nothing was ever pruned. A rule that reaches further back starts as used up.
    pub fn start<'a>(
        book: RuleBook,
        past: impl IntoIterator<Item = PastAttempt<'a>>,
        kept_since: Moment,
        now: Moment,
    ) -> Self {
        let mut limits = Self::new(book);
        limits.tick(now);
        limits.remember(past, |_| true);
        limits.full_until = short_of_record(&limits.book, kept_since, limits.now).collect();
        limits.take_as_told();
        limits
    }

    /// Before the record is read for [`Limits::reload`] or [`Limits::retime`]: what ends from now on is kept until then,
    /// for the record may be read before it is written.
    pub fn reading(&self) -> Reading {
        self.unrecorded.reading()
    }

    /// Other rules. Where a key keeps a window, it keeps its ring; what is new is filled from the record as it was read
    /// during `reading`, from what ended here and is not in it yet, and from leases under way. Attempts under way in the
    /// record are not looked at: they are known here.
    pub fn reload<'a>(
        &mut self,
        book: RuleBook,
        past: impl IntoIterator<Item = PastAttempt<'a>>,
        kept_since: Moment,
        reading: Reading,
        now: Moment,
    ) {
        self.replace(book, past, kept_since, now, OldRings::Kept);
        drop(reading);
    }

    /// The same rules with all outcomes placed anew, once the wall clock is synchronised and the time since the boot
    /// before is known. What is said of the record at [`Limits::reload`] holds here.
    /// [`Limits::filled`] is to be told again of what was said before this boot.
    pub fn retime<'a>(
        &mut self,
        past: impl IntoIterator<Item = PastAttempt<'a>>,
        kept_since: Moment,
        reading: Reading,
        now: Moment,
    ) {
        self.replace(self.book.clone(), past, kept_since, now, OldRings::Dropped);
        drop(reading);
    }

    fn replace<'a>(
        &mut self,
        book: RuleBook,
        past: impl IntoIterator<Item = PastAttempt<'a>>,
        kept_since: Moment,
        now: Moment,
        old_rings: OldRings,
    ) {
        let now = self.tick(now);
        let old_book = std::mem::replace(&mut self.book, book);
        let old_keys = std::mem::replace(&mut self.keys, Keys::new(&self.book));
        let unrecorded = std::mem::take(&mut self.unrecorded);
        self.remember(past, |attempt| attempt.state != PastState::UnderWay && !unrecorded.holds(attempt.id));
        self.remember(unrecorded.iter(), |_| true);
        self.unrecorded = unrecorded;
        let short: Vec<_> = short_of_record(&self.book, kept_since, now).collect();
        if old_rings == OldRings::Kept {
            // A key that changes its rule set may not have had the new set's window; what the record does not show of it
            // is known only if no key changed its set.
            let assigned_alike = self.book.assigns_as(&old_book);
            let before = std::mem::take(&mut self.full_until);
            self.full_until = short
                .into_iter()
                .filter_map(|(set, i, until)| {
                    let old = assigned_alike.then(|| old_rule(&self.book, set, i, &old_book)).flatten();
                    match old {
                        Some(old) => {
                            before.iter().find(|(s, r, _)| (*s, *r) == old).map(|(_, _, until)| (set, i, *until))
                        }
                        None => Some((set, i, until)),
                    }
                })
                .collect();
            self.keep_rings(&old_book, &old_keys);
            self.fill_again(Moment::BEGINNING);
        } else {
            self.full_until = short;
            self.fill_again(Moment::of_boot(BootMs(0)));
        }
        self.lease_again();
        self.take_as_told();
    }

    /// Puts outcomes of the record into the rings.
    fn remember<'a>(
        &mut self,
        past: impl IntoIterator<Item = PastAttempt<'a>>,
        counts: impl Fn(&PastAttempt<'a>) -> bool,
    ) {
        let grace_ms = self.book.unknown_grace_ms;
        // What counted nothing made no account active: it leaves nothing to remember.
        let counts = |attempt: &PastAttempt<'a>| attempt.counted != Counted::default() && counts(attempt);
        for attempt in past.into_iter().filter(counts) {
            // No attempt ended later than now: a stamp from the future is a broken one, and must not stop mail for ever.
            let outcome = match attempt.state {
                PastState::UnderWay => self.now.plus_ms(grace_ms),
                PastState::Used(ended) => ended.min(self.now),
                PastState::Unknown(ended) => ended.min(self.now).plus_ms(grace_ms),
            };
            let charge = Charge::new(&attempt.charged);
            for (set, name) in sets_of(&self.book, &charge) {
                let rules = &self.book.set(set).rules;
                if rules.iter().all(|rule| outcome.plus_ms(rule.window_ms) <= self.now) {
                    continue;
                }
                let id = self.keys.make(set, name, &self.book);
                for (window, rule) in self.keys.key_mut(id).windows.all_mut().iter_mut().zip(rules) {
                    if outcome.plus_ms(rule.window_ms) > self.now {
                        window.remember(&charge.account, attempt.counted.in_unit(rule.unit), outcome, rule);
                    }
                }
            }
        }
    }

    /// Carries the rings of before over to where the same key has the same window.
    fn keep_rings(&mut self, old_book: &RuleBook, old_keys: &Keys) {
        for old in old_keys.iter() {
            let Key { name, set, windows } = old;
            let old_set = old_book.set(*set);
            let route = old_set.route.as_deref();
            let new = self.book.set_for(old_set.kind, name, route.unwrap_or_default());
            let new_set = self.book.set(new);
            if new_set.rules.is_empty() || !self.book.counts_as(new, old_book, *set) {
                continue;
            }
            for (old_window, old_rule) in windows.all().iter().zip(&old_set.rules) {
                let same = |rule: &super::LimitRule| rule.window_ms == old_rule.window_ms && rule.unit == old_rule.unit;
                for (i, rule) in new_set.rules.iter().enumerate().filter(|(_, rule)| same(rule)) {
                    let id = self.keys.make(new, name, &self.book);
                    let window = &mut self.keys.key_mut(id).windows.all_mut()[i];
                    // Without the accounts behind the slots the reserve cannot be kept; the record shows them.
                    if window.fair.is_some() == old_window.fair.is_some() {
                        window.take_outcomes(old_window, rule);
                    }
                }
            }
        }
    }

    /// Takes the slots of leases under way under the rules of now, whether or not they still fit.
    fn lease_again(&mut self) {
        for UnderWay { charge, recipients } in self.under_way.values() {
            for (set, name) in sets_of(&self.book, charge) {
                let id = self.keys.make(set, name, &self.book);
                for (window, rule) in self.keys.key_mut(id).windows.all_mut().iter_mut().zip(&self.book.set(set).rules)
                {
                    window.lease(&charge.account, Counted::all(*recipients).in_unit(rule.unit));
                }
            }
        }
    }

    fn take_as_told(&mut self) {
        for key in self.keys.iter_mut() {
            for (window, rule) in key.windows.all_mut().iter_mut().zip(&self.book.set(key.set).rules) {
                window.take_as_told(rule);
            }
        }
    }
}

/// Rules whose window reaches back before the record, and when it no longer will.
fn short_of_record(book: &RuleBook, kept_since: Moment, now: Moment) -> impl Iterator<Item = (SetId, usize, Moment)> {
    let all = book.set_ids().flat_map(|id| book.set(id).rules.iter().enumerate().map(move |(i, rule)| (id, i, rule)));
    // Without this, a record that was never pruned would keep every rule full for the first window of the line.
    let all = all.filter(move |_| kept_since > Moment::BEGINNING);
    all.map(move |(id, i, rule)| (id, i, kept_since.plus_ms(rule.window_ms))).filter(move |(_, _, until)| *until > now)
}

/// The rule of the old book that counted the same in the same set.
fn old_rule(book: &RuleBook, set: SetId, rule: usize, old_book: &RuleBook) -> Option<(SetId, usize)> {
    let new_set = book.set(set);
    let rule = &new_set.rules[rule];
    let old = old_book.set_ids().find(|id| old_book.set(*id).of == new_set.of)?;
    let at = old_book.set(old).rules.iter().position(|r| r.window_ms == rule.window_ms && r.unit == rule.unit)?;
    Some((old, at))
}
