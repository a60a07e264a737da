//! From fields of every shape that the specifications name (RFC 7489 6.6.1, RFC 9989 5.3.1 and 11.5), and records of every
//! kind, judged to the end.

use super::*;

const PASSES: &[(&str, &str)] = &[("example.com", SPF_HERE), ("_dmarc.example.com", REJECT)];

const OTHERS: &[(&str, &str)] = &[
    ("_dmarc.strict.example", REJECT),
    ("_dmarc.quarantine.example", "v=DMARC1; p=quarantine"),
    ("_dmarc.xn--bcher-kva.example", REJECT),
];

#[tokio::test]
async fn from_fields_of_every_shape() {
    use Alignment::{Misaligned, Pass, PermError};
    // The field without its name, the verdict, and whether it is held.
    let cases: [(&str, Alignment, bool, &str); 36] = [
        ("ann@example.com", Pass, false, "a bare address"),
        ("\"CEO\" <ann@EXAMPLE.com>", Pass, false, "letters have no case"),
        ("a@example.com, b@example.com", Pass, false, "several addresses of one domain"),
        (
            "a@example.com, b@example.net",
            PermError,
            false,
            "of several domains that ask for nothing: exempt, or refused",
        ),
        ("a@example.com, b@strict.example", Misaligned, true, "the strictest of several counts (RFC 7489 6.6.1)"),
        ("b@strict.example, a@example.com", Misaligned, true, "whichever stands first"),
        ("Team: a@example.com, b@strict.example;", Misaligned, true, "in a group"),
        ("a@example.com, b@quarantine.example", Misaligned, true, "quarantine asks for something too"),
        ("a@example.com, b@sub.example.com", PermError, false, "each is authenticated for, relaxed: a fault alone"),
        ("Team: a@example.com, b@example.com;", Pass, false, "a group of one domain (RFC 6854)"),
        ("Team: a@example.com, b@example.net;", PermError, false, "a group of several"),
        ("undisclosed:;", PermError, false, "an empty group: nobody"),
        ("undisclosed", PermError, false, "no address"),
        ("", PermError, false, "an empty field"),
        ("ann@[192.0.2.10]", PermError, false, "an address without a domain"),
        ("a@example.com\r\nFrom: a@example.com", PermError, false, "two fields (RFC 5322 3.6 allows one)"),
        ("a@example.com\r\nFrom: b@strict.example", Misaligned, true, "the second field's domain"),
        ("b@strict.example\r\nFrom: a@example.com", Misaligned, true, "the first field's domain"),
        ("a@1.ex, a@2.ex, a@3.ex, a@4.ex, a@5.ex, a@6.ex, a@7.ex, a@8.ex, a@9.ex", PermError, true, "too many to ask"),
        ("\"ann@example.com\" <eve@strict.example>", Misaligned, true, "a name is no address"),
        ("ann@example.com <eve@strict.example>", Misaligned, true, "the same without quotes"),
        (
            "=?utf-8?q?CEO?=,eve@strict.example, ann@example.com",
            Misaligned,
            true,
            "an encoded word ends before the comma",
        ),
        ("ann@example.com, <eve@(x)strict.example>", Misaligned, true, "a comment within an address"),
        ("\"CEO\" <eve@(x)strict.example>", Misaligned, true, "of one author"),
        ("eve @ strict.example", Misaligned, true, "white space within an address"),
        ("\"CEO <eve@strict.example>", Misaligned, true, "a quote that does not end"),
        ("ann@example.com eve@strict.example", Misaligned, true, "no comma"),
        ("eve@strict.example: ann@example.com;", Misaligned, true, "as the name of a group"),
        ("<ann@example.com@strict.example>", PermError, true, "two domains in one address"),
        ("ann@example.com, <eve@strict..example>", PermError, true, "what another reader may mend"),
        ("eve@strict.example <root>", PermError, true, "a name shown as the address of none"),
        ("eve@strict.example <x>, ann@example.com", PermError, true, "the same before another"),
        ("<eve@strict.example .example.com>", PermError, true, "white space where others end a domain"),
        ("ann@sub.example.com", Pass, false, "a subdomain, relaxed"),
        ("j\u{f6}rg@example.com", Pass, false, "a local part in UTF-8 (RFC 6532)"),
        ("a@b\u{fc}cher.example", Misaligned, true, "a domain in UTF-8 is asked for by its A-label"),
    ];
    for (field, alignment, held, why) in cases {
        let records = [PASSES, OTHERS].concat();
        let world = World { field: Some(field), ..World::new(&records) };
        let finding = world.judged().await;
        let deed_holds = finding.deed == Some(Deed::Hold);
        assert_eq!((finding.alignment, deed_holds), (alignment, held), "{why}: {field:?}: {finding:?}");
    }
    // No field at all.
    let finding = World { field: Some(NO_FROM), ..World::new(PASSES) }.judged().await;
    assert_eq!((finding.alignment, finding.name), (PermError, "align-from"), "{finding:?}");
    assert!(finding.sentence.contains("no From field"), "{}", finding.sentence);
}

#[tokio::test]
async fn of_several_domains_the_worst_is_told_and_what_mends_it() {
    let world = |field| World { field: Some(field), ..World::new(&[PASSES, OTHERS].concat()) };
    let finding = world("me@example.com, ceo@strict.example").judged().await;
    assert_eq!((finding.name, finding.policy), ("align-policy", Policy::Reject), "{finding:?}");
    for part in ["strict.example asks receivers to reject such mail", "Write one of them, and the others into Reply-To"]
    {
        assert!(finding.sentence.contains(part), "{}\nlacks\n{part}", finding.sentence);
    }
    let finding = world("me@example.com, b@example.net").judged().await;
    assert_eq!((finding.name, finding.policy), ("align-from", Policy::None), "{finding:?}");
    // Where the strict domain is authenticated for from one of the egresses alone, it leaves from there.
    let egresses = vec![("one", "192.0.2.10"), ("two", "192.0.2.20")];
    let finding = World { egresses, ..world("me@example.com, b@example.net") }.judged().await;
    assert_eq!(finding.egresses, [Some(vec!["one".into()])], "{finding:?}");
    // Each of two domains from another egress, by their EHLO names: none is right for both.
    let alone = |names: &[&str]| Finding {
        egresses: vec![Some(names.iter().map(|name| Arc::from(*name)).collect())],
        ..Finding::unsure("", 1, &Deeds::default())
    };
    assert_eq!(several::egresses_of_all(&[alone(&["one"]), alone(&["two"])], 1), None);
    // An operator who only tags what fails a policy has that, and no less than the fault of the field.
    let mut tagging = world("me@example.com, ceo@strict.example");
    tagging.settings.deeds.policy_fails = Deed::Points(10);
    assert_eq!(tagging.judged().await.deed, Some(Deed::Points(40)));
}

#[tokio::test]
async fn international_domains_pass_by_their_a_labels() {
    let records = [("xn--bcher-kva.example", SPF_HERE), ("_dmarc.xn--bcher-kva.example", REJECT)];
    for field in ["a@b\u{fc}cher.example", "a@XN--BCHER-KVA.example", "j\u{f6}rg@b\u{fc}cher.example"] {
        for from in ["a@xn--bcher-kva.example", "a@b\u{fc}cher.example"] {
            let finding = World { field: Some(field), from, ..World::new(&records) }.judged().await;
            assert_eq!(finding.alignment, Alignment::Pass, "{field} by {from}: {finding:?}");
        }
        let signed = Some("xn--bcher-kva.example");
        let world = World { field: Some(field), from: "a@example.net", signed, ..World::new(&records) };
        assert_eq!(world.judged().await.alignment, Alignment::Pass, "{field}, signed");
    }
}
