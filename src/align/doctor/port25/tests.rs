//! Each thing that can stand between an egress and port 25, on loopback.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::align::dns::{Data, Fixed};
use crate::align::doctor::{Finding, Subject};

const HOST: Ipv4Addr = Ipv4Addr::new(127, 77, 25, 1);

/// One domain, one server, at the test's own address.
fn zone(domains: &[(&str, Ipv4Addr)]) -> Arc<dyn Lookup> {
    let mut zone = Fixed::default();
    for (domain, address) in domains {
        let host = format!("mx.{domain}");
        zone.add(domain, Data::Exchange(20, "worse.example".into()));
        zone.add(domain, Data::Exchange(10, host.as_str().into()));
        zone.add(&host, Data::Address((*address).into()));
        zone.add(domain, Data::Address((*address).into()));
    }
    Arc::new(zone)
}

fn probe_of(domains: &[&str], port: u16, other: u16) -> Arc<Probe> {
    patient_probe_of(domains, port, other, Duration::from_secs(5))
}

fn patient_probe_of(domains: &[&str], port: u16, other: u16, time_limit: Duration) -> Arc<Probe> {
    let domains = domains.iter().map(ToString::to_string).collect();
    Arc::new(Probe { domains, time_limit, port, other_ports: [other, other] })
}

fn finding(port25: &Port25) -> Finding {
    let mut findings = Vec::new();
    tell(port25, HOST.into(), Other::None, Subject { name: "egress one", findings: &mut findings }.check("port25", ""));
    findings.remove(0)
}

/// A server that greets so; gives its port, and what it was told.
async fn server(at: Ipv4Addr, greeting: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let mut told = String::new();
        let _ = stream.read_to_string(&mut told).await;
        told
    });
    (port, told)
}

#[tokio::test]
async fn open_is_one_connection_that_says_goodbye() {
    let (port, told) = server(HOST, "220-hello\r\n220 there\r\n").await;
    let dns = zone(&[("one.example", HOST), ("two.example", HOST)]);
    let found = probe(dns, probe_of(&["one.example", "two.example"], port, 9), None, None).await;
    assert_eq!(found, Port25::Open { server: format!("mx.one.example ({HOST})") });
    assert_eq!(told.await.unwrap(), "QUIT\r\n", "and the second domain is left alone");
    assert_eq!(finding(&found).grade, Grade::Right);
}

#[tokio::test]
async fn a_greeting_that_refuses_and_one_that_is_none() {
    for (greeting, words) in [("554 5.7.1 blocked\r\n", "554 5.7.1 blocked"), ("HTTP/1.1 200\r\n", "no SMTP reply")] {
        let (port, _told) = server(HOST, greeting).await;
        let found = probe(zone(&[("one.example", HOST)]), probe_of(&["one.example"], port, 9), None, None).await;
        let finding = finding(&found);
        assert!(finding.grade == Grade::Warning && finding.found.contains(words), "{finding:?}");
    }
}

#[tokio::test]
async fn endless_greetings_are_bounded() {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(b"220-again and again\r\n").await.is_ok() {}
    });
    let found = probe(zone(&[("one.example", HOST)]), probe_of(&["one.example"], port, 9), None, None).await;
    assert!(matches!(found, Port25::Unwelcome { .. }), "{found:?}");
}

#[tokio::test]
async fn refused_is_not_blocked() {
    // Nobody listens on port 9 of loopback: the kernel refuses.
    let found = probe(zone(&[("one.example", HOST)]), probe_of(&["one.example"], 9, 9), None, None).await;
    let finding = finding(&found);
    assert!(finding.grade == Grade::Fault && finding.found.contains("refused"), "{finding:?}");
    assert!(finding.mend.contains("nft"), "{finding:?}");
}

#[tokio::test]
async fn a_silent_port_25_beside_a_port_that_answers_is_blocked() {
    // A listener whose queue is full answers no further connection: as a packet filter that drops.
    let silent = Ipv4Addr::new(127, 77, 25, 2);
    let (port, _full) = full_listener(silent);
    let (other, _told) = server(silent, "").await;
    let probe_of = |other| patient_probe_of(&["one.example"], port, other, Duration::from_secs(1));
    let found = probe(zone(&[("one.example", silent)]), probe_of(other), None, None).await;
    let Port25::Blocked { tried, answered } = &found else { panic!("{found:?}") };
    assert_eq!(tried, &[format!("mx.one.example ({silent})")]);
    assert!(answered.contains(&format!("port {other}")), "{answered}");
    let told = finding(&found);
    assert!(told.found.contains("your network blocks port 25") && told.grade == Grade::Fault, "{told:?}");

    let found = probe(zone(&[("one.example", silent)]), probe_of(port), None, None).await;
    assert!(matches!(found, Port25::Silent { .. }), "{found:?}");
}

/// A port that accepts nothing, and what keeps it so.
fn full_listener(at: Ipv4Addr) -> (u16, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((at, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.as_socket().unwrap().port();
    let mut kept = vec![listener];
    for _ in 0..4 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address);
        kept.push(client);
    }
    (port, kept)
}

#[tokio::test]
async fn an_address_that_is_not_ours_and_domains_without_servers() {
    let foreign = Some("192.0.2.77".parse().unwrap());
    let found = probe(zone(&[("one.example", HOST)]), probe_of(&["one.example"], 9, 9), foreign, foreign).await;
    assert!(matches!(&found, Port25::NoAddress { .. }), "{found:?}");
    assert!(finding(&found).mend.contains("[[egress]]"));

    let ours = Some(IpAddr::from([127, 77, 25, 3]));
    let (port, _told) = server(HOST, "220 hello\r\n").await;
    let found = probe(zone(&[("one.example", HOST)]), probe_of(&["one.example"], port, 9), ours, None).await;
    assert!(matches!(&found, Port25::Open { .. }), "from an address of ours: {found:?}");

    let found = probe(zone(&[]), probe_of(&["nowhere.example"], 9, 9), None, None).await;
    assert_eq!((&found, finding(&found).grade), (&Port25::NoServers, Grade::Unknown));
    assert_eq!(probe(zone(&[]), probe_of(&[], 9, 9), None, None).await, Port25::NotAsked);
}
