//! Asking DNS, and a few servers, what the doctor wants to know.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::mailbox::{self, Deliverable};
use super::port25::{self, Port25, Probe};
use super::{DomainFacts, EgressFacts, Facts, KeyFacts, Listed};
use crate::align::dkim::verify::key_record;
use crate::align::dmarc::{Method, discover};
use crate::align::dns::{Data, Kind, Lookup, NoAnswer, reverse_name};
use crate::align::settings::Dnssec;
use crate::align::spf::{Identity, check_host};

/// An egress that is to be examined.
#[derive(Debug, Clone)]
pub struct Patient {
    /// Its name.
    pub name: String,
    /// Where its connections start; `None`: the system's choice.
    pub local: Option<IpAddr>,
    /// What the world sees.
    pub address: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: String,
    /// Whose servers it connects to.
    pub reach: Reach,
}

/// Whose servers an egress connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of recipients, on port 25.
    Anybodys,
    /// Those of configured smarthosts alone.
    Smarthosts,
}

/// A sending domain that is to be examined.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The domain.
    pub domain: String,
    /// Names of the egresses that may carry its mail to the recipients' own servers.
    pub egresses: Vec<String>,
    /// Smarthosts, with their ports, that its mail may go through.
    pub smarthosts: Vec<String>,
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

/// What the doctor is asked to look at.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The egresses.
    pub egresses: Vec<Patient>,
    /// The sending domains.
    pub senders: Vec<Sender>,
    /// The keys that sign.
    pub keys: Vec<KeyWanted>,
    /// Zones of lists in the DNS.
    pub lists: Vec<String>,
    /// How it is found out whether port 25 can be reached.
    pub probe: Probe,
    /// Local parts that each sending domain must take mail for.
    pub mailboxes: Vec<String>,
    /// Whether the signatures of answers are checked.
    pub dnssec: Dnssec,
    /// Whether the kernel calls the clock right.
    pub clock_synchronised: bool,
}

/// Names of one address that are looked at.
const NAMES_MAX: usize = 10;

/// Egresses and domains whose servers are visited at once.
const VISITS_MAX: usize = 8;

/// Asks everything. Dropped, it leaves every server.
pub async fn gather(dns: &Arc<dyn Lookup>, asked: &Asked) -> Facts {
    let turns = Arc::new(Semaphore::new(VISITS_MAX));
    let (mut ports, mut mailboxes) = (JoinSet::new(), JoinSet::new());
    for (at, egress) in asked.egresses.iter().enumerate().filter(|(_, egress)| egress.reach == Reach::Anybodys) {
        let probing = port25::probe(Arc::clone(dns), Arc::new(asked.probe.clone()), egress.local, egress.address);
        ports.spawn(in_turn(Arc::clone(&turns), at, probing));
    }
    for (at, sender) in asked.senders.iter().enumerate().filter(|_| !asked.mailboxes.is_empty()) {
        let Some(question) = mailbox_question(asked, sender) else { continue };
        mailboxes.spawn(in_turn(Arc::clone(&turns), at, mailbox::ask(Arc::clone(dns), question)));
    }
    let mut facts = Facts { egresses: Vec::new(), domains: Vec::new(), clock_synchronised: asked.clock_synchronised };
    for egress in &asked.egresses {
        facts.egresses.push(of_egress(&**dns, egress, &asked.lists).await);
    }
    for sender in &asked.senders {
        facts.domains.push(of_sender(&**dns, sender, asked).await);
    }
    for (at, port25) in ports.join_all().await {
        facts.egresses[at].port25 = port25;
    }
    for (at, deliverable) in mailboxes.join_all().await {
        facts.domains[at].mailboxes = deliverable;
    }
    facts
}

async fn in_turn<T>(turns: Arc<Semaphore>, at: usize, visit: impl Future<Output = T>) -> (usize, T) {
    let _turn = turns.acquire().await; // nobody closes it
    (at, visit.await)
}

/// From the first egress that carries the domain's mail, else from the first of all.
fn mailbox_question(asked: &Asked, sender: &Sender) -> Option<mailbox::Question> {
    let carries = |egress: &&Patient| sender.egresses.contains(&egress.name);
    let egress = asked.egresses.iter().find(carries).or(asked.egresses.first())?;
    Some(mailbox::Question {
        domain: sender.domain.clone(),
        mailboxes: asked.mailboxes.clone(),
        from: egress.local,
        like: egress.address,
        ehlo: egress.ehlo.clone(),
        time_limit: asked.probe.time_limit,
        port: asked.probe.port,
    })
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
        port25: Port25::NotAsked,
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

async fn of_sender(dns: &dyn Lookup, sender: &Sender, asked: &Asked) -> DomainFacts {
    let domain = sender.domain.as_str();
    let mut spf = Vec::new();
    let reverse_path = format!("postmaster@{domain}");
    for egress in asked.egresses.iter().filter(|egress| sender.egresses.contains(&egress.name)) {
        let Some(address) = egress.address else { continue };
        let identity = Identity { address, sender: &reverse_path, ehlo: &egress.ehlo };
        spf.push((egress.name.clone(), address, check_host(dns, identity, domain).await));
    }
    let mut published = Vec::new();
    for key in asked.keys.iter().filter(|key| key.domain == domain) {
        let found = key_record(dns, &key.name).await;
        published.push(KeyFacts { name: key.name.clone(), record: key.record.clone(), published: found });
    }
    let reply = dns.ask(domain, Kind::Exchange).await;
    let assurance = match (&asked.dnssec, &reply.answer) {
        (Dnssec::Off, _) => None,
        // Of nothing nothing is signed; its text records may be.
        (Dnssec::Validate { .. }, Err(fault)) if fault.is_certain() => {
            let text = dns.ask(domain, Kind::Text).await;
            Some(text.answer.map(|_| text.assurance))
        }
        (Dnssec::Validate { .. }, answer) => Some(answer.clone().map(|_| reply.assurance)),
    };
    let exchanges = reply.answer.map(|records| {
        records.iter().filter_map(|d| if let Data::Exchange(_, host) = d { Some(host.clone()) } else { None }).collect()
    });
    DomainFacts {
        domain: domain.to_owned(),
        spf,
        smarthosts: sender.smarthosts.clone(),
        dmarc: discover(dns, domain, Method::TreeWalk).await,
        keys: published,
        exchanges,
        assurance,
        mailboxes: Vec::<(String, Deliverable)>::new(),
    }
}
