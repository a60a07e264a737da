//! What is said of an egress.

use std::net::IpAddr;

use super::port25::{self, Other, Port25};
use super::{EgressFacts, Finding, Grade, Listed, Subject, WayFacts};
use crate::align::dns::NoAnswer;
use crate::mail::Visible;

const WHY_ADDRESS: &str = "nothing can be told about an address that is not known";
const WHY_REVERSE: &str = "most receivers refuse an address without a name that points back to it";
const WHY_EHLO: &str = "receivers compare the name in EHLO with the address";
const WHY_LISTED: &str = "receivers that ask this list refuse the address";

pub(super) fn examine(egress: &EgressFacts, findings: &mut Vec<Finding>) {
    let label = format!("egress {}", Visible(&egress.name));
    let has_way_out = egress.ways.iter().any(|way| matches!(way.port25, Port25::Open { .. }));
    for way in &egress.ways {
        let check = Subject { name: &label, findings }.check("port25", way.about);
        port25::tell(&way.port25, if has_way_out { Other::Open } else { Other::None }, check);
        match way.address {
            Some(address) => seen(&label, egress, way, address, findings),
            None => not_known(&label, egress, way.about, findings),
        }
    }
    if egress.ways.is_empty() {
        not_known(&label, egress, "", findings);
    }
}

fn not_known(label: &str, egress: &EgressFacts, about: &str, findings: &mut Vec<Finding>) {
    let name = Visible(&egress.name);
    let mend = match egress.local {
        Some(_) => {
            format!("write into the [[egress]] named {name}: public_address = \"…\", as your provider's panel names it")
        }
        None => format!(
            "write an [[egress]] with name = \"{name}\", the address of this machine (ip address show scope global) as \
             address = \"…\", and what your provider's panel names as public_address = \"…\""
        ),
    };
    let check = Subject { name: label, findings }.check("address", about);
    check.tell(Grade::Warning, "its public address is not known", WHY_ADDRESS, mend);
}

/// What is said of an address that is known.
fn seen(label: &str, egress: &EgressFacts, way: &WayFacts, address: IpAddr, findings: &mut Vec<Finding>) {
    let known = Subject { name: label, findings }.check("address", way.about);
    known.right(format!("receivers see {address}"));
    reverse(label, egress, way, address, findings);
    let greeting = Subject { name: label, findings }.check("ehlo", way.about);
    let ehlo = Visible(&egress.ehlo);
    match &way.ehlo_addresses {
        Err(NoAnswer::Failed(why)) => greeting.unknown(format!("no answer about {ehlo}: {}", Visible(why))),
        Ok(addresses) if addresses.contains(&address) => greeting.right(format!("{ehlo} has {address}")),
        Ok(_) | Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            let mend = format!("{ehlo}. IN {} {address}", kind(address));
            greeting.tell(Grade::Warning, format!("{ehlo} does not have {address}"), WHY_EHLO, mend);
        }
    }
    for (zone, listed) in &way.lists {
        let about = if way.about.is_empty() { zone.clone() } else { format!("{zone}, {}", way.about) };
        let list = Subject { name: label, findings }.check("listed", &about);
        match listed {
            Listed::No => list.right(format!("{address} is not on {zone}")),
            Listed::Unknown(why) => list.unknown(format!("{zone} does not say: {}", Visible(why))),
            Listed::Yes(codes) => {
                let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
                let mend = format!("ask for removal at the operator of {zone}, once what sent the spam is stopped");
                let found = format!("{address} is on {zone} ({})", codes.join(", "));
                list.tell(Grade::Fault, found, WHY_LISTED, mend);
            }
        }
    }
}

fn reverse(label: &str, egress: &EgressFacts, way: &WayFacts, address: IpAddr, findings: &mut Vec<Finding>) {
    let reverse = Subject { name: label, findings }.check("reverse-dns", way.about);
    match &way.names {
        Err(NoAnswer::Failed(why)) => reverse.unknown(format!("no answer about {address}: {}", Visible(why))),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            let ehlo = Visible(&egress.ehlo);
            let set = format!("set the reverse DNS of {address} to {ehlo}, at whoever the address is rented from");
            reverse.tell(Grade::Fault, format!("{address} has no name"), WHY_REVERSE, set);
        }
        Ok(names) => {
            if let Some((name, _)) = names.iter().find(|(_, confirmed)| *confirmed) {
                reverse.right(format!("{address} is {}, and back", Visible(name)));
            } else {
                let name = names.first().map_or("", |(name, _)| name);
                let found = format!("{address} is {}, but that name does not have the address", Visible(name));
                let mend = format!("{}. IN {} {address}", Visible(name), kind(address));
                reverse.tell(Grade::Fault, found, WHY_REVERSE, mend);
            }
        }
    }
}

/// The type of an address record.
fn kind(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}
