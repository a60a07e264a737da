//! What a lease costs: nanoseconds a check and bytes a key, beside governor.
//!
//! `cargo bench --bench limits`; a number after `--` is the count of keys (a million if none is given).

#![expect(clippy::print_stdout, reason = "a bench's report goes to standard output")]

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Instant;

use governor::{Quota, RateLimiter};
use outguard::clock::BootMs;
use outguard::limits::{Charged, LimitSettings, Limits, Moment, Rate, RecordId, RuleBook, Spent};

fn main() {
    let keys: u64 = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    println!("{keys} keys; each check is a lease and its end, under account 200/h and no other rule");
    first_mail_of_each(keys);
    hot_keys();
    governor(keys);
}

/// Nanoseconds that each of `n` runs takes.
#[expect(clippy::disallowed_methods, reason = "a bench measures the clock that people wait on")]
fn nanoseconds_each(n: u64, mut run: impl FnMut(u64)) -> u64 {
    let start = Instant::now();
    (0..n).for_each(&mut run);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX) / n
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

fn limits_of_accounts() -> Limits {
    let settings = LimitSettings { account: vec![Rate::default()], egress: Vec::new(), ..LimitSettings::default() };
    Limits::new(RuleBook::new(&settings).expect("the default has no margin"))
}

fn check(limits: &mut Limits, account: &str, ms: u64) -> bool {
    let to = Charged { account, egress: "192.0.2.1", login: None, route: "mx" };
    let now = Moment::of_boot(BootMs(ms));
    match limits.lease(to, NonZeroU32::MIN, now) {
        Ok(leased) => {
            let counted = limits.used(leased.granted, Spent { content: 1, refused: 0 }, RecordId(ms), now);
            limits.recorded(RecordId(ms));
            counted.recipients == 1
        }
        Err(_) => false,
    }
}

fn name(n: u64) -> String {
    format!("user{n:08}@shop.example")
}

fn first_mail_of_each(keys: u64) {
    let names: Vec<String> = (0..keys).map(name).collect();
    let before = resident_bytes();
    let mut limits = limits_of_accounts();
    let first = nanoseconds_each(keys, |n| assert!(check(&mut limits, &names[at(n)], n / 1_000)));
    let bytes = (resident_bytes() - before) / keys;
    println!("  first mail of each key       {first:>6} ns/check  {bytes:>5} bytes/key, its name of 21 bytes included");

    // A stride that is prime to the count visits all, and none beside the one before.
    let spread =
        nanoseconds_each(keys, |n| assert!(check(&mut limits, &names[at(n * 7_919 % keys)], 1_000 + n / 1_000)));
    println!("  second mail, in random order {spread:>6} ns/check");

    let later = 2 * 3_600_000;
    let sweep = nanoseconds_each(keys / 10_000 + 2, |_| {
        limits.sweep(10_000, Moment::of_boot(BootMs(later)));
    });
    println!("  sweep of 10,000 idle keys    {sweep:>6} ns, {} keys left", limits.keys_len());
}

fn hot_keys() {
    let names: Vec<String> = (0..1_000).map(name).collect();
    let mut limits = limits_of_accounts();
    let mut granted = 0u64;
    let hot =
        nanoseconds_each(2_000_000, |n| granted += u64::from(check(&mut limits, &names[at(n % 1_000)], n / 1_000)));
    println!("  1,000 keys, mostly full      {hot:>6} ns/check, {granted} granted of 2,000,000 (200 each)");
}

fn governor(keys: u64) {
    let names: Vec<String> = (0..keys).map(name).collect();
    let before = resident_bytes();
    let quota = Quota::per_hour(NonZeroU32::new(200).expect("not zero"));
    let limiter = RateLimiter::keyed(quota);
    let first = nanoseconds_each(keys, |n| assert!(limiter.check_key(&names[at(n)].clone()).is_ok()));
    let bytes = (resident_bytes() - before) / keys;
    println!("  governor, first of each key  {first:>6} ns/check  {bytes:>5} bytes/key, though inexact: see below");

    let clock = governor::clock::FakeRelativeClock::default();
    let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
    let mut sent: Vec<u64> = Vec::new();
    for second in 0..7_200 {
        while limiter.check().is_ok() {
            sent.push(second);
        }
        clock.advance(std::time::Duration::from_secs(1));
    }
    let mut by_second: HashMap<u64, usize> = HashMap::new();
    for second in sent {
        *by_second.entry(second).or_default() += 1;
    }
    let worst = (0..3_600).map(|from| (from..from + 3_600).filter_map(|s| by_second.get(&s)).sum::<usize>()).max();
    println!("  governor at 200/h lets {} pass in the worst hour; a ring lets 200", worst.unwrap_or(0));
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
