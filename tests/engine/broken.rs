//! What fails inside: a task that panics leaves nothing taken, a gate that is not on record is none.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use outguard::delivery::TlsMode;
use outguard::delivery::settings::{MxSettings, RouteKind};
use outguard::store::{DeliveryState, GateKind};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

fn dns_address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| SocketAddr::from((own_address(), 5353)))
}

#[test]
fn a_connection_that_panics_before_it_stands_gives_its_place_back() {
    let sink = Sink::start();
    let std::net::IpAddr::V4(address) = sink.address().ip() else { panic!("sinks are IPv4") };
    let zone = [
        ("mx.example".to_owned(), vec![Record::Mx(1, "server.example".to_owned())]),
        ("server.example".to_owned(), vec![Record::Address(address.into())]),
    ];
    let _dns = Dns::start(dns_address(), Zone::from(zone));
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        adjust: |written| {
            written.delivery.dns.servers = vec![dns_address()];
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
    // The destination has its turn and its connection back, and the account its slots but one.
    let next = bed.accept("s@x.example", &recipients("next", 3, "a.example"));
    wait_for("two of three", || {
        clock.advance(1_000); // it is left alone for a minute
        bed.poke();
        bed.states(next).iter().filter(|state| **state == DeliveryState::Delivered).count() == 2
    });
    wait_for("the third to wait for a slot", || bed.why(next)[0].contains("the limit account 3/h"));
    // The broken one is under way on record, and the next start finds it.
    assert_eq!(bed.states(broken), [DeliveryState::UnderWay]);
    drop(bed);
    let bed = Bed::start(&plan, &place, &clock);
    for _ in 0..3 {
        clock.advance(2 * 3_600_000);
        bed.poke();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bed.until_empty(60);
    assert_eq!(bed.states(broken), [DeliveryState::Delivered]);
}

#[test]
fn a_gate_that_cannot_be_put_on_record_is_none() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    bed.store.close();
    for (kind, key) in [(GateKind::All, ""), (GateKind::Account, "s@x.example"), (GateKind::Egress, "192.0.2.1")] {
        let closed = bed.engine.close_gate(kind, key.to_owned(), "root".into(), "test".into());
        assert!(bed.run(closed).is_err(), "{kind:?}");
        assert!(bed.engine.gates().is_empty(), "a restart would have let it go: {kind:?}");
    }
}
