//! The sign of links: mail that leads to where no mail from here ever led.
//!
//! People send links now and then, most of them to where others here have sent one before. A thief's mail has one in each
//! message, and changes where it leads, for blocklists learn fast. So what counts is how many messages of a day have a new
//! site, beyond the account's habit, and how many different sites these are: one alone is a new project of somebody's.

use super::campaign::{excess, share_of_strangers};
use super::signals::{Case, Sign};

/// Points of each different site, and how many of them count, in letters to strangers.
const SITE: f64 = 20.0;
const SITES_OF_LETTERS: u32 = 3;
/// Points of each further site of near-copies that lead to different ones: nobody writes to friends like that.
const SITE_OF_COPIES: f64 = 15.0;
/// Near-copies before that are no chance, and sites that may differ among them.
const COPIES_MIN: u32 = 3;
const SITES_OF_COPIES_FREE: u32 = 2;
/// All that near-copies have.
const COPIES_MAX: f64 = 90.0;

impl Case<'_> {
    pub(super) fn new_links(&self) -> Option<Sign> {
        if self.counts.led == 0 || self.is_part() {
            return None;
        }
        let (led, messages) = self.habit.recent.day_led(self.seen.at.0);
        let (led, messages) = (led + self.counts.led, messages + 1);
        let usual = self.habit.usual.led.as_f64();
        let more = excess(led, messages, usual)?;
        let sites = self.sites();
        let letters = (8.0 * more).min(SITE * f64::from(sites.min(SITES_OF_LETTERS))) * share_of_strangers(self.counts);
        Some(Sign {
            name: "new-links",
            points: letters.max(self.copies_elsewhere()) * self.habit.usual.maturity_of_links(),
            sentence: format!(
                "{led} of {messages} messages of the last day lead to sites that no mail from here led to before, {sites} or \
                 more different ones; usually {:.0} %",
                usual * 100.0
            ),
        })
    }

    /// What near-copies have whose links lead to different new sites.
    pub(super) fn copies_elsewhere(&self) -> f64 {
        let copies = self.text.map_or(0, |text| text.own.messages);
        if self.counts.led == 0 || copies < COPIES_MIN {
            return 0.0;
        }
        let sites = self.sites().min(copies + 1);
        (SITE_OF_COPIES * f64::from(sites.saturating_sub(SITES_OF_COPIES_FREE))).min(COPIES_MAX)
    }

    /// Different new sites of the last day, this message's among them; at most as many as are remembered.
    fn sites(&self) -> u32 {
        self.habit.recent.sites_with(&self.new_sites, self.seen.at.0)
    }
}
