//! The logins at a smarthost and who uses which, as a file of three words a line.
//!
//! ```text
//! # whose mail             user                   password (the rest of the line)
//! alice@example.org        alice@example.org      correct horse
//! @example.net             mailbox@example.net    battery staple
//! *                        relay@example.org      all others
//! ```
//! The first word is an account, `@` and the domain of the header From (RFC 5322 3.6.2), or `*` for all others. The
//! account is looked for first, then the domain, then `*`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::mail::Domain;
use crate::secret::Secret;

/// A user and password at a smarthost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user, which is also the name that limits are counted by.
    pub user: String,
    /// What is told to nobody but the smarthost, and only over TLS.
    pub password: Secret,
}

impl Login {
    /// The domain of a user that is an address, in its comparable form.
    pub fn domain(&self) -> Option<Box<str>> {
        match Domain::parse(self.user.rsplit_once('@')?.1).ok()? {
            Domain::Name(name) => Some(name),
            Domain::Literal(_) => None,
        }
    }
}

/// Who uses which login.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// By the first word of the line, in lower case.
    by_key: HashMap<Box<str>, Arc<Login>>,
}

/// Which login a message uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The route logs in as nobody.
    NoneNeeded,
    /// This one.
    Login(Arc<Login>),
    /// The route has logins, but none for this message.
    NoneFits,
}

/// Why a text is not a credentials file. It never repeats the line: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A line of fewer than three words.
    #[error("line {line}: write whose mail, the user and the password, parted by spaces")]
    Incomplete {
        /// Counted from one.
        line: usize,
    },
    /// The same first word twice.
    #[error("line {line}: a login for the same mail stands above")]
    Twice {
        /// Counted from one.
        line: usize,
    },
    /// More than [`Credentials::LOGINS_MAX`].
    #[error("more than {} logins", Credentials::LOGINS_MAX)]
    TooMany,
    /// Not UTF-8, or a control character.
    #[error("line {line}: a control character, or text that is not UTF-8")]
    Text {
        /// Counted from one.
        line: usize,
    },
    /// Lines, but no login.
    #[error("the file names no login")]
    Empty,
}

impl Credentials {
    /// The most logins in one file.
    pub const LOGINS_MAX: usize = 100_000;

    /// One login for all mail.
    pub fn for_all(login: Login) -> Self {
        Self { by_key: HashMap::from([("*".into(), Arc::new(login))]) }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first line that cannot be read; the text itself is never repeated.
    pub fn parse(text: &[u8]) -> Result<Self, CredentialsError> {
        let mut by_key = HashMap::new();
        for (at, line) in text.split(|&b| b == b'\n').enumerate() {
            let fault_line = at + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = std::str::from_utf8(line).map_err(|_| CredentialsError::Text { line: fault_line })?;
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(CredentialsError::Text { line: fault_line });
            }
            let word = |text: &'_ str| text.find([' ', '\t']).ok_or(CredentialsError::Incomplete { line: fault_line });
            let (key, rest) = line.split_at(word(line)?);
            let rest = rest.trim_start_matches([' ', '\t']);
            let (user, password) = rest.split_at(word(rest)?);
            let password = Secret::new(password.trim_start_matches([' ', '\t']).as_bytes().to_vec());
            let login = Arc::new(Login { user: user.to_owned(), password });
            if by_key.insert(key.to_lowercase().into_boxed_str(), login).is_some() {
                return Err(CredentialsError::Twice { line: fault_line });
            }
            if by_key.len() > Self::LOGINS_MAX {
                return Err(CredentialsError::TooMany);
            }
        }
        if by_key.is_empty() { Err(CredentialsError::Empty) } else { Ok(Self { by_key }) }
    }

    /// Whether there is no login at all.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The login for the mail of an account, or for the domain of its header From.
    pub fn choose(&self, account: &str, from_domain: Option<&str>) -> Choice {
        if self.is_empty() {
            return Choice::NoneNeeded;
        }
        let by_domain =
            || from_domain.and_then(|domain| self.by_key.get(format!("@{}", domain.to_lowercase()).as_str()));
        let found =
            self.by_key.get(account.to_lowercase().as_str()).or_else(by_domain).or_else(|| self.by_key.get("*"));
        found.map_or(Choice::NoneFits, |login| Choice::Login(login.clone()))
    }

    /// The domains of whose mail there is a login, of addresses too.
    pub fn sender_domains(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().filter_map(|key| Some(key.rsplit_once('@')?.1))
    }

    /// The users, one as often as there are lines with it.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.by_key.values().map(|login| login.user.as_str())
    }

    /// Whose mail goes by which user, in order.
    pub(in crate::delivery) fn outline(&self) -> Vec<(&str, &str)> {
        let mut users: Vec<(&str, &str)> = self.by_key.iter().map(|(key, login)| (&**key, &*login.user)).collect();
        users.sort_unstable();
        users
    }

    /// Every login, by user.
    pub(in crate::delivery) fn by_user(&self) -> HashMap<String, Arc<Login>> {
        self.by_key.values().map(|login| (login.user.clone(), login.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(choice: Choice) -> Option<String> {
        match choice {
            Choice::Login(login) => Some(login.user.clone()),
            Choice::NoneNeeded | Choice::NoneFits => None,
        }
    }

    #[test]
    fn account_then_domain_then_all() {
        let file = b"# mail\r\nalice@example.org\talice  pass word \r\n@Example.net net n\n\n* all a\n";
        let credentials = Credentials::parse(file).unwrap();
        let cases = [
            ("alice@example.org", Some("example.net"), "alice"), // the account is the nearer word
            ("bob@example.org", Some("EXAMPLE.net"), "net"),
            ("bob@example.org", Some("sub.example.net"), "all"), // a subdomain is another domain
            ("bob@example.org", None, "all"),
        ];
        for (account, domain, expected) in cases {
            assert_eq!(user(credentials.choose(account, domain)).as_deref(), Some(expected), "{account} {domain:?}");
        }
        let Choice::Login(alice) = credentials.choose("alice@example.org", None) else { panic!("no login") };
        assert_eq!(alice.password.reveal(), b"pass word");
    }

    #[test]
    fn what_fits_nobody_and_what_is_no_file() {
        let one = Credentials::parse(b"@example.org u p").unwrap();
        assert_eq!(one.choose("a", Some("example.com")), Choice::NoneFits);
        assert_eq!(Credentials::default().choose("a", None), Choice::NoneNeeded);
        let cases: [(&[u8], CredentialsError); 5] = [
            (b"* user", CredentialsError::Incomplete { line: 1 }),
            (b"\n* a b\n* c d", CredentialsError::Twice { line: 3 }),
            (b"* a b\x07", CredentialsError::Text { line: 1 }),
            (b"\xff", CredentialsError::Text { line: 1 }),
            (b"# nothing\n", CredentialsError::Empty),
        ];
        for (text, expected) in cases {
            assert_eq!(Credentials::parse(text), Err(expected), "{text:?}");
        }
    }
}
