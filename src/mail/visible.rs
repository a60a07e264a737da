//! Text that came with mail, made fit for a terminal, a log line or a page: what a reader cannot see is spelled out
//! (design: invariant 7).

use std::fmt::{self, Write as _};

/// Shows a text with everything that a terminal would obey or hide spelled out: control characters, line breaks,
/// direction marks, invisible characters. Printable text passes as it is.
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(pub &'a str);

/// As [`Visible`], and in quotes where the text holds what parts one `key=value` from the next.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A width asks for columns, so the text must be whole before it is padded.
        if f.width().is_some() || f.precision().is_some() {
            let mut shown = String::new();
            write!(shown, "{}", Visible(self.0))?;
            return f.pad(&shown);
        }
        self.0.chars().try_for_each(|c| show(c, f))
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\\' | '=') && !is_unseen(c);
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                _ => show(c, f)?,
            }
        }
        f.write_char('"')
    }
}

fn show(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        _ if is_unseen(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
        _ => f.write_char(c),
    }
}

/// Whether a terminal obeys this character, or shows nothing for it: controls (C1 too), direction marks and isolates,
/// zero-width characters, line and paragraph separators, tags, unusual spaces.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_or_hidden() {
        let cases = [
            ("450 4.7.1 später", "450 4.7.1 später", "\"450 4.7.1 später\""),
            ("plain", "plain", "plain"),
            ("", "", "\"\""), // an empty value is seen
            ("a\r\nb\t", "a\\r\\nb\\t", "\"a\\r\\nb\\t\""),
            ("\u{1b}[31m", "\\u{1b}[31m", "\"\\u{1b}[31m\""), // a colour
            ("\u{9b}2J", "\\u{9b}2J", "\"\\u{9b}2J\""),       // C1: the same in one character
            ("a\u{202e}b", "a\\u{202e}b", "\"a\\u{202e}b\""), // reads backwards
            ("a\u{200b}b", "a\\u{200b}b", "\"a\\u{200b}b\""),
            ("a=\"b\"", "a=\"b\"", "\"a=\\\"b\\\"\""),
        ];
        for (text, visible, quoted) in cases {
            assert_eq!(Visible(text).to_string(), visible);
            assert_eq!(Quoted(text).to_string(), quoted);
        }
        assert_eq!(format!("{:8}|", Visible("a\n")), "a\\n     |");
    }
}
