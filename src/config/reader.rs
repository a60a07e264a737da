//! Reading a table key by key: a fault is noted and reading goes on, so all faults of a file are told at once.
//!
//! ```text
//! let mut limits = root.table("limits", "How much may leave.");
//! let account = limits.or(key("account", "Deliveries of one account."), Rate::per_hour(200));
//! limits.finish();          // what is left in the table is unknown: each with the nearest known key
//! ```

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostic::{Diagnostic, Severity};
use super::item::{Item, Place, Setting, nearest, visible};
use super::named::Of;
use super::record::{Default as Fallback, Entry, Origin, Record, Section, SectionKind};
use super::source::Source;
use super::surroundings::Surroundings;

/// The name of an option and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    name: &'static str,
    doc: &'static str,
    example: Option<&'static str>,
}

/// An option: its name, and a sentence for the reference (what it does, in which unit, what 0 or its absence means).
pub const fn key(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc, example: None }
}

/// For [`TableReader::or_where`]: no less than that, since with less `what` happens.
pub(super) fn at_least<T: Setting + PartialOrd>(least: T, what: &'static str) -> impl Fn(&T) -> Result<(), String> {
    move |value| if *value < least { Err(format!("{what}; write {} or more", least.written())) } else { Ok(()) }
}

/// For [`TableReader::or_where`]: a time for which somebody may really wait. A clock cannot count the longest that can be
/// written.
pub(super) fn a_wait(what: &'static str) -> impl Fn(&Duration) -> Result<(), String> {
    const DAY: Duration = Duration::from_hours(24);
    let long_enough = at_least(Duration::from_secs(1), what);
    move |limit| {
        long_enough(limit)?;
        if *limit > DAY { Err("nobody waits so long; write \"1d\" or less".to_owned()) } else { Ok(()) }
    }
}

impl Key {
    /// A value worth showing beside the default, as TOML. A required option must have one.
    #[must_use]
    pub const fn example(self, toml: &'static str) -> Self {
        Self { example: Some(toml), ..self }
    }
}

/// Why a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run with it.
    Run,
    /// To list all options: each list of tables has one empty element, and nothing is missing.
    Reference,
}

/// One reading of one file.
pub struct Reading<'s> {
    source: &'s Source,
    surroundings: &'s dyn Surroundings,
    purpose: Purpose,
    diagnostics: RefCell<Vec<Diagnostic>>,
    names: RefCell<Vec<(Of, String, Place)>>,
    record: RefCell<Record>,
}

impl<'s> Reading<'s> {
    /// Begins with what is wrong with the syntax.
    pub fn new(source: &'s Source, surroundings: &'s dyn Surroundings, purpose: Purpose) -> Self {
        let reading = Self {
            source,
            surroundings,
            purpose,
            diagnostics: RefCell::default(),
            names: RefCell::default(),
            record: RefCell::new(Record::default()),
        };
        for fault in source.faults() {
            reading.push(Severity::Error, fault.offset, fault.key.clone(), None, fault.sentence.clone());
        }
        reading
    }

    /// The top of the file.
    pub fn root<'r>(&'r self, tree: &'r Spanned<DeTable<'r>>) -> TableReader<'r> {
        TableReader::new(self, Some(tree.get_ref()), Section::of(String::new(), SectionKind::Top, ""), 0)
    }

    /// The text.
    pub(super) fn source(&self) -> &'s Source {
        self.source
    }

    /// What is outside the file: environment, secret files, addresses of the machine.
    pub fn surroundings(&self) -> &dyn Surroundings {
        self.surroundings
    }

    /// Why the file is read.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Says that the configuration cannot be used because of what stands at `place`.
    pub fn error(&self, place: &Place, sentence: impl Into<String>) {
        self.tell(Severity::Error, place, sentence.into());
    }

    /// Says what the operator should know about `place`.
    pub fn warning(&self, place: &Place, sentence: impl Into<String>) {
        self.tell(Severity::Warning, place, sentence.into());
    }

    /// What the file names, and where: once all sections are read it is known what there is.
    pub(super) fn names(&self) -> Vec<(Of, String, Place)> {
        self.names.take()
    }

    /// Whether the configuration cannot be used, as far as it has been read.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.borrow().iter().any(|d| d.severity == Severity::Error)
    }

    /// What was found and what was read.
    pub fn finish(self) -> (Vec<Diagnostic>, Record) {
        (self.diagnostics.into_inner(), self.record.into_inner())
    }

    fn tell(&self, severity: Severity, place: &Place, sentence: String) {
        // A line that is no TOML has been reported; what follows from it says nothing new.
        if !self.source.is_broken_at(place.offset) {
            self.push(severity, place.offset, place.key.clone(), place.value.clone(), sentence);
        }
    }

    fn push(&self, severity: Severity, offset: usize, key: String, value: Option<String>, sentence: String) {
        self.diagnostics.borrow_mut().push(Diagnostic {
            severity,
            file: self.source.name().to_owned(),
            position: Some(self.source.position(offset)),
            key,
            value,
            sentence,
        });
    }
}

/// One table under way.
pub struct TableReader<'r> {
    reading: &'r Reading<'r>,
    table: Option<&'r DeTable<'r>>,
    path: String,
    /// Where the header stands.
    offset: usize,
    /// Its place in the record.
    section: usize,
    known: Vec<&'static str>,
}

impl<'r> TableReader<'r> {
    fn new(reading: &'r Reading<'r>, table: Option<&'r DeTable<'r>>, section: Section, offset: usize) -> Self {
        let path = section.path.clone();
        let mut record = reading.record.borrow_mut();
        record.sections.push(section);
        Self { reading, table, path, offset, section: record.sections.len() - 1, known: Vec::new() }
    }

    /// The reading that this table belongs to, for checks across tables.
    pub fn reading(&self) -> &'r Reading<'r> {
        self.reading
    }

    /// An option with a default.
    pub fn or<T: Setting>(&mut self, key: Key, default: T) -> T {
        let fallback = Fallback::Value(default.written());
        self.read(key, fallback).unwrap_or(default)
    }

    /// An option with a default and a bound that its type does not know; `check` says why a value is outside.
    pub fn or_where<T: Setting>(&mut self, key: Key, default: T, check: impl Fn(&T) -> Result<(), String>) -> T {
        let name = key.name;
        let value = self.or(key, default);
        if let Err(sentence) = check(&value) {
            self.reading.error(&self.place(name), sentence);
        }
        value
    }

    /// An option that may be absent.
    pub fn optional<T: Setting>(&mut self, key: Key) -> Option<T> {
        self.read(key, Fallback::Nothing)
    }

    /// An option that must be there.
    pub fn required<T: Setting>(&mut self, key: Key) -> Option<T> {
        let value = self.read(key, Fallback::Required);
        let misspelt = |(written, _): (&Spanned<DeString<'_>>, _)| nearest(written.get_ref(), &[key.name]).is_some();
        // Told as an unknown key; that it is missing too says nothing new.
        let misspelt = self.table.into_iter().flatten().any(misspelt);
        if self.is_absent(key.name) && !misspelt && self.reading.purpose == Purpose::Run {
            let example = key.example.map_or(String::new(), |toml| format!("; write {} = {toml}", key.name));
            self.reading.error(&self.place(key.name), format!("missing{example}"));
        }
        value
    }

    /// A table that is written at most once.
    #[must_use]
    pub fn table(&mut self, name: &'static str, doc: &'static str) -> TableReader<'r> {
        let section = Section::of(self.path_of(name), SectionKind::Table, doc);
        let Some((offset, value)) = self.entry(name) else {
            return Self::new(self.reading, None, section, self.offset);
        };
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.reading.error(&self.place(name), format!("not a section; write [{}]", self.path_of(name)));
        }
        Self::new(self.reading, table, section, offset)
    }

    /// Tables of which there may be many, in the order of the file.
    pub fn tables(&mut self, name: &'static str, doc: &'static str) -> Vec<TableReader<'r>> {
        let path = self.path_of(name);
        let section = || Section::of(path.clone(), SectionKind::Element, doc);
        let Some((_, value)) = self.entry(name) else {
            let element = || Self::new(self.reading, None, section(), self.offset);
            return (self.reading.purpose == Purpose::Reference).then(element).into_iter().collect();
        };
        let Some(elements) = value.get_ref().as_array() else {
            self.reading.error(&self.place(name), format!("there may be several: write [[{path}]]"));
            return Vec::new();
        };
        let mut readers = Vec::new();
        for element in elements {
            let offset = element.span().start;
            if let Some(table) = element.get_ref().as_table() {
                readers.push(Self::new(self.reading, Some(table), section(), offset));
            } else {
                let place = Place { offset, key: path.clone(), value: None };
                self.reading.error(&place, format!("not a section; write [[{path}]]"));
            }
        }
        readers
    }

    /// Tables whose names the operator chooses, as in `[accounts."shop@example.org"]`. `sample` stands in the reference.
    pub fn named(&mut self, name: &'static str, sample: &str, doc: &'static str) -> Vec<(String, TableReader<'r>)> {
        let section = |path: &str, own: &str| Section::of(format!("{path}.{own:?}"), SectionKind::Named, doc);
        let path = self.path_of(name);
        let Some((_, value)) = self.entry(name) else {
            let element = || (sample.to_owned(), Self::new(self.reading, None, section(&path, sample), self.offset));
            return (self.reading.purpose == Purpose::Reference).then(element).into_iter().collect();
        };
        let Some(outer) = value.get_ref().as_table() else {
            self.reading.error(&self.place(name), format!("write [{path}.\"{sample}\"]"));
            return Vec::new();
        };
        let mut readers = Vec::new();
        for (own, value) in outer {
            let (offset, own) = (own.span().start, own.get_ref());
            match value.get_ref().as_table() {
                Some(table) => {
                    let reader = Self::new(self.reading, Some(table), section(&path, own), offset);
                    readers.push((own.to_string(), reader));
                }
                None => self.reading.error(
                    &Place { offset, key: format!("{path}.{own}"), value: None },
                    format!("not a section; write [{path}.\"{own}\"]"),
                ),
            }
        }
        readers
    }

    /// Whether the table itself is written.
    pub fn is_written(&self) -> bool {
        self.table.is_some()
    }

    /// Remembers that the value of a key names these.
    pub(super) fn names<'n>(&self, what: Of, key: &str, written: impl IntoIterator<Item = &'n str>) {
        let place = self.place(key);
        let found = written.into_iter().map(|name| (what, name.to_owned(), place.clone()));
        self.reading.names.borrow_mut().extend(found);
    }

    /// Where the table's header stands.
    pub fn here(&self) -> Place {
        Place { offset: self.offset, key: self.path.clone(), value: None }
    }

    /// Whether nothing is written for a key, readable or not.
    pub fn is_absent(&self, name: &str) -> bool {
        self.item(name).is_none() && !self.reading.source.has_unreadable(name)
    }

    /// Like [`TableReader::place`], without showing the value: for what may be a secret.
    pub fn key_place(&self, name: &str) -> Place {
        Place { value: None, ..self.place(name) }
    }

    /// Where a key of this table stands, or the table's header where it is absent.
    pub fn place(&self, name: &str) -> Place {
        match self.item(name) {
            Some(value) => {
                let path = self.path_of(name);
                let item = Item { reading: self.reading, key: &path, value, secret: false };
                item.place()
            }
            None => Place { offset: self.offset, key: self.path_of(name), value: None },
        }
    }

    /// Ends the table: whatever was not asked for is unknown. Dropping the reader does the same.
    pub fn finish(self) {}

    fn read<T: Setting>(&mut self, key: Key, default: Fallback) -> Option<T> {
        self.known.push(key.name);
        let mut origin = Origin::Default;
        let mut value = None;
        if let Some(written) = self.item(key.name) {
            origin = Origin::Line(self.reading.source.position(written.span().start).line);
            let path = self.path_of(key.name);
            value = Item { reading: self.reading, key: &path, value: written, secret: false }.parse::<T>();
        }
        let shown = value.as_ref().map(T::written).or_else(|| match &default {
            Fallback::Value(toml) => Some(toml.clone()),
            Fallback::Nothing | Fallback::Required => None,
        });
        let entry = Entry {
            key: key.name,
            doc: key.doc,
            expected: T::EXPECTED,
            example: key.example,
            default,
            value: shown,
            origin,
        };
        self.reading.record.borrow_mut().sections[self.section].entries.push(entry);
        value
    }

    fn item(&self, name: &str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.entry_unseen(name).map(|(_, value)| value)
    }

    fn entry(&mut self, name: &'static str) -> Option<(usize, &'r Spanned<DeValue<'r>>)> {
        self.known.push(name);
        self.entry_unseen(name)
    }

    fn entry_unseen(&self, name: &str) -> Option<(usize, &'r Spanned<DeValue<'r>>)> {
        self.table?.iter().find(|(key, _)| key.get_ref() == name).map(|(key, value)| (key.span().start, value))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn unknown(&self) {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let advice = match nearest(name, &self.known) {
                Some(known) => format!("unknown key; did you mean {known}?"),
                None => format!("unknown key; known here: {}", self.known.join(", ")),
            };
            let Range { start: offset, .. } = key.span();
            let shown = name.chars().take(60).flat_map(visible).collect::<String>();
            self.reading.error(&Place { offset, key: self.path_of(&shown), value: None }, advice);
        }
    }
}

impl Drop for TableReader<'_> {
    fn drop(&mut self) {
        self.unknown();
    }
}

impl Section {
    fn of(path: String, kind: SectionKind, doc: &'static str) -> Self {
        Self { path, kind, doc, entries: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
