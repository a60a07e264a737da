//! Random accounts, messages, refusals, cuts, kills, reboots, reloads, panics, gates and steps of the wall clock: at the end every accepted recipient has exactly one end, second
//! copies stand only where an attempt was unknown, and no window of an account or egress holds more than its limit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind};

use crate::bed::{Bed, Plan, TestClock};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Arrival, Said, Sink};

const ACCOUNT_SLOTS: usize = 6;
const EGRESS_SLOTS: usize = 15;
const WINDOW_MS: u64 = 10_000;

/// What the storm rolls; which thread rolls first is the machine's, so a seed narrows a run down but does not repeat it.
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut x = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % sides
    }
}

/// What next hops saw, by the test's clock.
#[derive(Default)]
struct Seen {
    /// For each time that content was complete: when, from whom, for whom.
    contents: Vec<(u64, String, Vec<String>)>,
    /// Recipients for whom an attempt may have ended unknown, and how often.
    unknown: HashMap<String, usize>,
    /// Recipients answered 5xx.
    refused: HashSet<String>,
}

/// A next hop that misbehaves as long as there is trouble left.
fn stormy(clock: &Arc<TestClock>, dice: &Arc<Dice>, trouble: &Arc<AtomicU32>, seen: &Arc<Mutex<Seen>>) -> Sink {
    let (clock, dice, trouble, seen) = (clock.clone(), dice.clone(), trouble.clone(), seen.clone());
    let strikes = move |one_in| {
        dice.roll(one_in) == 0 && trouble.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
    };
    let answer_dice = AtomicU32::new(0);
    Sink::scripted(move |said| {
        let which = answer_dice.fetch_add(1, Ordering::SeqCst);
        match said {
            Said::Connect if strikes(6) => {
                [Answer::Close, Answer::say("421 4.3.2 not now")][which as usize % 2].clone()
            }
            Said::Mail(_) if strikes(15) => Answer::say("451 4.3.0 later"),
            Said::Rcpt(_) if strikes(12) => Answer::say("450 4.2.1 later"),
            Said::Rcpt(to) if !to.starts_with("sender") && strikes(15) => {
                seen.lock().unwrap().refused.insert(to.to_owned());
                Answer::say("550 5.1.1 nobody")
            }
            Said::Data if strikes(20) => Answer::CloseInContent(1),
            Said::Content(from, to) => {
                let at = clock.passed_ms();
                let mut seen = seen.lock().unwrap();
                seen.contents.push((at, from.to_owned(), to.to_vec()));
                if strikes(12) {
                    for to in to {
                        *seen.unknown.entry(to.clone()).or_default() += 1;
                    }
                    return Answer::Close;
                }
                if strikes(12) {
                    return Answer::say("452 4.3.1 later");
                }
                Answer::Usual
            }
            _ => Answer::Usual,
        }
    })
}

#[test]
fn every_recipient_has_one_end_and_no_window_holds_more() {
    let rolled = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    println!("seed {rolled}");
    let dice = Arc::new(Dice(AtomicU64::new(rolled)));
    let clock = TestClock::new();
    let (trouble, seen) = (Arc::new(AtomicU32::new(60)), Arc::new(Mutex::new(Seen::default())));
    let sinks = [stormy(&clock, &dice, &trouble, &seen), stormy(&clock, &dice, &trouble, &seen)];
    let plan = Plan {
        account: "6/10s",
        egress: "15/10s",
        egresses: vec![IpAddr::from(own_address()), IpAddr::from(own_address())],
        next_hops: sinks.iter().map(Sink::address).collect(),
        adjust: |_| {},
    };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("q");
    let mut bed = Bed::start(&plan, &place, &clock);

    let mut accepted: BTreeMap<QueueId, Vec<String>> = BTreeMap::new();
    // A wall clock that was stepped and is called right is believed by the next boot: that is outside the promise.
    let steps_the_clock = dice.roll(2) == 0;
    let (mut kills, mut panics) = (0, 0);
    for message in 0..30 {
        let from = format!("sender{}@x.example", dice.roll(4));
        let count = [1, 1, 2, 3, 8, 25][usize::try_from(dice.roll(6)).unwrap()];
        let to: Vec<String> = (0..count)
            .map(|n| format!("m{message}-{n}@{}.example", ["a", "b"][usize::try_from(dice.roll(2)).unwrap()]))
            .collect();
        let id = bed.accept(&from, &to);
        accepted.insert(id, to);
        std::thread::sleep(std::time::Duration::from_millis(dice.roll(40)));
        clock.advance(dice.roll(1_500));
        bed.poke();
        match dice.roll(16) {
            0 | 1 => {
                // What was under way is unknown: its content may have arrived, or arrive yet.
                drop(bed);
                let cut_off: Vec<_> = sinks.iter().map(Sink::live).collect();
                kills += 1;
                if !steps_the_clock && dice.roll(2) == 0 {
                    clock.reboot();
                }
                bed = Bed::start(&plan, &place, &clock);
                // Networks do not keep for longer what was sent, and its slots are kept for twenty seconds of the clock.
                wait_for("what was sent before to be read", || {
                    sinks.iter().zip(&cut_off).all(|(sink, cut_off)| sink.live().is_disjoint(cut_off))
                });
            }
            2 | 3 => bed.reload(&plan),
            4 => {
                bed.panics.fetch_add(1, Ordering::SeqCst);
                panics += 1;
            }
            5 => {
                bed.close(GateKind::All, "");
                clock.advance(dice.roll(3_000));
                bed.open(GateKind::All, "");
            }
            6 if steps_the_clock => clock.step_wall(i64::try_from(dice.roll(600_000)).unwrap() - 300_000),
            _ => {}
        }
    }
    bed.until_empty(4_000); // what was put off before the clock was stepped back waits for its time to come again
    println!("killed {kills} times, {panics} panics; {} contents", seen.lock().unwrap().contents.len());
    one_end_each(&bed, &accepted, &sinks, &seen.lock().unwrap(), kills + panics);
    windows_hold(&seen.lock().unwrap(), &sinks);
}

fn one_end_each(bed: &Bed, accepted: &BTreeMap<QueueId, Vec<String>>, sinks: &[Sink], seen: &Seen, kills: usize) {
    let arrivals: Vec<_> = sinks.iter().flat_map(Sink::accepted).collect();
    let reports: Vec<String> = arrivals.iter().filter(|a| a.mail_from.is_empty()).map(Arrival::text).collect();
    let mut copies: HashMap<&str, usize> = HashMap::new();
    for to in arrivals.iter().flat_map(|arrival| &arrival.recipients) {
        *copies.entry(to).or_default() += 1;
    }
    for (id, recipients) in accepted {
        for (state, to) in bed.states(*id).into_iter().zip(recipients) {
            let copies = copies.get(to.as_str()).copied().unwrap_or(0);
            let unknown = seen.unknown.get(to).copied().unwrap_or(0) + kills;
            match state {
                DeliveryState::Delivered => {
                    assert!(copies >= 1, "{to} counts as delivered and never arrived");
                    assert!(copies <= 1 + unknown, "{to} arrived {copies} times, with {unknown} unknown ends");
                }
                DeliveryState::Bounced => {
                    assert!(seen.refused.contains(to), "{to} bounced, and was never refused");
                    let told = reports.iter().any(|text| text.contains(&format!("Final-Recipient: rfc822; {to}\r\n")));
                    assert!(told, "{to} bounced and nobody was told");
                }
                other => panic!("{to} ended as {other:?}"),
            }
        }
    }
}

/// Brute force: of any N + 1 recipients in a row, first and last are at least a window apart.
fn windows_hold(seen: &Seen, sinks: &[Sink]) {
    let mut keys: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (at, from, to) in &seen.contents {
        keys.entry(format!("account {from}")).or_default().extend(to.iter().map(|_| *at));
    }
    // The sink knows the egress of each content but not the test's time: a recipient's contents come one after the other,
    // so the n-th here is the n-th there.
    let mut times: HashMap<&str, Vec<u64>> = HashMap::new();
    for (at, _, to) in &seen.contents {
        for to in to {
            times.entry(to).or_default().push(*at);
        }
    }
    let mut nth: HashMap<String, usize> = HashMap::new();
    for arrival in sinks.iter().flat_map(Sink::arrivals) {
        for to in &arrival.recipients {
            let n = nth.entry(to.clone()).or_default();
            keys.entry(format!("egress {}", arrival.egress)).or_default().push(times[to.as_str()][*n]);
            *n += 1;
        }
    }
    for (key, mut at) in keys {
        at.sort_unstable();
        let slots = if key.starts_with("egress") { EGRESS_SLOTS } else { ACCOUNT_SLOTS };
        for window in at.windows(slots + 1) {
            let (first, last) = (window[0], window[slots]);
            assert!(last - first >= WINDOW_MS, "{key}: {} recipients within {} ms", slots + 1, last - first);
        }
    }
}
