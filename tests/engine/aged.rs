//! As old as mail may become: it ends, whatever it waits for and whoever holds it, and somebody is told.

use std::time::{Duration, Instant};

use outguard::delivery::settings::RouteKind;
use outguard::event::Event;
use outguard::guard::{Decision, Verdict};
use outguard::mail::{Address, QueueId, Ret};
use outguard::store::{DeliveryState, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, Written, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Lets so many hours pass, one at a time. A machine that is slow to look may miss some of them, but not the last.
fn hours(bed: &Bed, count: u64) {
    for _ in 0..count {
        bed.clock.advance(HOUR_MS);
        bed.poke();
        std::thread::sleep(Duration::from_millis(8));
    }
}

/// Lets so many hours pass, by which it is so; for a machine that missed some, a day more, an hour in two seconds.
fn within_hours(bed: &Bed, count: u64, what: &str, is_so: impl Fn() -> bool) {
    hours(bed, count);
    let (begun, mut further) = (Instant::now(), 0);
    wait_for(what, || {
        if begun.elapsed().as_secs() / 2 > further && further < 24 {
            further += 1;
            hours(bed, 1);
        }
        is_so()
    });
}

fn held(bed: &Bed, from: &str, mark: &str) -> QueueId {
    bed.accept_as(from, &recipients(mark, 1, "a.example"), None, |acceptance| {
        acceptance.verdict = Verdict { decision: Decision::Hold, score_points: 90, reasons: Vec::new() };
        acceptance.envelope.ret = Some(Ret::Full);
    })
}

fn is_to(event: &Event, whom: &str) -> bool {
    matches!(event, Event::DsnQueued { to, .. } if to == whom)
}

#[test]
fn what_nobody_releases_ends_and_only_its_own_senders_are_told() {
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let adjust = |written: &mut Written| {
        written.dispatch.retry.age_ms_max = 3 * DAY_MS;
        written.delivery.dsn.own_domains = vec!["own.example".into()];
        written.delivery.dsn.operator = Some(Address::parse(b"op@ops.example").unwrap());
    };
    let plan = Plan { adjust, ..Plan::to(&[&reports]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let (own, foreign) = (held(&bed, "s@own.example", "own"), held(&bed, "s@else.example", "foreign"));
    hours(&bed, 71);
    assert_eq!((bed.states(own), bed.states(foreign)), (vec![DeliveryState::Held], vec![DeliveryState::Held]));
    let young = held(&bed, "s@own.example", "young");
    hours(&bed, 2);
    wait_for("both ends", || {
        bed.states(own) == [DeliveryState::Bounced] && bed.states(foreign) == [DeliveryState::Bounced]
    });
    assert_eq!(bed.states(young), [DeliveryState::Held], "it has its own three days");
    let mut told = reports.wait_accepted(2);
    told.sort_by_key(|report| report.recipients.clone());
    for (report, (to, of)) in told.iter().zip([("op@ops.example", "foreign-0"), ("s@own.example", "own-0")]) {
        assert_eq!(report.recipients, [to]);
        let text = report.text();
        assert!(text.contains("held for review by this relay"), "{text}");
        assert!(text.contains(&format!("Final-Recipient: rfc822; {of}@a.example\r\n")), "{text}");
        assert!(text.contains("Action: failed\r\nStatus: 5.7.1\r\n"), "{text}");
        assert!(text.contains("Subject: x") && !text.contains("hello"), "the header alone, though RET=FULL: {text}");
    }
    let events = bed.events();
    assert!(events.iter().any(|event| is_to(event, "s@own.example")), "{events:?}");
    assert!(
        events.iter().any(|event| matches!(event, Event::DsnToOperator { of, reason, .. }
            if *of == foreign.to_string() && reason.contains("its sender is of no own domain"))),
        "{events:?}"
    );
}

#[test]
fn what_came_before_the_clock_was_set_has_no_age() {
    let reports = Sink::scripted(|said| match said {
        Said::Rcpt(to) if to.contains("waits-") => Answer::say("451 4.3.0 later"),
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan::to(&[&reports]);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    // Booted in 1970, and filled before a time server answered.
    clock.step_wall(-(50 * 365 * i64::try_from(DAY_MS).unwrap()));
    clock.synchronise(false);
    let kept = held(&bed, "s@x.example", "kept");
    bed.close(GateKind::All, "");
    let waits = bed.accept("s@x.example", &recipients("waits", 1, "a.example"));
    clock.step_wall(50 * 365 * i64::try_from(DAY_MS).unwrap());
    clock.synchronise(true);
    let dated = held(&bed, "s@x.example", "dated");
    // Restarted, so that nothing is known but what is stored; its first attempt fails.
    drop(bed);
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    hours(&bed, 48);
    assert_eq!((bed.states(kept), bed.states(waits)), (vec![DeliveryState::Held], vec![DeliveryState::Waiting]));
    bed.open(GateKind::All, "");
    let attempts = || bed.run(bed.store.message(waits)).unwrap().expect("the journal keeps it").1[0].attempts;
    wait_for("its first attempt", || attempts() > 0);
    // Not its end, and where the machine stood still for five seconds it is tried again this moment.
    let goes_on = || matches!(bed.states(waits)[..], [DeliveryState::Waiting | DeliveryState::UnderWay]);
    assert!(goes_on(), "a failure is not its end");
    clock.advance(31 * DAY_MS);
    hours(&bed, 26);
    wait_for("the dated one ends", || bed.states(dated) == [DeliveryState::Bounced]);
    assert_eq!(bed.states(kept), [DeliveryState::Held], "it has no age");
    assert!(goes_on(), "it has what its retries last");
}

#[test]
fn a_wall_clock_set_far_ahead_ends_nothing_for_a_day() {
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&reports]), &folder.path().join("q"), &clock);
    let id = held(&bed, "s@x.example", "kept");
    hours(&bed, 1);
    clock.step_wall(i64::try_from(31 * DAY_MS).unwrap());
    hours(&bed, 23);
    assert_eq!(bed.states(id), [DeliveryState::Held]);
    clock.step_wall(-i64::try_from(31 * DAY_MS).unwrap());
    hours(&bed, 26);
    assert_eq!(bed.states(id), [DeliveryState::Held], "the clock was set right in time");
    clock.step_wall(i64::try_from(31 * DAY_MS).unwrap());
    within_hours(&bed, 27, "its end", || bed.states(id) == [DeliveryState::Bounced]);
}

fn waits_for_slots(written: &mut Written) {
    written.limits.account = vec!["1/31d".parse().unwrap()];
}

fn without_login(written: &mut Written) {
    let RouteKind::Smarthost(smarthost) = &mut written.delivery.routes[0].kind else { panic!("it is a smarthost") };
    let lines = b"@shop.example box@shop.example secret";
    smarthost.credentials = outguard::delivery::credentials::Credentials::parse(lines).unwrap();
    smarthost.tls = outguard::delivery::TlsMode::Required;
}

fn as_it_is(_: &mut Written) {}

#[test]
fn whatever_it_waits_for_it_ends_and_the_sender_hears_for_what() {
    // What is written otherwise, the gate before it, how many leave before it waits, and what is told of it.
    type Case = (fn(&mut Written), Option<GateKind>, usize, &'static str);
    let cases: [Case; 5] = [
        (as_it_is, Some(GateKind::Account), 0, "it was held by the operator of this relay"),
        (as_it_is, Some(GateKind::Egress), 0, "it was held by the operator of this relay"),
        (as_it_is, Some(GateKind::All), 0, "it was held by the operator of this relay"),
        (waits_for_slots, None, 1, "it waited for its turn under the limits of this relay"),
        (without_login, None, 0, "this relay has no way to deliver it"),
    ];
    for (adjust, gate, leave, told) in cases {
        let sink = Sink::start();
        let (folder, clock) = (folder(), TestClock::new());
        let plan = Plan { adjust, ..Plan::to(&[&sink]) };
        let place = folder.path().join("q");
        let bed = Bed::start(&plan, &place, &clock);
        let egress = plan.egresses[0].to_string();
        match gate {
            Some(GateKind::Account) => bed.close(GateKind::Account, "s@x.example"),
            Some(GateKind::Egress) => bed.close(GateKind::Egress, &egress),
            Some(GateKind::All) => bed.close(GateKind::All, ""),
            None => {}
        }
        for n in 0..leave {
            bed.accept("s@x.example", &recipients(&format!("leaves{n}"), 1, "a.example"));
        }
        sink.wait_accepted(leave);
        let id = bed.accept("s@x.example", &recipients("waits", 1, "a.example"));
        // The age is that of the clock, however often it is started again.
        clock.advance(29 * DAY_MS / 2);
        drop(bed);
        let bed = Bed::start(&plan, &place, &clock);
        clock.advance(29 * DAY_MS / 2 - HOUR_MS);
        hours(&bed, 1);
        assert_eq!(bed.states(id), [DeliveryState::Waiting], "{told}");
        clock.advance(DAY_MS);
        hours(&bed, 2);
        wait_for("its end", || bed.states(id) == [DeliveryState::Bounced]);
        let bounced = bed.events().into_iter().find_map(|event| match event {
            Event::Bounced { id: of, reply, dsn, .. } if of == id.to_string() => Some((reply, dsn)),
            _ => None,
        });
        let (reply, dsn) = bounced.expect("it is in the journal");
        assert_eq!(reply, format!("not delivered within the age that mail may reach: {told}"));
        // What was held is told to own domains alone, and this sender is of none.
        assert_eq!(dsn.is_some(), gate.is_none(), "{told}");
        let in_its_place = |event: &Event| matches!(event, Event::DsnToOperator { of, .. } if *of == id.to_string());
        if gate.is_some() {
            wait_for("its event", || bed.events().iter().any(in_its_place));
        }
    }
}

#[test]
fn people_are_reminded_once_a_day_while_anything_is_held() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let (plan, place) = (Plan::to(&[&sink]), folder.path().join("q"));
    let bed = Bed::start(&plan, &place, &clock);
    let told_of = |bed: &Bed| {
        let reminder = |event| match event {
            Event::HeldReminder { held, oldest, behind_gates, gates, .. } => Some((held, oldest, behind_gates, gates)),
            _ => None,
        };
        bed.events().into_iter().filter_map(reminder).collect::<Vec<_>>()
    };
    hours(&bed, 30);
    assert_eq!(reminders(&bed), 0, "nothing is held");
    let first = held(&bed, "s@x.example", "first");
    held(&bed, "s@x.example", "second");
    bed.until_told_of_held();
    assert_eq!(told_of(&bed), [(2, Some(first.to_string()), 0, Vec::new())]);
    hours(&bed, 19);
    drop(bed);
    let bed = Bed::start(&plan, &place, &clock);
    hours(&bed, 2);
    assert_eq!(reminders(&bed), 1, "not twice a day, and a restart is no new day");
    bed.run(bed.engine.remove(first, "test".into())).unwrap();
    bed.close(GateKind::Account, "t@x.example");
    bed.accept("t@x.example", &recipients("third", 3, "a.example"));
    hours(&bed, 3); // a day after the first
    wait_for("the second", || reminders(&bed) == 2);
    let told = told_of(&bed);
    let [_, (1, Some(oldest), 3, gates)] = &told[..] else { panic!("{told:?}") };
    assert_ne!(*oldest, first.to_string());
    assert_eq!(gates[..], ["account t@x.example by root: test".to_owned()]);
}

/// How often people were told of what is held.
fn reminders(bed: &Bed) -> usize {
    bed.events().iter().filter(|event| matches!(event, Event::HeldReminder { .. })).count()
}

#[test]
fn nothing_that_is_held_ends_before_people_had_a_day_to_look() {
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let (plan, place) = (Plan::to(&[&reports]), folder.path().join("q"));
    let bed = Bed::start(&plan, &place, &clock);
    bed.close(GateKind::Account, "t@x.example");
    let ids = [held(&bed, "s@x.example", "held"), bed.accept("t@x.example", &recipients("gated", 1, "a.example"))];
    let before = reminders(&bed);
    drop(bed);
    // As a version that told nobody leaves them.
    rusqlite::Connection::open(place.join("queue.db")).unwrap().execute("DELETE FROM memory", ()).unwrap();
    clock.advance(40 * DAY_MS);
    let bed = Bed::start(&plan, &place, &clock);
    let states = || ids.map(|id| bed.states(id)[0]);
    wait_for("the first word of it", || reminders(&bed) > before);
    hours(&bed, 23);
    assert_eq!(states(), [DeliveryState::Held, DeliveryState::Waiting]);
    hours(&bed, 2);
    wait_for("their end", || states() == [DeliveryState::Bounced; 2]);
}

#[test]
fn much_that_is_too_old_ends_a_piece_at_a_time_and_a_panic_stops_none_of_it() {
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&reports]), &folder.path().join("q"), &clock);
    // From several sides at once, so that syncs are shared.
    std::thread::scope(|scope| {
        for side in 0..20 {
            let bed = &bed;
            scope.spawn(move || {
                for n in 0..73 {
                    held(bed, "s@x.example", &format!("{side}-{n}"));
                }
            });
        }
    });
    bed.until_told_of_held();
    clock.advance(31 * DAY_MS);
    bed.poke();
    let left = || bed.run(bed.store.totals()).unwrap().held;
    // They last a second each, and six have more behind them: a machine that is late sees one of the later ones.
    wait_for("a pause", || {
        let before = left();
        std::thread::sleep(Duration::from_millis(200));
        before < 1_460 && before > 60 && before % 200 == 60 && left() == before
    });
    // It goes on behind the one over which it stumbles, at once: no further hour passes.
    clock.panic_in("engine/reports.rs");
    wait_for("the rest to end", || left() == 0);
    assert!(clock.has_panicked());
    assert_eq!(reminders(&bed), 2, "and nobody is told twice of a day");
}

#[test]
fn the_file_says_how_old_mail_may_become_and_who_is_told() {
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let (host, port) = (reports.address().ip(), reports.address().port());
    let text = format!(
        "[retry]\nage_max = \"6d\"\nexpiry = \"5d\"\n[dsn]\nown_domains = [\"*.own.example\"]\n\
         [[route]]\nsmarthost = \"{host}:{port}\"\ntls = \"none\"\n"
    );
    let bed = Bed::start_from_file(&text, &folder.path().join("q"), &clock);
    let (own, foreign) = (held(&bed, "s@shop.own.example", "own"), held(&bed, "s@own.example", "foreign"));
    bed.close(GateKind::Account, "w@own.example");
    let waits = bed.accept("w@own.example", &recipients("waits", 1, "a.example"));
    bed.close(GateKind::Account, "w@shop.own.example");
    let own_waits = bed.accept("w@shop.own.example", &recipients("waits-too", 1, "a.example"));
    bed.until_told_of_held();
    clock.advance(6 * DAY_MS - 2 * HOUR_MS);
    hours(&bed, 2);
    for id in [own, foreign, waits, own_waits] {
        wait_for("its end", || bed.states(id) == [DeliveryState::Bounced]);
    }
    let mut told: Vec<_> = reports.wait_accepted(2).iter().map(|report| report.recipients.clone()).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [["s@shop.own.example"], ["w@shop.own.example"]],
        "and of the foreign ones only the journal tells"
    );
    for id in [foreign, waits] {
        let tells = |event: &Event| matches!(event, Event::DsnToOperator { of, .. } if *of == id.to_string());
        wait_for("its event", || bed.events().iter().any(tells));
    }
}
