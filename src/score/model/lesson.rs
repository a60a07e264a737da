//! One decision that teaches, and the line it is kept and exported as.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sketch::{Damaged, Sketch};
use super::train::Label;
use crate::clock::WallMs;

/// Lengths in bytes of who taught, of what, and of whose mail.
const WHO_BYTES_MAX: usize = 256;

/// One decision that teaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The queue id or Message-ID of the message: one lesson for each.
    pub about: String,
    /// Who decided: an operator's name, or the provider.
    pub by: String,
    /// When.
    pub at: WallMs,
    /// What it was.
    pub label: Label,
    /// What it was made of.
    pub sketch: Sketch,
    /// Whose wanted mail it was, for whom it counts most. `None`: it counts the same for all, as what says spam does.
    pub account: Option<Box<str>>,
}

/// Why bytes are not a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LessonError {
    /// A line is not JSON of this form.
    #[error("not a lesson: {0}; nothing was taken over from it")]
    Line(String),
    /// Its sketch is broken.
    #[error(transparent)]
    Sketch(#[from] Damaged),
    /// A name in it is too long.
    #[error(
        "a lesson names its message, its teacher and an account in 1 to 256 bytes each; nothing was taken over from it"
    )]
    Names,
}

/// A lesson as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    about: String,
    by: String,
    at_ms: WallMs,
    label: String,
    sketch: String,
    /// Lines of before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Box<str>>,
}

impl Lesson {
    /// The same, of that account's mail. What is too long to be kept is left out.
    #[must_use]
    pub fn of_account(self, account: &str) -> Self {
        let fits = self.label == Label::Ham && (1..=WHO_BYTES_MAX).contains(&account.len());
        Self { account: fits.then(|| account.into()), ..self }
    }

    /// The key under which the store keeps it.
    pub fn key(&self) -> &str {
        &self.about
    }

    /// One line of JSON, without its end.
    ///
    /// # Panics
    /// Never: strings and numbers are JSON.
    pub fn to_line(&self) -> String {
        let label = match self.label {
            Label::Ham => "ham",
            Label::Spam => "spam",
        };
        let line = Line {
            about: self.about.clone(),
            by: self.by.clone(),
            at_ms: self.at,
            label: label.to_owned(),
            sketch: BASE64.encode(self.sketch.to_bytes()),
            account: self.account.clone(),
        };
        serde_json::to_string(&line).expect("strings and numbers are JSON")
    }

    /// Reads such a line.
    pub fn from_line(line: &str) -> Result<Self, LessonError> {
        let line: Line = serde_json::from_str(line).map_err(|error| LessonError::Line(error.to_string()))?;
        let label = match line.label.as_str() {
            "ham" => Label::Ham,
            "spam" => Label::Spam,
            _ => return Err(LessonError::Line("its label is neither ham nor spam".to_owned())),
        };
        let bytes = BASE64.decode(&line.sketch).map_err(|_| Damaged)?;
        let named = |name: &str| (1..=WHO_BYTES_MAX).contains(&name.len());
        if !named(&line.about) || !named(&line.by) || line.account.as_deref().is_some_and(|name| !named(name)) {
            return Err(LessonError::Names);
        }
        let (sketch, account) = (Sketch::from_bytes(&bytes)?, line.account);
        Ok(Self { about: line.about, by: line.by, at: line.at_ms, label, sketch, account })
    }
}
