//! Dispatch with a million lines: memory of a line, time of a turn. `cargo bench --bench dispatch`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and tells its numbers")]

use std::hint::black_box;
use std::time::Instant;

use outguard::clock::BootMs;
use outguard::dispatch::{AccountId, Class, Dispatch, DispatchSettings, Fit, HopId, Item, Line};
use outguard::limits::Moment;
use outguard::mail::QueueId;

const LINES: u32 = 1_000_000;
const HOPS: u32 = 1_000;
const TURNS: u32 = 1_000_000;

fn main() {
    let now = Moment::of_boot(BootMs(1));
    let mut dispatch = Dispatch::new(&DispatchSettings::default());
    let before = resident_bytes();
    let start = Instant::now();
    for n in 0..LINES {
        let id = QueueId::new(u64::from(n) + 1).expect("small numbers are queue ids");
        // Accounts of ten lines each, every line to another hop.
        let line = Line { account: AccountId(n / 10), class: Class::Transactional, hop: HopId((n * 7) % HOPS) };
        let _ = black_box(dispatch.add(line, Item { id, recipients: 1 }));
    }
    let passed = start.elapsed();
    let lines = dispatch.sizes().0;
    println!("{lines} lines, {HOPS} hops: added in {passed:.2?}");
    println!("{} bytes a line, its share of account and hop included", (resident_bytes() - before) / lines as u64);

    let start = Instant::now();
    let mut taken = 0u32;
    for n in 0..TURNS {
        if let Some(turn) = dispatch.next(HopId(n % HOPS), now, |offer| Fit::Take(offer.recipients)) {
            taken += 1;
            // One recipient is left, so that the line stays.
            dispatch.finish(black_box(turn), 1);
        }
    }
    println!("{} ns a turn, taken and finished, over {taken}", start.elapsed().as_nanos() / u128::from(taken.max(1)));
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second number is the resident pages") * 4096
}
