//! `mx` routes with a DNS server of the test: order of exchanges, what has no MX, what has no address, what does not answer.

use std::net::{Ipv4Addr, SocketAddr};

use crate::rig::client::Client;
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::relay::Site;
use crate::rig::sink::{Answer, Said, Sink};

const PORT: u16 = 2525;

fn mx(preference: u16, exchange: &str) -> Record {
    Record::Mx(preference, exchange.to_owned())
}

fn address(sink: &Sink) -> Record {
    Record::Address(sink.address().ip())
}

fn site(dns: &Dns) -> std::sync::Arc<Site> {
    Site::new(&format!("[dns]\nservers = [\"{}\"]\n[[route]]\nmx_port = {PORT}\ntls = \"none\"\n", dns.address()))
}

fn dns(zone: Zone) -> Dns {
    Dns::start(SocketAddr::from((own_address(), 5353)), zone)
}

fn submit(site: &Site, to: &str) {
    let heard = Client::greeted(site.address())
        .deliver("alice@home.example", &[to], b"Subject: x\r\nMessage-ID: <x@home.example>\r\n\r\nx\r\n")
        .expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
}

#[test]
fn the_lowest_preference_comes_first_and_the_next_stands_in() {
    let (first, second) = (Sink::start(), Sink::start());
    let busy = Sink::scripted(|said| match said {
        Said::Connect => Answer::say("421 4.3.2 not now"),
        _ => Answer::Usual,
    });
    let gone: Ipv4Addr = own_address();
    let dns = dns(Zone::from([
        ("plain.example".into(), vec![mx(20, "second.example"), mx(10, "first.example")]),
        ("dead.example".into(), vec![mx(10, "gone.example"), mx(20, "second.example")]),
        ("busy.example".into(), vec![mx(10, "busyhost.example"), mx(20, "second.example")]),
        ("bare.example".into(), vec![address(&first)]), // no MX: its own address, RFC 5321 5.1
        ("alias.example".into(), vec![Record::Cname("plain.example".into())]),
        ("first.example".into(), vec![address(&first)]),
        ("second.example".into(), vec![address(&second)]),
        ("gone.example".into(), vec![Record::Address(gone.into())]), // nobody listens there
        ("busyhost.example".into(), vec![address(&busy)]),
    ]));
    let site = site(&dns);
    let _relay = site.start();
    let cases = [
        ("plain.example", &first),
        ("dead.example", &second),
        ("busy.example", &second), // a 421 greeting passes on to the next exchange
        ("bare.example", &first),
        ("alias.example", &first),
    ];
    for (domain, expected) in cases {
        let to = format!("b@{domain}");
        submit(&site, &to);
        wait_for(domain, || expected.accepted().iter().any(|arrival| arrival.recipients == [to.as_str()]));
    }
    assert_eq!(first.accepted().len() + second.accepted().len(), cases.len(), "each went one way");
}

#[test]
fn what_can_never_be_delivered_is_reported_and_what_may_be_waits() {
    let home = Sink::start();
    let dns = dns(Zone::from([
        ("home.example".into(), vec![address(&home)]),
        ("null.example".into(), vec![mx(0, ".")]),
        ("broken.example".into(), vec![Record::ServerFailure]),
        ("late.example".into(), vec![Record::ServerFailure]),
    ]));
    let site = site(&dns);
    let _relay = site.start();
    submit(&site, "b@broken.example");
    let cases = [
        ("b@null.example", "5.1.10"),  // RFC 7505 4.1
        ("b@absent.example", "5.1.2"), // NXDOMAIN
    ];
    for (to, status) in cases {
        submit(&site, to);
        let expected = format!("Status: {status}");
        wait_for(&format!("{status} for {to}"), || {
            home.accepted().iter().any(|report| report.text().contains(to) && report.text().contains(&expected))
        });
    }
    // A name server's trouble is no reason to bounce.
    assert!(!home.accepted().iter().any(|report| report.text().contains("broken.example")));
}
