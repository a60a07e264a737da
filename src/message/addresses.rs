//! Address lists as they occur: quotes, comments, groups, encoded words, and much that RFC 5322 3.4 does not allow.
//!
//! Where a list can be read in two ways, more addresses are better than fewer: a reader may show any of them. What can
//! hold an address that was not found makes the list [`Reading::InPart`].

mod written;

use self::written::{
    AngleEnd, Plain, Token, angle_end, bare_addresses, encoded_word, join, names_an_address, opens_nothing, plain,
    words_behind,
};
use super::mailbox::{Mailbox, Reading};
use super::{charset, words};
use crate::mail::Domain;

/// How much of one field is read, in bytes.
const FIELD_BYTES_MAX: usize = 64 << 10;
/// How much of a name or an address is kept, in bytes.
const PART_BYTES_MAX: usize = 1_000;
/// How long the longest address of IPv6 is, and the bracket behind it.
const LITERAL_BYTES_MAX: usize = 48;

/// Appends the mailboxes of a field's raw value until `into` holds `mailboxes_max`.
pub(super) fn read(raw: &[u8], mailboxes_max: usize, into: &mut Vec<Mailbox>, broken: &mut u32) -> Reading {
    let within = &raw[..raw.len().min(FIELD_BYTES_MAX)];
    let mut reader = Reader {
        raw: within,
        mailboxes_max,
        into,
        broken,
        reading: if within.len() < raw.len() { Reading::InPart } else { Reading::Whole },
        tokens: Vec::new(),
        comment: Vec::new(),
        angle: None,
        last_quote: within.len(),
        last_comment: within.len(),
        last_angle: within.iter().rposition(|b| *b == b'>').map_or(0, |at| at + 1),
        next_angle: 0,
        next_space: 0,
        words_end: 0,
    };
    let raw = within;
    let mut at = 0;
    while at < raw.len() && reader.into.len() < mailboxes_max {
        match raw[at] {
            b'"' => at = reader.quoted(at),
            b'(' => at = reader.comment(at),
            b'<' => at = reader.bracket(at),
            b',' | b';' => {
                reader.mailbox();
                at += 1;
            }
            b':' => {
                reader.group();
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b'>' => at += 1,
            _ => at = reader.atom(at),
        }
    }
    if at < raw.len() {
        reader.reading = Reading::InPart;
    }
    reader.mailbox();
    reader.reading
}

struct Reader<'a> {
    raw: &'a [u8],
    mailboxes_max: usize,
    into: &'a mut Vec<Mailbox>,
    broken: &'a mut u32,
    reading: Reading,
    tokens: Vec<Token>,
    comment: Vec<u8>,
    angle: Option<String>,
    /// From here on no quoted string ends, and no comment: what begins there hides nothing.
    last_quote: usize,
    last_comment: usize,
    /// From here on no bracket closes.
    last_angle: usize,
    /// None that opens before here closes.
    next_angle: usize,
    /// Where the first white space or bracket stands behind an encoded word that was read.
    next_space: usize,
    /// Where the last run of encoded words ends.
    words_end: usize,
}

impl Reader<'_> {
    fn token(&mut self, from: usize, to: usize, shown: Vec<u8>) {
        if self.angle.is_some() {
            // More behind an address: `<a@example.org> <b@example.net>`.
            self.mailbox();
        }
        let parts = |b: u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b')' | b'<' | b'>' | b',' | b';' | b':');
        let apart = from == 0 || parts(self.raw[from - 1]);
        self.tokens.push(Token { written: self.raw[from..to].to_vec(), shown, apart });
    }

    fn quoted(&mut self, from: usize) -> usize {
        let mut shown = Vec::new();
        let mut at = from + 1;
        while at < self.last_quote && self.raw[at] != b'"' {
            if self.raw[at] == b'\\' && at + 1 < self.raw.len() {
                at += 1;
            }
            if !matches!(self.raw[at], b'\r' | b'\n') {
                shown.push(self.raw[at]);
            }
            at += 1;
        }
        if at >= self.last_quote {
            self.last_quote = self.last_quote.min(from);
            return from + 1;
        }
        self.token(from, at + 1, shown);
        at + 1
    }

    fn atom(&mut self, from: usize) -> usize {
        let raw = self.raw;
        // A quote that ends nowhere is a character like others.
        let quotes = from < self.last_quote;
        let stops = |b: &u8| match b {
            b'"' => quotes,
            b'(' | b'<' | b'>' | b',' | b';' | b':' | b' ' | b'\t' | b'\r' | b'\n' => true,
            _ => false,
        };
        // Within an encoded word commas and colons mean nothing; in a broken one neither, up to the next space.
        let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'<');
        let mut end = from;
        if raw[from..].starts_with(b"=?") {
            if self.next_space <= from {
                self.next_space = raw[from..].iter().position(is_space).map_or(raw.len(), |len| from + len);
            }
            let space = self.next_space;
            while raw[end..space].starts_with(b"=?") {
                end += encoded_word(&raw[end..space]).unwrap_or(space - end);
            }
            self.doubt_encoded(from, end);
        }
        end = raw[end..].iter().position(stops).map_or(raw.len(), |len| end + len);
        if raw[from..end].contains(&b'@') && raw.get(end) == Some(&b':') && raw[from..end].ends_with(b"[IPv6") {
            // An address literal: `user@[IPv6:2001:db8::1]`.
            let literal = &raw[end..raw.len().min(end + LITERAL_BYTES_MAX)];
            end = memchr::memchr(b']', literal).map_or(end, |len| end + len + 1);
        }
        self.token(from, end, raw[from..end].to_vec());
        end
    }

    /// Who looks for commas and quotes before encoded words (RFC 2047 5) may find an address in them, or behind them.
    fn doubt_encoded(&mut self, from: usize, to: usize) {
        let words = &self.raw[from..to];
        let parts = |b: &u8| matches!(b, b',' | b';' | b':');
        let has_parts = words.iter().any(parts);
        // For them it ends what stands before it.
        let mut is_doubted = has_parts && (words.contains(&b'@') || self.tokens.iter().any(Token::has_at));
        if from >= self.words_end {
            self.words_end = to + words_behind(&self.raw[to..]);
            let (run, behind) = (&self.raw[from..self.words_end], &self.raw[self.words_end..]);
            // What is in quotes for one is outside of them for the other.
            is_doubted |= memchr::memchr_iter(b'"', run).count() % 2 == 1 && memchr::memchr(b'"', behind).is_some();
        }
        if is_doubted {
            self.reading = Reading::InPart;
        }
    }

    fn comment(&mut self, from: usize) -> usize {
        let (mut depth, mut at) = (0_usize, from);
        let before = self.comment.len();
        if before > 0 {
            self.comment.push(b' ');
        }
        while at < self.last_comment {
            match self.raw[at] {
                b'\\' if at + 1 < self.raw.len() => at += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
            if at > from && self.comment.len() < PART_BYTES_MAX {
                self.comment.push(self.raw[at]);
            }
            at += 1;
        }
        self.comment.truncate(before);
        self.last_comment = self.last_comment.min(from);
        from + 1
    }

    /// What an opening bracket means: an address, or nothing.
    fn bracket(&mut self, at: usize) -> usize {
        let raw = self.raw;
        let is_open = at >= self.next_angle && at < self.last_angle;
        let end = match is_open.then(|| angle_end(raw, at)) {
            Some(AngleEnd::At(end)) => Some(end),
            Some(AngleEnd::Not { seen_to }) => {
                self.next_angle = seen_to;
                None
            }
            None => None,
        };
        if end.is_none() && at < self.last_angle && opens_nothing(&raw[at + 1..]) {
            return at + 1;
        }
        if end.is_none() {
            self.last_angle = 0;
        }
        self.angle(at, end)
    }

    /// An address in angle brackets; one that does not end goes to the next comma.
    fn angle(&mut self, from: usize, end: Option<usize>) -> usize {
        if self.angle.is_some() {
            self.mailbox();
        }
        let raw = self.raw;
        let (to, next) = if let Some(end) = end {
            (end, end + 1)
        } else {
            let to = raw[from..].iter().position(|b| matches!(b, b',' | b';')).map_or(raw.len(), |len| from + len);
            (to, to)
        };
        let inside = &raw[from + 1..to.max(from + 1)];
        // A source route is dropped (RFC 5322 4.4).
        let route = inside.starts_with(b"@").then(|| inside.iter().position(|b| *b == b':')).flatten();
        self.angle = Some(self.address(route.map_or(inside, |colon| &inside[colon + 1..])));
        next
    }

    /// What stood before a colon: the name of a group, or the scheme of a pasted link.
    fn group(&mut self) {
        if self.angle.is_none() && self.tokens.iter().any(Token::has_at) {
            self.mailbox();
        }
        self.tokens.clear();
    }

    /// Ends the present mailbox.
    fn mailbox(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        let comment = std::mem::take(&mut self.comment);
        if let Some(address) = self.angle.take() {
            self.found(address, &tokens, &comment);
        } else if let runs = bare_addresses(&tokens)
            && !runs.is_empty()
        {
            let mut named = 0;
            for (from, to) in runs {
                let address = self.address(&join(&tokens[from..to]));
                self.found(address, &tokens[named..from], &comment);
                named = to;
            }
        } else if let [only] = tokens.as_slice()
            && !only.written.starts_with(b"\"")
            && !only.written.starts_with(b"=?")
        {
            let address = self.address(&only.written);
            self.found(address, &[], &comment);
        } else if !tokens.is_empty() || !comment.is_empty() {
            self.found(String::new(), &tokens, &comment);
        }
    }

    fn found(&mut self, address: String, named: &[Token], comment: &[u8]) {
        if self.into.len() >= self.mailboxes_max {
            self.reading = Reading::InPart;
            return;
        }
        let mut name = Vec::new();
        for token in named {
            if token.apart && !name.is_empty() {
                name.push(b' ');
            }
            name.extend_from_slice(&token.shown);
        }
        let name = if name.is_empty() { comment } else { &name };
        let is_long = name.len() > PART_BYTES_MAX;
        let name = words::decode(name, PART_BYTES_MAX, self.broken);
        // Some show a name as the address where there is none.
        let is_nowhere = address.rsplit_once('@').is_none_or(|(_, domain)| domain.is_empty());
        if is_nowhere && (is_long || names_an_address(&name)) {
            self.reading = Reading::InPart;
        }
        self.into.push(Mailbox { name, address });
    }

    /// An address as text, without comments, white space and control characters.
    fn address(&mut self, written: &[u8]) -> String {
        let Plain { bytes, ats, ends, parted } = plain(written);
        let text = charset::guess(&bytes[..bytes.len().min(PART_BYTES_MAX)]);
        let address: String = text.trim().chars().filter(|c| !c.is_control()).collect();
        let domain = address.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty());
        // Another reader may see another address in it, or one at all.
        let is_odd = |b: &u8| b.is_ascii_control() && !matches!(b, b'\t' | b'\r' | b'\n');
        let is_clear = ends && ats <= 1 && !parted && bytes.len() <= PART_BYTES_MAX && !bytes.iter().any(is_odd);
        if !is_clear || domain.is_some_and(|domain| Domain::parse(domain).is_err()) {
            self.reading = Reading::InPart;
        }
        address
    }
}

#[cfg(test)]
mod tests;
