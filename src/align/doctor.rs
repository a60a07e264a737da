//! The doctor: what receivers hold against a server or a domain before they read a message, and what mends it.
//!
//! [`gather`] asks DNS; [`examine`] is pure and makes [`Finding`]s of what was gathered: what was found, why it matters,
//! the record or command that mends it. Read [`examine`] first.

mod gather;

use std::net::IpAddr;

use serde::Serialize;

use super::dkim::key::PublicKey;
use super::dkim::{Failure, KeyRecord, RSA_BITS_WEAK};
use super::dmarc::{Policy, View};
use super::dns::NoAnswer;
use super::spf::{LOOKUPS_MAX, Spf, SpfResult, VOIDS_MAX};
use crate::mail::Visible;

pub use gather::{KeyWanted, Patient, gather};

/// Everything that is known of a server and its domains.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its egresses.
    pub egresses: Vec<EgressFacts>,
    /// Its sending domains.
    pub domains: Vec<DomainFacts>,
    /// Whether the kernel calls the clock right.
    pub clock_synchronised: bool,
}

/// What DNS says of an egress.
#[derive(Debug, Clone)]
pub struct EgressFacts {
    /// Its name.
    pub name: String,
    /// What the world sees.
    pub address: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: String,
    /// The names of its address (PTR), each with whether it has the address.
    pub names: Result<Vec<(Box<str>, bool)>, NoAnswer>,
    /// The addresses of the EHLO name, of the address's family.
    pub ehlo_addresses: Result<Vec<IpAddr>, NoAnswer>,
    /// Lists in the DNS, and what each says.
    pub lists: Vec<(String, Listed)>,
}

/// What a list in the DNS says of an address (RFC 5782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// It is not on it.
    No,
    /// It is.
    Yes(Vec<IpAddr>),
    /// The list refuses our resolver, or does not answer.
    Unknown(Box<str>),
}

/// What DNS says of a sending domain.
#[derive(Debug, Clone)]
pub struct DomainFacts {
    /// The domain.
    pub domain: String,
    /// SPF from each egress whose address is known.
    pub spf: Vec<(String, IpAddr, Spf)>,
    /// Its DMARC record.
    pub dmarc: Result<View, NoAnswer>,
    /// Its keys, and what is published.
    pub keys: Vec<KeyFacts>,
    /// Its mail exchanges; `.` alone takes no mail (RFC 7505).
    pub exchanges: Result<Vec<Box<str>>, NoAnswer>,
}

/// A key that signs.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Where its record must stand.
    pub name: String,
    /// What must stand there.
    pub record: String,
    /// What stands there.
    pub published: Result<KeyRecord, Failure>,
}

/// How bad it is. In order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    Right,
    /// It could not be found out.
    Unknown,
    /// Some receivers hold it against us.
    Warning,
    /// Receivers refuse mail for it.
    Fault,
}

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of which egress or domain.
    pub subject: String,
    /// A stable name.
    pub check: &'static str,
    /// How bad it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// Why it matters; empty where it is right.
    pub why: &'static str,
    /// The record or command that mends it; empty where there is nothing to mend.
    pub mend: String,
}

/// Says what is right and what is not.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for egress in &facts.egresses {
        of_egress(egress, &mut findings);
    }
    for domain in &facts.domains {
        of_domain(domain, &mut findings);
    }
    let clock = Subject { name: "this machine", findings: &mut findings };
    if facts.clock_synchronised {
        clock.right("clock", "the kernel calls the clock synchronised");
    } else {
        clock.tell(
            Grade::Warning,
            "clock",
            "the kernel does not call the clock synchronised".to_owned(),
            "signatures of a clock that is ahead are refused, and limits start as used after a reboot",
            "timedatectl set-ntp true".to_owned(),
        );
    }
    findings
}

/// Who is spoken of.
struct Subject<'a> {
    name: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Subject<'_> {
    fn right(self, check: &'static str, found: impl Into<String>) {
        self.tell(Grade::Right, check, found.into(), "", String::new());
    }

    fn unknown(self, check: &'static str, found: String) {
        self.tell(Grade::Unknown, check, found, "", String::new());
    }

    fn tell(self, grade: Grade, check: &'static str, found: String, why: &'static str, mend: String) {
        self.findings.push(Finding { subject: self.name.to_owned(), check, grade, found, why, mend });
    }
}

const WHY_REVERSE: &str = "most receivers refuse an address without a name that points back to it";
const WHY_EHLO: &str = "receivers compare the name in EHLO with the address";
const WHY_LISTED: &str = "receivers that ask this list refuse the address";

fn of_egress(egress: &EgressFacts, findings: &mut Vec<Finding>) {
    let label = format!("egress {}", Visible(&egress.name));
    let ehlo = Visible(&egress.ehlo);
    let Some(address) = egress.address else {
        let found = "its public address is not known".to_owned();
        let why = "nothing can be told about an address that is not known";
        let mend = format!("public_address = \"…\" in the [[egress]] named {}", Visible(&egress.name));
        Subject { name: &label, findings }.tell(Grade::Warning, "address", found, why, mend);
        return;
    };
    let reverse = Subject { name: &label, findings };
    let set = format!("set the reverse DNS of {address} to {ehlo}, at whoever the address is rented from");
    match &egress.names {
        Err(NoAnswer::Failed(why)) => {
            reverse.unknown("reverse-dns", format!("no answer about {address}: {}", Visible(why)));
        }
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            reverse.tell(Grade::Fault, "reverse-dns", format!("{address} has no name"), WHY_REVERSE, set);
        }
        Ok(names) => {
            if let Some((name, _)) = names.iter().find(|(_, confirmed)| *confirmed) {
                reverse.right("reverse-dns", format!("{address} is {}, and back", Visible(name)));
            } else {
                let name = names.first().map_or("", |(name, _)| name);
                let found = format!("{address} is {}, but that name does not have the address", Visible(name));
                let mend = format!("{}. IN {} {address}", Visible(name), if address.is_ipv4() { "A" } else { "AAAA" });
                reverse.tell(Grade::Fault, "reverse-dns", found, WHY_REVERSE, mend);
            }
        }
    }
    let greeting = Subject { name: &label, findings };
    match &egress.ehlo_addresses {
        Err(NoAnswer::Failed(why)) => greeting.unknown("ehlo", format!("no answer about {ehlo}: {}", Visible(why))),
        Ok(addresses) if addresses.contains(&address) => greeting.right("ehlo", format!("{ehlo} has {address}")),
        Ok(_) | Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            let mend = format!("{ehlo}. IN {} {address}", if address.is_ipv4() { "A" } else { "AAAA" });
            greeting.tell(Grade::Warning, "ehlo", format!("{ehlo} does not have {address}"), WHY_EHLO, mend);
        }
    }
    for (zone, listed) in &egress.lists {
        let list = Subject { name: &label, findings };
        match listed {
            Listed::No => list.right("listed", format!("{address} is not on {zone}")),
            Listed::Unknown(why) => list.unknown("listed", format!("{zone} does not say: {}", Visible(why))),
            Listed::Yes(codes) => {
                let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
                let mend = format!("ask for removal at the operator of {zone}, once what sent the spam is stopped");
                let found = format!("{address} is on {zone} ({})", codes.join(", "));
                list.tell(Grade::Fault, "listed", found, WHY_LISTED, mend);
            }
        }
    }
}

const WHY_SPF: &str = "receivers refuse mail from an address that the domain does not name";
const WHY_LOOKUPS: &str = "past its limits receivers stop reading a record, and it counts as broken";
const WHY_DKIM: &str = "a signature whose key is not published counts as none";
const WHY_DMARC: &str = "large receivers ask every sending domain for a DMARC record";
const WHY_MX: &str = "receivers refuse mail of a domain that takes no answers";

fn of_domain(domain: &DomainFacts, findings: &mut Vec<Finding>) {
    let name = domain.domain.as_str();
    for (egress, address, spf) in &domain.spf {
        let subject = Subject { name, findings };
        let told = format!(
            "SPF from egress {} ({address}) is {}: {}",
            Visible(egress),
            spf.result.as_str(),
            Visible(&spf.detail)
        );
        let term = if address.is_ipv4() { format!("ip4:{address}") } else { format!("ip6:{address}") };
        match spf.result {
            SpfResult::Pass => subject.right("spf", told),
            SpfResult::TempError => subject.unknown("spf", told),
            SpfResult::None => {
                subject.tell(Grade::Fault, "spf", told, WHY_SPF, format!("{name}. IN TXT \"v=spf1 {term} ~all\""));
            }
            SpfResult::PermError => {
                subject.tell(Grade::Fault, "spf", told, WHY_LOOKUPS, format!("mend the SPF record of {name}"));
            }
            SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                subject.tell(Grade::Fault, "spf", told, WHY_SPF, format!("add {term} to the SPF record of {name}"));
            }
        }
    }
    let (lookups, voids) = domain.spf.iter().fold((0, 0), |(l, v), (_, _, spf)| (l.max(spf.lookups), v.max(spf.voids)));
    if lookups + 2 > LOOKUPS_MAX || voids >= VOIDS_MAX {
        let found = format!("SPF needs {lookups} of {LOOKUPS_MAX} look-ups, {voids} of {VOIDS_MAX} of them in vain");
        let mend = format!("write addresses in place of include, a and mx into the SPF record of {name}");
        Subject { name, findings }.tell(Grade::Warning, "spf-limits", found, WHY_LOOKUPS, mend);
    }
    for key in &domain.keys {
        of_key(name, key, findings);
    }
    if domain.keys.is_empty() {
        let mend = format!("outguard dkim keygen {name}");
        let found = "no key signs its mail".to_owned();
        let why = "forwarded mail and mail under a strict policy passes by its signature alone";
        Subject { name, findings }.tell(Grade::Warning, "dkim", found, why, mend);
    }
    of_policy(name, &domain.dmarc, findings);
    let exchange = Subject { name, findings };
    match &domain.exchanges {
        Err(NoAnswer::Failed(why)) => exchange.unknown("mx", format!("no answer: {}", Visible(why))),
        Ok(hosts) if hosts.iter().any(|host| &**host == ".") => {
            let mend = format!("{name}. IN MX 10 a server that takes its mail, abuse@ and postmaster@ among it");
            exchange.tell(Grade::Fault, "mx", "it says that it takes no mail (RFC 7505)".to_owned(), WHY_MX, mend);
        }
        Ok(hosts) => exchange.right("mx", format!("{} mail exchange(s)", hosts.len())),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            let mend = format!("{name}. IN MX 10 a server that takes its mail, abuse@ and postmaster@ among it");
            exchange.tell(Grade::Warning, "mx", "it has no mail exchange".to_owned(), WHY_MX, mend);
        }
    }
}

fn of_key(name: &str, key: &KeyFacts, findings: &mut Vec<Finding>) {
    let subject = Subject { name, findings };
    let publish = || format!("{}. IN TXT ( {} )", key.name, super::sign::key::zone_strings(&key.record));
    let ours = KeyRecord::parse(key.record.as_bytes());
    match (&key.published, ours) {
        (Err(failure), _) if failure.is_temporary() => subject.unknown("dkim", failure.to_string()),
        (Err(failure), _) => subject.tell(Grade::Fault, "dkim", failure.to_string(), WHY_DKIM, publish()),
        (Ok(published), Ok(ours)) if published.public != ours.public => {
            let found = format!("another key is published at {} than the one that signs", key.name);
            subject.tell(Grade::Fault, "dkim", found, WHY_DKIM, publish());
        }
        (Ok(published), _) => match &published.public {
            PublicKey::Rsa(_, bits) if *bits < RSA_BITS_WEAK => {
                let found = format!("the key at {} has {bits} bits", key.name);
                let why = "keys under 2048 bits count less from year to year (RFC 8301)";
                subject.tell(Grade::Warning, "dkim", found, why, format!("outguard dkim keygen {name}"));
            }
            PublicKey::Rsa(..) | PublicKey::Ed25519(_) | PublicKey::Revoked => {
                subject.right("dkim", format!("the key at {} is the one that signs", key.name));
            }
        },
    }
}

fn of_policy(name: &str, dmarc: &Result<View, NoAnswer>, findings: &mut Vec<Finding>) {
    let subject = Subject { name, findings };
    let record = |policy: &str| format!("_dmarc.{name}. IN TXT \"v=DMARC1; p={policy}; rua=mailto:postmaster@{name}\"");
    match dmarc {
        Err(why) => subject.unknown("dmarc", format!("no answer: {}", Visible(&why.to_string()))),
        Ok(View { applied: None, fault, .. }) => {
            let found = fault.as_deref().unwrap_or("there is no DMARC record").to_owned();
            subject.tell(Grade::Fault, "dmarc", found, WHY_DMARC, record("none"));
        }
        Ok(View { applied: Some(applied), .. }) => {
            let found = format!("p={} by the record of {}", applied.policy.as_str(), applied.record_of);
            if applied.policy == Policy::None {
                let why = "with p=none anybody can send in its name";
                subject.tell(
                    Grade::Warning,
                    "dmarc",
                    found,
                    why,
                    format!("once all its mail passes: {}", record("quarantine")),
                );
            } else {
                subject.right("dmarc", found);
            }
        }
    }
}

#[cfg(test)]
mod tests;
