//! The reference page and the commented file, both made from what is read. A test keeps the copies in `docs/` and
//! `config/` equal to this.

use std::fmt::Write;

use super::effective::header;
use super::record::{Default, Entry, Record, Section, SectionKind};

/// Columns of text in the commented file.
const COLUMNS: usize = 100;

/// `docs/reference.md`.
pub fn page(record: &Record) -> String {
    let mut text = String::from(
        "# Every option\n\nThis page is made from the program: `OUTGUARD_BLESS=1 cargo test --test reference` writes it anew. \
         All options may be left out; an empty file is a configuration.\n\
         \n\
         Durations are written `\"30s\"`, `\"5m\"`, `\"1h 30m\"`, `\"7d\"`; sizes `\"512 KiB\"`, `\"50 MiB\"`; rates `\"200/h\"`, \
         `\"20/m\"`, `\"1000/d\"`, `\"300/30m\"`, `\"50 messages/h\"`; networks `\"10.0.0.0/8\"`; secrets \
         `{ file = \"/etc/outguard/secret\" }` or `{ env = \"OUTGUARD_SECRET\" }`, never the secret itself. An unknown \
         key is an error. `outguard check` prints what holds, each line with its origin.\n",
    );
    for section in &record.sections {
        let name = if section.kind == SectionKind::Top { "Top of the file".to_owned() } else { code(&header(section)) };
        let _ = write!(text, "\n## {name}\n\n");
        if !section.doc.is_empty() {
            let _ = write!(text, "{}\n\n", section.doc);
        }
        if section.entries.is_empty() {
            continue;
        }
        text.push_str("| option | default | what it does |\n|---|---|---|\n");
        for entry in &section.entries {
            let default = match &entry.default {
                Default::Value(toml) => code(toml),
                Default::Nothing => "none".to_owned(),
                Default::Required => "required".to_owned(),
            };
            let example = entry.example.map_or(String::new(), |toml| format!(" Example: {}.", code(toml)));
            let what = format!("{} Write {}.{example}", entry.doc, entry.expected).replace('|', "\\|");
            let _ = writeln!(text, "| {} | {default} | {what} |", code(entry.key));
        }
    }
    text
}

/// `config/outguard.toml`: without its `#` each default reads as itself.
pub fn file(record: &Record) -> String {
    let mut text = String::from(
        "# outguard.toml: every option. An empty file is a configuration too.\n\
         #\n\
         # A line that begins with # and no space is an option as it stands by default: take the # away and change it.\n\
         # What has no default, and what may be written several times, stands as an example behind \"# \".\n\
         # `outguard check` prints what holds, with all mistakes at once.\n",
    );
    for section in &record.sections {
        let title = header(section);
        if !title.is_empty() {
            text.push('\n');
        }
        comment(&mut text, section.doc);
        if !title.is_empty() {
            let _ = writeln!(text, "{}{title}", mark(section));
        }
        for entry in &section.entries {
            option(&mut text, section, entry);
        }
    }
    text
}

fn option(text: &mut String, section: &Section, entry: &Entry) {
    text.push('\n');
    comment(text, entry.doc);
    let example = entry.example.map(|toml| format!("{} = {toml}", entry.key));
    match &entry.default {
        Default::Value(toml) => {
            if let Some(example) = example {
                let _ = writeln!(text, "# Example: {example}");
            }
            let _ = writeln!(text, "{}{} = {toml}", mark(section), entry.key);
        }
        Default::Nothing | Default::Required => {
            let example = example.unwrap_or_else(|| format!("{} = …  ({})", entry.key, entry.expected));
            let _ = writeln!(text, "# {example}");
        }
    }
}

/// What stands before an option: sections of which there may be several are examples.
fn mark(section: &Section) -> &'static str {
    match section.kind {
        SectionKind::Top | SectionKind::Table => "#",
        SectionKind::Element | SectionKind::Named => "# ",
    }
}

fn comment(text: &mut String, doc: &str) {
    let mut line = String::new();
    for word in doc.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() + 3 > COLUMNS {
            let _ = writeln!(text, "#{line}");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "#{line}");
    }
}

fn code(toml: &str) -> String {
    format!("`{toml}`")
}
