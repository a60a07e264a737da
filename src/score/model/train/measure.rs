//! What a score is worth: area under the ROC, recall at a share of ham held, calibration. Ties are never counted as
//! flagged.

/// One judged message: its score (higher is more like spam), and whether it is spam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The score.
    pub score: f64,
    /// What it is.
    pub spam: bool,
}

/// The chance that a spam message scores higher than a ham message, ties counted half. `None` without both.
#[expect(clippy::cast_precision_loss, reason = "counts of messages")]
pub fn area(judged: &[Judged]) -> Option<f64> {
    let mut sorted = judged.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let spam = judged.iter().filter(|j| j.spam).count() as f64;
    let ham = judged.len() as f64 - spam;
    let (mut below, mut area) = (0.0, 0.0);
    for same in sorted.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let spam_here = same.iter().filter(|j| j.spam).count() as f64;
        let ham_here = same.len() as f64 - spam_here;
        area += spam_here * (below + ham_here / 2.0);
        below += ham_here;
    }
    (spam > 0.0 && ham > 0.0).then(|| area / (spam * ham))
}

/// The lowest threshold above which at most that share of ham scores.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of messages"
)]
pub fn threshold(judged: &[Judged], ham_held: f64) -> Option<f64> {
    let mut ham: Vec<f64> = judged.iter().filter(|j| !j.spam).map(|j| j.score).collect();
    ham.sort_by(|a, b| b.total_cmp(a));
    let allowed = (ham.len() as f64 * ham_held) as usize;
    ham.get(allowed).copied()
}

/// The share of a label that scores above a threshold; `None` where there is none of it.
#[expect(clippy::cast_precision_loss, reason = "counts of messages")]
pub fn share_above(judged: &[Judged], threshold: f64, spam: bool) -> Option<f64> {
    let all = judged.iter().filter(|j| j.spam == spam).count();
    let above = judged.iter().filter(|j| j.spam == spam && j.score > threshold).count();
    (all > 0).then(|| above as f64 / all as f64)
}

/// One row of a calibration table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Probabilities from here …
    pub from: f64,
    /// … to below here.
    pub to: f64,
    /// Messages with one.
    pub messages: usize,
    /// What was said on average.
    pub said: f64,
    /// The share of them that is spam.
    pub was: f64,
}

/// Said against seen, by probability.
#[expect(clippy::cast_precision_loss, reason = "counts of messages")]
pub fn calibration(judged: &[(f64, bool)]) -> Vec<Bin> {
    const EDGES: [f64; 13] = [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.000_001];
    let bin = |edges: &[f64]| {
        let inside: Vec<&(f64, bool)> = judged.iter().filter(|j| j.0 >= edges[0] && j.0 < edges[1]).collect();
        let count = inside.len().max(1) as f64;
        Bin {
            from: edges[0],
            to: edges[1].min(1.0),
            messages: inside.len(),
            said: inside.iter().map(|j| j.0).sum::<f64>() / count,
            was: inside.iter().filter(|j| j.1).count() as f64 / count,
        }
    };
    EDGES.windows(2).map(bin).filter(|bin| bin.messages > 0).collect()
}

/// The corners of the ROC: share of ham held, share of spam held, from (0, 0) to (1, 1).
#[expect(clippy::cast_precision_loss, reason = "counts of messages")]
pub fn curve(judged: &[Judged]) -> Vec<(f64, f64)> {
    let mut sorted = judged.to_vec();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let spam = sorted.iter().filter(|j| j.spam).count().max(1) as f64;
    let ham = sorted.iter().filter(|j| !j.spam).count().max(1) as f64;
    let mut corners = vec![(0.0, 0.0)];
    let (mut h, mut s) = (0.0, 0.0);
    for same in sorted.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let spam_here = same.iter().filter(|j| j.spam).count() as f64;
        s += spam_here;
        h += same.len() as f64 - spam_here;
        corners.push((h / ham, s / spam));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(f64, bool)]) -> Vec<Judged> {
        pairs.iter().map(|(score, spam)| Judged { score: *score, spam: *spam }).collect()
    }

    #[test]
    fn area_counts_pairs() {
        // Pairs of spam and ham: (3,1) (3,2) (2,1) in order, (2,2) a tie: 3.5 of 4.
        let some = judged(&[(1.0, false), (2.0, false), (2.0, true), (3.0, true)]);
        assert_eq!(area(&some), Some(3.5 / 4.0));
        assert_eq!(area(&some[2..]), None);
    }

    #[test]
    fn a_tie_with_the_threshold_is_not_flagged() {
        // Ten ham at 1, one of them allowed to be held: nothing above 1 is ham, so 1 is the threshold, and spam at 1 passes.
        let mut pairs = vec![(1.0, false); 10];
        pairs.extend([(1.0, true), (2.0, true)]);
        let some = judged(&pairs);
        let at = threshold(&some, 0.1).unwrap();
        assert_eq!((at, share_above(&some, at, true), share_above(&some, at, false)), (1.0, Some(0.5), Some(0.0)));
    }

    #[test]
    fn the_curve_goes_from_nothing_to_all() {
        let corners = curve(&judged(&[(1.0, false), (2.0, true), (3.0, false), (4.0, true)]));
        assert_eq!(corners, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
    }
}
