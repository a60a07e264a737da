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

/// The program as it was built for this test.
fn outguard(arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_outguard")).args(arguments).output().expect("the program runs")
}

#[test]
fn the_commands_of_the_readme_exist() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split_once('|'));
    let mut seen = 0;
    for command in rows.flat_map(|(names, _)| names.split('`').map(str::to_owned).collect::<Vec<_>>()) {
        // `queue show ID`: words in capitals are the reader's.
        let words = command.split_whitespace().filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
        let words: Vec<&str> = words.collect();
        if words.is_empty() {
            continue;
        }
        let help = outguard(&[&["help"][..], &words].concat());
        assert!(help.status.success(), "README: {command}: {}", String::from_utf8_lossy(&help.stderr));
        seen += 1;
    }
    assert!(seen >= 12, "{seen} commands");
}

/// The quick one: the other shows the same in two minutes, which every run of all tests would wait for.
#[test]
fn the_demonstration_proves_itself() {
    let folder = tempfile::TempDir::new().unwrap();
    let demo = std::process::Command::new(env!("CARGO_BIN_EXE_outguard"))
        .args(["demo", "--fast"])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (said, told) = (String::from_utf8_lossy(&demo.stdout), String::from_utf8_lossy(&demo.stderr));
    assert!(demo.status.success(), "{said}\n{told}");
    let most = |whose: &str| -> usize {
        let row = said.lines().find(|line| line.starts_with(whose)).unwrap_or_else(|| panic!("{said}"));
        row.split_whitespace().last().and_then(|most| most.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    assert!(most("flood@hacked.example") <= 20 && most("the egress, all together") <= 30, "{said}");
    // While it runs: what waits, by which rule, and until when.
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let waits = "waits for a slot: the limit account 20/10s of account flood@hacked.example is used up";
    let is_told =
        |pair: &[&str]| pair[0] == waits && pair[1].starts_with("expected to leave at 20") && pair[1].ends_with(" UTC");
    assert!(lines.windows(2).any(is_told), "{said}");
    assert!(said.trim_end().ends_with("No window passed its limit. Every message arrived, each once."), "{said}");
    assert!(!said.contains('\u{1b}'), "a pipe is no terminal: {said:?}");
    assert_eq!(told, "");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its folder is gone");
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
