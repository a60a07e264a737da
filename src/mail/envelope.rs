//! The envelope: what MAIL and RCPT said (RFC 5321 2.3.1), with the DSN parameters of RFC 3461.

use std::fmt::Write as _;

use super::address::{Address, ReversePath};

/// Everything about a message that is not the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Where failures are told.
    pub reverse_path: ReversePath,
    /// In the order of RCPT. A recipient given twice stands twice: what the client counted, we count.
    pub recipients: Vec<Recipient>,
    /// `BODY=` (RFC 6152).
    pub body: BodyType,
    /// Whether the client declared SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// `RET=`: how much of the message a failure report carries (RFC 3461 4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded from xtext (RFC 3461 4.4).
    pub envid: Option<Box<str>>,
}

/// One RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Whom the message is for.
    pub address: Address,
    /// `NOTIFY=`; absent means that nothing was asked (RFC 3461 4.1: failures, and delays by local policy).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 4.2).
    pub original: Option<OriginalRecipient>,
}

/// `BODY=` of MAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyType {
    /// Lines of US-ASCII, and the default.
    #[default]
    SevenBit,
    /// Lines of octets (RFC 6152).
    EightBitMime,
}

/// `RET=` of MAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header alone.
    Headers,
}

/// `NOTIFY=` of RCPT. `NEVER` excludes the others, so it is the value with all three off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// A report of delivery.
    pub success: bool,
    /// A report of failure.
    pub failure: bool,
    /// A report of delay.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };

    /// The bits as the store keeps them: 1 success, 2 failure, 4 delay.
    pub fn bits(self) -> u8 {
        u8::from(self.success) | u8::from(self.failure) << 1 | u8::from(self.delay) << 2
    }

    /// The inverse of [`Notify::bits`]; further bits are ignored.
    pub fn from_bits(bits: u8) -> Self {
        Self { success: bits & 1 != 0, failure: bits & 2 != 0, delay: bits & 4 != 0 }
    }
}

/// `ORCPT=addr-type;address` with the address decoded: from xtext, or for the type `utf-8` from the forms of RFC 6533 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8`, `x400` …
    pub address_type: Box<str>,
    /// The address, free of control characters.
    pub address: Box<str>,
}

impl OriginalRecipient {
    /// The type whose addresses may be of any script (RFC 6533 3).
    pub const INTERNATIONAL: &str = "utf-8";

    /// Whether its address is of [`OriginalRecipient::INTERNATIONAL`].
    pub fn is_international(&self) -> bool {
        self.address_type.eq_ignore_ascii_case(Self::INTERNATIONAL)
    }
}

impl Recipient {
    /// A recipient with no DSN parameters.
    pub fn plain(address: Address) -> Self {
        Self { address, notify: None, original: None }
    }

    /// Whether a failure is to be reported (RFC 3461 4.1: yes unless NOTIFY says otherwise).
    pub fn wants_failure(&self) -> bool {
        self.notify.is_none_or(|n| n.failure)
    }

    /// Whether a delay is to be reported. Without NOTIFY that is local policy, and ours is to tell.
    pub fn wants_delay(&self) -> bool {
        self.notify.is_none_or(|n| n.delay)
    }

    /// Whether delivery is to be reported.
    pub fn wants_success(&self) -> bool {
        self.notify.is_some_and(|n| n.success)
    }
}

/// Decodes xtext (RFC 3461 4): `+` and two upper-case hexadecimal digits stand for one byte.
///
/// `None` if the text is no xtext, or decodes to control characters or to something that is not UTF-8.
pub fn xtext_decode(text: &[u8]) -> Option<Box<str>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                decoded.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'=' | 0..=32 | 127.. => return None,
            _ => decoded.push(byte),
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!decoded.chars().any(char::is_control)).then(|| decoded.into())
}

/// Encodes as xtext (RFC 3461 4).
pub fn xtext_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => encoded.push(byte.into()),
            _ => {
                let _ = write!(encoded, "+{byte:02X}"); // writing to a String cannot fail
            }
        }
    }
    encoded
}

/// Decodes an address of the type `utf-8` (RFC 6533 3): `\x{…}` stands for the character of that number, and all else for
/// itself, whether in ASCII or not.
///
/// `None` if what begins so is no character, or if control characters come out.
pub fn unitext_decode(text: &str) -> Option<Box<str>> {
    let mut pieces = text.split("\\x{");
    let mut decoded = pieces.next()?.to_owned();
    for piece in pieces {
        let (point, rest) = piece.split_once('}')?;
        if !(1..=6).contains(&point.len()) || !point.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        decoded.push(char::from_u32(u32::from_str_radix(point, 16).ok()?)?);
        decoded.push_str(rest);
    }
    (!decoded.chars().any(char::is_control)).then(|| decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext() {
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"plain", Some("plain")),
            (b"a+2Bb+3Dc", Some("a+b=c")),
            (b"a=b", None),
            (b"a+2", None),
            (b"a+0Ab", None), // a decoded line break is never wanted in a report
            (b"a b", None),
        ];
        for (text, expected) in cases {
            assert_eq!(xtext_decode(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(xtext_decode(xtext_encode("a+b= ü").as_bytes()).as_deref(), Some("a+b= ü"));
    }

    #[test]
    fn notify_bits() {
        for bits in 0..8 {
            assert_eq!(Notify::from_bits(bits).bits(), bits);
        }
        assert_eq!(Notify::NEVER.bits(), 0);
    }
}
