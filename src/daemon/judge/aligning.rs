//! Alignment at the final dot: our signature, what receivers will make of the message, and from where it may leave.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;

use crate::align::arc::seal::{Found, seal};
use crate::align::author::Author;
use crate::align::dkim::Leaving;
use crate::align::dns::{Cached, Hickory, Lookup};
use crate::align::facts::{Demands, Facts, Forwarded, Own, Smarthost};
use crate::align::gather::{Leg, Source, Subject, gather, is_rewritten};
use crate::align::settings::{AlignSettings, Deed, Judge};
use crate::align::sign::{KeyFault, Permission, Signer, Speaker};
use crate::align::verdict::{Finding, judge, not_signed};
use crate::clock::Clock;
use crate::delivery::route::{Plan, Target};
use crate::delivery::{Egress, Router};
use crate::guard::{Decision, Reason};
use crate::intake::judge::Asked;
use crate::mail::Domain;
use crate::message::Message;
use crate::store::{Body, Destination};

/// Everything that alignment needs of one reading of the configuration.
pub(in crate::daemon) struct Aligning {
    settings: AlignSettings,
    signer: Signer,
    dns: Arc<dyn Lookup>,
    /// Who seals; and all names of this machine and its MTAs, that one first.
    own_names: Vec<String>,
    /// What the world sees of an egress that has no address written, where the system's choice is a public one.
    system_address: Option<IpAddr>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum AligningError {
    /// A key cannot be used.
    #[error("{0}")]
    Key(#[from] KeyFault),
    /// The resolver cannot be set up.
    #[error("{0}")]
    Dns(#[from] crate::align::dns::NoAnswer),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    /// What receivers will make of it; `None`: it was not judged.
    pub finding: Option<Finding>,
    /// Signatures and seals, whole fields.
    pub fields: String,
    /// Why there is no signature of a domain that has a key.
    pub not_signed: Option<Reason>,
    /// Where the recipients' mail goes, where not all egresses may carry it.
    pub destinations: Option<Vec<Destination>>,
}

impl Aligned {
    /// The lines of evidence.
    pub(super) fn reasons(&self) -> impl Iterator<Item = Reason> + '_ {
        self.finding.as_ref().and_then(Finding::reason).into_iter().chain(self.not_signed.clone())
    }

    /// What its line is called; empty where it was not judged.
    pub(super) fn name(&self) -> &'static str {
        self.finding.as_ref().map_or("", |finding| finding.name)
    }

    /// What is done for it, whatever the score.
    pub(super) fn at_least(&self) -> Decision {
        match self.finding.as_ref().and_then(|finding| finding.deed) {
            None | Some(Deed::Send | Deed::Points(_)) => Decision::Send,
            Some(Deed::Hold) => Decision::Hold,
            Some(Deed::Reject) => Decision::Reject,
        }
    }
}

impl Aligning {
    /// For a configuration. `own_names` are the names of this machine and its MTAs, outguard's first. The answers that `before` knows stay known, where the resolver is the same.
    pub(in crate::daemon) fn new(
        settings: &AlignSettings,
        own_names: Vec<String>,
        clock: Arc<dyn Clock>,
        before: Option<&Self>,
    ) -> Result<Self, AligningError> {
        let signer = Signer::new(&settings.signing)?;
        let dns: Arc<dyn Lookup> = match before {
            Some(before) if before.settings.dns == settings.dns => Arc::clone(&before.dns),
            Some(_) | None => Arc::new(Cached::new(Hickory::new(&settings.dns)?, &settings.dns, clock)),
        };
        let system_address = system_address();
        Ok(Self { settings: settings.clone(), signer, dns, own_names, system_address })
    }

    /// Whether there is anything to do.
    pub(super) fn is_on(&self) -> bool {
        self.settings.judge == Judge::All || !self.signer.keys().is_empty()
    }

    /// Signs, then judges what will leave.
    pub(super) async fn aligned(&self, asked: &Asked<'_>, message: &Message, router: &Router) -> Aligned {
        let author = Author::of(message);
        let Some(unsigned) = leaving(&[&asked.bytes], asked).await else {
            return Aligned {
                finding: self.unsure("its header is too long, or it cannot be read"),
                ..Aligned::default()
            };
        };
        let from = author.domain().unwrap_or_default();
        let (signature, own) = self.signed(asked, message, &unsigned, from);
        let not_signed = not_signed(&own, from);
        let mut fields = String::from_utf8_lossy(&signature).into_owned();
        if self.settings.judge == Judge::Nothing {
            return Aligned { fields, not_signed, ..Aligned::default() };
        }
        let pieces = [&*signature, &*asked.bytes];
        // The same body under one field more.
        let Some(leaving) = leaving(&pieces, asked).await else {
            return Aligned {
                finding: self.unsure("its header is too long"),
                fields,
                not_signed,
                ..Aligned::default()
            };
        };
        let ways = Ways::of(asked, router);
        let subject = Subject {
            leaving: &leaving,
            author,
            reverse_path: &asked.envelope.reverse_path,
            routes: self.legs(&ways),
            own,
            at: asked.at.wall,
        };
        let gathering = gather(self.dns.as_ref(), &self.settings, &subject);
        let Ok(facts) = tokio::time::timeout(self.settings.time_limit, gathering).await else {
            return Aligned { finding: self.unsure("DNS takes too long"), fields, not_signed, ..Aligned::default() };
        };
        let finding = judge(&facts, &self.settings.deeds);
        fields.insert_str(0, &self.sealed(&facts, &leaving, asked));
        let destinations = ways.restricted(asked.destinations, &finding);
        Aligned { finding: Some(finding), fields, not_signed, destinations }
    }

    /// Our signature, and whether there is a key for it.
    fn signed(&self, asked: &Asked<'_>, message: &Message, unsigned: &Leaving<'_>, from: &str) -> (Vec<u8>, Own) {
        let speaker = Speaker { account: asked.account, source: asked.source, own_names: &self.own_names };
        match self.signer.permits(from, speaker) {
            Permission::NoKey => (Vec::new(), Own::NoKey),
            Permission::Refused(domain) => (Vec::new(), Own::NotForAccount(domain, asked.account.clone())),
            Permission::Granted if is_ours_to_sign(asked, message) => {
                (self.signer.sign_for(speaker, unsigned, from, asked.at.wall), Own::Key)
            }
            Permission::Granted => (Vec::new(), Own::Key),
        }
    }

    fn unsure(&self, why: &str) -> Option<Finding> {
        (self.settings.judge == Judge::All).then(|| Finding::unsure(why, 0, &self.settings.deeds))
    }

    /// Forwarded mail of others is sealed, if that is wanted.
    fn sealed(&self, facts: &Facts, leaving: &Leaving<'_>, asked: &Asked<'_>) -> String {
        let Some(key) = self.signer.sealer().filter(|_| facts.forwarded != Forwarded::No && facts.own == Own::NoKey)
        else {
            return String::new();
        };
        let checked: Vec<_> = facts.signatures.iter().map(|signed| signed.checked.clone()).collect();
        let found =
            Found { by: self.own_names.first().map_or("", String::as_str), chain: &facts.chain, signatures: &checked };
        String::from_utf8_lossy(&seal(key, leaving, found, asked.at.wall)).into_owned()
    }

    fn legs<'a>(&self, ways: &'a Ways) -> Vec<Leg<'a>> {
        let source = |egress: &'a Arc<Egress>| Source {
            egress: &egress.name,
            address: address_of(egress, self.system_address),
            ehlo: &egress.ehlo,
        };
        let leg = |plan: &'a Plan| match &plan.target {
            Target::Mx { .. } => Leg::Direct(plan.egresses.iter().map(source).collect()),
            Target::Smarthost { host, .. } => Leg::Smarthost(Smarthost {
                host: Arc::clone(host),
                login_domain: plan.login.as_ref().and_then(|login| domain_of(&login.user)),
                demands: Demands::of_host(host),
            }),
        };
        ways.plans.iter().map(leg).collect()
    }
}

/// The message as it will leave. One that is longer than what was asked about is read from the spool.
async fn leaving<'a>(pieces: &[&'a [u8]], asked: &Asked<'_>) -> Option<Leaving<'a>> {
    let leaving = Leaving::new(pieces).ok()?;
    let Body::Spooled(file) = asked.body else { return Some(leaving) };
    if asked.bytes.len() as u64 == asked.message_bytes {
        return Some(leaving);
    }
    let header_bytes = asked.bytes.len() - leaving.body_bytes().min(asked.bytes.len());
    let hashing = (leaving.hashing(), header_bytes);
    let (hashing, _) = file
        .fold(hashing, |(hashing, skip), piece| {
            let body = &piece[(*skip).min(piece.len())..];
            *skip -= piece.len() - body.len();
            hashing.update(body);
        })
        .await
        .ok()?;
    Some(leaving.with_body(hashing))
}

/// The ways that a message's recipients take: each once.
struct Ways {
    plans: Vec<Plan>,
    /// Of each destination; `None`: it waits for a configuration that has one.
    of: Vec<Option<usize>>,
}

impl Ways {
    fn of(asked: &Asked<'_>, router: &Router) -> Self {
        let mut ways = Self { plans: Vec::new(), of: Vec::with_capacity(asked.destinations.len()) };
        let mut known: Vec<(&Destination, Option<usize>)> = Vec::new();
        for destination in asked.destinations {
            let before = known.iter().find(|(before, _)| *before == destination).map(|(_, way)| *way);
            let way = before.unwrap_or_else(|| {
                let way = router.plan(destination).ok().map(|plan| ways.add(plan));
                known.push((destination, way));
                way
            });
            ways.of.push(way);
        }
        ways
    }

    fn add(&mut self, plan: Plan) -> usize {
        // For alignment the recipients' domains make no difference.
        let same = |known: &Plan| {
            let login = |plan: &Plan| plan.login.as_ref().map(|login| login.user.clone());
            known.route == plan.route && login(known) == login(&plan)
        };
        self.plans.iter().position(same).unwrap_or_else(|| {
            self.plans.push(plan);
            self.plans.len() - 1
        })
    }

    /// The destinations with the egresses that were chosen; `None`: as they are.
    fn restricted(&self, destinations: &[Destination], finding: &Finding) -> Option<Vec<Destination>> {
        if finding.egresses.iter().all(Option::is_none) {
            return None;
        }
        let restricted = destinations.iter().zip(&self.of).map(|(destination, way)| {
            match way.and_then(|way| finding.egresses.get(way)?.as_ref()) {
                Some(egresses) => Router::restricted(destination, egresses),
                None => destination.clone(),
            }
        });
        Some(restricted.collect())
    }
}

/// The domain of a login that is an address.
fn domain_of(user: &str) -> Option<Box<str>> {
    match Domain::parse(user.rsplit_once('@')?.1).ok()? {
        Domain::Name(name) => Some(name),
        Domain::Literal(_) => None,
    }
}

/// Whether the world sees the address as we do.
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local())
        }
    }
}

/// What the world sees of an egress, as far as it is known.
pub(in crate::daemon) fn seen_address(egress: &Egress) -> Option<IpAddr> {
    address_of(egress, system_address())
}

fn address_of(egress: &Egress, system: Option<IpAddr>) -> Option<IpAddr> {
    let chosen_by_system = system.filter(|_| egress.address.is_none());
    egress.public_address.or(egress.address.filter(is_public)).or(chosen_by_system)
}

/// Where the system's connections to the world start, if that is a public address. Nothing is sent.
fn system_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Any address of the world that stands for none in particular (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(is_public)
}

/// Whether what stands in From is this site's word. Mail that is only passed on is another's: who writes one of our
/// domains into it must not get our signature. And a first line that begins with a space would run on in our field.
fn is_ours_to_sign(asked: &Asked<'_>, message: &Message) -> bool {
    let begins_a_field = asked.bytes.first().is_some_and(|byte| !matches!(byte, b' ' | b'\t'));
    let is_passed_on = is_rewritten(&asked.envelope.reverse_path) || message.field("ARC-Seal").is_some();
    begins_a_field && !is_passed_on
}
