//! Rules of the operator's own: regular expressions and lists of domains.
//!
//! Regular expressions of one place are tried in one pass (a set), in time linear in the text whatever they say; their
//! size is bounded when they are compiled.

use std::collections::{BTreeMap, HashSet};

use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

use crate::mail::Domain;
use crate::score::settings::{Asks, Case, DomainOf, OwnRule, PATTERN_BYTES_MAX, Place};

use super::RulesError;
use super::look::{Evidence, Look, example};

/// The most memory that one compiled pattern takes, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// The most that all of one place take, in bytes.
const COMPILED_SET_BYTES_MAX: usize = 32 << 20;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than allowed.
    #[error("the pattern is longer than {PATTERN_BYTES_MAX} bytes; write several rules")]
    TooLong,
    /// It would need too much memory.
    #[error("the pattern takes more than 1 MiB when compiled; use smaller repetitions")]
    TooLarge,
    /// It is no regular expression.
    #[error("{0}")]
    Syntax(String),
}

/// Where a set of patterns is tried.
type SetKey = (Place, Case);

/// The operator's rules, compiled.
#[derive(Debug, Default)]
pub(super) struct OwnRules {
    rules: Vec<OwnRule>,
    /// By place and case: the set, and the rule of each of its patterns.
    sets: BTreeMap<SetKey, (RegexSet, Vec<usize>)>,
    /// Rules with lists.
    listed: Vec<(usize, DomainOf, HashSet<String>)>,
}

/// Says whether a pattern can be used.
///
/// # Errors
/// Why not.
pub fn check(pattern: &str) -> Result<(), PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong);
    }
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map(drop)
        .map_err(from_regex)
}

fn from_regex(error: regex::Error) -> PatternError {
    match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        // The sentence spans lines to point at the place; what counts stands behind the last "error: ".
        other => {
            let text = other.to_string();
            let sentence = text.rsplit("error: ").next().unwrap_or(&text).trim();
            PatternError::Syntax(format!("no regular expression: {sentence}"))
        }
    }
}

impl OwnRules {
    /// Compiles the rules.
    pub(super) fn new(rules: &[OwnRule]) -> Result<Self, RulesError> {
        let mut patterns: BTreeMap<SetKey, (Vec<&str>, Vec<usize>)> = BTreeMap::new();
        let mut listed = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            match &rule.asks {
                Asks::Pattern { place, pattern, case } => {
                    check(pattern).map_err(|source| RulesError::Pattern { rule: rule.name.clone(), source })?;
                    let (texts, indices) = patterns.entry((place.clone(), *case)).or_default();
                    texts.push(pattern);
                    indices.push(index);
                }
                Asks::Listed { domain, domains } => listed.push((index, *domain, domains.iter().cloned().collect())),
            }
        }
        let mut sets = BTreeMap::new();
        for ((place, case), (texts, indices)) in patterns {
            let set = RegexSetBuilder::new(texts)
                .case_insensitive(case == Case::Ignored)
                .size_limit(COMPILED_SET_BYTES_MAX)
                .build()
                .map_err(|error| {
                    let rule = rules[indices[0]].name.clone();
                    RulesError::Pattern { rule, source: from_regex(error) }
                })?;
            sets.insert((place, case), (set, indices));
        }
        Ok(Self { rules: rules.to_vec(), sets, listed })
    }

    /// The rules that see what they ask for, each once.
    pub(super) fn see(&self, look: &Look<'_>) -> Vec<(&OwnRule, Evidence)> {
        let mut seen: Vec<(usize, Evidence)> = Vec::new();
        for ((place, _), (set, indices)) in &self.sets {
            let mut search = |text: &str| {
                seen.extend(set.matches(text).into_iter().map(|hit| (indices[hit], Evidence::default())));
            };
            match place {
                Place::Subject => search(&look.message.subject),
                Place::Body => search(&look.message.text),
                Place::Header(name) => {
                    let fields = look.message.header.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
                    fields.for_each(|field| search(&field.value));
                }
            }
        }
        for (index, domain, domains) in &self.listed {
            let hit = hosts(*domain, look).into_iter().find(|host| is_listed(domains, host));
            seen.extend(hit.and_then(|host| example(&host)).map(|evidence| (*index, evidence)));
        }
        seen.sort_by_key(|(index, _)| *index);
        seen.dedup_by_key(|(index, _)| *index);
        let rules = seen.into_iter().map(|(index, evidence)| (&self.rules[index], evidence));
        rules.filter(|(rule, _)| rule.is_for(look)).collect()
    }
}

impl OwnRule {
    fn is_for(&self, look: &Look<'_>) -> bool {
        if self.accounts.is_empty() && self.domains.is_empty() {
            return true;
        }
        let Some(account) = look.submission.account else { return false };
        self.accounts.iter().any(|name| name == account.as_str())
            || account.domain().is_some_and(|domain| self.domains.iter().any(|own| own == domain))
    }
}

fn hosts(domain: DomainOf, look: &Look<'_>) -> Vec<String> {
    match domain {
        DomainOf::From => look.message.from.iter().filter_map(crate::message::Mailbox::domain).collect(),
        DomainOf::Link => look.clicks.iter().map(|click| click.link.host.clone()).collect(),
        DomainOf::ReversePath => look.reverse_path_domain().into_iter().collect(),
        DomainOf::Recipient => {
            let recipients = look.submission.envelope.into_iter().flat_map(|envelope| &envelope.recipients);
            let names = recipients.filter_map(|recipient| match recipient.address.domain() {
                Domain::Name(name) => Some(name.to_string()),
                Domain::Literal(_) => None,
            });
            names.collect()
        }
    }
}

fn is_listed(domains: &HashSet<String>, host: &str) -> bool {
    domains.contains(host) || host.match_indices('.').any(|(dot, _)| domains.contains(&host[dot + 1..]))
}
