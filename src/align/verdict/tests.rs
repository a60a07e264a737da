//! Every case of alignment that the specifications name (RFC 7489 3.1, B.1, RFC 9989 4.4, B.1), by facts out of a zone.

use super::*;
use crate::align::dkim::Leaving;
use crate::align::dns::{Fixed, Kind};
use crate::align::facts::Own;
use crate::align::gather::{Claims, Leg, Source, Subject, gather};
use crate::align::settings::SigningSettings;
use crate::align::settings::{AlignSettings, DiscoverySettings, Ed25519};
use crate::align::sign::tests::{MESSAGE, NOW, settings_of};
use crate::align::sign::{KeyKind, PrivateKey, Signer, SigningKey};
use crate::mail::ReversePath;
use crate::message::{Bounds, Message};

mod authors;
mod egresses;
mod forwarded;
mod signatures;

/// A world in which one message leaves.
struct World {
    zone: Fixed,
    settings: AlignSettings,
    /// Reverse-path, without angle brackets.
    from: &'static str,
    /// Domain of its signature.
    signed: Option<&'static str>,
    author: &'static str,
    /// The From field in place of the author's.
    field: Option<&'static str>,
    /// Name, and what may be seen of it: addresses, `?` for one that is not known.
    egresses: Vec<(&'static str, &'static str)>,
    kind: KeyKind,
    claims: Claims,
    forwarded: bool,
    smarthost: Option<Smarthost>,
}

impl World {
    fn new(records: &[(&str, &str)]) -> Self {
        let mut zone = Fixed::default();
        for (name, text) in records {
            zone.text(name, text);
        }
        Self {
            zone,
            settings: AlignSettings::default(),
            from: "a@example.com",
            signed: None,
            author: "example.com",
            field: None,
            egresses: vec![("one", "192.0.2.10")],
            kind: KeyKind::Rsa,
            claims: Claims::default(),
            forwarded: false,
            smarthost: None,
        }
    }

    async fn judged(&self) -> Finding {
        judge(&self.facts().await, &self.settings.deeds)
    }

    async fn facts(&self) -> Facts {
        let mut zone = self.zone.clone();
        let message = String::from_utf8(MESSAGE.to_vec()).unwrap();
        let message = match self.field {
            Some(field) => {
                let from = message.lines().find(|line| line.starts_with("From:")).unwrap();
                let field = if field == NO_FROM { field.to_owned() } else { format!("From: {field}") };
                message.replace(from, &field).into_bytes()
            }
            None => message.replace("ann@example.com", &format!("ann@{}", self.author)).into_bytes(),
        };
        let mut prefix = Vec::new();
        if let Some(domain) = self.signed {
            let key = SigningKey::new(&settings_of(domain, "s"), private_key(self.kind));
            // Another's key signs for any From.
            if !zone.has(&key.record_name()) {
                zone.text(&key.record_name(), &key.record());
            }
            let signer = Signer::of(vec![key], SigningSettings::default());
            prefix = signer.sign_with_all(&[&message], NOW);
        }
        let path = if self.from.is_empty() { "" } else { self.from };
        let reverse_path = ReversePath::parse(path.as_bytes()).unwrap();
        let addresses = |seen: &str| seen.split(' ').map(|ip| (ip != "?").then(|| ip.parse().unwrap())).collect();
        let sources: Vec<(Arc<str>, Vec<Option<std::net::IpAddr>>)> =
            self.egresses.iter().map(|(name, seen)| ((*name).into(), addresses(seen))).collect();
        let exits = sources.iter().map(|(egress, addresses)| Source {
            egress,
            addresses: addresses.clone(),
            ehlo: "mail.example.com",
        });
        let legs = match &self.smarthost {
            Some(smarthost) => vec![Leg::Smarthost(smarthost.clone())],
            None => vec![Leg::Direct(exits.collect())],
        };
        let pieces = [&*prefix, &*message];
        let leaving = Leaving::new(&pieces).unwrap();
        let subject = Subject {
            leaving: &leaving,
            author: Author::of(&Message::parse(&message, &Bounds::default())),
            reverse_path: &reverse_path,
            routes: legs,
            own: Own::NoKey,
            claims: self.claims.clone(),
            at: NOW,
        };
        let mut facts = gather(&zone, &self.settings, &subject).await;
        if self.forwarded {
            facts.forwarded = Forwarded::Sealed;
        }
        facts
    }
}

/// Made once: an RSA key takes its time.
fn private_key(kind: KeyKind) -> PrivateKey {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    match kind {
        KeyKind::Ed25519 => PrivateKey::generate(kind).unwrap().0,
        KeyKind::Rsa => {
            let pem = PEM.get_or_init(|| PrivateKey::generate(kind).unwrap().1.to_string());
            PrivateKey::of_pem(pem.as_bytes()).unwrap()
        }
    }
}

/// In place of the From field.
const NO_FROM: &str = "X-From: nobody";
const SPF_HERE: &str = "v=spf1 ip4:192.0.2.10 -all";
const SPF_ELSEWHERE: &str = "v=spf1 ip4:198.51.100.1 -all";
const REJECT: &str = "v=DMARC1; p=reject";

/// Cases out of `cases.txt`: what, reverse-path, signed by, From, verdict, policy; and the records.
type Case = ([&'static str; 6], Vec<(&'static str, &'static str)>);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("cases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(record) = line.strip_prefix("    ") {
            cases.last_mut().unwrap().1.push(record.split_once(": ").unwrap());
        } else {
            let columns: Vec<&str> = line.split(" | ").map(|cell| if cell == "-" { "" } else { cell }).collect();
            cases.push((columns.try_into().unwrap(), Vec::new()));
        }
    }
    cases
}

#[tokio::test]
async fn every_case_of_alignment() {
    let cases = cases();
    assert!(cases.len() >= 59, "{}", cases.len());
    for ([what, from, signed, author, alignment, policy], records) in cases {
        let signed = Some(signed).filter(|domain| !domain.is_empty());
        let finding = World { from, signed, author, ..World::new(&records) }.judged().await;
        assert_eq!((finding.alignment.as_str(), finding.policy.as_str()), (alignment, policy), "{what}: {finding:?}");
        let deed = match (finding.alignment, finding.policy) {
            (Alignment::Pass, _) => None,
            (_, Policy::None) => Some(Deed::Points(40)),
            (_, Policy::Quarantine | Policy::Reject) => Some(Deed::Hold),
        };
        assert_eq!(finding.deed, deed, "{what}");
        assert_eq!(finding.reasons().next().is_none(), deed.is_none(), "{what}");
    }
}

#[tokio::test]
async fn the_sentence_says_what_to_do() {
    let cases: [(World, &str); 8] = [
        (
            World::new(&[("example.com", SPF_ELSEWHERE), ("_dmarc.example.com", REJECT)]),
            "nothing authenticates example.com: SPF for example.com from 192.0.2.10 is fail (-all in the record of \
             example.com); there is no DKIM signature; example.com asks receivers to reject such mail. Add \
             `ip4:192.0.2.10` to the SPF record of example.com, or sign with DKIM for example.com (`outguard dkim keygen \
             example.com`)",
        ),
        (World::new(&[]), "Publish the TXT record `v=spf1 ip4:192.0.2.10 ~all` at example.com, or sign with DKIM"),
        (
            World { from: "a@example.net", ..World::new(&[]) },
            "or send it with a reverse-path of example.com and `ip4:192.0.2.10`",
        ),
        (World::new(&[("example.com", "v=spf1 ip:1.2.3.4")]), "Mend the SPF record of example.com"),
        (World { egresses: vec![("one", "?")], ..World::new(&[]) }, "Set `public_address` of egress one, or sign"),
        (
            World { egresses: vec![("six", "2001:db8::1")], ..World::new(&[("example.com", "v=spf1 ~all")]) },
            "`ip6:2001:db8::1`",
        ),
        (
            World { author: "a.example.com", ..World::new(&[("_dmarc.example.com", REJECT)]) },
            "example.com asks receivers to reject such mail of a.example.com",
        ),
        (
            World::new(&[("_dmarc.example.com", "v=DMARC1; p=rejct")]),
            "the DMARC record at _dmarc.example.com does not count",
        ),
    ];
    for (world, expected) in cases {
        let finding = world.judged().await;
        assert!(finding.sentence.contains(expected), "{}\nlacks\n{expected}", finding.sentence);
    }
}

#[tokio::test]
async fn dns_trouble_holds_nothing() {
    let trouble = [
        ("example.com", Kind::Text, None),
        ("_dmarc.example.com", Kind::Text, None),
        ("s._domainkey.example.com", Kind::Text, Some("example.com")),
    ];
    for (name, kind, signed) in trouble {
        let mut world = World { signed, ..World::new(&[("_dmarc.example.com", REJECT)]) };
        world.zone.fail(name, kind);
        let finding = world.judged().await;
        assert_eq!(
            (finding.alignment, finding.deed),
            (Alignment::TempError, Some(Deed::Points(5))),
            "{name}: {finding:?}"
        );
        assert!(finding.sentence.contains("cannot be told now"), "{}", finding.sentence);
    }
    // What is the same domain passes whatever the record says.
    let mut world = World::new(&[("example.com", SPF_HERE)]);
    world.zone.fail("_dmarc.example.com", Kind::Text);
    assert_eq!(world.judged().await.alignment, Alignment::Pass);
}

#[tokio::test]
async fn the_login_at_ovhclouds_servers() {
    let at = |host: &str, login: Option<&str>| {
        Some(Smarthost { host: host.into(), login_domain: login.map(Into::into), demands: Demands::of_host(host) })
    };
    let cases = [
        (at("ssl0.ovh.net", Some("example.com")), None),
        (at("SSL0.OVH.NET.", Some("example.net")), Some(Deed::Hold)),
        (at("smtp.mail.ovh.net", Some("mail.example.com")), Some(Deed::Hold)), // a subdomain is another domain
        (at("smtp.mail.ovh.ca", None), None),
        (at("pro1.mail.ovh.net", Some("example.net")), None), // not named by the provider
        (at("smtp.example.org", Some("example.net")), None),
    ];
    for (smarthost, deed) in cases {
        let world = World { smarthost: smarthost.clone(), ..World::new(&[]) };
        let finding = world.judged().await;
        assert_eq!(finding.deed, deed, "{smarthost:?}: {finding:?}");
        assert_eq!(finding.egresses, [None]);
    }
}

#[tokio::test]
async fn one_kind_of_receiver_alone() {
    let records = [("_dmarc.c.example.com", "v=DMARC1; p=reject; psd=n"), ("_dmarc.example.com", REJECT)];
    let cases = [
        (DiscoverySettings::PublicSuffix, Alignment::Pass),
        (DiscoverySettings::TreeWalk, Alignment::Misaligned),
        (DiscoverySettings::Both, Alignment::Misaligned),
    ];
    for (discovery, expected) in cases {
        let mut world = World {
            from: "a@example.net",
            author: "c.example.com",
            signed: Some("example.com"),
            ..World::new(&records)
        };
        world.settings.discovery = discovery;
        assert_eq!(world.judged().await.alignment, expected, "{discovery:?}");
    }
}

#[tokio::test]
async fn a_silent_server_leaves_only_its_own_answer_open() {
    // What is silent; reverse-path, signed by; what is done all the same.
    let cases = [
        ("s._domainkey.evil.example", "a@example.com", Some("evil.example"), Some(Deed::Hold)), // not asked at all
        ("evil.example", "a@evil.example", None, Some(Deed::Hold)), // SPF of a stranger cannot carry it
        ("_dmarc.evil.example", "a@evil.example", None, Some(Deed::Hold)),
        ("s._domainkey.x.example.com", "a@example.com", Some("x.example.com"), Some(Deed::Points(5))), // it could pass
        ("example.com", "a@example.com", None, Some(Deed::Points(5))),
        ("s._domainkey.x.example.com", "a@pass.example.com", Some("x.example.com"), None), // SPF carries it
        ("_dmarc.example.com", "a@evil.example", None, Some(Deed::Points(5))), // what is asked for nobody knows
    ];
    for (silent, from, signed, deed) in cases {
        let records = [("example.com", SPF_ELSEWHERE), ("pass.example.com", SPF_HERE), ("_dmarc.example.com", REJECT)];
        let mut world = World { from, signed, ..World::new(&records) };
        world.settings.time_limit = std::time::Duration::from_millis(320);
        world.zone.silence(silent);
        let finding = world.judged().await;
        assert_eq!(finding.deed, deed, "{silent} is silent: {finding:?}");
    }
}

#[tokio::test]
async fn through_a_smarthost_only_signatures_are_judged() {
    let at = |host: &str| Smarthost { host: host.into(), login_domain: None, demands: Demands::Nothing };
    let cases = [
        (REJECT, None, Some(Deed::Points(10))),
        ("v=DMARC1; p=none", None, None), // SPF may pass, and nothing is asked for
        (REJECT, Some("example.com"), None),
        (REJECT, Some("example.net"), Some(Deed::Points(10))),
    ];
    for (record, signed, deed) in cases {
        let mut world = World {
            signed,
            smarthost: Some(at("smtp.example.net")),
            ..World::new(&[("_dmarc.example.com", record), ("example.com", SPF_ELSEWHERE)])
        };
        let finding = world.judged().await;
        assert_eq!(finding.deed, deed, "{record} {signed:?}: {finding:?}");
        if deed.is_some() {
            assert!(finding.sentence.contains("whether SPF passes from smtp.example.net is not known"), "{finding:?}");
            assert!(finding.sentence.contains("outguard dkim keygen example.com"), "{finding:?}");
            world.settings.deeds.smarthost_fails = Deed::Hold;
            assert_eq!(world.judged().await.deed, Some(Deed::Hold), "as it is configured");
        }
    }
}

#[tokio::test]
async fn ed25519_alone_is_no_signature_to_many() {
    let mut world =
        World { kind: KeyKind::Ed25519, signed: Some("example.com"), ..World::new(&[("_dmarc.example.com", REJECT)]) };
    let finding = world.judged().await;
    assert_eq!((finding.alignment, finding.deed), (Alignment::None, Some(Deed::Hold)), "{finding:?}");
    assert!(finding.sentence.contains("Sign with an RSA key beside the Ed25519 one"), "{}", finding.sentence);
    world.settings.ed25519 = Ed25519::Counted;
    assert_eq!(world.judged().await.alignment, Alignment::Pass);
}

#[tokio::test]
async fn what_is_weak_about_a_signature_is_said() {
    type Change = fn(&mut crate::align::dkim::Checked);
    let world = World { signed: Some("example.com"), ..World::new(&[("_dmarc.example.com", REJECT)]) };
    let facts = world.facts().await;
    assert_eq!(judge(&facts, &world.settings.deeds).reasons().count(), 0, "nothing to say of a good one");
    let cases: [(Change, &str); 3] = [
        (|checked| checked.rsa_bits = Some(1024), "has 1024 bits"),
        (|checked| checked.partial = true, "leave out `l=`"),
        (|checked| checked.testing = true, "Take `t=y` out of its record"),
    ];
    for (change, words) in cases {
        let mut facts = facts.clone();
        change(&mut facts.signatures[0].checked);
        let reasons: Vec<Reason> = judge(&facts, &world.settings.deeds).reasons().collect();
        assert_eq!((reasons.len(), &*reasons[0].name, reasons[0].points), (1, "align-weak", 0));
        assert!(reasons[0].sentence.contains(words), "{}", reasons[0].sentence);
    }
}

#[tokio::test]
async fn strict_records_name_the_domain_that_must_sign() {
    let strict = "v=DMARC1; p=reject; adkim=s; aspf=s";
    let world = World {
        author: "shop.example.com",
        signed: Some("example.com"),
        ..World::new(&[("_dmarc.shop.example.com", strict), ("example.com", SPF_HERE)])
    };
    let finding = world.judged().await;
    assert_eq!(finding.deed, Some(Deed::Hold));
    for words in ["Sign with a key of shop.example.com itself", "reverse-path of shop.example.com itself (`aspf=s`)"] {
        assert!(finding.sentence.contains(words), "{}\nlacks\n{words}", finding.sentence);
    }
}

#[tokio::test]
async fn what_others_write_is_bounded_and_shown() {
    let long = format!("v=spf1 \u{1b}[2J{}", "x".repeat(30_000));
    let finding = World::new(&[("example.com", &long), ("_dmarc.example.com", "v=DMARC1; p=reject")]).judged().await;
    let reason = finding.reasons().next().unwrap();
    assert!(reason.sentence.chars().count() < 1_300, "{} characters", reason.sentence.chars().count());
    assert!(!reason.sentence.contains(char::is_control), "{}", reason.sentence);
    assert!(reason.sentence.contains("Mend the SPF record of example.com"), "{}", reason.sentence);
}
