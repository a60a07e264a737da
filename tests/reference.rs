//! The reference page and the commented file say what the program reads.
//!
//! `OUTGUARD_BLESS=1 cargo test --test reference` writes them anew.

use std::path::Path;

use outguard::config::surroundings::Machine;
use outguard::config::{Config, reference};

fn machine() -> Machine {
    Machine::new(Path::new("/"))
}

#[test]
fn copies_are_up_to_date() {
    let options = Config::options(&machine());
    for (name, made) in
        [("docs/reference.md", reference::page(&options)), ("config/outguard.toml", reference::file(&options))]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("OUTGUARD_BLESS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "{name} is not what the program reads; run OUTGUARD_BLESS=1 cargo test --test reference and look at the \
             difference"
        );
    }
}

#[test]
fn the_commented_file_holds_the_defaults() {
    let file = reference::file(&Config::options(&machine()));
    // As it is: an empty configuration.
    let commented = Config::parse(&file, "outguard.toml", &machine()).unwrap();
    let empty = Config::parse("", "empty.toml", &machine()).unwrap();
    assert_eq!(commented.config, empty.config);
    assert_eq!(empty.config, Config::default(), "an empty file is the documented default");
    // With every default uncommented: the same.
    let uncommented: String = file
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => option,
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let read = Config::parse(&uncommented, "uncommented.toml", &machine()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.config, empty.config, "{uncommented}");
    assert!(uncommented.lines().filter(|line| !line.starts_with('#')).count() > 10);
}

#[test]
fn examples_can_be_written() {
    for section in Config::options(&machine()).sections {
        for entry in section.entries {
            if let Some(example) = entry.example {
                let read = toml::de::DeTable::parse_recoverable(&format!("x = {example}")).1;
                assert!(read.is_empty(), "{}.{}: {example}", section.path, entry.key);
            }
            assert!(!entry.doc.is_empty() && entry.doc.ends_with('.'), "{}.{}: {}", section.path, entry.key, entry.doc);
        }
    }
}
