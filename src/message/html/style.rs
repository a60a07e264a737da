//! As much of CSS as tells whether text is seen: hiding, sizes, colours (inline styles, and rules for one tag, class or
//! id in `<style>`).

use std::collections::HashMap;

use foldhash::fast::RandomState;
use memchr::{memchr, memchr_iter};

use super::colour::{self, Rgb};

/// How many declarations of one style are read.
const DECLARATIONS_MAX: usize = 100;
/// How many rules of all style sheets are kept.
const RULES_MAX: usize = 500;

/// What one style says; what it does not speak of is `None`.
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own that CSS switches alone")]
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Style {
    /// The element and all in it is not shown, or shown where nobody looks.
    pub(super) gone: Option<bool>,
    /// `visibility`; what is inside may show itself again.
    pub(super) invisible: Option<bool>,
    /// Size of text.
    pub(super) font: Option<Length>,
    /// Colour of text.
    pub(super) colour: Option<Paint>,
    /// Colour behind it.
    pub(super) background: Option<Paint>,
    /// Width and height, for pictures.
    pub(super) width_px: Option<f32>,
    /// See `width_px`.
    pub(super) height_px: Option<f32>,
    /// Text is moved far off by its indent.
    pub(super) indented_away: Option<bool>,
    overflow_hidden: bool,
    absolute: bool,
    flat: bool,
    off_screen: bool,
}

/// A length as far as it can be known without laying out the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Length {
    /// In pixels.
    Px(f32),
    /// As a share of the size around it.
    Of(f32),
}

/// A colour as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Paint {
    /// This one.
    Colour(Rgb),
    /// None at all.
    Transparent,
    /// A picture, a gradient, a variable.
    Unknown,
}

impl Style {
    /// Reads declarations: `name: value; …`.
    pub(super) fn read(css: &str) -> Self {
        let mut style = Self::default();
        for declaration in css.split(';').take(DECLARATIONS_MAX) {
            let Some(colon) = memchr(b':', declaration.as_bytes()) else { continue };
            let (name, value) = (&declaration[..colon], &declaration[colon + 1..]);
            let mut name_buffer = [0; 20];
            let Some(name) = lower(name.trim(), &mut name_buffer) else { continue };
            let mark = memchr_iter(b'!', value.as_bytes()).find(|at| value[*at..].starts_with("!important"));
            style.declare(name, value[..mark.unwrap_or(value.len())].trim());
        }
        // A box without height hides only what it does not let out.
        if (style.flat && style.overflow_hidden) || (style.absolute && style.off_screen) {
            style.gone = Some(true);
        }
        style
    }

    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over what `stronger` speaks of.
    pub(super) fn overlay(&mut self, stronger: &Self) {
        self.gone = stronger.gone.or(self.gone);
        self.invisible = stronger.invisible.or(self.invisible);
        self.font = stronger.font.or(self.font);
        self.colour = stronger.colour.or(self.colour);
        self.background = stronger.background.or(self.background);
        self.width_px = stronger.width_px.or(self.width_px);
        self.height_px = stronger.height_px.or(self.height_px);
        self.indented_away = stronger.indented_away.or(self.indented_away);
    }

    fn declare(&mut self, name: &str, value: &str) {
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        match name {
            "display" => self.gone = Some(is("none")),
            "mso-hide" if is("all") => self.gone = Some(true),
            "visibility" => self.invisible = Some(is("hidden") || is("collapse")),
            "opacity" if number(value).is_some_and(|(n, _)| n < 0.05) => self.gone = Some(true),
            "font-size" => self.font = font_size(value).or(self.font),
            "font" => self.font = value.split_ascii_whitespace().find_map(font_in_shorthand).or(self.font),
            "color" => self.colour = colour::paint(value).or(self.colour),
            "background-color" | "background" => self.background = colour::background(value).or(self.background),
            "background-image" if !is("none") => self.background = Some(Paint::Unknown),
            "overflow" | "overflow-y" => self.overflow_hidden = is("hidden"),
            "max-height" | "max-width" => self.flat |= px(value).is_some_and(|px| px <= 1.0),
            "height" => {
                self.height_px = px(value);
                self.flat |= self.height_px.is_some_and(|px| px <= 1.0);
            }
            "width" => {
                self.width_px = px(value);
                self.flat |= self.width_px.is_some_and(|px| px <= 1.0);
            }
            "position" => self.absolute = is("absolute") || is("fixed"),
            "left" | "top" | "right" | "bottom" | "margin-left" | "margin-top" => {
                self.off_screen |= px(value).is_some_and(|px| px <= -500.0);
            }
            "text-indent" => self.indented_away = Some(px(value).is_some_and(|px| px <= -500.0)),
            "clip" => self.off_screen |= value.contains("rect(0") || value.contains("rect(1px"),
            "clip-path" if value.contains("inset(100%") || value.contains("inset(50%") => self.gone = Some(true),
            _ => {}
        }
    }
}

/// The rules of style sheets, by what they choose.
#[derive(Debug, Default)]
pub(super) struct Rules {
    tags: HashMap<Box<str>, Style, RandomState>,
    classes: HashMap<Box<str>, Style, RandomState>,
    ids: HashMap<Box<str>, Style, RandomState>,
    count: usize,
}

impl Rules {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads a style sheet. Rules in a block of their own (`@media`) are for other screens and left out.
    pub(super) fn read(&mut self, css: &str) {
        let mut rest = css;
        while let Some(open) = rest.find(['{', '}']) {
            let before = without_comments(&rest[..open]);
            if rest.as_bytes()[open] == b'}' {
                rest = &rest[open + 1..];
                continue;
            }
            let selectors = before.trim().trim_start_matches("<!--");
            let body = &rest[open + 1..];
            let end = if selectors.starts_with('@') { block_end(body) } else { body.find('}').unwrap_or(body.len()) };
            if !selectors.starts_with('@') && self.count < RULES_MAX {
                self.add(selectors, &body[..end]);
            }
            rest = body.get(end + 1..).unwrap_or_default();
        }
    }

    /// What the rules say of an element, the stronger over the weaker.
    pub(super) fn of(&self, tag: &str, classes: &str, id: &str) -> Style {
        let mut style = self.tags.get(tag).cloned().unwrap_or_default();
        for class in classes.split_ascii_whitespace().take(16) {
            if let Some(rule) = self.classes.get(class) {
                style.overlay(rule);
            }
        }
        if let Some(rule) = self.ids.get(id).filter(|_| !id.is_empty()) {
            style.overlay(rule);
        }
        style
    }

    fn add(&mut self, selectors: &str, declarations: &str) {
        let style = Style::read(declarations);
        if style.is_empty() {
            return;
        }
        for selector in selectors.split(',').take(32) {
            let selector = selector.trim();
            let last = selector.rsplit([' ', '>', '+', '~']).next().unwrap_or_default();
            let mut style = style.clone();
            if last.len() != selector.len() {
                // Chosen by where it stands, which is not known here: nothing is hidden by it, and colours are unclear.
                style = Style {
                    colour: style.colour.map(|_| Paint::Unknown),
                    background: style.background.map(|_| Paint::Unknown),
                    ..Style::default()
                };
            }
            if last.contains([':', '[', '*']) || last.is_empty() || self.count >= RULES_MAX {
                continue;
            }
            let map = match last.find(['.', '#']) {
                None => (&mut self.tags, last.to_ascii_lowercase()),
                Some(at) if last.as_bytes()[at] == b'#' => (&mut self.ids, last[at + 1..].to_owned()),
                Some(at) => (&mut self.classes, last[at + 1..].to_owned()),
            };
            self.count += 1;
            map.0.entry(map.1.into_boxed_str()).or_default().overlay(&style);
        }
    }
}

/// The size that `<font size>` asks for, in pixels.
pub(super) fn font_attribute(value: &str) -> Option<Length> {
    let value = value.trim();
    let number: i32 = value.parse().ok()?;
    let size = if value.starts_with(['+', '-']) { number.saturating_add(3) } else { number };
    let px = [10.0, 13.0, 16.0, 18.0, 24.0, 32.0, 48.0][usize::try_from(size.clamp(1, 7) - 1).ok()?];
    Some(Length::Px(px))
}

/// A length in pixels; percentages and lengths of type are not known.
pub(super) fn px(value: &str) -> Option<f32> {
    let (number, unit) = number(value)?;
    let factor = match unit {
        "" | "px" => 1.0,
        "pt" => 4.0 / 3.0,
        "em" | "rem" => 16.0,
        "in" => 96.0,
        "cm" => 37.8,
        "mm" => 3.78,
        // Nothing of anything is nothing; far off is far off.
        _ if number == 0.0 || (unit == "%" && number <= -100.0) => 10.0,
        _ => return None,
    };
    Some(number * factor)
}

fn font_size(value: &str) -> Option<Length> {
    const NAMED: [(&str, f32); 8] = [
        ("xx-small", 9.0),
        ("x-small", 10.0),
        ("small", 13.0),
        ("medium", 16.0),
        ("large", 18.0),
        ("x-large", 24.0),
        ("xx-large", 32.0),
        ("xxx-large", 48.0),
    ];
    if let Some((_, px)) = NAMED.iter().find(|(name, _)| value.eq_ignore_ascii_case(name)) {
        return Some(Length::Px(*px));
    }
    match number(value)? {
        (share, "em") => Some(Length::Of(share)),
        (share, "rem") => Some(Length::Px(share * 16.0)),
        (percent, "%") => Some(Length::Of(percent / 100.0)),
        _ => px(value).map(Length::Px),
    }
}

/// The size in `font: bold 12px/16px Arial`.
fn font_in_shorthand(word: &str) -> Option<Length> {
    let word = word.split('/').next()?;
    let sized = ["px", "pt", "em", "%"].iter().any(|unit| word.ends_with(unit));
    if sized || word.starts_with('0') { font_size(word) } else { None }
}

/// The number that a value begins with, and its unit.
fn number(value: &str) -> Option<(f32, &str)> {
    let value = value.trim();
    let digits = value.bytes().take(24).take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')).count();
    let number: f32 = value[..digits].parse().ok()?;
    Some((number, value[digits..].split_ascii_whitespace().next().unwrap_or_default()))
}

/// A short word in lower case; `None` if it is longer than any that is known.
fn lower<'a>(word: &str, buffer: &'a mut [u8; 20]) -> Option<&'a str> {
    let buffer = buffer.get_mut(..word.len())?;
    buffer.copy_from_slice(word.as_bytes());
    buffer.make_ascii_lowercase();
    std::str::from_utf8(buffer).ok()
}

/// What stands behind the last comment. A comment before a selector is all that occurs.
fn without_comments(text: &str) -> &str {
    text.rfind("*/").map_or(text, |end| &text[end + 2..])
}

/// Where a block ends whose content may hold blocks.
fn block_end(body: &str) -> usize {
    let mut depth = 1_usize;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    body.len()
}
