//! What was stopped and is free again leaves.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use outguard::clock::Clock as _;
use outguard::store::{DeliveryState, Filter, Gate, GateKind, Reads as _, Store as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::loopback::own_address;
use crate::rig::sink::{Answer, Said, Sink};

#[test]
fn mail_for_a_new_destination_under_a_hold_of_all_mail_leaves_once_it_is_opened() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    bed.run(bed.engine.close_gate(GateKind::All, String::new(), "root".into(), "test".into())).unwrap();
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    bed.poke();
    assert_eq!(bed.states(id), [DeliveryState::Waiting]);
    bed.run(bed.engine.open_gate(GateKind::All, String::new(), "root".into())).unwrap();
    bed.until_empty(30);
    assert_eq!(bed.states(id), [DeliveryState::Delivered]);
}

#[test]
fn a_lease_that_a_gate_left_empty_loses_no_mail() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    // On record a moment before the engine knows: as when a turn was taken just before its account was held.
    let gate = Gate {
        kind: GateKind::Account,
        key: "s@x.example".into(),
        by: "root".into(),
        reason: "test".into(),
        since: clock.now().wall,
        until: None,
    };
    let _ = bed.run(bed.store.close_gate(gate, clock.now(), 0)).unwrap();
    let id = bed.accept("s@x.example", &recipients("r", 2, "a.example"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(bed.states(id), [DeliveryState::Waiting; 2]);
    bed.run(bed.engine.open_gate(GateKind::Account, "s@x.example".into(), "root".into())).unwrap();
    bed.until_empty(30);
    assert_eq!(bed.states(id), [DeliveryState::Delivered; 2]);
}

#[test]
fn a_full_egress_beside_one_behind_a_gate_goes_on_when_it_has_slots() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        egress: "1/3s",
        egresses: vec![IpAddr::from(own_address()), IpAddr::from(own_address())],
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let closed = plan.egresses[0].to_string();
    bed.run(bed.engine.close_gate(GateKind::Egress, closed.clone(), "root".into(), "test".into())).unwrap();
    bed.accept("s@x.example", &recipients("r", 3, "a.example"));
    bed.until_empty(60);
    assert!(sink.accepted().iter().all(|arrival| arrival.egress == plan.egresses[1]));
    // Opened while the other has none, it is used at once.
    bed.accept("s@x.example", &recipients("s", 1, "a.example"));
    bed.until_empty(10);
    bed.accept("s@x.example", &recipients("t", 1, "a.example"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    bed.run(bed.engine.open_gate(GateKind::Egress, closed, "root".into())).unwrap();
    sink.wait_accepted(5);
    assert_eq!(sink.accepted()[4].egress, plan.egresses[0]);
}

#[test]
fn what_is_flushed_while_the_due_loop_goes_past_it_is_found() {
    let refused: Mutex<HashSet<String>> = Mutex::default();
    let sink = Sink::scripted(move |said| match said {
        Said::Rcpt(to) if refused.lock().unwrap().insert(to.to_owned()) => Answer::say("450 4.2.1 later"),
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    for round in 0..10 {
        let id = bed.accept("s@x.example", &recipients(&format!("r{round}"), 1, "a.example"));
        crate::rig::process::wait_for("the first attempt", || {
            bed.run(bed.store.message(id)).unwrap().unwrap().1[0].attempts == 1
        });
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    clock.advance(1);
                    bed.poke();
                }
            });
            bed.run(bed.engine.flush(Filter::default())).unwrap();
            done.store(true, Ordering::SeqCst);
        });
        bed.until_empty(20);
        assert_eq!(bed.states(id), [DeliveryState::Delivered]);
    }
}

#[test]
fn mail_accepted_before_the_wall_clock_was_stepped_back_leaves() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let plan = Plan::to(&[&sink]);
    let bed = Bed::start(&plan, &place, &clock);
    bed.run(bed.engine.close_gate(GateKind::All, String::new(), "root".into(), "test".into())).unwrap();
    let before = bed.accept("s@x.example", &recipients("r", 2, "a.example"));
    clock.step_wall(-3_600_000);
    bed.poke();
    std::thread::sleep(std::time::Duration::from_millis(200));
    // And once more while nobody looks.
    drop(bed);
    clock.step_wall(-3_600_000);
    let bed = Bed::start(&plan, &place, &clock);
    bed.run(bed.engine.open_gate(GateKind::All, String::new(), "root".into())).unwrap();
    bed.until_empty(20);
    assert_eq!(bed.states(before), [DeliveryState::Delivered; 2]);
}
