//! Finds the list or inline table that somebody forgot to close.
//!
//! To the parser it goes on through everything below it, with a fault on each line. People see at once where it was
//! meant to end: where the next `key =` or `[section]` begins. This is that look.

use std::ops::Range;

/// The first value of the text that has an opening bracket and no closing one: from the start of its line to the end
/// of the last line that belongs to it, and where the bracket stands.
pub(super) fn first(text: &str) -> Option<(Range<usize>, usize)> {
    let mut start = 0;
    while start < text.len() {
        let end = line_end(text, start);
        let value = value_of_key(&text[start..end]).map(|at| start + at);
        match value.map(|at| (at, scan(text, at))) {
            Some((_, Extent::Closed(after))) => start = line_end(text, after) + 1,
            Some((at, Extent::Open(last))) => return Some((start..last, at)),
            Some((_, Extent::NoBracket)) | None => start = end + 1,
        }
    }
    None
}

enum Extent {
    NoBracket,
    /// Ends before this offset.
    Closed(usize),
    /// Its last line ends here.
    Open(usize),
}

/// Follows a value from its first character to where its brackets are closed.
fn scan(text: &str, from: usize) -> Extent {
    let bytes = text.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    let (mut at, mut last_seen) = (from, b' ');
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'[' | b'{' => open.push(byte),
            b']' | b'}' => drop(open.pop()),
            b'"' | b'\'' => at = string_end(text, at),
            b'#' => at = line_end(text, at) - 1,
            b'\n' if !goes_on(&text[at + 1..], &open, last_seen) => return Extent::Open(at),
            _ => {}
        }
        if open.is_empty() {
            return if matches!(byte, b']' | b'}') { Extent::Closed(at + 1) } else { Extent::NoBracket };
        }
        if !byte.is_ascii_whitespace() && byte != b'#' {
            last_seen = byte;
        }
        at += 1;
    }
    Extent::Open(text.trim_end().len())
}

/// Whether the next line can belong to what is open.
fn goes_on(rest: &str, open: &[u8], last_seen: u8) -> bool {
    let line = rest.split('\n').next().unwrap_or("");
    let inside_table = open.last() == Some(&b'{');
    if is_header(line) {
        return false;
    }
    // Members of an inline table are keys too, after a comma or at its start.
    value_of_key(line).is_none() || (inside_table && matches!(last_seen, b',' | b'{'))
}

/// `[name]` or `[[name]]` of bare words: a list of bare words is no TOML.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or(line).trim();
    let inside = line.trim_start_matches('[').trim_end_matches(']');
    line.starts_with('[')
        && line.ends_with(']')
        && inside.starts_with(|c: char| c.is_ascii_alphabetic())
        && inside != "true"
        && inside != "false"
        && inside.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Where the value begins, if the line reads `key = value`.
fn value_of_key(line: &str) -> Option<usize> {
    let equals = line.find('=')?;
    let key = line[..equals].trim();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"'));
    let value = equals + 1;
    is_key.then(|| value + line[value..].len() - line[value..].trim_start().len())
}

/// The last byte of the string that begins at `at`, or of its line where it is not closed there.
fn string_end(text: &str, at: usize) -> usize {
    let quote = &text[at..=at];
    let mut escaped = false;
    for (i, c) in text[at + 1..line_end(text, at)].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == "\"" => escaped = true,
            _ if quote.starts_with(c) => return at + 1 + i,
            _ => {}
        }
    }
    line_end(text, at).saturating_sub(1).max(at)
}

/// Where the line break of the line around `at` stands, or the end of the text.
fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |i| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_found() {
        let cases = [
            // text, what is blanked
            ("a = [1, 2]\nb = {x = 1}\n", None),
            ("a = [1, 2\nb = 3\n", Some("a = [1, 2")),
            ("a = [\n  \"x\",\n[limits]\nb = 1\n", Some("a = [\n  \"x\",")),
            ("a = [\n  [\"x\"],\n  [1],\n]\nb = 1\n", None), // nested lists are no headers
            ("a = \"[\"\nb = '{'\n# c = [\nd = 1 # [\n", None), // texts and comments hold brackets
            ("a = { file = \"x\"\nb = 1\n", Some("a = { file = \"x\"")),
            ("a = { x = 1,\n  y = 2 }\nb = 1\n", None), // TOML 1.1: over several lines
            ("x = [1]\na = [ # [\n 1\n", Some("a = [ # [\n 1")),
        ];
        for (text, expected) in cases {
            assert_eq!(first(text).map(|(span, _)| &text[span]), expected, "{text}");
        }
    }
}
