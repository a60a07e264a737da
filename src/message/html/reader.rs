//! HTML to what is seen of it: text, hidden text, links, pictures. One pass over the tokens, with a bounded stack of open
//! elements for what they inherit; no tree.

use super::Html;
use super::colour;
use super::entities::{self, Place};
use super::flow::{Flow, Gap};
use super::level::{Level, Seen};
use super::style::{self, Rules, Style};
use super::tokens::{Attribute, Name, Text, Token, Tokens};
use crate::message::link::LinkKind;
use crate::message::links::{Links, TARGET_BYTES_MAX};

/// How deep elements nest here; deeper ones are read with the style of the deepest. Browsers stop at 512.
const LEVELS_MAX: usize = 256;
/// How much of a picture's alternative text is kept, in bytes.
const ALT_BYTES_MAX: usize = 200;

/// Reads one HTML part into `html`, its links into `links`. Text past `text_bytes_max` is left out; whether any was is
/// returned.
pub(in crate::message) fn read(source: &str, text_bytes_max: usize, html: &mut Html, links: &mut Links) -> bool {
    html.size_bytes += source.len() as u64;
    let visible = Flow::after(std::mem::take(&mut html.visible), text_bytes_max);
    let hidden = Flow::after(std::mem::take(&mut html.hidden), text_bytes_max);
    let mut reader = Reader {
        html,
        links,
        visible,
        hidden,
        rules: Rules::default(),
        levels: vec![Level::page()],
        beyond: 0,
        anchor: None,
        free_from: 0,
        base: String::new(),
        raw: Raw::Shown,
    };
    reader.free_from = reader.visible.len();
    let mut tokens = Tokens::new(source);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text, kind) => reader.text(text, kind),
            Token::Start(name) => reader.start(&name, tokens.attributes()),
            Token::End(name) => reader.end(&name),
            Token::Comment(text) => reader.html.comment_bytes += text.len() as u64,
        }
    }
    reader.finish()
}

/// What becomes of the text inside an element that holds text alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    Shown,
    StyleSheet,
    Dropped,
}

/// An open anchor.
struct Anchor {
    target: String,
    /// Where its visible text begins.
    from: usize,
    alt: String,
}

struct Reader<'a> {
    html: &'a mut Html,
    links: &'a mut Links,
    visible: Flow,
    hidden: Flow,
    rules: Rules,
    levels: Vec<Level>,
    /// Open elements past [`LEVELS_MAX`].
    beyond: usize,
    anchor: Option<Anchor>,
    /// Visible text from here on was not yet searched for written addresses.
    free_from: usize,
    base: String,
    raw: Raw,
}

impl Reader<'_> {
    fn level(&self) -> &Level {
        self.levels.last().expect("the page's own level is never closed")
    }

    fn text(&mut self, text: &str, kind: Text) {
        match self.raw {
            Raw::StyleSheet => return self.rules.read(text),
            Raw::Dropped => return,
            Raw::Shown => {}
        }
        let level = self.levels.last_mut().expect("the page's own level is never closed");
        let seen = level.seen();
        if seen == Seen::Camouflaged {
            let count = text.chars().filter(|c| !c.is_whitespace()).count();
            self.html.camouflaged_chars =
                self.html.camouflaged_chars.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
        let preformatted = level.preformatted;
        let flow = if seen == Seen::Yes { &mut self.visible } else { &mut self.hidden };
        let before = flow.len();
        match kind {
            Text::Data => entities::decode(text, Place::Text, |piece| flow.push(piece, preformatted)),
            Text::Raw => flow.push(text, preformatted),
        }
        if seen == Seen::Yes && flow.len() > before {
            self.html.font_px_max = self.html.font_px_max.max(level.given_font_px());
        }
    }

    fn start(&mut self, name: &Name, attributes: &[Attribute<'_>]) {
        let tag = name.as_str();
        self.html.elements = self.html.elements.saturating_add(1);
        self.close_implied(tag);
        let given = Given::read(attributes);
        self.html.scripts = self.html.scripts.saturating_add(given.handlers);
        let style = self.style(tag, &given);
        self.loads(tag, &given, &style);
        self.layout(tag);
        match tag {
            "a" | "area" => self.open_anchor(tag, &given),
            "form" => {
                self.html.forms = self.html.forms.saturating_add(1);
                self.link(LinkKind::Form, given.action, "");
            }
            "base" if self.base.is_empty() => {
                self.base = entities::decoded(given.href, Place::Attribute, TARGET_BYTES_MAX);
            }
            "img" => self.image(&given),
            "script" => {
                self.html.scripts = self.html.scripts.saturating_add(1);
                self.raw = Raw::Dropped;
            }
            "style" => self.raw = Raw::StyleSheet,
            "title" | "iframe" | "noembed" | "noframes" => self.raw = Raw::Dropped,
            _ => {}
        }
        if is_void(tag) {
            return;
        }
        if self.levels.len() < LEVELS_MAX {
            let level = self.level().inside(*name, &style, given.hidden || tag == "template");
            self.levels.push(level);
        } else {
            self.beyond += 1;
        }
    }

    fn end(&mut self, name: &Name) {
        let tag = name.as_str();
        self.raw = Raw::Shown;
        if tag == "a" {
            self.close_anchor();
        }
        self.layout(tag);
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if let Some(at) = self.levels.iter().rposition(|l| l.name == Some(*name)) {
            self.levels.truncate(at.max(1));
        }
    }

    /// Closes what the start of `tag` closes without an end tag of its own, so that a paragraph's style ends with it.
    fn close_implied(&mut self, tag: &str) {
        let (closed, walls): (&[&str], &[&str]) = match tag {
            "li" => (&["li"], &["ul", "ol", "table", "td", "div"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table", "tbody", "thead", "tfoot"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot"], &["table"]),
            "option" => (&["option"], &["select"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            tag if is_block(tag) => (&["p"], &["td", "th", "table", "div", "button", "object"]),
            _ => return,
        };
        let open = |level: &Level, names: &[&str]| level.name.is_some_and(|n| names.contains(&n.as_str()));
        for at in (1..self.levels.len()).rev() {
            if open(&self.levels[at], closed) {
                return self.levels.truncate(at);
            }
            if open(&self.levels[at], walls) {
                return;
            }
        }
    }

    fn layout(&mut self, tag: &str) {
        let gap = match tag {
            "br" => Gap::Line,
            "td" | "th" | "option" => Gap::Space,
            tag if is_block(tag) => Gap::Line,
            _ => return,
        };
        self.visible.part(gap);
        self.hidden.part(gap);
    }

    /// What style sheets, attributes and the inline style say of an element.
    fn style(&self, tag: &str, given: &Given<'_>) -> Style {
        let mut style = given.presentation(tag);
        if !self.rules.is_empty() {
            style.overlay(&self.rules.of(tag, given.class, given.id));
        }
        if !given.style.is_empty() {
            if given.style.contains('&') {
                let decoded = entities::decoded(given.style, Place::Attribute, given.style.len());
                style.overlay(&Style::read(&decoded));
            } else {
                style.overlay(&Style::read(given.style));
            }
        }
        style
    }

    /// What a reader loads without being asked.
    fn loads(&mut self, tag: &str, given: &Given<'_>, style: &Style) {
        let target = match tag {
            "img" | "script" | "iframe" | "frame" | "embed" | "audio" | "video" | "source" | "input" | "v:fill"
            | "v:imagedata" => given.src,
            "link" => given.href,
            "object" => given.data,
            _ => "",
        };
        for target in [target, given.background, url_of(given.style)] {
            if !target.is_empty() {
                let alt = if tag == "img" { given.alt } else { "" };
                let loaded = self.link(LinkKind::Loaded, target, alt);
                if tag == "img" && loaded && std::ptr::eq(target, given.src) {
                    self.html.remote_images = self.html.remote_images.saturating_add(1);
                    self.html.pixels = self.html.pixels.saturating_add(u32::from(given.is_pixel(style)));
                }
            }
        }
    }

    fn image(&mut self, given: &Given<'_>) {
        self.html.images = self.html.images.saturating_add(1);
        if let Some(anchor) = &mut self.anchor
            && anchor.alt.is_empty()
        {
            anchor.alt = entities::decoded(given.alt, Place::Attribute, ALT_BYTES_MAX);
        }
    }

    fn open_anchor(&mut self, tag: &str, given: &Given<'_>) {
        self.close_anchor();
        if given.href.is_empty() {
            return;
        }
        if tag == "area" {
            self.link(LinkKind::Anchor, given.href, given.alt);
            return;
        }
        let text = self.visible.since(self.free_from);
        self.links.written(text);
        let target = entities::decoded(given.href, Place::Attribute, TARGET_BYTES_MAX);
        self.anchor = Some(Anchor { target, from: self.visible.len(), alt: String::new() });
    }

    fn close_anchor(&mut self) {
        let Some(anchor) = self.anchor.take() else { return };
        let text = self.visible.since(anchor.from).trim();
        let visible = if text.is_empty() { anchor.alt.trim() } else { text };
        let script = self.links.add(LinkKind::Anchor, &anchor.target, visible, &self.base).is_script();
        self.html.scripts = self.html.scripts.saturating_add(u32::from(script));
        self.free_from = self.visible.len();
    }

    /// Adds a link as it stands in an attribute; whether it was one to a server.
    fn link(&mut self, kind: LinkKind, target: &str, visible: &str) -> bool {
        let target = entities::decoded(target, Place::Attribute, TARGET_BYTES_MAX);
        let visible = entities::decoded(visible, Place::Attribute, ALT_BYTES_MAX);
        let added = self.links.add(kind, &target, visible.trim(), &self.base);
        self.html.scripts = self.html.scripts.saturating_add(u32::from(added.is_script()));
        added.is_remote()
    }

    fn finish(mut self) -> bool {
        self.close_anchor();
        let text = self.visible.since(self.free_from);
        self.links.written(text);
        let cut = self.visible.cut || self.hidden.cut;
        self.html.visible = self.visible.finish();
        self.html.hidden = self.hidden.finish();
        cut
    }
}

/// The attributes that matter, as written; empty where there is none.
#[derive(Default)]
struct Given<'a> {
    href: &'a str,
    src: &'a str,
    data: &'a str,
    action: &'a str,
    alt: &'a str,
    style: &'a str,
    class: &'a str,
    id: &'a str,
    background: &'a str,
    bgcolor: &'a str,
    colour: &'a str,
    size: &'a str,
    width: &'a str,
    height: &'a str,
    hidden: bool,
    handlers: u32,
}

impl<'a> Given<'a> {
    fn read(attributes: &[Attribute<'a>]) -> Self {
        let mut given = Self::default();
        for attribute in attributes {
            let mut buffer = [0_u8; 10];
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
    fn presentation(&self, tag: &str) -> Style {
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

    fn is_pixel(&self, style: &Style) -> bool {
        let is_dot =
            |attribute: &str, css: Option<f32>| css.or_else(|| style::px(attribute)).is_some_and(|px| px <= 1.0);
        (is_dot(self.width, style.width_px) && is_dot(self.height, style.height_px)) || style.gone == Some(true)
    }
}

/// The first address that a style loads.
fn url_of(style: &str) -> &str {
    let Some(at) = style.find("url(") else { return "" };
    let inside = &style[at + 4..];
    inside[..inside.find(')').unwrap_or(inside.len())].trim_matches([' ', '\'', '"'])
}

fn is_void(tag: &str) -> bool {
    matches!(
        tag,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

fn is_block(tag: &str) -> bool {
    matches!(
        tag,
        "p" | "div"
            | "table"
            | "tr"
            | "ul"
            | "ol"
            | "li"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "blockquote"
            | "pre"
            | "hr"
            | "center"
            | "form"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "main"
            | "nav"
            | "aside"
            | "address"
            | "dl"
            | "dt"
            | "dd"
            | "fieldset"
            | "figure"
            | "figcaption"
            | "body"
            | "html"
            | "tbody"
            | "thead"
            | "tfoot"
            | "details"
            | "summary"
            | "title"
            | "xmp"
    )
}
