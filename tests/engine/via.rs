//! Mail that only some egresses may carry goes to the same server as other mail: what that lets in and how fast it asks for
//! holds for all of it. What is one egress's trouble stays with its mail, and egresses that are gone strand nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outguard::delivery::Router;
use outguard::dispatch::RetrySettings;
use outguard::event::Event;
use outguard::mail::QueueId;
use outguard::store::{DeliveryState, Filter, Reads as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

fn two_egresses(plan: Plan) -> Plan {
    Plan { egresses: vec![IpAddr::from(own_address()), IpAddr::from(own_address())], ..plan }
}

/// Mail that may leave by these egresses alone; by any if there are none.
fn accept_via(bed: &Bed, mark: &str, egresses: &[IpAddr]) -> QueueId {
    let names: Vec<Arc<str>> = egresses.iter().map(|egress| egress.to_string().into()).collect();
    bed.accept_as(&format!("{mark}@x.example"), &recipients(mark, 1, "a.example"), None, |acceptance| {
        for destination in &mut acceptance.destinations {
            *destination = Router::restricted(destination, &names);
        }
    })
}

#[test]
fn a_server_has_so_many_connections_whatever_egresses_its_mail_may_leave_by() {
    let (sink, most) = Sink::slow(Duration::from_millis(10));
    let (folder, clock) = (folder(), TestClock::new());
    let plan =
        two_egresses(Plan { adjust: |written| written.delivery.routes[0].concurrency = 2, ..Plan::to(&[&sink]) });
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    for n in 0..12 {
        accept_via(&bed, &format!("any{n}"), &[]);
        accept_via(&bed, &format!("one{n}"), &plan.egresses[..1]);
        accept_via(&bed, &format!("two{n}"), &plan.egresses[1..]);
    }
    bed.until_empty(60);
    assert_eq!(most.load(Ordering::SeqCst), 2, "connections at once");
    let accepted = sink.accepted();
    assert_eq!(accepted.len(), 36);
    for arrival in &accepted {
        let may = |mark: &str, egress: IpAddr| !arrival.mail_from.starts_with(mark) || arrival.egress == egress;
        assert!(may("one", plan.egresses[0]) && may("two", plan.egresses[1]), "{arrival:?}");
    }
    // None of the three waits for the others to be done.
    for mark in ["any", "one", "two"] {
        let first = accepted.iter().position(|arrival| arrival.mail_from.starts_with(mark)).unwrap();
        assert!(first < 12, "{mark} began behind {first} others");
    }
}

#[test]
fn connections_are_left_to_other_mail_only_if_it_can_use_them() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan =
        two_egresses(Plan { adjust: |written| written.delivery.routes[0].concurrency = 1, ..Plan::to(&[&sink]) });
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    // Mail of the second egress stands behind a gate, beside mail that the first may carry too.
    bed.close(outguard::store::GateKind::Egress, &plan.egresses[1].to_string());
    let stuck = accept_via(&bed, "stuck", &plan.egresses[1..]);
    for n in 0..20 {
        accept_via(&bed, &format!("n{n}"), &plan.egresses[..1]);
    }
    sink.wait_accepted(20);
    assert!(sink.connections() <= 3, "{} connections for twenty messages", sink.connections());
    assert_eq!(bed.states(stuck), [DeliveryState::Waiting]);
    bed.open(outguard::store::GateKind::Egress, &plan.egresses[1].to_string());
    // The connection that other mail left idle is in its way, and goes at once: sooner than idle ones do.
    bed.until_empty(200);
    accept_via(&bed, "after", &plan.egresses[..1]);
    bed.until_empty(200);
}

#[test]
fn a_server_that_asks_for_patience_is_left_alone_by_all_mail_for_it() {
    let (sink, patient) = Sink::impatient();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = two_egresses(Plan::to(&[&sink]));
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    accept_via(&bed, "first", &plan.egresses[..1]);
    let mails = || sink.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    wait_for("the refusal", || bed.engine.troubles().iter().any(|trouble| trouble.contains("rate limited")));
    patient.store(true, Ordering::SeqCst);
    for n in 0..9 {
        // Of a kind that waited before, and of one that comes into being now.
        let second = accept_via(&bed, &format!("second{n}"), &plan.egresses[1..]);
        let any = accept_via(&bed, &format!("any{n}"), &[]);
        clock.advance(30_000);
        bed.poke();
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(mails(), 1, "{n}");
        for id in [second, any] {
            assert!(bed.why(id)[0].contains("is left alone until"), "{:?}", bed.why(id));
        }
    }
    assert_eq!(bed.engine.troubles().len(), 1, "it is one server: {:?}", bed.engine.troubles());
    bed.until_empty(120);
    assert_eq!(sink.accepted().len(), 19);
}

#[test]
fn an_egress_that_cannot_connect_takes_nothing_from_the_mail_of_others() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    // The one place at the server is wanted by both. The second address (RFC 5737) is none of this machine's.
    let own = Plan {
        adjust: |written| {
            written.delivery.routes[0].concurrency = 1;
            written.dispatch.retry = RetrySettings::default(); // after 5, 10 and 20 minutes
        },
        ..Plan::to(&[&sink])
    };
    let plan = Plan { egresses: vec![own.egresses[0], "192.0.2.7".parse().unwrap()], ..own };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let spent_ms = |id| bed.run(bed.store.message(id)).unwrap().unwrap().1[0].spent_ms;
    let mut broken = Vec::new();
    for n in 0..30 {
        broken.push(accept_via(&bed, &format!("broken{n}"), &plan.egresses[1..]));
        let sound = accept_via(&bed, &format!("sound{n}"), &plan.egresses[..1]);
        wait_for("the mail of the egress that works", || bed.states(sound) == [DeliveryState::Delivered]);
        assert_eq!(spent_ms(sound), 0, "{n} was put off");
        if n == 0 {
            wait_for("the other's to be put off", || spent_ms(broken[0]) > 0);
            let why = &bed.why(broken[0])[0];
            assert!(why.contains("cannot be used"), "{why}");
        }
        clock.advance(60_000);
        bed.poke();
    }
    // Each try of the broken one may cost a place; between the tries nothing is closed for it.
    assert!(sink.connections() < 10, "{} connections for thirty messages", sink.connections());
    let told = bed.events();
    let told = told.iter().filter_map(|event| match event {
        Event::NextHopTrouble { destination, .. } => Some(destination),
        _ => None,
    });
    assert!(told.clone().count() > 0);
    for destination in told {
        assert!(destination.contains("192.0.2.7"), "{destination}");
    }
}

#[test]
fn an_egress_that_is_refused_leaves_the_mail_of_others_alone() {
    let refuses = Arc::new(AtomicBool::new(true));
    let sink = {
        let refuses = refuses.clone();
        Sink::scripted(move |said| match said {
            Said::Rcpt(to) if to.starts_with("refused") && refuses.load(Ordering::SeqCst) => {
                Answer::say("550 5.7.606 Access denied, banned sending IP")
            }
            _ => Answer::Usual,
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let plan = two_egresses(Plan::to(&[&sink]));
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    accept_via(&bed, "refused", &plan.egresses[1..]);
    wait_for("the refusal", || bed.engine.troubles().iter().any(|trouble| trouble.contains("banned sending IP")));
    for n in 0..9 {
        accept_via(&bed, &format!("sound{n}"), &plan.egresses[..1]);
    }
    sink.wait_accepted(9); // the clock stood still
    let behind = accept_via(&bed, "behind", &plan.egresses[1..]);
    assert!(bed.why(behind)[0].contains("is left alone until"), "{:?}", bed.why(behind));
    assert!(bed.engine.troubles()[0].contains("banned sending IP"), "the others' connections do not end it");
    refuses.store(false, Ordering::SeqCst);
    clock.advance(5 * 60_000);
    bed.until_empty(400);
    assert_eq!(sink.accepted().len(), 11);
}

#[test]
fn a_server_that_does_not_answer_puts_off_all_mail_for_it() {
    let address = SocketAddr::from((own_address(), 2525));
    let nobody = Sink::start(); // to be routed to in its place
    let (folder, clock) = (folder(), TestClock::new());
    let plan = two_egresses(Plan { next_hops: vec![address], ..Plan::to(&[&nobody]) });
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let ids = [
        accept_via(&bed, "one", &plan.egresses[..1]),
        accept_via(&bed, "two", &plan.egresses[1..]),
        accept_via(&bed, "any", &[]),
    ];
    let put_off = |id| bed.why(id)[0].contains("not reached");
    wait_for("all to be put off", || {
        clock.advance(10);
        ids.iter().all(|id| put_off(*id))
    });
    let told = || bed.events().iter().filter(|event| matches!(event, Event::NextHopTrouble { .. })).count();
    wait_for("it to be told for each choice of egresses", || told() == 3);
    let sink = Sink::start_at(address, None, |_| Answer::Usual);
    bed.run(bed.engine.flush(Filter::default())).unwrap();
    sink.wait_accepted(3); // the clock stood still
    bed.until_empty(10);
}

#[test]
fn egresses_that_are_gone_strand_nothing() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = two_egresses(Plan::to(&[&sink]));
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let [one, two] = plan.egresses[..] else { panic!("two egresses") };
    let fewer = Plan { egresses: vec![one], ..Plan::to(&[&sink]) };
    bed.close(outguard::store::GateKind::All, "");
    accept_via(&bed, "gone", &[two]);
    accept_via(&bed, "left", &[one, two]);
    bed.reload(&fewer);
    bed.open(outguard::store::GateKind::All, "");
    sink.wait_accepted(2);
    assert!(sink.accepted().iter().all(|arrival| arrival.egress == one), "{:?}", sink.accepted());
    // The same where they went between a stop and a start.
    bed.reload(&plan);
    bed.close(outguard::store::GateKind::All, "");
    accept_via(&bed, "gone", &[two]);
    drop(bed);
    let bed = Bed::start(&fewer, &folder.path().join("q"), &clock);
    bed.open(outguard::store::GateKind::All, "");
    sink.wait_accepted(3);
    assert_eq!(sink.accepted()[2].egress, one);
}

#[test]
fn an_egress_that_goes_while_mail_is_under_way_by_it_strands_nothing() {
    let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (told, may) = (Arc::clone(&asked), Arc::clone(&answer));
    let sink = Sink::scripted(move |said| match said {
        Said::Rcpt(_) if !told.swap(true, Ordering::SeqCst) => {
            while !may.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            Answer::say("451 4.3.0 later")
        }
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let plan = two_egresses(Plan::to(&[&sink]));
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let [one, two] = plan.egresses[..] else { panic!("two egresses") };
    accept_via(&bed, "under-way", &[two]);
    wait_for("the attempt", || asked.load(Ordering::SeqCst));
    bed.reload(&Plan { egresses: vec![one], ..Plan::to(&[&sink]) });
    answer.store(true, Ordering::SeqCst);
    bed.until_empty(1_000);
    assert_eq!(sink.accepted()[0].egress, one);
}
