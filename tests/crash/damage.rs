//! A database that is damaged under the running relay, in mail larger than SQLite's cache: nobody is refused for good, what
//! cannot be read waits and says why, nothing is called delivered that was not, and `docs/known-issues.md` tells the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::rig::client::Client;
use crate::rig::faults::{Disk, Fault};
use crate::rig::process::{find, run, wait_for};
use crate::rig::relay::{Relay, Site, smarthost};
use crate::rig::sink::{Answer, Said, Sink};
use crate::{need, skip};

const PAGE: u64 = 4_096;
/// More than SQLite keeps in memory (16 MiB), in bodies that lie in the database.
const MESSAGES: usize = 400;
const LINES: usize = 1_500;
const CONNECTIONS: usize = 3;
/// Without mail for this long, the store copies its log.
const QUIET: Duration = Duration::from_millis(500);
const LIMITS: &str = "[limits]\naccount = []\negress = []\n";

/// Each line of the content names its message, so that content of another is seen.
fn content(number: usize) -> Vec<u8> {
    let line = format!("{number:08} abcdefghijklmnopqrstuvwxyz\r\n");
    format!("Subject: number {number}\r\n\r\n{}", line.repeat(LINES)).into_bytes()
}

fn submit(site: &Site, number: usize) -> u16 {
    let mut client = Client::greeted(site.address());
    let from = format!("a{number}@example.com");
    client.deliver(&from, &["b@example.net"], &content(number)).expect("an answer").code
}

/// Takes all the mail behind a gate, and waits until the log is copied into the file that is damaged next. Gives the file's
/// size, and how many messages there are.
fn fill(site: &Site) -> (u64, usize) {
    let held = site.command(&["hold", "all", "--reason", "to be damaged"]);
    assert!(held.status.success(), "{held:?}");
    for number in 0..MESSAGES {
        assert_eq!(submit(site, number), 250);
    }
    let file = site.store().join("queue.db");
    let bytes = || std::fs::metadata(&file).expect("the database").len();
    wait_for("the log to be copied", || bytes() > (MESSAGES * LINES * 36) as u64);
    // With the next commit it begins anew, and what is read comes from the file. What is left of it is copied while nobody
    // writes; mail without a pause would be copied piece by piece, and the file would be of another size each time.
    let log = || std::fs::read(site.store().join("queue.db-wal")).expect("the log")[16..24].to_vec();
    let salt = log();
    let mut number = MESSAGES;
    wait_for("the log to begin anew", || {
        std::thread::sleep(QUIET);
        assert_eq!(submit(site, number), 250);
        number += 1;
        log() != salt
    });
    (bytes(), number)
}

/// Every arrival is whole, and came once but for so many further copies. Gives which.
fn whole(sink: &Sink, further_max: usize) -> BTreeSet<usize> {
    let mut copies: BTreeMap<usize, usize> = BTreeMap::new();
    for arrival in sink.accepted() {
        let number = arrival.mail_from.trim_start_matches('a').trim_end_matches("@example.com").parse().expect("ours");
        assert_eq!(arrival.content_from("Subject: "), content(number), "the bytes of {number}");
        *copies.entry(number).or_default() += 1;
    }
    let further: usize = copies.values().map(|copies| copies - 1).sum();
    assert!(further <= further_max, "{further} further copies: {copies:?}");
    copies.into_keys().collect()
}

/// Nothing is called delivered that was not: the log names as many as arrived, or fewer.
fn told_delivered(site: &Site) -> BTreeSet<usize> {
    let log = site.log();
    let told = log.lines().filter(|line| line.contains(" delivery.delivered "));
    let number = |line: &str| -> usize {
        let account = line.split("account=a").nth(1).and_then(|rest| rest.split('@').next());
        account.and_then(|digits| digits.parse().ok()).expect("the account")
    };
    told.map(number).collect()
}

fn log_tells(relay: &Relay, site: &Site) {
    let line = relay.wait_log(&["ERROR", "the store cannot write", "damaged", "docs/known-issues.md"]);
    assert!(line.contains(&site.store().display().to_string()), "where: {line}");
}

/// All but the first pages say something else than what was written: nothing can be done but to wait.
#[test]
fn a_damaged_database_refuses_nobody_for_good_and_calls_nothing_delivered() {
    let sink = Sink::start();
    let site = Site::new(&format!("{LIMITS}{}", smarthost(sink.address())));
    let Some(disk) = Disk::of(&site) else { skip!("there is no C compiler") };
    let relay = site.start_with(&disk.variables());
    let (_, mut promised) = fill(&site);
    disk.turn_on(Fault::DamagedFrom(PAGE));
    // What SQLite has in memory works on; what it must read does not.
    let resumed = site.command(&["resume", "all"]);
    assert_eq!(resumed.status.code(), Some(75), "{resumed:?}");
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("damaged"), "{resumed:?}");
    wait_for("mail to be refused for now", || {
        let code = submit(&site, promised);
        assert!(matches!(code, 250 | 451), "{code}");
        promised += usize::from(code == 250);
        code == 451
    });
    log_tells(&relay, &site);
    assert_eq!(submit(&site, promised), 451, "it stays so");
    assert_eq!(sink.arrivals().len(), 0, "the gate holds");
    // It was the controller, say, and another reads what is there.
    disk.turn_off();
    wait_for("the gate to open", || site.command(&["resume", "all"]).status.success());
    wait_for("all of it", || sink.accepted().len() >= promised);
    assert_eq!(whole(&sink, 0), (0..promised).collect());
    assert!(!site.log().contains("panicked"));
    relay.stop();
}

/// Mail is leaving when nothing more can be read, and later it can: what was under way has its outcome, once; what could not be
/// read is held and says why; and the two are all that was promised.
#[test]
fn mail_that_leaves_out_of_a_damaged_database_is_never_lost_in_silence() {
    let (taken, damaged) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let sink = {
        let damaged = Arc::clone(&damaged);
        Sink::scripted(move |said| {
            // Whatever this machine does meanwhile: not all leaves before the damage.
            if matches!(said, Said::Content(..)) && taken.fetch_add(1, Ordering::SeqCst) >= 20 {
                wait_for("the damage", || damaged.load(Ordering::SeqCst));
                std::thread::sleep(Duration::from_millis(20));
            }
            Answer::Usual
        })
    };
    let site = Site::new(&format!("{LIMITS}{}concurrency = {CONNECTIONS}\n", smarthost(sink.address())));
    let Some(disk) = Disk::of(&site) else { skip!("there is no C compiler") };
    let relay = site.start_with(&disk.variables());
    let (_, mut promised) = fill(&site);
    assert!(site.command(&["resume", "all"]).status.success());
    sink.wait_accepted(20);
    disk.turn_on(Fault::DamagedFrom(PAGE));
    damaged.store(true, Ordering::SeqCst);
    wait_for("mail to be refused for now", || {
        let code = submit(&site, promised);
        assert!(matches!(code, 250 | 451), "{code}");
        promised += usize::from(code == 250);
        code == 451
    });
    log_tells(&relay, &site);
    let told = told_delivered(&site);
    let arrived = whole(&sink, 0);
    assert!(arrived.len() < promised, "it came too late");
    assert!(told.is_subset(&arrived), "told {told:?}, arrived {arrived:?}");
    disk.turn_off();
    wait_for("what can be read to leave", || nothing_waits(&site));
    let (arrived, held) = (whole(&sink, 0), site.held());
    assert_eq!(arrived.len() + held.len(), promised, "{held:?}");
    for id in &held {
        let shown = site.command(&["queue", "show", id]);
        assert!(String::from_utf8_lossy(&shown.stdout).contains("its content cannot be read"), "{shown:?}");
        assert!(site.command(&["queue", "release", id]).status.success());
    }
    wait_for("the rest to leave", || nothing_waits(&site));
    assert_eq!(whole(&sink, 0), (0..promised).collect());
    wait_for("the log to tell of all", || told_delivered(&site).len() == promised);
    assert!(!site.log().contains("panicked"));
    relay.stop();
}

fn nothing_waits(site: &Site) -> bool {
    let status = site.command(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout);
    status.contains(" 0 deliveries waiting") && status.contains(" 0 under way")
}

/// Pages in the middle of the file are overwritten for good. Then the way back, step by step as the page tells it.
#[test]
fn what_is_whole_of_a_damaged_store_is_saved_as_the_page_says() {
    need!("sqlite3");
    let sink = Sink::start();
    let site = Site::new(&format!("{LIMITS}{}concurrency = {CONNECTIONS}\n", smarthost(sink.address())));
    let relay = site.start();
    let (bytes, mut promised) = fill(&site);
    let file = std::fs::File::options().write(true).open(site.store().join("queue.db")).expect("the database");
    // Among the first messages: later ones are in memory still, for their first attempt.
    let length = usize::try_from(bytes / 16 / PAGE * PAGE).expect("fits");
    file.write_all_at(&vec![0xa5; length], bytes / 8 / PAGE * PAGE).expect("a damaged file");
    assert!(site.command(&["resume", "all"]).status.success());
    relay.wait_log(&["ERROR", "cannot be read", "damaged"]);
    log_tells(&relay, &site);
    wait_for("mail to be refused for now", || {
        let code = submit(&site, promised);
        assert!(matches!(code, 250 | 451), "{code}");
        promised += usize::from(code == 250);
        code == 451
    });
    let told = told_delivered(&site);
    let arrived = whole(&sink, CONNECTIONS); // what is told of meanwhile arrived before
    assert!(told.is_subset(&arrived), "told {told:?}, arrived {arrived:?}");
    relay.signal(Signal::TERM);
    relay.wait_log(&["stopping"]);
    relay.stop();
    assert!(!site.log().contains("panicked"));

    let saved = run(&find("sh").expect("everywhere"), &["-e", "-c", &way_back(&site)], b"");
    let said = String::from_utf8_lossy(&saved.stdout);
    assert!(saved.status.success() && said.starts_with("ok\n"), "{saved:?}");
    let relay = site.start();
    wait_for("what is left to leave", || nothing_waits(&site));
    let arrived = whole(&sink, CONNECTIONS);
    let held = site.held().len();
    assert!(held > 0 && arrived.len() + held <= promised, "{} arrived, {held} held", arrived.len());
    assert!(arrived.len() > promised * 3 / 4, "{} of {promised} arrived", arrived.len());
    relay.stop();
}

/// The commands of the page, for this store, without those that want systemd or the service's user.
fn way_back(site: &Site) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/known-issues.md")).expect("the page");
    let section =
        page.split("## The store is damaged").nth(1).expect("the section").split("\n## ").next().expect("its text");
    let commands =
        section.lines().filter_map(|line| line.strip_prefix("       ")).filter(|line| !line.starts_with("systemctl"));
    let backups = site.folder().join("backups").display().to_string();
    std::fs::create_dir(&backups).expect("ours");
    let text = commands.collect::<Vec<_>>().join("\n");
    text.replace("/var/lib/outguard", &site.store().display().to_string())
        .replace("/var/backups", &backups)
        .replace("-o outguard -g outguard ", "")
}
