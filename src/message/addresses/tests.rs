//! Lists as people and attackers write them, what is doubted, and what it costs.

use super::*;

fn list(raw: &[u8]) -> Vec<(String, String)> {
    let mut into = Vec::new();
    read(raw, 100, &mut into, &mut 0);
    into.into_iter().map(|m| (m.name, m.address)).collect()
}

#[test]
fn lists_as_they_occur() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("a@example.org", &[("", "a@example.org")]),
        ("Ann <a@example.org>", &[("Ann", "a@example.org")]),
        ("\"Ann, of B\" <a@example.org>, b@example.net", &[("Ann, of B", "a@example.org"), ("", "b@example.net")]),
        ("a@example.org (Ann (of) B)", &[("Ann (of) B", "a@example.org")]),
        (
            "Team: a@example.org, Bob <b@example.net>; c@example.com",
            &[("", "a@example.org"), ("Bob", "b@example.net"), ("", "c@example.com")],
        ),
        ("undisclosed-recipients:;", &[]),
        ("<>", &[("", "")]),
        ("root", &[("", "root")]),
        ("John Smith", &[("John Smith", "")]),
        // A name that looks like an address is a name.
        ("\"ceo@bank.example\" <x@evil.example>", &[("ceo@bank.example", "x@evil.example")]),
        ("ceo@bank.example <x@evil.example>", &[("ceo@bank.example", "x@evil.example")]),
        // Two addresses where one is allowed: both.
        ("<a@example.org> <b@example.net>", &[("", "a@example.org"), ("", "b@example.net")]),
        ("Ann <a@example.org> b@example.net", &[("Ann", "a@example.org"), ("", "b@example.net")]),
        ("Ann a@example.org", &[("Ann", "a@example.org")]),
        ("\"a b\"@example.org", &[("", "\"a b\"@example.org")]),
        ("<\"a>b\"@example.org>", &[("", "\"a>b\"@example.org")]),
        ("<@relay.example,@other.example:a@example.org>", &[("", "a@example.org")]),
        ("=?utf-8?q?J=C3=BCrgen?= =?utf-8?q?_M=2E?= <j@example.org>", &[("Jürgen M.", "j@example.org")]),
        // Encoded words in quotes do not belong there and are decoded all the same; their commas part nothing.
        ("\"=?utf-8?q?J=2C?=\" <j@example.org>", &[("J,", "j@example.org")]),
        ("=?utf-8?Q?Smith,_Ann?= <a@example.org>", &[("Smith, Ann", "a@example.org")]),
        // What is encoded never becomes an address.
        ("=?utf-8?q?x=40evil.example=3E?= <a@example.org>", &[("x@evil.example>", "a@example.org")]),
        ("Ann <a@example.org", &[("Ann", "a@example.org")]),
        ("Ann <a@example.org, b@example.net", &[("Ann", "a@example.org"), ("", "b@example.net")]),
        ("user@[IPv6:2001:db8::1]", &[("", "user@[IPv6:2001:db8::1]")]),
        ("mailto:a@example.org", &[("", "a@example.org")]),
        ("a@example.org; b@example.net", &[("", "a@example.org"), ("", "b@example.net")]),
        ("Ann\r\n <a@example.org>,\r\n\tb@example.net\r\n", &[("Ann", "a@example.org"), ("", "b@example.net")]),
        (" , ,", &[]),
        // What does not end hides nothing.
        ("\"unclosed <a@example.org>", &[("unclosed", "a@example.org")]),
        ("(unclosed a@example.org", &[("unclosed", "a@example.org")]),
        // White space and comments within an address (RFC 5322 4.4).
        ("a @ example.org", &[("", "a@example.org")]),
        ("Ann a@(of)example . org", &[("Ann", "a@example.org")]),
        ("Ann <a@(of) example.org>", &[("Ann", "a@example.org")]),
        ("<\"a b\" @example.org>", &[("", "\"a b\"@example.org")]),
        ("a@example.org b@example.net", &[("", "a@example.org"), ("", "b@example.net")]),
        ("a@example.org: b@example.net;", &[("", "a@example.org"), ("", "b@example.net")]),
        // Names with a bracket or an `@` of their own.
        ("Ann <3 Bob <a@example.org>", &[("Ann 3 Bob", "a@example.org")]),
        ("<<a@example.org>>", &[("", "a@example.org")]),
        ("Coffee @ Joe's, Berlin <a@example.org>", &[("Coffee @ Joe's", ""), ("Berlin", "a@example.org")]),
        ("Dinner @ Home, Berlin <a@example.org>", &[("Dinner @ Home", ""), ("Berlin", "a@example.org")]),
        ("root@localhost", &[("", "root@localhost")]),
        // An encoded word ends where it ends.
        ("=?utf-8?q?Ann?=,b@example.net, c@example.org", &[("Ann", ""), ("", "b@example.net"), ("", "c@example.org")]),
        ("=?utf-8?q?Ann?=<a@example.org>", &[("Ann", "a@example.org")]),
    ];
    for (raw, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(n, a)| (n.to_string(), a.to_string())).collect();
        assert_eq!(list(raw.as_bytes()), expected, "{raw:?}");
    }
}

#[test]
fn what_may_hold_an_address_that_was_not_found_is_known() {
    let folded = "\r\n ".repeat(40_000);
    let cases = [
        ("Ann <a@example.org>, b@example.net", Reading::Whole),
        ("\"ceo@bank.example\" <a@example.org> (c@example.com)", Reading::Whole),
        ("ceo@bank.example <a@example.org>", Reading::Whole), // a name
        ("ann@[192.0.2.1]", Reading::Whole),
        ("user@[IPv6:2001:db8::1]", Reading::Whole),
        ("wordpress@", Reading::Whole), // nobody's
        ("root", Reading::Whole),
        ("a@my_host.example", Reading::Whole),
        (&format!("<{folded}a@example.org>"), Reading::InPart), // past what is read
        (&format!("a@example.com,{folded} a@example.org"), Reading::InPart),
        (&format!("<{}a@example.org>", "\r\n ".repeat(400)), Reading::Whole),
        (&format!("<{}@example.org>", "a".repeat(1_000)), Reading::InPart),
        ("<a@example.org@bank.example>", Reading::InPart),
        ("a@example.org@bank.example", Reading::InPart),
        ("<a@bank.example,b@example.org>", Reading::InPart),
        ("<\"a@example.org>", Reading::InPart),
        ("<ceo@(>)bank.example>", Reading::InPart),
        ("a@example..org", Reading::InPart),
        ("Coffee @ Joe's, Berlin <a@example.org>", Reading::Whole),
        ("Ann <3 Bob <a@example.org>", Reading::Whole),
        ("<<a@example.org>>", Reading::Whole),
        ("=?utf-8?q?Smith,_Ann?= <a@example.org>", Reading::Whole),
        ("=?utf-8?q?ann=40example.org?= <a@example.org>", Reading::Whole),
        // Others part fields before they look for encoded words.
        ("=?x,ceo@bank.example,y <a@evil.example>", Reading::InPart),
        ("=?utf-8?q?x,ceo@bank.example,y?= <a@evil.example>", Reading::InPart),
        ("=?utf-8?q?\"?= \", ceo@bank.example, \" <a@evil.example>", Reading::InPart),
        // Quoted or escaped, what is no address for us.
        ("<\"ceo@bank.example\">, a@evil.example", Reading::InPart),
        ("<\"> , <ceo@bank.example> , <\">, a@evil.example", Reading::InPart),
        ("<ceo@bank.example\\@evil.example>", Reading::InPart),
        ("=?utf-8?B?PGNlb0BiYW5rLmV4YW1wbGU+?=, <a@evil.example>", Reading::InPart),
        ("\"ceo@bank.example\" <>, a@evil.example", Reading::InPart),
        // A name with an address in it, where the address beside it names no domain.
        ("ceo@bank.example <root>", Reading::InPart),
        ("ceo@bank.example <x>, a@evil.example", Reading::InPart),
        ("\"ceo@bank.example\" <@>, a@evil.example", Reading::InPart),
        ("=?utf-8?B?PGNlb0BiYW5rLmV4YW1wbGU+LCBDRU8=?=, <a@evil.example>", Reading::InPart),
        ("\"ceo@bank.example (CEO)\" , a@evil.example", Reading::InPart),
        (&format!("\"{}ceo@bank.example\" , a@evil.example", "x ".repeat(600)), Reading::InPart),
        ("Dinner @Home, Berlin <a@example.org>", Reading::Whole), // no domain that could have a policy
        ("\"ceo@bank.example\" <root@localhost>", Reading::Whole),
        // What others end a domain at.
        ("<ceo@bank.example\u{b}.evil.example>", Reading::InPart),
        ("<ceo@bank.example\u{1}.evil.example>", Reading::InPart),
        ("<ceo@bank.example .evil.example>", Reading::InPart),
        ("<ceo@bank.example (x) .evil.example>", Reading::InPart),
        ("ceo@bank.example .evil.example", Reading::InPart),
        ("ceo@bank.example (x) .evil.example", Reading::InPart),
        ("<a @ example.org >", Reading::Whole),
        // Quotes that an encoder took for letters.
        ("=?utf-8?Q?12\"_Vinyl?= <shop@acme.example>", Reading::Whole),
        ("=?utf-8?Q?\"M=C3=BCller_GmbH_&_Co._?= =?utf-8?Q?KG\"?= <info@acme.example>", Reading::Whole),
        ("=?utf-8?q?\"?= <a@evil.example> \" <ceo@bank.example>", Reading::InPart),
        ("ceo@bank.example =?utf-8?q?,_x?= <a@evil.example>", Reading::InPart),
        ("Ann =?utf-8?q?,_x?= <a@example.org>", Reading::Whole),
    ];
    for (raw, expected) in cases {
        let got = read(raw.as_bytes(), 100, &mut Vec::new(), &mut 0);
        assert_eq!(got, expected, "{:?}", &raw[..raw.len().min(80)]);
    }
    assert_eq!(read(b"a@b.example, c@d.example", 1, &mut Vec::new(), &mut 0), Reading::InPart, "more than are read");
}

#[test]
fn a_million_of_anything_costs_its_bytes() {
    let units = [
        "(",
        "<",
        "\"",
        "<\"",
        ",",
        "a@",
        "a@b,",
        ":",
        "=?utf-8?q?",
        "\\",
        "<a>",
        "[IPv6:",
        "a@[IPv6:",
        "=?a?q?b?=",
        "\"a\"",
        "\\\"",
        "\"\\",
        "\\(",
        "a@ .",
        "\\<",
        "<\\<",
        "=????=:",
        "=????=>",
        "=?a?q?\"?=:",
        "a@b .",
    ];
    for unit in units {
        let raw = unit.repeat(1_000_000 / unit.len());
        assert!(list(raw.as_bytes()).len() <= 100, "{unit}");
    }
}
