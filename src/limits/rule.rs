//! Which limits apply to whom: the settings as meant, resolved into rules by account, egress, login and route.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use super::rate::{Rate, Unit};

/// What kind of thing a limit counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Whom a message is counted against.
    Account,
    /// The source address that the network counts, by its public address.
    Egress,
    /// The credential used at a smarthost.
    Login,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Egress => "egress",
            Self::Login => "login",
        })
    }
}

/// Whom a transaction is counted against. Names are compared as they are: accounts in normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged<'a> {
    /// The account.
    pub account: &'a str,
    /// The egress, by its public address.
    pub egress: &'a str,
    /// The login, on routes with credentials.
    pub login: Option<&'a str>,
    /// The route's name.
    pub route: &'a str,
}

impl<'a> Charged<'a> {
    /// The name of the key of that kind.
    pub(super) fn name(&self, kind: KeyKind) -> Option<&'a str> {
        match kind {
            KeyKind::Account => Some(self.account),
            KeyKind::Egress => Some(self.egress),
            KeyKind::Login => self.login,
        }
    }
}

/// All kinds, in the order that keys are asked.
pub(super) const KINDS: [KeyKind; 3] = [KeyKind::Account, KeyKind::Egress, KeyKind::Login];

/// `[limits]` as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// For each account; several windows each hold. An empty list means no limit.
    pub account: Vec<Rate>,
    /// For each egress, by its public address.
    pub egress: Vec<Rate>,
    /// For each login; `None` is the account's limits, since smarthosts count mailboxes as accounts.
    pub login: Option<Vec<Rate>>,
    /// What rules count that do not say it themselves.
    pub count: Unit,
    /// Slots of each account's and login's rule left to mail that it sends elsewhere, past outguard.
    pub margin: u32,
    /// Whether recipients refused before content keep their slots, for networks that count attempts.
    pub count_refused: CountRefused,
    /// The account of outguard's own mail, for which a fiftieth of each egress window is kept while the reserve is; set
    /// from `[dsn] account`.
    pub own_account: Option<Box<str>>,
    /// Whether the last tenth of each egress window is kept for accounts that used less than their share.
    pub fair_reserve: FairReserve,
    /// How long after the end of an attempt with unknown outcome its slots begin to age, in milliseconds: the kernel may
    /// still be flushing the socket.
    pub unknown_grace_ms: u64,
    /// Other limits for some keys. The most particular one applies: account or login, then domain, then route; of equal
    /// ones the last.
    pub overrides: Vec<Override>,
}

/// Whether a recipient that the next hop refused before content keeps its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CountRefused {
    /// It is given back.
    #[default]
    No,
    /// It stays used.
    Yes,
}

/// Whether the last tenth of each egress window is kept for accounts that used little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FairReserve {
    /// It is.
    #[default]
    Kept,
    /// First come, first served.
    Off,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            account: vec![Rate::default()],
            egress: vec![Rate::per_hour(300)],
            login: None,
            count: Unit::Recipients,
            margin: 0,
            count_refused: CountRefused::No,
            own_account: None,
            fair_reserve: FairReserve::Kept,
            unknown_grace_ms: 10 * 60 * 1_000,
            overrides: Vec::new(),
        }
    }
}

/// Limits in the place of the general ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Whom they are for.
    pub applies_to: AppliesTo,
    /// The limits. An empty list means no limit.
    pub rates: Vec<Rate>,
    /// What they count, where a rate does not say it; `None` is the general setting.
    pub count: Option<Unit>,
    /// The margin; `None` is the general setting.
    pub margin: Option<u32>,
}

/// Whom an override is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AppliesTo {
    /// One account.
    Account(Box<str>),
    /// Each account of that domain, on its own.
    Domain(Box<str>),
    /// One egress.
    Egress(Box<str>),
    /// One login.
    Login(Box<str>),
    /// Each key of one kind, for mail on that route, which is then counted apart from other routes.
    Route {
        /// The route's name.
        route: Box<str>,
        /// What kind of key.
        kind: KeyKind,
    },
}

impl AppliesTo {
    /// The kind of key whose limits are replaced.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Account(_) | Self::Domain(_) => KeyKind::Account,
            Self::Egress(_) => KeyKind::Egress,
            Self::Login(_) => KeyKind::Login,
            Self::Route { kind, .. } => *kind,
        }
    }
}

impl fmt::Display for AppliesTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account {name}"),
            Self::Domain(name) => write!(f, "domain {name}"),
            Self::Egress(name) => write!(f, "egress {name}"),
            Self::Login(name) => write!(f, "login {name}"),
            Self::Route { route, kind } => write!(f, "{kind} on route {route}"),
        }
    }
}

/// Settings that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A margin that leaves nothing of a rate. Written as a rate of 0 it would be meant; so it is a mistake.
    #[error(
        "the margin of {margin} leaves nothing of {rate} of {of}; nothing could leave. Lower the margin or raise the rate"
    )]
    MarginTakesAll {
        /// Whose rate.
        of: String,
        /// The rate.
        rate: Rate,
        /// The margin.
        margin: u32,
    },
}

/// One limit as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRule {
    /// Its name in every report, stable as long as the setting: `account 200/h`, `egress 50 messages/h on route mx`.
    pub name: Arc<str>,
    /// N, the margin taken off.
    pub slots: u32,
    /// W as kept, in milliseconds ([`Rate::kept_window_ms`]).
    pub window_ms: u64,
    /// What it counts.
    pub unit: Unit,
    /// What was taken off the configured N.
    pub margin: u32,
}

/// The rules of a key: those of its kind, or of an override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    /// Whom they are for, as text: `account`, `domain shop.example`.
    pub of: Box<str>,
    /// What kind of key they are for.
    pub kind: KeyKind,
    /// The route whose mail they count alone; `None` counts all.
    pub route: Option<Box<str>>,
    /// Each must have room.
    pub rules: Vec<LimitRule>,
}

/// Which rules a key meets: keys of one kind, name and scope have the same slots. Good until the rules change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleScope(SetId);

/// A rule set by its number in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SetId(pub(super) u32);

/// All rules, resolved.
#[derive(Debug, Clone)]
pub struct RuleBook {
    sets: Vec<RuleSet>,
    /// By kind.
    general: [SetId; 3],
    by_name: [HashMap<Box<str>, SetId>; 3],
    by_domain: HashMap<Box<str>, SetId>,
    by_route: [HashMap<Box<str>, SetId>; 3],
    pub(super) count_refused: CountRefused,
    pub(super) own_account: Option<Arc<str>>,
    pub(super) fair_reserve: FairReserve,
    pub(super) unknown_grace_ms: u64,
}

impl RuleBook {
    /// Resolves settings.
    ///
    /// # Errors
    /// [`RuleError`]: the settings contradict themselves.
    pub fn new(settings: &LimitSettings) -> Result<Self, RuleError> {
        let mut book = Self {
            sets: Vec::new(),
            general: [SetId(0); 3],
            by_name: Default::default(),
            by_domain: HashMap::new(),
            by_route: Default::default(),
            count_refused: settings.count_refused,
            own_account: settings.own_account.as_deref().map(Into::into),
            fair_reserve: settings.fair_reserve,
            unknown_grace_ms: settings.unknown_grace_ms,
        };
        let login = settings.login.as_ref().unwrap_or(&settings.account);
        for (kind, rates) in KINDS.into_iter().zip([&settings.account, &settings.egress, login]) {
            // The margin is for mail of the same mailbox; an egress has no elsewhere, and says so itself if it has.
            let margin = if kind == KeyKind::Egress { 0 } else { settings.margin };
            let set = rule_set(kind, None, &kind.to_string(), rates, settings.count, margin)?;
            book.general[kind as usize] = book.add(set);
        }
        for over in &settings.overrides {
            book.add_override(over, settings)?;
        }
        Ok(book)
    }

    /// The rules that a transaction meets, kind by kind.
    pub fn rules_for<'a>(&'a self, to: &Charged<'_>) -> impl Iterator<Item = (KeyKind, &'a LimitRule)> + use<'a> {
        let sets = KINDS.map(|kind| to.name(kind).map(|name| self.set_for(kind, name, to.route)));
        sets.into_iter().flatten().flat_map(|id| {
            let set = self.set(id);
            set.rules.iter().map(|rule| (set.kind, rule))
        })
    }

    /// The longest window in use, in milliseconds: how far back the record of attempts must reach.
    pub fn longest_window_ms(&self) -> u64 {
        self.sets.iter().flat_map(|set| &set.rules).map(|rule| rule.window_ms).max().unwrap_or(0)
    }

    /// The rules that a key meets with mail of that route.
    pub(super) fn scope(&self, kind: KeyKind, name: &str, route: &str) -> RuleScope {
        RuleScope(self.set_for(kind, name, route))
    }

    pub(super) fn set_for(&self, kind: KeyKind, name: &str, route: &str) -> SetId {
        let domain = || match kind {
            KeyKind::Account => name.rsplit_once('@').and_then(|(_, domain)| self.by_domain.get(domain)),
            KeyKind::Egress | KeyKind::Login => None,
        };
        *self.by_name[kind as usize]
            .get(name)
            .or_else(domain)
            .or_else(|| self.by_route[kind as usize].get(route))
            .unwrap_or(&self.general[kind as usize])
    }

    pub(super) fn set(&self, id: SetId) -> &RuleSet {
        &self.sets[id.0 as usize]
    }

    pub(super) fn set_ids(&self) -> impl Iterator<Item = SetId> + use<> {
        (0..u32::try_from(self.sets.len()).unwrap_or(u32::MAX)).map(SetId)
    }

    /// Whether a set counts the mail of the same routes as one of another book: the general limits leave out the routes
    /// that have limits of their own, which those of one name do not.
    pub(super) fn counts_as(&self, id: SetId, other: &Self, other_id: SetId) -> bool {
        let left_out = |book: &Self, id: SetId| -> BTreeSet<Box<str>> {
            let kind = book.set(id).kind as usize;
            let general = book.general[kind] == id;
            book.by_route[kind].keys().filter(|_| general).cloned().collect()
        };
        self.set(id).route == other.set(other_id).route && left_out(self, id) == left_out(other, other_id)
    }

    /// Whether each key belongs to the same set (by its text) as under the other book, whatever the sets' rules are.
    pub(super) fn assigns_as(&self, other: &Self) -> bool {
        let same = |a: &HashMap<Box<str>, SetId>, b: &HashMap<Box<str>, SetId>| {
            a.len() == b.len() && a.keys().all(|name| b.contains_key(name))
        };
        same(&self.by_domain, &other.by_domain)
            && self.by_name.iter().zip(&other.by_name).all(|(a, b)| same(a, b))
            && self.by_route.iter().zip(&other.by_route).all(|(a, b)| same(a, b))
    }

    fn add(&mut self, set: RuleSet) -> SetId {
        self.sets.push(set);
        SetId(u32::try_from(self.sets.len() - 1).expect("a configuration file of bounded size"))
    }

    fn add_override(&mut self, over: &Override, settings: &LimitSettings) -> Result<(), RuleError> {
        let kind = over.applies_to.kind();
        let route = match &over.applies_to {
            AppliesTo::Route { route, .. } => Some(route.clone()),
            AppliesTo::Account(_) | AppliesTo::Domain(_) | AppliesTo::Egress(_) | AppliesTo::Login(_) => None,
        };
        let general_margin = if kind == KeyKind::Egress { 0 } else { settings.margin };
        let count = over.count.unwrap_or(settings.count);
        let margin = over.margin.unwrap_or(general_margin);
        let set = rule_set(kind, route, &over.applies_to.to_string(), &over.rates, count, margin)?;
        let id = self.add(set);
        match &over.applies_to {
            AppliesTo::Account(name) | AppliesTo::Egress(name) | AppliesTo::Login(name) => {
                self.by_name[kind as usize].insert(name.clone(), id)
            }
            AppliesTo::Domain(domain) => self.by_domain.insert(domain.clone(), id),
            AppliesTo::Route { route, .. } => self.by_route[kind as usize].insert(route.clone(), id),
        };
        Ok(())
    }
}

fn rule_set(
    kind: KeyKind,
    route: Option<Box<str>>,
    of: &str,
    rates: &[Rate],
    count: Unit,
    margin: u32,
) -> Result<RuleSet, RuleError> {
    let rule = |rate: &Rate| {
        if rate.slots > 0 && margin >= rate.slots {
            return Err(RuleError::MarginTakesAll { of: of.to_string(), rate: *rate, margin });
        }
        let unit = rate.unit.unwrap_or(count);
        let counted = match unit {
            Unit::Recipients => String::new(),
            Unit::Messages => " messages".to_string(),
        };
        let mut name = format!("{kind} {}{counted}/{}", rate.slots, rate.window_text());
        if let Some(route) = &route {
            name.push_str(" on route ");
            name.push_str(route);
        }
        Ok(LimitRule {
            name: name.into(),
            slots: rate.slots.saturating_sub(margin),
            window_ms: rate.kept_window_ms(),
            unit,
            margin,
        })
    };
    let rules = rates.iter().map(rule).collect::<Result<_, _>>()?;
    Ok(RuleSet { of: of.into(), kind, route, rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(overrides: Vec<Override>) -> LimitSettings {
        LimitSettings { overrides, ..LimitSettings::default() }
    }

    fn over(applies_to: AppliesTo, rates: &[&str]) -> Override {
        Override { applies_to, rates: rates.iter().map(|r| r.parse().unwrap()).collect(), count: None, margin: None }
    }

    fn names(book: &RuleBook, account: &str, route: &str) -> Vec<String> {
        let to = Charged { account, egress: "192.0.2.1", login: Some("box"), route };
        book.rules_for(&to).map(|(_, rule)| rule.name.to_string()).collect()
    }

    #[test]
    fn the_most_particular_override_applies() {
        let book = RuleBook::new(&settings(vec![
            over(AppliesTo::Domain("shop.example".into()), &["50/h"]),
            over(AppliesTo::Account("news@shop.example".into()), &["500/h", "20/m"]),
            over(AppliesTo::Route { route: "mx".into(), kind: KeyKind::Account }, &["10 messages/h"]),
            over(AppliesTo::Login("box".into()), &["0/h"]),
            over(AppliesTo::Egress("192.0.2.1".into()), &[]),
        ]))
        .unwrap();
        let cases = [
            ("news@shop.example", "mx", vec!["account 500/h", "account 20/m"]), // account before domain before route
            ("a@shop.example", "mx", vec!["account 50/h"]),
            ("uid:www", "mx", vec!["account 10 messages/h on route mx"]),
            ("uid:www", "relay", vec!["account 200/h"]),
        ];
        for (account, route, mut expected) in cases {
            expected.push("login 0/h");
            assert_eq!(names(&book, account, route), expected, "{account} by {route}");
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let book = RuleBook::new(&LimitSettings::default()).unwrap();
        assert_eq!(names(&book, "a@b.example", "mx"), ["account 200/h", "egress 300/h", "login 200/h"]);
        assert_eq!(book.longest_window_ms(), 3_603_600);
    }

    #[test]
    fn margins() {
        let with = |margin| RuleBook::new(&LimitSettings { margin, ..LimitSettings::default() });
        let book = with(20).unwrap();
        let to = Charged { account: "a", egress: "e", login: None, route: "mx" };
        let slots: Vec<u32> = book.rules_for(&to).map(|(_, rule)| rule.slots).collect();
        assert_eq!(slots, [180, 300], "the margin is the account's, not the egress's");
        assert!(matches!(with(200), Err(RuleError::MarginTakesAll { .. })), "nothing would ever leave");
    }
}
