//! The example of RFC 8463 A, signed by its authors with both algorithms; and keys and signatures with each fault.

use super::*;
use crate::align::dkim::tags::{Tags, to_base64};
use crate::align::dns::Fixed;
use crate::align::sign::{KeyKind, PrivateKey};

const MESSAGE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
    d=football.example.com; i=@football.example.com;\r\n \
    q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
    subject : date : message-id : from : subject : date;\r\n \
    bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
    Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n \
    d=football.example.com; i=@football.example.com;\r\n \
    q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n \
    date : message-id : from : subject : date;\r\n \
    bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n \
    DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n \
    dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
    From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
    \r\n\
    Hi.\r\n\
    \r\n\
    We lost the game.  Are you hungry yet?\r\n\
    \r\n\
    Joe.\r\n";

#[tokio::test]
async fn the_example_of_rfc_8463() {
    let mut zone = Fixed::default();
    zone.text(
        "brisbane._domainkey.football.example.com",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    )
    .text(
        "test._domainkey.football.example.com",
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    );
    let results = check(&zone, &Leaving::new(&[MESSAGE.as_bytes()]).unwrap(), 1_528_637_910, 10).await;
    let got = results.iter().map(|c| (&*c.selector, &c.outcome, c.rsa_bits)).collect::<Vec<_>>();
    assert_eq!(got, [("brisbane", &Outcome::Pass, None), ("test", &Outcome::Pass, Some(1024))]);
    let one = check(&zone, &Leaving::new(&[MESSAGE.as_bytes()]).unwrap(), 0, 1).await;
    assert_eq!(one.len(), 1, "no more than asked for");
}

const MAIL: &str =
    "From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: Hello\r\n\r\nHello Bob,\r\nyours, Ann\r\n";
const SIGNED_AT_S: u64 = 1_790_000_000;

/// A message under a signature by this key with further tags, which may be of any kind.
fn signed(key: &PrivateKey, more: &str) -> Vec<u8> {
    let leaving = [MAIL.as_bytes()];
    let leaving = Leaving::new(&leaving).unwrap();
    let length = Tags::parse(more).and_then(|tags| tags.get("l").map(|l| l.parse().unwrap()));
    let (hash, _) = leaving.body_hash((Form::Relaxed, length));
    let algorithm = match key.kind() {
        KeyKind::Rsa => "rsa-sha256",
        KeyKind::Ed25519 => "ed25519-sha256",
    };
    let hash = to_base64(&hash);
    let field = format!(
        "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d=example.com; s=s; t={SIGNED_AT_S}; {more}\
         h=from:to:subject; bh={hash}; b="
    );
    let mut input = Vec::new();
    leaving.signed_fields(["from", "to", "subject"].into_iter(), Form::Relaxed, &mut input);
    signed_form(field.as_bytes(), Form::Relaxed, &mut input);
    let signature = to_base64(&key.sign(&input).unwrap());
    format!("{field}{signature}\r\n{MAIL}").into_bytes()
}

async fn checked(message: &[u8], record: &str, now_s: u64) -> Checked {
    let mut zone = Fixed::default();
    zone.text("s._domainkey.example.com", record);
    check(&zone, &Leaving::new(&[message]).unwrap(), now_s, 5).await.remove(0)
}

/// What becomes of a good signature where the key is not good for it, and in which words.
#[tokio::test]
async fn keys_that_are_not_good_for_it() {
    let (key, _) = PrivateKey::generate(KeyKind::Rsa).unwrap();
    let (ed25519, _) = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let (record, other) = (key.record(), ed25519.record());
    let public = record.split("p=").nth(1).unwrap().to_owned();
    let with = |tags: &str| format!("v=DKIM1; {tags}; p={public}");
    let (unfit, broken, weak) = (
        "the key at s._domainkey.example.com is not for this use",
        "the key at s._domainkey.example.com is broken: ",
        "the signature is too weak to count (an RSA key under 1024 bits)",
    );
    let plain = signed(&key, "");
    let below = signed(&key, "i=ann@mail.example.com; ");
    // Public keys of 512, 768 and 1000 bits, which no signer of ours can make.
    let rsa_512 = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAObZPSDu0Ll5SYcLpxgIxQT1f4W/MzwAtldhh4BVvHrAxmFYQ4tNhZ3eB4X3Ud2gkl6DFswm5v1Kft\
                   JqoqS00CMCAwEAAQ==";
    let rsa_768 = "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAJUr3gyNZqGvpR7WxELNfaUm46G9cBY9Bd/tu4xIwn0O5vV76nFBqFPsF64N+VxrGjdI/0nNiYhfXH\
                   GiYxD6wGYpX1aoNIbUxUxYWGNZhgSn2Q4xML98bavSK7TI0oHDRQIDAQAB";
    let rsa_1000 = "MIGbMA0GCSqGSIb3DQEBAQUAA4GJADCBhQJ+AMEge7zgGuY0jdyI2u2LhLPB778SwSJNHv6epzhnNIQQONfg44QO1Ee9RD9oIswEYHy/xNq6/\
                    y8NKDvdJ1QR1Vv0zkS+lm0toXagx0WV0OufGQQbteCMgtfEaoZ5/n8OEpUPdnixuGq0v7RS+KWK6isA613kSheif5MTIlRfAgMBAAE=";
    let cases = [
        (&plain, record.clone(), ""),
        (&plain, with("k=rsa; h=sha256; s=email; t=y"), ""),
        (&plain, with("h=sha1:sha256; s=*"), ""),
        (&plain, with("t=s"), ""),
        (&below, with("k=rsa"), ""),
        (&plain, with("h=sha1"), unfit),   // RFC 6376 3.6.1: hashes that may be used
        (&plain, with("s=tlsrpt"), unfit), // for another service
        (&below, with("t=s"), unfit),      // i= must be d= itself
        (&plain, other, "a signed header field was changed"), // another kind of key
        (&plain, with("k=dsa"), "the key at s._domainkey.example.com is broken: k= is not known"),
        (&plain, with("k=ed25519"), "the key at s._domainkey.example.com is broken: p= is no Ed25519 key"),
        (&plain, "v=DKIM1; k=rsa".to_owned(), "the key at s._domainkey.example.com is broken: p= is missing"),
        (&plain, "v=DKIM1; p=not/base64!".to_owned(), broken),
        (&plain, "v=DKIM1; p=AAAA".to_owned(), broken),
        (&plain, "no key at all".to_owned(), broken),
        (&plain, "v=DKIM1; p=".to_owned(), "the key at s._domainkey.example.com was withdrawn"),
        (&plain, format!("v=DKIM1; p={rsa_512}"), weak),
        (&plain, format!("v=DKIM1; p={rsa_768}"), weak),
        (&plain, format!("v=DKIM1; p={rsa_1000}"), weak),
    ];
    for (message, record, words) in cases {
        let checked = checked(message, &record, SIGNED_AT_S + 60).await;
        match &checked.outcome {
            Outcome::Pass => assert_eq!(words, "", "{record}: {checked:?}"),
            Outcome::Fails(failure) => {
                let said = failure.to_string();
                assert!(!words.is_empty() && said.contains(words), "{record}: {said:?} is not {words:?}");
                assert!(!failure.is_temporary(), "{record}");
            }
            other => panic!("{record}: {other:?}"),
        }
    }
    // Whether it is tested is told of one that holds.
    assert!(checked(&plain, &with("t=y"), SIGNED_AT_S).await.testing);
}

/// `l=` and `x=`: what stands in the signature itself.
#[tokio::test]
async fn a_part_of_the_body_and_an_end() {
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        let (key, _) = PrivateKey::generate(kind).unwrap();
        let record = key.record();
        let appended = |message: &[u8]| [message, b"and more\r\n"].concat();
        let part = signed(&key, "l=12; "); // the first line
        let whole = signed(&key, "l=24; ");
        let ending = signed(&key, &format!("x={}; ", SIGNED_AT_S + 100));
        let never_began = signed(&key, &format!("x={SIGNED_AT_S}; ")); // ends before it begins (RFC 6376 3.5)
        let changed = String::from_utf8(part.clone()).unwrap().replace("Hello Bob", "Hello Rob").into_bytes();
        let cases = [
            (part.clone(), 60, true, ""),
            (appended(&part), 60, true, ""), // which is what is wrong about `l=`
            (whole, 60, true, ""),
            (signed(&key, "l=0; "), 60, true, ""),
            (signed(&key, "l=500; "), 60, true, "the body was changed after signing"), // more than there is
            (changed, 60, true, "the body was changed after signing"),
            (ending.clone(), 99, false, ""),
            (ending, 100, false, "the signature has expired"),
            (never_began, 0, false, "the signature has expired"),
        ];
        for (number, (message, later_s, partial, words)) in cases.into_iter().enumerate() {
            let checked = checked(&message, &record, SIGNED_AT_S + later_s).await;
            assert_eq!(checked.partial, partial, "case {number}: {checked:?}");
            let said = match &checked.outcome {
                Outcome::Fails(failure) => failure.to_string(),
                Outcome::Pass | Outcome::PassesForFew | Outcome::NotAsked => String::new(),
            };
            assert_eq!(said, words, "case {number}: {checked:?}");
            assert_eq!(words.is_empty(), checked.outcome == Outcome::Pass, "case {number}: {checked:?}");
        }
    }
}
