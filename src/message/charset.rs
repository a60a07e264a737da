//! Bytes to text: the declared charset where there is one, else what the bytes look like.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

use super::transfer::Encoded;

/// The text of `bytes`. Undeclared or unknown: UTF-8 if it is valid, else windows-1252.
pub(super) fn decode<'a>(bytes: &'a [u8], charset: &str) -> (Cow<'a, str>, Encoded) {
    let charset = charset.split('*').next().unwrap_or_default();
    let utf8 = std::str::from_utf8(bytes);
    if is_utf8(charset) {
        return match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Well),
            Err(_) => (String::from_utf8_lossy(bytes), Encoded::Badly),
        };
    }
    if charset.is_empty() || is_ascii(charset) {
        return match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Well),
            Err(_) => (windows_1252(bytes), Encoded::Well),
        };
    }
    match charset_decoder(charset.as_bytes()) {
        Some(_) if bytes.is_ascii() && !uses_ascii_otherwise(charset) => match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Well),
            Err(_) => (String::from_utf8_lossy(bytes), Encoded::Badly),
        },
        Some(decoder) => (Cow::Owned(decoder(bytes)), Encoded::Well),
        None => match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Badly),
            Err(_) => (windows_1252(bytes), Encoded::Badly),
        },
    }
}

/// The text of bytes that declare nothing.
pub(super) fn guess(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => windows_1252(bytes),
    }
}

fn windows_1252(bytes: &[u8]) -> Cow<'_, str> {
    match charset_decoder(b"windows-1252") {
        Some(decoder) => Cow::Owned(decoder(bytes)),
        None => String::from_utf8_lossy(bytes),
    }
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

fn is_ascii(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("us-ascii") || charset.eq_ignore_ascii_case("ascii")
}

/// Whether ASCII bytes mean something else there: escapes, shifts, double bytes.
fn uses_ascii_otherwise(charset: &str) -> bool {
    let lower = charset.to_ascii_lowercase();
    ["utf", "2022", "hz", "ucs", "unicode"].iter().any(|mark| lower.contains(mark))
}
