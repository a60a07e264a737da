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
    /// How fast it empties; `None` without limits.
    leaves: Option<Leaves>,
}

/// What the slowest rule lets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaves {
    slots: u64,
    window_ms: u64,
    /// A message has one delivery or more: of a rule that counts messages this is the least.
    unit: Unit,
}

/// When there is room again, as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomIn {
    /// In about so many milliseconds.
    About(u64),
    /// In so many milliseconds at the latest: messages are counted, and each has one delivery or more.
    AtMost(u64),
    /// They let nothing leave.
    Never,
    /// When a person opens the gate that it stands behind.
    Gated,
    /// There is no limit to tell by.
    Unknown,
}

/// Whether further mail may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Yes,
    /// The account has as much waiting as it may: 452, and when there is room as its limits go.
    AccountFull {
        /// When enough has left.
        room: RoomIn,
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
        let rules: Vec<&LimitRule> = rules.into_iter().collect();
        let counted = rules.iter().copied().filter(|rule| rule.unit == Unit::Recipients);
        // A slow limit lets less than one leave in that time; one may wait all the same, unless none ever leaves.
        let by_pace = slowest(counted)
            .map_or(u64::MAX, |leaves| scale(expiry_ms / 2, leaves.slots, leaves.window_ms).max(leaves.slots.min(1)));
        let account_max = settings.account_deliveries_max.unwrap_or(by_pace);
        Self { account_max, all_max: settings.deliveries_max, leaves: slowest(rules) }
    }

    /// The most deliveries of the account that may wait.
    pub fn account_max(&self) -> u64 {
        self.account_max
    }
}

fn slowest<'a>(rules: impl IntoIterator<Item = &'a LimitRule>) -> Option<Leaves> {
    let leaves = |rule: &LimitRule| Leaves { slots: rule.slots.into(), window_ms: rule.window_ms, unit: rule.unit };
    let slower = |a: &Leaves, b: &Leaves| {
        let (a, b) = (u128::from(a.slots) * u128::from(b.window_ms), u128::from(b.slots) * u128::from(a.window_ms));
        a.cmp(&b)
    };
    rules.into_iter().map(leaves).min_by(slower)
}

/// When so many deliveries can have left, as the limits of the egresses go, each with its rules.
pub fn all_leave_in<'a, R>(excess: u64, egresses: impl IntoIterator<Item = R>) -> RoomIn
where
    R: IntoIterator<Item = &'a LimitRule>,
{
    let all: Option<Vec<Leaves>> = egresses.into_iter().map(slowest).collect();
    let Some(all) = all else { return RoomIn::Unknown };
    let leave = all.iter().map(|one| scale(LONG_MS, one.slots, one.window_ms)).fold(0, u64::saturating_add);
    let unit = if all.iter().any(|one| one.unit == Unit::Messages) { Unit::Messages } else { Unit::Recipients };
    Leaves { slots: leave, window_ms: LONG_MS, unit }.room_in(excess)
}

impl Leaves {
    /// When so many deliveries can have left.
    fn room_in(self, excess: u64) -> RoomIn {
        if self.slots == 0 {
            return RoomIn::Never;
        }
        let in_ms = scale(excess, self.window_ms, self.slots).saturating_add(1);
        match self.unit {
            Unit::Recipients => RoomIn::About(in_ms),
            Unit::Messages => RoomIn::AtMost(in_ms),
        }
    }
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
    let room = cap.leaves.map_or(RoomIn::Unknown, |leaves| leaves.room_in(excess.min(account_waiting)));
    Room::AccountFull { room }
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
            (vec!["1/7d"], CapSettings::default(), 1), // 0.36 windows
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
            all_leave_in(excess, &egresses)
        };
        let day = DAY_MS + DAY_MS / 1_000; // and the thousandth by which windows are longer
        for (excess, books) in [(300, vec![book(&["300/d"])]), (600, vec![book(&["300/d"]), book(&["300/d"])])] {
            let RoomIn::About(in_ms) = in_ms(excess, &books) else { panic!("deliveries are counted") };
            assert!((day..day + 1_000).contains(&in_ms), "{excess} by {} egresses: {in_ms}", books.len());
        }
        assert_eq!(in_ms(1, &[book(&["299/d", "0/h"])]), RoomIn::Never, "the slowest of one lets nothing leave");
        assert_eq!(in_ms(1, &[book(&[])]), RoomIn::Unknown, "without a limit nobody knows");
        let messages = in_ms(300, &[book(&["300 messages/d"])]);
        assert!(matches!(messages, RoomIn::AtMost(ms) if ms < day + 1_000), "sooner, if they have many: {messages:?}");
    }

    #[test]
    fn room() {
        let own = CapSettings { account_deliveries_max: Some(400), deliveries_max: 1_000 };
        let cap_200 = cap(&["200/h"], own);
        let nothing = cap(&["0/h"], CapSettings::default());
        let messages = cap(&["5 messages/h", "200/h"], own);
        let ample = cap(&["500 messages/h", "200/h"], own);
        let without = cap(&[], own);
        let about_18_s = Room::AccountFull { room: RoomIn::About(18_019) };
        let latest = Room::AccountFull { room: RoomIn::AtMost(720_721) };
        let cases = [
            ("up to the cap", cap_200, (380, 380, 20), Room::Yes),
            ("one over it: when one has left", cap_200, (380, 380, 21), about_18_s),
            ("messages are counted: that late if each has one", messages, (380, 380, 21), latest),
            ("they are, and deliveries are what is short", ample, (380, 380, 21), about_18_s),
            ("no limit to tell by", without, (380, 380, 21), Room::AccountFull { room: RoomIn::Unknown }),
            ("a message over the cap goes in alone", cap_200, (0, 0, 900), Room::Yes),
            ("all accounts together", cap_200, (0, 999, 2), Room::Full { excess: 1 }),
            ("a limit of nothing", nothing, (0, 0, 1), Room::AccountFull { room: RoomIn::Never }),
        ];
        for (reason, cap, (account, all, further), expected) in cases {
            assert_eq!(room_for(&cap, account, all, further), expected, "{reason}");
        }
    }
}
