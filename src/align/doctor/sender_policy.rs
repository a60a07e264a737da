//! What is said of a domain's SPF: from each address that its mail leaves by, its limits, and smarthosts.

use std::net::IpAddr;

use super::{DomainFacts, Finding, Grade, SpfFacts, Subject};
use crate::align::facts::Demands;
use crate::align::sign::key::zone_strings;
use crate::align::spf::{LOOKUPS_MAX, Spf, SpfResult, VOIDS_MAX};
use crate::mail::Visible;

const WHY: &str = "receivers refuse mail from an address that the domain does not name";
const WHY_ALONE: &str = "its signature carries the mail now; where that breaks on the way, nothing is left";
const WHY_BROKEN: &str = "a record that receivers cannot read counts as none, and for some as a refusal";
const WHY_LIMITS: &str = "past its limits receivers stop reading a record, and it counts as broken (RFC 7208 4.6.4)";
const WHY_SMARTHOST: &str = "receivers see the smarthost's addresses, which are not known here";

/// `signed`: a signature carries the mail where SPF does not, unless SPF forbids the address outright.
pub(super) fn examine(domain: &DomainFacts, signed: bool, findings: &mut Vec<Finding>) {
    let name = domain.domain.as_str();
    for facts in &domain.spf {
        of_address(domain, facts, signed, findings);
    }
    of_limits(name, domain, findings);
    for host in &domain.smarthosts {
        of_smarthost(name, host, findings);
    }
}

fn of_address(domain: &DomainFacts, facts: &SpfFacts, signed: bool, findings: &mut Vec<Finding>) {
    let name = domain.domain.as_str();
    let SpfFacts { about, egress, address, spf } = facts;
    let check = Subject { name, findings }.check("spf", about);
    let (result, detail) = (spf.result.as_str(), Visible(&spf.detail));
    let told = format!("SPF from egress {} ({address}) is {result}: {detail}", Visible(egress));
    let add = || format!("add {} to the SPF record of {name}, so that it is: {}", term(*address), whole_record(domain));
    let (lenient, why) = if signed { (Grade::Warning, WHY_ALONE) } else { (Grade::Fault, WHY) };
    match spf.result {
        SpfResult::Pass => check.right(told),
        SpfResult::TempError => check.unknown(told),
        SpfResult::None => check.tell(lenient, told, why, whole_record(domain)),
        SpfResult::SoftFail | SpfResult::Neutral => check.tell(lenient, told, why, add()),
        SpfResult::Fail => check.fault(told, WHY, add()),
        SpfResult::PermError => check.fault(told, WHY_BROKEN, broken(domain, spf)),
    }
}

/// Whether it was broken by its limits.
fn is_over(spf: &Spf) -> bool {
    spf.lookups > LOOKUPS_MAX || spf.voids > VOIDS_MAX
}

/// The whole record is at hand only where it is one: several, or one over the limits, need a person.
fn broken(domain: &DomainFacts, spf: &Spf) -> String {
    let name = domain.domain.as_str();
    if is_over(spf) {
        return fewer(domain);
    }
    format!(
        "mend the SPF record of {name} (dig +short TXT {name} shows what stands there), or publish in its place, with the \
         include: of whoever else sends for it: {}",
        anew(domain)
    )
}

fn term(address: IpAddr) -> String {
    if address.is_ipv4() { format!("ip4:{address}") } else { format!("ip6:{address}") }
}

/// Each address that mail leaves by and that does not pass, once.
fn lacking(domain: &DomainFacts, is_lacking: impl Fn(SpfResult) -> bool) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    for facts in domain.spf.iter().filter(|facts| is_lacking(facts.spf.result)) {
        let term = term(facts.address);
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    terms
}

/// The record as it should be: the one that stands there with what lacks at its head, where it comes before `-all`.
fn whole_record(domain: &DomainFacts) -> String {
    let Some(text) = domain.spf_record.as_deref().filter(|text| text.len() >= VERSION.len()) else {
        return anew(domain);
    };
    let lacks = |result| !matches!(result, SpfResult::Pass | SpfResult::TempError);
    let (version, rest) = text.split_at(VERSION.len());
    let terms = lacking(domain, lacks).join(" ");
    published(&domain.domain, &format!("{version} {terms}{rest}"))
}

/// A record where there is none.
fn anew(domain: &DomainFacts) -> String {
    published(&domain.domain, &format!("{VERSION} {} ~all", lacking(domain, |_| true).join(" ")))
}

const VERSION: &str = "v=spf1";

fn published(name: &str, text: &str) -> String {
    format!("{name}. IN TXT {}", zone_strings(&Visible(text).to_string()))
}

fn of_limits(name: &str, domain: &DomainFacts, findings: &mut Vec<Finding>) {
    if domain.spf.iter().all(|facts| facts.spf.result == SpfResult::None) {
        return;
    }
    let check = Subject { name, findings }.check("spf-limits", "");
    // What a record needs that is broken before it comes to a limit is not known.
    let is_read = |spf: &&Spf| match spf.result {
        SpfResult::TempError => false,
        SpfResult::PermError => is_over(spf),
        SpfResult::None | SpfResult::Neutral | SpfResult::Pass | SpfResult::Fail | SpfResult::SoftFail => true,
    };
    let mut known = domain.spf.iter().map(|facts| &facts.spf).filter(is_read).peekable();
    if known.peek().is_none() {
        return check.unknown("no SPF record could be read to its end");
    }
    let (lookups, voids) = known.fold((0, 0), |(l, v), spf| (l.max(spf.lookups), v.max(spf.voids)));
    let found = format!("SPF needs {lookups} of {LOOKUPS_MAX} look-ups, {voids} of {VOIDS_MAX} of them in vain");
    if lookups + 2 > LOOKUPS_MAX || voids >= VOIDS_MAX {
        check.warning(found, WHY_LIMITS, fewer(domain));
    } else {
        check.right(found);
    }
}

/// What costs look-ups stands in the record, and in the records that it includes.
fn fewer(domain: &DomainFacts) -> String {
    let name = domain.domain.as_str();
    let asks = |term: &&str| {
        let term = term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
        let bare = ["a", "mx", "ptr"];
        bare.contains(&term.split([':', '/']).next().unwrap_or_default())
            || ["include:", "exists:", "redirect="].iter().any(|word| term.starts_with(word))
    };
    let terms: Vec<&str> = domain.spf_record.as_deref().unwrap_or_default().split(' ').filter(asks).collect();
    let these = if terms.is_empty() { "include:, a, mx".to_owned() } else { Visible(&terms.join(" ")).to_string() };
    format!(
        "write addresses (ip4:, ip6:) into the SPF record of {name} in place of some of these, each of which asks DNS, and \
         leave out names that have no records: {these}"
    )
}

/// What its record says of a smarthost's addresses cannot be told without knowing these.
fn of_smarthost(name: &str, host: &str, findings: &mut Vec<Finding>) {
    let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
    let mend = match Demands::of_host(bare) {
        Demands::LoginDomain => format!("the SPF record of {name} should have include:mx.ovh.com"),
        Demands::Nothing => {
            format!("the SPF record of {name} should have the include: that the operator of {} names", Visible(bare))
        }
    };
    let found = format!("SPF is not known: its mail goes through {}", Visible(host));
    Subject { name, findings }.check("spf-smarthost", host).tell(Grade::Unknown, found, WHY_SMARTHOST, mend);
}
