//! How full limits are and when there will be room, for people to read. Nothing is decided by it.

use std::sync::Arc;

use super::book::Limits;
use super::report::{NextSlot, Usage};
use super::ring::Ring;
use super::rule::Charged;
use super::timeline::Moment;

impl Limits {
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
                    None => Ring::default().outlook(rule.slots, rule.window_ms, ahead, now),
                });
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::clock::BootMs;
    use crate::limits::{LimitSettings, RecordId, RuleBook, Spent};

    const TO: Charged<'static> = Charged { account: "a@x.example", egress: "192.0.2.1", login: None, route: "mx" };
    const W: u64 = 1_001;

    fn at(ms: u64) -> Moment {
        Moment::of_boot(BootMs(ms))
    }

    #[test]
    fn usage_and_outlook() {
        let account = vec!["3/s".parse().unwrap()];
        let rates = LimitSettings { account, egress: Vec::new(), ..LimitSettings::default() };
        let mut limits = Limits::new(RuleBook::new(&rates).unwrap());
        let two = limits.lease(TO, NonZeroU32::new(2).unwrap(), at(100)).unwrap();
        limits.used(two.granted, Spent { content: 2, refused: 0 }, RecordId(0), at(100));
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
}
