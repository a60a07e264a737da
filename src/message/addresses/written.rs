//! What runs of bytes mean in a list of addresses: where brackets and encoded words end, which words are an address, and what
//! is left of an address without what means nothing in it (RFC 5322 3.4 and 4.4).

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
}

pub(super) fn plain(written: &[u8]) -> Plain {
    let (mut bytes, mut ats) = (Vec::with_capacity(written.len()), 0);
    let (mut quoted, mut depth, mut at) = (false, 0_usize, 0);
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
        if depth == 0 && (quoted || !is_space) {
            bytes.push(byte);
            bytes.extend(escaped.then(|| written[at + 1]));
        }
        if byte == b')' && !quoted {
            depth = depth.saturating_sub(1);
        }
        at += 1 + usize::from(escaped);
    }
    Plain { bytes, ats, ends: !quoted && depth == 0 }
}

/// Whether another bracket opens behind one before an address begins: `<3 Ann <a@example.org>`, `<<a@example.org>>`.
pub(super) fn opens_nothing(behind: &[u8]) -> bool {
    memchr::memchr2(b'<', b'@', behind).is_some_and(|at| behind[at] == b'<')
}

/// Where the angle bracket that opens at `from` closes; within quotes it does not.
pub(super) fn angle_end(raw: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut quoted) = (from + 1, false);
    let mut first = None;
    while at < raw.len() {
        match raw[at] {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            // A quote that does not end hides no bracket.
            b'>' => first = first.or(Some(at)),
            b'<' if !quoted => return first,
            _ => {}
        }
        at += 1;
    }
    first
}
