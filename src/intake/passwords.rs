//! AUTH against a file of `user:$argon2id$…` lines.
//!
//! A check takes tens of milliseconds and megabytes, so it runs off the async threads, few at a time, and a client that
//! keeps failing is put off before one begins. Passwords and hashes appear in no error and no log.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use tokio::sync::Semaphore;

use super::limits::ClientKey;
use super::settings::AuthSettings;
use crate::clock::BootMs;
use crate::smtp::server::Credentials;

/// Where a login is looked for that nobody has: the answer must take as long as for one that exists.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$b3V0Z3VhcmQtbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// The largest password file, in bytes.
const FILE_BYTES_MAX: usize = 4 << 20;
/// How long a check waits for its turn.
const TURN: Duration = Duration::from_secs(10);
/// The span in which failures are counted.
const FAILURES_MS: u64 = 600_000;
/// How many clients' failures are remembered.
const CLIENTS_MAX: usize = 10_000;

/// The users and their hashes.
pub struct Passwords {
    hashes: HashMap<Box<str>, Box<str>>,
    turns: Arc<Semaphore>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.hashes.len()).finish_non_exhaustive()
    }
}

/// Why a password file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum PasswordFileError {
    /// It cannot be read.
    Read {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A line is no `user:$argon2id$…`.
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong, without the line's text.
        detail: &'static str,
    },
}

impl fmt::Display for PasswordFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, detail } => {
                write!(f, "{}: {detail}; the file is not used; is it readable for the service user?", path.display())
            }
            Self::Line { path, line, detail } => write!(
                f,
                "{}:{line}: {detail}; the file is not used; write user:$argon2id$…, one a line",
                path.display()
            ),
        }
    }
}

impl std::error::Error for PasswordFileError {}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Login and password belong together.
    Right,
    /// They do not.
    Wrong,
    /// Too many others wait: not checked.
    Busy,
}

impl Passwords {
    /// Reads the file.
    ///
    /// # Errors
    /// The first line that cannot be used; a file with one bad line is not used at all.
    pub fn load(settings: &AuthSettings) -> Result<Self, PasswordFileError> {
        let path = &settings.password_file;
        let read_error = |detail: String| PasswordFileError::Read { path: path.clone(), detail };
        let text = std::fs::read(path).map_err(|error| read_error(error.to_string()))?;
        if text.len() > FILE_BYTES_MAX {
            return Err(read_error(format!("longer than {} MiB", FILE_BYTES_MAX >> 20)));
        }
        let text = String::from_utf8(text).map_err(|_| read_error("is not UTF-8".into()))?;
        Ok(Self { hashes: parse(path, &text)?, turns: Arc::new(Semaphore::new(settings.checks_max.max(1))) })
    }

    /// Whether a user has that name.
    pub fn knows(&self, login: &str) -> bool {
        self.hashes.contains_key(login)
    }

    /// Checks a login, off this thread.
    pub async fn check(&self, credentials: Credentials) -> Checked {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned());
        let Ok(Ok(turn)) = turn.await else { return Checked::Busy };
        let hash = self.hashes.get(&credentials.login).map_or(NOBODY, AsRef::as_ref).to_owned();
        let check = tokio::task::spawn_blocking(move || {
            let right = PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(&credentials.password, &hash).is_ok());
            drop(turn);
            right
        });
        match check.await {
            Ok(true) => Checked::Right,
            Ok(false) => Checked::Wrong,
            Err(_) => Checked::Busy,
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<HashMap<Box<str>, Box<str>>, PasswordFileError> {
    let mut hashes = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |detail| PasswordFileError::Line { path: path.to_owned(), line: number + 1, detail };
        let (user, hash) = line.split_once(':').ok_or_else(|| fault("no colon"))?;
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(fault("no user before the colon"));
        }
        if !hash.starts_with("$argon2id$") || PasswordHash::new(hash).is_err() {
            return Err(fault("no argon2id hash behind the colon"));
        }
        if hashes.insert(user.into(), hash.into()).is_some() {
            return Err(fault("the user stands here twice"));
        }
    }
    Ok(hashes)
}

/// Who failed how often.
#[derive(Debug, Default)]
pub struct Failures {
    clients: Mutex<HashMap<ClientKey, Failed>>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    since: BootMs,
    times: u32,
}

impl Failed {
    fn is_past(&self, now: BootMs) -> bool {
        now.0.saturating_sub(self.since.0) >= FAILURES_MS
    }
}

impl Failures {
    /// Whether this client may try.
    pub fn may_try(&self, client: ClientKey, failures_max: u32, now: BootMs) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(&client).is_none_or(|failed| failed.times < failures_max || failed.is_past(now))
    }

    /// It failed.
    pub fn count(&self, client: ClientKey, now: BootMs) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            clients.retain(|_, failed| !failed.is_past(now));
            if clients.len() >= CLIENTS_MAX {
                clients.clear();
            }
        }
        let failed = clients.entry(client).or_insert(Failed { since: now, times: 0 });
        if failed.is_past(now) {
            *failed = Failed { since: now, times: 0 };
        }
        failed.times = failed.times.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;
    use argon2::{Algorithm, Params, Version};
    use zeroize::Zeroizing;

    use super::*;

    fn hash(password: &[u8]) -> String {
        let cheap = Params::new(8, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap);
        argon2.hash_password_with_salt(password, b"0123456789abcdef").unwrap().to_string()
    }

    fn credentials(login: &str, password: &str) -> Credentials {
        Credentials { login: login.into(), password: Zeroizing::new(password.as_bytes().to_vec()) }
    }

    #[tokio::test]
    async fn right_and_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        std::fs::write(&file, format!("# users\n\nann:{}\n", hash(b"right"))).unwrap();
        let passwords = Passwords::load(&AuthSettings::with_file(file)).unwrap();
        assert_eq!(passwords.check(credentials("ann", "right")).await, Checked::Right);
        assert_eq!(passwords.check(credentials("ann", "wrong")).await, Checked::Wrong);
        assert_eq!(passwords.check(credentials("bob", "right")).await, Checked::Wrong);
        assert!(PasswordHash::new(NOBODY).is_ok(), "or logins that exist would be found by time");
        assert!(!format!("{passwords:?}").contains("argon2id"));
    }

    #[test]
    fn bad_lines_name_their_place_and_nothing_else() {
        let good = hash(b"x");
        let cases = [
            ("ann", "no colon"),
            (":$argon2id$", "no user before the colon"),
            ("ann:secret", "no argon2id hash behind the colon"), // a password in the clear
            ("ann:$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "no argon2id hash behind the colon"),
            (&format!("ann:{good}\nann:{good}"), "the user stands here twice"),
        ];
        for (text, expected) in cases {
            let error = parse(Path::new("file"), text).unwrap_err();
            assert!(error.to_string().contains(expected) && !error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn who_keeps_failing_is_put_off_for_a_while() {
        let failures = Failures::default();
        let client = ClientKey::User(33);
        for n in 0..3 {
            assert!(failures.may_try(client, 3, BootMs(n)));
            failures.count(client, BootMs(n));
        }
        assert!(!failures.may_try(client, 3, BootMs(3)));
        assert!(failures.may_try(ClientKey::User(34), 3, BootMs(3)), "another client");
        assert!(failures.may_try(client, 3, BootMs(FAILURES_MS)));
        for n in 0..u32::try_from(CLIENTS_MAX).unwrap() + 10 {
            failures.count(ClientKey::User(n), BootMs(4));
        }
        assert!(failures.clients.lock().unwrap().len() <= CLIENTS_MAX);
    }
}
