//! MAIL and RCPT with their parameters (RFC 1870, 3461, 4954 5, 6152, 6531).

use super::CommandError;
use super::path::{self, Forward};
use crate::mail::envelope::{unitext_decode, xtext_decode};
use crate::mail::{Address, BodyType, Notify, OriginalRecipient, Ret, ReversePath};

/// The longest ENVID, in bytes (RFC 3461 4.4).
const ENVID_BYTES_MAX: usize = 100;
/// The longest ORCPT, in bytes (RFC 3461 4.2).
const ORCPT_BYTES_MAX: usize = 500;
/// Digits of SIZE at most (RFC 1870 6).
const SIZE_DIGITS_MAX: usize = 20;

/// `MAIL FROM:<…>` and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Where failures are told.
    pub reverse_path: ReversePath,
    /// `SIZE=`, in bytes.
    pub size_bytes: Option<u64>,
    /// `BODY=`.
    pub body: BodyType,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `RET=`.
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded.
    pub envid: Option<Box<str>>,
    /// `AUTH=`: who handed the message in at the client, by the client's word.
    pub auth: Option<MailAuth>,
}

/// `AUTH=` of MAIL (RFC 4954 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailAuth {
    /// `AUTH=<>`: the client does not know, or does not trust what it knows.
    Unknown,
    /// The login at the client, decoded.
    Login(Box<str>),
}

/// `RCPT TO:<…>` and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// Whom the message is for.
    pub forward_path: Forward,
    /// `NOTIFY=`.
    pub notify: Option<Notify>,
    /// `ORCPT=`.
    pub original: Option<OriginalRecipient>,
}

impl Mail {
    pub(super) fn parse(rest: &[u8]) -> Result<Self, CommandError> {
        let (path, parameters) = path::take(rest, b"FROM")?;
        let reverse_path = ReversePath::parse(path).map_err(|_| CommandError::ReversePath)?;
        let mut mail = Self {
            reverse_path,
            size_bytes: None,
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            auth: None,
        };
        let mut body = None;
        let mut smtputf8 = None;
        for parameter in each(parameters) {
            let (keyword, value) = parameter?;
            match (keyword.as_bytes(), value) {
                (b"SIZE", Some(value)) => once(&mut mail.size_bytes, size(value))?,
                (b"BODY", Some(value)) => once(&mut body, body_type(value))?,
                (b"SMTPUTF8", None) => once(&mut smtputf8, Some(()))?,
                (b"RET", Some(value)) => once(&mut mail.ret, ret(value))?,
                (b"ENVID", Some(value)) => once(&mut mail.envid, bounded_xtext(value, ENVID_BYTES_MAX))?,
                (b"AUTH", Some(value)) => once(&mut mail.auth, mail_auth(value))?,
                (b"SIZE" | b"BODY" | b"SMTPUTF8" | b"RET" | b"ENVID" | b"AUTH", _) => {
                    return Err(CommandError::ParameterValue);
                }
                _ => return Err(CommandError::ParameterUnknown),
            }
        }
        mail.body = body.unwrap_or_default();
        mail.smtputf8 = smtputf8.is_some();
        Ok(mail)
    }
}

impl Rcpt {
    pub(super) fn parse(rest: &[u8]) -> Result<Self, CommandError> {
        let (path, parameters) = path::take(rest, b"TO")?;
        let forward_path = if path.eq_ignore_ascii_case(b"postmaster") {
            Forward::Postmaster
        } else {
            Address::parse(path).map(Forward::Address).map_err(|_| CommandError::ForwardPath)?
        };
        let mut rcpt = Self { forward_path, notify: None, original: None };
        for parameter in each(parameters) {
            let (keyword, value) = parameter?;
            match (keyword.as_bytes(), value) {
                (b"NOTIFY", Some(value)) => once(&mut rcpt.notify, notify(value))?,
                (b"ORCPT", Some(value)) => once(&mut rcpt.original, original_recipient(value))?,
                (b"NOTIFY" | b"ORCPT", None) => return Err(CommandError::ParameterValue),
                _ => return Err(CommandError::ParameterUnknown),
            }
        }
        Ok(rcpt)
    }
}

type Parameter<'l> = (Keyword, Option<&'l [u8]>);

/// A parameter's name in upper case.
struct Keyword([u8; 16], usize);

impl Keyword {
    fn read(name: &[u8]) -> Option<Self> {
        let mut upper = [0; 16];
        upper.get_mut(..name.len())?.copy_from_slice(name);
        upper.make_ascii_uppercase();
        (!name.is_empty()).then_some(Self(upper, name.len()))
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// The parameters, in order (RFC 5321 4.1.2 `Mail-parameters`).
fn each(parameters: &[u8]) -> impl Iterator<Item = Result<Parameter<'_>, CommandError>> {
    parameters.split(|b| *b == b' ').filter(|word| !word.is_empty()).map(|word| {
        let (name, value) = match memchr::memchr(b'=', word) {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        Keyword::read(name).map(|keyword| (keyword, value)).ok_or(CommandError::ParameterUnknown)
    })
}

/// Sets what must be set only once, to a value that must be one.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), CommandError> {
    if place.is_some() || value.is_none() {
        return Err(CommandError::ParameterValue);
    }
    *place = value;
    Ok(())
}

fn size(value: &[u8]) -> Option<u64> {
    let digits = (1..=SIZE_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    // Twenty nines are more than fits; it is too large all the same, and the limit says so.
    digits.then(|| value.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0'))))
}

fn body_type(value: &[u8]) -> Option<BodyType> {
    if value.eq_ignore_ascii_case(b"7BIT") {
        Some(BodyType::SevenBit)
    } else {
        value.eq_ignore_ascii_case(b"8BITMIME").then_some(BodyType::EightBitMime)
    }
}

fn ret(value: &[u8]) -> Option<Ret> {
    if value.eq_ignore_ascii_case(b"FULL") {
        Some(Ret::Full)
    } else {
        value.eq_ignore_ascii_case(b"HDRS").then_some(Ret::Headers)
    }
}

fn bounded_xtext(value: &[u8], bytes_max: usize) -> Option<Box<str>> {
    if value.is_empty() || value.len() > bytes_max { None } else { xtext_decode(value) }
}

fn mail_auth(value: &[u8]) -> Option<MailAuth> {
    if value == b"<>" { Some(MailAuth::Unknown) } else { bounded_xtext(value, ORCPT_BYTES_MAX).map(MailAuth::Login) }
}

fn notify(value: &[u8]) -> Option<Notify> {
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Some(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in value.split(|b| *b == b',') {
        let flag = if word.eq_ignore_ascii_case(b"SUCCESS") {
            &mut notify.success
        } else if word.eq_ignore_ascii_case(b"FAILURE") {
            &mut notify.failure
        } else if word.eq_ignore_ascii_case(b"DELAY") {
            &mut notify.delay
        } else {
            return None; // NEVER stands alone
        };
        *flag = true;
    }
    Some(notify)
}

fn original_recipient(value: &[u8]) -> Option<OriginalRecipient> {
    if value.len() > ORCPT_BYTES_MAX {
        return None;
    }
    let semicolon = memchr::memchr(b';', value)?;
    let (kind, address) = (&value[..semicolon], &value[semicolon + 1..]);
    let atom = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    if kind.is_empty() || address.is_empty() || !kind.iter().all(atom) {
        return None;
    }
    let address = if kind.eq_ignore_ascii_case(OriginalRecipient::INTERNATIONAL.as_bytes()) {
        unitext_decode(std::str::from_utf8(address).ok()?)?
    } else {
        xtext_decode(address)?
    };
    Some(OriginalRecipient { address_type: String::from_utf8_lossy(kind).into(), address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::client::transaction::original_xtext;
    use crate::smtp::command::Command;

    fn mail(line: &str) -> Result<Mail, CommandError> {
        match Command::parse(line.as_bytes())? {
            Command::Mail(mail) => Ok(mail),
            other => panic!("{line} read as {other:?}"),
        }
    }

    fn rcpt(line: &str) -> Result<Rcpt, CommandError> {
        match Command::parse(line.as_bytes())? {
            Command::Rcpt(rcpt) => Ok(rcpt),
            other => panic!("{line} read as {other:?}"),
        }
    }

    #[test]
    fn reverse_paths() {
        use CommandError::{PathSyntax, ReversePath};
        let cases = [
            ("MAIL FROM:<>", Ok("")), // a DSN must pass, RFC 5321 4.5.5
            ("mail from:<a@example.org>", Ok("a@example.org")),
            ("MAIL FROM: <a@example.org>", Ok("a@example.org")), // many clients put a space there
            ("MAIL FROM:<@relay.example,@b.example:a@example.org>", Ok("a@example.org")), // RFC 5321 app. C
            ("MAIL FROM:<\"a>b\"@example.org>", Ok("\"a>b\"@example.org")), // a bracket in quotes is no end
            ("MAIL FROM:<\"a\\\">b\"@example.org>", Ok("\"a\\\">b\"@example.org")),
            ("MAIL FROM:<\"a b\"@example.org> SIZE=1", Ok("\"a b\"@example.org")),
            ("MAIL FROM:a@example.org", Err(PathSyntax)),
            ("MAIL FROM:<a@example.org", Err(PathSyntax)),
            ("MAIL FROM:<a@example.org>SIZE=1", Err(PathSyntax)),
            ("MAIL <a@example.org>", Err(PathSyntax)),
            ("MAIL", Err(PathSyntax)),
            ("MAIL TO:<a@example.org>", Err(PathSyntax)),
            ("MAIL FROM:<@relay.example>", Err(PathSyntax)),
            ("MAIL FROM:<a>", Err(ReversePath)),
            ("MAIL FROM:<a\x07@example.org>", Err(ReversePath)),
        ];
        for (line, expected) in cases {
            let got = mail(line).map(|m| m.reverse_path.as_str().to_string());
            assert_eq!(got, expected.map(str::to_string), "{line}");
        }
    }

    #[test]
    fn mail_parameters() {
        let all =
            mail("MAIL FROM:<a@b.example> SIZE=12 body=8bitmime SMTPUTF8 RET=hdrs ENVID=a+2Bb AUTH=c+40d.example")
                .unwrap();
        assert_eq!(all.size_bytes, Some(12));
        assert_eq!((all.body, all.smtputf8, all.ret), (BodyType::EightBitMime, true, Some(Ret::Headers)));
        assert_eq!(all.envid.as_deref(), Some("a+b"));
        assert_eq!(all.auth, Some(MailAuth::Login("c@d.example".into())));
        let cases = [
            ("SIZE=99999999999999999999", Ok(())), // more than fits is too large, not bad syntax
            ("SIZE=", Err(CommandError::ParameterValue)),
            ("SIZE=-1", Err(CommandError::ParameterValue)),
            ("SIZE", Err(CommandError::ParameterValue)),
            ("SIZE=1 SIZE=1", Err(CommandError::ParameterValue)),
            ("SMTPUTF8=yes", Err(CommandError::ParameterValue)),
            ("BODY=BINARYMIME", Err(CommandError::ParameterValue)), // needs BDAT, which is not offered
            ("RET=some", Err(CommandError::ParameterValue)),
            ("ENVID=a+0A", Err(CommandError::ParameterValue)), // a line break in a report
            ("AUTH=<>", Ok(())),
            ("FOO=bar", Err(CommandError::ParameterUnknown)),
            ("=x", Err(CommandError::ParameterUnknown)),
            ("NOTIFY=NEVER", Err(CommandError::ParameterUnknown)), // belongs to RCPT
        ];
        for (parameters, expected) in cases {
            assert_eq!(mail(&format!("MAIL FROM:<> {parameters}")).map(|_| ()), expected, "{parameters}");
        }
    }

    #[test]
    fn rcpt_lines() {
        use CommandError::{ForwardPath, ParameterUnknown, ParameterValue};
        let notify = |success, failure, delay| Some(Notify { success, failure, delay });
        let cases = [
            ("<a@b.example>", Ok(None)),
            ("<Postmaster>", Ok(None)), // RFC 5321 4.5.1
            ("<@r.example:a@b.example>", Ok(None)),
            ("<a@b.example> NOTIFY=NEVER", Ok(notify(false, false, false))),
            ("<a@b.example> NOTIFY=success,Delay", Ok(notify(true, false, true))),
            ("<a@b.example> NOTIFY=NEVER,DELAY", Err(ParameterValue)), // RFC 3461 4.1
            ("<a@b.example> NOTIFY=", Err(ParameterValue)),
            ("<a@b.example> NOTIFY", Err(ParameterValue)),
            ("<a@b.example> ORCPT=a@b.example", Err(ParameterValue)), // no type
            ("<a@b.example> ORCPT=rfc822;a+0Db@b.example", Err(ParameterValue)),
            ("<a@b.example> SIZE=1", Err(ParameterUnknown)),
            ("<>", Err(ForwardPath)), // nobody
            ("<someone>", Err(ForwardPath)),
        ];
        for (line, expected) in cases {
            assert_eq!(rcpt(&format!("RCPT TO:{line}")).map(|r| r.notify), expected, "{line}");
        }
    }

    #[test]
    fn original_recipients_leave_as_they_came() {
        let cases = [
            ("rfc822;a+2Bb@c.example", Some("a+b@c.example"), "a+2Bb@c.example"),
            ("utf-8;ü@c.example", Some("ü@c.example"), r"\x{FC}@c.example"),
            (r"utf-8;\x{FC}b@c.example", Some("üb@c.example"), r"\x{FC}b@c.example"),
            (
                r"UTF-8;\x{1F4E7}ü\x{5C}\x{2B}@c.example",
                Some(r"📧ü\+@c.example"),
                r"\x{1F4E7}\x{FC}\x{5C}\x{2B}@c.example",
            ),
            ("utf-8;a+b=c@c.example", Some("a+b=c@c.example"), r"a\x{2B}b\x{3D}c@c.example"), // a Mailbox as it is
            (r#"utf-8;"a\"b"@c.example"#, Some(r#""a\"b"@c.example"#), r#""a\x{5C}"b"@c.example"#), // a quoted pair
            (r"rfc822;\x{FC}b@c.example", Some(r"\x{FC}b@c.example"), r"\x{FC}b@c.example"),  // of another type: text
            (r"utf-8;a\x{0A}b@c.example", None, ""), // a line break in a report
            (r"utf-8;a\x{D800}b@c.example", None, ""),
            (r"utf-8;a\x{+41}b@c.example", None, ""),
            (r"utf-8;a\x{00000041}b@c.example", None, ""),
            (r"utf-8;a\x{41", None, ""),
            ("utf-8;a\x7fb@c.example", None, ""),
        ];
        for (value, address, leaves) in cases {
            let read = |value: &str| rcpt(&format!("RCPT TO:<x@y.example> ORCPT={value}")).ok()?.original;
            let original = read(value);
            assert_eq!(original.as_ref().map(|original| &*original.address), address, "{value}");
            let Some(original) = original else { continue };
            let sent = original_xtext(&original);
            assert_eq!(sent, leaves, "{value}");
            assert_eq!(
                read(&format!("{};{sent}", original.address_type)),
                Some(original),
                "the next of us reads the same"
            );
        }
    }
}
