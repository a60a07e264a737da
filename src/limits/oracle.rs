//! The fast limits against the slow truth: every attempt ever is kept in a list, and counted.
//!
//! Both ways: a lease is granted exactly as large as the list says (sound and complete), a refusal's time is exact to the
//! millisecond, and at the end no window, wherever it begins, holds more than N. In between there are restarts, reboots,
//! steps of the wall clock, reloads, lost leases, unknown outcomes, refused recipients, several windows and both units.
//!
//! Each of these changes was tried, and each made these tests fail: `<=` to `<`, or W to W - 1, in `Ring::expire`; leased
//! slots left out of `Ring::taken`; one slot more in `Ring::room`; `Ring::next_slot` an entry early or late; unknown
//! outcomes put last instead of by time, or without grace, at the end, in the record, or under way at a restart; refused
//! recipients counted; messages counted as recipients; only the first rule of a key asked; the egress not leased; route
//! overrides not found; a general ring kept where routes became counted apart; the record not read at a reload, leases
//! forgotten there, or counted twice; the reserve's share rounded down, its tenth rounded up, the asking account not
//! counted among the active, its log not expired; a known time hiding leases under way; other boots placed by this boot's
//! clock, or by their wall clock alone.

use std::num::NonZeroU32;

use super::rule::KINDS;
use super::*;
use crate::clock::{BootId, BootMs, Now, WallMs};

const WALL_ORIGIN_MS: u64 = 1_700_000_000_000;

/// Numbers from a seed (splitmix64).
pub(in crate::limits) struct Dice(pub(in crate::limits) u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    fn small(&mut self, below: u32) -> u32 {
        u32::try_from(self.roll(below.into())).unwrap()
    }
}

/// One attempt. Times are true milliseconds, whatever the clocks show.
#[derive(Debug, Clone)]
struct Attempt {
    to: Charged<'static>,
    leased: u64,
    /// When it truly ended, and by how much longer its slots are taken.
    ended: Option<(u64, u64)>,
    counted: Counted,
    stamps: Vec<Stamp>,
}

impl Attempt {
    /// Whether it takes slots of a window W at that time.
    fn takes_at(&self, now: u64, window_ms: u64) -> bool {
        self.leased <= now && self.ended.is_none_or(|(ended, grace)| now < ended + grace + window_ms)
    }
}

struct World {
    dice: Dice,
    settings: LimitSettings,
    limits: Limits,
    now: u64,
    boot: u32,
    boot_began: u64,
    /// How wrong the wall clock is.
    wall_off: i64,
    /// Whether a moment may have been placed later than it was, so that completeness cannot be asked for.
    late: bool,
    quiet_until: u64,
    attempts: Vec<Attempt>,
    under_way: Vec<(usize, Granted)>,
    rebooted_or_reloaded: bool,
}

const ACCOUNTS: [&str; 3] = ["a@x.example", "b@x.example", "c@y.example"];

fn settings(dice: &mut Dice) -> LimitSettings {
    let windows = [1_000, 1_000, 2_500, 4_000];
    let units = [None, None, Some(Unit::Messages), Some(Unit::Recipients)];
    let rates = |dice: &mut Dice, slots_max: u32, least: u64| -> Vec<Rate> {
        let n = least + dice.roll(2);
        (0..n)
            .map(|_| Rate { slots: 1 + dice.small(slots_max), window_ms: dice.pick(&windows), unit: dice.pick(&units) })
            .collect()
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
        own_account: None, // its fiftieth has tests of its own
        fair_reserve: dice.pick(&[FairReserve::Kept, FairReserve::Kept, FairReserve::Off]),
        unknown_grace_ms: dice.pick(&[0, 700]),
        overrides,
    }
}

/// A rule as the oracle understands it: of one key, for mail of one route or of all.
#[derive(Debug, Clone)]
struct Truth {
    kind: KeyKind,
    key: &'static str,
    route: Option<&'static str>,
    rates: Vec<Rate>,
    count: Unit,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let settings = settings(&mut dice);
        let limits = Limits::new(RuleBook::new(&settings).unwrap());
        Self {
            dice,
            settings,
            limits,
            now: 50_000,
            boot: 0,
            boot_began: 0,
            wall_off: 0,
            late: false,
            quiet_until: 0,
            attempts: Vec::new(),
            under_way: Vec::new(),
            rebooted_or_reloaded: false,
        }
    }

    fn moment(&self) -> Moment {
        Moment::of_boot(BootMs(self.now - self.boot_began))
    }

    fn stamp(&self) -> Stamp {
        let wall_ms = WallMs((WALL_ORIGIN_MS + self.now).saturating_add_signed(self.wall_off));
        Stamp { boot: BootId(self.boot.to_string().into()), boot_ms: BootMs(self.now - self.boot_began), wall_ms }
    }

    /// The rules that a transaction meets, resolved the slow way.
    fn truths(&self, to: Charged<'static>) -> Vec<Truth> {
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
    fn counts_for(&self, attempt: &Attempt, truth: &Truth) -> bool {
        attempt.to.name(truth.kind) == Some(truth.key)
            && self.truths(attempt.to).iter().any(|t| t.kind == truth.kind && t.route == truth.route)
    }

    /// Whether a transaction of `k` recipients fits at that time, counted from the list.
    fn fits_slowly(&self, to: Charged<'static>, k: u32, now: u64) -> bool {
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
                let fair = self.settings.fair_reserve == FairReserve::Off || truth.kind != KeyKind::Egress || {
                    let of = |account: &str| taken.iter().filter(|(a, _)| *a == account).map(|(_, n)| n).sum::<u32>();
                    let active = ACCOUNTS.iter().filter(|a| **a == to.account || of(a) > 0).count();
                    // Each of the wanted slots by itself: before the last tenth, or below the share.
                    (1..=wanted).all(|n| {
                        let before_reserve = (all + n) * 10 <= rate.slots * 10 - (rate.slots / 10) * 10;
                        before_reserve || (of(to.account) + n - 1) as usize * active < rate.slots as usize
                    })
                };
                all + wanted <= rate.slots && fair
            })
        })
    }

    fn step(&mut self, step: u64, seed: u64) {
        match self.dice.roll(20) {
            0..=6 => self.lease(step, seed),
            7..=11 => self.end(),
            12..=15 => {
                let steps = [0, 1, 1, 7, 100, 300, 999, 1_000, 1_001, 1_002, 2_503, 4_004];
                self.now += self.dice.pick(&steps);
            }
            16 => self.wall_off = self.dice.pick(&[0, -86_400_000, 86_400_000, 3_000]),
            17 if self.dice.roll(3) == 0 => self.restart(),
            18 if self.dice.roll(3) == 0 => self.reload(),
            19 => {
                self.limits.sweep(10, self.moment());
            }
            _ => {}
        }
    }

    fn lease(&mut self, step: u64, seed: u64) {
        let account = self.dice.pick(&ACCOUNTS);
        let egress = self.dice.pick(&["192.0.2.1", "192.0.2.1", "192.0.2.2"]);
        let login = self.dice.pick(&[None, Some("box")]);
        let route = self.dice.pick(&["mx", "relay"]);
        let to = Charged { account, egress, login, route };
        let want = 1 + self.dice.small(6);
        let fits = (1..=want).rev().find(|k| self.fits_slowly(to, *k, self.now)).unwrap_or(0);
        let place = format!("seed {seed} step {step} at {} ms: {to:?} wants {want}", self.now);
        match self.limits.lease(to, NonZeroU32::new(want).unwrap(), self.moment()) {
            Ok(leased) => {
                let n = leased.granted.recipients();
                assert!(n == fits || self.late && n < fits, "{place}: {n} granted, {fits} fit");
                let counted = Counted::all(n);
                let attempt = Attempt { to, leased: self.now, ended: None, counted, stamps: vec![self.stamp()] };
                self.attempts.push(attempt);
                self.under_way.push((self.attempts.len() - 1, leased.granted));
            }
            Err(refusal) => {
                assert!(fits == 0 || self.late, "{place}: {fits} fit, and it was refused: {refusal:?}");
                if !self.late {
                    self.check_next(to, refusal.next, &format!("{place}: {refusal:?}"));
                }
            }
        }
    }

    /// The refusal's time is the first at which one fits, if nothing else happens.
    fn check_next(&self, to: Charged<'static>, next: NextSlot, place: &str) {
        const FAR_MS: u64 = 1_000_000;
        match next {
            NextSlot::At(at) => {
                let at = self.now + at.since_ms(self.moment());
                assert!(at > self.now && !self.fits_slowly(to, 1, at - 1), "{place}: it fits before {at}");
                let leases_decide = !self.fits_slowly(to, 1, self.now + FAR_MS);
                assert!(leases_decide || self.fits_slowly(to, 1, at), "{place}: it does not fit at {at}");
            }
            NextSlot::AfterLeases => {
                assert!(!self.fits_slowly(to, 1, self.now + FAR_MS), "{place}: time alone would do");
                assert!(!self.under_way.is_empty(), "{place}: there is no lease");
            }
            NextSlot::Never => {
                let nothing = self.truths(to).iter().any(|truth| truth.rates.iter().any(|rate| rate.slots == 0));
                assert!(nothing, "{place}: every rule has slots");
            }
        }
    }

    fn end(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.roll(self.under_way.len() as u64)).unwrap();
        let (i, granted) = self.under_way.swap_remove(at);
        let (moment, n) = (self.moment(), granted.recipients());
        let grace = self.settings.unknown_grace_ms;
        let (counted, grace) = match self.dice.roll(8) {
            0 => {
                self.limits.unknown(granted, moment);
                (Counted::all(n), grace)
            }
            1 => {
                let id = granted.id();
                drop(granted); // its task was dropped
                self.limits.lost(id, moment);
                self.limits.lost(id, moment); // a second word changes nothing
                (Counted::all(n), grace)
            }
            2 => {
                self.limits.give_back(granted, moment);
                (Counted::default(), 0)
            }
            _ => {
                let content = self.dice.small(n + 1);
                let refused = self.dice.small(n - content + 1);
                let counted = match self.settings.count_refused {
                    CountRefused::No => content,
                    CountRefused::Yes => content + refused,
                };
                self.limits.used(granted, Spent { content, refused }, moment);
                (Counted { recipients: counted, messages: u32::from(counted > 0) }, 0)
            }
        };
        let stamp = self.stamp();
        let attempt = &mut self.attempts[i];
        (attempt.counted, attempt.ended) = (counted, Some((self.now, grace)));
        attempt.stamps.push(stamp);
    }

    fn past(&mut self) -> Vec<PastAttempt<'static>> {
        let other_boots = self.attempts.iter().flat_map(|a| &a.stamps).any(|s| s.boot.0.parse() != Ok(self.boot));
        self.late |= other_boots && self.wall_off != 0;
        let mut stamps: Vec<&Stamp> = self.attempts.iter().flat_map(|a| &a.stamps).collect();
        let number = |stamp: &Stamp| stamp.boot.0.parse::<u32>().unwrap();
        stamps.sort_by_key(|stamp| (number(stamp), stamp.boot_ms)); // as they were stored
        let now = self.stamp();
        let reading = Now { boot: now.boot_ms, wall: now.wall_ms };
        // A wall clock that is wrong and called synchronised is outside the promise.
        let clock = if self.late || self.wall_off != 0 { WallClock::Unsynchronised } else { WallClock::Synchronised };
        let line = Timeline::new(now.boot, reading, clock, stamps);
        let place = |attempt: &Attempt| {
            let state = match (attempt.ended, attempt.stamps.get(1)) {
                (Some((_, 0)), Some(ended)) => PastState::Used(line.place(ended)),
                (Some(_), Some(ended)) => PastState::Unknown(line.place(ended)),
                _ => PastState::UnderWay,
            };
            PastAttempt { charged: attempt.to, counted: attempt.counted, state }
        };
        self.attempts.iter().map(place).collect()
    }

    /// Killed and started again, in the same boot or in another one.
    fn restart(&mut self) {
        self.rebooted_or_reloaded = true;
        self.under_way.clear();
        self.now += self.dice.pick(&[0, 3, 500, 5_000]);
        if self.dice.roll(2) == 0 && self.now >= self.quiet_until {
            // The wall clock bridges the gap exactly if it was right before and is right now.
            let last = self
                .attempts
                .iter()
                .flat_map(|a| &a.stamps)
                .max_by_key(|s| (s.boot.0.parse::<u32>().unwrap(), s.boot_ms));
            let truly = |s: &Stamp| s.wall_ms.0 == WALL_ORIGIN_MS + self.boot_began + s.boot_ms.0;
            let right = last.is_none_or(|s| s.boot.0.parse() == Ok(self.boot) && truly(s));
            if !right || self.dice.roll(4) == 0 {
                self.late = true;
                self.quiet_until = u64::MAX; // a wall clock never set is believed of no later boot here
            }
            self.boot += 1;
            self.boot_began = self.now;
            self.now += self.dice.roll(300);
            self.wall_off = 0;
        }
        let past = self.past();
        let book = RuleBook::new(&self.settings).unwrap();
        self.limits = Limits::start(book, past, Moment::BEGINNING, self.moment());
        // What was under way is unknown from now on, and the store says so.
        let (now, stamp, grace) = (self.now, self.stamp(), self.settings.unknown_grace_ms);
        for attempt in self.attempts.iter_mut().filter(|a| a.ended.is_none()) {
            attempt.ended = Some((now, grace));
            attempt.stamps.push(stamp.clone());
        }
    }

    fn reload(&mut self) {
        self.rebooted_or_reloaded = true;
        let grace = self.settings.unknown_grace_ms;
        // The grace of outcomes that were unknown before stays what it was.
        self.settings = LimitSettings { unknown_grace_ms: grace, ..settings(&mut self.dice) };
        let past = self.past();
        self.limits.reload(RuleBook::new(&self.settings).unwrap(), past, Moment::BEGINNING, self.moment());
    }

    /// The promise itself: for every beginning, no window holds more than N.
    fn check_windows(&self, seed: u64) {
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

#[test]
fn leases_are_exact() {
    for seed in 0..150 {
        let mut world = World::new(seed);
        for step in 0..150 {
            world.step(step, seed);
        }
        // A new rule says nothing of mail before it, so the promise is asked of worlds that kept their rules.
        if !world.rebooted_or_reloaded {
            world.check_windows(seed);
        }
    }
}
