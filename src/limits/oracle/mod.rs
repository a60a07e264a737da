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
//! counted among the active, its owners not released, or those of a slot mixed up; the fiftieth for outguard's own mail not kept, or kept from that mail
//! too; attempts left out that ended while the record was read, or before it showed them, or counted twice; a known time
//! hiding leases under way; what a next hop called used up forgotten at a start or a retime; attempts of the record that counted
//! nothing taken for those of an active account; other boots placed by this boot's clock, or by their wall clock alone.

mod truth;

use std::num::NonZeroU32;

use self::truth::{Truth, settings};
use super::*;
use crate::clock::{BootId, BootMs, Now, WallMs};

const WALL_ORIGIN_MS: u64 = 1_700_000_000_000;

/// Numbers from a seed (splitmix64).
pub(in crate::limits) struct Dice(pub(in crate::limits) u64);

impl Dice {
    pub(in crate::limits) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    pub(in crate::limits) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()].clone()
    }

    fn small(&mut self, below: u32) -> u32 {
        u32::try_from(self.roll(below.into())).unwrap()
    }
}

/// Its number in the record.
fn record_id(attempt: usize) -> RecordId {
    RecordId(attempt as u64)
}

/// One attempt. Times are true milliseconds, whatever the clocks show.
#[derive(Debug, Clone)]
struct Attempt {
    to: Charged<'static>,
    leased: u64,
    /// When it truly ended, and by how much longer its slots are taken.
    ended: Option<(u64, u64)>,
    counted: Counted,
    /// What was leased: what the record shows until it has the end.
    leased_count: Counted,
    stamps: Vec<Stamp>,
    /// Whether the record has the end.
    recorded: bool,
}

impl Attempt {
    /// The moments of it that the record has.
    fn on_record(&self) -> &[Stamp] {
        if self.recorded { &self.stamps } else { &self.stamps[..1] }
    }

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
    /// The record as it was read a while ago, for a reload or a retime that comes.
    read: Option<(Reading, Vec<PastAttempt<'static>>)>,
    /// What next hops called used up: of a rule and window, until when.
    filled: Vec<(Truth, u64, u64)>,
    /// The same as it is told to the next process of this boot.
    told: Vec<Filled>,
    /// The wall clock is right and nobody has called it synchronised yet, so moments of before are placed too late.
    to_retime: bool,
    rebooted_or_reloaded: bool,
}

const ACCOUNTS: [&str; 3] = ["a@x.example", "b@x.example", "c@y.example"];

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
            read: None,
            filled: Vec::new(),
            told: Vec::new(),
            to_retime: false,
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
            17 => self.record(),
            18 => match self.dice.roll(5) {
                0 | 1 => self.reload(),
                2 => self.retime(),
                _ => self.read(),
            },
            19 if self.dice.roll(3) == 0 => self.fill(),
            19 => {
                self.limits.sweep(10, self.moment());
            }
            _ => {}
        }
    }

    fn to(&mut self) -> Charged<'static> {
        let account = self.dice.pick(&ACCOUNTS);
        let egress = self.dice.pick(&["192.0.2.1", "192.0.2.1", "192.0.2.2"]);
        let login = self.dice.pick(&[None, Some("box")]);
        let route = self.dice.pick(&["mx", "relay"]);
        Charged { account, egress, login, route }
    }

    fn lease(&mut self, step: u64, seed: u64) {
        let to = self.to();
        let most = self.dice.pick(&[6, 6, 40]);
        let want = 1 + self.dice.small(most);
        let fits = (1..=want).rev().find(|k| self.fits_slowly(to, *k, self.now)).unwrap_or(0);
        let place = format!("seed {seed} step {step} at {} ms: {to:?} wants {want}", self.now);
        match self.limits.lease(to, NonZeroU32::new(want).unwrap(), self.moment()) {
            Ok(leased) => {
                let n = leased.granted.recipients();
                assert!(n == fits || self.late && n < fits, "{place}: {n} granted, {fits} fit");
                let counted = Counted::all(n);
                self.attempts.push(Attempt {
                    to,
                    leased: self.now,
                    ended: None,
                    counted,
                    leased_count: counted,
                    stamps: vec![self.stamp()],
                    recorded: false,
                });
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

    /// The next hop says that the limit of one key is used up.
    fn fill(&mut self) {
        let (to, window_ms_min) = (self.to(), self.dice.pick(&[1, 2_000, 9_000]));
        let truths = self.truths(to);
        let truth = self.dice.pick(&truths);
        let windows = truth.rates.iter().map(|rate| rate.window_ms).filter(|window_ms| *window_ms >= window_ms_min);
        let filled = windows.min().map(|window_ms| (window_ms, self.now + window_ms + window_ms.div_ceil(1_000)));
        let (name, moment) = (to.name(truth.kind).unwrap(), self.moment());
        let told = self.limits.fill(truth.kind, name, to.route, window_ms_min, moment);
        let until = told.as_ref().map(|told| told.at.plus_ms(told.window_ms));
        self.told.extend(told);
        assert_eq!(until.map(|until| self.now + until.since_ms(moment)), filled.map(|(_, until)| until));
        self.filled.extend(filled.map(|(window_ms, until)| (truth, window_ms, until)));
    }

    /// Whether what a next hop said is to be forgotten or carried over at a change of rules: that is asked elsewhere.
    fn is_filled(&self) -> bool {
        self.filled.iter().any(|(.., until)| *until > self.now)
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
            0 | 1 => {
                self.limits.unknown(granted, record_id(i), moment);
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
                self.limits.used(granted, Spent { content, refused }, record_id(i), moment);
                (Counted { recipients: counted, messages: u32::from(counted > 0) }, 0)
            }
        };
        let stamp = self.stamp();
        let attempt = &mut self.attempts[i];
        (attempt.counted, attempt.ended) = (counted, Some((self.now, grace)));
        attempt.stamps.push(stamp);
        if self.dice.roll(2) == 0 {
            self.record();
        }
    }

    /// The end of an attempt comes to be on record.
    fn record(&mut self) {
        let open: Vec<usize> = (0..self.attempts.len())
            .filter(|i| self.attempts[*i].ended.is_some() && !self.attempts[*i].recorded)
            .collect();
        if !open.is_empty() {
            let i = self.dice.pick(&open);
            self.attempts[i].recorded = true;
            self.limits.recorded(record_id(i));
        }
    }

    /// Begins to read the record; what ends until [`World::reload`] or [`World::retime`] is not in what was read.
    fn read(&mut self) {
        let reading = self.limits.reading();
        self.read = Some((reading, self.past()));
    }

    fn past(&mut self) -> Vec<PastAttempt<'static>> {
        let other_boots = self.attempts.iter().flat_map(|a| &a.stamps).any(|s| s.boot.0.parse() != Ok(self.boot));
        self.late |= other_boots && self.wall_off != 0;
        let mut stamps: Vec<&Stamp> = self.attempts.iter().flat_map(Attempt::on_record).collect();
        let number = |stamp: &Stamp| stamp.boot.0.parse::<u32>().unwrap();
        stamps.sort_by_key(|stamp| (number(stamp), stamp.boot_ms)); // as they were stored
        let now = self.stamp();
        let reading = Now { boot: now.boot_ms, wall: now.wall_ms };
        // A wall clock that is wrong and called synchronised is outside the promise.
        let clock = if self.late || self.wall_off != 0 { WallClock::Unsynchronised } else { WallClock::Synchronised };
        let line = Timeline::new(now.boot, reading, clock, stamps);
        let place = |(i, attempt): (usize, &Attempt)| {
            let (state, counted) = match (attempt.ended, attempt.on_record()) {
                (Some((_, 0)), [_, ended]) => (PastState::Used(line.place(ended)), attempt.counted),
                (Some(_), [_, ended]) => (PastState::Unknown(line.place(ended)), attempt.counted),
                _ => (PastState::UnderWay, attempt.leased_count),
            };
            PastAttempt { id: record_id(i), charged: attempt.to, counted, state }
        };
        self.attempts.iter().enumerate().map(place).collect()
    }

    /// Killed and started again, in the same boot or in another one.
    fn restart(&mut self) {
        self.rebooted_or_reloaded = true;
        self.under_way.clear();
        self.read = None;
        for attempt in self.attempts.iter_mut().filter(|attempt| !attempt.recorded) {
            // Whatever its end was, nobody knows it any more.
            (attempt.ended, attempt.counted) = (None, attempt.leased_count);
            attempt.stamps.truncate(1);
        }
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
            if right && self.to_retime {
                self.late = false;
            }
            // The clock is right, and called so only later.
            self.to_retime = right && !self.late && self.dice.roll(4) == 0;
            if self.to_retime {
                self.late = true;
            } else if !right || self.dice.roll(4) == 0 {
                self.late = true;
                self.quiet_until = u64::MAX; // a wall clock never set is believed of no later boot here
            }
            (self.filled, self.told) = (Vec::new(), Vec::new()); // where it lies is asked of moments of attempts
            self.boot += 1;
            self.boot_began = self.now;
            self.now += self.dice.roll(300);
            self.wall_off = 0;
        }
        let past = self.past();
        let book = RuleBook::new(&self.settings).unwrap();
        self.limits = Limits::start(book, past, Moment::BEGINNING, self.moment());
        let moment = self.moment();
        for told in &self.told {
            self.limits.filled(told.clone(), moment);
        }
        // What was under way is unknown from now on, and the store says so.
        let (now, stamp, grace) = (self.now, self.stamp(), self.settings.unknown_grace_ms);
        for attempt in self.attempts.iter_mut().filter(|a| a.ended.is_none()) {
            (attempt.ended, attempt.recorded) = (Some((now, grace)), true);
            attempt.stamps.push(stamp.clone());
        }
    }

    fn reload(&mut self) {
        if self.is_filled() {
            return;
        }
        self.rebooted_or_reloaded = true;
        self.told.clear(); // of rules that are gone
        let grace = self.settings.unknown_grace_ms;
        // The grace of outcomes that were unknown before stays what it was.
        self.settings = LimitSettings { unknown_grace_ms: grace, ..settings(&mut self.dice) };
        if self.read.is_none() {
            self.read();
        }
        let Some((reading, past)) = self.read.take() else { unreachable!("it was just read") };
        let book = RuleBook::new(&self.settings).unwrap();
        self.limits.reload(book, past, Moment::BEGINNING, reading, self.moment());
    }

    /// The wall clock is called synchronised, and it is right.
    fn retime(&mut self) {
        if self.wall_off != 0 || self.late && !self.to_retime {
            return;
        }
        (self.late, self.to_retime) = (false, false);
        self.read();
        for _ in 0..self.dice.roll(3) {
            self.end(); // while the record is read
        }
        let Some((reading, past)) = self.read.take() else { unreachable!("it was just read") };
        self.limits.retime(past, Moment::BEGINNING, reading, self.moment());
    }
}

#[test]
fn leases_are_exact() {
    // The last is one that found something, of three thousand.
    for seed in (0..300).chain([1_535]) {
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
