//! The attributes of one tag that matter here.

use super::colour;
use super::style::{self, Style};
use super::tokens::Attribute;

/// The attributes that matter, as written; empty where there is none.
#[derive(Default)]
pub(super) struct Given<'a> {
    pub(super) href: &'a str,
    pub(super) src: &'a str,
    pub(super) data: &'a str,
    pub(super) action: &'a str,
    pub(super) alt: &'a str,
    pub(super) style: &'a str,
    pub(super) class: &'a str,
    pub(super) id: &'a str,
    pub(super) background: &'a str,
    pub(super) bgcolor: &'a str,
    pub(super) colour: &'a str,
    pub(super) size: &'a str,
    pub(super) width: &'a str,
    pub(super) height: &'a str,
    pub(super) hidden: bool,
    pub(super) handlers: u32,
}

impl<'a> Given<'a> {
    pub(super) fn read(attributes: &[Attribute<'a>]) -> Self {
        let mut given = Self::default();
        for attribute in attributes {
            let mut buffer = [0_u8; 20];
            // No name that matters is longer.
            let Some(name) = buffer.get_mut(..attribute.name.len()) else { continue };
            name.copy_from_slice(attribute.name.as_bytes());
            name.make_ascii_lowercase();
            let place = match &*name {
                b"href" | b"xlink:href" => &mut given.href,
                b"src" => &mut given.src,
                b"data" => &mut given.data,
                b"action" | b"formaction" => &mut given.action,
                b"alt" => &mut given.alt,
                b"style" => &mut given.style,
                b"class" => &mut given.class,
                b"id" => &mut given.id,
                b"background" => &mut given.background,
                b"bgcolor" => &mut given.bgcolor,
                b"color" | b"text" => &mut given.colour,
                b"size" => &mut given.size,
                b"width" => &mut given.width,
                b"height" => &mut given.height,
                b"hidden" => {
                    given.hidden = true;
                    continue;
                }
                [b'o', b'n', b'a'..=b'z', ..] => {
                    given.handlers += 1;
                    continue;
                }
                _ => continue,
            };
            if place.is_empty() {
                *place = attribute.value.trim();
            }
        }
        given
    }

    /// What the attributes of old say of looks.
    pub(super) fn presentation(&self, tag: &str) -> Style {
        let mut style = Style::default();
        if !self.bgcolor.is_empty() {
            style.background = colour::paint(self.bgcolor);
        }
        if !self.background.is_empty() {
            style.background = Some(style::Paint::Unknown);
        }
        if !self.colour.is_empty() && matches!(tag, "font" | "body" | "basefont") {
            style.colour = colour::paint(self.colour);
        }
        if !self.size.is_empty() && tag == "font" {
            style.font = style::font_attribute(self.size);
        }
        style
    }

    pub(super) fn is_pixel(&self, style: &Style) -> bool {
        let is_dot =
            |attribute: &str, css: Option<f32>| css.or_else(|| style::px(attribute)).is_some_and(|px| px <= 1.0);
        (is_dot(self.width, style.width_px) && is_dot(self.height, style.height_px)) || style.gone == Some(true)
    }
}

/// The first address that a style loads.
pub(super) fn url_of(style: &str) -> &str {
    let opens = |at: &usize| style.as_bytes()[..*at].ends_with(b"url");
    let Some(at) = memchr::memchr_iter(b'(', style.as_bytes()).find(opens) else { return "" };
    let inside = &style[at + 1..];
    inside[..inside.find(')').unwrap_or(inside.len())].trim_matches([' ', '\'', '"'])
}
