//! Who used an egress's window, so that the last tenth of it can be kept for those who used little.
//!
//! Fair turns cannot help once the slots of an hour are gone. So the last tenth of each egress window is leased only to
//! accounts that used less than N ÷ (accounts active in it), and a fiftieth to outguard's own account alone, so that a
//! sender who fills an egress keeps no reports from others. The ring's slots say whose they are, by places that are given
//! here: one small entry for each active account, of whom there are at most N, and nothing for a slot.

use std::collections::HashMap;
use std::sync::Arc;

use super::report::Cause;
use super::slot::Owner;

/// The part of a window that is kept: N ÷ this, rounded down.
const RESERVE_DIVISOR: u32 = 10;
/// The part that only outguard's own mail (reports to senders) may use: N ÷ this, rounded down.
const OWN_DIVISOR: u32 = 50;

/// The accounts behind the slots of one ring.
#[derive(Debug, Default)]
pub(super) struct FairLog {
    /// The account of outguard's own mail.
    own: Option<Arc<str>>,
    owners: HashMap<Arc<str>, Owner, foldhash::fast::RandomState>,
    /// By place: slots taken, leased ones included. Zero where the place is free.
    shares: Vec<Share>,
    free: Vec<Owner>,
    /// Leased slots of accounts that got no place. Until these end they get none, or slots would be released that were
    /// never counted.
    nobodys: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
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

    /// How many of the oldest of the `used` slots must go until `account` may take one; `None` if all of them are not
    /// enough.
    pub(super) fn entries_to_go(
        &self,
        account: &str,
        slots: u32,
        taken: u32,
        used: impl Iterator<Item = Owner>,
    ) -> Option<usize> {
        let asks = self.owners.get(account).copied();
        let mut mine = self.taken_by(account);
        let mut others = self.others(mine);
        if self.room(account, slots, taken).0 > 0 {
            return Some(0);
        }
        let own_place = self.own.as_ref().and_then(|own| self.owners.get(own)).copied();
        // What outguard's own account took, or, if it asks, what it may have come what may.
        let (mut own, fiftieth) = match self.own_taken(account) {
            Some(Own::Took(own)) => (Some(own), 0),
            Some(Own::Asks) => (None, slots / OWN_DIVISOR),
            None => (None, 0),
        };
        let mut gone: HashMap<Owner, u32> = HashMap::new();
        // At most a tenth of the window is walked: by then the window is below the reserve.
        for (i, owner) in used.enumerate() {
            if Some(owner) == own_place {
                own = own.map(|own| own.saturating_sub(1));
            }
            if Some(owner) == asks {
                mine = mine.saturating_sub(1);
            } else if let Some(share) = self.shares.get(owner.place()) {
                let count = gone.entry(owner).or_default();
                *count += 1;
                if *count == share.taken {
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
        let owner = self.make_owner(account);
        match self.shares.get_mut(owner.place()) {
            Some(share) => share.taken += n,
            None => *self.nobodys.entry(Arc::clone(account)).or_default() += n,
        }
    }

    /// `leased` slots of an account end, of which `used` stay taken. Whose those are.
    pub(super) fn settle(&mut self, account: &str, leased: u32, used: u32) -> Owner {
        if let Some(nobodys) = self.nobodys.get_mut(account) {
            *nobodys = nobodys.saturating_sub(leased);
            if *nobodys == 0 {
                self.nobodys.remove(account);
            }
            return Owner::NOBODY;
        }
        // An account with leased slots has its place until they end.
        let owner = self.owner(account);
        self.release(owner, leased - used);
        owner
    }

    fn owner(&self, account: &str) -> Owner {
        self.owners.get(account).copied().unwrap_or(Owner::NOBODY)
    }

    /// `n` slots of it are free.
    pub(super) fn release(&mut self, owner: Owner, n: u32) {
        let Some(share) = self.shares.get_mut(owner.place()).filter(|share| share.taken > 0) else { return };
        share.taken = share.taken.saturating_sub(n);
        if share.taken == 0 {
            self.owners.remove(&share.account);
            self.free.push(owner);
        }
    }

    /// Gives memory back where nobody has slots.
    pub(super) fn shrink(&mut self) {
        if self.owners.is_empty() && self.nobodys.is_empty() && self.shares.capacity() + self.nobodys.capacity() > 0 {
            *self = self.anew();
        }
    }

    /// The account whose slots those are.
    pub(super) fn account(&self, owner: Owner) -> Option<&Arc<str>> {
        self.shares.get(owner.place()).map(|share| &share.account)
    }

    /// Places made, in use or free: the only thing of it that grows.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.shares.len()
    }

    fn taken_by(&self, account: &str) -> u32 {
        self.shares.get(self.owner(account).place()).map_or(0, |share| share.taken)
    }

    /// How outguard's own account stands to the one that asks; `None` where it has no reserve.
    fn own_taken(&self, account: &str) -> Option<Own> {
        let own = self.own.as_deref()?;
        Some(if own == account { Own::Asks } else { Own::Took(self.taken_by(own)) })
    }

    /// Active accounts beside one that took `mine` slots.
    fn others(&self, mine: u32) -> u32 {
        let active = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        active - u32::from(mine > 0)
    }

    /// The place of an account, made if it has none. With more active accounts than 17 bits can tell apart, the slots of
    /// further ones are nobody's: then less is kept for others, and the window itself holds as ever.
    fn make_owner(&mut self, account: &Arc<str>) -> Owner {
        if let Some(&owner) = self.owners.get(&**account) {
            return owner;
        }
        if self.nobodys.contains_key(account) {
            return Owner::NOBODY;
        }
        let share = Share { account: Arc::clone(account), taken: 0 };
        let owner = if let Some(owner) = self.free.pop() {
            self.shares[owner.place()] = share;
            owner
        } else {
            let Some(owner) = Owner::at(self.shares.len()) else { return Owner::NOBODY };
            self.shares.push(share);
            owner
        };
        self.owners.insert(Arc::clone(account), owner);
        owner
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

    /// A log and the owners of its ring's slots, oldest first.
    struct Used {
        log: FairLog,
        owners: Vec<Owner>,
    }

    impl Used {
        fn new(own: &str) -> Self {
            Self { log: FairLog::new(Some(own.into())), owners: Vec::new() }
        }

        /// Slots of these accounts, all of them used.
        fn by(own: &str, taken: &[(&str, u32)]) -> Self {
            let mut used = Self::new(own);
            for (account, n) in taken {
                for _ in 0..*n {
                    used.one(account);
                }
            }
            used
        }

        fn one(&mut self, account: &str) {
            self.log.lease(&account.into(), 1);
            self.owners.push(self.log.settle(account, 1, 1));
        }

        fn go(&self, asks: &str, slots: u32) -> Option<usize> {
            let taken = u32::try_from(self.owners.len()).unwrap();
            self.log.entries_to_go(asks, slots, taken, self.owners.iter().copied())
        }
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
            let used = Used::by("own", taken);
            let all = taken.iter().map(|(_, n)| n).sum();
            assert_eq!(used.log.room(asks, slots, all).0, room, "{taken:?} {asks}");
            assert_eq!(used.go(asks, slots), go, "{taken:?} {asks}");
        }
        assert_eq!(Used::by("own", &[("a", 294)]).log.room("a", 300, 294).1, Cause::OwnReserve);
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
            let mut used = Used::new(&OWN.to_string());
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
                used.one(&who.to_string());
                taken.push(who);
            }
            for asks in [OWN, 1, 141] {
                let place = format!("round {round}: N {slots}, {asks} asks beside {taken:?}");
                let count = u32::try_from(taken.len()).unwrap();
                let room = used.log.room(&asks.to_string(), u32::try_from(slots).unwrap(), count).0;
                assert_eq!(room > 0, fits_slowly(&taken, asks, slots), "{place}");
                let go = used.go(&asks.to_string(), u32::try_from(slots).unwrap());
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
    fn beyond_the_places_slots_are_nobodys_and_come_back_to_nobody() {
        let mut log = FairLog::new(None);
        let places = Owner::NOBODY.place();
        let names: Vec<Arc<str>> = (0..places + 2).map(|n| n.to_string().into()).collect();
        for name in &names[..places] {
            log.lease(name, 1);
        }
        let late = &names[places];
        log.lease(late, 3);
        assert_eq!((log.places(), log.owner(late)), (places, Owner::NOBODY));
        assert_eq!(log.others(0), u32::try_from(places).unwrap(), "who has no place is not among the active");
        // A place comes free while it has leased slots: what ends of them is still nobody's.
        let first = log.settle(&names[0], 1, 1);
        log.release(first, 1);
        log.lease(late, 1);
        assert_eq!(log.settle(late, 3, 2), Owner::NOBODY);
        assert_eq!(log.settle(late, 1, 1), Owner::NOBODY);
        log.release(Owner::NOBODY, 1);
        assert_eq!(log.nobodys.len(), 0);
        // Whoever has nothing of that kind takes the place, and only its own slots are counted there.
        log.lease(late, 2);
        assert_eq!(log.owner(late), first);
        for _ in 0..3 {
            log.release(Owner::NOBODY, 1);
        }
        assert_eq!(log.taken_by(late), 2);
        assert_eq!(log.settle(late, 2, 0), first);
        assert_eq!((log.owner(late), log.free.len()), (Owner::NOBODY, 1));
    }

    #[test]
    fn memory_is_bounded_by_active_accounts() {
        let mut used = Used::new("own");
        for n in 0..10_000 {
            used.one(&format!("a{n}"));
            if used.owners.len() > 10 {
                used.log.release(used.owners.remove(0), 1);
            }
        }
        assert_eq!(used.log.owners.len(), 10);
        assert!(used.log.shares.len() <= 11);
        for owner in used.owners.drain(..) {
            used.log.release(owner, 1);
        }
        used.log.shrink();
        assert_eq!((used.log.owners.capacity(), used.log.shares.capacity()), (0, 0));
    }
}
