//! Asking DNS, and a few servers, what the doctor wants to know: all of it side by side, in bounded width and time.
//!
//! What is asked about one thing is a *part*, with a time limit of its own; all parts together have another. A part that
//! does not come in time stays what it was before anybody asked: not known. Nothing else waits for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::counted::Counted;
use super::mailbox::{self, Deliverable};
use super::port25::{self, Port25, Probe};
use super::questions::{addresses, exchanges, listed, names, spf, spf_record};
use super::{DomainFacts, EgressFacts, Facts, KeyFacts, Listed, SpfFacts, WayFacts};
use crate::align::dkim::Failure;
use crate::align::dkim::verify::key_record;
use crate::align::dmarc::{Method, discover};
use crate::align::dns::{Lookup, NoAnswer};
use crate::align::settings::Dnssec;
use crate::mail::ListZone;

/// An egress that is to be examined.
#[derive(Debug, Clone)]
pub struct Patient {
    /// Its name.
    pub name: String,
    /// Where its connections start; `None`: the system's choice.
    pub local: Option<IpAddr>,
    /// How the world may see it: one way where an address is written, else one for each family that has a way out. Empty:
    /// nothing leaves this machine.
    pub ways: Vec<Way>,
    /// Its EHLO name.
    pub ehlo: String,
    /// Whose servers it connects to.
    pub reach: Reach,
}

/// How the world may see an egress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// `IPv4` or `IPv6` where the system chooses; empty where an address is written.
    pub about: &'static str,
    /// An address of the family that it connects by.
    pub like: IpAddr,
    /// What the world sees; `None`: not known.
    pub address: Option<IpAddr>,
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
    /// Why it is looked at: what names it, who sent in its name. A sentence.
    pub origin: String,
    /// The domain whose keys sign its mail: itself, or one above it.
    pub signed_as: String,
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

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For what DNS says of one thing, once its turn has come: a record, a list.
    pub question: Duration,
    /// For one visit, to several servers if need be.
    pub visit: Duration,
    /// For everything.
    pub whole: Duration,
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
    pub lists: Vec<ListZone>,
    /// How it is found out whether port 25 can be reached.
    pub probe: Probe,
    /// Local parts that each sending domain must take mail for.
    pub mailboxes: Vec<String>,
    /// Whether the signatures of answers are checked.
    pub dnssec: Dnssec,
    /// Whether the kernel calls the clock right.
    pub clock_synchronised: bool,
    /// How long is waited.
    pub patience: Patience,
    /// For servers that take nothing in the clear; no certificate is asked for.
    pub tls: Arc<ClientConfig>,
}

/// Parts that ask DNS alone, at once.
const QUESTIONS_MAX: usize = 32;
/// Parts that visit servers, at once: large receivers, and as many of the domains' own.
const VISITS_MAX: usize = 8;

/// Asks everything. Dropped, it leaves every server.
pub async fn gather(dns: &Arc<dyn Lookup>, asked: &Asked) -> Facts {
    let counted = Arc::new(Counted::new(Arc::clone(dns)));
    let dns: Arc<dyn Lookup> = counted.clone();
    let mut facts = nothing_known(asked);
    let mut parts = Parts::new(asked.patience);
    for (at, egress) in asked.egresses.iter().enumerate() {
        of_egress(&mut parts, &dns, asked, egress, at);
    }
    for (at, sender) in asked.senders.iter().enumerate() {
        of_sender(&mut parts, &dns, asked, sender, at);
    }
    let all = async {
        while let Some(part) = parts.running.join_next().await {
            if let Ok(Some(told)) = part {
                told(&mut facts);
            }
        }
    };
    let _ = tokio::time::timeout(asked.patience.whole, all).await; // the rest stays unknown
    facts.dns = counted.answered();
    facts
}

/// Takes what a part found to its place.
type Told = Box<dyn FnOnce(&mut Facts) + Send>;

/// What is under way, or waits for its turn.
struct Parts {
    /// `None`: it did not come in time.
    running: JoinSet<Option<Told>>,
    questions: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    mailboxes: Arc<Semaphore>,
    patience: Patience,
}

impl Parts {
    fn new(patience: Patience) -> Self {
        let places = |most| Arc::new(Semaphore::new(most));
        let (questions, probes, mailboxes) = (places(QUESTIONS_MAX), places(VISITS_MAX), places(VISITS_MAX));
        Self { running: JoinSet::new(), questions, probes, mailboxes, patience }
    }

    /// A part that asks DNS alone.
    fn ask<T: Send + 'static>(
        &mut self,
        part: impl Future<Output = T> + Send + 'static,
        put: impl FnOnce(&mut Facts, T) + Send + 'static,
    ) {
        self.begin(Arc::clone(&self.questions), self.patience.question, part, put);
    }

    /// A part that visits a large receiver.
    fn probe<T: Send + 'static>(
        &mut self,
        part: impl Future<Output = T> + Send + 'static,
        put: impl FnOnce(&mut Facts, T) + Send + 'static,
    ) {
        self.begin(Arc::clone(&self.probes), self.patience.visit, part, put);
    }

    /// A part that visits a domain's own servers.
    fn visit<T: Send + 'static>(
        &mut self,
        part: impl Future<Output = T> + Send + 'static,
        put: impl FnOnce(&mut Facts, T) + Send + 'static,
    ) {
        self.begin(Arc::clone(&self.mailboxes), self.patience.visit, part, put);
    }

    fn begin<T: Send + 'static>(
        &mut self,
        places: Arc<Semaphore>,
        limit: Duration,
        part: impl Future<Output = T> + Send + 'static,
        put: impl FnOnce(&mut Facts, T) + Send + 'static,
    ) {
        self.running.spawn(async move {
            let _place = places.acquire().await; // nobody closes it
            let found = tokio::time::timeout(limit, part).await.ok()?;
            Some(Box::new(move |facts: &mut Facts| put(facts, found)) as Told)
        });
    }
}

/// What is told of a part that did not come in time.
fn too_late(patience: Patience) -> Box<str> {
    let (question, visit, whole) = (patience.question.as_secs(), patience.visit.as_secs(), patience.whole.as_secs());
    format!("no answer in time (DNS {question} s, a server {visit} s, everything {whole} s)").into()
}

/// Everything that is asked, before anybody has answered.
fn nothing_known(asked: &Asked) -> Facts {
    let late = too_late(asked.patience);
    let failed = || NoAnswer::Failed(late.clone());
    let lists = || asked.lists.iter().map(|zone| (zone.clone(), Listed::Unknown(late.clone()))).collect();
    let probed = |egress: &Patient| {
        let is_asked = egress.reach == Reach::Anybodys && !asked.probe.domains.is_empty();
        if is_asked { Port25::Unknown(late.clone()) } else { Port25::NotAsked }
    };
    let way = |egress: &Patient, way: &Way| WayFacts {
        about: way.about,
        like: way.like,
        address: way.address,
        port25: probed(egress),
        names: Err(failed()),
        ehlo_addresses: Err(failed()),
        lists: lists(),
    };
    let egress = |egress: &Patient| EgressFacts {
        name: egress.name.clone(),
        local: egress.local,
        ehlo: egress.ehlo.clone(),
        ways: egress.ways.iter().map(|one| way(egress, one)).collect(),
    };
    let key = |key: &KeyWanted| KeyFacts {
        name: key.name.clone(),
        record: key.record.clone(),
        published: Err(Failure::NoDns(late.clone())),
    };
    let domain = |sender: &Sender| DomainFacts {
        domain: sender.domain.clone(),
        origin: sender.origin.clone(),
        spf: seen_for(asked, sender)
            .map(|(egress, about, address)| SpfFacts::not_known(egress, about, address, &sender.domain, &late))
            .collect(),
        spf_record: None,
        smarthosts: sender.smarthosts.clone(),
        dmarc: Err(failed()),
        keys: asked.keys.iter().filter(|wanted| wanted.domain == sender.signed_as).map(key).collect(),
        exchanges: Err(failed()),
        assurance: (asked.dnssec != Dnssec::Off).then(|| Err(failed())),
        mailboxes: asked
            .mailboxes
            .iter()
            .map(|mailbox| (mailbox.clone(), Deliverable::Unknown(late.clone().into())))
            .collect(),
    };
    Facts {
        egresses: asked.egresses.iter().map(egress).collect(),
        domains: asked.senders.iter().map(domain).collect(),
        clock_synchronised: asked.clock_synchronised,
        dns: super::Answered::default(),
    }
}

/// Each address that receivers may see the domain's mail come from, with its egress.
fn seen_for<'a>(
    asked: &'a Asked,
    sender: &'a Sender,
) -> impl Iterator<Item = (&'a Patient, &'static str, IpAddr)> + 'a {
    let carries = asked.egresses.iter().filter(|egress| sender.egresses.contains(&egress.name));
    carries.flat_map(|egress| egress.ways.iter().filter_map(move |way| Some((egress, way.about, way.address?))))
}

fn of_egress(parts: &mut Parts, dns: &Arc<dyn Lookup>, asked: &Asked, egress: &Patient, at: usize) {
    let probe = Arc::new(asked.probe.clone());
    for (nth, way) in egress.ways.iter().enumerate() {
        if egress.reach == Reach::Anybodys {
            let probing = port25::probe(Arc::clone(dns), Arc::clone(&probe), egress.local, Some(way.like));
            parts.probe(probing, move |facts, found| facts.egresses[at].ways[nth].port25 = found);
        }
        let Some(address) = way.address else { continue };
        let asking = Arc::clone(dns);
        let reversed = async move { names(&*asking, address).await };
        parts.ask(reversed, move |facts, found| facts.egresses[at].ways[nth].names = found);
        let (asking, ehlo) = (Arc::clone(dns), egress.ehlo.clone());
        let forward = async move { addresses(&*asking, &ehlo, address).await };
        parts.ask(forward, move |facts, found| facts.egresses[at].ways[nth].ehlo_addresses = found);
        for (list, zone) in asked.lists.iter().enumerate() {
            let (asking, zone) = (Arc::clone(dns), zone.clone());
            let listing = async move { listed(&*asking, address, &zone).await };
            parts.ask(listing, move |facts, found| facts.egresses[at].ways[nth].lists[list].1 = found);
        }
    }
}

fn of_sender(parts: &mut Parts, dns: &Arc<dyn Lookup>, asked: &Asked, sender: &Sender, at: usize) {
    let domain: Arc<str> = sender.domain.as_str().into();
    for (nth, (egress, _, address)) in seen_for(asked, sender).enumerate() {
        let (asking, domain, ehlo) = (Arc::clone(dns), Arc::clone(&domain), egress.ehlo.clone());
        let judging = async move { spf(&*asking, &domain, address, &ehlo).await };
        parts.ask(judging, move |facts, found| facts.domains[at].spf[nth].spf = found);
    }
    for (nth, key) in asked.keys.iter().filter(|key| key.domain == sender.signed_as).enumerate() {
        let (asking, name) = (Arc::clone(dns), key.name.clone());
        let published = async move { key_record(&*asking, &name).await };
        parts.ask(published, move |facts, found| facts.domains[at].keys[nth].published = found);
    }
    let (asking, author) = (Arc::clone(dns), Arc::clone(&domain));
    let record = async move { spf_record(&*asking, &author).await };
    parts.ask(record, move |facts, found| facts.domains[at].spf_record = found);
    let (asking, author) = (Arc::clone(dns), Arc::clone(&domain));
    let policy = async move { discover(&*asking, &author, Method::TreeWalk).await };
    parts.ask(policy, move |facts, found| facts.domains[at].dmarc = found);
    let half = asked.patience.question / 2;
    let (asking, dnssec, author) = (Arc::clone(dns), asked.dnssec.clone(), Arc::clone(&domain));
    let hosts = async move { exchanges(&*asking, &author, &dnssec, half).await };
    parts.ask(hosts, move |facts, (exchanges, assurance)| {
        facts.domains[at].exchanges = exchanges;
        facts.domains[at].assurance = assurance;
    });
    if !asked.mailboxes.is_empty()
        && let Some(question) = mailbox_question(asked, sender)
    {
        let asking = mailbox::ask(Arc::clone(dns), question);
        parts.visit(asking, move |facts, found| facts.domains[at].mailboxes = found);
    }
}

/// From the egresses that carry the domain's mail, else from the first of all.
fn mailbox_question(asked: &Asked, sender: &Sender) -> Option<mailbox::Question> {
    let carries = |egress: &&Patient| sender.egresses.contains(&egress.name);
    let mut egresses: Vec<&Patient> = asked.egresses.iter().filter(carries).collect();
    if egresses.is_empty() {
        egresses.push(asked.egresses.first()?);
    }
    let ask_by = |egress: &Patient, way: Option<&Way>| mailbox::Asker {
        from: egress.local,
        like: way.map(|way| way.like),
        seen: way.and_then(|way| way.address),
        ehlo: egress.ehlo.clone(),
    };
    let askers = egresses.iter().flat_map(|egress| match egress.ways.as_slice() {
        [] => vec![ask_by(egress, None)],
        ways => ways.iter().map(|way| ask_by(egress, Some(way))).collect(),
    });
    Some(mailbox::Question {
        domain: sender.domain.clone(),
        mailboxes: asked.mailboxes.clone(),
        askers: askers.collect(),
        time_limit: asked.probe.time_limit,
        whole: asked.patience.visit.mul_f32(0.9),
        port: asked.probe.port,
        tls: Arc::clone(&asked.tls),
    })
}
