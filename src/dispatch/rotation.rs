//! Equals take turns in strict rotation, asked of dispatch while the store is read slowly and turns come to nothing.

use std::collections::{HashSet, VecDeque};

use super::fairness::{Dice, at, item, line, take_all};
use super::*;

/// Equal weights, one recipient a message, and all have mail: nobody has a further turn before each has had as many. One
/// connection, which takes its next turn while the last is under way, and gives it back where that breaks.
#[test]
fn equals_take_turns_in_strict_rotation() {
    const EACH: u64 = 150; // more than a line's heads: the rest comes from the store
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let mut dispatch = Dispatch::new(&DispatchSettings::default());
        let accounts = 2 + dice.roll(12);
        let id = |account: u32, n: u64| u64::from(account) * 1_000 + n;
        // One hands in all it has before the others, or all do a few at a time.
        let piece = dice.pick(&[1, 7, EACH]);
        for from in (0..EACH).step_by(usize::try_from(piece).unwrap()) {
            for account in 0..accounts {
                for n in from..EACH.min(from + piece) {
                    dispatch.add(line(account, Class::Transactional, 0), item(id(account, n), 1));
                }
            }
        }
        let mut sent: Vec<u32> = Vec::new();
        let mut under_way: VecDeque<Turn> = VecDeque::new();
        let mut now = 0;
        let mut refills: VecDeque<(u64, Line, Vec<Item>, More)> = VecDeque::new();
        let had = |sent: &[u32], account: AccountId| sent.iter().filter(|sender| **sender == account.0).count() as u64;
        while sent.len() < (accounts * u32::try_from(EACH).unwrap()) as usize {
            now += 1;
            assert!(now < 100_000, "seed {seed}: stuck after {} turns", sent.len());
            // The store takes its time to be read, and tells of messages that have left meanwhile.
            while let Some((line, most)) = dispatch.needs_refill() {
                let had = had(&sent, line.account);
                let items: Vec<Item> = (had..EACH).take(most).map(|n| item(id(line.account.0, n), 1)).collect();
                let more = if had + (most as u64) < EACH { More::InStore } else { More::None };
                refills.push_back((now + u64::from(dice.roll(8)), line, items, more));
            }
            while let Some((_, line, items, more)) = refills.pop_front_if(|(at, ..)| *at <= now) {
                dispatch.refill(line, items, more);
            }
            match dice.roll(12) {
                0 => dispatch.park_hop(HopId(0), at(now + 3)), // the egress is full, and all wait for it
                1 if under_way.len() == 2 => dispatch.put_back(under_way.pop_back().unwrap()),
                2 => dispatch.unpark_all(),
                _ => {}
            }
            if under_way.len() < 2
                && let Some(turn) = dispatch.next(HopId(0), at(now), take_all)
            {
                let account = turn.line().account;
                if turn.message().number() < id(account.0, had(&sent, account)) {
                    dispatch.annul(turn);
                } else {
                    under_way.push_back(turn);
                }
            }
            if dice.roll(2) == 0
                && let Some(turn) = under_way.pop_front()
            {
                sent.push(turn.line().account.0);
                dispatch.finish(turn, 0);
            }
        }
        let first: Vec<u32> = sent[..accounts as usize].to_vec();
        for (number, round) in sent.chunks(accounts as usize).enumerate() {
            assert_eq!(round, first, "seed {seed}: round {number}");
        }
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), accounts as usize, "seed {seed}: {first:?}");
    }
}
