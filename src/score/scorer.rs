//! Everything that looks at one message, joined: rules and model, what other scorers said, behaviour, allow rules.
//!
//! ```text
//! content   = rules + model + what each makes of the other (combine) + other scorers
//! score     = content joined with behaviour (combine), less what an allow rule takes off
//! ```
//!
//! Pure: what is remembered is passed in, and nothing of it changes here.

use super::allow::Allow;
use super::behaviour::Assessment;
use super::combine::{SoftPoints, combine, rules_in_their_text};
use super::model::features::{Features, Words};
use super::model::sketch::Sketch;
use super::model::taught::Taught;
use super::model::{Model, ModelScore};
use super::rules::{Rules, RulesError};
use super::settings::{ScoreSettings, Threshold, Thresholds};
use super::submission::Submission;
use crate::account::Account;
use crate::mail::Visible;
use crate::reason::{Reason, by_weight};

/// Words that the model's reason names.
const WORDS_SHOWN_MAX: usize = 5;
/// Points from which it names any: with fewer nobody asks for them, and finding them costs half as much as the score.
const WORDS_SHOWN_FROM_POINTS: i32 = 20;

/// Rules, model and thresholds of one reading of the configuration.
#[derive(Debug)]
pub struct Scorer {
    settings: ScoreSettings,
    rules: Rules,
}

/// What a message says, before it is known what its account usually does.
#[derive(Debug, Clone)]
pub struct ContentScore {
    /// Of rules and model.
    pub reasons: Vec<Reason>,
    /// What the model said.
    pub text: ModelScore,
    /// What it was made of, for a later decision on it to teach.
    pub sketch: Sketch,
}

impl Scorer {
    /// With these settings.
    ///
    /// # Errors
    /// A rule of the operator's own that cannot be used.
    pub fn new(settings: ScoreSettings) -> Result<Self, RulesError> {
        let rules = Rules::new(&settings)?;
        Ok(Self { settings, rules })
    }

    /// The model of text: the operator's own, or the one that ships.
    fn model(&self) -> &Model {
        match &self.settings.model {
            Some(own) => &own.model,
            None => Model::shipped(),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &ScoreSettings {
        &self.settings
    }

    /// What the message says. `taught` is what operators taught the model.
    pub fn content(&self, submission: &Submission<'_>, taught: Option<&Taught>) -> ContentScore {
        let mut reasons = self.rules.evaluate(submission);
        let features = Features::of(submission.message, Words::Kept);
        let model = self.model();
        let mut text = model.score_features(&features, taught, submission.account.map(Account::as_str));
        if text.points() >= WORDS_SHOWN_FROM_POINTS {
            text.evidence = model.evidence(submission.message, &features);
        }
        let points_of = |counts: &dyn Fn(&Reason) -> bool| -> i32 {
            reasons.iter().filter(|reason| counts(reason)).map(|reason| reason.points).sum()
        };
        let soft = SoftPoints {
            all: points_of(&|reason| self.rules.is_soft(reason)),
            raised: points_of(&|reason| self.rules.is_raised(reason)),
        };
        // What was wanted here before has its points already; it does not take those of rules as well.
        let log_odds = text.logit.max(text.untaught);
        let mut raised: Vec<&Reason> = reasons.iter().filter(|reason| self.rules.is_raised(reason)).collect();
        raised.sort_by_key(|reason| std::cmp::Reverse(reason.points));
        let raised: Vec<&str> = raised.iter().map(|reason| &*reason.name).collect();
        let in_their_text = rules_in_their_text(soft, &raised, text.points(), log_odds);
        reasons.extend(in_their_text);
        reasons.extend(text_reason(&text));
        ContentScore { reasons, text, sketch: Sketch::of(&features) }
    }

    /// All reasons, heaviest first: content (of [`Scorer::content`] and other scorers) joined with behaviour, and what
    /// an allow rule says.
    pub fn joined(
        &self,
        submission: &Submission<'_>,
        content: Vec<Reason>,
        behaviour: &Assessment,
        allow: &Allow,
        thresholds: Thresholds,
    ) -> Vec<Reason> {
        let mut reasons = combine(content, behaviour);
        let stops = [thresholds.hold, thresholds.reject].into_iter().filter_map(Threshold::points);
        let hold_points = stops.min();
        if let Some(hold_points) = hold_points {
            reasons.extend(allow.reason(submission, &reasons, hold_points));
        }
        by_weight(&mut reasons);
        reasons
    }
}

/// Says that there was more of a message than was looked at; both in bytes.
pub fn read_in_part(looked_at_bytes: u64, message_bytes: u64) -> Option<Reason> {
    let mib = |bytes: u64| {
        let tenths = bytes.saturating_mul(10).div_ceil(1 << 20);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    (looked_at_bytes < message_bytes).then(|| Reason {
        name: "read-in-part".into(),
        points: 0,
        sentence: format!("only the first {} MiB of {} were looked at", mib(looked_at_bytes), mib(message_bytes))
            .into(),
    })
}

/// The model's word as a reason; none where it has nothing to say.
fn text_reason(text: &ModelScore) -> Option<Reason> {
    let points = text.points();
    if points == 0 {
        return None;
    }
    let percent = text.probability * 100.0;
    let sentence = if points < 0 {
        format!("the text is like that of ordinary mail (spam with a probability of {percent:.1} %)")
    } else {
        let words: Vec<String> =
            text.evidence.iter().take(WORDS_SHOWN_MAX).map(|one| Visible(&one.what).to_string()).collect();
        let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
        format!("the text is like that of spam (with a probability of {percent:.1} %){words}")
    };
    Some(Reason { name: "text".into(), points, sentence: sentence.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It once said "the first 4 MiB of 4".
    #[test]
    fn what_was_not_looked_at_is_told_apart() {
        let sentence = |message_bytes| read_in_part(4 << 20, message_bytes).map(|reason| reason.sentence.into_owned());
        assert_eq!(sentence((4 << 20) + 1).unwrap(), "only the first 4.0 MiB of 4.1 were looked at");
        assert_eq!(sentence(12 << 20).unwrap(), "only the first 4.0 MiB of 12.0 were looked at");
        assert_eq!(sentence(4 << 20), None);
    }
}
