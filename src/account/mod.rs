//! Whose message it is: the account that a message is counted against, and how we know (design: Accounts).
//!
//! Pure: facts of the session and the header in, an account and its source out. What a message claims below the line that
//! the trusted client wrote is data, never identity. It never judges, counts or refuses. Start with [`resolve`], then
//! [`received`] (what an MTA's own Received field says), [`normal`] (one name for one sender) and [`rotation`] (many names
//! of one sender).

pub mod normal;
pub mod received;
pub mod resolve;
pub mod rotation;
pub mod settings;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use resolve::{PeerUser, Resolved, SessionFacts, Trust, Xforward, resolve};
pub use rotation::{Merge, Rotation};
pub use settings::{AccountSettings, LocalPart, RotationSettings};

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

    /// The account of a local user: a script, cron, a local peer of another uid.
    pub fn of_user(name: &str) -> Self {
        Self::named(&format!("uid:{name}"))
    }

    /// The account of a client that may relay and is not believed about anybody else.
    pub fn of_client(client: &str) -> Self {
        Self::named(&format!("client:{client}"))
    }

    /// The account of the reports that a client sends (null reverse-path).
    pub fn mailer_daemon(client: &str) -> Self {
        Self::named(&format!("mailer-daemon:{client}"))
    }

    /// The account that the rotating senders of one domain share.
    pub fn of_domain(domain: &str) -> Self {
        Self::named(&format!("@{domain}"))
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
    /// The client itself: one that may relay and is not believed about identity.
    Client,
    /// Made by outguard itself: DSNs and its own mail.
    Own,
}

impl AccountSource {
    /// Every source, in the default order of belief.
    pub const ALL: [Self; 10] = [
        Self::Login,
        Self::Xclient,
        Self::MailAuth,
        Self::Received,
        Self::LocalUser,
        Self::HeaderField,
        Self::ReversePath,
        Self::NullReversePath,
        Self::Client,
        Self::Own,
    ];

    /// The source of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }

    /// Whether the account was proven to us or to a trusted MTA, rather than claimed by the sender.
    pub const fn is_proven(self) -> bool {
        match self {
            Self::Login | Self::Xclient | Self::MailAuth | Self::Received | Self::LocalUser | Self::HeaderField => true,
            Self::ReversePath | Self::NullReversePath | Self::Client | Self::Own => false,
        }
    }

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
            Self::Client => "client",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for AccountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sources_are_the_same_everywhere() {
        for source in AccountSource::ALL {
            assert_eq!(AccountSource::named(source.as_str()), Some(source));
            assert_eq!(serde_json::to_value(source).unwrap(), source.as_str(), "the journal's word is the log's");
        }
    }

    #[test]
    fn names_are_bounded_and_clean() {
        assert_eq!(Account::named("a\nb").as_str(), "a?b");
        assert_eq!(Account::named(&"ü".repeat(600)).as_str().len(), Account::BYTES_MAX);
        assert_eq!(Account::of_user("www-data").domain(), None);
        assert_eq!(Account::named("a@b.example").domain(), Some("b.example"));
    }
}
