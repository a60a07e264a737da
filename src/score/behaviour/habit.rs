//! The habit of one account.

use super::bytes::{Reader, Writer};
use super::facet::Facet;
use super::footprint::Footprint;
use super::known::Known;
use super::recent::{Counts, Recent};
use super::share::Share;
use super::usual::{Today, Usual};

/// Version of what [`Habit::to_bytes`] writes.
const VERSION: u8 = 6;
/// The oldest that is read: 4 added the strangers of the last day at the end, 5 what links led to, 6 how messages came.
const VERSION_OLDEST: u8 = 3;
/// How far one day moves how often something new turns up.
const NEW_DAYS_WEIGHT: Share = Share(9_830); // 15 %
/// Recipients of one text from which on it is a series, more than somebody's letters.
const SERIES_RECIPIENTS_MIN: u32 = 20;

/// What is known of an account. Fixed in size but for the two sets, which grow with what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Habit {
    pub(super) first_day: u16,
    pub(super) recent: Recent,
    pub(super) today: Today,
    pub(super) usual: Usual,
    pub(super) clients: Facet<8>,
    pub(super) froms: Facet<6>,
    pub(super) programs: Facet<4>,
    pub(super) layouts: Facet<6>,
    pub(super) languages: Facet<4>,
    pub(super) series: Facet<4>,
    pub(super) recipients: Known<8_192>,
    pub(super) domains: Known<2_048>,
}

/// A message among the near-copies that its account sent in two days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct AmongCopies {
    /// It is one more, to a stranger.
    pub(super) to_stranger: bool,
    /// Recipients of all of them, its own among them.
    pub(super) recipients: u32,
}

/// What became of a message when it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It is on its way.
    Sent,
    /// It is held or was rejected: it counts as an attempt and teaches nothing.
    Held,
}

impl Habit {
    pub(super) fn new(day: u16) -> Self {
        Self { first_day: day, today: Today::of(day), ..Self::default() }
    }

    /// How many of a message's recipients and domains are new to the account.
    pub(super) fn count(&self, seen: &Footprint) -> Counts {
        let week = week_of(seen.day());
        let new = |has: &dyn Fn(u64) -> bool, hashes: &[u64]| {
            u32::try_from(hashes.iter().filter(|hash| !has(**hash)).count()).unwrap_or(u32::MAX)
        };
        Counts {
            messages: 1,
            recipients: seen.recipients_len,
            strangers: new(&|hash| self.recipients.has(hash, week), &seen.recipients),
            domains_new: new(&|hash| self.domains.has(hash, week), &seen.domains),
            ..Counts::default()
        }
    }

    /// Counts an attempt; what left is learned too.
    pub(super) fn accepted(&mut self, seen: &Footprint, counts: Counts, copy: AmongCopies, judged: Judged) {
        let held = u32::from(judged == Judged::Held);
        self.recent.add(Counts { held, ..counts }, seen.whole, seen.at.0);
        match judged {
            Judged::Held => self.today.held = self.today.held.saturating_add(1),
            Judged::Sent => self.learn(seen, counts, copy),
        }
    }

    /// A held message was released: it becomes habit after all.
    pub(super) fn released(&mut self, seen: &Footprint, copy: AmongCopies) {
        self.recent.release();
        self.today.held = self.today.held.saturating_sub(1);
        let counts = self.count(seen);
        self.learn(seen, counts, copy);
    }

    fn learn(&mut self, seen: &Footprint, counts: Counts, copy: AmongCopies) {
        let (at, day) = (seen.at.0, seen.day().max(self.today.day));
        self.today.count(counts, copy.to_stranger, &self.recent, at);
        if let Some(client) = seen.client {
            self.clients.learn(client.hash, day);
        }
        self.froms.learn(seen.from, day);
        self.programs.learn(seen.program, day);
        self.layouts.learn(seen.layout, day);
        self.languages.learn(seen.language_hash(), day);
        if copy.recipients >= SERIES_RECIPIENTS_MIN {
            self.series.learn(seen.series, day);
        }
        let week = week_of(day);
        seen.recipients.iter().for_each(|hash| self.recipients.learn(*hash, week));
        seen.domains.iter().for_each(|hash| self.domains.learn(*hash, week));
    }

    /// Ends the day if `day` is a later one, and gives it back if it was one to learn from.
    pub(super) fn turn(&mut self, day: u16) -> Option<Today> {
        if day.saturating_add(1) < self.today.day {
            // A clock that was days ahead and is right again: that day never was.
            self.today = Today::of(day);
        }
        if day <= self.today.day {
            return None;
        }
        let today = std::mem::replace(&mut self.today, Today::of(day));
        if today.is_spoiled() {
            self.clients.forget_day(today.day);
            self.froms.forget_day(today.day);
            self.programs.forget_day(today.day);
            self.layouts.forget_day(today.day);
            self.languages.forget_day(today.day);
            self.series.forget_day(today.day);
            return None;
        }
        if today.messages == 0 {
            return None;
        }
        self.usual.learn(&today);
        self.clients.end_day(today.day, NEW_DAYS_WEIGHT);
        self.froms.end_day(today.day, NEW_DAYS_WEIGHT);
        self.programs.end_day(today.day, NEW_DAYS_WEIGHT);
        self.layouts.end_day(today.day, NEW_DAYS_WEIGHT);
        self.languages.end_day(today.day, NEW_DAYS_WEIGHT);
        self.series.end_day(today.day, NEW_DAYS_WEIGHT);
        Some(today)
    }

    /// Bytes that it takes, its sets included.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.recipients.bytes() + self.domains.bytes()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u8(VERSION);
        to.u16(self.first_day);
        self.recent.write(&mut to);
        self.today.write(&mut to);
        self.usual.write(&mut to);
        self.clients.write(&mut to);
        self.froms.write(&mut to);
        self.programs.write(&mut to);
        self.layouts.write(&mut to);
        self.languages.write(&mut to);
        self.series.write(&mut to);
        self.recipients.write(&mut to);
        self.domains.write(&mut to);
        self.recent.write_strangers(&mut to);
        self.recent.write_led(&mut to);
        self.today.write_led(&mut to);
        self.usual.write_led(&mut to);
        self.today.write_parts(&mut to);
        self.usual.write_parts(&mut to);
        to.finish()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let version = from.u8()?;
        if !(VERSION_OLDEST..=VERSION).contains(&version) {
            return None;
        }
        let mut habit = Self {
            first_day: from.u16()?,
            recent: Recent::read(&mut from)?,
            today: Today::read(&mut from)?,
            usual: Usual::read(&mut from)?,
            clients: Facet::read(&mut from)?,
            froms: Facet::read(&mut from)?,
            programs: Facet::read(&mut from)?,
            layouts: Facet::read(&mut from)?,
            languages: Facet::read(&mut from)?,
            series: Facet::read(&mut from)?,
            recipients: Known::read(&mut from)?,
            domains: Known::read(&mut from)?,
        };
        if version >= 4 {
            habit.recent.read_strangers(&mut from)?;
        }
        if version >= 5 {
            habit.recent.read_led(&mut from)?;
            habit.today.read_led(&mut from)?;
            habit.usual.read_led(&mut from)?;
        }
        if version >= 6 {
            habit.today.read_parts(&mut from)?;
            habit.usual.read_parts(&mut from)?;
        }
        from.is_empty().then_some(habit)
    }
}

/// Weeks modulo 256.
pub(super) fn week_of(day: u16) -> u8 {
    (day / 7).to_le_bytes()[0]
}
