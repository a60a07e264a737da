//! Asking DNS for the facts of one message. It weighs nothing.

use std::net::IpAddr;
use std::sync::Arc;

use super::arc;
use super::author::Author;
use super::dkim::{Leaving, check};
use super::dmarc::{Method, View, discover, organizational};
use super::dns::Lookup;
use super::facts::{Exit, Facts, Forwarded, Organizational, Own, Passed, Route, Signed, Smarthost};
use super::settings::AlignSettings;
use super::spf::{Identity, check_host};
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
    /// When.
    pub at: WallMs,
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
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name.
    pub egress: &'a Arc<str>,
    /// Its public address, where it is known.
    pub address: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: &'a str,
}

/// Gathers the facts. It ends when DNS does; the caller sets the time.
pub async fn gather(dns: &dyn Lookup, settings: &AlignSettings, subject: &Subject<'_>) -> Facts {
    let methods = Method::of(settings.discovery);
    let mut views = Vec::new();
    if let Some(domain) = subject.author.domain() {
        for method in methods {
            let view = discover(dns, domain, *method).await;
            views.push(view.map_err(|fault| fault.to_string().into()));
        }
    }
    let now_s = subject.at.0 / 1_000;
    let checked = check(dns, subject.leaving, now_s, settings.signatures_max).await;
    let mut signatures = Vec::with_capacity(checked.len());
    for checked in checked {
        let organizational = of_views(dns, &checked.domain, &views).await;
        signatures.push(Signed { checked, organizational });
    }
    let mut routes = Vec::with_capacity(subject.routes.len());
    for leg in &subject.routes {
        routes.push(match leg {
            Leg::Smarthost(smarthost) => Route::Smarthost(smarthost.clone()),
            Leg::Direct(sources) => Route::Direct(exits(dns, subject.reverse_path, sources, &views).await),
        });
    }
    let chain = arc::verify(dns, subject.leaving, now_s).await;
    let forwarded = if is_rewritten(subject.reverse_path) {
        Forwarded::Rewritten
    } else if chain.holds() {
        Forwarded::Sealed
    } else {
        Forwarded::No
    };
    Facts { author: subject.author.clone(), views, signatures, routes, forwarded, chain, own: subject.own.clone() }
}

type Views = [Result<View, Box<str>>];

async fn of_views(dns: &dyn Lookup, domain: &str, views: &Views) -> Organizational {
    let mut found = Vec::with_capacity(views.len());
    for view in views {
        found.push(match view {
            Ok(view) if !domain.is_empty() => organizational(dns, domain, view.compares_by).await.ok(),
            Ok(_) | Err(_) => None,
        });
    }
    found
}

async fn exits(dns: &dyn Lookup, reverse_path: &ReversePath, sources: &[Source<'_>], views: &Views) -> Vec<Exit> {
    let mut exits: Vec<Exit> = Vec::with_capacity(sources.len());
    for source in sources {
        let spf = match source.address {
            None => None,
            Some(address) => Some(passed(dns, reverse_path, address, source.ehlo, views).await),
        };
        exits.push(Exit { egress: Arc::clone(source.egress), address: source.address, spf });
    }
    exits
}

/// SPF of the reverse-path, or of the EHLO name where that is null (RFC 7208 2.4).
async fn passed(dns: &dyn Lookup, reverse_path: &ReversePath, address: IpAddr, ehlo: &str, views: &Views) -> Passed {
    let (sender, domain) = match reverse_path {
        ReversePath::Null => (format!("postmaster@{ehlo}"), ehlo.to_ascii_lowercase()),
        ReversePath::Address(path) => match path.domain() {
            Domain::Name(name) => (format!("{}@{name}", path.local_part()), name.to_string()),
            Domain::Literal(_) => (path.to_string(), String::new()),
        },
    };
    let spf = check_host(dns, Identity { address, sender: &sender, ehlo }, &domain).await;
    let organizational = of_views(dns, &domain, views).await;
    Passed { spf, organizational }
}

/// `SRS0=` and `SRS1=`, with any of the separators in use.
pub fn is_rewritten(reverse_path: &ReversePath) -> bool {
    let local = reverse_path.address().map_or("", |address| address.local_part()).as_bytes();
    local.get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case(b"SRS0") || tag.eq_ignore_ascii_case(b"SRS1"))
        && local.get(4).is_some_and(|separator| b"=+-".contains(separator))
}
