//! How much waits, by account: what the cap of waiting mail is judged by.

use std::collections::HashMap;

use crate::account::Account;

/// Deliveries that wait, are held or under way.
#[derive(Debug)]
pub(super) struct WaitingLoad {
    by_account: HashMap<Account, u64>,
    all: u64,
    /// The account of reports and of outguard's own mail, which no cap keeps out.
    pub(super) own_account: Account,
}

impl WaitingLoad {
    pub(super) fn new(own_account: Account, counted: Vec<(Account, u64)>) -> Self {
        let all = counted.iter().map(|(_, n)| n).sum();
        Self { by_account: counted.into_iter().collect(), all, own_account }
    }

    pub(super) fn add(&mut self, account: &Account, deliveries: u64) {
        self.all += deliveries;
        match self.by_account.get_mut(account) {
            Some(count) => *count += deliveries,
            None => drop(self.by_account.insert(account.clone(), deliveries)),
        }
    }

    pub(super) fn remove(&mut self, account: &Account, deliveries: u64) {
        self.all = self.all.saturating_sub(deliveries);
        if let Some(count) = self.by_account.get_mut(account) {
            *count = count.saturating_sub(deliveries);
            if *count == 0 {
                self.by_account.remove(account);
            }
        }
    }

    pub(super) fn of(&self, account: &Account) -> u64 {
        self.by_account.get(account).copied().unwrap_or(0)
    }

    pub(super) fn all(&self) -> u64 {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_and_go() {
        let (a, b) = (Account::named("a"), Account::named("b"));
        let mut load = WaitingLoad::new(b.clone(), vec![(a.clone(), 3)]);
        load.add(&b, 2);
        load.remove(&a, 3);
        assert_eq!((load.of(&a), load.of(&b), load.all(), load.by_account.len()), (0, 2, 2, 1));
    }
}
