//! Who takes the mail of a domain without MX records (RFC 5321 5.1).

use super::*;

/// Without MX records the address of the domain itself takes its mail: nothing is wrong about that.
#[tokio::test]
async fn a_domain_that_takes_its_mail_itself() {
    for address in ["192.0.2.77", "2001:db8::77"] {
        let mut zone = healthy();
        zone.remove("example.com");
        zone.text("example.com", "v=spf1 ip4:192.0.2.10 -all");
        zone.add("example.com", Data::Address(address.parse().unwrap()));
        let found = examined(&zone).await;
        let exchanges = found.iter().find(|finding| finding.check == "mx").unwrap();
        assert_eq!(exchanges.grade, Grade::Right, "{exchanges:?}");
        let said = "it has no MX record, so its mail is taken by its own address (RFC 5321 5.1)";
        assert_eq!(exchanges.found, said);
    }
}

#[tokio::test]
async fn a_domain_that_takes_no_mail() {
    // Whether its IPv6 address is silent; of IPv4 it has none for certain.
    for (is_silent, grade, mend) in [(false, Grade::Fault, "example.com. IN MX 10"), (true, Grade::Unknown, "")] {
        let mut zone = healthy();
        zone.remove("example.com");
        zone.text("example.com", "v=spf1 ip4:192.0.2.10 -all");
        if is_silent {
            zone.fail("example.com", Kind::Ipv6);
        }
        let found = examined(&zone).await;
        let exchanges = found.iter().find(|finding| finding.check == "mx").unwrap();
        assert!(exchanges.grade == grade && exchanges.mend.contains(mend), "{exchanges:?}");
    }
}
