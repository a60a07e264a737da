//! Signed answers from a server of our own, and what becomes of those that are not as they should be.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::sig::SigInput;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{Algorithm, SigningKey as _, TBS};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{NS, TXT};
use hickory_resolver::proto::rr::{DNSClass, Name, Record, SerialNumber};
use tokio::net::UdpSocket;

use super::*;
use crate::align::spf::{Identity, SpfResult, check_host};
use crate::clock::{Clock as _, SystemClock};

const ZONE: &str = "example.test.";

/// Answer and authority section of each question.
type Answers = HashMap<(String, RecordType), (Vec<Record>, Vec<Record>)>;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The key of the zone.
struct Signer {
    key: Ed25519SigningKey,
    dnskey: DNSKEY,
}

/// When a signature is good, in seconds from now.
struct Span(i64, i64);

const NOW: Span = Span(-3_600, 3_600);

impl Signer {
    fn new() -> Self {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap();
        let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
        Self { key, dnskey }
    }

    /// The records, which are one set, and their signature.
    fn signed(&self, records: Vec<Record>, span: &Span) -> Vec<Record> {
        let first = records[0].clone();
        let now = SystemClock::new().unwrap().now().wall.0 / 1_000;
        let at = |offset: i64| SerialNumber::new(u32::try_from(now.cast_signed() + offset).unwrap());
        let input = SigInput {
            type_covered: first.record_type(),
            algorithm: Algorithm::ED25519,
            num_labels: first.name.num_labels(),
            original_ttl: first.ttl,
            sig_expiration: at(span.1),
            sig_inception: at(span.0),
            key_tag: self.dnskey.calculate_key_tag().unwrap(),
            signer_name: name(ZONE),
        };
        let tbs = TBS::from_input(&first.name, DNSClass::IN, &input, records.iter()).unwrap();
        let signature = RRSIG::from_sig(input, self.key.sign(&tbs).unwrap());
        let mut signed = records;
        signed.push(Record::from_rdata(first.name, 60, RData::DNSSEC(DNSSECRData::RRSIG(signature))));
        signed
    }
}

fn text(at: &str, text: &str) -> Record {
    Record::from_rdata(name(at), 60, RData::TXT(TXT::new(vec![text.to_owned()])))
}

/// One zone that is signed, with names whose signatures are good, of other data, too old, or not there, and one below it
/// that is provably not signed.
fn zone(signer: &Signer) -> Answers {
    let mut answers = Answers::new();
    let mut add = |at: &str, kind: RecordType, answer: Vec<Record>, authority: Vec<Record>| {
        answers.insert((at.to_owned(), kind), (answer, authority));
    };
    let spf = "v=spf1 ip4:192.0.2.10 -all";
    let key = Record::from_rdata(name(ZONE), 60, RData::DNSSEC(DNSSECRData::DNSKEY(signer.dnskey.clone())));
    let server = |at: &str| Record::from_rdata(name(at), 60, RData::NS(NS(name("ns.example.test."))));
    add(ZONE, RecordType::DNSKEY, signer.signed(vec![key], &NOW), Vec::new());
    add(ZONE, RecordType::NS, signer.signed(vec![server(ZONE)], &NOW), Vec::new());
    add("good.example.test.", RecordType::TXT, signer.signed(vec![text("good.example.test.", spf)], &NOW), Vec::new());
    let mut forged = signer.signed(vec![text("forged.example.test.", spf)], &NOW);
    forged[0] = text("forged.example.test.", "v=spf1 +all");
    add("forged.example.test.", RecordType::TXT, forged, Vec::new());
    let old = signer.signed(vec![text("old.example.test.", spf)], &Span(-7_200, -3_600));
    add("old.example.test.", RecordType::TXT, old, Vec::new());
    add("bare.example.test.", RecordType::TXT, vec![text("bare.example.test.", spf)], Vec::new());
    // Below a delegation that says by NSEC that it has no DS.
    let open = "open.example.test.";
    add(open, RecordType::TXT, vec![text(open, spf)], Vec::new());
    add(open, RecordType::NS, vec![server(open)], Vec::new());
    let types = [RecordType::NS, RecordType::NSEC, RecordType::RRSIG];
    let none = NSEC::new(name("zzz.example.test."), types);
    let none = Record::from_rdata(name(open), 60, RData::DNSSEC(DNSSECRData::NSEC(none)));
    add(open, RecordType::DS, Vec::new(), signer.signed(vec![none], &NOW));
    answers
}

/// Answers out of the list until the test ends; what is not in it does not exist.
async fn serve(answers: Answers) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4_096];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            let Ok(asked) = Message::from_vec(&buffer[..count]) else { continue };
            let query = asked.queries[0].clone();
            let mut reply = Message::response(asked.id, asked.op_code);
            match answers.get(&(query.name().to_ascii().to_ascii_lowercase(), query.query_type())) {
                Some((answer, authority)) => {
                    reply.add_answers(answer.iter().cloned());
                    reply.add_authorities(authority.iter().cloned());
                }
                None => reply.metadata.response_code = ResponseCode::NXDomain,
            }
            reply.add_query(query);
            socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

async fn resolver(dnssec: impl FnOnce(&Signer) -> Dnssec) -> Hickory {
    let signer = Signer::new();
    let servers = vec![serve(zone(&signer)).await];
    Hickory::new(&AlignDnsSettings { servers, dnssec: dnssec(&signer), ..AlignDnsSettings::default() }).unwrap()
}

#[tokio::test]
async fn signatures_that_hold_and_those_that_do_not() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let dns = resolver(|signer| {
        let key = hickory_resolver::proto::dnssec::PublicKey::public_bytes(signer.dnskey.public_key());
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        writeln!(file, "{ZONE} 3600 IN DNSKEY 257 3 15 {key}").unwrap();
        Dnssec::Validate { trust_anchor: Some(file.path().to_owned()) }
    })
    .await;
    let cases = [
        ("good.example.test", Some(Assurance::Signed)),
        ("open.example.test", Some(Assurance::Unsigned)), // it need not be signed
        ("forged.example.test", None),
        ("old.example.test", None),
        ("bare.example.test", None),   // it should be signed and is not
        ("absent.example.test", None), // nothing proves that it is absent
    ];
    for (at, expected) in cases {
        let reply = dns.ask(at, Kind::Text).await;
        match expected {
            Some(assurance) => assert!(reply.answer.is_ok() && reply.assurance == assurance, "{at}: {reply:?}"),
            None => assert!(matches!(&reply.answer, Err(fault) if fault.is_bogus()), "{at}: {reply:?}"),
        }
    }
    // What is forged is no word of the domain's: nothing passes by it, and nothing fails.
    let address = IpAddr::from([203, 0, 113, 9]);
    let identity = Identity { address, sender: "ann@forged.example.test", ehlo: "mail.example.com" };
    let spf = check_host(&dns, identity, "forged.example.test").await;
    assert!(spf.result == SpfResult::TempError && spf.detail.contains("DNSSEC"), "{spf:?}");
}

#[tokio::test]
async fn without_validation_an_answer_is_an_answer() {
    let dns = resolver(|_| Dnssec::Off).await;
    for at in ["good.example.test", "forged.example.test", "bare.example.test"] {
        let reply = dns.ask(at, Kind::Text).await;
        assert!(reply.answer.is_ok() && reply.assurance == Assurance::Unsigned, "{at}: {reply:?}");
    }
    assert_eq!(dns.ask("absent.example.test", Kind::Text).await.answer, Err(NoAnswer::NoSuchName));
}

#[test]
fn keys_that_are_none() {
    for content in ["", "; no DNSKEY\n", "no DNSKEY here\n"] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{content}").unwrap();
        let dnssec = Dnssec::Validate { trust_anchor: Some(file.path().to_owned()) };
        let made = Hickory::new(&AlignDnsSettings { dnssec, ..AlignDnsSettings::default() });
        assert!(made.is_err_and(|fault| fault.to_string().contains(&file.path().display().to_string())), "{content:?}");
    }
}
