//! Options about what leaves, when and where to, as they are written in the file: each does what its line in the
//! reference says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use crate::rig::client::Client;
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process::{run_with, wait_for};
use crate::rig::relay::{Relay, Site, binary, smarthost};
use crate::rig::sink::{Answer, Arrival, Said, Sink};
use crate::rig::tls::Certificate;
use crate::skip;

const CONTENT: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn start(options: &str, sink: &Sink) -> Relay {
    Site::new(&format!("{options}{}", smarthost(sink.address()))).start()
}

/// The answer to a message.
fn submit(relay: &Relay, from: &str, to: &[&str]) -> u16 {
    Client::greeted(relay.site().address()).deliver(from, to, CONTENT).expect("an answer").code
}

/// What `queue list` and `queue show` say of all that has not left.
fn queue(relay: &Relay) -> String {
    let list = relay.site().command(&["queue", "list", "--json"]).stdout;
    let mut text = String::new();
    for line in String::from_utf8_lossy(&list).lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let id = message["id"].as_str().expect("an id").to_owned();
        text += &String::from_utf8_lossy(&relay.site().command(&["queue", "show", &id]).stdout);
    }
    text
}

fn recipients(arrivals: &[Arrival]) -> usize {
    arrivals.iter().map(|arrival| arrival.recipients.len()).sum()
}

#[test]
fn a_limit_lets_so_many_leave_and_says_so() {
    let override_of = |what: &str, limit: &str| format!("[[limits.override]]\n{what}\nlimit = \"{limit}\"\n");
    let two: &[&[&str]] = &[&["1@example.net"], &["2@example.net"]];
    let three: &[&[&str]] = &[&["1@example.net"], &["2@example.net"], &["3@example.net"]];
    let many: &[&[&str]] = &[&["1@example.net", "2@example.net", "3@example.net"], &["4@example.net"]];
    let free = "[limits]\nfair_reserve = false\n";
    let cases: [(String, &[&[&str]], usize, &str); 12] = [
        // options, recipients of each message, how many leave, words of why the rest waits
        (format!("{free}account = \"2/h\"\n"), three, 2, "2/h"),
        (format!("{free}account = [\"100/h\", \"1/d\"]\n"), two, 1, "1/d"),
        (format!("{free}egress = \"2/h\"\n"), three, 2, "2/h"),
        (format!("{free}account = \"2/h\"\n"), many, 2, "2/h"), // the first message is split
        (format!("{free}account = \"1/h\"\ncount = \"messages\"\n"), many, 3, "1 messages/h"),
        (format!("{free}account = \"1 messages/h\"\n"), many, 3, "1 messages/h"),
        (format!("{free}account = \"3/h\"\nmargin = 1\n"), three, 2, "3/h"),
        (format!("{free}{}", override_of("account = \"a@example.com\"", "1/h")), two, 1, "1/h"),
        (format!("{free}{}", override_of("domain = \"example.com\"", "1/h")), two, 1, "1/h"),
        (format!("{free}{}", override_of("route = \"NEXTHOP\"\nof = \"egress\"", "1/h")), two, 1, "1/h"),
        (format!("{free}{}", override_of("egress = \"EGRESS\"", "1/h")), two, 1, "1/h"),
        (format!("{free}account = \"0/h\"\n"), two, 0, "0/h"),
    ];
    for (options, messages, leave, why) in cases {
        let sink = Sink::start();
        let site = Site::new("");
        let options =
            options.replace("EGRESS", &site.egress().to_string()).replace("NEXTHOP", &sink.address().ip().to_string());
        site.configure(&format!("{options}{}", smarthost(sink.address())));
        let relay = site.start();
        for to in messages {
            assert_eq!(submit(&relay, "a@example.com", to), 250);
        }
        let mut said = String::new();
        wait_for(&format!("{options}: {why}"), || {
            said = queue(&relay);
            said.contains(why) && recipients(&sink.accepted()) == leave
        });
        assert!(said.contains("waiting"), "{options}: {said}");
        assert_eq!(recipients(&sink.accepted()), leave, "{options}: {said}");
    }
}

/// Several overrides in one file, each for whom it names and nobody else; the most particular one holds.
#[test]
fn overrides_hold_side_by_side_each_for_whom_it_names() {
    let sink = Sink::start();
    let site = Site::new("");
    site.configure(&format!(
        "[limits]\nfair_reserve = false\naccount = \"3/h\"\n\
         [[limits.override]]\naccount = \"a@one.example\"\nlimit = \"1/h\"\n\
         [[limits.override]]\ndomain = \"two.example\"\nlimit = \"2/h\"\n\
         [[limits.override]]\naccount = \"free@two.example\"\nlimit = []\n\
         [[limits.override]]\nroute = \"small\"\nlimit = \"1/h\"\n\
         [[limits.override]]\negress = \"{}\"\nlimit = \"17/h\"\n\
         {small}name = \"small\"\nrecipient_domains = [\"small.example\"]\n{others}",
        site.egress(),
        small = smarthost(sink.address()),
        others = smarthost(sink.address()),
    ));
    let relay = site.start();
    let cases = [
        // from, to whose domain, messages, how many leave, words of the limit that the rest waits for
        ("a@one.example", "large.example", 3, 1, "account 1/h"),
        ("b@one.example", "large.example", 4, 3, "account 3/h"), // the general one
        ("c@two.example", "large.example", 4, 2, "account 2/h"),
        ("d@two.example", "large.example", 3, 2, "account 2/h"), // each account of the domain on its own
        ("free@two.example", "large.example", 4, 4, ""),         // the account's goes before its domain's
        ("e@three.example", "small.example", 2, 1, "account 1/h"),
        ("e@three.example", "large.example", 4, 3, "account 3/h"), // and the route is counted apart
        ("f@four.example", "large.example", 2, 1, "egress 17/h"),
        ("g@four.example", "small.example", 2, 0, "egress 17/h"),
    ];
    for (from, domain, messages, leave, why) in cases {
        let to = format!("b@{domain}");
        for _ in 0..messages {
            assert_eq!(submit(&relay, from, &[&to]), 250);
        }
        let left = || sink.accepted().iter().filter(|a| a.mail_from == from && a.recipients == [to.as_str()]).count();
        let waiting = || -> Vec<String> {
            let list = site.command(&["queue", "list", "--account", from, "--to", &to, "--json"]).stdout;
            let rows = String::from_utf8_lossy(&list).into_owned();
            let rows = rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
            rows.map(|row| row["deliveries"][0]["why"]["sentence"].to_string()).collect()
        };
        wait_for(&format!("{leave} from {from} to {to}"), || {
            let said = waiting();
            left() == leave && said.len() == messages - leave && said.iter().all(|sentence| sentence.contains(why))
        });
    }
    assert_eq!(recipients(&sink.accepted()), 17, "as many as the egress may");
}

#[test]
fn what_was_refused_counts_only_if_asked_for() {
    for (option, leaves) in [("true", false), ("false", true)] {
        let sink = Sink::scripted(|said| match said {
            Said::Rcpt("no@example.net") => Answer::say("550 5.1.1 no such user"),
            _ => Answer::Usual,
        });
        let options = format!("[limits]\naccount = \"1/h\"\ncount_refused = {option}\n");
        let relay = start(&options, &sink);
        assert_eq!(submit(&relay, "a@example.com", &["no@example.net"]), 250);
        relay.wait_log(&["delivery.bounced"]);
        assert_eq!(submit(&relay, "a@example.com", &["yes@example.net"]), 250);
        let arrived = || sink.accepted().iter().any(|arrival| arrival.recipients == ["yes@example.net"]);
        wait_for("its end", || if leaves { arrived() } else { queue(&relay).contains("1/h") });
        assert_eq!(arrived(), leaves, "count_refused = {option}");
    }
}

#[test]
fn the_public_address_is_counted() {
    let sink = Sink::start();
    let site = Site::new("");
    let relay = {
        let more =
            format!("[[egress]]\nname = \"nat\"\naddress = \"{}\"\npublic_address = \"192.0.2.7\"\n", own_address());
        let route = format!("{}egress = [\"nat\"]\n", smarthost(sink.address()));
        site.configure(&format!("{more}{route}"));
        site.start()
    };
    assert_eq!(submit(&relay, "a@example.com", &["b@example.net"]), 250);
    sink.wait_accepted(1);
    let limits = String::from_utf8_lossy(&site.command(&["limits"]).stdout).into_owned();
    assert!(limits.contains("192.0.2.7"), "{limits}");
}

#[test]
fn a_pace_keeps_mail_apart() {
    for whose in ["egress", "account", "domain"] {
        let sink = Sink::start();
        let mut options = format!("[pace]\n{whose} = \"1/s burst 1\"\n");
        for other in ["egress", "account", "domain"].iter().filter(|other| **other != whose) {
            let _ = writeln!(options, "{other} = \"off\"");
        }
        let relay = start(&options, &sink);
        for n in 0..6 {
            assert_eq!(submit(&relay, "a@example.com", &[&format!("{n}@example.net")]), 250);
        }
        let moments: Vec<u64> = sink.wait_accepted(6).iter().map(|arrival| arrival.mail_ms).collect();
        // Five seconds lie between the grants. From its grant to MAIL a message may take its time, and the first took three.
        assert!(moments[5] - moments[0] >= 2_000, "{whose}: {moments:?}");
    }
}

#[test]
fn a_turn_has_so_many_recipients() {
    let sink = Sink::start();
    let relay = start("[dispatch]\nturn_recipients_alone = 2\nturn_recipients = 2\n", &sink);
    let to: Vec<String> = (0..5).map(|n| format!("{n}@example.net")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    assert_eq!(submit(&relay, "a@example.com", &to), 250);
    wait_for("all recipients", || recipients(&sink.accepted()) == 5);
    assert!(sink.accepted().iter().all(|arrival| arrival.recipients.len() <= 2), "{:?}", sink.accepted());
}

#[test]
fn connections_at_once() {
    let slow = || {
        Sink::scripted(|said| match said {
            Said::Content(..) => Answer::After(Duration::from_millis(300), Box::new(Answer::Usual)),
            _ => Answer::Usual,
        })
    };
    let egress = |option: &str| format!("[[egress]]\nname = \"only\"\naddress = \"{}\"\n{option}", own_address());
    let cases = [
        // before the route, of the route, one connection alone
        (String::new(), String::new(), false),
        (String::new(), "concurrency = 1\n".to_owned(), true),
        (egress("concurrency = 1\n"), "egress = [\"only\"]\n".to_owned(), true),
    ];
    for (options, of_route, alone) in cases {
        let sink = slow();
        let site = Site::new(&format!("{options}{}{of_route}", smarthost(sink.address())));
        let relay = site.start();
        // Behind a gate, so that all of it wants to leave at once.
        assert!(site.command(&["hold", "all"]).status.success());
        for n in 0..8 {
            assert_eq!(submit(&relay, "a@example.com", &[&format!("{n}@example.net")]), 250);
        }
        assert!(site.command(&["resume", "all"]).status.success());
        sink.wait_accepted(8);
        assert_eq!(sink.connections() == 1, alone, "{options}{of_route}: {}", sink.connections());
    }
}

/// One connection from the egress, two servers that have mail for hours: both go on.
#[test]
fn servers_share_what_an_egress_may_have() {
    let busy = || {
        Sink::scripted(|said| match said {
            Said::Content(..) => Answer::After(Duration::from_millis(50), Box::new(Answer::Usual)),
            _ => Answer::Usual,
        })
    };
    let (one, other) = (busy(), busy());
    let site = Site::new(&format!(
        "[[egress]]\nname = \"only\"\naddress = \"{}\"\nconcurrency = 1\n{}egress = [\"only\"]\n\
         recipient_domains = [\"one.example\"]\n{}egress = [\"only\"]\n",
        own_address(),
        smarthost(one.address()),
        smarthost(other.address())
    ));
    let relay = site.start();
    let mut client = Client::greeted(relay.site().address());
    for n in 0..30 {
        for domain in ["one.example", "other.example"] {
            let heard = client.deliver("a@example.com", &[&format!("{n}@{domain}")], CONTENT).expect("an answer");
            assert_eq!(heard.code, 250);
        }
    }
    // Neither is through before the other has begun.
    let (first, second) = (one.wait_accepted(30), other.wait_accepted(30));
    for (mine, others) in [(&first, &second), (&second, &first)] {
        assert!(mine[0].content_ms < others[29].content_ms, "{mine:?}");
    }
}

/// The client's connection, the name server's answer, the egress, the literal; version 4 beside it.
#[test]
fn all_of_it_over_ipv6() {
    // Both at once, so that they are two.
    let free = || std::net::TcpListener::bind("[::1]:0");
    let (Ok(listen), Ok(hop)) = (free(), free()) else { skip!("this machine has no IPv6") };
    let [listen, hop] = [listen, hop].map(|listener| listener.local_addr().expect("it has one"));
    let sink = Sink::start_at(hop, None, |_| Answer::Usual);
    let zone = Zone::from([
        ("six.example".into(), vec![Record::Mx(10, "host.example".into())]),
        ("host.example".into(), vec![Record::Address(hop.ip())]),
    ]);
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
    let relay = Site::new(&format!(
        "[dns]\nservers = [\"{}\"]\n[[listen]]\naddress = \"{listen}\"\n\
         [[egress]]\nname = \"six\"\naddress = \"::1\"\nehlo = \"six.example.com\"\n\
         [[route]]\nmx_port = {}\ntls = \"none\"\negress = [\"six\"]\n",
        dns.address(),
        hop.port()
    ))
    .start();
    for to in ["b@six.example", "b@[IPv6:::1]"] {
        let heard = Client::greeted(listen).deliver("a@example.com", &[to], CONTENT).expect("an answer");
        assert_eq!(heard.code, 250, "{heard:?}");
    }
    assert_eq!(submit(&relay, "a@example.com", &["4@six.example"]), 250);
    let arrivals = sink.wait_accepted(3);
    assert!(arrivals.iter().all(|arrival| arrival.egress == hop.ip() && arrival.ehlo == "six.example.com"));
    let from_six = arrivals.iter().filter(|arrival| arrival.text().contains("[IPv6:::1]"));
    assert_eq!(from_six.count(), 2, "{arrivals:?}");
}

/// Everything goes to `hop`, reports to `mailbox`.
fn with_reports(hop: SocketAddr, mailbox: SocketAddr) -> String {
    format!(
        "[dsn]\nroute = \"back\"\naccount = \"reports\"\nfrom = \"reports@example.com\"\noperator = \"boss@example.com\"\n\
         full_size = \"1 KiB\"\n[[route]]\nname = \"out\"\nsmarthost = \"{hop}\"\ntls = \"none\"\n\
         [[route]]\nname = \"back\"\nsmarthost = \"{mailbox}\"\ntls = \"none\"\n"
    )
}

#[test]
fn it_is_tried_again_until_it_is_given_up() {
    let later = || {
        Sink::scripted(|said| match said {
            Said::Mail(_) => Answer::say("451 4.3.0 later"),
            _ => Answer::Usual,
        })
    };
    // Without its bound the fourth wait would be longer than any patience here.
    let hop = later();
    let retry = "[retry]\nfirst_wait = \"1s\"\ngrowth_percent = 1000\nwait_max = \"1s\"\njitter_percent = 0\n";
    let relay = start(retry, &hop);
    assert_eq!(submit(&relay, "a@example.com", &["b@example.net"]), 250);
    wait_for("five attempts", || hop.commands().iter().filter(|line| line.starts_with("MAIL")).count() >= 5);

    let (hop, mailbox) = (later(), Sink::start());
    let retry = "[retry]\nfirst_wait = \"1s\"\ngrowth_percent = 100\nexpiry = \"2s\"\n";
    let relay = Site::new(&format!("{retry}{}", with_reports(hop.address(), mailbox.address()))).start();
    assert_eq!(submit(&relay, "a@example.com", &["b@example.net"]), 250);
    let report = &mailbox.wait_accepted(1)[0];
    assert_eq!(report.recipients, ["a@example.com"]);
    assert!(report.text().contains("451 4.3.0 later"), "{}", report.text());
}

#[test]
fn more_may_not_wait() {
    for (option, status) in
        [("account_deliveries = 1\n", "4.7.1"), ("account_deliveries = 9\ndeliveries = 1\n", "4.3.1")]
    {
        let sink = Sink::start();
        let relay = start(&format!("[waiting]\n{option}[limits]\naccount = \"0/h\"\n"), &sink);
        assert_eq!(submit(&relay, "a@example.com", &["1@example.net"]), 250);
        let mut client = Client::greeted(relay.site().address());
        let heard = client.deliver("a@example.com", &["2@example.net"], CONTENT).expect("an answer");
        assert!(heard.code == 452 && heard.text().starts_with(status), "{option}: {heard:?}");
    }
}

#[test]
fn the_first_route_that_fits_is_taken() {
    let sinks: Vec<Sink> = (0..4).map(|_| Sink::start()).collect();
    let second = own_address();
    let fits = [
        "sender_domains = [\"*.shop.example\"]\negress = [\"second\"]\n",
        "accounts = [\"news@example.com\"]\n",
        "recipient_domains = [\"partner.example\"]\n",
        "",
    ];
    let mut text = format!("[[egress]]\nname = \"second\"\naddress = \"{second}\"\nehlo = \"second.example.com\"\n");
    for (n, (sink, fits)) in sinks.iter().zip(fits).enumerate() {
        let _ = write!(text, "{}name = \"r{n}\"\n{fits}", smarthost(sink.address()));
    }
    let relay = Site::new(&text).start();
    let cases = [
        ("a@eu.shop.example", "b@partner.example", 0),
        ("news@example.com", "b@partner.example", 1),
        ("a@example.com", "b@partner.example", 2),
        ("a@shop.example", "b@example.net", 3), // *. is below it
    ];
    for (from, to, at) in cases {
        assert_eq!(submit(&relay, from, &[to]), 250);
        let arrival = &sinks[at].wait_accepted(1)[0];
        assert_eq!((arrival.mail_from.as_str(), arrival.recipients[0].as_str()), (from, to));
        let on_second = (arrival.egress == second, arrival.ehlo == "second.example.com");
        if at == 0 {
            assert_eq!(on_second, (true, true), "{arrival:?}");
        }
    }
}

#[test]
fn logins_at_smarthosts() {
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    let logins = folder.path().join("logins");
    std::fs::write(&password, "one secret\n").expect("ours");
    std::fs::write(&logins, "a@example.com box-a pass-a\n@shop.example box-b pass-b\n* box-c pass-c\n").expect("ours");
    let variable = [("RELAY_LOGIN", "pass-by-env")];
    let cases = [
        // of the route, sender, base64 of \0user\0password
        (
            "user = \"box\"\npassword = { env = \"RELAY_LOGIN\" }\n".to_owned(),
            "x@example.com",
            "AGJveABwYXNzLWJ5LWVudg==",
        ),
        (format!("user = \"box\"\npassword = {{ file = {password:?} }}\n"), "x@example.com", "AGJveABvbmUgc2VjcmV0"),
        (format!("logins = {{ file = {logins:?} }}\n"), "a@example.com", "AGJveC1hAHBhc3MtYQ=="),
        (format!("logins = {{ file = {logins:?} }}\n"), "x@shop.example", "AGJveC1iAHBhc3MtYg=="),
        (format!("logins = {{ file = {logins:?} }}\n"), "x@example.com", "AGJveC1jAHBhc3MtYw=="),
    ];
    for (of_route, from, word) in cases {
        let address = own_address();
        let pair = Certificate::make(folder.path(), &[&address.to_string()]);
        let sink = Sink::start_at(SocketAddr::from((address, 2525)), Some(pair.clone()), |said| match said {
            Said::Ehlo(_) => Answer::say("250-sink.example\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
            Said::Other(line) if line.starts_with("AUTH") => Answer::say("235 2.7.0 welcome"),
            _ => Answer::Usual,
        });
        let route = format!("[[route]]\nsmarthost = \"{}\"\n{of_route}", sink.address());
        let relay =
            Site::new(&format!("[delivery]\nca_file = {:?}\n{route}", pair.certificate_pem)).start_with(&variable);
        let content = format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n");
        let heard = Client::greeted(relay.site().address()).deliver(from, &["b@example.net"], content.as_bytes());
        assert_eq!(heard.expect("an answer").code, 250);
        assert!(sink.wait_accepted(1)[0].tls, "a login makes TLS required");
        let said = sink.commands();
        assert!(said.contains(&format!("AUTH PLAIN {word}")), "{from}: {said:?}");
        let config = relay.site().config().display().to_string();
        let check = run_with(&binary(), &["check", "--config", &config], b"", &variable);
        assert!(check.status.success(), "{check:?}");
        let check = [check.stdout, check.stderr].map(|said| String::from_utf8(said).expect("text")).concat();
        for told in [relay.site().log(), check] {
            assert!(!told.contains("pass-") && !told.contains("one secret"), "{told}");
        }
    }
}

#[test]
fn eight_bits_bounce_where_asked_for() {
    let (hop, mailbox) = (
        Sink::scripted(|said| match said {
            Said::Ehlo(_) => Answer::say("250 sink.example"),
            _ => Answer::Usual,
        }),
        Sink::start(),
    );
    let routes = with_reports(hop.address(), mailbox.address());
    let relay = Site::new(&format!("[delivery]\neightbit = \"bounce\"\n{routes}")).start();
    let mut client = Client::greeted(relay.site().address());
    client.expect("MAIL FROM:<a@example.com> BODY=8BITMIME", 250);
    client.expect("RCPT TO:<b@example.net>", 250);
    client.expect("DATA", 354);
    client.send("Subject: x\r\n\r\ngrün\r\n.\r\n".as_bytes()).expect("a connection");
    assert_eq!(client.hear().expect("an answer").code, 250);
    let report = &mailbox.wait_accepted(1)[0];
    assert!(report.text().contains("Status: 5.6.3"), "{}", report.text());
    assert!(hop.arrivals().is_empty());
}

#[test]
fn reports_as_the_operator_wants_them() {
    let refuses = Sink::scripted(|said| match said {
        Said::Rcpt(_) => Answer::say("550 5.1.1 no such user"),
        _ => Answer::Usual,
    });
    let mailbox = Sink::scripted(|said| match said {
        Said::Rcpt("gone@example.com") => Answer::say("550 5.1.1 gone"),
        _ => Answer::Usual,
    });
    let relay = Site::new(&with_reports(refuses.address(), mailbox.address())).start();
    let mut client = Client::greeted(relay.site().address());
    let long = format!("Subject: x\r\n\r\nsecret words\r\n{}", "0123456789\r\n".repeat(200));
    for (from, content) in [
        ("small@example.com", "Subject: x\r\n\r\nsecret words\r\n"),
        ("large@example.com", &long),
        ("gone@example.com", "S: x\r\n\r\n"),
    ] {
        client.expect(&format!("MAIL FROM:<{from}> RET=FULL"), 250);
        client.expect("RCPT TO:<b@example.net>", 250);
        client.expect("DATA", 354);
        client.send(&crate::rig::client::stuffed(content.as_bytes())).expect("a connection");
        assert_eq!(client.hear().expect("an answer").code, 250);
    }
    let to: BTreeSet<String> = mailbox.wait_accepted(3).iter().map(|report| report.recipients[0].clone()).collect();
    let expected = ["boss@example.com", "large@example.com", "small@example.com"];
    assert_eq!(to, expected.map(str::to_owned).into(), "the operator has what the gone sender could not get");
    for report in mailbox.accepted() {
        assert!(report.text().contains("reports@example.com"), "{}", report.text());
        let whole = report.recipients == ["small@example.com"];
        assert_eq!(report.text().contains("secret words"), whole, "{}", report.text());
    }
    let limits = String::from_utf8_lossy(&relay.site().command(&["limits"]).stdout).into_owned();
    assert!(limits.lines().any(|line| line.contains(" reports ")), "{limits}");
}

#[test]
fn a_server_has_its_time() {
    // A server that takes no connection: its queue of one is full, and the kernel answers no further SYN.
    let full = std::net::SocketAddr::from((own_address(), 2525));
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&full.into()).expect("an address of our own");
    listener.listen(0).expect("it listens");
    let fills: Vec<socket2::Socket> = (0..4)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket of ours");
            let _ = socket.connect(&full.into()); // in progress
            socket
        })
        .collect();
    let relay = Site::new(&format!("[delivery.timeouts]\nconnect = \"1s\"\n{}", smarthost(full))).start();
    assert_eq!(submit(&relay, "a@example.com", &["b@example.net"]), 250);
    relay.wait_log(&["not reached in 1.0 s"]);
    drop(fills);

    let silent = |at: &'static str| {
        move |said: Said<'_>| {
            let now = match said {
                Said::Connect => "greeting",
                Said::Mail(_) => "envelope",
                Said::Data => "data",
                Said::Content(..) => "content",
                _ => "",
            };
            if now == at { Answer::Silence } else { Answer::Usual }
        }
    };
    for option in ["greeting", "envelope", "data", "content"] {
        let sink = Sink::scripted(silent(option));
        let relay = start(&format!("[delivery.timeouts]\n{option} = \"1s\"\n"), &sink);
        assert_eq!(submit(&relay, "a@example.com", &["b@example.net"]), 250);
        wait_for(option, || [" in 1 s", " in time"].iter().any(|words| relay.site().log().contains(words)));
    }
}

/// A server that says what it must up to the content, and reads none of that.
struct StopsAtContent {
    address: SocketAddr,
    /// Dropped at the end: so long its connections stay open.
    _until: std::sync::mpsc::Sender<()>,
}

impl StopsAtContent {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind((own_address(), 2525)).expect("a port of ours");
        let address = listener.local_addr().expect("it has one");
        let (sender, ended) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut lines = std::io::BufReader::with_capacity(1, stream.try_clone().expect("a second handle")).lines();
            stream.write_all(b"220 stops.example\r\n").expect("it listens");
            while let Some(Ok(line)) = lines.next() {
                let answer: &[u8] = if line == "DATA" { b"354 go ahead\r\n" } else { b"250 ok\r\n" };
                stream.write_all(answer).expect("it listens");
                if line == "DATA" {
                    break;
                }
            }
            let _ = ended.recv();
        });
        Self { address, _until: sender }
    }
}

#[test]
fn content_and_tls_have_their_time_too() {
    // What the kernel holds for a reader that does not read is some MiB; by default three minutes would be waited.
    let server = StopsAtContent::start();
    let relay = Site::new(&format!(
        "[delivery.timeouts]\nblock = \"1s\"\n[intake.limits]\nmessage_size = \"40 MiB\"\n[score]\nenabled = false\n{}",
        smarthost(server.address)
    ))
    .start();
    let large = format!("Subject: x\r\n\r\n{}", "0123456789abcdef0123456789abcdef\r\n".repeat(1_000_000));
    let mut client = Client::greeted(relay.site().address());
    let heard = client.deliver("a@example.com", &["b@example.net"], large.as_bytes()).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
    relay.wait_log(&["no answer to the content in time"]);
    drop(relay);

    // A listener whose connections nobody takes: the kernel greets, and TLS is never spoken.
    let mute = std::net::TcpListener::bind((own_address(), 2525)).expect("a port of ours");
    let address = mute.local_addr().expect("it has one");
    let relay = Site::new(&format!(
        "[delivery.timeouts]\ntls = \"1s\"\n[[route]]\nsmarthost = \"{address}\"\ntls = \"implicit\"\n"
    ))
    .start();
    assert_eq!(submit(&relay, "a@example.com", &["b@example.net"]), 250);
    relay.wait_log(&["TLS failed: no answer in 1 s"]);
}

#[test]
fn names_are_asked_for_as_written() {
    let hop = Sink::start();
    let domains: Vec<String> = (0..5).map(|n| format!("{n}.example")).collect();
    let to_host = domains.iter().map(|domain| (domain.clone(), vec![Record::Mx(10, "host.example".into())]));
    let others = [
        ("host.example".to_owned(), vec![Record::Address(hop.address().ip())]),
        ("silent.example".to_owned(), vec![Record::Silence]),
    ];
    let zone: Zone = to_host.chain(others).collect();
    let start = |options: &str| {
        let dns = Dns::start_with_ttl(SocketAddr::from((own_address(), 5353)), zone.clone(), 600);
        let text = format!(
            "[dns]\nservers = [\"{}\"]\n{options}[[route]]\nmx_port = {}\ntls = \"none\"\n",
            dns.address(),
            hop.address().port()
        );
        (Site::new(&text).start(), dns)
    };
    // Domains with one host: what was answered for the first is known for the next, unless nothing is kept.
    let mut arrivals = 0;
    for (option, asked_once) in [("", true), ("cache_entries = 0\n", false)] {
        let (relay, dns) = start(option);
        for domain in &domains {
            assert_eq!(submit(&relay, "a@example.com", &[&format!("b@{domain}")]), 250);
            arrivals += 1;
            hop.wait_accepted(arrivals);
        }
        let asked = dns.asked("host.example");
        assert_eq!(asked < domains.len(), asked_once, "{option}: asked {asked} times");
    }
    // One waits long for an answer that never comes; another, which began later, has given up meanwhile.
    let (patient, _dns) = start("timeout = \"10m\"\n");
    assert_eq!(submit(&patient, "a@example.com", &["b@silent.example"]), 250);
    let (hasty, _other_dns) = start("timeout = \"1s\"\n");
    assert_eq!(submit(&hasty, "a@example.com", &["b@silent.example"]), 250);
    hasty.wait_log(&["silent.example", "timed out"]);
    assert!(!patient.site().log().contains("timed out"), "{}", patient.site().log());
}

#[test]
fn a_login_has_a_limit_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "one secret\n").expect("ours");
    let address = own_address();
    let pair = Certificate::make(folder.path(), &[&address.to_string()]);
    let sink = Sink::start_at(SocketAddr::from((address, 2525)), Some(pair.clone()), |said| match said {
        Said::Ehlo(_) => Answer::say("250-sink.example\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
        Said::Other(line) if line.starts_with("AUTH") => Answer::say("235 2.7.0 welcome"),
        _ => Answer::Usual,
    });
    let login = "[[limits.override]]\nlogin = \"box\"\nlimit = \"1/h\"\n";
    for (options, leave, why) in [("[limits]\nlogin = \"2/h\"\n", 2, "2/h"), (login, 1, "1/h")] {
        let before = sink.accepted().len();
        let relay = Site::new(&format!(
            "{options}[delivery]\nca_file = {:?}\n[[route]]\nsmarthost = \"{}\"\nuser = \"box\"\n\
             password = {{ file = {password:?} }}\n",
            pair.certificate_pem,
            sink.address()
        ))
        .start();
        // Of as many accounts: it is the login that has no slot left.
        for n in 0..3 {
            assert_eq!(submit(&relay, &format!("{n}@example.com"), &["b@example.net"]), 250);
        }
        let mut said = String::new();
        wait_for(&format!("{options}: {why}"), || {
            said = queue(&relay);
            said.contains(why) && sink.accepted().len() == before + leave
        });
        assert!(said.contains("box"), "{options}: {said}");
    }
}
