//! What waits goes on as soon as it may, not before, and says why it waits meanwhile.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use outguard::account::Account;
use outguard::clock::Clock as _;
use outguard::limits::{AppliesTo, KeyKind, Override};
use outguard::store::{DeliveryState, Filter, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::PATIENCE;
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

const MINUTE_MS: u64 = 60_000;

/// The longest that this machine stood still while `run` ran: no thread went on, or nothing reached the disk.
fn standstill(folder: &Path, run: impl FnOnce()) -> Duration {
    let over = AtomicBool::new(false);
    let probe = || {
        let mut file = File::create(folder.join("probe")).unwrap();
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        while !over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
            file.write_all(b"x").unwrap();
            file.sync_data().unwrap();
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        longest
    };
    std::thread::scope(|scope| {
        let probe = scope.spawn(probe);
        run();
        over.store(true, Ordering::SeqCst);
        probe.join().unwrap()
    })
}

/// How many connections carry a hundred and fifty messages, each of which comes when the last one has left; and how long
/// the machine stood still meanwhile.
fn connections_for_one_after_the_other() -> (usize, Duration) {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { adjust: |written| written.delivery.routes[0].concurrency = 1, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let still = standstill(folder.path(), || {
        for n in 0..150 {
            bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"));
            let accepted = Instant::now();
            while sink.arrived() <= n && sink.connections() < 2 {
                assert!(accepted.elapsed() < PATIENCE, "{n} does not leave");
                std::thread::sleep(Duration::from_micros(100));
            }
            if sink.connections() > 1 {
                return;
            }
            // The next one comes while the connection looks for work, goes to sleep, sleeps.
            std::thread::sleep(Duration::from_micros(n as u64 * 97 % 3_000));
        }
    });
    (sink.connections(), still)
}

#[test]
fn a_connection_that_waits_is_told_of_each_message() {
    // One that missed a word goes after its idle time of five seconds, and another comes in its place. So it does where
    // the machine stands still for as long, and that shows nothing.
    for _ in 0..5 {
        let (connections, still) = connections_for_one_after_the_other();
        if connections == 1 {
            return;
        }
        println!("{connections} connections; the machine stood still for {still:?}");
        assert!(still > Duration::from_secs(1), "a connection missed a word, and {connections} were needed");
    }
    println!("SKIPPED: this machine stands still too often to show it");
}

#[test]
fn slots_that_come_back_go_to_who_waits_for_them() {
    let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let busy = {
        let (asked, answer) = (asked.clone(), answer.clone());
        Sink::scripted(move |said| match said {
            Said::Rcpt(to) if to.starts_with("first") => {
                asked.store(true, Ordering::SeqCst);
                wait_for("leave to answer", || answer.load(Ordering::SeqCst));
                Answer::say("450 4.2.1 not now")
            }
            _ => Answer::Usual,
        })
    };
    let other = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { account: "2/h", ..Plan::to(&[&busy, &other]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.accept("s@x.example", &recipients("first", 2, "a.example"));
    wait_for("both slots to be leased", || asked.load(Ordering::SeqCst));
    let second = bed.accept("s@x.example", &recipients("second", 2, "b.example"));
    wait_for("the other to be refused a slot", || bed.why(second)[0].contains("waits for a slot"));
    assert_eq!(
        bed.why(second),
        [
            "waits for a slot: the limit account 2/h of account s@x.example is used up; when one is free cannot be said yet"
        ]
    );
    // No content left, so both slots are free again, and no clock was moved.
    answer.store(true, Ordering::SeqCst);
    wait_for("the other message to leave", || bed.states(second) == [DeliveryState::Delivered; 2]);
}

#[test]
fn a_destination_that_asked_for_patience_is_left_alone_whatever_slots_come_back() {
    let (slow, patient) = Sink::impatient();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&slow]), &folder.path().join("q"), &clock);
    let first = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    wait_for("the refusal", || bed.run(bed.store.message(first)).unwrap().unwrap().1[0].attempts == 1);
    patient.store(true, Ordering::SeqCst);
    let said = clock.now();
    let mails = || slow.commands().iter().filter(|line| line.starts_with("MAIL")).count();
    for n in 0..29 {
        // Each gives its slots back as long as nothing leaves; and all are retried long before the pause is over.
        let id = bed.accept("t@x.example", &recipients(&format!("n{n}"), 1, "a.example"));
        clock.advance(10_000);
        bed.poke();
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(mails(), 1, "{} s after it asked for patience", (clock.now().boot.0 - said.boot.0) / 1_000);
        assert!(bed.why(id)[0].contains("is left alone until"), "{:?}", bed.why(id));
        assert!(bed.why(id)[0].contains("rate limited due to IP reputation"), "{:?}", bed.why(id));
    }
    bed.until_empty(60);
    assert_eq!(slow.accepted().len(), 30);
}

/// Until so many are here at once.
struct Meeting(Mutex<u32>, Condvar);

impl Meeting {
    fn of(&self, many: u32) {
        let mut here = self.0.lock().unwrap();
        *here += 1;
        self.1.notify_all();
        let (_here, late) = self.1.wait_timeout_while(here, PATIENCE, |here| *here < many).unwrap();
        assert!(!late.timed_out(), "they never were there at once");
    }
}

#[test]
fn a_destination_that_lets_few_connections_in_is_given_more_again() {
    let (narrow, meet) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let meeting = Arc::new(Meeting(Mutex::new(0), Condvar::new()));
    let connected = AtomicU32::new(0);
    let sink = {
        let (narrow, meet, meeting) = (narrow.clone(), meet.clone(), meeting.clone());
        Sink::scripted(move |said| match said {
            Said::Connect if connected.fetch_add(1, Ordering::SeqCst) > 0 && narrow.load(Ordering::SeqCst) => {
                Answer::say("421 4.7.0 too many connections")
            }
            Said::Content(..) if meet.load(Ordering::SeqCst) => {
                meeting.of(3);
                Answer::Usual
            }
            Said::Content(..) => Answer::After(Duration::from_millis(200), Box::new(Answer::Usual)),
            _ => Answer::Usual,
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    let three = |mark: &str| {
        bed.close(GateKind::All, ""); // so that all of them want to leave at once
        for n in 0..3 {
            bed.accept(&format!("s{n}@x.example"), &recipients(&format!("{mark}{n}"), 1, "a.example"));
        }
        bed.open(GateKind::All, "");
    };
    three("few");
    sink.wait_accepted(3);
    let tried = sink.connections();
    assert!(tried > 1, "more than one was tried");
    // It lets them in again, and after a minute it is asked.
    narrow.store(false, Ordering::SeqCst);
    meet.store(true, Ordering::SeqCst);
    clock.advance(MINUTE_MS + 1_000);
    three("many");
    bed.until_empty(120);
    assert_eq!(sink.accepted().len(), 6, "the three went side by side");
}

#[test]
fn pace_is_named_with_its_rate_and_the_time() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { adjust: |written| written.pace.egress = "1/m burst 1".parse().ok(), ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    sink.wait_accepted(1);
    let second = bed.accept("s@x.example", &recipients("second", 1, "a.example"));
    wait_for("it to say why it waits", || bed.why(second)[0].starts_with("waits for pace: 1/m burst 1 of egress 127."));
    assert!(bed.why(second)[0].contains("; the next goes at 2030-"), "{:?}", bed.why(second));
    // Mail of another account to the same place says so too.
    let third = bed.accept("t@x.example", &recipients("third", 1, "a.example"));
    wait_for("it to say so too", || bed.why(third)[0].starts_with("waits for pace: 1/m burst 1 of egress 127."));
    bed.until_empty(130);
}

#[test]
fn a_flush_tries_a_dead_next_hop_at_once() {
    let address = SocketAddr::from((own_address(), 2525));
    let nobody = Sink::start(); // to be routed to in its place
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { next_hops: vec![address], ..Plan::to(&[&nobody]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    wait_for("it to be put off", || {
        bed.run(bed.store.message(id)).unwrap().unwrap().1[0]
            .last_reply
            .as_ref()
            .is_some_and(|r| r.contains("not reached"))
    });
    let sink = Sink::start_at(address, None, |_| Answer::Usual);
    bed.run(bed.engine.flush(Filter::default())).unwrap();
    sink.wait_accepted(1); // the clock stood still
    bed.until_empty(10);
}

#[test]
fn a_flood_leaves_the_turn_and_the_last_slots_to_others() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan =
        Plan { egress: "100/h", adjust: |written| written.delivery.routes[0].concurrency = 1, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.close(GateKind::All, "");
    for n in 0..300 {
        bed.accept("flood@x.example", &recipients(&format!("f{n}"), 1, "a.example"));
    }
    let letter = bed.accept("letter@x.example", &recipients("letter", 1, "a.example"));
    bed.open(GateKind::All, "");
    wait_for("the letter", || bed.states(letter) == [DeliveryState::Delivered]);
    let before = sink.accepted().iter().position(|arrival| arrival.mail_from.starts_with("letter")).unwrap();
    assert!(before <= 2, "{before} of the flood went first");
    // The flood takes what it may of the hour, and another's letter has a slot of the last tenth.
    sink.wait_accepted(90);
    wait_for("the flood to be stopped", || {
        bed.waits().values().flatten().any(|why| why.contains("the limit egress 100/h"))
    });
    assert_eq!(sink.accepted().len(), 90);
    let late = bed.accept("late@x.example", &recipients("late", 1, "a.example"));
    wait_for("the late letter", || bed.states(late) == [DeliveryState::Delivered]);
    assert_eq!(sink.accepted().len(), 91);
}

#[test]
fn what_an_egress_keeps_for_others_leaves_by_its_sibling() {
    let sink = Sink::start();
    let egresses = vec![IpAddr::from(own_address()), IpAddr::from(own_address())];
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { egress: "20/h", egresses: egresses.clone(), ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let by = |egress: IpAddr| sink.accepted().iter().filter(|arrival| arrival.egress == egress).count();
    // Two accounts are active at the first egress, and one of them has had its share of it.
    bed.close(GateKind::Egress, &egresses[1].to_string());
    bed.accept("other@x.example", &recipients("other", 1, "a.example"));
    sink.wait_accepted(1);
    for n in 0..30 {
        bed.accept("busy@x.example", &recipients(&format!("n{n}"), 1, "a.example"));
    }
    sink.wait_accepted(18);
    wait_for("the rest to wait", || bed.waits().values().flatten().any(|why| why.contains("the limit egress 20/h")));
    assert_eq!((by(egresses[0]), by(egresses[1])), (18, 0));
    // The other egress has all its slots; no clock is moved.
    bed.open(GateKind::Egress, &egresses[1].to_string());
    sink.wait_accepted(31);
    assert_eq!((by(egresses[0]), by(egresses[1])), (18, 13));
    wait_for("all outcomes to be stored", || bed.unended() == 0);
    // Mail that one of them refuses and the other takes goes on while both are open.
    bed.accept("busy@x.example", &recipients("last", 5, "a.example"));
    sink.wait_accepted(32);
    assert_eq!(by(egresses[1]), 14);
}

#[test]
fn a_limit_of_one_route_stops_that_route_alone() {
    let (limited, free) = (Sink::start(), Sink::start());
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        adjust: |written| {
            written.limits.overrides = vec![Override {
                applies_to: AppliesTo::Route { route: "to-a".into(), kind: KeyKind::Account },
                rates: vec!["1/h".parse().unwrap()],
                count: None,
                margin: None,
            }];
        },
        ..Plan::to(&[&limited, &free])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    limited.wait_accepted(1);
    let waits = bed.accept("s@x.example", &recipients("second", 1, "a.example"));
    wait_for("it to wait", || bed.why(waits)[0].contains("waits for a slot"));
    bed.accept("s@x.example", &recipients("by-another-way", 1, "b.example"));
    free.wait_accepted(1);
    assert_eq!(bed.states(waits), [DeliveryState::Waiting]);
}

#[test]
fn each_message_knows_when_it_will_leave() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan { account: "3/m", ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let ids: Vec<_> = (0..12).map(|n| bed.accept("s@x.example", &recipients(&n.to_string(), 1, "a.example"))).collect();
    sink.wait_accepted(3);
    wait_for("the rest to wait", || ids[3..].iter().all(|id| bed.why(*id)[0].contains("the limit account 3/m")));
    let began = clock.now().wall.0;
    let expected = |id| bed.run(bed.engine.explain(id)).unwrap()[0].expected.expect("a time is told").0;
    let told: Vec<u64> = ids[3..].iter().map(|id| expected(*id)).collect();
    for (n, told) in told.iter().enumerate() {
        // Three leave each minute, and a thousandth of it later.
        let (turn, before) = (n as u64 / 3 + 1, told - began);
        assert!(before >= turn * 60_000 && before <= turn * 60_060, "{n}: in {before} ms, of {told:?}");
    }
    assert!(told.is_sorted(), "{told:?}");
    // None leaves before it was told to.
    let mut left = 3;
    while left < 12 {
        clock.advance(500);
        bed.poke();
        std::thread::sleep(Duration::from_millis(10));
        let now = clock.now().wall.0;
        let arrived = sink.accepted().len();
        assert!(arrived == left || told[arrived - 4] <= now + 1_000, "{arrived} left by {now}, told {told:?}");
        left = arrived;
    }
}

#[test]
fn too_much_waiting_mail_is_refused_with_the_time_of_room() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        account: "4/m", // within half of the hour that mail may wait here, not quite 120 leave
        adjust: |written| written.dispatch.waiting.deliveries_max = 150,
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.close(GateKind::All, "");
    let admits = |account: &str, recipients| {
        let answer = outguard::intake::Queue::admit(&*bed.engine, &Account::named(account), recipients);
        answer.map_err(|refusal| {
            let mut bytes = Vec::new();
            refusal.reply().write(&mut bytes);
            String::from_utf8(bytes).unwrap()
        })
    };
    bed.accept("s@x.example", &recipients("r", 100, "a.example"));
    assert_eq!(admits("s@x.example", 19), Ok(()));
    assert_eq!(admits("t@x.example", 50), Ok(()), "others go on");
    // Nobody knows when a person opens a gate.
    let (of_it, in_all) = (admits("s@x.example", 20).unwrap_err(), admits("t@x.example", 51).unwrap_err());
    let gated = "and a gate that a person closed holds them; try later\r\n";
    assert_eq!(of_it, format!("452 4.7.1 100 deliveries of this account are waiting, {gated}"));
    assert_eq!(in_all, format!("452 4.3.1 100 deliveries are waiting in all, {gated}"));
    // What leaves makes room.
    bed.open(GateKind::All, "");
    sink.wait_accepted(1);
    wait_for("four to have left", || admits("s@x.example", 23) == Ok(()));
    let refusal = admits("s@x.example", 24).unwrap_err();
    let told = "452 4.7.1 96 deliveries of this account are waiting; as the limits go there is room about 2030-";
    assert!(refusal.starts_with(told) && refusal.ends_with(" or later\r\n"), "{refusal}");
    let refusal = admits("t@x.example", 55).unwrap_err();
    let told = "452 4.3.1 96 deliveries are waiting in all; as the limits go there is room about 2030-";
    assert!(refusal.starts_with(told), "all together have enough: {refusal}");
    bed.close(GateKind::Egress, &plan.egresses[0].to_string());
    assert!(admits("s@x.example", 24).unwrap_err().ends_with(gated), "its only egress is closed");
}

#[test]
fn a_refusal_names_the_latest_time_where_messages_are_counted() {
    let (sink, nobody) = (Sink::start(), SocketAddr::from((own_address(), 2525)));
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        account: "4 messages/m",
        next_hops: vec![nobody],
        adjust: |written| written.dispatch.waiting.account_deliveries_max = Some(100),
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let full = |bed: &Bed| {
        let refusal = outguard::intake::Queue::admit(&*bed.engine, &Account::named("s@x.example"), 9).unwrap_err();
        let mut bytes = Vec::new();
        refusal.reply().write(&mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    bed.accept("s@x.example", &recipients("r", 100, "a.example"));
    // Nine more fit once nine have left: three windows at the latest, for a message has one or more.
    let said = full(&bed);
    let told = "452 4.7.1 100 deliveries of this account are waiting; as the limits go there is room by 2030-";
    assert!(said.starts_with(told), "{said}");
    bed.reload(&Plan { account: "0/m", ..plan });
    let said = full(&bed);
    let told = "452 4.7.1 100 deliveries of this account are waiting, and the limits let none leave; try later\r\n";
    assert_eq!(said, told);
}
