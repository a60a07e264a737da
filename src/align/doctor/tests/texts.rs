//! What a person is told: the reason, and the record or command.

use super::*;

/// Lists of Spamhaus and `SpamCop` style: what each answer means, and where it is mended.
#[test]
fn what_lists_answer() {
    let of = |code: [u8; 4]| Listed::Yes(vec![code.into()]);
    let cases = [
        ("zen.spamhaus.org", Listed::No, Grade::Right, "is not on", ""),
        (
            "zen.spamhaus.org",
            of([127, 0, 0, 2]),
            Grade::Fault,
            "SBL",
            "https://check.spamhaus.org/results?query=192.0.2.10",
        ),
        ("zen.spamhaus.org", of([127, 0, 0, 4]), Grade::Fault, "taken over", "10.2.0.192.zen.spamhaus.org"),
        ("zen.spamhaus.org", of([127, 0, 0, 11]), Grade::Fault, "PBL", "check.spamhaus.org"),
        (
            "bl.spamcop.net",
            of([127, 0, 0, 2]),
            Grade::Fault,
            "(127.0.0.2)",
            "https://www.spamcop.net/bl.shtml?192.0.2.10",
        ),
        ("notspamhaus.org", of([127, 0, 0, 4]), Grade::Fault, "(127.0.0.4)", "operator of notspamhaus.org;"),
        // The key of who pays for it is not shown.
        (
            "s3cret.zen.dq.spamhaus.net",
            of([127, 0, 0, 4]),
            Grade::Fault,
            "on (key).zen.dq.spamhaus.net",
            "check.spamhaus",
        ),
        (
            "s3cret.zen.dq.spamhaus.net",
            of([127, 0, 0, 4]),
            Grade::Fault,
            "taken over",
            ".192.(key).zen.dq.spamhaus.net",
        ),
        (
            "s3cret.zen.dq.spamhaus.net",
            Listed::Unknown("no answer for x.s3cret.zen.dq.spamhaus.net".into()),
            Grade::Unknown,
            "no answer for x.(key).zen",
            "",
        ),
        // Refusals are no listings (Spamhaus: 252 no such zone, 254 a public resolver, 255 too many questions).
        ("zen.spamhaus.org", Listed::Refused(252), Grade::Unknown, "no such list", "[doctor] lists"),
        ("zen.spamhaus.org", Listed::Refused(254), Grade::Unknown, "public resolvers", "[align.dns] servers"),
        ("zen.spamhaus.org", Listed::Refused(255), Grade::Unknown, "too often", "unbound"),
        ("zen.spamhaus.org", Listed::Unknown("SERVFAIL".into()), Grade::Unknown, "SERVFAIL", ""),
    ];
    for (zone, listed, grade, found, mend) in cases {
        let mut findings = Vec::new();
        lists::tell(
            ADDRESS,
            &zone.parse().unwrap(),
            &listed,
            Subject { name: "egress one", findings: &mut findings }.check("listed", zone),
        );
        let finding = &findings[0];
        assert!(finding.grade == grade && finding.found.contains(found), "{listed:?}: {finding:?}");
        assert!(finding.mend.contains(mend), "{listed:?}: {finding:?}");
    }
}

/// Answers of lists as they come over the wire: listed, refused, and none of a list (a resolver that sells advertisements).
#[tokio::test]
async fn which_answers_are_listings() {
    let cases = [
        (vec![[127, 0, 0, 2]], Listed::Yes(vec![[127, 0, 0, 2].into()])),
        (vec![[127, 0, 0, 10], [127, 0, 0, 3]], Listed::Yes(vec![[127, 0, 0, 10].into(), [127, 0, 0, 3].into()])),
        (vec![[127, 255, 255, 254]], Listed::Refused(254)),
        (vec![[198, 51, 100, 1]], Listed::Unknown("its answer is none of a list".into())),
        (vec![], Listed::No),
    ];
    for (answers, expected) in cases {
        let mut zone = Fixed::default();
        zone.empty("list.example");
        for address in &answers {
            zone.add("10.2.0.192.list.example", Data::Address((*address).into()));
        }
        assert_eq!(questions::listed(&zone, ADDRESS, &"list.example".parse().unwrap()).await, expected, "{answers:?}");
    }
    let mut zone = Fixed::default();
    let v6 = "2001:db8::1".parse().unwrap();
    let name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.example";
    zone.add(name, Data::Address([127, 0, 0, 2].into()));
    assert_eq!(
        questions::listed(&zone, v6, &"list.example".parse().unwrap()).await,
        Listed::Yes(vec![[127, 0, 0, 2].into()])
    );
}

/// The limits of RFC 7208 4.6.4: ten look-ups and two in vain pass, one more does not, and what to shorten is named.
#[tokio::test]
async fn spf_at_and_past_its_limits() {
    // Look-ups, those of them in vain; what is said of the result and of the limits.
    let cases = [
        (7, 1, Grade::Right, Grade::Right),
        (9, 0, Grade::Right, Grade::Warning),
        (10, 0, Grade::Right, Grade::Warning),
        (11, 0, Grade::Fault, Grade::Warning),
        (4, 2, Grade::Right, Grade::Warning),
        (4, 3, Grade::Fault, Grade::Warning),
    ];
    for (lookups, voids, result, limits) in cases {
        let mut zone = healthy();
        let mut terms = Vec::new();
        for n in 0..lookups {
            terms.push(format!("a:h{n}.example.com"));
            if n >= voids {
                zone.add(&format!("h{n}.example.com"), Data::Address([198, 51, 100, 1].into()));
            }
        }
        replace(&mut zone, "example.com", &format!("v=spf1 {} ip4:192.0.2.10 -all", terms.join(" ")));
        let found = examined(&zone).await;
        let of = |check: &str| found.iter().find(|finding| finding.check == check).unwrap();
        assert_eq!((of("spf").grade, of("spf-limits").grade), (result, limits), "{lookups} {voids}: {found:?}");
        for finding in [of("spf"), of("spf-limits")].into_iter().filter(|finding| finding.grade != Grade::Right) {
            assert!(finding.mend.contains("a:h0.example.com"), "{lookups} {voids}: {finding:?}");
        }
    }
}

/// "0 of 10 look-ups" of a record that nobody can read was told as right.
#[tokio::test]
async fn the_limits_of_a_broken_record_are_not_known() {
    let mut zone = healthy();
    replace(&mut zone, "example.com", "v=spf1 ip4:192.0.2.10 nonsense:x -all");
    let found = examined(&zone).await;
    let of = |check: &str| found.iter().find(|finding| finding.check == check).unwrap();
    assert_eq!((of("spf").grade, of("spf-limits").grade), (Grade::Fault, Grade::Unknown), "{found:?}");
}

/// A name that is no whole one is told as that, with what to write, and not with a record for it.
#[tokio::test]
async fn a_greeting_without_a_whole_name() {
    let mut asked = asked();
    asked.egresses[0].ehlo = "localhost".into();
    let found = looked_at(&healthy(), &asked).await;
    let ehlo = found.iter().find(|finding| finding.check == "ehlo").unwrap();
    assert!(ehlo.grade == Grade::Warning && ehlo.mend.starts_with("ehlo = \"mail.example.com\""), "{ehlo:?}");
}

#[tokio::test]
async fn a_clock_that_nobody_sets() {
    let mut asked = asked();
    asked.clock_synchronised = false;
    let found = looked_at(&healthy(), &asked).await;
    let clock = found.iter().find(|finding| finding.check == "clock").unwrap();
    assert_eq!((clock.grade, clock.mend.as_str()), (Grade::Warning, "timedatectl set-ntp true"));
}

/// Two egresses that the record lacks: one record with both, not two that undo each other.
#[tokio::test]
async fn one_record_for_all_egresses() {
    let mut asked = asked();
    asked.egresses.push(patient("two", "192.0.2.99".parse().unwrap()));
    asked.senders[0].egresses.push("two".into());
    let mut zone = healthy();
    replace(&mut zone, "example.com", "v=spf1 mx:other.example.net redirect=_spf.example.net");
    zone.text("_spf.example.net", "v=spf1 -all");
    zone.empty("other.example.net");
    let found = looked_at(&zone, &asked).await;
    let whole = "\"v=spf1 ip4:192.0.2.10 ip4:192.0.2.99 mx:other.example.net redirect=_spf.example.net\"";
    let spf: Vec<_> = found.iter().filter(|finding| finding.check == "spf").collect();
    assert_eq!(spf.len(), 2);
    assert!(spf.iter().all(|finding| finding.mend.contains(whole)), "{spf:?}");
}

/// Whatever is wrong, a person at two in the morning is told why and what to write or call.
#[tokio::test]
async fn each_fault_has_its_reason_and_its_mend() {
    for (spoil, ..) in every_case() {
        let mut zone = healthy();
        spoil(&mut zone);
        for finding in examined(&zone).await {
            let wrong = matches!(finding.grade, Grade::Warning | Grade::Fault);
            assert!(!wrong || !(finding.why.is_empty() || finding.mend.is_empty()), "{finding:?}");
            assert!(finding.grade != Grade::Right || finding.mend.is_empty(), "{finding:?}");
            assert!(!finding.mend.contains('…') && !finding.found.is_empty(), "{finding:?}");
        }
    }
}
