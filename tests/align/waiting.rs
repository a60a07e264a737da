//! Mail that waits while keys and egresses are changed: what leaves is by what holds then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outguard::align::dkim::Outcome;
use rustix::process::Signal;

use crate::end_to_end::{FRESH, World, message, text};
use crate::messages::messages;
use crate::rig::client::{Client, stuffed};
use crate::rig::dns::Record;
use crate::rig::process::wait_for;
use crate::rig::sink::{Answer, Said, Sink};

/// A next hop that takes mail for `late@` only once it is told to.
fn hesitant() -> (Sink, Arc<AtomicBool>) {
    let takes = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&takes);
    let sink = Sink::scripted(move |said| match said {
        Said::Rcpt(path) if path.starts_with("late") && !told.load(Ordering::SeqCst) => Answer::say("450 4.2.1 later"),
        _ => Answer::Usual,
    });
    (sink, takes)
}

fn deliver(world: &World, to: &[&str], content: &[u8]) {
    let heard = Client::greeted(world.relay().site().address()).deliver("ann@example.com", to, content);
    assert_eq!(heard.expect("an answer").code, 250);
}

/// Until the first attempt has failed.
fn wait_deferred(world: &World, count: usize) {
    wait_for("the deferrals", || {
        let output = world.site.command(&["queue", "list", "--json"]);
        String::from_utf8_lossy(&output.stdout).matches("450 4.2.1 later").count() >= count
    });
}

fn flush(world: &World) {
    let output = world.site.command(&["queue", "flush"]);
    assert!(output.status.success(), "{output:?}");
}

/// What arrives has the signature of the second key alone, and it holds.
async fn leaves_by_the_new_key(world: &World) {
    let arrival = world.arrived(1).pop().unwrap();
    let text = arrival.text();
    // A report quotes the header that it is about behind its own.
    let header = text.split("\r\n\r\n").next().unwrap();
    assert!(header.contains("s=s2;") && !header.contains("s=s1;"), "{text}");
    assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass]);
}

#[tokio::test]
async fn a_key_that_was_changed_signs_what_waits() {
    let (sink, takes) = hesitant();
    let mut world = World::with_sink(sink, FRESH);
    let mut sent: Vec<Vec<u8>> = messages()
        .into_iter()
        .filter(|(what, _)| *what != "no end of the last line")
        .map(|(_, content)| content)
        .collect();
    sent.push([message("ann@example.com"), b"and a long line of minutes\r\n".repeat(4_000)].concat());
    for content in &sent {
        deliver(&world, &["bob@example.org", "late@example.org"], content);
    }
    // Partly delivered, by the old key.
    for arrival in world.arrived(sent.len()) {
        assert!(arrival.text().contains("s=s1;"), "{}", arrival.text());
        assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass]);
    }
    wait_deferred(&world, sent.len());
    // The old key is withdrawn: a receiver would find nothing there.
    world.dns.set(&world.key[0].0, Vec::new());
    world.take_key("s2", FRESH);
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let arrivals = world.arrived(2 * sent.len()).split_off(sent.len());
    for arrival in &arrivals {
        assert_eq!(arrival.recipients, ["late@example.org"]);
        let text = arrival.text();
        assert!(text.contains("s=s2;") && !text.contains("s=s1;"), "{text}");
        assert!(sent.iter().any(|content| arrival.content.ends_with(content)), "{text}");
        assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass], "{text}");
    }
}

#[test]
fn a_key_that_is_gone_signs_nothing_that_waits() {
    let (sink, takes) = hesitant();
    let mut world = World::with_sink(sink, FRESH);
    deliver(&world, &["late@example.org"], &message("ann@example.com"));
    wait_deferred(&world, 1);
    world.take_no_key();
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let arrival = world.arrived(1).pop().unwrap();
    assert!(!arrival.text().contains("DKIM-Signature"), "{}", arrival.text());
    assert!(arrival.content.ends_with(&message("ann@example.com")), "{}", arrival.text());
}

#[tokio::test]
async fn what_waited_while_the_daemon_was_stopped_is_signed_by_the_key_of_now() {
    let (sink, takes) = hesitant();
    let mut world = World::with_sink(sink, FRESH);
    deliver(&world, &["late@example.org"], &message("ann@example.com"));
    wait_deferred(&world, 1);
    world.stop();
    world.configure_key("s2", FRESH);
    world.start_again();
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    leaves_by_the_new_key(&world).await;
}

#[tokio::test]
async fn a_report_of_ours_that_waits_is_signed_by_the_key_of_now() {
    let takes = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&takes);
    let sink = Sink::scripted(move |said| match said {
        Said::Rcpt(path) if path.starts_with("nobody") => Answer::say("550 5.1.1 no such user"),
        Said::Rcpt(path) if path.starts_with("ann") && !told.load(Ordering::SeqCst) => Answer::say("450 4.2.1 later"),
        _ => Answer::Usual,
    });
    let more = format!("{FRESH}[intake]\nown_name = \"mail.example.com\"\n");
    let mut world = World::with_sink(sink, &more);
    deliver(&world, &["nobody@example.org"], &message("ann@example.com"));
    wait_deferred(&world, 1);
    world.dns.set(&world.key[0].0, Vec::new());
    world.take_key("s2", &more);
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    leaves_by_the_new_key(&world).await;
    let report = world.arrived(1).pop().unwrap();
    assert_eq!((report.mail_from.as_str(), report.recipients.as_slice()), ("", &["ann@example.com".to_owned()][..]));
}

#[tokio::test]
async fn addresses_in_utf_8_that_wait_are_signed_as_they_leave() {
    let (sink, takes) = hesitant();
    let mut world = World::with_sink(sink, FRESH);
    let (_, content) = messages().into_iter().find(|(what, _)| *what == "SMTPUTF8").unwrap();
    let mut client = Client::greeted(world.relay().site().address());
    client.expect("MAIL FROM:<j\u{f6}rg@example.com> SMTPUTF8 BODY=8BITMIME", 250);
    client.expect("RCPT TO:<late@example.org>", 250);
    client.expect("DATA", 354);
    client.send(&stuffed(&content)).unwrap();
    assert_eq!(client.hear().unwrap().code, 250);
    wait_deferred(&world, 1);
    world.take_key("s2", FRESH);
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    leaves_by_the_new_key(&world).await;
    let arrival = world.arrived(1).pop().unwrap();
    assert_eq!(arrival.mail_from, "j\u{f6}rg@example.com");
    assert!(arrival.mail_parameters.contains("SMTPUTF8") && arrival.content.ends_with(&content), "{}", arrival.text());
}

#[test]
fn nothing_is_made_anew_where_nothing_changed() {
    let (sink, takes) = hesitant();
    let mut world = World::with_sink(sink, "");
    deliver(&world, &["bob@example.org", "late@example.org"], &message("ann@example.com"));
    let first = world.arrived(1).pop().unwrap();
    wait_deferred(&world, 1);
    world.relay().signal(Signal::HUP);
    world.relay().wait_log(&["daemon.reloaded changes=none"]);
    world.stop();
    world.start_again();
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let second = world.arrived(2).pop().unwrap();
    assert_eq!(second.text(), first.text(), "the bytes that the first one got");
}

#[tokio::test]
async fn behind_a_gate_too() {
    let (sink, _) = hesitant();
    let mut world = World::with_sink(sink, FRESH);
    assert!(world.site.command(&["hold", "account", "ann@example.com"]).status.success());
    deliver(&world, &["bob@example.org"], &message("ann@example.com"));
    world.dns.set(&world.key[0].0, Vec::new());
    world.take_key("s2", FRESH);
    assert!(world.site.command(&["resume", "account", "ann@example.com"]).status.success());
    leaves_by_the_new_key(&world).await;
}

#[test]
fn an_egress_that_was_taken_out_is_chosen_anew() {
    let (sink, takes) = hesitant();
    let mut world = World::with_sink(sink, FRESH);
    world.dns.set("_dmarc.twenty.example", vec![Record::Text("v=DMARC1; p=reject".into())]);
    world.dns.set("twenty.example", text("v=spf1 ip4:192.0.2.20 -all"));
    let send = |world: &World, to: &str, subject: &str| {
        let content = String::from_utf8(message("ann@twenty.example")).unwrap().replace("Minutes", subject);
        let client = Client::greeted(world.relay().site().address());
        let heard = { client }.deliver("ann@twenty.example", &[to], content.as_bytes());
        assert_eq!(heard.expect("an answer").code, 250);
    };
    send(&world, "late1@example.org", "passes by the other");
    wait_deferred(&world, 1);
    // Its only egress goes; the record names the other by then.
    world.dns.set("twenty.example", text("v=spf1 ip4:192.0.2.10 -all"));
    world.keep_egresses(1, FRESH);
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let arrival = world.arrived(1).pop().unwrap();
    assert_eq!((arrival.egress, arrival.ehlo.as_str()), (world.egresses[0].into(), "ten.example.com"));
    // It comes back, and the record with it.
    takes.store(false, Ordering::SeqCst);
    world.dns.set("twenty.example", text("v=spf1 ip4:192.0.2.20 -all"));
    world.keep_egresses(2, FRESH);
    send(&world, "late2@example.org", "fails by the other");
    wait_deferred(&world, 1);
    // It goes again while the daemon is stopped, and the record does not name the other.
    world.stop();
    world.configure_egresses(1, FRESH);
    world.start_again();
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let mut held = String::new();
    wait_for("the hold", || {
        let output = world.site.command(&["queue", "list", "--state", "held", "--json"]);
        held = String::from_utf8(output.stdout).unwrap();
        !held.is_empty()
    });
    assert!(held.contains("looked at anew after a change of the configuration"), "{held}");
    assert!(held.contains("Add `ip4:192.0.2.10` to the SPF record of twenty.example"), "{held}");
    // A person lets it go: it is not held again for the same, nor after a restart and another change.
    takes.store(false, Ordering::SeqCst);
    let id = serde_json::from_str::<serde_json::Value>(held.lines().next().unwrap()).unwrap()["id"].clone();
    assert!(world.site.command(&["queue", "release", id.as_str().unwrap()]).status.success());
    wait_deferred(&world, 1);
    world.stop();
    world.configure_key("s2", FRESH);
    world.start_again();
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let arrival = world.arrived(2).pop().unwrap();
    assert_eq!(arrival.recipients, ["late2@example.org"]);
}

#[tokio::test]
async fn a_signature_that_nears_its_end_is_made_anew() {
    let (sink, takes) = hesitant();
    let world = World::with_sink(sink, "[signing]\nexpiry = \"20s\"\n");
    deliver(&world, &["bob@example.org", "late@example.org"], &message("ann@example.com"));
    let first = world.arrived(1).pop().unwrap();
    wait_deferred(&world, 1);
    std::thread::sleep(std::time::Duration::from_millis(20_100));
    assert_ne!(world.holds(&first.content).await, [Outcome::Pass], "it has ended");
    takes.store(true, Ordering::SeqCst);
    flush(&world);
    let second = world.arrived(2).pop().unwrap();
    assert_eq!(world.holds(&second.content).await, [Outcome::Pass], "{}", second.text());
}
