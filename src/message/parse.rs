//! A message read: structure first, then each part once, into what a person sees of it.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};

use super::html::{self, Html};
use super::links::Links;
use super::mailbox::Reading;
use super::mime::{Disposition, Encoding, Entity, Flow};
use super::prescan::{self, Kind, Part};
use super::shape::{Bound, Bounds};
use super::tally::Tally;
use super::text::{self, Taken};
use super::transfer::{self, Encoded};
use super::{HeaderField, Message, charset, fields, sniff, transport, uu};
use crate::mail::header;

/// How many times the kept text's bound is read of HTML: markup is most of it.
const HTML_FACTOR: usize = 4;
/// How often a message may be encoded within an encoded one.
const ENCODED_DEPTH_MAX: u32 = 3;

impl Message {
    /// Reads a message as it came, in time linear in its length and under `bounds`. Whatever the bytes are, there is a
    /// message; what was met on the way stands in [`Message::shape`].
    pub fn parse(bytes: &[u8], bounds: &Bounds) -> Self {
        let looked_at = &bytes[..bytes.len().min(bounds.message_bytes_max)];
        let mut message = panic::catch_unwind(AssertUnwindSafe(|| read(looked_at, bounds)))
            .unwrap_or_else(|_| unreadable(looked_at, bounds));
        message.shape.message_bytes = bytes.len() as u64;
        if looked_at.len() < bytes.len() {
            message.shape.met.push(Bound::Bytes);
        }
        message
    }
}

fn read(bytes: &[u8], bounds: &Bounds) -> Message {
    let mut reader = Reader {
        bounds,
        tally: Tally::default(),
        links: Links::new(bounds.links_max),
        message: Message::default(),
        segments: Vec::new(),
        encoded: Vec::new(),
        documents: 0,
    };
    reader.document(bytes, 0, 0, Body::Shown);
    // Messages that came encoded in a part follow; each is shorter than what it came out of.
    let mut next = 0;
    while let Some(inner) = reader.encoded.get_mut(next) {
        let bytes = std::mem::take(&mut inner.bytes);
        let (depth, level, body) = (inner.depth, inner.level, inner.body);
        reader.document(&bytes, depth, level, body);
        next += 1;
    }
    reader.finish()
}

/// What our own code alone can say of it, should a decoder fail.
fn unreadable(bytes: &[u8], bounds: &Bounds) -> Message {
    let mut message = Message::default();
    let top = fields::without_mailbox_line(bytes);
    for field in header::fields(top).take(bounds.fields_max) {
        let name = String::from_utf8_lossy(&field.name[..field.name.len().min(bounds.field_bytes_max)]).into_owned();
        message.header.push(HeaderField { name, value: field.text(bounds.field_bytes_max) });
    }
    // One that stands there may hold any address.
    if message.field("From").is_some() {
        message.from_reading = Reading::InPart;
    }
    message.subject = message.field("Subject").unwrap_or_default().to_owned();
    let start = &bytes[..bytes.len().min(bounds.text_bytes_max)];
    text::push_lines(&String::from_utf8_lossy(start), bounds.text_bytes_max, &mut message.plain);
    message.text.clone_from(&message.plain);
    message.shape.parts = 1;
    message.shape.fields = u32::try_from(message.header.len()).unwrap_or(u32::MAX);
    message.shape.met.push(Bound::Unreadable);
    message
}

/// Whether a part's text is the message's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// It is shown.
    Shown,
    /// It stands in a report about another message.
    Reported,
}

/// A message that came encoded in a part.
struct EncodedMessage {
    bytes: Vec<u8>,
    depth: u32,
    level: u32,
    body: Body,
}

/// Text of one part.
struct Segment {
    /// Where it stands: in `plain`, or in the HTML's visible text.
    html: bool,
    range: Range<usize>,
    /// The alternatives that it is one of.
    alternative: Option<(usize, usize)>,
}

struct Reader<'a> {
    bounds: &'a Bounds,
    tally: Tally,
    links: Links,
    message: Message,
    segments: Vec<Segment>,
    encoded: Vec<EncodedMessage>,
    documents: usize,
}

impl Reader<'_> {
    /// Reads one message: the one itself, or one that was decoded out of it.
    fn document(&mut self, bytes: &[u8], depth: u32, level: u32, body: Body) {
        let parts = prescan::scan(bytes, depth, self.bounds, &mut self.tally);
        if self.documents == 0
            && let Some(top) = parts.first()
        {
            let header = &bytes[top.header.clone()];
            fields::read(header, self.bounds, &mut self.message);
            if let Some(unkept) = transport::of_header(header) {
                self.tally.note(unkept);
            }
        }
        self.documents += 1;
        let mut has_child = vec![false; parts.len()];
        for part in &parts {
            if let Some(parent) = part.parent {
                has_child[parent] = true;
            }
        }
        for at in 0..parts.len() {
            self.mark(&parts[at], at == 0 && depth == 0);
            let place = Place { part: &parts[at], ancestry: Ancestry::of(&parts, at), document: self.documents, level };
            let body = if place.ancestry.reported { Body::Reported } else { body };
            match parts[at].kind {
                Kind::Multipart if has_child[at] => {}
                // No delimiter ever came: readers show it all.
                Kind::Multipart => self.plain(&bytes[parts[at].body.clone()], &place),
                Kind::Message => self.attach(&bytes[parts[at].body.clone()], &place),
                Kind::Leaf => self.leaf(&bytes[parts[at].body.clone()], &place, body),
            }
        }
    }

    /// Notes what a part's type says of the whole.
    fn mark(&mut self, part: &Part, top: bool) {
        let shape = &mut self.tally.shape;
        match part.entity.media.as_str() {
            "multipart/report" if top => shape.report = true,
            "message/delivery-status" => shape.report = true,
            "multipart/signed" | "multipart/encrypted" | "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
                shape.secured = true;
            }
            _ => {}
        }
    }

    fn leaf(&mut self, raw: &[u8], place: &Place<'_>, body: Body) {
        let entity = &place.part.entity;
        // Of another's message that is handed on its sender is not to blame.
        let is_own_text = self.documents == 1 && !place.ancestry.inside_message && text_kind(&entity.media).is_some();
        if is_own_text && let Some(unkept) = transport::of_body(entity.encoding, raw) {
            self.tally.note(unkept);
        }
        if entity.is_message() {
            self.encoded_message(raw, place, body);
        } else if entity.is_multipart() {
            // Past the bound of depth, or without a boundary.
            self.plain(raw, place);
        } else {
            let shown =
                body == Body::Shown && entity.disposition != Disposition::Attachment && !sniff::is_no_text(entity, raw);
            match text_kind(&entity.media) {
                Some(TextKind::Html) if shown => self.html(raw, place),
                Some(TextKind::Plain) if shown => self.plain(raw, place),
                _ => return self.attach(raw, place),
            }
            if !entity.name.is_empty() {
                self.attach(raw, place);
            }
        }
    }

    /// A message that is encoded, or nested past the bound.
    fn encoded_message(&mut self, raw: &[u8], place: &Place<'_>, body: Body) {
        self.attach(raw, place);
        let depth = place.part.depth + 1;
        if depth as usize > self.bounds.depth_max || place.level >= ENCODED_DEPTH_MAX {
            self.tally.meet(Bound::Depth);
            if body == Body::Shown {
                self.plain(raw, place);
            }
            return;
        }
        let room = self.bounds.message_bytes_max.saturating_sub(self.tally.message_bytes);
        let bytes = self.decoded(&place.part.entity, raw, room).into_owned();
        self.tally.message_bytes += bytes.len();
        self.encoded.push(EncodedMessage { bytes, depth, level: place.level + 1, body });
    }

    fn plain(&mut self, raw: &[u8], place: &Place<'_>) {
        let bytes_max = self.bounds.text_bytes_max;
        let room = bytes_max.saturating_sub(self.message.plain.len());
        let entity = &place.part.entity;
        let decoded = self.decoded(entity, raw, room);
        let bytes = self.without_files(&decoded);
        let mut text = self.text(entity, &bytes);
        if entity.flow != Flow::Fixed {
            text = Cow::Owned(text::unflowed(&text, entity.flow));
        }
        if !self.message.plain.is_empty() && !self.message.plain.ends_with('\n') && room > 0 {
            self.message.plain.push('\n');
        }
        let from = self.message.plain.len();
        // What is decoded is never longer than what it was.
        let cut = raw.len() > room && decoded.len() >= room;
        if text::push_lines(&text, bytes_max, &mut self.message.plain) == Taken::Cut || cut {
            self.tally.meet(Bound::Text);
        }
        self.links.written(&self.message.plain[from..]);
        let range = from..self.message.plain.len();
        self.segments.push(Segment { html: false, range, alternative: place.alternative() });
    }

    /// The text without the files that were written into it; those become attachments.
    fn without_files<'b>(&mut self, text: &'b [u8]) -> Cow<'b, [u8]> {
        let room = self.bounds.attachments_max.saturating_sub(self.message.attachments.len());
        // One more than there is room for tells that there are more.
        let mut files = uu::files(text, room + 1);
        if files.len() > room {
            files.truncate(room);
            self.tally.meet(Bound::Attachments);
        }
        for file in &files {
            let entity = Entity {
                name: file.name.clone(),
                media: "application/octet-stream".to_owned(),
                encoding: Encoding::Uuencode,
                ..Entity::default()
            };
            let lines = &text[file.lines.clone()];
            let attachment = sniff::attachment(&entity, lines, false, self.bounds, &mut self.tally);
            self.message.attachments.push(attachment);
        }
        uu::without(text, &files)
    }

    fn html(&mut self, raw: &[u8], place: &Place<'_>) {
        let bytes_max = self.bounds.text_bytes_max;
        let room = (bytes_max * HTML_FACTOR).saturating_sub(self.tally.html_bytes);
        let bytes = self.decoded(&place.part.entity, raw, room);
        let entity = &place.part.entity;
        let declared = if entity.charset.is_empty() { charset::of_page(&bytes) } else { &entity.charset };
        let text = self.text_in(declared, &bytes);
        let source = &text[..text.floor_char_boundary(room)];
        self.tally.html_bytes += source.len();
        let mut html: Html = self.message.html.take().unwrap_or_default();
        let from = html.visible.len();
        let cut = html::reader::read(source, bytes_max, &mut html, &mut self.links);
        if cut || source.len() < text.len() || (bytes.len() >= room && raw.len() > room) {
            self.tally.meet(Bound::Text);
        }
        self.segments.push(Segment { html: true, range: from..html.visible.len(), alternative: place.alternative() });
        self.message.html = Some(html);
    }

    fn attach(&mut self, raw: &[u8], place: &Place<'_>) {
        if self.message.attachments.len() >= self.bounds.attachments_max {
            return self.tally.meet(Bound::Attachments);
        }
        let related = place.ancestry.related;
        let attachment = sniff::attachment(&place.part.entity, raw, related, self.bounds, &mut self.tally);
        self.message.attachments.push(attachment);
    }

    /// The bytes of a part, its transfer encoding undone.
    fn decoded<'b>(&mut self, entity: &Entity, raw: &'b [u8], bytes_max: usize) -> Cow<'b, [u8]> {
        let mut out = Vec::new();
        let encoded = match entity.encoding {
            Encoding::SevenBit | Encoding::Identity => return Cow::Borrowed(&raw[..raw.len().min(bytes_max)]),
            Encoding::Base64 => transfer::base64(raw, bytes_max, &mut out),
            Encoding::QuotedPrintable => transfer::quoted_printable(raw, bytes_max, &mut out),
            Encoding::Uuencode => uu::decode(raw, bytes_max, &mut out),
        };
        self.tally.shape.broken_encodings += u32::from(encoded == Encoded::Badly);
        Cow::Owned(out)
    }

    fn text<'b>(&mut self, entity: &Entity, bytes: &'b [u8]) -> Cow<'b, str> {
        self.text_in(&entity.charset, bytes)
    }

    fn text_in<'b>(&mut self, charset: &str, bytes: &'b [u8]) -> Cow<'b, str> {
        let (text, encoded) = charset::decode(bytes, charset);
        self.tally.shape.broken_encodings += u32::from(encoded == Encoded::Badly);
        text
    }

    fn finish(mut self) -> Message {
        let with_html: Vec<_> = self.segments.iter().filter(|s| s.html).filter_map(|s| s.alternative).collect();
        let visible = self.message.html.as_ref().map_or("", |html| html.visible.as_str());
        let mut all =
            String::with_capacity(visible.len() + if visible.is_empty() { self.message.plain.len() } else { 0 });
        for segment in &self.segments {
            let of = if segment.html { visible } else { &self.message.plain };
            if !segment.html && segment.alternative.is_some_and(|a| with_html.contains(&a)) {
                continue;
            }
            let text = &of[segment.range.clone()];
            let room = self.bounds.text_bytes_max.saturating_sub(all.len());
            if room > 0 && !all.is_empty() && !all.ends_with('\n') && !text.starts_with('\n') {
                all.push('\n');
            }
            let room = self.bounds.text_bytes_max.saturating_sub(all.len());
            all.push_str(&text[..text.floor_char_boundary(room)]);
        }
        self.message.text = all;
        if self.links.cut {
            self.tally.meet(Bound::Links);
        }
        self.message.links = self.links.finish();
        let broken = self.message.shape.broken_encodings;
        self.message.shape = self.tally.shape;
        self.message.shape.broken_encodings += broken;
        self.message
    }
}

/// A part and what stands around it.
struct Place<'a> {
    part: &'a Part,
    ancestry: Ancestry,
    document: usize,
    level: u32,
}

impl Place<'_> {
    fn alternative(&self) -> Option<(usize, usize)> {
        self.ancestry.alternative.map(|part| (self.document, part))
    }
}

/// What the parts around a part say of it.
struct Ancestry {
    /// It belongs to a body with its pictures.
    related: bool,
    /// It stands in another message, as which it was handed on.
    inside_message: bool,
    /// And that is what a report is about.
    reported: bool,
    /// The innermost alternatives that it is one of.
    alternative: Option<usize>,
}

impl Ancestry {
    fn of(parts: &[Part], at: usize) -> Self {
        let mut found = Self { related: false, inside_message: false, reported: false, alternative: None };
        let mut next = parts[at].parent;
        while let Some(parent) = next {
            match parts[parent].entity.media.as_str() {
                "multipart/related" => found.related = true,
                "multipart/alternative" if !found.inside_message => {
                    found.alternative = found.alternative.or(Some(parent));
                }
                "multipart/report" => found.reported |= found.inside_message,
                _ => {}
            }
            found.inside_message |= parts[parent].kind == Kind::Message;
            next = parts[parent].parent;
        }
        found
    }
}

enum TextKind {
    Plain,
    Html,
}

/// How readers show a type in the body, if they do.
fn text_kind(media: &str) -> Option<TextKind> {
    match media {
        "text/html" | "application/xhtml+xml" => Some(TextKind::Html),
        "text/calendar"
        | "text/csv"
        | "text/css"
        | "text/javascript"
        | "text/ecmascript"
        | "text/xml"
        | "text/rtf"
        | "text/vcard"
        | "text/x-vcard"
        | "text/directory"
        | "text/x-amp-html"
        | "text/rfc822-headers" => None,
        media if media.starts_with("text/") => Some(TextKind::Plain),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, DateField, LinkKind};
    use super::*;

    fn parse(text: &str) -> Message {
        Message::parse(text.replace('\n', "\r\n").as_bytes(), &Bounds::default())
    }

    /// Found by bytes of chance: the line break between two parts stood behind a text that was full.
    #[test]
    fn a_full_text_takes_no_further_line_break() {
        let part = "--m\r\nContent-Type: text/plain\r\n\r\n0123456789\r\n";
        let message = format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n{part}{part}--m--\r\n");
        for text_bytes_max in 1..25 {
            let read = Message::parse(message.as_bytes(), &Bounds { text_bytes_max, ..Bounds::default() });
            assert!(read.text.len() <= text_bytes_max, "{:?} in {text_bytes_max}", read.text);
        }
    }

    /// Of a hundred and more nothing was told, and the bound was met though parts have one of their own.
    #[test]
    fn files_are_kept_as_far_as_parts_and_more_are_told() {
        let parts = |count: usize| "--m\nContent-Type: image/png\n\nx\n".repeat(count);
        let message = parse(&format!("Content-Type: multipart/mixed; boundary=m\n\n{}--m--\n", parts(499)));
        assert_eq!((message.attachments.len(), message.shape.met), (499, vec![]));
        let lines = |count: usize| "begin 644 a\n#0V%T\n`\nend\n".repeat(count);
        let message = parse(&format!("Subject: a\n\n{}", lines(500)));
        assert_eq!((message.attachments.len(), message.shape.met), (500, vec![]));
        let message = parse(&format!("Subject: a\n\n{}", lines(501)));
        assert_eq!((message.attachments.len(), message.shape.met), (500, vec![Bound::Attachments]));
    }

    const ALTERNATIVE: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>
To: Team: a@example.net, b@example.net;
Subject: =?utf-8?b?R3LDvMOf?=
 =?utf-8?b?ZQ==?= two
Date: Fri, 21 Nov 1997 09:55:06 -0600
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"m\"

preamble
--m
Content-Type: multipart/alternative; boundary=\"m-1\"

--m-1
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe, see http://plain.example/x
=2E
--m-1
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+R3LDvMOfZSA8YSBocmVmPSJodHRwOi8vZXZpbC5leGFtcGxlLyI+aHR0cDovL2JhbmsuZXhh
bXBsZTwvYT48L3A+
--m-1--
--m
Content-Type: application/pdf; name=\"a.pdf\"
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--m--
epilogue
";

    #[test]
    fn an_ordinary_message() {
        let message = parse(ALTERNATIVE);
        assert_eq!(message.subject, "Grüße two");
        assert_eq!((message.from[0].name.as_str(), message.from[0].address.as_str()), ("Jürgen", "j@example.org"));
        assert_eq!(message.to.len(), 2);
        assert_eq!(message.date, DateField::At { unix_s: 880_127_706, zone_min: -360 });
        assert_eq!(message.plain, "Grüße, see http://plain.example/x\n.");
        assert_eq!(message.text, "Grüße http://bank.example");
        let links: Vec<_> = message.links.iter().map(|l| (l.kind, l.host.as_str(), l.visible.as_str())).collect();
        assert_eq!(
            links,
            [
                (LinkKind::Written, "plain.example", "http://plain.example/x"),
                (LinkKind::Anchor, "evil.example", "http://bank.example"),
            ]
        );
        assert_eq!(message.attachments.len(), 1);
        assert_eq!((message.attachments[0].name.as_str(), message.attachments[0].content), ("a.pdf", Content::Pdf));
        assert_eq!((message.shape.parts, message.shape.depth, message.shape.broken_encodings), (5, 2, 0));
        assert_eq!(message.shape.met, []);
    }
}
