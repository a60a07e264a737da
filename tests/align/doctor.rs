//! The doctor of the real binary: called, and by itself between a DNS server that changes.

use std::net::SocketAddr;

use serde_json::Value;

use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::relay::Site;

fn spf(text: &str) -> Vec<Record> {
    vec![Record::Text(text.to_owned()), Record::Mx(10, "mx.example.com".into())]
}

/// Each line of output as JSON.
fn lines(output: &std::process::Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check} in {findings:?}"))
}

#[test]
fn what_goes_wrong_is_told_once_and_a_restart_forgets_nothing() {
    let good = "v=spf1 ip4:192.0.2.10 -all";
    let zone = Zone::from([
        ("example.com".into(), spf(good)),
        ("_dmarc.example.com".into(), vec![Record::Text("v=DMARC1; p=reject".into())]),
    ]);
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
    let site = Site::new(&format!(
        "[dns]\nservers = [\"{}\"]\n\
         [doctor]\nevery = \"1s\"\ndomains = [\"example.com\"]\nlists = []\nport25 = []\nmailboxes = []\n\
         [[egress]]\nname = \"one\"\npublic_address = \"192.0.2.10\"\nehlo = \"mail.example.com\"\n",
        dns.address(),
    ));

    // Called: live, with the fault of the reverse DNS that this zone lacks.
    let called = site.command(&["doctor", "--json"]);
    assert_eq!(called.status.code(), Some(1), "{called:?}");
    let found = lines(&called);
    assert_eq!((&of(&found, "spf")["grade"], &of(&found, "spf")["about"]), (&"right".into(), &"one".into()));
    assert_eq!(of(&found, "reverse-dns")["grade"], "fault");

    let relay = site.start();
    relay.wait_log(&["`outguard doctor --last`"]);
    dns.set("example.com", spf("v=spf1 -all"));
    let told = relay.wait_log(&["doctor.worse", "check=spf", "subject=example.com", "about=one", "grade=fault"]);
    assert!(told.contains("add ip4:192.0.2.10 to the SPF record of example.com"), "{told}");
    let last = site.command(&["doctor", "--last", "--json"]);
    assert_eq!(last.status.code(), Some(1));
    let found = lines(&last);
    assert_eq!(of(&found, "spf")["grade"], "fault");
    assert_eq!(found[0]["grade"], "fault", "what is worst first");
    relay.stop();
    let told = |site: &Site, name: &str| site.log().lines().filter(|line| line.contains(name)).count();
    assert_eq!(told(&site, "doctor.worse"), 1, "once, whatever the rounds: {}", site.log());

    // What was wrong before the restart is right after it: news.
    dns.set("example.com", spf(good));
    let relay = site.start();
    relay.wait_log(&["doctor.better", "check=spf", "subject=example.com"]);
    relay.stop();
    assert_eq!(told(&site, "doctor.worse"), 1, "{}", site.log());
    assert_eq!(told(&site, "doctor.better"), 1, "{}", site.log());
}
