//! Macros of SPF (RFC 7208 7): the syntax of a domain-spec, and its expansion.

use std::net::IpAddr;

use super::evaluate::Identity;

/// A macro-string with good syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Macro { letter: u8, keep: Option<usize>, reverse: bool, delimiters: Vec<u8> },
}

const LETTERS: &[u8] = b"slodiphv";
const DELIMITERS: &[u8] = b".-+,/_=";

impl Spec {
    /// A domain-spec (RFC 7208 7.1): a macro-string that ends in a top label or a macro.
    pub fn domain(text: &str) -> Option<Self> {
        let spec = Self::string(text)?;
        let ends_well = match spec.0.last()? {
            Piece::Macro { .. } => true,
            Piece::Literal(literal) => ends_in_top_label(literal),
        };
        ends_well.then_some(spec)
    }

    /// A macro-string.
    pub fn string(text: &str) -> Option<Self> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            let literal = match byte {
                b'%' => match rest.split_first()? {
                    (b'%', after) => (after, "%"),
                    (b'_', after) => (after, " "),
                    (b'-', after) => (after, "%20"),
                    (b'{', after) => {
                        let end = after.iter().position(|b| *b == b'}')?;
                        pieces.push(expansion(&after[..end])?);
                        rest = &after[end + 1..];
                        continue;
                    }
                    _ => return None,
                },
                0x21..=0x7e => (rest, ""),
                _ => return None,
            };
            rest = literal.0;
            let written = if literal.1.is_empty() { char::from(byte).to_string() } else { literal.1.to_owned() };
            match pieces.last_mut() {
                Some(Piece::Literal(before)) => before.push_str(&written),
                _ => pieces.push(Piece::Literal(written)),
            }
        }
        Some(Self(pieces))
    }

    /// Whether the validated name of the client is needed, which costs questions (`%{p}`).
    pub fn needs_name(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Macro { letter: b'p', .. }))
    }

    /// The name that it stands for. Past 253 bytes labels fall away from the left (RFC 7208 7.3).
    pub fn expand(&self, identity: &Identity<'_>, domain: &str, name: &str) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Macro { letter, keep, reverse, delimiters } => {
                    let value = value(letter.to_ascii_lowercase(), identity, domain, name);
                    let value = transformed(&value, *keep, *reverse, delimiters);
                    if letter.is_ascii_uppercase() { escape(&value, &mut out) } else { out.push_str(&value) }
                }
            }
        }
        let mut shown = out.as_str().strip_suffix('.').unwrap_or(&out);
        while shown.len() > 253 {
            match shown.split_once('.') {
                Some((_, rest)) => shown = rest,
                None => break,
            }
        }
        shown.to_owned()
    }
}

/// `{` letter transformers delimiters `}`, the braces taken off.
fn expansion(inside: &[u8]) -> Option<Piece> {
    let (&letter, rest) = inside.split_first()?;
    if !LETTERS.contains(&letter.to_ascii_lowercase()) {
        return None;
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let keep = match &rest[..digits] {
        [] => None,
        digits => {
            let number = digits.iter().fold(0_usize, |n, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0')));
            Some(number).filter(|n| *n > 0).map(Some)?
        }
    };
    let rest = &rest[digits..];
    let (reverse, rest) = match rest.split_first() {
        Some((b'r' | b'R', after)) => (true, after),
        _ => (false, rest),
    };
    if !rest.iter().all(|b| DELIMITERS.contains(b)) {
        return None;
    }
    let delimiters = if rest.is_empty() { b".".to_vec() } else { rest.to_vec() };
    Some(Piece::Macro { letter, keep, reverse, delimiters })
}

/// `"." toplabel [ "." ]` at the end (RFC 7208 7.1): letters, digits, hyphens inside, not all digits.
fn ends_in_top_label(literal: &str) -> bool {
    let literal = literal.strip_suffix('.').unwrap_or(literal);
    let Some((_, label)) = literal.rsplit_once('.') else { return false };
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|b| b.is_ascii_digit())
}

fn value(letter: u8, identity: &Identity<'_>, domain: &str, name: &str) -> String {
    match letter {
        b's' => format!("{}@{}", identity.local_part(), identity.sender_domain()),
        b'l' => identity.local_part().to_owned(),
        b'o' => identity.sender_domain().to_owned(),
        b'd' => domain.to_owned(),
        b'i' => match identity.address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
                nibbles.map(|n| format!("{n:x}")).collect::<Vec<_>>().join(".")
            }
        },
        b'p' => name.to_owned(),
        b'v' => if identity.address.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        _ => identity.ehlo.to_owned(),
    }
}

fn transformed(value: &str, keep: Option<usize>, reverse: bool, delimiters: &[u8]) -> String {
    let mut parts: Vec<&str> = value.split(|c: char| u8::try_from(c).is_ok_and(|b| delimiters.contains(&b))).collect();
    if reverse {
        parts.reverse();
    }
    let from = keep.map_or(0, |keep| parts.len().saturating_sub(keep));
    parts[from..].join(".")
}

/// URL escaping of an upper-case letter's value (RFC 3986 2.3).
fn escape(value: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_rfc_7208_7_4() {
        let identity = Identity {
            address: [192, 0, 2, 3].into(),
            sender: "strong-bad@email.example.com",
            ehlo: "mail.example.net",
        };
        let six = Identity { address: "2001:db8::cb01".parse().unwrap(), ..identity };
        let cases = [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{S}.x%%%_%-", "strong-bad%40email.example.com.x% %20"),
        ];
        for (spec, expected) in cases {
            assert_eq!(
                Spec::string(spec).unwrap().expand(&identity, "email.example.com", "unknown"),
                expected,
                "{spec}"
            );
        }
        let spec = Spec::string("%{ir}.%{v}._spf.%{d2}").unwrap();
        assert_eq!(
            spec.expand(&six, "email.example.com", "unknown"),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
        for bad in ["%", "%a", "%{", "%{x}", "%{d0}", "%{d!}", "%{c}", "a b", "caf\u{e9}.com"] {
            assert_eq!(Spec::string(bad), None, "{bad}");
        }
        for bad in ["localhost", "example.123", "a.-b", "a.b-", "", "example.com/x"] {
            assert_eq!(Spec::domain(bad), None, "{bad}");
        }
    }
}
