//! What the rules mean, told the slow way: from the settings and the list of every attempt.

use super::{ACCOUNTS, Attempt, Dice, World};
use crate::limits::rule::KINDS;
use crate::limits::*;

/// Rules of all kinds, small enough to be met in a few steps.
pub(super) fn settings(dice: &mut Dice) -> LimitSettings {
    let windows = [1_000, 1_000, 2_500, 4_000];
    let units = [None, None, Some(Unit::Messages), Some(Unit::Recipients)];
    // Wide enough for a fiftieth of an egress to be some slots.
    let least_slots = dice.pick(&[1, 1, 50]);
    let rates = |dice: &mut Dice, slots_max: u32, least: u64| -> Vec<Rate> {
        let slots = |dice: &mut Dice| least_slots + dice.small(slots_max);
        let n = least + dice.roll(2);
        (0..n).map(|_| Rate { slots: slots(dice), window_ms: dice.pick(&windows), unit: dice.pick(&units) }).collect()
    };
    let mut overrides = Vec::new();
    if dice.roll(2) == 0 {
        let route = AppliesTo::Route { route: "mx".into(), kind: dice.pick(&KINDS) };
        overrides.push(Override { applies_to: route, rates: rates(dice, 5, 1), count: None, margin: Some(0) });
    }
    if dice.roll(3) == 0 {
        let slots = dice.small(2); // now and then 0: nothing leaves
        let rates = vec![Rate { slots, window_ms: 1_000, unit: None }];
        let applies_to = AppliesTo::Domain("y.example".into());
        overrides.push(Override { applies_to, rates, count: Some(Unit::Recipients), margin: Some(0) });
    }
    LimitSettings {
        account: rates(dice, 12, 1),
        egress: rates(dice, 25, 1),
        login: (dice.roll(2) == 0).then(|| rates(dice, 8, 0)),
        count: dice.pick(&[Unit::Recipients, Unit::Messages]),
        margin: 0,
        count_refused: dice.pick(&[CountRefused::No, CountRefused::Yes]),
        own_account: dice.pick(&[None, Some(ACCOUNTS[0].into()), Some(ACCOUNTS[0].into())]),
        fair_reserve: dice.pick(&[FairReserve::Kept, FairReserve::Kept, FairReserve::Off]),
        unknown_grace_ms: dice.pick(&[0, 700]),
        overrides,
    }
}

/// A rule as the oracle understands it: of one key, for mail of one route or of all.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) kind: KeyKind,
    key: &'static str,
    route: Option<&'static str>,
    pub(super) rates: Vec<Rate>,
    count: Unit,
}

impl World {
    /// The rules that a transaction meets, resolved the slow way.
    pub(super) fn truths(&self, to: Charged<'static>) -> Vec<Truth> {
        let general = |kind| match kind {
            KeyKind::Account => &self.settings.account,
            KeyKind::Egress => &self.settings.egress,
            KeyKind::Login => self.settings.login.as_ref().unwrap_or(&self.settings.account),
        };
        let named = KINDS.into_iter().filter_map(|kind| Some((kind, to.name(kind)?)));
        let truth = |(kind, key): (KeyKind, &'static str)| {
            let by_domain = |over: &&Override| matches!(&over.applies_to, AppliesTo::Domain(d) if kind == KeyKind::Account && key.ends_with(&format!("@{d}")));
            let by_route = |over: &&Override| matches!(&over.applies_to, AppliesTo::Route { route, kind: k } if *k == kind && **route == *to.route);
            let count = self.settings.count;
            let all = &self.settings.overrides;
            let (rates, count, route) = match (all.iter().find(by_domain), all.iter().find(by_route)) {
                (Some(over), _) => (over.rates.clone(), over.count.unwrap_or(count), None),
                (None, Some(over)) => (over.rates.clone(), over.count.unwrap_or(count), Some(to.route)),
                (None, None) => (general(kind).clone(), count, None),
            };
            Truth { kind, key, route, rates, count }
        };
        named.map(truth).collect()
    }

    /// Whether an attempt counts under the same key and rules.
    pub(super) fn counts_for(&self, attempt: &Attempt, truth: &Truth) -> bool {
        attempt.to.name(truth.kind) == Some(truth.key)
            && self.truths(attempt.to).iter().any(|t| t.kind == truth.kind && t.route == truth.route)
    }

    /// Whether a transaction of `k` recipients fits at that time, counted from the list.
    pub(super) fn fits_slowly(&self, to: Charged<'static>, k: u32, now: u64) -> bool {
        self.truths(to).iter().all(|truth| {
            truth.rates.iter().all(|rate| {
                let window_ms = rate.window_ms + rate.window_ms.div_ceil(1_000);
                let unit = rate.unit.unwrap_or(truth.count);
                let taken: Vec<(&str, u32)> = self
                    .attempts
                    .iter()
                    .filter(|a| a.takes_at(now, window_ms) && self.counts_for(a, truth))
                    .map(|a| (a.to.account, a.counted.in_unit(unit)))
                    .filter(|(_, n)| *n > 0)
                    .collect();
                let all: u32 = taken.iter().map(|(_, n)| n).sum();
                let wanted = Counted::all(k).in_unit(unit);
                let kept = self.settings.fair_reserve == FairReserve::Kept && truth.kind == KeyKind::Egress;
                let of = |account: &str| taken.iter().filter(|(a, _)| *a == account).map(|(_, n)| n).sum::<u32>();
                let active = ACCOUNTS.iter().filter(|a| **a == to.account || of(a) > 0).count();
                let own = self.settings.own_account.as_deref();
                // Each of the wanted slots by itself: before the last tenth, or below the share.
                let fair = (1..=wanted).all(|n| {
                    let before_reserve = (all + n) * 10 <= rate.slots * 10 - (rate.slots / 10) * 10;
                    before_reserve || (of(to.account) + n - 1) as usize * active < rate.slots as usize
                });
                // A fiftieth is for outguard's own mail, and what others took of the rest is never of it.
                let fiftieth = rate.slots / 50;
                let allowed = match own {
                    Some(own) if own == to.account => fair || of(own) + wanted <= fiftieth,
                    Some(own) => fair && all - of(own) + wanted <= rate.slots - fiftieth,
                    None => fair,
                };
                let filled = self.filled.iter().any(|(filled, window_ms, until)| {
                    (filled.kind, filled.key, filled.route) == (truth.kind, truth.key, truth.route)
                        && *window_ms == rate.window_ms
                        && now < *until
                });
                !filled && all + wanted <= rate.slots && (allowed || !kept)
            })
        })
    }

    /// The promise itself: for every beginning, no window holds more than N.
    pub(super) fn check_windows(&self, seed: u64) {
        for truth in ACCOUNTS.iter().flat_map(|account| {
            let all =
                ["192.0.2.1", "192.0.2.2"].into_iter().flat_map(|egress| ["mx", "relay"].map(|route| (egress, route)));
            all.flat_map(|(egress, route)| self.truths(Charged { account, egress, login: Some("box"), route }))
                .collect::<Vec<_>>()
        }) {
            let mine: Vec<&Attempt> = self.attempts.iter().filter(|a| self.counts_for(a, &truth)).collect();
            for rate in &truth.rates {
                let window_ms = rate.window_ms + rate.window_ms.div_ceil(1_000);
                let end = |a: &Attempt| a.ended.map_or(u64::MAX, |(ended, _)| ended);
                let beginnings = mine.iter().flat_map(|a| [end(a), (a.leased + 1).saturating_sub(window_ms)]);
                for s in beginnings.filter(|s| *s < u64::MAX - window_ms) {
                    let touching = mine.iter().filter(|a| a.leased < s + window_ms && end(a) >= s);
                    let n: u32 = touching.map(|a| a.counted.in_unit(rate.unit.unwrap_or(truth.count))).sum();
                    assert!(n <= rate.slots, "seed {seed}: {n} in the window from {s} under {rate} of {truth:?}");
                }
            }
        }
    }
}
