//! From a plan to a connection that takes MAIL: servers, addresses, the egress's own address, TLS, login.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dns::DnsError;
use super::error::{DeliveryError, LoopSign};
use super::mx::{self, NoServer};
use super::next_hop::{Edges, NextHop, Peer};
use super::route::{Egress, Plan, Target};
use super::settings::TlsMode;
use super::tls::Verify;
use super::wire::{Wire, WireError};
use crate::mail::Domain;
use crate::smtp::client::handshake::OwnName;
use crate::smtp::client::{Extensions, Handshake, HandshakeFault, Next, ReplyFault, Stage, TlsWish, Tone};
use crate::sockets;

/// How many addresses are tried in one attempt to connect.
const ADDRESSES_MAX: usize = 8;

/// A server to try.
#[derive(Debug, Clone)]
struct Server {
    /// Its name, for TLS and for people.
    host: Arc<str>,
    address: SocketAddr,
}

/// Tries the servers of a plan in order until one takes mail.
pub(super) async fn connect(plan: &Plan, egress: &Arc<Egress>, edges: &Arc<Edges>) -> Result<NextHop, DeliveryError> {
    let (hosts, port) = hosts(plan, egress, edges).await?;
    let mut fault = None;
    let mut tried = 0;
    for host in hosts {
        let addresses = match addresses(&host, egress, edges).await {
            Ok(addresses) => addresses,
            Err(source) => {
                fault = Some(DeliveryError::NoServer { name: host, source });
                continue;
            }
        };
        let host: Arc<str> = host.into();
        for ip in addresses {
            if tried == ADDRESSES_MAX {
                break;
            }
            tried += 1;
            let server = Server { host: host.clone(), address: SocketAddr::new(ip, port) };
            match one(&server, plan, egress, edges).await {
                Ok(next_hop) => return Ok(next_hop),
                Err(error) if !error.next_server_may_help() => return Err(error),
                Err(error) => fault = Some(error),
            }
        }
    }
    Err(fault.unwrap_or_else(|| DeliveryError::NoServer { name: plan.target.to_string(), source: NoServer::NoAddress }))
}

/// The servers' names (or addresses as text), best first, and their port.
async fn hosts(plan: &Plan, egress: &Egress, edges: &Edges) -> Result<(Vec<String>, u16), DeliveryError> {
    match &plan.target {
        Target::Smarthost { host, port } => Ok((vec![host.to_string()], *port)),
        Target::Mx { domain: Domain::Literal(ip), port } => Ok((vec![ip.to_string()], *port)),
        Target::Mx { domain: Domain::Name(name), port } => {
            let answer = edges.resolver.mx(name).await;
            let servers = mx::servers(name, answer, &[&egress.ehlo], (edges.random)())
                .map_err(|source| DeliveryError::NoServer { name: name.to_string(), source })?;
            // A domain without MX is its own server; one without address either has none (RFC 5321 5.1).
            if servers.len() == 1 && *servers[0] == **name {
                let none = |error| matches!(error, DnsError::NoSuchName | DnsError::NoRecords);
                if edges.resolver.addresses(name).await.is_err_and(none) {
                    let source = NoServer::NoSuchDomain;
                    return Err(DeliveryError::NoServer { name: name.to_string(), source });
                }
            }
            Ok((servers, *port))
        }
    }
}

/// The addresses of a host that the egress can reach, families in turn, IPv6 first.
async fn addresses(host: &str, egress: &Egress, edges: &Edges) -> Result<Vec<IpAddr>, NoServer> {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let found = match literal {
        Ok(ip) => vec![ip],
        Err(_) => edges.resolver.addresses(host).await.map_err(|error| match error {
            DnsError::NoSuchName | DnsError::NoRecords => NoServer::NoAddress,
            DnsError::Failed { detail } => NoServer::Dns { detail },
        })?,
    };
    let usable = |ip: &IpAddr| egress.address.is_none_or(|own| own.is_ipv4() == ip.is_ipv4());
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().filter(usable).partition(IpAddr::is_ipv6);
    let mut in_turn = Vec::new();
    for at in 0..v6.len().max(v4.len()) {
        in_turn.extend(v6.get(at));
        in_turn.extend(v4.get(at));
    }
    if in_turn.is_empty() { Err(NoServer::NoAddress) } else { Ok(in_turn) }
}

/// One server. Where TLS is a wish only and fails, it is tried again in plain text.
async fn one(server: &Server, plan: &Plan, egress: &Arc<Egress>, edges: &Arc<Edges>) -> Result<NextHop, DeliveryError> {
    let wish = match plan.tls {
        TlsMode::None | TlsMode::Implicit => TlsWish::Settled,
        TlsMode::Opportunistic => TlsWish::IfOffered,
        TlsMode::Required => TlsWish::Must,
    };
    match greeted(server, plan, egress, edges, wish).await {
        Err(DeliveryError::Tls { .. }) if wish == TlsWish::IfOffered => {
            greeted(server, plan, egress, edges, TlsWish::Settled).await
        }
        result => result,
    }
}

async fn greeted(
    server: &Server,
    plan: &Plan,
    egress: &Arc<Egress>,
    edges: &Arc<Edges>,
    wish: TlsWish,
) -> Result<NextHop, DeliveryError> {
    let peer = Peer::new(&server.host, server.address);
    let tcp = open(server, &peer, egress, edges).await?;
    let mut wire = Wire::new(tcp);
    let is_local = wire.ends().is_ok_and(|(local, remote)| local.ip() == remote.ip() || remote.ip().is_loopback());
    let is_ours = |listener: &SocketAddr| {
        *listener == server.address
            || (is_local && listener.ip().is_unspecified() && listener.port() == server.address.port())
    };
    if edges.listeners.iter().any(is_ours) {
        return Err(DeliveryError::Loop { next_hop: peer.to_string(), sign: LoopSign::Listener });
    }
    if plan.tls == TlsMode::Implicit {
        wire = encrypt(wire, server, &peer, Verify::Fully, edges).await?;
    }
    let smarthost = matches!(plan.target, Target::Smarthost { .. });
    // A smarthost on this machine is the MTA beside us, which rightly has the host's name.
    let own_name = if smarthost && is_local { OwnName::IsShared } else { OwnName::IsALoop };
    let login = plan.login.as_ref().map(|login| (login.user.as_str(), &login.password));
    let seen = egress.public_address.or_else(|| Some(wire.ends().ok()?.0.ip()));
    let handshake =
        Handshake::new(&greeting_name(&egress.ehlo, seen), wish, login, own_name).listening_as(&egress.ehlo);
    let verify = if wish == TlsWish::Must { Verify::Fully } else { Verify::Not };
    let (wire, offered) = shake(wire, handshake, server, &peer, verify, plan, edges).await?;
    Ok(NextHop::ready(wire, offered, peer, plan, egress, edges))
}

/// What we say in EHLO. A word without a dot is no name in the DNS, and servers refuse it: a client that has no name gives
/// its address (RFC 5321 4.1.3, 4.1.4).
fn greeting_name(name: &str, address: Option<IpAddr>) -> Cow<'_, str> {
    match address.map(|address| address.to_canonical()) {
        _ if name.contains('.') => name.into(),
        Some(IpAddr::V4(v4)) => format!("[{v4}]").into(),
        Some(IpAddr::V6(v6)) => format!("[IPv6:{v6}]").into(),
        None => name.into(),
    }
}

/// Greeting to AUTH.
async fn shake(
    mut wire: Wire,
    mut handshake: Handshake,
    server: &Server,
    peer: &Peer,
    verify: Verify,
    plan: &Plan,
    edges: &Edges,
) -> Result<(Wire, Extensions), DeliveryError> {
    let limit = edges.timeouts.greeting;
    loop {
        let stage = handshake.stage();
        let lost = |error| lost(peer, stage, limit, error);
        let reply = wire.reply(Instant::now() + limit).await.map_err(lost)?;
        // A refusal is told in its words, however long; nothing can be built on the rest.
        if wire.is_spent() && matches!(reply.tone(), Tone::Done | Tone::GoOn) {
            return Err(lost(WireError::Fault(ReplyFault::TooLong)));
        }
        let mut next = handshake.reply(reply).map_err(|fault| refused(peer, plan, fault))?;
        if next == Next::StartTls {
            wire = encrypt(wire, server, peer, verify, edges).await?;
            next = handshake.encrypted();
        }
        match next {
            Next::Send(bytes) => wire.send(&bytes, Instant::now() + limit).await.map_err(lost)?,
            Next::Ready(offered) => return Ok((wire, offered)),
            Next::StartTls => unreachable!("replaced above"),
        }
    }
}

async fn encrypt(
    wire: Wire,
    server: &Server,
    peer: &Peer,
    verify: Verify,
    edges: &Edges,
) -> Result<Wire, DeliveryError> {
    let failed = |detail| DeliveryError::Tls { next_hop: peer.to_string(), detail };
    let config = edges.tls.config(verify).map_err(failed)?;
    let name = match server.host.parse::<IpAddr>() {
        Ok(ip) => ServerName::from(ip),
        Err(_) => ServerName::try_from(server.host.to_string()).map_err(|e| failed(e.to_string()))?,
    };
    wire.encrypt(config, name, edges.timeouts.tls).await.map_err(|e| failed(e.to_string()))
}

/// Connects from the egress's address.
async fn open(server: &Server, peer: &Peer, egress: &Egress, edges: &Edges) -> Result<TcpStream, DeliveryError> {
    let unusable =
        |source| DeliveryError::Egress { egress: egress.name.to_string(), next_hop: peer.to_string(), source };
    let socket = sockets::leaving_from(egress.address, server.address).map_err(unusable)?;
    let begun = Instant::now();
    let failed = |source| DeliveryError::Connect { next_hop: peer.to_string(), waited: begun.elapsed(), source };
    let connected = tokio::time::timeout(edges.timeouts.connect, socket.connect(server.address)).await;
    let tcp = connected.map_err(|_| failed(io::Error::new(io::ErrorKind::TimedOut, "timed out")))?.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    Ok(tcp)
}

fn lost(peer: &Peer, stage: Stage, waited: std::time::Duration, error: WireError) -> DeliveryError {
    let next_hop = peer.to_string();
    match error {
        WireError::Timeout => DeliveryError::Timeout { next_hop, stage, waited },
        WireError::Closed => DeliveryError::Lost { next_hop, stage, source: None },
        WireError::Io(source) | WireError::Content(source) => {
            DeliveryError::Lost { next_hop, stage, source: Some(source) }
        }
        WireError::Fault(source) => DeliveryError::BadReply { next_hop, stage, source },
    }
}

fn refused(peer: &Peer, plan: &Plan, fault: HandshakeFault) -> DeliveryError {
    let next_hop = peer.to_string();
    match fault {
        HandshakeFault::Refused { stage: Stage::Auth, reply } if reply.code / 100 == 5 => {
            let user = plan.login.as_ref().map(|login| login.user.clone()).unwrap_or_default();
            DeliveryError::Login { next_hop, user, reply }
        }
        HandshakeFault::Refused { stage, reply } => DeliveryError::Refused { next_hop, stage, reply },
        HandshakeFault::OwnName => DeliveryError::Loop { next_hop, sign: LoopSign::Name },
        HandshakeFault::NoStartTls => DeliveryError::NoTls { next_hop },
        HandshakeFault::NoAuth => DeliveryError::NoAuth { next_hop },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_name_gives_its_address() {
        let cases = [
            ("mail.example.com", Some("192.0.2.1"), "mail.example.com"),
            ("web1", Some("192.0.2.1"), "[192.0.2.1]"),
            ("web1", Some("::ffff:192.0.2.1"), "[192.0.2.1]"),
            ("localhost", Some("2001:db8::1"), "[IPv6:2001:db8::1]"),
            ("web1", None, "web1"),
        ];
        for (name, address, expected) in cases {
            assert_eq!(greeting_name(name, address.map(|ip| ip.parse().unwrap())), expected, "{name} at {address:?}");
        }
    }
}
