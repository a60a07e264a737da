//! Every case of alignment that the specifications name (`src/align/verdict/cases.txt`), through the real binary: the
//! message by SMTP, the records from a DNS server, and what is then known of the message by the command that people use.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use outguard::align::settings::{Covers, DkimKeySettings, SigningSettings};
use outguard::align::sign::{KeyKind, PrivateKey, Signer, SigningKey};
use outguard::clock::WallMs;
use outguard::secret::Secret;
use serde_json::Value;

use crate::end_to_end::text;
use crate::rig::client::Client;
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::relay::{Relay, Site};

const CASES: &str = include_str!("../../src/align/verdict/cases.txt");

/// One case, with its records by name.
struct Case {
    what: String,
    from: String,
    signed_by: String,
    author: String,
    verdict: String,
    policy: String,
    records: Vec<(String, String)>,
}

/// All cases. What the resolver remembers of one must not be the next one's: each has names of its own.
fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(record) = line.strip_prefix("    ") {
            let number = cases.len();
            let case = cases.last_mut().unwrap();
            let (name, record) = record.split_once(": ").unwrap();
            case.records.push((own(name, number), own(record, number)));
        } else {
            let number = cases.len() + 1;
            let cells: Vec<String> =
                line.split(" | ").map(|cell| if cell == "-" { String::new() } else { cell.to_owned() }).collect();
            let [what, from, signed_by, author, verdict, policy] = cells.try_into().unwrap();
            let [from, signed_by, author] = [from, signed_by, author].map(|cell| own(&cell, number));
            cases.push(Case { what, from, signed_by, author, verdict, policy, records: Vec::new() });
        }
    }
    cases
}

fn own(text: &str, number: usize) -> String {
    text.replace("example", &format!("example{number}")).replace(".co.uk", &format!("{number}.co.uk"))
}

/// A relay that the world sees as 192.0.2.10, greeting by this name. Nothing leaves.
fn start(dns: SocketAddr, ehlo: &str) -> (Arc<Site>, Relay) {
    let egress = own_address();
    let site = Site::new(&format!(
        "[dns]\nservers = [\"{dns}\"]\n[align]\ntimeout = \"8s\"\n[[egress]]\nname = \"ten\"\naddress = \"{egress}\"\n\
         public_address = \"192.0.2.10\"\nehlo = \"{ehlo}\"\n[[route]]\nmx_port = 2525\ntls = \"none\"\negress = [\"ten\"]\n"
    ));
    let relay = site.start();
    assert!(site.command(&["hold", "all", "--reason", "looked at"]).status.success());
    (site, relay)
}

/// A domain's `s` selector. One key for all: an RSA key takes its time to be made.
fn key_of(domain: &str) -> DkimKeySettings {
    static PEM: OnceLock<String> = OnceLock::new();
    let pem = PEM.get_or_init(|| PrivateKey::generate(KeyKind::Rsa).unwrap().1.to_string());
    DkimKeySettings {
        domain: domain.into(),
        selector: "s".into(),
        key: Secret::new(pem.clone().into_bytes()),
        covers: Covers::Subdomains,
        accounts: Vec::new(),
    }
}

impl Case {
    /// Publishes the records, and gives the message, signed by whom the case says.
    fn message(&self, dns: &Dns) -> Vec<u8> {
        for (name, _) in &self.records {
            let all = self.records.iter().filter(|(of, _)| of == name);
            dns.set(name, all.map(|(_, record)| Record::Text(record.clone())).collect());
        }
        let mut message = String::from("To: bob@example.org\r\nSubject: Minutes\r\n");
        let _ = write!(message, "From: Ann <ann@{}>\r\nMessage-ID: <1@example.org>\r\n", self.author);
        message.push_str("Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\nHello Bob,\r\nhere are the minutes.\r\n");
        if self.signed_by.is_empty() {
            return message.into_bytes();
        }
        let settings = SigningSettings { expiry: None, keys: vec![key_of(&self.signed_by)], ..Default::default() };
        let signer = Signer::new(&settings).unwrap();
        let record_of = |key: &SigningKey| (key.record_name(), key.record());
        for (name, record) in signer.keys().iter().map(record_of) {
            dns.set(&name, text(&record));
        }
        let prefix = signer.sign(&[message.as_bytes()], &self.signed_by, WallMs(1_790_000_000_000));
        assert!(!prefix.is_empty(), "{}: not signed", self.what);
        [prefix, message.into_bytes()].concat()
    }

    /// Compares what is known of the newest message with what the specification says.
    fn compare(&self, shown: &Value) {
        let what = &self.what;
        let reasons = shown["verdict"]["reasons"].as_array().unwrap_or_else(|| panic!("{what}: no reasons in {shown}"));
        let text_of = |reason: &Value, key: &str| reason[key].as_str().unwrap_or_default().to_owned();
        let found = reasons.iter().find(|reason| {
            let name = text_of(reason, "name");
            name.starts_with("align-") && name != "align-weak"
        });
        let (name, sentence) =
            found.map(|reason| (text_of(reason, "name"), text_of(reason, "sentence"))).unwrap_or_default();
        let expected = match (self.verdict.as_str(), self.policy.as_str()) {
            ("pass", _) => String::new(),
            (verdict, "none") => format!("align-{verdict}"),
            _ => "align-policy".to_owned(),
        };
        assert_eq!(name, expected, "{what}: {shown}");
        let begins = match self.verdict.as_str() {
            "misaligned" => "what authenticates the message does not speak for",
            "permerror" | "none" => "nothing authenticates",
            _ => "",
        };
        assert!(sentence.starts_with(begins), "{what}: {sentence}");
        assert_eq!(sentence.contains("a record is broken"), self.verdict == "permerror", "{what}: {sentence}");
        let asks = sentence.contains(&format!("asks receivers to {} such mail", self.policy));
        assert_eq!(asks, name == "align-policy", "{what}: {sentence}");
        assert_eq!(shown["verdict"]["decision"] == "hold", name == "align-policy", "{what}: {shown}");
    }
}

fn newest(site: &Site) -> Value {
    let output = site.command(&["queue", "list", "--json"]);
    let list = String::from_utf8(output.stdout).unwrap();
    let rows = list.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    rows.filter(|row| row["id"].is_string()).max_by_key(|row| row["id"].to_string()).expect("a message")
}

#[test]
fn every_case_of_the_specifications() {
    let cases = cases();
    assert!(cases.len() >= 59, "{}", cases.len());
    let zone = || Zone::from([("example.org".into(), vec![Record::Mx(10, "mx.example.org".into())])]);
    // What the reverse-path is silent about, the name of the greeting decides: that is the configuration's.
    let (by_path, by_ehlo): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| !case.from.is_empty());
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone());
    let (site, relay) = start(dns.address(), "mail.example.com");
    let mut client = Client::greeted(site.address());
    for case in &by_path {
        let heard = client.deliver(&case.from, &["bob@example.org"], &case.message(&dns)).expect("an answer");
        assert_eq!(heard.code, 250, "{}: {}", case.what, heard.text());
        case.compare(&newest(&site));
    }
    relay.stop();
    assert!(!by_ehlo.is_empty());
    for case in &by_ehlo {
        let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone());
        let (site, relay) = start(dns.address(), &format!("mail.{}", case.author));
        let heard = Client::greeted(site.address()).deliver("", &["bob@example.org"], &case.message(&dns));
        assert_eq!(heard.expect("an answer").code, 250, "{}", case.what);
        case.compare(&newest(&site));
        relay.stop();
    }
}
