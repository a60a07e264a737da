//! Messages in files: one in a file, many in an mbox, a Maildir.

use std::io;
use std::path::{Path, PathBuf};

use super::exit::Failed;

/// There is nothing at that path.
pub(super) fn absent(path: &Path) -> Failed {
    Failed::Io(io::Error::new(io::ErrorKind::NotFound, format!("{}: there is no such file or folder", path.display())))
}

/// An error that says at which path it happened.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// All files under a path, in order of their names; of a Maildir those of `new` and `cur`.
pub(super) fn files_under(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let is_maildir = path.join("cur").is_dir() && path.join("new").is_dir();
    let mut inside: Vec<PathBuf> =
        std::fs::read_dir(path).map_err(at(path))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    inside.sort();
    for path in inside {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && (!is_maildir || matches!(&*name, "cur" | "new")) {
            files_under(&path, files)?;
        }
    }
    Ok(())
}

/// Whether these are the first bytes of an mbox.
pub(super) fn is_mbox(bytes: &[u8]) -> bool {
    bytes.starts_with(b"From ")
}

/// The messages of a file: those of an mbox, or the file itself. A `From ` line after an empty one begins each, if it ends in
/// a date (RFC 4155 appendix A): letters have lines that begin with the word.
pub(super) fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    if !is_mbox(bytes) {
        return vec![bytes];
    }
    let after_line = |at: usize| memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1);
    let mut messages = Vec::new();
    let mut from = after_line(0);
    for at in memchr::memmem::find_iter(bytes, b"\nFrom ") {
        let line_before = &bytes[..at];
        let is_after_empty = line_before.ends_with(b"\n") || line_before.ends_with(b"\n\r");
        if at >= from && is_after_empty && ends_in_date(&bytes[at + 1..after_line(at + 1)]) {
            messages.push(&bytes[from..=at]);
            from = after_line(at + 1);
        }
    }
    messages.push(&bytes[from..]);
    messages
}

/// Whether a line ends in a weekday and then day, month, time and year, in any order and with or without a time zone: as
/// `asctime` writes it (`Thu Jan  1 00:00:00 1970`), and as programs do that know better.
fn ends_in_date(line: &[u8]) -> bool {
    const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut day, mut month, mut time, mut year) = (0, 0, 0, 0);
    for word in line.trim_ascii_end().rsplit(|byte| *byte == b' ').filter(|word| !word.is_empty()).take(DATE_WORDS_MAX)
    {
        let Ok(word) = std::str::from_utf8(word) else { return false };
        if WEEKDAYS.contains(&word.trim_end_matches(',')) {
            return [day, month, time, year] == [1; 4];
        }
        let is_digits = word.bytes().all(|byte| byte.is_ascii_digit());
        match word.len() {
            1 | 2 if is_digits => day += 1,
            4 if is_digits => year += 1,
            3 if MONTHS.contains(&word) => month += 1,
            _ if word.contains(':') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') => time += 1,
            _ if is_zone(word) => {}
            _ => return false,
        }
    }
    false
}

/// `+0100`, `CET`, `(CET)`, `GMT+1`.
fn is_zone(word: &str) -> bool {
    let is_of_zones = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"+-():".contains(&byte);
    word.len() <= 8 && word.bytes().all(is_of_zones)
}

/// Words of a date, with two for time zones.
const DATE_WORDS_MAX: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_end_in_a_date() {
        let cases = [
            ("From ann@example.org Thu Jan  1 00:00:00 1970", true), // RFC 4155
            ("From ann@example.org Sat Nov 21 10:00:00 2026\r", true),
            ("From - Mon Sep  7 09:01:02 2009", true),                // Mozilla
            ("From ???@??? Mon Sep 07 09:01:02 2009", true),          // Eudora
            ("From 15@xxx Mon Sep 07 09:01:02 +0000 2009", true),     // Gmail
            ("From ann at example.org  Thu Jan  1 00:00 1970", true), // Mailman, without seconds
            ("From ann@example.org Thu Jan  1 00:00:00 CET 1970", true),
            ("From ann@example.org Thu, 1 Jan 1970 00:00:00 +0100 (CET)", true),
            ("From the desk of Bob", false),
            ("From Monday on we are closed.", false),
            ("From Mon to Fri, 10:00 to 12:00", false),
            ("From Sat Nov 21 2026 on, 10:00 every day", false), // all of a date, and more
            ("From Sat Nov 21 2026", false),                     // no time
            ("From ", false),
        ];
        for (line, expected) in cases {
            let mbox = format!("From x\nSubject: a\n\nHello\n\n{line}\nSubject: b\n\nBye\n");
            assert_eq!(messages(mbox.as_bytes()).len(), if expected { 2 } else { 1 }, "{line}");
        }
    }
}
