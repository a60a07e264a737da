//! How what a message says and what its account does join: each raises the other's weight.
//!
//! With C the points of content (rules, model, other scorers), B those of behaviour, and c and b the same held between 0 and
//! 150:
//!
//! ```text
//! score = C + B + c·b/150 − min(90, e·max(C, 0)/2)
//! ```
//!
//! The third term is a reason of its own: a text of 60 points is sent by an account at its usual (B = 0), and held where
//! behaviour has 65 points too. The last one speaks for a series that has gone out for weeks: e is from 0 to 1, how
//! established it is ([`Assessment::established`]), and bulk's usual points count for half. Neither that nor anything else
//! speaks for a message with an unforgivable reason ([`allow::is_unforgivable`](super::allow::is_unforgivable)).
//!
//! Nor does content speak for a message where one rule or other scorer alone gives 150 points: a letter's ordinary text is no excuse for
//! the script that it carries.
//!
//! The sum of the reasons is the score; it never falls when points of C or B are added.
//!
//! Before that, within C, what soft rules saw counts for more or for less by the text ([`rules_in_their_text`]).

use super::allow::is_unforgivable;
use super::behaviour::Assessment;
use crate::reason::Reason;

/// Where each of the two counts fully in the other's weight: the default threshold of a hold.
const FULL_POINTS: i32 = 150;
/// What an established series is forgiven at most.
const FORGIVEN_MAX: i32 = 90;

/// What a text that is like ordinary mail's takes back at most.
const TAKEN_BACK_MAX: i32 = 60;
/// What it takes back for each unit of log-odds below even.
const TAKEN_BACK_FOR_EACH: f64 = 12.0;
/// The text's points with which soft rules count twice.
const RAISED_FULL_POINTS: i32 = 30;

/// The reason by which a text that is like spam raises what rules saw.
pub const RAISED: &str = "text-and-rules";
/// The reason by which content and behaviour raise each other.
pub const BOTH: &str = "content-and-behaviour";

/// Rules that are named where the text raises what they saw.
const NAMED_MAX: usize = 4;

/// The points of soft rules ([`Rules::is_soft`](super::Rules::is_soft)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftPoints {
    /// Of all of them.
    pub all: i32,
    /// Without those of phrases, which the model has read as well ([`Rules::is_raised`](super::Rules::is_raised)).
    pub raised: i32,
}

/// What the text makes of the points of soft rules, with their sum Q, the part R of it that is raised and the text's points
/// T held between 0 and 150, and its log-odds l:
///
/// ```text
/// l < 0    − min(60, Q, −12·l)     the model has read thousands of wanted messages with such marks, a rule knows of none
/// else     + R·T/30                two that suggest the same say more than each, unless they read the same words
/// ```
///
/// `raised` names the rules of R, heaviest first.
pub fn rules_in_their_text(points: SoftPoints, raised: &[&str], text_points: i32, log_odds: f64) -> Option<Reason> {
    let soft = points.all.max(0);
    let (name, points, sentence) = if log_odds < 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "held between 0 and 60 before")]
        let earned = (-log_odds * TAKEN_BACK_FOR_EACH).round().clamp(0.0, f64::from(TAKEN_BACK_MAX)) as i32;
        let sentence = "what light rules saw counts for less, since the text is like that of ordinary mail";
        ("text-is-ordinary", -soft.min(earned), sentence.to_owned())
    } else {
        let told = &raised[..raised.len().min(NAMED_MAX)];
        let further = if raised.len() > NAMED_MAX { " and others" } else { "" };
        let sentence = format!("{}{further} count for more, since the text is like that of spam", told.join(", "));
        (RAISED, product(points.raised, text_points, RAISED_FULL_POINTS), sentence)
    };
    (points != 0).then(|| Reason { name: name.into(), points, sentence: sentence.into() })
}

/// What two kinds of points, each held between 0 and 150, add to each other, where `full` of one add the other again.
fn product(one: i32, other: i32, full: i32) -> i32 {
    (one.clamp(0, FULL_POINTS) * other.clamp(0, FULL_POINTS) + full / 2) / full
}

/// All reasons: content's, behaviour's, and what follows from both.
pub fn combine(content: Vec<Reason>, behaviour: &Assessment) -> Vec<Reason> {
    let unforgivable = content.iter().any(is_unforgivable);
    let signs = behaviour.reasons.iter().filter(|reason| !unforgivable || reason.points >= 0).cloned();
    let of_text = |reason: &Reason| ["text", RAISED].contains(&reason.name.as_ref());
    let is_decided = content.iter().any(|reason| reason.points >= FULL_POINTS && !of_text(reason));
    let mut reasons = content;
    reasons.retain(|reason| !is_decided || reason.points >= 0);
    let content_points = sum(&reasons);
    let first_sign = reasons.len();
    reasons.extend(signs);
    let behaviour_points = sum(&reasons[first_sign..]);
    let established = if unforgivable { 0.0 } else { behaviour.established };
    reasons.extend(both(content_points, behaviour_points));
    reasons.extend(series(content_points, established));
    reasons
}

fn sum(reasons: &[Reason]) -> i32 {
    reasons.iter().map(|reason| reason.points).fold(0, i32::saturating_add)
}

/// What content and behaviour add to each other.
fn both(content: i32, behaviour: i32) -> Option<Reason> {
    let points = product(content, behaviour, FULL_POINTS);
    (points > 0).then(|| Reason {
        name: BOTH.into(),
        points,
        sentence: format!("the text ({content} points) and what is unlike the account ({behaviour} points) add up")
            .into(),
    })
}

/// What speaks for a series that has gone out for weeks.
fn series(content: i32, established: f64) -> Option<Reason> {
    // In thousandths, so that what follows is whole: no step of the content's points may be lost to rounding.
    let established = i64::from(super::behaviour::share::points(established * 1_000.0).clamp(0, 1_000));
    let half = i64::from(content.max(0)) * established / 2_000;
    let points = -i32::try_from(half).unwrap_or(i32::MAX).min(FORGIVEN_MAX);
    (points < 0).then(|| Reason {
        name: "established-series".into(),
        points,
        sentence: "one more of a series that this account has sent for weeks, to the readers that it has".into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(name: &'static str, points: i32) -> Reason {
        Reason { name: name.into(), points, sentence: "because".into() }
    }

    fn score(content: i32, behaviour: i32, established: f64) -> i32 {
        let assessment =
            Assessment { reasons: vec![reason("behaviour", behaviour)], established, ..Assessment::default() };
        sum(&combine(vec![reason("content", content)], &assessment))
    }

    #[test]
    fn each_raises_the_other_and_an_old_series_passes() {
        let cases = [
            (60, 0, 0.0, 60, "a suspicious text at the usual pace"),
            (0, 110, 0.0, 110, "a busy day"),
            (60, 65, 0.0, 151, "both"),
            (-50, 100, 0.0, 50, "good content is not weighed by behaviour"),
            (170, 0, 1.0, 85, "a loud newsletter that has gone out for weeks"),
            (170, 0, 0.0, 170, "a loud newsletter that has not"),
            (400, 0, 1.0, 310, "a series is forgiven 90 at most"),
            (300, 300, 0.0, 750, "the product is bounded"),
        ];
        for (content, behaviour, established, expected, why) in cases {
            assert_eq!(score(content, behaviour, established), expected, "{why}");
        }
    }

    #[test]
    fn soft_rules_count_by_the_text_they_stand_in() {
        let cases = [
            (40, 0, -1.0, -12, "likely wanted: twelve points for each unit"),
            (40, -20, -4.0, -40, "never more than there is"),
            (90, -20, -9.0, -60, "nor more than sixty"),
            (0, -20, -4.0, 0, "there is nothing to take back"),
            (-20, -20, -4.0, 0, "what speaks for a message is not raised"),
            (40, 5, 0.0, 7, "even odds say next to nothing"),
            (40, 75, 1.7, 100, "both suggest it"),
            (90, 200, 6.0, 450, "a text says no more than it does at a hold"),
            (1_000, 200, 6.0, 750, "nor do rules"),
            (-20, 200, 6.0, 0, "what speaks for a message is not multiplied"),
            (40, 0, f64::NAN, 0, "no number, no points"),
        ];
        for (soft, text, log_odds, expected, why) in cases {
            let soft = SoftPoints { all: soft, raised: soft };
            let points = rules_in_their_text(soft, &[], text, log_odds).map_or(0, |reason| reason.points);
            assert_eq!(points, expected, "{why}");
        }
        let phrases = SoftPoints { all: 90, raised: 0 };
        assert_eq!(rules_in_their_text(phrases, &[], 100, 3.0), None, "what both read counts once");
        let taken = rules_in_their_text(phrases, &[], -20, -6.0).map(|reason| reason.points);
        assert_eq!(taken, Some(-60), "and is taken back as any");
    }

    #[test]
    fn an_ordinary_text_does_not_excuse_what_decides() {
        let content =
            |decisive| vec![reason("attachment-script", decisive), reason("text", -30), reason("answers", -10)];
        let score = |decisive| sum(&combine(content(decisive), &Assessment::default()));
        assert_eq!((score(150), score(149)), (150, 109));
    }

    #[test]
    fn nothing_speaks_for_the_unforgivable() {
        let assessment = Assessment {
            reasons: vec![reason("text-was-released", -150), reason("volume", 20)],
            established: 1.0,
            ..Assessment::default()
        };
        let reasons = combine(vec![reason("gtube", 1_000)], &assessment);
        assert!(reasons.iter().all(|reason| reason.points >= 0), "{reasons:?}");
    }

    proptest! {
        /// More points of either never lower the score, it stays within its bounds, and hostile numbers make no panic.
        #[test]
        fn monotone_and_bounded(
            content in -2_000_i32..2_000, behaviour in -500_i32..500, more in 0_i32..300,
            established in prop_oneof![0.0..=1.0, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)],
        ) {
            let here = score(content, behaviour, established);
            prop_assert!(score(content + more, behaviour, established) >= here);
            prop_assert!(score(content, behaviour + more, established) >= here);
            prop_assert!((content + behaviour - 90..=content + behaviour + 150).contains(&here));
        }
    }
}
