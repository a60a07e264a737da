//! Allow rules: what a person let pass, until when, and why, so that a released newsletter is not held again.
//!
//! A rule names an account, a list (List-Id), a template or several of these; all that it names must fit. It brings a
//! message below the threshold of a hold by a reason of its own, and never speaks for what is [unforgivable](is_unforgivable).
//! Pure: the daemon keeps each rule under its id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Submission;
use super::behaviour::Template;
use super::behaviour::{list_id, list_id_of};
use crate::account::{Account, AccountSource};
use crate::clock::WallMs;
use crate::reason::Reason;

/// Rules at most: each message is compared with all.
const RULES_MAX: usize = 10_000;
/// The longest List-Id, name of a person and reason kept, in characters.
const TEXT_CHARS_MAX: usize = 255;
/// Reasons that no rule and no habit speaks against: test strings and programs that harm.
const UNFORGIVABLE: [&str; 7] =
    ["gtube", "malware", "virus", "clamav", "attachment-program", "attachment-disguised", "attachment-two-endings"];

/// Whether a reason holds whatever speaks for the message.
pub fn is_unforgivable(reason: &Reason) -> bool {
    reason.points > 0 && UNFORGIVABLE.contains(&reason.name.as_ref())
}

/// The most points that a rule speaks against: past it a message is something else than what was let pass.
const SPOKEN_POINTS_MAX: i32 = 300;

/// What a rule lets pass. At least one of account, list and template is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Mail of that account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<Account>,
    /// Mail with that List-Id (RFC 2919). Anybody can write one, so better with an account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list: Option<String>,
    /// Mail of that template.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<Template>,
    /// Only mail whose account is proven: it was made for such mail, and anybody may write the account's address.
    #[serde(default)]
    pub proven: bool,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its number, never used again.
    pub id: u64,
    /// What it lets pass.
    pub scope: Scope,
    /// From then on it does not hold any more; absent: no end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<WallMs>,
    /// When it was made.
    pub made: WallMs,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Why a rule was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// It names neither account, list nor template.
    #[error("the rule names nothing and was not made; name an account, a list or a template")]
    Everything,
    /// Its end has passed.
    #[error("the rule's end has passed already, so it was not made; give a later one")]
    Expired,
    /// There are [`RULES_MAX`].
    #[error("there are 10000 allow rules, so this one was not made; remove some that are not needed any more")]
    TooMany,
}

/// All rules.
#[derive(Debug, Clone, Default)]
pub struct Allow {
    rules: BTreeMap<u64, Rule>,
    /// The highest id ever seen.
    last_id: u64,
}

impl Allow {
    /// Makes a rule. The caller keeps it ([`Rule::to_bytes`]).
    ///
    /// # Errors
    /// What [`AllowError`] says.
    pub fn add(
        &mut self,
        scope: Scope,
        expires: Option<WallMs>,
        by: &str,
        why: &str,
        now: WallMs,
    ) -> Result<&Rule, AllowError> {
        let list = scope.list.as_deref().and_then(|list| list_id_of(&clean(list)));
        let scope = Scope { list, ..scope };
        if scope.account.is_none() && scope.list.is_none() && scope.template.is_none() {
            return Err(AllowError::Everything);
        }
        if expires.is_some_and(|end| end <= now) {
            return Err(AllowError::Expired);
        }
        self.expire(now);
        if self.rules.len() >= RULES_MAX {
            return Err(AllowError::TooMany);
        }
        // Ids of removed rules do not come back after a restart either: the clock is beyond them.
        self.last_id = (self.last_id + 1).max(now.0);
        let id = self.last_id;
        Ok(self.rules.entry(id).or_insert(Rule { id, scope, expires, made: now, by: clean(by), why: clean(why) }))
    }

    /// Removes a rule and gives it back.
    pub fn remove(&mut self, id: u64) -> Option<Rule> {
        self.rules.remove(&id)
    }

    /// All rules, oldest first.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.values()
    }

    /// Takes out the rules whose end has passed, for the caller to forget.
    pub fn expire(&mut self, now: WallMs) -> Vec<Rule> {
        self.rules.extract_if(.., |_, rule| !rule.holds(now)).map(|(_, rule)| rule).collect()
    }

    /// Takes back a rule that was kept; `false` if it cannot be read.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Ok(rule) = serde_json::from_slice::<Rule>(bytes) else { return false };
        self.last_id = self.last_id.max(rule.id);
        if self.rules.len() < RULES_MAX {
            self.rules.insert(rule.id, rule);
        }
        true
    }

    /// The oldest rule that lets this message pass.
    pub fn matches(&self, submission: &Submission<'_>) -> Option<&Rule> {
        if self.rules.is_empty() {
            return None;
        }
        let template = Template::of(submission.message);
        let list = list_id(submission.message);
        let is_proven = submission.source.is_some_and(AccountSource::is_proven);
        let fits = |scope: &Scope| {
            (is_proven || !scope.proven)
                && scope.account.as_ref().is_none_or(|account| submission.account == Some(account))
                && scope.list.as_ref().is_none_or(|named| list.as_ref() == Some(named))
                && scope.template.is_none_or(|named| named == template)
        };
        self.rules.values().find(|rule| rule.holds(submission.at) && fits(&rule.scope))
    }

    /// The reason by which a rule brings a message below `hold_points`, as far as its 300 points go; `None` if it is below,
    /// no rule fits, or it has an unforgivable reason.
    pub fn reason(&self, submission: &Submission<'_>, reasons: &[Reason], hold_points: i32) -> Option<Reason> {
        let score = reasons.iter().map(|reason| reason.points).fold(0, i32::saturating_add);
        if score < hold_points || reasons.iter().any(is_unforgivable) {
            return None;
        }
        let rule = self.matches(submission)?;
        let until = rule.expires.map_or_else(String::new, |end| {
            let end = i64::try_from(end.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            end.map_or_else(String::new, |end| format!(" until {end:.0}"))
        });
        let wanted = hold_points.saturating_sub(1).saturating_sub(score);
        let points = wanted.max(-SPOKEN_POINTS_MAX);
        let most = if points == wanted { "" } else { "; it speaks against 300 points at most" };
        Some(Reason {
            name: "allowed".into(),
            points,
            sentence: format!("allow rule {} of {}{until}: {}{most}", rule.id, rule.by, rule.why).into(),
        })
    }
}

impl Rule {
    /// What the store keeps, under the rule's id.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn holds(&self, now: WallMs) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// One line of bounded text.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HeaderField, Message};

    const NOW: WallMs = WallMs(1_700_000_000_000);

    fn newsletter() -> Message {
        let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
        Message {
            header: vec![field("List-Id", "Weekly News <News.Shop.example>"), field("X-Mailer", "Mailer 2.1")],
            ..Message::default()
        }
    }

    fn submission<'a>(message: &'a Message, account: &'a Account, at: WallMs) -> Submission<'a> {
        Submission { message, envelope: None, account: Some(account), source: None, client: None, at }
    }

    fn loud() -> Vec<Reason> {
        vec![Reason { name: "model".into(), points: 230, sentence: "because".into() }]
    }

    #[test]
    fn what_a_rule_names_must_fit() {
        let (message, account) = (newsletter(), Account::named("news@shop.example"));
        let scope = Scope::default;
        let own = Some(account.clone());
        let cases = [
            (Scope { account: own.clone(), ..scope() }, true, "the account"),
            (Scope { account: Some(Account::named("other@shop.example")), ..scope() }, false, "another account"),
            (Scope { list: Some("<news.shop.example>".into()), ..scope() }, true, "the list"),
            (Scope { list: Some("Weekly News <news.shop.example>".into()), ..scope() }, true, "the field as it stands"),
            (Scope { list: Some("news".into()), ..scope() }, false, "a part of its name"),
            (Scope { template: Some(Template::of(&message)), ..scope() }, true, "the template"),
            (Scope { template: Some(Template(1)), ..scope() }, false, "another template"),
            (Scope { account: own, list: Some("other.example".into()), ..scope() }, false, "one of two"),
        ];
        for (scope, expected, why) in cases {
            let mut allow = Allow::default();
            allow.add(scope, None, "ann", "weekly news", NOW).unwrap();
            let reason = allow.reason(&submission(&message, &account, NOW), &loud(), 150);
            assert_eq!(reason.map(|reason| reason.points), expected.then_some(149 - 230), "{why}");
        }
    }

    #[test]
    fn rules_end_and_outlive_a_restart() {
        let (message, account) = (newsletter(), Account::named("news@shop.example"));
        let mut allow = Allow::default();
        let scope = Scope { account: Some(account.clone()), ..Scope::default() };
        let end = WallMs(NOW.0 + 1_000);
        let kept = allow.add(scope, Some(end), "ann\n", "asked for", NOW).unwrap().to_bytes();
        let mut again = Allow::default();
        assert!(again.restore(&kept) && !again.restore(b"{}"));
        assert_eq!(again.list().next(), allow.list().next());
        assert!(again.matches(&submission(&message, &account, WallMs(end.0 - 1))).is_some());
        assert!(again.matches(&submission(&message, &account, end)).is_none(), "the end is not in it");
        assert_eq!(again.expire(end).len(), 1);
        assert_eq!(again.list().len(), 0);
    }

    #[test]
    fn nothing_is_allowed_without_a_name_nor_against_the_unforgivable() {
        let (message, account) = (newsletter(), Account::named("news@shop.example"));
        let mut allow = Allow::default();
        assert_eq!(allow.add(Scope::default(), None, "ann", "all", NOW).err(), Some(AllowError::Everything));
        let scope = Scope { account: Some(account.clone()), ..Scope::default() };
        assert_eq!(allow.add(scope.clone(), Some(NOW), "ann", "late", NOW).err(), Some(AllowError::Expired));
        let first = allow.add(scope.clone(), None, "ann", "", NOW).unwrap().id;
        let submission = submission(&message, &account, NOW);
        let gtube = vec![Reason { name: "gtube".into(), points: 1_000, sentence: "a test".into() }];
        assert_eq!(allow.reason(&submission, &gtube, 150), None);
        assert_eq!(allow.reason(&submission, &[], 150), None, "nothing to excuse");
        allow.remove(first).unwrap();
        assert!(allow.add(scope, None, "ann", "", NOW).unwrap().id > first, "ids do not come back");
    }
}
