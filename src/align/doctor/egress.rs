//! What is said of an egress.

use std::net::IpAddr;

use super::{EgressFacts, Finding, Grade, Listed, Subject, port25};
use crate::align::dns::NoAnswer;
use crate::mail::Visible;

const WHY_REVERSE: &str = "most receivers refuse an address without a name that points back to it";
const WHY_EHLO: &str = "receivers compare the name in EHLO with the address";
const WHY_LISTED: &str = "receivers that ask this list refuse the address";

pub(super) fn examine(egress: &EgressFacts, findings: &mut Vec<Finding>) {
    let label = format!("egress {}", Visible(&egress.name));
    port25::tell(&egress.port25, Subject { name: &label, findings }.check("port25", ""));
    let Some(address) = egress.address else {
        let found = "its public address is not known";
        let why = "nothing can be told about an address that is not known";
        let mend = format!("public_address = \"…\" in the [[egress]] named {}", Visible(&egress.name));
        Subject { name: &label, findings }.check("address", "").tell(Grade::Warning, found, why, mend);
        return;
    };
    reverse(&label, egress, address, findings);
    let greeting = Subject { name: &label, findings }.check("ehlo", "");
    let ehlo = Visible(&egress.ehlo);
    match &egress.ehlo_addresses {
        Err(NoAnswer::Failed(why)) => greeting.unknown(format!("no answer about {ehlo}: {}", Visible(why))),
        Ok(addresses) if addresses.contains(&address) => greeting.right(format!("{ehlo} has {address}")),
        Ok(_) | Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            let mend = format!("{ehlo}. IN {} {address}", kind(address));
            greeting.tell(Grade::Warning, format!("{ehlo} does not have {address}"), WHY_EHLO, mend);
        }
    }
    for (zone, listed) in &egress.lists {
        let list = Subject { name: &label, findings }.check("listed", zone);
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

fn reverse(label: &str, egress: &EgressFacts, address: IpAddr, findings: &mut Vec<Finding>) {
    let reverse = Subject { name: label, findings }.check("reverse-dns", "");
    match &egress.names {
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
