//! Text as a browser lays it out: white space collapsed, blocks as lines, within a bound.

use memchr::memchr2;

use crate::message::text::is_tidy;

/// Text that grows at its end.
#[derive(Debug, Default)]
pub(super) struct Flow {
    text: String,
    bytes_max: usize,
    gap: Gap,
    /// Whether something was left out.
    pub(super) cut: bool,
}

/// What stands between what was written and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Gap {
    /// Nothing.
    #[default]
    None,
    /// A space.
    Space,
    /// The end of a line.
    Line,
}

impl Flow {
    /// Goes on with a text that was begun.
    pub(super) fn after(text: String, bytes_max: usize) -> Self {
        let gap = if text.is_empty() { Gap::None } else { Gap::Line };
        Self { text, bytes_max, gap, cut: false }
    }

    /// Parts what follows from what is there.
    pub(super) fn part(&mut self, gap: Gap) {
        if !self.text.is_empty() {
            self.gap = self.gap.max(gap);
        }
    }

    /// Appends text; any run of white space is one gap. In preformatted text line ends stay.
    pub(super) fn push(&mut self, text: &str, preformatted: bool) {
        let mut rest = text;
        while let Some(end) = memchr2(b'\r', b'\n', rest.as_bytes()) {
            self.push_row(&rest[..end]);
            self.part(if preformatted { Gap::Line } else { Gap::Space });
            rest = &rest[end + 1..];
        }
        self.push_row(rest);
    }

    /// What has no line break in it.
    fn push_row(&mut self, row: &str) {
        let inside = row.trim_ascii_start();
        if inside.len() < row.len() {
            self.part(Gap::Space);
        }
        let inside = inside.trim_ascii_end();
        // Most rows are taken whole.
        if !is_tidy(inside) || self.text.len() + inside.len() >= self.bytes_max {
            return self.push_words(row);
        }
        if !inside.is_empty() {
            self.push_word(inside);
        }
        if row.ends_with(|c: char| c.is_ascii_whitespace()) {
            self.part(Gap::Space);
        }
    }

    fn push_words(&mut self, row: &str) {
        let mut rest = row;
        while let Some(c) = rest.chars().next() {
            // A word of ASCII is taken whole.
            let word = rest.bytes().take_while(|b| (b'!'..=b'~').contains(b)).count();
            if word > 0 {
                self.push_word(&rest[..word]);
                rest = &rest[word..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match c {
                ' ' | '\t' | '\u{c}' | '\u{a0}' => self.part(Gap::Space),
                c if c.is_control() => {}
                c => self.push_word(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    /// How much was written, in bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// What was written from there on.
    pub(super) fn since(&self, from: usize) -> &str {
        self.text.get(from..).unwrap_or_default()
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn push_word(&mut self, word: &str) {
        let gap = usize::from(self.gap != Gap::None);
        let room = self.bytes_max.saturating_sub(self.text.len() + gap);
        self.cut |= word.len() > room;
        let word = &word[..word.floor_char_boundary(room)];
        if word.is_empty() {
            return;
        }
        match std::mem::take(&mut self.gap) {
            Gap::None => {}
            Gap::Space => self.text.push(' '),
            Gap::Line => self.text.push('\n'),
        }
        self.text.push_str(word);
    }
}
