//! Delivery status notifications, end to end (RFC 3461, RFC 3464): who gets one, what it says, and that it goes back to
//! the client's own MTA.

use std::collections::HashMap;

use crate::rig::client::Client;
use crate::rig::postfix::{self, Plan, Postfix};
use crate::rig::process::wait_for;
use crate::rig::relay::Site;
use crate::rig::sink::{Answer, Arrival, Said, Sink};
use crate::skip;

const CONTENT: &[u8] = b"Subject: the original\r\nMessage-ID: <original@example.com>\r\n\r\nsecret body\r\n";

/// Reports go to `mailbox`, everything else to `next_hop`.
fn routes(next_hop: &Sink, mailbox: std::net::SocketAddr) -> String {
    format!(
        "[dsn]\nroute = \"back\"\n\
         [[route]]\nname = \"out\"\nsmarthost = \"{}\"\ntls = \"none\"\n\
         [[route]]\nname = \"back\"\nsmarthost = \"{mailbox}\"\ntls = \"none\"\n",
        next_hop.address()
    )
}

/// The fields of one recipient in a `message/delivery-status` part, names in lower case.
fn fields_of(report: &Arrival, recipient: &str) -> HashMap<String, String> {
    let text = report.text().replace("\r\n ", " ").replace("\r\n\t", " ");
    let blocks = text.split("\r\n\r\n");
    let wanted = format!("final-recipient: rfc822;{recipient}");
    let squeezed = |block: &str| block.to_ascii_lowercase().replace("rfc822; ", "rfc822;");
    let block = blocks.into_iter().find(|block| squeezed(block).contains(&wanted));
    let block = block.unwrap_or_else(|| panic!("{recipient} is not reported in {text}"));
    let lines = block.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()
}

/// What every report has in common.
fn check_report(report: &Arrival, to: &str) {
    assert_eq!(report.mail_from, "", "RFC 5321 4.5.5: the null reverse-path");
    assert_eq!(report.recipients, [to]);
    let text = report.text();
    let header = text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n\t", " ").replace("\r\n ", " ");
    for expected in
        ["multipart/report", "report-type=delivery-status", "Auto-Submitted: auto-replied", "MIME-Version: 1.0"]
    {
        let found = header.to_ascii_lowercase().replace('"', "").contains(&expected.to_ascii_lowercase());
        assert!(found, "{expected} is not in {header}");
    }
    assert!(text.contains("Reporting-MTA: dns;"), "{text}");
    assert!(text.contains("<original@example.com>"), "the header of the original comes back: {text}");
}

#[test]
fn a_refused_recipient_is_reported_once() {
    let next_hop = Sink::scripted(|said| match said {
        Said::Rcpt("no@example.net") => Answer::say("550 5.1.1 <no@example.net>: no such user here"),
        _ => Answer::Usual,
    });
    let mailbox = Sink::start();
    let relay = Site::new(&routes(&next_hop, mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    let heard =
        client.deliver("alice@example.com", &["no@example.net", "yes@example.net"], CONTENT).expect("an answer");
    assert_eq!(heard.code, 250);
    let report = &mailbox.wait_accepted(1)[0];
    check_report(report, "alice@example.com");
    let fields = fields_of(report, "no@example.net");
    assert_eq!(fields["action"], "failed");
    assert_eq!(fields["status"], "5.1.1");
    assert!(fields["diagnostic-code"].contains("550 5.1.1 <no@example.net>: no such user here"), "{fields:?}");
    assert!(!report.text().contains("yes@example.net>:"), "who got it is not reported");
    assert!(!report.text().contains("secret body"), "headers only, unless RET=FULL was asked for");
    assert_eq!(next_hop.wait_accepted(1)[0].recipients, ["yes@example.net"], "the other one got it");
    assert_eq!(mailbox.arrivals().len(), 1);
}

/// A status that no server said: ours, where a message needs what the next hop has not (RFC 6531 3.2).
#[test]
fn what_needs_smtputf8_comes_back_with_our_own_status() {
    let next_hop = Sink::scripted(|said| match said {
        Said::Ehlo(_) => Answer::say("250-sink.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME"),
        _ => Answer::Usual,
    });
    let mailbox = Sink::start();
    let relay = Site::new(&routes(&next_hop, mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    client.expect("MAIL FROM:<alice@example.com> BODY=8BITMIME SMTPUTF8", 250);
    client.expect("RCPT TO:<bob@example.net>", 250);
    client.expect("DATA", 354);
    let content = "Subject: Gr\u{fc}\u{df}e\r\nMessage-ID: <original@example.com>\r\n\r\nx\r\n.\r\n";
    client.send(content.as_bytes()).expect("a connection");
    assert_eq!(client.hear().expect("an answer").code, 250);
    let report = &mailbox.wait_accepted(1)[0];
    assert_eq!((report.mail_from.as_str(), report.recipients.as_slice()), ("", &["alice@example.com".to_owned()][..]));
    // What it reports on has a header in UTF-8, so it is one itself (RFC 6533 3).
    assert!(report.text().contains("report-type=\"global-delivery-status\""), "{}", report.text());
    let fields = fields_of(report, "bob@example.net");
    assert_eq!(fields["status"], "5.6.7", "{}", report.text());
    assert_eq!(fields["action"], "failed");
    assert!(report.text().contains("does not offer SMTPUTF8"), "{}", report.text());
    assert_eq!(next_hop.arrivals().len(), 0);
}

#[test]
fn content_that_is_refused_is_reported_for_all() {
    let next_hop = Sink::scripted(|said| match said {
        Said::Content(..) => Answer::say("554 5.6.0 not this"),
        _ => Answer::Usual,
    });
    let mailbox = Sink::start();
    let relay = Site::new(&routes(&next_hop, mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    client.deliver("alice@example.com", &["r1@example.net", "r2@example.net"], CONTENT).expect("an answer");
    let recipients = ["r1@example.net", "r2@example.net"];
    wait_for("both recipients reported", || {
        recipients.iter().all(|r| mailbox.accepted().iter().any(|report| report.text().contains(r)))
    });
    for recipient in recipients {
        let reports = mailbox.accepted();
        let report = reports.iter().find(|report| report.text().contains(recipient)).expect("waited for");
        check_report(report, "alice@example.com");
        assert_eq!(fields_of(report, recipient)["status"], "5.6.0");
    }
}

#[test]
fn notify_is_obeyed() {
    // Without DSN at the next hop the relay itself says `relayed`; with it, the wish goes on to the next hop.
    let without_dsn = |said: Said<'_>| match said {
        Said::Ehlo(_) => Answer::say("250-sink.example\r\n250 PIPELINING"),
        Said::Rcpt("no@example.net") => Answer::say("550 5.1.1 no"),
        _ => Answer::Usual,
    };
    let next_hop = Sink::scripted(without_dsn);
    let mailbox = Sink::start();
    let relay = Site::new(&routes(&next_hop, mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    let cases = [
        // sender, parameters of RCPT, action reported
        ("success@example.com", "yes@example.net", "NOTIFY=SUCCESS ORCPT=rfc822;yes@example.net", Some("relayed")),
        ("never@example.com", "no@example.net", "NOTIFY=NEVER", None),
        ("only-success@example.com", "no@example.net", "NOTIFY=SUCCESS", None), // its failure was not asked for
        ("failure@example.com", "no@example.net", "NOTIFY=FAILURE", Some("failed")),
        ("full@example.com", "no@example.net", "", Some("failed")),
    ];
    for (from, to, notify, _) in cases {
        let ret = if from.starts_with("full") { " RET=FULL ENVID=a+3Db" } else { "" };
        client.expect(&format!("MAIL FROM:<{from}>{ret}"), 250);
        client.expect(&format!("RCPT TO:<{to}> {notify}"), 250);
        client.expect("DATA", 354);
        client.send(&crate::rig::client::stuffed(CONTENT)).expect("a connection");
        assert_eq!(client.hear().expect("an answer").code, 250);
    }
    // The last of them is reported after all others were tried.
    wait_for("the reports", || {
        let reports = mailbox.accepted();
        cases.iter().filter(|case| case.3.is_some()).all(|case| reports.iter().any(|r| r.recipients == [case.0]))
    });
    for (from, to, notify, action) in cases {
        let reports = mailbox.accepted();
        let report = reports.iter().find(|report| report.recipients == [from]);
        assert_eq!(report.map(|r| fields_of(r, to)["action"].clone()).as_deref(), action, "{from} {notify}");
    }
    let reports = mailbox.accepted();
    let full = reports.iter().find(|report| report.recipients == ["full@example.com"]).expect("waited for");
    assert!(full.text().contains("secret body"), "RET=FULL brings the whole message back");
    assert!(full.text().contains("Original-Envelope-Id: a=b"), "xtext is decoded: {}", full.text());
}

#[test]
fn wishes_go_on_to_a_next_hop_that_knows_them() {
    let next_hop = Sink::start();
    let mailbox = Sink::start();
    let relay = Site::new(&routes(&next_hop, mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    client.expect("MAIL FROM:<a@example.com> RET=HDRS ENVID=abc BODY=8BITMIME", 250);
    client.expect("RCPT TO:<b@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B+2Bx@example.net", 250);
    client.expect("DATA", 354);
    client.send(&crate::rig::client::stuffed(CONTENT)).expect("a connection");
    assert_eq!(client.hear().expect("an answer").code, 250);
    let arrival = &next_hop.wait_accepted(1)[0];
    for expected in ["RET=HDRS", "ENVID=abc"] {
        assert!(arrival.mail_parameters.contains(expected), "{expected}: {}", arrival.mail_parameters);
    }
    let parameters = &arrival.recipient_parameters[0];
    assert!(parameters.contains("NOTIFY=SUCCESS,DELAY"), "{parameters}");
    assert!(parameters.to_ascii_lowercase().contains("orcpt=rfc822;b+2bx@example.net"), "{parameters}");
    assert_eq!(mailbox.connections(), 0, "the next hop reports, not we");
}

/// A bounce that cannot be delivered ends: no bounce of a bounce, and no loop.
#[test]
fn a_report_that_is_refused_makes_no_report() {
    let next_hop = Sink::scripted(|said| match said {
        Said::Rcpt(_) => Answer::say("550 5.1.1 nobody here"),
        _ => Answer::Usual,
    });
    let relay = Site::new(&routes(&next_hop, next_hop.address())).start();
    let mut client = Client::greeted(relay.site().address());
    client.deliver("alice@example.com", &["no@example.net"], CONTENT).expect("an answer");
    let mails = |path: &str| next_hop.commands().iter().filter(|line| line.starts_with(path)).count();
    wait_for("the report's attempt", || mails("RCPT TO:<alice@example.com>") == 1);
    // A later message passes, so whatever would have followed the report has had its turn.
    client.deliver("bob@example.com", &["no@example.net"], CONTENT).expect("an answer");
    wait_for("the later message's report", || mails("RCPT TO:<bob@example.com>") == 1);
    assert_eq!(mails("RCPT TO:<alice@example.com>"), 1);
    assert_eq!(mails("MAIL FROM:<>"), 2, "{:?}", next_hop.commands());
}

/// The whole circle: Postfix hands over, the next hop refuses, and the report lands in the sender's mailbox by way of
/// the very Postfix that sent the message.
#[test]
fn the_report_comes_back_to_the_clients_postfix() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let next_hop = Sink::scripted(|said| match said {
        Said::Rcpt(_) => Answer::say("550 5.7.1 not from you"),
        _ => Answer::Usual,
    });
    let mailbox = Sink::start();
    // The address of the relay stands in Postfix's configuration and the other way round, so one is filled in later.
    let site = Site::new("");
    let plan = Plan::default().recipe(site.address());
    let transport = format!("inline:{{home.example=smtp:[{}]:{}}}", mailbox.address().ip(), mailbox.address().port());
    let client = Postfix::start(&plan.main("transport_maps", transport));
    site.configure(&routes(&next_hop, client.address()));
    let _relay = site.start();
    client.sendmail("alice@home.example", &["bob@example.net"], CONTENT);
    let report = &mailbox.wait_accepted(1)[0];
    check_report(report, "alice@home.example");
    assert_eq!(fields_of(report, "bob@example.net")["status"], "5.7.1");
    wait_for("an empty queue", || client.queued() == 0);
}

/// smtplib and most programs ask for nothing: the reply to a sender without a path is no report at all.
#[test]
fn mail_without_a_sender_is_never_reported() {
    let next_hop = Sink::scripted(|said| match said {
        Said::Rcpt("no@example.net") => Answer::say("550 5.1.1 nobody here"),
        _ => Answer::Usual,
    });
    let mailbox = Sink::start();
    let relay = Site::new(&routes(&next_hop, mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    client.deliver("", &["no@example.net"], CONTENT).expect("an answer");
    client.deliver("alice@example.com", &["no@example.net"], CONTENT).expect("an answer");
    let reports = mailbox.wait_accepted(1);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].recipients, ["alice@example.com"]);
}

/// A next hop that says "later" for a while: the sender is told once, and the mail still arrives.
#[test]
fn a_delay_is_told_once() {
    let turned_away = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&turned_away);
    let next_hop = Sink::scripted(move |said| match said {
        // Long enough for the notice and for attempts behind it.
        Said::Rcpt(_) if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 8 => {
            Answer::say("450 4.2.1 mailbox is busy")
        }
        _ => Answer::Usual,
    });
    let mailbox = Sink::start();
    let retry = "[retry]\nfirst_wait = \"1s\"\ngrowth_percent = 100\njitter_percent = 0\ndelay_notice = \"2s\"\n";
    let relay = Site::new(&format!("{retry}{}", routes(&next_hop, mailbox.address()))).start();
    let mut client = Client::greeted(relay.site().address());
    client.deliver("alice@example.com", &["bob@example.net"], CONTENT).expect("an answer");
    let arrival = &next_hop.wait_accepted(1)[0];
    assert_eq!(arrival.recipients, ["bob@example.net"]);
    let reports = mailbox.wait_accepted(1);
    assert_eq!(reports.len(), 1, "once");
    check_report(&reports[0], "alice@example.com");
    let fields = fields_of(&reports[0], "bob@example.net");
    assert_eq!(fields["action"], "delayed");
    assert!(fields["status"].starts_with("4."), "{fields:?}");
    assert!(fields.contains_key("will-retry-until"), "{fields:?}");
    assert!(fields["diagnostic-code"].contains("450 4.2.1 mailbox is busy"), "{fields:?}");
}
