//! Who used an egress's window, so that the last tenth of it can be kept for those who used little.
//!
//! Fair turns cannot help once the slots of an hour are gone. So the last tenth of each egress window is leased only to
//! accounts that used less than N ÷ (accounts active in it), and a fiftieth to outguard's own account alone, so that a
//! sender who fills an egress keeps no reports from others. It mirrors a ring entry by entry: 4 bytes a slot more, for
//! egresses alone, and one small entry for each active account, of whom there are at most N.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::report::Cause;

/// The part of a window that is kept: N ÷ this, rounded down.
const RESERVE_DIVISOR: u32 = 10;
/// The part that only outguard's own mail (reports to senders) may use: N ÷ this, rounded down.
const OWN_DIVISOR: u32 = 50;

/// The accounts behind the slots of one ring.
#[derive(Debug, Default)]
pub(super) struct FairLog {
    /// The account of outguard's own mail.
    own: Option<Arc<str>>,
    ids: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    /// By id: slots taken, leased ones included. Zero where the id is free.
    shares: Vec<Share>,
    free: Vec<u32>,
    /// The account of each entry of the ring, in the ring's order.
    order: VecDeque<u32>,
}

#[derive(Debug)]
struct Share {
    account: Arc<str>,
    taken: u32,
}

impl FairLog {
    /// Nobody's slots yet.
    pub(super) fn new(own: Option<Arc<str>>) -> Self {
        Self { own, ..Self::default() }
    }

    /// An empty log with the same own account.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.own.clone())
    }

    /// How many slots `account` may take now, with `taken` slots of the window taken, and what bounds it; the window's own
    /// room is another rule's to say.
    pub(super) fn room(&self, account: &str, slots: u32, taken: u32) -> (u32, Cause) {
        let mine = self.taken_by(account);
        let fair = allowed(slots, taken, mine, self.others(mine));
        match self.own_taken(account) {
            None => (fair, Cause::FairReserve),
            Some(Own::Asks) => (fair.max((slots / OWN_DIVISOR).saturating_sub(mine)), Cause::FairReserve),
            Some(Own::Took(own)) => {
                let beside_own = beside_own(slots, taken, own);
                if beside_own < fair { (beside_own, Cause::OwnReserve) } else { (fair, Cause::FairReserve) }
            }
        }
    }

    /// How many of the oldest entries must go until `account` may take one; `None` if all of them are not enough.
    pub(super) fn entries_to_go(&self, account: &str, slots: u32, taken: u32) -> Option<usize> {
        let mine_id = self.ids.get(account).copied();
        let mut mine = self.taken_by(account);
        let mut others = self.others(mine);
        if self.room(account, slots, taken).0 > 0 {
            return Some(0);
        }
        let own_id = self.own.as_ref().and_then(|own| self.ids.get(own)).copied();
        // What outguard's own account took, or, if it asks, what it may have come what may.
        let (mut own, fiftieth) = match self.own_taken(account) {
            Some(Own::Took(own)) => (Some(own), 0),
            Some(Own::Asks) => (None, slots / OWN_DIVISOR),
            None => (None, 0),
        };
        let mut gone: HashMap<u32, u32> = HashMap::new();
        // At most a tenth of the window is walked: by then the window is below the reserve.
        for (i, &id) in self.order.iter().enumerate() {
            if Some(id) == own_id {
                own = own.map(|own| own - 1);
            }
            if Some(id) == mine_id {
                mine -= 1;
            } else {
                let count = gone.entry(id).or_default();
                *count += 1;
                if *count == self.shares[id as usize].taken {
                    others -= 1;
                }
            }
            let passed = u32::try_from(i + 1).unwrap_or(u32::MAX);
            let left = taken.saturating_sub(passed);
            let own_lets = own.is_none_or(|own| beside_own(slots, left, own) > 0);
            if (allowed(slots, left, mine, others) > 0 && own_lets) || mine < fiftieth {
                return Some(i + 1);
            }
        }
        None
    }

    pub(super) fn lease(&mut self, account: &Arc<str>, n: u32) {
        let id = self.id_of(account);
        self.shares[id as usize].taken += n;
    }

    pub(super) fn give_back(&mut self, account: &str, n: u32) {
        if let Some(&id) = self.ids.get(account) {
            self.release(id, n);
        }
    }

    /// `n` leased slots of the account became entries `at..at + n` of the ring.
    pub(super) fn settle(&mut self, account: &str, n: u32, at: usize) {
        if n == 0 {
            return;
        }
        let id = *self.ids.get(account).expect("an account with leased slots has its share until they end");
        for _ in 0..n {
            self.order.insert(at, id);
        }
    }

    /// The `n` oldest entries left the ring.
    pub(super) fn expire(&mut self, n: usize) {
        for _ in 0..n {
            let id = self.order.pop_front().expect("the log has an entry for each of the ring");
            self.release(id, 1);
        }
        if n > 0 && self.order.is_empty() {
            self.order.shrink_to_fit();
        }
        if self.ids.is_empty() {
            *self = self.anew();
        }
    }

    /// The accounts of the entries, oldest first.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.order.iter().map(|&id| &self.shares[id as usize].account)
    }

    fn taken_by(&self, account: &str) -> u32 {
        self.ids.get(account).map_or(0, |&id| self.shares[id as usize].taken)
    }

    /// How outguard's own account stands to the one that asks; `None` where it has no reserve.
    fn own_taken(&self, account: &str) -> Option<Own> {
        let own = self.own.as_deref()?;
        Some(if own == account { Own::Asks } else { Own::Took(self.taken_by(own)) })
    }

    /// Active accounts beside one that took `mine` slots.
    fn others(&self, mine: u32) -> u32 {
        let active = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        active - u32::from(mine > 0)
    }

    fn release(&mut self, id: u32, n: u32) {
        let share = &mut self.shares[id as usize];
        share.taken -= n;
        if share.taken == 0 {
            self.ids.remove(&share.account);
            self.free.push(id);
        }
    }

    fn id_of(&mut self, account: &Arc<str>) -> u32 {
        if let Some(&id) = self.ids.get(&**account) {
            return id;
        }
        let share = Share { account: Arc::clone(account), taken: 0 };
        let id = if let Some(id) = self.free.pop() {
            self.shares[id as usize] = share;
            id
        } else {
            self.shares.push(share);
            u32::try_from(self.shares.len() - 1).expect("at most N accounts are active in a window")
        };
        self.ids.insert(Arc::clone(account), id);
        id
    }
}

/// The rule itself: a slot in the last tenth needs a share below N ÷ active accounts, the asking one among them.
fn allowed(slots: u32, taken: u32, mine: u32, others: u32) -> u32 {
    let before_reserve = (slots - slots / RESERVE_DIVISOR).saturating_sub(taken);
    let share = slots.div_ceil(others + 1).saturating_sub(mine);
    before_reserve.max(share)
}

/// How many slots are left to all others beside what is kept for outguard's own mail, which took `own`.
fn beside_own(slots: u32, taken: u32, own: u32) -> u32 {
    (slots - slots / OWN_DIVISOR).saturating_sub(taken - own.min(taken))
}

/// The account of outguard's own mail, as the one that asks sees it.
enum Own {
    /// It is the one.
    Asks,
    /// It took so many slots of the window.
    Took(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (u32, &'a [(&'a str, u32)], &'a str, u32, Option<usize>);

    /// A full log of these accounts and slots, all of them outcomes.
    fn log(own: &str, taken: &[(&str, u32)]) -> FairLog {
        let mut log = FairLog::new(Some(own.into()));
        for (account, n) in taken {
            let account: Arc<str> = (*account).into();
            log.lease(&account, *n);
            log.settle(&account, *n, log.order.len());
        }
        log
    }

    #[test]
    fn a_fiftieth_is_for_outguards_own_mail() {
        // N, slots taken by whom, who asks: slots it may take, the first entries to go until one more fits
        let cases: [Case<'_>; 9] = [
            (300, &[], "a", 294, Some(0)),                     // alone: all but six
            (300, &[("a", 294)], "a", 0, Some(1)),             // they are not for it
            (300, &[("a", 294)], "own", 150, Some(0)),         // but for reports
            (300, &[("own", 6), ("a", 263)], "a", 1, Some(0)), // beside reports, the last tenth is kept as ever
            (300, &[("own", 6), ("a", 264)], "a", 0, Some(1)),
            (300, &[("own", 3), ("a", 290), ("b", 4)], "c", 0, Some(4)), // the three of reports that go change nothing
            (300, &[("own", 3), ("a", 291), ("b", 3)], "own", 97, Some(0)),
            (300, &[("own", 2), ("a", 268)], "own", 148, Some(0)), // and they have their fair share beside
            (49, &[("a", 48)], "a", 1, Some(0)),                   // no fiftieth of 49: nothing is kept
        ];
        for (slots, taken, asks, room, go) in cases {
            let log = log("own", taken);
            let all = taken.iter().map(|(_, n)| n).sum();
            assert_eq!(log.room(asks, slots, all).0, room, "{taken:?} {asks}");
            assert_eq!(log.entries_to_go(asks, slots, all), go, "{taken:?} {asks}");
        }
        assert_eq!(log("own", &[("a", 294)]).room("a", 300, 294).1, Cause::OwnReserve);
    }

    /// The rules as they are told to people, from a plain list of whose slots are taken, oldest first.
    fn fits_slowly(taken: &[usize], asks: usize, slots: usize) -> bool {
        let of = |account: usize| taken.iter().filter(|a| **a == account).count();
        let mut active: Vec<usize> = taken.iter().copied().chain([asks]).collect();
        active.sort_unstable();
        active.dedup();
        let fair = taken.len() < slots - slots / 10 || of(asks) * active.len() < slots;
        let others_than_own = taken.len() - of(OWN);
        if asks == OWN { fair || of(OWN) < slots / 50 } else { fair && others_than_own < slots - slots / 50 }
    }

    /// The account of outguard's own mail below.
    const OWN: usize = 0;

    #[test]
    fn among_a_crowd_room_and_time_are_as_counted_slowly() {
        let mut dice = crate::limits::oracle::Dice(1);
        for round in 0..400 {
            let slots = dice.pick(&[10, 50, 100, 100, 150]);
            let accounts = dice.pick(&[2, 5, 60, 140_u64]);
            // Some of its own first, or here and there.
            let own = dice.pick(&[None, Some(1), Some(2), Some(3), Some(4)]);
            let mut log = FairLog::new(Some(OWN.to_string().into()));
            let mut taken: Vec<usize> = Vec::new();
            for _ in 0..dice.pick(&[slots, slots - slots / 50, slots * 9 / 10]) {
                let others = 1 + usize::try_from(dice.roll(accounts)).unwrap();
                let who = match own {
                    None => dice.pick(&[OWN, others, others, others, others, others, others, others, others, others]),
                    Some(first) => {
                        if taken.len() < first {
                            OWN
                        } else {
                            others
                        }
                    }
                };
                let name: Arc<str> = who.to_string().into();
                log.lease(&name, 1);
                log.settle(&name, 1, taken.len());
                taken.push(who);
            }
            for asks in [OWN, 1, 141] {
                let place = format!("round {round}: N {slots}, {asks} asks beside {taken:?}");
                let count = u32::try_from(taken.len()).unwrap();
                let room = log.room(&asks.to_string(), u32::try_from(slots).unwrap(), count).0;
                assert_eq!(room > 0, fits_slowly(&taken, asks, slots), "{place}");
                let go = log.entries_to_go(&asks.to_string(), u32::try_from(slots).unwrap(), count);
                let slowly = (0..=taken.len()).find(|gone| fits_slowly(&taken[*gone..], asks, slots));
                assert_eq!(go, slowly, "{place}");
            }
        }
    }

    #[test]
    fn the_last_tenth_is_for_those_who_used_little() {
        // N, taken, by this account, other active accounts: slots it may take
        let cases = [
            (300, 0, 0, 0, 300),   // alone: all of it
            (300, 299, 299, 0, 1), // alone to the end
            (300, 0, 0, 1, 270),   // two: free until the reserve begins, then up to the half
            (300, 270, 270, 1, 0), // the hog is done
            (300, 270, 0, 1, 150), // the other may take its half, if the window has it
            (300, 270, 149, 1, 1),
            (300, 270, 150, 1, 0),
            (300, 285, 0, 2, 100),
            (9, 8, 8, 1, 1), // no tenth of nine: nothing is kept
            (10, 9, 9, 1, 0),
            (10, 9, 3, 2, 1), // 3 < 10 ÷ 3
            (10, 9, 4, 2, 0),
        ];
        for (slots, taken, mine, others, expected) in cases {
            assert_eq!(
                allowed(slots, taken, mine, others),
                expected,
                "N {slots} taken {taken} mine {mine} others {others}"
            );
        }
    }

    #[test]
    fn memory_is_bounded_by_active_accounts() {
        let mut log = FairLog::default();
        for n in 0..10_000 {
            let account: Arc<str> = format!("a{n}").into();
            log.lease(&account, 1);
            log.settle(&account, 1, log.order.len());
            if log.order.len() > 10 {
                log.expire(1);
            }
        }
        assert_eq!(log.ids.len(), 10);
        assert!(log.shares.len() <= 11);
        log.expire(10);
        assert_eq!((log.ids.capacity(), log.shares.capacity(), log.order.capacity()), (0, 0, 0));
    }
}
