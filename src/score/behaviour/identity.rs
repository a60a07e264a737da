//! Signs of another hand: a client, program, From, template, language or time of day that the account never had.

use super::facet::{Facet, Familiar};
use super::signals::{Case, Sign};

/// Days of mail before anything new means something.
const IDENTITY_DAYS: u16 = 5;

impl Case<'_> {
    pub(super) fn identity(&self) -> Vec<Option<Sign>> {
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
        let unlike = unlike(facet, hash, self.seen.day());
        (unlike > 0.0).then_some(Sign { name, points: most * unlike, sentence })
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
}

/// How unlike the habit a value is that was not there before today: nothing where the account changes its values daily.
pub(super) fn unlike<const N: usize>(facet: &Facet<N>, hash: u32, day: u16) -> f64 {
    let is_new = hash != 0 && !facet.familiar(hash, day).is_known() && facet.len_before(day) > 0;
    if is_new { 1.0 - facet.new_days().as_f64() } else { 0.0 }
}
