//! Floods: one of a hundred thousand messages in the real store delays another's single message by its fair share alone, and
//! the news of a flood is not stuck behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use outguard::account::Account;
use outguard::clock::Clock;
use outguard::mail::ReversePath;
use outguard::store::DeliveryState;

use crate::bed::{Bed, Plan, TestClock, Written, folder, recipients};
use crate::filled;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

const FLOOD: u64 = 100_000;

#[test]
fn a_hundred_thousand_of_one_delay_the_single_one_of_another_by_its_fair_share() {
    // In the middle of the flood it takes its time, until the letter is there.
    let (taken, is_there) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let sink = {
        let is_there = Arc::clone(&is_there);
        Sink::scripted(move |said| {
            if matches!(said, Said::Content(..)) && taken.fetch_add(1, Ordering::SeqCst) == 30 {
                wait_for("the letter to be accepted", || is_there.load(Ordering::SeqCst));
            }
            Answer::Usual
        })
    };
    let (folder, clock) = (folder(), TestClock::new());
    let place = folder.path().join("q");
    let began = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let any_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    runtime.block_on(filled::fill(&filled::place(&place), any_clock, FLOOD, |n, stamp| {
        filled::message(stamp, "flood@x.example", &format!("f{n}@a.example"), "to-a", b"Subject: x\r\n\r\nbuy\r\n")
    }));
    drop(runtime);
    println!("{FLOOD} messages stored in {:?}", began.elapsed());
    let plan =
        Plan { egress: "100/h", adjust: |written| written.delivery.routes[0].concurrency = 1, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &place, &clock);
    sink.wait_accepted(30);
    let of_flood =
        |sink: &Sink| sink.arrivals().iter().filter(|arrival| arrival.mail_from.starts_with("flood")).count();
    // With the flood's own turn under way and perhaps the next one leased.
    let before = 31;
    let letter = bed.accept("letter@x.example", &recipients("letter", 1, "a.example"));
    is_there.store(true, Ordering::SeqCst);
    wait_for("the letter", || bed.states(letter) == [DeliveryState::Delivered]);
    let all = sink.accepted();
    let place_of = |from: &str| all.iter().position(|arrival| arrival.mail_from.starts_with(from)).unwrap();
    assert!(place_of("letter") <= before + 4, "{} of the flood went before it came to {}", before, place_of("letter"));
    // The flood has what it may of the hour, and waits; a letter takes a slot that was kept, and the clock stands still.
    wait_for("the flood to be stopped", || {
        bed.waits().values().flatten().any(|why| why.contains("the limit egress 100/h"))
    });
    assert_eq!(of_flood(&sink), 89, "ninety slots but the letter's");
    let late = bed.accept("late@x.example", &recipients("late", 1, "a.example"));
    wait_for("the late letter", || bed.states(late) == [DeliveryState::Delivered]);
    assert_eq!(of_flood(&sink), 89);
    assert_eq!(bed.unended(), FLOOD - 89, "the rest waits, and nothing of it is lost");
    // An hour later both have their turn again.
    clock.advance(3_604_000);
    bed.poke();
    let again = bed.accept("late@x.example", &recipients("again", 1, "a.example"));
    wait_for("the letter of the next hour", || bed.states(again) == [DeliveryState::Delivered]);
}

/// Alone at an egress, an account may take all of its hour but a fiftieth; that is for reports, which are counted by
/// themselves.
#[test]
fn the_news_of_a_flood_is_not_stuck_behind_it() {
    let sink = Sink::start();
    let (folder, clock) = (folder(), TestClock::new());
    let adjust = |written: &mut Written| written.limits.own_account = Some("mailer-daemon".into());
    let plan = Plan { egress: "100/h", adjust, ..Plan::to(&[&sink]) };
    let bed = Bed::start(&plan, &folder.path().join("q"), &clock);
    let flood: Vec<_> =
        (0..100).map(|n| bed.accept("flood@x.example", &recipients(&format!("f{n}"), 1, "a.example"))).collect();
    sink.wait_accepted(98);
    let last = || flood.iter().filter(|id| bed.states(**id) == [DeliveryState::Waiting]).copied().collect::<Vec<_>>();
    wait_for("the last two to wait", || last().len() == 2 && bed.why(last()[0])[0].contains("the limit egress 100/h"));
    for n in 0..3 {
        bed.accept_as("any@x.example", &recipients(&format!("told{n}"), 1, "a.example"), None, |report| {
            report.account = Account::named("mailer-daemon");
            report.envelope.reverse_path = ReversePath::Null;
        });
    }
    sink.wait_accepted(100);
    let reports = || sink.accepted().iter().filter(|arrival| arrival.mail_from.is_empty()).count();
    wait_for("their ends", || bed.unended() == 3);
    assert_eq!((reports(), last().len()), (2, 2), "two slots, and none of them for the flood");
}
