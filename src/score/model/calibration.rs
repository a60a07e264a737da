//! From a sum of weights to a probability that holds on mail from elsewhere.
//!
//! On the sources it was trained on, a model is far too sure of itself. So the line from sum to log-odds is fitted on the
//! sums that each source got from a model trained without it, and it is flatter where little of a text is known. What speaks
//! for spam counts for less in a short text: a template of a line or two has no words by which to tell its kind.

/// The fitted line: log-odds = `base` + sum × (`slope` + `slope_covered` × coverage).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The log-odds where nothing speaks for either side: the prior.
    pub base: f32,
    /// What each unit of the sum adds.
    pub slope: f32,
    /// What it adds more where all of the text is known.
    pub slope_covered: f32,
}

/// One message as a model saw it that was not trained on its source.
#[derive(Debug, Clone, Copy)]
pub struct Unseen {
    /// The sum of its weights.
    pub sum: f64,
    /// The share of its text that the model knew.
    pub coverage: f64,
    /// Whether it is spam.
    pub spam: bool,
    /// What it counts.
    pub weight: f64,
}

/// A text of so many features says half of what it seems to, where that is spam.
const SHORT_FEATURES: f64 = 30.0;
/// The largest log-odds that are believed either way: one in sixty thousand.
const LOG_ODDS_MAX: f64 = 11.0;

impl Calibration {
    /// The calibrated log-odds of a text of so many features.
    pub fn log_odds(&self, sum: f64, coverage: f64, features: usize) -> f64 {
        let slope = f64::from(self.slope) + f64::from(self.slope_covered) * coverage;
        let log_odds = (f64::from(self.base) + sum * slope.max(0.0)).clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX);
        #[expect(clippy::cast_precision_loss, reason = "at most 12,000 features")]
        let features = features as f64;
        if log_odds > 0.0 { log_odds * features / (features + SHORT_FEATURES) } else { log_odds }
    }

    /// Fits the line by Newton's method on the logistic loss, held near the identity by a weak prior. Deterministic.
    pub fn fit(unseen: &[Unseen]) -> Self {
        let mut line = [0.0_f64, 0.5, 0.0];
        for _ in 0..50 {
            // The prior's pull: as much as one message counts.
            let mut gradient = [line[0], line[1] - 0.5, line[2]];
            let mut curve = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            for one in unseen {
                let x = [1.0, one.sum, one.sum * one.coverage];
                let z: f64 = x.iter().zip(line).map(|(a, b)| a * b).sum();
                let p = 1.0 / (1.0 + (-z).exp());
                let error = (p - f64::from(u8::from(one.spam))) * one.weight;
                let bend = (p * (1.0 - p)).max(1e-9) * one.weight;
                for i in 0..3 {
                    gradient[i] += error * x[i];
                    for j in 0..3 {
                        curve[i][j] += bend * x[i] * x[j];
                    }
                }
            }
            let step = solve(curve, gradient);
            let size = step.iter().map(|s| s.abs()).fold(0.0, f64::max);
            // Far steps are cut: the loss is convex, so shorter ones arrive as well.
            let cut = if size > 1.0 { 1.0 / size } else { 1.0 };
            for i in 0..3 {
                line[i] -= step[i] * cut;
            }
            if size < 1e-9 {
                break;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "three small numbers")]
        Self { base: line[0] as f32, slope: line[1] as f32, slope_covered: line[2] as f32 }
    }
}

/// Solves three equations by elimination with pivots; the matrix is positive definite.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> [f64; 3] {
    for k in 0..3 {
        let pivot = (k..3).max_by(|i, j| a[*i][k].abs().total_cmp(&a[*j][k].abs())).unwrap_or(k);
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..3 {
            let factor = a[i][k] / a[k][k];
            let row = a[k];
            for (cell, above) in a[i].iter_mut().zip(row).skip(k) {
                *cell -= factor * above;
            }
            b[i] -= factor * b[k];
        }
    }
    let mut x = [0.0; 3];
    for k in (0..3).rev() {
        let rest: f64 = (k + 1..3).map(|j| a[k][j] * x[j]).sum();
        x[k] = (b[k] - rest) / a[k][k];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_line_that_made_the_labels() {
        // Sums from -8 to 8; the share of spam at each is what the line -0.5 + 0.7 s says.
        let mut unseen = Vec::new();
        for step in -80..=80 {
            let sum = f64::from(step) / 10.0;
            let p = 1.0 / (1.0 + (0.5 - 0.7 * sum).exp());
            for (spam, weight) in [(true, p * 1_000.0), (false, (1.0 - p) * 1_000.0)] {
                unseen.push(Unseen { sum, coverage: f64::from(step & 1), spam, weight });
            }
        }
        let line = Calibration::fit(&unseen);
        for sum in [-6.0, 0.0, 3.0] {
            for coverage in [0.0, 1.0] {
                assert!((line.log_odds(sum, coverage, usize::MAX) - (-0.5 + 0.7 * sum)).abs() < 0.02, "{line:?}");
            }
        }
    }

    #[test]
    fn little_known_says_less() {
        let line = Calibration { base: -1.0, slope: 0.1, slope_covered: 0.6 };
        assert!(line.log_odds(8.0, 0.2, 500) < line.log_odds(8.0, 0.9, 500));
        assert!(line.log_odds(-8.0, 0.2, 500) > line.log_odds(-8.0, 0.9, 500));
        assert!((line.log_odds(0.0, 0.5, 500) + 1.0).abs() < 1e-6);
        assert!(line.log_odds(1e9, 1.0, 500) <= 11.0);
        assert!(line.log_odds(8.0, 0.9, 20) < line.log_odds(8.0, 0.9, 500) / 2.0, "nor does a short text");
        assert!(line.log_odds(8.0, 0.9, 0).abs() < 1e-9, "none says nothing");
        let (short, long) = (line.log_odds(-8.0, 0.9, 20), line.log_odds(-8.0, 0.9, 500));
        assert!((short - long).abs() < 1e-9, "a short note is as ordinary as a long letter");
    }
}
