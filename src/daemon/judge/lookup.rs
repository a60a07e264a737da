//! Lists in the DNS, looked up with delivery's resolver.

use std::net::IpAddr;
use std::sync::Arc;

use crate::delivery::Resolver;
use crate::delivery::dns::DnsError;
use crate::score::other::{ListLookup, LookupFuture};

/// The resolver, as lists ask it.
pub(super) struct Lookup(pub(super) Arc<dyn Resolver>);

impl ListLookup for Lookup {
    fn addresses(&self, name: &str) -> LookupFuture {
        let (resolver, name) = (Arc::clone(&self.0), name.to_owned());
        Box::pin(async move {
            match resolver.addresses(&name).await {
                Ok(found) => Ok(found.into_iter().filter_map(v4).collect()),
                Err(DnsError::NoSuchName | DnsError::NoRecords) => Ok(Vec::new()),
                Err(DnsError::Failed { detail }) => Err(detail),
            }
        })
    }
}

fn v4(ip: IpAddr) -> Option<std::net::Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}
