//! OVHcloud's mail servers, by name, through the real binary: the From domain must be the login's, and that is said before
//! anything is sent (they answer 550 5.7.1 "From header domain does not align with authenticated domain" since July 2026).

use std::fs;
use std::net::SocketAddr;

use crate::end_to_end::{message, reason, text};
use crate::rig::client::Client;
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::relay::Site;
use crate::rig::sink::{Answer, Said, Sink};
use crate::rig::tls::Certificate;

/// `\0ann@login.example\0pass-a` and `\0box@other.example\0pass-b`.
const AUTH_LOGIN: &str = "AUTH PLAIN AGFubkBsb2dpbi5leGFtcGxlAHBhc3MtYQ==";
const AUTH_OTHER: &str = "AUTH PLAIN AGJveEBvdGhlci5leGFtcGxlAHBhc3MtYg==";

#[test]
fn the_from_domain_is_the_logins_or_it_is_said_before_sending() {
    let folder = tempfile::TempDir::new().unwrap();
    let hosts = ["ssl0.ovh.net", "smtp.mail.ovh.net", "smtp.mail.ovh.ca"];
    let pair = Certificate::make(folder.path(), &hosts);
    let logins = folder.path().join("logins");
    fs::write(&logins, "@login.example ann@login.example pass-a\n* box@other.example pass-b\n").unwrap();
    for host in hosts {
        let sink = Sink::start_at(SocketAddr::from((own_address(), 2525)), Some(pair.clone()), |said| match said {
            Said::Ehlo(_) => Answer::say("250-ssl0.ovh.net\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
            Said::Other(line) if line.starts_with("AUTH") => Answer::say("235 2.7.0 welcome"),
            _ => Answer::Usual,
        });
        // No signature, and no policy: nothing else speaks against either.
        let zone = Zone::from([
            (host.to_owned(), vec![Record::Address(sink.address().ip())]),
            ("login.example".to_owned(), text("v=spf1 include:mx.ovh.com ~all")),
            ("third.example".to_owned(), text("v=spf1 include:mx.ovh.com ~all")),
        ]);
        let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
        let configured = |verdict: &str| {
            format!(
                "[dns]\nservers = [\"{}\"]\n[align]\n{verdict}[delivery]\nca_file = {:?}\n[[route]]\nsmarthost = \
                 \"{host}:2525\"\nlogins = {{ file = {logins:?} }}\n",
                dns.address(),
                pair.certificate_pem
            )
        };
        let site = Site::new(&configured(""));
        let relay = site.start();
        let deliver = |from: &str| {
            let heard = Client::greeted(site.address()).deliver(from, &["bob@example.org"], &message(from));
            assert_eq!(heard.unwrap().code, 250);
        };
        deliver("ann@login.example");
        let arrival = sink.wait_accepted(1).pop().unwrap();
        assert!(arrival.tls && arrival.text().contains("From: Ann <ann@login.example>"), "{}", arrival.text());
        assert!(sink.commands().contains(&AUTH_LOGIN.to_owned()), "{:?}", sink.commands());
        // By the login for all others: its domain is another one.
        deliver("eve@third.example");
        let output = site.command(&["queue", "list", "--state", "held", "--json"]);
        let held = String::from_utf8(output.stdout).unwrap();
        let (name, sentence) =
            reason(&serde_json::from_str(held.lines().next().unwrap_or_else(|| panic!("sent"))).unwrap());
        assert_eq!(name, "align-login-domain", "{sentence}");
        for words in [
            format!("{host} refuses mail whose From domain is not the login's"),
            "the login is of other.example and From is of third.example".to_owned(),
            "Add a line `@third.example` with a mailbox of third.example".to_owned(),
        ] {
            assert!(sentence.contains(&words), "{sentence}\nlacks\n{words}");
        }
        assert!(!sink.commands().contains(&AUTH_OTHER.to_owned()), "nothing of it was sent: {:?}", sink.commands());
        deliver("box@other.example");
        assert!(sink.wait_accepted(2)[1].text().contains("From: Ann <box@other.example>"));
        // Configured otherwise it leaves, and the server says what it thinks of that.
        relay.stop();
        site.configure(&configured("[align.verdict]\nlogin_domain = \"send\"\n"));
        let relay = site.start();
        deliver("eve@third.example");
        assert!(sink.wait_accepted(3)[2].text().contains("From: Ann <eve@third.example>"));
        relay.stop();
    }
}

/// A route that names such a server otherwise, by its address or an alias, is not asked for the login's domain; and nothing
/// leaves by it, for the certificate that a login needs has another name.
#[test]
fn by_another_name_nothing_is_sent_to_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let pair = Certificate::make(folder.path(), &["ssl0.ovh.net"]);
    let logins = folder.path().join("logins");
    fs::write(&logins, "* box@other.example pass-b\n").unwrap();
    let sink = Sink::start_at(SocketAddr::from((own_address(), 2525)), Some(pair.clone()), |said| match said {
        Said::Ehlo(_) => Answer::say("250-ssl0.ovh.net\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
        _ => Answer::Usual,
    });
    let zone = Zone::from([
        ("ssl0.ovh.net".to_owned(), vec![Record::Address(sink.address().ip())]),
        ("relay.example.com".to_owned(), vec![Record::Cname("ssl0.ovh.net".to_owned())]),
    ]);
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
    for host in ["relay.example.com", &sink.address().ip().to_string()] {
        let site = Site::new(&format!(
            "[dns]\nservers = [\"{}\"]\n[align]\n[delivery]\nca_file = {:?}\n[[route]]\nsmarthost = \"{host}:2525\"\n\
             logins = {{ file = {logins:?} }}\n",
            dns.address(),
            pair.certificate_pem
        ));
        let relay = site.start();
        let heard = Client::greeted(site.address()).deliver(
            "eve@third.example",
            &["b@example.org"],
            &message("eve@third.example"),
        );
        assert_eq!(heard.unwrap().code, 250);
        relay.wait_log(&["next-hop.trouble", "certificate not valid for name", "ssl0.ovh.net"]);
        assert!(sink.accepted().is_empty(), "{host}");
        assert!(!sink.commands().iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{host}");
    }
}
