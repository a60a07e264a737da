//! Hops that wait for several things one after the other: a connect that failed, slots, patience. The end of the last is
//! the end of the wait, and what is said is what they wait for now.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

/// A next hop that says nothing to the first's recipients before it may, and then "not now" to all of them.
fn holds_its_slots() -> (Sink, Arc<AtomicBool>) {
    let answer = Arc::new(AtomicBool::new(false));
    let may = Arc::clone(&answer);
    let sink = Sink::scripted(move |said| match said {
        Said::Rcpt(to) if to.starts_with("first") => {
            wait_for("leave to answer", || may.load(Ordering::SeqCst));
            Answer::say("450 4.2.1 not now")
        }
        _ => Answer::Usual,
    });
    (sink, answer)
}

#[test]
fn a_hop_that_was_missed_once_goes_on_when_slots_come_back() {
    let (busy, answer) = holds_its_slots();
    let address = SocketAddr::from((own_address(), 2525));
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { egress: "3/h", next_hops: vec![busy.address(), address], ..Plan::to(&[&busy]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let missed = bed.accept("m@x.example", &recipients("missed", 1, "b.example"));
    wait_for("it to be put off", || bed.why(missed)[0].contains("not reached"));
    let there = Sink::start_at(address, None, |_| Answer::Usual);

    // All slots of the egress are leased, and none is used yet.
    bed.accept("s@x.example", &recipients("first", 3, "a.example"));
    wait_for("the slots to be leased", || bed.engine.limit_uses().iter().any(|limit| limit.leased == 3));
    let second = bed.accept("t@x.example", &recipients("second", 1, "a.example"));
    wait_for("another to be refused", || bed.why(second)[0].contains("the limit egress 3/h"));
    // Its wait after the failed connect is over, and it is parked for slots now.
    clock.advance(20_000);
    bed.poke();
    wait_for("it to wait for a slot", || bed.why(missed)[0].contains("the limit egress 3/h"));

    answer.store(true, Ordering::SeqCst); // no content left, so all slots are free again
    wait_for("what was missed to leave", || bed.states(missed) == [DeliveryState::Delivered]);
    assert_eq!(there.accepted().len(), 1);
}

#[test]
fn a_pause_keeps_its_words_whoever_else_gets_in() {
    let (comers, may_come) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let sink = {
        let (comers, may_come) = (comers.clone(), may_come.clone());
        Sink::scripted(move |said| match said {
            Said::Connect if comers.fetch_add(1, Ordering::SeqCst) > 0 => {
                wait_for("leave to come", || may_come.load(Ordering::SeqCst));
                Answer::Usual
            }
            Said::Rcpt(_) => {
                wait_for("another to come", || comers.load(Ordering::SeqCst) > 1);
                Answer::say("550 5.7.606 Access denied, banned sending IP")
            }
            _ => Answer::Usual,
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    bed.close(GateKind::All, "");
    let ids: Vec<QueueId> =
        (0..3).map(|n| bed.accept(&format!("s{n}@x.example"), &recipients(&n.to_string(), 1, "a.example"))).collect();
    bed.open(GateKind::All, "");
    wait_for("the refusal", || bed.engine.troubles().iter().any(|trouble| trouble.contains("banned sending IP")));
    may_come.store(true, Ordering::SeqCst);
    wait_for("the others to come and go", || bed.engine.connections() == 0);
    let behind = bed.accept("s@x.example", &recipients("behind", 1, "a.example"));
    assert!(bed.why(behind)[0].contains("banned sending IP"), "{:?}", bed.why(behind));
    assert!(bed.engine.troubles()[0].contains("banned sending IP"), "{:?}", bed.engine.troubles());
    // Five minutes later nothing is said of it any more, whatever else the mail waits for.
    bed.close(GateKind::All, "");
    clock.advance(5 * 60_000 + 1_000);
    bed.poke();
    assert_eq!(bed.engine.troubles(), [""; 0], "it is over");
    assert!(ids.iter().all(|id| !bed.why(*id)[0].contains("is left alone")));
}
