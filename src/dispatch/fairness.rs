//! What is fair, asked of dispatch against plain sums; and what memory it takes. `model.rs` asks what is never lost.

use std::collections::HashMap;

use super::refill::{HEADS_SPARE, LINE_HEADS_SURE};
use super::*;
use crate::clock::BootMs;
use crate::limits::Moment;
use crate::mail::QueueId;

/// Numbers from a seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % u64::from(below)).unwrap()
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(u32::try_from(from.len()).unwrap()) as usize]
    }
}

pub(super) fn at(ms: u64) -> Moment {
    Moment::of_boot(BootMs(ms))
}

pub(super) fn line(account: u32, class: Class, hop: u32) -> Line {
    Line { account: AccountId(account), class, hop: HopId(hop) }
}

pub(super) fn item(id: u64, recipients: u32) -> Item {
    Item { id: QueueId::new(id).unwrap(), recipients }
}

pub(super) fn take_all(offer: &Offer) -> Fit {
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
fn an_idle_hop_used_is_no_debt_elsewhere() {
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    let (busy, idle, other) = (line(1, Class::Bulk, 0), line(1, Class::Bulk, 9), line(2, Class::Bulk, 0));
    dispatch.add(other, item(1, 1_000_000));
    dispatch.add(idle, item(2, 1_000_000));
    for n in 0..500 {
        let turn = dispatch.next(HopId(9), at(n), take_all).unwrap();
        let left = turn.left();
        dispatch.finish(turn, left);
    }
    dispatch.add(busy, item(3, 1_000_000));
    let served = serve(&mut dispatch, 20, |_, _, _| {});
    let turns = served.iter().filter(|(line, _)| *line == busy).count();
    assert!((8..=10).contains(&turns), "{turns} of 20 turns");
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
    dispatch.closed(HopId(8));
    dispatch.park_hop(HopId(8), at(70));
    assert_eq!(wanted(&mut dispatch, 69), HashMap::new(), "a parked hop wants none");
    assert_eq!(wanted(&mut dispatch, 70), HashMap::from([(8, 1)]), "until its time has come");
    dispatch.gate_all(GateState::Closed);
    assert!(!dispatch.wants_connection(HopId(8)) && dispatch.next(HopId(8), at(80), take_all).is_none());
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
fn of_very_many_lines_the_first_tell_what_goes_before() {
    for lines in [10, 999, 1_000, 5_000] {
        let mut dispatch = Dispatch::new(&DispatchSettings::default());
        for account in 0..lines {
            dispatch.add(line(account, Class::Bulk, 0), item(account.into(), 3));
        }
        let last = lines - 1;
        let standing = dispatch.standing(line(last, Class::Bulk, 0), QueueId::new(last.into()).unwrap());
        let Standing::Turn { ahead } = standing else { panic!("{standing:?}") };
        assert!(ahead.abs_diff(u64::from(last) * 3) <= 3, "{ahead} before the last of {lines}");
    }
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
