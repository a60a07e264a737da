//! What an account usually does, and what in a message is unlike it.
//!
//! [`Behaviour`] holds a bounded memory: a [`habit`] of each account, the pooled habit of all ([`peers`]), which stands in
//! for that of a new account, and the texts of the last two days over all accounts ([`similar`](super::similar)).
//! [`Behaviour::assess`] changes nothing. Learning is told: [`Behaviour::accepted`] after the verdict, what became of held
//! mail by [`Behaviour::released`], replies of the next hop by [`Behaviour::outcome`]. Held mail counts as an attempt and
//! teaches nothing; a day on which much was held is no part of the habit; what is new today is known from tomorrow on: a
//! hijack must not teach itself. Pure. Read [`signals`], [`campaign`] and [`identity`] for the points, [`usual`] for what is
//! learned.

mod accounts;
pub(in crate::score) mod bytes;
mod campaign;
mod facet;
mod footprint;
mod habit;
mod identity;
mod known;
pub(in crate::score) mod language;
mod links;
mod parts;
mod peers;
mod recent;
pub mod settings;
pub(in crate::score) mod share;
mod signals;
mod sites;
mod usual;

pub use footprint::{Footprint, Template, list_id, list_id_of};
pub use habit::Judged;
pub use settings::{BehaviourSettings, Suspend, Weigh};

use std::borrow::Cow;

use accounts::{Accounts, Bounds};
use habit::{AmongCopies, Habit, week_of};
use parts::Part;
use peers::Peers;
use recent::Counts;
use signals::Case;

use super::Submission;
use super::similar::texts::{Copies, Texts};
use crate::account::Account;
use crate::clock::WallMs;
use crate::reason::Reason;

/// The memory of behaviour.
#[derive(Debug)]
pub struct Behaviour {
    settings: BehaviourSettings,
    /// When the first message ever was seen.
    since: Option<WallMs>,
    accounts: Accounts,
    peers: Peers,
    peers_changed: bool,
    texts: Texts,
}

/// What behaviour says about one message.
#[derive(Debug, Clone, Default)]
pub struct Assessment {
    /// The signs, with their points.
    pub reasons: Vec<Reason>,
    /// From 0 to 1: how much this is one more of a series that has gone out for weeks, to the readers that it has.
    pub established: f64,
    /// What [`Behaviour::accepted`] learns. `None` where there is nobody to learn about.
    pub footprint: Option<Footprint>,
}

/// That an account should be suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspendAdvice {
    /// Whom.
    pub account: Account,
    /// Messages of the last hour that were held.
    pub held: u32,
    /// All messages of the last hour.
    pub messages: u32,
    /// What the settings want done.
    pub deed: Suspend,
}

/// What a next hop said to one recipient, as far as it teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken.
    Delivered,
    /// No such user (5.1.1, 5.1.6, 5.1.10, 5.2.1).
    UnknownUser,
    /// Refused by reputation, policy or content (5.7.x and the like).
    RefusedAsSpam,
}

/// A row of the memory that the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which table of the memory.
    pub kind: RowKind,
    /// Its key: an account, a text, empty for the pool.
    pub key: String,
    /// The bytes to keep; `None` deletes the row.
    pub bytes: Option<Vec<u8>>,
}

/// What a [`Row`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// The habit of one account, or the pool of all with an empty key.
    Habit,
    /// A text of the last two days.
    Sighting,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Accounts with a habit.
    pub accounts: usize,
    /// Bytes of all habits.
    pub habits_bytes: usize,
    /// Texts of the last two days.
    pub texts: usize,
    /// Their bytes, and those of the index by which they are found.
    pub texts_bytes: usize,
}

impl Behaviour {
    /// An empty memory. `since` is when the first message ever was seen here, where that is known.
    pub fn new(settings: BehaviourSettings, since: Option<WallMs>) -> Self {
        let texts = Texts::new(settings.texts_max);
        Self { settings, since, accounts: Accounts::default(), peers: Peers::default(), peers_changed: false, texts }
    }

    /// Takes over settings that were read again. Another number of texts begins their two days anew.
    pub fn set(&mut self, settings: BehaviourSettings) {
        if settings.texts_max != self.settings.texts_max {
            self.texts = Texts::new(settings.texts_max);
        }
        self.settings = settings;
    }

    /// What is unlike the account's habit in this message. Changes nothing.
    pub fn assess(&self, submission: &Submission<'_>) -> Assessment {
        Footprint::of(submission).map(|seen| self.assess_seen(seen)).unwrap_or_default()
    }

    /// The same of a footprint that was made before: making it reads the text, and needs nothing of this memory.
    pub fn assess_seen(&self, seen: Footprint) -> Assessment {
        // The first message of a day is seen with the day before as part of the habit, or as none if it was spoiled.
        let habit = match self.accounts.get(&seen.account) {
            Some(habit) if seen.day() <= habit.today.day => Cow::Borrowed(habit),
            Some(habit) => {
                let mut habit = habit.clone();
                habit.turn(seen.day());
                Cow::Owned(habit)
            }
            None => Cow::Owned(Habit::new(seen.day())),
        };
        let text = seen
            .signature
            .map(|signature| self.texts.known(&signature, seen.account_hash(), seen.at.0).unwrap_or_default());
        let (counts, new_sites) = count(&self.peers, &habit, &seen);
        let signs = Case { habit: &habit, peers: &self.peers, seen: &seen, text, counts, new_sites }.signs();
        let reasons = signs.reasons.into_iter().map(|reason| self.weigh(reason, seen.at)).collect();
        Assessment { reasons, established: signs.established, footprint: Some(seen) }
    }

    /// A message was accepted after its verdict: it counts as an attempt and, if it left, is learned.
    pub fn accepted(&mut self, seen: &Footprint, judged: Judged) -> Option<SuspendAdvice> {
        self.since.get_or_insert(seen.at);
        self.end_day_of(seen);
        let bounds = self.bounds();
        let (texts, peers) = (&mut self.texts, &self.peers);
        let advice = self.accounts.change(&seen.account, seen.at.0, bounds, |habit| {
            let (counts, new_sites) = count(peers, habit, seen);
            habit.recent.add_sites(&new_sites, seen.at.0);
            let copy = count_text(texts, seen, counts, judged);
            habit.accepted(seen, counts, copy, judged);
            let hour = habit.recent.hour(seen.at.0);
            (judged == Judged::Held).then_some((hour.held, hour.messages))
        });
        if judged == Judged::Sent {
            self.learn_domains(seen);
        }
        let (held, messages) = advice?;
        let deed = self.settings.suspend;
        let is_due = deed != Suspend::Off && held >= self.settings.suspend_held && held * 2 >= messages;
        is_due.then(|| SuspendAdvice { account: seen.account.clone(), held, messages, deed })
    }

    /// A person called a message spam: its near-copies do not pass by an earlier release.
    pub fn rejected(&mut self, seen: &Footprint) {
        if let Some(signature) = seen.signature {
            self.texts.reject(&signature, seen.account_hash());
        }
    }

    /// A person released a held message: it becomes habit after all, and its near-copies pass for two days from `now` on.
    /// Its footprint is made anew from the stored message.
    pub fn released(&mut self, seen: &Footprint, now: WallMs) {
        self.end_day_of(seen);
        let bounds = self.bounds();
        let mut copy = AmongCopies { to_stranger: false, recipients: seen.recipients_len };
        if let Some(signature) = seen.signature {
            self.texts.release(&signature, seen.account_hash(), now.0);
            // It was counted when it was held.
            let known = self.texts.known(&signature, seen.account_hash(), seen.at.0).unwrap_or_default();
            copy.recipients = copy.recipients.max(known.own.recipients);
        }
        self.accounts.change(&seen.account, seen.at.0, bounds, |habit| habit.released(seen, copy));
        self.learn_domains(seen);
    }

    /// What a next hop said to one recipient of the account's.
    pub fn outcome(&mut self, account: &Account, outcome: Outcome, at: WallMs) {
        let bounds = self.bounds();
        self.accounts.change_known(account, at.0, bounds, |habit| {
            let today = &mut habit.today;
            today.outcomes = today.outcomes.saturating_add(1);
            today.unknown = today.unknown.saturating_add(u32::from(outcome == Outcome::UnknownUser));
            today.refused = today.refused.saturating_add(u32::from(outcome == Outcome::RefusedAsSpam));
        });
    }

    /// What changed since the last call, at most so many rows; the daemon writes them every few seconds, and a crash loses
    /// what came after.
    pub fn changed(&mut self, rows_max: usize) -> Vec<Row> {
        let habit = |(account, bytes): (Account, _)| Row { kind: RowKind::Habit, key: account.to_string(), bytes };
        let mut rows: Vec<Row> = self.accounts.changed(rows_max).into_iter().map(habit).collect();
        if rows.len() < rows_max && std::mem::take(&mut self.peers_changed) {
            rows.push(Row { kind: RowKind::Habit, key: String::new(), bytes: Some(self.peers.to_bytes()) });
        }
        let texts = self.texts.changed(rows_max - rows.len().min(rows_max));
        rows.extend(texts.into_iter().map(|(key, bytes)| Row {
            kind: RowKind::Sighting,
            key: format!("{key:016x}"),
            bytes,
        }));
        rows
    }

    /// Takes back a row that [`Behaviour::changed`] gave; `false` if it is broken or of another version and can be deleted.
    pub fn restore(&mut self, kind: RowKind, key: &str, bytes: &[u8]) -> bool {
        match kind {
            RowKind::Sighting => self.texts.restore(bytes),
            RowKind::Habit if key.is_empty() => Peers::from_bytes(bytes).map(|peers| self.peers = peers).is_some(),
            RowKind::Habit => {
                let Some(habit) = Habit::from_bytes(bytes) else { return false };
                let first = WallMs(u64::from(habit.first_day) * 86_400_000);
                self.since = Some(self.since.map_or(first, |since| since.min(first)));
                self.accounts.restore(&Account::named(key), habit, self.bounds());
                true
            }
        }
    }

    /// How much is remembered.
    pub fn remembered(&self) -> Remembered {
        Remembered {
            accounts: self.accounts.len(),
            habits_bytes: self.accounts.bytes(),
            texts: self.texts.len(),
            texts_bytes: self.texts.bytes(),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds { accounts_max: self.settings.accounts_max, bytes_max: self.settings.habits_bytes_max }
    }

    fn weigh(&self, reason: Reason, at: WallMs) -> Reason {
        let watch_ms = u64::try_from(self.settings.watch_first.as_millis()).unwrap_or(u64::MAX);
        let watched_ms = self.since.map_or(0, |since| at.0.saturating_sub(since.0));
        let why = match self.settings.weigh {
            Weigh::WatchOnly => " (no points: behaviour is watched only)",
            Weigh::Yes if watched_ms < watch_ms && reason.name != "text-was-held" => {
                " (no points yet: habits are being learned)"
            }
            Weigh::Yes => {
                let points = f64::from(reason.points) * f64::from(self.settings.weight_percent) / 100.0;
                return Reason { points: share::points(points), ..reason };
            }
        };
        Reason { points: 0, sentence: format!("{}{why}", reason.sentence).into(), ..reason }
    }

    /// Where the account's day is over, it becomes habit and goes into the pool.
    fn end_day_of(&mut self, seen: &Footprint) {
        let (day, bounds) = (seen.day(), self.bounds());
        let (mut ended, mut spoiled) = (None, None);
        self.accounts.change_known(&seen.account, seen.at.0, bounds, |habit| {
            let last = (habit.today.day < day && habit.today.is_spoiled()).then_some(habit.today.day);
            (ended, spoiled) = (habit.turn(day), last);
        });
        if let Some(last) = spoiled {
            self.peers.sites.forget_day(seen.account_short(), last);
            self.peers_changed = true;
        }
        if let Some(today) = ended {
            self.peers.learn(&today);
            self.peers_changed = true;
        }
    }

    fn learn_domains(&mut self, seen: &Footprint) {
        let week = week_of(seen.day());
        seen.domains.iter().for_each(|hash| self.peers.learn_domain(*hash, week));
        let account = seen.account_short();
        seen.sites.iter().for_each(|site| self.peers.sites.learn(*site, account, seen.day()));
        self.peers_changed = true;
    }
}

/// What a message counts for, and the sites that are new.
fn count(peers: &Peers, habit: &Habit, seen: &Footprint) -> (Counts, Vec<u32>) {
    let (new_sites, leading) = new_sites(peers, habit, seen);
    let (led, part) = (u32::from(!new_sites.is_empty()), Part::of(habit, peers, seen));
    (Counts { leading, led, part, ..habit.count(seen) }, new_sites)
}

/// The sites that a message leads to and no mail from here did before, short; and 1 where that can be told.
fn new_sites(peers: &Peers, habit: &Habit, seen: &Footprint) -> (Vec<u32>, u32) {
    let day = seen.day();
    if !peers.sites.are_grown(day) {
        return (Vec::new(), 0);
    }
    let week = week_of(day);
    // Anybody can write any From: it is the account's own if it was on a day before.
    let own = if habit.froms.familiar(seen.from, day).is_known() { seen.from_site } else { 0 };
    let is_new = |site: &&u64| {
        **site != own
            && peers.sites.is_new(**site, day)
            && !habit.domains.has(**site, week)
            && !peers.knows_domain(**site, week)
    };
    (seen.sites.iter().filter(is_new).map(|site| footprint::shortened(*site)).collect(), 1)
}

/// Counts the text, and says what the message is among its near-copies.
fn count_text(texts: &mut Texts, seen: &Footprint, counts: Counts, judged: Judged) -> AmongCopies {
    let is_part = counts.part.is_part();
    let Some(signature) = seen.signature else {
        return AmongCopies { to_stranger: false, recipients: counts.recipients };
    };
    let account = seen.account_hash();
    let before = texts.known(&signature, account, seen.at.0).unwrap_or_default();
    let held = u32::from(judged == Judged::Held);
    let messages = u32::from(!is_part);
    let copies = Copies { messages, recipients: counts.recipients, strangers: counts.strangers, held };
    texts.count(&signature, account, copies, seen.at.0);
    AmongCopies {
        to_stranger: before.own.messages > 0 && counts.strangers > 0 && !is_part,
        recipients: before.own.recipients.saturating_add(counts.recipients),
    }
}

#[cfg(test)]
mod tests;
