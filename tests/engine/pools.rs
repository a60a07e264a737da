//! One egress of a pool that a next hop refuses, or that cannot leave for it: the others carry its mail, at once.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use outguard::delivery::Router;
use outguard::delivery::settings::EgressSettings;
use outguard::event::Event;
use outguard::store::{DeliveryState, Destination, GateKind};

use crate::bed::{Bed, Plan, TestClock, Written, folder, recipients};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

/// One connection at a time, and each egress greets by a name of its own.
fn named(written: &mut Written) {
    written.delivery.routes[0].concurrency = 1;
    let name = |(egress, name): (&mut EgressSettings, &str)| egress.ehlo = Some(name.to_owned());
    written.delivery.egresses.iter_mut().zip(["one.example", "two.example"]).for_each(name);
}

/// What the first egress hears.
type Refusal = fn(Said<'_>) -> Option<&'static str>;

/// The same, and what is put off for a failed connect is put off for longer than a test has patience.
fn named_and_patient(written: &mut Written) {
    named(written);
    (written.dispatch.retry.first_wait_ms, written.dispatch.retry.wait_ms_max) = (3_600_000, 3_600_000);
}

#[test]
fn an_egress_that_is_refused_stops_none_of_its_pool() {
    let at_mail: Refusal =
        |said| matches!(said, Said::Rcpt(_)).then_some("550 5.7.606 Access denied, banned sending IP");
    let as_it_comes: Refusal = |said| matches!(said, Said::Ehlo(_)).then_some("554 5.7.1 banned sending IP");
    for (when, refuses) in [("at its mail", at_mail), ("as it comes", as_it_comes)] {
        let last = Mutex::new(String::new());
        let sink = Sink::scripted(move |said| {
            if let Said::Ehlo(name) = said {
                name.clone_into(&mut last.lock().unwrap());
            }
            let refusal = refuses(said).filter(|_| *last.lock().unwrap() == "one.example");
            refusal.map_or(Answer::Usual, Answer::say)
        });
        let (folder, clock) = (folder(), TestClock::new());
        let egresses: Vec<IpAddr> = vec![own_address().into(), own_address().into()];
        // What hears its refusal as mail is put off itself.
        let adjust = if when == "at its mail" { named } else { named_and_patient };
        let plan = Plan { egresses: egresses.clone(), adjust, ..Plan::to(&[&sink]) };
        let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
        let first = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
        wait_for("the refusal", || bed.engine.troubles().iter().any(|trouble| trouble.contains("banned sending IP")));
        let others: Vec<_> =
            (0..5).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
        // No clock is moved.
        wait_for(when, || others.iter().all(|id| bed.states(*id) == [DeliveryState::Delivered]));
        for _ in 0..9 {
            clock.advance(20_000);
            bed.poke();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        wait_for("what was refused", || bed.states(first) == [DeliveryState::Delivered]);
        assert!(sink.accepted().iter().all(|arrival| arrival.egress == egresses[1]), "{when}: {:?}", sink.accepted());
        let told = |event: &Event| matches!(event, Event::NextHopTrouble { .. });
        assert_eq!(bed.events().iter().filter(|event| told(event)).count(), 1, "{when}");
    }
}

#[test]
fn an_egress_that_cannot_leave_stops_none_of_its_pool() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    // The first address (RFC 5737) is none of this machine's.
    let egresses: Vec<IpAddr> = vec!["192.0.2.7".parse().unwrap(), own_address().into()];
    let plan = Plan { egresses, adjust: named_and_patient, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let ids: Vec<_> = (0..9).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
    sink.wait_accepted(9); // no clock is moved
    wait_for("their ends", || ids.iter().all(|id| bed.states(*id) == [DeliveryState::Delivered]));
    let told = |event: &Event| matches!(event, Event::NextHopTrouble { reason, .. } if reason.contains("192.0.2.7"));
    wait_for("it to be told", || bed.events().iter().filter(|event| told(event)).count() == 1);
    assert!(bed.engine.troubles()[0].contains("192.0.2.7"), "{:?}", bed.engine.troubles());
}

/// One egress keeps its last slots for other accounts, the other was refused: once that one may go again, it takes what waits,
/// long before the first has slots.
#[test]
fn a_line_that_one_egress_keeps_slots_from_waits_no_longer_than_anothers_pause() {
    let refuses = Arc::new(AtomicBool::new(true));
    let last = Mutex::new(String::new());
    let still = Arc::clone(&refuses);
    let sink = Sink::scripted(move |said| match said {
        Said::Ehlo(name) => {
            name.clone_into(&mut last.lock().unwrap());
            Answer::Usual
        }
        Said::Rcpt(_) if still.load(Ordering::SeqCst) && *last.lock().unwrap() == "one.example" => {
            Answer::say("550 5.7.606 Access denied, banned sending IP")
        }
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let egresses: Vec<IpAddr> = vec![own_address().into(), own_address().into()];
    let plan = Plan { egress: "20/h", egresses: egresses.clone(), adjust: named, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let by = |egress: usize| sink.accepted().iter().filter(|arrival| arrival.egress == egresses[egress]).count();
    bed.accept("first@x.example", &recipients("first", 1, "a.example"));
    wait_for("the refusal", || bed.engine.troubles().iter().any(|trouble| trouble.contains("banned sending IP")));
    // Nothing but that pause is to end the wait of what comes now.
    bed.close(GateKind::Account, "first@x.example");
    // Two accounts are active at the second egress, and one of them has had its share of it.
    bed.accept("other@x.example", &recipients("other", 1, "a.example"));
    sink.wait_accepted(1);
    let busy: Vec<_> =
        (0..20).map(|n| bed.accept("busy@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
    sink.wait_accepted(18);
    wait_for("the rest to wait", || bed.why(busy[19])[0].contains("the limit egress 20/h"));
    assert_eq!((by(0), by(1)), (0, 18));
    refuses.store(false, Ordering::SeqCst);
    clock.advance(5 * 60_000 + 1_000);
    bed.poke();
    sink.wait_accepted(21);
    assert_eq!((by(0), by(1)), (3, 18));
    wait_for("their ends", || busy.iter().all(|id| bed.states(*id) == [DeliveryState::Delivered]));
}

/// One egress keeps its last slots from the mail that waits, and the other has all its connections at another next hop: nobody
/// connects from the first meanwhile, only to find that it has nothing to say.
#[test]
fn who_waits_for_one_egress_does_not_connect_from_another() {
    let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let slow = {
        let (asked, answer) = (asked.clone(), answer.clone());
        Sink::scripted(move |said| match said {
            Said::Content(..) => {
                asked.store(true, Ordering::SeqCst);
                wait_for("leave to answer", || answer.load(Ordering::SeqCst));
                Answer::Usual
            }
            _ => Answer::Usual,
        })
    };
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let egresses: Vec<IpAddr> = vec![own_address().into(), own_address().into()];
    let adjust = |written: &mut Written| written.delivery.egresses[1].concurrency = 1;
    let plan = Plan { egress: "20/h", egresses: egresses.clone(), adjust, ..Plan::to(&[&sink, &slow]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let accept = |from: &str, to: &str, via: &[usize]| {
        let names: Vec<Arc<str>> = via.iter().map(|egress| egresses[*egress].to_string().into()).collect();
        bed.accept_as(from, &[to.to_owned()], None, |acceptance| {
            let only = |destination: &mut Destination| *destination = Router::restricted(destination, &names);
            acceptance.destinations.iter_mut().for_each(only);
        })
    };
    // Two accounts are active at the first egress, and one of them has had its share of it.
    accept("other@x.example", "other@a.example", &[0]);
    sink.wait_accepted(1);
    for n in 0..17 {
        accept("busy@x.example", &format!("{n}@a.example"), &[0]);
    }
    sink.wait_accepted(18);
    bed.until_empty(10);
    accept("third@x.example", "slow@b.example", &[1]);
    wait_for("the other's connection", || asked.load(Ordering::SeqCst));
    let before = sink.connections();
    let waits = accept("busy@x.example", "waits@a.example", &[]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(bed.states(waits), [DeliveryState::Waiting]);
    let in_vain = sink.connections() - before;
    assert!(in_vain <= 2, "{in_vain} connections that had nothing to say");
    answer.store(true, Ordering::SeqCst);
    wait_for("it to leave", || bed.states(waits) == [DeliveryState::Delivered]);
    assert_eq!(sink.accepted()[18].egress, egresses[1]);
}

/// What a person closed takes nobody's mail over: what cannot leave by the other is put off as ever, says so, and ends in time.
#[test]
fn an_egress_behind_a_gate_takes_nothing_over() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let egresses: Vec<IpAddr> = vec!["192.0.2.7".parse().unwrap(), own_address().into()];
    let closed = egresses[1].to_string();
    let adjust = |written: &mut Written| {
        written.delivery.routes[0].concurrency = 1;
        let retry = &mut written.dispatch.retry;
        (retry.first_wait_ms, retry.wait_ms_max) = (15 * 60_000, 15 * 60_000);
    };
    let plan = Plan { egresses, adjust, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.close(GateKind::Egress, &closed);
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    wait_for("why it waits", || bed.why(id).first().is_some_and(|why| why.contains("192.0.2.7")));
    let is_over = || bed.states(id) == [DeliveryState::Bounced];
    wait_for("its end", || {
        clock.advance(60_000);
        bed.poke();
        is_over()
    });
    assert!(sink.accepted().is_empty());
}
