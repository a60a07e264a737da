//! A reload: what waits goes by the new configuration, and keeps what it was accepted with.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outguard::delivery::Router;
use outguard::delivery::credentials::Credentials;
use outguard::delivery::settings::RouteKind;
use outguard::dispatch::Weight;
use outguard::guard::{Decision, Verdict};
use outguard::store::sqlite::faults::CommitFault;
use outguard::store::{DeliveryState, Destination, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, Written, folder, in_turn, recipients};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

#[test]
fn new_weights_hold_for_mail_that_waits() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { adjust: in_turn, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let order = |bed: &Bed| {
        let before = sink.accepted().len();
        bed.close(GateKind::All, "");
        for n in 0..40 {
            for account in ["light", "heavy"] {
                bed.accept(&format!("{account}@x.example"), &recipients(&format!("{account}{n}"), 1, "a.example"));
            }
        }
        bed.open(GateKind::All, "");
        sink.wait_accepted(before + 80);
        let heavy = sink.accepted()[before..before + 40].iter().filter(|a| a.mail_from.starts_with("heavy")).count();
        bed.until_empty(10);
        heavy
    };
    let heavy = order(&bed);
    assert!((19..=21).contains(&heavy), "{heavy} of 40 at equal weights");
    // The account is known here: its weight is not read anew by itself.
    bed.close(GateKind::All, "");
    let one = bed.accept("heavy@x.example", &recipients("one", 1, "a.example"));
    bed.reload(&Plan {
        adjust: |written| {
            in_turn(written);
            written.dispatch.weights = vec![("heavy@x.example".into(), Weight::of(300).unwrap())];
        },
        ..plan
    });
    bed.open(GateKind::All, "");
    wait_for("the one", || bed.states(one) == [DeliveryState::Delivered]);
    let heavy = order(&bed);
    assert!((29..=31).contains(&heavy), "{heavy} of 40 at three times the weight");
}

fn with_logins(written: &mut Written, lines: &str) {
    let RouteKind::Smarthost(smarthost) = &mut written.delivery.routes[0].kind else { panic!("it is a smarthost") };
    smarthost.credentials = Credentials::parse(lines.as_bytes()).unwrap();
}

#[test]
fn the_login_is_still_that_of_the_from_domain() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let before = Plan {
        adjust: |w| with_logins(w, "@shop.example box@shop.example secret\n* all@x.example secret"),
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&before, &folder.path().join("q"), &clock);
    bed.close(GateKind::All, "");
    let destination = |bed: &Bed, id| {
        let (_, deliveries) = bed.run(bed.store.message(id)).unwrap().unwrap();
        deliveries[0].destination.0.to_string()
    };
    // Its reverse-path is of another domain, as with a list or a bounce address.
    let from_shop = bed.accept_as("bounce@x.example", &recipients("r", 1, "a.example"), Some("shop.example"), |_| {});
    let other = bed.accept("s@y.example", &recipients("r", 1, "a.example"));
    assert_eq!(destination(&bed, from_shop), "to-a login=box@shop.example");
    assert_eq!(destination(&bed, other), "to-a login=all@x.example");
    bed.reload(&Plan {
        adjust: |written| {
            with_logins(written, "@shop.example new@shop.example secret\n* all@x.example secret");
            in_turn(written);
        },
        ..before
    });
    assert_eq!(destination(&bed, from_shop), "to-a login=new@shop.example");
    assert_eq!(destination(&bed, other), "to-a login=all@x.example");
}

#[test]
fn mail_for_a_login_that_is_gone_waits_and_says_so() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { adjust: |w| with_logins(w, "@shop.example box@shop.example secret"), ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let id = bed.accept("s@y.example", &recipients("r", 1, "a.example"));
    assert_eq!(
        bed.why(id),
        ["waits: no login of route \"to-a\" fits the account or the From domain; add one to its credentials and \
          reload"]
    );
    bed.reload(&Plan { adjust: |_| {}, ..plan });
    bed.until_empty(10);
    assert_eq!(bed.states(id), [DeliveryState::Delivered]);
}

#[test]
fn what_waits_goes_by_the_new_route_and_old_connections_end() {
    let (old, new) = (Sink::start(), Sink::start());
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan::to(&[&old]);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    old.wait_accepted(1); // its connection is kept for the next message
    bed.close(GateKind::All, "");
    let waits = bed.accept("s@x.example", &recipients("waits", 1, "a.example"));
    bed.reload(&Plan { next_hops: vec![new.address()], egresses: plan.egresses.clone(), ..plan });
    bed.open(GateKind::All, "");
    let after = bed.accept("s@x.example", &recipients("after", 1, "a.example"));
    bed.until_empty(10);
    assert_eq!(
        (bed.states(waits), bed.states(after)),
        (vec![DeliveryState::Delivered], vec![DeliveryState::Delivered])
    );
    assert_eq!((old.accepted().len(), new.accepted().len()), (1, 2));
    wait_for("the old connection to end in order", || old.commands().iter().any(|line| line == "QUIT"));
}

#[test]
fn a_destination_that_was_idle_has_no_more_connections_than_before() {
    let (sink, most) = Sink::slow(Duration::from_millis(30));
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { adjust: in_turn, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    bed.until_empty(10);
    bed.reload(&plan); // its connection ends, and nothing is left to know of the destination
    wait_for("the connection to end", || sink.commands().iter().any(|line| line == "QUIT"));
    wait_for("it to be counted as closed", || bed.engine.connections() == 0);
    for n in 0..8 {
        bed.accept("s@x.example", &recipients(&format!("n{n}"), 1, "a.example"));
    }
    bed.until_empty(30);
    assert_eq!((sink.accepted().len(), most.load(Ordering::SeqCst)), (9, 1));
}

#[test]
fn limits_of_a_reload_hold_for_what_was_used_before_it() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { account: "5/h", ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.accept("s@x.example", &recipients("r", 5, "a.example"));
    bed.until_empty(10);
    // A day's limit is new: what was used before it is read from the record.
    bed.reload(&Plan {
        adjust: |written| written.limits.account = vec!["9/h".parse().unwrap(), "7/d".parse().unwrap()],
        ..plan
    });
    let id = bed.accept("s@x.example", &recipients("t", 4, "a.example"));
    wait_for("two of them", || bed.states(id).iter().filter(|state| **state == DeliveryState::Delivered).count() == 2);
    wait_for("the rest to wait", || bed.why(id)[0].contains("the limit account 7/d"));
    assert_eq!(sink.accepted().iter().map(|arrival| arrival.recipients.len()).sum::<usize>(), 7);
}

/// Recipients of `b.example` go another way than all others until the reload, and then the same.
fn joined(plan: &Plan) -> Plan {
    Plan { next_hops: plan.next_hops[..1].to_vec(), egresses: plan.egresses.clone(), ..*plan }
}

#[test]
fn mail_that_comes_during_a_reload_is_filed_by_the_new_routes() {
    let (stays, goes) = (Sink::start(), Sink::start());
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan::to(&[&stays, &goes]);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    // Where it goes was asked before, and what it is has been judged since.
    let id = bed.accept_as("s@x.example", &recipients("r", 1, "b.example"), None, |_| bed.reload(&joined(&plan)));
    wait_for("it to leave", || bed.states(id) == [DeliveryState::Delivered]);
    assert_eq!((stays.accepted().len(), goes.accepted().len()), (1, 0));
}

#[test]
fn what_is_held_or_under_way_goes_by_the_new_routes_too() {
    let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let goes = {
        let (asked, answer) = (asked.clone(), answer.clone());
        Sink::scripted(move |said| match said {
            Said::Content(..) => {
                asked.store(true, Ordering::SeqCst);
                wait_for("leave to answer", || answer.load(Ordering::SeqCst));
                Answer::say("451 4.3.0 later")
            }
            _ => Answer::Usual,
        })
    };
    let stays = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan::to(&[&stays, &goes]);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let held = bed.accept_as("s@x.example", &recipients("held", 1, "b.example"), None, |acceptance| {
        acceptance.verdict = Verdict { decision: Decision::Hold, score_points: 90, reasons: Vec::new() };
    });
    let under_way = bed.accept("s@x.example", &recipients("under-way", 1, "b.example"));
    wait_for("it to be under way", || asked.load(Ordering::SeqCst));
    bed.reload(&joined(&plan));
    answer.store(true, Ordering::SeqCst);
    wait_for("it to be put off", || bed.states(under_way) == [DeliveryState::Waiting]);
    bed.run(bed.engine.release(held, "root".into(), None)).unwrap();
    bed.until_empty(60);
    assert_eq!(bed.engine.troubles(), [""; 0], "the route that is gone troubles no mail");
    for id in [held, under_way] {
        assert_eq!(bed.states(id), [DeliveryState::Delivered]);
    }
    assert_eq!((stays.accepted().len(), goes.accepted().len()), (2, 0));
}

/// What can go on at once after an attempt was under way during the reload: nobody read it where it stands by then.
#[test]
fn what_is_left_of_a_message_under_way_goes_by_the_new_routes_at_once() {
    for via in [false, true] {
        let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let goes = {
            let (asked, answer) = (asked.clone(), answer.clone());
            Sink::scripted(move |said| match said {
                Said::Rcpt(to) if to.starts_with("left-1") => Answer::say("452 4.5.3 too many recipients"),
                Said::Content(..) => {
                    asked.store(true, Ordering::SeqCst);
                    wait_for("leave to answer", || answer.load(Ordering::SeqCst));
                    Answer::Usual
                }
                _ => Answer::Usual,
            })
        };
        let stays = Sink::start();
        let (folder, clock) = (folder(), TestClock::new());
        let plan = Plan { egresses: vec![own_address().into(), own_address().into()], ..Plan::to(&[&stays, &goes]) };
        let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
        // With it, the egress goes that it was to leave by, too.
        let id = bed.accept_as("s@x.example", &recipients("left", 2, "b.example"), None, |acceptance| {
            if via {
                let name: Arc<str> = plan.egresses[1].to_string().into();
                let only = |destination: &mut Destination| {
                    *destination = Router::restricted(destination, &[Arc::clone(&name)]);
                };
                acceptance.destinations.iter_mut().for_each(only);
            }
        });
        wait_for("it to be under way", || asked.load(Ordering::SeqCst));
        bed.reload(&Plan { egresses: plan.egresses[..1].to_vec(), ..joined(&plan) });
        answer.store(true, Ordering::SeqCst);
        // No clock is moved.
        wait_for("the rest of it", || bed.states(id) == [DeliveryState::Delivered; 2]);
        assert_eq!((stays.accepted().len(), goes.accepted().len()), (1, 1));
    }
}

#[test]
fn what_could_not_be_filed_by_the_new_routes_is_filed_later() {
    let (stays, goes) = (Sink::start(), Sink::start());
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan::to(&[&stays, &goes]);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.close(GateKind::All, "");
    let first = bed.accept("s@x.example", &recipients("first", 1, "b.example"));
    bed.disk.fails(CommitFault::Lost, 0);
    bed.reload(&joined(&plan));
    assert!(bed.disk.has_failed(), "it was to be filed");
    bed.open(GateKind::All, "");
    wait_for("it to leave", || {
        clock.advance(1_000);
        bed.poke();
        bed.states(first) == [DeliveryState::Delivered]
    });
    assert_eq!((stays.accepted().len(), goes.accepted().len()), (1, 0));
}

#[test]
fn routes_that_changed_while_it_was_down_strand_nothing() {
    let (stays, goes) = (Sink::start(), Sink::start());
    let (folder, clock) = (folder(), TestClock::new());
    let (plan, place) = (Plan::to(&[&stays, &goes]), folder.path().join("q"));
    let bed = Bed::start(&plan, &place, &clock);
    bed.close(GateKind::All, "");
    let ids: Vec<_> = (0..3).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "b.example"))).collect();
    drop(bed);
    let bed = Bed::start(&joined(&plan), &place, &clock);
    bed.open(GateKind::All, "");
    wait_for("all to leave", || ids.iter().all(|id| bed.states(*id) == [DeliveryState::Delivered]));
    assert_eq!((stays.accepted().len(), goes.accepted().len()), (3, 0));
}

#[test]
fn a_limit_that_is_called_used_up_during_a_reload_is_that_of_the_egress_that_left() {
    let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let sink = {
        let (asked, answer) = (asked.clone(), answer.clone());
        Sink::scripted(move |said| match said {
            Said::Mail(_) if !asked.swap(true, Ordering::SeqCst) => {
                wait_for("leave to answer", || answer.load(Ordering::SeqCst));
                Answer::say("555 hourly limit exceeded")
            }
            _ => Answer::Usual,
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan::to(&[&sink]);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let first = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    wait_for("it to be under way", || asked.load(Ordering::SeqCst));
    let before = plan.egresses[0];
    bed.reload(&Plan { egresses: vec![IpAddr::from(own_address())], ..plan });
    answer.store(true, Ordering::SeqCst);
    wait_for("the refusal", || bed.run(bed.store.message(first)).unwrap().unwrap().1[0].attempts == 1);
    let next = bed.accept("s@x.example", &recipients("next", 1, "a.example"));
    wait_for("the other egress to go on", || bed.states(next) == [DeliveryState::Delivered]);
    let full: Vec<_> = bed.engine.limit_uses().into_iter().filter(|limit| limit.used == limit.slots).collect();
    assert!(full.len() == 1 && full[0].key == before.to_string(), "{full:?}");
    bed.until_empty(60);
}
