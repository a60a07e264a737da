//! What is said of an egress.

use std::net::IpAddr;

use super::port25::{self, Other, Port25};
use super::{EgressFacts, Finding, Grade, Subject, WayFacts, lists};
use crate::align::dns::{NoAnswer, is_name, reverse_name};
use crate::mail::Visible;

const WHY_ADDRESS: &str = "nothing can be told about an address that is not known";
const WHY_REVERSE: &str = "most receivers refuse an address without a name that points back to it";
const WHY_EHLO: &str = "receivers compare the name in EHLO with the address";
const WHY_EHLO_WHOLE: &str = "many receivers refuse a greeting without a whole name (RFC 5321 4.1.1.1)";

pub(super) fn examine(egress: &EgressFacts, findings: &mut Vec<Finding>) {
    let label = format!("egress {}", Visible(&egress.name));
    let has_way_out = egress.ways.iter().any(|way| matches!(way.port25, Port25::Open { .. }));
    for way in &egress.ways {
        let check = Subject { name: &label, findings }.check("port25", way.about);
        let other = if has_way_out { Other::Open } else { Other::None };
        port25::tell(&way.port25, egress.local.unwrap_or(way.like), other, check);
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
    greeting(label, egress, way, address, findings);
    for (zone, listed) in &way.lists {
        let about = if way.about.is_empty() { zone.to_string() } else { format!("{zone}, {}", way.about) };
        lists::tell(address, zone, listed, Subject { name: label, findings }.check("listed", &about));
    }
}

fn reverse(label: &str, egress: &EgressFacts, way: &WayFacts, address: IpAddr, findings: &mut Vec<Finding>) {
    let reverse = Subject { name: label, findings }.check("reverse-dns", way.about);
    let ehlo = Visible(&egress.ehlo);
    let set = || {
        let pointer = reverse_name(address);
        format!("set the reverse DNS of {address} to {ehlo}, where the address is rented: {pointer}. IN PTR {ehlo}.")
    };
    match &way.names {
        Err(NoAnswer::Failed(why)) => reverse.unknown(format!("no answer about {address}: {}", Visible(why))),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            reverse.fault(format!("{address} has no name"), WHY_REVERSE, set());
        }
        Ok(names) => {
            if let Some((name, _)) = names.iter().find(|(_, confirmed)| *confirmed) {
                reverse.right(format!("{address} is {}, and back", Visible(name)));
            } else {
                let name = names.first().map_or("", |(name, _)| name);
                let found = format!("{address} is {}, but that name does not have the address", Visible(name));
                let mend = format!("{}. IN {} {address}, or {}", Visible(name), kind(address), set());
                reverse.fault(found, WHY_REVERSE, mend);
            }
        }
    }
}

fn greeting(label: &str, egress: &EgressFacts, way: &WayFacts, address: IpAddr, findings: &mut Vec<Finding>) {
    let greeting = Subject { name: label, findings }.check("ehlo", way.about);
    let (ehlo, egress_name) = (Visible(&egress.ehlo), Visible(&egress.name));
    let names = way.names.as_deref().unwrap_or_default();
    let confirmed = names.iter().find(|(_, confirmed)| *confirmed).map(|(name, _)| Visible(name));
    if !is_name(&egress.ehlo) {
        let name = confirmed.map_or_else(|| "mail.example.com".to_owned(), |name| name.to_string());
        let mend =
            format!("ehlo = \"{name}\" in the [[egress]] named {egress_name}, or own_name = \"{name}\" in [intake]");
        return greeting.warning(format!("{ehlo} is no whole name"), WHY_EHLO_WHOLE, mend);
    }
    match &way.ehlo_addresses {
        Err(NoAnswer::Failed(why)) => greeting.unknown(format!("no answer about {ehlo}: {}", Visible(why))),
        Ok(addresses) if addresses.contains(&address) => {
            let is_its_name =
                names.iter().any(|(name, _)| name.eq_ignore_ascii_case(egress.ehlo.trim_end_matches('.')));
            let and_back = if is_its_name { ", and is its name" } else { "" };
            greeting.right(format!("{ehlo} has {address}{and_back}"));
        }
        Ok(_) | Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            let record = format!("{ehlo}. IN {} {address}", kind(address));
            let mend = match confirmed {
                Some(name) => {
                    format!("{record}, or greet by its name: ehlo = \"{name}\" in the [[egress]] named {egress_name}")
                }
                None => record,
            };
            greeting.warning(format!("{ehlo} does not have {address}"), WHY_EHLO, mend);
        }
    }
}

/// The type of an address record.
fn kind(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}
