//! `[dispatch]` as meant.

use super::cap::CapSettings;
use super::class::ClassSettings;
use super::retry::RetrySettings;

/// How dispatch shares turns, tries again and bounds what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchSettings {
    /// The most recipients that one turn takes while others wait for the same hop.
    pub turn_recipients: u32,
    /// The most recipients of a turn while nobody else waits. Servers take at least 100 (RFC 5321 4.5.3.1.8).
    pub turn_recipients_alone: u32,
    /// The part of the recipients that bulk mail keeps while other mail waits for the same hop, in percent, 1 to 99.
    pub bulk_share_percent: u32,
    /// Shares of accounts that have another than 100.
    pub weights: Vec<(Box<str>, Weight)>,
    /// The share of outguard's own mail and of DSNs, so that no flood delays the news of it.
    pub own_weight: Weight,
    /// The most connections to one hop.
    pub hop_connections_max: u32,
    /// Which mail is bulk.
    pub class: ClassSettings,
    /// When to try again, tell a delay, give up.
    pub retry: RetrySettings,
    /// How much mail may wait.
    pub waiting: CapSettings,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self {
            turn_recipients: 20,
            turn_recipients_alone: 100,
            bulk_share_percent: 20,
            weights: Vec::new(),
            own_weight: Weight::of(400).unwrap_or_default(),
            hop_connections_max: 10,
            class: ClassSettings::default(),
            retry: RetrySettings::default(),
            waiting: CapSettings::default(),
        }
    }
}

/// An account's share of turns beside others', in percent of the usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight(u32);

impl Weight {
    /// The largest: a hundred times the usual.
    pub const MAX: u32 = 10_000;

    /// That many percent, from 1 to [`Weight::MAX`].
    pub fn of(percent: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&percent).then_some(Self(percent))
    }

    /// Percent.
    pub fn percent(self) -> u32 {
        self.0
    }

    /// What that many recipients cost in virtual time.
    pub(super) fn cost(self, recipients: u32) -> u64 {
        u64::from(recipients) * VIRTUAL_UNIT / u64::from(self.0)
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(100)
    }
}

/// Virtual time of one recipient at weight 1: divisible by the usual weights, and 10^12 recipients fit in 64 bits.
const VIRTUAL_UNIT: u64 = 10_000_000;
