//! `hold` and `resume` over the life of a relay: what is held is so after a crash too, with who and why, and the queue can be
//! read with a daemon and without.

use std::process::Output;

use crate::rig::client::Client;
use crate::rig::process::wait_for;
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::Sink;

const REASON: &str = "the web site is looked at";

/// Takes a message; its queue id.
fn submit(site: &Site, from: &str, subject: &str) -> String {
    let content = format!("Subject: {subject}\r\nMessage-ID: <{subject}@example.com>\r\n\r\nx\r\n");
    let mut client = Client::greeted(site.address());
    let heard = client.deliver(from, &["b@example.net"], content.as_bytes()).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
    heard.text().rsplit(' ').next().expect("queued as ID").to_owned()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    said(output).lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

/// The listing calls it held and names the gate, and no time; with a daemon and without.
fn is_listed_as_held(site: &Site, ids: &[String], before: &str) {
    let text = said(&site.command(&["queue", "list"]));
    for id in ids {
        let line = text.lines().find(|line| line.starts_with(id.as_str())).expect("its line");
        assert!(line.contains(" held ") && line.contains(&format!("held: {before}, by ")), "{text}");
        assert!(!line.contains("waiting"), "{text}");
    }
    let of_state = |state: &str| json_lines(&site.command(&["queue", "list", "--state", state, "--json"]));
    let held = of_state("held");
    assert_eq!(held.iter().filter_map(|line| line["id"].as_str()).collect::<Vec<_>>(), ids);
    for message in held {
        let delivery = &message["deliveries"][0];
        assert_eq!((&delivery["due_ms"], &delivery["why"]["held"]), (&serde_json::Value::Null, &true.into()));
        let sentence = delivery["why"]["sentence"].as_str().expect("a sentence");
        assert!(sentence.contains(&format!("held by a gate before {before}, closed by ")), "{message}");
        assert!(sentence.contains(REASON), "{message}");
    }
    assert_eq!(of_state("waiting"), [] as [serde_json::Value; 0]);
}

/// Held by `what`, a crash, a look without a daemon, a restart, and let go.
fn held_through_a_crash(what: &[&str], before: &str) {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    submit(&site, "free@example.com", "free");
    sink.wait_accepted(1);
    wait_for("its outcome", || site.log().contains("delivery.delivered"));
    let command = |words: &[&str]| site.command(words);
    said(&command(&[&["hold"], what, &["--reason", REASON]].concat()));
    let ids: Vec<String> = (0..3).map(|n| submit(&site, "a@example.com", &format!("held-{n}"))).collect();
    // Who closed it is known by the socket's peer; why, by what was said.
    let tells = |output: &Output| {
        let text = said(output);
        assert!(text.contains(&format!("held by a gate before {before}, closed by ")), "{text}");
        assert!(text.contains(REASON) && text.contains("it stays until it is opened"), "{text}");
    };
    tells(&command(&["queue", "show", &ids[0]]));
    assert!(said(&command(&["status"])).contains(REASON));
    is_listed_as_held(&site, &ids, before);
    relay.kill();
    is_listed_as_held(&site, &ids, before);

    // Without a daemon.
    tells(&command(&["queue", "show", &ids[0]]));
    tells(&command(&["trace", "held-0@example.com"]));
    let listed = json_lines(&command(&["queue", "list", "--json"]));
    let found: Vec<&str> = listed.iter().filter_map(|line| line["id"].as_str()).collect();
    assert_eq!(found, ids, "oldest first");
    assert!(listed.iter().all(|line| line["account"] == "a@example.com"), "{listed:?}");
    let shown = json_lines(&command(&["queue", "show", &ids[1], "--json"]));
    assert!(shown[0]["why"][0]["sentence"].as_str().expect("why").contains(REASON), "{shown:?}");
    assert_eq!(shown[0]["why"][0]["deliveries"], serde_json::json!([0]), "{shown:?}");
    let traced = said(&command(&["trace", "free@example.com"]));
    assert!(traced.contains("delivered") && !traced.contains("held by"), "{traced}");
    assert!(said(&command(&["queue", "list"])).contains(&ids[2]));
    let used = json_lines(&command(&["limits", "--json"]));
    let of_free = used.iter().find(|line| line["key"] == "free@example.com");
    assert_eq!(of_free.expect("a limit of it")["used"], 1, "{used:?}");
    let gone = command(&["queue", "show", "0000zzzzzz"]);
    assert_eq!(gone.status.code(), Some(3), "{gone:?}");
    // What changes the queue needs a daemon, and says so.
    let resumed = command(&[&["resume"], what].concat());
    assert_eq!(resumed.status.code(), Some(75), "{resumed:?}");

    let relay = site.start();
    tells(&command(&["queue", "show", &ids[0]]));
    submit(&site, "a@example.com", "held-3");
    assert_eq!(sink.arrivals().len(), 1, "nothing left meanwhile");
    said(&command(&[&["resume"], what].concat()));
    sink.wait_accepted(5);
    wait_for("an empty queue", || said(&command(&["queue", "list"])).starts_with("no messages"));
    let mut subjects: Vec<String> = sink
        .arrivals()
        .iter()
        .map(|arrival| arrival.text().lines().find(|line| line.starts_with("Subject: ")).expect("a subject").to_owned())
        .collect();
    subjects.sort();
    assert_eq!(subjects, ["free", "held-0", "held-1", "held-2", "held-3"].map(|name| format!("Subject: {name}")));
    relay.stop();
}

#[test]
fn an_account_is_held_through_a_crash() {
    held_through_a_crash(&["account", "a@example.com"], "account a@example.com");
}

#[test]
fn everything_is_held_through_a_crash() {
    held_through_a_crash(&["all"], "all mail");
}

/// By its name, which without one is its address: the rig gives each test its own, so it is asked for.
#[test]
fn an_egress_is_held_through_a_crash() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let egress = site.egress().to_string();
    let relay = site.start();
    said(&site.command(&["hold", "egress", &egress, "--reason", REASON]));
    let id = submit(&site, "a@example.com", "held");
    let tells = || {
        let text = said(&site.command(&["queue", "show", &id]));
        assert!(text.contains(&format!("held by a gate before egress {egress}, closed by ")), "{text}");
        assert!(text.contains(REASON), "{text}");
    };
    tells();
    is_listed_as_held(&site, std::slice::from_ref(&id), &format!("egress {egress}"));
    relay.kill();
    tells();
    is_listed_as_held(&site, std::slice::from_ref(&id), &format!("egress {egress}"));
    let relay = site.start();
    tells();
    assert_eq!(sink.arrivals().len(), 0);
    said(&site.command(&["resume", "egress", &egress]));
    sink.wait_accepted(1);
    relay.stop();
    assert_eq!(sink.arrivals().len(), 1);
}

/// What waits for a slot is listed with the time that `queue show` expects, and where there is none with what it waits for.
#[test]
fn the_listing_tells_no_time_that_is_past() {
    let wall_ms = || u64::try_from(jiff::Timestamp::now().as_millisecond()).expect("after 1970");
    let next_try = |site: &Site, id: &str| {
        let text = said(&site.command(&["queue", "list"]));
        text.lines().find(|line| line.starts_with(id)).expect("its line").to_owned()
    };
    let sink = Sink::start();
    let site = Site::new(&format!("[limits]\naccount = \"1/h\"\n{}", smarthost(sink.address())));
    let relay = site.start();
    submit(&site, "a@example.com", "first");
    sink.wait_accepted(1);
    let waits = submit(&site, "a@example.com", "second");
    let shown = || json_lines(&site.command(&["queue", "show", &waits, "--json"])).remove(0);
    wait_for("it to wait for a slot", || shown()["why"][0]["sentence"].as_str().is_some_and(|why| why.contains("1/h")));
    let began_ms = wall_ms();
    let listed = json_lines(&site.command(&["queue", "list", "--json"])).remove(0);
    let due_ms = listed["deliveries"][0]["due_ms"].as_u64().expect("a time");
    assert!(due_ms > began_ms + 3_000_000, "in an hour: {listed}");
    // It may be told a moment later, for what is under way is taken to end now.
    let shown = shown();
    assert!(shown["why"][0]["expected"].as_u64().expect("a time").abs_diff(due_ms) < 60_000, "{shown} {listed}");
    assert_eq!(listed["deliveries"][0]["why"]["held"], false, "{listed}");
    let line = next_try(&site, &waits);
    assert!(line.contains(" waiting ") && !line.contains("slot"), "{line}");
    // Nothing may leave at all: no time, and the limit is named.
    site.configure(&format!("[limits]\naccount = \"0/h\"\n{}", smarthost(sink.address())));
    relay.signal(rustix::process::Signal::HUP);
    wait_for("the limit in the listing", || next_try(&site, &waits).contains("a slot: account 0/h of account a@exa"));
    // From the store alone: due, by what it knows.
    relay.kill();
    let line = next_try(&site, &waits);
    assert!(line.contains(" waiting ") && line.contains(" due "), "{line}");
    let listed = json_lines(&site.command(&["queue", "list", "--json"])).remove(0);
    assert_eq!(listed["deliveries"][0]["due_ms"], serde_json::Value::Null, "{listed}");
}

#[test]
fn check_prints_what_holds_and_no_secret() {
    let secrets = tempfile::tempdir().expect("a folder");
    let logins = secrets.path().join("logins");
    std::fs::write(&logins, "* box pass-for-box\n").expect("ours");
    crate::rig::tls::set_mode(&logins, 0o600);
    let route = format!(
        "[[route]]\nname = \"box\"\nsmarthost = \"127.0.0.1:2525\"\ntls = \"required\"\nlogins = {{ file = \"{}\" }}\n",
        logins.display()
    );
    let site = Site::new(&format!("[limits]\naccount = \"123/h\"\n{route}"));
    let output = site.command(&["check"]);
    let text = said(&output);
    let warned = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in ["warning: dsn.operator is not set", "it is held", "operator = \"postmaster@example.com\" in [dsn]"] {
        assert!(warned.contains(words), "{words}: {warned}");
    }
    for (line, why) in [
        ("account = \"123/h\"", "written in the file"),
        ("egress = \"300/h\"", "a default"),
        ("unknown_grace = \"10m\"", "another default, as people write it"),
        (&format!("address = \"{}\"", site.egress()), "written by the rig"),
    ] {
        assert!(text.contains(line), "{line} ({why}) is not in {text}");
    }
    assert!(!text.contains("pass-for-box"), "{text}");
    // What it prints is a configuration itself.
    let again = site.folder().join("again.toml");
    std::fs::write(&again, &text).expect("ours");
    let output = crate::rig::process::run(
        &crate::rig::relay::binary(),
        &["check", "--config", &again.display().to_string()],
        b"",
    );
    assert!(output.status.success(), "{output:?}");
}
