//! Rules: what can be said about a message without having learned anything. Each brings points and one plain sentence.
//!
//! What a rule is worth, what it says and the lists it looks into are data ([`data`], `config/rules.toml`); what it sees
//! is either a list of words (data too) or a function of one of the family files here (`header`, `links` …), whose tests
//! hold a table of hits and near misses. Rules of a family must not add up as if each were news, so a family is capped
//! ([`Family`](data::Family)). The operator's own rules are in [`own`]. Pure: a submission in, reasons out; no rule
//! decides anything.
//!
//! Start with [`Rules::evaluate`], then `look` for what rules look at.

pub mod data;
pub mod own;
pub mod page;

mod attachments;
mod body;
mod bulk;
mod caps;
mod click;
mod favour;
mod fold;
mod forged;
mod fraud;
mod guide;
mod header;
mod hidden;
mod hosting;
mod hosts;
mod identity;
mod kind;
mod links;
mod lists;
mod look;
mod names;
mod outlook;
mod registry;
mod structure;
mod subject;
mod sums;
mod web;
mod words;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::account::Account;
use crate::reason::Reason;
use crate::score::Submission;
use crate::score::settings::{ScoreSettings, ScoredAs};

use caps::Weighed;
use data::{Part, RuleData, RuleEntry};
use hosts::Brands;
pub(in crate::score) use hosts::site;
use lists::Lists;
use look::{Evidence, Look, Sight};
use own::{OwnRules, PatternError};
use words::{TopicIndex, WordFinder};

/// All rules, ready to look at messages.
#[derive(Debug)]
pub struct Rules {
    built_in: Vec<ActiveRule>,
    /// Names of those that suggest and do not decide.
    soft: HashSet<String>,
    /// Those of them that say what the model reads too.
    read_by_model: HashSet<String>,
    families: Vec<data::Family>,
    finder: WordFinder,
    lists: Lists,
    brands: Brands,
    own: OwnRules,
    overrides: Vec<PointsFor>,
}

/// Why rules cannot be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A rule of the operator's own.
    #[error("the rule {rule}: {source}; mend [[score.rule]]")]
    Pattern {
        /// Its name.
        rule: String,
        /// What is wrong with its pattern.
        source: PatternError,
    },
    /// Words that make no automaton: more than fit into it.
    #[error("the words of [score.lists] are too many: {0}")]
    Words(#[from] aho_corasick::BuildError),
}

/// A built-in rule with its points.
struct ActiveRule {
    name: String,
    sentence: String,
    family: usize,
    points: i32,
    asks: Asks,
}

/// What a built-in rule asks for.
enum Asks {
    Code(fn(&Look<'_>) -> Sight),
    Words { topic: TopicIndex, at_least: usize, part: Part },
}

/// Other points for some accounts.
#[derive(Debug)]
struct PointsFor {
    whom: ScoredAs,
    points: BTreeMap<String, i32>,
}

impl Rules {
    /// The rules with the operator's points, lists and own rules.
    ///
    /// # Errors
    /// A pattern of the operator's own that is no regular expression or too large, or words without end.
    pub fn new(settings: &ScoreSettings) -> Result<Self, RulesError> {
        Self::of(data::embedded(), settings)
    }

    /// The rules of other data than the built-in ones.
    ///
    /// # Errors
    /// As [`Rules::new`].
    pub fn of(data: &RuleData, settings: &ScoreSettings) -> Result<Self, RulesError> {
        let finder = WordFinder::new(&data.topics, &settings.lists)?;
        let code: HashMap<&str, _> = registry::all().map(|rule| (rule.name, rule.look)).collect();
        let active = |entry: &RuleEntry| {
            let asks = match &entry.words {
                Some(topic) => Asks::Words { topic: finder.topic(topic)?, at_least: entry.at_least, part: entry.part },
                None => Asks::Code(*code.get(entry.name.as_str())?),
            };
            Some(ActiveRule {
                name: entry.name.clone(),
                sentence: entry.sentence.clone(),
                family: data.families.iter().position(|family| family.name == entry.family)?,
                points: settings.points.get(&entry.name).copied().unwrap_or(entry.points),
                asks,
            })
        };
        let built_in = data.rules.iter().filter_map(active).collect();
        let overrides = settings.overrides.iter().filter(|over| !over.points.is_empty());
        let is_changed = |name: &String| {
            settings.points.contains_key(name) || settings.overrides.iter().any(|over| over.points.contains_key(name))
        };
        let is_soft = |entry: &&RuleEntry| entry.is_soft() && !is_changed(&entry.name);
        let soft = data.rules.iter().filter(is_soft);
        let is_read =
            |entry: &&RuleEntry| data.families.iter().any(|family| family.name == entry.family && family.read_by_model);
        Ok(Self {
            built_in,
            read_by_model: soft.clone().filter(is_read).map(|entry| entry.name.clone()).collect(),
            soft: soft.map(|entry| entry.name.clone()).collect(),
            families: data.families.clone(),
            lists: Lists::new(&data.lists, &settings.lists),
            brands: Brands::new(&data.brands),
            own: OwnRules::new(&settings.rules)?,
            overrides: overrides
                .map(|over| PointsFor { whom: over.applies_to.clone(), points: over.points.clone() })
                .collect(),
            finder,
        })
    }

    /// Every reason that rules see in a message, heaviest first. Points of a family beyond its cap are taken off the
    /// lighter ones, which stay with what is left, if only 0: the operator reads all that was seen.
    pub fn evaluate(&self, submission: &Submission<'_>) -> Vec<Reason> {
        let look = Look::new(submission, &self.lists, &self.brands, &self.finder);
        let points_of = self.points_for(submission.account);
        let mut weighed = Vec::new();
        for rule in &self.built_in {
            let points = points_of.get(rule.name.as_str()).copied().unwrap_or(rule.points);
            if points == 0 {
                continue;
            }
            if let Some(evidence) = self.sees(rule, &look) {
                let reason = reason(&rule.name, points, &rule.sentence, &evidence);
                weighed.push(Weighed { family: rule.family, reason });
            }
        }
        let mut reasons = caps::within(&self.families, weighed);
        for (rule, evidence) in self.own.see(&look) {
            let points = points_of.get(rule.name.as_str()).copied().unwrap_or(rule.points);
            if points != 0 {
                reasons.push(reason(&rule.name, points, &rule.sentence, &evidence));
            }
        }
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.points));
        reasons
    }

    fn sees(&self, rule: &ActiveRule, look: &Look<'_>) -> Sight {
        match rule.asks {
            Asks::Code(sees) => sees(look),
            Asks::Words { topic, at_least, part } => {
                let (found, texts) = match part {
                    Part::Both => (&look.words, [&look.text, &look.subject]),
                    Part::Subject => (&look.subject_words, [&look.subject, &look.subject]),
                };
                found.of(topic).nth(at_least - 1)?;
                if at_least > 1 && self.finder.places(found.of(topic), texts) < at_least {
                    return None;
                }
                let words: Vec<usize> = found.of(topic).take(WORDS_SHOWN_MAX).collect();
                look::example(&self.finder.written(&words).join(", "))
            }
        }
    }

    /// Whether a reason is of a built-in rule that suggests and does not decide ([`RuleEntry::is_soft`]), and not the points
    /// of the operator, who means them.
    pub fn is_soft(&self, reason: &Reason) -> bool {
        reason.points > 0 && self.soft.contains(reason.name.as_ref())
    }

    /// Whether a text that is like spam raises the points of a soft reason: not of phrases, which the model has read as well.
    pub fn is_raised(&self, reason: &Reason) -> bool {
        self.is_soft(reason) && !self.read_by_model.contains(reason.name.as_ref())
    }

    /// The points that differ for this account. The more particular override is applied last.
    fn points_for(&self, account: Option<&Account>) -> HashMap<&str, i32> {
        let mut points = HashMap::new();
        let mut ranked: Vec<(u8, &PointsFor)> =
            self.overrides.iter().filter_map(|over| Some((over.whom.rank(account, &[])?, over))).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        for (_, over) in ranked {
            points.extend(over.points.iter().map(|(name, points)| (name.as_str(), *points)));
        }
        points
    }
}

/// How many of the words that a rule found its sentence shows.
const WORDS_SHOWN_MAX: usize = 3;

impl std::fmt::Debug for ActiveRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.points)
    }
}

fn reason(name: &str, points: i32, sentence: &str, evidence: &Evidence) -> Reason {
    let sentence = match &evidence.example {
        Some(example) => format!("{sentence}: {example}"),
        None => sentence.to_owned(),
    };
    Reason { name: name.to_owned().into(), points, sentence: sentence.into() }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
