//! What an account did just now: counts of the last hour and of the last day, in rings of a fixed size.

use super::bytes::{Reader, Writer};
use super::parts::Part;

const MINUTE_MS: u64 = 60_000;
const STEP_MS: u64 = 600_000;
const HOUR_STEPS: usize = 6;
const DAY_HOURS: usize = 24;
const HOUR_MS: u64 = 3_600_000;
/// Different new sites that are remembered.
pub(super) const SITES: usize = 8;
/// No step and no minute is as late: what is read from the store is not believed beyond it.
const TIME_MAX: u64 = 1 << 40;

/// Counts of one message or of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Messages.
    pub(super) messages: u32,
    /// Recipients.
    pub(super) recipients: u32,
    /// Of these, those the account never wrote to before.
    pub(super) strangers: u32,
    /// Domains of recipients never written to before.
    pub(super) domains_new: u32,
    /// Messages that were held.
    pub(super) held: u32,
    /// Messages of which it can be told whether they lead to a new site ([`sites`](super::sites)); not kept by the hour.
    pub(super) leading: u32,
    /// Of these, those that do; not kept by the hour.
    pub(super) led: u32,
    /// What the message is to the one before; not kept.
    pub(super) part: Part,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.recipients = self.recipients.saturating_add(other.recipients);
        self.strangers = self.strangers.saturating_add(other.strangers);
        self.domains_new = self.domains_new.saturating_add(other.domains_new);
        self.held = self.held.saturating_add(other.held);
    }
}

/// [`Counts`] of ten minutes, 65,535 of each at most.
type Packed = [u16; 5];

fn packed(counts: Counts) -> Packed {
    [counts.messages, counts.recipients, counts.strangers, counts.domains_new, counts.held]
        .map(|count| u16::try_from(count).unwrap_or(u16::MAX))
}

fn unpacked(step: Packed) -> Counts {
    let [messages, recipients, strangers, domains_new, held] = step.map(u32::from);
    Counts { messages, recipients, strangers, domains_new, held, ..Counts::default() }
}

/// The hour in six steps of ten minutes, the day in 24 hours. A window covers its full length and up to one step less: a
/// step is dropped when its place is needed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Recent {
    /// The latest step seen, since 1970; time that runs backwards stays in it.
    step: u64,
    steps: [Packed; HOUR_STEPS],
    hours: [u32; DAY_HOURS],
    /// Of these, those the account never wrote to before; 65,535 an hour at most.
    strangers: [u16; DAY_HOURS],
    /// Messages of which it can be told whether they lead to a new site, and those that do.
    led: [[u16; 2]; DAY_HOURS],
    /// New sites that they led to, each once with the hour in which it came last.
    sites: [Led; SITES],
    /// The latest minute seen, since 1970, and the messages of it and of the one before.
    minute: u64,
    minutes: [u16; 2],
    latest: Latest,
}

/// A new site that mail led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Led {
    /// 0 where the place is free.
    site: u32,
    /// Since 1970.
    hour: u32,
}

/// The latest message. Some MTAs send each recipient a transaction of its own: what is the same message as the one before,
/// whole ([`Footprint::whole`](super::Footprint)), is a part of it, for ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Latest {
    whole: u64,
    /// The step in which its first part came.
    step: u64,
    /// Recipients of all parts.
    recipients: u32,
}

impl Recent {
    /// Whether a message is a part of the latest one.
    pub(super) fn is_part(&self, whole: u64, at_ms: u64) -> bool {
        whole != 0 && whole == self.latest.whole && (at_ms / STEP_MS).saturating_sub(self.latest.step) <= 1
    }

    /// Recipients of all parts of the latest message.
    pub(super) fn latest_recipients(&self) -> u32 {
        self.latest.recipients
    }

    /// Counts a message, whatever became of it.
    pub(super) fn add(&mut self, counts: Counts, whole: u64, at_ms: u64) {
        let is_part = counts.part.is_part();
        self.advance(at_ms);
        let hour = hour_place(self.step * STEP_MS / HOUR_MS);
        self.hours[hour] = self.hours[hour].saturating_add(counts.recipients);
        let strangers = u16::try_from(counts.strangers).unwrap_or(u16::MAX);
        self.strangers[hour] = self.strangers[hour].saturating_add(strangers);
        let place = step_place(self.step);
        let mut sum = unpacked(self.steps[place]);
        sum.add(counts);
        self.steps[place] = packed(sum);
        if is_part {
            self.latest.recipients = self.latest.recipients.saturating_add(counts.recipients);
        } else {
            let [messages, led] = &mut self.led[hour];
            *messages = messages.saturating_add(u16::from(counts.leading > 0));
            *led = led.saturating_add(u16::from(counts.led > 0));
            self.minutes[0] = self.minutes[0].saturating_add(1);
            self.latest = Latest { whole, step: at_ms / STEP_MS, recipients: counts.recipients };
        }
    }

    /// Messages of this minute and the one before.
    pub(super) fn pace(&self, at_ms: u64) -> u32 {
        let [this, before] = self.minutes.map(u32::from);
        match (at_ms / MINUTE_MS).saturating_sub(self.minute) {
            0 => this + before,
            1 => this,
            _ => 0,
        }
    }

    /// Takes one held message back: a person released it.
    pub(super) fn release(&mut self) {
        if let Some([.., held]) = self.steps.iter_mut().find(|[.., held]| *held > 0) {
            *held -= 1;
        }
    }

    /// The last hour up to then.
    pub(super) fn hour(&self, at_ms: u64) -> Counts {
        let gone = (at_ms / STEP_MS).saturating_sub(self.step);
        let mut sum = Counts::default();
        for back in gone..HOUR_STEPS as u64 {
            if let Some(step) = self.step.checked_sub(back - gone) {
                sum.add(unpacked(self.steps[step_place(step)]));
            }
        }
        sum
    }

    /// Recipients of the last 24 hours up to then.
    pub(super) fn day_recipients(&self, at_ms: u64) -> u32 {
        self.day_places(at_ms).fold(0, |sum, hour| sum.saturating_add(self.hours[hour]))
    }

    /// Of these, those the account never wrote to before.
    pub(super) fn day_strangers(&self, at_ms: u64) -> u32 {
        self.day_places(at_ms).map(|hour| u32::from(self.strangers[hour])).sum()
    }

    /// Messages of the last 24 hours that led to a new site, and of how many that can be told.
    pub(super) fn day_led(&self, at_ms: u64) -> (u32, u32) {
        self.day_places(at_ms).fold((0, 0), |(led, messages), hour| {
            (led + u32::from(self.led[hour][1]), messages + u32::from(self.led[hour][0]))
        })
    }

    /// How many different new sites the mail of the last 24 hours and a message with these led to; at most [`SITES`].
    pub(super) fn sites_with(&self, sites: &[u32], at_ms: u64) -> u32 {
        let is_recent = |led: &Led| led.site != 0 && u64::from(led.hour) + DAY_HOURS as u64 > at_ms / HOUR_MS;
        let old = self.sites.iter().filter(|led| is_recent(led));
        let new = sites.iter().filter(|site| !self.sites.iter().any(|led| led.site == **site && is_recent(led)));
        u32::try_from((old.count() + new.count()).min(SITES)).unwrap_or(0)
    }

    /// A message led to these new sites.
    pub(super) fn add_sites(&mut self, sites: &[u32], at_ms: u64) {
        let hour = u32::try_from(at_ms / HOUR_MS).unwrap_or(u32::MAX);
        for site in sites {
            if let Some(known) = self.sites.iter_mut().find(|led| led.site == *site) {
                known.hour = known.hour.max(hour);
                continue;
            }
            // The one that came longest ago gives way; a free place came never.
            if let Some(oldest) = self.sites.iter_mut().min_by_key(|led| led.hour) {
                *oldest = Led { site: *site, hour };
            }
        }
    }

    fn day_places(&self, at_ms: u64) -> impl Iterator<Item = usize> {
        let here = self.step * STEP_MS / HOUR_MS;
        let gone = (at_ms / HOUR_MS).saturating_sub(here);
        (gone..DAY_HOURS as u64).filter_map(move |back| here.checked_sub(back - gone)).map(hour_place)
    }

    /// Clears the places of the time that passed.
    fn advance(&mut self, at_ms: u64) {
        let minute = at_ms / MINUTE_MS;
        if minute > self.minute {
            self.minutes = [0, if minute == self.minute + 1 { self.minutes[0] } else { 0 }];
            self.minute = minute;
        }
        let now = at_ms / STEP_MS;
        if now.saturating_add((DAY_HOURS * HOUR_STEPS) as u64) < self.step {
            // A clock that was days ahead and is right again: what it counted belongs to no time.
            *self = Self { step: now, minute, ..Self::default() };
        }
        if now <= self.step {
            return;
        }
        for step in (self.step + 1..=now).rev().take(HOUR_STEPS) {
            self.steps[step_place(step)] = Packed::default();
        }
        let (from, to) = (self.step * STEP_MS / HOUR_MS, now * STEP_MS / HOUR_MS);
        for hour in (from + 1..=to).rev().take(DAY_HOURS) {
            (self.hours[hour_place(hour)], self.strangers[hour_place(hour)]) = (0, 0);
            self.led[hour_place(hour)] = [0, 0];
        }
        self.step = now;
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.step);
        for step in &self.steps {
            for count in step {
                to.u16(*count);
            }
        }
        for hour in self.hours {
            to.u32(hour);
        }
        to.u64(self.minute);
        self.minutes.iter().for_each(|count| to.u16(*count));
        to.u64(self.latest.whole);
        to.u64(self.latest.step);
        to.u32(self.latest.recipients);
    }

    /// What [`Recent::write`] and [`Recent::write_strangers`] leave out.
    pub(super) fn write_led(&self, to: &mut Writer) {
        self.led.as_flattened().iter().for_each(|count| to.u16(*count));
        for led in self.sites {
            to.u32(led.site);
            to.u32(led.hour);
        }
    }

    pub(super) fn read_led(&mut self, from: &mut Reader<'_>) -> Option<()> {
        self.led.as_flattened_mut().iter_mut().try_for_each(|count| from.u16().map(|read| *count = read))?;
        for led in &mut self.sites {
            *led = Led { site: from.u32()?, hour: from.u32()? };
        }
        Some(())
    }

    /// What [`Recent::write`] leaves out: the first versions had none of it.
    pub(super) fn write_strangers(&self, to: &mut Writer) {
        self.strangers.iter().for_each(|count| to.u16(*count));
    }

    pub(super) fn read_strangers(&mut self, from: &mut Reader<'_>) -> Option<()> {
        self.strangers.iter_mut().try_for_each(|count| from.u16().map(|read| *count = read))
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let time = |since_1970: u64| (since_1970 < TIME_MAX).then_some(since_1970);
        let mut recent = Self { step: time(from.u64()?)?, ..Self::default() };
        for step in &mut recent.steps {
            *step = [from.u16()?, from.u16()?, from.u16()?, from.u16()?, from.u16()?];
        }
        for hour in &mut recent.hours {
            *hour = from.u32()?;
        }
        recent.minute = time(from.u64()?)?;
        recent.minutes = [from.u16()?, from.u16()?];
        recent.latest = Latest { whole: from.u64()?, step: time(from.u64()?)?, recipients: from.u32()? };
        Some(recent)
    }
}

fn step_place(step: u64) -> usize {
    usize::try_from(step % HOUR_STEPS as u64).unwrap_or(0)
}

fn hour_place(hour: u64) -> usize {
    usize::try_from(hour % DAY_HOURS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of all messages: the ring counts each step that the window touches.
        #[test]
        fn windows_are_those_of_a_list(gaps in prop::collection::vec(prop_oneof![0_u64..100_000, 0_u64..4_000_000], 1..60)) {
            let (mut recent, mut list, mut at) = (Recent::default(), Vec::new(), 1_700_000_000_000_u64);
            for gap in gaps {
                at += gap;
                recent.add(Counts { messages: 1, recipients: 2, ..Counts::default() }, 0, at);
                list.push(at);
                let after = at + gap / 2;
                let within = |step: u64, steps: u64| {
                    list.iter().filter(|sent| after / step - **sent / step < steps).count()
                };
                prop_assert_eq!(recent.hour(after).messages as usize, within(STEP_MS, 6));
                prop_assert_eq!(recent.pace(after) as usize, within(MINUTE_MS, 2));
                prop_assert_eq!(recent.day_recipients(after) as usize, 2 * within(HOUR_MS, 24));
            }
        }
    }

    #[test]
    fn a_clock_set_back_counts_on() {
        let mut recent = Recent::default();
        let one = Counts { messages: 1, recipients: 1, ..Counts::default() };
        recent.add(one, 0, 10 * HOUR_MS);
        recent.add(one, 0, 2 * HOUR_MS);
        assert_eq!(recent.hour(2 * HOUR_MS).messages, 2);
        // Years ahead for a minute, and right again: else its hour would never end.
        recent.add(one, 0, 50_000 * HOUR_MS);
        recent.add(one, 0, 12 * HOUR_MS);
        assert_eq!((recent.hour(12 * HOUR_MS).messages, recent.day_recipients(12 * HOUR_MS)), (1, 1));
        assert_eq!(recent.hour(14 * HOUR_MS).messages, 0);
    }
}
