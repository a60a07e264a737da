//! The pace inside the limit: so many at once, then evenly; and the same guard for connections and commands of a client.
//!
//! This is governor's leaky bucket, which smooths and is no window: at 200/h it lets up to 399 pass in the worst hour. What
//! must be exact is a ring's to say; a pace spreads it, so that no server is met with an hour's allowance in one second.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::rate::{Rate, RateError};
use super::timeline::Moment;

/// How fast: so many at once after a calm, then evenly at a rate. Written `5/s burst 20`, or `60/m`, whose burst is 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    rate: Rate,
    burst: NonZeroU32,
    quota: Quota,
}

/// Why a text is no pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// The rate before the burst.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// Zero: what may never pass is a limit of 0/h.
    #[error("a pace of nothing would let nothing pass; to let nothing leave, write the limit 0/h")]
    Nothing,
    /// What follows the rate.
    #[error("after the rate stands nothing, or a burst of at least 1: 5/s burst 20")]
    Burst,
}

impl FromStr for Pace {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, PaceError> {
        let (rate, burst) = match text.split_once("burst") {
            Some((rate, burst)) => (rate, Some(burst.trim().parse::<NonZeroU32>().map_err(|_| PaceError::Burst)?)),
            None => (text, None),
        };
        let rate: Rate = rate.parse()?;
        let slots = NonZeroU32::new(rate.slots).ok_or(PaceError::Nothing)?;
        let each = Duration::from_millis(rate.window_ms) / slots.get();
        let quota = Quota::with_period(each.max(Duration::from_nanos(1))).ok_or(PaceError::Nothing)?;
        let burst = burst.unwrap_or(slots);
        Ok(Self { rate, burst, quota: quota.allow_burst(burst) })
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} burst {}", self.rate, self.burst)
    }
}

/// A pace for each of many keys, at most `keys_max` of them known; those beyond share one bucket, so that a crowd of new
/// names (or addresses) is slowed and never costs memory.
pub struct Pacer<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, Buckets<K>, Fed, NoOpMiddleware<Nanos>>,
    clock: Fed,
    looking: Arc<AtomicBool>,
    burst: NonZeroU32,
    keys_max: usize,
    swept: Moment,
}

/// How long a full table is left alone between two sweeps, in milliseconds.
const SWEEP_PAUSE_MS: u64 = 1_000;

impl<K: Hash + Eq + Clone> Pacer<K> {
    /// Nothing has passed yet.
    pub fn new(pace: Pace, keys_max: usize) -> Self {
        let (clock, looking) = (Fed::default(), Arc::new(AtomicBool::new(false)));
        let buckets =
            Buckets { by_key: RefCell::default(), shared: Cell::new(None), keys_max, looking: Arc::clone(&looking) };
        let limiter = RateLimiter::new(pace.quota, buckets, clock.clone());
        Self { limiter, clock, looking, burst: pace.burst, keys_max, swept: Moment::BEGINNING }
    }

    /// Lets `n` pass, or says when they may. More than the burst pass as a burst: a turn is never too large to go.
    ///
    /// # Errors
    /// The moment at which asking again is not in vain.
    pub fn pass(&mut self, key: &K, n: NonZeroU32, now: Moment) -> Result<(), Moment> {
        self.clock.set(now);
        if self.limiter.len() >= self.keys_max && now.since_ms(self.swept) >= SWEEP_PAUSE_MS {
            self.sweep(now);
        }
        match self.limiter.check_key_n(key, n.min(self.burst)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_yet)) => Err(Moment::at_ms(not_yet.earliest_possible().as_u64().div_ceil(1_000_000))),
            Err(_) => unreachable!("n was cut to the burst"),
        }
    }

    /// Whether `n` would pass now; nothing passes.
    ///
    /// # Errors
    /// As [`Pacer::pass`].
    pub fn would_pass(&mut self, key: &K, n: NonZeroU32, now: Moment) -> Result<(), Moment> {
        self.looking.store(true, Ordering::Relaxed);
        let result = self.pass(key, n, now);
        self.looking.store(false, Ordering::Relaxed);
        result
    }

    /// Forgets keys whose burst is whole again. About once a minute.
    pub fn sweep(&mut self, now: Moment) {
        self.clock.set(now);
        self.swept = now;
        self.limiter.retain_recent();
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.limiter.len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.limiter.is_empty()
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Pacer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").field("burst", &self.burst).field("keys", &self.len()).finish_non_exhaustive()
    }
}

/// The clock that governor sees: the last moment it was given, which never runs back.
#[derive(Debug, Clone, Default)]
struct Fed(Arc<AtomicU64>);

impl Fed {
    fn set(&self, now: Moment) {
        self.0.fetch_max(now.ms().saturating_mul(1_000_000), Ordering::Relaxed);
    }
}

impl Clock for Fed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// The buckets of governor's state, bounded in number.
struct Buckets<K> {
    by_key: RefCell<HashMap<K, Nanos, foldhash::fast::RandomState>>,
    /// Of all keys beyond the bound.
    shared: Cell<Option<Nanos>>,
    keys_max: usize,
    /// Decide, and keep nothing.
    looking: Arc<AtomicBool>,
}

impl<K: Hash + Eq + Clone> StateStore for Buckets<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut by_key = self.by_key.borrow_mut();
        let known = by_key.get(key).copied();
        let has_bucket = known.is_some() || by_key.len() < self.keys_max;
        let (passed, next) = f(if has_bucket { known } else { self.shared.get() })?;
        match (self.looking.load(Ordering::Relaxed), has_bucket) {
            (true, _) => {}
            (false, true) => {
                by_key.insert(key.clone(), next);
            }
            (false, false) => self.shared.set(Some(next)),
        }
        Ok(passed)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Buckets<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut by_key = self.by_key.borrow_mut();
        by_key.retain(|_, next| *next > drop_below);
        if by_key.len() * 4 < by_key.capacity() {
            let len = by_key.len();
            by_key.shrink_to(len * 2);
        }
    }

    fn len(&self) -> usize {
        self.by_key.borrow().len()
    }

    fn is_empty(&self) -> bool {
        self.by_key.borrow().is_empty()
    }
}

/// `[pace]` as meant. `None`: the limits alone decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceSettings {
    /// Of each egress.
    pub egress: Option<Pace>,
    /// Of each account.
    pub account: Option<Pace>,
    /// Towards each domain of recipients.
    pub domain: Option<Pace>,
}

impl Default for PaceSettings {
    /// An hour's allowance in about a minute: fast for a person, slow for a filter.
    fn default() -> Self {
        let pace = |text: &str| text.parse().ok();
        Self { egress: pace("5/s burst 50"), account: pace("5/s burst 50"), domain: pace("5/s burst 20") }
    }
}

/// Keys of each kind that the paces know at most.
const PACED_KEYS_MAX: usize = 100_000;

/// The paces of egresses, accounts and domains together.
#[derive(Debug)]
pub struct Paces {
    settings: PaceSettings,
    by_kind: [Option<Pacer<Box<str>>>; 3],
}

/// Who is to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced<'a> {
    /// The egress.
    pub egress: &'a str,
    /// The account.
    pub account: &'a str,
    /// The domain of the recipients.
    pub domain: &'a str,
}

impl<'a> Paced<'a> {
    fn kinds(self) -> [(&'a str, SaysNotYet); 3] {
        [(self.egress, TooFast::Egress), (self.account, TooFast::Account), (self.domain, TooFast::Domain)]
    }
}

/// Which of [`TooFast`] a kind of key says.
type SaysNotYet = fn(Moment) -> TooFast;

/// Which pace says not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooFast {
    /// The egress's, until then.
    Egress(Moment),
    /// The account's, until then.
    Account(Moment),
    /// That towards the domain, until then.
    Domain(Moment),
}

impl Paces {
    /// Nothing has passed yet.
    pub fn new(settings: &PaceSettings) -> Self {
        let paces = [settings.egress, settings.account, settings.domain];
        Self {
            settings: settings.clone(),
            by_kind: paces.map(|pace| pace.map(|pace| Pacer::new(pace, PACED_KEYS_MAX))),
        }
    }

    /// How fast each kind goes.
    pub fn settings(&self) -> &PaceSettings {
        &self.settings
    }

    /// Lets so many recipients pass under all three paces, or under none.
    ///
    /// # Errors
    /// The first pace that says not yet.
    pub fn pass(&mut self, who: Paced<'_>, recipients: NonZeroU32, now: Moment) -> Result<(), TooFast> {
        self.would_pass(who, recipients, now)?;
        for (pacer, (key, too_fast)) in self.by_kind.iter_mut().zip(who.kinds()) {
            if let Some(pacer) = pacer {
                pacer.pass(&key.into(), recipients, now).map_err(too_fast)?;
            }
        }
        Ok(())
    }

    /// Whether so many recipients would pass; nothing passes.
    ///
    /// # Errors
    /// The first pace that says not yet.
    pub fn would_pass(&mut self, who: Paced<'_>, recipients: NonZeroU32, now: Moment) -> Result<(), TooFast> {
        for (pacer, (key, too_fast)) in self.by_kind.iter_mut().zip(who.kinds()) {
            if let Some(pacer) = pacer {
                pacer.would_pass(&key.into(), recipients, now).map_err(too_fast)?;
            }
        }
        Ok(())
    }

    /// Forgets keys that rested. About once a minute.
    pub fn sweep(&mut self, now: Moment) {
        for pacer in self.by_kind.iter_mut().flatten() {
            pacer.sweep(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootMs;

    fn at(ms: u64) -> Moment {
        Moment::of_boot(BootMs(ms))
    }

    fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    #[test]
    fn paces() {
        let cases = [
            ("5/s burst 20", Ok("5/s burst 20")),
            ("60/m", Ok("60/m burst 60")),
            ("0/s", Err(PaceError::Nothing)),
            ("5/s burst 0", Err(PaceError::Burst)),
            ("5/s burst", Err(PaceError::Burst)),
            ("fast", Err(PaceError::Rate(RateError::NoWindow))),
        ];
        for (text, expected) in cases {
            let shown = text.parse::<Pace>().map(|pace| pace.to_string());
            assert_eq!(shown, expected.map(String::from), "{text}");
        }
        let default = PaceSettings::default();
        assert!(default.egress.is_some() && default.account.is_some() && default.domain.is_some());
    }

    #[test]
    fn a_burst_and_then_evenly() {
        let mut pacer: Pacer<u32> = Pacer::new("5/s burst 3".parse().unwrap(), 10);
        let passed: Vec<u64> = (0..2_000).filter(|ms| pacer.pass(&1, n(1), at(*ms)).is_ok()).collect();
        assert_eq!(passed[..6], [0, 1, 2, 200, 400, 600]);
        assert_eq!(pacer.pass(&1, n(1), at(1_801)), Err(at(2_000)), "time does not run back");
        assert!(pacer.pass(&1, n(500), at(9_000)).is_ok(), "more than a burst goes as a burst");
    }

    #[test]
    fn looking_takes_nothing() {
        let mut pacer: Pacer<u32> = Pacer::new("1/s burst 1".parse().unwrap(), 10);
        for _ in 0..3 {
            assert!(pacer.would_pass(&1, n(1), at(0)).is_ok());
        }
        assert!(pacer.pass(&1, n(1), at(0)).is_ok());
        assert_eq!(pacer.would_pass(&1, n(1), at(0)), Err(at(1_000)));
    }

    #[test]
    fn all_three_or_none() {
        let pace = |text: &str| text.parse().ok();
        let settings = PaceSettings { egress: pace("1/s burst 2"), account: None, domain: pace("1/s burst 1") };
        let mut paces = Paces::new(&settings);
        let who = |domain| Paced { egress: "e", account: "a", domain };
        assert_eq!(paces.pass(who("x"), n(1), at(0)), Ok(()));
        assert_eq!(paces.pass(who("x"), n(1), at(0)), Err(TooFast::Domain(at(1_000))));
        assert_eq!(paces.pass(who("y"), n(1), at(0)), Ok(()), "the refused one took nothing of the egress");
        assert_eq!(paces.pass(who("z"), n(1), at(0)), Err(TooFast::Egress(at(1_000))));
    }

    #[test]
    fn a_crowd_of_addresses_shares_one_bucket() {
        let mut guard: Pacer<u32> = Pacer::new("1/s burst 2".parse().unwrap(), 100);
        let passed = (0..10_000).filter(|client| guard.pass(client, n(1), at(0)).is_ok()).count();
        assert_eq!((passed, guard.len()), (102, 100));
        guard.sweep(at(5_000));
        assert_eq!(guard.len(), 0, "rested keys are forgotten");
    }
}
