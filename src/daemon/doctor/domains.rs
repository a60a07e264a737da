//! Which sending domains the doctor looks at where none is named: those of which the configuration says that they send.

use crate::align::doctor::{Finding, Grade, Sender};
use crate::config::Config;
use crate::delivery::settings::RouteKind;
use crate::limits::AppliesTo;
use crate::mail::{Address, Domain, Visible};

/// How many are looked at beside those of `[[dkim]]` and `[doctor]`: each is asked about at several servers.
const INFERRED_MAX: usize = 20;

/// The sending domains that a configuration knows, each once.
pub(super) struct Known {
    /// They are looked at.
    pub(super) looked_at: Vec<String>,
    /// They are more than that.
    pub(super) left_out: Vec<String>,
}

/// Of `[[dkim]]` and `[doctor]` all; then those of our own reports, of `dsn.own_domains`, and of senders that routes,
/// logins and limits name. A pattern such as `*.example.com` names none.
pub(super) fn known(config: &Config) -> Known {
    let delivery = &config.delivery;
    let keys = config.align.signing.keys.iter().map(|key| key.domain.as_str());
    let mut looked_at = Vec::new();
    for domain in keys.chain(config.align.doctor.domains.iter().map(String::as_str)) {
        add(domain, &mut looked_at);
    }
    let mut inferred = Vec::new();
    if let Some(from) = delivery.dsn.from.as_ref().map(Address::domain) {
        add(&from.to_string(), &mut inferred);
    }
    delivery.dsn.own_domains.iter().for_each(|domain| add(domain, &mut inferred));
    for route in &delivery.routes {
        route.matches.sender_domains.iter().for_each(|domain| add(domain, &mut inferred));
        route.matches.accounts.iter().for_each(|account| add(of_account(account), &mut inferred));
    }
    // Logins are in no order of their own.
    let mut of_logins: Vec<&str> = Vec::new();
    for route in &delivery.routes {
        if let RouteKind::Smarthost(smarthost) = &route.kind {
            of_logins.extend(smarthost.credentials.sender_domains());
        }
    }
    of_logins.sort_unstable();
    of_logins.dedup();
    for domain in of_logins {
        add(domain, &mut inferred);
    }
    for one in &config.limits.overrides {
        match &one.applies_to {
            AppliesTo::Account(account) => add(of_account(account), &mut inferred),
            AppliesTo::Domain(domain) => add(domain, &mut inferred),
            AppliesTo::Egress(_) | AppliesTo::Login(_) | AppliesTo::Route { .. } => {}
        }
    }
    inferred.retain(|domain| !looked_at.contains(domain));
    let left_out = inferred.split_off(inferred.len().min(INFERRED_MAX));
    looked_at.extend(inferred);
    Known { looked_at, left_out }
}

fn of_account(account: &str) -> &str {
    account.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// What is no domain, as a pattern, is left away: nobody knows which of all below it send.
fn add(domain: &str, to: &mut Vec<String>) {
    if let Ok(Domain::Name(name)) = Domain::parse(domain)
        && name.contains('.')
        && !to.iter().any(|known| **known == *name)
    {
        to.push(name.into());
    }
}

/// Says which were looked at, and how to name more: silence about a domain is not health.
pub(super) fn told(config: &Config, senders: &[Sender]) -> Finding {
    let Known { looked_at, left_out } = known(config);
    let all: Vec<&str> = senders.iter().map(|sender| sender.domain.as_str()).collect();
    let not_looked_at: Vec<&str> = looked_at
        .iter()
        .chain(&left_out)
        .map(String::as_str)
        .filter(|domain| senders.iter().all(|sender| sender.domain != *domain))
        .collect();
    let mut found = match all.as_slice() {
        [] => "no sending domain is looked at, for the configuration names none".to_owned(),
        all => format!("sending domains looked at: {}", shown(all)),
    };
    if !not_looked_at.is_empty() {
        found = format!("{found}; not at these, which the configuration names too: {}", shown(&not_looked_at));
    }
    let mend = "name others that send in [doctor] domains = [\"example.com\"], or on the command line";
    Finding {
        subject: "this machine".to_owned(),
        check: "domains".into(),
        about: String::new(),
        grade: if all.is_empty() { Grade::Unknown } else { Grade::Right },
        found: if all.is_empty() { found } else { format!("{found}; {mend}") },
        why: "".into(),
        mend: if all.is_empty() { mend.to_owned() } else { String::new() },
    }
}

/// The first of them, and how many more.
fn shown(domains: &[&str]) -> String {
    const SHOWN_MAX: usize = 50;
    let first = domains.iter().take(SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
    match domains.len().saturating_sub(SHOWN_MAX) {
        0 => Visible(&first).to_string(),
        more => format!("{} and {more} more", Visible(&first)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::surroundings::Machine;

    fn config(text: &str) -> Config {
        Config::parse(text, "test", &Machine::new(Path::new("/"))).unwrap().config
    }

    #[test]
    fn whatever_names_a_sender_names_its_domain() {
        let cases: [(&str, &[&str], &str); 8] = [
            ("", &[], "nothing is named"),
            ("[doctor]\ndomains = [\"b.example\", \"a.example\"]", &["b.example", "a.example"], "as written"),
            ("[dsn]\nfrom = \"x@Reports.example\"", &["reports.example"], "of our own reports"),
            ("[dsn]\nown_domains = [\"own.example\", \"*.own.example\"]", &["own.example"], "a pattern is none"),
            (
                "[[route]]\nsender_domains = [\"s.example\", \"<>\", \"*.s.example\"]\naccounts = [\"news@n.example\", \"uid:shop\"]",
                &["s.example", "n.example"],
                "of routes",
            ),
            (
                "[[limits.override]]\naccount = \"ann@l.example\"\nlimit = \"50/h\"",
                &["l.example"],
                "of limits of accounts",
            ),
            ("[[limits.override]]\ndomain = \"d.example\"\nlimit = \"50/h\"", &["d.example"], "of limits of domains"),
            (
                "[dsn]\nfrom = \"x@a.example\"\nown_domains = [\"a.example\"]\n[doctor]\ndomains = [\"a.example\"]",
                &["a.example"],
                "each once",
            ),
        ];
        for (text, expected, why) in cases {
            assert_eq!(known(&config(text)).looked_at, expected, "{why}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_said() {
        let names: Vec<String> = (0..25).map(|n| format!("\"d{n:02}.example\"")).collect();
        let config =
            config(&format!("[doctor]\ndomains = [\"mine.example\"]\n[dsn]\nown_domains = [{}]", names.join(", ")));
        let Known { looked_at, left_out } = known(&config);
        assert_eq!((looked_at.len(), left_out.len()), (1 + INFERRED_MAX, 5));
        let sender = |domain: &String| Sender { domain: domain.clone(), egresses: vec![], smarthosts: vec![] };
        let finding = told(&config, &looked_at.iter().map(sender).collect::<Vec<_>>());
        assert_eq!(finding.grade, Grade::Right);
        for part in
            ["looked at: mine.example, d00.example", "not at these", "d20.example, d21.example", "[doctor] domains"]
        {
            assert!(finding.found.contains(part), "{}\nlacks\n{part}", finding.found);
        }
        assert_eq!(told(&Config::default(), &[]).grade, Grade::Unknown, "nothing is looked at, so nothing is known");
    }
}
