//! Time, width and questions have limits, and what they cost is not made up.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// One silent name costs what is asked of it, and nothing else.
#[tokio::test]
async fn what_is_silent_costs_its_own_part() {
    let all = examined(&healthy()).await;
    let cases = [
        // The silent name, and what is not known then; each of the others is as it was.
        ("10.2.0.192.in-addr.arpa", &["reverse-dns"] as &[&str]),
        ("mail.example.com", &["reverse-dns", "ehlo"]),
        ("10.2.0.192.list.example", &["listed"]),
        ("_dmarc.example.com", &["dmarc"]),
        ("s1._domainkey.example.com", &["dkim"]),
        ("example.com", &["spf", "spf-limits", "mx"]),
    ];
    for (name, expected) in cases {
        let mut zone = healthy();
        zone.silence(name);
        let found = examined(&zone).await;
        let keys = |findings: &[Finding]| findings.iter().map(Finding::key).collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&all), "{name}: nothing is left out, or it would be forgotten");
        let unknown: Vec<&str> =
            found.iter().filter(|finding| finding.grade == Grade::Unknown).map(|finding| &*finding.check).collect();
        assert_eq!(unknown, expected, "{name}: {found:?}");
        // What was right is not worse for it.
        let mut standing = Standing::default();
        standing.take(&all);
        assert!(!standing.is_worse(&found) && standing.take(&found).is_empty(), "{name}");
        assert!(standing.take(&all).is_empty(), "{name}: and it is not better afterwards");
    }
}

/// Every server silent, and more to ask than places: it ends in time, and says what is wrong.
#[tokio::test]
async fn where_nobody_answers_it_ends_in_time() {
    struct Silent;
    impl Lookup for Silent {
        fn ask<'a>(&'a self, _: &'a str, _: Kind) -> crate::align::dns::Asking<'a> {
            Box::pin(std::future::pending())
        }
    }
    let mut asked = asked();
    asked.senders = (0..50).map(|n| sender(&format!("d{n}.example"), &["one"])).collect();
    asked.mailboxes = vec!["abuse".into()];
    let dns: Arc<dyn Lookup> = Arc::new(Silent);
    let (soon, never) = (Duration::from_millis(100), Duration::from_hours(1));
    // Each part ends, and so does the whole: without a limit this test has no end.
    asked.patience = Patience { question: soon, visit: soon, whole: never };
    let by_parts = examine(&gather(&dns, &asked).await);
    asked.patience = Patience { question: never, visit: never, whole: soon };
    let found = examine(&gather(&dns, &asked).await);
    let keys = |findings: &[Finding]| findings.iter().map(Finding::key).collect::<Vec<_>>();
    assert_eq!(keys(&by_parts), keys(&found));
    let dns = found.iter().find(|finding| finding.check == "dns").unwrap();
    assert!(dns.grade == Grade::Fault && dns.mend.contains("/etc/resolv.conf"), "{dns:?}");
    let certain: Vec<_> = found
        .iter()
        .filter(|f| f.grade != Grade::Unknown && !["clock", "dns", "address", "dkim", "sender"].contains(&&*f.check))
        .collect();
    assert!(certain.is_empty(), "nothing is made up: {certain:?}");
    let mailboxes = found.iter().filter(|finding| finding.check == "mailbox").count();
    assert_eq!(mailboxes, 50, "each that was not asked is told");
}

/// A zone that counts its questions.
struct Counting(Fixed, Arc<AtomicUsize>);

impl Lookup for Counting {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> crate::align::dns::Asking<'a> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.ask(name, kind)
    }
}

/// How many questions so many domains and egresses cost.
async fn questions_of(domains: usize, egresses: usize) -> usize {
    let mut many = asked();
    let address = |n: usize| IpAddr::from([192, 0, 2, u8::try_from(n).unwrap() + 10]);
    many.egresses = (0..egresses).map(|n| patient(&format!("e{n}"), address(n))).collect();
    let names: Vec<&str> = many.egresses.iter().map(|egress| egress.name.as_str()).collect();
    many.senders = (0..domains).map(|n| sender(&format!("d{n}.example"), &names)).collect();
    let mut zone = healthy();
    for n in 0..domains {
        zone.text(&format!("d{n}.example"), "v=spf1 include:example.com -all");
        zone.add(&format!("d{n}.example"), Data::Exchange(10, "mail.example.com".into()));
    }
    let count = Arc::new(AtomicUsize::new(0));
    let settings = crate::align::settings::AlignDnsSettings::default();
    let clock = Arc::new(crate::clock::SystemClock::new().unwrap());
    let upstream = Counting(zone, Arc::clone(&count));
    let dns: Arc<dyn Lookup> = Arc::new(crate::align::dns::Cached::new(upstream, &settings, clock));
    let found = examine(&gather(&dns, &many).await);
    assert_eq!(found.iter().filter(|finding| finding.check == "spf").count(), domains * egresses);
    count.load(Ordering::Relaxed)
}

/// Fifty domains and four egresses: each name is asked for once, whatever the number of egresses.
#[tokio::test]
async fn questions_grow_with_the_domains_and_not_with_their_ways() {
    let (one, four) = (questions_of(50, 1).await, questions_of(50, 4).await);
    // Of each domain: TXT, MX, `_dmarc` and its parent's; of each egress: PTR, its name, a list.
    assert!(one <= 50 * 5 + 10, "{one}");
    assert!(four <= one + 3 * 4, "{four} after {one}");
}
