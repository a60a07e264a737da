//! The verdict on a message: send, hold or reject, with the reasons that led to it.
//!
//! Pure: reasons and thresholds in, one verdict out. It never reads a message itself; scoring and alignment bring the
//! reasons. The verdict belongs to the acceptance: retries and reloads do not judge again.

use serde::{Deserialize, Serialize};

pub use crate::reason::Reason;

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

impl Verdict {
    /// The verdict over these reasons: held from `hold_points` on, where a threshold is set.
    pub fn from_reasons(mut reasons: Vec<Reason>, hold_points: Option<i32>) -> Self {
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.points));
        let score_points = reasons.iter().map(|r| r.points).fold(0, i32::saturating_add);
        let decision =
            if hold_points.is_some_and(|from| score_points >= from) { Decision::Hold } else { Decision::Send };
        Self { decision, score_points, reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(name: &'static str, points: i32) -> Reason {
        Reason { name: name.into(), points, sentence: "because".into() }
    }

    #[test]
    fn the_threshold_is_included_and_reasons_are_in_order_of_weight() {
        let reasons = || vec![reason("small", 50), reason("big", 100)];
        let verdict = Verdict::from_reasons(reasons(), Some(150));
        assert_eq!((verdict.decision, verdict.score_points), (Decision::Hold, 150));
        assert_eq!(verdict.reasons[0].name, "big");
        assert_eq!(Verdict::from_reasons(reasons(), Some(151)).decision, Decision::Send);
        assert_eq!(Verdict::from_reasons(reasons(), None).decision, Decision::Send);
        assert_eq!(Verdict::from_reasons(Vec::new(), Some(150)).decision, Decision::Send);
    }
}
