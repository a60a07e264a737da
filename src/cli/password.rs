//! `outguard password`.

use std::io::{BufRead, IsTerminal as _, Read as _, Write};

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;

use super::arguments::PasswordArguments;
use super::exit::Failed;

/// The longest password, in bytes: what AUTH takes in one line.
const PASSWORD_BYTES_MAX: u64 = 1_024;

/// Reads one line and prints `user:hash`.
pub(super) fn run(asked: &PasswordArguments, from: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), Failed> {
    if asked.user.is_empty() || asked.user.contains(':') || asked.user.chars().any(char::is_control) {
        return Err(Failed::Usage { what: "a user's name is not empty, and has no colon or control character".into() });
    }
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr().lock(), "Password (shown as you type): "); // a prompt only
    }
    let mut line = String::new();
    from.take(PASSWORD_BYTES_MAX + 2).read_line(&mut line)?;
    let password = zeroize::Zeroizing::new(line);
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.len() as u64 > PASSWORD_BYTES_MAX {
        return Err(Failed::Usage { what: format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes, in one line") });
    }
    let mut salt = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(writeln!(out, "{}:{hash}", asked.user)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(user: &str, typed: &str) -> Result<String, Failed> {
        let mut out = Vec::new();
        let asked = PasswordArguments { user: user.into() };
        run(&asked, &mut typed.as_bytes(), &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_line_for_the_file() {
        use argon2::password_hash::PasswordVerifier as _;
        use argon2::password_hash::phc::PasswordHash;
        let line = made("alice@example.org", "secret word\n").unwrap();
        let (user, hash) = line.trim_end().split_once(':').unwrap();
        assert_eq!(user, "alice@example.org");
        let hash = PasswordHash::new(hash).unwrap();
        Argon2::default().verify_password(b"secret word", &hash).unwrap();
        assert!(Argon2::default().verify_password(b"secret word\n", &hash).is_err());
        for (user, typed) in [("a:b", "x\n"), ("", "x\n"), ("a", "\n"), ("a", "")] {
            assert!(matches!(made(user, typed), Err(Failed::Usage { .. })), "{user:?} {typed:?}");
        }
    }
}
