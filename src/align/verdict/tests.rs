//! Every case of alignment that the specifications name (RFC 7489 3.1, B.1, RFC 9989 4.4, B.1), by facts out of a zone.

use super::*;
use crate::align::dkim::Leaving;
use crate::align::dns::{Fixed, Kind};
use crate::align::facts::Own;
use crate::align::gather::{Leg, Source, Subject, gather};
use crate::align::settings::SigningSettings;
use crate::align::settings::{AlignSettings, DiscoverySettings};
use crate::align::sign::tests::{MESSAGE, NOW, settings_of};
use crate::align::sign::{KeyKind, PrivateKey, Signer, SigningKey};
use crate::mail::ReversePath;
use crate::message::{Bounds, Message};

/// A world in which one message leaves.
struct World {
    zone: Fixed,
    settings: AlignSettings,
    /// Reverse-path, without angle brackets.
    from: &'static str,
    /// Domain of its signature.
    signed: Option<&'static str>,
    author: &'static str,
    egresses: Vec<(&'static str, Option<&'static str>)>,
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
            egresses: vec![("one", Some("192.0.2.10"))],
            forwarded: false,
            smarthost: None,
        }
    }

    async fn judged(&self) -> Finding {
        let mut zone = self.zone.clone();
        let message = String::from_utf8(MESSAGE.to_vec()).unwrap();
        let message = message.replace("ann@example.com", &format!("ann@{}", self.author)).into_bytes();
        let mut prefix = Vec::new();
        if let Some(domain) = self.signed {
            let key = SigningKey::new(&settings_of(domain, "s"), PrivateKey::generate(KeyKind::Ed25519).unwrap().0);
            // Another's key signs for any From.
            zone.text(&key.record_name(), &key.record());
            let signer = Signer::of(vec![key], SigningSettings::default());
            prefix = signer.sign_with_all(&[&message], NOW);
        }
        let path = if self.from.is_empty() { "" } else { self.from };
        let reverse_path = ReversePath::parse(path.as_bytes()).unwrap();
        let names: Vec<(Arc<str>, Option<std::net::IpAddr>)> =
            self.egresses.iter().map(|(name, ip)| ((*name).into(), ip.map(|ip| ip.parse().unwrap()))).collect();
        let source = |(egress, address): &'_ (Arc<str>, Option<std::net::IpAddr>)| (egress.clone(), *address);
        let sources: Vec<(Arc<str>, Option<std::net::IpAddr>)> = names.iter().map(source).collect();
        let exits =
            sources.iter().map(|(egress, address)| Source { egress, address: *address, ehlo: "mail.example.com" });
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
            at: NOW,
        };
        let mut facts = gather(&zone, &self.settings, &subject).await;
        if self.forwarded {
            facts.forwarded = Forwarded::Sealed;
        }
        judge(&facts, &self.settings.deeds)
    }
}

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
    assert!(cases.len() >= 33);
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
        assert_eq!(finding.reason().is_none(), deed.is_none(), "{what}");
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
        (World { egresses: vec![("one", None)], ..World::new(&[]) }, "Set `public_address` of egress one, or sign"),
        (
            World { egresses: vec![("six", Some("2001:db8::1"))], ..World::new(&[("example.com", "v=spf1 ~all")]) },
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
async fn an_egress_that_passes_is_chosen() {
    let two = || vec![("one", Some("192.0.2.10")), ("two", Some("192.0.2.20"))];
    let only = |names: &[&str]| Some(names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>());
    let cases = [
        ("a pass and a fail", SPF_HERE, None, Alignment::Pass, only(&["one"])),
        ("both pass", "v=spf1 ip4:192.0.2.0/24 -all", None, Alignment::Pass, None),
        ("neither passes", SPF_ELSEWHERE, None, Alignment::None, None),
        ("DKIM carries, one is forbidden", SPF_HERE, Some("example.com"), Alignment::Pass, only(&["one"])),
        ("DKIM carries, one is in doubt", "v=spf1 ip4:192.0.2.10 ~all", Some("example.com"), Alignment::Pass, None),
        ("DKIM carries, both are forbidden", SPF_ELSEWHERE, Some("example.com"), Alignment::Pass, None),
    ];
    for (what, spf, signed, alignment, egresses) in cases {
        let world =
            World { egresses: two(), signed, ..World::new(&[("example.com", spf), ("_dmarc.example.com", REJECT)]) };
        let finding = world.judged().await;
        assert_eq!((finding.alignment, finding.egresses), (alignment, vec![egresses]), "{what}");
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
async fn forwarded_mail_and_broken_from_fields() {
    let world =
        World { from: "SRS0=HHH=TT=example.com=a@forwarder.example", ..World::new(&[("_dmarc.example.com", REJECT)]) };
    let finding = world.judged().await;
    assert_eq!((finding.name, finding.deed), ("align-forwarded", Some(Deed::Points(20))), "{finding:?}");
    let sealed = World { forwarded: true, ..World::new(&[("_dmarc.example.com", REJECT)]) }.judged().await;
    assert_eq!(sealed.deed, Some(Deed::Points(20)));
    // Its author's signature survived: nothing to say.
    let whole = World {
        from: "SRS0=HHH=TT=example.com=a@forwarder.example",
        signed: Some("example.com"),
        ..World::new(&[("_dmarc.example.com", REJECT)])
    };
    assert_eq!(whole.judged().await.deed, None);

    let broken =
        World { author: "example.com>, <bob@example.net", ..World::new(&[("example.com", SPF_HERE)]) }.judged().await;
    assert_eq!((broken.alignment, broken.name), (Alignment::PermError, "align-from"), "{broken:?}");
    assert!(broken.sentence.contains("example.com, example.net"), "{}", broken.sentence);
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
        let world = World { smarthost: smarthost.clone(), ..World::new(&[("_dmarc.example.com", REJECT)]) };
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
