//! Messages in files: one in a file, many in an mbox, a Maildir.

use std::io;
use std::path::{Path, PathBuf};

use super::exit::Failed;

/// There is nothing at that path.
pub(super) fn absent(path: &Path) -> Failed {
    Failed::Io(io::Error::new(io::ErrorKind::NotFound, format!("{}: there is no such file or folder", path.display())))
}

/// All files under a path, in order of their names; of a Maildir those of `new` and `cur`.
pub(super) fn files_under(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let is_maildir = path.join("cur").is_dir() && path.join("new").is_dir();
    let mut inside: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
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

/// The messages of a file: those of an mbox (a `From ` line after an empty one begins each), or the file itself.
pub(super) fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    if !is_mbox(bytes) {
        return vec![bytes];
    }
    let after_line = |at: usize| memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1);
    let mut messages = Vec::new();
    let mut from = after_line(0);
    for at in memchr::memmem::find_iter(bytes, b"\nFrom ") {
        let line_before = &bytes[..at];
        if at >= from && (line_before.ends_with(b"\n") || line_before.ends_with(b"\n\r")) {
            messages.push(&bytes[from..=at]);
            from = after_line(at + 1);
        }
    }
    messages.push(&bytes[from..]);
    messages
}
