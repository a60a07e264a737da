//! How other scorers are reached, and what happens when they are not.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::mail::ListZone;

/// The other scorers; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtherSettings {
    /// Rspamd's normal worker (HTTP, `/checkv2`).
    pub rspamd: Option<Scorer>,
    /// SpamAssassin's spamd.
    pub spamassassin: Option<Scorer>,
    /// ClamAV's clamd.
    pub clamav: Option<Scorer>,
    /// Lists in the DNS.
    pub lists: Vec<List>,
}

/// One scorer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scorer {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How long it may take, connecting included.
    pub timeout: Duration,
    /// What becomes of the message when it fails.
    pub on_failure: OnFailure,
    /// The points that its own threshold stands for: what Rspamd would reject, SpamAssassin call spam, ClamAV a find.
    pub points: i32,
    /// What of a message it is given, in bytes.
    pub message_bytes_max: usize,
}

impl Scorer {
    /// The usual time limit.
    pub const TIMEOUT: Duration = Duration::from_secs(8);
    /// The usual bound of what it is given.
    pub const MESSAGE_BYTES_MAX: usize = 2 << 20;
}

/// Where a scorer listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Host and port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || "neither host and port nor a socket's path".to_owned();
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(expected()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(expected)?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(expected());
        }
        Ok(Self::Tcp(host.to_owned(), port))
    }
}

/// What becomes of a message when a scorer fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// It is judged without it.
    Pass,
    /// It is held.
    Hold,
    /// The client is told to try later.
    Defer,
}

impl OnFailure {
    /// All, with the word in the configuration.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Pass, "pass"), (Self::Hold, "hold"), (Self::Defer, "defer")];
}

/// One list in the DNS (RFC 5782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its zone, such as `dbl.spamhaus.org`.
    pub zone: ListZone,
    /// What is looked up in it.
    pub kind: ListKind,
    /// The points of a listed one; several in one message count once.
    pub points: i32,
    /// How long it may take.
    pub timeout: Duration,
    /// What becomes of the message when it fails.
    pub on_failure: OnFailure,
}

/// What is looked up in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// Registered domains of links.
    Domain,
    /// Addresses that links name instead of a host.
    Address,
    /// The address of the account's client.
    Client,
}

impl ListKind {
    /// All, with the word in the configuration.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Domain, "domain"), (Self::Address, "address"), (Self::Client, "client")];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for text in ["127.0.0.1:11333", "[::1]:783", "unix:/run/clamav/clamd.ctl", "rspamd.example:11333"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in ["", "host", "host:", "host:0", ":783", "unix:relative", "a b:1", "host:70000"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
