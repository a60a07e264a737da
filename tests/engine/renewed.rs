//! Mail that is made anew at its turn: what leaves bears what holds then, whatever comes between, and nothing waits for it
//! that is over.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use outguard::clock::WallMs;
use outguard::daemon::engine::{Anew, Outlook, Print, Renewal, Renewing, Waiting};
use outguard::delivery::Router;
use outguard::mail::QueueId;
use outguard::store::{DeliveryState, GateKind, Reads as _, Refiled, Renewed};
use tokio::sync::watch;

use crate::bed::{Bed, Plan, TestClock, folder, in_turn, recipients};
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Arrival, Said, Sink};

/// What settings make of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finds {
    Well,
    /// It is to leave by that egress alone.
    WellBy(IpAddr),
    /// Its receivers would refuse it.
    Fails,
}

/// Looks at mail by numbered settings, which stand in the prefix that it makes: 0 is what mail was accepted by.
pub(crate) struct Looking {
    by: AtomicU32,
    finds: Box<dyn Fn(u32) -> Finds + Send + Sync>,
    /// By what messages were made anew.
    marked: Mutex<HashMap<QueueId, u32>>,
    /// Every look, by what it was.
    looks: Mutex<Vec<(QueueId, u32)>>,
    /// DNS is silent for them.
    stalled: watch::Sender<HashSet<QueueId>>,
    /// The settings change as soon as it was asked whether they hold.
    changes_once_asked: AtomicBool,
    reading: Mutex<Reading>,
}

/// A reader of a message that another reader overtakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Undisturbed,
    ToBeOvertaken,
    WaitsForTheMark,
}

impl Looking {
    pub(crate) fn that_finds(finds: impl Fn(u32) -> Finds + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            by: AtomicU32::new(0),
            finds: Box::new(finds),
            marked: Mutex::default(),
            looks: Mutex::default(),
            stalled: watch::Sender::default(),
            changes_once_asked: AtomicBool::new(false),
            reading: Mutex::new(Reading::Undisturbed),
        })
    }

    fn by(&self) -> u32 {
        self.by.load(Ordering::SeqCst)
    }

    /// Keys and egresses are others from now on.
    pub(crate) fn change(&self) {
        self.by.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn stall(&self, id: QueueId) {
        self.stalled.send_modify(|stalled| {
            stalled.insert(id);
        });
    }

    pub(crate) fn go_on(&self) {
        self.stalled.send_modify(HashSet::clear);
    }

    fn mark(&self, id: QueueId) -> Option<u32> {
        self.marked.lock().unwrap().get(&id).copied()
    }

    /// How often a message was looked at by these settings.
    fn looks_at(&self, id: QueueId, by: u32) -> usize {
        self.looks.lock().unwrap().iter().filter(|look| **look == (id, by)).count()
    }

    pub(crate) fn wait_look(&self, id: QueueId, by: u32) {
        wait_for("a look at it", || self.looks_at(id, by) > 0);
    }
}

impl Renewing for Looking {
    fn is_overtaken(&self, waiting: Waiting<'_>, _: WallMs) -> bool {
        let id = waiting.row.id;
        let is_overtaken_itself = *self.reading.lock().unwrap() == Reading::ToBeOvertaken;
        if is_overtaken_itself {
            *self.reading.lock().unwrap() = Reading::WaitsForTheMark;
            wait_for("the other to mark it", || self.mark(id).is_some());
        }
        self.mark(id).unwrap_or(0) != self.by()
    }

    fn renewal<'a>(&'a self, waiting: Waiting<'a>, _: WallMs) -> Pin<Box<dyn Future<Output = Renewal> + Send + 'a>> {
        Box::pin(async move {
            let (id, by) = (waiting.row.id, self.by());
            let mut stalled = self.stalled.subscribe();
            self.looks.lock().unwrap().push((id, by));
            let _ = stalled.wait_for(|stalled| !stalled.contains(&id)).await.expect("its sender is ours");
            let finds = (self.finds)(by);
            let waits = waiting.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Waiting);
            let refiled = match finds {
                Finds::WellBy(egress) => waits
                    .map(|waits| Refiled {
                        index: waits.index,
                        from: waits.destination.clone(),
                        to: Router::restricted(&waits.destination, &[egress.to_string().into()]),
                    })
                    .collect(),
                Finds::Well | Finds::Fails => Vec::new(),
            };
            let renewed = Renewed { prefix: prefix(by).into(), refiled };
            let anew = Anew { renewed, by: Print(by.into()), outlook: Outlook::ForGood };
            match finds {
                Finds::Fails => Renewal::Hold { reason: format!("settings {by} fail it"), released: Some(anew) },
                Finds::Well | Finds::WellBy(_) => Renewal::Anew(anew),
            }
        })
    }

    fn holds(&self, by: Print) -> bool {
        let holds = by == Print(self.by().into());
        if self.changes_once_asked.swap(false, Ordering::SeqCst) {
            self.change();
        }
        holds
    }

    fn was_renewed(&self, id: QueueId, Print(by): Print, _: Outlook, _: WallMs) {
        self.marked.lock().unwrap().insert(id, by.try_into().unwrap());
    }

    fn looked_at_by(&self, id: QueueId) -> Option<Print> {
        self.mark(id).map(|by| Print(by.into()))
    }
}

fn prefix(by: u32) -> String {
    format!("X-Settings: {by}\r\n")
}

/// By which settings it was made that left; 0 as it was accepted.
fn made_by(arrival: &Arrival) -> u32 {
    let text = arrival.text();
    let Some(rest) = text.strip_prefix("X-Settings: ") else {
        assert!(text.starts_with("Received: by relay.example\r\n"), "{text}");
        return 0;
    };
    rest.split("\r\n").next().unwrap().parse().unwrap()
}

fn all_made_by(sink: &Sink) -> Vec<u32> {
    sink.arrivals().iter().map(made_by).collect()
}

/// A next hop that lets nobody in until the flag is set.
fn shut() -> (Sink, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let sink = Sink::scripted(move |said| {
        if matches!(said, Said::Connect) {
            wait_for("the door to open", || opened.load(Ordering::SeqCst));
        }
        Answer::Usual
    });
    (sink, open)
}

fn start(plan: &Plan, folder: &tempfile::TempDir, looking: &Arc<Looking>) -> Bed {
    Bed::start_renewing(plan, &folder.path().join("q"), &TestClock::new(), Arc::clone(looking) as _)
}

/// To the first and to the second next hop.
fn to_both() -> Vec<String> {
    [recipients("a", 1, "a.example"), recipients("b", 1, "b.example")].concat()
}

#[test]
fn an_outcome_is_on_record_before_the_next_message_is_made_anew() {
    let sink = Sink::start();
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Well));
    let bed = start(&Plan { adjust: in_turn, ..Plan::to(&[&sink]) }, &folder, &looking);
    bed.close(GateKind::All, "");
    let first = bed.accept("s@x.example", &recipients("first", 1, "a.example"));
    let second = bed.accept("s@x.example", &recipients("second", 1, "a.example"));
    looking.change();
    looking.stall(second);
    bed.open(GateKind::All, "");
    looking.wait_look(second, 1);
    assert_eq!(bed.states(first), [DeliveryState::Delivered], "a crash now would send it twice");
    assert_eq!(bed.states(second), [DeliveryState::Waiting]);
    looking.go_on();
    bed.until_empty(10);
    assert_eq!((all_made_by(&sink), sink.connections()), (vec![1, 1], 1));
}

#[test]
fn a_reload_during_the_look_has_it_looked_at_again() {
    let sink = Sink::start();
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Well));
    let plan = Plan::to(&[&sink]);
    let bed = start(&plan, &folder, &looking);
    looking.change();
    bed.close(GateKind::All, "");
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    looking.stall(id);
    bed.open(GateKind::All, "");
    looking.wait_look(id, 1);
    looking.change();
    bed.reload(&plan);
    looking.go_on();
    bed.until_empty(10);
    assert_eq!((all_made_by(&sink), looking.mark(id)), (vec![2], Some(2)));
}

#[test]
fn a_reload_between_look_and_record_has_it_looked_at_again() {
    let sink = Sink::start();
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Well));
    let bed = start(&Plan::to(&[&sink]), &folder, &looking);
    looking.change();
    looking.changes_once_asked.store(true, Ordering::SeqCst);
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    bed.until_empty(10);
    assert_eq!((all_made_by(&sink), looking.mark(id)), (vec![2], Some(2)));
    assert_eq!(looking.looks_at(id, 1), 1, "the change came after the first look");
}

#[test]
fn what_settings_that_are_gone_would_hold_is_not_held() {
    let sink = Sink::start();
    let finds = |by| if by == 1 { Finds::Fails } else { Finds::Well };
    let (folder, looking) = (folder(), Looking::that_finds(finds));
    let plan = Plan::to(&[&sink]);
    let bed = start(&plan, &folder, &looking);
    looking.change();
    bed.close(GateKind::All, "");
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    looking.stall(id);
    bed.open(GateKind::All, "");
    looking.wait_look(id, 1);
    looking.change();
    bed.reload(&plan);
    looking.go_on();
    wait_for("it to leave", || {
        bed.clock.advance(10); // its line rests for a moment after the reload
        bed.poke();
        bed.states(id) != [DeliveryState::Waiting]
    });
    bed.until_empty(10);
    assert_eq!((all_made_by(&sink), bed.states(id)), (vec![2], vec![DeliveryState::Delivered]));
}

#[test]
fn what_is_under_way_keeps_its_bytes_and_is_made_anew_for_its_retry() {
    let (asked, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let slow = {
        let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
        Sink::scripted(move |said| match said {
            Said::Content(..) if !asked.swap(true, Ordering::SeqCst) => {
                wait_for("leave to answer", || answer.load(Ordering::SeqCst));
                Answer::say("451 4.3.0 later")
            }
            _ => Answer::Usual,
        })
    };
    let refused = AtomicBool::new(false);
    let busy = Sink::scripted(move |said| match said {
        Said::Rcpt(_) if !refused.swap(true, Ordering::SeqCst) => Answer::say("450 4.2.1 later"),
        _ => Answer::Usual,
    });
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Well));
    let bed = start(&Plan::to(&[&slow, &busy]), &folder, &looking);
    let id = bed.accept("s@x.example", &to_both());
    let attempts = |place: usize| bed.run(bed.store.message(id)).unwrap().unwrap().1[place].attempts;
    wait_for("one to be under way, the other to be put off", || asked.load(Ordering::SeqCst) && attempts(1) == 1);
    looking.change();
    bed.clock.advance(30_000);
    bed.poke();
    wait_for("the other to leave", || bed.states(id) == [DeliveryState::UnderWay, DeliveryState::Delivered]);
    answer.store(true, Ordering::SeqCst);
    wait_for("the one to be put off", || attempts(0) == 1 && bed.states(id)[0] != DeliveryState::UnderWay);
    bed.until_empty(60);
    assert_eq!(all_made_by(&busy), [1]);
    assert_eq!(all_made_by(&slow), [0, 1], "its retry is made anew, though its other recipient was before");
}

#[test]
fn what_cannot_be_recorded_waits_and_leaves_anew_later() {
    let sink = Sink::start();
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Well));
    let bed = start(&Plan::to(&[&sink]), &folder, &looking);
    let database = rusqlite::Connection::open(folder.path().join("q/queue.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF prefix ON body BEGIN SELECT RAISE(ABORT, 'no'); END";
    database.execute_batch(refuse).unwrap();
    looking.change();
    let id = bed.accept("s@x.example", &recipients("r", 2, "a.example"));
    for looks in 1..4 {
        wait_for("a look", || {
            bed.clock.advance(1_000);
            bed.poke();
            assert_eq!(sink.arrivals().len(), 0, "what is not on record does not leave");
            looking.looks_at(id, 1) >= looks
        });
    }
    assert_eq!((bed.states(id), looking.mark(id)), (vec![DeliveryState::Waiting; 2], None));
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    bed.until_empty(90);
    assert_eq!((all_made_by(&sink), looking.mark(id)), (vec![1], Some(1)));
}

#[test]
fn what_a_person_let_go_is_not_held_again() {
    let sink = Sink::start();
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Fails));
    let bed = start(&Plan::to(&[&sink]), &folder, &looking);
    looking.change();
    let id = bed.accept("s@x.example", &recipients("r", 1, "a.example"));
    wait_for("it to be held", || bed.states(id) == [DeliveryState::Held]);
    assert!(bed.why(id)[0].contains("settings 1 fail it"), "{:?}", bed.why(id));
    assert_eq!(sink.arrivals().len(), 0);
    looking.change();
    bed.run(bed.engine.release(id, "root".into(), None)).unwrap();
    bed.until_empty(10);
    assert_eq!((all_made_by(&sink), bed.states(id)), (vec![2], vec![DeliveryState::Delivered]));
}

#[test]
fn one_line_is_held_and_the_other_looked_at_in_its_own_turn() {
    let (stays, (shut, open)) = (Sink::start(), shut());
    let finds = |by| if by == 1 { Finds::Fails } else { Finds::Well };
    let (folder, looking) = (folder(), Looking::that_finds(finds));
    let bed = start(&Plan::to(&[&stays, &shut]), &folder, &looking);
    looking.change();
    let id = bed.accept("s@x.example", &to_both());
    wait_for("one to be held", || bed.states(id)[0] == DeliveryState::Held);
    assert_eq!(bed.states(id)[1], DeliveryState::Waiting, "its turn has not come");
    looking.change();
    open.store(true, Ordering::SeqCst);
    wait_for("the other to leave", || bed.states(id) == [DeliveryState::Held, DeliveryState::Delivered]);
    bed.run(bed.engine.release(id, "root".into(), None)).unwrap();
    bed.until_empty(10);
    assert_eq!((all_made_by(&stays), all_made_by(&shut)), (vec![2], vec![2]));
}

#[test]
fn what_another_line_made_anew_meanwhile_is_read_again() {
    let (first, (second, open)) = (Sink::start(), shut());
    let (folder, looking) = (folder(), Looking::that_finds(|_| Finds::Well));
    let bed = start(&Plan::to(&[&first, &second]), &folder, &looking);
    looking.change();
    bed.close(GateKind::All, "");
    let id = bed.accept("s@x.example", &to_both());
    looking.stall(id);
    bed.open(GateKind::All, "");
    looking.wait_look(id, 1);
    // The second reads it as it is on record, and before it goes on the first has made it anew.
    *looking.reading.lock().unwrap() = Reading::ToBeOvertaken;
    open.store(true, Ordering::SeqCst);
    wait_for("the second to have read", || *looking.reading.lock().unwrap() == Reading::WaitsForTheMark);
    looking.go_on();
    bed.until_empty(10);
    assert_eq!((all_made_by(&first), all_made_by(&second)), (vec![1], vec![1]));
    assert_eq!(looking.looks_at(id, 1), 1, "one look serves both");
}

/// It is due as of a moment that the look at due mail is past by the time it is on record.
#[test]
fn what_goes_another_way_is_found_though_due_mail_was_looked_for_meanwhile() {
    let refused = AtomicBool::new(false);
    let sink = Sink::start();
    let busy = Sink::scripted(move |said| match said {
        Said::Rcpt(_) if !refused.swap(true, Ordering::SeqCst) => Answer::say("450 4.2.1 later"),
        _ => Answer::Usual,
    });
    let egresses = vec![IpAddr::from(own_address()), IpAddr::from(own_address())];
    let (other, clock) = (egresses[1], TestClock::new());
    let (folder, stalling) = (folder(), Arc::clone(&clock));
    let looking = Looking::that_finds(move |_| {
        stalling.stall_in("engine/renew.rs"); // as it reads the time for the record
        Finds::WellBy(other)
    });
    let plan = Plan { egresses, ..Plan::to(&[&sink, &busy]) };
    let bed = Bed::start_renewing(&plan, &folder.path().join("q"), &clock, Arc::clone(&looking) as _);
    let later = bed.accept("t@x.example", &recipients("later", 1, "b.example"));
    let attempts = || bed.run(bed.store.message(later)).unwrap().unwrap().1[0].attempts;
    wait_for("it to be put off", || attempts() == 1);
    looking.marked.lock().unwrap().insert(later, 1);
    looking.change();
    let moved = bed.accept("s@x.example", &recipients("moved", 1, "a.example"));
    wait_for("it to be made anew", || clock.is_stalled());
    clock.advance(60_000);
    bed.poke();
    // Due mail was looked for up to then.
    wait_for("what was put off to leave", || bed.states(later) == [DeliveryState::Delivered]);
    clock.go_on();
    sink.wait_accepted(1);
    assert_eq!(sink.accepted()[0].egress, other);
    wait_for("its end", || bed.states(moved) == [DeliveryState::Delivered]);
}

#[test]
fn what_is_to_leave_by_another_egress_leaves_by_that() {
    let sink = Sink::start();
    let egresses = vec![IpAddr::from(own_address()), IpAddr::from(own_address())];
    let other = egresses[1];
    let (folder, looking) = (folder(), Looking::that_finds(move |_| Finds::WellBy(other)));
    let bed = start(&Plan { egresses, adjust: in_turn, ..Plan::to(&[&sink]) }, &folder, &looking);
    looking.change();
    bed.close(GateKind::All, "");
    let all: Vec<QueueId> =
        (0..4).map(|n| bed.accept("s@x.example", &recipients(&format!("n{n}"), 2, "a.example"))).collect();
    bed.open(GateKind::All, "");
    bed.until_empty(10);
    assert_eq!(all_made_by(&sink), [1; 4]);
    assert!(sink.arrivals().iter().all(|arrival| arrival.egress == other && arrival.recipients.len() == 2));
    assert!(all.iter().all(|id| looking.mark(*id) == Some(1)));
}
