//! Questions to a name server of our own, over UDP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::*;
use crate::delivery::mx::{NoServer, servers};

const A: u16 = 1;
const MX: u16 = 15;
const AAAA: u16 = 28;

/// A name in the form of RFC 1035 3.1; empty for the root.
fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn mx(preference: u16, host: &str) -> Vec<u8> {
    [&preference.to_be_bytes()[..], &wire_name(host)].concat()
}

/// Response code and records for a question.
fn answer(name: &str, kind: u16) -> (u8, Vec<Vec<u8>>) {
    match (name, kind) {
        ("two.example", MX) => (0, vec![mx(20, "b.example"), mx(10, "a.example")]),
        ("null.example", MX) => (0, vec![mx(0, "")]),
        ("a.example", A) => (0, vec![vec![192, 0, 2, 1]]),
        ("a.example", AAAA) => (0, vec![[&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat()]),
        ("four.example", A) => (0, vec![vec![192, 0, 2, 4]]),
        ("k1_2026.a_b.example" | "xn--a.example", A) => (0, vec![vec![192, 0, 2, 5]]),
        ("broken.example", _) => (2, Vec::new()),
        ("gone.example", _) => (3, Vec::new()),
        _ => (0, Vec::new()),
    }
}

async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1_500];
        loop {
            let (length, from) = socket.recv_from(&mut query).await.unwrap();
            let (mut at, mut labels) = (12, Vec::new());
            while query[at] != 0 {
                let end = at + 1 + usize::from(query[at]);
                labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
                at = end;
            }
            assert!(at + 5 <= length);
            let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
            let (code, records) = answer(&labels.join("."), kind);
            let mut reply = query[..2].to_vec();
            let count = u8::try_from(records.len()).unwrap();
            reply.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
            reply.extend_from_slice(&query[12..at + 5]);
            for record in records {
                reply.extend_from_slice(&[0xc0, 12]); // the question's name
                reply.extend_from_slice(&kind.to_be_bytes());
                reply.extend_from_slice(&[0, 1, 0, 0, 0, 60]); // class IN, a minute to live
                reply.extend_from_slice(&u16::try_from(record.len()).unwrap().to_be_bytes());
                reply.extend_from_slice(&record);
            }
            socket.send_to(&reply, from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn answers_of_a_name_server() {
    let server = name_server().await;
    let timeout = Duration::from_secs(5);
    let dns = Dns::new(&DnsSettings { servers: vec![server], timeout, ..DnsSettings::default() }).unwrap();
    let hosts = async |domain: &str| servers(domain, dns.mx(domain).await, &[], 0);
    assert_eq!(hosts("two.example").await.unwrap(), ["a.example", "b.example"]);
    assert_eq!(hosts("null.example").await, Err(NoServer::NullMx));
    assert_eq!(hosts("four.example").await.unwrap(), ["four.example"], "without MX the domain itself");
    assert_eq!(hosts("gone.example").await, Err(NoServer::NoSuchDomain));
    assert!(matches!(hosts("broken.example").await, Err(NoServer::Dns { .. })), "a failure bounces nothing");
    let both: Vec<IpAddr> = vec!["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
    assert_eq!(dns.addresses("a.example").await.unwrap(), both);
    assert_eq!(dns.addresses("four.example").await.unwrap(), ["192.0.2.4".parse::<IpAddr>().unwrap()]);
    assert_eq!(dns.addresses("nothing.example").await, Err(DnsError::NoRecords));
    assert_eq!(dns.addresses("gone.example").await, Err(DnsError::NoSuchName));
    assert!(matches!(dns.addresses("broken.example").await, Err(DnsError::Failed { .. })));
    // Whether such a name is one, the DNS decides; one that cannot be is not trouble.
    for odd in ["k1_2026.a_b.example", "xn--a.example"] {
        assert_eq!(dns.addresses(odd).await.unwrap(), ["192.0.2.5".parse::<IpAddr>().unwrap()], "{odd}");
    }
    let long = format!("{}.example", "x".repeat(64));
    assert_eq!(dns.addresses(&long).await, Err(DnsError::NoSuchName));
}
