//! The rules as data (`config/rules.toml`): families, points, sentences, lists, words, brands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// What outguard comes with.
const EMBEDDED: &str = include_str!("../../../config/rules.toml");

static DATA: LazyLock<RuleData> =
    LazyLock::new(|| RuleData::parse(EMBEDDED).expect("the embedded rules are read by a test"));

/// Everything that is data about the built-in rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleData {
    /// Rules that speak of one thing.
    #[serde(rename = "family")]
    pub families: Vec<Family>,
    /// The rules, in the order of their families.
    #[serde(rename = "rule")]
    pub rules: Vec<RuleEntry>,
    /// Lists that rules look into.
    #[serde(rename = "list")]
    pub lists: Vec<List>,
    /// Words of many languages about one topic.
    #[serde(rename = "words")]
    pub topics: Vec<Topic>,
    /// Names that fraud borrows.
    #[serde(rename = "brand")]
    pub brands: Vec<Brand>,
}

/// Rules that speak of one thing, and so must not add up as if each were news.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Its name, `kebab-case`.
    pub name: String,
    /// What its rules together add at most, or its heaviest rule alone, whichever is more.
    pub points_max: i32,
    /// What its rules together take away at most; 0 or less.
    #[serde(default)]
    pub points_min: i32,
    /// Whether the model reads the same words: a text like spam does not raise the points of its rules then.
    #[serde(default)]
    pub read_by_model: bool,
    /// What its rules have in common.
    pub sentence: String,
}

/// The points of a rule that suggests and does not decide, at most.
const SOFT_POINTS_MAX: i32 = 70;

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// Its name, `kebab-case`, never reused.
    pub name: String,
    /// The family's name.
    pub family: String,
    /// What it adds to the score.
    pub points: i32,
    /// Whether, with few points, an ordinary text takes them back. Not where it saw something done rather than said: a
    /// file, a program, a form, a borrowed name come with any text.
    #[serde(default = "yes")]
    pub soft: bool,
    /// What the operator reads beside the points.
    pub sentence: String,
    /// What it sees in detail, why that matters, and when it is wrong.
    pub why: String,
    /// Where this is known from.
    pub origin: String,
    /// The rule looks for words of this topic; without it the rule is code.
    pub words: Option<String>,
    /// So many different words of the topic.
    #[serde(default = "one")]
    pub at_least: usize,
    /// Where they are looked for.
    #[serde(default)]
    pub part: Part,
    /// For rules of words: a text that they see.
    #[serde(default)]
    pub hits: String,
    /// For rules of words: a text that they nearly see.
    #[serde(default)]
    pub misses: String,
}

impl RuleEntry {
    /// Whether, as it comes, it suggests and does not decide: it counts by the text that it stands in.
    pub fn is_soft(&self) -> bool {
        self.soft && (1..=SOFT_POINTS_MAX).contains(&self.points)
    }
}

/// Where words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Subject and text.
    #[default]
    Both,
    /// The subject alone.
    Subject,
}

/// A list of domains, extensions, names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Its name, `kebab-case`.
    pub name: String,
    /// What stands in it.
    pub sentence: String,
    /// Where it is known from.
    pub origin: String,
    /// In lower case.
    pub entries: Vec<String>,
}

/// Words about one topic. `word*` is also the beginning of a longer word.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name, `kebab-case`.
    pub name: String,
    /// What the words have in common.
    pub sentence: String,
    /// Where they are known from.
    pub origin: String,
    /// By language (ISO 639-1).
    pub by_language: BTreeMap<String, Vec<String>>,
}

/// A name that fraud borrows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// In lower case, as it stands in a domain.
    pub name: String,
    /// The name with the accents that the brand itself writes, where it does.
    #[serde(default)]
    pub accented: Option<String>,
    /// The domains that are its own.
    pub domains: Vec<String>,
    /// Whether it is an ordinary word or a short one, of which only look-alikes are told.
    #[serde(default)]
    pub ordinary_word: bool,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

/// The data that outguard comes with.
pub fn embedded() -> &'static RuleData {
    &DATA
}

impl RuleData {
    /// Reads and checks the data.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let data: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        data.check()?;
        Ok(data)
    }

    /// The names of all rules.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// The names of all lists, those of words among them.
    pub fn list_names(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|list| list.name.as_str()).chain(self.topics.iter().map(|topic| topic.name.as_str()))
    }

    fn check(&self) -> Result<(), String> {
        let families: BTreeSet<&str> = self.families.iter().map(|family| family.name.as_str()).collect();
        let topics: BTreeSet<&str> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
        unique("family", self.families.iter().map(|family| family.name.as_str()))?;
        unique("rule", self.rule_names())?;
        unique("list or topic", self.list_names())?;
        unique("brand", self.brands.iter().map(|brand| brand.name.as_str()))?;
        for family in &self.families {
            if family.points_min > 0 || family.points_max < 0 {
                return Err(format!("family {}: points_max is 0 or more, points_min 0 or less", family.name));
            }
        }
        for rule in &self.rules {
            let fault = |sentence: &str| Err(format!("rule {}: {sentence}", rule.name));
            if !families.contains(rule.family.as_str()) {
                return fault("no such family");
            }
            if rule.words.as_deref().is_some_and(|topic| !topics.contains(topic)) {
                return fault("no such topic of words");
            }
            if rule.words.is_some() && (rule.hits.is_empty() || rule.misses.is_empty()) {
                return fault("a rule of words brings a text that it sees and one that it nearly sees");
            }
            if rule.points == 0 || rule.at_least == 0 {
                return fault("0 would switch it off");
            }
            if !is_sentence(&rule.sentence) || rule.why.is_empty() || rule.origin.is_empty() {
                return fault("it has a sentence without a full stop, a why and an origin");
            }
        }
        for list in &self.lists {
            unique(&format!("entry of {}", list.name), list.entries.iter().map(String::as_str))?;
            if list.entries.iter().any(|entry| entry.is_empty() || *entry != entry.to_lowercase()) {
                return Err(format!("list {}: entries are in lower case", list.name));
            }
        }
        Ok(())
    }
}

fn is_sentence(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('.') && !text.contains('\n')
}

fn unique<'t>(what: &str, names: impl Iterator<Item = &'t str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{what} {name:?} stands there twice"));
        }
    }
    Ok(())
}
