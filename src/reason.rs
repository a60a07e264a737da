//! One line of evidence about a message, as scoring and alignment bring it and the guard weighs it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One line of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable name, `kebab-case`.
    pub name: Cow<'static, str>,
    /// What it adds to the score, in points of the scale where ordinary mail is under 50 and spam from 200.
    pub points: i32,
    /// One plain sentence for the operator.
    pub sentence: Cow<'static, str>,
}

/// The heaviest first, whichever way they speak; of equals, what speaks against the message.
pub fn by_weight(reasons: &mut [Reason]) {
    reasons.sort_by_key(|reason| std::cmp::Reverse((reason.points.unsigned_abs(), reason.points)));
}
