//! Canonical forms of header and body (RFC 6376 3.4), computed over the bytes as they will leave.
//!
//! A lone CR or LF is an ordinary byte here: only CRLF ends a line, as it does on the wire.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use memchr::{memchr, memchr3};

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
    body: Vec<&'a [u8]>,
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
        let mut fields = Vec::new();
        let mut from = 0;
        while from < header.len() {
            let end = field_end(&header, from);
            if fields.len() >= FIELDS_MAX {
                return Err(HeaderTooLong);
            }
            fields.push(from..end);
            from = end;
        }
        Ok(Self { header, fields, body })
    }

    /// The fields from the top, each with its line's end.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = RawField<'_>> + ExactSizeIterator {
        self.fields.iter().map(|range| RawField(&self.header[range.clone()]))
    }

    /// The body's pieces.
    pub fn body(&self) -> &[&'a [u8]] {
        &self.body
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
mod tests {
    use aws_lc_rs::digest::digest;

    use super::*;

    /// The RFC's words, without a thought for speed.
    fn body_slowly(form: Form, body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut at = 0;
        while at < body.len() {
            if body[at..].starts_with(b"\r\n") {
                lines.push(Vec::new());
                at += 2;
            } else {
                lines.last_mut().unwrap().push(body[at]);
                at += 1;
            }
        }
        if form == Form::Relaxed {
            for line in &mut lines {
                let mut out = Vec::new();
                for byte in line.iter().map(|b| if *b == b'\t' { b' ' } else { *b }) {
                    if byte != b' ' || out.last() != Some(&b' ') {
                        out.push(byte);
                    }
                }
                if out.last() == Some(&b' ') {
                    out.pop();
                }
                *line = out;
            }
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        let mut text = lines.join(b"\r\n".as_slice());
        if !lines.is_empty() || form == Form::Simple {
            text.extend_from_slice(b"\r\n");
        }
        text
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(2_000))]
        #[test]
        fn bodies_hash_as_the_rfc_says_however_they_are_cut(
            body in proptest::collection::vec(proptest::sample::select(b"\r\n \tab.".to_vec()), 0..24),
            crlf in proptest::bool::ANY,
            cut in 0_usize..24,
            limit in proptest::option::of(0_u64..16),
        ) {
            // Half of the bodies have their lone line feeds made line ends.
            let body = if crlf { String::from_utf8(body).unwrap().replace('\n', "\r\n").into_bytes() } else { body };
            for form in [Form::Simple, Form::Relaxed] {
                let slow = body_slowly(form, &body);
                let counted = &slow[..slow.len().min(usize::try_from(limit.unwrap_or(u64::MAX)).unwrap())];
                let mut hash = BodyHash::new(form, limit);
                let (one, two) = body.split_at(cut.min(body.len()));
                hash.update(one);
                hash.update(two);
                let (got, length) = hash.finish();
                proptest::prop_assert_eq!(length, slow.len() as u64, "{:?} {:?}", form, String::from_utf8_lossy(&body));
                let expected = digest(&SHA256, counted);
                proptest::prop_assert_eq!(got.as_ref(), expected.as_ref(), "{:?} {:?}", form, String::from_utf8_lossy(&body));
            }
        }

        #[test]
        fn a_header_is_found_wherever_the_pieces_are_cut(cuts in proptest::collection::vec(0_usize..60, 0..4)) {
            let message = b"From: a@b.example\r\nSubject: x\r\n y\r\nTo: c\r\n\r\nbody\r\n\r\nmore\r\n";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(message.len())).chain([0, message.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &message[w[0]..w[1]]).collect();
            let leaving = Leaving::new(&pieces).unwrap();
            let fields: Vec<&[u8]> = leaving.fields().map(|f| f.0).collect();
            proptest::prop_assert_eq!(fields, vec![b"From: a@b.example\r\n".as_slice(), b"Subject: x\r\n y\r\n", b"To: c\r\n"]);
            proptest::prop_assert_eq!(leaving.body().concat(), b"body\r\n\r\nmore\r\n".to_vec());
        }
    }

    #[test]
    fn the_example_of_rfc_6376_3_4_5() {
        let leaving = Leaving::new(&[b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"]).unwrap();
        let canonical = |form| {
            let mut header = Vec::new();
            leaving.fields().for_each(|field| field.canonical(form, &mut header));
            String::from_utf8(header).unwrap()
        };
        assert_eq!(canonical(Form::Relaxed), "a:X\r\nb:Y Z\r\n");
        assert_eq!(canonical(Form::Simple), "A: X\r\nB : Y\t\r\n\tZ  \r\n");
        assert_eq!(body_slowly(Form::Relaxed, &leaving.body().concat()), b" C\r\nD E\r\n");
        assert_eq!(body_slowly(Form::Simple, &leaving.body().concat()), b" C \r\nD \t E\r\n");
    }

    #[test]
    fn fields_are_taken_from_the_bottom_each_once() {
        let leaving = Leaving::new(&[b"To: 1\r\nFrom: a\r\nTo: 2\r\n\r\n"]).unwrap();
        let mut out = Vec::new();
        leaving.signed_fields(["to", "From", "TO", "to", "Cc"].into_iter(), Form::Relaxed, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "to:2\r\nfrom:a\r\nto:1\r\n");
    }

    #[test]
    fn an_endless_header_is_not_looked_at() {
        let long = vec![b'a'; HEADER_BYTES_MAX + 10];
        assert_eq!(Leaving::new(&[&long]).err(), Some(HeaderTooLong));
        assert_eq!(Leaving::new(&["A: b\r\n".repeat(FIELDS_MAX + 1).as_bytes()]).err(), Some(HeaderTooLong));
        assert!(Leaving::new(&[b"A: b\r\n\r\n", &long]).is_ok());
    }
}
