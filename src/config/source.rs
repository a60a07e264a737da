//! The file's text: parsed as far as it goes, with every fault of its syntax, and byte offsets as line and column.
//!
//! A TOML parser gives up where it can no longer know what was meant, and one forgotten quote would hide the nine
//! mistakes below it. So what stops the parser is noted, mended in a copy, and the copy is parsed again: a line that
//! is no `key = value` becomes blanks, a `[section` gets its bracket.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::unclosed;

/// The longest file read, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// How often a text is mended and parsed again.
const ROUNDS_MAX: usize = 50;

/// Line and column, both counted from 1; a column is a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// A text with its name, after mending. All offsets are those of the mended text.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    /// Offsets of the bytes that mending added.
    added: Vec<usize>,
    faults: Vec<SyntaxFault>,
    /// Lines with a fault, counted from 0: what else is wrong there is a consequence of it.
    broken: BTreeSet<usize>,
    /// First words of the lines that were blanked: these keys are there, only not readable.
    blanked: Vec<String>,
}

/// A place where the text is not TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxFault {
    /// Where, in bytes.
    pub offset: usize,
    /// The key of that line, where it has one.
    pub key: String,
    /// What is wrong.
    pub sentence: String,
}

impl Source {
    /// Reads `text`, mending what would hide later faults. `name` is how the operator calls the file.
    pub fn new(name: &str, text: &str) -> Self {
        let mut source = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            added: Vec::new(),
            faults: Vec::new(),
            broken: BTreeSet::new(),
            blanked: Vec::new(),
        };
        for _ in 0..ROUNDS_MAX {
            let (_, errors) = DeTable::parse_recoverable(&source.text);
            let Some(mending) = source.mending(&errors) else {
                break;
            };
            source.mend(mending);
        }
        let (_, errors) = DeTable::parse_recoverable(&source.text);
        for error in &errors {
            source.note(offset(error), plain(error, &source.text));
        }
        source.faults.sort_by_key(|fault| fault.offset);
        source
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tree, as far as it can be read.
    pub fn tree(&self) -> Spanned<DeTable<'_>> {
        DeTable::parse_recoverable(&self.text).0
    }

    /// Faults of the syntax, in order, at most one for each line.
    pub fn faults(&self) -> &[SyntaxFault] {
        &self.faults
    }

    /// What stands between two offsets.
    pub fn slice(&self, span: std::ops::Range<usize>) -> &str {
        self.text.get(span).unwrap_or("")
    }

    /// Whether the line of `offset` has a fault of its syntax.
    pub fn is_broken_at(&self, offset: usize) -> bool {
        self.broken.contains(&self.line_of(offset))
    }

    /// Whether a line that could not be read began with `key`.
    pub fn has_unreadable(&self, key: &str) -> bool {
        self.blanked.iter().any(|word| word == key)
    }

    /// Where a byte of the text stands in the file.
    pub fn position(&self, offset: usize) -> Position {
        let start = self.line_start(offset);
        let end = offset.min(self.text.len()).max(start);
        let added = self.added.iter().filter(|&&at| (start..end).contains(&at)).count();
        let column = self.text.get(start..end).map_or(0, |before| before.chars().count());
        Position { line: self.line_of(offset) + 1, column: column - added + 1 }
    }

    /// The first thing that keeps the parser from reading on, and how to get past it.
    fn mending(&self, errors: &[Error]) -> Option<Mending> {
        errors.iter().find_map(|error| {
            let at = offset(error);
            match error.message() {
                m if m.starts_with("key with no value") => {
                    Some(Mending::Blank { from: at, to: at, fault: at, sentence: "no `=` here; write `key = value`" })
                }
                m if m.starts_with("unclosed table") || m.starts_with("unclosed array of tables") => {
                    Some(Mending::Close { at })
                }
                m if m.starts_with("unclosed array") => self.unclosed("the list has no end; add `]`"),
                m if m.starts_with("unclosed inline table") => self.unclosed("the `{` has no end; add `}`"),
                m if m.starts_with("invalid multi-line") => {
                    let quote = if m.contains("literal") { "'''" } else { "\"\"\"" };
                    let opened = self.text[..at].rfind(quote)?;
                    let sentence = "a text opened with three quotes has no end";
                    Some(Mending::Blank { from: opened, to: at, fault: opened, sentence })
                }
                _ => None,
            }
        })
    }

    /// An unclosed list swallows the lines below it, with an error for each.
    fn unclosed(&self, sentence: &'static str) -> Option<Mending> {
        let (span, fault) = unclosed::first(&self.text)?;
        Some(Mending::Blank { from: span.start, to: span.end, fault, sentence })
    }

    fn mend(&mut self, mending: Mending) {
        match mending {
            Mending::Blank { from, to, fault, sentence } => {
                self.note(fault, sentence.to_owned());
                for line in self.line_of(from)..=self.line_of(to) {
                    let span = self.line_span(line);
                    let text = &self.text[span.clone()];
                    let key = text.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').next();
                    self.blanked.extend(key.map(str::to_owned));
                    self.text.replace_range(span.clone(), &" ".repeat(span.len()));
                }
            }
            Mending::Close { at } => {
                let span = self.line_span(self.line_of(at.saturating_sub(1)));
                let line = &self.text[span.clone()];
                let header = line.split('#').next().unwrap_or(line).trim_end();
                let bracket = if header.trim_start().starts_with("[[") && !header.ends_with(']') { "]]" } else { "]" };
                let end = span.start + header.len();
                self.note(span.start, format!("the section's name has no end; add `{bracket}`"));
                self.text.insert_str(end, bracket);
                for fault in self.faults.iter_mut().filter(|fault| fault.offset >= end) {
                    fault.offset += bracket.len();
                }
                for later in self.added.iter_mut().filter(|at| **at >= end) {
                    *later += bracket.len();
                }
                self.added.extend(end..end + bracket.len());
            }
        }
    }

    fn note(&mut self, offset: usize, sentence: String) {
        if self.broken.insert(self.line_of(offset)) {
            let line = &self.text[self.line_span(self.line_of(offset))];
            let key = line.split_once('=').map_or("", |(key, _)| key.trim());
            let bare = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            let key = if bare { key.to_owned() } else { String::new() };
            self.faults.push(SyntaxFault { offset, key, sentence });
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        // An error at the end of the file belongs to the last line that has text.
        let end = offset.min(self.text.trim_end().len());
        self.text.get(..end).unwrap_or(&self.text).matches('\n').count()
    }

    fn line_start(&self, offset: usize) -> usize {
        let end = offset.min(self.text.trim_end().len());
        self.text.as_bytes()[..end].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1)
    }

    /// The bytes of a line, counted from 0, without its line break.
    fn line_span(&self, line: usize) -> std::ops::Range<usize> {
        let mut start = 0;
        for (i, text) in self.text.split('\n').enumerate() {
            if i == line {
                return start..start + text.len();
            }
            start += text.len() + 1;
        }
        self.text.len()..self.text.len()
    }
}

/// A way past what stops the parser.
#[derive(Clone, Copy)]
enum Mending {
    /// The lines from one offset to another become blanks.
    Blank { from: usize, to: usize, fault: usize, sentence: &'static str },
    /// The section header before this offset gets its bracket.
    Close { at: usize },
}

fn offset(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// The parser's sentence in the operator's words. It never holds what stands in the file: that may be a password.
fn plain(error: &Error, text: &str) -> String {
    let unexpected = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    let empty = error.span().is_none_or(|span| span.is_empty());
    match error.message() {
        m if m.starts_with("string values must be quoted") && empty => "no value after `=`".to_owned(),
        m if m.starts_with("string values must be quoted") => {
            "a text stands in quotes, as in \"5m\" or \"example.com\"".to_owned()
        }
        m if m.starts_with("duplicate key") => "written twice; keep one of the two".to_owned(),
        m if m.starts_with("invalid float") || m.starts_with("invalid integer") => {
            "not a number; a text stands in quotes, as in \"10.0.0.0/8\"".to_owned()
        }
        m if m.starts_with("invalid basic string") || m.starts_with("invalid literal string") => {
            let breaks_off = unexpected.starts_with(['\n', '\r']) || !unexpected.starts_with(char::is_control);
            let sentence = if breaks_off {
                "the text has no closing quote"
            } else {
                "a control character cannot stand in a text; take it out"
            };
            sentence.to_owned()
        }
        m if m.starts_with("missing escaped value") => {
            "a `\\` in a text needs a second one; or write the text in '…'".to_owned()
        }
        m => format!("not TOML: {m}"),
    }
}
