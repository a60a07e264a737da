//! What is learned of the files inside an archive.

use std::collections::HashSet;

use super::charset;
use super::ending::{ending, packed_ending};

/// How long a name may be that is kept, in bytes: of a longer one the end, which says what it is.
const NAME_BYTES_MAX: usize = 255;
/// How much of a name is looked at for its ending, in bytes.
const ENDING_BYTES_MAX: usize = 48;
/// The longest ending that says what a file is, in bytes.
const KIND_BYTES_MAX: usize = 20;
/// How many different endings are kept. No honest archive has so many; past them something may hide.
pub const ENDINGS_MAX: usize = 1_000;

/// Names of the files inside, and what they say of the archive.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The first names, each once, and behind them one for each further ending: a program behind a hundred texts is kept.
    pub(super) names: Vec<String>,
    /// Whether a file, or the list itself, is encrypted.
    pub(super) encrypted: bool,
    /// Whether there is more inside than was looked at.
    pub(super) cut: bool,
    /// What all names say together, those that were not kept among them.
    pub(super) inside: Inside,
    endings: HashSet<String>,
    names_max: usize,
}

/// Files that make a zip archive something else.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// The parts of an Office document.
    pub(super) document: bool,
    /// Its macros.
    pub(super) macros: bool,
    /// What Java or Android runs.
    pub(super) program: bool,
}

impl Listing {
    /// An empty list with room for that many names.
    pub(super) fn new(names_max: usize) -> Self {
        Self { names_max, ..Self::default() }
    }

    /// Adds a name, its bytes read as UTF-8 or windows-1252, control characters shown as replaced.
    pub(super) fn add(&mut self, name: &[u8]) {
        let name = without_blanks(name);
        if name.is_empty() {
            return;
        }
        self.inside.note(name);
        let is_new = self.is_new_ending(name);
        if self.names.len() >= self.names_max && !is_new {
            return;
        }
        let text = charset::guess(end(name, NAME_BYTES_MAX));
        let name = text.replace(char::is_control, "\u{fffd}");
        // With an ending of its own it cannot stand there yet.
        if is_new || !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// Whether no name before it ends so, what is packed in it counted too.
    fn is_new_ending(&mut self, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(end(name, ENDING_BYTES_MAX));
        let mut last = kind(ending(&name));
        if let Some(packed) = packed_ending(&name) {
            last = format!("{}.{last}", kind(packed));
        }
        if self.endings.contains(&last) {
            return false;
        }
        if self.endings.len() >= ENDINGS_MAX {
            self.cut = true;
            return false;
        }
        self.endings.insert(last)
    }
}

impl Inside {
    fn note(&mut self, path: &[u8]) {
        let is = |known: &[u8]| path.eq_ignore_ascii_case(known);
        let ends = |known: &[u8]| end(path, known.len()).eq_ignore_ascii_case(known);
        let starts = |known: &[u8]| path.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
        self.document |= is(b"[content_types].xml") || is(b"content.xml") || is(b"mimetype");
        self.macros |= ends(b"vbaproject.bin") || starts(b"basic/");
        self.program |= is(b"meta-inf/manifest.mf") || is(b"androidmanifest.xml") || ends(b".class");
    }
}

/// An ending that may say what a file is. Numbers of a series, letters of a mailbox, pages of a site with their questions, and
/// what stands behind the dot of a folder say nothing: they count as one.
fn kind(ending: String) -> String {
    let says = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_kind =
        ending.len() <= KIND_BYTES_MAX && ending.bytes().all(says) && !ending.bytes().all(|b| b.is_ascii_digit());
    if is_kind { ending } else { String::new() }
}

/// The name without the blanks and dots at its end, which Windows takes off: behind a thousand of them stands what it is.
fn without_blanks(mut name: &[u8]) -> &[u8] {
    let is_utf8 = std::str::from_utf8(name).is_ok();
    loop {
        let shorter = match name {
            [rest @ .., b' ' | b'.'] | [rest @ .., 0xc2, 0xa0] => rest,
            [rest @ .., 0xa0] if !is_utf8 => rest,
            _ => return name,
        };
        name = shorter;
    }
}

/// The last bytes of a name, at most so many.
fn end(name: &[u8], bytes_max: usize) -> &[u8] {
    &name[name.len().saturating_sub(bytes_max)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[String]) -> Listing {
        let mut listing = Listing::new(100);
        for name in names {
            listing.add(name.as_bytes());
        }
        listing
    }

    fn numbered(count: usize, ending: &str) -> Vec<String> {
        (0..count).map(|n| format!("{n}{ending}")).collect()
    }

    /// A program behind a hundred texts was not kept, and the archive passed.
    #[test]
    fn each_ending_is_kept() {
        let mut names = numbered(5_000, ".txt");
        names.extend(numbered(5_000, ".txt.gz"));
        names.extend(["setup.exe", "a.exe.gz", "later.exe"].map(str::to_owned));
        let listing = listed(&names);
        assert_eq!(listing.names[100..], ["0.txt.gz", "setup.exe", "a.exe.gz"]);
        assert!(!listing.cut);
        // The end of a name says what it is, however long it is.
        let long = listed(&["a".repeat(300) + ".exe"]);
        assert!(long.names[0].len() == 255 && long.names[0].ends_with("a.exe"), "{:?}", long.names);
    }

    /// A mailbox, a series, a mirror of a site, folders with dots: none of them hides anything.
    #[test]
    fn what_is_no_ending_counts_as_one() {
        let names = (0..2_000).flat_map(|n| {
            [
                format!("cur/1700{n}.M1P1.host.example.org,S={n},W=2400:2,S"),
                format!("dump.{n}"),
                format!("site/page.php?id={n}"),
                format!("data.d/sample{n}"),
            ]
        });
        let names: Vec<String> = names.chain(["setup.exe".to_owned()]).collect();
        let listing = listed(&names);
        assert!(!listing.cut && listing.names.len() == 101, "{}", listing.names.len());
        assert_eq!(listing.names[100], "setup.exe");
    }

    #[test]
    fn blanks_behind_a_name_hide_nothing() {
        for blanks in [" ".repeat(60), ". ".repeat(200), "\u{a0}".repeat(300)] {
            let mut names = numbered(200, ".txt");
            names.push(format!("setup.exe{blanks}"));
            assert_eq!(listed(&names).names.last().map(String::as_str), Some("setup.exe"));
        }
        assert_eq!(listed(&["voil\u{e0}".to_owned()]).names, ["voil\u{e0}"], "a letter that ends with that byte");
    }

    #[test]
    fn endings_without_end_are_told() {
        let names: Vec<String> = (0..1_001).map(|n| format!("a.{n}x")).collect();
        assert!(!listed(&names[..1_000]).cut);
        let listing = listed(&names);
        assert!(listing.cut);
        assert_eq!(listing.names.len(), 1_000);
    }

    #[test]
    fn what_makes_a_document_is_seen_behind_the_names_that_are_kept() {
        let mut names = numbered(200, ".bin");
        names.extend(["[Content_Types].xml", "word/vbaProject.bin"].map(str::to_owned));
        let inside = listed(&names).inside;
        assert!(inside.document && inside.macros && !inside.program);
    }
}
