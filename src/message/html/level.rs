//! What an open element passes on to the text and the elements in it.

use super::closing::Closable;
use super::colour::Rgb;
use super::style::{Length, Paint, Style};
use super::tokens::Name;

/// Below this size nobody reads, in pixels.
const FONT_PX_SEEN: f32 = 1.5;
/// The size of text that names none, in pixels.
const FONT_PX_DEFAULT: f32 = 16.0;

/// Whether text is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is.
    Yes,
    /// Not shown, too small, or away.
    No,
    /// In the colour of what is behind it.
    Camouflaged,
}

/// One open element.
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own that CSS switches alone")]
#[derive(Debug, Clone)]
pub(super) struct Level {
    /// Its name; [`Name::NONE`] for the page.
    pub(super) name: Name,
    /// What a start tag in it may close.
    pub(super) closable: Closable,
    /// Whether line ends of its text stay.
    pub(super) preformatted: bool,
    gone: bool,
    invisible: bool,
    indented_away: bool,
    font_px: f32,
    font_given: bool,
    colour: Option<Rgb>,
    transparent: bool,
    /// `None` where a picture or the unknown is behind the text.
    background: Option<Rgb>,
    colours_given: bool,
}

impl Level {
    /// The page before any element.
    pub(super) fn page() -> Self {
        Self {
            name: Name::NONE,
            closable: Closable::default(),
            preformatted: false,
            gone: false,
            invisible: false,
            indented_away: false,
            font_px: FONT_PX_DEFAULT,
            font_given: false,
            colour: Some(Rgb::BLACK),
            transparent: false,
            background: Some(Rgb::WHITE),
            colours_given: false,
        }
    }

    /// An element of that style in this one.
    pub(super) fn inside(&self, name: Name, style: &Style, hidden: bool) -> Self {
        let mut level = self.clone();
        level.name = name;
        level.closable = self.closable.inside(name.as_str());
        level.preformatted |= matches!(name.as_str(), "pre" | "xmp" | "plaintext" | "textarea");
        level.gone |= hidden || style.gone == Some(true);
        level.invisible = style.invisible.unwrap_or(level.invisible);
        level.indented_away = style.indented_away.unwrap_or(level.indented_away);
        if let Some(font) = style.font {
            level.font_px = match font {
                Length::Px(px) => px,
                Length::Of(share) => level.font_px * share,
            };
            level.font_given = true;
        }
        match style.background {
            Some(Paint::Colour(rgb)) => {
                level.background = Some(rgb);
                level.colours_given = true;
            }
            Some(Paint::Unknown) => level.background = None,
            Some(Paint::Transparent) | None => {}
        }
        match style.colour {
            Some(Paint::Colour(rgb)) => {
                level.colour = Some(rgb);
                level.transparent = false;
                level.colours_given = true;
            }
            Some(Paint::Transparent) => level.transparent = true,
            Some(Paint::Unknown) => {
                level.colour = None;
                level.transparent = false;
            }
            None => {}
        }
        level
    }

    /// Whether text here is seen.
    pub(super) fn seen(&self) -> Seen {
        if self.gone || self.invisible || self.indented_away || self.transparent || self.font_px < FONT_PX_SEEN {
            return Seen::No;
        }
        match (self.colour, self.background) {
            (Some(colour), Some(background)) if self.colours_given && colour.is_near(background) => Seen::Camouflaged,
            _ => Seen::Yes,
        }
    }

    /// The size of text here in pixels, 0 where none is given.
    pub(super) fn given_font_px(&self) -> f32 {
        if self.font_given { self.font_px } else { 0.0 }
    }
}
