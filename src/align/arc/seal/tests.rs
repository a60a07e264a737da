//! Chains that we make and check ourselves; other programs are asked in `tests/align`.

use super::*;
use crate::align::arc::verify;
use crate::align::dns::{Fixed, Kind};
use crate::align::sign::tests::{MESSAGE, NOW, signer_and_zone};

fn seal(key: &SigningKey, leaving: &Leaving<'_>, found: Found<'_>, at: WallMs) -> Vec<u8> {
    begin(key, leaving, found, at).map_or_else(Vec::new, |begun| begun.finish(key))
}

async fn chain(zone: &Fixed, message: &[u8]) -> Chain {
    verify(zone, &Leaving::new(&[message]).unwrap(), NOW.0 / 1_000).await
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
    assert!(matches!(chain(&zone, text.as_bytes()).await, Chain::Fail(_)));
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
