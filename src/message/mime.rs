//! What the header of a part says of its content: type, encoding, disposition, name (RFC 2045, 2183, 2231).

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};

use super::words;
use crate::mail::header::{self, Field};

/// How much of one structural field is read, in bytes. The parameter parser is not linear in it.
const FIELD_BYTES_MAX: usize = 8 << 10;
/// How long a name or charset that is kept may be, in bytes.
const VALUE_BYTES_MAX: usize = 512;

/// How a part's bytes are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    /// As they are, bytes under 128 only. What says nothing is so (RFC 2045 6.1).
    #[default]
    SevenBit,
    /// As they are, whatever they are.
    Identity,
    /// RFC 2045 6.8.
    Base64,
    /// RFC 2045 6.7.
    QuotedPrintable,
    /// As programs did before MIME, some of them within it.
    Uuencode,
}

/// Whether the lines of a text flow (RFC 3676).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Flow {
    /// They are what they are.
    #[default]
    Fixed,
    /// A line that ends with a space goes on in the next.
    Flowed,
    /// And that space is not the text's (`delsp=yes`).
    WithoutSpace,
}

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Disposition {
    /// It does not say.
    #[default]
    None,
    /// To be shown.
    Inline,
    /// To be saved; an unknown word means this too (RFC 2183 2.8).
    Attachment,
}

/// What the header of a part says of its content.
#[derive(Debug, Default)]
pub(super) struct Entity {
    /// `type/subtype` in lower case.
    pub(super) media: String,
    /// The charset parameter; empty if there is none.
    pub(super) charset: String,
    /// The boundary parameter; empty if there is none.
    pub(super) boundary: Vec<u8>,
    /// File name, decoded; empty if there is none.
    pub(super) name: String,
    /// What it is for.
    pub(super) disposition: Disposition,
    /// Its encoding.
    pub(super) encoding: Encoding,
    /// Content-ID without its brackets; empty if there is none.
    pub(super) content_id: String,
    /// Whether its lines flow.
    pub(super) flow: Flow,
    /// Whether it has a Content-Type at all.
    pub(super) typed: bool,
}

impl Entity {
    /// Reads a part's header. In a digest, a part without a type is a message (RFC 2046 5.1.5).
    pub(super) fn read(header: &[u8], in_digest: bool) -> Self {
        let mut entity = Self::default();
        let mut seen_disposition = false;
        for field in header::fields(header) {
            if field.name.len() < 10 || !field.name[..8].eq_ignore_ascii_case(b"content-") {
                continue;
            }
            if field.is("Content-Type") {
                if !entity.typed {
                    entity.read_type(&field);
                }
            } else if field.is("Content-Transfer-Encoding") {
                entity.encoding = encoding(&field.text(64));
            } else if field.is("Content-Disposition") {
                if !seen_disposition {
                    entity.read_disposition(&field);
                }
                seen_disposition = true;
            } else if field.is("Content-ID") {
                field.text(VALUE_BYTES_MAX).trim_matches(['<', '>', ' ']).clone_into(&mut entity.content_id);
            }
        }
        if entity.media.is_empty() {
            if in_digest { "message/rfc822" } else { "text/plain" }.clone_into(&mut entity.media);
        }
        entity
    }

    /// Whether it is a multipart of any kind.
    pub(super) fn is_multipart(&self) -> bool {
        self.media.starts_with("multipart/")
    }

    /// Whether it is a message.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.media.as_str(), "message/rfc822" | "message/global" | "message/news")
    }

    /// Whether it is a message that can be read as it stands, without decoding.
    pub(super) fn is_plain_message(&self) -> bool {
        self.is_message() && matches!(self.encoding, Encoding::SevenBit | Encoding::Identity)
    }

    fn read_type(&mut self, field: &Field<'_>) {
        let Some(content_type) = parameters(field) else { return };
        self.typed = true;
        let subtype = content_type.c_subtype.as_deref().unwrap_or_default();
        self.media = bounded(&format!("{}/{subtype}", content_type.c_type)).to_ascii_lowercase();
        if subtype.is_empty() {
            // What is no type is text to readers (RFC 2045 5.2).
            if content_type.c_type == "text" { "text/plain" } else { "" }.clone_into(&mut self.media);
        }
        let (mut flowed, mut without_space) = (false, false);
        for (name, value) in attributes(&content_type) {
            match name {
                "boundary" if self.boundary.is_empty() => self.boundary = value.trim_end().as_bytes().to_vec(),
                "charset" if self.charset.is_empty() => bounded(value.trim()).clone_into(&mut self.charset),
                "name" if self.name.is_empty() => self.name = name_of(value),
                "format" if value.eq_ignore_ascii_case("flowed") => flowed = true,
                "delsp" if value.eq_ignore_ascii_case("yes") => without_space = true,
                _ => {}
            }
        }
        self.flow = match (flowed, without_space) {
            (false, _) => Flow::Fixed,
            (true, false) => Flow::Flowed,
            (true, true) => Flow::WithoutSpace,
        };
    }

    fn read_disposition(&mut self, field: &Field<'_>) {
        let Some(disposition) = parameters(field) else { return };
        self.disposition = match disposition.c_type.as_ref() {
            "inline" => Disposition::Inline,
            _ => Disposition::Attachment,
        };
        if let Some((_, value)) = attributes(&disposition).find(|(name, _)| *name == "filename") {
            self.name = name_of(value);
        }
    }
}

fn parameters<'a>(field: &Field<'a>) -> Option<ContentType<'a>> {
    let raw = &field.raw[..field.raw.len().min(FIELD_BYTES_MAX)];
    match MessageStream::new(raw).parse_content_type() {
        HeaderValue::ContentType(value) => Some(value),
        _ => None,
    }
}

fn attributes<'a>(value: &'a ContentType<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    value.attributes.iter().flatten().map(|a| (a.name.as_ref(), a.value.as_ref()))
}

/// A file name; encoded words do not belong there, yet programs write them and readers decode them.
fn name_of(value: &str) -> String {
    words::decode(value.as_bytes(), VALUE_BYTES_MAX, &mut 0)
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]
}

fn encoding(value: &str) -> Encoding {
    let word = value.trim().trim_matches(['"', ';']);
    if word.eq_ignore_ascii_case("base64") {
        Encoding::Base64
    } else if word.eq_ignore_ascii_case("quoted-printable") {
        Encoding::QuotedPrintable
    } else if ["x-uuencode", "uuencode", "x-uue", "uue"].iter().any(|name| word.eq_ignore_ascii_case(name)) {
        Encoding::Uuencode
    } else if word.is_empty() || word.eq_ignore_ascii_case("7bit") {
        Encoding::SevenBit
    } else {
        Encoding::Identity
    }
}
