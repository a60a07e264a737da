//! What is unlike an account's habit in one message: each sign with its points and the numbers it comes from.
//!
//! Signs of one kind share a ceiling ([`CAMPAIGN_MAX`], [`IDENTITY_MAX`]), so that no single kind of novelty holds a
//! message: it takes two, or one and a text that looks bad.

use super::facet::{Facet, Familiar};
use super::footprint::Footprint;
use super::habit::Habit;
use super::peers::{Peers, PeersUsual};
use super::recent::Counts;
use super::share::points;
use crate::reason::Reason;
use crate::score::similar::texts;

/// Points of near-copies, strangers and new domains together, at most.
const CAMPAIGN_MAX: f64 = 130.0;
/// Points of client, program, From, template, language and time of day together, at most.
const IDENTITY_MAX: f64 = 90.0;
/// Near-copies to so many strangers have so many points; more have the last.
const COPIES: [f64; 8] = [0.0, 0.0, 10.0, 30.0, 55.0, 85.0, 110.0, 120.0];
/// Days of mail before a new client, program, From … means anything.
const IDENTITY_DAYS: u16 = 5;
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
}

struct Sign {
    name: &'static str,
    points: f64,
    sentence: String,
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
        group(vec![self.copies(established), self.strangers(), self.domains()], CAMPAIGN_MAX);
        group(self.identity(), IDENTITY_MAX);
        group(vec![self.volume(), self.large(), self.unknown_users()], f64::INFINITY);
        group(vec![self.held_text()], f64::INFINITY);
        reasons.extend(self.released_text());
        Signs { reasons, established }
    }

    /// The last hour, this message included.
    fn hour(&self) -> Counts {
        let mut hour = self.habit.recent.hour(self.seen.at.0);
        hour.messages += 1;
        hour.recipients = hour.recipients.saturating_add(self.counts.recipients);
        hour.strangers = hour.strangers.saturating_add(self.counts.strangers);
        hour.domains_new = hour.domains_new.saturating_add(self.counts.domains_new);
        hour
    }

    /// Own habit as far as it is grown, else the peers'.
    fn expected(&self, own: u32, peers: u32, least: u32) -> f64 {
        let own_weight = self.habit.usual.maturity();
        (f64::from(own) * own_weight + f64::from(peers) * (1.0 - own_weight)).max(f64::from(least))
    }

    fn peers_usual(&self) -> PeersUsual {
        self.peers.usual()
    }

    /// How far the usual share of strangers is known.
    fn maturity_of_shares(&self) -> f64 {
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

    fn copies(&self, established: f64) -> Option<Sign> {
        let text = self.text?;
        let messages = text.own.messages + 1;
        let strangers = text.own.strangers.saturating_add(self.counts.strangers);
        // One message to many is not a copy of itself, and a copy to somebody known is none to a stranger.
        if messages < 2 || self.counts.strangers == 0 {
            return None;
        }
        let steps = usize::try_from(strangers).unwrap_or(usize::MAX).min(COPIES.len() - 1);
        let day = self.seen.day();
        let template = self.habit.layouts.familiar(self.seen.layout, day).is_known()
            && self.habit.programs.familiar(self.seen.program, day).is_known();
        let usual = self.habit.usual.copies.as_f64() * if template { 1.0 } else { 0.4 };
        let newcomer = if self.habit.usual.days == 0 { 0.85 } else { 1.0 };
        let by_all = match text.accounts {
            0 | 1 => String::new(),
            accounts => format!("; {accounts} accounts sent it"),
        };
        Some(Sign {
            name: "near-copies-to-strangers",
            points: COPIES[steps] * (1.0 - usual.max(established)).max(0.0) * newcomer,
            sentence: format!(
                "{messages} near-copies of this text in two days, to {strangers} recipients that the account never wrote \
                 to before{by_all}"
            ),
        })
    }

    fn strangers(&self) -> Option<Sign> {
        // The owner's letters to known people do not pay for what a thief sends beside them.
        if self.counts.strangers == 0 {
            return None;
        }
        let hour = self.hour();
        let usual = self.habit.usual.strangers.as_f64();
        let more = excess(hour.strangers, hour.recipients, usual)?;
        Some(Sign {
            name: "strangers",
            points: (10.0 * more).min(50.0) * self.maturity_of_shares(),
            sentence: format!(
                "{} of {} recipients of the last hour are new to the account, usually {:.0} %",
                hour.strangers,
                hour.recipients,
                usual * 100.0
            ),
        })
    }

    fn domains(&self) -> Option<Sign> {
        if self.counts.strangers == 0 {
            return None;
        }
        let hour = self.hour();
        let usual = self.habit.usual.domains_new.as_f64();
        let more = excess(hour.domains_new, hour.recipients, usual)?;
        let week = super::habit::week_of(self.seen.day());
        let known = self.seen.domains.iter().filter(|hash| self.peers.knows_domain(**hash, week)).count();
        // Where others write to as well is less strange.
        let strange = if known * 2 > self.seen.domains.len() { 0.5 } else { 1.0 };
        Some(Sign {
            name: "new-domains",
            points: (6.0 * more).min(25.0) * strange * self.maturity_of_shares(),
            sentence: format!(
                "{} domains of recipients in the last hour that the account never wrote to, usually {:.0} in 100 recipients",
                hour.domains_new,
                usual * 100.0
            ),
        })
    }

    fn identity(&self) -> Vec<Option<Sign>> {
        let (habit, seen) = (self.habit, self.seen);
        if habit.usual.days < IDENTITY_DAYS {
            return Vec::new();
        }
        let client = seen.client.and_then(|client| {
            let sentence = format!("{} is in a network that the account never sent from", client.address);
            self.new_value("new-client", 30.0, &habit.clients, client.hash, sentence)
        });
        let language = seen.language.and_then(|language| {
            let sentence = format!("the text is in {}, which the account does not write", language.name());
            self.new_value("new-language", 20.0, &habit.languages, seen.language_hash(), sentence)
        });
        let from = self.new_value(
            "new-from",
            15.0,
            &habit.froms,
            seen.from,
            "a From address that the account never used".to_owned(),
        );
        let program = self.new_value(
            "new-program",
            20.0,
            &habit.programs,
            seen.program,
            "written by a program that the account never used".to_owned(),
        );
        let layout = self.new_value(
            "new-template",
            10.0,
            &habit.layouts,
            seen.layout,
            "built unlike all mail of the account so far".to_owned(),
        );
        vec![client, program, language, from, self.rotating(), layout, self.odd_time()]
    }

    /// A value that was not there before today, weighed by how rare that is for the account.
    fn new_value<const N: usize>(
        &self,
        name: &'static str,
        most: f64,
        facet: &Facet<N>,
        hash: u32,
        sentence: String,
    ) -> Option<Sign> {
        let day = self.seen.day();
        let is_new = hash != 0 && !facet.familiar(hash, day).is_known() && facet.len_before(day) > 0;
        let rare = 1.0 - facet.new_days().as_f64();
        is_new.then_some(Sign { name, points: most * rare, sentence })
    }

    fn rotating(&self) -> Option<Sign> {
        let (froms, day) = (&self.habit.froms, self.seen.day());
        let today = froms.new_on(day) + usize::from(froms.familiar(self.seen.from, day) == Familiar::Never);
        (today >= 3).then(|| Sign {
            name: "many-froms",
            points: 25.0 * (1.0 - froms.new_days().as_f64()),
            sentence: format!("at least {today} From addresses today that the account never used"),
        })
    }

    fn odd_time(&self) -> Option<Sign> {
        let usual = &self.habit.usual;
        if usual.days < 10 {
            return None;
        }
        let hour = usual.is_new_hour(self.seen.at.0);
        let weekday = usual.days >= 20 && usual.is_new_weekday(self.seen.day());
        let (points, what) = match (hour, weekday) {
            (true, true) => (20.0, "time of day and on a day of the week"),
            (true, false) => (15.0, "time of day"),
            (false, true) => (8.0, "day of the week"),
            (false, false) => return None,
        };
        let sentence = format!("sent at a {what} at which the account has not written for weeks");
        Some(Sign { name: "odd-time", points, sentence })
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
        let strangers = f64::from(self.counts.strangers) / f64::from(self.counts.recipients.max(1));
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
        let ratio = f64::from(self.counts.recipients) / expected;
        if ratio <= 1.2 {
            return None;
        }
        let strangers = f64::from(self.counts.strangers) / f64::from(self.counts.recipients.max(1));
        let sentence = match self.habit.usual.message.highest() {
            0 => format!("{} recipients in one message of a new account", self.counts.recipients),
            most => format!("{} recipients in one message; at most {most} in the last month", self.counts.recipients),
        };
        let points = (15.0 * ratio.log2()).min(40.0) * (0.4 + 0.6 * strangers);
        Some(Sign { name: "many-recipients", points, sentence })
    }

    fn unknown_users(&self) -> Option<Sign> {
        let today = &self.habit.today;
        let usual = self.habit.usual.unknown.as_f64().max(0.05);
        let share = f64::from(today.unknown) / f64::from(today.outcomes.max(1));
        (today.unknown >= 3 && share > usual).then(|| Sign {
            name: "unknown-users",
            points: (150.0 * (share - usual)).min(60.0),
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
        let points = match text.all.held {
            0 => return None,
            1 => 40.0,
            2 | 3 => 60.0,
            _ => 90.0,
        };
        let others = if text.own.held < text.all.held { ", of other accounts too" } else { "" };
        Some(Sign {
            name: "text-was-held",
            points,
            sentence: format!("{} near-copies of this text were held in the last two days{others}", text.all.held),
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

/// By how many a count is over what its usual share explains: two standard deviations and one more are chance.
fn excess(part: u32, whole: u32, usual: f64) -> Option<f64> {
    let (part, whole) = (f64::from(part), f64::from(whole));
    let more = part - whole * usual - 2.0 * (whole * usual * (1.0 - usual)).sqrt() - 1.0;
    (more > 0.0).then_some(more)
}
