//! Canonical forms of header and body (RFC 6376 3.4), computed over the bytes as they will leave.
//!
//! A lone CR or LF is an ordinary byte here: only CRLF ends a line, as it does on the wire.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use memchr::{memchr, memchr3};

use super::signature::Signature;
use super::tags::Tags;
use crate::mail::header::{FIELDS_MAX, HEADER_BYTES_MAX};

/// One of the two canonical forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it stands.
    Simple,
    /// White space made single, names in lower case.
    Relaxed,
}

impl Form {
    /// As `c=` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }
}

/// A message about to leave, in pieces that follow each other (our prefix, the received bytes).
#[derive(Debug)]
pub struct Leaving<'a> {
    header: Vec<u8>,
    /// Where each field stands, from the top.
    fields: Vec<std::ops::Range<usize>>,
    body: Content<'a>,
}

/// Form and `l=` of a body hash.
pub type Wanted = (Form, Option<u64>);

#[derive(Debug, Clone)]
enum Content<'a> {
    /// Pieces that follow each other.
    Pieces(Vec<&'a [u8]>),
    /// It is too long to be held at once, and was hashed as it was read.
    Hashed(Vec<(Wanted, [u8; 32], u64)>),
}

/// Body hashes of a body that is read piece by piece.
#[derive(Debug, Default)]
pub struct Hashing(Vec<(Wanted, BodyHash)>);

impl Hashing {
    /// Whether nothing wants a hash.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        for (_, hash) in &mut self.0 {
            hash.update(piece);
        }
    }
}

/// A header is longer than is looked at: such a message is neither signed nor checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderTooLong;

impl<'a> Leaving<'a> {
    /// Finds header and body. The header ends at the first empty line, wherever the pieces are cut.
    ///
    /// # Errors
    /// The header is over [`HEADER_BYTES_MAX`] bytes or [`FIELDS_MAX`] fields.
    pub fn new(pieces: &[&'a [u8]]) -> Result<Self, HeaderTooLong> {
        let (header, body) = split(pieces)?;
        let fields = fields_of(&header)?;
        Ok(Self { header, fields, body: Content::Pieces(body) })
    }

    /// The same message under further fields, each whole: what is known of its body holds for it.
    ///
    /// # Errors
    /// The header is over [`HEADER_BYTES_MAX`] bytes or [`FIELDS_MAX`] fields by now.
    pub fn under(&self, further: &[u8]) -> Result<Self, HeaderTooLong> {
        if further.len() + self.header.len() > HEADER_BYTES_MAX {
            return Err(HeaderTooLong);
        }
        let header = [further, &self.header].concat();
        let fields = fields_of(&header)?;
        Ok(Self { header, fields, body: self.body.clone() })
    }

    /// Body hashes in the forms that we want ourselves, and for every signature that stands there: each form once, and
    /// at most [`FORMS_MAX`] of them. A signature that wants a further one does not hold.
    pub fn hashing(&self, ours: &[Wanted]) -> Hashing {
        let mut wanted: Vec<Wanted> = ours.to_vec();
        for field in self.fields().filter(|field| field.is("DKIM-Signature") || field.is("ARC-Message-Signature")) {
            let text = String::from_utf8_lossy(field.value());
            let Some(form) = Tags::parse(&text).and_then(|tags| Signature::body_form(&tags)) else { continue };
            if wanted.len() < FORMS_MAX && !wanted.contains(&form) {
                wanted.push(form);
            }
        }
        Hashing(wanted.into_iter().map(|form| (form, BodyHash::new(form.0, form.1))).collect())
    }

    /// How many bytes of the pieces are the body's: what is hashed elsewhere begins there.
    pub fn body_bytes(&self) -> usize {
        match &self.body {
            Content::Pieces(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
            Content::Hashed(_) => 0,
        }
    }

    /// The message with a body that was hashed elsewhere, in place of the pieces.
    #[must_use]
    pub fn with_body(self, hashing: Hashing) -> Self {
        let finished = hashing.0.into_iter().map(|(wanted, hash)| {
            let (digest, length) = hash.finish();
            (wanted, bytes_of(&digest), length)
        });
        Self { body: Content::Hashed(finished.collect()), ..self }
    }

    /// The hash of the body in a form, and its canonical length. What was hashed elsewhere has the forms of
    /// [`Leaving::hashing`]; no signature has another.
    pub fn body_hash(&self, (form, length): Wanted) -> ([u8; 32], u64) {
        match &self.body {
            Content::Pieces(pieces) => {
                let mut hash = BodyHash::new(form, length);
                for piece in pieces {
                    hash.update(piece);
                }
                let (digest, whole) = hash.finish();
                (bytes_of(&digest), whole)
            }
            Content::Hashed(known) => known
                .iter()
                .find(|(wanted, ..)| *wanted == (form, length))
                .map_or(([0; 32], 0), |(_, hash, whole)| (*hash, *whole)),
        }
    }

    /// The fields from the top, each with its line's end.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = RawField<'_>> + ExactSizeIterator {
        self.fields.iter().map(|range| RawField(&self.header[range.clone()]))
    }

    /// How often fields of a name stand in the header.
    pub fn count(&self, name: &str) -> usize {
        self.fields().filter(|field| field.is(name)).count()
    }

    /// What `h=` lists, in canonical form: for each name the lowest field of that name that was not taken yet
    /// (RFC 6376 5.4.2). A name without a further field adds nothing, and so forbids one.
    pub fn signed_fields<'n>(&self, names: impl Iterator<Item = &'n str>, form: Form, into: &mut Vec<u8>) {
        let mut taken: Vec<(&str, usize)> = Vec::new();
        for name in names {
            let slot = taken.iter().position(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap_or_else(|| {
                taken.push((name, 0));
                taken.len() - 1
            });
            // Where the search goes on, counted from the bottom.
            let from = taken[slot].1;
            let found = self.fields().rev().enumerate().skip(from).find(|(_, field)| field.is(name));
            taken[slot].1 = found.as_ref().map_or(usize::MAX, |(at, _)| at + 1);
            if let Some((_, field)) = found {
                field.canonical(form, into);
            }
        }
    }
}

/// A body is not hashed in more forms than this: signatures share one or two, and a hostile message could ask for many.
pub const FORMS_MAX: usize = 6;

fn fields_of(header: &[u8]) -> Result<Vec<std::ops::Range<usize>>, HeaderTooLong> {
    let mut fields = Vec::new();
    let mut from = 0;
    while from < header.len() {
        let end = field_end(header, from);
        if fields.len() >= FIELDS_MAX {
            return Err(HeaderTooLong);
        }
        fields.push(from..end);
        from = end;
    }
    Ok(fields)
}

fn bytes_of(digest: &Digest) -> [u8; 32] {
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Header and body's pieces.
type Parts<'a> = (Vec<u8>, Vec<&'a [u8]>);

fn split<'a>(pieces: &[&'a [u8]]) -> Result<Parts<'a>, HeaderTooLong> {
    let mut header: Vec<u8> = Vec::new();
    for (n, piece) in pieces.iter().enumerate() {
        let before = header.len();
        let take = piece.len().min(HEADER_BYTES_MAX + 4 - before);
        header.extend_from_slice(&piece[..take]);
        // The empty line may be cut by the pieces' border.
        let search_from = before.saturating_sub(3);
        let empty = if header.starts_with(b"\r\n") {
            Some(0)
        } else {
            memchr::memmem::find(&header[search_from..], b"\r\n\r\n").map(|at| search_from + at + 2)
        };
        if let Some(end) = empty {
            let body_starts = (end + 2).saturating_sub(before);
            header.truncate(end);
            let mut body = vec![&piece[body_starts.min(piece.len())..]];
            body.extend_from_slice(&pieces[n + 1..]);
            return Ok((header, body));
        }
        if header.len() > HEADER_BYTES_MAX {
            return Err(HeaderTooLong);
        }
    }
    // No body at all.
    Ok((header, Vec::new()))
}

fn field_end(header: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(newline) = memchr(b'\n', &header[at..]) {
        let next = at + newline + 1;
        let ends = newline > 0 && header[next - 2] == b'\r';
        if ends && !matches!(header.get(next), Some(b' ' | b'\t')) {
            return next;
        }
        at = next;
    }
    header.len()
}

/// A field as it stands, its CRLF included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawField<'a>(pub &'a [u8]);

impl<'a> RawField<'a> {
    /// The name as written, white space before the colon taken off.
    pub fn name(&self) -> &'a [u8] {
        self.0[..memchr(b':', self.0).unwrap_or(0)].trim_ascii_end()
    }

    /// Whether it has that name; names have no case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands behind the colon.
    pub fn value(&self) -> &'a [u8] {
        memchr(b':', self.0).map_or(&[], |colon| &self.0[colon + 1..])
    }

    /// The canonical form with its CRLF (RFC 6376 3.4.1, 3.4.2).
    pub fn canonical(&self, form: Form, into: &mut Vec<u8>) {
        if form == Form::Simple {
            into.extend_from_slice(self.0);
            if !self.0.ends_with(b"\r\n") {
                into.extend_from_slice(b"\r\n");
            }
            return;
        }
        into.extend(self.name().iter().map(u8::to_ascii_lowercase));
        into.push(b':');
        let mut gap = false;
        let start = into.len();
        let value = self.value();
        for (at, byte) in value.iter().enumerate() {
            match byte {
                b' ' | b'\t' => gap = true,
                b'\r' if value.get(at + 1) == Some(&b'\n') => {}
                b'\n' if at > 0 && value[at - 1] == b'\r' => {}
                byte => {
                    if gap && into.len() > start {
                        into.push(b' ');
                    }
                    gap = false;
                    into.push(*byte);
                }
            }
        }
        into.extend_from_slice(b"\r\n");
    }
}

/// The hash of a body, fed in pieces.
pub struct BodyHash {
    form: Form,
    hash: Context,
    /// `l=`: how many canonical bytes still count.
    left: u64,
    /// Canonical bytes in all.
    length: u64,
    /// Line ends that only count if more follows.
    line_ends: u64,
    /// A CR whose LF may come with the next piece.
    cr: bool,
    /// White space whose line may still end (relaxed).
    gap: bool,
}

impl BodyHash {
    /// Over the first `length_max` canonical bytes, or all.
    pub fn new(form: Form, length_max: Option<u64>) -> Self {
        let left = length_max.unwrap_or(u64::MAX);
        Self { form, hash: Context::new(&SHA256), left, length: 0, line_ends: 0, cr: false, gap: false }
    }

    /// The next piece.
    pub fn update(&mut self, mut piece: &[u8]) {
        if self.cr && !piece.is_empty() {
            self.cr = false;
            if piece[0] == b'\n' {
                self.end_line();
                piece = &piece[1..];
            } else {
                self.text(b"\r");
            }
        }
        while !piece.is_empty() {
            let next = match self.form {
                Form::Simple => memchr(b'\r', piece),
                Form::Relaxed => memchr3(b'\r', b' ', b'\t', piece),
            };
            let Some(at) = next else {
                self.text(piece);
                return;
            };
            if at > 0 {
                self.text(&piece[..at]);
            }
            let special = piece[at];
            piece = &piece[at + 1..];
            match (special, piece.first()) {
                (b'\r', Some(b'\n')) => {
                    self.end_line();
                    piece = &piece[1..];
                }
                (b'\r', Some(_)) => self.text(b"\r"),
                (b'\r', None) => self.cr = true,
                _ => self.gap = true,
            }
        }
    }

    /// The hash, and how many canonical bytes there are.
    pub fn finish(mut self) -> (Digest, u64) {
        if std::mem::take(&mut self.cr) {
            self.text(b"\r");
        }
        // An empty body is CRLF in the simple form and nothing in the relaxed one (RFC 6376 3.4.3, 3.4.4).
        if self.form == Form::Simple || self.length > 0 {
            self.write(b"\r\n");
        }
        (self.hash.finish(), self.length)
    }

    fn end_line(&mut self) {
        self.gap = false;
        self.line_ends += 1;
    }

    fn text(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.write(b"\r\n");
        }
        if std::mem::take(&mut self.gap) {
            self.write(b" ");
        }
        self.write(text);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let counts = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= counts as u64;
        self.hash.update(&bytes[..counts]);
    }
}

impl std::fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyHash").field("form", &self.form).field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
