//! What was read: every option with its value, its default and where the value came from.
//!
//! The reader writes this as it goes, so what `outguard check` prints, the reference and the commented file cannot
//! speak of an option that is not read, nor forget one that is.

/// All sections in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// One for the top of the file, then one for each table; a list of tables has one for each element.
    pub sections: Vec<Section>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `limits`, or empty for the top of the file.
    pub path: String,
    /// How its header is written.
    pub kind: SectionKind,
    /// What the table is for.
    pub doc: &'static str,
    /// Its options, in the order in which they were read.
    pub entries: Vec<Entry>,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// The options above the first header.
    Top,
    /// `[path]`, at most once.
    Table,
    /// `[[path]]`, any number of times.
    Element,
    /// `[path."name"]`, where the operator chooses the name.
    Named,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the table.
    pub key: &'static str,
    /// What it does, for the reference.
    pub doc: &'static str,
    /// What is written there, in words.
    pub expected: &'static str,
    /// Another value worth showing, as TOML.
    pub example: Option<&'static str>,
    /// What holds where nothing is written.
    pub default: Default,
    /// What holds now, as TOML; `None` where nothing does. Secrets show their source, never themselves.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

/// What holds where an option is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// A value, as TOML.
    Value(String),
    /// Nothing: the doc sentence says what that means.
    Nothing,
    /// It must be written.
    Required,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Not written, so the default.
    Default,
    /// Written on this line of the file.
    Line(usize),
}
