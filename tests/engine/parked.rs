//! Hops that wait for several things one after the other: a connect that failed, slots, patience. The end of the last is
//! the end of the wait, and what is said is what they wait for now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use outguard::mail::QueueId;
use outguard::store::GateKind;

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

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
