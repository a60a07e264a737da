//! Families: rules that speak of one thing add no more than the family may.

use std::cmp::Reverse;

use crate::reason::Reason;

use super::data::Family;

/// A reason with the place of its rule's family.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    /// The index of the family.
    pub(super) family: usize,
    /// The reason, with the rule's whole points.
    pub(super) reason: Reason,
}

/// The reasons with what their families leave of their points.
pub(super) fn within(families: &[Family], mut weighed: Vec<Weighed>) -> Vec<Reason> {
    // The heaviest counts whole, even past the cap: an operator who gives one rule 500 means it.
    weighed.sort_by_key(|one| Reverse(one.reason.points.unsigned_abs()));
    let mut left: Vec<(Option<i32>, Option<i32>)> = vec![(None, None); families.len()];
    let mut reasons = Vec::with_capacity(weighed.len());
    for Weighed { family, mut reason } in weighed {
        let (up, down) = &mut left[family];
        if reason.points > 0 {
            let room = up.get_or_insert(families[family].points_max.max(reason.points));
            reason.points = reason.points.min(*room);
            *room -= reason.points;
        } else {
            let room = down.get_or_insert(families[family].points_min.min(reason.points));
            reason.points = reason.points.max(*room);
            *room -= reason.points;
        }
        reasons.push(reason);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    type Points = [(usize, i32)];

    #[test]
    fn families_are_capped_and_never_lose_a_reason() {
        let family = |points_max, points_min| Family {
            name: String::new(),
            points_max,
            points_min,
            read_by_model: false,
            sentence: String::new(),
        };
        let families = [family(50, -20), family(100, 0)];
        let cases: [(&Points, &[i32]); 7] = [
            (&[(0, 20), (0, 20)], &[20, 20]),             // under the cap
            (&[(0, 20), (0, 40)], &[40, 10]),             // the heaviest first, the rest takes what is left
            (&[(0, 30), (0, 30), (0, 30)], &[30, 20, 0]), // seen, though it adds nothing
            (&[(0, 200), (0, 40)], &[200, 0]),            // one rule alone may go past
            (&[(0, 40), (1, 40)], &[40, 40]),             // families do not share
            (&[(0, -15), (0, -15)], &[-15, -5]),          // what speaks for a message is capped too
            (&[(0, 40), (0, -15)], &[40, -15]),           // and on its own
        ];
        for (points, expected) in cases {
            let weighed = points.iter().map(|(family, points)| Weighed {
                family: *family,
                reason: Reason { name: "r".into(), points: *points, sentence: "s".into() },
            });
            let got: Vec<i32> = within(&families, weighed.collect()).iter().map(|r| r.points).collect();
            assert_eq!(got, expected, "{points:?}");
        }
    }
}
