//! What a next hop refuses of one message keeps nobody else's mail from it.

use outguard::store::{DeliveryState, Reads as _};

use crate::bed::{Bed, Plan, TestClock, folder, recipients};
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

#[test]
fn one_recipients_fault_keeps_nobody_elses_mail() {
    let refusals = [
        ("full", "452 4.2.2 the recipient is out of storage space", DeliveryState::Waiting),
        ("spamhaus", "550 <spamhaus-0@a.example>: Recipient address rejected: User unknown", DeliveryState::Bounced),
    ];
    for (who, reply, end) in refusals {
        let sink = Sink::scripted(move |said| match said {
            Said::Rcpt(to) if to.starts_with(who) => Answer::say(reply),
            _ => Answer::Usual,
        });
        let (folder, clock) = (folder(), TestClock::new());
        let bed = Bed::start(&Plan::to(&[&sink]), &folder.path().join("q"), &clock);
        let refused = bed.accept("one@x.example", &recipients(who, 1, "a.example"));
        let tried = || bed.run(bed.store.message(refused)).unwrap().unwrap().1[0].clone();
        wait_for("the refusal", || tried().last_reply.is_some());
        assert_eq!(bed.states(refused), [end], "{reply}");
        // No clock is moved: a pause would not end.
        let other = bed.accept("another@x.example", &recipients("well", 1, "a.example"));
        wait_for("the others to go on", || bed.states(other) == [DeliveryState::Delivered]);
        assert!(bed.engine.troubles().is_empty(), "{:?}", bed.engine.troubles());
    }
}
