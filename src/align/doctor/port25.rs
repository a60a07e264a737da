//! Whether mail can leave: a connection to port 25 of large receivers, from each egress.
//!
//! One connection where all is well, with the greeting read and QUIT said. Where it does not come about, the other domains
//! are tried, and then other ports of the same hosts: what is closed on port 25 alone is closed on purpose.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::visit::{NotReached, Visit, address, connect, servers};
use super::{Check, Grade};
use crate::align::dns::Lookup;
use crate::mail::Visible;
use crate::smtp::client::Tone;

const WHY_BLOCKED: &str = "mail goes to other servers by port 25 alone";
const WHY_ONE_FAMILY: &str = "mail goes by the other family of addresses, and to some servers not at all";
const WHY_UNWELCOME: &str = "a server that greets with a refusal takes no mail from the address";
const MEND_BLOCKED: &str = "ask whoever the address is rented from to open outgoing port 25 (OVHcloud: the address's \
                            anti-spam state; public cloud: a request to support), or name a smarthost on port 587";
const MEND_REFUSED: &str = "look for rules about port 25: nft list ruleset; and ask whoever the address is rented from";

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Domains whose servers are asked; empty: none.
    pub domains: Vec<String>,
    /// For each connection, and for each reply.
    pub time_limit: Duration,
    /// Where mail is taken: 25 anywhere but in a laboratory.
    pub port: u16,
    /// Ports that tell whether a host is there at all.
    pub other_ports: [u16; 2],
}

impl Probe {
    /// Of these domains, at the ports of the world.
    pub fn of(domains: &[String], time_limit: Duration) -> Self {
        Self { domains: domains.to_vec(), time_limit, port: 25, other_ports: [443, 587] }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port25 {
    /// Nobody was to be asked.
    NotAsked,
    /// A server greeted.
    Open {
        /// Which.
        server: String,
    },
    /// A server greeted with a refusal.
    Unwelcome {
        /// Which.
        server: String,
        /// Its words.
        reply: String,
    },
    /// The machine does not have the egress's address.
    NoAddress {
        /// The system's words.
        detail: String,
    },
    /// Port 25 of all of them is silent, and another port is not.
    Blocked {
        /// Servers tried.
        tried: Vec<String>,
        /// Who answered.
        answered: String,
    },
    /// All ports of all of them are silent.
    Silent {
        /// Servers tried.
        tried: Vec<String>,
    },
    /// Something refuses the connections.
    Refused {
        /// Servers tried, each with what happened.
        tried: Vec<String>,
    },
    /// DNS names no server with an address of the egress's family.
    NoServers,
    /// Nobody was asked in time; why.
    Unknown(Box<str>),
}

/// Whether the egress has another way that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// It has: mail leaves by that, once this has failed.
    Open,
    /// It has not.
    None,
}

/// One server, and what came of it.
struct Tried {
    host: Box<str>,
    address: IpAddr,
    domain: String,
    result: Result<Port25, NotReached>,
}

/// Tries the domains until one answers: the first alone, then the others at once. `from` is the egress's own address,
/// `like` one of the family that it uses.
pub(super) async fn probe(
    dns: Arc<dyn Lookup>,
    probe: Arc<Probe>,
    from: Option<IpAddr>,
    like: Option<IpAddr>,
) -> Port25 {
    let Some((first, others)) = probe.domains.split_first() else { return Port25::NotAsked };
    let mut tried: Vec<Tried> = visit(&*dns, &probe, first, from, like).await.into_iter().collect();
    if !tried.iter().any(|tried| tried.result.is_ok()) {
        let mut visits = tokio::task::JoinSet::new();
        for domain in others {
            let (dns, probe, domain) = (Arc::clone(&dns), Arc::clone(&probe), domain.clone());
            visits.spawn(async move { visit(&*dns, &probe, &domain, from, like).await });
        }
        tried.extend(visits.join_all().await.into_iter().flatten());
    }
    told(&*dns, &probe, tried, from, like).await
}

async fn visit(
    dns: &dyn Lookup,
    probe: &Probe,
    domain: &str,
    from: Option<IpAddr>,
    like: Option<IpAddr>,
) -> Option<Tried> {
    let host = servers(dns, domain, 1).await.pop()?;
    let address = address(dns, &host, from.or(like)).await?;
    let server = format!("{} ({address})", Visible(&host));
    let connected = connect(SocketAddr::new(address, probe.port), from, probe.time_limit).await;
    let result = match connected {
        Err(fault) => Err(fault),
        Ok(stream) => {
            let mut visit = Visit::new(stream, probe.time_limit);
            match visit.reply().await {
                Ok(greeting) => {
                    visit.quit().await;
                    match greeting.tone() {
                        // Too busy now (4xx) is open too.
                        Tone::Done | Tone::NotNow => Ok(Port25::Open { server }),
                        Tone::GoOn | Tone::Never => Ok(Port25::Unwelcome { server, reply: greeting.to_string() }),
                    }
                }
                Err(words) => Ok(Port25::Unwelcome { server, reply: words }),
            }
        }
    };
    Some(Tried { host, address, domain: domain.to_owned(), result })
}

async fn told(
    dns: &dyn Lookup,
    probe: &Probe,
    tried: Vec<Tried>,
    from: Option<IpAddr>,
    like: Option<IpAddr>,
) -> Port25 {
    let mut answers = tried.iter().filter_map(|tried| tried.result.as_ref().ok());
    let open = answers.clone().find(|answer| matches!(answer, Port25::Open { .. }));
    if let Some(answer) = open.or_else(|| answers.next()) {
        return answer.clone();
    }
    let faults = || tried.iter().filter_map(|tried| tried.result.as_ref().err());
    if let Some(NotReached::Unusable(detail)) = faults().find(|fault| matches!(fault, NotReached::Unusable(_))) {
        return Port25::NoAddress { detail: detail.clone() };
    }
    let name = |tried: &Tried| format!("{} ({})", Visible(&tried.host), tried.address);
    if tried.is_empty() {
        return Port25::NoServers;
    }
    if !faults().all(|fault| *fault == NotReached::TimedOut) {
        let with = |tried: &Tried| {
            let what = tried.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            format!("{}: {what}", name(tried))
        };
        return Port25::Refused { tried: tried.iter().map(with).collect() };
    }
    let names = tried.iter().map(name).collect();
    match who_answers(dns, probe, &tried, from, like).await {
        Some(answered) => Port25::Blocked { tried: names, answered },
        None => Port25::Silent { tried: names },
    }
}

/// Somebody among those who are silent on port 25 that answers on another port, be it with a refusal.
async fn who_answers(
    dns: &dyn Lookup,
    probe: &Probe,
    tried: &[Tried],
    from: Option<IpAddr>,
    like: Option<IpAddr>,
) -> Option<String> {
    let mut knocks = tokio::task::JoinSet::new();
    let mut knock = |host: &str, address: IpAddr, port: u16| {
        let (name, limit) = (format!("{} port {port}", Visible(host)), probe.time_limit);
        knocks.spawn(async move {
            let answer = connect(SocketAddr::new(address, port), from, limit).await;
            matches!(answer, Ok(_) | Err(NotReached::Refused(_))).then_some(name)
        });
    };
    for tried in tried {
        for port in probe.other_ports {
            knock(&tried.host, tried.address, port);
        }
        // Servers for mail alone may answer on no other port; the domain's own host does.
        if let Some(own) = address(dns, &tried.domain, from.or(like)).await {
            knock(&tried.domain, own, probe.other_ports[0]);
        }
    }
    while let Some(answer) = knocks.join_next().await {
        if let Ok(Some(name)) = answer {
            return Some(name); // the others are dropped
        }
    }
    None
}

/// What is said of it; `own` is the address that connections begin at.
pub(super) fn tell(port25: &Port25, own: IpAddr, other: Other, check: Check<'_>) {
    let (bad, why) = match other {
        Other::Open => (Grade::Warning, WHY_ONE_FAMILY),
        Other::None => (Grade::Fault, WHY_BLOCKED),
    };
    match port25 {
        Port25::NotAsked => {}
        Port25::Unknown(why) => check.unknown(format!("no server could be visited: {}", Visible(why))),
        Port25::Open { server } => check.right(format!("{server} greets")),
        Port25::Unwelcome { server, reply } => {
            let found = format!("port 25 is open, but {server} greets with {}", Visible(reply));
            let mend = "ask its operator why; its words often name a page";
            check.tell(Grade::Warning, found, WHY_UNWELCOME, mend);
        }
        Port25::NoAddress { detail } => {
            let found = format!("no connection can begin at its address: {detail}");
            let bits = if own.is_ipv4() { 32 } else { 128 };
            let mend = format!(
                "ip address add {own}/{bits} dev DEVICE (ip link names it), or correct address in its [[egress]]"
            );
            check.tell(bad, found, why, mend);
        }
        Port25::Blocked { tried, answered } => {
            let tried = tried.join(", ");
            let found = format!("your network blocks port 25: {tried} time out there, while {answered} answers");
            check.tell(bad, found, why, MEND_BLOCKED);
        }
        Port25::Silent { tried } => {
            let found = format!("nothing is reached from it, on no port: {} time out", tried.join(", "));
            let (version, to) = if own.is_ipv4() { (4, "192.0.2.1") } else { (6, "2001:db8::1") };
            let mend = format!("see whether the address is routed: ip -{version} route get {to} from {own}");
            check.tell(bad, found, why, mend);
        }
        Port25::Refused { tried } => {
            let found = format!("connections to port 25 are refused: {}", tried.join("; "));
            check.tell(bad, found, why, MEND_REFUSED);
        }
        Port25::NoServers => {
            check.unknown("DNS does not answer, or names no server to try that has an address of its family");
        }
    }
}

#[cfg(test)]
mod tests;
