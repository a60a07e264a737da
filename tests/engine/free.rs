//! What fits leaves: whenever the engine has come to rest, no mail that is free to leave waits where its account and an egress
//! have room, by a count of its own. Refusals, pauses, gates, reloads and the clock come between.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use outguard::clock::Clock as _;
use outguard::limits::FairReserve;
use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, Written, folder};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

/// An hour, and the thousandth by which windows are longer.
const WINDOW_MS: u64 = 3_603_600;
/// How long an egress that was refused, or a server that closed its door, is left alone at most.
const LEFT_ALONE_MS: u64 = 5 * 60_000 + 1_000;
const ACCOUNTS: u64 = 3;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % sides
    }
}

/// The limits of now, in slots an hour.
#[derive(Debug, Clone, Copy)]
struct Slots {
    account: usize,
    egress: usize,
}

/// The two sets of limits that reloads go to and fro between.
const LIMITS: [(Slots, &str, &str); 2] =
    [(Slots { account: 9, egress: 16 }, "9/h", "16/h"), (Slots { account: 14, egress: 11 }, "14/h", "11/h")];

/// A next hop that refuses as the names of recipients say, each once.
struct NextHop {
    sink: Sink,
    /// A refusal since it was last looked at.
    refused: Arc<AtomicBool>,
    /// No later than that time the engine heard of the last one.
    left_alone_since: Cell<Option<u64>>,
}

impl NextHop {
    fn start() -> Self {
        let (known, refused): (Mutex<HashSet<String>>, Arc<AtomicBool>) = Default::default();
        let is_refused = Arc::clone(&refused);
        let sink = Sink::scripted(move |said| match said {
            Said::Rcpt(to) if !to.starts_with("good") && known.lock().unwrap().insert(to.to_owned()) => {
                let refusal = match to.split('-').next() {
                    Some("banned") => "550 5.7.606 Access denied, banned sending IP",
                    Some("many") => "452 4.5.3 too many",
                    _ => return Answer::say("450 4.2.1 later"),
                };
                is_refused.store(true, Ordering::SeqCst);
                Answer::say(refusal)
            }
            Said::Content(_, to)
                if to[0].starts_with("full") && known.lock().unwrap().insert(format!("c {}", to[0])) =>
            {
                Answer::say("451 4.3.0 later")
            }
            _ => Answer::Usual,
        });
        Self { sink, refused, left_alone_since: Cell::new(None) }
    }

    /// Nothing is under way.
    fn at_rest(&self, now_ms: u64) {
        if self.refused.swap(false, Ordering::SeqCst) {
            self.left_alone_since.set(Some(now_ms));
        }
    }

    fn is_left_alone(&self, now_ms: u64) -> bool {
        self.left_alone_since.get().is_some_and(|since| now_ms < since + LEFT_ALONE_MS)
    }
}

/// What left, and when it had surely ended: counted with nothing of outguard's.
#[derive(Default)]
struct Book {
    /// So many of each next hop's arrivals are in it.
    read: [usize; 2],
    used: Vec<(u64, String, IpAddr, usize)>,
}

impl Book {
    /// Nothing is under way, so what arrived has ended.
    fn read(&mut self, hops: &[NextHop; 2], now_ms: u64) {
        for (read, hop) in self.read.iter_mut().zip(hops) {
            let arrivals = hop.sink.arrivals();
            let new = arrivals[*read..].iter();
            self.used.extend(new.map(|a| (now_ms, a.mail_from.clone(), a.egress, a.recipients.len())));
            *read = arrivals.len();
        }
    }

    fn taken(&self, now_ms: u64, is: impl Fn(&str, IpAddr) -> bool) -> usize {
        let taken =
            self.used.iter().filter(|(ended, account, egress, _)| now_ms < ended + WINDOW_MS && is(account, *egress));
        taken.map(|(.., recipients)| recipients).sum()
    }

    fn fits(&self, account: &str, egresses: &[IpAddr], slots: Slots, now_ms: u64) -> bool {
        let by = |egress: &IpAddr| self.taken(now_ms, |_, other| other == *egress) < slots.egress;
        self.taken(now_ms, |other, _| other == account) < slots.account && egresses.iter().any(by)
    }
}

fn fair_to_all(written: &mut Written) {
    written.limits.fair_reserve = FairReserve::Off;
}

#[test]
fn whatever_came_between_none_waits_that_fits() {
    for seed in 1..=4 {
        let mut dice = Dice(seed);
        let clock = TestClock::new();
        let hops = [NextHop::start(), NextHop::start()];
        let egresses: Vec<IpAddr> = vec![own_address().into(), own_address().into()];
        let plan = |which: usize| Plan {
            account: LIMITS[which].1,
            egress: LIMITS[which].2,
            egresses: egresses.clone(),
            adjust: fair_to_all,
            ..Plan::to(&[&hops[0].sink, &hops[1].sink])
        };
        let folder = folder();
        let (mut bed, mut limits) = (Bed::start(&plan(0), &folder.path().join("q"), &clock), 0);
        let (mut book, mut waiting): (Book, HashMap<QueueId, String>) = Default::default();
        let mut closed: HashSet<IpAddr> = HashSet::new();
        for step in 0..40 {
            for message in 0..dice.roll(4) {
                let account = format!("s{}@x.example", dice.roll(ACCOUNTS));
                let kind =
                    ["good", "good", "good", "later", "many", "full", "banned"][usize::try_from(dice.roll(7)).unwrap()];
                let domain = ["a", "b"][usize::try_from(dice.roll(2)).unwrap()];
                let to: Vec<String> = (0..=dice.roll(6))
                    .map(|n| format!("{}-{step}-{message}-{n}@{domain}.example", if n == 0 { kind } else { "good" }))
                    .collect();
                waiting.insert(bed.accept(&account, &to), account);
            }
            match dice.roll(12) {
                0 => {
                    limits = 1 - limits;
                    bed.reload(&plan(limits));
                }
                1 => {
                    // What is cut off counts as used, whatever arrived.
                    bed.close(GateKind::All, "");
                    wait_for("what is under way", || !is_any_under_way(&bed, &waiting));
                    drop(bed);
                    bed = Bed::start(&plan(limits), &folder.path().join("q"), &clock);
                    bed.open(GateKind::All, "");
                }
                2 | 3 => {
                    let egress = egresses[usize::try_from(dice.roll(2)).unwrap()];
                    if closed.remove(&egress) {
                        bed.open(GateKind::Egress, &egress.to_string());
                    } else {
                        closed.insert(egress);
                        bed.close(GateKind::Egress, &egress.to_string());
                    }
                }
                _ => clock
                    .advance([0, 1_000, 30_000, 301_000, 1_200_000, 3_000_000][usize::try_from(dice.roll(6)).unwrap()]),
            }
            bed.poke();
            let open: Vec<IpAddr> = egresses.iter().copied().filter(|egress| !closed.contains(egress)).collect();
            let mut stuck = Vec::new();
            let place = format!("seed {seed} step {step}");
            wait_until(&place, &mut stuck, |stuck| {
                stuck.clear();
                if is_any_under_way(&bed, &waiting) {
                    return false;
                }
                let (now, now_ms) = (clock.now().wall, clock.passed_ms());
                book.read(&hops, now_ms);
                for hop in &hops {
                    hop.at_rest(now_ms);
                }
                waiting.retain(|id, account| {
                    let deliveries = bed.run(bed.store.message(*id)).unwrap().unwrap().1;
                    let mut waits = deliveries.iter().filter(|one| one.state == DeliveryState::Waiting).peekable();
                    let is_left = waits.peek().is_some();
                    for delivery in waits {
                        let hop = &hops[usize::from(delivery.recipient.address.as_str().ends_with("@b.example"))];
                        if delivery.due <= now
                            && !hop.is_left_alone(now_ms)
                            && book.fits(account, &open, LIMITS[limits].0, now_ms)
                        {
                            stuck.push(format!("{account} to {}: {:?}", delivery.recipient.address, bed.why(*id)));
                        }
                    }
                    is_left
                });
                stuck.is_empty()
            });
        }
    }
}

fn is_any_under_way(bed: &Bed, waiting: &HashMap<QueueId, String>) -> bool {
    waiting.keys().any(|id| bed.states(*id).contains(&DeliveryState::UnderWay))
}

/// Patience, with what is the matter told where it is in vain.
fn wait_until(place: &str, stuck: &mut Vec<String>, mut is_so: impl FnMut(&mut Vec<String>) -> bool) {
    let began = std::time::Instant::now();
    while !is_so(stuck) {
        assert!(began.elapsed() < crate::rig::PATIENCE, "{place}: these fit and wait: {stuck:#?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
