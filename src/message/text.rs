//! Text with a bound: one line of a header field, or the lines of a body.

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
        for c in text.chars() {
            let c = if c.is_control() { ' ' } else { c };
            if c == ' ' && (self.text.is_empty() || self.text.ends_with(' ')) {
                continue;
            }
            if self.text.len() + c.len_utf8() > self.bytes_max {
                return;
            }
            self.text.push(c);
        }
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

/// Appends plain text as lines of LF, other control characters but tabs left out, until `out` holds `bytes_max` bytes.
pub(super) fn push_lines(text: &str, bytes_max: usize, out: &mut String) -> Taken {
    let room = bytes_max.saturating_sub(out.len());
    let taken = &text[..text.floor_char_boundary(room)];
    let odd = |b: u8| (b < b' ' && b != b'\n' && b != b'\t') || b == 0x7f || b == 0xc2;
    if taken.bytes().any(odd) {
        let mut chars = taken.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' if chars.peek() == Some(&'\n') => {}
                '\r' => out.push('\n'),
                '\n' | '\t' => out.push(c),
                c if c.is_control() => {}
                c => out.push(c),
            }
        }
    } else {
        out.push_str(taken);
    }
    if taken.len() < text.len() { Taken::Cut } else { Taken::Whole }
}
