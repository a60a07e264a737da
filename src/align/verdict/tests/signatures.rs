//! What is said of a signature that does not hold: why, and what mends it.

use super::*;

#[tokio::test]
async fn each_fault_of_a_signature_has_its_words() {
    let key = private_key(KeyKind::Rsa).record();
    let public = key.split("p=").nth(1).unwrap();
    let with = |tags: &str| format!("v=DKIM1; {tags}; p={public}");
    let publish =
        "Publish the key of the signature at s._domainkey.example.com: `outguard dkim record example.com` prints";
    // The record; why the signature fails, and what mends it.
    let records = [
        (with("h=sha1"), "the key at s._domainkey.example.com is not for this use", publish),
        (with("s=tlsrpt"), "the key at s._domainkey.example.com is not for this use", publish),
        (with("k=dsa"), "the key at s._domainkey.example.com is broken: k= is not known", publish),
        ("v=DKIM1".to_owned(), "the key at s._domainkey.example.com is broken: p= is missing", publish),
        ("v=DKIM1; p=".to_owned(), "the key at s._domainkey.example.com was withdrawn", publish),
    ];
    for (record, why, mends) in records {
        let records = [("_dmarc.example.com", REJECT), ("s._domainkey.example.com", &*record)];
        let finding = World { signed: Some("example.com"), ..World::new(&records) }.judged().await;
        let said = format!("DKIM of example.com fails: {why}");
        assert_eq!(finding.deed, Some(Deed::Hold), "{record}: {finding:?}");
        assert!(finding.sentence.contains(&said), "{}\nlacks\n{said}", finding.sentence);
        assert!(finding.sentence.contains(mends), "{}\nlacks\n{mends}", finding.sentence);
    }
    // And what no signer of ours can make.
    let world = World { signed: Some("example.com"), ..World::new(&[("_dmarc.example.com", REJECT)]) };
    let facts = world.facts().await;
    let failures = [
        (
            Failure::Weak("an RSA key under 1024 bits"),
            "too weak to count (an RSA key",
            "with a key of 2048 bits (`outguard",
        ),
        (Failure::Weak("rsa-sha1"), "too weak to count (rsa-sha1)", "with a key of 2048 bits (`outguard dkim keygen"),
        (
            Failure::Expired,
            "the signature has expired",
            "Let who signs for example.com sign anew, or let outguard sign",
        ),
        (
            Failure::BodyChanged,
            "the body was changed after signing",
            "Find what changes the message after it was signed",
        ),
        (
            Failure::HeaderChanged,
            "a signed header field was changed",
            "Find what changes the message after it was signed",
        ),
        (Failure::KeyMissing("s._domainkey.example.com".into()), "no key is published at s._domainkey", publish),
    ];
    for (failure, why, mends) in failures {
        let mut facts = facts.clone();
        facts.signatures[0].checked.outcome = Outcome::Fails(failure.clone());
        let sentence = judge(&facts, &world.settings.deeds).sentence;
        assert!(sentence.contains(why) && sentence.contains(mends), "{failure:?}: {sentence}");
    }
}
