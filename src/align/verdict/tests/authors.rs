//! From fields of every shape that the specifications name (RFC 7489 6.6.1, RFC 9989 5.3.1 and 11.5), and records of every
//! kind, judged to the end.

use super::*;

const PASSES: &[(&str, &str)] = &[("example.com", SPF_HERE), ("_dmarc.example.com", REJECT)];

#[tokio::test]
async fn from_fields_of_every_shape() {
    use Alignment::{Misaligned, None as Nothing, Pass, PermError};
    // The field without its name, the verdict, and whether it is held.
    let cases: [(&str, Alignment, bool, &str); 16] = [
        ("ann@example.com", Pass, false, "a bare address"),
        ("\"CEO\" <ann@EXAMPLE.com>", Pass, false, "letters have no case"),
        ("a@example.com, b@example.com", Pass, false, "several addresses of one domain"),
        ("a@example.com, b@example.net", PermError, false, "of several domains: exempt, or refused"),
        ("Team: a@example.com, b@example.com;", Pass, false, "a group of one domain (RFC 6854)"),
        ("Team: a@example.com, b@example.net;", PermError, false, "a group of several"),
        ("undisclosed:;", PermError, false, "an empty group: nobody"),
        ("undisclosed", PermError, false, "no address"),
        ("", PermError, false, "an empty field"),
        ("ann@[192.0.2.10]", PermError, false, "an address without a domain"),
        ("a@example.com\r\nFrom: a@example.com", PermError, false, "two fields (RFC 5322 3.6 allows one)"),
        ("\"ann@example.com\" <eve@strict.example>", Nothing, true, "a name is no address"),
        ("ann@example.com <eve@strict.example>", Nothing, true, "the same without quotes"),
        ("ann@sub.example.com", Pass, false, "a subdomain, relaxed"),
        ("j\u{f6}rg@example.com", Pass, false, "a local part in UTF-8 (RFC 6532)"),
        ("a@b\u{fc}cher.example", Misaligned, true, "a domain in UTF-8 is asked for by its A-label"),
    ];
    for (field, alignment, held, why) in cases {
        let records = [PASSES, &[("_dmarc.strict.example", REJECT), ("_dmarc.xn--bcher-kva.example", REJECT)]].concat();
        let world = World { field: Some(field), ..World::new(&records) };
        let finding = world.judged().await;
        let deed_holds = finding.deed == Some(Deed::Hold);
        // Of the cases that nothing authenticates, SPF passed for another domain.
        let expected = if alignment == Nothing { Misaligned } else { alignment };
        assert_eq!((finding.alignment, deed_holds), (expected, held), "{why}: {field:?}: {finding:?}");
    }
    // No field at all.
    let finding = World { field: None, author: "\r\nX-From: nobody", ..World::new(PASSES) }.judged().await;
    assert_ne!(finding.alignment, Alignment::Pass, "{finding:?}");
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
