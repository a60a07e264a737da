//! What is beyond us: content that is gone from the disk, a report that nobody takes. It is held for a person and told, and
//! nothing else waits for it.

use bytes::Bytes;
use outguard::delivery::settings::DsnSettings;
use outguard::event::Event;
use outguard::guard::{Decision, Verdict};
use outguard::mail::{Address, QueueId, ReversePath};
use outguard::store::{DeliveryState, GateKind, Reads as _, Store as _};

use crate::bed::{Bed, Plan, TestClock, Written, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A message whose body has a file of its own.
fn large(bed: &Bed, mark: &str) -> QueueId {
    bed.accept_as("s@x.example", &recipients(mark, 2, "a.example"), None, |acceptance| {
        let content = [&b"Subject: x\r\n\r\n"[..], &b"hello\r\n".repeat(20_000)].concat();
        acceptance.body = bed.run(async {
            let mut spool = bed.store.spool(acceptance.id).await.unwrap();
            spool.write(Bytes::from(content)).await.unwrap();
            spool.finish().await.unwrap()
        });
    })
}

/// The reasons of its events of being held.
fn held_for(bed: &Bed, id: QueueId) -> Vec<String> {
    let reason = |event| match event {
        Event::Held { id: of, reason, .. } if of == id.to_string() => Some(reason),
        _ => None,
    };
    bed.events().into_iter().filter_map(reason).collect()
}

#[test]
fn what_cannot_be_read_is_held_and_told_while_its_line_goes_on() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let bed = Bed::start(&Plan::to(&[&sink]), &place, &clock);
    bed.close(GateKind::Account, "s@x.example");
    let lost = large(&bed, "lost");
    let others = [large(&bed, "large"), bed.accept("s@x.example", &recipients("small", 1, "a.example"))];
    let file = place.join("spool").join(lost.to_string());
    let content = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    bed.open(GateKind::Account, "s@x.example");
    // No second of the clock passes: its line is not left alone for it.
    wait_for("it to be held", || bed.states(lost) == [DeliveryState::Held; 2]);
    sink.wait_accepted(2);
    for other in others {
        wait_for("the others", || bed.states(other).iter().all(|state| *state == DeliveryState::Delivered));
    }
    let told = held_for(&bed, lost);
    let expected = [
        "its content cannot be read: the body of ",
        "restore it from a backup (over 64 KiB it is the file spool/",
        "and release it, or remove it",
    ];
    assert!(expected.iter().all(|words| told[0].contains(words)), "{told:?}");
    assert!(bed.why(lost)[0].contains("its content cannot be read"), "{:?}", bed.why(lost));
    // Released too early it is held again; with its file it leaves.
    bed.run(bed.engine.release(lost, "root".into(), None)).unwrap();
    wait_for("it to be held again", || held_for(&bed, lost).len() == 2 * told.len());
    wait_for("it to be held again", || bed.states(lost) == [DeliveryState::Held; 2]);
    std::fs::write(&file, &content).unwrap();
    bed.run(bed.engine.release(lost, "root".into(), None)).unwrap();
    wait_for("its end", || bed.states(lost) == [DeliveryState::Delivered; 2]);
    wait_for("its file to go with it", || !file.exists()); // after the answer, in the writer's own time
}

#[test]
fn what_cannot_be_read_ends_in_time_and_its_sender_is_told() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let plan = Plan {
        adjust: |written| {
            written.dispatch.retry.age_ms_max = 3 * DAY_MS;
            written.delivery.dsn =
                DsnSettings { own_domains: vec!["x.example".into()], ..written.delivery.dsn.clone() };
        },
        ..Plan::to(&[&sink])
    };
    let bed = Bed::start(&plan, &place, &clock);
    let remove = |id: QueueId| std::fs::remove_file(place.join("spool").join(id.to_string())).unwrap();
    bed.close(GateKind::Account, "s@x.example");
    let held = large(&bed, "held");
    remove(held);
    bed.open(GateKind::Account, "s@x.example");
    wait_for("it to be held", || bed.states(held) == [DeliveryState::Held; 2]);
    bed.close(GateKind::Account, "s@x.example");
    let waits = large(&bed, "waits");
    remove(waits);
    bed.until_told_of_held();
    clock.advance(3 * DAY_MS);
    bed.poke();
    for id in [held, waits] {
        wait_for("its end", || bed.states(id) == [DeliveryState::Bounced; 2]);
    }
    let told = sink.wait_accepted(2);
    for mark in ["held", "waits"] {
        let of = format!("Final-Recipient: rfc822; {mark}-0@a.example");
        assert!(
            told.iter().any(|report| report.recipients == ["s@x.example"] && report.text().contains(&of)),
            "{mark}"
        );
    }
}

fn three_days(written: &mut Written) {
    written.dispatch.retry.age_ms_max = 3 * DAY_MS;
}

fn three_days_and_the_sender(written: &mut Written) {
    three_days(written);
    written.delivery.dsn.operator = Some(Address::parse(b"s@x.example").unwrap());
}

#[test]
fn a_flood_of_reports_to_nowhere_is_told_and_not_held() {
    let sink = Sink::scripted(|said| match said {
        Said::Rcpt(_) => Answer::say("550 5.1.1 nobody here"),
        _ => Answer::Usual,
    });
    let (folder, clock) = (folder(), TestClock::new());
    let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
    let report = |mark: &str, count, decision| {
        bed.accept_as("reports@x.example", &recipients(mark, count, "a.example"), None, |acceptance| {
            acceptance.envelope.reverse_path = ReversePath::Null;
            acceptance.verdict = Verdict { decision, score_points: 0, reasons: Vec::new() };
        })
    };
    report("held", 999, Decision::Hold);
    let thousandth = report("thousandth", 1, Decision::Send);
    wait_for("it to be held", || bed.states(thousandth) == [DeliveryState::Held]);
    let beyond = report("beyond", 1, Decision::Send);
    wait_for("its end", || bed.states(beyond) == [DeliveryState::Bounced]);
    let is_told = |event: &Event| {
        matches!(event, Event::DsnToOperator { of, reason, .. }
            if *of == beyond.to_string() && reason.contains("550 5.1.1 nobody here"))
    };
    assert_eq!(bed.events().iter().filter(|event| is_told(event)).count(), 1);
}

#[test]
fn a_report_that_fails_is_held_where_nobody_can_be_sent_it() {
    // Who is operator, and why the report is held.
    type Case = (fn(&mut Written), &'static str);
    let cases: [Case; 2] = [
        (three_days, "it is a report that could not be delivered, and [dsn] operator is not set: "),
        (three_days_and_the_sender, "it is a report that could not be delivered, not even to [dsn] operator: "),
    ];
    for (adjust, why) in cases {
        let sink = Sink::scripted(|said| match said {
            Said::Rcpt(_) => Answer::say("550 5.1.1 nobody here"),
            _ => Answer::Usual,
        });
        let (folder, clock) = (folder(), TestClock::new());
        let plan = Plan { adjust, ..Plan::to(&[&sink]) };
        let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
        let id = bed.accept("s@x.example", &recipients("no", 1, "a.example"));
        wait_for("the report to be held", || bed.run(bed.store.totals()).unwrap().held == 1);
        assert_eq!(bed.states(id), [DeliveryState::Bounced]);
        let report = bed.events().into_iter().find_map(|event| match event {
            Event::DsnQueued { id: report, of, .. } if of == id.to_string() => Some(report),
            _ => None,
        });
        let report: QueueId = report.expect("it is in the journal").parse().unwrap();
        assert!(bed.why(report)[0].contains(why), "{:?}", bed.why(report));
        assert!(bed.why(report)[0].contains("550 5.1.1 nobody here"), "{:?}", bed.why(report));
        // A person lets it go, and it fails again: it is held again.
        bed.run(bed.engine.release(report, "root".into(), None)).unwrap();
        let attempts = || bed.run(bed.store.message(report)).unwrap().unwrap().1[0].attempts;
        wait_for("the second attempt", || attempts() == 2);
        assert_eq!(bed.states(report), [DeliveryState::Held]);
        let nobody = |event: &Event| {
            matches!(event, Event::DsnToOperator { of, reason, .. }
                if *of == report.to_string() && reason.starts_with("nobody was told"))
        };
        assert!(!bed.events().iter().any(nobody));
        for _ in 0..74 {
            clock.advance(HOUR_MS);
            bed.poke();
            std::thread::sleep(std::time::Duration::from_millis(8));
        }
        wait_for("its end", || bed.states(report) == [DeliveryState::Bounced]);
        assert_eq!((bed.unended(), bed.events().iter().filter(|event| nobody(event)).count()), (0, 1));
        let reminds = |event: &Event| matches!(event, Event::HeldReminder { held: 1, .. });
        assert!(bed.events().iter().any(reminds), "people were reminded");
    }
}
