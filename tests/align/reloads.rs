//! A reload while a release is under way, whose DNS is silent: one waits for the other, neither is lost, and the end of the
//! daemon waits for neither.

use std::process::Output;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use outguard::align::dkim::Outcome;
use rustix::process::Signal;

use crate::end_to_end::{FRESH, World, message, text};
use crate::rig::client::Client;
use crate::rig::dns::Record;
use crate::rig::process::wait_for;
use crate::rig::sink::Sink;

/// A question that is not answered is waited for as long as a message may wait: eight seconds in this world.
fn slow_to_give_up() -> String {
    format!("{FRESH}timeout = \"20s\"\n")
}

/// No question about it is answered.
const SILENT: &str = "silent.example.com";

/// A world in which so many messages are held, for nobody published their key. The key is there now, but whoever looks at
/// them anew asks a name that does not answer.
fn world_with_held(count: usize) -> (World, Vec<String>) {
    let world = World::with_sink(Sink::start(), &slow_to_give_up());
    let (name, record) = world.key[0].clone();
    world.dns.set(&name, Vec::new());
    world.dns.set("_dmarc.example.com", text("v=DMARC1; p=reject"));
    for _ in 0..count {
        let mut client = Client::greeted(world.relay().site().address());
        let heard = client.deliver("ann@example.com", &["bob@example.org"], &message("ann@example.com"));
        assert_eq!(heard.expect("an answer").code, 250);
    }
    world.dns.set(&name, text(&record));
    world.dns.set(SILENT, vec![Record::Silence]);
    world.dns.set("example.com", text(&format!("v=spf1 a:{SILENT} -all")));
    let held = world.site.held();
    assert_eq!(held.len(), count);
    (world, held)
}

/// Lets a message go, in a thread: it waits for DNS.
fn release(world: &World, id: &str) -> JoinHandle<Output> {
    let (site, id) = (Arc::clone(&world.site), id.to_owned());
    thread::spawn(move || site.command(&["queue", "release", &id]))
}

fn wait_asked(world: &World) {
    wait_for("the release to ask", || world.dns.asked(SILENT) > 0);
}

/// Everything answers again.
fn mend(world: &World) {
    world.dns.set("example.com", text("v=spf1 ip4:192.0.2.10 -all"));
}

#[tokio::test]
async fn a_reload_waits_for_a_release_and_another_release_for_the_reload() {
    let (mut world, held) = world_with_held(2);
    assert!(world.site.command(&["hold", "account", "ann@example.com"]).status.success());
    world.configure_key("s2", &slow_to_give_up()); // made before, for keys take their time
    let first = release(&world, &held[0]);
    wait_asked(&world);
    world.relay().signal(Signal::HUP);
    thread::sleep(Duration::from_millis(200)); // the reload is in line, before the second release
    let second = release(&world, &held[1]);
    for released in [first, second] {
        let output = released.join().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    world.relay().wait_log(&["daemon.reloaded", "alignment"]);
    assert_eq!(world.site.log().matches("daemon.reloaded").count(), 1);
    mend(&world);
    assert!(world.site.command(&["resume", "account", "ann@example.com"]).status.success());
    for arrival in world.arrived(2) {
        assert!(arrival.text().contains("s=s2;") && !arrival.text().contains("s=s1;"), "{}", arrival.text());
        assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass]);
    }
    world.stop();
    assert_eq!(world.sink.arrivals().len(), 2);
}

/// It used to be heard only once the reload had had its turn.
#[tokio::test]
async fn an_end_is_heard_while_a_reload_waits() {
    let (mut world, held) = world_with_held(1);
    world.configure_key("s2", &slow_to_give_up()); // made before, for keys take their time
    let released = release(&world, &held[0]);
    wait_asked(&world);
    world.relay().signal(Signal::HUP);
    thread::sleep(Duration::from_millis(200)); // the reload is in line
    world.relay().signal(Signal::TERM);
    world.relay().wait_log(&["stopping"]);
    world.stop_after_signal();
    assert!(!world.site.log().contains("reloaded"), "{}", world.site.log());
    released.join().unwrap(); // it was let go, or its daemon was gone before: the next one knows
    mend(&world);
    world.start_again();
    for id in world.site.held() {
        let output = world.site.command(&["queue", "release", &id]);
        assert!(output.status.success(), "{output:?}");
    }
    let arrival = world.arrived(1).pop().unwrap();
    assert!(arrival.text().contains("s=s2;"), "{}", arrival.text());
    assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass]);
    world.stop();
    assert_eq!(world.sink.arrivals().len(), 1);
}
