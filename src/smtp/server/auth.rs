//! The AUTH exchange: PLAIN (RFC 4616) and LOGIN, over RFC 4954.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::smtp::replies;
use crate::smtp::reply::{Prompt, Reply, Text};

/// The longest login or password, in bytes.
const WORD_BYTES_MAX: usize = 255;

/// What a client gave to be known by. The password is wiped when this is dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who it says it is, free of control characters.
    pub login: Box<str>,
    /// The proof.
    pub password: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("login", &self.login).finish_non_exhaustive()
    }
}

/// An exchange that waits for a line of the client.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword { login: Box<str> },
}

/// Where an exchange goes.
pub(super) enum AuthStep {
    Ask(Prompt, Exchange),
    Check(Credentials),
    Refuse(Reply),
}

impl Exchange {
    /// Begins with what stood in the AUTH command.
    pub(super) fn start(mechanism: &str, initial: Option<&[u8]>) -> AuthStep {
        let (first, question) = if mechanism.eq_ignore_ascii_case("PLAIN") {
            (Self::Plain, "")
        } else if mechanism.eq_ignore_ascii_case("LOGIN") {
            (Self::LoginName, "VXNlcm5hbWU6") // "Username:"
        } else {
            return AuthStep::Refuse(replies::AUTH_MECHANISM);
        };
        match initial {
            None => AuthStep::Ask(Prompt::Challenge(Text::made(question)), first),
            Some(b"=") => first.response(b""), // an empty response, RFC 4954 4
            Some(initial) => first.response(initial),
        }
    }

    /// Goes on with the client's next line.
    pub(super) fn response(self, line: &[u8]) -> AuthStep {
        if line == b"*" {
            return AuthStep::Refuse(replies::AUTH_CANCELLED);
        }
        let Some(answer) = decode(line) else { return AuthStep::Refuse(replies::AUTH_SYNTAX) };
        let step = match self {
            Self::Plain => plain(&answer).map(AuthStep::Check),
            Self::LoginName => login_name(&answer).map(|login| {
                let question = Text::fixed("UGFzc3dvcmQ6"); // "Password:"
                AuthStep::Ask(Prompt::Challenge(question), Self::LoginPassword { login })
            }),
            Self::LoginPassword { login } => {
                password(&answer).map(|password| AuthStep::Check(Credentials { login, password }))
            }
        };
        step.unwrap_or(AuthStep::Refuse(replies::AUTH_SYNTAX))
    }
}

fn decode(line: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // Sized beforehand: a vector that grows would leave copies of the password behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(line.len())));
    STANDARD.decode_vec(line, &mut answer).ok()?;
    Some(answer)
}

/// `[authzid] NUL authcid NUL password` (RFC 4616 2). To act for another one is not offered, so an authzid must be the
/// authcid.
fn plain(answer: &[u8]) -> Option<Credentials> {
    let mut parts = answer.split(|b| *b == 0);
    let (acting_as, login, secret) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (!acting_as.is_empty() && acting_as != login) {
        return None;
    }
    Some(Credentials { login: login_name(login)?, password: password(secret)? })
}

fn login_name(name: &[u8]) -> Option<Box<str>> {
    let name = std::str::from_utf8(name).ok()?;
    let sound = !name.is_empty() && name.len() <= WORD_BYTES_MAX && !name.chars().any(char::is_control);
    sound.then(|| name.into())
}

fn password(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    (1..=WORD_BYTES_MAX).contains(&secret.len()).then(|| Zeroizing::new(secret.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses() {
        type Case = (&'static str, &'static [u8], Option<(&'static str, &'static str)>);
        let cases: [Case; 10] = [
            ("PLAIN", b"\0user\0secret", Some(("user", "secret"))),
            ("plain", b"user\0user\0secret", Some(("user", "secret"))),
            ("PLAIN", b"other\0user\0secret", None), // acting for another one
            ("PLAIN", b"\0user\0", None),
            ("PLAIN", b"\0\0secret", None),
            ("PLAIN", b"user\0secret", None),
            ("PLAIN", b"\0user\0secret\0", None),
            ("PLAIN", b"\0us\ner\0secret", None), // would be written into a header
            ("PLAIN", b"\0\xff\0secret", None),
            ("CRAM-MD5", b"\0user\0secret", None),
        ];
        for (mechanism, response, expected) in cases {
            let step = Exchange::start(mechanism, Some(STANDARD.encode(response).as_bytes()));
            let got = match step {
                AuthStep::Check(c) => Some((c.login.to_string(), String::from_utf8(c.password.to_vec()).unwrap())),
                AuthStep::Ask(..) | AuthStep::Refuse(_) => None,
            };
            assert_eq!(got, expected.map(|(l, p)| (l.to_string(), p.to_string())), "{mechanism} {response:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let AuthStep::Check(credentials) = Exchange::start("PLAIN", Some(b"AHVzZXIAc2VjcmV0")) else { panic!() };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
