//! HTML to what is seen of it: text, hidden text, links, pictures. One pass over the tokens, with a bounded stack of open
//! elements for what they inherit; no tree.

use super::Html;
use super::entities::{self, Place};
use super::flow::{Flow, Gap};
use super::given::{self, Given};
use super::level::{Level, Seen};
use super::style::{Rules, Style};
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
        } else if let Some(at) = self.levels.iter().rposition(|l| l.name == *name) {
            self.levels.truncate(at.max(1));
        }
    }

    /// Closes what the start of `tag` closes without an end tag of its own.
    fn close_implied(&mut self, tag: &str) {
        if let Some(kind) = self.level().closable.closed_by(tag)
            && let Some(at) = self.levels.iter().rposition(|level| kind.has(level.name.as_str()))
        {
            self.levels.truncate(at);
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
        for target in [target, given.background, given::url_of(given.style)] {
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

pub(super) fn is_block(tag: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(source: &str) -> (Html, Vec<crate::message::Link>) {
        let mut html = Html::default();
        let mut links = Links::new(100);
        assert!(!read(source, 10_000, &mut html, &mut links));
        (html, links.finish())
    }

    #[test]
    fn what_is_seen_and_what_is_not() {
        let cases = [
            // HTML, visible, hidden
            ("<p>a <b>b</b>\n c</p><div>d<br>e</div>f", "a b c\nd\ne\nf", ""),
            ("a&nbsp;&nbsp;b &lt;c&gt; &eacute;", "a b <c> é", ""),
            ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc", ""),
            ("<pre>a\n b</pre>", "a\nb", ""),
            ("<p style='display:none'>x</p>y", "y", "x"),
            ("<p style='DISPLAY : None !important'>x<p>y", "y", "x"), // the second paragraph ends the first
            ("<div style='display:none'><div style='display:block'>x</div></div>y", "y", "x"),
            ("<div style='visibility:hidden'>x<b style='visibility:visible'>y</b></div>", "y", "x"),
            ("<span style='font-size:0'>x<b style='font-size:14px'>y</b></span>", "y", "x"),
            ("<span style='font-size:1px'>x</span>y", "y", "x"),
            ("<span style='font:0/0 a'>x</span>y", "y", "x"),
            ("<i style='opacity:0'>x</i>y", "y", "x"),
            ("<i style='opacity:0.9'>x</i>y", "xy", ""),
            ("<i style='max-height:0;overflow:hidden'>x</i>y", "y", "x"),
            ("<i style='max-height:0'>x</i>y", "xy", ""), // flows over
            ("<i style='position:absolute;left:-9999px'>x</i>y", "y", "x"),
            ("<i style='text-indent:-9999px'>x</i>y", "y", "x"),
            ("<i style='mso-hide:all'>x</i>y", "y", "x"),
            ("<i hidden>x</i>y", "y", "x"),
            ("<template>x</template>y", "y", "x"),
            ("<i style='color:#fff'>x</i>y", "y", "x"),
            ("<i style='color:#fefefe;background:#fff'>x</i>y", "y", "x"),
            ("<font color=white>x</font>y", "y", "x"),
            ("<td bgcolor=#003366><font color=white>x</font></td>y", "x y", ""), // white on blue
            ("<body bgcolor=black text=white>x", "x", ""),
            ("<td background='a.png'><font color=white>x</font></td>y", "x y", ""), // what is behind is not known
            ("<i style='color:transparent'>x</i>y", "y", "x"),
            ("<i style='color:rgba(0,0,0,0)'>x</i>y", "y", "x"),
            ("<style>.h{display:none} p{color:red}</style><p class='a h'>x</p>y", "y", "x"),
            ("<style>#h, .g { font-size:0 }</style><p id=h>x</p><p class=g>z</p>y", "y", "x\nz"),
            ("<style>/* a */ span.h{display:none}</style><span class=h>x</span>y", "y", "x"),
            (
                "<style>@media print{.h{display:none}} .i{display:none}</style><p class=h>x</p><p class=i>z</p>y",
                "x\ny",
                "z",
            ),
            ("<style>.a .h{display:none}</style><p class=h>x</p>y", "x\ny", ""), // where it stands is not known
            ("<style>.h{display:none}</style><p class=h style='display:block'>x</p>", "x", ""),
            ("<title>t</title>x<script>s</script><!-- c -->y", "xy", ""),
            ("x<style>p{}", "x", ""), // a style sheet that does not end
            ("zero\u{200b}width", "zero\u{200b}width", ""),
            ("<select><option>a<option>b</select>", "a b", ""),
            ("1 < 2 && 3", "1 < 2 && 3", ""),
        ];
        for (source, visible, hidden) in cases {
            let (html, _) = seen(source);
            assert_eq!((html.visible.as_str(), html.hidden.as_str()), (visible, hidden), "{source}");
        }
    }

    /// HTML, and the links in it: kind, host, visible text.
    type LinkCase = (&'static str, &'static [(LinkKind, &'static str, &'static str)]);

    #[test]
    fn links_and_what_is_loaded() {
        use LinkKind::{Anchor, Form, Loaded, Written};
        let cases: [LinkCase; 15] = [
            ("<a href='http://evil.example/'>bank.example</a>", &[(Anchor, "evil.example", "bank.example")]),
            (
                "<a href=http://a.example><img src=http://b.example/i.png alt='Click &amp; go'></a>",
                &[(Loaded, "b.example", "Click & go"), (Anchor, "a.example", "Click & go")],
            ),
            (
                "<a href='http://a.example'>x<a href='http://b.example'>y",
                &[(Anchor, "a.example", "x"), (Anchor, "b.example", "y")],
            ),
            ("<map><area href='https://a.example' alt=z></map>", &[(Anchor, "a.example", "z")]),
            ("<form action='https://a.example/login'>", &[(Form, "a.example", "")]),
            ("<img src='cid:1'><img src='data:image/png;base64,x'>", &[]),
            ("<td background='http://a.example/b.png'>", &[(Loaded, "a.example", "")]),
            ("<p style=\"background:url('//a.example/b.png')\">", &[(Loaded, "a.example", "")]),
            ("<link rel=stylesheet href=http://a.example/c.css>", &[(Loaded, "a.example", "")]),
            (
                "see http://a.example/ and <a href='http://b.example'>http://c.example</a> www.d.example.com",
                &[
                    (Written, "a.example", "http://a.example/"),
                    (Anchor, "b.example", "http://c.example"),
                    (Written, "www.d.example.com", "www.d.example.com"),
                ],
            ),
            ("<a href='mailto:a@b.example'>x</a>", &[(Anchor, "", "x")]),
            ("<a href='#top'>x</a><a>y</a>", &[]),
            ("<base href='http://a.example/'><a href='b'>x</a>", &[(Anchor, "a.example", "x")]),
            ("<a href='ht&#116;p://a.example'>x</a>", &[(Anchor, "a.example", "x")]),
            ("<a href=http://a.example>x</a> <a href=http://a.example>x</a>", &[(Anchor, "a.example", "x")]),
        ];
        for (source, expected) in cases {
            let (_, links) = seen(source);
            let links: Vec<_> = links.iter().map(|l| (l.kind, l.host.as_str(), l.visible.as_str())).collect();
            assert_eq!(links, expected, "{source}");
        }
    }

    #[test]
    fn counts() {
        let (html, _) = seen(
            "<img src=http://a.example/1 width=1 height=1><img src=http://a.example/2 style='width:1px;height:1px'>\
             <img src=cid:x width=1 height=1><img src=http://a.example/3 width=600><script></script><p onmouseover=x()>a</p>\
             <a href=' javascript:x'>b</a><form></form><!--1234--><font size=7 color=white>cde</font><b style='font-size:18pt'>f</b>",
        );
        assert_eq!((html.images, html.remote_images, html.pixels), (4, 3, 2));
        assert_eq!((html.scripts, html.forms, html.comment_bytes, html.camouflaged_chars), (3, 1, 4, 3));
        assert_eq!((html.elements, html.font_px_max), (10, 24.0));
    }
}
