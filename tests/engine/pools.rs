//! One egress of a pool that a next hop refuses, or that cannot leave for it: the others carry its mail, at once.

use std::net::IpAddr;
use std::sync::Mutex;

use outguard::delivery::settings::EgressSettings;
use outguard::event::Event;
use outguard::store::DeliveryState;

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

#[test]
fn an_egress_that_is_refused_stops_none_of_its_pool() {
    let cases: [(&str, Refusal); 2] = [
        ("at its mail", |said| matches!(said, Said::Rcpt(_)).then_some("550 5.7.606 Access denied, banned sending IP")),
        ("as it comes", |said| matches!(said, Said::Ehlo(_)).then_some("554 5.7.1 banned sending IP")),
    ];
    for (when, refuses) in cases {
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
        let plan = Plan { egresses: egresses.clone(), adjust: named, ..Plan::to(&[&sink]) };
        let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
        let first = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
        wait_for("the refusal", || bed.engine.troubles().iter().any(|trouble| trouble.contains("banned sending IP")));
        let others: Vec<_> =
            (0..5).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
        // The clock stands still.
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
    let bed = Bed::start(&Plan { egresses, ..Plan::to(&[&sink]) }, &folder.path().join("q"), &clock);
    let ids: Vec<_> = (0..9).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
    sink.wait_accepted(9); // the clock stands still
    wait_for("their ends", || ids.iter().all(|id| bed.states(*id) == [DeliveryState::Delivered]));
    let told = |event: &Event| matches!(event, Event::NextHopTrouble { reason, .. } if reason.contains("192.0.2.7"));
    wait_for("it to be told", || bed.events().iter().filter(|event| told(event)).count() == 1);
    assert!(bed.engine.troubles()[0].contains("192.0.2.7"), "{:?}", bed.engine.troubles());
}
