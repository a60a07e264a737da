//! One facet of an account's mail (client networks, From addresses, programs …): the values it usually has.

use super::bytes::{Reader, Writer};
use super::share::Share;

/// The `N` most used values of a facet, and how often a day brings a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facet<const N: usize> {
    values: [Value; N],
    /// The share of days with mail on which a value turned up that had never been there.
    new_days: Share,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Value {
    /// 0 where the place is free.
    hash: u32,
    first_day: u16,
    last_day: u16,
    /// Days on which it was seen.
    days: u16,
}

/// How well a value is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Familiar {
    /// Never seen.
    Never,
    /// Since today: what a hijack does first is no habit an hour later.
    Today,
    /// On so many days before.
    Days(u16),
}

impl Familiar {
    /// Whether it was there on a day before.
    pub(super) fn is_known(self) -> bool {
        matches!(self, Self::Days(_))
    }
}

impl<const N: usize> Default for Facet<N> {
    fn default() -> Self {
        Self { values: [Value::default(); N], new_days: Share::default() }
    }
}

impl<const N: usize> Facet<N> {
    /// How well a value is known on that day.
    pub(super) fn familiar(&self, hash: u32, day: u16) -> Familiar {
        match self.values.iter().find(|value| value.hash == hash && hash != 0) {
            None => Familiar::Never,
            Some(value) if value.first_day == day => Familiar::Today,
            Some(value) => Familiar::Days(value.days - u16::from(value.last_day == day && value.days > 0)),
        }
    }

    /// The share of days that bring a new value.
    pub(super) fn new_days(&self) -> Share {
        self.new_days
    }

    /// How many values were there before that day.
    pub(super) fn len_before(&self, day: u16) -> usize {
        self.values.iter().filter(|value| value.hash != 0 && value.first_day < day).count()
    }

    /// How many values are there first on that day.
    pub(super) fn new_on(&self, day: u16) -> usize {
        self.values.iter().filter(|value| value.hash != 0 && value.first_day == day).count()
    }

    /// Learns a value.
    pub(super) fn learn(&mut self, hash: u32, day: u16) {
        if hash == 0 {
            return;
        }
        if let Some(value) = self.values.iter_mut().find(|value| value.hash == hash) {
            if value.last_day != day {
                value.last_day = day;
                value.days = value.days.saturating_add(1);
            }
            return;
        }
        // The least used gives way, of equal ones the oldest; a free place is used by none.
        let keep = |value: &Value| {
            let unused_days = day.saturating_sub(value.last_day);
            (i32::from(value.days).min(60) - i32::from(unused_days) / 7, value.last_day)
        };
        let least =
            self.values.iter_mut().min_by_key(|value| if value.hash == 0 { (i32::MIN, 0) } else { keep(value) });
        if let Some(place) = least {
            *place = Value { hash, first_day: day, last_day: day, days: 1 };
        }
    }

    /// Ends a day with mail: whether it brought something new becomes habit.
    pub(super) fn end_day(&mut self, day: u16, habit: Share) {
        let new = u32::from(self.new_on(day) > 0);
        self.new_days = self.new_days.toward(Share::of(new, 1), habit);
    }

    /// Forgets what that day brought: it was not the account's own doing.
    pub(super) fn forget_day(&mut self, day: u16) {
        for value in &mut self.values {
            if value.first_day == day {
                *value = Value::default();
            }
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u16(self.new_days.0);
        for value in &self.values {
            to.u32(value.hash);
            to.u16(value.first_day);
            to.u16(value.last_day);
            to.u16(value.days);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut facet = Self { new_days: Share(from.u16()?), ..Self::default() };
        for value in &mut facet.values {
            *value = Value { hash: from.u32()?, first_day: from.u16()?, last_day: from.u16()?, days: from.u16()? };
        }
        Some(facet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_today_is_known_from_tomorrow_on() {
        let mut facet = Facet::<3>::default();
        assert_eq!(facet.familiar(5, 100), Familiar::Never);
        facet.learn(5, 100);
        assert_eq!(facet.familiar(5, 100), Familiar::Today);
        facet.learn(5, 101);
        assert_eq!(facet.familiar(5, 101), Familiar::Days(1), "today does not count yet");
        assert_eq!(facet.familiar(5, 102), Familiar::Days(2));
        assert_eq!(facet.familiar(0, 102), Familiar::Never, "0 is no value");
    }

    #[test]
    fn a_flood_of_values_does_not_push_out_the_usual_one() {
        let mut facet = Facet::<3>::default();
        (0..30).for_each(|day| facet.learn(7, 100 + day));
        (1_000..1_100).for_each(|hash| facet.learn(hash, 130));
        assert!(facet.familiar(7, 131).is_known());
        facet.forget_day(130);
        assert_eq!(facet.len_before(200), 1);
    }
}
