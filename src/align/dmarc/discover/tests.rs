//! Records found and organizational domains, with the examples of both specifications.

use super::*;
use crate::align::dns::Fixed;

fn zone(records: &[(&str, &str)]) -> Fixed {
    let mut zone = Fixed::default();
    for (domain, text) in records {
        zone.text(&format!("_dmarc.{domain}"), text);
    }
    zone
}

const REJECT: &str = "v=DMARC1; p=reject";
const NONE: &str = "v=DMARC1; p=none";

/// Records, From domain; then by tree walk: record of, policy, organizational domain; then the same by list.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static str,
    Option<(&'static str, Policy)>,
    &'static str,
    Option<(&'static str, Policy)>,
    &'static str,
);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn records_and_organizational_domains() {
    use Policy::{None as Nothing, Quarantine, Reject};
    let cases: &[Case] = &[
        (
            &[("example.com", REJECT)],
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        (&[], "a.mail.example.com", None, "example.com", None, "example.com"),
        // RFC 9989 4.10.2, the first example: records at mail.example.com and example.com.
        (
            &[("mail.example.com", NONE), ("example.com", REJECT)],
            "a.mail.example.com",
            Some(("example.com", Reject)),
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        // The second: nothing but a public suffix's record.
        (
            &[("com", "v=DMARC1; p=reject; psd=y")],
            "a.mail.example.com",
            Some(("com", Reject)),
            "example.com",
            None,
            "example.com",
        ),
        // A domain that says that it is one by itself: its parent's word is not heard by those who walk.
        (
            &[("mail.example.com", "v=DMARC1; p=quarantine; psd=n"), ("example.com", REJECT)],
            "a.mail.example.com",
            Some(("mail.example.com", Quarantine)),
            "mail.example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        // A public suffix as From domain: its own record counts, and psd=y at the start names no domain below it.
        (
            &[("co.uk", "v=DMARC1; p=reject; psd=y")],
            "co.uk",
            Some(("co.uk", Reject)),
            "co.uk",
            Some(("co.uk", Reject)),
            "co.uk",
        ),
        // sp= for what lies below, p= where there is none, the own record before both.
        (
            &[("example.com", "v=DMARC1; p=reject; sp=none")],
            "a.example.com",
            Some(("example.com", Nothing)),
            "example.com",
            Some(("example.com", Nothing)),
            "example.com",
        ),
        (
            &[("example.com", REJECT)],
            "a.example.com",
            Some(("example.com", Reject)),
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        (
            &[("example.com", REJECT), ("a.example.com", NONE)],
            "a.example.com",
            Some(("a.example.com", Nothing)),
            "example.com",
            Some(("a.example.com", Nothing)),
            "example.com",
        ),
        // np= for names that do not exist, which those who walk alone know. nowhere has no records at all.
        (
            &[("example.com", "v=DMARC1; p=none; sp=none; np=reject")],
            "nowhere.example.com",
            Some(("example.com", Reject)),
            "example.com",
            Some(("example.com", Nothing)),
            "example.com",
        ),
        (
            &[("example.com", "v=DMARC1; p=none; np=reject"), ("x.there.example.com", NONE)],
            "there.example.com",
            Some(("example.com", Nothing)),
            "example.com",
            Some(("example.com", Nothing)),
            "example.com",
        ),
        // t=y is RFC 9989's, pct= RFC 7489's.
        (
            &[("example.com", "v=DMARC1; p=reject; t=y")],
            "example.com",
            Some(("example.com", Quarantine)),
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        (
            &[("example.com", "v=DMARC1; p=quarantine; pct=0")],
            "example.com",
            Some(("example.com", Quarantine)),
            "example.com",
            Some(("example.com", Nothing)),
            "example.com",
        ),
        (
            &[("example.com", "v=DMARC1; p=reject; pct=5")],
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        // Two records are none, and the walk goes on.
        (
            &[("a.example.com", NONE), ("a.example.com", REJECT), ("example.com", REJECT)],
            "a.example.com",
            Some(("example.com", Reject)),
            "example.com",
            Some(("example.com", Reject)),
            "example.com",
        ),
        // Under a suffix of the list that people register below, without its own record.
        (
            &[("shop.co.uk", REJECT)],
            "a.b.shop.co.uk",
            Some(("shop.co.uk", Reject)),
            "shop.co.uk",
            Some(("shop.co.uk", Reject)),
            "shop.co.uk",
        ),
        // A record between the From domain and the organizational one is heard by neither.
        (
            &[("mail.example.com", REJECT), ("example.com", NONE)],
            "a.mail.example.com",
            Some(("example.com", Nothing)),
            "example.com",
            Some(("example.com", Nothing)),
            "example.com",
        ),
    ];
    for (records, author, walked, walked_organizational, listed, listed_organizational) in cases {
        let mut zone = zone(records);
        if *author == "there.example.com" {
            zone.empty(author);
        }
        let expected =
            [(Method::TreeWalk, walked, walked_organizational), (Method::PublicSuffix, listed, listed_organizational)];
        for (method, applied, organizational) in expected {
            let view = discover(&zone, author, method).await.unwrap();
            let got = view.applied.as_ref().map(|a| (&*a.record_of, a.policy));
            assert_eq!((got, &*view.organizational), (*applied, *organizational), "{author} {records:?} {method:?}");
        }
    }
}

#[tokio::test]
async fn a_walk_asks_eight_questions_at_most() {
    struct Counting(std::sync::Mutex<Vec<String>>);
    impl Lookup for Counting {
        fn ask<'a>(&'a self, name: &'a str, _kind: Kind) -> crate::align::dns::Asking<'a> {
            self.0.lock().unwrap().push(name.to_owned());
            Box::pin(async { crate::align::dns::Reply::unsigned(Err(NoAnswer::NoSuchName), std::time::Duration::ZERO) })
        }
    }
    let dns = Counting(std::sync::Mutex::default());
    organizational(&dns, "a.b.c.d.e.f.g.h.i.j.mail.example.com", Method::TreeWalk).await.unwrap();
    let asked = dns.0.into_inner().unwrap();
    assert_eq!(asked.len(), 8, "{asked:?}");
    assert_eq!(asked[1], "_dmarc.g.h.i.j.mail.example.com");
    assert_eq!(asked[7], "_dmarc.com");
}

#[tokio::test]
async fn what_dns_does_not_say_is_said() {
    let mut zone = zone(&[("example.com", REJECT)]);
    zone.fail("_dmarc.a.example.com", Kind::Text);
    for method in [Method::TreeWalk, Method::PublicSuffix] {
        assert!(discover(&zone, "a.example.com", method).await.is_err(), "{method:?}");
    }
    let mut zone = Fixed::default();
    zone.text("_dmarc.example.com", "v=DMARC1; p=rejct");
    let view = discover(&zone, "example.com", Method::TreeWalk).await.unwrap();
    assert!(
        view.applied.is_none() && view.fault.as_ref().is_some_and(|f| f.contains("_dmarc.example.com")),
        "{view:?}"
    );
}
