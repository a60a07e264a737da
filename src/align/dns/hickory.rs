//! Real name servers, by hickory.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use super::super::settings::{AlignDnsSettings, Dnssec};
use super::{Asking, Assurance, Data, Kind, Lookup, NoAnswer, Reply};

/// For how long "there is nothing" holds where the zone does not say.
const NEGATIVE_TTL: Duration = Duration::from_mins(1);
/// More records than this of one answer are not looked at.
const RECORDS_MAX: usize = 200;

/// The configured name servers, or the system's. It keeps nothing: [`super::Cached`] does.
#[derive(Clone)]
pub struct Hickory(Arc<TokioResolver>);

impl std::fmt::Debug for Hickory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hickory")
    }
}

/// A resolver under construction that asks these servers, or the system's if there are none.
///
/// # Errors
/// The system's configuration (`/etc/resolv.conf`) cannot be read.
pub fn resolver_asking(servers: &[SocketAddr]) -> Result<ResolverBuilder<TokioRuntimeProvider>, NetError> {
    if servers.is_empty() {
        return TokioResolver::builder_tokio();
    }
    let servers = servers.iter().map(|server| {
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        (udp.port, tcp.port) = (server.port(), server.port());
        NameServerConfig::new(server.ip(), true, vec![udp, tcp])
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
}

/// A name as the DNS has it: labels of any bytes (RFC 2181 11), to be asked for as they stand. The library's own reading of
/// text takes every name for one that people typed, and calls `k1_2026` or a bad `xn--` a fault: what a stranger writes into
/// a message would look like trouble of the DNS, which excuses it. `None` where no such name can be: a label that is empty
/// or over 63 bytes, or over 255 in all.
pub fn name_of(text: &str) -> Option<Name> {
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    Name::from_labels(labels.map(str::as_bytes)).ok()
}

impl Hickory {
    /// A resolver that asks the configured servers, or the system's.
    ///
    /// # Errors
    /// The system's configuration (`/etc/resolv.conf`) cannot be read.
    pub fn new(settings: &AlignDnsSettings) -> Result<Self, NoAnswer> {
        let failed = |error: &NetError| NoAnswer::Failed(error.to_string().into());
        let mut builder = resolver_asking(&settings.servers).map_err(|e| failed(&e))?;
        let options = builder.options_mut();
        options.timeout = settings.timeout;
        options.attempts = 2;
        options.cache_size = 0;
        if let Dnssec::Validate { trust_anchor } = &settings.dnssec {
            options.validate = true;
            if let Some(file) = trust_anchor {
                builder = builder.with_trust_anchor(Arc::new(trusted(file)?));
            }
        }
        Ok(Self(Arc::new(builder.build().map_err(|e| failed(&e))?)))
    }
}

/// The keys of a file.
fn trusted(file: &Path) -> Result<TrustAnchors, NoAnswer> {
    let failed = |why: &dyn std::fmt::Display| NoAnswer::Failed(format!("{}: {why}", file.display()).into());
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    if !text.lines().any(|line| !line.starts_with(';') && line.contains("DNSKEY")) {
        return Err(failed(&"holds no DNSKEY record"));
    }
    text.parse().map_err(|error| failed(&error))
}

impl Lookup for Hickory {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        Box::pin(async move {
            let asked = match kind {
                Kind::Text => RecordType::TXT,
                Kind::Ipv4 => RecordType::A,
                Kind::Ipv6 => RecordType::AAAA,
                Kind::Exchange => RecordType::MX,
                Kind::Name => RecordType::PTR,
            };
            // Absolute: no search list is tried.
            let Some(absolute) = name_of(name) else { return Reply::unsigned(Err(NoAnswer::NoSuchName), NEGATIVE_TTL) };
            match self.0.lookup(absolute, asked).await {
                Ok(found) => {
                    let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
                    let data = found.answers().iter().filter_map(|record| data_of(&record.data, kind));
                    let records: Vec<Data> = data.take(RECORDS_MAX).collect();
                    let of_kind = |record: &&Record| record.record_type() != RecordType::RRSIG;
                    let signed = !records.is_empty()
                        && found.answers().iter().filter(of_kind).all(|record| record.proof.is_secure());
                    let answer = if records.is_empty() { Err(NoAnswer::NoRecords) } else { Ok(records.into()) };
                    let assurance = if signed { Assurance::Signed } else { Assurance::Unsigned };
                    Reply { answer, ttl: Duration::from_secs(ttl.into()), assurance }
                }
                Err(error) => reply_without(&error),
            }
        })
    }
}

fn reply_without(error: &NetError) -> Reply {
    let (code, ttl) = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => (none.response_code, none.negative_ttl),
        NetError::Dns(DnsError::DnssecBogus) => return Reply::unsigned(Err(NoAnswer::bogus()), Duration::ZERO),
        // That there is nothing is not proven: in a zone that need not prove it, or may not go without.
        NetError::Dns(DnsError::Nsec { proof, .. }) if !proof.is_insecure() => {
            return Reply::unsigned(Err(NoAnswer::bogus()), Duration::ZERO);
        }
        NetError::Dns(DnsError::Nsec { response, .. }) => (response.response_code, None),
        error => return Reply::unsigned(Err(NoAnswer::Failed(error.to_string().into())), Duration::ZERO),
    };
    let nothing = match code {
        ResponseCode::NXDomain => NoAnswer::NoSuchName,
        ResponseCode::NoError => NoAnswer::NoRecords,
        code => NoAnswer::Failed(format!("the name server answers {code}").into()),
    };
    let ttl = ttl.map_or(NEGATIVE_TTL, |seconds| Duration::from_secs(seconds.into()));
    Reply::unsigned(Err(nothing), ttl)
}

fn data_of(data: &RData, kind: Kind) -> Option<Data> {
    let plain = |name: String| name.strip_suffix('.').map(Into::into).unwrap_or(name.into_boxed_str());
    match (data, kind) {
        (RData::TXT(txt), Kind::Text) => Some(Data::Text(txt.txt_data.concat().into())),
        (RData::A(a), Kind::Ipv4) => Some(Data::Address(a.0.into())),
        (RData::AAAA(aaaa), Kind::Ipv6) => Some(Data::Address(aaaa.0.into())),
        (RData::MX(mx), Kind::Exchange) => {
            let host = mx.exchange.to_ascii();
            Some(Data::Exchange(mx.preference, if host == "." { host.into() } else { plain(host) }))
        }
        (RData::PTR(name), Kind::Name) => Some(Data::Name(plain(name.0.to_ascii()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
