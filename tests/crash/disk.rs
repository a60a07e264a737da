//! A disk that fails under the running relay and works again: what was answered 250 arrives once, what could not be kept is the
//! client's to send again (4xx, never 5xx), no restart is needed, and the log says what, where and what to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::rig;
use crate::rig::client::Client;
use crate::rig::faults::{Disk, Fault};
use crate::rig::process::{find, is_root, run, wait_for};
use crate::rig::relay::{Relay, Site, smarthost};
use crate::rig::sink::{Answer, Said, Sink};
use crate::skip;

const WINDOW_MS: u64 = 4_000;
const EGRESS_SLOTS: usize = 6;
/// So many messages are under way at most when the disk fails.
const CONNECTIONS: usize = 3;
/// Larger than what is kept in the database itself.
const LARGE: usize = 100_000;

/// A relay with mail under way, over a disk that works until it is told otherwise.
struct Scene {
    sink: Sink,
    site: Arc<Site>,
    disk: Disk,
}

impl Scene {
    fn set() -> Option<Self> {
        // A next hop that takes its time with content, so that the fault finds outcomes still to come.
        let sink = Sink::scripted(|said| match said {
            Said::Content(..) => Answer::After(Duration::from_millis(600), Box::new(Answer::Usual)),
            _ => Answer::Usual,
        });
        let further = format!(
            "[limits]\negress = \"{EGRESS_SLOTS}/{}s\"\nunknown_grace = \"1s\"\nfair_reserve = false\n{}concurrency = {CONNECTIONS}\n",
            WINDOW_MS / 1_000,
            smarthost(sink.address())
        );
        let site = Site::new(&further);
        let disk = Disk::of(&site)?;
        Some(Self { sink, site, disk })
    }

    /// Takes ten messages, and waits until the first are with the next hop, which has not answered yet.
    fn begin(&self) -> Relay {
        let relay = self.site.start_with(&self.disk.variables());
        for number in 0..10 {
            assert_eq!(self.submit(&format!("before{number}"), 10 + LARGE * (number % 2)), 250);
        }
        wait_for("content under way", || !self.sink.arrivals().is_empty());
        relay
    }

    /// Hands a message over; the code that decided it.
    fn submit(&self, name: &str, size: usize) -> u16 {
        let mut client = Client::greeted(self.site.address());
        let content = format!("Subject: {name}\r\n\r\n{}\r\n", "x".repeat(70).repeat(size / 70 + 1));
        let heard = client.deliver(&format!("{name}@example.com"), &["b@example.net"], content.as_bytes());
        heard.unwrap_or_else(|e| panic!("{name}: {e}")).code
    }

    /// Mail while the disk does not work: none is taken, and none is refused for good.
    fn is_refused_for_now(&self) {
        for round in 0..6 {
            for size in [10, LARGE] {
                let code = self.submit(&format!("during{round}"), size);
                assert!(matches!(code, 451 | 452), "{code} in round {round}, {size} bytes");
            }
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// All that was promised, and nothing else, arrived once, but for so many further copies; and no window was too full.
    fn all_arrived(&self, further_max: usize) {
        let arrived = || {
            let mut copies: BTreeMap<String, usize> = BTreeMap::new();
            for arrival in self.sink.accepted() {
                *copies.entry(arrival.mail_from).or_default() += 1;
            }
            copies
        };
        let promised: Vec<String> = (0..10)
            .map(|number| format!("before{number}@example.com"))
            .chain(["after@example.com".to_owned()])
            .collect();
        wait_for("what was promised", || promised.iter().all(|from| arrived().contains_key(from)));
        let arrived = arrived();
        // What was refused for now because its commit failed may be on disk all the same, and only a relay that goes on
        // takes it back: after a crash it may leave too.
        let expected = |from: &String| promised.contains(from) || (further_max > 0 && from.starts_with("during"));
        assert!(arrived.keys().all(expected), "{arrived:?}");
        let further: usize = arrived.values().map(|copies| copies - 1).sum();
        assert!(further <= further_max, "{further} further copies: {arrived:?}");
        let moments: Vec<u64> = self.sink.arrivals().iter().map(|arrival| arrival.content_ms).collect();
        let fullest = rig::windows::fullest(&moments, WINDOW_MS);
        assert!(fullest <= EGRESS_SLOTS, "{fullest} in {WINDOW_MS} ms");
    }

    /// How many bodies have a file of their own.
    fn bodies(&self) -> usize {
        std::fs::read_dir(self.site.store().join("spool")).expect("the folder").count()
    }

    fn works_again(&self) {
        self.disk.turn_off();
        wait_for("mail to be taken again", || self.submit("after", 10) == 250);
    }

    /// One line names the trouble, the store, and what to do.
    fn log_tells(&self, relay: &Relay, trouble: &[&str]) {
        let line = relay.wait_log(&[trouble, &["ERROR", "the store cannot write", "advice="]].concat());
        assert!(line.contains(&self.site.store().display().to_string()), "where: {line}");
        assert!(line.contains("clients are told to try later"), "what is done: {line}");
    }
}

#[test]
fn a_disk_that_turns_read_only_costs_no_mail_and_no_restart() {
    let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
    let relay = scene.begin();
    scene.disk.turn_on(Fault::ReadOnly);
    scene.is_refused_for_now();
    scene.log_tells(&relay, &["read-only", "Read-only file system", "mount"]);
    // What was taken can be looked at meanwhile.
    let listed = scene.site.command(&["queue", "list"]);
    let is_listed = |name: &String| String::from_utf8_lossy(&listed.stdout).contains(name.as_str());
    let arrived: Vec<String> = scene.sink.arrivals().into_iter().map(|arrival| arrival.mail_from).collect();
    let waiting = (0..10).map(|number| format!("before{number}@example.com")).filter(|name| !arrived.contains(name));
    assert!(listed.status.success() && { waiting }.all(|name| is_listed(&name)), "{listed:?}");
    scene.works_again();
    scene.all_arrived(0);
    relay.stop();
}

/// A sync that failed says nothing of what is on disk, and the next one that succeeds says nothing of it either: the kernel
/// has called the pages clean. What the failed one covered must be written again before anything is built on it.
#[test]
fn a_sync_that_fails_is_never_believed_later() {
    let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
    let relay = scene.begin();
    scene.disk.turn_on(Fault::NoSync);
    scene.is_refused_for_now();
    scene.log_tells(&relay, &["Input/output error", "kernel log"]);
    scene.works_again();
    scene.all_arrived(0);
    relay.stop();
    assert_eq!(scene.disk.believed(), "");
}

#[test]
fn a_disk_that_takes_no_byte_more_costs_no_mail_and_no_restart() {
    let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
    let relay = scene.begin();
    scene.disk.turn_on(Fault::Full);
    scene.is_refused_for_now();
    scene.log_tells(&relay, &["disk full", "free space"]);
    scene.works_again();
    scene.all_arrived(0);
    relay.stop();
}

/// A large body lies in a file of its own, whose name is on disk once its folder is.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "calls past libc are seen on x86-64 alone")]
fn a_folder_that_cannot_be_synced_takes_no_large_mail_and_hinders_no_other() {
    let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
    let relay = scene.begin();
    scene.disk.turn_on(Fault::NoFolderSync);
    for round in 0..3 {
        assert_eq!(scene.submit(&format!("during{round}"), LARGE), 451, "round {round}");
    }
    relay.wait_log(&["Input/output error"]);
    assert_eq!(scene.submit("after", 10), 250);
    scene.disk.turn_off();
    scene.all_arrived(0);
    wait_for("nothing to be left of what was refused", || scene.bodies() == 0);
    relay.stop();
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "calls past libc are seen on x86-64 alone")]
fn a_body_that_cannot_be_removed_is_swept_at_the_next_start() {
    let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
    let relay = scene.begin();
    scene.disk.turn_on(Fault::NoRemoval);
    assert_eq!(scene.submit("after", LARGE), 250);
    scene.all_arrived(0);
    relay.wait_log(&["WARN", "spool file not removed", "Input/output error", "swept at the next start"]);
    relay.stop();
    assert!(scene.bodies() > 0);
    scene.disk.turn_off();
    let relay = scene.site.start();
    wait_for("it to be swept", || scene.bodies() == 0);
    relay.stop();
    scene.all_arrived(0);
}

/// What the next hop took while no outcome could be stored is not known after a crash: it may come once more, never less
/// often, and its slots count.
#[test]
fn a_crash_while_outcomes_cannot_be_stored_costs_copies_of_what_was_under_way() {
    for fault in [Fault::ReadOnly, Fault::NoSync] {
        let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
        let relay = scene.begin();
        scene.disk.turn_on(fault);
        wait_for("answers that cannot be stored", || !scene.sink.accepted().is_empty());
        scene.is_refused_for_now();
        relay.kill();
        scene.disk.turn_off();
        let relay = scene.site.start_with(&scene.disk.variables());
        assert_eq!(scene.submit("after", 10), 250);
        scene.all_arrived(CONNECTIONS);
        relay.stop();
        assert_eq!(scene.disk.believed(), "", "{fault:?}: what the process before had lost");
    }
}

/// The same with a stop in order, and a second signal for those who do not wait for the disk.
#[test]
fn a_stop_while_outcomes_cannot_be_stored_ends() {
    let Some(scene) = Scene::set() else { skip!("there is no C compiler") };
    let relay = scene.begin();
    scene.disk.turn_on(Fault::ReadOnly);
    wait_for("answers that cannot be stored", || !scene.sink.accepted().is_empty());
    relay.signal(Signal::TERM);
    relay.wait_log(&["stopping"]);
    relay.stop();
    scene.disk.turn_off();
    let relay = scene.site.start();
    assert_eq!(scene.submit("after", 10), 250);
    scene.all_arrived(CONNECTIONS);
    relay.stop();
}

/// A folder mounted over itself, for reading alone.
struct ReadOnlyMount(String);

impl ReadOnlyMount {
    fn over(folder: &Path) -> Option<Self> {
        let (mount, path) = (find("mount")?, folder.display().to_string());
        let mounted = |options: &[&str]| run(&mount, options, b"").status.success();
        if !mounted(&["--bind", &path, &path]) {
            return None;
        }
        let this = Self(path.clone());
        mounted(&["-o", "remount,bind,ro", &path]).then_some(this)
    }
}

impl Drop for ReadOnlyMount {
    fn drop(&mut self) {
        run(&find("umount").expect("comes with mount"), &["-l", &self.0], b"");
    }
}

#[test]
fn a_start_on_a_read_only_disk_is_refused_with_the_reason() {
    if !is_root() {
        skip!("a folder can be mounted by root only");
    }
    let sink = Sink::start();
    let nothing_leaves = format!("[limits]\negress = \"0/h\"\n{}", smarthost(sink.address()));
    let site = Site::new(&nothing_leaves);
    let relay = site.start();
    let heard =
        Client::greeted(site.address()).deliver("a@example.com", &["b@example.net"], b"Subject: x\r\n\r\nx\r\n");
    assert_eq!(heard.expect("an answer").code, 250);
    relay.stop();
    let Some(mount) = ReadOnlyMount::over(site.store()) else { skip!("no folder can be mounted here") };
    let before = site.log().len();
    let status = site.launch().process().wait();
    let told = site.log().split_off(before);
    assert_eq!(status.code(), Some(1), "{status}: {told}");
    let store = site.store().display().to_string();
    for words in [&*store, "Read-only file system", "mount it for writing"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // Without a daemon the queue can be read all the same.
    let listed = site.command(&["queue", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("a@example.com"), "{listed:?}");
    drop(mount);
    site.configure(&smarthost(sink.address()));
    let relay = site.start();
    sink.wait_accepted(1);
    relay.stop();
}
