//! Address lists as they occur: quotes, comments, groups, encoded words, and much that RFC 5322 3.4 does not allow.
//!
//! Where a list can be read in two ways, more addresses are better than fewer: a reader may show any of them.

use super::mailbox::Mailbox;
use super::{charset, words};

/// How much of one field is read, in bytes.
const FIELD_BYTES_MAX: usize = 64 << 10;
/// How much of a name or an address is kept, in bytes.
const PART_BYTES_MAX: usize = 1_000;

/// Appends the mailboxes of a field's raw value until `into` holds `mailboxes_max`.
pub(super) fn read(raw: &[u8], mailboxes_max: usize, into: &mut Vec<Mailbox>, broken: &mut u32) {
    let raw = &raw[..raw.len().min(FIELD_BYTES_MAX)];
    let mut reader = Reader { mailboxes_max, into, broken, tokens: Vec::new(), comment: Vec::new(), angle: None };
    let mut at = 0;
    // Once no `>` follows, none is looked for again.
    let mut last_angle = raw.iter().rposition(|b| *b == b'>').map_or(0, |at| at + 1);
    while at < raw.len() && reader.into.len() < mailboxes_max {
        match raw[at] {
            b'"' => at = reader.quoted(raw, at),
            b'(' => at = reader.comment(raw, at),
            b'<' => {
                let end = if at < last_angle { angle_end(raw, at) } else { None };
                if end.is_none() {
                    last_angle = 0;
                }
                at = reader.angle(raw, at, end);
            }
            b',' | b';' => {
                reader.mailbox();
                at += 1;
            }
            b':' => {
                // The name of a group, or the scheme of a pasted link.
                reader.tokens.clear();
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b'>' => at += 1,
            _ => at = reader.atom(raw, at),
        }
    }
    reader.mailbox();
}

/// A run of text without white space, or a quoted string, outside of angle brackets.
struct Token {
    /// As an address has it, quotes kept.
    written: Vec<u8>,
    /// As a name shows it.
    shown: Vec<u8>,
    /// Whether white space stands before it.
    apart: bool,
}

struct Reader<'a> {
    mailboxes_max: usize,
    into: &'a mut Vec<Mailbox>,
    broken: &'a mut u32,
    tokens: Vec<Token>,
    comment: Vec<u8>,
    angle: Option<String>,
}

impl Reader<'_> {
    fn token(&mut self, raw: &[u8], from: usize, to: usize, shown: Vec<u8>) {
        if self.angle.is_some() {
            // More behind an address: `<a@example.org> <b@example.net>`.
            self.mailbox();
        }
        let apart =
            from == 0 || matches!(raw[from - 1], b' ' | b'\t' | b'\r' | b'\n' | b')' | b'>' | b',' | b';' | b':');
        self.tokens.push(Token { written: raw[from..to].to_vec(), shown, apart });
    }

    fn quoted(&mut self, raw: &[u8], from: usize) -> usize {
        let mut shown = Vec::new();
        let mut at = from + 1;
        while at < raw.len() && raw[at] != b'"' {
            if raw[at] == b'\\' && at + 1 < raw.len() {
                at += 1;
            }
            if !matches!(raw[at], b'\r' | b'\n') {
                shown.push(raw[at]);
            }
            at += 1;
        }
        let end = (at + 1).min(raw.len());
        self.token(raw, from, end, shown);
        end
    }

    fn atom(&mut self, raw: &[u8], from: usize) -> usize {
        let stops = |b: &u8| matches!(b, b'"' | b'(' | b'<' | b'>' | b',' | b';' | b':' | b' ' | b'\t' | b'\r' | b'\n');
        let mut end = raw[from..].iter().position(stops).map_or(raw.len(), |len| from + len);
        if raw[from..end].starts_with(b"=?") {
            // Within an encoded word, broken ones included, commas and colons mean nothing.
            let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'<');
            end = raw[from..].iter().position(is_space).map_or(raw.len(), |len| from + len);
        } else if raw[from..end].contains(&b'@') && raw.get(end) == Some(&b':') && raw[from..end].ends_with(b"[IPv6") {
            // An address literal: `user@[IPv6:2001:db8::1]`.
            end = raw[from..].iter().position(|b| *b == b']').map_or(end, |len| from + len + 1);
        }
        self.token(raw, from, end, raw[from..end].to_vec());
        end
    }

    fn comment(&mut self, raw: &[u8], from: usize) -> usize {
        let (mut depth, mut at) = (0_usize, from);
        if !self.comment.is_empty() {
            self.comment.push(b' ');
        }
        while at < raw.len() {
            match raw[at] {
                b'\\' if at + 1 < raw.len() => at += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
            if at > from && self.comment.len() < PART_BYTES_MAX {
                self.comment.push(raw[at]);
            }
            at += 1;
        }
        raw.len()
    }

    /// An address in angle brackets; one that does not end goes to the next comma.
    fn angle(&mut self, raw: &[u8], from: usize, end: Option<usize>) -> usize {
        if self.angle.is_some() {
            self.mailbox();
        }
        let (to, next) = if let Some(end) = end {
            (end, end + 1)
        } else {
            let to = raw[from..].iter().position(|b| matches!(b, b',' | b';')).map_or(raw.len(), |len| from + len);
            (to, to)
        };
        let inside = &raw[from + 1..to.max(from + 1)];
        // A source route is dropped (RFC 5322 4.4).
        let route = inside.starts_with(b"@").then(|| inside.iter().position(|b| *b == b':')).flatten();
        self.angle = Some(address(route.map_or(inside, |colon| &inside[colon + 1..])));
        next
    }

    /// Ends the present mailbox.
    fn mailbox(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        let comment = std::mem::take(&mut self.comment);
        let angle = self.angle.take();
        if tokens.is_empty() && angle.is_none() && comment.is_empty() || self.into.len() >= self.mailboxes_max {
            return;
        }
        let (address, named) = match angle {
            Some(address) => (address, &tokens[..]),
            None => bare_address(&tokens),
        };
        let mut name = Vec::new();
        for token in named {
            if token.apart && !name.is_empty() {
                name.push(b' ');
            }
            name.extend_from_slice(&token.shown);
        }
        let name = if name.is_empty() { comment } else { name };
        self.into.push(Mailbox { name: words::decode(&name, PART_BYTES_MAX, self.broken), address });
    }
}

/// The address among tokens without angle brackets, and what is left as a name: `a@example.org`, `Ann a@example.org`,
/// `"a b"@example.org`, `root`.
fn bare_address(tokens: &[Token]) -> (String, &[Token]) {
    let Some(at) = tokens.iter().rposition(|t| t.written.contains(&b'@') && !t.written.starts_with(b"\"")) else {
        return match tokens {
            [only] if !only.written.starts_with(b"\"") && !only.written.starts_with(b"=?") => {
                (address(&only.written), &[])
            }
            _ => (String::new(), tokens),
        };
    };
    let mut from = at;
    let mut written = tokens[at].written.clone();
    while from > 0 && !tokens[from].apart {
        from -= 1;
        written.splice(0..0, tokens[from].written.iter().copied());
    }
    (address(&written), &tokens[..from])
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

/// An address as text, without white space and control characters at its ends or inside.
fn address(written: &[u8]) -> String {
    let text = charset::guess(&written[..written.len().min(PART_BYTES_MAX)]);
    let mut address: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if !address.contains('"') {
        address.retain(|c| c != ' ');
    }
    address
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
            ("\"unclosed <a@example.org>", &[("unclosed <a@example.org>", "")]),
        ];
        for (raw, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(n, a)| (n.to_string(), a.to_string())).collect();
            assert_eq!(list(raw.as_bytes()), expected, "{raw:?}");
        }
    }

    #[test]
    fn a_million_of_anything_costs_its_bytes() {
        for unit in ["(", "<", "\"", "<\"", ",", "a@", "a@b,", ":", "=?utf-8?q?", "\\", "<a>", "[IPv6:"] {
            let raw = unit.repeat(1_000_000 / unit.len());
            assert!(list(raw.as_bytes()).len() <= 100, "{unit}");
        }
    }
}
