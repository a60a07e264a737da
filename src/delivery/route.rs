//! Which way mail goes: the first route that matches, its login, and the line of waiting mail that follows from them.
//!
//! Pure. The name of a [`Destination`] is made at acceptance; what it means (host, TLS, password, egresses) is looked up
//! at each attempt, so a reload reaches the mail that waits. A name whose meaning is gone makes its mail wait.

mod ways;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::credentials::{Choice, Login};
use super::settings::{DeliverySettings, EgressSettings, MxSettings, RouteKind, RouteMatch, RouteSettings, TlsMode};
use crate::account::Account;
use crate::mail::{Address, Domain, ReversePath};
use crate::store::{Destination, RouteFacts};

pub use ways::Ways;

/// The name of the route that takes what no other matches: by MX, from every egress.
pub const DEFAULT_ROUTE: &str = "default";

/// Routes, egresses and logins of one reading of the configuration.
#[derive(Debug)]
pub struct Router {
    /// In the order of the file, the default last.
    routes: Vec<Route>,
    by_name: HashMap<Arc<str>, usize>,
    egresses: Vec<Arc<Egress>>,
    dsn_route: Option<usize>,
}

/// A source of outgoing mail, its name and address bound together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// What routes, gates and the log call it.
    pub name: Arc<str>,
    /// What its limit counts by ([`EgressSettings::counted_as`]).
    pub counted_as: Arc<str>,
    /// Where connections start; `None`: the system's choice.
    pub address: Option<IpAddr>,
    /// What the world sees, where that is another address.
    pub public_address: Option<IpAddr>,
    /// The name in EHLO.
    pub ehlo: Arc<str>,
    /// Connections at once.
    pub concurrency: u32,
}

/// The facts of one delivery that a route is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whom it counts against.
    pub account: &'a Account,
    /// Who it is from.
    pub reverse_path: &'a ReversePath,
    /// The recipient's domain.
    pub recipient_domain: &'a Domain,
    /// The domain of the header From; where it is not known, that of the reverse-path stands for it.
    pub from_domain: Option<&'a str>,
}

/// How one destination is reached now.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The destination itself.
    pub destination: Destination,
    /// The route's name.
    pub route: Arc<str>,
    /// Which server or domain.
    pub target: Target,
    /// How it is encrypted.
    pub tls: TlsMode,
    /// Whom we log in as.
    pub login: Option<Arc<Login>>,
    /// Where it may leave from; never empty.
    pub egresses: Arc<[Arc<Egress>]>,
    /// Connections at once to this destination.
    pub concurrency: u32,
}

/// Whose server is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This one.
    Smarthost {
        /// Name or address.
        host: Arc<str>,
        /// Port.
        port: u16,
    },
    /// One of the domain's.
    Mx {
        /// The recipient's domain.
        domain: Domain,
        /// Port.
        port: u16,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smarthost { host, port } => write!(f, "{host}:{port}"),
            Self::Mx { domain, port: 25 } => write!(f, "{domain}"),
            Self::Mx { domain, port } => write!(f, "{domain} (port {port})"),
        }
    }
}

/// Why a destination cannot be reached by this configuration. Its mail waits, and is never bounced for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// No route of that name is left.
    #[error("the route \"{route}\" is not in the configuration any more; the mail waits for a reload that has it")]
    RouteGone {
        /// The route.
        route: String,
    },
    /// The login is not in the route's credentials any more.
    #[error("the login \"{login}\" is not in the credentials of route \"{route}\" any more; the mail waits")]
    LoginGone {
        /// The route.
        route: String,
        /// The user.
        login: String,
    },
    /// The mail was restricted to egresses that the route has no more.
    #[error(
        "the mail was to leave from egress {egresses} alone, and route \"{route}\" has it no more; others are chosen for it"
    )]
    EgressGone {
        /// The route.
        route: String,
        /// Their names.
        egresses: String,
    },
    /// The route has logins but none for this message: held until the operator adds one.
    #[error("no login of route \"{route}\" fits the account or the From domain; add one to its credentials and reload")]
    NoLoginFits {
        /// The route.
        route: String,
    },
}

/// Why settings make no router.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// A name is empty, too long, holds white space or a control character, or is given twice.
    #[error("the {kind} name {name:?} is taken, empty, too long or has white space; give it one short word of its own")]
    Name {
        /// `route` or `egress`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A route names an egress that does not exist.
    #[error("route \"{route}\" names the egress \"{egress}\", which does not exist")]
    NoSuchEgress {
        /// The route.
        route: String,
        /// The egress.
        egress: String,
    },
    /// `[dsn] route` names a route that does not exist.
    #[error("[dsn] route names \"{route}\", which does not exist")]
    NoSuchDsnRoute {
        /// The route.
        route: String,
    },
}

#[derive(Debug)]
struct Route {
    name: Arc<str>,
    matches: RouteMatch,
    kind: RouteKind,
    logins: HashMap<String, Arc<Login>>,
    egresses: Arc<[Arc<Egress>]>,
    concurrency: u32,
}

/// The longest name of a route or egress.
pub const NAME_BYTES_MAX: usize = 64;
const LOGIN: &str = " login=";
const NO_LOGIN: &str = " login-missing";
const TO: &str = " to=";
/// Before the name of each egress that the mail is restricted to.
const VIA: &str = " via=";

impl Router {
    /// Reads the settings. `host_name` is the EHLO name of egresses that have none.
    ///
    /// # Errors
    /// The first fault found.
    pub fn new(settings: &DeliverySettings, host_name: &str) -> Result<Self, RouterError> {
        let default = [EgressSettings::default()];
        let written = if settings.egresses.is_empty() { &default[..] } else { &settings.egresses };
        let mut egresses: Vec<Arc<Egress>> = Vec::new();
        for egress in written {
            check_name("egress", &egress.name, egresses.iter().any(|e| *e.name == egress.name))?;
            egresses.push(Arc::new(Egress {
                name: egress.name.as_str().into(),
                counted_as: egress.counted_as().into(),
                address: egress.address,
                public_address: egress.public_address,
                ehlo: egress.ehlo.as_deref().unwrap_or(host_name).into(),
                concurrency: egress.concurrency,
            }));
        }
        let mut router = Self { routes: Vec::new(), by_name: HashMap::new(), egresses, dsn_route: None };
        for route in &settings.routes {
            router.add(route)?;
        }
        router.add(&RouteSettings {
            name: DEFAULT_ROUTE.to_owned(),
            matches: RouteMatch::default(),
            kind: RouteKind::Mx(MxSettings::default()),
            egresses: Vec::new(),
            concurrency: MxSettings::CONCURRENCY,
        })?;
        if let Some(name) = &settings.dsn.route {
            let index = router.by_name.get(name.as_str()).copied();
            router.dsn_route = Some(index.ok_or_else(|| RouterError::NoSuchDsnRoute { route: name.clone() })?);
        }
        Ok(router)
    }

    fn add(&mut self, route: &RouteSettings) -> Result<(), RouterError> {
        check_name("route", &route.name, self.by_name.contains_key(route.name.as_str()))?;
        let named = |name: &String| {
            let found = self.egresses.iter().find(|e| *e.name == **name).cloned();
            found.ok_or_else(|| RouterError::NoSuchEgress { route: route.name.clone(), egress: name.clone() })
        };
        let egresses: Vec<Arc<Egress>> = if route.egresses.is_empty() {
            self.egresses.clone()
        } else {
            route.egresses.iter().map(named).collect::<Result<_, _>>()?
        };
        let logins = match &route.kind {
            RouteKind::Smarthost(smarthost) => smarthost.credentials.by_user(),
            RouteKind::Mx(_) => HashMap::new(),
        };
        let name: Arc<str> = route.name.as_str().into();
        self.by_name.insert(name.clone(), self.routes.len());
        let (matches, kind) = (route.matches.clone(), route.kind.clone());
        let route = Route { name, matches, kind, logins, egresses: egresses.into(), concurrency: route.concurrency };
        self.routes.push(route);
        Ok(())
    }

    /// Egresses, logins, and which mail may leave by which of them, in words: others mean that mail may leave otherwise.
    pub fn outline(&self) -> String {
        let of = |route: &Route| {
            let egresses: Vec<&str> = route.egresses.iter().map(|egress| &*egress.name).collect();
            let server = match &route.kind {
                RouteKind::Mx(_) => None,
                RouteKind::Smarthost(smarthost) => {
                    // A provider may refuse a From address that is not the login's; no password is told.
                    Some((&smarthost.host, smarthost.port, smarthost.credentials.outline()))
                }
            };
            format!("{} {:?} {server:?} {egresses:?}", route.name, route.matches)
        };
        let routes: Vec<String> = self.routes.iter().map(of).collect();
        format!("{:?} {routes:?}", self.egresses)
    }

    /// Every egress.
    pub fn egresses(&self) -> &[Arc<Egress>] {
        &self.egresses
    }

    /// The line in which a delivery waits.
    pub fn destination(&self, facts: Facts<'_>) -> Destination {
        let index = self.routes.iter().position(|route| route.matches(facts));
        // The last is the default and matches everything.
        self.routes[index.unwrap_or(self.routes.len() - 1)].destination(facts)
    }

    /// The line of a delivery that waits already, from what the store keeps. Texts that are no addresses any more wait
    /// where nothing is planned.
    pub fn refile(&self, waiting: &RouteFacts<'_>) -> Destination {
        let reverse_path = ReversePath::parse(waiting.reverse_path.as_bytes()).unwrap_or(ReversePath::Null);
        let Ok(recipient) = Address::parse(waiting.recipient.as_bytes()) else {
            return Destination(DEFAULT_ROUTE.into());
        };
        let facts = Facts {
            account: waiting.account,
            reverse_path: &reverse_path,
            recipient_domain: recipient.domain(),
            from_domain: waiting.header_from,
        };
        let plain = if waiting.is_report { self.dsn_destination(facts) } else { self.destination(facts) };
        // What was found about egresses when it was judged holds still, as long as one of them is there: without any the
        // message is judged anew when its turn comes.
        let Some(at) = waiting.destination.find(VIA) else { return plain };
        let as_found = Destination(format!("{}{}", plain.0, &waiting.destination[at..]).into());
        match self.plan(&as_found) {
            Err(NoPlan::EgressGone { .. }) => plain,
            Ok(_) | Err(_) => as_found,
        }
    }

    /// Whether mail of that destination was to leave by egresses alone that its route has no more.
    pub fn has_lost_its_egresses(&self, destination: &Destination) -> bool {
        destination.0.contains(VIA) && matches!(self.plan(destination), Err(NoPlan::EgressGone { .. }))
    }

    /// The same destination, from these egresses alone.
    pub fn restricted(destination: &Destination, egresses: &[Arc<str>]) -> Destination {
        let mut text = Self::server(destination).to_owned();
        for egress in egresses {
            text.push_str(VIA);
            text.push_str(egress);
        }
        Destination(text.into())
    }

    /// The server that a destination leads to: the same for all that differ in their egresses alone.
    pub fn server(destination: &Destination) -> &str {
        destination.0.split(VIA).next().unwrap_or_default()
    }

    /// The line in which a report of ours waits: by `[dsn] route`, or the ordinary way.
    pub fn dsn_destination(&self, facts: Facts<'_>) -> Destination {
        match self.dsn_route {
            Some(index) => self.routes[index].destination(facts),
            None => self.destination(facts),
        }
    }

    /// What a destination means now.
    ///
    /// # Errors
    /// It means nothing now: its mail waits with that reason.
    pub fn plan(&self, destination: &Destination) -> Result<Plan, NoPlan> {
        let mut parts = destination.0.split(VIA);
        let text = parts.next().unwrap_or_default();
        let via: Vec<&str> = parts.collect();
        let (name, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let gone = || NoPlan::RouteGone { route: name.to_owned() };
        let route = self.by_name.get(name).map(|&index| &self.routes[index]).ok_or_else(gone)?;
        let (target, tls, login) = match &route.kind {
            RouteKind::Mx(mx) => {
                let domain = rest.strip_prefix(TO).and_then(|domain| Domain::parse(domain).ok()).ok_or_else(gone)?;
                (Target::Mx { domain, port: mx.port }, mx.tls, None)
            }
            RouteKind::Smarthost(smarthost) => {
                let login = route.login(rest)?;
                let tls = match (smarthost.tls, &login) {
                    (TlsMode::Opportunistic, Some(_)) => TlsMode::Required,
                    (tls, _) => tls,
                };
                (Target::Smarthost { host: smarthost.host.as_str().into(), port: smarthost.port }, tls, login)
            }
        };
        Ok(Plan {
            destination: destination.clone(),
            route: route.name.clone(),
            target,
            tls,
            login,
            egresses: route.restricted(&via)?,
            concurrency: route.concurrency,
        })
    }
}

impl Route {
    fn matches(&self, facts: Facts<'_>) -> bool {
        let sender = match facts.reverse_path {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Address(address) => address.domain().to_string(),
        };
        let any = |list: &[String], domain: &str| list.is_empty() || list.iter().any(|p| domain_matches(p, domain));
        let account = facts.account.as_str();
        any(&self.matches.sender_domains, &sender)
            && any(&self.matches.recipient_domains, &facts.recipient_domain.to_string())
            && (self.matches.accounts.is_empty()
                || self.matches.accounts.iter().any(|name| name.eq_ignore_ascii_case(account)))
    }

    fn destination(&self, facts: Facts<'_>) -> Destination {
        let name = &self.name;
        let text = match &self.kind {
            RouteKind::Mx(_) => format!("{name}{TO}{}", facts.recipient_domain),
            RouteKind::Smarthost(smarthost) => {
                let reverse_domain = facts.reverse_path.address().map(|address| address.domain().to_string());
                let from_domain = facts.from_domain.or(reverse_domain.as_deref());
                match smarthost.credentials.choose(facts.account.as_str(), from_domain) {
                    Choice::NoneNeeded => name.to_string(),
                    Choice::Login(login) => format!("{name}{LOGIN}{}", login.user),
                    Choice::NoneFits => format!("{name}{NO_LOGIN}"),
                }
            }
        };
        Destination(text.into())
    }

    /// Its egresses, or those of them that are named.
    fn restricted(&self, names: &[&str]) -> Result<Arc<[Arc<Egress>]>, NoPlan> {
        if names.is_empty() {
            return Ok(Arc::clone(&self.egresses));
        }
        let chosen: Arc<[_]> = self.egresses.iter().filter(|egress| names.contains(&&*egress.name)).cloned().collect();
        if chosen.is_empty() {
            return Err(NoPlan::EgressGone { route: self.name.to_string(), egresses: names.join(", ") });
        }
        Ok(chosen)
    }

    /// The login that the rest of a destination's name speaks of.
    fn login(&self, rest: &str) -> Result<Option<Arc<Login>>, NoPlan> {
        let route = || self.name.to_string();
        match rest.strip_prefix(LOGIN) {
            Some(user) => {
                let gone = || NoPlan::LoginGone { route: route(), login: user.to_owned() };
                self.logins.get(user).cloned().map(Some).ok_or_else(gone)
            }
            None if rest == NO_LOGIN => Err(NoPlan::NoLoginFits { route: route() }),
            // The route's credentials came with a later reload: without a login it would be refused.
            None if !self.logins.is_empty() => Err(NoPlan::NoLoginFits { route: route() }),
            None => Ok(None),
        }
    }
}

fn check_name(kind: &'static str, name: &str, taken: bool) -> Result<(), RouterError> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    if taken || name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(bad) {
        return Err(RouterError::Name { kind, name: name.to_owned() });
    }
    Ok(())
}

/// `example.org` is that domain; `*.example.org` all below it.
pub fn domain_matches(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(tail) if tail.starts_with('.') => {
            domain.len() > tail.len()
                && domain.is_char_boundary(domain.len() - tail.len())
                && domain[domain.len() - tail.len()..].eq_ignore_ascii_case(tail)
        }
        _ => pattern.eq_ignore_ascii_case(domain),
    }
}

#[cfg(test)]
mod tests;
