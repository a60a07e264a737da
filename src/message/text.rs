//! Text with a bound: one line of a header field, or the lines of a body, those that flow put together.

use memchr::memchr;

use super::mime::Flow;

/// One line: white space and control characters become single spaces, none at the ends.
pub(super) struct Line {
    text: String,
    bytes_max: usize,
}

impl Line {
    /// An empty line of at most that many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    /// Appends as much as there is room for.
    pub(super) fn push(&mut self, text: &str) {
        self.text.reserve(text.len().min(self.bytes_max));
        let mut rest = text;
        while let Some(end) = memchr(b'\n', rest.as_bytes()) {
            let row = &rest[..end];
            let row = row.strip_suffix('\r').unwrap_or(row);
            if self.push_row(row) == Taken::Cut || self.push_char(' ') == Taken::Cut {
                return;
            }
            rest = &rest[end + 1..];
        }
        self.push_row(rest);
    }

    fn push_row(&mut self, row: &str) -> Taken {
        let row = if self.ends_open() { row.trim_start_matches([' ', '\t']) } else { row };
        // Nearly all rows are so, and taken as they are.
        if !is_tidy(row) {
            let is_cut = row.chars().any(|c| self.push_char(c) == Taken::Cut);
            return if is_cut { Taken::Cut } else { Taken::Whole };
        }
        let room = self.bytes_max.saturating_sub(self.text.len());
        self.text.push_str(&row[..row.len().min(room)]);
        if row.len() > room { Taken::Cut } else { Taken::Whole }
    }

    fn push_char(&mut self, c: char) -> Taken {
        let c = if c.is_control() { ' ' } else { c };
        if c == ' ' && self.ends_open() {
            return Taken::Whole;
        }
        if self.text.len() + c.len_utf8() > self.bytes_max {
            return Taken::Cut;
        }
        self.text.push(c);
        Taken::Whole
    }

    /// Whether a space here would be one too many.
    fn ends_open(&self) -> bool {
        matches!(self.text.as_bytes().last(), None | Some(b' '))
    }

    /// The line.
    pub(super) fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}

/// Whether all of a text was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All.
    Whole,
    /// The bound cut it.
    Cut,
}

/// Whether a text is of printable ASCII, and no two spaces in it follow each other.
pub(super) fn is_tidy(text: &str) -> bool {
    let bytes = text.as_bytes();
    let behind = bytes.get(1..).unwrap_or_default();
    // All of it is looked at, which takes less than to stop early: so it is done for many bytes at a time.
    let odd = bytes.iter().fold(0, |odd, byte| odd | u8::from(!(b' '..=b'~').contains(byte)));
    let doubled = bytes.iter().zip(behind).fold(0, |odd, (a, b)| odd | u8::from(*a == b' ' && *b == b' '));
    odd | doubled == 0
}

/// Bytes that may begin a control character, but for LF and tab.
const ODD: [bool; 256] = {
    let mut odd = [false; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        odd[byte] = byte != b'\n' as usize && byte != b'\t' as usize;
        byte += 1;
    }
    odd[0x7f] = true;
    odd[0xc2] = true;
    odd
};

/// Appends plain text as lines of LF, other control characters but tabs left out, until `out` holds `bytes_max` bytes.
pub(super) fn push_lines(text: &str, bytes_max: usize, out: &mut String) -> Taken {
    let room = bytes_max.saturating_sub(out.len());
    let taken = &text[..text.floor_char_boundary(room)];
    out.reserve(taken.len());
    let mut rest = taken;
    while let Some(at) = rest.bytes().position(|byte| ODD[usize::from(byte)]) {
        out.push_str(&rest[..at]);
        let mut behind = rest[at..].chars();
        match behind.next() {
            Some('\r') if !behind.as_str().starts_with('\n') => out.push('\n'),
            Some(c) if !c.is_control() => out.push(c),
            Some(_) | None => {}
        }
        rest = behind.as_str();
    }
    out.push_str(rest);
    if taken.len() < text.len() { Taken::Cut } else { Taken::Whole }
}

/// The text of flowing lines as readers show it: a line that ends with a space goes on in the next, where that is quoted as
/// deep (RFC 3676 4).
pub(super) fn unflowed(text: &str, flow: Flow) -> String {
    let mut out = String::with_capacity(text.len());
    // How deep the line is quoted that goes on.
    let mut open: Option<usize> = None;
    for (n, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let depth = line.bytes().take_while(|b| *b == b'>').count();
        let inside = line[depth..].strip_prefix(' ').unwrap_or(&line[depth..]);
        if open != Some(depth) {
            out.extend((n > 0).then_some('\n'));
            out.extend(std::iter::repeat_n('>', depth));
            out.extend((depth > 0).then_some(' '));
        }
        // The line before a signature ends with a space and does not flow.
        let flows = inside.ends_with(' ') && inside != "-- ";
        out.push_str(if flows && flow == Flow::WithoutSpace { &inside[..inside.len() - 1] } else { inside });
        open = flows.then_some(depth);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line() {
        let line = |pieces: &[&str], bytes_max| {
            let mut line = Line::new(bytes_max);
            for piece in pieces {
                line.push(piece);
            }
            line.finish()
        };
        let cases: [(&[&str], usize, &str); 13] = [
            (&["  a  b\t\r\n c "], 100, "a b c"),
            (&["a b\r\n\t c d\r\n   e\r\n"], 100, "a b c d e"),
            (&["a b\r\n c"], 3, "a b"),
            (&["abé c"], 3, "ab"), // what is cut goes on nowhere
            (&["abc\r\n", "d"], 4, "abc"),
            (&["\u{a0}a \u{a0}"], 100, "\u{a0}a"), // no space of ours
            (&["a ", " b"], 100, "a b"),
            (&["a", "b"], 100, "ab"),
            (&["é\u{7f}é  é"], 100, "é é é"),
            (&["abcdef"], 3, "abc"),
            (&["ab", "é"], 3, "ab"), // never half of a character
            (&["a b c"], 4, "a b"),
            (&[], 3, ""),
        ];
        for (pieces, bytes_max, expected) in cases {
            assert_eq!(line(pieces, bytes_max), expected, "{pieces:?}");
        }
    }

    #[test]
    fn flowing_lines() {
        let cases = [
            // Written, flowing, flowing without the space.
            ("a \nb\nc", "a b\nc", "ab\nc"),
            ("a \r\nb\r\n", "a b\n", "ab\n"),
            ("https://a.example/ \nb", "https://a.example/ b", "https://a.example/b"),
            (" From here\n >no quote", "From here\n>no quote", "From here\n>no quote"), // stuffed with a space
            ("> a \n> b\n>> c \nd", "> a b\n>> c \nd", "> ab\n>> c\nd"),
            ("x \n> y", "x \n> y", "x\n> y"), // quoted otherwise
            ("a\n-- \nAnn", "a\n-- \nAnn", "a\n-- \nAnn"),
            ("\n\na", "\n\na", "\n\na"),
            ("", "", ""),
        ];
        for (text, flowed, without_space) in cases {
            assert_eq!(unflowed(text, Flow::Flowed), flowed, "{text:?}");
            assert_eq!(unflowed(text, Flow::WithoutSpace), without_space, "{text:?}");
        }
    }
}
