//! The rig is checked against Postfix before it may judge anything: what Postfix relays must reach the sink as it is.

use crate::rig::client::Client;
use crate::rig::postfix::{self, Plan, Postfix};
use crate::rig::sink::{Answer, Said, Sink};
use crate::rig::tls::Certificate;
use crate::skip;

#[test]
fn what_postfix_relays_reaches_the_sink_as_it_is() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = Sink::start();
    let relay = Postfix::start(&Plan::default().relayhost(sink.address()));
    let body = b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\n\xc3\xa4\r\n";
    let mut client = Client::greeted(relay.address());
    let heard = client.deliver("a@example.com", &["b@example.net", "c@example.net"], body).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
    let arrivals = sink.wait_accepted(1);
    assert_eq!(arrivals[0].mail_from, "a@example.com");
    assert_eq!(arrivals[0].recipients, ["b@example.net", "c@example.net"]);
    let below = arrivals[0].content_from("Subject: dots");
    assert!(below.ends_with(b"\r\n\r\n.one\r\n..two\r\n.\r\n\xc3\xa4\r\n"), "{}", arrivals[0].text());
    assert_eq!(arrivals[0].egress, relay.address().ip());
}

#[test]
fn a_scripted_refusal_becomes_a_dsn() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = Sink::scripted(|said| match said {
        Said::Rcpt("no@example.net") => Answer::say("550 5.1.1 no such user"),
        _ => Answer::Usual,
    });
    let relay = Postfix::start(&Plan::default().relayhost(sink.address()));
    relay.sendmail("a@example.com", &["no@example.net"], b"Subject: x\n\nx\n");
    let dsn = &sink.wait_accepted(1)[0];
    assert_eq!((dsn.mail_from.as_str(), &dsn.recipients[..]), ("", &["a@example.com".to_owned()][..]));
    assert!(dsn.text().contains("Status: 5.1.1"), "{}", dsn.text());
}

#[test]
fn the_sink_speaks_tls() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = Certificate::make(folder.path(), &["sink.example"]);
    let sink = Sink::with_tls(&certificate, |_| Answer::Usual);
    let plan = Plan::default().relayhost(sink.address()).main("smtp_tls_security_level", "encrypt");
    let relay = Postfix::start(&plan);
    relay.sendmail("a@example.com", &["b@example.net"], b"Subject: x\n\nx\n");
    assert!(sink.wait_accepted(1)[0].tls);
}
