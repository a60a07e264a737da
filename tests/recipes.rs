//! What the README and the recipes tell people to write into `outguard.toml` can be read.

use std::path::{Path, PathBuf};

use outguard::config::Config;
use outguard::config::surroundings::Machine;

/// The indented blocks of a page that are TOML, blank lines inside kept.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        let last = blocks.last_mut().expect("it begins with one");
        if line.starts_with("    ") || (line.is_empty() && !last.is_empty()) {
            last.push_str(line.trim_start());
            last.push('\n');
        } else if !last.is_empty() {
            blocks.push(String::new());
        }
    }
    blocks.retain(|block| block.starts_with('[') || block.starts_with("store ="));
    blocks
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("config/recipes/README.md")];
    for recipe in std::fs::read_dir(root.join("config/recipes")).expect("the folder is here") {
        let page = recipe.expect("a folder can be listed").path().join("README.md");
        pages.extend(page.exists().then_some(page));
    }
    pages
}

#[test]
fn what_pages_show_can_be_read() {
    let mut seen = 0;
    for page in pages() {
        for block in blocks(&std::fs::read_to_string(&page).unwrap()) {
            seen += 1;
            let read = Config::parse(&block, "block", &Machine::new(Path::new("/")));
            assert!(read.is_ok(), "{}: {}\n{block}", page.display(), read.err().unwrap());
        }
    }
    assert!(seen >= 6, "{seen} blocks");
}

#[test]
fn reports_go_back_and_nothing_else_does() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/recipes/README.md")).unwrap();
    let block = blocks(&page).into_iter().find(|block| block.contains("[dsn]")).unwrap();
    let config = Config::parse(&block, "block", &Machine::new(Path::new("/"))).unwrap().config;
    assert_eq!(config.delivery.dsn.route.as_deref(), Some("back-to-mta"));
    let names: Vec<&str> = config.delivery.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["back-to-mta", "mx"]);
    let back = &config.delivery.routes[0].matches;
    assert!(!back.sender_domains.is_empty() && !back.recipient_domains.is_empty(), "{back:?}");
}
