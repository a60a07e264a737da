//! The house rules that a compiler does not check: which room may use which, how long a file may be, which names say nothing.
//!
//! Each failure names the file and line, and what to do instead.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top down: an arrow may only point to a room further down (docs/architecture.md).
const ROOMS: [&str; 24] = [
    "cli", "daemon", "config", "api", "review", "ovh", "intake", "delivery", "store", "event", "dispatch", "guard",
    "score", "align", "breaker", "limits", "account", "message", "smtp", "mail", "reason", "sockets", "clock",
    "secret",
];
/// Rooms that hold decisions alone: no socket, file, clock, random or async inside.
const PURE: [&str; 10] =
    ["dispatch", "guard", "breaker", "limits", "account", "message", "smtp", "mail", "event", "reason"];
/// What a pure room does not reach for.
const IMPURE: [&str; 7] =
    ["tokio::", "std::net::Tcp", "std::net::Udp", "std::fs", "SystemTime::now", "Instant::now", "rusqlite"];
/// Names for a place where a type was not found.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "helpers", "common", "misc", "manager"];
/// Lines of code, without tests, that one idea takes at most.
const FILE_LINES_MAX: usize = 450;

fn rust_files(under: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(under) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Each file under `src`: its path from there, its room, and its text before the tests.
fn sources() -> Vec<(String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&folder, &mut files);
    assert!(files.len() > 10, "the sources are not where they were: {}", folder.display());
    files.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let room = name.split(['/', '.']).next().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let tests = ["\n#[cfg(test)]\nmod ", "\n#![cfg(test)]\n"].into_iter().filter_map(|mark| text.find(mark)).min();
        let code = text[..tests.unwrap_or(text.len())].to_owned();
        (name, room, code)
    };
    files.into_iter().map(read).collect()
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The rooms that a line of code names after `crate::`, one group of braces included.
fn rooms_used(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for after in line.split("crate::").skip(1) {
        let names = match after.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap().split(',').collect(),
            None => vec![after],
        };
        for name in names {
            let name: String = name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if ROOMS.contains(&name.as_str()) {
                rooms.push(name);
            }
        }
    }
    rooms
}

#[test]
fn arrows_point_down() {
    let place = |room: &str| ROOMS.iter().position(|r| *r == room);
    let mut faults = Vec::new();
    for (file, room, code) in sources() {
        let Some(from) = place(&room) else { continue };
        for (n, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for used in rooms_used(line) {
                if place(&used).is_some_and(|to| to < from) {
                    faults.push(format!(
                        "src/{file}:{}: {room} uses {used}, which stands above it: move the type down, or pass what is needed in",
                        n + 1
                    ));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn rooms_used_sees_every_form() {
    let cases = [
        ("use crate::store::Store;", vec!["store"]),
        ("use crate::{mail::Address, smtp};", vec!["mail", "smtp"]),
        ("let x = crate::limits::Rate::new(crate::clock::BootMs(1));", vec!["limits", "clock"]),
        ("use outguard::store;", vec![]),
    ];
    for (line, expected) in cases {
        assert_eq!(rooms_used(line), expected, "{line}");
    }
}

#[test]
fn every_room_is_on_the_plan() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|(_, room, _)| !ROOMS.contains(&room.as_str()) && !["lib", "main"].contains(&room.as_str()))
        .map(|(file, ..)| format!("src/{file}: its room is not on the plan of docs/architecture.md and of this test"))
        .collect();
    report(&faults);
}

#[test]
fn pure_rooms_do_no_io() {
    let mut faults = Vec::new();
    for (file, room, code) in sources() {
        if !PURE.contains(&room.as_str()) {
            continue;
        }
        for (n, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for word in IMPURE.iter().filter(|w| line.contains(**w)) {
                faults.push(format!("src/{file}:{}: {word} in a pure room: pass it in from the edge", n + 1));
            }
        }
    }
    report(&faults);
}

#[test]
fn files_are_one_idea() {
    let mut faults = Vec::new();
    for (file, _, code) in sources() {
        let lines = code.lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!(
                "src/{file}: {lines} lines without tests, {FILE_LINES_MAX} at most: look for the second idea"
            ));
        }
        if !code.trim_start().starts_with("//!") {
            faults.push(format!("src/{file}: no module doc: say what it is for"));
        }
        let stem = Path::new(&file).file_stem().unwrap().to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&stem.as_str()) || file.split('/').any(|part| EMPTY_NAMES.contains(&part)) {
            faults.push(format!("src/{file}: a name that says nothing; name the capability"));
        }
    }
    report(&faults);
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut faults = Vec::new();
    for (file, _, code) in sources() {
        for (n, line) in code.lines().enumerate() {
            for word in words.iter().filter(|w| line.contains(**w)) {
                faults.push(format!("src/{file}:{}: {word}: do it, or open an issue and take it out", n + 1));
            }
        }
    }
    report(&faults);
}

/// All that stands in backticks on a page.
fn quoted(page: &str) -> Vec<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn invariants_name_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/invariants.md")).unwrap();
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    rust_files(&root.join("tests"), &mut files);
    let code: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let is_there = |name: &str| {
        let dialogue = name.strip_suffix('*').unwrap_or(name);
        let mut dialogues = fs::read_dir(root.join("tests/dialogues")).unwrap();
        root.join(name).exists()
            || root.join("src").join(name).exists()
            || code.contains(&format!("fn {name}("))
            || dialogues.any(|file| file.unwrap().file_name().to_string_lossy().starts_with(dialogue))
    };
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 9, "a head and eight invariants");
    let mut faults = Vec::new();
    for name in rows.into_iter().flat_map(quoted) {
        let is_word = name.starts_with(['_', '[']) || ["Stored"].contains(&name);
        if !is_word && !is_there(name) {
            faults
                .push(format!("docs/invariants.md: `{name}` is not there: name the file or test as it is called now"));
        }
    }
    report(&faults);
}
