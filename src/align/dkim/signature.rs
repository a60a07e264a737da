//! The `DKIM-Signature` field (RFC 6376 3.5).

use super::canonical::Form;
use super::tags::{Tags, base64, unfolded};
use crate::mail::Domain;

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with SHA-256.
    RsaSha256,
    /// Ed25519 over a SHA-256 hash (RFC 8463).
    Ed25519Sha256,
    /// RSA with SHA-1, which no longer counts (RFC 8301 3.1).
    RsaSha1,
}

impl Algorithm {
    /// As `a=` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
            Self::RsaSha1 => "rsa-sha1",
        }
    }

    /// As `a=` writes it.
    pub fn named(text: &str) -> Option<Self> {
        [Self::RsaSha256, Self::Ed25519Sha256, Self::RsaSha1]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(text))
    }
}

/// A signature as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// `a=`.
    pub algorithm: Algorithm,
    /// `d=`, lower case.
    pub domain: Box<str>,
    /// `s=`, lower case.
    pub selector: Box<str>,
    /// `c=`: header, body.
    pub forms: (Form, Form),
    /// `h=` in order.
    pub fields: Vec<Box<str>>,
    /// `bh=`.
    pub body_hash: Vec<u8>,
    /// `b=`.
    pub signature: Vec<u8>,
    /// `i=`, its domain, lower case.
    pub identity_domain: Box<str>,
    /// `l=`.
    pub body_length: Option<u64>,
    /// `t=`, seconds since 1970.
    pub signed_at: Option<u64>,
    /// `x=`, seconds since 1970.
    pub expires_at: Option<u64>,
}

/// More names in `h=` than this are a fault. OpenDKIM lists every field that stands there.
const FIELDS_MAX: usize = 500;

impl Signature {
    /// Reads the field's value.
    ///
    /// # Errors
    /// What is wrong with it, as part of a sentence.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        let tags = Tags::parse(value).ok_or("it is no list of tags")?;
        if tags.get("v") != Some("1") {
            return Err("its version is not 1");
        }
        Self::of_tags(&tags, tags.get("i"))
    }

    /// The part that ARC's message signature shares (RFC 8617 4.1.2), where `i=` is something else.
    pub(crate) fn of_tags(tags: &Tags<'_>, identity: Option<&str>) -> Result<Self, &'static str> {
        let needed = |name, fault| tags.get(name).filter(|value| !value.is_empty()).ok_or(fault);
        let algorithm = Algorithm::named(needed("a", "a= is missing")?).ok_or("its algorithm is not known")?;
        let domain = name_of(needed("d", "d= is missing")?).ok_or("d= is no domain")?;
        let selector = unfolded(needed("s", "s= is missing")?).to_ascii_lowercase();
        let forms = forms(tags.get("c").unwrap_or("simple/simple")).ok_or("c= is not known")?;
        let fields: Vec<Box<str>> = unfolded(needed("h", "h= is missing")?).split(':').map(Into::into).collect();
        if fields.len() > FIELDS_MAX {
            return Err("h= lists over 500 fields");
        }
        if !fields.iter().any(|name| name.eq_ignore_ascii_case("from")) {
            return Err("h= does not list From");
        }
        let body_hash = base64(needed("bh", "bh= is missing")?).ok_or("bh= is no base64")?;
        let signature = base64(needed("b", "b= is missing")?).ok_or("b= is no base64")?;
        let identity_domain = match identity {
            None => domain.clone(),
            Some(i) => name_of(i.rsplit_once('@').ok_or("i= has no @")?.1).ok_or("i= has no domain")?,
        };
        if !is_under(&identity_domain, &domain) {
            return Err("i= is not under d=");
        }
        if tags.get("q").is_some_and(|q| !unfolded(q).split(':').any(|method| method.eq_ignore_ascii_case("dns/txt"))) {
            return Err("q= is not known");
        }
        Ok(Self {
            algorithm,
            domain,
            selector: selector.into(),
            forms,
            fields,
            body_hash,
            signature,
            identity_domain,
            body_length: number(tags, "l").ok_or("l= is no number")?,
            signed_at: number(tags, "t").ok_or("t= is no number")?,
            expires_at: number(tags, "x").ok_or("x= is no number")?,
        })
    }

    /// The form and length of the body that a signature is over, where it says them.
    pub(super) fn body_form(tags: &Tags<'_>) -> Option<(Form, Option<u64>)> {
        let (_, form) = forms(tags.get("c").unwrap_or("simple/simple"))?;
        Some((form, number(tags, "l")?))
    }

    /// Where the public key stands.
    pub fn key_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

/// A domain in its comparable form.
pub(crate) fn name_of(text: &str) -> Option<Box<str>> {
    match Domain::parse(&unfolded(text)).ok()? {
        Domain::Name(name) => Some(name),
        Domain::Literal(_) => None,
    }
}

/// Whether a name is a domain or lies below it; both in comparable form.
pub(crate) fn is_under(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn forms(text: &str) -> Option<(Form, Form)> {
    let form = |text: &str| [Form::Simple, Form::Relaxed].into_iter().find(|f| f.as_str().eq_ignore_ascii_case(text));
    match text.split_once('/') {
        Some((header, body)) => Some((form(header)?, form(body)?)),
        None => Some((form(text)?, Form::Simple)),
    }
}

/// `None` if it is no number, `Some(None)` if it is absent.
#[expect(clippy::option_option, reason = "absent and broken are two things")]
fn number(tags: &Tags<'_>, name: &str) -> Option<Option<u64>> {
    let Some(digits) = tags.get(name) else { return Some(None) };
    if digits.is_empty() || digits.len() > 76 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More than fits is as good as never.
    Some(Some(digits.parse().unwrap_or(u64::MAX)))
}

/// A signature's field with the value of `b=` taken out (RFC 6376 3.7), its line's end left off by [`signed_form`].
fn without_b(field: &[u8]) -> Vec<u8> {
    let colon = memchr::memchr(b':', field).map_or(0, |colon| colon + 1);
    let mut out = field[..colon].to_vec();
    let mut rest = &field[colon..];
    while !rest.is_empty() {
        let (part, after) = match memchr::memchr(b';', rest) {
            Some(end) => rest.split_at(end + 1),
            None => (rest, &[][..]),
        };
        match memchr::memchr(b'=', part) {
            Some(equals) if part[..equals].trim_ascii() == b"b" => {
                out.extend_from_slice(&part[..=equals]);
                if part.ends_with(b";") {
                    out.push(b';');
                }
            }
            _ => out.extend_from_slice(part),
        }
        rest = after;
    }
    out
}

/// The signature's own field as it is signed: last, without the value of `b=` and without its CRLF.
pub(crate) fn signed_form(field: &[u8], form: Form, into: &mut Vec<u8>) {
    let stripped = without_b(field.strip_suffix(b"\r\n").unwrap_or(field));
    super::canonical::RawField(&stripped).canonical(form, into);
    into.truncate(into.len() - 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = " v=1; a=rsa-sha256; d=Example.COM; s=Mail; c=relaxed/simple;\r\n\t\
                        h=From : to:\r\n\tsubject; bh=aGVs bG8=; b=aGVsbG8=; t=5; x=10";

    #[test]
    fn what_is_read_and_what_is_refused() {
        let good = Signature::parse(GOOD).unwrap();
        assert_eq!(
            (&*good.domain, &*good.selector, good.forms),
            ("example.com", "mail", (Form::Relaxed, Form::Simple))
        );
        assert_eq!(good.fields, ["From", "to", "subject"].map(Box::from));
        assert_eq!((good.signed_at, good.expires_at, good.body_length), (Some(5), Some(10), None));
        let cases = [
            ("v=1", "v=2", "its version is not 1"),
            ("rsa-sha256", "rsa-md5", "its algorithm is not known"),
            ("h=From : to", "h=to", "h= does not list From"),
            ("t=5", "t=now", "t= is no number"),
            ("t=5", "i=a@example.org", "i= is not under d="),
            ("t=5", "t=5; t=6", "it is no list of tags"),
            ("relaxed/simple", "relaxed/strict", "c= is not known"),
            ("b=aGVsbG8=", "b=!", "b= is no base64"),
            ("t=5", "q=dns/other", "q= is not known"),
        ];
        for (from, to, fault) in cases {
            assert_eq!(Signature::parse(&GOOD.replacen(from, to, 1)).err(), Some(fault), "{to}");
        }
    }

    #[test]
    fn only_the_value_of_b_is_taken_out() {
        let field = b"DKIM-Signature: v=1; bh=abc=;\r\n b = x\r\n\ty; d=b.example\r\n";
        let mut out = Vec::new();
        signed_form(field, Form::Simple, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "DKIM-Signature: v=1; bh=abc=;\r\n b =; d=b.example");
    }
}
