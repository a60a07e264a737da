//! What an operator decides about the score: thresholds, points, lists, rules of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::model::Model;
use crate::account::Account;

/// How messages are scored and from which score on they are stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreSettings {
    /// Whether messages are judged at all.
    pub enabled: bool,
    /// Whether the next hop is told score and reasons in header fields.
    pub header_fields: bool,
    /// From which score on a message is held or rejected.
    pub thresholds: Thresholds,
    /// The model of text; `None`: the one that ships.
    pub model: Option<OwnModel>,
    /// Points of rules in place of the built-in ones, by the rule's name; 0 switches a rule off.
    pub points: BTreeMap<String, i32>,
    /// What is added to the built-in lists and word lists, by the list's name. `-entry` takes one out, `-*` all.
    pub lists: BTreeMap<String, Vec<String>>,
    /// Rules of the operator's own.
    pub rules: Vec<OwnRule>,
    /// Other points and thresholds for some. The most particular holds (account, then domain, then egress), of equal
    /// ones the last.
    pub overrides: Vec<ScoreOverride>,
}

impl Default for ScoreSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            header_fields: false,
            thresholds: Thresholds::default(),
            model: None,
            points: BTreeMap::new(),
            lists: BTreeMap::new(),
            rules: Vec::new(),
            overrides: Vec::new(),
        }
    }
}

/// A model of the operator's own, as it was when the configuration was read: a changed file is another setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnModel {
    /// Where it was read.
    pub path: PathBuf,
    /// What was read.
    pub model: Arc<Model>,
}

/// From which score on a message is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// It is taken, and held for a person.
    pub hold: Threshold,
    /// It is refused at the end of its content. Only where the account is proven: else the refusal would come back as
    /// a bounce to somebody who sent nothing.
    pub reject: Threshold,
}

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// At so many points and more.
    From(i32),
    /// Never.
    Off,
}

impl Threshold {
    /// The points, unless it is off.
    pub const fn points(self) -> Option<i32> {
        match self {
            Self::From(points) => Some(points),
            Self::Off => None,
        }
    }
}

/// Hold from 150 (the network's engine calls it spam from 200, its provider acts from 300 on), never reject.
impl Default for Thresholds {
    fn default() -> Self {
        Self { hold: Threshold::From(150), reject: Threshold::Off }
    }
}

/// Points and thresholds for some in place of the general ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreOverride {
    /// For whom.
    pub applies_to: ScoredAs,
    /// As [`ScoreSettings::points`]. Not for an egress: it is chosen after the verdict.
    pub points: BTreeMap<String, i32>,
    /// [`Thresholds::hold`], if it differs.
    pub hold: Option<Threshold>,
    /// [`Thresholds::reject`], if it differs.
    pub reject: Option<Threshold>,
}

/// Whom an override is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScoredAs {
    /// One account, in the form that the log shows.
    Account(Box<str>),
    /// The accounts of a domain, in lower case.
    Domain(Box<str>),
    /// What may only leave through this egress, by name.
    Egress(Box<str>),
}

/// A rule of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRule {
    /// Its name, `kebab-case`, none of the built-in ones.
    pub name: String,
    /// What it asks for.
    pub asks: Asks,
    /// What it adds, 0 is off.
    pub points: i32,
    /// What the operator reads.
    pub sentence: String,
    /// Only for these accounts, if any are named; together with `domains`, either is enough.
    pub accounts: Vec<String>,
    /// Only for accounts of these domains, if any are named.
    pub domains: Vec<String>,
}

/// What a rule of the operator's own asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// A text that a regular expression is found in.
    Pattern {
        /// Where it is looked for.
        place: Place,
        /// In the syntax of the regex crate, at most [`PATTERN_BYTES_MAX`] bytes.
        pattern: String,
        /// Whether case matters.
        case: Case,
    },
    /// A domain that is one of a list, or below one.
    Listed {
        /// Which domain.
        domain: DomainOf,
        /// In lower case and A-label form.
        domains: Vec<String>,
    },
}

/// Where a regular expression is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The decoded subject.
    Subject,
    /// The text that a reader shows.
    Body,
    /// Each field of that name, decoded.
    Header(String),
}

/// Whether `A` is `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Case {
    /// It is.
    #[default]
    Ignored,
    /// It is not.
    Exact,
}

/// Which domain is looked for in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainOf {
    /// The header From.
    From,
    /// Any link that is followed by a click.
    Link,
    /// The reverse-path.
    ReversePath,
    /// Any recipient of the envelope.
    Recipient,
}

/// The longest regular expression, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1_000;
/// The most rules of the operator's own.
pub const OWN_RULES_MAX: usize = 500;
/// The farthest from 0 that points may be.
pub const POINTS_MAX: i32 = 10_000;

impl ScoreSettings {
    /// The thresholds for a message of that account which may leave through these egresses only.
    pub fn thresholds(&self, account: Option<&Account>, egresses: &[&str]) -> Thresholds {
        let mut thresholds = self.thresholds;
        let mut ranks = (0, 0);
        for one in &self.overrides {
            let Some(rank) = one.applies_to.rank(account, egresses) else { continue };
            if let Some(hold) = one.hold.filter(|_| rank >= ranks.0) {
                (thresholds.hold, ranks.0) = (hold, rank);
            }
            if let Some(reject) = one.reject.filter(|_| rank >= ranks.1) {
                (thresholds.reject, ranks.1) = (reject, rank);
            }
        }
        thresholds
    }
}

impl ScoredAs {
    /// How particular this is for such a message, if it is for it at all.
    pub(super) fn rank(&self, account: Option<&Account>, egresses: &[&str]) -> Option<u8> {
        match self {
            Self::Account(name) => (account?.as_str() == &**name).then_some(3),
            Self::Domain(domain) => (account?.domain()? == &**domain).then_some(2),
            Self::Egress(name) => (!egresses.is_empty() && egresses.iter().all(|one| *one == &**name)).then_some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(applies_to: ScoredAs, hold: Option<Threshold>, reject: Option<Threshold>) -> ScoreOverride {
        ScoreOverride { applies_to, points: BTreeMap::new(), hold, reject }
    }

    #[test]
    fn the_most_particular_threshold_holds() {
        use Threshold::{From, Off};
        let settings = ScoreSettings {
            overrides: vec![
                over(ScoredAs::Account("a@example.org".into()), Some(From(90)), None),
                over(ScoredAs::Domain("example.org".into()), Some(From(120)), Some(From(400))),
                over(ScoredAs::Domain("example.org".into()), Some(From(130)), None),
                over(ScoredAs::Egress("news".into()), Some(Off), Some(From(500))),
            ],
            ..ScoreSettings::default()
        };
        let cases = [
            ("", "", From(150), Off),                         // nothing is known: the general ones
            ("x@other.example", "", From(150), Off),          // nobody's override
            ("a@example.org", "", From(90), From(400)),       // each threshold on its own
            ("b@example.org", "", From(130), From(400)),      // of equal ones the last
            ("b@example.org", "news", From(130), From(400)),  // a domain before an egress
            ("x@other.example", "news", Off, From(500)),      // only that egress is left
            ("x@other.example", "news main", From(150), Off), // another may carry it
        ];
        for (account, egresses, hold, reject) in cases {
            let named = Some(Account::named(account)).filter(|_| !account.is_empty());
            let list: Vec<&str> = egresses.split_whitespace().collect();
            assert_eq!(settings.thresholds(named.as_ref(), &list), Thresholds { hold, reject }, "{account} {egresses}");
        }
    }
}
