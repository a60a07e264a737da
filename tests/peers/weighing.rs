//! Options about judging, as they are written in the file: each does what its line in the reference says.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use serde_json::Value;

use crate::rig::client::Client;
use crate::rig::loopback::own_address;
use crate::rig::process::run;
use crate::rig::relay::{Relay, Site, binary, smarthost};
use crate::rig::sink::Sink;

/// What a person might write.
const NOTE: &str = "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@shop.example>\r\nTo: Bob <bob@example.net>\r\n\
    Message-ID: <note-1@shop.example>\r\nX-Mailer: Kontor 7\r\nSubject: Minutes of Tuesday\r\n\r\n\
    Hello Bob,\r\n\r\nhere are the Minutes that I promised: https://files.partner.example/minutes\r\n\r\nAnn\r\n";

/// What `outguard score` says of a message of this account, with this configuration.
fn judged(site: &Site, options: &str, account: &str) -> Value {
    site.configure(options);
    let config = site.config().display().to_string();
    let output = run(&binary(), &["score", "--json", "--account", account, "--config", &config], NOTE.as_bytes());
    assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{options}: {e}"))
}

fn points(judged: &Value, name: &str) -> Option<i64> {
    let reasons = judged["reasons"].as_array().unwrap_or_else(|| panic!("{judged}"));
    reasons.iter().find(|reason| reason["name"] == name)?["points"].as_i64()
}

#[test]
fn rules_of_ones_own() {
    let site = Site::new("");
    let rule =
        |lines: &str| format!("[[score.rule]]\nname = \"ours\"\npoints = 33\nsentence = \"It is ours\"\n{lines}");
    let ann = "ann@shop.example";
    let cases: [(&str, &str, bool); 17] = [
        // lines of the rule, account, whether it strikes
        ("pattern = \"minutes that\"\n", ann, true), // the case of letters does not matter
        ("pattern = \"minutes that\"\ncase = \"exact\"\n", ann, false),
        ("pattern = \"Minutes that\"\ncase = \"exact\"\n", ann, true),
        ("pattern = \"of Tuesday\"\n", ann, false), // it stands in the subject alone
        ("pattern = \"of Tuesday\"\nplace = \"subject\"\n", ann, true),
        ("pattern = \"kontor\"\nplace = \"header:X-Mailer\"\n", ann, true),
        ("pattern = \"kontor\"\nplace = \"header:X-Other\"\n", ann, false),
        ("domains = [\"partner.example\"]\n", ann, true), // a link to a host below it
        ("domains = [\"other.example\"]\n", ann, false),
        ("domains = [\"shop.example\"]\n", ann, false),
        ("domains = [\"shop.example\"]\ndomain_of = \"from\"\n", ann, true),
        ("pattern = \"minutes\"\naccounts = [\"ann@shop.example\"]\n", ann, true),
        ("pattern = \"minutes\"\naccounts = [\"bob@shop.example\"]\n", ann, false),
        ("pattern = \"minutes\"\naccount_domains = [\"Shop.example\"]\n", ann, true),
        ("pattern = \"minutes\"\naccount_domains = [\"other.example\"]\n", ann, false),
        ("pattern = \"minutes\"\naccounts = [\"x@y.example\"]\naccount_domains = [\"shop.example\"]\n", ann, true), // either
        ("pattern = \"minutes\"\naccount_domains = [\"b\u{fc}cher.example\"]\n", "a@xn--bcher-kva.example", true),
    ];
    for (lines, account, strikes) in cases {
        let found = points(&judged(&site, &rule(lines), account), "ours").filter(|points| *points != 0);
        assert_eq!(found, strikes.then_some(33), "{lines} as {account}");
    }
}

#[test]
fn lists_and_overrides() {
    let site = Site::new("");
    let name = "link-shortener";
    let (ann, list) = ("ann@shop.example", "[score.lists]\nshorteners = [\"files.partner.example\"]\n");
    assert_eq!(points(&judged(&site, "", ann), name), None);
    let usual = points(&judged(&site, list, ann), name).expect("a host of the list");
    assert!(usual > 0);
    let cases = [
        (format!("{list}[[score.override]]\naccount = \"{ann}\"\npoints = {{ {name} = 77 }}\n"), 77),
        (format!("{list}[[score.override]]\naccount = \"bob@shop.example\"\npoints = {{ {name} = 77 }}\n"), usual),
        (format!("{list}[[score.override]]\ndomain = \"SHOP.example\"\npoints = {{ {name} = 66 }}\n"), 66),
    ];
    for (options, expected) in cases {
        assert_eq!(points(&judged(&site, &options, ann), name), Some(expected), "{options}");
    }
    let decision = |options: &str| judged(&site, options, ann)["decision"].as_str().expect("a word").to_owned();
    assert_eq!(decision("[score]\nhold = -1000\n"), "hold");
    assert_eq!(decision("[score]\nhold = \"off\"\n"), "send");
    assert_eq!(
        decision("[score]\nhold = -1000\n[[score.override]]\ndomain = \"shop.example\"\nhold = \"off\"\n"),
        "send"
    );
}

fn deliver(relay: &Relay, to: &str, content: &str) -> u16 {
    let mut client = Client::greeted(relay.site().address());
    client.deliver("ann@shop.example", &[to], content.as_bytes()).expect("an answer").code
}

/// The verdict on the newest message to this address.
fn verdict(relay: &Relay, to: &str) -> Value {
    let traced = relay.site().command(&["trace", to, "--json"]).stdout;
    let line = String::from_utf8(traced).expect("text");
    let newest: Value = serde_json::from_str(line.lines().next().expect("it is known")).expect("an object");
    newest["message"]["verdict"].clone()
}

#[test]
fn nothing_is_judged_where_it_is_off() {
    for (option, name) in [("true", true), ("false", false)] {
        let sink = Sink::start();
        let relay =
            Site::new(&format!("[score]\nenabled = {option}\nhold = -1000\n{}", smarthost(sink.address()))).start();
        assert_eq!(deliver(&relay, "bob@example.net", NOTE), 250);
        let held = verdict(&relay, "bob@example.net")["decision"] == "hold";
        assert_eq!(held, name, "enabled = {option}");
        relay.stop();
    }
}

/// A rush of near-copies to strangers, from an account that has just begun.
fn rush(options: &str) -> i64 {
    let sink = Sink::start();
    let relay = Site::new(&format!(
        "[score]\nhold = \"off\"\n[score.behaviour]\nwatch_first = \"0s\"\n{options}{}",
        smarthost(sink.address())
    ))
    .start();
    let mut last = Value::Null;
    for number in 0..14 {
        let (to, id) = (format!("{number}@d{number}.example"), format!("<note-{number}@"));
        assert_eq!(deliver(&relay, &to, &NOTE.replace("<note-1@", &id)), 250);
        last = verdict(&relay, &to);
    }
    relay.stop();
    points(&last, "near-copies-to-strangers").unwrap_or_else(|| panic!("{options}: {last}"))
}

#[test]
fn behaviour_weighs_as_much_as_is_written() {
    let full = rush("");
    assert!(full > 0);
    assert_eq!(rush("weigh = false\n"), 0, "shown, without points");
    let half = rush("weight_percent = 50\n");
    assert!((full / 2 - 1..=full / 2 + 1).contains(&half), "{full} and {half}");
}

/// A scorer that says nothing, and what it was given to the end of the connection.
fn mute() -> (SocketAddr, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((own_address(), 0)).expect("a port");
    let address = listener.local_addr().expect("it has one");
    let given = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("it is asked");
        let mut given = Vec::new();
        let _ = client.read_to_end(&mut given); // cut off is as good as closed
        given
    });
    (address, given)
}

#[test]
fn other_scorers_are_given_so_much() {
    let long = format!("{NOTE}{}", "0123456789 abcdefghij\r\n".repeat(4_000));
    for scorer in ["rspamd", "spamassassin", "clamav"] {
        for (bytes_max, given_max) in [("10 KiB", 12 * 1024), ("1 MiB", usize::MAX)] {
            let (address, given) = mute();
            let sink = Sink::start();
            let options = format!(
                "[scorers.{scorer}]\naddress = \"{address}\"\ntimeout = \"2s\"\nmessage_bytes = \"{bytes_max}\"\n{}",
                smarthost(sink.address())
            );
            let relay = Site::new(&options).start();
            assert_eq!(deliver(&relay, "bob@example.net", &long), 250);
            let given = given.join().expect("no panic there").len();
            // Beside the message stand a few lines of the protocol.
            let whole = given >= long.len();
            assert!(
                given <= given_max && whole == (given_max == usize::MAX),
                "{scorer} was given {given} of {bytes_max}"
            );
            relay.stop();
        }
    }
}
