//! What is learned of the files inside an archive.

use super::charset;

/// How long a name may be that is kept, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Names of the files inside, each once, and whether any is encrypted.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The names, at most as many as there is room for.
    pub(super) names: Vec<String>,
    /// Whether a file, or the list itself, is encrypted.
    pub(super) encrypted: bool,
    names_max: usize,
}

impl Listing {
    /// An empty list with room for that many names.
    pub(super) fn new(names_max: usize) -> Self {
        Self { names: Vec::new(), encrypted: false, names_max }
    }

    /// Adds a name, its bytes read as UTF-8 or windows-1252, control characters shown as replaced.
    pub(super) fn add(&mut self, name: &[u8]) {
        if self.names.len() >= self.names_max || name.is_empty() {
            return;
        }
        let text = charset::guess(&name[..name.len().min(NAME_BYTES_MAX)]);
        let name = text.replace(char::is_control, "\u{fffd}");
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// Whether a file inside has a path for which `is` holds; paths are given in lower case.
    pub(super) fn has(&self, is: impl Fn(&str) -> bool) -> bool {
        self.names.iter().any(|name| is(&name.to_ascii_lowercase()))
    }
}
