//! The verdict on a message: send, hold or reject, with the reasons that led to it.
//!
//! Pure: reasons and thresholds in, one verdict out. It never reads a message itself; scoring and alignment bring the
//! reasons. The verdict belongs to the acceptance: retries and reloads do not judge again.

use serde::{Deserialize, Serialize};

pub use crate::reason::Reason;
use crate::reason::by_weight;
use crate::score::allow::is_unforgivable;
use crate::score::combine::{BOTH, RAISED};
use crate::score::settings::{Threshold, Thresholds};

/// What is to become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It waits for its turn.
    Send,
    /// It is taken and waits for a person.
    Hold,
    /// It is refused at the end of its content.
    Reject,
}

/// The judgement of one message, kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is done.
    pub decision: Decision,
    /// The sum of the reasons' points.
    pub score_points: i32,
    /// By weight, heaviest first.
    pub reasons: Vec<Reason>,
}

/// Whether a refusal would reach the one who sent it: only then may a message be rejected, for an MTA makes a bounce of
/// it, which goes to whoever stands in its reverse-path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// It logged in to this very session.
    Here,
    /// An MTA stands between, or the account is known by what the message claims.
    Elsewhere,
}

impl Verdict {
    /// The verdict over these reasons: the score is their sum, and where it reaches a threshold the message is held or
    /// rejected. `at_least` is what is done whatever the score: a scorer that failed may demand a hold. What is
    /// [unforgivable](is_unforgivable) is held at the least, wherever the thresholds are.
    pub fn from_reasons(mut reasons: Vec<Reason>, thresholds: Thresholds, sender: Sender, at_least: Decision) -> Self {
        by_weight(&mut reasons);
        let score_points = reasons.iter().map(|r| r.points).fold(0, i32::saturating_add);
        let reaches = |threshold: Threshold| threshold.points().is_some_and(|from| score_points >= from);
        let decision = match sender {
            Sender::Here if reaches(thresholds.reject) => Decision::Reject,
            // What would be rejected of a sender that is here is held of another.
            Sender::Here | Sender::Elsewhere if reaches(thresholds.hold) || reaches(thresholds.reject) => {
                Decision::Hold
            }
            Sender::Here | Sender::Elsewhere => Decision::Send,
        };
        let at_least = match at_least {
            Decision::Send if reasons.iter().any(is_unforgivable) => Decision::Hold,
            other => other,
        };
        let decision = match (decision, at_least) {
            (Decision::Reject, _) | (_, Decision::Reject) if sender == Sender::Here => Decision::Reject,
            (Decision::Send, Decision::Send) => Decision::Send,
            _ => Decision::Hold,
        };
        Self { decision, score_points, reasons }
    }

    /// The reason to name where there is room for one: what decided without points stands first; else the heaviest that speaks
    /// against the message, and says more than that others count for more.
    pub fn headline(&self) -> Option<&Reason> {
        let says_itself = |reason: &&Reason| reason.points > 0 && ![RAISED, BOTH].contains(&reason.name.as_ref());
        let first = self.reasons.first()?;
        if first.points == 0 { Some(first) } else { self.reasons.iter().find(says_itself).or(Some(first)) }
    }

    /// The verdict where nothing was judged: it is sent.
    pub fn unjudged() -> Self {
        Self { decision: Decision::Send, score_points: 0, reasons: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(name: &'static str, points: i32) -> Reason {
        Reason { name: name.into(), points, sentence: "because".into() }
    }

    #[test]
    fn thresholds_are_included_and_a_refusal_reaches_its_sender() {
        use Decision::{Hold, Reject, Send};
        use Sender::{Elsewhere, Here};
        let cases = [
            // score, hold, reject, sender, at least, decision
            (149, Some(150), None, Here, Send, Send),
            (150, Some(150), None, Here, Send, Hold),
            (999, None, None, Here, Send, Send),
            (400, Some(150), Some(400), Here, Send, Reject),
            (400, Some(150), Some(400), Elsewhere, Send, Hold), // its bounce would go to somebody else
            (400, None, Some(400), Elsewhere, Send, Hold),
            (0, Some(150), None, Here, Hold, Hold), // a scorer failed
            (0, Some(150), None, Elsewhere, Reject, Hold),
            (0, Some(150), None, Here, Reject, Reject),
            (400, Some(150), Some(400), Here, Hold, Reject),
        ];
        for (score, hold, reject, sender, at_least, decision) in cases {
            let of = |points: Option<i32>| points.map_or(Threshold::Off, Threshold::From);
            let thresholds = Thresholds { hold: of(hold), reject: of(reject) };
            let verdict = Verdict::from_reasons(vec![reason("all", score)], thresholds, sender, at_least);
            assert_eq!(
                (verdict.decision, verdict.score_points),
                (decision, score),
                "{thresholds:?} {sender:?} {at_least:?}"
            );
        }
    }

    #[test]
    fn reasons_are_in_order_of_weight() {
        let reasons = vec![reason("small", 50), reason("against", -20), reason("big", 100)];
        let verdict = Verdict::from_reasons(reasons, Thresholds::default(), Sender::Here, Decision::Send);
        let names: Vec<&str> = verdict.reasons.iter().map(|r| r.name.as_ref()).collect();
        assert_eq!((names.as_slice(), verdict.score_points), (["big", "small", "against"].as_slice(), 130));
    }

    #[test]
    fn one_reason_is_named_that_says_something() {
        let cases = [
            (vec![("text-and-rules", 300), ("text", 100), ("links-many", 5)], "text"),
            (vec![("content-and-behaviour", 60), ("volume", 50)], "volume"),
            (vec![("text-was-released", -150), ("volume", 50)], "volume"),
            (vec![("scorer-failed", 0)], "scorer-failed"),
            (vec![("text-and-rules", 160)], "text-and-rules"),
            (vec![("text", -9)], "text"),
        ];
        for (reasons, named) in cases {
            let all = reasons.into_iter().map(|(name, points)| reason(name, points)).collect();
            let verdict = Verdict::from_reasons(all, Thresholds::default(), Sender::Here, Decision::Send);
            assert_eq!(verdict.headline().map(|reason| reason.name.as_ref()), Some(named));
        }
    }
}
