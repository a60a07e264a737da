//! A short visit at a server, from the egress's own address: a greeting, a few commands, QUIT. No content is ever sent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::align::dns::{Data, Kind, Lookup};
use crate::smtp::client::{PeerReply, ReplyFault, ReplyReader};
use crate::sockets;

const READ_BYTES: usize = 4 * 1024;

/// Why a server was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotReached {
    /// No answer in time.
    TimedOut,
    /// An answer: no.
    Refused(String),
    /// The connection cannot begin at that address of ours.
    Unusable(String),
}

impl std::fmt::Display for NotReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timed out"),
            Self::Refused(detail) | Self::Unusable(detail) => f.write_str(detail),
        }
    }
}

/// Connects within the limit, from `from` where that is given.
pub(super) async fn connect(
    to: SocketAddr,
    from: Option<IpAddr>,
    time_limit: Duration,
) -> Result<TcpStream, NotReached> {
    let socket = sockets::leaving_from(from, to).map_err(|error| NotReached::Unusable(error.to_string()))?;
    match tokio::time::timeout(time_limit, socket.connect(to)).await {
        Err(_) => Err(NotReached::TimedOut),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(NotReached::TimedOut),
        Ok(Err(error)) => Err(NotReached::Refused(error.to_string())),
    }
}

/// Plain or encrypted.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to an SMTP server. Each reply has the time limit, and the bounds of [`ReplyReader`].
pub(super) struct Visit {
    stream: Box<dyn Stream>,
    unread: BytesMut,
    reader: ReplyReader,
    time_limit: Duration,
}

impl Visit {
    pub(super) fn new(stream: impl Stream + 'static, time_limit: Duration) -> Self {
        Self { stream: Box::new(stream), unread: BytesMut::new(), reader: ReplyReader::new(), time_limit }
    }

    /// Encrypted from here on. What was said before is thrown away, and said anew (RFC 3207 4.2).
    pub(super) async fn encrypted(self, host: &str, tls: &Arc<ClientConfig>) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
        if !self.unread.is_empty() {
            return Err("it goes on in the clear after STARTTLS".to_owned());
        }
        let handshake = tokio_rustls::TlsConnector::from(Arc::clone(tls)).connect(name, self.stream);
        match tokio::time::timeout(self.time_limit, handshake).await {
            Ok(Ok(stream)) => Ok(Self::new(stream, self.time_limit)),
            Ok(Err(error)) => Err(format!("no TLS: {error}")),
            Err(_) => Err("no TLS in time".to_owned()),
        }
    }

    /// The next reply, or what came in its place as part of a sentence. One without an end is none.
    pub(super) async fn reply(&mut self) -> Result<PeerReply, String> {
        let limit = self.time_limit;
        let reading = async {
            loop {
                let (reply, used) = self.reader.read(&self.unread).map_err(|fault| fault.to_string())?;
                self.unread.advance(used);
                if self.reader.is_spent() {
                    return Err(ReplyFault::TooLong.to_string());
                }
                if let Some(reply) = reply {
                    return Ok(reply);
                }
                self.unread.reserve(READ_BYTES);
                match self.stream.read_buf(&mut self.unread).await {
                    Ok(0) => return Err("it hung up".to_owned()),
                    Ok(_) => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
    }

    /// Says one command and takes the reply.
    pub(super) async fn say(&mut self, command: &str) -> Result<PeerReply, String> {
        let line = format!("{command}\r\n");
        match tokio::time::timeout(self.time_limit, self.stream.write_all(line.as_bytes())).await {
            Ok(Ok(())) => self.reply().await,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it takes no command in time".to_owned()),
        }
    }

    /// Takes leave; what the server says to it does not matter.
    pub(super) async fn quit(mut self) {
        let _ = self.say("QUIT").await;
    }
}

/// The servers of a domain, the best first, at most `hosts_max`; the domain itself where it names none (RFC 5321 5.1).
/// Empty where DNS fails, or says that it takes no mail.
pub(super) async fn servers(dns: &dyn Lookup, domain: &str, hosts_max: usize) -> Vec<Box<str>> {
    let records = match dns.ask(domain, Kind::Exchange).await.answer {
        Ok(records) => records,
        Err(fault) if fault.is_certain() => return vec![domain.into()],
        Err(_) => return Vec::new(),
    };
    let mut hosts: Vec<(u16, Box<str>)> = records
        .iter()
        .filter_map(
            |data| if let Data::Exchange(preference, host) = data { Some((*preference, host.clone())) } else { None },
        )
        .filter(|(_, host)| &**host != ".")
        .collect();
    hosts.sort();
    hosts.into_iter().map(|(_, host)| host).take(hosts_max).collect()
}

/// The first address of a host that is of the family, where that is given; else IPv4 before IPv6.
pub(super) async fn address(dns: &dyn Lookup, host: &str, like: Option<IpAddr>) -> Option<IpAddr> {
    let kinds: &[Kind] = match like {
        Some(IpAddr::V4(_)) => &[Kind::Ipv4],
        Some(IpAddr::V6(_)) => &[Kind::Ipv6],
        None => &[Kind::Ipv4, Kind::Ipv6],
    };
    for kind in kinds {
        let Ok(records) = dns.ask(host, *kind).await.answer else { continue };
        let mut found = records.iter().filter_map(|data| if let Data::Address(ip) = data { Some(*ip) } else { None });
        if let Some(address) = found.next() {
            return Some(address);
        }
    }
    None
}
