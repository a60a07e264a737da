//! The attributes of XCLIENT and XFORWARD, in xtext (as Postfix documents them in its XCLIENT and XFORWARD texts).

use std::net::{IpAddr, Ipv6Addr};

use super::CommandError;
use crate::mail::envelope::xtext_decode;

/// The longest value, in bytes before decoding.
const VALUE_BYTES_MAX: usize = 255;

/// What a client said of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Attribute<T> {
    /// Nothing.
    #[default]
    Absent,
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]`: there is none, or it cannot be known now.
    Unavailable,
    /// This.
    Given(T),
}

impl<T> Attribute<T> {
    /// The value, if one was given.
    pub fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Unavailable => None,
        }
    }

    /// Sets this where `newer` says something.
    fn overlay(&mut self, newer: Self) {
        if !matches!(newer, Self::Absent) {
            *self = newer;
        }
    }
}

/// `XCLIENT`: the client that the sender of this command speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct XclientAttributes {
    /// Its verified name.
    pub name: Attribute<Box<str>>,
    /// Its name by reverse lookup alone.
    pub reverse_name: Attribute<Box<str>>,
    /// Its address.
    pub addr: Attribute<IpAddr>,
    /// Its port.
    pub port: Attribute<u16>,
    /// `SMTP` or `ESMTP`.
    pub proto: Attribute<Box<str>>,
    /// What it said in HELO or EHLO.
    pub helo: Attribute<Box<str>>,
    /// Its login.
    pub login: Attribute<Box<str>>,
    /// The address that it connected to.
    pub dest_addr: Attribute<IpAddr>,
    /// The port that it connected to.
    pub dest_port: Attribute<u16>,
}

/// `XFORWARD`: where the next message came from, for log and history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForwardAttributes {
    /// The up-stream client's name.
    pub name: Attribute<Box<str>>,
    /// Its address.
    pub addr: Attribute<IpAddr>,
    /// Its port.
    pub port: Attribute<u16>,
    /// `SMTP`, `ESMTP` …
    pub proto: Attribute<Box<str>>,
    /// What it said in HELO or EHLO.
    pub helo: Attribute<Box<str>>,
    /// The queue id of the message in the client MTA.
    pub ident: Attribute<Box<str>>,
    /// `LOCAL` or `REMOTE`.
    pub source: Attribute<Box<str>>,
}

impl XclientAttributes {
    pub(super) fn parse(rest: &[u8]) -> Result<Self, CommandError> {
        let mut all = Self::default();
        for word in words(rest) {
            let (name, value) = word?;
            match name.to_ascii_uppercase().as_slice() {
                b"NAME" => all.name = text(value)?,
                b"REVERSE_NAME" => all.reverse_name = text(value)?,
                b"ADDR" => all.addr = address(value)?,
                b"PORT" => all.port = port(value)?,
                b"PROTO" => all.proto = text(value)?,
                b"HELO" => all.helo = text(value)?,
                b"LOGIN" => all.login = text(value)?,
                b"DESTADDR" => all.dest_addr = address(value)?,
                b"DESTPORT" => all.dest_port = port(value)?,
                _ => return Err(CommandError::Attribute),
            }
        }
        if all == Self::default() { Err(CommandError::ArgumentMissing) } else { Ok(all) }
    }
}

impl ForwardAttributes {
    pub(super) fn parse(rest: &[u8]) -> Result<Self, CommandError> {
        let mut all = Self::default();
        for word in words(rest) {
            let (name, value) = word?;
            match name.to_ascii_uppercase().as_slice() {
                b"NAME" => all.name = text(value)?,
                b"ADDR" => all.addr = address(value)?,
                b"PORT" => all.port = port(value)?,
                b"PROTO" => all.proto = text(value)?,
                b"HELO" => all.helo = text(value)?,
                b"IDENT" => all.ident = text(value)?,
                b"SOURCE" => all.source = text(value)?,
                _ => return Err(CommandError::Attribute),
            }
        }
        if all == Self::default() { Err(CommandError::ArgumentMissing) } else { Ok(all) }
    }

    /// Takes over what a further XFORWARD for the same message says.
    pub fn overlay(&mut self, newer: Self) {
        let Self { name, addr, port, proto, helo, ident, source } = newer;
        self.name.overlay(name);
        self.addr.overlay(addr);
        self.port.overlay(port);
        self.proto.overlay(proto);
        self.helo.overlay(helo);
        self.ident.overlay(ident);
        self.source.overlay(source);
    }
}

/// `NAME=value` words.
fn words(rest: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), CommandError>> {
    rest.split(|b| *b == b' ').filter(|word| !word.is_empty()).map(|word| {
        let at = memchr::memchr(b'=', word).ok_or(CommandError::Attribute)?;
        let (name, value) = (&word[..at], &word[at + 1..]);
        if name.len() > VALUE_BYTES_MAX || value.is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(CommandError::Attribute);
        }
        Ok((name, value))
    })
}

fn text(value: &[u8]) -> Result<Attribute<Box<str>>, CommandError> {
    if value.eq_ignore_ascii_case(b"[UNAVAILABLE]") || value.eq_ignore_ascii_case(b"[TEMPUNAVAIL]") {
        return Ok(Attribute::Unavailable);
    }
    xtext_decode(value).map(Attribute::Given).ok_or(CommandError::Attribute)
}

fn address(value: &[u8]) -> Result<Attribute<IpAddr>, CommandError> {
    parsed(text(value)?, |text| match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPV6:") => text[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => text.parse().ok(),
    })
}

fn port(value: &[u8]) -> Result<Attribute<u16>, CommandError> {
    parsed(text(value)?, |text| text.parse().ok())
}

fn parsed<T>(text: Attribute<Box<str>>, parse: impl Fn(&str) -> Option<T>) -> Result<Attribute<T>, CommandError> {
    match text {
        Attribute::Absent => Ok(Attribute::Absent),
        Attribute::Unavailable => Ok(Attribute::Unavailable),
        Attribute::Given(text) => parse(&text).map(Attribute::Given).ok_or(CommandError::Attribute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::command::Command;

    #[test]
    fn what_postfix_sends() {
        let line = b"XFORWARD NAME=spike.porcupine.org ADDR=168.100.189.2 PORT=4711 PROTO=ESMTP HELO=spike IDENT=4cD+2D1 SOURCE=REMOTE";
        let Ok(Command::Xforward(mut forward)) = Command::parse(line) else { panic!("not read") };
        assert_eq!(forward.ident.given().map(AsRef::as_ref), Some("4cD-1"));
        assert_eq!(forward.addr, Attribute::Given("168.100.189.2".parse().unwrap()));
        let Ok(Command::Xforward(more)) = Command::parse(b"XFORWARD IDENT=[UNAVAILABLE]") else { panic!("not read") };
        forward.overlay(more);
        assert_eq!((forward.ident, forward.port), (Attribute::Unavailable, Attribute::Given(4711)));

        let line =
            b"xclient name=[tempunavail] addr=IPV6:2001:db8::1 login=a+40b.example port=[UNAVAILABLE] destport=25";
        let Ok(Command::Xclient(client)) = Command::parse(line) else { panic!("not read") };
        assert_eq!(client.name, Attribute::Unavailable);
        assert_eq!(client.addr, Attribute::Given("2001:db8::1".parse().unwrap()));
        assert_eq!(client.login.given().map(AsRef::as_ref), Some("a@b.example"));
        assert_eq!((client.port, client.dest_port), (Attribute::Unavailable, Attribute::Given(25)));
    }

    #[test]
    fn bad_attributes() {
        let cases = [
            ("XCLIENT", CommandError::ArgumentMissing),
            ("XCLIENT ADDR", CommandError::Attribute),
            ("XCLIENT ADDR=", CommandError::Attribute),
            ("XCLIENT ADDR=localhost", CommandError::Attribute),
            ("XCLIENT PORT=65536", CommandError::Attribute),
            ("XCLIENT LOGIN=a+0D+0Ab", CommandError::Attribute), // would be written into a header
            ("XCLIENT IDENT=x", CommandError::Attribute),        // belongs to XFORWARD
            ("XFORWARD LOGIN=x", CommandError::Attribute),       // belongs to XCLIENT
        ];
        for (line, expected) in cases {
            assert_eq!(Command::parse(line.as_bytes()), Err(expected), "{line}");
        }
    }
}
