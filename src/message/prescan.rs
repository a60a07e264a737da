//! The structure of a message, found in one linear pass over its lines before anything is decoded (RFC 2046 5.1).
//!
//! A delimiter stands at the start of a line and fills it but for white space behind it; lines end with LF or CRLF. The
//! parts lie flat in a list, however deep they nest, so neither reading nor dropping them recurses.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::mime::Entity;
use super::shape::{Bound, Bounds};
use super::tally::Tally;

/// One part, the message itself included.
#[derive(Debug)]
pub(super) struct Part {
    /// The part that holds it; none for the message itself.
    pub(super) parent: Option<usize>,
    /// Its header fields, the empty line not among them.
    pub(super) header: Range<usize>,
    /// Its content; the line break before a delimiter belongs to the delimiter.
    pub(super) body: Range<usize>,
    /// How many parts stand around it.
    pub(super) depth: u32,
    /// What it holds.
    pub(super) kind: Kind,
    /// What its header says of its content.
    pub(super) entity: Entity,
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Content to decode.
    Leaf,
    /// Parts between delimiters.
    Multipart,
    /// One message as it is.
    Message,
}

/// Finds the parts of a message in order. `depth` is the number of parts around it (a message decoded out of a part of
/// another). What goes past a bound is counted in `tally` and left out.
pub(super) fn scan(bytes: &[u8], depth: u32, bounds: &Bounds, tally: &mut Tally) -> Vec<Part> {
    let mut scan =
        Scan { bytes, bounds, tally, parts: Vec::new(), open: Vec::new(), delimiters: Vec::new(), header: None };
    scan.begin(0, depth, None);
    let mut at = 0;
    for lf in memchr_iter(b'\n', bytes) {
        scan.line(at, lf + 1);
        at = lf + 1;
    }
    if at < bytes.len() {
        scan.line(at, bytes.len());
    }
    scan.end();
    scan.parts
}

/// A multipart whose delimiters are looked for.
struct Delimiter {
    part: usize,
    boundary: Vec<u8>,
}

struct Scan<'a> {
    bytes: &'a [u8],
    bounds: &'a Bounds,
    tally: &'a mut Tally,
    parts: Vec<Part>,
    /// The parts around the present line, outermost first.
    open: Vec<usize>,
    delimiters: Vec<Delimiter>,
    /// The part whose header the present line may belong to.
    header: Option<usize>,
}

impl Scan<'_> {
    fn line(&mut self, at: usize, next: usize) {
        let line = without_break(&self.bytes[at..next]);
        self.tally.shape.line_bytes_max = self.tally.shape.line_bytes_max.max(line.len() as u64);
        if line.starts_with(b"--") && self.delimiter(line, at, next) {
            return;
        }
        let Some(part) = self.header else { return };
        if line.is_empty() {
            self.header_ends(part, at, next);
        } else if is_field(line) {
            if part == 0 && self.parts[0].depth == 0 {
                self.tally.shape.fields = self.tally.shape.fields.saturating_add(1);
                if self.tally.shape.fields as usize > self.bounds.fields_max {
                    self.tally.meet(Bound::Fields);
                }
            }
        } else if at == 0 && line.starts_with(b"From ") {
            // A mailbox file's first line is no field and ends no header.
        } else if !matches!(line[0], b' ' | b'\t') || at == self.parts[part].header.start {
            // As MTAs do: the first line that is no field begins the body.
            self.header_ends(part, at, at);
        }
    }

    /// Opens a part at `at`, where its header begins.
    fn begin(&mut self, at: usize, depth: u32, parent: Option<usize>) {
        self.tally.shape.parts = self.tally.shape.parts.saturating_add(1);
        self.tally.shape.depth = self.tally.shape.depth.max(depth);
        if self.tally.shape.parts as usize > self.bounds.parts_max.max(1) {
            self.tally.meet(Bound::Parts);
            self.header = None;
            return;
        }
        let part = self.parts.len();
        let entity = Entity::default();
        self.parts.push(Part { parent, header: at..at, body: at..at, depth, kind: Kind::Leaf, entity });
        self.open.push(part);
        self.header = Some(part);
    }

    /// The header of `part` ends before `at`, and its body begins at `next`.
    fn header_ends(&mut self, part: usize, at: usize, next: usize) {
        self.header = None;
        let digest = self.parts[part].parent.is_some_and(|p| self.parts[p].entity.media == "multipart/digest");
        let header = self.parts[part].header.start..at;
        let entity = Entity::read(&self.bytes[header.clone()], digest);
        let depth = self.parts[part].depth;
        let deeper = (depth as usize) < self.bounds.depth_max;
        let found = &mut self.parts[part];
        found.header = header;
        found.body = next..next;
        let holds_parts = (entity.is_multipart() && !entity.boundary.is_empty()) || entity.is_plain_message();
        if holds_parts && !deeper {
            self.tally.meet(Bound::Depth);
        } else if entity.is_multipart() && !entity.boundary.is_empty() {
            found.kind = Kind::Multipart;
            self.delimiters.push(Delimiter { part, boundary: entity.boundary.clone() });
        } else if entity.is_plain_message() {
            found.kind = Kind::Message;
        }
        found.entity = entity;
        if self.parts[part].kind == Kind::Message {
            self.begin(next, depth + 1, Some(part));
        }
    }

    /// Whether the line is a delimiter of an open multipart, the innermost first; if so, acts on it.
    fn delimiter(&mut self, line: &[u8], at: usize, next: usize) -> bool {
        let line = line[2..].trim_ascii_end();
        let closes = line.strip_suffix(b"--");
        let matching = |d: &Delimiter| d.boundary == line || closes.is_some_and(|line| d.boundary == line);
        let Some(level) = self.delimiters.iter().rposition(matching) else { return false };
        let part = self.delimiters[level].part;
        // A boundary may end in dashes itself: then the whole line is it.
        let closing = self.delimiters[level].boundary != line;
        while let Some(&inner) = self.open.last()
            && inner != part
        {
            self.close(inner, at);
        }
        self.header = None;
        self.delimiters.truncate(if closing { level } else { level + 1 });
        if !closing {
            let depth = self.parts[part].depth + 1;
            self.begin(next, depth, Some(part));
        }
        true
    }

    /// Ends the innermost open part before the line break that precedes `at`.
    fn close(&mut self, part: usize, at: usize) {
        if self.header == Some(part) {
            self.header_ends(part, at, at);
            // A message part may have opened an empty message of its own.
            while self.open.last().is_some_and(|&p| p != part) {
                let inner = self.open.pop().expect("the loop looked at it");
                self.parts[inner].body = at..at;
            }
            self.header = None;
        }
        let body = &mut self.parts[part].body;
        body.end = body.start.max(before_break(self.bytes, at));
        self.open.pop();
    }

    fn end(&mut self) {
        let end = self.bytes.len();
        if let Some(part) = self.header {
            self.header_ends(part, end, end);
        }
        for part in std::mem::take(&mut self.open) {
            self.parts[part].body.end = end.max(self.parts[part].body.start);
        }
    }
}

/// A line without its LF or CRLF.
fn without_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where the line break that ends at `at` begins.
fn before_break(bytes: &[u8], at: usize) -> usize {
    without_break(&bytes[..at]).len()
}

/// Whether a line begins a field (RFC 5322 2.2; white space before the colon as in 4.5).
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr(b':', line) else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(|b| (33..=126).contains(b))
}
