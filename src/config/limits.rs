//! `[limits]`: how much may leave, of whom.

use std::collections::BTreeSet;
use std::time::Duration;

use super::item::{Fault, Item, Place, Setting};
use super::named::{self, Of};
use super::reader::{Reading, TableReader, key};
use super::values::{quoted, text_of, words};
use crate::delivery::route::DEFAULT_ROUTE;
use crate::delivery::settings::{DeliverySettings, EgressSettings, RouteKind};
use crate::limits::{AppliesTo, CountRefused, FairReserve, KeyKind, LimitSettings, Override, Rate, RuleBook, Unit};

impl Setting for Rate {
    const EXPECTED: &'static str = "a rate such as \"200/h\", \"20/m\" or \"50 messages/h\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        text_of::<Self>(item)?.parse().map_err(|e: crate::limits::RateError| Fault::says(e.to_string()))
    }

    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

/// One rate, or several that each hold.
struct Rates(Vec<Rate>);

impl Setting for Rates {
    const EXPECTED: &'static str = "a rate such as \"200/h\", or several as in [\"20/m\", \"200/h\"]; [] is no limit";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        if item.elements().is_some() {
            return Vec::read(item).map(Self);
        }
        text_of::<Self>(item)?;
        Rate::read(item).map(|rate| Self(vec![rate]))
    }

    fn written(&self) -> String {
        match self.0.as_slice() {
            [one] => one.written(),
            _ => self.0.written(),
        }
    }
}

words!(Unit, "\"recipients\" or \"messages\"", {
    "recipients" => Unit::Recipients,
    "messages" => Unit::Messages,
});

words!(KeyKind, "\"account\", \"egress\" or \"login\"", {
    "account" => KeyKind::Account,
    "egress" => KeyKind::Egress,
    "login" => KeyKind::Login,
});

/// Reads `[limits]` and `[[limits.override]]`. They are made again at a start from attempts, which are kept for so long.
/// With them comes, for each override, where it stands.
pub(super) fn read(root: &mut TableReader<'_>, attempts_keep: Duration) -> (LimitSettings, Vec<Place>) {
    let default = LimitSettings::default();
    let mut table = root.table(
        "limits",
        "How much may leave. No window of the length given, wherever it begins, holds more; mail over it waits.",
    );
    let account = table.or(
        key("account", "For each account, counted over all egresses. 0/h: nothing leaves. []: no limit.")
            .example("[\"20/m\", \"200/h\", \"1000/d\"]"),
        Rates(default.account),
    );
    let egress = table.or(
        key("egress", "For each egress, counted by its public address: egresses behind one address share it.")
            .example("\"1000/h\""),
        Rates(default.egress),
    );
    let login = table.optional::<Rates>(
        key("login", "For each login at a smarthost. Absent: the limits of an account.").example("\"200/h\""),
    );
    let count = table.or(
        key(
            "count",
            "What is counted: recipients (deliveries), or messages (transactions in which content began). A rate may \
             name its own, as in \"50 messages/h\".",
        )
        .example("\"messages\""),
        default.count,
    );
    let margin = table.or(
        key("margin", "So many of each account's and login's limit are left for mail that it sends past outguard.")
            .example("20"),
        default.margin,
    );
    let refused = table.or(
        key("count_refused", "Whether recipients that the next hop refuses before the content count all the same."),
        default.count_refused == CountRefused::Yes,
    );
    let reserve = table.or(
        key(
            "fair_reserve",
            "Whether the last tenth of each egress window is kept for accounts that used less than their equal share, and the last fiftieth (6 of 300) for the account of [dsn] alone, so that ordinary mail has 294 of 300.",
        ),
        default.fair_reserve == FairReserve::Kept,
    );
    let grace = table.or(
        key(
            "unknown_grace",
            "How long after a connection broke in mid-content its recipients begin to age out of the window: the \
             kernel may still be sending.",
        ),
        Duration::from_millis(default.unknown_grace_ms),
    );
    let (overrides, places): (Vec<Override>, Vec<Place>) = read_overrides(&mut table).into_iter().unzip();
    let settings = LimitSettings {
        account: account.0,
        egress: egress.0,
        login: login.map(|rates| rates.0),
        count,
        margin,
        count_refused: if refused { CountRefused::Yes } else { CountRefused::No },
        own_account: None, // `[dsn]` names it; the daemon puts both together
        fair_reserve: if reserve { FairReserve::Kept } else { FairReserve::Off },
        unknown_grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        overrides,
    };
    match RuleBook::new(&settings).map(|book| Duration::from_millis(book.longest_window_ms())) {
        Err(e) => table.reading().error(&table.place("margin"), e.to_string()),
        Ok(window) if window > attempts_keep => {
            let sentence = format!(
                "a window is longer than the {} of [journal] attempts_keep, from which it is made again at a start; write \
                 attempts_keep = {}",
                attempts_keep.written(),
                Duration::from_hours(24 * (window.as_secs() / 86_400 + 1)).written()
            );
            table.reading().error(&table.here(), sentence);
        }
        Ok(_) => {}
    }
    (settings, places)
}

/// An override of a route, an egress or a login that is not there is of no use, and most likely meant for one that is.
pub(super) fn check_names(
    reading: &Reading<'_>,
    overrides: &[Override],
    places: &[Place],
    delivery: &DeliverySettings,
) {
    let default = [EgressSettings::default()];
    let egresses = if delivery.egresses.is_empty() { &default[..] } else { &delivery.egresses };
    let addresses: Vec<String> = egresses.iter().map(EgressSettings::counted_as).collect();
    let routes: Vec<&str> = delivery.routes.iter().map(|route| route.name.as_str()).chain([DEFAULT_ROUTE]).collect();
    let logins = logins(delivery);
    for (one, place) in overrides.iter().zip(places) {
        let (what, name, known) = match &one.applies_to {
            AppliesTo::Egress(name) => ("egress is counted as", name, addresses.iter().map(String::as_str).collect()),
            AppliesTo::Route { route, .. } => ("route is named", route, routes.clone()),
            AppliesTo::Login(name) => ("route has the login", name, logins.clone()),
            AppliesTo::Account(_) | AppliesTo::Domain(_) => continue,
        };
        if known.contains(&&**name) {
            continue;
        }
        // Of an egress's name we know which address was meant.
        let meant = egresses.iter().position(|egress| egress.name == **name).filter(|_| what.starts_with("egress"));
        let advice = meant.map_or_else(|| named::advice(name, &known), |at| format!("did you mean {}?", addresses[at]));
        reading.warning(place, format!("no {what} {name}, so this changes nothing; {advice}"));
    }
}

/// The users of all smarthosts, each once.
fn logins(delivery: &DeliverySettings) -> Vec<&str> {
    let users = delivery.routes.iter().filter_map(|route| match &route.kind {
        RouteKind::Smarthost(smarthost) => Some(smarthost.credentials.users()),
        RouteKind::Mx(_) => None,
    });
    let users: BTreeSet<&str> = users.flatten().collect();
    users.into_iter().collect()
}

fn read_overrides(limits: &mut TableReader<'_>) -> Vec<(Override, Place)> {
    let doc = "Other limits for some. Exactly one of account, domain, egress, login and route says for whom; the most \
               particular holds (account or login, then domain, then route), of equal ones the last.";
    limits.tables("override", doc).into_iter().filter_map(read_override).collect()
}

fn read_override(mut table: TableReader<'_>) -> Option<(Override, Place)> {
    let name = |table: &mut TableReader<'_>, name, doc, example| {
        table.optional::<String>(key(name, doc).example(example)).map(String::into_boxed_str)
    };
    let account = name(&mut table, "account", "One account, in the form that the log shows.", "\"news@example.com\"");
    let domain = name(&mut table, "domain", "Each account of a domain, on its own.", "\"example.com\"");
    let egress = name(
        &mut table,
        "egress",
        "One egress, by its public address (its name, where it has no address).",
        "\"192.0.2.10\"",
    );
    let login = name(&mut table, "login", "One login at a smarthost.", "\"box@example.com\"");
    let route = name(&mut table, "route", "Mail on one route, counted apart from other routes.", "\"smarthost\"");
    let kind = table.or(key("of", "With route: for each what.").example("\"login\""), KeyKind::Account);
    let rates = table.required::<Rates>(key("limit", "The limit in place of the general one.").example("\"50/h\""));
    let count = table.optional(key("count", "What is counted. Absent: as in [limits].").example("\"messages\""));
    let margin = table.optional(key("margin", "The margin. Absent: as in [limits].").example("0"));
    table.names(Of::Account, "account", account.as_deref());
    let mut whom: Vec<AppliesTo> = [
        account.map(AppliesTo::Account),
        domain.map(|domain| AppliesTo::Domain(named::domain(&domain))),
        egress.map(AppliesTo::Egress),
        login.map(AppliesTo::Login),
        route.map(|route| AppliesTo::Route { route, kind }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if whom.len() != 1 && table.is_written() {
        table.reading().error(&table.here(), "for whom? write one of account, domain, egress, login or route");
        return None;
    }
    Some((Override { applies_to: whom.pop()?, rates: rates?.0, count, margin }, table.here()))
}
