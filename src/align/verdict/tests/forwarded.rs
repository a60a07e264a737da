//! Forwarded mail: whose word counts, and what is done where DNS does not say.

use super::*;
use crate::align::arc::Chain;
use crate::align::dkim::Form;
use crate::align::dkim::tags::to_base64;

/// What DNS keeps from us of a chain has the outcome of all DNS trouble, whatever else is configured.
#[tokio::test]
async fn a_chain_that_dns_keeps_from_us_holds_nothing() {
    // The record of the From domain; what is done, what it would be if the chain held, and if it did not.
    let cases = [
        (REJECT, Deed::Points(7), Deed::Reject, Deed::Reject),
        ("v=DMARC1; p=quarantine", Deed::Points(7), Deed::Reject, Deed::Reject),
        ("v=DMARC1; p=none", Deed::Points(40), Deed::Points(40), Deed::Points(40)), // no policy depends on it
    ];
    for (record, open, holds, broken) in cases {
        let mut world = World::new(&[("_dmarc.example.com", record)]);
        let deeds = &mut world.settings.deeds;
        (deeds.temperror, deeds.policy_fails, deeds.forwarded_fails) = (Deed::Points(7), Deed::Reject, Deed::Reject);
        let mut facts = world.facts().await;
        facts.chain = Chain::NoDns("seal 1: DNS takes too long".into());
        for (forwarded, deed) in [(Forwarded::NoDns, open), (Forwarded::Sealed, holds), (Forwarded::No, broken)] {
            facts.forwarded = forwarded;
            let finding = judge(&facts, &world.settings.deeds);
            assert_eq!(finding.deed, Some(deed), "{record}, {forwarded:?}: {finding:?}");
            let is_open = deed == Deed::Points(7);
            assert_eq!(finding.name == "align-temperror", is_open, "{finding:?}");
            assert_eq!(
                finding.sentence.contains("seal 1: DNS takes too long. It is judged as"),
                is_open,
                "{finding:?}"
            );
        }
    }
    // Of the claim alone, which only one whom we believe can make.
    for (sealed, deed) in [(true, Deed::Points(5)), (false, Deed::Hold)] {
        let claims = Claims { sealed, ..Claims::default() };
        let chain = "ARC-Seal: i=1; a=rsa-sha256; d=forwarder.example; s=s; cv=none; b=AAAA\r\n\
                     ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=forwarder.example; s=s; h=from; \
                     bh=BODY; b=AAAA\r\nARC-Authentication-Results: i=1; forwarder.example; arc=none";
        let (hash, _) = Leaving::new(&[MESSAGE]).unwrap().body_hash((Form::Relaxed, None));
        let chain = chain.replace("BODY", &to_base64(&hash));
        let field: &'static str = format!("a@example.com\r\n{chain}").leak();
        let mut world = World { claims, field: Some(field), ..World::new(&[("_dmarc.example.com", REJECT)]) };
        world.settings.time_limit = std::time::Duration::from_millis(320);
        world.zone.silence("s._domainkey.forwarder.example");
        let finding = world.judged().await;
        assert_eq!(finding.deed, Some(deed), "{finding:?}");
    }
}

#[tokio::test]
async fn forwarded_mail_and_broken_from_fields() {
    let srs = "SRS0=HHH=TT=example.com=a@forwarder.example";
    let claims = Claims { rewritten: true, ..Claims::default() };
    let world = World { from: srs, claims, ..World::new(&[("_dmarc.example.com", REJECT)]) };
    let finding = world.judged().await;
    assert_eq!((finding.name, finding.deed), ("align-forwarded", Some(Deed::Points(20))), "{finding:?}");
    let sealed = World { forwarded: true, ..World::new(&[("_dmarc.example.com", REJECT)]) }.judged().await;
    assert_eq!(sealed.deed, Some(Deed::Points(20)));
    // Anybody can say so.
    let claims = Claims { doubted: Some("forwarder.example".into()), ..Claims::default() };
    let doubted = World { from: srs, claims, ..World::new(&[("_dmarc.example.com", REJECT)]) }.judged().await;
    assert_eq!((doubted.name, doubted.deed), ("align-policy", Some(Deed::Hold)), "{doubted:?}");
    assert!(doubted.sentence.ends_with("write forwarder.example into `align.forwarders`"), "{}", doubted.sentence);
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
