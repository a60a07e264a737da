//! What runs of bytes mean in a list of addresses: where brackets and encoded words end, which words are an address, and what
//! is left of an address without what means nothing in it (RFC 5322 3.4 and 4.4).

use crate::mail::Domain;

/// A run of text without white space, or a quoted string, outside of angle brackets.
pub(super) struct Token {
    /// As an address has it, quotes kept.
    pub(super) written: Vec<u8>,
    /// As a name shows it.
    pub(super) shown: Vec<u8>,
    /// Whether white space or a comment stands before it.
    pub(super) apart: bool,
}

impl Token {
    /// Whether an address stands in it, or a part of one. In quotes an `@` means nothing.
    pub(super) fn has_at(&self) -> bool {
        !self.written.starts_with(b"\"") && self.written.contains(&b'@')
    }
}

/// How long the encoded word (RFC 2047 2) is that these bytes begin with.
pub(super) fn encoded_word(bytes: &[u8]) -> Option<usize> {
    let question = |from: usize| bytes.get(from..)?.iter().position(|b| *b == b'?').map(|len| from + len + 1);
    let text = question(question(2)?)?;
    memchr::memmem::find(&bytes[text..], b"?=").map(|len| text + len + 2)
}

/// How long the further encoded words are behind one, with the white space before each.
pub(super) fn words_behind(raw: &[u8]) -> usize {
    let mut end = 0;
    loop {
        let spaces = raw[end..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        let behind = &raw[end + spaces..];
        if spaces == 0 || !behind.starts_with(b"=?") {
            return end;
        }
        let word = behind.iter().position(u8::is_ascii_whitespace).map_or(behind, |length| &behind[..length]);
        let Some(length) = encoded_word(word) else { return end };
        end += spaces + length;
    }
}

/// The runs of tokens that are addresses, outside of angle brackets: `a@example.org`, `Ann a@example.org`,
/// `"a b"@example.org`, and with white space or comments in them (RFC 5322 4.4) `a @ example . org`.
pub(super) fn bare_addresses(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let (mut from, mut has_at) = (0, false);
    for (at, token) in tokens.iter().enumerate() {
        has_at |= token.has_at();
        let joined = tokens.get(at + 1).is_some_and(|next| {
            let ends = |last: &[u8]| token.written.ends_with(last);
            let begins = |first: &[u8]| next.written.starts_with(first);
            !next.apart || begins(b"@") || ends(b"@") || has_at && (ends(b".") || begins(b"."))
        });
        if !joined {
            if has_at && is_address(&tokens[from..=at]) {
                runs.push((from, at + 1));
            }
            (from, has_at) = (at + 1, false);
        }
    }
    runs
}

/// Whether a run of tokens is an address: with white space in it only where its domain is more than a word, for people
/// write `Coffee @ Home` too.
fn is_address(run: &[Token]) -> bool {
    let behind = run.iter().rev().take_while(|token| !token.has_at());
    let at = run.iter().rev().find(|token| token.has_at());
    let own = at.and_then(|token| token.written.rsplit(|b| *b == b'@').next()).unwrap_or_default();
    let is_dotted = own.contains(&b'.') || behind.into_iter().any(|token| token.written.contains(&b'.'));
    is_dotted || !run.iter().skip(1).any(|token| token.apart)
}

/// What is written as an address, without what means nothing in it.
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// How many `@` there are outside of quotes.
    pub(super) ats: usize,
    /// Whether each quote and comment ends.
    pub(super) ends: bool,
    /// Whether its domain has white space or a comment within: some readers end it there.
    pub(super) parted: bool,
}

pub(super) fn plain(written: &[u8]) -> Plain {
    let (mut bytes, mut ats) = (Vec::with_capacity(written.len()), 0);
    let (mut quoted, mut depth, mut at) = (false, 0_usize, 0);
    // Where the domain begins, and how much of it stood before the last white space or comment.
    let (mut domain, mut before, mut parted) = (None, 0, false);
    while at < written.len() {
        let byte = written[at];
        let escaped = byte == b'\\' && at + 1 < written.len();
        match byte {
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b'@' if !quoted && depth == 0 => ats += 1,
            b'\\' if escaped && written[at + 1] == b'@' && !quoted && depth == 0 => ats += 1,
            _ => {}
        }
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        if depth == 0 && (quoted || !is_space) && (byte != b')' || quoted) {
            parted |= domain.is_some() && before > 0;
            bytes.push(byte);
            bytes.extend(escaped.then(|| written[at + 1]));
            if byte == b'@' && !quoted {
                (domain, before) = (Some(bytes.len()), 0);
            }
        } else if let Some(domain) = domain {
            before = bytes.len() - domain;
        }
        if byte == b')' && !quoted {
            depth = depth.saturating_sub(1);
        }
        at += 1 + usize::from(escaped);
    }
    Plain { bytes, ats, ends: !quoted && depth == 0, parted }
}

/// A run of tokens as an address, a space where white space or a comment stood.
pub(super) fn join(run: &[Token]) -> Vec<u8> {
    let mut written = Vec::new();
    for token in run {
        if token.apart && !written.is_empty() {
            written.push(b' ');
        }
        written.extend_from_slice(&token.written);
    }
    written
}

/// Whether a name has something in it that is an address with a domain that may have a policy.
pub(super) fn names_an_address(name: &str) -> bool {
    name.split('@').skip(1).any(|behind| {
        let end = behind.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_')));
        let domain = behind[..end.unwrap_or(behind.len())].trim_end_matches('.');
        domain.contains('.') && Domain::parse(domain).is_ok()
    })
}

/// Whether another bracket opens behind one before an address begins: `<3 Ann <a@example.org>`, `<<a@example.org>>`.
pub(super) fn opens_nothing(behind: &[u8]) -> bool {
    memchr::memchr2(b'<', b'@', behind).is_some_and(|at| behind[at] == b'<')
}

/// Where an angle bracket closes.
pub(super) enum AngleEnd {
    /// There.
    At(usize),
    /// Nowhere, as far as was looked: no bracket in between closes either.
    Not { seen_to: usize },
}

/// Where the angle bracket that opens at `from` closes; within quotes it does not.
pub(super) fn angle_end(raw: &[u8], from: usize) -> AngleEnd {
    let (mut at, mut quoted) = (from + 1, false);
    let mut first = None;
    while at < raw.len() {
        match raw[at] {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return AngleEnd::At(at),
            // A quote that does not end hides no bracket.
            b'>' => first = first.or(Some(at)),
            b'<' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    first.map_or(AngleEnd::Not { seen_to: at.min(raw.len()) }, AngleEnd::At)
}
