//! Asking DNS for what alignment needs: one question, one answer, through one door.
//!
//! [`Lookup`] is the door. [`Hickory`] asks real servers, [`Cached`] stands before it with bounds on memory, on age and
//! on waiting, and goes on with old answers while DNS is down (RFC 8767); [`Fixed`] answers out of a list. Read
//! [`Cached`] first.

mod cached;
mod fixed;
mod hickory;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use cached::Cached;
pub use fixed::Fixed;
pub use hickory::{Hickory, name_of, resolver_asking};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// TXT: SPF, DKIM and DMARC records.
    Text,
    /// A.
    Ipv4,
    /// AAAA.
    Ipv6,
    /// MX.
    Exchange,
    /// PTR.
    Name,
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// The strings of one TXT record, joined as RFC 7208 3.3 and RFC 6376 3.6.2.2 ask.
    Text(Box<[u8]>),
    /// An address.
    Address(IpAddr),
    /// A mail exchange and its preference.
    Exchange(u16, Box<str>),
    /// A name, without the root's dot.
    Name(Box<str>),
}

/// The records of an answer; at least one.
pub type Records = Arc<[Data]>;

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The name does not exist (NXDOMAIN).
    #[error("no such name")]
    NoSuchName,
    /// The name exists and has nothing of that kind.
    #[error("no records of that kind")]
    NoRecords,
    /// No answer, or none to rely on: everything is left open.
    #[error("{0}")]
    Failed(Box<str>),
}

impl NoAnswer {
    /// Whether DNS said that there is nothing, as against saying nothing.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// An answer whose signatures do not hold: as if there were none.
    pub fn bogus() -> Self {
        Self::Failed(BOGUS.into())
    }

    /// Whether there was an answer whose signatures do not hold.
    pub fn is_bogus(&self) -> bool {
        matches!(self, Self::Failed(why) if &**why == BOGUS)
    }
}

/// What an answer whose signatures do not hold is told as (RFC 4035 4.3, "bogus").
const BOGUS: &str = "its DNSSEC signatures do not hold, or are missing";

/// Whether DNSSEC vouches for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assurance {
    /// Its signatures lead up to a key that is trusted.
    Signed,
    /// Its zone is not signed, or nobody looked.
    #[default]
    Unsigned,
}

/// An answer, and how long it may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The records, or why there are none.
    pub answer: Result<Records, NoAnswer>,
    /// How long it holds.
    pub ttl: Duration,
    /// Whether DNSSEC vouches for it.
    pub assurance: Assurance,
}

impl Reply {
    /// An answer for which nothing vouches.
    pub fn unsigned(answer: Result<Records, NoAnswer>, ttl: Duration) -> Self {
        Self { answer, ttl, assurance: Assurance::Unsigned }
    }
}

/// A reply to come.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// Where names are looked up.
pub trait Lookup: Send + Sync + 'static {
    /// Asks for the records of one kind of a name, which has no trailing dot.
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a>;
}

/// The texts of a name's TXT records.
pub(super) async fn texts(dns: &dyn Lookup, name: &str) -> Result<Vec<Box<[u8]>>, NoAnswer> {
    let records = dns.ask(name, Kind::Text).await.answer?;
    Ok(records.iter().filter_map(|data| if let Data::Text(text) = data { Some(text.clone()) } else { None }).collect())
}

/// Whether a name can be asked for: labels of 1 to 63 bytes, 253 in all (RFC 1035 2.3.4), and more than one label.
pub(super) fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.contains('.') && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// The name under which an address's PTR records stand (RFC 1035 3.5, RFC 3596 2.5).
pub(super) fn reverse_name(address: IpAddr) -> String {
    use std::fmt::Write;
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let mut name = String::with_capacity(72);
            for byte in v6.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", byte & 0xf, byte >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reverse_names() {
        let long = "a".repeat(64);
        let cases = [("example.com", true), ("example.com.", true), ("localhost", false), ("a..b", false), ("", false)];
        for (name, expected) in cases {
            assert_eq!(is_name(name), expected, "{name}");
        }
        assert!(!is_name(&format!("{long}.example.com")));
        assert_eq!(reverse_name([192, 0, 2, 3].into()), "3.2.0.192.in-addr.arpa");
        assert!(reverse_name("2001:db8::1".parse().unwrap()).starts_with("1.0.0.0."));
    }
}
