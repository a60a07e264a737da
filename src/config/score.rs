//! `[score]`: how messages are judged, and from which score on they are stopped.

use super::behaviour;
use super::item::{Fault, Item, Setting};
use super::named::{self, Of};
use super::reader::{TableReader, key};
use super::score_rules::{ByName, Points, plain, read_built_in, read_own};
use super::values::expected;
use crate::score::ScoreSettings;
use crate::score::behaviour::BehaviourSettings;
use crate::score::rules::data;
use crate::score::settings::{OwnRule, ScoreOverride, ScoredAs, Threshold, Thresholds};

impl Setting for Threshold {
    const EXPECTED: &'static str = "points such as 150, or \"off\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        match item.text() {
            Some("off") => Ok(Self::Off),
            Some(_) => Err(expected::<Self>(item)),
            None => i32::read(item).map(Self::From),
        }
    }

    fn written(&self) -> String {
        self.points().map_or_else(|| "\"off\"".to_owned(), |points| points.to_string())
    }
}

/// Reads `[score]` with all below it.
pub(super) fn read(root: &mut TableReader<'_>) -> (ScoreSettings, BehaviourSettings) {
    let default = ScoreSettings::default();
    let mut table = root.table(
        "score",
        "Every message is judged at its final dot: points with reasons, on the scale where ordinary mail is under 50, \
         commercial mail near 100 and spam from 200.",
    );
    let enabled = table.or(key("enabled", "Whether messages are judged at all."), default.enabled);
    let header_fields = table.or(
        key("header_fields", "Whether the next hop is told score and reasons (X-Outguard-Score, X-Outguard-Reasons). A message may bring \
                 such fields of its own: only those above all others are ours."),
        default.header_fields,
    );
    let thresholds = Thresholds {
        hold: table.or(
            key("hold", "From this score on a message is taken and held for a person, or \"off\"."),
            default.thresholds.hold,
        ),
        reject: table.or(
            key(
                "reject",
                "From this score on a message is refused, where its sender has logged in to outguard itself; of any other it \
                 is held, for an MTA in between would make a bounce of the refusal. Or \"off\".",
            )
            .example("400"),
            default.thresholds.reject,
        ),
    };
    let model = table.optional(
        key(
            "model",
            "A model of text that `outguard train` made (16 MiB at most), read at the start and at each reload. Absent: the \
             one that ships.",
        )
        .example("\"/etc/outguard/own.model\""),
    );
    let (points, lists) = read_built_in(&mut table);
    let rules = read_own(&mut table);
    let overrides = read_overrides(&mut table, &rules);
    let behaviour = behaviour::read(&mut table);
    (ScoreSettings { enabled, header_fields, thresholds, model, points, lists, rules, overrides }, behaviour)
}

fn read_overrides(score: &mut TableReader<'_>, rules: &[OwnRule]) -> Vec<ScoreOverride> {
    let doc = "Other thresholds and points for some. Exactly one of account, domain and egress says for whom; the most \
               particular holds (account, then domain, then egress), of equal ones the last.";
    score.tables("override", doc).into_iter().filter_map(|table| read_override(table, rules)).collect()
}

fn read_override(mut table: TableReader<'_>, rules: &[OwnRule]) -> Option<ScoreOverride> {
    let name = |table: &mut TableReader<'_>, name, doc, example| {
        table.optional::<String>(key(name, doc).example(example)).map(String::into_boxed_str)
    };
    let account = name(&mut table, "account", "One account, in the form that the log shows.", "\"news@example.com\"");
    let domain = name(&mut table, "domain", "The accounts of a domain.", "\"example.com\"");
    let egress =
        name(&mut table, "egress", "What may only leave through this egress, by its name (no points).", "\"news\"");
    let hold = table.optional(key("hold", "The threshold in place of the general one.").example("200"));
    let reject = table.optional(key("reject", "The threshold in place of the general one.").example("\"off\""));
    let points: ByName<Points> = table.or(
        key("points", "Points of rules in place of the general ones, by the rule's name.")
            .example("{ script-mail = 0 }"),
        ByName::default(),
    );
    let known: Vec<&str> = data::embedded().rule_names().chain(rules.iter().map(|rule| rule.name.as_str())).collect();
    let points = plain(points.checked(table.reading(), "rule", &known));
    let for_an_egress = egress.is_some();
    table.names(Of::Egress, "egress", egress.as_deref());
    table.names(Of::Account, "account", account.as_deref());
    let mut whom: Vec<ScoredAs> = [
        account.map(ScoredAs::Account),
        domain.map(|domain| ScoredAs::Domain(named::domain(&domain))),
        egress.map(ScoredAs::Egress),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !table.is_written() {
        return None;
    }
    if whom.len() != 1 {
        table.reading().error(&table.here(), "for whom? write one of account, domain or egress");
        return None;
    }
    if for_an_egress && !points.is_empty() {
        table.reading().error(&table.place("points"), "an egress is chosen after the points; write thresholds only");
    }
    Some(ScoreOverride { applies_to: whom.pop()?, points, hold, reject })
}
