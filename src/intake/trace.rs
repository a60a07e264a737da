//! Our own Received field (RFC 5321 4.4).

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;

use crate::clock::WallMs;
use crate::mail::{Envelope, QueueId};
use crate::smtp::server::{Hello, HelloKind};

/// The longest foreign word in the field, in bytes: with it no line comes near the 998 of RFC 5322 2.1.1.
const WORD_BYTES_MAX: usize = 255;

/// What the field tells.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// What the client said of itself.
    pub hello: Option<&'a Hello>,
    /// Where it is; `None` for a Unix socket.
    pub ip: Option<IpAddr>,
    /// Our name.
    pub own_name: &'a str,
    /// Whether TLS was active.
    pub encrypted: bool,
    /// Whether the client logged in.
    pub authenticated: bool,
    /// Under which id it is taken.
    pub id: QueueId,
    /// Whom it is for; named only where it is one.
    pub envelope: &'a Envelope,
    /// When.
    pub received: WallMs,
}

/// The field, its line ends included. Nothing of it that a client chose can end a line, a word or a comment.
impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hello = self.hello.map_or("unknown", |hello| &hello.name);
        write!(f, "Received: from {}", Word(hello))?;
        match self.ip {
            Some(IpAddr::V4(ip)) => write!(f, " ([{ip}])")?,
            Some(IpAddr::V6(ip)) => write!(f, " ([IPv6:{ip}])")?,
            None => write!(f, " (local socket)")?,
        }
        write!(f, "\r\n\tby {} (outguard) with {} id {}", Word(self.own_name), self.protocol(), self.id)?;
        if let [only] = self.envelope.recipients.as_slice()
            && only.address.is_ascii()
            && only.address.as_str().len() <= WORD_BYTES_MAX
        {
            write!(f, "\r\n\tfor <{}>", only.address)?;
        }
        write!(f, ";\r\n\t{}\r\n", date(self.received))
    }
}

impl Trace<'_> {
    /// As RFC 3848 and RFC 6531 4.3 name it.
    fn protocol(&self) -> &'static str {
        let extended = self.hello.is_some_and(|hello| hello.kind == HelloKind::Ehlo);
        match (extended, self.envelope.smtputf8, self.encrypted, self.authenticated) {
            (false, ..) => "SMTP",
            (true, false, false, false) => "ESMTP",
            (true, false, false, true) => "ESMTPA",
            (true, false, true, false) => "ESMTPS",
            (true, false, true, true) => "ESMTPSA",
            (true, true, false, false) => "UTF8SMTP",
            (true, true, false, true) => "UTF8SMTPA",
            (true, true, true, false) => "UTF8SMTPS",
            (true, true, true, true) => "UTF8SMTPSA",
        }
    }
}

/// A date as header fields write it (RFC 5322 3.3), in UTC.
pub fn date(at: WallMs) -> String {
    let at =
        i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    DateTimePrinter::new()
        .zoned_to_string(&at.to_zoned(TimeZone::UTC))
        .unwrap_or_else(|_| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}

/// A foreign word that keeps to the alphabet of host names and address literals.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(WORD_BYTES_MAX) {
            f.write_char(if c.is_ascii_alphanumeric() || ".-_:[]".contains(c) { c } else { '?' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Address, BodyType, Recipient, ReversePath};

    #[test]
    fn the_field() {
        let recipient = |text: &str| Recipient::plain(Address::parse(text.as_bytes()).unwrap());
        let mut envelope = Envelope {
            reverse_path: ReversePath::Null,
            recipients: vec![recipient("a@example.net")],
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
        };
        let hello = Hello { name: "evil)\u{1b} by(x;".into(), kind: HelloKind::Ehlo };
        let field = |envelope: &Envelope| {
            Trace {
                hello: Some(&hello),
                ip: Some("2001:db8::1".parse().unwrap()),
                own_name: "relay.example",
                encrypted: true,
                authenticated: true,
                id: QueueId::new(33).unwrap(),
                envelope,
                received: WallMs(1_795_255_200_000),
            }
            .to_string()
        };
        assert_eq!(
            field(&envelope),
            "Received: from evil???by?x? ([IPv6:2001:db8::1])\r\n\tby relay.example (outguard) with ESMTPSA id 0000000011\
             \r\n\tfor <a@example.net>;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n"
        );
        envelope.recipients.push(recipient("b@example.net"));
        assert!(!field(&envelope).contains("for"), "recipients are not told to each other");
    }
}
