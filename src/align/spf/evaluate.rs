//! The function `check_host` of RFC 7208 4, with its limits.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use super::macros::Spec;
use super::record::{Directive, Mechanism, Prefixes, Qualifier, Record, is_spf};
use crate::align::dns::{Data, Kind, Lookup, NoAnswer, is_name, reverse_name, texts};

/// Terms that ask DNS (RFC 7208 4.6.4).
pub const LOOKUPS_MAX: usize = 10;
/// Questions that find nothing (RFC 7208 4.6.4).
pub const VOIDS_MAX: usize = 2;
/// Names that one `mx` or `ptr` looks at (RFC 7208 4.6.4).
const NAMES_MAX: usize = 10;

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The address that the receiver sees.
    pub address: IpAddr,
    /// The reverse-path, or `postmaster@` the EHLO name where that is null (RFC 7208 2.4).
    pub sender: &'a str,
    /// The EHLO name.
    pub ehlo: &'a str,
}

impl<'a> Identity<'a> {
    /// The part before the last `@`; `postmaster` where there is none (RFC 7208 4.3).
    pub fn local_part(&self) -> &'a str {
        self.sender
            .rsplit_once('@')
            .map_or("postmaster", |(local, _)| if local.is_empty() { "postmaster" } else { local })
    }

    /// The part behind it.
    pub fn sender_domain(&self) -> &'a str {
        self.sender.rsplit_once('@').map_or(self.sender, |(_, domain)| domain)
    }
}

/// What a receiver concludes (RFC 7208 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpfResult {
    /// There is no record, or no domain to ask for.
    None,
    /// The record says nothing about the address.
    Neutral,
    /// The address may send.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// DNS failed.
    TempError,
    /// The record is broken.
    PermError,
}

impl SpfResult {
    /// As RFC 8601 2.7.2 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// A result, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spf {
    /// The result.
    pub result: SpfResult,
    /// The domain whose record was evaluated.
    pub domain: Box<str>,
    /// Terms that asked DNS; past [`LOOKUPS_MAX`] a receiver gives up.
    pub lookups: usize,
    /// Questions that found nothing; past [`VOIDS_MAX`] a receiver gives up.
    pub voids: usize,
    /// The term that matched, or what went wrong: a part of a sentence.
    pub detail: Box<str>,
}

/// Evaluates a domain's record for an identity.
pub async fn check_host(dns: &dyn Lookup, identity: Identity<'_>, domain: &str) -> Spf {
    // An IPv4 client on a socket of both families is an IPv4 client (RFC 7208 5).
    let identity = Identity { address: identity.address.to_canonical(), ..identity };
    let mut evaluation = Evaluation { dns, identity, lookups: 0, voids: 0, name: None };
    let outcome = evaluation.domain(domain.to_owned()).await;
    let (result, detail) = outcome.unwrap_or_else(|stop| (stop.result, stop.detail));
    let Evaluation { lookups, voids, .. } = evaluation;
    Spf { result, domain: domain.into(), lookups, voids, detail }
}

/// An error ends the evaluation, whatever record it was found in.
struct Stop {
    result: SpfResult,
    detail: Box<str>,
}

impl Stop {
    fn temporary(name: &str, fault: &NoAnswer) -> Self {
        Self { result: SpfResult::TempError, detail: format!("DNS does not answer for {name} ({fault})").into() }
    }

    fn permanent(detail: String) -> Self {
        Self { result: SpfResult::PermError, detail: detail.into() }
    }
}

type Outcome = Result<(SpfResult, Box<str>), Stop>;

struct Evaluation<'a> {
    dns: &'a dyn Lookup,
    identity: Identity<'a>,
    lookups: usize,
    voids: usize,
    /// The validated name of the client, once it was asked for.
    name: Option<String>,
}

impl<'a> Evaluation<'a> {
    /// One domain's record. Boxed, since records include each other.
    fn domain<'s>(&'s mut self, domain: String) -> Pin<Box<dyn Future<Output = Outcome> + Send + 's>>
    where
        'a: 's,
    {
        Box::pin(async move {
            if !is_name(&domain) {
                return Ok((SpfResult::None, format!("{domain:?} is no domain name").into()));
            }
            let Some(record) = self.record(&domain).await? else {
                return Ok((SpfResult::None, format!("{domain} has no SPF record").into()));
            };
            for directive in &record.directives {
                if self.matches(&domain, directive).await? {
                    let result = match directive.qualifier {
                        Qualifier::Pass => SpfResult::Pass,
                        Qualifier::Fail => SpfResult::Fail,
                        Qualifier::SoftFail => SpfResult::SoftFail,
                        Qualifier::Neutral => SpfResult::Neutral,
                    };
                    return Ok((result, format!("{} in the record of {domain}", directive.text).into()));
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok((SpfResult::Neutral, format!("nothing in the record of {domain} matches").into()));
            };
            self.count_lookup(&domain)?;
            let target = self.expand(redirect, &domain).await;
            match self.domain(target.clone()).await? {
                (SpfResult::None, _) => Err(Stop::permanent(format!("redirect={target}, which has no SPF record"))),
                outcome => Ok(outcome),
            }
        })
    }

    async fn record(&self, domain: &str) -> Result<Option<Record>, Stop> {
        let texts = match texts(self.dns, domain).await {
            Ok(texts) => texts,
            Err(fault @ NoAnswer::Failed(_)) => return Err(Stop::temporary(domain, &fault)),
            Err(_) => return Ok(None),
        };
        let mut records = texts.iter().filter(|text| is_spf(text));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Stop::permanent(format!("{domain} has more than one SPF record"))),
            (Some(text), None) => match Record::parse(text) {
                Ok(record) => Ok(Some(record)),
                Err(broken) => {
                    Err(Stop::permanent(format!("the SPF record of {domain} has the broken term {:?}", broken.0)))
                }
            },
        }
    }

    async fn matches(&mut self, domain: &str, directive: &Directive) -> Result<bool, Stop> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, length) => Ok(in_network(self.identity.address, (*network).into(), *length)),
            Mechanism::Ip6(network, length) => Ok(in_network(self.identity.address, (*network).into(), *length)),
            Mechanism::Include(spec) => {
                self.count_lookup(domain)?;
                let target = self.expand(spec, domain).await;
                match self.domain(target.clone()).await? {
                    (SpfResult::Pass, _) => Ok(true),
                    (SpfResult::None, _) => Err(Stop::permanent(format!("include:{target}, which has no SPF record"))),
                    _ => Ok(false),
                }
            }
            Mechanism::A(spec, prefixes) => {
                self.count_lookup(domain)?;
                let target = self.target(spec.as_ref(), domain).await;
                self.is_address_of(&target, *prefixes).await
            }
            Mechanism::Mx(spec, prefixes) => {
                self.count_lookup(domain)?;
                let target = self.target(spec.as_ref(), domain).await;
                self.is_exchange_of(&target, *prefixes).await
            }
            Mechanism::Exists(spec) => {
                self.count_lookup(domain)?;
                let target = self.expand(spec, domain).await;
                // Always A, for senders over IPv6 too (RFC 7208 5.7).
                Ok(!self.ask(&target, Kind::Ipv4).await?.is_empty())
            }
            Mechanism::Ptr(spec) => {
                self.count_lookup(domain)?;
                let target = self.target(spec.as_ref(), domain).await;
                let names = self.validated_names().await;
                Ok(names.iter().any(|name| is_under(name, &target)))
            }
        }
    }

    async fn is_exchange_of(&mut self, target: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        let records = self.ask(target, Kind::Exchange).await?;
        let mut exchanges: Vec<(u16, &str)> = records
            .iter()
            .filter_map(|data| if let Data::Exchange(p, host) = data { Some((*p, &**host)) } else { None })
            .collect();
        if exchanges.len() > NAMES_MAX {
            return Err(Stop::permanent(format!("{target} has more than {NAMES_MAX} mail exchanges")));
        }
        exchanges.sort_unstable();
        for (_, host) in exchanges {
            if self.is_address_of(host, prefixes).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_address_of(&mut self, host: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        let (kind, length) = match self.identity.address {
            IpAddr::V4(_) => (Kind::Ipv4, prefixes.v4),
            IpAddr::V6(_) => (Kind::Ipv6, prefixes.v6),
        };
        let address = self.identity.address;
        let records = self.ask(host, kind).await?;
        Ok(records.iter().any(|data| matches!(data, Data::Address(a) if in_network(address, *a, length))))
    }

    /// The records of a name; none where there are none, which counts as void.
    async fn ask(&mut self, name: &str, kind: Kind) -> Result<Vec<Data>, Stop> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        match self.dns.ask(name, kind).await.answer {
            Ok(records) => Ok(records.to_vec()),
            Err(fault @ NoAnswer::Failed(_)) => Err(Stop::temporary(name, &fault)),
            Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
                self.voids += 1;
                if self.voids > VOIDS_MAX {
                    return Err(Stop::permanent(format!(
                        "more than {VOIDS_MAX} names in it have no records, {name} among them"
                    )));
                }
                Ok(Vec::new())
            }
        }
    }

    fn count_lookup(&mut self, domain: &str) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            return Err(Stop::permanent(format!(
                "it needs more than {LOOKUPS_MAX} look-ups, the last of them in the record of {domain}"
            )));
        }
        Ok(())
    }

    async fn target(&mut self, spec: Option<&Spec>, domain: &str) -> String {
        match spec {
            Some(spec) => self.expand(spec, domain).await,
            None => domain.to_owned(),
        }
    }

    async fn expand(&mut self, spec: &Spec, domain: &str) -> String {
        if spec.needs_name() && self.name.is_none() {
            let names = self.validated_names().await;
            // The domain itself, else a name under it, else any (RFC 7208 7.3).
            let best = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
            let best = best.or_else(|| names.iter().find(|name| is_under(name, domain))).or(names.first());
            self.name = Some(best.cloned().unwrap_or_else(|| "unknown".to_owned()));
        }
        spec.expand(&self.identity, domain, self.name.as_deref().unwrap_or("unknown"))
    }

    /// Names of the client's address that have this address (RFC 7208 5.5). Errors here mean no name.
    async fn validated_names(&self) -> Vec<String> {
        let address = self.identity.address;
        let kind = if address.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 };
        let Ok(records) = self.dns.ask(&reverse_name(address), Kind::Name).await.answer else { return Vec::new() };
        let mut names = Vec::new();
        for data in records.iter().take(NAMES_MAX) {
            let Data::Name(name) = data else { continue };
            if let Ok(addresses) = self.dns.ask(name, kind).await.answer
                && addresses.contains(&Data::Address(address))
            {
                names.push(name.to_string());
            }
        }
        names
    }
}

/// Whether a name is a domain or lies below it.
fn is_under(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.trim_end_matches('.').to_ascii_lowercase());
    name == domain || name.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether the first `length` bits agree; never across families.
fn in_network(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            (a.to_bits() ^ n.to_bits()) & mask == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            (a.to_bits() ^ n.to_bits()) & mask == 0
        }
        _ => false,
    }
}
