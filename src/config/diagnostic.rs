//! What is wrong with a configuration, one line for each fault: file, line, column, key, value, and what to write.

use std::fmt;

use super::source::Position;

/// Whether the configuration can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot: nothing of the file takes effect.
    Error,
    /// It can, and the operator should read this.
    Warning,
}

/// One fault, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the configuration.
    pub severity: Severity,
    /// The file's name as the operator gave it.
    pub file: String,
    /// Where in the file; a file that cannot be read has no such place.
    pub position: Option<Position>,
    /// The key with its section, as in `limits.account`; empty where the text is not TOML.
    pub key: String,
    /// What stands there, as written and shortened. Never there for secrets, lists and tables.
    pub value: Option<String>,
    /// What is wrong, and what to write instead.
    pub sentence: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.position {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.sentence)
    }
}

/// Everything that is wrong with one configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorts by place: what has none (the file itself) comes first.
    pub fn new(mut all: Vec<Diagnostic>) -> Self {
        all.sort_by_key(|d| d.position);
        Self(all)
    }

    /// Each in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Whether one of them stops the configuration.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line each.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}
