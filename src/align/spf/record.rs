//! The syntax of an SPF record (RFC 7208 4.6 and 5): all of it is read before any of it is evaluated.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::Spec;

/// One `v=spf1` record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// In order, up to the bound of a TXT record.
    pub directives: Vec<Directive>,
    /// `redirect=`.
    pub redirect: Option<Spec>,
}

/// A mechanism and what it says where it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// `+`, `-`, `~`, `?`.
    pub qualifier: Qualifier,
    /// What must match.
    pub mechanism: Mechanism,
    /// As it is written.
    pub text: Box<str>,
}

/// What a match says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`, or nothing.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// A mechanism (RFC 7208 5). An absent spec means the domain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// Everything.
    All,
    /// What passes another domain's record.
    Include(Spec),
    /// Addresses of a name.
    A(Option<Spec>, Prefixes),
    /// Addresses of a name's mail exchanges.
    Mx(Option<Spec>, Prefixes),
    /// Addresses whose name lies under a domain.
    Ptr(Option<Spec>),
    /// A network.
    Ip4(Ipv4Addr, u8),
    /// A network.
    Ip6(Ipv6Addr, u8),
    /// A name that has an A record.
    Exists(Spec),
}

/// Lengths of the prefixes that must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    /// 0 to 32.
    pub v4: u8,
    /// 0 to 128.
    pub v6: u8,
}

/// The term that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenTerm(pub Box<str>);

/// Whether a TXT record is an SPF record of this version (RFC 7208 4.5).
pub fn is_spf(text: &[u8]) -> bool {
    text.get(..6).is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"))
        && matches!(text.get(6), None | Some(b' '))
}

impl Record {
    /// Reads a record that [`is_spf`].
    ///
    /// # Errors
    /// The first broken term.
    pub fn parse(text: &[u8]) -> Result<Self, BrokenTerm> {
        let text = std::str::from_utf8(text).map_err(|_| BrokenTerm("bytes beyond ASCII".into()))?;
        let mut record = Self::default();
        let mut explained = false;
        for term in text.get(6..).unwrap_or_default().split(' ').filter(|term| !term.is_empty()) {
            let broken = || BrokenTerm(term.into());
            match modifier(term) {
                Some(("redirect", value)) if record.redirect.is_none() => {
                    record.redirect = Some(Spec::domain(value).ok_or_else(broken)?);
                }
                Some(("exp", value)) if !explained => {
                    Spec::domain(value).ok_or_else(broken)?;
                    explained = true;
                }
                Some(("redirect" | "exp", _)) => return Err(broken()),
                Some((_, value)) => drop(Spec::string(value).ok_or_else(broken)?),
                None => record.directives.push(directive(term).ok_or_else(broken)?),
            }
        }
        Ok(record)
    }
}

/// `name=value`, the name in lower case where it is one that we know.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let known = ["redirect", "exp"].into_iter().find(|known| name.eq_ignore_ascii_case(known));
    is_name.then_some((known.unwrap_or(name), value))
}

fn directive(term: &str) -> Option<Directive> {
    let (qualifier, rest) = match term.as_bytes().first()? {
        b'+' => (Qualifier::Pass, &term[1..]),
        b'-' => (Qualifier::Fail, &term[1..]),
        b'~' => (Qualifier::SoftFail, &term[1..]),
        b'?' => (Qualifier::Neutral, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    let name_len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (name, argument) = rest.split_at(name_len);
    let after_colon = argument.strip_prefix(':');
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if argument.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(Spec::domain(after_colon?)?),
        "exists" => Mechanism::Exists(Spec::domain(after_colon?)?),
        "ptr" if argument.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(Spec::domain(after_colon?)?)),
        "a" => {
            let (spec, prefixes) = spec_and_prefixes(argument)?;
            Mechanism::A(spec, prefixes)
        }
        "mx" => {
            let (spec, prefixes) = spec_and_prefixes(argument)?;
            Mechanism::Mx(spec, prefixes)
        }
        "ip4" => {
            let (network, length) = network(after_colon?, 32)?;
            Mechanism::Ip4(network.parse().ok()?, length)
        }
        "ip6" => {
            let (network, length) = network(after_colon?, 128)?;
            Mechanism::Ip6(network.parse().ok()?, length)
        }
        _ => return None,
    };
    Some(Directive { qualifier, mechanism, text: term.into() })
}

fn network(text: &str, longest: u8) -> Option<(&str, u8)> {
    match text.split_once('/') {
        Some((network, length)) => Some((network, prefix_length(length, longest)?)),
        None => Some((text, longest)),
    }
}

/// Digits without a leading zero, at most `longest`.
fn prefix_length(digits: &str, longest: u8) -> Option<u8> {
    let plain = digits == "0" || !digits.starts_with('0');
    let digits = Some(digits).filter(|d| plain && !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|length| *length <= longest)
}

/// `[":" domain-spec] ["/" length4] ["//" length6]`.
fn spec_and_prefixes(argument: &str) -> Option<(Option<Spec>, Prefixes)> {
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut prefixes = Prefixes { v4: 32, v6: 128 };
    let mut rest = argument;
    if let Some((before, length)) = rest.rsplit_once("//").filter(|(_, length)| all_digits(length)) {
        prefixes.v6 = prefix_length(length, 128)?;
        rest = before;
    }
    if let Some((before, length)) = rest.rsplit_once('/').filter(|(_, length)| all_digits(length)) {
        prefixes.v4 = prefix_length(length, 32)?;
        rest = before;
    }
    let spec = match rest {
        "" => None,
        rest => Some(Spec::domain(rest.strip_prefix(':')?)?),
    };
    Some((spec, prefixes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_terms_are_named() {
        let cases = [
            ("v=spf1 -all", None),
            ("v=spf1  a:example.com/24//64  mx//0 ?ptr ip6:::1/64 ", None),
            ("v=spf1 moo.cow=far_out=man:dog/cat ip4:192.0.2.1 -all", None), // an unknown modifier, 6.3 of the RFC
            ("v=spf1 ip4:192.0.2.1/33 -all", Some("ip4:192.0.2.1/33")),
            ("v=spf1 ip4:192.0.2.01", Some("ip4:192.0.2.01")),
            ("v=spf1 ip4:192.0.2.1/024", Some("ip4:192.0.2.1/024")),
            ("v=spf1 all. -all", Some("all.")),
            ("v=spf1 include -all", Some("include")),
            ("v=spf1 -all:x.y", Some("-all:x.y")),
            ("v=spf1 a: -all", Some("a:")),
            ("v=spf1 a:example.com:25", Some("a:example.com:25")),
            ("v=spf1 redirect=a.example redirect=b.example", Some("redirect=b.example")),
            ("v=spf1 exp=", Some("exp=")),
            ("v=spf1 ip:192.0.2.1", Some("ip:192.0.2.1")), // the usual slip
        ];
        for (text, broken) in cases {
            let got = Record::parse(text.as_bytes()).err();
            assert_eq!(got.as_ref().map(|b| &*b.0), broken, "{text}");
        }
        assert!(is_spf(b"V=SPF1") && is_spf(b"v=spf1 a") && !is_spf(b"v=spf10") && !is_spf(b"v=spf"));
    }
}
