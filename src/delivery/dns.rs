//! Asking DNS: a small trait, and hickory behind it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};

use super::mx::Mx;
use super::settings::DnsSettings;
use crate::align::dns::{name_of, resolver_asking};

/// What a question gives.
pub type DnsFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, DnsError>> + Send + 'a>>;

/// Where names are looked up; tests bring their own.
pub trait Resolver: Send + Sync + 'static {
    /// The MX records of a domain.
    fn mx<'a>(&'a self, domain: &'a str) -> DnsFuture<'a, Vec<Mx>>;
    /// The addresses of a host, of both families.
    fn addresses<'a>(&'a self, host: &'a str) -> DnsFuture<'a, Vec<IpAddr>>;
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN).
    #[error("no such name")]
    NoSuchName,
    /// The name exists, and has no records of that kind.
    #[error("no records")]
    NoRecords,
    /// No answer, or none to rely on.
    #[error("{detail}")]
    Failed {
        /// What happened.
        detail: String,
    },
}

/// Names looked up by hickory, with a bounded cache.
#[derive(Clone)]
pub struct Dns(Arc<TokioResolver>);

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

impl Dns {
    /// A resolver that asks the configured servers, or the system's.
    ///
    /// # Errors
    /// The system's configuration (`/etc/resolv.conf`) cannot be read.
    pub fn new(settings: &DnsSettings) -> Result<Self, DnsError> {
        let failed = |error: &NetError| DnsError::Failed { detail: error.to_string() };
        let mut builder = resolver_asking(&settings.servers).map_err(|e| failed(&e))?;
        let options = builder.options_mut();
        options.timeout = settings.timeout;
        options.cache_size = settings.cache_entries_max;
        Ok(Self(Arc::new(builder.build().map_err(|e| failed(&e))?)))
    }
}

impl Resolver for Dns {
    fn mx<'a>(&'a self, domain: &'a str) -> DnsFuture<'a, Vec<Mx>> {
        Box::pin(async move {
            let name = asked_for(domain)?;
            let answer = self.0.mx_lookup(name).await.map_err(|e| told(&e))?;
            let records = answer.answers().iter().filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Mx { preference: mx.preference, host: plain(&mx.exchange.to_ascii()) }),
                _ => None,
            });
            Ok(records.collect())
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> DnsFuture<'a, Vec<IpAddr>> {
        Box::pin(async move {
            // Both families by questions of their own: one that fails must not hide the other's answer.
            let name = asked_for(host)?;
            let (v6, v4) = tokio::join!(self.0.ipv6_lookup(name.clone()), self.0.ipv4_lookup(name));
            let mut found = Vec::new();
            let mut error = None;
            for answer in [v6, v4] {
                match answer {
                    Ok(answer) => found.extend(answer.answers().iter().filter_map(|record| match &record.data {
                        RData::A(a) => Some(IpAddr::V4(a.0)),
                        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                        _ => None,
                    })),
                    Err(fault) => error = Some(worse(error, told(&fault))),
                }
            }
            match error {
                Some(error) if found.is_empty() => Err(error),
                _ => Ok(found),
            }
        })
    }
}

/// The error that says less: a failure leaves everything open.
fn worse(one: Option<DnsError>, other: DnsError) -> DnsError {
    match one {
        Some(failed @ DnsError::Failed { .. }) => failed,
        _ => other,
    }
}

/// Absolute, so that no search list is tried; names of one label are left to the hosts file and search list.
fn asked_for(name: &str) -> Result<Name, DnsError> {
    let mut asked = name_of(name).ok_or(DnsError::NoSuchName)?;
    asked.set_fqdn(name.contains('.'));
    Ok(asked)
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

fn told(error: &NetError) -> DnsError {
    match error {
        NetError::Dns(HickoryDnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
            DnsError::NoSuchName
        }
        NetError::Dns(HickoryDnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => {
            DnsError::NoRecords
        }
        error => DnsError::Failed { detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
