//! Egresses of which different things are known.

use super::*;

/// As it is shown: names, or nothing for all.
fn chosen(finding: &Finding) -> String {
    let names = finding.egresses.iter().flatten().flatten();
    names.map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
}

#[tokio::test]
async fn an_egress_that_passes_is_chosen() {
    let two = || vec![("one", "192.0.2.10"), ("two", "192.0.2.20")];
    let cases = [
        ("a pass and a fail", SPF_HERE, None, Alignment::Pass, "one"),
        ("both pass", "v=spf1 ip4:192.0.2.0/24 -all", None, Alignment::Pass, ""),
        ("neither passes", SPF_ELSEWHERE, None, Alignment::None, ""),
        ("DKIM carries, one is forbidden", SPF_HERE, Some("example.com"), Alignment::Pass, "one"),
        ("DKIM carries, one is in doubt", "v=spf1 ip4:192.0.2.10 ~all", Some("example.com"), Alignment::Pass, ""),
        ("DKIM carries, both are forbidden", SPF_ELSEWHERE, Some("example.com"), Alignment::Pass, ""),
    ];
    for (what, spf, signed, alignment, egresses) in cases {
        let world =
            World { egresses: two(), signed, ..World::new(&[("example.com", spf), ("_dmarc.example.com", REJECT)]) };
        let finding = world.judged().await;
        assert_eq!((finding.alignment, &*chosen(&finding)), (alignment, egresses), "{what}");
    }
}

#[tokio::test]
async fn egresses_of_which_different_things_are_known() {
    // From .10 it passes, from .20 DNS does not answer, from .30 it fails.
    let record = "v=spf1 ip4:192.0.2.10 -ip4:192.0.2.30 include:down.example -all";
    let known = [
        ("passes", "192.0.2.10"),
        ("open", "192.0.2.20"),
        ("fails", "192.0.2.30"),
        ("unknown", "?"),
        ("both", "192.0.2.10 192.0.2.30"),
        ("half", "192.0.2.10 ?"),
    ];
    let temperror = Some(Deed::Points(5));
    let cases = [
        ("passes", None, ""),
        ("passes open", None, "passes"),
        ("passes fails", None, "passes"),
        ("passes unknown", None, "passes"),
        ("passes open fails unknown", None, "passes"),
        ("open", temperror, ""),
        ("open fails", temperror, "open"), // DNS trouble holds nothing, and what fails is left out
        ("open unknown", temperror, ""),
        ("open fails unknown", temperror, "open unknown"),
        ("fails", Some(Deed::Hold), ""),
        ("fails unknown", Some(Deed::Hold), ""), // a line in the configuration mends it
        ("unknown", temperror, ""),
        ("both", Some(Deed::Hold), ""), // a receiver may see the one that fails
        ("half", temperror, ""),
        ("passes both half", None, "passes"),
    ];
    for (names, deed, egresses) in cases {
        let seen = |name: &str| known.iter().find(|(known, _)| *known == name).copied().unwrap();
        let mut world = World {
            egresses: names.split(' ').map(seen).collect(),
            ..World::new(&[("example.com", record), ("_dmarc.example.com", REJECT)])
        };
        world.zone.fail("down.example", Kind::Text);
        let finding = world.judged().await;
        assert_eq!((finding.deed, &*chosen(&finding)), (deed, egresses), "{names}: {finding:?}");
        // A signature carries it from everywhere but where SPF forbids it beside one that it allows.
        world.signed = Some("example.com");
        assert_eq!(world.judged().await.deed, None, "{names}, signed");
    }
    // Nothing speaks for From, and the reverse-path's own record forbids one of them: it leaves from the other.
    let records = [("example.net", SPF_HERE)];
    let world = World {
        from: "a@example.net",
        egresses: vec![("one", "192.0.2.10"), ("two", "192.0.2.20")],
        ..World::new(&records)
    };
    let finding = world.judged().await;
    assert_eq!((finding.alignment, &*chosen(&finding)), (Alignment::Misaligned, "one"));
    let six = World {
        egresses: vec![("one", "192.0.2.10 2001:db8::1")],
        ..World::new(&[("example.com", SPF_HERE), ("_dmarc.example.com", REJECT)])
    };
    let sentence = six.judged().await.sentence;
    assert!(sentence.contains("from 2001:db8::1 is fail") && sentence.contains("Add `ip6:2001:db8::1`"), "{sentence}");
}
