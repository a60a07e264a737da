//! Colours of CSS and of HTML's attributes, as far as they decide what is seen.

use super::style::Paint;

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

impl Rgb {
    /// What a page has unless it says otherwise.
    pub(super) const WHITE: Self = Self(255, 255, 255);
    /// What text has unless it says otherwise.
    pub(super) const BLACK: Self = Self(0, 0, 0);

    /// Whether text of this colour is hardly seen on that one: the three parts differ by less than a sixteenth each.
    pub(super) fn is_near(self, other: Self) -> bool {
        [(self.0, other.0), (self.1, other.1), (self.2, other.2)].iter().all(|(a, b)| a.abs_diff(*b) < 16)
    }
}

/// The paint that a `color` or `bgcolor` names.
pub(super) fn paint(value: &str) -> Option<Paint> {
    let value = value.trim();
    if let Some(hex) = value.strip_prefix('#') {
        return hex_colour(hex);
    }
    if value.eq_ignore_ascii_case("transparent") {
        return Some(Paint::Transparent);
    }
    if value.get(..3).is_some_and(|f| f.eq_ignore_ascii_case("rgb")) {
        return rgb_function(value);
    }
    if let Some((_, rgb)) = NAMED.iter().find(|(name, _)| value.eq_ignore_ascii_case(name)) {
        return Some(Paint::Colour(*rgb));
    }
    if value.eq_ignore_ascii_case("inherit") || value.is_empty() {
        return None;
    }
    // The attribute of old takes six digits without their sign.
    if value.len() == 6 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return hex_colour(value);
    }
    Some(Paint::Unknown)
}

/// The paint of a `background` shorthand: a picture makes it unknown.
pub(super) fn background(value: &str) -> Option<Paint> {
    if value.contains("url(") || value.contains("gradient") {
        return Some(Paint::Unknown);
    }
    if value.contains('(') {
        return paint(value);
    }
    match value.split_ascii_whitespace().next()? {
        "none" => Some(Paint::Transparent),
        word => paint(word),
    }
}

fn hex_colour(hex: &str) -> Option<Paint> {
    let digits: Vec<u8> =
        hex.bytes().take(8).map_while(|b| char::from(b).to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    let rgb = match digits[..] {
        [_, _, _, 0] | [_, _, _, _, _, _, 0, 0] => return Some(Paint::Transparent),
        [r, g, b] | [r, g, b, _] => Rgb(r * 17, g * 17, b * 17),
        [r, r_low, g, g_low, b, b_low, ..] => Rgb(r * 16 + r_low, g * 16 + g_low, b * 16 + b_low),
        _ => return None,
    };
    Some(Paint::Colour(rgb))
}

/// `rgb(1, 2, 3)`, `rgba(1 2 3 / 0)`.
fn rgb_function(value: &str) -> Option<Paint> {
    let inside = value.split_once('(')?.1.split(')').next()?;
    let mut numbers = inside.split([',', ' ', '/']).filter(|n| !n.is_empty()).map(|n| {
        let (digits, scale) = n.strip_suffix('%').map_or((n, 1.0), |digits| (digits, 2.55));
        digits.parse::<f32>().ok().map(|n| n * scale)
    });
    let mut part = || numbers.next().flatten().map(channel);
    let rgb = Rgb(part()?, part()?, part()?);
    match numbers.next().flatten() {
        Some(alpha) if alpha < 0.05 => Some(Paint::Transparent),
        _ => Some(Paint::Colour(rgb)),
    }
}

fn channel(n: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
    let byte = n.clamp(0.0, 255.0) as u8;
    byte
}

/// Colours that mail names by name.
const NAMED: [(&str, Rgb); 32] = [
    ("white", Rgb::WHITE),
    ("black", Rgb::BLACK),
    ("red", Rgb(255, 0, 0)),
    ("green", Rgb(0, 128, 0)),
    ("blue", Rgb(0, 0, 255)),
    ("yellow", Rgb(255, 255, 0)),
    ("gray", Rgb(128, 128, 128)),
    ("grey", Rgb(128, 128, 128)),
    ("silver", Rgb(192, 192, 192)),
    ("maroon", Rgb(128, 0, 0)),
    ("purple", Rgb(128, 0, 128)),
    ("fuchsia", Rgb(255, 0, 255)),
    ("magenta", Rgb(255, 0, 255)),
    ("lime", Rgb(0, 255, 0)),
    ("olive", Rgb(128, 128, 0)),
    ("navy", Rgb(0, 0, 128)),
    ("teal", Rgb(0, 128, 128)),
    ("aqua", Rgb(0, 255, 255)),
    ("cyan", Rgb(0, 255, 255)),
    ("orange", Rgb(255, 165, 0)),
    ("snow", Rgb(255, 250, 250)),
    ("ivory", Rgb(255, 255, 240)),
    ("ghostwhite", Rgb(248, 248, 255)),
    ("whitesmoke", Rgb(245, 245, 245)),
    ("floralwhite", Rgb(255, 250, 240)),
    ("azure", Rgb(240, 255, 255)),
    ("mintcream", Rgb(245, 255, 250)),
    ("lightgray", Rgb(211, 211, 211)),
    ("lightgrey", Rgb(211, 211, 211)),
    ("darkgray", Rgb(169, 169, 169)),
    ("darkblue", Rgb(0, 0, 139)),
    ("darkred", Rgb(139, 0, 0)),
];
