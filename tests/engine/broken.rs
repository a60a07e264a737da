//! What fails inside: a task that panics leaves nothing taken, a gate that is not on record is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use outguard::account::Account;
use outguard::delivery::TlsMode;
use outguard::delivery::settings::{MxSettings, RouteKind};
use outguard::event::Event;
use outguard::intake::Queue as _;
use outguard::store::sqlite::faults::CommitFault;
use outguard::store::{DeliveryState, Filter, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, Written, dns_address, folder, recipients};
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

#[test]
fn a_connection_that_panics_before_it_stands_gives_its_place_back() {
    let sink = Sink::start();
    let std::net::IpAddr::V4(address) = sink.address().ip() else { panic!("sinks are IPv4") };
    let zone = [
        ("mx.example".to_owned(), vec![Record::Mx(1, "server.example".to_owned())]),
        ("server.example".to_owned(), vec![Record::Address(address.into())]),
    ];
    let _dns = Dns::start(dns_address(file!()), Zone::from(zone));
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        adjust: |written| {
            written.delivery.dns.servers = vec![dns_address(file!())];
            written.delivery.routes[0].kind = RouteKind::Mx(MxSettings { port: 2525, tls: TlsMode::None });
            // The place of one connection, taken by one that is gone, would be all.
            written.delivery.routes[0].concurrency = 1;
        },
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.panics.store(3, Ordering::SeqCst);
    let id = bed.accept("s@x.example", &recipients("r", 1, "mx.example"));
    wait_for("the first panic", || bed.panics.load(Ordering::SeqCst) == 2);
    bed.poke();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(bed.panics.load(Ordering::SeqCst), 2, "its destination is left alone for a while");
    bed.until_empty(600);
    assert_eq!(bed.states(id), [DeliveryState::Delivered]);
    assert_eq!((bed.panics.load(Ordering::SeqCst), sink.connections()), (0, 1));
}

#[test]
fn an_attempt_that_panics_at_its_end_keeps_no_turn_and_its_slots_count() {
    let answered = Arc::new(AtomicU32::new(0));
    let sink = {
        let answered = answered.clone();
        Sink::scripted(move |said| match said {
            Said::Content(..) if answered.fetch_add(1, Ordering::SeqCst) == 0 => Answer::say("451 4.3.0 later"),
            _ => Answer::Usual,
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let plan =
        Plan { account: "3/h", adjust: |written| written.delivery.routes[0].concurrency = 1, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &place, &clock);
    bed.panics.store(1, Ordering::SeqCst);
    let broken = bed.accept("s@x.example", &recipients("broken", 1, "a.example"));
    wait_for("the panic", || bed.panics.load(Ordering::SeqCst) == 0);
    // What a start would do is done at once: it waits again, and its slot counts.
    wait_for("it to wait", || bed.states(broken) == [DeliveryState::Waiting]);
    let unknown = |event: &Event| matches!(event, Event::AttemptUnknown { id, .. } if *id == broken.to_string());
    assert_eq!(bed.events().iter().filter(|event| unknown(event)).count(), 1);
    let used =
        |bed: &Bed| bed.engine.limit_uses().iter().find(|limit| limit.kind == "account").map(|l| (l.used, l.leased));
    assert_eq!(used(&bed), Some((1, 0)));
    // The destination has its turn and its connection back, and the account its slots but one.
    let next = bed.accept("s@x.example", &recipients("next", 3, "a.example"));
    let left = |bed: &Bed| bed.states(next).iter().filter(|state| **state == DeliveryState::Delivered).count();
    wait_for("two of four", || {
        clock.advance(1_000); // it is left alone for a minute
        bed.poke();
        left(&bed) + usize::from(bed.states(broken) == [DeliveryState::Delivered]) == 2
    });
    wait_for("the others to wait for a slot", || bed.waits().values().flatten().any(|why| why.contains("account 3/h")));
    drop(bed);
    let bed = Bed::start(&plan, &place, &clock);
    assert_eq!(used(&bed), Some((3, 0)), "on record as in memory");
    for _ in 0..3 {
        clock.advance(2 * 3_600_000);
        bed.poke();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bed.until_empty(60);
    assert_eq!(bed.states(broken), [DeliveryState::Delivered]);
    assert_eq!(left(&bed), 3);
}

#[test]
fn who_was_served_before_a_panic_is_not_served_again() {
    let refuses = Arc::new(AtomicU32::new(0));
    let sink = {
        let refuses = refuses.clone();
        Sink::scripted(move |said| match said {
            Said::Rcpt(to) if to.starts_with("r-1") && refuses.fetch_add(1, Ordering::SeqCst) == 0 => {
                Answer::say("450 4.2.1 later")
            }
            _ => Answer::Usual,
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    // It strikes when the second recipient's next try is reckoned: the first was taken by then.
    bed.panics.store(1, Ordering::SeqCst);
    let id = bed.accept("s@x.example", &recipients("r", 2, "a.example"));
    wait_for("the end", || bed.states(id) == [DeliveryState::Delivered, DeliveryState::Waiting]);
    bed.until_empty(600);
    assert_eq!(bed.states(id), [DeliveryState::Delivered; 2]);
    let to: Vec<String> = sink.accepted().iter().flat_map(|arrival| arrival.recipients.clone()).collect();
    assert_eq!(to, ["r-0@a.example", "r-1@a.example"]);
}

#[test]
fn what_breaks_off_to_its_end_is_held_for_a_person() {
    let sink = Sink::scripted(|said| match said {
        Said::Content(..) => Answer::say("451 4.3.0 later"),
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        adjust: |written| {
            written.dispatch.retry.wait_ms_max = 1_200_000;
            written.dispatch.retry.first_wait_ms = 1_200_000;
        },
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.panics.store(u32::MAX, Ordering::SeqCst);
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    wait_for("it to be held", || {
        clock.advance(60_000);
        bed.poke();
        bed.states(id) == [DeliveryState::Held]
    });
    assert!(bed.why(id)[0].contains("outguard itself breaks off its attempts"), "{:?}", bed.why(id));
    assert!(sink.accepted().is_empty());
    bed.panics.store(0, Ordering::SeqCst);
}

#[test]
fn a_gate_that_cannot_be_put_on_record_is_none() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    bed.close(GateKind::Account, "held@x.example");
    bed.store.close();
    let gates = [
        (GateKind::All, ""),
        (GateKind::Account, "s@x.example"),
        (GateKind::Egress, "192.0.2.1"),
        (GateKind::Account, "held@x.example"), // for another reason, which is not on record either
    ];
    for (kind, key) in gates {
        let closed = bed.engine.close_gate(kind, key.to_owned(), "root".into(), "another".into());
        assert!(bed.run(closed).is_err(), "{kind:?}");
        let left: Vec<_> = bed.engine.gates().into_iter().map(|gate| (gate.key, gate.reason)).collect();
        assert_eq!(left, [("held@x.example".into(), "test".into())], "what is on record, whatever was asked: {kind:?}");
    }
}

/// A hold that failed, as who asked was told, and that is on disk all the same: its mail was held by a gate that nobody saw, while
/// turns were given for it without end.
#[test]
fn a_gate_that_is_on_record_though_it_failed_holds_nothing() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    bed.close(GateKind::Account, "held@x.example");
    bed.disk.fails(CommitFault::StoredAllTheSame, 2);
    let closed = bed.engine.close_gate(GateKind::Account, "s@x.example".into(), "root".into(), "another".into());
    assert!(bed.run(closed).is_err());
    wait_for("the store to work", || {
        clock.advance(1_000);
        bed.run(bed.engine.flush(Filter::default())).is_ok()
    });
    let left = || -> Vec<String> { bed.run(bed.store.gates()).unwrap().into_iter().map(|gate| gate.key).collect() };
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    wait_for("it to leave", || bed.states(id) == [DeliveryState::Delivered]);
    wait_for("the record to say what people heard", || left() == ["held@x.example"]);
    // The same with one that was not opened, as who asked was told.
    bed.disk.fails(CommitFault::StoredAllTheSame, 2);
    let opened = bed.engine.open_gate(GateKind::Account, "held@x.example".into(), "root".into());
    assert!(bed.run(opened).is_err());
    wait_for("it to be closed on record", || {
        clock.advance(1_000);
        bed.run(bed.store.gates()).is_ok_and(|gates| gates.len() == 1) && bed.disk.has_failed()
    });
    let held = bed.accept("held@x.example", &recipients("r", 1, "a.example"));
    assert_eq!(bed.states(held), [DeliveryState::Waiting]);
}

#[test]
fn a_lease_on_record_ends_though_its_task_panics_before_mail() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let adjust = |written: &mut Written| {
        written.delivery.routes[0].concurrency = 1;
        written.dispatch.waiting.account_deliveries_max = Some(3);
    };
    let plan = Plan { account: "3/h", adjust, ..Plan::to(&[&sink]) };
    let place = folder.path().join("q");
    let bed = Bed::start(&plan, &place, &clock);
    bed.close(GateKind::All, "");
    let ids: Vec<_> = (0..3).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
    // The end of the first and the lease of the second go on record at once; then the task is gone that holds both.
    clock.panic_in("engine/settle.rs");
    bed.open(GateKind::All, "");
    wait_for("the panic", || clock.has_panicked());
    wait_for("the second to wait", || bed.states(ids[1]) == [DeliveryState::Waiting]);
    let unknown = |id: &str| {
        let of = |event: &Event| matches!(event, Event::AttemptUnknown { id: of, .. } if of == id);
        bed.events().iter().filter(|event| of(event)).count()
    };
    wait_for("its attempt to be ended", || unknown(&ids[1].to_string()) == 1);
    assert_eq!((bed.states(ids[0]), unknown(&ids[0].to_string())), (vec![DeliveryState::Delivered], 0));
    let admits = |recipients| bed.engine.admit(&Account::named("s@x.example"), recipients).is_ok();
    assert_eq!((admits(1), admits(2)), (true, false), "two wait of three that may");
    let used =
        |bed: &Bed| bed.engine.limit_uses().iter().find(|limit| limit.kind == "account").map(|l| (l.used, l.leased));
    assert_eq!(used(&bed), Some((2, 0)), "what was leased counts, and nothing is leased");
    // The destination is left alone for a minute, and goes on; the third slot is the last of the hour.
    wait_for("one more to leave", || {
        clock.advance(1_000);
        bed.poke();
        sink.accepted().len() == 2
    });
    wait_for("the last to wait for a slot", || bed.waits().values().flatten().any(|why| why.contains("account 3/h")));
    drop(bed);
    let bed = Bed::start(&plan, &place, &clock);
    assert_eq!(used(&bed), Some((3, 0)), "on record as in memory");
    clock.advance(2 * 3_600_000);
    bed.until_empty(60);
    assert!(ids.iter().all(|id| bed.states(*id) == [DeliveryState::Delivered]));
    assert_eq!(sink.accepted().len(), 3, "no second copy: MAIL was never said");
}
