//! How much may wait. Mail that its limits could not let leave within half its life is better refused while the sender
//! still listens.

use crate::limits::{LimitRule, Unit};

const DAY_MS: u64 = 24 * 3_600_000;
/// Paces are added in deliveries of so long a time, that little is rounded off.
const LONG_MS: u64 = 1_000 * DAY_MS;

/// `[dispatch.waiting]` as meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapSettings {
    /// Deliveries of one account that may wait; `None` is what its limits let leave in half the expiry time.
    pub account_deliveries_max: Option<u64>,
    /// Deliveries of all accounts that may wait.
    pub deliveries_max: u64,
}

impl Default for CapSettings {
    fn default() -> Self {
        Self { account_deliveries_max: None, deliveries_max: 5_000_000 }
    }
}

/// The cap of one account, and how fast it empties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingCap {
    account_max: u64,
    all_max: u64,
    /// Deliveries and milliseconds of the slowest rule; `None` without limits.
    pace: Option<(u64, u64)>,
}

/// Whether further mail may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Yes,
    /// The account has as much waiting as it may: 452, and when there is room as its limits go; `None` if they let
    /// nothing leave.
    AccountFull {
        /// In milliseconds from now.
        room_in_ms: Option<u64>,
    },
    /// All accounts together have: 452.
    Full {
        /// Deliveries that must have left before there is room.
        excess: u64,
    },
}

impl WaitingCap {
    /// The cap of an account under those rules. Rules that count messages say nothing of deliveries.
    pub fn new<'a>(settings: &CapSettings, rules: impl IntoIterator<Item = &'a LimitRule>, expiry_ms: u64) -> Self {
        let pace = slowest(rules);
        let by_pace = pace.map_or(u64::MAX, |(slots, window_ms)| scale(expiry_ms / 2, slots, window_ms));
        let account_max = settings.account_deliveries_max.unwrap_or(by_pace);
        Self { account_max, all_max: settings.deliveries_max, pace }
    }

    /// The most deliveries of the account that may wait.
    pub fn account_max(&self) -> u64 {
        self.account_max
    }
}

/// Deliveries and milliseconds of the slowest rule. Rules that count messages say nothing of deliveries.
fn slowest<'a>(rules: impl IntoIterator<Item = &'a LimitRule>) -> Option<(u64, u64)> {
    let counted = rules.into_iter().filter(|rule| rule.unit == Unit::Recipients);
    counted
        .map(|rule| (u64::from(rule.slots), rule.window_ms))
        .min_by(|(a, a_ms), (b, b_ms)| (u128::from(*a) * u128::from(*b_ms)).cmp(&(u128::from(*b) * u128::from(*a_ms))))
}

/// In how many milliseconds so many deliveries can have left, as the limits of the egresses go, each with its rules;
/// `None` where one has no limit, or none lets anything leave.
pub fn all_leave_in_ms<'a, R>(excess: u64, egresses: impl IntoIterator<Item = R>) -> Option<u64>
where
    R: IntoIterator<Item = &'a LimitRule>,
{
    let paces: Option<Vec<(u64, u64)>> = egresses.into_iter().map(slowest).collect();
    let leave =
        paces?.into_iter().map(|(slots, window_ms)| scale(LONG_MS, slots, window_ms)).fold(0, u64::saturating_add);
    (leave > 0).then(|| scale(excess, LONG_MS, leave).saturating_add(1))
}

/// Whether `further` deliveries may wait beside those of the account and of all. A message goes in whole or not at all;
/// the first of an empty account always does, or a message to many would never be taken.
pub fn room_for(cap: &WaitingCap, account_waiting: u64, all_waiting: u64, further: u64) -> Room {
    let over = all_waiting.saturating_add(further).saturating_sub(cap.all_max);
    if over > 0 && all_waiting > 0 {
        return Room::Full { excess: over.min(all_waiting) };
    }
    let excess = account_waiting.saturating_add(further).saturating_sub(cap.account_max);
    let nothing_leaves = cap.account_max == 0;
    if excess == 0 || (account_waiting == 0 && !nothing_leaves) {
        return Room::Yes;
    }
    let room_in_ms = cap.pace.and_then(|(slots, window_ms)| {
        (slots > 0).then(|| scale(excess.min(account_waiting), window_ms, slots).saturating_add(1))
    });
    Room::AccountFull { room_in_ms }
}

fn scale(value: u64, by: u64, of: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(by) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Charged, KeyKind, LimitSettings, RuleBook};

    fn cap(rates: &[&str], settings: CapSettings) -> WaitingCap {
        let account = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        let book = RuleBook::new(&LimitSettings { account, ..LimitSettings::default() }).unwrap();
        let to = Charged { account: "a", egress: "e", login: None, route: "mx" };
        let rules = book.rules_for(&to).filter(|(kind, _)| *kind == KeyKind::Account).map(|(_, rule)| rule);
        WaitingCap::new(&settings, rules, 5 * DAY_MS)
    }

    #[test]
    fn half_a_life_of_the_slowest_limit() {
        let own = CapSettings { account_deliveries_max: Some(7), ..CapSettings::default() };
        let cases = [
            (vec!["200/h"], CapSettings::default(), 11_988), // 60 windows, each a thousandth longer
            (vec!["200/h", "1000/d"], CapSettings::default(), 2_497),
            (vec!["0/h"], CapSettings::default(), 0),
            (vec![], CapSettings::default(), u64::MAX),
            (vec!["5 messages/h"], CapSettings::default(), u64::MAX),
            (vec!["200/h"], own, 7),
        ];
        for (rates, settings, expected) in cases {
            assert_eq!(cap(&rates, settings).account_max(), expected, "{rates:?}");
        }
    }

    #[test]
    fn when_there_is_room_for_all() {
        let book = |rates: &[&str]| {
            let egress = rates.iter().map(|rate| rate.parse().unwrap()).collect();
            RuleBook::new(&LimitSettings { egress, ..LimitSettings::default() }).unwrap()
        };
        let in_ms = |excess: u64, books: &[RuleBook]| {
            let rules = |book| -> Vec<LimitRule> {
                let to = Charged { account: "a", egress: "e", login: None, route: "mx" };
                let all = RuleBook::rules_for(book, &to).filter(|(kind, _)| *kind == KeyKind::Egress);
                all.map(|(_, rule)| rule.clone()).collect()
            };
            let egresses: Vec<Vec<LimitRule>> = books.iter().map(rules).collect();
            all_leave_in_ms(excess, &egresses)
        };
        let day = DAY_MS + DAY_MS / 1_000; // and the thousandth by which windows are longer
        for (excess, books) in [(300, vec![book(&["300/d"])]), (600, vec![book(&["300/d"]), book(&["300/d"])])] {
            let in_ms = in_ms(excess, &books).unwrap();
            assert!((day..day + 1_000).contains(&in_ms), "{excess} by {} egresses: {in_ms}", books.len());
        }
        assert_eq!(in_ms(1, &[book(&["299/d", "0/h"])]), None, "the slowest of one lets nothing leave");
        assert_eq!(in_ms(1, &[book(&[])]), None, "without a limit nobody knows");
    }

    #[test]
    fn room() {
        let own = CapSettings { account_deliveries_max: Some(400), deliveries_max: 1_000 };
        let cap_200 = cap(&["200/h"], own);
        let nothing = cap(&["0/h"], CapSettings::default());
        let cases = [
            ("up to the cap", cap_200, (380, 380, 20), Room::Yes),
            ("one over it: when one has left", cap_200, (380, 380, 21), Room::AccountFull { room_in_ms: Some(18_019) }),
            ("a message over the cap goes in alone", cap_200, (0, 0, 900), Room::Yes),
            ("all accounts together", cap_200, (0, 999, 2), Room::Full { excess: 1 }),
            ("a limit of nothing", nothing, (0, 0, 1), Room::AccountFull { room_in_ms: None }),
        ];
        for (reason, cap, (account, all, further), expected) in cases {
            assert_eq!(room_for(&cap, account, all, further), expected, "{reason}");
        }
    }
}
