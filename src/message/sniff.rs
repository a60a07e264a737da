//! What an attachment is, by its bytes and by its name.

use super::attachment::{Attachment, Content};
use super::mime::{Disposition, Encoding, Entity};
use super::shape::Bounds;
use super::transfer;

/// How much of an attachment is decoded to see what it is, in bytes.
const HEAD_BYTES: usize = 4 << 10;

/// Looks at the content of a part.
pub(super) fn attachment(entity: &Entity, body: &[u8], related: bool, _bounds: &Bounds) -> Attachment {
    let mut head = Vec::new();
    let size = match entity.encoding {
        Encoding::Identity => {
            head.extend_from_slice(&body[..body.len().min(HEAD_BYTES)]);
            body.len()
        }
        Encoding::Base64 => {
            transfer::base64(body, HEAD_BYTES, &mut head);
            body.len() / 4 * 3
        }
        Encoding::QuotedPrintable => {
            transfer::quoted_printable(body, HEAD_BYTES, &mut head);
            body.len()
        }
    };
    Attachment {
        name: entity.name.clone(),
        declared: entity.media.clone(),
        content: if entity.is_message() { Content::Message } else { content(&head) },
        size_bytes: size as u64,
        inline: entity.disposition == Disposition::Inline || (related && !entity.content_id.is_empty()),
        contains: Vec::new(),
        encrypted: false,
        macros: false,
    }
}

fn content(head: &[u8]) -> Content {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Content::Archive;
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Content::Office;
    }
    match infer::get(head) {
        Some(kind) => match kind.matcher_type() {
            infer::MatcherType::Image | infer::MatcherType::Audio | infer::MatcherType::Video => Content::Media,
            infer::MatcherType::App => Content::Program,
            infer::MatcherType::Archive => match kind.mime_type() {
                "application/pdf" => Content::Pdf,
                _ => Content::Archive,
            },
            infer::MatcherType::Doc => Content::Office,
            infer::MatcherType::Text => Content::Text,
            _ => Content::Unknown,
        },
        None if !head.contains(&0) => Content::Text,
        None => Content::Unknown,
    }
}
