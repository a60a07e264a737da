//! The sign of links: mail that leads to where no mail from here ever led.
//!
//! People send links now and then, most of them to where others here have sent one before. A thief's mail has one in each
//! message, and changes where it leads, for blocklists learn fast. So what counts is how many messages of a day have a new
//! site, beyond the account's habit, and how many different sites these are: one alone is a new project of somebody's.
//! A new account has its peers' habit for one.

use super::campaign::{excess, share_of_strangers};
use super::identity::unlike;
use super::signals::{Case, Sign};

/// Points of each different site, and how many of them count, in letters to strangers.
const SITE: f64 = 20.0;
const SITES_OF_LETTERS: u32 = 3;
/// The same of letters that no hand sends as fast.
const SITES_IN_A_RUSH: u32 = 5;
/// Points of each message beyond what is usual.
const LETTER: f64 = 8.0;
const LETTER_IN_A_RUSH: f64 = 12.0;
/// How far the peers' habit counts for an account that has none, where nothing is in a hurry.
const PEERS_COUNT: f64 = 0.5;
/// Near-copies to known people from which on they are no more invitations, and how many more until they are strangers' mail.
const CROWD: f64 = 120.0;
/// Points of near-copies to twice as many and more, and of those of another hand at a pace that no hand has.
const UNLIKE_MAX: f64 = 60.0;
/// Points of each further site of near-copies that lead to different ones: nobody writes to friends like that.
const SITE_OF_COPIES: f64 = 15.0;
/// Near-copies before that are no chance, and sites that may differ among them.
const COPIES_MIN: u32 = 3;
const SITES_OF_COPIES_FREE: u32 = 2;
/// All that near-copies have.
const COPIES_MAX: f64 = 90.0;
/// Of which so many are as bad to friends as to strangers.
const COPIES_ELSEWHERE: f64 = 60.0;

impl Case<'_> {
    pub(super) fn new_links(&self) -> Option<Sign> {
        if self.counts.led == 0 || self.is_part() {
            return None;
        }
        let (led, messages) = self.habit.recent.day_led(self.seen.at.0);
        let (led, messages) = (led + self.counts.led, messages + 1);
        let (is_rush, own) = (self.rush_ratio().is_some(), self.habit.usual.maturity_of_links());
        let usual = self.habit.usual.led.as_f64() * own + self.peers.led().as_f64() * (1.0 - own);
        let more = excess(led, messages, usual)?;
        let sites = self.sites();
        let (letter, most) = if is_rush { (LETTER_IN_A_RUSH, SITES_IN_A_RUSH) } else { (LETTER, SITES_OF_LETTERS) };
        let letters = (letter * more).min(SITE * f64::from(sites.min(most))) * self.as_to_strangers();
        let new = if is_rush { 1.0 } else { PEERS_COUNT };
        let (elsewhere, all) = (self.copies_elsewhere(), letters.max(self.copies_unlike()));
        // A new list that speaks of somebody's page is no thief; one that leads elsewhere in each copy is.
        let is_list = self.seen.is_declared_bulk || self.seen.is_answer;
        let of_peers = if is_list { self.of_kind() * elsewhere } else { all.max(elsewhere) } * new;
        Some(Sign {
            name: "new-links",
            points: (all.max(elsewhere) * own).max(of_peers),
            sentence: format!(
                "{led} of {messages} messages of the last day lead to sites that no mail from here led to before, {sites} or \
                 more different ones; usually {:.0} %",
                usual * 100.0
            ),
        })
    }

    /// How far this is like mail to strangers: who is known does not make near-copies better that lead to ever other new
    /// sites, that come from another network by another program, or that go to a crowd.
    pub(super) fn as_to_strangers(&self) -> f64 {
        let strangers = share_of_strangers(self.counts);
        if self.counts.led == 0 || self.is_part() || self.copies_before() < COPIES_MIN {
            return strangers;
        }
        let elsewhere = self.copies_elsewhere() / COPIES_ELSEWHERE;
        strangers.max(elsewhere.min(1.0)).max(self.other_hand()).max(self.crowd())
    }

    /// What near-copies to known people have that are unlike the account all the same.
    fn copies_unlike(&self) -> f64 {
        let is_fast = self.pace_ratio().is_some() && self.copies_before() >= COPIES_MIN;
        let hand = if is_fast { self.other_hand() } else { 0.0 };
        UNLIKE_MAX * hand.max(self.crowd())
    }

    /// From 0 to 1: how far it comes from another network by another program.
    fn other_hand(&self) -> f64 {
        let (habit, seen, day) = (self.habit, self.seen, self.seen.day());
        let client = seen.client.map_or(0.0, |client| unlike(&habit.clients, client.hash, day));
        client.min(unlike(&habit.programs, seen.program, day))
    }

    /// From 0 to 1: how far near-copies go to more people than anybody invites.
    fn crowd(&self) -> f64 {
        ((f64::from(self.copies_before()) - CROWD) / CROWD).clamp(0.0, 1.0)
    }

    fn copies_before(&self) -> u32 {
        self.text.map_or(0, |text| text.own.messages)
    }

    /// What near-copies have whose links lead to different new sites.
    pub(super) fn copies_elsewhere(&self) -> f64 {
        let copies = self.copies_before();
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
