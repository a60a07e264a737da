//! Asking DNS what the doctor wants to know.

use std::net::IpAddr;

use super::{DomainFacts, EgressFacts, Facts, KeyFacts, Listed};
use crate::align::dkim::verify::key_record;
use crate::align::dmarc::{Method, discover};
use crate::align::dns::{Data, Kind, Lookup, NoAnswer, reverse_name};
use crate::align::spf::{Identity, check_host};

/// An egress that is to be examined.
#[derive(Debug, Clone)]
pub struct Patient {
    /// Its name.
    pub name: String,
    /// What the world sees.
    pub address: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: String,
}

/// A key that is to be examined.
#[derive(Debug, Clone)]
pub struct KeyWanted {
    /// Whose.
    pub domain: String,
    /// Where its record must stand.
    pub name: String,
    /// What must stand there.
    pub record: String,
}

/// Names of one address that are looked at.
const NAMES_MAX: usize = 10;

/// Asks everything. `lists` are zones of lists in the DNS.
pub async fn gather(
    dns: &dyn Lookup,
    egresses: &[Patient],
    domains: &[String],
    keys: &[KeyWanted],
    lists: &[String],
    clock_synchronised: bool,
) -> Facts {
    let mut of_egresses = Vec::with_capacity(egresses.len());
    for egress in egresses {
        of_egresses.push(of_egress(dns, egress, lists).await);
    }
    let mut of_domains = Vec::with_capacity(domains.len());
    for domain in domains {
        of_domains.push(of_domain(dns, domain, egresses, keys).await);
    }
    Facts { egresses: of_egresses, domains: of_domains, clock_synchronised }
}

async fn addresses(dns: &dyn Lookup, name: &str, like: IpAddr) -> Result<Vec<IpAddr>, NoAnswer> {
    let kind = if like.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 };
    let records = dns.ask(name, kind).await.answer?;
    Ok(records
        .iter()
        .filter_map(|data| if let Data::Address(address) = data { Some(*address) } else { None })
        .collect())
}

async fn of_egress(dns: &dyn Lookup, egress: &Patient, lists: &[String]) -> EgressFacts {
    let mut facts = EgressFacts {
        name: egress.name.clone(),
        address: egress.address,
        ehlo: egress.ehlo.clone(),
        names: Err(NoAnswer::NoRecords),
        ehlo_addresses: Err(NoAnswer::NoRecords),
        lists: Vec::new(),
    };
    let Some(address) = egress.address else { return facts };
    facts.names = names(dns, address).await;
    facts.ehlo_addresses = addresses(dns, &egress.ehlo, address).await;
    let reversed = reverse_name(address);
    let reversed = reversed.trim_end_matches(".in-addr.arpa").trim_end_matches(".ip6.arpa");
    for zone in lists {
        facts.lists.push((zone.clone(), listed(dns, &format!("{reversed}.{zone}")).await));
    }
    facts
}

async fn names(dns: &dyn Lookup, address: IpAddr) -> Result<Vec<(Box<str>, bool)>, NoAnswer> {
    let records = dns.ask(&reverse_name(address), Kind::Name).await.answer?;
    let mut names = Vec::new();
    for data in records.iter().take(NAMES_MAX) {
        let Data::Name(name) = data else { continue };
        let confirmed = addresses(dns, name, address).await.is_ok_and(|found| found.contains(&address));
        names.push((name.clone(), confirmed));
    }
    if names.is_empty() { Err(NoAnswer::NoRecords) } else { Ok(names) }
}

/// Answers lie in 127.0.0.0/8; those of 127.255.255.0/24 say that the list does not talk to this resolver.
async fn listed(dns: &dyn Lookup, name: &str) -> Listed {
    let records = match dns.ask(name, Kind::Ipv4).await.answer {
        Ok(records) => records,
        Err(NoAnswer::Failed(why)) => return Listed::Unknown(why),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => return Listed::No,
    };
    let mut codes = Vec::new();
    for data in records.iter() {
        match data {
            Data::Address(IpAddr::V4(v4)) if v4.octets()[..3] == [127, 255, 255] => {
                return Listed::Unknown("it refuses this resolver; use a resolver of your own".into());
            }
            Data::Address(address @ IpAddr::V4(v4)) if v4.is_loopback() => codes.push(*address),
            _ => {}
        }
    }
    if codes.is_empty() { Listed::Unknown("its answer is none of a list".into()) } else { Listed::Yes(codes) }
}

async fn of_domain(dns: &dyn Lookup, domain: &str, egresses: &[Patient], keys: &[KeyWanted]) -> DomainFacts {
    let mut spf = Vec::new();
    let sender = format!("postmaster@{domain}");
    for egress in egresses {
        let Some(address) = egress.address else { continue };
        let identity = Identity { address, sender: &sender, ehlo: &egress.ehlo };
        spf.push((egress.name.clone(), address, check_host(dns, identity, domain).await));
    }
    let mut published = Vec::new();
    for key in keys.iter().filter(|key| key.domain == domain) {
        let found = key_record(dns, &key.name).await;
        published.push(KeyFacts { name: key.name.clone(), record: key.record.clone(), published: found });
    }
    let exchanges = dns.ask(domain, Kind::Exchange).await.answer.map(|records| {
        records.iter().filter_map(|d| if let Data::Exchange(_, host) = d { Some(host.clone()) } else { None }).collect()
    });
    DomainFacts {
        domain: domain.to_owned(),
        spf,
        dmarc: discover(dns, domain, Method::TreeWalk).await,
        keys: published,
        exchanges,
    }
}
