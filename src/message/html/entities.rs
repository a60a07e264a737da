//! Character references (WHATWG HTML 13.2.5.72).

use html5ever::data::NAMED_ENTITIES;
use memchr::memchr;

/// How long the name of a reference is at most, in bytes, its semicolon included.
const NAME_BYTES_MAX: usize = 33;
/// What the numbers 0x80 to 0x9f stand for, 0 where they stand for themselves: people wrote windows-1252.
const WINDOWS: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0,
    0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

/// Where a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In text.
    Text,
    /// In the value of an attribute, where `&copy=1` is no reference.
    Attribute,
}

/// Passes `text` on in pieces, with its character references decoded.
pub(super) fn decode(mut text: &str, place: Place, mut piece: impl FnMut(&str)) {
    while let Some(at) = memchr(b'&', text.as_bytes()) {
        let after = &text[at + 1..];
        let (found, bytes) = match after.as_bytes().first() {
            Some(b'#') => numeric(after),
            Some(b) if b.is_ascii_alphanumeric() => named(after, place),
            _ => ([None, None], 0),
        };
        if bytes == 0 {
            piece(&text[..=at]);
        } else {
            if at > 0 {
                piece(&text[..at]);
            }
            for c in found.into_iter().flatten() {
                piece(c.encode_utf8(&mut [0; 4]));
            }
        }
        text = &after[bytes..];
    }
    if !text.is_empty() {
        piece(text);
    }
}

/// The text with its references decoded, at most `bytes_max` bytes of it.
pub(super) fn decoded(text: &str, place: Place, bytes_max: usize) -> String {
    let mut out = String::new();
    decode(text, place, |piece| {
        let room = bytes_max.saturating_sub(out.len());
        out.push_str(&piece[..piece.floor_char_boundary(room)]);
    });
    out
}

type Characters = [Option<char>; 2];

/// `#123;`, `#x1f;`: what it stands for and its length in bytes, 0 if it is none.
fn numeric(text: &str) -> (Characters, usize) {
    let hex = matches!(text.as_bytes().get(1), Some(b'x' | b'X'));
    let (start, radix) = if hex { (2, 16) } else { (1, 10) };
    let digits = text[start..].bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
    if digits == 0 {
        return ([None, None], 0);
    }
    let number = text[start..start + digits]
        .chars()
        .fold(0_u32, |n, c| n.saturating_mul(radix).saturating_add(c.to_digit(radix).unwrap_or(0)));
    let semicolon = usize::from(text.as_bytes().get(start + digits) == Some(&b';'));
    let windows = number.checked_sub(0x80).and_then(|n| WINDOWS.get(n as usize)).copied().filter(|c| *c != 0);
    let c = match windows {
        Some(c) => char::from_u32(c.into()),
        None => char::from_u32(number).filter(|c| *c != '\0'),
    };
    ([Some(c.unwrap_or('\u{fffd}')), None], start + digits + semicolon)
}

/// The longest name that `text` begins with.
fn named(text: &str, place: Place) -> (Characters, usize) {
    for (name, c) in
        [("nbsp;", '\u{a0}'), ("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("zwnj;", '\u{200c}')]
    {
        if text.starts_with(name) {
            return ([Some(c), None], name.len());
        }
    }
    let mut best = ([None, None], 0);
    let longest = text.bytes().take(NAME_BYTES_MAX).take_while(u8::is_ascii_alphanumeric).count();
    let semicolon = usize::from(text.as_bytes().get(longest) == Some(&b';'));
    for bytes in 1..=longest + semicolon {
        // The table holds the beginnings of names too, as nothing.
        match NAMED_ENTITIES.get(&text[..bytes]) {
            Some((0, _)) => {}
            Some((first, second)) => {
                best = ([char::from_u32(*first), char::from_u32(*second).filter(|c| *c != '\0')], bytes);
            }
            None => break,
        }
    }
    let next = text.as_bytes().get(best.1);
    let ends = best.1 > 0 && text.as_bytes()[best.1 - 1] == b';';
    if place == Place::Attribute && !ends && next.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'=') {
        return ([None, None], 0);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_in_text_and_attributes() {
        let cases = [
            ("a &amp; b &lt;", "a & b <", "a & b <"),
            ("&copy=1 &copy2 &copy;", "©=1 ©2 ©", "&copy=1 &copy2 ©"), // a query in a link is none
            ("&notit; &notin;", "¬it; ∉", "&notit; ∉"),
            ("&#65;&#x42;&#67", "ABC", "ABC"),
            ("&#128;&#x9f;", "€Ÿ", "€Ÿ"),
            (
                "&#0;&#xd800;&#x110000;&#99999999999;",
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("&NotEqualTilde;", "\u{2242}\u{338}", "\u{2242}\u{338}"),
            ("&; & &x; &#; &#x;", "&; & &x; &#; &#x;", "&; & &x; &#; &#x;"),
            ("&&amp;", "&&", "&&"),
        ];
        for (source, text, attribute) in cases {
            assert_eq!(decoded(source, Place::Text, 100), text, "{source}");
            assert_eq!(decoded(source, Place::Attribute, 100), attribute, "{source}");
        }
        assert_eq!(decoded("é&eacute;é", Place::Text, 5), "éé");
    }
}
