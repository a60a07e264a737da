//! Real mail, where there is some: the archives of the labelled corpus in `../shared/corpus`, or in the folder that
//! `OUTGUARD_CORPUS` names. The programs `zstd` and `tar` unpack them into a temporary folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One message of the corpus. It is told by its name, never shown.
#[derive(Clone)]
pub(crate) struct Mail {
    /// Its place in the corpus: `label/source/file`.
    pub(crate) name: String,
    /// The message.
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// All messages of these archives, by name; says what is missing, and that it is skipped.
pub(crate) fn read(archives: &[&str]) -> Vec<Mail> {
    let root = root();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for archive in archives {
        if let Err(why) = unpack(&root.join(archive), folder.path()) {
            say(&format!("skipped: mail of {archive} in {}: {why} (set OUTGUARD_CORPUS)", root.display()));
        }
    }
    let mut mail = Vec::new();
    read_all(folder.path(), "", &mut mail);
    mail
}

fn say(what: &str) {
    println!("{what}");
}

fn unpack(archive: &Path, folder: &Path) -> io::Result<()> {
    fs::metadata(archive)?;
    let mut zstd = Command::new("zstd").args(["-dcq", "--long=27"]).arg(archive).stdout(Stdio::piped()).spawn()?;
    let stream = zstd.stdout.take().expect("it was asked for");
    let status = Command::new("tar").arg("-xC").arg(folder).stdin(stream).status()?;
    zstd.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("tar: {status}"))) }
}

fn read_all(folder: &Path, name: &str, mail: &mut Vec<Mail>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().display()));
        if path.is_dir() {
            read_all(&path, &name, mail);
        } else if let Ok(bytes) = fs::read(&path) {
            mail.push(Mail { name: name.trim_start_matches('/').to_owned(), bytes });
        }
    }
}

/// The folder of the corpus.
pub(crate) fn root() -> PathBuf {
    let named = std::env::var_os("OUTGUARD_CORPUS");
    named.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from)
}
