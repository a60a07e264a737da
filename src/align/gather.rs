//! Asking DNS for the facts of one message. It weighs nothing.
//!
//! Signatures, SPF and DMARC are asked for side by side, each under a limit of its own: a name server of the sender's
//! choice that is silent leaves its own answer open, and no other. What cannot speak for the From domain is not asked
//! for. Read [`gather`] first.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::arc::{self, Chain};
use super::author::Author;
use super::dkim::signature::is_under;
use super::dkim::{Algorithm, Leaving, Outcome, Patience, check_within};
use super::dmarc::{Method, View, discover, organizational};
use super::dns::Lookup;
use super::facts::{Exit, Facts, Forwarded, Organizational, Own, Passed, Route, Seen, Signed, Smarthost};
use super::settings::{AlignSettings, Ed25519};
use super::spf::{Identity, Spf, SpfResult, check_host};
use super::together::{One, together};
use crate::clock::WallMs;
use crate::mail::{Domain, ReversePath};

/// A message as it will leave.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Our prefix and the received bytes.
    pub leaving: &'a Leaving<'a>,
    /// Its From.
    pub author: Author,
    /// Who gets its bounces.
    pub reverse_path: &'a ReversePath,
    /// The ways that its recipients' mail takes.
    pub routes: Vec<Leg<'a>>,
    /// Whether we have a key for the From domain.
    pub own: Own,
    /// What it says about being forwarded, and what we believe of that.
    pub claims: Claims,
    /// When.
    pub at: WallMs,
}

/// What a message says about being forwarded. Anybody can say it, so it counts from those alone whom we believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Its reverse-path was rewritten by one whom we believe.
    pub rewritten: bool,
    /// The newest seal of its chain is of one whom we believe; whether it holds is asked.
    pub sealed: bool,
    /// The chain is asked for in any case, for we are going to add to it.
    pub chain_wanted: bool,
    /// Who says it and is not believed.
    pub doubted: Option<Box<str>>,
}

/// One way.
#[derive(Debug, Clone)]
pub enum Leg<'a> {
    /// To the recipients' own servers, from one of these.
    Direct(Vec<Source<'a>>),
    /// To a smarthost.
    Smarthost(Smarthost),
}

/// An egress as receivers see it.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Its name.
    pub egress: &'a Arc<str>,
    /// Its public addresses: several where the system chooses among families; `None`: one that is not known.
    pub addresses: Vec<Option<IpAddr>>,
    /// Its EHLO name.
    pub ehlo: &'a str,
}

/// Gathers the facts, in about 15/16 of the time limit at most; of a From that is not one domain's those of each domain.
pub async fn gather(dns: &dyn Lookup, settings: &AlignSettings, subject: &Subject<'_>) -> Facts {
    let Some(domains) = subject.author.several() else { return gather_one(dns, settings, subject).await };
    let alone = |domain: &str| Subject {
        author: Author::Domain(domain.into()),
        routes: subject.routes.clone(),
        // Whether it is forwarded is asked once, for all.
        claims: Claims::default(),
        own: subject.own.clone(),
        ..*subject
    };
    let each: Vec<Subject<'_>> = domains.known().iter().map(|domain| alone(domain)).collect();
    let asking = each.iter().map(|subject| -> One<'_, Facts> { Box::pin(gather_one(dns, settings, subject)) });
    let (mut facts, mut each) = tokio::join!(gather_one(dns, settings, subject), together(asking.collect()));
    for of in &mut each {
        (of.forwarded, of.doubted, of.chain) = (facts.forwarded, facts.doubted.clone(), facts.chain.clone());
    }
    facts.each = each;
    facts
}

async fn gather_one(dns: &dyn Lookup, settings: &AlignSettings, subject: &Subject<'_>) -> Facts {
    // First what the message names; then, with what is left, how that relates to the From domain.
    let sixteenths = |n| settings.time_limit / 16 * n;
    let (first, second) = (sixteenths(10), sixteenths(5));
    let author = subject.author.domain();
    let now_s = subject.at.0 / 1_000;
    let wanted = |domain: &str| author.is_some_and(|author| may_relate(domain, author));
    let patience = Patience { signatures_max: settings.signatures_max, wanted: &wanted, time_limit: first };
    let (views, checked, legs, chain) = tokio::join!(
        views(dns, settings, author, first),
        check_within(dns, subject.leaving, now_s, patience),
        legs(dns, subject, first),
        chain(dns, subject, now_s, first),
    );
    let relating = Relating { dns, author, views: &views, until: Instant::now() + second };
    let signatures = checked.iter().map(|checked| -> One<'_, Organizational> {
        let counts = matches!(checked.outcome, Outcome::Fails(ref failure) if failure.is_temporary())
            || checked.outcome == Outcome::Pass;
        Box::pin(relating.of(&checked.domain, counts))
    });
    let (organizational, routes) = tokio::join!(together(signatures.collect()), relating.routes(&legs));
    let signatures = checked.into_iter().zip(organizational).map(|(mut checked, organizational)| {
        let few = settings.ed25519 == Ed25519::Ignored && checked.algorithm == Some(Algorithm::Ed25519Sha256);
        if few && checked.outcome == Outcome::Pass {
            checked.outcome = Outcome::PassesForFew;
        }
        Signed { checked, organizational }
    });
    let signatures = signatures.collect();
    let forwarded = if subject.claims.rewritten {
        Forwarded::Rewritten
    } else {
        match chain {
            Chain::Pass(_) if subject.claims.sealed => Forwarded::Sealed,
            Chain::NoDns(_) if subject.claims.sealed => Forwarded::NoDns,
            Chain::Pass(_) | Chain::NoDns(_) | Chain::None | Chain::Fail(_) | Chain::NotAsked => Forwarded::No,
        }
    };
    Facts {
        author: subject.author.clone(),
        views,
        signatures,
        routes,
        forwarded,
        doubted: subject.claims.doubted.clone(),
        chain,
        own: subject.own.clone(),
        each: Vec::new(),
    }
}

/// The chain, asked for where it is of one whom we believe or we are going to add to it.
async fn chain(dns: &dyn Lookup, subject: &Subject<'_>, now_s: u64, limit: Duration) -> Chain {
    if subject.claims.sealed || subject.claims.chain_wanted {
        return arc::verify(dns, subject.leaving, now_s, Instant::now() + limit).await;
    }
    if arc::newest_sealer(subject.leaving).is_some() { Chain::NotAsked } else { Chain::None }
}

type Views = [Result<View, Box<str>>];

/// Whether two domains may have one organizational domain, by their names alone: that one lies above both, and no two
/// organizations share more than a public suffix. Suffixes of several labels pass here and are told apart later.
pub(super) fn may_relate(domain: &str, author: &str) -> bool {
    let labels = domain.rsplit('.').zip(author.rsplit('.')).take_while(|(one, other)| one == other).count();
    labels >= 2 || domain == author
}

async fn views(
    dns: &dyn Lookup,
    settings: &AlignSettings,
    author: Option<&str>,
    limit: Duration,
) -> Vec<Result<View, Box<str>>> {
    let Some(author) = author else { return Vec::new() };
    let asking = Method::of(settings.discovery).iter().map(|method| -> One<'_, Result<View, Box<str>>> {
        Box::pin(async move {
            match timeout(limit, discover(dns, author, *method)).await {
                Ok(view) => view.map_err(|fault| fault.to_string().into()),
                Err(_) => Err("DNS takes too long".into()),
            }
        })
    });
    together(asking.collect()).await
}

/// An address and what SPF says of it; `None`: it is not known.
type Asked = Option<(IpAddr, Spf)>;

/// A way with what SPF says of it.
enum Walked<'a> {
    Direct(Vec<(&'a Source<'a>, Vec<Asked>)>),
    Smarthost(&'a Smarthost),
}

/// One egress after the other, for the answers of one serve the next; all of them under one limit.
async fn legs<'a>(dns: &dyn Lookup, subject: &'a Subject<'a>, limit: Duration) -> Vec<Walked<'a>> {
    let until = Instant::now() + limit;
    let mut legs = Vec::with_capacity(subject.routes.len());
    for leg in &subject.routes {
        let sources = match leg {
            Leg::Direct(sources) => sources,
            Leg::Smarthost(smarthost) => {
                legs.push(Walked::Smarthost(smarthost));
                continue;
            }
        };
        let mut walked = Vec::with_capacity(sources.len());
        for source in sources {
            let mut seen = Vec::with_capacity(source.addresses.len());
            for address in &source.addresses {
                seen.push(match address {
                    None => None,
                    Some(address) => {
                        Some((*address, spf(dns, subject.reverse_path, *address, source.ehlo, until).await))
                    }
                });
            }
            walked.push((source, seen));
        }
        legs.push(Walked::Direct(walked));
    }
    legs
}

/// SPF of the reverse-path, or of the EHLO name where that is null (RFC 7208 2.4).
async fn spf(dns: &dyn Lookup, reverse_path: &ReversePath, address: IpAddr, ehlo: &str, until: Instant) -> Spf {
    let (sender, domain) = match reverse_path {
        ReversePath::Null => (format!("postmaster@{ehlo}"), ehlo.to_ascii_lowercase()),
        ReversePath::Address(path) => match path.domain() {
            Domain::Name(name) => (format!("{}@{name}", path.local_part()), name.to_string()),
            Domain::Literal(_) => (path.to_string(), String::new()),
        },
    };
    let checking = check_host(dns, Identity { address, sender: &sender, ehlo }, &domain);
    timeout_at(until, checking).await.unwrap_or_else(|_| Spf {
        result: SpfResult::TempError,
        domain: domain.clone().into(),
        lookups: 0,
        voids: 0,
        detail: "DNS takes too long".into(),
    })
}

/// How authenticated domains relate to the From domain.
struct Relating<'a> {
    dns: &'a dyn Lookup,
    author: Option<&'a str>,
    views: &'a Views,
    until: Instant,
}

impl Relating<'_> {
    /// The organizational domain for each view, or the domain itself where it can be no other's. `counts`: whether
    /// anything depends on it.
    async fn of(&self, domain: &str, counts: bool) -> Organizational {
        let mut found = Vec::with_capacity(self.views.len());
        for view in self.views {
            found.push(match view {
                Ok(view) if Some(domain) == self.author => Some(view.organizational.clone()),
                // Its organizational domain lies above it, so the From domain's is another.
                Ok(view) if !is_under(domain, &view.organizational) => Some(domain.into()),
                Ok(view) if counts && !domain.is_empty() => {
                    let asking = organizational(self.dns, domain, view.compares_by);
                    timeout_at(self.until, asking).await.ok().and_then(Result::ok)
                }
                Ok(_) | Err(_) => None,
            });
        }
        found
    }

    async fn routes(&self, legs: &[Walked<'_>]) -> Vec<Route> {
        // All exits name the same domain, but for the EHLO names of a null reverse-path.
        let mut known: Vec<(Box<str>, Organizational)> = Vec::new();
        let mut routes = Vec::with_capacity(legs.len());
        for leg in legs {
            let walked = match leg {
                Walked::Smarthost(smarthost) => {
                    routes.push(Route::Smarthost((*smarthost).clone()));
                    continue;
                }
                Walked::Direct(walked) => walked,
            };
            let mut exits = Vec::with_capacity(walked.len());
            for (source, seen) in walked {
                let mut shown = Vec::with_capacity(seen.len());
                for seen in seen {
                    let Some((address, spf)) = seen else {
                        shown.push(Seen::Unknown);
                        continue;
                    };
                    let organizational = match known.iter().find(|(domain, _)| *domain == spf.domain) {
                        Some((_, organizational)) => organizational.clone(),
                        None => self.of(&spf.domain, true).await,
                    };
                    known.push((spf.domain.clone(), organizational.clone()));
                    shown.push(Seen::From(*address, Passed { spf: spf.clone(), organizational }));
                }
                exits.push(Exit { egress: Arc::clone(source.egress), seen: shown });
            }
            routes.push(Route::Direct(exits));
        }
        routes
    }
}

/// `SRS0=` and `SRS1=`, with any of the separators in use.
pub fn is_rewritten(reverse_path: &ReversePath) -> bool {
    let local = reverse_path.address().map_or("", |address| address.local_part()).as_bytes();
    local.get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case(b"SRS0") || tag.eq_ignore_ascii_case(b"SRS1"))
        && local.get(4).is_some_and(|separator| b"=+-".contains(separator))
}
