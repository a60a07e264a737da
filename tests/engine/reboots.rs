//! What was said and sent before this boot: placed by the wall clock where that may be believed, and counted until then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outguard::clock::{Clock as _, WallMs};
use outguard::store::{DeliveryState, KeepAttempts, MemoryKind, Reads as _, Store as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// An hour, and the thousandth by which windows are longer.
const WINDOW_MS: u64 = 3_603_600;

/// A next hop that calls the hour used up at its first MAIL, and never again.
fn full_once() -> Sink {
    let full = Arc::new(AtomicBool::new(true));
    Sink::scripted(move |said| match said {
        Said::Mail(_) if full.swap(false, Ordering::SeqCst) => Answer::say("555 hourly limit exceeded"),
        _ => Answer::Usual,
    })
}

/// When the slots of the egress are free again; `None` if they are.
fn full_until(bed: &Bed) -> Option<WallMs> {
    let uses = bed.engine.limit_uses();
    let egress = uses.iter().find(|limit| limit.kind == "egress" && limit.used >= limit.slots)?;
    Some(egress.next_slot.expect("a time is told"))
}

fn is_about(at: WallMs, expected_ms: u64) -> bool {
    at.0.abs_diff(expected_ms) < 5_000
}

#[test]
fn what_was_called_used_up_ends_with_its_hour_whatever_is_left_of_its_boot() {
    let sink = full_once();
    let (folder, clock) = (folder(), TestClock::new());
    let (plan, place) = (Plan::to(&[&sink]), folder.path().join("q"));
    let bed = Bed::start(&plan, &place, &clock);
    let id = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    let on_record = || bed.run(bed.store.memories(MemoryKind::UsedUp, None, 10)).unwrap().len();
    wait_for("the refusal on record", || on_record() == 1);
    let said = clock.now().wall;
    drop(bed);
    clock.advance(20 * MINUTE_MS);
    clock.reboot();
    let bed = Bed::start(&plan, &place, &clock);
    let until = full_until(&bed).expect("another boot is no other hour");
    assert!(is_about(until, said.0 + WINDOW_MS), "{until:?}, said at {said:?}");
    clock.advance(45 * MINUTE_MS);
    bed.until_empty(30);
    assert_eq!(bed.states(id), [DeliveryState::Delivered]);
    // The attempt that heard it is forgotten; what it heard is kept for longer.
    clock.advance(9 * DAY_MS);
    let keep = KeepAttempts { keep_ms: DAY_MS, earlier_boots_since: Some(clock.now().wall) };
    while bed.run(bed.store.prune(WallMs(0), keep, u64::MAX)).unwrap() {}
    assert_eq!(bed.run(bed.store.attempts(u64::MAX)).unwrap().len(), 1, "the last one alone");
    drop(bed);
    for boot in 2..4 {
        clock.reboot();
        let bed = Bed::start(&plan, &place, &clock);
        assert_eq!(full_until(&bed), None, "boot {boot}: that hour is over for days");
        let next = bed.accept("s@x.example", &recipients(&format!("boot{boot}"), 1, "a.example"));
        wait_for("it to leave", || bed.states(next) == [DeliveryState::Delivered]);
    }
}

#[test]
fn what_cannot_be_read_when_the_clock_is_set_counts_as_before_and_is_read_again() {
    let sink = full_once();
    let (folder, clock) = (folder(), TestClock::new());
    let (plan, place) = (Plan::to(&[&sink]), folder.path().join("q"));
    let bed = Bed::start(&plan, &place, &clock);
    let id = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    let on_record = || bed.run(bed.store.memories(MemoryKind::UsedUp, None, 10)).unwrap().len();
    wait_for("the refusal on record", || on_record() == 1);
    let said = clock.now().wall;
    drop(bed);
    // Twenty minutes without power, and no clock that survived them.
    clock.advance(20 * MINUTE_MS);
    clock.reboot();
    clock.synchronise(false);
    clock.step_wall(-i64::try_from(DAY_MS).unwrap());
    let bed = Bed::start(&plan, &place, &clock);
    let late = clock.now().wall.0 + WINDOW_MS;
    let until = full_until(&bed).expect("nobody knows that time has passed");
    assert!(until.0 <= late && until.0 + 1_200_000 > late, "{until:?}, at most {late}");
    let database = rusqlite::Connection::open(place.join("queue.db")).unwrap();
    database.execute_batch("ALTER TABLE memory RENAME TO memory_elsewhere").unwrap();
    clock.step_wall(i64::try_from(DAY_MS).unwrap());
    clock.synchronise(true);
    std::thread::sleep(Duration::from_secs(5)); // it is asked for every two
    assert!(full_until(&bed).is_some(), "what was said is not forgotten because it cannot be read");
    assert_eq!(bed.states(id), [DeliveryState::Waiting]);
    database.execute_batch("ALTER TABLE memory_elsewhere RENAME TO memory").unwrap();
    wait_for("it to be placed", || full_until(&bed).is_some_and(|until| is_about(until, said.0 + WINDOW_MS)));
    clock.advance(41 * MINUTE_MS);
    bed.until_empty(30);
    assert_eq!(bed.states(id), [DeliveryState::Delivered]);
}
