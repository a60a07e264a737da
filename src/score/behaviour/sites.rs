//! Where links of mail from here have led: sites that anybody here wrote of on a day before.
//!
//! A site is a registered domain. One that turned up first today is no habit until tomorrow, and one of a day that was no
//! example ([`Today::is_spoiled`](super::usual::Today::is_spoiled)) is forgotten with it: a thief's links do not make
//! themselves known.

use std::collections::VecDeque;

use super::bytes::{Reader, Writer};
use super::habit::week_of;
use super::known::Known;

/// Days after which enough sites are known to call another one new.
const GROWING_DAYS: u16 = 7;
/// Sites that were seen once so far; past it the oldest is forgotten.
const ONCE_MAX: usize = 1_024;
/// Of these one account's that do not give way before others': who brings more forgets its own.
const SHARE_MAX: usize = 128;

/// The sites.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sites {
    /// The first day of which sites are known; 0: none yet.
    since: u16,
    /// Seen on two days at least.
    known: Known<8_192>,
    /// Seen on one day so far, the oldest first.
    once: VecDeque<Once>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Once {
    site: u64,
    day: u16,
    /// Whose mail led there first.
    account: u32,
}

impl Sites {
    /// Whether enough is known to call a site new.
    pub(super) fn are_grown(&self, day: u16) -> bool {
        self.since != 0 && day >= self.since.saturating_add(GROWING_DAYS)
    }

    /// Whether no mail led there before that day.
    pub(super) fn is_new(&self, site: u64, day: u16) -> bool {
        !self.known.has(site, week_of(day)) && !self.once.iter().any(|once| once.site == site && once.day < day)
    }

    /// Mail of that account leads there.
    pub(super) fn learn(&mut self, site: u64, account: u32, day: u16) {
        if self.since == 0 {
            self.since = day;
        }
        let once = self.once.iter().position(|once| once.site == site);
        let is_older = once.is_some_and(|at| self.once[at].day < day);
        if is_older || self.known.has(site, week_of(day)) {
            self.known.learn(site, week_of(day));
            once.and_then(|at| self.once.remove(at));
        } else if once.is_none() {
            if self.once.len() >= ONCE_MAX {
                self.give_way(account);
            }
            self.once.push_back(Once { site, day, account });
        }
    }

    /// Forgets the oldest: that account's, where it has its share.
    fn give_way(&mut self, account: u32) {
        let is_own = |once: &Once| once.account == account;
        let own = self.once.iter().filter(|once| is_own(once)).count();
        let oldest = if own < SHARE_MAX { Some(0) } else { self.once.iter().position(is_own) };
        oldest.and_then(|at| self.once.remove(at));
    }

    /// Forgets what that account brought on that day.
    pub(super) fn forget_day(&mut self, account: u32, day: u16) {
        self.once.retain(|once| (once.account, once.day) != (account, day));
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u16(self.since);
        self.known.write(to);
        to.u32(u32::try_from(self.once.len()).unwrap_or(u32::MAX));
        for once in &self.once {
            to.u64(once.site);
            to.u16(once.day);
            to.u32(once.account);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut sites = Self { since: from.u16()?, known: Known::read(from)?, once: VecDeque::new() };
        let len = usize::try_from(from.u32()?).ok().filter(|len| *len <= ONCE_MAX)?;
        for _ in 0..len {
            sites.once.push_back(Once { site: from.u64()?, day: from.u16()?, account: from.u32()? });
        }
        Some(sites)
    }
}

#[cfg(test)]
mod tests {
    use super::super::footprint::hash;
    use super::*;

    fn site(n: u16) -> u64 {
        hash(2, format!("site{n}.example").as_bytes())
    }

    #[test]
    fn a_site_is_known_from_the_next_day_on_unless_that_day_was_spoiled() {
        let mut sites = Sites::default();
        assert!(!sites.are_grown(100));
        sites.learn(site(1), 7, 100);
        assert!(!sites.are_grown(106) && sites.are_grown(107));
        assert!(sites.is_new(site(1), 100), "the same day");
        assert!(!sites.is_new(site(1), 101) && sites.is_new(site(2), 101));
        sites.learn(site(1), 7, 101);
        sites.learn(site(2), 8, 101);
        sites.forget_day(8, 101);
        assert!(sites.is_new(site(2), 102), "a thief's");
        sites.forget_day(7, 100);
        assert!(!sites.is_new(site(1), 102), "seen on two days");
        assert!(sites.is_new(site(1), 101 + 27 * 7), "half a year later");
    }

    #[test]
    fn a_flood_of_sites_leaves_what_is_known() {
        let mut sites = Sites::default();
        sites.learn(site(0), 1, 100);
        sites.learn(site(0), 1, 101);
        (1..5_000).for_each(|n| sites.learn(site(n), 2, 101));
        assert_eq!(sites.once.len(), ONCE_MAX);
        assert!(!sites.is_new(site(0), 102) && sites.is_new(site(1), 102) && !sites.is_new(site(4_999), 102));
        let mut to = Writer::default();
        sites.write(&mut to);
        let bytes = to.finish();
        assert_eq!(Sites::read(&mut Reader::new(&bytes)), Some(sites));
        assert!(Sites::read(&mut Reader::new(&bytes[..bytes.len() - 1])).is_none(), "cut short");
    }
    #[test]
    fn a_flood_of_one_account_leaves_what_others_brought() {
        let mut sites = Sites::default();
        (0..500).for_each(|n| sites.learn(site(n), 1, 100));
        (500..5_500).for_each(|n| sites.learn(site(n), 2, 101));
        assert!((0..500).all(|n| !sites.is_new(site(n), 102)));
        // Who has less than a share gets room all the same.
        sites.learn(site(6_000), 3, 101);
        assert!(sites.once.len() == ONCE_MAX && !sites.is_new(site(6_000), 102));
    }
}
