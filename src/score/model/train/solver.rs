//! Logistic regression by dual coordinate descent: one thread, one order, the same bits each time.
//!
//! After Yu, Huang and Lin, "Dual coordinate descent methods for logistic regression and maximum entropy models" (2011):
//! each message has a number between 0 and its cost, and in each round each is moved to where it does best while the others
//! stand still.

use super::{Label, Recipe};

/// One message: features by number, and what each counts.
pub(super) type Row = Vec<(u32, f32)>;

/// What was found.
pub(super) struct Solved {
    pub(super) weights: Vec<f32>,
    pub(super) bias: f64,
}

/// Steps of the search for one message's number.
const INNER_MAX: usize = 30;
/// How near to the best that search comes.
const NEAR: f64 = 1e-4;

pub(super) fn solve(rows: &[Row], labels: &[Label], features: usize, recipe: &Recipe) -> Solved {
    let cost = recipe.cost;
    let start = (0.001 * cost).min(1e-8);
    let mut numbers = vec![[start, cost - start]; rows.len()];
    let lengths: Vec<f64> =
        rows.iter().map(|row| 1.0 + row.iter().map(|cell| f64::from(cell.1).powi(2)).sum::<f64>()).collect();
    let mut solved = Solved { weights: vec![0.0; features], bias: 0.0 };
    for (row, label) in rows.iter().zip(labels) {
        solved.add(row, side(*label) * start);
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut random = recipe.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..recipe.rounds {
        shuffle(&mut order, &mut random);
        for &i in &order {
            let y = side(labels[i]);
            let margin = y * solved.sum(&rows[i]);
            if let Some(moved) = best(&mut numbers[i], margin, lengths[i], cost) {
                solved.add(&rows[i], moved * y);
            }
        }
    }
    solved
}

fn side(label: Label) -> f64 {
    match label {
        Label::Ham => -1.0,
        Label::Spam => 1.0,
    }
}

impl Solved {
    /// The sum over a row.
    pub(super) fn sum(&self, row: &Row) -> f64 {
        self.bias + row.iter().map(|(i, x)| f64::from(self.weights[*i as usize]) * f64::from(*x)).sum::<f64>()
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights are kept in single precision")]
    fn add(&mut self, row: &Row, amount: f64) {
        self.bias += amount;
        for (i, x) in row {
            self.weights[*i as usize] += (amount * f64::from(*x)) as f32;
        }
    }
}

/// Moves one message's number to its best place, by Newton's method; how far it moved.
fn best(numbers: &mut [f64; 2], margin: f64, length: f64, cost: f64) -> Option<f64> {
    let (near, far, sign) =
        if 0.5 * length * (numbers[1] - numbers[0]) + margin < 0.0 { (1, 0, -1.0) } else { (0, 1, 1.0) };
    let old = numbers[near];
    let mut z = if cost - old < 0.5 * cost { 0.1 * old } else { old };
    let slope = |z: f64| length * (z - old) + sign * margin + (z / (cost - z)).ln();
    let mut inner = 0;
    while inner < INNER_MAX && slope(z).abs() > NEAR {
        let step = slope(z) / (length + cost / (cost - z) / z);
        z = if z - step <= 0.0 { 0.1 * z } else { (z - step).min(cost * (1.0 - 1e-12)) };
        inner += 1;
    }
    if inner == 0 {
        return None;
    }
    numbers[near] = z;
    numbers[far] = cost - z;
    Some(sign * (z - old))
}

/// Fisher and Yates, with a xorshift.
fn shuffle(order: &mut [usize], random: &mut u64) {
    for i in (1..order.len()).rev() {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let j = usize::try_from(*random % (i as u64 + 1)).expect("below the length");
        order.swap(i, j);
    }
}
