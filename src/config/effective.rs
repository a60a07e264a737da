//! The configuration that holds, as TOML that could be used in its place, each line with where it comes from.

use std::fmt::Write;

use super::record::{Default, Entry, Origin, Record, Section, SectionKind};

/// What `outguard check` prints. `file` is the file's name.
pub fn print(record: &Record, file: &str) -> String {
    let mut text = String::new();
    for section in &record.sections {
        let shown: Vec<String> = section.entries.iter().filter_map(|entry| line(entry, file)).collect();
        let header = header(section);
        if !header.is_empty() {
            // A header that only leads to others says nothing.
            if shown.is_empty() && section.kind == SectionKind::Table {
                continue;
            }
            let _ = writeln!(text, "\n{header}");
        }
        for line in shown {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// `[limits]`, `[[listen]]`; nothing for the top of the file.
pub(super) fn header(section: &Section) -> String {
    match section.kind {
        SectionKind::Top => String::new(),
        SectionKind::Table | SectionKind::Named => format!("[{}]", section.path),
        SectionKind::Element => format!("[[{}]]", section.path),
    }
}

/// The value with its origin; what is absent by default is left out.
fn line(entry: &Entry, file: &str) -> Option<String> {
    let value = entry.value.as_ref()?;
    let setting = format!("{} = {value}", entry.key);
    Some(match (entry.origin, &entry.default) {
        (Origin::Default, _) => format!("{setting:<48} # default"),
        (Origin::Line(line), Default::Value(default)) if default != value => {
            format!("{setting:<48} # {file}:{line}, default {default}")
        }
        (Origin::Line(line), _) => format!("{setting:<48} # {file}:{line}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::surroundings::Machine;

    #[test]
    fn it_is_toml_that_means_the_same() {
        let text = "[limits]\naccount = [\"20/m\", \"100/h\"]\n[[limits.override]]\ndomain = \"shop.example\"\nlimit = \"50/h\"\n";
        let machine = Machine::new(std::path::Path::new("/"));
        let loaded = Config::parse(text, "a.toml", &machine).unwrap();
        let printed = print(&loaded.record, "a.toml");
        assert!(printed.contains("# a.toml:2, default \"200/h\""), "{printed}");
        let again = Config::parse(&printed, "printed", &machine).unwrap();
        assert_eq!(again.config, loaded.config, "{printed}");
    }
}
