//! Web addresses written out in text, as readers make links of them: with a scheme, with `www.`, or a bare name under a
//! known suffix.

use memchr::{memchr2, memchr2_iter};

use super::links::TARGET_BYTES_MAX;

/// Suffixes that are also words or endings of file names: a bare name under one must have a path to count.
const AMBIGUOUS: [&str; 58] = [
    "ai", "am", "app", "as", "at", "be", "by", "bz", "cab", "cc", "cpp", "csv", "dev", "do", "doc", "docx", "gz", "id",
    "in", "is", "it", "java", "la", "li", "lib", "mail", "map", "md", "me", "ml", "mm", "mov", "mp", "my", "name",
    "no", "now", "or", "page", "pl", "pm", "ps", "pub", "py", "rs", "sc", "sh", "so", "st", "sys", "tar", "tm", "to",
    "us", "vi", "ws", "zip", "zone",
];
/// How long a bare name may be, in bytes.
const NAME_BYTES_MAX: usize = 253;

/// Calls `each` with every address in `text`, in order, none overlapping another.
pub(super) fn find(text: &str, mut each: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr2(b'.', b':', &bytes[at..]) {
        let mark = at + found;
        let address = match bytes[mark] {
            b':' => with_scheme(bytes, at, mark),
            _ => bare(text, at, mark),
        };
        match address {
            Found::Address(from, to) => {
                let to = trimmed_end(bytes, from, to);
                each(&text[from..text.floor_char_boundary(to.min(from + TARGET_BYTES_MAX))]);
                at = to.max(mark + 1);
            }
            Found::None(next) => at = next,
        }
    }
}

enum Found {
    Address(usize, usize),
    /// Nothing; looking goes on there.
    None(usize),
}

/// `https://…`, from the colon.
fn with_scheme(bytes: &[u8], floor: usize, colon: usize) -> Found {
    if !bytes[colon + 1..].starts_with(b"//") {
        return Found::None(colon + 1);
    }
    let letters = bytes[floor..colon].iter().rev().take(6).take_while(|b| b.is_ascii_alphabetic()).count();
    let word = &bytes[colon - letters..colon];
    let known = [&b"https"[..], b"http", b"ftp"]
        .into_iter()
        .find(|s| word.len() >= s.len() && word[word.len() - s.len()..].eq_ignore_ascii_case(s));
    match known {
        Some(scheme) if bytes.get(colon + 3).is_some_and(|b| !is_end(*b)) => {
            Found::Address(colon - scheme.len(), address_end(bytes, colon + 3))
        }
        _ => Found::None(colon + 1),
    }
}

/// A bare name, from one of its dots.
fn bare(text: &str, floor: usize, dot: usize) -> Found {
    let bytes = text.as_bytes();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.') || *b >= 0x80;
    let before = bytes[floor..dot].iter().rev().take(NAME_BYTES_MAX).take_while(|b| is_name(b)).count();
    let after = bytes[dot..].iter().take(NAME_BYTES_MAX).take_while(|b| is_name(b)).count();
    let (from, mut end) = (dot - before, dot + after);
    let none = Found::None(end.max(dot + 1));
    if before == 0 || !text.is_char_boundary(from) || !text.is_char_boundary(end) {
        return none;
    }
    // Part of a mail address, a path or a file name.
    let part_of_more = |b: Option<&u8>| b.is_some_and(|b| matches!(b, b'@' | b'/' | b'\\' | b'_' | b'='));
    if (from > 0 && part_of_more(bytes.get(from - 1))) || bytes.get(end) == Some(&b'@') || bytes.get(end) == Some(&b'_')
    {
        return none;
    }
    while end > from && matches!(bytes[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let has_path = matches!(bytes.get(end), Some(b'/' | b'?'));
    if is_web_name(&text[from..end], has_path) {
        let to = if has_path || bytes.get(end) == Some(&b':') { address_end(bytes, end) } else { end };
        return Found::Address(from, to);
    }
    none
}

fn is_web_name(name: &str, has_path: bool) -> bool {
    let Some((rest, suffix)) = name.rsplit_once('.') else { return false };
    if rest.is_empty() || name.contains("..") || suffix.len() < 2 || !suffix.bytes().all(|b| b.is_ascii_alphabetic()) {
        return false;
    }
    if name.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("www.")) && name.len() > 6 {
        return true;
    }
    // "the end.The next sentence" is no name.
    let capital =
        suffix.starts_with(|c: char| c.is_ascii_uppercase()) && !suffix.bytes().all(|b| b.is_ascii_uppercase());
    if capital || !name.is_ascii() {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let suffix = lower.rsplit('.').next().unwrap_or_default();
    if !has_path && AMBIGUOUS.binary_search(&suffix).is_ok() {
        return false;
    }
    psl::domain(lower.as_bytes()).is_some_and(|domain| domain.suffix().is_known())
}

/// Where an address ends: before white space, and what cannot be part of it.
fn address_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|b| is_end(*b)).map_or(bytes.len(), |len| from + len)
}

fn is_end(b: u8) -> bool {
    b <= b' ' || matches!(b, b'<' | b'>' | b'"' | b'`' | b'{' | b'}' | b'|' | b'^' | 0x7f)
}

/// The end without punctuation that belongs to the sentence. A closing bracket stays where one is open.
fn trimmed_end(bytes: &[u8], from: usize, to: usize) -> usize {
    let mut to = to;
    let address = &bytes[from..to];
    let mut surplus =
        memchr2_iter(b'(', b')', address).fold(0_isize, |n, at| if address[at] == b')' { n + 1 } else { n - 1 });
    while to > from {
        match bytes[to - 1] {
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b'*' | b'_' | b']' | b'[' => {}
            b')' if surplus > 0 => surplus -= 1,
            _ => break,
        }
        to -= 1;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_text() {
        let cases: &[(&str, &[&str])] = &[
            ("see https://example.org/a?b=c.", &["https://example.org/a?b=c"]),
            ("<http://example.org>", &["http://example.org"]),
            ("(see http://example.org/a_(b))", &["http://example.org/a_(b)"]),
            ("go to www.example.org, now", &["www.example.org"]),
            ("example.com is a name", &["example.com"]),
            ("EXAMPLE.COM/x and example.net", &["EXAMPLE.COM/x", "example.net"]),
            ("mail a.b@example.com or c@example.org", &[]),
            ("the end.The next; done.So", &[]),
            ("read main.rs and lib/read.me, file.zip", &[]),
            ("but bit.ly/abc and t.me/x count", &["bit.ly/abc", "t.me/x"]),
            ("e.g. i.e. 3.14 v1.2.3 192.168.1.1", &[]),
            ("xhttp://example.org", &["http://example.org"]),
            ("https://a.example,https://b.example", &["https://a.example,https://b.example"]),
            ("http://", &[]),
            ("Grüße.de und grüße http://grüße.example/ü!", &["http://grüße.example/ü"]),
            ("a...b...com", &[]),
            ("see:http://example.org", &["http://example.org"]),
        ];
        for (text, expected) in cases {
            let mut found = Vec::new();
            find(text, |address| found.push(address.to_owned()));
            assert_eq!(found, *expected, "{text:?}");
        }
        assert!(AMBIGUOUS.is_sorted());
    }

    #[test]
    fn long_runs_cost_their_bytes() {
        for unit in [".", ":", "a.", "://", "http://", "www.", "a.b@", "x.com/", "http://a(", ")", "é."] {
            let text = unit.repeat(1_000_000 / unit.len());
            let mut bytes = 0;
            find(&text, |address| bytes += address.len());
            assert!(bytes <= text.len(), "{unit}");
        }
    }
}
