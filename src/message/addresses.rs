//! Address lists as they occur: quotes, comments, groups, encoded words, and much that RFC 5322 3.4 does not allow.
//!
//! Where a list can be read in two ways, more addresses are better than fewer: a reader may show any of them. What can
//! hold an address that was not found makes the list [`Reading::InPart`].

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
    };
    let raw = within;
    let mut at = 0;
    // Once a bracket does not close, none does.
    let mut last_angle = raw.iter().rposition(|b| *b == b'>').map_or(0, |at| at + 1);
    while at < raw.len() && reader.into.len() < mailboxes_max {
        match raw[at] {
            b'"' => at = reader.quoted(at),
            b'(' => at = reader.comment(at),
            b'<' => {
                let end = if at < last_angle { angle_end(raw, at) } else { None };
                if end.is_none() && at < last_angle && opens_nothing(&raw[at + 1..]) {
                    at += 1;
                    continue;
                }
                if end.is_none() {
                    last_angle = 0;
                }
                at = reader.angle(at, end);
            }
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

/// A run of text without white space, or a quoted string, outside of angle brackets.
struct Token {
    /// As an address has it, quotes kept.
    written: Vec<u8>,
    /// As a name shows it.
    shown: Vec<u8>,
    /// Whether white space or a comment stands before it.
    apart: bool,
}

impl Token {
    /// Whether an address stands in it, or a part of one. In quotes an `@` means nothing.
    fn has_at(&self) -> bool {
        !self.written.starts_with(b"\"") && self.written.contains(&b'@')
    }
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
            let space = raw[from..].iter().position(is_space).map_or(raw.len(), |len| from + len);
            while raw[end..space].starts_with(b"=?") {
                end += encoded_word(&raw[end..space]).unwrap_or(space - end);
            }
            self.doubt_encoded(&raw[from..end]);
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

    /// Who looks for commas and quotes before encoded words (RFC 2047 5) may find an address in them.
    fn doubt_encoded(&mut self, words: &[u8]) {
        let parts = |b: &u8| matches!(b, b',' | b';' | b':');
        let odd_quotes = memchr::memchr_iter(b'"', words).count() % 2 == 1;
        if odd_quotes || words.contains(&b'@') && words.iter().any(parts) {
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
                let written: Vec<u8> = tokens[from..to].iter().flat_map(|token| token.written.clone()).collect();
                let address = self.address(&written);
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
        let name = words::decode(name, PART_BYTES_MAX, self.broken);
        // Some show a name as the address where there is none.
        let domain = name.rsplit_once('@').map(|(_, domain)| domain.trim_matches(['>', '"', ' ']));
        if address.is_empty() && domain.is_some_and(|domain| Domain::parse(domain).is_ok()) {
            self.reading = Reading::InPart;
        }
        self.into.push(Mailbox { name, address });
    }

    /// An address as text, without comments, white space and control characters.
    fn address(&mut self, written: &[u8]) -> String {
        let Plain { bytes, ats, ends } = plain(written);
        let text = charset::guess(&bytes[..bytes.len().min(PART_BYTES_MAX)]);
        let address: String = text.trim().chars().filter(|c| !c.is_control()).collect();
        let domain = address.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty());
        // Another reader may see another address in it, or one at all.
        let is_clear = ends && ats <= 1 && bytes.len() <= PART_BYTES_MAX;
        if !is_clear || domain.is_some_and(|domain| Domain::parse(domain).is_err()) {
            self.reading = Reading::InPart;
        }
        address
    }
}

/// How long the encoded word (RFC 2047 2) is that these bytes begin with.
fn encoded_word(bytes: &[u8]) -> Option<usize> {
    let question = |from: usize| bytes.get(from..)?.iter().position(|b| *b == b'?').map(|len| from + len + 1);
    let text = question(question(2)?)?;
    memchr::memmem::find(&bytes[text..], b"?=").map(|len| text + len + 2)
}

/// The runs of tokens that are addresses, outside of angle brackets: `a@example.org`, `Ann a@example.org`,
/// `"a b"@example.org`, and with white space or comments in them (RFC 5322 4.4) `a @ example . org`.
fn bare_addresses(tokens: &[Token]) -> Vec<(usize, usize)> {
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
struct Plain {
    bytes: Vec<u8>,
    /// How many `@` there are outside of quotes.
    ats: usize,
    /// Whether each quote and comment ends.
    ends: bool,
}

fn plain(written: &[u8]) -> Plain {
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
fn opens_nothing(behind: &[u8]) -> bool {
    memchr::memchr2(b'<', b'@', behind).is_some_and(|at| behind[at] == b'<')
}

/// Where the angle bracket that opens at `from` closes; within quotes it does not.
fn angle_end(raw: &[u8], from: usize) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(raw: &[u8]) -> Vec<(String, String)> {
        let mut into = Vec::new();
        read(raw, 100, &mut into, &mut 0);
        into.into_iter().map(|m| (m.name, m.address)).collect()
    }

    #[test]
    fn lists_as_they_occur() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("a@example.org", &[("", "a@example.org")]),
            ("Ann <a@example.org>", &[("Ann", "a@example.org")]),
            ("\"Ann, of B\" <a@example.org>, b@example.net", &[("Ann, of B", "a@example.org"), ("", "b@example.net")]),
            ("a@example.org (Ann (of) B)", &[("Ann (of) B", "a@example.org")]),
            (
                "Team: a@example.org, Bob <b@example.net>; c@example.com",
                &[("", "a@example.org"), ("Bob", "b@example.net"), ("", "c@example.com")],
            ),
            ("undisclosed-recipients:;", &[]),
            ("<>", &[("", "")]),
            ("root", &[("", "root")]),
            ("John Smith", &[("John Smith", "")]),
            // A name that looks like an address is a name.
            ("\"ceo@bank.example\" <x@evil.example>", &[("ceo@bank.example", "x@evil.example")]),
            ("ceo@bank.example <x@evil.example>", &[("ceo@bank.example", "x@evil.example")]),
            // Two addresses where one is allowed: both.
            ("<a@example.org> <b@example.net>", &[("", "a@example.org"), ("", "b@example.net")]),
            ("Ann <a@example.org> b@example.net", &[("Ann", "a@example.org"), ("", "b@example.net")]),
            ("Ann a@example.org", &[("Ann", "a@example.org")]),
            ("\"a b\"@example.org", &[("", "\"a b\"@example.org")]),
            ("<\"a>b\"@example.org>", &[("", "\"a>b\"@example.org")]),
            ("<@relay.example,@other.example:a@example.org>", &[("", "a@example.org")]),
            ("=?utf-8?q?J=C3=BCrgen?= =?utf-8?q?_M=2E?= <j@example.org>", &[("Jürgen M.", "j@example.org")]),
            // Encoded words in quotes do not belong there and are decoded all the same; their commas part nothing.
            ("\"=?utf-8?q?J=2C?=\" <j@example.org>", &[("J,", "j@example.org")]),
            ("=?utf-8?Q?Smith,_Ann?= <a@example.org>", &[("Smith, Ann", "a@example.org")]),
            // What is encoded never becomes an address.
            ("=?utf-8?q?x=40evil.example=3E?= <a@example.org>", &[("x@evil.example>", "a@example.org")]),
            ("Ann <a@example.org", &[("Ann", "a@example.org")]),
            ("Ann <a@example.org, b@example.net", &[("Ann", "a@example.org"), ("", "b@example.net")]),
            ("user@[IPv6:2001:db8::1]", &[("", "user@[IPv6:2001:db8::1]")]),
            ("mailto:a@example.org", &[("", "a@example.org")]),
            ("a@example.org; b@example.net", &[("", "a@example.org"), ("", "b@example.net")]),
            ("Ann\r\n <a@example.org>,\r\n\tb@example.net\r\n", &[("Ann", "a@example.org"), ("", "b@example.net")]),
            (" , ,", &[]),
            // What does not end hides nothing.
            ("\"unclosed <a@example.org>", &[("unclosed", "a@example.org")]),
            ("(unclosed a@example.org", &[("unclosed", "a@example.org")]),
            // White space and comments within an address (RFC 5322 4.4).
            ("a @ example.org", &[("", "a@example.org")]),
            ("Ann a@(of)example . org", &[("Ann", "a@example.org")]),
            ("Ann <a@(of) example.org>", &[("Ann", "a@example.org")]),
            ("<\"a b\" @example.org>", &[("", "\"a b\"@example.org")]),
            ("a@example.org b@example.net", &[("", "a@example.org"), ("", "b@example.net")]),
            ("a@example.org: b@example.net;", &[("", "a@example.org"), ("", "b@example.net")]),
            // Names with a bracket or an `@` of their own.
            ("Ann <3 Bob <a@example.org>", &[("Ann 3 Bob", "a@example.org")]),
            ("<<a@example.org>>", &[("", "a@example.org")]),
            ("Coffee @ Joe's, Berlin <a@example.org>", &[("Coffee @ Joe's", ""), ("Berlin", "a@example.org")]),
            ("Dinner @ Home, Berlin <a@example.org>", &[("Dinner @ Home", ""), ("Berlin", "a@example.org")]),
            ("root@localhost", &[("", "root@localhost")]),
            // An encoded word ends where it ends.
            (
                "=?utf-8?q?Ann?=,b@example.net, c@example.org",
                &[("Ann", ""), ("", "b@example.net"), ("", "c@example.org")],
            ),
            ("=?utf-8?q?Ann?=<a@example.org>", &[("Ann", "a@example.org")]),
        ];
        for (raw, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(n, a)| (n.to_string(), a.to_string())).collect();
            assert_eq!(list(raw.as_bytes()), expected, "{raw:?}");
        }
    }

    #[test]
    fn what_may_hold_an_address_that_was_not_found_is_known() {
        let folded = "\r\n ".repeat(40_000);
        let cases = [
            ("Ann <a@example.org>, b@example.net", Reading::Whole),
            ("\"ceo@bank.example\" <a@example.org> (c@example.com)", Reading::Whole),
            ("ceo@bank.example <a@example.org>", Reading::Whole), // a name
            ("ann@[192.0.2.1]", Reading::Whole),
            ("user@[IPv6:2001:db8::1]", Reading::Whole),
            ("wordpress@", Reading::Whole), // nobody's
            ("root", Reading::Whole),
            ("a@my_host.example", Reading::Whole),
            (&format!("<{folded}a@example.org>"), Reading::InPart), // past what is read
            (&format!("a@example.com,{folded} a@example.org"), Reading::InPart),
            (&format!("<{}a@example.org>", "\r\n ".repeat(400)), Reading::Whole),
            (&format!("<{}@example.org>", "a".repeat(1_000)), Reading::InPart),
            ("<a@example.org@bank.example>", Reading::InPart),
            ("a@example.org@bank.example", Reading::InPart),
            ("<a@bank.example,b@example.org>", Reading::InPart),
            ("<\"a@example.org>", Reading::InPart),
            ("<ceo@(>)bank.example>", Reading::InPart),
            ("a@example..org", Reading::InPart),
            ("Coffee @ Joe's, Berlin <a@example.org>", Reading::Whole),
            ("Ann <3 Bob <a@example.org>", Reading::Whole),
            ("<<a@example.org>>", Reading::Whole),
            ("=?utf-8?q?Smith,_Ann?= <a@example.org>", Reading::Whole),
            ("=?utf-8?q?ann=40example.org?= <a@example.org>", Reading::Whole),
            // Others part fields before they look for encoded words.
            ("=?x,ceo@bank.example,y <a@evil.example>", Reading::InPart),
            ("=?utf-8?q?x,ceo@bank.example,y?= <a@evil.example>", Reading::InPart),
            ("=?utf-8?q?\"?= \", ceo@bank.example, \" <a@evil.example>", Reading::InPart),
            // Quoted or escaped, what is no address for us.
            ("<\"ceo@bank.example\">, a@evil.example", Reading::InPart),
            ("<\"> , <ceo@bank.example> , <\">, a@evil.example", Reading::InPart),
            ("<ceo@bank.example\\@evil.example>", Reading::InPart),
            ("=?utf-8?B?PGNlb0BiYW5rLmV4YW1wbGU+?=, <a@evil.example>", Reading::InPart),
            ("\"ceo@bank.example\" <>, a@evil.example", Reading::InPart),
        ];
        for (raw, expected) in cases {
            let got = read(raw.as_bytes(), 100, &mut Vec::new(), &mut 0);
            assert_eq!(got, expected, "{:?}", &raw[..raw.len().min(80)]);
        }
        assert_eq!(
            read(b"a@b.example, c@d.example", 1, &mut Vec::new(), &mut 0),
            Reading::InPart,
            "more than are read"
        );
    }

    #[test]
    fn a_million_of_anything_costs_its_bytes() {
        let units = [
            "(",
            "<",
            "\"",
            "<\"",
            ",",
            "a@",
            "a@b,",
            ":",
            "=?utf-8?q?",
            "\\",
            "<a>",
            "[IPv6:",
            "a@[IPv6:",
            "=?a?q?b?=",
            "\"a\"",
            "\\\"",
            "\"\\",
            "\\(",
            "a@ .",
        ];
        for unit in units {
            let raw = unit.repeat(1_000_000 / unit.len());
            assert!(list(raw.as_bytes()).len() <= 100, "{unit}");
        }
    }
}
