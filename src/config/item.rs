//! One value of the file, and what it takes for a type to be read from it.

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::reader::Reading;
use super::surroundings::Surroundings;

/// A value that can stand in the file.
pub trait Setting: Sized {
    /// What is to be written, as it follows "write": `a duration such as "30s" or "1h"`.
    const EXPECTED: &'static str;
    /// Whether the text in the file may be a secret, and so is never repeated.
    const SECRET: bool = false;
    /// Reads one value.
    ///
    /// # Errors
    /// Why it is not one.
    fn read(item: &Item<'_>) -> Result<Self, Fault>;
    /// As TOML, for the effective configuration and the reference.
    fn written(&self) -> String;
}

/// Why a value cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The sentence about the whole value.
    Says(String),
    /// Everything has been said about parts of it.
    Told,
}

impl Fault {
    /// A sentence, with what to write after a semicolon.
    pub fn says(sentence: impl Into<String>) -> Self {
        Self::Says(sentence.into())
    }
}

/// A place in the file that a later check can speak about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) offset: usize,
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// One value in the file.
pub struct Item<'r> {
    pub(super) reading: &'r Reading<'r>,
    pub(super) key: &'r str,
    pub(super) value: &'r Spanned<DeValue<'r>>,
    /// Whether what stands here may be a secret.
    pub(super) secret: bool,
}

impl<'r> Item<'r> {
    /// The value as the parser sees it.
    pub fn value(&self) -> &'r DeValue<'r> {
        self.value.get_ref()
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&'r str> {
        self.value().as_str()
    }

    /// What is outside the file.
    pub fn surroundings(&self) -> &dyn Surroundings {
        self.reading.surroundings()
    }

    /// The elements, where it is a list.
    pub fn elements(&self) -> Option<Vec<Item<'r>>> {
        let list = self.value().as_array()?;
        Some(list.iter().map(|value| Item { value, ..*self }).collect())
    }

    /// A member, where it is a table.
    pub fn member(&self, name: &str) -> Option<Item<'r>> {
        let (_, value) = self.value().as_table()?.iter().find(|(key, _)| key.get_ref() == name)?;
        Some(Item { value, ..*self })
    }

    /// Name, place and value of each member, where it is a table.
    pub fn members(&self) -> Option<Vec<(&'r str, Place, Item<'r>)>> {
        let named = |(name, value): (&'r Spanned<DeString<'r>>, &'r Spanned<DeValue<'r>>)| {
            let item = Item { value, ..*self };
            let shown: String = name.get_ref().chars().take(60).flat_map(visible).collect();
            (name.get_ref().as_ref(), Place { key: format!("{}.{shown}", self.key), ..item.place() }, item)
        };
        Some(self.value().as_table()?.iter().map(named).collect())
    }

    /// Reads it, and notes the fault at its place.
    pub fn parse<T: Setting>(&self) -> Option<T> {
        let item = Item { secret: self.secret || T::SECRET, ..*self };
        match T::read(&item) {
            Ok(value) => Some(value),
            Err(Fault::Told) => None,
            Err(Fault::Says(sentence)) => {
                self.reading.error(&item.place(), sentence);
                None
            }
        }
    }

    /// Says what the operator should know about this value.
    pub fn warn(&self, sentence: impl Into<String>) {
        self.reading.warning(&self.place(), sentence);
    }

    pub(super) fn place(&self) -> Place {
        Place { offset: self.value.span().start, key: self.key.to_owned(), value: self.quoted() }
    }

    /// What stands there, fit to be shown: one value, short, without control characters and passwords.
    fn quoted(&self) -> Option<String> {
        const SHOWN_CHARS_MAX: usize = 60;
        let scalar = !matches!(self.value(), DeValue::Array(_) | DeValue::Table(_));
        let written = self.reading.source().slice(self.value.span());
        let credentials = written.find(':').is_some_and(|at| written[at..].contains('@'));
        if self.secret || !scalar || credentials {
            return None;
        }
        let mut shown: String = written.chars().take(SHOWN_CHARS_MAX).flat_map(visible).collect();
        if written.chars().nth(SHOWN_CHARS_MAX).is_some() {
            shown.push('…');
        }
        Some(shown)
    }
}

/// A control character as `\u{1b}`, another as it is: a terminal must not obey a file.
pub(super) fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_unicode());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// The known word that is near enough to be meant: a third of the letters may be wrong.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let wrong_max = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), *known))
        .filter(|(wrong, _)| *wrong <= wrong_max)
        .min_by_key(|(wrong, _)| *wrong)
        .map(|(_, known)| known)
}
