//! Which sending domains the doctor looks at where none is named: those of which the configuration says that they send, and
//! those that did.

use std::fmt::Write as _;

use crate::align::doctor::{Finding, Grade, Sender, SendingDomain, Sent};

use crate::config::Config;
use crate::delivery::settings::RouteKind;
use crate::intake::own_name;
use crate::limits::AppliesTo;
use crate::mail::{Domain, Visible};

/// How many are looked at beside those of `[[dkim]]` and `[doctor]` and those that really sent: each is asked about at
/// several servers.
const INFERRED_MAX: usize = 20;

/// A sending domain, and why it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) domain: String,
    /// A sentence.
    pub(super) why: String,
}

/// A domain that the configuration names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) domain: String,
    by: &'static str,
}

/// The sending domains that a configuration names, each once.
struct Known {
    /// They are looked at.
    looked_at: Vec<Named>,
    /// They are more than that.
    left_out: Vec<Named>,
}

/// All domains that the configuration names as senders.
pub(super) fn named(config: &Config) -> impl Iterator<Item = Named> {
    let Known { looked_at, left_out } = known(config);
    looked_at.into_iter().chain(left_out)
}

/// The domains of a look, in order of their names: those asked for; with none asked for, those that the configuration names
/// and those that really sent.
pub(super) fn looked_at(config: &Config, asked: &[String], sent: &Sent) -> Vec<Origin> {
    let known = known(config).looked_at;
    let mut domains: Vec<String> = asked.to_vec();
    if asked.is_empty() {
        domains.extend(known.iter().map(|named| named.domain.clone()));
        domains.extend(sent.spoken_for.iter().map(|one| one.domain.clone()));
    }
    domains.sort_unstable();
    domains.dedup();
    let origin = |domain: String| {
        let named = known.iter().find(|named| named.domain == domain).map(|named| named.by);
        let named = if asked.is_empty() { named } else { Some("the command line") };
        let messages = sent.spoken_for.iter().chain(&sent.claimed).find(|one| one.domain == domain);
        let counted =
            |one: &SendingDomain| format!("{}, most by {}", counted(one, &sent.span), Visible(one.account.as_str()));
        let why = match (named, messages.map(counted)) {
            (Some(by), None) => format!("named by {by}"),
            (Some(by), Some(counted)) => format!("named by {by}; {counted}"),
            (None, Some(counted)) => counted,
            (None, None) => String::new(),
        };
        Origin { domain, why }
    };
    domains.into_iter().map(origin).collect()
}

fn counted(one: &SendingDomain, span: &str) -> String {
    match one.messages {
        1 => format!("sender of 1 message {span}"),
        many => format!("sender of {many} messages {span}"),
    }
}

/// Of `[[dkim]]` and `[doctor]` all; then those of our own reports, of `dsn.own_domains`, and of senders that routes,
/// logins and limits name. A pattern such as `*.example.com` names none.
fn known(config: &Config) -> Known {
    let delivery = &config.delivery;
    let mut looked_at = Vec::new();
    config.align.signing.keys.iter().for_each(|key| add(&key.domain, "[[dkim]]", &mut looked_at));
    config.align.doctor.domains.iter().for_each(|domain| add(domain, "[doctor] domains", &mut looked_at));
    let mut inferred = Vec::new();
    let from = delivery.dsn.from.as_ref().map_or_else(|| own_name(&config.intake), |from| from.domain().to_string());
    add(&from, "the From address of reports", &mut inferred);
    delivery.dsn.own_domains.iter().for_each(|domain| add(domain, "dsn.own_domains", &mut inferred));
    for route in &delivery.routes {
        route.matches.sender_domains.iter().for_each(|domain| add(domain, "a [[route]]", &mut inferred));
        route.matches.accounts.iter().for_each(|account| add(of_account(account), "a [[route]]", &mut inferred));
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
        add(domain, "a login of a [[route]]", &mut inferred);
    }
    for one in &config.limits.overrides {
        match &one.applies_to {
            AppliesTo::Account(account) => add(of_account(account), "a limit", &mut inferred),
            AppliesTo::Domain(domain) => add(domain, "a limit", &mut inferred),
            AppliesTo::Egress(_) | AppliesTo::Login(_) | AppliesTo::Route { .. } => {}
        }
    }
    inferred.retain(|one| !looked_at.iter().any(|known| known.domain == one.domain));
    let left_out = inferred.split_off(inferred.len().min(INFERRED_MAX));
    looked_at.extend(inferred);
    Known { looked_at, left_out }
}

fn of_account(account: &str) -> &str {
    account.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// What is no domain, as a pattern, is left away: nobody knows which of all below it send.
fn add(domain: &str, by: &'static str, to: &mut Vec<Named>) {
    if let Ok(Domain::Name(name)) = Domain::parse(domain)
        && name.contains('.')
        && !to.iter().any(|known| *known.domain == *name)
    {
        to.push(Named { domain: name.into(), by });
    }
}

/// Says which were looked at, and how to name more: silence about a domain is not health.
pub(super) fn told(config: &Config, senders: &[Sender], sent: &Sent) -> Finding {
    let is_looked_at = |domain: &str| senders.iter().any(|sender| sender.domain == domain);
    let all: Vec<&str> = senders.iter().map(|sender| sender.domain.as_str()).collect();
    let named: Vec<String> = named(config).map(|named| named.domain).filter(|domain| !is_looked_at(domain)).collect();
    let mut found = match all.as_slice() {
        [] => "no sending domain is looked at, for the configuration names none, and no mail of late proves one"
            .to_owned(),
        all => format!("sending domains looked at: {}", shown(all)),
    };
    let also = |what: &str, domains: &[String], found: &mut String| {
        if !domains.is_empty() {
            let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
            let _ = write!(found, "; not at these, {what}: {}", shown(&domains));
        }
    };
    also("which the configuration names too", &named, &mut found);
    let told = |domains: &[SendingDomain]| -> Vec<String> {
        let left = domains.iter().filter(|one| !is_looked_at(&one.domain));
        left.map(|one| format!("{} ({} messages)", one.domain, one.messages)).collect()
    };
    also(&format!("which sent {}", sent.span), &told(&sent.spoken_for), &mut found);
    also(&format!("which accounts that nobody proves wrote {}", sent.span), &told(&sent.claimed), &mut found);
    if let Some(why) = &sent.trouble {
        let _ = write!(found, "; who sent of late is not known: {}", Visible(why));
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
    use crate::account::Account;
    use crate::config::surroundings::Machine;

    fn config(text: &str) -> Config {
        let mut config = Config::parse(text, "test", &Machine::new(Path::new("/"))).unwrap().config;
        // Without it the name of the machine that tests would be a sending domain.
        config.intake.own_name = "localhost".to_owned();
        config
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
            let known = known(&config(text)).looked_at;
            assert_eq!(known.iter().map(|named| &*named.domain).collect::<Vec<_>>(), expected, "{why}");
        }
    }

    fn sent_by(account: &str, messages: u64) -> SendingDomain {
        SendingDomain { domain: of_account(account).to_owned(), messages, account: Account::named(account) }
    }

    fn senders(config: &Config, asked: &[String], sent: &Sent) -> Vec<Sender> {
        let sender = |Origin { domain, why }| Sender {
            signed_as: String::clone(&domain),
            domain,
            origin: why,
            egresses: vec![],
            smarthosts: vec![],
        };
        looked_at(config, asked, sent).into_iter().map(sender).collect()
    }

    #[test]
    fn why_a_domain_is_looked_at_is_said() {
        let mut config = config("[doctor]\ndomains = [\"named.example\", \"quiet.example\"]");
        config.intake.own_name = "host.example".to_owned();
        let sent = Sent {
            spoken_for: vec![sent_by("ann@named.example", 12), sent_by("bob@proven.example", 1)],
            claimed: vec![sent_by("eve@claimed.example", 7)],
            span: "in the last 7 days".into(),
            trouble: None,
        };
        let why = |asked: &[&str]| -> Vec<(String, String)> {
            let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
            looked_at(&config, &asked, &sent).into_iter().map(|origin| (origin.domain, origin.why)).collect()
        };
        let pair = |domain: &str, why: &str| (domain.to_owned(), why.to_owned());
        assert_eq!(
            why(&[]),
            [
                pair("host.example", "named by the From address of reports"),
                pair(
                    "named.example",
                    "named by [doctor] domains; sender of 12 messages in the last 7 days, most by ann@named.example"
                ),
                pair("proven.example", "sender of 1 message in the last 7 days, most by bob@proven.example"),
                pair("quiet.example", "named by [doctor] domains"),
            ],
            "and nobody asks about what is only claimed"
        );
        assert_eq!(
            why(&["claimed.example"]),
            [pair(
                "claimed.example",
                "named by the command line; sender of 7 messages in the last 7 days, most by eve@claimed.example"
            )]
        );
    }

    #[test]
    fn what_is_not_looked_at_is_said() {
        let names: Vec<String> = (0..25).map(|n| format!("\"d{n:02}.example\"")).collect();
        let config =
            config(&format!("[doctor]\ndomains = [\"mine.example\"]\n[dsn]\nown_domains = [{}]", names.join(", ")));
        let Known { looked_at, left_out } = known(&config);
        assert_eq!((looked_at.len(), left_out.len()), (1 + INFERRED_MAX, 5));
        let sent = Sent {
            claimed: vec![sent_by("eve@claimed.example", 7)],
            span: "in the last 7 days".into(),
            ..Sent::default()
        };
        let finding = told(&config, &senders(&config, &[], &sent), &sent);
        assert_eq!(finding.grade, Grade::Right);
        for part in [
            "d19.example, mine.example",
            "not at these",
            "d20.example, d21.example",
            "[doctor] domains",
            "which accounts that nobody proves wrote in the last 7 days: claimed.example (7 messages)",
        ] {
            assert!(finding.found.contains(part), "{}\nlacks\n{part}", finding.found);
        }
        let finding = told(&Config::default(), &[], &Sent::unknown("the store is away".into()));
        assert_eq!(finding.grade, Grade::Unknown, "nothing is looked at, so nothing is known");
        assert!(finding.found.contains("who sent of late is not known: the store is away"), "{}", finding.found);
    }
}
