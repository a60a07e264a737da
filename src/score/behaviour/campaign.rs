//! Signs of a campaign: near-copies, strangers, new domains, and a pace that no hand has.

use super::recent::Counts;
use super::signals::{Case, Sign};

/// Messages in two minutes that a hand sends, from a full outbox.
const HAND_PACE_MAX: u32 = 4;
/// Near-copies to so many strangers have so many points where they are sent faster than the account ever sends; more have
/// the last.
const COPIES_IN_A_RUSH: [f64; 8] = [0.0, 0.0, 10.0, 30.0, 55.0, 85.0, 110.0, 120.0];
/// Points of near-copies, strangers and new domains together, at most: for somebody's dozen letters, in a rush, and for
/// a campaign however slow, which goes on from the one to the other by so many points a letter.
const LETTERS_MAX: f64 = 85.0;
const LETTER_MORE: f64 = 6.0;
const RUSH_MAX: f64 = 130.0;
const CAMPAIGN_MAX: f64 = 180.0;
/// Near-copies to strangers in two days that somebody may write by hand.
const LETTERS: u32 = 12;
/// Strangers in a day beyond the usual share that are still a day of many letters; four times as many have 40 points.
const STRANGERS_OF_A_DAY: f64 = 15.0;
/// What is left of near-copies that call themselves bulk and can be left, from an account without a habit.
const DECLARED_BULK: f64 = 0.5;
/// What is left of near-copies of any account without a habit.
const NEW_ACCOUNT: f64 = 0.85;
/// What is left of near-copies that are automatic answers in form.
const ANSWERS: f64 = 0.3;

impl Case<'_> {
    /// What near-copies, strangers and new domains may have together.
    pub(super) fn campaign_max(&self) -> f64 {
        let more = f64::from(self.copies_to_strangers().saturating_sub(LETTERS));
        let slow = (LETTERS_MAX + LETTER_MORE * more).min(CAMPAIGN_MAX);
        if self.rush_ratio().is_some() { slow.max(RUSH_MAX) } else { slow }
    }

    pub(super) fn copies(&self, established: f64) -> Option<Sign> {
        let text = self.text?;
        let messages = text.own.messages + 1;
        let strangers = self.copies_to_strangers();
        // One message to many is not a copy of itself, and a copy to somebody known is none to a stranger.
        if messages < 2 || self.counts.strangers == 0 || self.is_part() {
            return None;
        }
        let recipients = text.own.recipients.saturating_add(self.counts.recipients);
        // A list that is known but for some is no campaign.
        let to_strangers = (3.0 * f64::from(strangers) / f64::from(recipients.max(1))).clamp(0.25, 1.0);
        let day = self.seen.day();
        let template = self.habit.layouts.familiar(self.seen.layout, day).is_known()
            && self.habit.programs.familiar(self.seen.program, day).is_known();
        let usual = self.habit.usual.copies.as_f64() * if template { 1.0 } else { 0.4 };
        let is_new = self.habit.usual.days == 0;
        let kind = match (self.seen.is_answer, is_new) {
            (true, _) | (false, true) => self.of_kind().min(NEW_ACCOUNT),
            (false, false) => 1.0,
        };
        let by_all = match text.accounts {
            0 | 1 => String::new(),
            accounts => format!("; {accounts} accounts sent it"),
        };
        Some(Sign {
            name: "near-copies-to-strangers",
            points: self.copies_points(strangers) * to_strangers * kind * (1.0 - usual.max(established)).max(0.0),
            sentence: format!(
                "{messages} near-copies of this text in two days, to {strangers} recipients that the account never wrote \
                 to before{by_all}"
            ),
        })
    }

    /// Of the text's recipients in two days, this message's among them, those new to the account.
    fn copies_to_strangers(&self) -> u32 {
        self.text.map_or(0, |text| text.own.strangers.saturating_add(self.counts.strangers))
    }

    fn copies_points(&self, strangers: u32) -> f64 {
        if self.rush_ratio().is_some() {
            let step = usize::try_from(strangers).unwrap_or(usize::MAX).min(COPIES_IN_A_RUSH.len() - 1);
            return COPIES_IN_A_RUSH[step].max(slow_points(strangers));
        }
        slow_points(strangers)
    }

    pub(super) fn strangers(&self) -> Option<Sign> {
        // The owner's letters to known people do not pay for what a thief sends beside them.
        if self.counts.strangers == 0 {
            return None;
        }
        let hour = self.hour();
        let usual = self.habit.usual.strangers.as_f64();
        let more = excess(hour.strangers, hour.recipients, usual)?;
        let most = if self.rush_ratio().is_some() { 70.0 } else { 50.0 };
        Some(Sign {
            name: "strangers",
            points: (10.0 * more).min(most) * self.maturity_of_shares(),
            sentence: format!(
                "{} of {} recipients of the last hour are new to the account, usually {:.0} %",
                hour.strangers,
                hour.recipients,
                usual * 100.0
            ),
        })
    }

    /// Strangers beyond what is usual, all day long: texts that differ, at a pace that no hour shows.
    pub(super) fn strangers_all_day(&self) -> Option<Sign> {
        if self.counts.strangers == 0 {
            return None;
        }
        let at_ms = self.seen.at.0;
        let strangers = self.habit.recent.day_strangers(at_ms).saturating_add(self.counts.strangers);
        let recipients = self.habit.recent.day_recipients(at_ms).saturating_add(self.counts.recipients);
        let usual = self.habit.usual.strangers.as_f64();
        let ratio = excess(strangers, recipients, usual)? / STRANGERS_OF_A_DAY;
        let kind = if self.seen.is_answer { ANSWERS } else { 1.0 };
        (ratio > 1.0).then(|| Sign {
            name: "strangers-all-day",
            points: (20.0 * ratio.log2()).min(60.0) * kind * self.maturity_of_shares(),
            sentence: format!(
                "{strangers} of {recipients} recipients of the last day are new to the account, usually {:.0} %",
                usual * 100.0
            ),
        })
    }

    pub(super) fn domains(&self) -> Option<Sign> {
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

    /// Mail to strangers at a pace that the account never had.
    pub(super) fn rush(&self) -> Option<Sign> {
        let to_strangers = self.as_to_strangers();
        let ratio = self.pace_ratio().filter(|_| to_strangers > 0.0)?;
        // Who always writes to strangers has customers, and they come in rushes.
        let rare = 1.0 - 0.5 * self.habit.usual.strangers.as_f64();
        let own = self.habit.usual.pace.highest();
        let usual = match self.habit.usual.days {
            0 => "it is a new account".to_owned(),
            _ => format!("at most {own} in the last month"),
        };
        Some(Sign {
            name: "rush",
            points: (30.0 + 20.0 * ratio.log2()).min(60.0) * to_strangers * rare * self.maturity_of_pace(),
            sentence: format!("{} messages within two minutes; {usual}", self.pace()),
        })
    }

    /// [`Self::pace_ratio`] of mail to strangers.
    pub(super) fn rush_ratio(&self) -> Option<f64> {
        self.pace_ratio().filter(|_| self.counts.strangers > 0)
    }

    /// How many times as fast as ever before and as a hand, where that is much.
    pub(super) fn pace_ratio(&self) -> Option<f64> {
        let own = self.habit.usual.pace.highest();
        let usual = self.expected(own, self.peers.usual().pace, HAND_PACE_MAX.max(own));
        let ratio = f64::from(self.pace()) / usual;
        (ratio >= 1.25 && !self.is_part()).then_some(ratio)
    }

    /// How far the pace is known. To be fast is no sign against a new account, but for one that
    /// leads to new sites and says of no list how to leave it.
    fn maturity_of_pace(&self) -> f64 {
        let is_strange = self.counts.led > 0 && !self.seen.is_declared_bulk && !self.seen.is_answer;
        if is_strange { 1.0 } else { self.habit.usual.maturity() }
    }

    /// What is left of signs that a new account's answers and declared bulk have as well.
    pub(super) fn of_kind(&self) -> f64 {
        match (self.seen.is_answer, self.seen.is_declared_bulk) {
            (true, _) => ANSWERS,
            (false, true) => DECLARED_BULK,
            (false, false) => 1.0,
        }
    }

    /// Messages of this minute and the one before, this one among them.
    fn pace(&self) -> u32 {
        self.habit.recent.pace(self.seen.at.0) + 1
    }
}

/// What near-copies to so many strangers have at the pace of a hand: half of the way at a dozen, all at forty.
fn slow_points(strangers: u32) -> f64 {
    match strangers {
        0 | 1 => 0.0,
        2..=LETTERS => 10.0 + 8.0 * f64::from(strangers - 2),
        _ => (90.0 + 1.5 * f64::from(strangers - LETTERS)).min(130.0),
    }
}

/// Of a message's recipients, those that the account never wrote to.
pub(super) fn share_of_strangers(counts: Counts) -> f64 {
    f64::from(counts.strangers) / f64::from(counts.recipients.max(1))
}

/// By how many a count is over what its usual share explains: two standard deviations and one more are chance.
pub(super) fn excess(part: u32, whole: u32, usual: f64) -> Option<f64> {
    let (part, whole) = (f64::from(part), f64::from(whole));
    let more = part - whole * usual - 2.0 * (whole * usual * (1.0 - usual)).sqrt() - 1.0;
    (more > 0.0).then_some(more)
}
