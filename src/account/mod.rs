//! Whose message it is: the account that a message is counted against, and how we know (design: Accounts).
//!
//! Pure: facts of the session and the header in, an account and its source out. What a message claims below the line that
//! the trusted client wrote is data, never identity. Start with [`AccountSource`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A name that messages are counted against, in its normal form (domain in lower case and A-label, local part reduced
/// to its stable part), at most [`Account::BYTES_MAX`] bytes, free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account(Arc<str>);

impl Account {
    /// The longest name of an account, in bytes.
    pub const BYTES_MAX: usize = 512;

    /// The account of that name. Control characters become `?`, what is too long is cut.
    pub fn named(name: &str) -> Self {
        if name.len() <= Self::BYTES_MAX && !name.chars().any(char::is_control) {
            return Self(name.into());
        }
        let mut clean = String::new();
        for c in name.chars() {
            if clean.len() + c.len_utf8() > Self::BYTES_MAX {
                break;
            }
            clean.push(if c.is_control() { '?' } else { c });
        }
        Self(clean.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain, where the name is an address.
    pub fn domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, domain)| domain)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the account of a message is known, in the default order of belief.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountSource {
    /// Our own AUTH.
    Login,
    /// `XCLIENT LOGIN=` of a trusted client.
    Xclient,
    /// `MAIL FROM:<…> AUTH=` of a trusted client (RFC 4954 5).
    MailAuth,
    /// "(Authenticated sender: …)" in the MTA's own Received field.
    Received,
    /// "(from userid …)" in that field, or the uid of the process that connected.
    LocalUser,
    /// A header field that the operator named.
    HeaderField,
    /// The reverse-path.
    ReversePath,
    /// The null reverse-path: the client's `mailer-daemon` account.
    NullReversePath,
    /// Made by outguard itself: DSNs and its own mail.
    Own,
}

impl AccountSource {
    /// The word that log, page and store use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Xclient => "xclient",
            Self::MailAuth => "mail-auth",
            Self::Received => "received",
            Self::LocalUser => "local-user",
            Self::HeaderField => "header-field",
            Self::ReversePath => "reverse-path",
            Self::NullReversePath => "null-reverse-path",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for AccountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
