//! Chains that we make and check ourselves; other programs are asked in `tests/align`.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::align::arc::verify;
use crate::align::dns::{Fixed, Kind};
use crate::align::sign::tests::{MESSAGE, NOW, settings_of, signer_and_zone};
use crate::align::sign::{KeyKind, PrivateKey};

fn seal(key: &SigningKey, leaving: &Leaving<'_>, found: Found<'_>, at: WallMs) -> Vec<u8> {
    begin(key, leaving, found, at).map_or_else(Vec::new, |begun| begun.finish(key))
}

async fn chain(zone: &Fixed, message: &[u8]) -> Chain {
    let until = Instant::now() + Duration::from_millis(300);
    verify(zone, &Leaving::new(&[message]).unwrap(), NOW.0 / 1_000, until).await
}

#[tokio::test]
async fn links_hold_until_something_changes() {
    let (signer, mut zone) = signer_and_zone();
    let key = signer.keys().iter().find(|key| &*key.selector == "rsa").unwrap();
    let mut message = MESSAGE.to_vec();
    assert_eq!(chain(&zone, &message).await, Chain::None);
    for links in 1..=3 {
        let before = chain(&zone, &message).await;
        let found = Found { by: "mail.example.com", chain: &before, signatures: &[] };
        let link = seal(key, &Leaving::new(&[&message]).unwrap(), found, NOW);
        message = [link, message].concat();
        assert_eq!(chain(&zone, &message).await, Chain::Pass(links));
    }
    let text = String::from_utf8(message).unwrap();
    let cases = [
        ("Hello Bob", "Hello Rob"),                         // the body
        ("From: Ann", "From: Eve"),                         // a signed field
        ("i=2; mail.example.com", "i=2; mail.example.net"), // what was found
        ("arc=none", "arc=pass"),                           // the oldest link's word
        ("ARC-Seal: i=2", "X-Seal: i=2"),                   // a link less
        ("ARC-Seal: i=2", "ARC-Seal: i=3"),                 // a number twice
        ("cv=none", "cv=fail"),
        ("ARC-Authentication-Results: i=1", "ARC-Authentication-Results: i=0"),
    ];
    for (from, to) in cases {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        let got = chain(&zone, changed.as_bytes()).await;
        assert!(matches!(got, Chain::Fail(_)), "{from:?} made {to:?}: {got:?}");
        let leaving = [changed.as_bytes()];
        let leaving = Leaving::new(&leaving).unwrap();
        let found = Found { by: "mail.example.com", chain: &got, signatures: &[] };
        assert!(seal(key, &leaving, found, NOW).is_empty(), "no seal over a broken chain");
    }
    zone.fail("rsa._domainkey.example.com", Kind::Text);
    let got = chain(&zone, text.as_bytes()).await;
    assert!(matches!(got, Chain::NoDns(_)), "{got:?}");
    let leaving = [text.as_bytes()];
    let found = Found { by: "mail.example.com", chain: &got, signatures: &[] };
    assert!(seal(key, &Leaving::new(&leaving).unwrap(), found, NOW).is_empty(), "what is open is not called broken");
}

/// A link by a selector of its own, with its record.
fn link(zone: &mut Fixed, selector: &str, message: &[u8], found: &Chain) -> Vec<u8> {
    let key = SigningKey::new(&settings_of("example.com", selector), private_key());
    zone.text(&key.record_name(), &key.record());
    let found = Found { by: "mail.example.com", chain: found, signatures: &[] };
    let link = seal(&key, &Leaving::new(&[message]).unwrap(), found, NOW);
    [link, message.to_vec()].concat()
}

/// Made once: an RSA key takes its time.
fn private_key() -> PrivateKey {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let pem = PEM.get_or_init(|| PrivateKey::generate(KeyKind::Rsa).unwrap().1.to_string());
    PrivateKey::of_pem(pem.as_bytes()).unwrap()
}

/// Which link DNS says nothing of, and what is wrong besides.
#[tokio::test]
async fn silence_of_the_dns_breaks_no_chain_and_mends_none() {
    let mut zone = Fixed::default();
    let first = link(&mut zone, "first", MESSAGE, &Chain::None);
    let whole = link(&mut zone, "second", &first, &Chain::Pass(1));
    assert_eq!(chain(&zone, &whole).await, Chain::Pass(2));
    let text = String::from_utf8(whole).unwrap();
    let body = ("Hello Bob", "Hello Rob");
    let results = ("i=2; mail.example.com", "i=2; mail.example.net");
    let older =
        ("ARC-Authentication-Results: i=1; mail.example.com", "ARC-Authentication-Results: i=1; mail.example.net");
    let cases = [
        // Silent; changed; whether that leaves it open
        ("second", None, true),
        ("first", None, true),         // the newest holds, and says that this one did
        ("second", Some(body), false), // no key can mend that
        ("first", Some(body), false),
        ("first", Some(results), false), // the newest seal is broken: whose word this is nobody knows
        ("second", Some(results), true),
        ("first", Some(older), false), // signed by the newest too
    ];
    for (silent, change, is_open) in cases {
        for fails in [true, false] {
            let mut zone = zone.clone();
            let name = format!("{silent}._domainkey.example.com");
            if fails {
                zone.fail(&name, Kind::Text)
            } else {
                zone.silence(&name)
            };
            let changed = change.map_or_else(|| text.clone(), |(from, to): (&str, &str)| text.replacen(from, to, 1));
            assert!(change.is_none() || changed != text, "{change:?}");
            let got = chain(&zone, changed.as_bytes()).await;
            assert_eq!(matches!(got, Chain::NoDns(_)), is_open, "{silent} is silent, {change:?}: {got:?}");
            assert!(is_open || matches!(got, Chain::Fail(_)), "{silent} is silent, {change:?}: {got:?}");
        }
    }
    // A key that is not there is no trouble of the DNS.
    for selector in ["first", "second"] {
        let mut zone = zone.clone();
        zone.remove(&format!("{selector}._domainkey.example.com"));
        let got = chain(&zone, text.as_bytes()).await;
        assert!(matches!(&got, Chain::Fail(why) if why.contains("no key is published")), "{selector}: {got:?}");
    }
}

#[test]
fn what_was_found_is_written_without_anothers_text() {
    let checked = Checked {
        algorithm: None,
        domain: "example.com".into(),
        selector: "x;\r\n dkim=pass".into(),
        outcome: Outcome::Pass,
        partial: false,
        rsa_bits: None,
        testing: false,
    };
    let found = Found { by: "mail.example.com", chain: &Chain::None, signatures: &[checked] };
    assert_eq!(
        results(1, found),
        "ARC-Authentication-Results: i=1; mail.example.com;\r\n\tarc=none;\r\n\tdkim=pass header.d=example.com header.s=?\r\n"
    );
}
