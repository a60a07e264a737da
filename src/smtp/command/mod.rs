//! One command line, read (RFC 5321 4.1, RFC 1870, 3207, 3461, 4954, 6152, 6531; XCLIENT and XFORWARD as Postfix has them).
//!
//! A line that reads is a [`Command`] that cannot hold anything invalid; a line that does not is a [`CommandError`] with
//! the reply it gets. Whether a command is in order, allowed or within limits is the session's to say.

pub mod attributes;
pub mod parameters;
pub mod path;

use crate::smtp::replies;
use crate::smtp::reply::Reply;

pub use attributes::{Attribute, ForwardAttributes, XclientAttributes};
pub use parameters::{Mail, MailAuth, Rcpt};
pub use path::Forward;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'l> {
    /// EHLO with the name that the client gives itself.
    Ehlo(&'l str),
    /// HELO with the name that the client gives itself.
    Helo(&'l str),
    /// MAIL.
    Mail(Mail),
    /// RCPT.
    Rcpt(Rcpt),
    /// DATA.
    Data,
    /// RSET.
    Rset,
    /// NOOP, with or without an argument.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY.
    Vrfy,
    /// HELP, with or without an argument.
    Help,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954 4).
    Auth {
        /// The mechanism as written.
        mechanism: &'l str,
        /// The initial response, still in base 64; `=` stands for an empty one.
        initial: Option<&'l [u8]>,
    },
    /// XCLIENT: a trusted client speaks for another.
    Xclient(XclientAttributes),
    /// XFORWARD: a trusted client tells where the next message came from.
    Xforward(ForwardAttributes),
}

/// Why a line is no command that can be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// No verb that we know.
    Unknown,
    /// A verb of some RFC that is not offered here: EXPN, BDAT, TURN and the like.
    NotImplemented,
    /// EHLO, HELO, VRFY or AUTH without their argument.
    ArgumentMissing,
    /// An argument where none may stand (RFC 5321 4.3.2, 501).
    ArgumentUnexpected,
    /// The line is no `MAIL FROM:<…>` or `RCPT TO:<…>`.
    PathSyntax,
    /// The reverse-path holds no address.
    ReversePath,
    /// The forward-path holds no address.
    ForwardPath,
    /// A parameter we do not know (RFC 5321 4.1.1.11).
    ParameterUnknown,
    /// A parameter given twice or with a value that it cannot have.
    ParameterValue,
    /// An attribute of XCLIENT or XFORWARD that is unknown or has a value that it cannot have.
    Attribute,
    /// Bytes that are neither printable ASCII nor UTF-8.
    Bytes,
}

impl CommandError {
    /// What the client is told.
    pub const fn reply(self) -> Reply {
        match self {
            Self::Unknown => replies::COMMAND_UNKNOWN,
            Self::NotImplemented => replies::COMMAND_NOT_IMPLEMENTED,
            Self::ArgumentMissing => replies::ARGUMENT_MISSING,
            Self::ArgumentUnexpected => replies::ARGUMENT_UNEXPECTED,
            Self::PathSyntax => replies::PATH_SYNTAX,
            Self::ReversePath => replies::REVERSE_PATH_SYNTAX,
            Self::ForwardPath => replies::FORWARD_PATH_SYNTAX,
            Self::ParameterUnknown => replies::PARAMETER_UNKNOWN,
            Self::ParameterValue => replies::PARAMETER_VALUE,
            Self::Attribute => replies::ATTRIBUTE_SYNTAX,
            Self::Bytes => replies::LINE_BYTES,
        }
    }
}

/// The longest name taken from EHLO or HELO, in bytes.
const HELO_BYTES_MAX: usize = 255;

impl<'l> Command<'l> {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(line: &'l [u8]) -> Result<Self, CommandError> {
        let line = line.trim_ascii_end();
        let verb_len = line.iter().position(|b| *b == b' ' || *b == b'\t').unwrap_or(line.len());
        let (verb, rest) = line.split_at(verb_len);
        let rest = rest.trim_ascii_start();
        if verb.len() > 8 {
            return Err(CommandError::Unknown);
        }
        let mut upper = [0; 8];
        upper[..verb.len()].copy_from_slice(verb);
        upper.make_ascii_uppercase();
        let bare = |command| if rest.is_empty() { Ok(command) } else { Err(CommandError::ArgumentUnexpected) };
        match &upper[..verb.len()] {
            b"EHLO" => helo_name(rest).map(Self::Ehlo),
            b"HELO" => helo_name(rest).map(Self::Helo),
            b"MAIL" => Mail::parse(rest).map(Self::Mail),
            b"RCPT" => Rcpt::parse(rest).map(Self::Rcpt),
            b"DATA" => bare(Self::Data),
            b"RSET" => bare(Self::Rset),
            b"QUIT" => bare(Self::Quit),
            b"STARTTLS" => bare(Self::StartTls),
            b"NOOP" => Ok(Self::Noop),
            b"HELP" => Ok(Self::Help),
            b"VRFY" if rest.is_empty() => Err(CommandError::ArgumentMissing),
            b"VRFY" => Ok(Self::Vrfy),
            b"AUTH" => auth(rest),
            b"XCLIENT" => XclientAttributes::parse(rest).map(Self::Xclient),
            b"XFORWARD" => ForwardAttributes::parse(rest).map(Self::Xforward),
            b"EXPN" | b"BDAT" | b"ETRN" | b"ATRN" | b"TURN" | b"SEND" | b"SOML" | b"SAML" | b"BURL" | b"LHLO" => {
                Err(CommandError::NotImplemented)
            }
            _ => Err(CommandError::Unknown),
        }
    }
}

/// The name in EHLO or HELO. Clients write all sorts of names here (RFC 5321 4.1.4 forbids to refuse for that), so it is
/// bounded and printable, and no more is asked of it.
fn helo_name(rest: &[u8]) -> Result<&str, CommandError> {
    if rest.is_empty() {
        return Err(CommandError::ArgumentMissing);
    }
    let name = std::str::from_utf8(rest).map_err(|_| CommandError::Bytes)?;
    if name.len() > HELO_BYTES_MAX || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(CommandError::ArgumentUnexpected);
    }
    Ok(name)
}

fn auth(rest: &[u8]) -> Result<Command<'_>, CommandError> {
    let mut words = rest.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(CommandError::ArgumentMissing)?;
    let mechanism = std::str::from_utf8(mechanism).map_err(|_| CommandError::Bytes)?;
    let initial = words.next();
    if words.next().is_some() {
        return Err(CommandError::ArgumentUnexpected);
    }
    Ok(Command::Auth { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs() {
        use CommandError::{ArgumentMissing, ArgumentUnexpected, Bytes, NotImplemented, Unknown};
        let cases: [(&[u8], Result<Command<'_>, CommandError>); 27] = [
            (b"EHLO mail.example", Ok(Command::Ehlo("mail.example"))),
            (b"ehlo  mail.example ", Ok(Command::Ehlo("mail.example"))), // verbs have no case, RFC 5321 2.4
            (b"EHLO [192.0.2.1]", Ok(Command::Ehlo("[192.0.2.1]"))),
            (b"EHLO my_host!", Ok(Command::Ehlo("my_host!"))), // no reason to refuse mail, RFC 5321 4.1.4
            (b"HELO", Err(ArgumentMissing)),
            (b"HELO a b", Err(ArgumentUnexpected)),
            (b"HELO a\x1b[2J", Err(ArgumentUnexpected)), // would be written into a header
            (b"HELO \xff", Err(Bytes)),
            (b"DATA", Ok(Command::Data)),
            (b"DATA now", Err(ArgumentUnexpected)),
            (b"RSET", Ok(Command::Rset)),
            (b"NOOP", Ok(Command::Noop)),
            (b"NOOP anything at all", Ok(Command::Noop)), // RFC 5321 4.1.1.9
            (b"QUIT", Ok(Command::Quit)),
            (b"HELP MAIL", Ok(Command::Help)),
            (b"VRFY someone", Ok(Command::Vrfy)),
            (b"VRFY", Err(ArgumentMissing)),
            (b"EXPN list", Err(NotImplemented)),
            (b"BDAT 12 LAST", Err(NotImplemented)),
            (b"STARTTLS", Ok(Command::StartTls)),
            (b"STARTTLS x", Err(ArgumentUnexpected)), // RFC 3207 4: no parameters
            (b"AUTH PLAIN", Ok(Command::Auth { mechanism: "PLAIN", initial: None })),
            (b"AUTH plain =", Ok(Command::Auth { mechanism: "plain", initial: Some(b"=") })),
            (b"AUTH PLAIN a b", Err(ArgumentUnexpected)),
            (b"", Err(Unknown)),
            (b"GET / HTTP/1.1", Err(Unknown)),
            (b"VERYLONGVERB", Err(Unknown)),
        ];
        for (line, expected) in cases {
            assert_eq!(Command::parse(line), expected, "{:?}", line.escape_ascii().to_string());
        }
    }
}
