//! A healthy server, and one fault at a time.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::align::dns::{Data, Fixed, Kind, Lookup};

mod bounds;
mod exchanges;
mod texts;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
const KEY: &str = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjzi7MajF/Uwi4NzCPPJ+/0OiU2ldlf+h0GWn5TYeOf1z8kKd\
    4wJuds96XhCOPgY3HcNLvGvjwdqQ6jOzx4K/s+K1q8JSthUTUsSr9jS06+Fz0SIFXLYpO/QAtSNG+XaISd7BRi+B4Ccb\
    oEVsakEDPTj//Ag8GWTp4xUL/KjtadeDncs7NPwsMVMNvCSml+mGklghAkQFE2bPU559Ga9JK/a3UkezIc7RtTQuCT4s\
    +r+MQnt408KMwLLGlecii7sCkD+ZE3ErWmnOWHb0oC6BW5YXaG5ez6ziFNTIoua9DAoxtyzB3YuwNmpDIq1Plgrga5yH\
    PQTszneFYDwvr/cAewIDAQAB";
const OTHER_KEY: &str = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2FW47iUOKwWhUm1Q3taKPtL1YBWVNxoLbfMxZsxTr+34QGZZ\
    F7W+EnfaWoIapxpZOxnMoobHHsvSluyNef2uxIRF6oQqIsa4KnvwcUm1ST0E5UfNSsgelBsZO8PzouMy1BrVya0U3+tC\
    QT4ecq4J+DZwofT1lzoorOAqw7oOLdirln6wWQcON8aYueshsup27JqUk3U7NFVWmIXk3vDWEfUhDKTj/NQOurQVWObO\
    AHxQC3QP1EnOz8/FAKrvblhbs/aqe9uFqYoCAIUnpiQ9sn25axc98YbVwkN827dMFnCJXdMssQLNa7biS3mEUhbFVFkR\
    5JWlk+d4YXhenW2WfwIDAQAB";
const ED25519: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn healthy() -> Fixed {
    let mut zone = Fixed::default();
    zone.add("10.2.0.192.in-addr.arpa", Data::Name("mail.example.com".into()))
        .add("mail.example.com", Data::Address(ADDRESS))
        .add("example.com", Data::Exchange(10, "mail.example.com".into()))
        .text("example.com", "v=spf1 ip4:192.0.2.10 -all")
        .text("_dmarc.example.com", "v=DMARC1; p=reject")
        .text("s1._domainkey.example.com", KEY);
    zone
}

fn patient(name: &str, address: IpAddr) -> Patient {
    let ehlo = "mail.example.com".to_owned();
    let ways = vec![Way { about: "", like: address, address: Some(address) }];
    Patient { name: name.to_owned(), local: None, ways, ehlo, reach: Reach::Anybodys }
}

fn sender(domain: &str, egresses: &[&str]) -> Sender {
    let egresses = egresses.iter().map(|name| (*name).to_owned()).collect();
    let (domain, origin) = (domain.to_owned(), "named on the command line".to_owned());
    Sender { signed_as: domain.clone(), domain, origin, egresses, smarthosts: Vec::new() }
}

fn asked() -> Asked {
    Asked {
        egresses: vec![patient("one", ADDRESS)],
        senders: vec![sender("example.com", &["one"])],
        keys: vec![KeyWanted {
            domain: "example.com".into(),
            name: "s1._domainkey.example.com".into(),
            record: KEY.into(),
        }],
        lists: vec!["list.example".parse().unwrap()],
        probe: Probe::of(&[], Duration::from_secs(5)),
        mailboxes: Vec::new(),
        dnssec: crate::align::settings::Dnssec::Off,
        clock_synchronised: true,
        patience: Patience {
            question: Duration::from_millis(200),
            visit: Duration::from_millis(200),
            whole: Duration::from_secs(5),
        },
        tls: crate::sockets::self_signed::trusting(&[]),
    }
}

async fn examined(zone: &Fixed) -> Vec<Finding> {
    looked_at(zone, &asked()).await
}

async fn looked_at(zone: &Fixed, asked: &Asked) -> Vec<Finding> {
    let dns: Arc<dyn Lookup> = Arc::new(zone.clone());
    examine(&gather(&dns, asked).await)
}

/// What is done to the zone, which check finds it, how bad it is, what mends it.
type Case = (fn(&mut Fixed), &'static str, Grade, &'static str);

#[tokio::test]
async fn a_healthy_server_and_one_fault_at_a_time() {
    let right = examined(&healthy()).await;
    assert!(right.iter().all(|finding| finding.grade == Grade::Right), "{right:?}");
    let names: Vec<&str> = right.iter().map(|finding| &*finding.check).collect();
    assert_eq!(
        names,
        [
            "address",
            "reverse-dns",
            "ehlo",
            "listed",
            "sender",
            "spf",
            "spf-limits",
            "dkim",
            "dmarc",
            "mx",
            "clock",
            "dns"
        ]
    );
    for (spoil, check, grade, mend) in every_case() {
        let mut zone = healthy();
        spoil(&mut zone);
        let found = examined(&zone).await;
        let wrong: Vec<&Finding> = found.iter().filter(|finding| finding.grade != Grade::Right).collect();
        assert!(
            wrong.iter().any(|f| f.check == check && f.grade == grade && f.mend.contains(mend)),
            "{check} {mend}: {wrong:?}"
        );
    }
}

fn every_case() -> Vec<Case> {
    [of_the_server(), of_its_senders(), of_the_domain()].concat()
}

fn of_the_server() -> Vec<Case> {
    vec![
        (
            |z| z.remove("10.2.0.192.in-addr.arpa"),
            "reverse-dns",
            Grade::Fault,
            "10.2.0.192.in-addr.arpa. IN PTR mail.example.com.",
        ),
        (
            |z| {
                z.remove("10.2.0.192.in-addr.arpa");
                z.add("10.2.0.192.in-addr.arpa", Data::Name("host.example.net".into()));
            },
            "reverse-dns",
            Grade::Fault,
            "host.example.net. IN A 192.0.2.10",
        ),
        (
            |z| {
                z.fail("10.2.0.192.in-addr.arpa", Kind::Name);
            },
            "reverse-dns",
            Grade::Unknown,
            "",
        ),
        (
            |z| {
                z.add("10.2.0.192.list.example", Data::Address([127, 0, 0, 2].into()));
            },
            "listed",
            Grade::Fault,
            "ask for removal at the operator of list.example; its reason: dig +short TXT 10.2.0.192.list.example",
        ),
        (
            |z| {
                z.add("10.2.0.192.list.example", Data::Address([127, 255, 255, 254].into()));
            },
            "listed",
            Grade::Unknown, // a public resolver is refused: that is no listing
            "apt install unbound",
        ),
        (
            |z| {
                z.remove("mail.example.com");
                z.remove("10.2.0.192.in-addr.arpa");
                z.add("10.2.0.192.in-addr.arpa", Data::Name("host.example.net".into()));
                z.add("host.example.net", Data::Address(ADDRESS));
            },
            "ehlo",
            Grade::Warning,
            "ehlo = \"host.example.net\" in the [[egress]] named one",
        ),
    ]
}

fn of_its_senders() -> Vec<Case> {
    vec![
        (|z| replace(z, "example.com", "v=spf1 -all"), "spf", Grade::Fault, "add ip4:192.0.2.10 to the SPF record"),
        (
            |z| replace(z, "example.com", "v=spf1 include:x.example.com -all"),
            "spf",
            Grade::Fault,
            "dig +short TXT example.com",
        ),
        // The whole record, ready to be published: what lacks stands before what forbids.
        (
            |z| {
                replace(z, "example.com", "v=spf1 include:ok.example.com ~all");
                z.text("ok.example.com", "v=spf1 ip4:198.51.100.1 ?all");
            },
            "spf",
            Grade::Warning,
            "example.com. IN TXT \"v=spf1 ip4:192.0.2.10 include:ok.example.com ~all\"",
        ),
        (
            |z| {
                z.remove("example.com");
                z.add("example.com", Data::Exchange(10, "mail.example.com".into()));
            },
            "spf",
            Grade::Warning,
            "example.com. IN TXT \"v=spf1 ip4:192.0.2.10 ~all\"",
        ),
        (|z| z.remove("example.com"), "mx", Grade::Fault, "example.com. IN MX 10"),
        (
            |z| {
                z.add("example.com", Data::Exchange(20, "gone.example.com".into()));
            },
            "mx",
            Grade::Warning,
            "remove gone.example.com from the MX records of example.com",
        ),
        (
            |z| {
                z.text("_dmarc.example.com", "v=DMARC1; p=none");
            },
            "dmarc",
            Grade::Fault,
            "no other record that begins with v=DMARC1",
        ),
        // A signature carries the mail where SPF says little, not where it forbids.
        (|z| replace(z, "example.com", "v=spf1 ~all"), "spf", Grade::Warning, "add ip4:192.0.2.10 to the SPF record"),
        (|z| replace(z, "example.com", "v=spf1 ?all"), "spf", Grade::Warning, "add ip4:192.0.2.10 to the SPF record"),
        (
            |z| {
                replace(z, "example.com", "v=spf1 ~all");
                z.remove("s1._domainkey.example.com");
            },
            "spf",
            Grade::Fault,
            "add ip4:192.0.2.10 to the SPF record",
        ),
    ]
}

fn of_the_domain() -> Vec<Case> {
    vec![
        (
            |z| replace(z, "s1._domainkey.example.com", &format!("{KEY}; t=y")),
            "dkim",
            Grade::Warning,
            "s1._domainkey.example.com. IN TXT",
        ),
        (
            |z| replace(z, "s1._domainkey.example.com", &format!("{KEY}; s=other")),
            "dkim",
            Grade::Fault,
            "s1._domainkey.example.com. IN TXT",
        ),
        (
            |z| replace(z, "s1._domainkey.example.com", "v=DKIM1; p="),
            "dkim",
            Grade::Fault,
            "s1._domainkey.example.com. IN TXT",
        ),
        (
            |z| z.remove("s1._domainkey.example.com"),
            "dkim",
            Grade::Fault,
            "s1._domainkey.example.com. IN TXT ( \"v=DKIM1;",
        ),
        (
            |z| replace(z, "s1._domainkey.example.com", OTHER_KEY),
            "dkim",
            Grade::Fault,
            "s1._domainkey.example.com. IN TXT",
        ),
        (|z| z.remove("_dmarc.example.com"), "dmarc", Grade::Fault, "_dmarc.example.com. IN TXT \"v=DMARC1; p=none"),
        (|z| replace(z, "_dmarc.example.com", "v=DMARC1; p=none"), "dmarc", Grade::Warning, "p=quarantine"),
        (
            |z| {
                z.remove("example.com");
                z.text("example.com", "v=spf1 ip4:192.0.2.10 -all");
                z.add("example.com", Data::Exchange(0, ".".into()));
            },
            "mx",
            Grade::Fault,
            "remove example.com. IN MX 0 . and publish example.com. IN MX 10",
        ),
        (
            |z| {
                z.add("example.com", Data::Exchange(0, ".".into())); // beside others (RFC 7505 3)
            },
            "mx",
            Grade::Warning,
            "remove example.com. IN MX 0 .",
        ),
        (
            |z| {
                z.fail("_dmarc.example.com", Kind::Text);
            },
            "dmarc",
            Grade::Unknown,
            "",
        ),
    ]
}

fn replace(zone: &mut Fixed, name: &str, text: &str) {
    zone.remove(name);
    zone.text(name, text);
    if name == "example.com" {
        zone.add(name, Data::Exchange(10, "mail.example.com".into()));
    }
}

#[tokio::test]
async fn an_spf_record_near_its_limits() {
    let mut zone = healthy();
    let many: Vec<String> = (0..9).map(|n| format!("include:i{n}.example.com")).collect();
    let many = many.join(" ");
    replace(&mut zone, "example.com", &format!("v=spf1 {many} ip4:192.0.2.10 -all"));
    for n in 0..9 {
        zone.text(&format!("i{n}.example.com"), "v=spf1 ?all");
    }
    let found = examined(&zone).await;
    let limits = found.iter().find(|finding| finding.check == "spf-limits").unwrap();
    assert_eq!(
        (limits.grade, limits.found.as_str()),
        (Grade::Warning, "SPF needs 9 of 10 look-ups, 0 of 2 of them in vain")
    );
}

/// RSA keys of a zone that also sign: `bits` is what the record publishes.
#[test]
fn short_keys() {
    use crate::align::dkim::key::PublicKey;
    let of_bits = |bits| {
        let public = PublicKey::Rsa(vec![1, 2, 3], bits);
        let published = KeyRecord { public, fit: true, testing: false, exact_identity: true };
        let name = "s1._domainkey.example.com".to_owned();
        let key = KeyFacts { name, record: String::new(), published: Ok(published) };
        let mut findings = Vec::new();
        domain::of_key("example.com", &key, &mut findings);
        findings.remove(0)
    };
    let cases = [
        (512, Grade::Fault, "has 512 bits"),
        (1_023, Grade::Fault, "has 1023 bits"),
        (1_024, Grade::Warning, "has 1024 bits"),
        (2_048, Grade::Right, "(t=s)"), // told, and harmless: our signatures have no i=
    ];
    for (bits, grade, words) in cases {
        let finding = of_bits(bits);
        assert!(finding.grade == grade && finding.found.contains(words), "{bits}: {finding:?}");
        assert_eq!(finding.mend.is_empty(), grade == Grade::Right, "{finding:?}");
    }
}

#[tokio::test]
async fn only_egresses_that_carry_a_domain_are_asked_of_it() {
    let mut asked = asked();
    asked.egresses.push(patient("two", "192.0.2.99".parse().unwrap()));
    asked.senders[0].smarthosts = vec!["ssl0.ovh.net:587".into(), "smtp.example.net:587".into()];
    let found = looked_at(&healthy(), &asked).await;
    let of = |check: &str| found.iter().filter(|finding| finding.check == check).collect::<Vec<_>>();
    let spf: Vec<_> = of("spf").iter().map(|finding| (finding.about.as_str(), finding.grade)).collect();
    assert_eq!(spf, [("one", Grade::Right)], "egress two does not carry it");
    let smarthosts = of("spf-smarthost");
    assert_eq!(smarthosts.len(), 2);
    assert!(smarthosts.iter().all(|finding| finding.grade == Grade::Unknown), "{smarthosts:?}");
    assert!(smarthosts[0].mend.contains("include:mx.ovh.com"), "{smarthosts:?}");

    asked.senders[0].egresses = vec!["two".into()];
    let found = looked_at(&healthy(), &asked).await;
    let spf = found.iter().find(|finding| finding.check == "spf").unwrap();
    assert_eq!((spf.about.as_str(), spf.grade), ("two", Grade::Fault), "-all forbids it, signature or not");
}

#[tokio::test]
async fn ed25519_alone_carries_nothing() {
    let mut zone = healthy();
    replace(&mut zone, "s1._domainkey.example.com", ED25519);
    replace(&mut zone, "example.com", "v=spf1 ~all");
    let mut asked = asked();
    asked.keys[0].record = ED25519.into();
    let found = looked_at(&zone, &asked).await;
    let of = |check: &str, about: &str| found.iter().find(|f| f.check == check && f.about == about).unwrap();
    assert_eq!(of("dkim", "s1._domainkey.example.com").grade, Grade::Right);
    let alone = of("dkim", "");
    assert!(alone.grade == Grade::Warning && alone.mend.contains("--kind rsa"), "{alone:?}");
    assert_eq!(of("spf", "one").grade, Grade::Fault, "no signature that all receivers know");
}

#[test]
fn what_dnssec_says() {
    let cases = [
        (None, None),
        (Some(Ok(Assurance::Signed)), Some((Grade::Right, "signatures hold"))),
        (Some(Ok(Assurance::Unsigned)), Some((Grade::Right, "not signed"))),
        (Some(Err(NoAnswer::NoRecords)), Some((Grade::Right, "not signed"))),
        (Some(Err(NoAnswer::bogus())), Some((Grade::Fault, "DNSSEC"))),
        (Some(Err(NoAnswer::Failed("timed out".into()))), Some((Grade::Unknown, "timed out"))),
    ];
    for (assurance, expected) in cases {
        let mut findings = Vec::new();
        domain::of_signatures("example.com", assurance.as_ref(), &mut findings);
        let Some((grade, words)) = expected else {
            assert!(findings.is_empty(), "{findings:?}");
            continue;
        };
        let finding = &findings[0];
        assert!(finding.grade == grade && finding.found.contains(words), "{assurance:?}: {finding:?}");
    }
}

/// Both families, as on a machine without an `[[egress]]`: mail is judged by each, so each is looked at.
#[tokio::test]
async fn an_egress_without_an_address_is_looked_at_by_both_families() {
    let v6: IpAddr = "2001:db8::10".parse().unwrap();
    let mut asked = asked();
    let way = |about, address| Way { about, like: address, address: Some(address) };
    asked.egresses[0].ways = vec![way("IPv4", ADDRESS), way("IPv6", v6)];
    let found = looked_at(&healthy(), &asked).await;
    let of = |check: &str, about: &str| {
        let finding = found.iter().find(|finding| finding.check == check && finding.about == about);
        finding.unwrap_or_else(|| panic!("no {check} of {about:?}: {found:?}"))
    };
    for (check, about, grade, mend) in [
        ("spf", "one, IPv4", Grade::Right, ""),
        ("spf", "one, IPv6", Grade::Fault, "add ip6:2001:db8::10 to the SPF record of example.com"),
        ("reverse-dns", "IPv4", Grade::Right, ""),
        ("reverse-dns", "IPv6", Grade::Fault, "set the reverse DNS of 2001:db8::10 to mail.example.com"),
        ("ehlo", "IPv6", Grade::Warning, "mail.example.com. IN AAAA 2001:db8::10"),
        ("listed", "list.example, IPv4", Grade::Right, ""),
        ("listed", "list.example, IPv6", Grade::Right, ""),
    ] {
        let finding = of(check, about);
        assert!(finding.grade == grade && finding.mend.contains(mend), "{check} {about}: {finding:?}");
    }
    let mut keys: Vec<FindingKey> = found.iter().map(Finding::key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), found.len(), "each has a name of its own");

    // Behind NAT the one family is not known, and the other is.
    asked.egresses[0].ways[0].address = None;
    let found = looked_at(&healthy(), &asked).await;
    let unknown = found.iter().find(|finding| finding.check == "address" && finding.about == "IPv4").unwrap();
    assert!(unknown.grade == Grade::Warning && unknown.mend.contains("[[egress]]"), "{unknown:?}");
    assert!(found.iter().any(|finding| finding.check == "spf" && finding.about == "one, IPv6"), "{found:?}");
}
