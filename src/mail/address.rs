//! Mail addresses as SMTP writes them (RFC 5321 4.1.2, RFC 6531 for other scripts, RFC 5321 4.1.3 for literals).
//!
//! An address keeps its text exactly as it came, quotes included: the local part belongs to its domain and to nobody
//! else. What is compared or counted is a form made from it, by `account`.

use std::fmt;
use std::net::IpAddr;

/// The longest address taken, in bytes. RFC 5321 4.5.3.1 asks for 64 of the local part and 255 of the domain; VERP and SRS
/// senders go over the 64, so only the whole is bounded.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// The longest domain in A-label form, in bytes (RFC 1035 2.3.4).
pub const DOMAIN_BYTES_MAX: usize = 255;

/// A mailbox: a local part and the domain that it lives in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    text: Box<str>,
    /// Where the `@` stands that parts the two.
    at: usize,
    domain: Domain,
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A name, in lower case and A-label form (`bücher.example` is `xn--bcher-kva.example`).
    Name(Box<str>),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// Why a text is not an address. The sentences are fit for a client to read: they never repeat its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Over [`ADDRESS_BYTES_MAX`] or a domain over [`DOMAIN_BYTES_MAX`].
    #[error("address too long")]
    TooLong,
    /// No `@`, or nothing before it.
    #[error("address lacks a local part or a domain")]
    Incomplete,
    /// A local part that is neither a dot-string nor a quoted string.
    #[error("bad local part")]
    LocalPart,
    /// A domain that is no name of labels, or one that IDNA refuses.
    #[error("bad domain")]
    Domain,
    /// An address literal that names no IPv4 or IPv6 address.
    #[error("bad address literal")]
    Literal,
    /// A control character, CR and LF included.
    #[error("control character in address")]
    Control,
    /// Bytes that are not UTF-8 (RFC 6531 3.3).
    #[error("address is not UTF-8")]
    NotUtf8,
}

impl Address {
    /// Reads `local@domain`, without angle brackets. Other scripts are taken as UTF-8; whether the session may use them
    /// is the session's to say ([`Address::is_ascii`]).
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(text: &[u8]) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| AddressError::NotUtf8)?;
        if text.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        let at = local_part_len(text)?;
        let rest = text[at..].strip_prefix('@').ok_or(AddressError::Incomplete)?;
        let domain = Domain::parse(rest)?;
        Ok(Self { text: text.into(), at, domain })
    }

    /// The whole, as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, quotes included.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The domain in its comparable form.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The domain as it was written.
    pub fn domain_as_written(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// Whether the address can be sent without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Domain {
    /// Reads a domain or an address literal.
    ///
    /// # Errors
    /// [`AddressError::Domain`] or [`AddressError::Literal`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.strip_suffix(']').ok_or(AddressError::Literal)?;
            let ip = match inside.get(..5) {
                Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inside[5..].parse().map(IpAddr::V6),
                _ => inside.parse().map(IpAddr::V4),
            };
            return ip.map(Self::Literal).map_err(|_| AddressError::Literal);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(AddressError::Incomplete);
        }
        let ascii = if name.is_ascii() {
            name.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY)
                .map_err(|_| AddressError::Domain)?
                .into_owned()
        };
        if ascii.len() > DOMAIN_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        // Underscores are no host names, yet they occur in real mail domains; DNS decides.
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !ascii.split('.').all(label_ok) {
            return Err(AddressError::Domain);
        }
        Ok(Self::Name(ascii.into()))
    }
}

/// How many bytes of `text` are its local part (RFC 5321 4.1.2, `Dot-string / Quoted-string`).
fn local_part_len(text: &str) -> Result<usize, AddressError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut escaped = false;
        for (i, byte) in quoted.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(i + 2),
                _ => {}
            }
        }
        return Err(AddressError::LocalPart);
    }
    let len = text.find('@').ok_or(AddressError::Incomplete)?;
    if len == 0 {
        return Err(AddressError::Incomplete);
    }
    let atom_ok = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|b| b >= 0x80 || b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    // Dots at the ends or in a row are against the grammar and in use all the same (docomo.ne.jp), so they pass.
    if text[..len].split('.').all(|atom| atom.is_empty() || atom_ok(atom)) && text[..len].bytes().any(|b| b != b'.') {
        Ok(len)
    } else {
        Err(AddressError::LocalPart)
    }
}

/// Where a bounce goes: an address, or nowhere (RFC 5321 4.5.5: what is itself a report has the null reverse-path).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: never answered with a DSN.
    Null,
    /// The sender that failures are told to.
    Address(Address),
}

impl ReversePath {
    /// The text between the angle brackets.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Address(address) => address.as_str(),
        }
    }

    /// The address, unless this is the null reverse-path.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Reads what [`ReversePath::as_str`] gives.
    ///
    /// # Errors
    /// Those of [`Address::parse`].
    pub fn parse(text: &[u8]) -> Result<Self, AddressError> {
        if text.is_empty() { Ok(Self::Null) } else { Address::parse(text).map(Self::Address) }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let name = |n: &str| Ok(Domain::Name(n.into()));
        let cases: [(&str, Result<Domain, AddressError>); 16] = [
            ("a@example.org", name("example.org")),
            ("A.b+c@Example.ORG", name("example.org")),
            ("a@example.org.", name("example.org")), // the root's dot says nothing new
            ("\"a b\"@example.org", name("example.org")), // quotes are part of the name
            ("\"a@b\"@example.org", name("example.org")),
            ("\"a\\\"b\"@example.org", name("example.org")),
            ("a@bücher.example", name("xn--bcher-kva.example")),
            ("a@[192.0.2.1]", Ok(Domain::Literal("192.0.2.1".parse().unwrap()))),
            ("a@[IPv6:2001:db8::1]", Ok(Domain::Literal("2001:db8::1".parse().unwrap()))),
            ("a@[2001:db8::1]", Err(AddressError::Literal)), // RFC 5321 4.1.3 asks for the tag
            ("a", Err(AddressError::Incomplete)),
            ("@example.org", Err(AddressError::Incomplete)),
            ("a@", Err(AddressError::Incomplete)),
            ("a b@example.org", Err(AddressError::LocalPart)),
            ("a@exa mple.org", Err(AddressError::Domain)),
            ("a@example.org\r\nRCPT", Err(AddressError::Control)), // a line break is never part of a name
        ];
        for (text, expected) in cases {
            let parsed = Address::parse(text.as_bytes());
            assert_eq!(parsed.clone().map(|a| a.domain().clone()), expected, "{text:?}");
            if let Ok(address) = parsed {
                assert_eq!(address.as_str(), text, "kept as it came");
            }
        }
        assert_eq!(Address::parse(b"\xff@example.org"), Err(AddressError::NotUtf8));
        assert_eq!(Address::parse(&[b'a'; 600]), Err(AddressError::TooLong));
    }

    #[test]
    fn parts_are_verbatim() {
        let address = Address::parse(b"\"a@b\"@Example.ORG").unwrap();
        assert_eq!(address.local_part(), "\"a@b\"");
        assert_eq!(address.domain_as_written(), "Example.ORG");
    }
}
