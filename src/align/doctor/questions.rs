//! The questions to DNS that the doctor asks of an address or a domain.

use std::net::IpAddr;
use std::time::Duration;

use super::{Exchanges, Listed};
use crate::align::dns::{Assurance, Data, Kind, Lookup, NoAnswer, reverse_name, texts};
use crate::align::settings::Dnssec;
use crate::align::spf::record::is_spf;
use crate::align::spf::{Identity, Spf, check_host};
use crate::align::together::{One, together};
use crate::mail::ListZone;

/// Names of one address that are looked at.
const NAMES_MAX: usize = 10;

/// The addresses of a name, of that family.
pub(super) async fn addresses(dns: &dyn Lookup, name: &str, like: IpAddr) -> Result<Vec<IpAddr>, NoAnswer> {
    let kind = if like.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 };
    let records = dns.ask(name, kind).await.answer?;
    Ok(records
        .iter()
        .filter_map(|data| if let Data::Address(address) = data { Some(*address) } else { None })
        .collect())
}

/// The names of an address (PTR), each with whether it has the address. One that does not say is no answer, unless another
/// has it.
pub(super) async fn names(dns: &dyn Lookup, address: IpAddr) -> Result<Vec<(Box<str>, bool)>, NoAnswer> {
    let records = dns.ask(&reverse_name(address), Kind::Name).await.answer?;
    let (mut names, mut silent) = (Vec::new(), None);
    for data in records.iter().take(NAMES_MAX) {
        let Data::Name(name) = data else { continue };
        let confirmed = match addresses(dns, name, address).await {
            Ok(found) => found.contains(&address),
            Err(fault) if fault.is_certain() => false,
            Err(fault) => {
                silent = Some(fault);
                continue;
            }
        };
        names.push((name.clone(), confirmed));
    }
    match silent {
        Some(fault) if !names.iter().any(|(_, confirmed)| *confirmed) => Err(fault),
        _ if names.is_empty() => Err(NoAnswer::NoRecords),
        _ => Ok(names),
    }
}

/// Whether an address is on a list (RFC 5782). Answers lie in 127.0.0.0/8; those of 127.255.255.0/24 are no listing: they
/// say why the list does not answer.
pub(super) async fn listed(dns: &dyn Lookup, address: IpAddr, zone: &ListZone) -> Listed {
    let records = match dns.ask(&zone.name_of(&labels_in_lists(address)), Kind::Ipv4).await.answer {
        Ok(records) => records,
        Err(NoAnswer::Failed(why)) => return Listed::Unknown(why),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => return Listed::No,
    };
    let mut codes = Vec::new();
    for data in records.iter() {
        match data {
            Data::Address(IpAddr::V4(v4)) if v4.octets()[..3] == [127, 255, 255] => {
                return Listed::Refused(v4.octets()[3]);
            }
            Data::Address(address @ IpAddr::V4(v4)) if v4.is_loopback() => codes.push(*address),
            _ => {}
        }
    }
    if codes.is_empty() { Listed::Unknown("its answer is none of a list".into()) } else { Listed::Yes(codes) }
}

/// What stands before a list's zone in the name that an address has there.
pub(super) fn labels_in_lists(address: IpAddr) -> String {
    reverse_name(address).trim_end_matches(".in-addr.arpa").trim_end_matches(".ip6.arpa").to_owned()
}

/// The text of a domain's SPF record, where it has exactly one.
pub(super) async fn spf_record(dns: &dyn Lookup, domain: &str) -> Option<String> {
    let records = texts(dns, domain).await.ok()?;
    let mut records = records.iter().filter(|text| is_spf(text));
    match (records.next(), records.next()) {
        (Some(one), None) => Some(String::from_utf8_lossy(one).into_owned()),
        _ => None,
    }
}

/// SPF of a domain's mail from an address.
pub(super) async fn spf(dns: &dyn Lookup, domain: &str, address: IpAddr, ehlo: &str) -> Spf {
    let sender = format!("postmaster@{domain}");
    check_host(dns, Identity { address, sender: &sender, ehlo }, domain).await
}

/// What a domain has, and whether DNSSEC vouches for it; `None`: nobody looks.
type Found = (Result<Exchanges, NoAnswer>, Option<Result<Assurance, NoAnswer>>);

/// The mail exchanges of a domain. Whether they have addresses is waited for so long.
pub(super) async fn exchanges(dns: &dyn Lookup, domain: &str, dnssec: &Dnssec, limit: Duration) -> Found {
    let reply = dns.ask(domain, Kind::Exchange).await;
    let assurance = match (dnssec, &reply.answer) {
        (Dnssec::Off, _) => None,
        // Of nothing nothing is signed; its text records may be.
        (Dnssec::Validate { .. }, Err(fault)) if fault.is_certain() => {
            let text = dns.ask(domain, Kind::Text).await;
            Some(text.answer.map(|_| text.assurance))
        }
        (Dnssec::Validate { .. }, answer) => Some(answer.clone().map(|_| reply.assurance)),
    };
    let records = match reply.answer {
        Ok(records) => records,
        Err(NoAnswer::NoRecords) => {
            let late = |_| Err(NoAnswer::Failed("whether it has an address is not answered in time".into()));
            let implied = tokio::time::timeout(limit, implied(dns, domain)).await.unwrap_or_else(late);
            return (implied, assurance);
        }
        Err(fault) => return (Err(fault), assurance),
    };
    let mut hosts: Vec<Box<str>> = Vec::new();
    let named = records.iter().filter_map(|d| if let Data::Exchange(_, host) = d { Some(host) } else { None });
    for host in named.filter(|host| &***host != ".") {
        hosts.push(host.clone());
    }
    let is_null = hosts.len() < records.len();
    let asking = hosts.iter().take(NAMES_MAX).map(|host| -> One<'_, bool> { Box::pin(has_no_address(dns, host)) });
    // Of one that is silent nothing is said; the records themselves are known.
    let gone = tokio::time::timeout(limit, together(asking.collect())).await.unwrap_or_default();
    let lost = hosts.iter().zip(gone).filter(|(_, gone)| *gone).map(|(host, _)| host.clone()).collect();
    (Ok(Exchanges { hosts, is_null, lost, is_implied: false }), assurance)
}

/// Of a domain without MX records: its own address takes its mail, where it has one (RFC 5321 5.1).
async fn implied(dns: &dyn Lookup, domain: &str) -> Result<Exchanges, NoAnswer> {
    let mut silent = None;
    for kind in [Kind::Ipv4, Kind::Ipv6] {
        match dns.ask(domain, kind).await.answer {
            Ok(_) => return Ok(Exchanges { hosts: vec![domain.into()], is_implied: true, ..Exchanges::default() }),
            Err(fault) if fault.is_certain() => {}
            Err(fault) => silent = Some(fault),
        }
    }
    Err(silent.unwrap_or(NoAnswer::NoRecords))
}

/// Whether it is certain that a name has no address of either family.
async fn has_no_address(dns: &dyn Lookup, host: &str) -> bool {
    for kind in [Kind::Ipv4, Kind::Ipv6] {
        if !matches!(dns.ask(host, kind).await.answer, Err(fault) if fault.is_certain()) {
            return false;
        }
    }
    true
}
