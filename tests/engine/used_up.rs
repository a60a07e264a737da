//! What a next hop calls used up is so: for its hour, after a restart, and after a reboot by the wall clock where that may be
//! believed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outguard::clock::{Clock as _, WallMs};
use outguard::event::Event;
use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind, KeepAttempts, MemoryKind, Reads as _, Store as _};
use tempfile::TempDir;

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::loopback::own_address;
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

/// It said so to one message, which is on record; then outguard was stopped.
struct Heard {
    sink: Sink,
    plan: Plan,
    clock: Arc<TestClock>,
    id: QueueId,
    said: WallMs,
    /// Where the store is, as long as its folder is there.
    place: PathBuf,
    _folder: TempDir,
}

impl Heard {
    fn and_stopped() -> Self {
        let sink = full_once();
        let (folder, clock) = (folder(), TestClock::new());
        let (plan, place) = (Plan::to(&[&sink]), folder.path().join("q"));
        let bed = Bed::start(&plan, &place, &clock);
        let id = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
        let on_record = || bed.run(bed.store.memories(MemoryKind::UsedUp, None, 10)).unwrap().len();
        wait_for("the refusal on record", || on_record() == 1);
        let said = clock.now().wall;
        drop(bed);
        Self { sink, plan, clock, id, said, place, _folder: folder }
    }

    fn start_again(&self) -> Bed {
        Bed::start(&self.plan, &self.place, &self.clock)
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.place.join("queue.db")).unwrap()
    }

    /// Whether that is an hour after it was said.
    fn is_its_hour(&self, until: WallMs) -> bool {
        until.0.abs_diff(self.said.0 + WINDOW_MS) < 5_000
    }
}

/// When the slots of the egress are free again; `None` if they are.
fn full_until(bed: &Bed) -> Option<WallMs> {
    let uses = bed.engine.limit_uses();
    let egress = uses.iter().find(|limit| limit.kind == "egress" && limit.used >= limit.slots)?;
    Some(egress.next_slot.expect("a time is told"))
}

#[test]
fn an_egress_that_the_next_hop_calls_used_up_has_no_slots_for_an_hour() {
    let egresses = vec![IpAddr::from(own_address()), IpAddr::from(own_address())];
    let sink = full_once();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        egresses: egresses.clone(),
        adjust: |written| written.delivery.routes[0].concurrency = 1,
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let first = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    wait_for("the refusal", || bed.run(bed.store.message(first)).unwrap().unwrap().1[0].attempts == 1);
    let uses = bed.engine.limit_uses();
    let filled = uses.iter().find(|limit| limit.used > 0).expect("the slots of one egress are used up");
    assert_eq!((filled.kind.as_str(), filled.used, filled.slots), ("egress", 1_000, 1_000));
    let said = clock.now();
    assert!(filled.next_slot.is_some_and(|at| at.0 >= said.wall.0 + 59 * MINUTE_MS));
    let closed: IpAddr = filled.key.parse().unwrap();
    // The other one goes on meanwhile.
    for n in 0..13 {
        clock.advance(4 * MINUTE_MS);
        bed.accept("s@x.example", &recipients(&format!("n{n}"), 1, "a.example"));
        bed.until_empty(30);
    }
    assert!(clock.now().boot.0 < said.boot.0 + 60 * MINUTE_MS, "the hour is not over yet");
    assert!(sink.accepted().len() == 14 && sink.accepted().iter().all(|arrival| arrival.egress != closed));
    bed.close(GateKind::Egress, &egresses.iter().find(|e| **e != closed).unwrap().to_string());
    let last = bed.accept("s@x.example", &recipients("last", 1, "a.example"));
    wait_for("it to say why it waits", || bed.why(last)[0].contains("waits for a slot: the limit egress 1000/h"));
    clock.advance(12 * MINUTE_MS);
    bed.until_empty(30);
    assert_eq!(sink.accepted().last().unwrap().egress, closed);
    let told = bed.events().iter().filter(|event| matches!(event, Event::NextHopTrouble { .. })).count();
    assert_eq!(told, 1);
}

#[test]
fn it_is_so_after_a_restart() {
    let heard = Heard::and_stopped();
    let mails = || heard.sink.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    heard.clock.advance(20 * MINUTE_MS);
    let bed = heard.start_again();
    wait_for("it to say why it waits", || bed.why(heard.id)[0].contains("the limit egress 1000/h"));
    let next = full_until(&bed).expect("its slots are used up");
    assert!(heard.is_its_hour(next), "{next:?}, said at {:?}", heard.said);
    assert_eq!(mails(), 1, "nothing was tried meanwhile");
    heard.clock.advance(next.0 - heard.clock.now().wall.0);
    bed.until_empty(30);
    assert_eq!((bed.states(heard.id), mails()), (vec![DeliveryState::Delivered], 2));
}

#[test]
fn it_ends_with_its_hour_whatever_is_left_of_its_boot() {
    let heard = Heard::and_stopped();
    let clock = &heard.clock;
    clock.advance(20 * MINUTE_MS);
    clock.reboot();
    let bed = heard.start_again();
    let until = full_until(&bed).expect("another boot is no other hour");
    assert!(heard.is_its_hour(until), "{until:?}, said at {:?}", heard.said);
    clock.advance(45 * MINUTE_MS);
    bed.until_empty(30);
    assert_eq!(bed.states(heard.id), [DeliveryState::Delivered]);
    // The attempt that heard it is forgotten; what it heard is kept for longer.
    forget_attempts(&bed);
    drop(bed);
    for boot in 2..4 {
        clock.reboot();
        let bed = heard.start_again();
        assert_eq!(full_until(&bed), None, "boot {boot}: that hour is over for days");
        let next = bed.accept("s@x.example", &recipients(&format!("boot{boot}"), 1, "a.example"));
        wait_for("it to leave", || bed.states(next) == [DeliveryState::Delivered]);
    }
}

/// Days pass, and all attempts but the last are forgotten.
fn forget_attempts(bed: &Bed) {
    bed.clock.advance(9 * DAY_MS);
    let keep = KeepAttempts { keep_ms: DAY_MS, earlier_boots_since: Some(bed.clock.now().wall) };
    while bed.run(bed.store.prune(WallMs(0), keep, u64::MAX)).unwrap() {}
    assert_eq!(bed.run(bed.store.attempts(u64::MAX)).unwrap().len(), 1, "the last one alone");
}

#[test]
fn what_a_version_wrote_that_named_no_attempt_is_read_too() {
    let heard = Heard::and_stopped();
    let clock = &heard.clock;
    let without = "UPDATE memory SET value = CAST(json_remove(CAST(value AS TEXT), '$.attempt') AS BLOB) \
                   WHERE CAST(value AS TEXT) LIKE '%\"attempt\":%'";
    assert_eq!(heard.database().execute(without, ()).unwrap(), 1);
    clock.advance(20 * MINUTE_MS);
    for rebooted in [false, true] {
        if rebooted {
            clock.reboot();
        }
        let bed = heard.start_again();
        let until = full_until(&bed).expect("nothing that was counted is forgotten");
        assert!(heard.is_its_hour(until), "rebooted: {rebooted}: {until:?}, said at {:?}", heard.said);
    }
    let bed = heard.start_again();
    clock.advance(45 * MINUTE_MS);
    bed.until_empty(30);
    // What is left of its boot is this alone: it is older than all that is on record.
    forget_attempts(&bed);
    drop(bed);
    for _ in 0..2 {
        clock.reboot();
        let bed = heard.start_again();
        assert_eq!(full_until(&bed), None, "that hour is over for days");
        let next = bed.accept("s@x.example", &recipients("next", 1, "a.example"));
        wait_for("it to leave", || bed.states(next) == [DeliveryState::Delivered]);
    }
}

#[test]
fn what_cannot_be_read_when_the_clock_is_set_counts_as_before_and_is_read_again() {
    let heard = Heard::and_stopped();
    let clock = &heard.clock;
    // Twenty minutes without power, and no clock that survived them.
    clock.advance(20 * MINUTE_MS);
    clock.reboot();
    clock.synchronise(false);
    clock.step_wall(-i64::try_from(DAY_MS).unwrap());
    let bed = heard.start_again();
    let late = clock.now().wall.0 + WINDOW_MS;
    let until = full_until(&bed).expect("nobody knows that time has passed");
    assert!(until.0 <= late && until.0 + 1_200_000 > late, "{until:?}, at most {late}");
    let database = heard.database();
    database.execute_batch("ALTER TABLE memory RENAME TO memory_elsewhere").unwrap();
    clock.step_wall(i64::try_from(DAY_MS).unwrap());
    clock.synchronise(true);
    std::thread::sleep(Duration::from_secs(5)); // it is asked for every two
    assert!(full_until(&bed).is_some(), "what was said is not forgotten because it cannot be read");
    assert_eq!(bed.states(heard.id), [DeliveryState::Waiting]);
    database.execute_batch("ALTER TABLE memory_elsewhere RENAME TO memory").unwrap();
    wait_for("it to be placed", || full_until(&bed).is_some_and(|until| heard.is_its_hour(until)));
    clock.advance(41 * MINUTE_MS);
    bed.until_empty(30);
    assert_eq!(bed.states(heard.id), [DeliveryState::Delivered]);
}
