//! No message is read as two, whichever line ends it is written with: not by us, and not by a server behind us that is
//! more liberal than the RFC (CVE-2023-51764 and its like).

use crate::rig::client::Client;
use crate::rig::postfix::{self, Plan, Postfix};
use crate::rig::process::wait_for;
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::Sink;
use crate::skip;
use std::net::SocketAddr;

/// What stands where a liberal reader might see the end of a message.
const FALSE_ENDS: [&[u8]; 13] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\n\n.\n\n",
    b"\r\r.\r\r",
    b"\r\n.\x0b\n", // a vertical tab for those who trim white space
];

/// A Postfix that takes every line end it ever took.
fn liberal(sink: &Sink) -> Postfix {
    let plan = Plan::default().relayhost(sink.address());
    Postfix::start(&plan.main("smtpd_forbid_bare_newline", "no").main("smtpd_forbid_unauth_pipelining", "no"))
}

/// Sends every payload on a connection of its own, then a last message; how many of all were answered 250.
fn attack(to: SocketAddr) -> usize {
    let mut accepted = 0;
    for (i, end) in FALSE_ENDS.iter().enumerate() {
        let mut client = Client::greeted(to);
        for (command, code) in [
            (format!("MAIL FROM:<case{i}@example.com>"), 250),
            ("RCPT TO:<b@example.net>".into(), 250),
            ("DATA".into(), 354),
        ] {
            client.expect(&command, code);
        }
        let hidden = b"MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: two\r\n\r\ntwo\r\n.\r\n";
        client.send(&[b"Subject: one\r\n\r\none", *end, &hidden[..]].concat()).expect("a connection");
        // Refused, closed or taken: what counts is what arrives behind.
        accepted += usize::from(client.hear().is_ok_and(|heard| heard.code == 250));
        client.cut();
    }
    let heard = Client::greeted(to).deliver("last@example.com", &["b@example.net"], b"Subject: last\r\n\r\nx\r\n");
    assert_eq!(heard.expect("an answer").code, 250);
    accepted + 1
}

fn smuggled(sink: &Sink) -> usize {
    sink.arrivals().iter().filter(|arrival| arrival.mail_from == "smuggled@example.com").count()
}

/// The control: without the relay, the same payloads do their work. Else the tests below would prove nothing.
#[test]
fn a_liberal_server_alone_is_fooled() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = Sink::start();
    let server = liberal(&sink);
    attack(server.address());
    wait_for("a smuggled message", || smuggled(&sink) > 0);
}

#[test]
fn nothing_is_smuggled_through_the_relay() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    for strays in ["refuse", "repair"] {
        let sink = Sink::start();
        let server = liberal(&sink);
        let further = format!("[intake]\nstray_line_ends = \"{strays}\"\n{}", smarthost(server.address()));
        let relay = Site::new(&further).start();
        let accepted = attack(relay.site().address());
        assert!(strays == "refuse" || accepted > FALSE_ENDS.len() / 2, "repair refuses nearly all: {accepted}");
        let arrivals = sink.wait_accepted(accepted);
        assert_eq!(smuggled(&sink), 0, "{strays}");
        for arrival in &arrivals {
            assert_eq!(arrival.recipients, ["b@example.net"], "{strays}");
            let stray = arrival.content.iter().enumerate().find(|&(i, &byte)| {
                byte == 0
                    || (byte == b'\n' && (i == 0 || arrival.content[i - 1] != b'\r'))
                    || (byte == b'\r' && arrival.content.get(i + 1) != Some(&b'\n'))
            });
            assert_eq!(stray, None, "{strays}: {}", arrival.content.escape_ascii());
        }
        // One message each, whatever became of it: a second one behind a payload would be one too many.
        assert_eq!(sink.arrivals().len(), accepted, "{strays}");
    }
}
