//! The pooled habit of all accounts: what stands in for the habit of an account that has none yet.
//!
//! Each account counts once a day with mail, so a newsletter of thousands is one voice like anybody.

use super::bytes::{Reader, Writer};
use super::known::Known;
use super::parts::Ways;
use super::share::Share;
use super::sites::Sites;
use super::usual::Today;

/// Version of what [`Peers::to_bytes`] writes.
const VERSION: u8 = 3;
/// The oldest that is read: 2 added sites at the end, 3 the pace, the share of new sites, and how messages came.
const VERSION_OLDEST: u8 = 1;
/// Days of accounts below which the default stands in for the pool.
const DAYS_MIN: u32 = 50;
/// When so many days are pooled, all are halved: the pool follows what people do.
const DAYS_MAX: u32 = 20_000;
/// How far one day of an account moves the share of messages that lead to new sites, at the least.
const LED_WEIGHT: Share = Share(655); // 1 %
/// Steps of a histogram: two an octave up to 2^20.
const STEPS: usize = 40;

/// The pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peers {
    hour: Histogram,
    day: Histogram,
    message: Histogram,
    pace: Histogram,
    days: u32,
    /// Of the messages, those that lead to a new site.
    led: Share,
    /// How messages to several come.
    pub(super) ways: Ways,
    /// Domains of recipients that anybody wrote to.
    domains: Known<8_192>,
    /// Where mail of anybody led.
    pub(super) sites: Sites,
}

/// What nine of ten accounts stay below on nine of ten days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeersUsual {
    pub(super) hour: u32,
    pub(super) day: u32,
    pub(super) message: u32,
    pub(super) pace: u32,
}

/// The stand-in before anything is pooled: an office's.
const DEFAULT: PeersUsual = PeersUsual { hour: 30, day: 100, message: 10, pace: 4 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Histogram([u32; STEPS]);

impl Default for Peers {
    fn default() -> Self {
        let empty = Histogram([0; STEPS]);
        Self {
            hour: empty,
            day: empty,
            message: empty,
            pace: empty,
            days: 0,
            led: Share::default(),
            ways: Ways::default(),
            domains: Known::default(),
            sites: Sites::default(),
        }
    }
}

impl Peers {
    /// What is usual.
    pub(super) fn usual(&self) -> PeersUsual {
        if self.days < DAYS_MIN {
            return DEFAULT;
        }
        let usual = |histogram: &Histogram, least: u32| histogram.ninety_percent().max(least);
        PeersUsual {
            hour: usual(&self.hour, 10),
            day: usual(&self.day, 30),
            message: usual(&self.message, 5),
            pace: usual(&self.pace, DEFAULT.pace),
        }
    }

    /// Of the messages of all, those that lead to a new site.
    pub(super) fn led(&self) -> Share {
        self.led
    }

    /// Takes the finished day of one account into the pool.
    pub(super) fn learn(&mut self, today: &Today) {
        self.hour.add(today.hour_peak());
        self.day.add(today.day_peak());
        self.message.add(today.message_peak());
        self.pace.add(today.pace_peak());
        if let Some(led) = today.led() {
            // Of the days that a store of before counted, it does not know this; those of the pace are as young.
            let known = self.pace.0.iter().fold(0_u32, |sum, count| sum.saturating_add(*count));
            self.led = self.led.toward(led, Share::of(1, known.max(1)).max(LED_WEIGHT));
        }
        today.tell(&mut self.ways);
        self.days = self.days.saturating_add(1);
        if self.days >= DAYS_MAX {
            self.days /= 2;
            for histogram in [&mut self.hour, &mut self.day, &mut self.message, &mut self.pace] {
                histogram.0.iter_mut().for_each(|count| *count /= 2);
            }
        }
    }

    /// Whether somebody here wrote to that domain.
    pub(super) fn knows_domain(&self, hash: u64, week: u8) -> bool {
        self.domains.has(hash, week)
    }

    /// Somebody wrote to that domain.
    pub(super) fn learn_domain(&mut self, hash: u64, week: u8) {
        self.domains.learn(hash, week);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u8(VERSION);
        to.u32(self.days);
        for histogram in [&self.hour, &self.day, &self.message] {
            histogram.0.iter().for_each(|count| to.u32(*count));
        }
        self.domains.write(&mut to);
        self.sites.write(&mut to);
        self.pace.0.iter().for_each(|count| to.u32(*count));
        to.u16(self.led.0);
        self.ways.write(&mut to);
        to.finish()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let version = from.u8()?;
        if !(VERSION_OLDEST..=VERSION).contains(&version) {
            return None;
        }
        let mut peers = Self { days: from.u32()?, ..Self::default() };
        for histogram in [&mut peers.hour, &mut peers.day, &mut peers.message] {
            for count in &mut histogram.0 {
                *count = from.u32()?;
            }
        }
        peers.domains = Known::read(&mut from)?;
        if version >= 2 {
            peers.sites = Sites::read(&mut from)?;
        }
        if version >= 3 {
            for count in &mut peers.pace.0 {
                *count = from.u32()?;
            }
            (peers.led, peers.ways) = (Share(from.u16()?), Ways::read(&mut from)?);
        }
        from.is_empty().then_some(peers)
    }
}

impl Histogram {
    fn add(&mut self, value: u32) {
        let count = &mut self.0[step_of(value)];
        *count = count.saturating_add(1);
    }

    /// The upper end of the step that the 90th of a hundred falls into.
    fn ninety_percent(&self) -> u32 {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let mut below = 0;
        for (step, count) in self.0.iter().enumerate() {
            below += u64::from(*count);
            if below * 10 >= all * 9 {
                return end_of(step);
            }
        }
        0
    }
}

/// 0, 1, 2, 3, 4–5, 6–7, 8–11, 12–15 …
fn step_of(value: u32) -> usize {
    let Some(log) = value.checked_ilog2() else { return 0 };
    let upper_half = log > 0 && value >> (log - 1) & 1 == 1;
    (2 * log as usize + usize::from(upper_half)).clamp(1, STEPS - 1)
}

fn end_of(step: usize) -> u32 {
    if step < 2 {
        return u32::try_from(step).unwrap_or(0);
    }
    let (log, half) = (step / 2, step % 2);
    let start_of_next = if half == 1 { 2 << log } else { 3 << (log - 1) };
    start_of_next - 1
}
