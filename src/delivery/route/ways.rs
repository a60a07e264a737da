//! Which ways the mail of a sending domain can take, whoever its account and recipients are.

use std::sync::Arc;

use super::{Egress, RouteKind, Router, domain_matches};

/// The ways of a sending domain's mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways {
    /// Egresses that recipients' own servers may see it come from, in the order of the file.
    pub egresses: Vec<Arc<Egress>>,
    /// Smarthosts that it may go through, each with its port.
    pub smarthosts: Vec<String>,
}

impl Router {
    /// What the routes let the mail of a domain take. A route that asks for nothing but this sender ends the search: what
    /// stands below it is for others.
    pub fn ways_of(&self, sender_domain: &str) -> Ways {
        self.ways(Some(sender_domain))
    }

    /// The egresses that may connect to recipients' own servers.
    pub fn direct_egresses(&self) -> Vec<Arc<Egress>> {
        self.ways(None).egresses
    }

    /// The ways of one sending domain, or of all.
    fn ways(&self, sender_domain: Option<&str>) -> Ways {
        let mut ways = Ways::default();
        for route in &self.routes {
            let asks = &route.matches;
            let takes = |domain| asks.sender_domains.iter().any(|pattern| domain_matches(pattern, domain));
            let takes_all_senders = asks.sender_domains.is_empty();
            if !takes_all_senders && !sender_domain.is_none_or(takes) {
                continue;
            }
            match &route.kind {
                RouteKind::Mx(_) => {
                    for egress in route.egresses.iter() {
                        if !ways.egresses.contains(egress) {
                            ways.egresses.push(Arc::clone(egress));
                        }
                    }
                }
                RouteKind::Smarthost(smarthost) => {
                    let host = format!("{}:{}", smarthost.host, smarthost.port);
                    if !ways.smarthosts.contains(&host) {
                        ways.smarthosts.push(host);
                    }
                }
            }
            let takes_them = takes_all_senders || sender_domain.is_some();
            if takes_them && asks.accounts.is_empty() && asks.recipient_domains.is_empty() {
                break;
            }
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::settings::{
        DeliverySettings, EgressSettings, MxSettings, RouteMatch, RouteSettings, SmarthostSettings, TlsMode,
    };

    #[test]
    fn ways_follow_the_routes_in_order() {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let egress = |name: &str| EgressSettings { name: name.to_owned(), ..EgressSettings::default() };
        let route = |name: &str, matches: RouteMatch, kind, egresses: &[&str]| RouteSettings {
            name: name.to_owned(),
            matches,
            kind,
            egresses: list(egresses),
            concurrency: 5,
        };
        let mx = || RouteKind::Mx(MxSettings::default());
        let smarthost = |host: &str| {
            let (host, credentials) = (host.to_owned(), crate::delivery::credentials::Credentials::default());
            RouteKind::Smarthost(SmarthostSettings { host, port: 587, tls: TlsMode::Required, credentials })
        };
        let settings = DeliverySettings {
            egresses: vec![egress("one"), egress("two"), egress("three")],
            routes: vec![
                route(
                    "near",
                    RouteMatch { recipient_domains: list(&["example.net"]), ..RouteMatch::default() },
                    smarthost("near.example"),
                    &[],
                ),
                route(
                    "shop",
                    RouteMatch { sender_domains: list(&["*.shop.example"]), ..RouteMatch::default() },
                    mx(),
                    &["two"],
                ),
                route(
                    "web",
                    RouteMatch {
                        sender_domains: list(&["web.example"]),
                        accounts: list(&["web"]),
                        ..RouteMatch::default()
                    },
                    mx(),
                    &["three"],
                ),
                route(
                    "far",
                    RouteMatch { sender_domains: list(&["far.example"]), ..RouteMatch::default() },
                    smarthost("far.example"),
                    &["two"],
                ),
            ],
            ..DeliverySettings::default()
        };
        let router = Router::new(&settings, "host.example").unwrap();
        let cases: [(&str, &[&str], &[&str]); 5] = [
            ("example.com", &["one", "two", "three"], &["near.example:587"]), // the default route
            ("a.SHOP.example", &["two"], &["near.example:587"]),
            ("shop.example", &["one", "two", "three"], &["near.example:587"]), // *. is below it alone
            ("web.example", &["three", "one", "two"], &["near.example:587"]),  // other accounts go on
            ("far.example", &[], &["near.example:587", "far.example:587"]),
        ];
        for (domain, egresses, smarthosts) in cases {
            let ways = router.ways_of(domain);
            let names: Vec<&str> = ways.egresses.iter().map(|egress| &*egress.name).collect();
            assert_eq!((&names[..], &ways.smarthosts[..]), (egresses, &list(smarthosts)[..]), "{domain}");
        }
        let direct = |settings: &DeliverySettings| {
            let egresses = Router::new(settings, "host.example").unwrap().direct_egresses();
            egresses.iter().map(|egress| egress.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(direct(&settings), ["two", "three", "one"]);
        let mut all_by_smarthost = settings.clone();
        all_by_smarthost.routes.insert(2, route("all", RouteMatch::default(), smarthost("all.example"), &[]));
        assert_eq!(direct(&all_by_smarthost), ["two"], "below a route for everything nothing is reached");
    }
}
