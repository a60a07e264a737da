//! What is beyond us: content that is gone from the disk. It is held for a person and told, and nothing else waits for it.

use bytes::Bytes;
use outguard::delivery::settings::DsnSettings;
use outguard::event::Event;
use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind, Store as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::Sink;

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
    assert!(!file.exists(), "its file went with it");
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
    clock.advance(3 * DAY_MS + HOUR_MS);
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
