//! Tables read key by key: what is found, what is missing, what is told.

use std::time::Duration;

use super::*;
use crate::config::surroundings::Machine;
use crate::config::values::{Size, words};

#[derive(Debug, PartialEq, Clone, Copy)]
enum Tls {
    None,
    Required,
}
words!(Tls, "\"none\" or \"required\"", { "none" => Tls::None, "required" => Tls::Required });

/// A file of the kind that the sections read, without their types.
fn faults(text: &str) -> Vec<String> {
    let source = Source::new("outguard.toml", text);
    let machine = Machine::new(std::path::Path::new("/"));
    let reading = Reading::new(&source, &machine, Purpose::Run);
    let tree = source.tree();
    let mut root = reading.root(&tree);
    root.or(key("store", "Where mail is kept."), std::path::PathBuf::from("/var/lib/outguard"));
    for mut listen in root.tables("listen", "A door.") {
        listen.required::<std::net::SocketAddr>(key("address", "Where.").example("\"127.0.0.1:10025\""));
        listen.or(key("networks", "Who may relay."), Vec::<ipnet::IpNet>::new());
    }
    let mut limits = root.table("limits", "How much may leave.");
    limits.or(key("wait", "How long."), Duration::from_mins(1));
    limits.or(key("size", "How big."), Size(50 << 20));
    limits.or(key("count", "How many."), 20_u32);
    limits.or(key("tls", "Whether."), Tls::None);
    limits.optional::<crate::config::secrets::SecretSetting>(key("password", "Which."));
    limits.finish();
    root.finish();
    let (diagnostics, _) = reading.finish();
    crate::config::Diagnostics::new(diagnostics).iter().map(ToString::to_string).collect()
}

#[test]
fn each_fault_is_told_with_its_place() {
    let cases: [(&str, &[&str]); 22] = [
        ("", &[]), // everything is optional
        ("store = \"/x\"\n[limits]\nwait = \"1h 30m\"\nsize = \"50 MiB\"\ncount = 3\ntls = \"none\"", &[]),
        ("stroe = 1", &["1:1: stroe: unknown key; did you mean store?"]),
        ("zzz = 1", &["1:1: zzz: unknown key; known here: store, listen, limits"]),
        (
            "[limits]\nwait = \"5 minuts\"",
            &[
                "2:8: limits.wait = \"5 minuts\": not a duration; write a duration such as \"30s\", \"5m\" or \"1h 30m\"",
            ],
        ),
        (
            "[limits]\nwait = 30",
            &["2:8: limits.wait = 30: a number without a unit; write a duration such as \"30s\", \"5m\" or \"1h 30m\""],
        ),
        (
            "[limits]\nsize = \"50\"",
            &["2:8: limits.size = \"50\": a number without a unit; write a size such as \"50 MiB\" or \"512 KiB\""],
        ),
        ("[limits]\ncount = -1", &["2:9: limits.count = -1: out of range; write a whole number from 0 to 4294967295"]),
        ("[limits]\ntls = \"requird\"", &["2:7: limits.tls = \"requird\": unknown word; did you mean \"required\"?"]),
        ("[limits]\ntls = \"x\"", &["2:7: limits.tls = \"x\": unknown word; write \"none\" or \"required\""]),
        ("[[listen]]\n", &["1:1: listen.address: missing; write address = \"127.0.0.1:10025\""]),
        ("[listen]\naddress = 1", &["1:1: listen: there may be several: write [[listen]]"]),
        ("limits = 3", &["1:10: limits = 3: not a section; write [limits]"]),
        (
            "[[listen]]\naddress = \"127.0.0.1\"",
            &[
                "2:11: listen.address = \"127.0.0.1\": has no port; write an address with a port such as \"127.0.0.1:10025\" or \"[::1]:10025\"",
            ],
        ),
        (
            // each element at its own place
            "[[listen]]\naddress = \"127.0.0.1:1\"\nnetworks = [\"10.0.0.0/8\", \"10.0.0.1/8\", \"::1\", 3]",
            &[
                "3:27: listen.networks = \"10.0.0.1/8\": has bits right of its mask; write \"10.0.0.0/8\" or \"10.0.0.1\"",
                "3:48: listen.networks = 3: a number cannot stand here; write a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
            ],
        ),
        // a line that stops the parser hides nothing below it, and its key is not called missing
        (
            "[[listen]]\naddress \"127.0.0.1:1\"\n[limits]\ncuont = 1",
            &["2:9: no `=` here; write `key = value`", "4:1: limits.cuont: unknown key; did you mean count?"],
        ),
        (
            "[limits\ncuont = 1",
            &["1:1: the section's name has no end; add `]`", "2:1: limits.cuont: unknown key; did you mean count?"],
        ),
        (
            "[[listen]]\naddress = \"127.0.0.1:1\"\nnetworks = [\"::1\",\n[limits]\ncuont = 1",
            &["3:12: networks: the list has no end; add `]`", "5:1: limits.cuont: unknown key; did you mean count?"],
        ),
        (
            "[limits]\nwait = 5m\nwait = \"6m\"\n[limits]\nx = 1",
            &[
                "2:8: wait: a text stands in quotes, as in \"5m\" or \"example.com\"",
                "3:1: wait: written twice; keep one of the two",
                "4:2: written twice; keep one of the two",
                "5:1: limits.x: unknown key; known here: wait, size, count, tls, password",
            ],
        ),
        (
            "[limits]\npassword = \"hunter2\"", // never repeated
            &[
                "2:12: limits.password: a secret does not stand in this file; write { file = \"/etc/outguard/secret\" } or { env = \"OUTGUARD_SECRET\" }",
            ],
        ),
        (
            "[limits]\npassword = { env = \"OUTGUARD_NOT_SET\" }",
            &["2:12: limits.password: the environment has no variable \"OUTGUARD_NOT_SET\""],
        ),
        (
            // a file is no escape sequence
            "\"a\\u001b[31m\" = 1",
            &["1:1: a\\u{1b}[31m: unknown key; known here: store, listen, limits"],
        ),
    ];
    for (text, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|line| format!("outguard.toml:{line}")).collect();
        assert_eq!(faults(text), expected, "{text}");
    }
}

#[test]
fn any_text_is_read_without_a_panic() {
    let pieces =
        ["[", "]", "[[", "=", "\"", "\"\"\"", "'", "'''", "{", "}", "\n", "a", "limits", "é", "\\", "#", ",", "."];
    for seed in 0..3_000_u64 {
        let mut state = seed;
        let text: String = (0..24)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]
            })
            .collect();
        faults(&text);
    }
}
