//! Nothing is lost and nothing is under way twice, whatever comes in which order: dispatch against a plain store.
//!
//! Accepts, turns, outcomes of every kind, readings of the store that answer late or fail, mail put off and due again,
//! parks, gates, sweeps and too few places for lines; after each step the parts of dispatch agree, and at the end all is
//! delivered.
//!
//! Changes that made these tests or those of fairness fail: no start tags; credit or debt for time away; a turn counted as
//! one recipient; weights, virtual time or the share of bulk left out; a late reading of the store believed; messages that
//! had no room, or came due while under way, forgotten; a line to be read believed to be there; a message under way given a second time; one added before what
//! waits in the store; parked lines left ready; hops that stay parked; lines without room forgotten; no refill
//! after a park.

use std::collections::{BTreeMap, HashMap};

use super::fairness::{Dice, at, item, line};
use super::*;
use crate::limits::Moment;
use crate::mail::QueueId;

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
            let low = state.heads.len() * 4 <= self.heads_max();
            let free = state.parked_until == Moment::BEGINNING && account.may_go();
            assert!(!(low && free && state.store == super::line::InStore::More), "{line:?} was to be refilled");
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
            22 if self.dice.roll(4) == 0 => self.forget(),
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
            self.dispatch.annul(turn);
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
                // The engine knows of its turn alone, not of what came due meanwhile.
                let left = stored.due.min(turn.left() + n - delivered - put_off);
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

    /// All that waits is forgotten and read again, as when routes change; what is being read is answered before.
    fn forget(&mut self) {
        for hop in 0..3 {
            if self.dice.roll(2) == 0 {
                self.dispatch.take_hop(HopId(hop));
                self.dispatch.check();
            }
        }
        self.dispatch.take_all();
        self.dispatch.check();
        self.read(); // of what was to be read, nothing is left
        while !self.readings.is_empty() {
            self.answer();
        }
        let lines: Vec<Line> = self.store.iter().filter(|(_, s)| s.due > 0).map(|((line, _), _)| *line).collect();
        for line in lines {
            self.dispatch.add_from_store(line);
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

/// Each hop once cost a look at every line: what is forgotten here in a moment took an hour, under the lock of all decisions.
#[test]
fn a_hundred_thousand_hops_are_forgotten_in_one_go() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    for hop in 0..100_000 {
        dispatch.add(line(1, Class::Bulk, hop), item(u64::from(hop), 1));
    }
    dispatch.take_all();
    assert_eq!(dispatch.sizes(), (0, 0, 0));
    dispatch.check();
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
