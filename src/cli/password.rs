//! `outguard password`.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd};

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::arguments::PasswordArguments;
use super::exit::Failed;

/// The longest password, in bytes: what AUTH takes in one line.
const PASSWORD_BYTES_MAX: u64 = 1_024;
/// What Ctrl-C types where it is no signal.
const CTRL_C: u8 = 3;

/// Reads a password, twice and unseen where people type it, and prints `user:hash`.
pub(super) fn run(asked: &PasswordArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let stdin = io::stdin();
    let from = &mut stdin.lock();
    if stdin.is_terminal() {
        hash(asked, || typed(stdin.as_fd(), from, &mut io::stderr().lock()), out)
    } else {
        hash(asked, || line(from), out)
    }
}

fn hash(
    asked: &PasswordArguments,
    password: impl FnOnce() -> Result<Zeroizing<String>, Failed>,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    if asked.user.is_empty() || asked.user.contains(':') || asked.user.chars().any(char::is_control) {
        return Err(usage("a user's name is not empty, and has no colon or control character"));
    }
    let password = password()?;
    if password.is_empty() || password.len() as u64 > PASSWORD_BYTES_MAX {
        return Err(usage(&format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes, in one line")));
    }
    let mut salt = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(writeln!(out, "{}:{hash}", asked.user)?)
}

fn usage(what: &str) -> Failed {
    Failed::Usage { what: what.to_owned() }
}

/// One line without its end.
fn line(from: &mut dyn BufRead) -> Result<Zeroizing<String>, Failed> {
    let mut line = Zeroizing::new(String::new());
    from.take(PASSWORD_BYTES_MAX + 2).read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

/// One line of a terminal, which Ctrl-C ends too: then it is nobody's password.
fn typed_line(from: &mut dyn BufRead) -> Result<Zeroizing<String>, Failed> {
    let mut typed = Zeroizing::new(Vec::new());
    let mut byte = [0];
    while typed.len() as u64 <= PASSWORD_BYTES_MAX && from.read(&mut byte)? == 1 && byte[0] != b'\n' {
        if byte[0] == CTRL_C {
            return Err(usage("nothing was typed to the end"));
        }
        typed.push(byte[0]);
    }
    line(&mut typed.as_slice())
}

/// A line that somebody types at a terminal, asked for twice, as nobody sees what is typed.
fn typed(terminal: BorrowedFd<'_>, from: &mut dyn BufRead, to: &mut dyn Write) -> Result<Zeroizing<String>, Failed> {
    let unseen = Unseen::begin(terminal)?;
    let mut ask = |prompt: &str| {
        write!(to, "{prompt}")?;
        to.flush()?;
        let line = typed_line(from);
        writeln!(to)?;
        line
    };
    let first = ask("Password: ")?;
    let second = ask("Again: ")?;
    drop(unseen);
    if first == second { Ok(first) } else { Err(usage("the two passwords differ")) }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Unseen<'t> {
    terminal: BorrowedFd<'t>,
    before: Termios,
}

impl<'t> Unseen<'t> {
    fn begin(terminal: BorrowedFd<'t>) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut unseen = before.clone();
        // Ctrl-C would end the process and leave the terminal as it is: it ends the line instead.
        unseen.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        unseen.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C;
        tcsetattr(terminal, SetArg::TCSAFLUSH, &unseen)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::BufReader;

    use super::*;

    fn made(user: &str, typed: &str) -> Result<String, Failed> {
        let mut out = Vec::new();
        let asked = PasswordArguments { user: user.into() };
        hash(&asked, || line(&mut typed.as_bytes()), &mut out).map(|()| String::from_utf8(out).unwrap())
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

    /// Types at a prompt once it stands there, as `TCSAFLUSH` throws away what was typed before.
    struct Typist {
        master: File,
        lines: Vec<&'static str>,
    }

    impl Write for Typist {
        fn write(&mut self, prompt: &[u8]) -> io::Result<usize> {
            if prompt.ends_with(b": ") {
                self.master.write_all(self.lines.remove(0).as_bytes())?;
            }
            Ok(prompt.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is read when that is typed, and what the terminal has shown of it.
    fn at_a_terminal(lines: &[&'static str]) -> (Result<String, Failed>, String) {
        let pair = nix::pty::openpty(None, None).unwrap();
        let (master, slave) = (File::from(pair.master), File::from(pair.slave));
        let before = tcgetattr(&slave).unwrap().local_flags;
        let mut typist = Typist { master: master.try_clone().unwrap(), lines: lines.to_vec() };
        let read = typed(slave.as_fd(), &mut BufReader::new(slave.try_clone().unwrap()), &mut typist);
        assert_eq!(tcgetattr(&slave).unwrap().local_flags, before, "as it was");
        // What is typed now is shown again, so that there is an end to read to.
        typist.master.write_all(b"seen\n").unwrap();
        let mut shown = String::new();
        let mut reader = BufReader::new(master);
        reader.read_line(&mut shown).unwrap();
        (read.map(|read| read.to_string()), shown)
    }

    #[test]
    fn what_is_typed_is_not_shown() {
        let (read, shown) = at_a_terminal(&["secret word\n", "secret word\n"]);
        assert_eq!(read.unwrap(), "secret word");
        assert_eq!(shown, "seen\r\n");

        let (read, shown) = at_a_terminal(&["secret\n", "sekret\n"]);
        assert!(matches!(read, Err(Failed::Usage { .. })), "{read:?}");
        assert_eq!(shown, "seen\r\n");

        // Ctrl-C: no line end is needed.
        let (read, shown) = at_a_terminal(&["sec\u{3}"]);
        assert!(matches!(read, Err(Failed::Usage { .. })), "{read:?}");
        assert_eq!(shown, "seen\r\n");
    }
}
