//! `[score.points]`, `[score.lists]` and `[[score.rule]]`: the built-in rules as the operator wants them, and rules of
//! their own.

use std::collections::BTreeMap;

use super::item::{Fault, Item, Place, Setting, nearest};
use super::named::{self, Of};
use super::reader::{Reading, TableReader, key};
use super::values::{expected, quoted, words};
use crate::score::rules::{data, own};
use crate::score::settings::{self, Asks, Case, DomainOf, OWN_RULES_MAX, OwnRule, POINTS_MAX};

words!(Case, "\"ignored\" or \"exact\"", { "ignored" => Case::Ignored, "exact" => Case::Exact });
words!(DomainOf, "\"from\", \"link\", \"reverse-path\" or \"recipient\"", {
    "from" => DomainOf::From,
    "link" => DomainOf::Link,
    "reverse-path" => DomainOf::ReversePath,
    "recipient" => DomainOf::Recipient,
});

/// What is written for each of some names, and where.
pub(super) struct ByName<T>(Vec<(String, Place, T)>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Setting> Setting for ByName<T> {
    const EXPECTED: &'static str = "a table, such as { name = … }";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let members = item.members().ok_or_else(|| expected::<Self>(item))?;
        let mut read = Vec::new();
        for (name, place, item) in members {
            // A fault is told at its member; the others are still worth reading, for theirs.
            match T::read(&item) {
                Ok(value) => read.push((name.to_owned(), place, value)),
                Err(Fault::Says(sentence)) => item.reading.error(&place, sentence),
                Err(Fault::Told) => {}
            }
        }
        Ok(Self(read))
    }

    fn written(&self) -> String {
        let members: Vec<_> =
            self.0.iter().map(|(name, _, value)| format!("{} = {}", quoted(name), value.written())).collect();
        if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
    }
}

impl<T> ByName<T> {
    /// The values, after an error for each name that is none of `known`.
    pub(super) fn checked(self, reading: &Reading<'_>, what: &str, known: &[&str]) -> BTreeMap<String, T> {
        for (name, place, _) in &self.0 {
            if known.contains(&name.as_str()) {
                continue;
            }
            let advice = match nearest(name, known) {
                Some(near) => format!("did you mean {near}?"),
                None => "docs/scoring.md names them all".to_owned(),
            };
            reading.error(place, format!("there is no such {what}; {advice}"));
        }
        self.0.into_iter().map(|(name, _, value)| (name, value)).collect()
    }
}

/// Points within bounds.
pub(super) struct Points(pub(super) i32);

impl Setting for Points {
    const EXPECTED: &'static str = "points from -10000 to 10000, such as 40";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let points = i32::read(item).ok().filter(|points| points.abs() <= POINTS_MAX);
        points.map(Self).ok_or_else(|| expected::<Self>(item))
    }

    fn written(&self) -> String {
        self.0.to_string()
    }
}

/// Points by rule, as the rules take them.
pub(super) fn plain(points: BTreeMap<String, Points>) -> BTreeMap<String, i32> {
    points.into_iter().map(|(name, points)| (name, points.0)).collect()
}

/// Reads `points`, and `lists` where `score` is the section of that name.
pub(super) fn read_built_in(score: &mut TableReader<'_>) -> (BTreeMap<String, i32>, BTreeMap<String, Vec<String>>) {
    let points: ByName<Points> = score.or(
        key("points", "Points of built-in rules in place of theirs, by the rule's name; 0 switches one off.")
            .example("{ gtube = 0, date-missing = 20 }"),
        ByName::default(),
    );
    let lists: ByName<Vec<String>> = score.or(
        key(
            "lists",
            "What is added to built-in lists of domains and words, by the list's name; \"-entry\" takes one out, \"-*\" all.",
        )
        .example("{ shorteners = [\"go.example.com\"] }"),
        ByName::default(),
    );
    let data = data::embedded();
    let rules: Vec<&str> = data.rule_names().collect();
    let names: Vec<&str> = data.list_names().collect();
    let reading = score.reading();
    (plain(points.checked(reading, "rule", &rules)), lists.checked(reading, "list", &names))
}

/// Reads `[[score.rule]]`.
pub(super) fn read_own(score: &mut TableReader<'_>) -> Vec<OwnRule> {
    let doc = "A rule of your own: a regular expression (header or body), or a list of domains.";
    let mut rules: Vec<OwnRule> = Vec::new();
    for table in score.tables("rule", doc) {
        let (reading, here, place) = (table.reading(), table.here(), table.place("name"));
        let Some(rule) = read_rule(table) else { continue };
        if rules.iter().any(|other| other.name == rule.name) {
            reading.error(&place, "there is already a rule of that name; choose another");
        }
        if rules.len() == OWN_RULES_MAX {
            reading.error(&here, format!("more than {OWN_RULES_MAX} rules; join some, as in \"one|other\""));
            break;
        }
        rules.push(rule);
    }
    rules
}

fn read_rule(mut table: TableReader<'_>) -> Option<OwnRule> {
    let name: Option<String> = table.required(key("name", "Its name, as reasons show it.").example("\"our-lottery\""));
    let points: Option<Points> = table.required(key("points", "What it adds, or takes off.").example("80"));
    let sentence = table
        .required(key("sentence", "What the operator reads when it strikes.").example("\"It speaks of our lottery\""));
    let pattern: Option<String> = table.optional(
        key("pattern", "A regular expression, in the syntax of Rust's regex crate.").example("'\\blottery\\b'"),
    );
    let place = table
        .or(key("place", "Where the pattern is looked for.").example("\"header:X-Mailer\""), settings::Place::Body);
    let case = table.or(key("case", "Whether the case of letters matters in the pattern."), Case::Ignored);
    let domains: Option<Vec<String>> = table.optional(
        key("domains", "In place of a pattern: domains that are looked for, each with all below it.")
            .example("[\"bad.example\"]"),
    );
    let domain_of = table.or(key("domain_of", "Which domain is looked for among those."), DomainOf::Link);
    let accounts = table.or(
        key("accounts", "Only for these accounts, in the form that the log shows. Empty: for all."),
        Vec::<String>::new(),
    );
    let account_domains = table.or(
        key("account_domains", "Only for accounts of these domains; together with accounts, either is enough."),
        Vec::<String>::new(),
    );
    table.names(Of::Account, "accounts", accounts.iter().map(String::as_str));
    if let Some(name) = &name {
        check_name(&table, name);
    }
    if let Some(Err(error)) = pattern.as_deref().map(own::check) {
        table.reading().error(&table.place("pattern"), error.to_string());
    }
    let asks = match (pattern, domains) {
        (Some(pattern), None) => Asks::Pattern { place, pattern, case },
        (None, Some(domains)) => Asks::Listed { domain: domain_of, domains: plain_domains(domains) },
        (given, _) => {
            if table.is_written() {
                let what = if given.is_some() { "both a pattern and domains" } else { "neither a pattern nor domains" };
                table.reading().error(&table.here(), format!("{what}; write one of them"));
            }
            return None;
        }
    };
    Some(OwnRule {
        name: name?,
        asks,
        points: points?.0,
        sentence: sentence?,
        accounts,
        domains: plain_domains(account_domains),
    })
}

/// A name that can stand in a header field and in `[score.points]`, and is not taken.
fn check_name(table: &TableReader<'_>, name: &str) {
    const NAME_BYTES_MAX: usize = 60;
    let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let sentence = if !fits || name.is_empty() || name.len() > NAME_BYTES_MAX {
        "write it of small letters, digits and \"-\", as in our-lottery"
    } else if data::embedded().rule_names().any(|built_in| built_in == name) {
        "a built-in rule has that name; choose another, or change its points in [score.points]"
    } else {
        return;
    };
    table.reading().error(&table.place("name"), sentence);
}

fn plain_domains(domains: Vec<String>) -> Vec<String> {
    domains.into_iter().map(|domain| named::domain(&domain).into()).collect()
}

impl Setting for settings::Place {
    const EXPECTED: &'static str = "\"subject\", \"body\" or \"header:NAME\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = item.text().ok_or_else(|| expected::<Self>(item))?;
        match text {
            "subject" => Ok(Self::Subject),
            "body" => Ok(Self::Body),
            _ => match text.strip_prefix("header:").map(str::trim) {
                Some(name) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':') => {
                    Ok(Self::Header(name.to_owned()))
                }
                _ => Err(expected::<Self>(item)),
            },
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Subject => quoted("subject"),
            Self::Body => quoted("body"),
            Self::Header(name) => quoted(&format!("header:{name}")),
        }
    }
}
