//! What an account usually does, and the day from which that is learned.

use super::bytes::{Reader, Writer};
use super::parts::{Part, Ways};
use super::recent::{Counts, Recent};
use super::share::Share;

/// Weeks whose peaks are remembered: what is under way and all that a month touches, for what goes out on each first.
const WEEKS: usize = 6;
/// How far one day moves what is usual.
const DAY_WEIGHT: Share = Share(9_830); // 15 %
/// One day on which messages came in parts moves how often they do by one part in so many: two such days are a way.
const APART_DAYS: u32 = 25;
/// Quarter points are too coarse for a mean of few messages, so it is kept in sixteenths.
const SIXTEENTHS: u32 = 16;

/// The peaks of the last weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Peaks {
    week: u16,
    peaks: [u32; WEEKS],
}

impl Peaks {
    /// The highest of all weeks.
    pub(super) fn highest(&self) -> u32 {
        self.peaks.iter().copied().max().unwrap_or(0)
    }

    fn learn(&mut self, peak: u32, day: u16) {
        let week = day / 7;
        for gone in (self.week.saturating_add(1)..=week).rev().take(WEEKS) {
            self.peaks[usize::from(gone) % WEEKS] = 0;
        }
        self.week = self.week.max(week);
        let place = &mut self.peaks[usize::from(self.week) % WEEKS];
        *place = (*place).max(peak);
    }

    fn write(&self, to: &mut Writer) {
        to.u16(self.week);
        self.peaks.iter().for_each(|peak| to.u32(*peak));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut peaks = Self { week: from.u16()?, ..Self::default() };
        for peak in &mut peaks.peaks {
            *peak = from.u32()?;
        }
        Some(peaks)
    }
}

/// The long habit. Each day with mail moves it once, when it is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Usual {
    /// Recipients of the busiest hour.
    pub(super) hour: Peaks,
    /// Recipients of the busiest day.
    pub(super) day: Peaks,
    /// Recipients of the largest message.
    pub(super) message: Peaks,
    /// Messages of the busiest two minutes.
    pub(super) pace: Peaks,
    /// Recipients of an hour with mail, in sixteenths.
    hour_mean_16: u32,
    /// Of the recipients, those never written to before.
    pub(super) strangers: Share,
    /// New domains among the recipients.
    pub(super) domains_new: Share,
    /// Of the messages, near-copies to strangers.
    pub(super) copies: Share,
    /// Of the outcomes, unknown users.
    pub(super) unknown: Share,
    /// Of the messages, those that lead to a new site.
    pub(super) led: Share,
    /// Messages that this was learned of.
    leading: u32,
    /// Of the days with messages to several, those on which one to a few came in parts.
    pub(super) apart: Share,
    /// Hours of the day (UTC) with mail: 255 is each day.
    hours: [u8; 24],
    /// Days of the week with mail, from Thursday (1970-01-01) on.
    weekdays: [u8; 7],
    /// Days with mail.
    pub(super) days: u16,
    /// Messages learned.
    pub(super) messages: u32,
}

/// The day under way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Today {
    pub(super) day: u16,
    pub(super) messages: u32,
    pub(super) recipients: u32,
    pub(super) strangers: u32,
    pub(super) domains_new: u32,
    pub(super) copies: u32,
    /// Messages held, and not released.
    pub(super) held: u32,
    /// Recipients refused by reputation or policy.
    pub(super) refused: u32,
    /// Recipients that do not exist.
    pub(super) unknown: u32,
    /// Recipients whose outcome is known.
    pub(super) outcomes: u32,
    hour_peak: u32,
    day_peak: u32,
    message_peak: u32,
    pace_peak: u32,
    hours: u32,
    /// Messages of which it can be told whether they lead to a new site.
    leading: u32,
    /// Of these, those that do.
    led: u32,
    /// Messages to several that came whole, and parts of messages to a few ([`parts`](super::parts)).
    whole: u32,
    apart: u32,
}

impl Today {
    /// A day on which nothing has happened yet.
    pub(super) fn of(day: u16) -> Self {
        Self { day, ..Self::default() }
    }

    /// Counts a message that left.
    pub(super) fn count(&mut self, counts: Counts, is_copy: bool, recent: &Recent, at_ms: u64) {
        self.messages = self.messages.saturating_add(1);
        self.recipients = self.recipients.saturating_add(counts.recipients);
        self.strangers = self.strangers.saturating_add(counts.strangers);
        self.domains_new = self.domains_new.saturating_add(counts.domains_new);
        self.copies += u32::from(is_copy);
        self.leading = self.leading.saturating_add(counts.leading);
        self.led = self.led.saturating_add(counts.led);
        self.whole = self.whole.saturating_add(u32::from(counts.part == Part::None && counts.recipients > 1));
        self.apart = self.apart.saturating_add(u32::from(matches!(counts.part, Part::OfFew | Part::Doubtful)));
        self.hour_peak = self.hour_peak.max(recent.hour(at_ms).recipients);
        self.day_peak = self.day_peak.max(recent.day_recipients(at_ms));
        self.message_peak = self.message_peak.max(recent.latest_recipients());
        self.pace_peak = self.pace_peak.max(recent.pace(at_ms));
        self.hours |= 1 << hour_of(at_ms);
    }

    /// Whether this day is no example: much of its mail was held, or refused as spam.
    pub(super) fn is_spoiled(&self) -> bool {
        let is_part = |of: u32, parts: u64, all: u64| of >= 3 && u64::from(of) * parts >= all;
        let all = u64::from(self.messages) + u64::from(self.held);
        is_part(self.held, 5, all) || is_part(self.refused, 10, self.recipients.into())
    }

    /// Recipients of the busiest hour.
    pub(super) fn hour_peak(&self) -> u32 {
        self.hour_peak
    }

    /// Recipients of the day.
    pub(super) fn day_peak(&self) -> u32 {
        self.day_peak
    }

    /// Recipients of the largest message.
    pub(super) fn message_peak(&self) -> u32 {
        self.message_peak
    }

    /// Messages of the busiest two minutes.
    pub(super) fn pace_peak(&self) -> u32 {
        self.pace_peak
    }

    /// Of the messages of which it can be told, those that lead to a new site.
    pub(super) fn led(&self) -> Option<Share> {
        (self.leading > 0).then(|| Share::of(self.led, self.leading))
    }

    /// Tells how messages to several came.
    pub(super) fn tell(&self, ways: &mut Ways) {
        ways.learn(self.whole, self.apart);
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u16(self.day);
        let Self { messages, recipients, strangers, domains_new, copies, held, refused, .. } = self;
        for count in [messages, recipients, strangers, domains_new, copies, held, refused] {
            to.u32(*count);
        }
        let Self { unknown, outcomes, hour_peak, day_peak, message_peak, pace_peak, hours, .. } = self;
        for count in [unknown, outcomes, hour_peak, day_peak, message_peak, pace_peak, hours] {
            to.u32(*count);
        }
    }

    /// What [`Today::write`] leaves out: the first versions had none of it.
    pub(super) fn write_led(&self, to: &mut Writer) {
        to.u32(self.leading);
        to.u32(self.led);
    }

    pub(super) fn read_led(&mut self, from: &mut Reader<'_>) -> Option<()> {
        (self.leading, self.led) = (from.u32()?, from.u32()?);
        Some(())
    }

    /// What [`Today::write_led`] leaves out.
    pub(super) fn write_parts(&self, to: &mut Writer) {
        to.u32(self.whole);
        to.u32(self.apart);
    }

    pub(super) fn read_parts(&mut self, from: &mut Reader<'_>) -> Option<()> {
        (self.whole, self.apart) = (from.u32()?, from.u32()?);
        Some(())
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            leading: 0,
            led: 0,
            whole: 0,
            apart: 0,
            day: from.u16()?,
            messages: from.u32()?,
            recipients: from.u32()?,
            strangers: from.u32()?,
            domains_new: from.u32()?,
            copies: from.u32()?,
            held: from.u32()?,
            refused: from.u32()?,
            unknown: from.u32()?,
            outcomes: from.u32()?,
            hour_peak: from.u32()?,
            day_peak: from.u32()?,
            message_peak: from.u32()?,
            pace_peak: from.u32()?,
            hours: from.u32()?,
        })
    }
}

impl Usual {
    /// Makes a finished day a part of the habit.
    pub(super) fn learn(&mut self, today: &Today) {
        // The first days count for more: the mean of all days, until there are as many as the weight stands for.
        let weight = Share::of(1, u32::from(self.days) + 1).max(DAY_WEIGHT);
        let toward =
            |old: Share, part, whole| if whole == 0 { old } else { old.toward(Share::of(part, whole), weight) };
        self.strangers = toward(self.strangers, today.strangers, today.recipients);
        self.domains_new = toward(self.domains_new, today.domains_new, today.recipients);
        self.copies = toward(self.copies, today.copies, today.messages);
        self.unknown = toward(self.unknown, today.unknown, today.outcomes);
        self.led = toward(self.led, today.led, today.leading);
        self.leading = self.leading.saturating_add(today.leading);
        let (whole, apart) = (today.whole.min(1), today.apart.min(1));
        // One day alone, as a message makes that is sent again, is no way.
        if whole.max(apart) > 0 {
            self.apart = self.apart.toward(Share::of(apart, 1), Share::of(1, APART_DAYS));
        }
        self.hour.learn(today.hour_peak, today.day);
        self.day.learn(today.day_peak, today.day);
        self.message.learn(today.message_peak, today.day);
        self.pace.learn(today.pace_peak, today.day);
        let mean = today.recipients.saturating_mul(SIXTEENTHS) / today.hours.count_ones().max(1);
        self.hour_mean_16 = mix(self.hour_mean_16, mean, weight);
        for (hour, share) in self.hours.iter_mut().enumerate() {
            *share = step(*share, today.hours >> hour & 1 == 1, 16);
        }
        // A weekday comes once a week, so its own weeks move it.
        let weekday = usize::from(today.day % 7);
        self.weekdays[weekday] = self.weekdays[weekday].saturating_add(64);
        for (_, share) in self.weekdays.iter_mut().enumerate().filter(|(day, _)| *day != weekday) {
            *share = share.saturating_sub(2);
        }
        self.days = self.days.saturating_add(1);
        self.messages = self.messages.saturating_add(today.messages);
    }

    /// Recipients of an hour with mail, on average.
    pub(super) fn hour_mean(&self) -> u32 {
        (self.hour_mean_16 + SIXTEENTHS / 2) / SIXTEENTHS
    }

    /// Whether mail at that time of day is new: neither this hour nor the ones beside it had any for weeks.
    pub(super) fn is_new_hour(&self, at_ms: u64) -> bool {
        let hour = hour_of(at_ms);
        [hour + 23, hour, hour + 1].into_iter().all(|near| self.hours[usize::from(near % 24)] < 8)
    }

    /// Whether mail on that day of the week is new.
    pub(super) fn is_new_weekday(&self, day: u16) -> bool {
        self.weekdays[usize::from(day % 7)] == 0
    }

    pub(super) fn write(&self, to: &mut Writer) {
        for peaks in [self.hour, self.day, self.message, self.pace] {
            peaks.write(to);
        }
        to.u32(self.hour_mean_16);
        for share in [self.strangers, self.domains_new, self.copies, self.unknown] {
            to.u16(share.0);
        }
        self.hours.iter().chain(&self.weekdays).for_each(|share| to.u8(*share));
        to.u16(self.days);
        to.u32(self.messages);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut usual = Self {
            hour: Peaks::read(from)?,
            day: Peaks::read(from)?,
            message: Peaks::read(from)?,
            pace: Peaks::read(from)?,
            hour_mean_16: from.u32()?,
            strangers: Share(from.u16()?),
            domains_new: Share(from.u16()?),
            copies: Share(from.u16()?),
            unknown: Share(from.u16()?),
            ..Self::default()
        };
        for share in usual.hours.iter_mut().chain(&mut usual.weekdays) {
            *share = from.u8()?;
        }
        (usual.days, usual.messages) = (from.u16()?, from.u32()?);
        Some(usual)
    }

    /// What [`Usual::write`] leaves out: the first versions had none of it.
    pub(super) fn write_led(&self, to: &mut Writer) {
        to.u16(self.led.0);
        to.u32(self.leading);
    }

    pub(super) fn read_led(&mut self, from: &mut Reader<'_>) -> Option<()> {
        (self.led, self.leading) = (Share(from.u16()?), from.u32()?);
        Some(())
    }

    /// What [`Usual::write_led`] leaves out.
    pub(super) fn write_parts(&self, to: &mut Writer) {
        to.u16(self.apart.0);
    }

    pub(super) fn read_parts(&mut self, from: &mut Reader<'_>) -> Option<()> {
        self.apart = Share(from.u16()?);
        Some(())
    }

    /// How far the share of messages that lead to new sites is known.
    pub(super) fn maturity_of_links(&self) -> f64 {
        (f64::from(self.leading) / 30.0).min(1.0)
    }

    /// How far habit may be trusted for questions of days: nothing on the first day, all after a week.
    pub(super) fn maturity(&self) -> f64 {
        (f64::from(self.days) / 7.0).min(1.0)
    }
}

fn hour_of(at_ms: u64) -> u8 {
    u8::try_from(at_ms / 3_600_000 % 24).unwrap_or(0)
}

/// A sixteenth of the way to all or to nothing, at least one step.
fn step(share: u8, toward_all: bool, part: u8) -> u8 {
    if toward_all {
        share.saturating_add(((u8::MAX - share) / part).max(1))
    } else {
        share.saturating_sub((share / part).max(1))
    }
}

fn mix(old: u32, new: u32, weight: Share) -> u32 {
    let (old, new, weight) = (i64::from(old), i64::from(new), i64::from(weight.0));
    u32::try_from(old + (new - old) * weight / i64::from(u16::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u16, recipients: u32, strangers: u32) -> Today {
        Today {
            day,
            messages: recipients,
            recipients,
            strangers,
            hours: 1 << 9,
            hour_peak: recipients,
            ..Today::default()
        }
    }

    /// A message that was sent again looks like its parts; two such days are a way.
    #[test]
    fn one_day_of_parts_is_no_way() {
        for days_before in [0, 30] {
            let mut usual = Usual::default();
            (0..days_before).for_each(|n| usual.learn(&Today { whole: 1, ..day(100 + n, 10, 1) }));
            let mut after = |n: u16| {
                usual.learn(&Today { apart: 3, ..day(200 + n, 10, 1) });
                usual.apart.as_f64() >= crate::score::behaviour::parts::OWN_DAYS
            };
            assert_eq!([after(0), after(1)], [false, true], "after {days_before} days of whole mail");
        }
    }

    #[test]
    fn a_month_makes_a_habit_and_a_day_does_not_unmake_it() {
        let mut usual = Usual::default();
        (100..130).for_each(|n| usual.learn(&day(n, 10, 1)));
        assert!((0.09..=0.1).contains(&usual.strangers.as_f64()), "{:?}", usual.strangers);
        assert_eq!((usual.hour_mean(), usual.hour.highest(), usual.days), (10, 10, 30));
        usual.learn(&day(130, 100, 100));
        assert!(usual.strangers.as_f64() < 0.25, "one day of strangers: {:?}", usual.strangers);
        let at = |hour: u64| hour * 3_600_000;
        assert!(!usual.is_new_hour(at(9)) && !usual.is_new_hour(at(10)) && usual.is_new_hour(at(3)));
    }

    #[test]
    fn peaks_are_forgotten_after_a_month() {
        let mut peaks = Peaks::default();
        peaks.learn(5_000, 700);
        (1..6).for_each(|week| peaks.learn(3, 700 + 7 * week));
        assert_eq!(peaks.highest(), 5_000, "five weeks later");
        peaks.learn(3, 742);
        assert_eq!(peaks.highest(), 3, "six weeks later");
    }

    #[test]
    fn a_spoiled_day() {
        let cases = [
            (Today { messages: 40, held: 1, ..Today::default() }, false, "a message was held by mistake"),
            (Today { messages: 5, held: 1_995, ..Today::default() }, true, "a hijack"),
            (Today { messages: 40, recipients: 40, refused: 10, ..Today::default() }, true, "receivers call it spam"),
            (
                Today { messages: 400, recipients: 400, refused: 3, ..Today::default() },
                false,
                "a few refuse everything",
            ),
        ];
        for (today, expected, why) in cases {
            assert_eq!(today.is_spoiled(), expected, "{why}");
        }
    }
}
