//! A reload files what waits by the routes of now. Whatever began by those of before ends before that, or changes nothing.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::renewed::{Finds, Looking};
use crate::rig::sink::Sink;

/// Mail for `b.example` goes where all other goes; the route that it went by is there still.
fn refiled(plan: &Plan) -> Plan {
    Plan {
        next_hops: plan.next_hops.clone(),
        egresses: plan.egresses.clone(),
        adjust: |written| {
            let route = written.delivery.routes.iter_mut().find(|route| route.name == "to-b").unwrap();
            route.matches.recipient_domains = vec!["c.example".into()];
        },
        ..*plan
    }
}

fn routes(bed: &Bed, ids: &[QueueId]) -> Vec<String> {
    let of = |id: &QueueId| bed.run(bed.store.message(*id)).unwrap().unwrap().1;
    ids.iter().flat_map(of).map(|delivery| delivery.destination.0.to_string()).collect()
}

#[test]
fn of_two_reloads_the_later_files_last() {
    let (a, b) = (Sink::start(), Sink::start());
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { adjust: |_| {}, ..Plan::to(&[&a, &b]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.close(GateKind::All, "");
    let ids: Vec<QueueId> =
        (0..30).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 100, "b.example"))).collect();

    // One stands still when it has filed a page of them.
    let mut first = pin!(bed.reloading(&refiled(&plan)));
    while routes(&bed, &ids).iter().all(|route| route == "to-b") {
        let is_over = bed.run(poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_ready())));
        assert!(!is_over, "it files a page at a time");
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = bed.spawn(bed.reloading(&plan));
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(10));
        if second.is_finished() {
            break;
        }
    }
    bed.run(first);
    bed.run(second).unwrap();
    let by_the_first = routes(&bed, &ids).iter().filter(|route| *route != "to-b").count();
    assert_eq!(by_the_first, 0, "deliveries are filed by the routes of before");
}

#[test]
fn what_is_made_anew_during_a_reload_goes_by_the_routes_of_now() {
    let (a, b) = (Sink::start(), Sink::start());
    let plan = Plan { adjust: |_| {}, ..Plan::to(&[&a, &b]) };
    let egress = plan.egresses[0];
    for finds in [Finds::Well, Finds::WellBy(egress)] {
        let (folder, looking) = (folder(), Looking::that_finds(move |_| finds));
        let bed = Bed::start_renewing(&plan, &folder.path().join("q"), &TestClock::new(), looking.clone());
        bed.close(GateKind::All, "");
        let id = bed.accept("s@x.example", &recipients("r", 1, "b.example"));
        looking.change();
        looking.stall(id);
        bed.open(GateKind::All, "");
        looking.wait_look(id, 1);
        // Keys and egresses are those of before: what was made holds.
        bed.reload(&refiled(&plan));
        assert_eq!(routes(&bed, &[id]), ["to-a"]);
        looking.go_on();
        bed.until_empty(10);
        assert_eq!(bed.states(id), [DeliveryState::Delivered]);
        assert!(routes(&bed, &[id])[0].starts_with("to-a"), "{:?}", routes(&bed, &[id]));
    }
    assert_eq!((a.accepted().len(), b.accepted().len()), (2, 0));
}
