//! How mail ends that does not leave: not while it is held, not in the middle of a stop, and with words that say why.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use outguard::clock::Clock as _;
use outguard::delivery::settings::{MxSettings, RouteKind, RouteMatch};
use outguard::delivery::{RouteSettings, TlsMode};
use outguard::event::Event;
use outguard::mail::BodyType;
use outguard::store::{DeliveryState, GateKind, Reads as _};

use crate::bed::{Bed, Plan, TestClock, Written, dns_address, folder, recipients};
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Arrival, Said, Sink};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Refuses recipients as long as it is told to.
fn refusing(refuses: &Arc<AtomicBool>, reply: &'static str) -> Sink {
    let refuses = refuses.clone();
    Sink::scripted(move |said| match said {
        Said::Rcpt(to) if refuses.load(Ordering::SeqCst) && !to.starts_with("s@") => Answer::say(reply),
        _ => Answer::Usual,
    })
}

fn attempts(bed: &Bed, id: outguard::mail::QueueId) -> u32 {
    bed.run(bed.store.message(id)).unwrap().unwrap().1[0].attempts
}

#[test]
fn what_is_held_does_not_expire_and_is_tried_when_it_is_free_again() {
    for kind in [GateKind::All, GateKind::Account, GateKind::Egress] {
        let refuses = Arc::new(AtomicBool::new(true));
        let sink = refusing(&refuses, "450 4.2.1 later");
        let (folder, clock) = (folder(), TestClock::new());
        let plan = Plan::to(&[&sink]);
        let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
        let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
        wait_for("the first attempt", || attempts(&bed, id) == 1);
        let key = match kind {
            GateKind::All => String::new(),
            GateKind::Account => "s@x.example".to_owned(),
            GateKind::Egress => plan.egresses[0].to_string(),
        };
        bed.close(kind, &key);
        // Retries become due behind it, and lives would be over many times.
        for _ in 0..20 {
            clock.advance(DAY_MS);
            bed.poke();
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!((bed.states(id), attempts(&bed, id)), (vec![DeliveryState::Waiting], 1), "{kind:?}");
        let before = match kind {
            GateKind::All => "all mail".to_owned(),
            GateKind::Account | GateKind::Egress => format!("{} {key}", kind.as_str()),
        };
        let why = format!("held by a gate before {before}, closed by root: test; it stays until it is opened");
        assert_eq!(bed.why(id), [why]);
        refuses.store(false, Ordering::SeqCst);
        bed.open(kind, &key);
        bed.until_empty(60);
        assert_eq!(bed.states(id), [DeliveryState::Delivered], "{kind:?}");
    }
}

#[test]
fn a_life_that_is_over_while_it_is_held_does_not_end_there() {
    let address = SocketAddr::from((own_address(), 2525));
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        next_hops: vec![reports.address(), address],
        adjust: |written| {
            // The second wait of the next hop ends after a life.
            written.dispatch.retry.first_wait_ms = HOUR_MS / 2;
            written.dispatch.retry.wait_ms_max = HOUR_MS;
        },
        ..Plan::to(&[&reports])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    bed.close(GateKind::All, ""); // so that they are put off together
    let held = bed.accept("held@x.example", &recipients("held", 1, "b.example"));
    let free = bed.accept("free@x.example", &recipients("free", 1, "b.example"));
    bed.open(GateKind::All, "");
    let spent = |id| bed.run(bed.store.message(id)).unwrap().unwrap().1[0].spent_ms;
    wait_for("both to be put off beyond their lives", || {
        clock.advance(HOUR_MS / 20);
        bed.poke();
        spent(held) > HOUR_MS && spent(free) > HOUR_MS
    });
    bed.close(GateKind::Account, "held@x.example");
    for _ in 0..30 {
        clock.advance(HOUR_MS / 6);
        bed.poke();
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_for("the free one to end", || bed.states(free) == [DeliveryState::Bounced]);
    assert_eq!(bed.states(held), [DeliveryState::Waiting]);
    let sink = Sink::start_at(address, None, |_| Answer::Usual);
    bed.open(GateKind::Account, "held@x.example");
    sink.wait_accepted(1);
    bed.until_empty(60);
    assert_eq!(bed.states(held), [DeliveryState::Delivered]);
}

#[test]
fn nothing_waits_longer_than_the_age_that_mail_may_reach() {
    let refuses = Arc::new(AtomicBool::new(true));
    let sink = refusing(&refuses, "450 4.2.1 later");
    let (folder, clock) = (folder(), TestClock::new());
    let adjust = |written: &mut Written| {
        written.dispatch.retry.wait_ms_max = 40 * DAY_MS;
        written.delivery.dsn.own_domains = vec!["x.example".into()];
    };
    let plan = Plan { adjust, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    wait_for("the first attempt", || attempts(&bed, id) == 1);
    bed.close(GateKind::Account, "s@x.example");
    bed.until_told_of_held();
    clock.advance(31 * DAY_MS);
    bed.poke();
    wait_for("its end", || bed.states(id) == [DeliveryState::Bounced]);
    let text = sink.wait_accepted(1)[0].text();
    assert!(text.contains("not delivered within the age that mail may reach"), "{text}");
    assert!(!text.contains("Last-Attempt-Date"), "it was tried a month ago: {text}");
}

#[test]
fn what_was_never_tried_ends_at_that_age_too() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let adjust = |written: &mut Written| written.delivery.dsn.own_domains = vec!["x.example".into()];
    let bed = Bed::start(&Plan { adjust, ..Plan::to(&[&sink]) }, &folder.path().join("q"), &clock);
    bed.close(GateKind::Account, "s@x.example");
    let old = bed.accept("s@x.example", &recipients("old", 2, "a.example"));
    bed.until_told_of_held();
    clock.advance(20 * DAY_MS);
    let young = bed.accept("s@x.example", &recipients("young", 1, "a.example"));
    clock.advance(10 * DAY_MS);
    bed.poke();
    wait_for("its end", || bed.states(old) == [DeliveryState::Bounced; 2]);
    let text = sink.wait_accepted(1)[0].text();
    assert!(
        text.contains("not delivered within the age that mail may reach") && text.contains("Status: 5.7.1"),
        "{text}"
    );
    assert_eq!(bed.states(young), [DeliveryState::Waiting]);
}

#[test]
fn a_life_is_what_was_free_to_leave_and_ends_with_an_attempt() {
    let sink = refusing(&Arc::new(AtomicBool::new(true)), "450 4.2.1 mailbox busy");
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        account: "1/3h", // a wait for a slot is longer than a life, and does not count as one
        adjust: |written| {
            written.limits.count_refused = outguard::limits::CountRefused::Yes;
            written.dispatch.retry.wait_ms_max = HOUR_MS;
            written.dispatch.retry.expiry_ms = HOUR_MS;
            written.dispatch.retry.first_wait_ms = HOUR_MS / 4;
            written.dispatch.retry.jitter_percent = 0;
        },
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    let began = clock.now();
    for _ in 0..2_000 {
        if bed.states(id) == [DeliveryState::Bounced] {
            break;
        }
        clock.advance(60_000);
        bed.poke();
        std::thread::sleep(Duration::from_millis(5));
    }
    // After 15 and 30 minutes, and after the last quarter of the hour: three waits, and an attempt at the end of each.
    assert_eq!((bed.states(id), attempts(&bed, id)), (vec![DeliveryState::Bounced], 4));
    assert!(clock.now().wall.0 - began.wall.0 >= 9 * HOUR_MS, "it waited for slots three times");
    let text = sink.wait_accepted(1)[0].text();
    assert!(text.contains("too old to be tried again"), "{text}");
    assert!(text.contains("Status: 4.2.1\r\n"), "{text}");
    assert!(text.contains("Diagnostic-Code: smtp; 450 4.2.1 mailbox busy"), "{text}");
}

/// A delay was told just before the attempt that was due: the sender heard of it and had an answer a minute later.
#[test]
fn a_delay_is_told_once_an_attempt_failed_and_not_before_one_that_may_succeed() {
    let refuses = Arc::new(AtomicBool::new(true));
    let sink = refusing(&refuses, "450 4.2.1 mailbox busy");
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        adjust: |written| {
            written.dispatch.retry.delay_notice_ms = 2 * HOUR_MS;
            written.dispatch.retry.first_wait_ms = HOUR_MS / 2;
            written.dispatch.retry.wait_ms_max = 8 * HOUR_MS;
            written.dispatch.retry.expiry_ms = DAY_MS;
            written.dispatch.retry.growth_percent = 1_000;
            written.dispatch.retry.jitter_percent = 0;
        },
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let tried = |id, count| {
        for _ in 0..2_000 {
            if attempts(&bed, id) == count {
                return;
            }
            clock.advance(60_000);
            bed.poke();
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{id} was not tried {count} times");
    };
    let arrives = bed.accept("s@x.example", &recipients("arrives", 1, "a.example"));
    tried(arrives, 2); // at once, and after half an hour
    refuses.store(false, Ordering::SeqCst);
    tried(arrives, 3); // at two hours, when the delay would have been told
    refuses.store(true, Ordering::SeqCst);
    let accepted = clock.now();
    let waits = bed.accept("s@x.example", &recipients("waits", 1, "b.example"));
    let arrivals = loop {
        let arrivals = sink.accepted();
        if arrivals.len() > 1 {
            break arrivals;
        }
        clock.advance(60_000);
        bed.poke();
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!((bed.states(arrives), attempts(&bed, waits)), (vec![DeliveryState::Delivered], 3));
    let waited_ms = clock.now().wall.0 - accepted.wall.0;
    assert!((2 * HOUR_MS..3 * HOUR_MS).contains(&waited_ms), "it did not wait for hours more: {waited_ms}");
    let text = arrivals[1].text();
    assert!(text.contains("Action: delayed\r\n") && text.contains("<waits-0@b.example>"), "{text}");
    assert!(text.contains("Last-Attempt-Date: ") && text.contains("Remote-MTA: dns; "), "{text}");
}

#[test]
fn what_was_never_reached_says_so_in_delays_and_at_the_end() {
    let nobody = SocketAddr::from((own_address(), 2525));
    let reports = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let plan = Plan {
        next_hops: vec![reports.address(), nobody],
        adjust: |written| {
            written.dispatch.retry.delay_notice_ms = HOUR_MS / 4;
            written.dispatch.retry.wait_ms_max = HOUR_MS / 4;
            written.dispatch.retry.first_wait_ms = HOUR_MS / 4;
        },
        ..Plan::to(&[&reports])
    };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let id = bed.accept("s@x.example", &recipients("r", 1, "b.example"));
    for _ in 0..2_000 {
        if bed.states(id) == [DeliveryState::Bounced] {
            break;
        }
        clock.advance(60_000);
        bed.poke();
        std::thread::sleep(Duration::from_millis(5));
    }
    let texts: Vec<String> = reports.wait_accepted(2).iter().map(Arrival::text).collect();
    for (action, text) in ["delayed", "failed"].iter().zip(&texts) {
        assert!(text.contains(&format!("Action: {action}\r\n")), "{text}");
        assert!(text.contains("Status: 4.4.1\r\n"), "no answer is what went wrong: {text}");
        assert!(!text.contains("Diagnostic-Code"), "nobody said anything: {text}");
        assert!(!text.contains("Last-Attempt-Date"), "nobody was spoken to: {text}");
    }
    assert_eq!(texts.len(), 2);
}

/// Mail to `nomail.example` by MX, whose servers `dns` names; all other mail as ever.
fn by_mx(written: &mut Written, dns: SocketAddr) {
    written.delivery.dns.servers = vec![dns];
    let route = RouteSettings {
        name: "mx".to_owned(),
        matches: RouteMatch { recipient_domains: vec!["nomail.example".to_owned()], ..RouteMatch::default() },
        kind: RouteKind::Mx(MxSettings { port: 2525, tls: TlsMode::None }),
        egresses: Vec::new(),
        concurrency: 1,
    };
    written.delivery.routes.insert(0, route);
}

#[test]
fn a_stop_in_the_middle_of_many_bounces_goes_on_at_the_next_start() {
    let dns = Dns::start(
        dns_address(file!()),
        Zone::from([("nomail.example".to_owned(), vec![Record::Mx(0, ".".to_owned())])]),
    );
    assert_eq!(dns.address(), dns_address(file!()));
    // A machine that is through with all of them before it is stopped has more of them.
    let is_shown = [300, 3_000].into_iter().any(stops_in_the_middle);
    assert!(is_shown, "all bounced before the stop: the test is too slow or the queue too short");
}

/// Stops in the middle of so many bounces, and starts again. `false` where all bounced before the stop.
fn stops_in_the_middle(count: usize) -> bool {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let plan = Plan { adjust: |written| by_mx(written, dns_address(file!())), ..Plan::to(&[&sink]) };
    let mut bed = Bed::start(&plan, &place, &clock);
    bed.close(GateKind::All, "");
    let to: Vec<Vec<String>> = (0..count).map(|n| recipients(&format!("r{n}"), 1, "nomail.example")).collect();
    let ids: Vec<_> = to.iter().map(|to| bed.accept("s@x.example", to)).collect();
    let bounced = |bed: &Bed| ids.iter().filter(|id| bed.states(**id) == [DeliveryState::Bounced]).count();
    bed.open(GateKind::All, "");
    wait_for("the first bounce", || bed.events().iter().any(|event| matches!(event, Event::Bounced { .. })));
    bed.run(bed.engine.drain(Duration::from_mins(1)));
    let (at_the_stop, moment) = (bounced(&bed), clock.now());
    if at_the_stop == count {
        return false;
    }
    drop(bed);
    bed = Bed::start(&plan, &place, &clock);
    bed.until_empty(120);
    println!("{at_the_stop} before the stop at {moment:?}");
    assert_eq!(bounced(&bed), count);
    // Every sender is told once of each, whichever side of the stop it fell on.
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for line in sink.accepted().iter().flat_map(|report| report.text().lines().map(str::to_owned).collect::<Vec<_>>()) {
        if let Some(to) = line.strip_prefix("Final-Recipient: rfc822; ") {
            *told.entry(to.to_owned()).or_default() += 1;
        }
    }
    let all: BTreeMap<String, u32> = to.iter().map(|to| (to[0].clone(), 1)).collect();
    assert_eq!(told, all);
    true
}

#[test]
fn a_refusal_of_all_mail_is_told_to_the_operator_once_an_hour() {
    let sink = Sink::scripted(|said| match said {
        Said::Mail(_) => Answer::say("530 5.7.0 authentication required"),
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    let told = |bed: &Bed| bed.events().iter().filter(|event| matches!(event, Event::NextHopTrouble { .. })).count();
    let flood = |mark: &str| {
        let ids: Vec<_> =
            (0..30).map(|n| bed.accept("s@x.example", &recipients(&format!("{mark}{n}"), 1, "a.example"))).collect();
        wait_for("all to be tried", || ids.iter().all(|id| attempts(&bed, *id) > 0));
        // None is tried again while they are removed: the clock stands still.
        for id in ids {
            bed.run(bed.engine.remove(id, "test".into())).unwrap();
        }
    };
    flood("first");
    assert_eq!(told(&bed), 1);
    clock.advance(HOUR_MS);
    flood("second");
    assert_eq!(told(&bed), 2);
    assert_eq!(bed.unended(), 0, "and nothing bounced for it");
    assert!(!bed.events().iter().any(|event| matches!(event, Event::Bounced { .. } | Event::DsnQueued { .. })));
}

#[test]
fn eight_bit_content_that_goes_as_it_is_is_told_once_a_message() {
    let tries = Arc::new(AtomicU32::new(0));
    let sink = {
        let tries = tries.clone();
        Sink::scripted(move |said| match said {
            Said::Ehlo(_) => Answer::say("250 sink.example"),
            Said::Content(..) if tries.fetch_add(1, Ordering::SeqCst) == 0 => Answer::say("451 4.3.0 once more"),
            _ => Answer::Usual,
        })
    };
    let modern = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink, &modern]), &folder.path().join("q"), &clock);
    let declared = |acceptance: &mut outguard::store::Acceptance| acceptance.envelope.body = BodyType::EightBitMime;
    let id = bed.accept_as("s@x.example", &recipients("r", 1, "a.example"), None, declared);
    bed.accept_as("s@x.example", &recipients("r", 1, "b.example"), None, declared);
    bed.accept("s@x.example", &recipients("seven", 1, "a.example"));
    bed.until_empty(60);
    let events = bed.events();
    let told: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::EightBitAsIs { .. })).collect();
    assert!(
        matches!(&told[..], [Event::EightBitAsIs { id: of, next_hop, .. }]
            if *of == id.to_string() && next_hop.starts_with("127.")),
        "{told:?}"
    );
    assert_eq!(tries.load(Ordering::SeqCst), 3, "one was tried twice");
}
