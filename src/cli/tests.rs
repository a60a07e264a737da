//! The commands against a daemon and a store of memory, over a real socket, and against a real store without a daemon.

use std::sync::Arc;

use clap::Parser as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::arguments::Arguments;
use super::exit::Failed;
use crate::account::LocalPart;
use crate::api::fake::{FakeOperator, FakeStore, message};
use crate::api::{Api, ApiSettings, ControlSocket};
use crate::store::{Gate, GateKind};

struct Rig {
    folder: TempDir,
    operator: Arc<FakeOperator>,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn rig() -> Rig {
    let folder = TempDir::new().unwrap();
    let settings = ApiSettings { socket: folder.path().join("control.sock"), ..ApiSettings::default() };
    let gate = Gate {
        kind: GateKind::Account,
        key: "bad@example.org".into(),
        by: "root".into(),
        reason: "looks\u{1b}[31m hijacked".into(),
        since: crate::api::fake::THEN,
        until: None,
    };
    let store = FakeStore {
        messages: vec![
            message(1, "shop@example.org", &["a@c.example", "b@c.example", "d@c.example"], 1),
            message(2, "info@example.org", &["x@c.example"], 0),
        ],
        gates: vec![gate],
    };
    let operator = Arc::new(FakeOperator::default());
    let stop = CancellationToken::new();
    let socket = ControlSocket::bind(&settings).unwrap();
    tokio::spawn(
        socket.serve(Api::new(Arc::new(store), operator.clone(), operator.clone(), LocalPart::Lower), stop.clone()),
    );
    Rig { folder, operator, stop }
}

/// What a command prints, and how it ends.
async fn say(rig: &Rig, words: &str) -> (String, Result<(), Failed>) {
    let socket = rig.folder.path().join("control.sock").display().to_string();
    let words: Vec<&str> = words.split(' ').chain(["--socket", &socket]).collect();
    let arguments = Arguments::try_parse_from([&["outguard"], words.as_slice()].concat()).unwrap();
    let mut out = Vec::new();
    let done = super::asked(&arguments, &mut out).await;
    (String::from_utf8(out).unwrap(), done)
}

#[tokio::test]
async fn what_people_read() {
    let rig = rig();
    let cases: [(&str, &[&str]); 8] = [
        ("status", &["outguard 1.2.3 runs", "TROUBLE  intake stopped", "HOLD  account bad@example.org", "\\u{1b}[31m"]),
        ("queue list", &["ID ", "0000000001", "2 waiting, 1 delivered", "b@c.example and 1 more", "0000000002"]),
        ("queue list --limit 1", &["0000000001"]),
        ("queue list --account nobody", &["no messages"]),
        (
            "queue show 0000000001",
            &[
                "known by received",
                "why       1 recipient: the limit account 200/h",
                "450 4.7.1 later\\r\\n\\u{1b}[31mplease",
            ],
        ),
        ("limits", &["account 200/h", "shop@example.org", "now"]),
        ("trace <2@shop.example>", &["0000000002", "delivery.deferred"]),
        ("hold account Shop@Example.org", &["account Shop@Example.org is held; 1 delivery under way"]),
    ];
    for (words, expected) in cases {
        let (text, done) = say(&rig, words).await;
        done.unwrap();
        for part in expected {
            assert!(text.contains(part), "{words}: no {part:?} in:\n{text}");
        }
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{words}: {text:?}");
    }
    assert!(!say(&rig, "queue list --limit 1").await.0.contains("0000000002"));
}

#[tokio::test]
async fn what_scripts_read() {
    let rig = rig();
    for (words, lines, key) in [
        ("status", 1, "queue"),
        ("queue list", 2, "deliveries"),
        ("queue show 0000000001", 1, "why"),
        ("limits", 2, "next_slot"),
        ("trace info@example.org", 1, "history"),
        ("queue flush --account a@b.example", 1, "deliveries"),
    ] {
        let (text, done) = say(&rig, &format!("{words} --json")).await;
        done.unwrap();
        assert_eq!(text.lines().count(), lines, "{words}: {text}");
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value.get(key).is_some(), "{words}: no {key} in {line}");
        }
    }
}

/// What a command that asks nobody prints, and how it ends.
fn alone(words: &[&str]) -> (Vec<serde_json::Value>, Result<(), Failed>) {
    let arguments = Arguments::try_parse_from([&["outguard", "--json"], words].concat()).unwrap();
    let mut out = Vec::new();
    let done = super::run(&arguments, &mut out);
    let text = String::from_utf8(out).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), done)
}

#[test]
fn what_scripts_read_of_a_configuration() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("outguard.toml");
    let config = file.display().to_string();
    std::fs::write(&file, "[limits]\naccount = \"many\"\nacount = \"200/h\"\n").unwrap();
    let (lines, done) = alone(&["check", "--config", &config]);
    assert!(matches!(done, Err(Failed::Config(_))), "{done:?}");
    let of = |key: &str| lines.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("no {key}: {lines:?}"));
    let fault = of("limits.account");
    for (key, value) in [("file", config.as_str()), ("severity", "error"), ("value", "\"many\"")] {
        assert_eq!(fault[key], value, "{fault}");
    }
    assert_eq!((&fault["line"], &fault["column"]), (&2.into(), &11.into()), "{fault}");
    assert!(fault["expected"].as_str().is_some_and(|expected| expected.contains("200/h")), "{fault}");
    assert!(!fault["message"].as_str().unwrap().is_empty(), "{fault}");
    assert_eq!(of("limits.acount")["line"], 3);
    assert!(lines.iter().all(|line| line.get("effective").is_none()), "{lines:?}");

    std::fs::write(&file, "[limits]\naccount = \"20/h\"\n").unwrap();
    let (lines, done) = alone(&["check", "--config", &config]);
    done.unwrap();
    let (last, warnings) = lines.split_last().unwrap();
    assert!(last["effective"].as_str().unwrap().contains("account = \"20/h\""), "{last}");
    assert!(warnings.iter().all(|line| line["severity"] == "warning"), "{warnings:?}");
    let (quiet, done) = alone(&["check", "--quiet", "--config", &config]);
    done.unwrap();
    assert_eq!(quiet, warnings);
}

#[test]
fn what_scripts_cannot_read_is_refused() {
    for words in [&["demo", "--fast"][..], &["password", "a@example.org"]] {
        let (lines, done) = alone(words);
        assert!(lines.is_empty());
        let Err(Failed::Usage { what }) = done else { panic!("{words:?}: {done:?}") };
        assert!(what.contains("--json") && what.contains(words[0]), "{what}");
    }
}

#[tokio::test]
async fn deeds_and_their_ends() {
    let rig = rig();
    let (text, done) = say(&rig, "queue remove 0000000001 0000000009").await;
    assert!(text.contains("0000000001: 2 deliveries removed"), "{text}");
    assert!(matches!(done, Err(Failed::Client(_))), "the second is not there");
    for (words, advice) in [("resume all", "`outguard status`"), ("trace nobody", "`journal.keep`")] {
        let failed = say(&rig, words).await.1.unwrap_err();
        assert!(matches!(failed, Failed::NotFound { .. }), "{words}: {failed:?}");
        let mut told = Vec::new();
        failed.tell(&mut told);
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains(advice), "{words}: {told}");
    }
    say(&rig, "queue release 0000000001").await.1.unwrap();
    let told = rig.operator.told.lock().unwrap().clone();
    assert_eq!(told, ["remove 0000000001", "remove 0000000009", "resume all ", "release 0000000001"]);
}

#[tokio::test]
async fn without_a_daemon() {
    use crate::clock::SystemClock;
    use crate::store::settings::{FreeMin, StoreSettings};
    use crate::store::sqlite::SqliteStore;

    let rig = rig();
    rig.stop.cancel();
    let store = rig.folder.path().join("store");
    let config = rig.folder.path().join("outguard.toml");
    let socket = rig.folder.path().join("none.sock");
    let text = format!("store = {store:?}\n[control]\nsocket = {socket:?}\n");
    std::fs::write(&config, text).unwrap();
    std::fs::create_dir(&store).unwrap();
    std::fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // However little room the machine of the tests has left.
    let settings =
        StoreSettings { path: store, free_min: FreeMin::Bytes(0), ballast_bytes: 0, ..StoreSettings::default() };
    let (opened, _) = SqliteStore::open(&settings, Arc::new(SystemClock::new().unwrap())).unwrap();

    let ask = async |words: &str| {
        let config = config.display().to_string();
        let words: Vec<&str> = words.split(' ').chain(["--config", &config]).collect();
        let arguments = Arguments::try_parse_from([&["outguard"], words.as_slice()].concat()).unwrap();
        let mut out = Vec::new();
        let done = super::asked(&arguments, &mut out).await;
        (String::from_utf8(out).unwrap(), done)
    };
    let cases = [
        ("status", "outguard does not run"),
        ("queue list", "no messages"),
        ("limits", "no limit counts anything now"),
    ];
    for (words, expected) in cases {
        let (text, done) = ask(words).await;
        done.unwrap_or_else(|failed| panic!("{words}: {failed}"));
        assert!(text.contains(expected), "{words}: {text}");
    }
    assert!(matches!(ask("queue show 0000000001").await.1, Err(Failed::NotFound { .. })));
    assert!(matches!(ask("trace x").await.1, Err(Failed::NotFound { .. })));
    for words in ["hold all", "resume all", "queue flush", "queue remove 0000000001"] {
        assert!(matches!(ask(words).await.1, Err(Failed::NeedsDaemon { .. })), "{words}");
    }
    opened.close();
}
