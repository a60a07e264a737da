//! Dispatch against plain models: what is fair, what is never lost, what memory it takes.

use std::collections::{BTreeMap, HashMap};

use super::refill::{HEADS_SPARE, LINE_HEADS_SURE};
use super::*;
use crate::clock::BootMs;
use crate::limits::Moment;
use crate::mail::QueueId;

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % u64::from(below)).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(u32::try_from(from.len()).unwrap()) as usize]
    }
}

fn at(ms: u64) -> Moment {
    Moment::of_boot(BootMs(ms))
}

fn line(account: u32, class: Class, hop: u32) -> Line {
    Line { account: AccountId(account), class, hop: HopId(hop) }
}

fn item(id: u64, recipients: u32) -> Item {
    Item { id: QueueId::new(id).unwrap(), recipients }
}

fn take_all(offer: &Offer) -> Fit {
    Fit::Take(offer.recipients)
}

const TURN: u32 = 20;

/// Serves `turns` turns at hop 0, each account's message replaced when it is done; returns who had how many recipients.
fn serve(
    dispatch: &mut Dispatch,
    turns: usize,
    mut after: impl FnMut(&mut Dispatch, usize, &Turn),
) -> Vec<(Line, u32)> {
    let mut served = Vec::new();
    for n in 0..turns {
        let turn = dispatch.next(HopId(0), at(n as u64), take_all).expect("there is mail");
        served.push((turn.line(), turn.recipients()));
        after(dispatch, n, &turn);
        let left = turn.left();
        dispatch.finish(turn, left);
    }
    served
}

#[test]
fn accounts_share_by_weight_in_any_interval() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut dispatch = Dispatch::new(&DispatchSettings::default());
        let weights: Vec<Weight> = (0..10).map(|_| Weight::of(dice.pick(&[20, 50, 100, 100, 400])).unwrap()).collect();
        let mut next_id = 0;
        for (account, weight) in (0u32..).zip(&weights) {
            dispatch.set_weight(AccountId(account), *weight);
            for _ in 0..3 {
                next_id += 1;
                dispatch.add(line(account, Class::Transactional, 0), item(next_id, 1 + dice.roll(60)));
            }
        }
        let served = serve(&mut dispatch, 2_000, |dispatch, _, turn| {
            next_id += 1;
            if turn.left() == 0 {
                dispatch.add(turn.line(), item(next_id, 1 + dice.roll(60)));
            }
        });
        // The difference of two accounts' service moves within a turn of each, wherever one begins to count.
        for a in 0..10 {
            for b in 0..a {
                let cost = |account: usize, n: u32| f64::from(n) * 100.0 / f64::from(weights[account].percent());
                let (mut now, mut least, mut most) = (0.0f64, 0.0f64, 0.0f64);
                for (line, n) in &served {
                    let who = line.account.0 as usize;
                    now += if who == a {
                        cost(a, *n)
                    } else if who == b {
                        -cost(b, *n)
                    } else {
                        0.0
                    };
                    (least, most) = (least.min(now), most.max(now));
                }
                let bound = cost(a, TURN) + cost(b, TURN) + 0.01;
                assert!(
                    most - least <= bound,
                    "seed {seed}: accounts {a} and {b} differ by {} > {bound}",
                    most - least
                );
            }
        }
    }
}

/// A store behind one line of many messages, sent in their order.
struct Flood {
    line: Line,
    first: u64,
    until: u64,
}

impl Flood {
    fn refill(&self, dispatch: &mut Dispatch) {
        while let Some((line, most)) = dispatch.needs_refill() {
            assert_eq!(line, self.line);
            // The store reads from the first waiting message on: those that dispatch has are among them.
            let items: Vec<Item> = (self.first..self.until).take(most).map(|id| item(id, 1)).collect();
            let more = if self.until - self.first > most as u64 { More::InStore } else { More::None };
            dispatch.refill(line, items, more);
        }
    }

    fn send(&mut self, dispatch: &mut Dispatch, turn: Turn) {
        assert_eq!((turn.line(), turn.message().number()), (self.line, self.first));
        self.first += 1;
        dispatch.finish(turn, 0);
    }
}

#[test]
fn a_flood_delays_nobody_else() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    let mut flood = Flood { line: line(1, Class::Bulk, 0), first: 1, until: 100_001 };
    for id in 1..=100_000 {
        dispatch.add(flood.line, item(id, 1));
    }
    assert!(dispatch.sizes().1 <= 64, "heads of one line are bounded");
    let mut dice = Dice(7);
    let mut waited_max = 0;
    for round in 0..300u64 {
        for _ in 0..dice.roll(40) {
            flood.refill(&mut dispatch);
            let turn = dispatch.next(HopId(0), at(round), take_all).unwrap();
            flood.send(&mut dispatch, turn);
        }
        // One letter of somebody else, in either class.
        let letter = line(2 + dice.roll(3), dice.pick(&[Class::Transactional, Class::Bulk]), 0);
        dispatch.add(letter, item(200_000 + round, 1));
        let mut waited = 0;
        loop {
            flood.refill(&mut dispatch);
            let turn = dispatch.next(HopId(0), at(round), take_all).unwrap();
            if turn.line() == letter {
                dispatch.finish(turn, 0);
                break;
            }
            flood.send(&mut dispatch, turn);
            waited += 1;
        }
        waited_max = waited_max.max(waited);
    }
    assert!(waited_max <= 2, "a letter waited for {waited_max} turns of the flood");
    loop {
        flood.refill(&mut dispatch);
        let Some(turn) = dispatch.next(HopId(0), at(1_000), take_all) else { break };
        flood.send(&mut dispatch, turn);
    }
    assert_eq!((flood.first, dispatch.sizes()), (100_001, (0, 0, 0)), "and the flood left in whole");
}

#[test]
fn bulk_keeps_a_fifth_and_small_mail_goes_first() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    let (small, bulk) = (line(1, Class::Transactional, 0), line(2, Class::Bulk, 0));
    for id in 0..10 {
        dispatch.add(small, item(id, 1));
        dispatch.add(bulk, item(100 + id, 1_000));
    }
    let mut id = 1_000;
    let served = serve(&mut dispatch, 4_000, |dispatch, _, turn| {
        id += 1;
        if turn.line() == small {
            dispatch.add(small, item(id, 1));
        } else if turn.left() == 0 {
            dispatch.add(bulk, item(id, 1_000));
        }
    });
    let first_bulk = served.iter().position(|(line, _)| *line == bulk).unwrap();
    assert!(first_bulk >= 1, "small mail goes first");
    for window in served.windows(400).step_by(37) {
        let of = |which: Line| window.iter().filter(|(line, _)| *line == which).map(|(_, n)| n).sum::<u32>();
        let share = f64::from(of(bulk)) / f64::from(of(bulk) + of(small));
        assert!((0.16..=0.25).contains(&share), "bulk had {share:.3} of the recipients");
    }
    // Alone, it has all.
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    dispatch.add(bulk, item(1, 1_000));
    let turn = dispatch.next(HopId(0), at(0), take_all).unwrap();
    assert_eq!((turn.recipients(), turn.left()), (100, 900), "nobody else waits: a whole transaction");
    dispatch.put_back(turn);
}

#[test]
fn time_away_is_neither_credit_nor_debt() {
    for away in [Away::Parked, Away::Idle] {
        let mut dispatch = Dispatch::new(&DispatchSettings::default());
        let (a, b) = (line(1, Class::Bulk, 0), line(2, Class::Bulk, 0));
        dispatch.add(b, item(1, 1_000_000));
        dispatch.add(a, item(2, 40));
        serve(&mut dispatch, 4, |_, _, _| {});
        if away == Away::Parked {
            dispatch.add(a, item(3, 1_000_000));
            dispatch.park_account(a.account, at(500));
        }
        let meanwhile = serve(&mut dispatch, 500, |_, _, _| {});
        assert!(meanwhile.iter().all(|(line, _)| *line == b), "{away:?}");
        dispatch.add(a, item(4, 1_000_000));
        let now = at(500);
        dispatch.wake(now);
        let after = serve(&mut dispatch, 100, |_, _, _| {});
        let turns_of_a = after.iter().filter(|(line, _)| *line == a).count();
        // The other, alone, took turns of 100; it waits for that as if it had been two turns of 20.
        assert!((48..=53).contains(&turns_of_a), "{away:?}: {turns_of_a} of 100 turns");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    Parked,
    Idle,
}

#[test]
fn many_hops_are_not_many_shares() {
    // One account floods 200 hops; at each of them another one has mail too. Where both wait, the flood goes second.
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    for hop in 0..200 {
        dispatch.add(line(1, Class::Bulk, hop), item(u64::from(hop), 20));
        dispatch.add(line(2 + hop, Class::Bulk, hop), item(1_000 + u64::from(hop), 20));
    }
    let mut flood_first = 0;
    for hop in 0..200 {
        let turn = dispatch.next(HopId(hop), at(0), take_all).unwrap();
        flood_first += u32::from(turn.line().account == AccountId(1));
        dispatch.finish(turn, 0);
        let turn = dispatch.next(HopId(hop), at(0), take_all).unwrap();
        dispatch.finish(turn, 0);
    }
    assert!(flood_first <= 1, "the flood went first at {flood_first} hops");
}

impl Dispatch {
    /// What must hold between any two calls.
    fn check(&self) {
        let mut heads = 0;
        let mut free: HashMap<HopId, (u32, u32)> = HashMap::new();
        for (line, no) in &self.index {
            let state = self.state(*no);
            assert_eq!(state.line, *line);
            heads += state.heads.len();
            let (lines, messages) = free.entry(line.hop).or_default();
            *lines += 1;
            let account = self.account(line.account);
            let may_go = !state.heads.is_empty() && state.parked_until == Moment::BEGINNING && account.may_go();
            assert_eq!(state.ready, may_go, "{line:?} is ready exactly if nothing stands in its way");
            if state.ready {
                *messages += u32::try_from(state.heads.len()).unwrap();
                assert!(self.hops[&line.hop].ready(line.class).any(|ready| ready == *no));
            }
            let turns = self.under_way.keys().filter(|(of, _)| of == no).count();
            assert_eq!(usize::from(state.turns), turns);
            let used = !state.heads.is_empty() || turns > 0 || state.store != super::line::InStore::Nothing;
            assert!(used, "{line:?} is kept for nothing");
            assert!(self.lines_of(line.account).any(|of| of == *line));
            let mut ids: Vec<QueueId> = state.heads.iter().map(|item| item.id).collect();
            ids.extend(self.under_way.keys().filter(|(of, _)| of == no).map(|(_, id)| *id));
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all, "{line:?} has a message twice");
        }
        assert_eq!(heads, self.heads);
        for (hop, state) in &self.hops {
            assert_eq!((state.lines, state.free_messages), free.get(hop).copied().unwrap_or_default(), "{hop:?}");
        }
    }
}

/// One message as the store knows it: recipients due, under way, and put off.
#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    order: u64,
    due: u32,
    under_way: u32,
    put_off: u32,
}

/// The store, the engine around dispatch, and what was sent.
struct Engine {
    dice: Dice,
    dispatch: Dispatch,
    store: BTreeMap<(Line, u64), Stored>,
    turns: Vec<(Turn, u32)>,
    readings: Vec<(Line, Vec<Item>, More)>,
    accepted: u64,
    delivered: u64,
    order: u64,
    now: u64,
    /// At the end all goes well.
    draining: bool,
}

impl Engine {
    fn new(seed: u64) -> Self {
        let mut dispatch = Dispatch::new(&DispatchSettings { turn_recipients: 5, ..DispatchSettings::default() });
        dispatch.lines_max = 12; // fewer than there are, so that rounds are made
        let store = BTreeMap::new();
        let (turns, readings) = (Vec::new(), Vec::new());
        Self {
            dice: Dice(seed),
            dispatch,
            store,
            turns,
            readings,
            accepted: 0,
            delivered: 0,
            order: 0,
            now: 0,
            draining: false,
        }
    }

    fn some_line(&mut self) -> Line {
        let class = self.dice.pick(&[Class::Transactional, Class::Bulk]);
        line(self.dice.roll(4), class, self.dice.roll(3))
    }

    fn step(&mut self) {
        match self.dice.roll(24) {
            0..=4 => self.accept(),
            5..=10 => self.turn(),
            11..=14 => self.outcome(),
            15 | 16 => self.read(),
            17 | 18 => self.answer(),
            19 => self.come_due(),
            20 => self.park(),
            21 => self.now += u64::from(self.dice.roll(30)),
            22 => self.round(),
            _ => {
                let (hop, gate) = (HopId(self.dice.roll(3)), self.dice.pick(&[GateState::Open, GateState::Closed]));
                match self.dice.roll(6) {
                    0 => self.dispatch.gate_hop(hop, gate),
                    1 => self.dispatch.gate_all(gate),
                    2 => self.dispatch.sweep(),
                    _ => self.dispatch.gate_account(AccountId(self.dice.roll(4)), gate),
                }
            }
        }
        self.check();
    }

    fn accept(&mut self) {
        let line = self.some_line();
        // A burst now and then, so that lines overflow.
        for _ in 0..self.dice.pick(&[1, 1, 1, 10, 70]) {
            let (id, recipients) = (self.order, 1 + self.dice.roll(8));
            self.order += 1;
            self.store.insert((line, id), Stored { order: id, due: recipients, ..Stored::default() });
            self.accepted += u64::from(recipients);
            self.dispatch.add(line, item(id, recipients));
        }
    }

    fn turn(&mut self) {
        let (hop, now) = (HopId(self.dice.roll(3)), at(self.now));
        let fit = if self.draining { 12 } else { self.dice.roll(12) };
        let until = at(self.now + 1 + u64::from(self.dice.roll(40)));
        let turn = self.dispatch.next(hop, now, |offer| match fit {
            0 => Fit::ParkAccount(until),
            1 => Fit::ParkHop(until),
            2 => Fit::ParkLine(until),
            3 => Fit::Stop,
            4 => Fit::Take(1),
            _ => Fit::Take(offer.recipients),
        });
        let Some(turn) = turn else { return };
        let key = (turn.line(), turn.message().number());
        assert!(
            !self.turns.iter().any(|(t, _)| (t.line(), t.message()) == (turn.line(), turn.message())),
            "under way twice"
        );
        let Some(stored) = self.store.get_mut(&key).filter(|stored| stored.due > 0) else {
            // The head was older than the truth: nothing of it waits any more.
            self.dispatch.finish(turn, 0);
            return;
        };
        let n = turn.recipients().min(stored.due);
        (stored.due, stored.under_way) = (stored.due - n, stored.under_way + n);
        self.turns.push((turn, n));
    }

    fn outcome(&mut self) {
        if self.turns.is_empty() {
            return;
        }
        let i = self.dice.roll(u32::try_from(self.turns.len()).unwrap()) as usize;
        let (turn, n) = self.turns.swap_remove(i);
        let key = (turn.line(), turn.message().number());
        let stored = self.store.get_mut(&key).unwrap();
        stored.under_way -= n;
        match if self.draining { 8 } else { self.dice.roll(8) } {
            0 => {
                stored.due += n;
                self.dispatch.put_back(turn);
            }
            1 => {
                stored.due += n;
                let id = turn.id();
                drop(turn);
                self.dispatch.lost(id);
                self.dispatch.lost(id);
            }
            _ => {
                let delivered = if self.draining { n } else { self.dice.roll(n + 1) };
                let put_off = self.dice.roll(n - delivered + 1);
                self.delivered += u64::from(delivered);
                stored.put_off += put_off;
                stored.due += n - delivered - put_off;
                let left = stored.due;
                self.dispatch.finish(turn, left);
            }
        }
        if self.store[&key].due + self.store[&key].put_off + self.store[&key].under_way == 0 {
            self.store.remove(&key);
        }
    }

    /// The store is read now; the answer comes later.
    fn read(&mut self) {
        let Some((line, most)) = self.dispatch.needs_refill() else { return };
        let mut all: Vec<(u64, Item)> = self
            .store
            .iter()
            .filter(|((l, _), stored)| *l == line && stored.due > 0)
            .map(|((_, id), stored)| (stored.order, item(*id, stored.due)))
            .collect();
        all.sort_by_key(|(order, _)| *order);
        let more = if all.len() > most { More::InStore } else { More::None };
        let items = all.into_iter().take(most).map(|(_, item)| item).collect();
        self.readings.push((line, items, more));
    }

    fn answer(&mut self) {
        if !self.readings.is_empty() {
            let i = self.dice.roll(u32::try_from(self.readings.len()).unwrap()) as usize;
            let (line, items, more) = self.readings.swap_remove(i);
            match self.dice.roll(6) {
                0 => self.dispatch.refill(line, [], More::InStore), // the reading failed
                _ => self.dispatch.refill(line, items, more),
            }
        }
    }

    fn come_due(&mut self) {
        let put_off: Vec<(Line, u64)> = self.store.iter().filter(|(_, s)| s.put_off > 0).map(|(key, _)| *key).collect();
        for key in put_off {
            let stored = self.store.get_mut(&key).unwrap();
            let n = std::mem::take(&mut stored.put_off);
            stored.due += n;
            (stored.order, self.order) = (self.order, self.order + 1);
            self.dispatch.add(key.0, item(key.1, n));
        }
    }

    fn park(&mut self) {
        let (line, until) = (self.some_line(), self.dice.pick(&[at(self.now + 20), Moment::END]));
        match self.dice.roll(7) {
            0 => self.dispatch.park_account(line.account, until),
            1 => self.dispatch.unpark_account(line.account),
            2 => self.dispatch.park_hop(line.hop, until),
            3 => self.dispatch.unpark_hop(line.hop),
            4 => self.dispatch.park_line(line, until),
            5 => self.dispatch.unpark_line(line),
            _ => self.dispatch.unpark_all(),
        }
    }

    /// Lines that had no room are found in the store.
    fn round(&mut self) {
        if self.dispatch.take_lines_in_store() {
            let lines: Vec<Line> = self.store.iter().filter(|(_, s)| s.due > 0).map(|((line, _), _)| *line).collect();
            for line in lines {
                self.dispatch.add_from_store(line);
            }
        }
    }

    fn check(&self) {
        self.dispatch.check();
        let stored: u64 = self.store.values().map(|s| u64::from(s.due + s.under_way + s.put_off)).sum();
        assert_eq!(stored + self.delivered, self.accepted, "the model itself");
        assert_eq!(self.dispatch.sizes().2, self.turns.len());
    }

    /// Opens every gate and goes on until nothing moves.
    fn drain(&mut self) {
        self.draining = true;
        self.dispatch.gate_all(GateState::Open);
        (0..4).for_each(|account| self.dispatch.gate_account(AccountId(account), GateState::Open));
        (0..3).for_each(|hop| self.dispatch.gate_hop(HopId(hop), GateState::Open));
        for _ in 0..100_000 {
            if self.accepted == self.delivered && self.turns.is_empty() && self.dispatch.sizes().0 == 0 {
                return;
            }
            self.dispatch.unpark_all();
            self.round();
            self.read();
            self.answer();
            (0..3).for_each(|_| self.turn());
            (0..3).for_each(|_| self.outcome());
            self.come_due();
        }
        panic!("stuck with {:?} in the store and {:?} here", self.store, self.dispatch.sizes());
    }
}

#[test]
fn nothing_is_lost_and_nothing_sent_twice() {
    for seed in 0..40 {
        let mut engine = Engine::new(seed);
        for step in 0..300 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.step()));
            assert!(result.is_ok(), "seed {seed} step {step}");
        }
        engine.drain();
    }
}

#[test]
fn the_order_of_a_line_is_the_stores() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    let line = line(1, Class::Bulk, 0);
    let mut sent = Vec::new();
    for id in 0..500 {
        let added = dispatch.add(line, item(id, 1));
        assert_eq!(added == Added::Kept, id < 64, "kept only while nothing is between");
    }
    for n in 0..500u64 {
        if let Some((line, most)) = dispatch.needs_refill() {
            // What comes while the store is read may not be in what was read.
            assert_eq!(dispatch.add(line, item(600 + n, 1)), Added::Overflowed);
            dispatch.refill(line, (n..500).take(most).map(|id| item(id, 1)), More::None);
        }
        let turn = dispatch.next(HopId(0), at(n), take_all).unwrap();
        sent.push(turn.message().number());
        dispatch.finish(turn, 0);
    }
    assert!(sent.is_sorted() && sent.len() == 500);
    assert!(dispatch.needs_refill().is_some(), "an addition during a reading keeps the line open");
}

#[test]
fn connections_are_wanted_as_far_as_they_have_work() {
    let mut dispatch = Dispatch::new(&DispatchSettings { hop_connections_max: 3, ..DispatchSettings::default() });
    let wanted = |dispatch: &mut Dispatch, now: u64| {
        let mut opened = HashMap::new();
        while let Some(hop) = dispatch.next_wanting(at(now)) {
            dispatch.opened(hop);
            *opened.entry(hop.0).or_insert(0) += 1;
        }
        opened
    };
    assert_eq!(wanted(&mut dispatch, 0), HashMap::new());
    dispatch.add(line(1, Class::Bulk, 7), item(1, 1));
    for id in 0..10 {
        dispatch.add(line(1, Class::Bulk, 8), item(10 + id, 1));
    }
    assert_eq!(wanted(&mut dispatch, 0), HashMap::from([(7, 1), (8, 3)]), "one for one message, the limit for ten");
    let turn = dispatch.next(HopId(7), at(0), take_all).unwrap();
    dispatch.finish(turn, 0);
    dispatch.closed(HopId(7));
    assert!(!dispatch.knows_hop(HopId(7)), "a hop without mail and connections is forgotten");
    dispatch.park_account(AccountId(1), at(50));
    dispatch.closed(HopId(8));
    assert_eq!(wanted(&mut dispatch, 10), HashMap::new(), "parked mail wants no connection");
    assert_eq!(dispatch.next_wakeup(), Some(at(50)));
    assert_eq!(wanted(&mut dispatch, 50), HashMap::from([(8, 1)]));
    dispatch.gate_all(GateState::Closed);
    assert!(!dispatch.wants_connection(HopId(8)) && dispatch.next(HopId(8), at(60), take_all).is_none());
}

#[test]
fn why_a_message_stands() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    let (own, other) = (line(1, Class::Bulk, 0), line(2, Class::Bulk, 0));
    let id = |n| QueueId::new(n).unwrap();
    dispatch.add(own, item(1, 30));
    dispatch.add(own, item(2, 5));
    dispatch.add(other, item(3, 500));
    assert_eq!(
        dispatch.standing(own, id(2)),
        Standing::Turn { ahead: 30 + 50 },
        "30 of its own, as many and a turn of others"
    );
    assert_eq!(dispatch.standing(own, id(9)), Standing::Absent);
    dispatch.park_line(own, at(9));
    assert_eq!(dispatch.standing(own, id(2)), Standing::LineParked(at(9)));
    dispatch.park_account(own.account, at(5));
    assert_eq!(dispatch.standing(own, id(2)), Standing::AccountParked(at(5)));
    dispatch.gate_account(own.account, GateState::Closed);
    assert_eq!(dispatch.standing(own, id(2)), Standing::Gated);
    let turn = dispatch.next(HopId(0), at(0), take_all).unwrap();
    assert_eq!(dispatch.standing(other, id(3)), Standing::UnderWay);
    dispatch.put_back(turn);
}

#[test]
fn parks_leave_no_timers_behind() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    dispatch.add(line(1, Class::Bulk, 0), item(1, 1));
    for n in 0..10_000 {
        dispatch.park_account(AccountId(1), at(1_000_000 - n));
    }
    assert!(dispatch.timers.len() <= 100, "{}", dispatch.timers.len());
    assert_eq!(dispatch.next_wakeup(), Some(at(990_001)));
}

#[test]
fn two_hundred_bytes_a_line() {
    // Worst averages: a hash table is between 7/16 and 7/8 full, a node of the ordered set (11 places) at least half.
    let index = (size_of::<(Line, line::LineNo)>() + 1) * 8 / 5;
    let ready = size_of::<(u64, line::LineNo)>() * 2;
    let heads = size_of::<Item>() * LINE_HEADS_SURE;
    let a_line = size_of::<Option<line::LineState>>() + index + ready + heads;
    assert!(a_line <= 200, "{a_line} bytes");
    assert!(HEADS_SPARE * size_of::<Item>() <= 256 << 10, "and a quarter of a MiB beside them");
}
