//! Labelled mail from files: mbox, Maildir, folders of messages, and folders with a manifest.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xxhash_rust::xxh3::xxh3_64;

use super::TrainArguments;
use crate::cli::exit::Failed;
use crate::cli::mailbox::{absent, at, files_under, is_mbox, messages};
use crate::message::{Bounds, Message};
use crate::score::model::features::{Features, Words};
use crate::score::model::train::{Example, Header, Label};

/// Bytes of the longest message that is read.
const MESSAGE_BYTES_MAX: u64 = 32 << 20;
/// Without a manifest, one message in so many is kept apart for measuring.
const APART_ONE_IN: u64 = 5;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// To learn from.
    Train,
    /// To measure on.
    Apart,
}

/// One message found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) split: Split,
    /// Where it was read.
    pub(super) file: PathBuf,
    pub(super) example: Example,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) sources: Vec<String>,
    pub(super) messages: Vec<Found>,
}

/// Where one message is to be read.
struct Place {
    split: Option<Split>,
    label: Label,
    source: usize,
    header: Header,
    file: PathBuf,
}

/// Finds, reads and takes apart all that was asked for; several threads, in the order of the names.
pub(super) fn find(asked: &TrainArguments) -> Result<Mail, Failed> {
    let mut mail = Mail::default();
    let mut places = Vec::new();
    let mut unpacked = Vec::new();
    for (paths, label) in [(&asked.ham, Label::Ham), (&asked.spam, Label::Spam)] {
        for named in paths {
            let (name, path) = named.split_once('=').map_or((None, named.as_str()), |(name, path)| (Some(name), path));
            let path = Path::new(path);
            if !path.exists() {
                return Err(absent(path));
            }
            let last = path.file_name().map_or_else(|| named.clone(), |name| name.to_string_lossy().into_owned());
            let source = number(&mut mail.sources, name.unwrap_or(&last));
            let mut files = Vec::new();
            files_under(path, &mut files)?;
            places.extend(files.into_iter().map(|file| Place {
                split: None,
                label,
                source,
                header: Header::Real,
                file,
            }));
        }
    }
    for folder in &asked.corpus {
        if !folder.is_dir() {
            return Err(absent(folder));
        }
        let base = unpack(folder, &mut unpacked)?;
        from_manifest(&folder.join("manifest.csv"), &base, &mut mail.sources, &mut places)?;
    }
    let is_excluded = |source: usize| asked.exclude_source.iter().any(|name| *name == mail.sources[source]);
    places.retain(|place| !is_excluded(place.source));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = places.len().div_ceil(threads).max(1);
    let parts: Vec<io::Result<Vec<Found>>> = std::thread::scope(|scope| {
        let started: Vec<_> = places.chunks(share).map(|places| scope.spawn(|| read_all(places))).collect();
        let unread = || Err(io::Error::other("a thread that read mail ended early"));
        started.into_iter().map(|thread| thread.join().unwrap_or_else(|_| unread())).collect()
    });
    for part in parts {
        mail.messages.extend(part?);
    }
    for folder in unpacked {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(mail)
}

fn number(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// Where a corpus's files are: in the folder, or unpacked from its archives into a new one.
fn unpack(folder: &Path, unpacked: &mut Vec<PathBuf>) -> Result<PathBuf, Failed> {
    if folder.join("ham").is_dir() || folder.join("spam").is_dir() {
        return Ok(folder.to_owned());
    }
    let mut archives: Vec<PathBuf> =
        std::fs::read_dir(folder).map_err(at(folder))?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?;
    archives.retain(|path| path.to_string_lossy().ends_with(".tar.zst"));
    archives.sort();
    if archives.is_empty() {
        return Err(Failed::Usage { what: format!("{}: neither ham/ nor spam/ nor .tar.zst in it", folder.display()) });
    }
    let into = std::env::temp_dir().join(format!("outguard-train-{}", std::process::id()));
    std::fs::create_dir(&into)?;
    unpacked.push(into.clone());
    for archive in archives {
        let mut zstd = Command::new("zstd").args(["-dc", "--long=27"]).arg(&archive).stdout(Stdio::piped()).spawn()?;
        let from = zstd.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let tar = Command::new("tar").arg("-x").arg("-C").arg(&into).stdin(from).status()?;
        if !zstd.wait()?.success() || !tar.success() {
            return Err(Failed::Usage { what: format!("{}: zstd and tar could not unpack it", archive.display()) });
        }
    }
    Ok(into)
}

/// Reads the columns split, label, source, file and constructed of a manifest.
fn from_manifest(path: &Path, base: &Path, sources: &mut Vec<String>, places: &mut Vec<Place>) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path).map_err(at(path))?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| head.iter().position(|column| *column == name);
    let (Some(split), Some(label), Some(source), Some(file)) =
        (column("split"), column("label"), column("source"), column("file"))
    else {
        return Err(Failed::Usage { what: format!("{}: no columns split, label, source, file", path.display()) });
    };
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        let label = match cell(label) {
            "ham" => Label::Ham,
            "spam" => Label::Spam,
            _ => return Err(Failed::Usage { what: format!("{}: neither ham nor spam: {line}", path.display()) }),
        };
        let split = if cell(split) == "train" { Split::Train } else { Split::Apart };
        let header = match column("constructed").map(cell) {
            Some("yes") => Header::Constructed,
            _ => Header::Real,
        };
        let source = number(sources, cell(source));
        places.push(Place { split: Some(split), label, source, header, file: base.join(cell(file)) });
    }
    Ok(())
}

fn read_all(places: &[Place]) -> io::Result<Vec<Found>> {
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        if std::fs::metadata(&place.file).map_err(at(&place.file))?.len() > MESSAGE_BYTES_MAX
            && !is_mbox(&first_bytes(&place.file)?)
        {
            continue;
        }
        let bytes = std::fs::read(&place.file).map_err(at(&place.file))?;
        for message in messages(&bytes) {
            let read = Message::parse(message, &Bounds::default());
            let features = Features::of(&read, Words::Dropped);
            let apart = xxh3_64(message).is_multiple_of(APART_ONE_IN);
            found.push(Found {
                split: place.split.unwrap_or(if apart { Split::Apart } else { Split::Train }),
                file: place.file.clone(),
                example: Example { features, label: place.label, source: place.source, header: place.header },
            });
        }
    }
    Ok(found)
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut first = Vec::new();
    std::fs::File::open(path)?.take(5).read_to_end(&mut first)?;
    Ok(first)
}
