//! Whether reports of our own are taken where they are sent: some smarthosts refuse a From that is not the login's.

use super::item::Place;
use super::reader::Reading;
use crate::align::facts::Demands;
use crate::delivery::credentials::Choice;
use crate::delivery::route::domain_matches;
use crate::delivery::settings::{DeliverySettings, RouteKind, RouteMatch, RouteSettings, SmarthostSettings};
use crate::intake::IntakeSettings;
use crate::mail::{Address, Domain};

/// Warns of each smarthost that would refuse our reports, for the sender of a message would then never hear of its end.
pub(super) fn check(reading: &Reading<'_>, from: &Place, intake: &IntakeSettings, delivery: &DeliverySettings) {
    let Some(ours) = from_domain(reading, intake, delivery) else { return };
    for (route, smarthost) in routes_of_reports(delivery) {
        if Demands::of_host(&smarthost.host) != Demands::LoginDomain {
            continue;
        }
        let account = delivery.dsn.account.as_str();
        let Choice::Login(login) = smarthost.credentials.choose(account, Some(&ours)) else { continue };
        let Some(theirs) = login.domain().filter(|theirs| *theirs != ours) else { continue };
        let (host, route) = (&smarthost.host, &route.name);
        reading.warning(
            from,
            format!(
                "reports to senders are From {ours} and go by route {route}, whose login for them is of {theirs}: {host} \
                 refuses mail whose From domain is not the login's (550 5.7.1), so no sender would hear that mail was not \
                 delivered; write from = \"mailer-daemon@{theirs}\", or add a line `@{ours}` with a mailbox of {ours} to its \
                 logins, or name another way in dsn.route"
            ),
        );
    }
}

/// The domain of their From field.
fn from_domain(reading: &Reading<'_>, intake: &IntakeSettings, delivery: &DeliverySettings) -> Option<Box<str>> {
    let domain = match (delivery.dsn.from.as_ref().map(Address::domain), intake.own_name.as_str()) {
        (Some(domain), _) => domain.clone(),
        (None, "") => Domain::parse(&reading.surroundings().host_name()).ok()?,
        (None, name) => Domain::parse(name).ok()?,
    };
    match domain {
        Domain::Name(name) => Some(name),
        Domain::Literal(_) => None,
    }
}

/// The smarthosts that a report may go through: of `dsn.route`, or of each route until one takes every report.
fn routes_of_reports(delivery: &DeliverySettings) -> Vec<(&RouteSettings, &SmarthostSettings)> {
    let mut found = Vec::new();
    for route in &delivery.routes {
        let takes = match &delivery.dsn.route {
            Some(name) => *name == route.name,
            None => may_take(&route.matches, delivery.dsn.account.as_str()),
        };
        if !takes {
            continue;
        }
        if let RouteKind::Smarthost(smarthost) = &route.kind {
            found.push((route, smarthost));
        }
        if route.matches.recipient_domains.is_empty() {
            break;
        }
    }
    found
}

/// Whether a report may match, whoever it is for: its reverse-path is null.
fn may_take(matches: &RouteMatch, account: &str) -> bool {
    let senders = &matches.sender_domains;
    let accounts = &matches.accounts;
    (senders.is_empty() || senders.iter().any(|one| domain_matches(one, "<>")))
        && (accounts.is_empty() || accounts.iter().any(|one| one.eq_ignore_ascii_case(account)))
}
