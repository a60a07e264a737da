//! What is unlike an account's habit in one message: each sign with its points and the numbers it comes from.
//!
//! Signs of one kind share a ceiling, so that no single kind of novelty holds a message at once: it takes two, or one and a
//! text that looks bad. Signs of a [`campaign`](super::campaign) and of another hand ([`identity`](super::identity)) have
//! files of their own.

use super::campaign::{excess, share_of_strangers};
use super::facet::Familiar;
use super::footprint::Footprint;
use super::habit::Habit;
use super::peers::{Peers, PeersUsual};
use super::recent::Counts;
use super::share::points;
use crate::reason::Reason;
use crate::score::similar::texts;

/// Points of client, program, From, template, language and time of day together, at most.
const IDENTITY_MAX: f64 = 90.0;
/// So many of all addresses that people type do not exist.
const UNKNOWN_MIN: f64 = 0.02;
/// A series is established after so many days of it.
const SERIES_DAYS: u16 = 3;

/// What behaviour says about one message, before it is weighed.
pub(super) struct Signs {
    pub(super) reasons: Vec<Reason>,
    /// From 0 to 1: how much this is one more of a series that has gone out before, to the readers that it has.
    pub(super) established: f64,
}

/// One message in the light of a habit.
pub(super) struct Case<'a> {
    pub(super) habit: &'a Habit,
    pub(super) peers: &'a Peers,
    pub(super) seen: &'a Footprint,
    /// What is known of its text, this message not counted.
    pub(super) text: Option<texts::Known>,
    /// Its recipients.
    pub(super) counts: Counts,
    /// Sites that it leads to and no mail from here did before, short.
    pub(super) new_sites: Vec<u32>,
}

/// One sign.
pub(super) struct Sign {
    pub(super) name: &'static str,
    pub(super) points: f64,
    pub(super) sentence: String,
}

impl Case<'_> {
    /// All signs.
    pub(super) fn signs(&self) -> Signs {
        let established = self.established();
        let calm = 1.0 - 0.6 * established;
        let mut reasons = Vec::new();
        let mut group = |signs: Vec<Option<Sign>>, most: f64| {
            let signs: Vec<Sign> = signs.into_iter().flatten().collect();
            let sum: f64 = signs.iter().map(|sign| sign.points).sum();
            let scale = calm * if sum > most { most / sum } else { 1.0 };
            reasons.extend(signs.into_iter().filter_map(|sign| sign.reason(scale)));
        };
        group(vec![self.copies(established), self.strangers(), self.domains()], self.campaign_max());
        group(vec![self.rush(), self.strangers_all_day(), self.new_links()], f64::INFINITY);
        group(self.identity(), IDENTITY_MAX);
        group(vec![self.volume(), self.large(), self.unknown_users()], f64::INFINITY);
        group(vec![self.held_text()], f64::INFINITY);
        reasons.extend(self.released_text());
        Signs { reasons, established }
    }

    /// Whether it is a further part of the latest message, to other recipients.
    pub(super) fn is_part(&self) -> bool {
        self.counts.part.is_part()
    }

    /// The last hour, this message included.
    pub(super) fn hour(&self) -> Counts {
        let mut hour = self.habit.recent.hour(self.seen.at.0);
        hour.messages += 1;
        hour.recipients = hour.recipients.saturating_add(self.counts.recipients);
        hour.strangers = hour.strangers.saturating_add(self.counts.strangers);
        hour.domains_new = hour.domains_new.saturating_add(self.counts.domains_new);
        hour
    }

    /// Own habit as far as it is grown, else the peers'.
    pub(super) fn expected(&self, own: u32, peers: u32, least: u32) -> f64 {
        let own_weight = self.habit.usual.maturity();
        (f64::from(own) * own_weight + f64::from(peers) * (1.0 - own_weight)).max(f64::from(least))
    }

    fn peers_usual(&self) -> PeersUsual {
        self.peers.usual()
    }

    /// How far the usual share of strangers is known.
    pub(super) fn maturity_of_shares(&self) -> f64 {
        (f64::from(self.habit.usual.messages) / 30.0).min(1.0)
    }

    fn established(&self) -> f64 {
        let days = match self.habit.series.familiar(self.seen.series, self.seen.day()) {
            Familiar::Days(days) if days >= SERIES_DAYS => days,
            _ => return 0.0,
        };
        let layout = if self.habit.layouts.familiar(self.seen.layout, self.seen.day()).is_known() { 1.0 } else { 0.5 };
        let hour = self.hour();
        let strangers = f64::from(hour.strangers) / f64::from(hour.recipients.max(1));
        let more = (strangers - self.habit.usual.strangers.as_f64() - 0.1).max(0.0);
        (f64::from(days) / 4.0).min(1.0) * layout * (1.0 - 2.0 * more).max(0.0)
    }

    fn volume(&self) -> Option<Sign> {
        let (usual, peers) = (&self.habit.usual, self.peers_usual());
        let hour = self.hour();
        let day = self.habit.recent.day_recipients(self.seen.at.0).saturating_add(self.counts.recipients);
        let of_hour = f64::from(hour.recipients) / self.expected(usual.hour.highest(), peers.hour, 10);
        let of_day = f64::from(day) / self.expected(usual.day.highest(), peers.day, 30);
        let ratio = of_hour.max(of_day);
        if ratio <= 1.2 {
            return None;
        }
        // More mail to those it always writes to is a busy day.
        let strangers = self.as_to_strangers();
        let points = (20.0 * ratio.log2()).min(60.0) * (0.4 + 0.6 * strangers);
        let own = usual.days > 0;
        let sentence = match (of_hour >= of_day, own) {
            (true, true) => format!(
                "{} recipients in the last hour; usually {}, at most {} in an hour of the last month",
                hour.recipients,
                usual.hour_mean(),
                usual.hour.highest()
            ),
            (false, true) => {
                format!("{day} recipients in 24 hours; at most {} in the last month", usual.day.highest())
            }
            (true, false) => format!(
                "{} recipients in the last hour from a new account; nine of ten others stay below {}",
                hour.recipients, peers.hour
            ),
            (false, false) => {
                format!("{day} recipients in 24 hours from a new account; nine of ten others stay below {}", peers.day)
            }
        };
        Some(Sign { name: "volume", points, sentence })
    }

    fn large(&self) -> Option<Sign> {
        let expected = self.expected(self.habit.usual.message.highest(), self.peers_usual().message, 10);
        let before = if self.is_part() { self.habit.recent.latest_recipients() } else { 0 };
        let recipients = self.counts.recipients.saturating_add(before);
        let ratio = f64::from(recipients) / expected;
        if ratio <= 1.2 {
            return None;
        }
        let strangers = share_of_strangers(self.counts);
        let sentence = match self.habit.usual.message.highest() {
            0 => format!("{recipients} recipients in one message of a new account"),
            most => format!("{recipients} recipients in one message; at most {most} in the last month"),
        };
        let points = (15.0 * ratio.log2()).min(40.0) * (0.4 + 0.6 * strangers);
        Some(Sign { name: "many-recipients", points, sentence })
    }

    fn unknown_users(&self) -> Option<Sign> {
        let today = &self.habit.today;
        let usual = self.habit.usual.unknown.as_f64();
        let share = f64::from(today.unknown) / f64::from(today.outcomes.max(1));
        // A large part of a few, or more than chance of many.
        let part = 150.0 * (share - usual.max(0.05));
        let many = 15.0 * excess(today.unknown, today.outcomes, usual.max(UNKNOWN_MIN)).unwrap_or(0.0);
        let points = part.max(many).min(60.0);
        (today.unknown >= 3 && points > 0.0).then(|| Sign {
            name: "unknown-users",
            points,
            sentence: format!(
                "{} of {} recipients today do not exist, usually {:.0} %",
                today.unknown,
                today.outcomes,
                self.habit.usual.unknown.as_f64() * 100.0
            ),
        })
    }

    fn held_text(&self) -> Option<Sign> {
        let text = self.text.filter(|text| !text.released)?;
        // What others had held counts against an account that begins with the same text. One that sent it before is
        // perhaps whom they copy.
        let (own, others) = (text.own.held, text.all.held.saturating_sub(text.own.held));
        let counted = if text.own.messages > text.own.held { own.max(others.min(1)) } else { text.all.held };
        let points = match counted {
            0 => return None,
            1 => 40.0,
            2 | 3 => 60.0,
            _ => 90.0,
        };
        let whose = if text.own.held < text.all.held { ", of other accounts too" } else { "" };
        Some(Sign {
            name: "text-was-held",
            points,
            sentence: format!("{} near-copies of this text were held in the last two days{whose}", text.all.held),
        })
    }

    fn released_text(&self) -> Option<Reason> {
        self.text.is_some_and(|text| text.released).then(|| Reason {
            name: "text-was-released".into(),
            points: -150,
            sentence: "a person released a near-copy of this text of the same account in the last two days".into(),
        })
    }
}

impl Sign {
    fn reason(self, scale: f64) -> Option<Reason> {
        let points = points(self.points * scale);
        (points > 0).then(|| Reason { name: self.name.into(), points, sentence: self.sentence.into() })
    }
}
