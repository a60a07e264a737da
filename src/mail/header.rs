//! The header of a message as bytes: its fields in order, in one linear pass (RFC 5322 2.2).
//!
//! For what the relay itself must know (Received, Message-ID, List-Id …). Meaning, charsets and MIME are not read here.

use memchr::memchr;

/// How much of a message is looked at for its header, in bytes. What lies beyond is body to us.
pub const HEADER_BYTES_MAX: usize = 1 << 20;
/// How many fields are looked at.
pub const FIELDS_MAX: usize = 2_000;

/// One header field, folded lines included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written.
    pub name: &'a [u8],
    /// All after the colon, folding and the line's end still in it.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether this field has that name; names have no case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value unfolded, trimmed, control characters made spaces, in at most `bytes_max` bytes of valid UTF-8.
    pub fn text(&self, bytes_max: usize) -> String {
        let mut text = String::new();
        // Invalid bytes grow to three when replaced, so a slice of the bound is always enough to fill it.
        for c in String::from_utf8_lossy(&self.raw[..self.raw.len().min(bytes_max)]).chars() {
            let c = if c.is_control() { ' ' } else { c };
            if c == ' ' && matches!(text.as_bytes().last(), None | Some(b' ')) {
                continue;
            }
            if text.len() + c.len_utf8() > bytes_max {
                break;
            }
            text.push(c);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The raw value as bytes.
    pub fn value(&self) -> &'a [u8] {
        self.raw
    }
}

/// The fields from the top. The pass ends at the empty line, at the first line that is no field, and at the bounds.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = &message[..message.len().min(HEADER_BYTES_MAX)];
    std::iter::from_fn(move || {
        let end = field_end(rest)?;
        let (field, after) = rest.split_at(end);
        let colon = memchr(b':', field)?;
        let name = field[..colon].trim_ascii_end();
        if name.is_empty() || !name.iter().all(|b| (33..=126).contains(b)) {
            return None;
        }
        rest = after;
        Some(Field { name, raw: &field[colon + 1..] })
    })
    .take(FIELDS_MAX)
}

/// The first field of that name.
pub fn first<'a>(message: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(message).find(|f| f.is(name))
}

/// The end of the first field: after a line break that no white space follows. `None` at the empty line or the end.
fn field_end(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.starts_with(b"\r\n") || text.starts_with(b"\n") {
        return None;
    }
    let mut from = 0;
    while let Some(newline) = memchr(b'\n', &text[from..]) {
        let next = from + newline + 1;
        if !matches!(text.get(next), Some(b' ' | b'\t')) {
            return Some(next);
        }
        from = next;
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_fields_and_the_end_of_the_header() {
        let message = b"Received: from a\r\n\tby b;\r\n date\r\nSubject:x\r\nempty:\r\n\r\nBody: no field\r\n";
        let all: Vec<(String, String)> =
            fields(message).map(|f| (String::from_utf8_lossy(f.name).into(), f.text(80))).collect();
        let expected = [("Received", "from a by b; date"), ("Subject", "x"), ("empty", "")];
        assert_eq!(all, expected.map(|(n, v)| (n.to_string(), v.to_string())));
        assert_eq!(first(message, "SUBJECT").map(|f| f.text(80)).as_deref(), Some("x"));
        assert_eq!(first(message, "body"), None);
    }

    #[test]
    fn text_is_bounded_and_clean() {
        let field = Field { name: b"X", raw: b" a\x1b[31m\xff\xff\xff\xff b" };
        assert_eq!(field.text(80), "a [31m\u{fffd}\u{fffd}\u{fffd}\u{fffd} b");
        assert!(field.text(7).len() <= 7);
    }
}
