//! Whether a message keeps what the transport asks: bytes under 128 where it says so, and short lines where it is encoded.
//!
//! Mail programs keep it without knowing, for their libraries do. What is put together by hand often does not.

use memchr::memchr;

use super::mime::Encoding;
use super::shape::Unkept;
use crate::mail::header;

/// How much of a part is looked at, in bytes: what is put together by hand is so from its first lines on.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The longest encoded line, in characters without its end (RFC 2045 6.7 and 6.8), and two that old programs add.
const ENCODED_LINE_MAX: usize = 76 + 2;

/// What a part's content does not keep.
pub(super) fn of_body(encoding: Encoding, body: &[u8]) -> Option<Unkept> {
    let body = &body[..body.len().min(BODY_BYTES_MAX)];
    match encoding {
        Encoding::SevenBit => (!body.is_ascii()).then_some(Unkept::BodyBytes),
        Encoding::Base64 | Encoding::QuotedPrintable => has_long_line(body).then_some(Unkept::EncodedLine),
        Encoding::Identity | Encoding::Uuencode => None,
    }
}

/// What the fields that people read do not keep. Servers and programs write others as they like.
pub(super) fn of_header(header: &[u8]) -> Option<Unkept> {
    const READ: [&str; 4] = ["From", "Reply-To", "To", "Subject"];
    if header.is_ascii() {
        return None;
    }
    let raw = header::fields(header).any(|field| !field.raw.is_ascii() && READ.iter().any(|name| field.is(name)));
    raw.then_some(Unkept::HeaderBytes)
}

fn has_long_line(mut text: &[u8]) -> bool {
    while text.len() > ENCODED_LINE_MAX {
        let line = memchr(b'\n', text).unwrap_or(text.len());
        if text[..line].trim_ascii_end().len() > ENCODED_LINE_MAX {
            return true;
        }
        text = &text[(line + 1).min(text.len())..];
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::message::{Bounds, Message, Unkept};

    fn unkept(header: &str, body: &[u8]) -> Vec<Unkept> {
        let mut mail = format!("From: a@example.org\r\nMIME-Version: 1.0\r\n{header}\r\n").into_bytes();
        mail.extend_from_slice(body);
        Message::parse(&mail, &Bounds::default()).shape.unkept
    }

    #[test]
    fn what_crosses_any_server_and_what_does_not() {
        let base64 = "Content-Transfer-Encoding: base64\r\n";
        let quoted = "Content-Transfer-Encoding: quoted-printable\r\n";
        let (fits, long) = ("QUJD".repeat(19), "QUJD".repeat(20));
        let two_parts = "--x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--x\r\n\r\nGrüße\r\n--x--\r\n";
        let cases: [(&str, String, Vec<Unkept>, &str); 16] = [
            ("", "Hello".into(), vec![], "ASCII"),
            ("", "Grüße".into(), vec![Unkept::BodyBytes], "nothing said is 7bit"),
            ("Content-Transfer-Encoding: 7BIT\r\n", "Grüße".into(), vec![Unkept::BodyBytes], "said"),
            ("Content-Transfer-Encoding: 8bit\r\n", "Grüße".into(), vec![], "as it says"),
            (base64, format!("{fits}\r\n{fits}"), vec![], "76 in a line"),
            (base64, format!("{fits}\r\n{long}\r\n"), vec![Unkept::EncodedLine], "80 in a line"),
            (base64, long.clone(), vec![Unkept::EncodedLine], "in the last, which nothing ends"),
            (quoted, format!("{}  \r\n", &long[..76]), vec![], "spaces that a server added"),
            (quoted, long.clone(), vec![Unkept::EncodedLine], "quoted-printable too"),
            ("Subject: Grüße\r\n", String::new(), vec![Unkept::HeaderBytes], "a subject that is not encoded"),
            ("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n", String::new(), vec![], "one that is"),
            ("To: a@example.org,\r\n Jürgen <j@example.org>\r\n", String::new(), vec![Unkept::HeaderBytes], "folded"),
            ("X-Server: Zürich\r\n", String::new(), vec![], "nobody reads it"),
            ("Content-Type: multipart/mixed; boundary=x\r\n", two_parts.into(), vec![Unkept::BodyBytes], "one of two"),
            ("Content-Type: message/rfc822\r\n", "Subject: x\r\n\r\nGrüße".into(), vec![], "another's, handed on"),
            ("Content-Type: application/json\r\n", "{\"a\": \"ü\"}".into(), vec![], "no text"),
        ];
        for (header, body, expected, reason) in cases {
            assert_eq!(unkept(header, body.as_bytes()), expected, "{reason}");
        }
    }

    #[test]
    fn each_is_told_once_and_of_the_first_part_of_a_long_body() {
        let part = "--x\r\n\r\nGrüße\r\n";
        let header = "Content-Type: multipart/mixed; boundary=x\r\n";
        assert_eq!(unkept(header, part.repeat(20).as_bytes()), [Unkept::BodyBytes]);
        let late = format!("{}ü", "a line of text\r\n".repeat(5_000));
        assert_eq!(unkept("", late.as_bytes()), []);
    }
}
