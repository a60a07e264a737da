//! The habits of all accounts, bounded by number and bytes: the one of least use gives way.

use std::collections::HashMap;

use super::habit::Habit;
use crate::account::Account;

/// Accounts that are compared to find one that gives way.
const SAMPLE: usize = 16;
/// What an account costs beside its habit: its name, its places in the map and the list.
const OVERHEAD_BYTES: usize = 160;
/// A day of habit is worth so many hours of staying: an old customer on holiday outlasts a name seen once.
const HOURS_A_DAY_OF_HABIT: u64 = 24;

/// Habits by account.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    places: HashMap<Account, usize, foldhash::fast::RandomState>,
    entries: Vec<Entry>,
    bytes: usize,
    hand: usize,
    forgotten: Vec<Account>,
    changed: Vec<Account>,
}

#[derive(Debug)]
struct Entry {
    account: Account,
    habit: Box<Habit>,
    bytes: usize,
    last_ms: u64,
    changed: bool,
}

/// The bounds of the memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) accounts_max: usize,
    pub(super) bytes_max: usize,
}

impl Accounts {
    pub(super) fn get(&self, account: &Account) -> Option<&Habit> {
        self.places.get(account).map(|place| &*self.entries[*place].habit)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the habit of an account, which begins that day if it is new.
    pub(super) fn change<R>(
        &mut self,
        account: &Account,
        at_ms: u64,
        bounds: Bounds,
        change: impl FnOnce(&mut Habit) -> R,
    ) -> R {
        let place = match self.places.get(account) {
            Some(place) => *place,
            None => self.insert(account, Habit::new(super::footprint::day_of(at_ms)), at_ms),
        };
        let entry = &mut self.entries[place];
        let result = change(&mut entry.habit);
        entry.last_ms = entry.last_ms.max(at_ms);
        if !std::mem::replace(&mut entry.changed, true) {
            self.changed.push(account.clone());
        }
        let bytes = bytes_of(&entry.habit);
        self.bytes = self.bytes + bytes - std::mem::replace(&mut entry.bytes, bytes);
        self.make_room(account, bounds);
        result
    }

    /// Changes the habit of an account that has one.
    pub(super) fn change_known(
        &mut self,
        account: &Account,
        at_ms: u64,
        bounds: Bounds,
        change: impl FnOnce(&mut Habit),
    ) {
        if self.places.contains_key(account) {
            self.change(account, at_ms, bounds, change);
        }
    }

    /// Takes back a habit that the store kept.
    pub(super) fn restore(&mut self, account: &Account, habit: Habit, bounds: Bounds) {
        let last_ms = u64::from(habit.today.day) * 86_400_000;
        match self.places.get(account) {
            Some(place) => {
                let entry = &mut self.entries[*place];
                *entry.habit = habit;
                let bytes = bytes_of(&entry.habit);
                self.bytes = self.bytes + bytes - std::mem::replace(&mut entry.bytes, bytes);
            }
            None => {
                self.insert(account, habit, last_ms);
            }
        }
        self.make_room(account, bounds);
    }

    /// The accounts that changed since the last call, at most so many, with what is to be kept; `None` for those that gave
    /// way.
    pub(super) fn changed(&mut self, rows_max: usize) -> Vec<(Account, Option<Vec<u8>>)> {
        let mut rows = Vec::new();
        while rows.len() < rows_max
            && let Some(account) = self.forgotten.pop()
        {
            if !self.places.contains_key(&account) {
                rows.push((account, None));
            }
        }
        while rows.len() < rows_max
            && let Some(account) = self.changed.pop()
        {
            if let Some(place) = self.places.get(&account) {
                let entry = &mut self.entries[*place];
                entry.changed = false;
                rows.push((account, Some(entry.habit.to_bytes())));
            }
        }
        rows
    }

    fn insert(&mut self, account: &Account, habit: Habit, last_ms: u64) -> usize {
        let bytes = bytes_of(&habit);
        self.bytes += bytes;
        self.entries.push(Entry { account: account.clone(), habit: Box::new(habit), bytes, last_ms, changed: false });
        self.places.insert(account.clone(), self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Forgets accounts until both bounds hold; never the one at work.
    fn make_room(&mut self, keep: &Account, bounds: Bounds) {
        while self.entries.len() > 1 && (self.entries.len() > bounds.accounts_max || self.bytes > bounds.bytes_max) {
            let sample = (0..SAMPLE).map(|n| (self.hand + n) % self.entries.len());
            let least = sample
                .filter(|place| self.entries[*place].account != *keep)
                .min_by_key(|place| self.entries[*place].use_hours())
                .unwrap_or(self.hand % self.entries.len());
            // A stride prime to most lengths, so that the samples wander over all.
            self.hand = (self.hand + 7_919) % self.entries.len();
            self.remove(least);
        }
    }

    fn remove(&mut self, place: usize) {
        let gone = self.entries.swap_remove(place);
        self.bytes -= gone.bytes;
        self.places.remove(&gone.account);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.account.clone(), place);
        }
        self.forgotten.push(gone.account);
    }
}

impl Entry {
    fn use_hours(&self) -> u64 {
        self.last_ms / 3_600_000 + u64::from(self.habit.usual.days.min(60)) * HOURS_A_DAY_OF_HABIT
    }
}

fn bytes_of(habit: &Habit) -> usize {
    habit.bytes() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u64) -> Account {
        Account::named(&format!("user{n}@example.org"))
    }

    #[test]
    fn both_bounds_hold_and_the_useful_stay() {
        let hour = 3_600_000;
        for bounds in
            [Bounds { accounts_max: 50, bytes_max: usize::MAX }, Bounds { accounts_max: usize::MAX, bytes_max: 60_000 }]
        {
            let mut accounts = Accounts::default();
            let start = 20_000 * 24 * hour;
            accounts.change(&account(0), start, bounds, |habit| habit.usual.days = 30);
            for n in 1..500 {
                accounts.change(&account(n), start + n * hour / 10, bounds, |_| ());
                assert!(accounts.len() <= bounds.accounts_max && accounts.bytes() <= bounds.bytes_max);
            }
            assert!(accounts.get(&account(0)).is_some(), "a month of habit outlasts names seen once");
            assert!(accounts.get(&account(499)).is_some(), "the newest stays");
            let rows = accounts.changed(usize::MAX);
            let kept = rows.iter().filter(|(_, row)| row.is_some()).count();
            assert_eq!(kept, accounts.len(), "each is written once, and what gave way is deleted");
            assert_eq!(rows.len(), 500);
            assert!(accounts.changed(usize::MAX).is_empty());
        }
    }
}
