//! Our signatures, checked by our own verifier; other verifiers are asked in `tests/align`.

use proptest::prelude::*;

use super::*;
use crate::align::dkim::{Checked, Failure, Outcome, check};
use crate::align::dns::Fixed;

/// A moment of the tests.
pub(crate) const NOW: WallMs = WallMs(1_790_000_000_000);

pub(crate) fn settings_of(domain: &str, selector: &str) -> DkimKeySettings {
    DkimKeySettings {
        domain: domain.into(),
        selector: selector.into(),
        key: crate::secret::Secret::new(Vec::new()),
        covers: Covers::Subdomains,
        accounts: Vec::new(),
    }
}

/// A signer with an Ed25519 and an RSA key for example.com, and the zone that publishes both.
pub(crate) fn signer_and_zone() -> (Signer, Fixed) {
    let key =
        |selector, kind| SigningKey::new(&settings_of("example.com", selector), PrivateKey::generate(kind).unwrap().0);
    let keys = vec![key("ed", KeyKind::Ed25519), key("rsa", KeyKind::Rsa)];
    let mut zone = Fixed::default();
    for key in &keys {
        zone.text(&key.record_name(), &key.record());
    }
    (Signer::of(keys, SigningSettings::default()), zone)
}

pub(crate) const MESSAGE: &[u8] =
    b"Received: from x by y; today\r\nFrom: Ann <ann@example.com>\r\nTo: bob@example.org\r\n\
    Subject: Hello\r\n\tthere\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n\
    Hello Bob,\r\n\r\n.dotted\r\n\r\n";

async fn checked(zone: &Fixed, message: &[u8]) -> Vec<Checked> {
    check(zone, &Leaving::new(&[message]).unwrap(), NOW.0 / 1_000, 10).await
}

#[tokio::test]
async fn what_is_signed_holds_and_what_is_changed_does_not() {
    let (ours, mut zone) = signer_and_zone();
    let prefix = ours.sign(&[MESSAGE], "example.com", NOW);
    let text = String::from_utf8(prefix.clone()).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= 78), "{text}");
    let signed = [&*prefix, MESSAGE].concat();
    let results = checked(&zone, &signed).await;
    let passes = results.iter().map(|c| (&*c.selector, &c.outcome, c.rsa_bits)).collect::<Vec<_>>();
    assert_eq!(passes, [("ed", &Outcome::Pass, None), ("rsa", &Outcome::Pass, Some(2048))]);

    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(signed.clone()).unwrap();
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let cases = [
        ("Hello Bob", "Hello Rob", Failure::BodyChanged),
        ("\r\nSubject: Hello", "\r\nSubject: Hell", Failure::HeaderChanged),
        ("\r\nSubject:", "\r\nSubject: second\r\nSubject:", Failure::HeaderChanged), // over-signing
        ("\r\nTo:", "\r\nFrom: eve@example.net\r\nTo:", Failure::HeaderChanged),
        ("\r\nTo:", "\r\nReply-To: eve@example.net\r\nTo:", Failure::HeaderChanged),
        ("\r\nTo:", "\r\nList-Unsubscribe: <https://evil.example>\r\nTo:", Failure::HeaderChanged),
        ("t=1790000000", "t=1790000001", Failure::HeaderChanged),
        ("x=1791209600", "x=1789999999", Failure::Expired),
        ("a=ed25519", "a=rsa", Failure::HeaderChanged),
        ("v=1;", "v=1; l=5;", Failure::BodyChanged),
    ];
    for (from, to, failure) in cases {
        let results = checked(&zone, &replaced(from, to)).await;
        assert_eq!(results[0].outcome, Outcome::Fails(failure), "{from:?} made {to:?}");
    }
    let harmless =
        [("\r\nSubject: Hello\r\n\tthere", "\r\nsubject:Hello   there"), ("Received: from x", "Received: from z")];
    for (from, to) in harmless {
        let results = checked(&zone, &replaced(from, to)).await;
        assert!(results.iter().all(|c| c.outcome == Outcome::Pass), "{from:?} made {to:?}: {results:?}");
    }

    let mut empty = Fixed::default();
    let name: Box<str> = "ed._domainkey.example.com".into();
    assert_eq!(checked(&empty, &signed).await[0].outcome, Outcome::Fails(Failure::KeyMissing(name.clone())));
    empty.fail(&name, crate::align::dns::Kind::Text);
    assert!(matches!(checked(&empty, &signed).await[0].outcome, Outcome::Fails(Failure::NoDns(_))));
    // A selector that is no name is a key that is missing, whatever the DNS would say of it.
    let strange = String::from_utf8_lossy(&signed).replace("s=ed", "s=\\9x").into_bytes();
    let asked: Box<str> = "\\9x._domainkey.example.com".into();
    empty.fail(&asked, crate::align::dns::Kind::Text);
    assert_eq!(checked(&empty, &strange).await[0].outcome, Outcome::Fails(Failure::KeyMissing(asked)));
    let mut revoked = Fixed::default();
    revoked.text(&name, "v=DKIM1; k=ed25519; p=");
    assert_eq!(checked(&revoked, &signed).await[0].outcome, Outcome::Fails(Failure::KeyRevoked(name)));
    zone.text("rsa._domainkey.example.com", "v=DKIM1; p=AAAA");
    assert_eq!(checked(&zone, &signed).await[1].outcome, Outcome::Pass, "the first key that is one counts");
}

#[test]
fn who_is_signed_for() {
    let (signer, _) = signer_and_zone();
    for (domain, expected) in
        [("example.com", true), ("shop.example.com", true), ("badexample.com", false), ("", false)]
    {
        assert_eq!(signer.covers(domain), expected, "{domain}");
        assert_eq!(!signer.sign(&[MESSAGE], domain, NOW).is_empty(), expected, "{domain}");
    }
    let exactly = DkimKeySettings { covers: Covers::Exactly, ..settings_of("example.com", "s") };
    let key = |settings: &DkimKeySettings| SigningKey::new(settings, PrivateKey::generate(KeyKind::Ed25519).unwrap().0);
    let keys = vec![key(&exactly), key(&settings_of("a.example.com", "t")), key(&settings_of("a.example.com", "old"))];
    let signer = Signer::of(keys, SigningSettings::default());
    let selectors = |domain: &str| signer.keys_for(domain).iter().map(|k| k.selector.to_string()).collect::<Vec<_>>();
    assert_eq!(selectors("example.com"), ["s"]);
    assert_eq!(selectors("b.example.com"), Vec::<String>::new());
    assert_eq!(selectors("x.a.example.com"), ["t"], "one key of each kind, the first");
}

#[test]
fn a_signature_that_stands_already() {
    let (mut signer, _) = signer_and_zone();
    let ours = [signer.sign(&[MESSAGE], "example.com", NOW), MESSAGE.to_vec()].concat();
    let broken = String::from_utf8(ours.clone()).unwrap().replace("Hello Bob", "Hello Rob").into_bytes();
    let cases = [
        (ExistingSignature::SignUnlessOurs, MESSAGE, 2),
        (ExistingSignature::SignUnlessOurs, &ours, 0),
        (ExistingSignature::SignUnlessOurs, &broken, 2), // ours, and worth nothing any more
        (ExistingSignature::Sign, &ours, 2),
        (ExistingSignature::Leave, &ours, 0),
        (ExistingSignature::Leave, &broken, 0),
    ];
    let long_ago = WallMs(NOW.0 - 15 * 86_400_000);
    let over = [signer.sign(&[MESSAGE], "example.com", long_ago), MESSAGE.to_vec()].concat();
    let cases = cases.into_iter().chain([(ExistingSignature::SignUnlessOurs, &*over, 2)]); // no longer good
    for (existing, message, expected) in cases {
        signer.settings.existing = existing;
        let text = String::from_utf8(signer.sign(&[message], "example.com", NOW)).unwrap();
        assert_eq!(text.matches("DKIM-Signature:").count(), expected, "{existing:?}");
    }
}

#[test]
fn keys_are_read_as_they_are_written() {
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        let (key, pem) = PrivateKey::generate(kind).unwrap();
        let read = PrivateKey::of_pem(pem.as_bytes()).unwrap();
        assert_eq!((read.kind(), read.record()), (kind, key.record()));
        assert!(zone_strings(&key.record()).split("\" \"").all(|part| part.len() <= 257));
        assert!(!format!("{key:?}").contains("PRIVATE"), "{key:?}");
    }
    assert_eq!(PrivateKey::of_pem(b"hello").err(), Some(KeyError::NotPem));
    let broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(PrivateKey::of_pem(broken).err(), Some(KeyError::Unfit));
}

use key::zone_strings;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// Whatever bytes leave, what was signed is what is checked, however the pieces were cut.
    #[test]
    fn any_bytes_hold(
        body in proptest::collection::vec(proptest::sample::select(b"\r\n\t .\x00\xffab\xc3\xbc".to_vec()), 0..200),
        subject in "[ -~\u{e0}-\u{ff}]{0,60}",
        cut in 0_usize..300,
    ) {
        let (signer, zone) = fast();
        let header = format!("From: a@example.com\r\nSubject: {subject}\r\n\r\n").into_bytes();
        let message = [header, body].concat();
        let (one, two) = message.split_at(cut.min(message.len()));
        let prefix = signer.sign(&[one, two], "example.com", NOW);
        let whole = [&*prefix, &*message].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let results = runtime.block_on(checked(zone, &whole));
        prop_assert_eq!(results.len(), 1);
        prop_assert_eq!(&results[0].outcome, &Outcome::Pass);
    }
}

/// One Ed25519 key for all cases.
fn fast() -> &'static (Signer, Fixed) {
    static ONCE: std::sync::OnceLock<(Signer, Fixed)> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap().0;
        let key = SigningKey::new(&settings_of("example.com", "ed"), key);
        let mut zone = Fixed::default();
        zone.text(&key.record_name(), &key.record());
        (Signer::of(vec![key], SigningSettings::default()), zone)
    })
}
