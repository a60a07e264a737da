//! `[score.behaviour]` as meant.

use std::time::Duration;

/// How behaviour is remembered and weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BehaviourSettings {
    /// Whether behaviour adds to the score. It is learned all the same.
    pub weigh: Weigh,
    /// How much behaviour counts, in percent of its points, 0 to 300.
    pub weight_percent: u32,
    /// After the first message ever, behaviour only watches for so long: there is no habit yet to compare with.
    pub watch_first: Duration,
    /// Accounts that are remembered. The one of least use gives way.
    pub accounts_max: usize,
    /// Bytes that all habits take together.
    pub habits_bytes_max: usize,
    /// Texts of the last two days that are remembered, about half a KiB each.
    pub texts_max: usize,
    /// What is done about an account whose mail is held message after message.
    pub suspend: Suspend,
    /// So many messages held within an hour, and half of its mail of that hour, propose to suspend an account.
    pub suspend_held: u32,
}

/// Whether behaviour takes part in the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weigh {
    /// Its reasons count.
    Yes,
    /// Its reasons are shown without points.
    WatchOnly,
}

/// What follows when an account's mail is held message after message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suspend {
    /// Nothing.
    Off,
    /// An event tells the operator.
    Advise,
    /// The account's gate is closed: all of its mail is held until a person opens it.
    CloseGate,
}

impl Default for BehaviourSettings {
    fn default() -> Self {
        Self {
            weigh: Weigh::Yes,
            weight_percent: 100,
            watch_first: Duration::from_hours(7 * 24),
            accounts_max: 100_000,
            habits_bytes_max: 192 << 20,
            texts_max: 20_000,
            suspend: Suspend::Advise,
            suspend_held: 10,
        }
    }
}
