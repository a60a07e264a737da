//! Limits that a next hop calls used up, whatever was counted here.

use std::sync::Arc;

use super::book::Limits;
use super::rate::WINDOW_MS_MAX;
use super::rule::KeyKind;
use super::timeline::Moment;

/// A next hop said that the limit of a key was used up. Nothing else of it is on record, so whoever keeps the record keeps
/// this too, and gives it back after a start ([`Limits::filled`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// What kind of key.
    pub kind: KeyKind,
    /// Its name.
    pub name: Arc<str>,
    /// The route that the mail took.
    pub route: Arc<str>,
    /// The window of its limit as it is kept, in milliseconds. Where no limit has it any more, nothing is filled.
    pub window_ms: u64,
    /// When it was said.
    pub at: Moment,
}

impl Filled {
    fn is_of(&self, other: &Self) -> bool {
        (self.kind, &self.name, &self.route, self.window_ms) == (other.kind, &other.name, &other.route, other.window_ms)
    }
}

impl Limits {
    /// The next hop calls the limit of a key used up whose window is at least `window_ms_min`: of the shortest such window
    /// all slots are taken from now on. What is to be remembered of it; `None` where no such limit is kept.
    pub fn fill(&mut self, kind: KeyKind, name: &str, route: &str, window_ms_min: u64, now: Moment) -> Option<Filled> {
        let now = self.tick(now);
        let rules = &self.book.set(self.book.set_for(kind, name, route)).rules;
        let window_ms =
            rules.iter().map(|rule| rule.window_ms).filter(|window_ms| *window_ms >= window_ms_min).min()?;
        let filled = Filled { kind, name: name.into(), route: route.into(), window_ms, at: now };
        self.filled(filled.clone(), now);
        Some(filled)
    }

    /// What a next hop said before, told again after a start or where moments have new times. Returns until when the slots
    /// are taken; `None` where there is no such limit. Reloads keep it.
    pub fn filled(&mut self, filled: Filled, now: Moment) -> Option<Moment> {
        let now = self.tick(now);
        let mut filled = Filled { at: filled.at.min(now), ..filled };
        // What was said last holds: the record may be behind what was heard here.
        let heard = self.filled.iter().filter(|other| other.is_of(&filled)).map(|other| other.at).max();
        filled.at = heard.map_or(filled.at, |heard| heard.max(filled.at));
        let until = self.apply(&filled);
        self.filled.retain(|other| !other.is_of(&filled) && other.at.plus_ms(2 * WINDOW_MS_MAX) > now);
        if until.is_some() {
            self.filled.push(filled);
        }
        until
    }

    /// The rings are new: what was said after `since` is still so. What was said before this boot is to be said again,
    /// where its time is placed anew; until then it lay at its beginning at the latest.
    pub(super) fn fill_again(&mut self, since: Moment) {
        self.filled.retain(|filled| filled.at > since);
        let all = std::mem::take(&mut self.filled);
        for filled in &all {
            self.apply(filled);
        }
        self.filled = all;
    }

    fn apply(&mut self, filled: &Filled) -> Option<Moment> {
        let Filled { kind, name, route, window_ms, at } = filled;
        let set = self.book.set_for(*kind, name, route);
        let (i, rule) = self.book.set(set).rules.iter().enumerate().find(|(_, rule)| rule.window_ms == *window_ms)?;
        let until = at.plus_ms(rule.window_ms);
        if until > self.now {
            let id = self.keys.make(set, name, &self.book);
            self.keys.key_mut(id).windows.all_mut()[i].fill(*at, rule);
        }
        Some(until)
    }
}
