//! Options about who is next and when it is tried again, as they are written in the file.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rig::client::Client;
use crate::rig::process::wait_for;
use crate::rig::relay::{Relay, Site, smarthost};
use crate::rig::sink::{Answer, Said, Sink};

fn submit(relay: &Relay, from: &str, to: &[&str], content: &str) {
    let mut client = Client::greeted(relay.site().address());
    let heard = client.deliver(from, to, content.as_bytes()).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
}

const NOTE: &str = "Subject: x\r\n\r\nx\r\n";

/// The reverse-paths of what arrives, in order: all is there before the first may leave, and it leaves one by one.
fn order(options: &str, messages: &[(&str, &[&str], &str)]) -> Vec<String> {
    let sink = Sink::start();
    let relay = Site::new(&format!("{options}{}concurrency = 1\n", smarthost(sink.address()))).start();
    assert!(relay.site().command(&["hold", "all"]).status.success());
    for (from, to, content) in messages {
        submit(&relay, from, to, content);
    }
    assert!(relay.site().command(&["resume", "all"]).status.success());
    let arrived = sink.wait_accepted(messages.len());
    relay.stop();
    arrived.into_iter().map(|arrival| arrival.mail_from).collect()
}

fn count(order: &[String], from: &str) -> usize {
    order.iter().filter(|one| *one == from).count()
}

#[test]
fn accounts_have_the_share_that_is_written() {
    let to: &[&str] = &["b@example.net"];
    let messages: Vec<(&str, &[&str], &str)> =
        (0..40).map(|n| (["a@example.com", "b@example.com"][n / 20], to, NOTE)).collect();
    let begin = |options: &str| count(&order(options, &messages)[..16], "b@example.com");
    let usual = begin("");
    assert!((7..=9).contains(&usual), "equal shares: {usual} of 16");
    let more = begin("[[dispatch.weight]]\naccount = \"b@example.com\"\npercent = 300\n");
    assert!((11..=13).contains(&more), "three of four: {more} of 16");
}

#[test]
fn bulk_has_the_share_that_is_written() {
    let many: Vec<String> = (0..3).map(|n| format!("{n}@example.net")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let few: &[&str] = &["b@example.net"];
    let large = format!("{NOTE}{}", "0123456789\r\n".repeat(2_000));
    // The same account; what is told apart is told by the reverse-path's tag.
    let (letter, bulk) = ("a@example.com", "a+bulk@example.com");
    let begin = |options: &str, to: &[&str], content: &str| {
        let mut messages: Vec<(&str, &[&str], &str)> = Vec::new();
        messages.extend((0..30).map(|_| (bulk, to, content)));
        messages.extend((0..30).map(|_| (letter, few, NOTE)));
        count(&order(&format!("[dispatch]\n{options}"), &messages)[..20], bulk)
    };
    // Ordinary mail all of it: as it came.
    assert_eq!(begin("", few, NOTE), 20);
    let by_size = "transactional_size = \"10 KiB\"\n";
    let share = begin(by_size, few, &large);
    assert!((3..=5).contains(&share), "a fifth: {share} of 20");
    let half = begin(&format!("{by_size}bulk_share_percent = 50\n"), few, &large);
    assert!((9..=11).contains(&half), "a half: {half} of 20");
    let by_recipients = begin("transactional_recipients = 2\n", &many, NOTE);
    assert!((1..=3).contains(&by_recipients), "a fifth of the recipients: {by_recipients} of 20");
}

/// Until when each waiting delivery waits after its failed attempt, in milliseconds.
fn waits(relay: &Relay) -> Vec<u64> {
    let list = relay.site().command(&["queue", "list", "--json"]).stdout;
    let waits = String::from_utf8_lossy(&list).lines().map(str::to_owned).collect::<Vec<_>>();
    let wait_of = |line: &String| {
        let message: Value = serde_json::from_str(line).expect("JSON");
        let shown = relay.site().command(&["queue", "show", message["id"].as_str().expect("an id"), "--json"]).stdout;
        let shown: Value = serde_json::from_slice(&shown).expect("JSON");
        let failed = shown["history"].as_array()?.iter().rev().find(|one| one["event"] == "delivery.deferred")?;
        Some(message["deliveries"][0]["due_ms"].as_u64()? - failed["at_ms"].as_u64()?)
    };
    waits.iter().filter_map(wait_of).collect()
}

#[test]
fn waits_differ_by_so_much() {
    const MESSAGES: usize = 12;
    const HOUR_MS: u64 = 3_600_000;
    const SLACK_MS: u64 = 60_000;
    for (percent, most_ms) in [(0, 0), (50, HOUR_MS / 2)] {
        let sink = Sink::scripted(|said| match said {
            Said::Rcpt(_) => Answer::say("451 4.3.0 later"),
            _ => Answer::Usual,
        });
        let retry = format!("[retry]\nfirst_wait = \"1h\"\ngrowth_percent = 100\njitter_percent = {percent}\n");
        let relay = Site::new(&format!("{retry}{}", smarthost(sink.address()))).start();
        for _ in 0..MESSAGES {
            submit(&relay, "a@example.com", &["b@example.net"], NOTE);
        }
        let mut found = Vec::new();
        wait_for("all to have failed", || {
            found = waits(&relay);
            found.len() == MESSAGES
        });
        // The event is written a moment after the outcome: its time says an hour within seconds.
        let within = |wait: &u64| wait.abs_diff(HOUR_MS) <= most_ms + SLACK_MS;
        assert!(found.iter().all(within), "jitter_percent = {percent}: {found:?}");
        let minutes: BTreeSet<u64> = found.iter().map(|wait| wait.abs_diff(HOUR_MS) / SLACK_MS).collect();
        // Twelve waits spread over an hour that all end within a minute of each other: one in 60^11.
        assert_eq!(minutes.len() > 1, percent > 0, "jitter_percent = {percent}: {found:?}");
        relay.stop();
    }
}
