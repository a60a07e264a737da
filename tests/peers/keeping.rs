//! Options about what is remembered, and for how long, as they are written in the file.

use crate::rig::client::Client;
use crate::rig::process::wait_for;
use crate::rig::relay::{Relay, Site, smarthost};
use crate::rig::sink::Sink;

fn submit(relay: &Relay, number: u32) {
    let content = format!("Message-ID: <{number}@example.com>\r\nSubject: x\r\n\r\nx\r\n");
    let mut client = Client::greeted(relay.site().address());
    let heard = client.deliver("a@example.com", &["b@example.net"], content.as_bytes()).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
}

/// How many events of this message the journal has; `None`: the message itself is forgotten.
fn events(relay: &Relay, number: u32) -> Option<usize> {
    let traced = relay.site().command(&["trace", &format!("<{number}@example.com>"), "--json"]);
    let line = String::from_utf8(traced.stdout).expect("text");
    if !traced.status.success() {
        let error = String::from_utf8_lossy(&traced.stderr).into_owned();
        assert!(error.contains(&format!("<{number}@example.com>")), "forgotten, and nothing worse: {error}");
        return None;
    }
    let message: serde_json::Value = serde_json::from_str(&line).expect("one message");
    Some(message["history"].as_array().expect("a list").len())
}

#[test]
fn the_journal_is_kept_so_long() {
    let sink = Sink::start();
    let relay = Site::new(&format!("[journal]\nkeep = \"1s\"\n{}", smarthost(sink.address()))).start();
    submit(&relay, 1);
    sink.wait_accepted(1);
    wait_for("it to be forgotten", || events(&relay, 1).is_none());
    relay.stop();
    // By default it would be kept for a month, whatever else is forgotten.
    let relay = Site::new(&format!("[journal]\nkeep = \"30d\"\n{}", smarthost(sink.address()))).start();
    submit(&relay, 2);
    sink.wait_accepted(2);
    relay.wait_log(&["delivery.delivered"]);
    assert!(events(&relay, 2).is_some_and(|events| events >= 2));
    relay.stop();
}

#[test]
fn the_journal_may_grow_so_large() {
    let sink = Sink::start();
    let relay =
        Site::new(&format!("[journal]\nkeep = \"100s\"\nsize_max = \"1 KiB\"\n{}", smarthost(sink.address()))).start();
    submit(&relay, 1);
    sink.wait_accepted(1);
    relay.wait_log(&["delivery.delivered"]);
    let full = events(&relay, 1).expect("it is new");
    assert!(full >= 2, "accepted and delivered");
    // Far more than 1 KiB; the newest is always kept.
    for number in 2..20 {
        submit(&relay, number);
    }
    sink.wait_accepted(19);
    wait_for("its oldest events to go", || events(&relay, 1).is_none_or(|left| left < full));
    assert!(events(&relay, 1).is_some(), "the message is as young as it was: only what was told of it went");
    relay.stop();
}
