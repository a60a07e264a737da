//! Start, reload, drain, restart, full disk: what people do to a relay that has mail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::rig::client::Client;
use crate::rig::process::{is_root, run, wait_for};
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::{Answer, Said, Sink};
use crate::rig::tls::set_mode;
use crate::{need, skip};

const CONTENT: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn submit(site: &Site, from: &str) {
    let mut client = Client::greeted(site.address());
    let heard = client.deliver(from, &["b@example.net"], CONTENT).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
}

#[test]
fn a_drain_lets_the_next_hop_finish() {
    let slow = Duration::from_secs(2);
    let sink = Sink::scripted(move |said| match said {
        Said::Content(..) => Answer::After(slow, Box::new(Answer::Usual)),
        _ => Answer::Usual,
    });
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    let mut open = Client::greeted(site.address());
    submit(&site, "a@example.com");
    wait_for("the content to be under way", || !sink.arrivals().is_empty());
    relay.signal(Signal::TERM);
    relay.wait_log(&["stopping"]);
    // A session that is open is told to come back, or is closed; no message is taken and then forgotten.
    if let Ok(heard) = open.say("MAIL FROM:<late@example.com>") {
        assert_eq!(heard.code, 421, "{heard:?}");
    }
    relay.stop_after_signal();
    // The outcome was kept: the next start does not send a second copy.
    let relay = site.start();
    submit(&site, "after@example.com");
    let arrivals = sink.wait_accepted(2);
    let senders: Vec<&str> = arrivals.iter().map(|arrival| arrival.mail_from.as_str()).collect();
    assert_eq!(senders, ["a@example.com", "after@example.com"]);
    relay.stop();
}

/// One place an hour: the message leaves with the next start only if the attempt that the stop came into gave its lease back.
#[test]
fn a_drain_gives_back_what_nothing_was_sent_with() {
    let (stops, willing) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let sink = {
        let (stops, willing) = (Arc::clone(&stops), Arc::clone(&willing));
        Sink::scripted(move |said| match said {
            Said::Mail(_) if !willing.load(Ordering::SeqCst) => {
                wait_for("the stop", || stops.load(Ordering::SeqCst));
                Answer::Close
            }
            _ => Answer::Usual,
        })
    };
    let site = Site::new(&format!("[limits]\naccount = \"1/h\"\negress = []\n{}", smarthost(sink.address())));
    let relay = site.start();
    submit(&site, "a@example.com");
    wait_for("MAIL", || sink.commands().iter().any(|line| line.starts_with("MAIL FROM:")));
    let used = || {
        let output = site.command(&["limits", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let of_account = lines.lines().find(|line| line.contains("a@example.com")).map(str::to_owned);
        of_account.map_or(0, |line| {
            let line: serde_json::Value = serde_json::from_str(&line).expect("one object a line");
            line["used"].as_u64().unwrap_or(0) + line["leased"].as_u64().unwrap_or(0)
        })
    };
    assert_eq!(used(), 1, "leased before MAIL");
    relay.signal(Signal::TERM);
    relay.wait_log(&["stopping"]);
    stops.store(true, Ordering::SeqCst);
    relay.stop_after_signal();
    assert_eq!(used(), 0, "given back");
    willing.store(true, Ordering::SeqCst);
    let relay = site.start();
    sink.wait_accepted(1);
    relay.stop();
}

#[test]
fn what_waits_survives_a_kill_and_a_restart() {
    let sink = Sink::start();
    let open = smarthost(sink.address());
    let site = Site::new(&format!("[limits]\negress = \"0/h\"\n{open}"));
    let relay = site.start();
    for i in 0..20 {
        submit(&site, &format!("a{i}@example.com"));
    }
    relay.kill();
    assert_eq!(sink.arrivals().len(), 0, "0/h: nothing has left");
    site.configure(&open);
    let relay = site.start();
    let mut senders: Vec<String> = sink.wait_accepted(20).into_iter().map(|arrival| arrival.mail_from).collect();
    senders.sort();
    senders.dedup();
    assert_eq!(senders.len(), 20);
    relay.stop();
}

#[test]
fn a_reload_drops_no_session() {
    let (first, second) = (Sink::start(), Sink::start());
    let site = Site::new(&smarthost(first.address()));
    let relay = site.start();
    let mut client = Client::greeted(site.address());
    client.expect("MAIL FROM:<a@example.com>", 250);
    site.configure(&smarthost(second.address()));
    relay.signal(Signal::HUP);
    relay.wait_log(&["reload"]);
    client.expect("RCPT TO:<b@example.net>", 250);
    client.expect("DATA", 354);
    client.send(b"Subject: x\r\n\r\nx\r\n.\r\n").expect("a connection");
    assert_eq!(client.hear().expect("an answer").code, 250);
    assert_eq!(second.wait_accepted(1)[0].mail_from, "a@example.com");
    assert_eq!(first.connections(), 0, "the route is chosen at each attempt");
    relay.stop();
}

/// A script that starts the relay, writes its file and sends SIGHUP at once used to end it: the signal had its default
/// meaning until the relay was ready.
#[test]
fn a_hangup_during_the_start_is_a_reload_after_it() {
    let mkfifo = need!("mkfifo");
    let (first, second) = (Sink::start(), Sink::start());
    let site = Site::new(&smarthost(first.address()));
    // The start waits where it reads its file, as long as the test wants.
    let first_read = std::fs::read(site.config()).expect("ours");
    std::fs::remove_file(site.config()).expect("ours");
    run(&mkfifo, &[&site.config().display().to_string()], b"");
    let relay = site.launch();
    let mut reader_is_there = std::fs::File::options().write(true).open(site.config()).expect("once it is read");
    relay.signal(Signal::HUP);
    std::fs::remove_file(site.config()).expect("ours");
    site.configure(&smarthost(second.address()));
    std::io::Write::write_all(&mut reader_is_there, &first_read).expect("a reader");
    drop(reader_is_there);
    relay.wait_log(&["outguard: ready"]);
    relay.wait_log(&["reloaded", "routes"]);
    submit(&site, "a@example.com");
    assert_eq!(second.wait_accepted(1)[0].mail_from, "a@example.com");
    relay.stop();
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let sink = Sink::start();
    let good = smarthost(sink.address());
    let site = Site::new(&good);
    let relay = site.start();
    site.configure(&format!("[limits]\negres = \"1/h\"\n{good}"));
    relay.signal(Signal::HUP);
    let line = relay.wait_log(&["egres"]);
    assert!(line.contains("egress"), "it names the nearest key: {line}");
    submit(&site, "a@example.com");
    sink.wait_accepted(1);
    relay.stop();

    // At a start the same file is refused, with the place, and the store is left alone.
    let mut refused = site.launch();
    assert!(!refused.process().wait().success());
    let log = site.log();
    let last: String = log.lines().rev().take(12).collect();
    assert!(last.contains("outguard.toml:") && last.contains("egres"), "{log}");
}

#[test]
fn a_second_daemon_is_refused() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    // At another address, but with the same store.
    let folder = tempfile::Builder::new().prefix("outguard-").tempdir().expect("a folder");
    let other = Site::with_store(folder, site.store().to_owned(), &smarthost(sink.address()));
    let mut second = other.launch();
    let status = second.process().wait();
    assert!(!status.success(), "{status}");
    assert!(other.log().contains(&site.store().display().to_string()), "it names the store: {}", other.log());
    submit(&site, "a@example.com");
    sink.wait_accepted(1);
    relay.stop();
}

/// Root for a low port, then nobody. What only root can read is told at the start: it was the reload that failed, months later.
#[test]
fn root_is_given_up_for_good() {
    let Ok(Some(nobody)) = nix::unistd::User::from_name("nobody") else {
        skip!("there is no user nobody");
    };
    if !is_root() {
        skip!("only root can give root up");
    }
    let sink = Sink::start();
    let site = Site::new("");
    let low = std::net::SocketAddr::from((crate::rig::loopback::own_address(), 25));
    let secret = site.folder().join("logins");
    std::fs::write(&secret, "* box pass-for-box\n").expect("ours");
    set_mode(&secret, 0o600);
    let login = format!(
        "[[route]]\nname = \"box\"\nsender_domains = [\"other.example\"]\nsmarthost = \"{}\"\ntls = \"required\"\n",
        sink.address()
    );
    let login = format!("{login}logins = {{ file = \"{}\" }}\n", secret.display());
    site.configure(&format!("[[listen]]\naddress = \"{low}\"\n{}{login}", smarthost(sink.address())));
    let text = std::fs::read_to_string(site.config()).expect("ours");
    std::fs::write(site.config(), format!("user = \"nobody\"\n{text}")).expect("ours");
    for folder in [site.folder(), site.store()] {
        let ids = (Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()));
        std::os::unix::fs::chown(folder, ids.0, ids.1).expect("root may");
    }
    let check = site.command(&["check", "--quiet"]);
    assert!(!check.status.success(), "it reads as the user too");

    let relay = site.start();
    relay.wait_log(&["WARN", "logins", "cannot be read"]);
    relay.wait_log(&["WARN", "a reload would be refused"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.pid())).expect("it runs");
    for (line, id) in [("Uid:", nobody.uid.as_raw()), ("Gid:", nobody.gid.as_raw())] {
        let ids = status.lines().find_map(|found| found.strip_prefix(line)).expect("it is there");
        assert!(ids.split_whitespace().all(|found| found == id.to_string()), "{line}{ids}");
    }
    let heard = Client::greeted(low).deliver("a@example.com", &["b@example.net"], CONTENT).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
    sink.wait_accepted(1);
    relay.signal(Signal::HUP);
    relay.wait_log(&["not reloaded"]);
    std::os::unix::fs::chown(&secret, Some(nobody.uid.as_raw()), None).expect("root may");
    relay.signal(Signal::HUP);
    relay.wait_log(&["daemon.reloaded changes=none"]);
    assert!(site.command(&["check", "--quiet"]).stdout.is_empty());
    assert!(!site.log().contains("pass-for-box"));
    relay.stop();
}

/// A tmpfs of its own, unmounted at the end.
struct Mount(std::path::PathBuf);

impl Mount {
    fn tmpfs(at: &std::path::Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir(at).ok()?;
        let (size, at_text) = (format!("size={mebibytes}m"), at.display().to_string());
        let mount = crate::rig::process::find("mount")?;
        let output = run(&mount, &["-t", "tmpfs", "-o", &size, "tmpfs", &at_text], b"");
        output.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(umount) = crate::rig::process::find("umount") {
            // Lazily: the relay may still be ending.
            run(&umount, &["-l", &self.0.display().to_string()], b"");
        }
    }
}

#[test]
fn a_full_disk_stops_intake_and_loses_nothing() {
    if !is_root() {
        skip!("a small file system can be mounted by root only");
    }
    let folder = tempfile::Builder::new().prefix("outguard-").tempdir().expect("a folder");
    let disk = folder.path().join("disk");
    let Some(mount) = Mount::tmpfs(&disk, 64) else {
        skip!("tmpfs cannot be mounted here");
    };
    let store = disk.join("store");
    std::fs::create_dir(&store).expect("on the tmpfs");
    let sink = Sink::start();
    let waiting = "[disk]\nfree_min = \"16 MiB\"\nballast = \"4 MiB\"\n";
    let held_back = format!("{waiting}[limits]\negress = \"0/h\"\n{}", smarthost(sink.address()));
    let site = Site::with_store(folder, store, &held_back);
    let relay = site.start();
    submit(&site, "before@example.com");

    let filler = disk.join("filler");
    std::fs::write(&filler, vec![1; 40 << 20]).expect("there is room for it");
    let mut client = Client::greeted(site.address());
    wait_for("452", || {
        let heard = client.deliver("full@example.com", &["b@example.net"], CONTENT).expect("an answer");
        assert!(matches!(heard.code, 250 | 452), "{heard:?}");
        heard.code == 452 && heard.text().contains("4.3.1")
    });
    let taken_while_filling = |sender: &str| sender == "full@example.com";

    std::fs::remove_file(&filler).expect("ours");
    wait_for("250 again", || {
        let mut client = Client::greeted(site.address());
        client.deliver("after@example.com", &["b@example.net"], CONTENT).is_ok_and(|heard| heard.code == 250)
    });
    site.configure(&format!("{waiting}{}", smarthost(sink.address())));
    relay.signal(Signal::HUP);
    wait_for("before and after", || {
        let arrivals = sink.accepted();
        ["before@example.com", "after@example.com"].iter().all(|from| arrivals.iter().any(|a| a.mail_from == *from))
    });
    for arrival in sink.accepted() {
        let from = arrival.mail_from;
        assert!(taken_while_filling(&from) || from == "before@example.com" || from == "after@example.com", "{from}");
    }
    relay.stop();
    // Before its folder is removed.
    drop(mount);
}

#[test]
fn what_a_reload_says() {
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let site = relay.site();
    site.configure(&format!("[limits]\naccount = \"150/h\"\n{}", smarthost(sink.address())));
    relay.signal(Signal::HUP);
    relay.wait_log(&["daemon.reloaded", "limits"]);

    let text = std::fs::read_to_string(site.config()).expect("ours");
    let store = site.store().display().to_string();
    std::fs::write(site.config(), text.replace(&store, &format!("{store}-2"))).expect("ours");
    std::fs::create_dir(format!("{store}-2")).expect("ours");
    set_mode(std::path::Path::new(&format!("{store}-2")), 0o700);
    assert!(site.command(&["check", "--quiet"]).status.success(), "the file is good");
    relay.signal(Signal::HUP);
    relay.wait_log(&["not reloaded", "systemctl restart"]);
    assert!(!site.log().contains("outguard check"), "which would find nothing: {}", site.log());

    std::fs::write(site.config(), format!("{text}\nnonsense")).expect("ours");
    relay.signal(Signal::HUP);
    relay.wait_log(&["not reloaded", "`outguard check`"]);
    let told = || {
        let log = site.log();
        let lines = log.lines().filter(|line| line.contains("reloaded") && !line.contains("not reloaded"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told().len(), 1, "one event, one line: {}", site.log());

    // What was refused changed nothing: the file of before differs in nothing, and is one line too.
    std::fs::write(site.config(), &text).expect("ours");
    relay.signal(Signal::HUP);
    relay.wait_log(&["INFO  daemon.reloaded changes=none"]);
    assert_eq!(told().len(), 2, "{}", site.log());
    // And what is mended afterwards is in effect.
    std::fs::write(site.config(), text.replace("150/h", "0/h")).expect("ours");
    relay.signal(Signal::HUP);
    wait_for("the mended file", || told().len() == 3);
    assert!(told()[2].contains("changes=limits"), "{:?}", told());
    let heard = Client::greeted(site.address()).deliver("a@example.com", &["b@example.net"], CONTENT);
    assert_eq!(heard.expect("an answer").code, 250);
    let listed = || String::from_utf8_lossy(&site.command(&["queue", "list"]).stdout).into_owned();
    wait_for("the limit of the mended file", || listed().contains("a slot: account 0/h"));
    assert_eq!(sink.arrivals().len(), 0);
}
