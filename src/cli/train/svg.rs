//! The ROC and the histogram of scores as pictures, without a library: lines and boxes.

use std::fmt::Write as _;

use crate::score::model::train::measure::{Judged, curve};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 50.0;
const TOP: f64 = 20.0;
const COLOURS: [&str; 2] = ["#1f5fa8", "#c0392b"];
/// The least share of ham held that the ROC shows: its axis is logarithmic.
const SHARE_MIN: f64 = 0.000_1;

/// Spam held against ham held, the latter on a logarithmic axis: what matters is left of one per cent.
pub(super) fn roc(curves: &[(&str, Vec<Judged>)]) -> String {
    let x = |share: f64| LEFT + (share.max(SHARE_MIN) / SHARE_MIN).log10() / 4.0 * (WIDTH - LEFT - 20.0);
    let y = |share: f64| TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM);
    let mut svg = head("ham held", "spam held");
    for share in [0.000_1, 0.001, 0.005, 0.01, 0.1, 1.0] {
        tick_x(&mut svg, x(share), &format!("{} %", share * 100.0));
    }
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        tick_y(&mut svg, y(share), &format!("{} %", share * 100.0));
    }
    for (i, (name, judged)) in curves.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let mut last = (f64::NAN, f64::NAN);
        let mut points = String::new();
        for (ham, spam) in curve(judged) {
            // Corners nearer than a third of a pixel look alike.
            if (x(ham) - last.0).abs() + (y(spam) - last.1).abs() < 0.3 {
                continue;
            }
            if !last.1.is_nan() {
                let _ = write!(points, "{:.1},{:.1} ", x(ham), last.1);
            }
            last = (x(ham), y(spam));
            let _ = write!(points, "{:.1},{:.1} ", last.0, last.1);
        }
        let _ = writeln!(svg, r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#);
        legend(&mut svg, i, name, colour);
    }
    svg + "</svg>\n"
}

/// How many per cent of ham and of spam have which points.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and points"
)]
pub(super) fn histogram(judged: &[Judged]) -> String {
    const FROM: f64 = -20.0;
    const STEP: f64 = 10.0;
    const BINS: usize = 23;
    let mut svg = head("points", "share of messages (root scale)");
    let x = |bin: f64| LEFT + bin / BINS as f64 * (WIDTH - LEFT - 20.0);
    // The root lets a bin of one per mille be seen beside one of half of all.
    let y = |share: f64| TOP + (1.0 - share.sqrt()) * (HEIGHT - TOP - BOTTOM);
    for points in [-20.0, 0.0, 50.0, 100.0, 150.0, 200.0] {
        tick_x(&mut svg, x((points - FROM) / STEP), &format!("{points}"));
    }
    for share in [0.0, 0.001, 0.01, 0.1, 0.5, 1.0] {
        tick_y(&mut svg, y(share), &format!("{} %", share * 100.0));
    }
    for (i, spam) in [false, true].into_iter().enumerate() {
        let all: Vec<f64> = judged.iter().filter(|j| j.spam == spam).map(|j| j.score).collect();
        let mut bins = [0_usize; BINS];
        for score in &all {
            bins[(((score - FROM) / STEP).max(0.0) as usize).min(BINS - 1)] += 1;
        }
        for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            let top = y(*count as f64 / all.len() as f64);
            let width = x(0.4) - x(0.0);
            let left = x(bin as f64) + width * i as f64 * 1.1;
            let height = y(0.0) - top;
            let colour = COLOURS[i];
            let _ = writeln!(
                svg,
                r#"<rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
            );
        }
        legend(&mut svg, i, if spam { "spam" } else { "ham" }, COLOURS[i]);
    }
    svg + "</svg>\n"
}

fn head(x: &str, y: &str) -> String {
    let (right, bottom) = (WIDTH - 20.0, HEIGHT - BOTTOM);
    let (middle_x, middle_y, under) = (WIDTH / 2.0, HEIGHT / 2.0, HEIGHT - 12.0);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#444"/>
<text x="{middle_x}" y="{under}" text-anchor="middle">{x}</text>
<text transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle">{y}</text>
"##
    )
}

fn tick_x(svg: &mut String, x: f64, text: &str) {
    let bottom = HEIGHT - BOTTOM;
    let under = bottom + 16.0;
    let _ = writeln!(svg, r##"<path d="M{x:.1} {TOP}V{bottom}" stroke="#ddd"/>"##);
    let _ = writeln!(svg, r#"<text x="{x:.1}" y="{under}" text-anchor="middle">{text}</text>"#);
}

fn tick_y(svg: &mut String, y: f64, text: &str) {
    let (right, left) = (WIDTH - 20.0, LEFT - 6.0);
    let base = y + 4.0;
    let _ = writeln!(svg, r##"<path d="M{LEFT} {y:.1}H{right}" stroke="#ddd"/>"##);
    let _ = writeln!(svg, r#"<text x="{left}" y="{base:.1}" text-anchor="end">{text}</text>"#);
}

fn legend(svg: &mut String, i: usize, name: &str, colour: &str) {
    #[expect(clippy::cast_precision_loss, reason = "two or three lines")]
    let y = HEIGHT - BOTTOM - 14.0 - 16.0 * i as f64;
    let (x, text) = (WIDTH - 170.0, WIDTH - 152.0);
    let base = y + 9.0;
    let _ = writeln!(svg, r#"<rect x="{x}" y="{y}" width="12" height="10" fill="{colour}"/>"#);
    let _ = writeln!(svg, r#"<text x="{text}" y="{base}">{name}</text>"#);
}
