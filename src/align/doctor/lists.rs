//! What is said of a list in the DNS.

use std::net::IpAddr;

use super::questions::labels_in_lists;
use super::{Check, Grade, Listed};
use crate::mail::{ListZone, Visible};

const WHY: &str = "receivers that ask this list refuse the address";
const WHY_REFUSED: &str = "whether receivers find the address on this list is not known until it answers";

pub(super) fn tell(address: IpAddr, list: &ListZone, listed: &Listed, check: Check<'_>) {
    let zone = &*list.to_string();
    match listed {
        Listed::No => check.right(format!("{address} is not on {zone}")),
        Listed::Unknown(why) => check.unknown(format!("{zone} does not say: {}", Visible(&list.hide_in(why)))),
        Listed::Refused(code) => {
            let (words, mend) = refusal(zone, *code);
            let found = format!("{zone} answers 127.255.255.{code}, which is no listing: {words}");
            check.tell(Grade::Unknown, found, WHY_REFUSED, mend);
        }
        Listed::Yes(codes) => {
            let shown: Vec<String> = codes.iter().map(ToString::to_string).collect();
            let found = format!("{address} is on {zone} ({}){}", shown.join(", "), meaning(zone, codes));
            let labels = labels_in_lists(address);
            let page = page(zone, address);
            let mend = format!(
                "find what sent the spam and stop it (outguard trace and limits show whose mail it was), then ask for removal \
                 at the operator of {zone}{page}; its reason: dig +short TXT {labels}.{zone}"
            );
            check.fault(found, WHY, mend);
        }
    }
}

/// Why a list does not talk to us, in the codes that Spamhaus began and others took over.
fn refusal(zone: &str, code: u8) -> (&'static str, String) {
    match code {
        252 => ("there is no such list", format!("correct {zone} in [doctor] lists")),
        255 => (
            "it was asked too often from the resolver",
            "ask by a resolver that nobody else uses: apt install unbound, and [align.dns] servers = [\"127.0.0.1:53\"]"
                .to_owned(),
        ),
        _ => (
            "it does not talk to public resolvers",
            "ask by a resolver of your own: apt install unbound, and [align.dns] servers = [\"127.0.0.1:53\"]".to_owned(),
        ),
    }
}

/// Whether a zone is of that operator; Spamhaus has one for who asks in public and one for who has a key.
fn is_of(zone: &str, operator: &str) -> bool {
    let zone = zone.strip_suffix("dq.spamhaus.net").map_or(zone.to_owned(), |front| format!("{front}spamhaus.org"));
    zone.strip_suffix(operator).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

/// Where removal is asked for, of lists that are known.
fn page(zone: &str, address: IpAddr) -> String {
    let page = if is_of(zone, "spamhaus.org") {
        format!("https://check.spamhaus.org/results?query={address}")
    } else if is_of(zone, "spamcop.net") {
        format!("https://www.spamcop.net/bl.shtml?{address}")
    } else if is_of(zone, "barracudacentral.org") {
        "https://www.barracudacentral.org/rbl/removal-request".to_owned()
    } else {
        return String::new();
    };
    format!(" ({page})")
}

/// What Spamhaus says by the last byte: each is mended otherwise.
fn meaning(zone: &str, codes: &[IpAddr]) -> &'static str {
    let has = |range: std::ops::RangeInclusive<u8>| {
        codes.iter().any(|code| matches!(code, IpAddr::V4(v4) if range.contains(&v4.octets()[3])))
    };
    if !is_of(zone, "spamhaus.org") {
        ""
    } else if has(4..=7) {
        ": XBL, a program on the machine, or behind it, was taken over"
    } else if has(2..=3) {
        ": SBL or CSS, spam was seen from it"
    } else if has(9..=9) {
        ": DROP, the whole network is given up"
    } else if has(10..=11) {
        ": PBL, its network says that no mail servers are there; the page takes it out"
    } else {
        ""
    }
}
