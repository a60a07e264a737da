//! A healthy server, and one fault at a time.

use super::*;
use crate::align::dns::{Data, Fixed, Kind};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
const KEY: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER_KEY: &str = "v=DKIM1; k=ed25519; p=zeroYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn healthy() -> Fixed {
    let mut zone = Fixed::default();
    zone.add("10.2.0.192.in-addr.arpa", Data::Name("mail.example.com".into()))
        .add("mail.example.com", Data::Address(ADDRESS))
        .add("example.com", Data::Exchange(10, "mail.example.com".into()))
        .text("example.com", "v=spf1 ip4:192.0.2.10 -all")
        .text("_dmarc.example.com", "v=DMARC1; p=reject")
        .text("s1._domainkey.example.com", KEY);
    zone
}

async fn examined(zone: &Fixed) -> Vec<Finding> {
    let egress = Patient { name: "one".into(), address: Some(ADDRESS), ehlo: "mail.example.com".into() };
    let key = KeyWanted { domain: "example.com".into(), name: "s1._domainkey.example.com".into(), record: KEY.into() };
    let (domains, lists) = (["example.com".to_owned()], ["list.example".to_owned()]);
    examine(&gather(zone, &[egress], &domains, &[key], &lists, true).await)
}

/// What is done to the zone, which check finds it, how bad it is, what mends it.
type Case = (fn(&mut Fixed), &'static str, Grade, &'static str);

#[tokio::test]
async fn a_healthy_server_and_one_fault_at_a_time() {
    let right = examined(&healthy()).await;
    assert!(right.iter().all(|finding| finding.grade == Grade::Right), "{right:?}");
    let names: Vec<&str> = right.iter().map(|finding| finding.check).collect();
    assert_eq!(names, ["reverse-dns", "ehlo", "listed", "spf", "dkim", "dmarc", "mx", "clock"]);

    let cases: [Case; 13] = [
        (
            |z| z.remove("10.2.0.192.in-addr.arpa"),
            "reverse-dns",
            Grade::Fault,
            "set the reverse DNS of 192.0.2.10 to mail.example.com",
        ),
        (
            |z| {
                z.remove("10.2.0.192.in-addr.arpa");
                z.add("10.2.0.192.in-addr.arpa", Data::Name("host.example.net".into()));
            },
            "reverse-dns",
            Grade::Fault,
            "host.example.net. IN A 192.0.2.10",
        ),
        (
            |z| {
                z.fail("10.2.0.192.in-addr.arpa", Kind::Name);
            },
            "reverse-dns",
            Grade::Unknown,
            "",
        ),
        (
            |z| {
                z.add("10.2.0.192.list.example", Data::Address([127, 0, 0, 2].into()));
            },
            "listed",
            Grade::Fault,
            "ask for removal at the operator of list.example",
        ),
        (
            |z| {
                z.add("10.2.0.192.list.example", Data::Address([127, 255, 255, 254].into()));
            },
            "listed",
            Grade::Unknown, // a public resolver is refused: that is no listing
            "",
        ),
        (|z| replace(z, "example.com", "v=spf1 -all"), "spf", Grade::Fault, "add ip4:192.0.2.10 to the SPF record"),
        (
            |z| replace(z, "example.com", "v=spf1 include:x.example.com -all"),
            "spf",
            Grade::Fault,
            "mend the SPF record",
        ),
        (
            |z| z.remove("s1._domainkey.example.com"),
            "dkim",
            Grade::Fault,
            "s1._domainkey.example.com. IN TXT ( \"v=DKIM1;",
        ),
        (
            |z| replace(z, "s1._domainkey.example.com", OTHER_KEY),
            "dkim",
            Grade::Fault,
            "s1._domainkey.example.com. IN TXT",
        ),
        (|z| z.remove("_dmarc.example.com"), "dmarc", Grade::Fault, "_dmarc.example.com. IN TXT \"v=DMARC1; p=none"),
        (|z| replace(z, "_dmarc.example.com", "v=DMARC1; p=none"), "dmarc", Grade::Warning, "p=quarantine"),
        (
            |z| {
                z.add("example.com", Data::Exchange(0, ".".into()));
            },
            "mx",
            Grade::Fault,
            "IN MX 10",
        ),
        (
            |z| {
                z.fail("_dmarc.example.com", Kind::Text);
            },
            "dmarc",
            Grade::Unknown,
            "",
        ),
    ];
    for (spoil, check, grade, mend) in cases {
        let mut zone = healthy();
        spoil(&mut zone);
        let found = examined(&zone).await;
        let wrong: Vec<&Finding> = found.iter().filter(|finding| finding.grade != Grade::Right).collect();
        assert!(
            wrong.iter().any(|f| f.check == check && f.grade == grade && f.mend.contains(mend)),
            "{check} {mend}: {wrong:?}"
        );
    }
}

fn replace(zone: &mut Fixed, name: &str, text: &str) {
    zone.remove(name);
    zone.text(name, text);
    if name == "example.com" {
        zone.add(name, Data::Exchange(10, "mail.example.com".into()));
    }
}

#[tokio::test]
async fn an_spf_record_near_its_limits() {
    let mut zone = healthy();
    let many: Vec<String> = (0..9).map(|n| format!("include:i{n}.example.com")).collect();
    let many = many.join(" ");
    replace(&mut zone, "example.com", &format!("v=spf1 {many} ip4:192.0.2.10 -all"));
    for n in 0..9 {
        zone.text(&format!("i{n}.example.com"), "v=spf1 ?all");
    }
    let found = examined(&zone).await;
    let limits = found.iter().find(|finding| finding.check == "spf-limits").unwrap();
    assert_eq!(
        (limits.grade, limits.found.as_str()),
        (Grade::Warning, "SPF needs 9 of 10 look-ups, 0 of 2 of them in vain")
    );
}
