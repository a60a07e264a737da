//! Options about taking mail, as they are written in the file: each does what its line in the reference says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use crate::rig::PATIENCE;
use crate::rig::client::{Client, stuffed};
use crate::rig::process::{is_root, run, wait_for};
use crate::rig::relay::{Relay, Site, binary, smarthost};
use crate::rig::sink::Sink;
use crate::rig::tls::{Certificate, set_mode};
use crate::skip;

const CONTENT: &[u8] = b"Subject: x\r\n\r\nx\r\n";
/// Who runs the tests is an ordinary user to the relay.
const PLAIN: &str = "[trust]\ntrusted_users = [\"nobody\"]\n";
/// Whoever connects is believed.
const TRUSTED: &str = "[trust]\ntrusted_networks = [\"127.0.0.0/8\"]\n";

fn relay(options: &str) -> (Sink, Relay) {
    let sink = Sink::start();
    let relay = Site::new(&format!("{options}{}", smarthost(sink.address()))).start();
    (sink, relay)
}

fn greeted(relay: &Relay) -> Client {
    Client::greeted(relay.site().address())
}

/// The reply to the final dot of this content.
fn sent(client: &mut Client, content: &[u8]) -> (u16, String) {
    let heard = client.deliver("a@example.com", &["b@example.net"], content).expect("an answer");
    (heard.code, heard.text())
}

/// How often the same command is answered with that code before the relay says 421.
fn until_421(client: &mut Client, command: &str, code: u16) -> usize {
    for n in 0..1_000 {
        // Where a command is one too many, its answer and the 421 may both come.
        let heard = client.say(command).unwrap_or_else(|e| panic!("{command} {n}: {e}"));
        if heard.code == 421 {
            return n;
        }
        assert_eq!(heard.code, code, "{command} {n}: {heard:?}");
    }
    panic!("{command} is never too often");
}

#[test]
fn bounds_of_a_session() {
    let (_sink, relay) = relay(&format!(
        "{PLAIN}[intake]\nown_name = \"relay.test\"\n[intake.limits]\nconnections_of_client = 2\nline_bytes = 600\n\
         recipients = 2\nreceived = 2\ncommands = 40\nerrors = 3\nmessage_size = \"10 KiB\"\n"
    ));
    let (mut client, greeting) = Client::connect(relay.site().address()).expect("a connection");
    assert!(greeting.text().starts_with("relay.test "), "{greeting:?}");
    let offered = client.expect("EHLO client.example", 250);
    assert!(offered.lines.contains(&"SIZE 10240".to_owned()), "{offered:?}");
    client.expect("MAIL FROM:<a@example.com>", 250);
    client.expect("RCPT TO:<1@example.net>", 250);
    client.expect("RCPT TO:<2@example.net>", 250);
    let heard = client.expect("RCPT TO:<3@example.net>", 452);
    assert!(heard.text().starts_with("4.5.3"), "{heard:?}");
    client.expect("RSET", 250);
    client.expect("MAIL FROM:<a@example.com> SIZE=10241", 552);
    let cases = [
        ("Received: from x\r\n".repeat(2), 250, "2."),
        ("Received: from x\r\n".repeat(3), 554, "5.4.6"),
        (format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(1_000)), 552, "5.3.4"),
    ];
    for (content, code, status) in cases {
        let (heard, text) = sent(&mut client, content.as_bytes());
        assert!(heard == code && text.starts_with(status), "{heard} {text}");
    }
    let _second = greeted(&relay);
    let (_, third) = Client::connect(relay.site().address()).expect("a connection");
    assert_eq!(third.code, 421, "{third:?}");
    drop(client);

    let mut faulty = greeted(&relay);
    faulty.expect(&format!("NOOP {}", "x".repeat(600)), 500);
    assert_eq!(until_421(&mut faulty, "X", 500), 3, "and the long line before");
    let mut busy = greeted(&relay);
    let commands = until_421(&mut busy, "NOOP", 250);
    assert_eq!(commands, 39, "and EHLO");
}

#[test]
fn connections_of_an_mta_and_of_all() {
    for options in [
        format!("{TRUSTED}[intake.limits]\nconnections_of_trusted = 1\n"),
        format!("{PLAIN}[intake.limits]\nconnections = 1\n"),
    ] {
        let (_sink, relay) = relay(&options);
        let first = greeted(&relay);
        let (_, second) = Client::connect(relay.site().address()).expect("a connection");
        assert_eq!(second.code, 421, "{options}: {second:?}");
        drop(first);
        greeted(&relay);
    }
}

#[test]
fn bytes_in_flight() {
    let (_sink, relay) = relay("[intake.limits]\nin_flight_size = \"20 KiB\"\n");
    let (mut one, mut other) = (greeted(&relay), greeted(&relay));
    for client in [&mut one, &mut other] {
        client.expect("MAIL FROM:<a@example.com> SIZE=15000", 250);
        client.expect("RCPT TO:<b@example.net>", 250);
    }
    one.expect("DATA", 354);
    let heard = other.expect("DATA", 452);
    assert!(heard.text().starts_with("4.3.1"), "{heard:?}");
    one.send(&stuffed(CONTENT)).expect("a connection");
    assert_eq!(one.hear().expect("an answer").code, 250);
    other.expect("RSET", 250);
    assert_eq!(sent(&mut other, CONTENT).0, 250, "there is room again");
}

#[test]
fn silence_and_slowness_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Certificate::make(folder.path(), &["localhost"]);
    let implicit = crate::rig::loopback::own_address();
    let (_sink, relay) = relay(&format!(
        "[intake.timeouts]\ncommand = \"5s\"\ncontent_block = \"1s\"\ncontent = \"3s\"\nhandshake = \"1s\"\n\
         [[listen]]\naddress = \"{implicit}:10465\"\ntls = \"implicit\"\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
        pair.certificate_pem, pair.key_pem
    ));
    let in_content = || {
        let mut client = greeted(&relay);
        client.expect("MAIL FROM:<a@example.com>", 250);
        client.expect("RCPT TO:<b@example.net>", 250);
        client.expect("DATA", 354);
        client
    };
    // A command that is begun and not ended, a content that stops.
    let mut half = greeted(&relay);
    half.send(b"NOO").expect("a connection");
    assert_eq!(half.hear().expect("told").code, 421);
    let mut stopped = in_content();
    stopped.send(b"Subject: x\r\n").expect("a connection");
    assert_eq!(stopped.hear().expect("told").code, 421);
    // A content that goes on and on, each block in time.
    let mut slow = in_content();
    wait_for("the end of patience", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        slow.send(b"x\r\n").is_err()
    });
    // Nobody begins to speak TLS.
    let mut mute = std::net::TcpStream::connect((implicit, 10465)).expect("a connection");
    mute.set_read_timeout(Some(crate::rig::PATIENCE)).expect("not zero");
    assert_eq!(std::io::Read::read(&mut mute, &mut [0; 64]).unwrap_or(0), 0, "closed without a word");
}

/// A store that cannot be written: another program has it for itself, so long as this lives.
fn occupied(store: &std::path::Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(store.join("queue.db")).expect("a store");
    db.execute_batch("PRAGMA busy_timeout=60000; BEGIN IMMEDIATE").expect("nobody has it for long");
    db
}

#[test]
fn an_answer_comes_in_time() {
    let (sink, relay) = relay("[intake.timeouts]\nanswer = \"1s\"\n");
    let mut client = greeted(&relay);
    let occupied = occupied(relay.site().store());
    let (code, text) = sent(&mut client, CONTENT);
    assert_eq!(code, 451, "{text}");
    assert!(text.contains("not stored in time"), "{text}");
    drop(occupied);
    // It may have been stored since: then it leaves, and so does what the client sends again.
    wait_for("the store to be written again", || sent(&mut client, CONTENT).0 == 250);
    sink.wait_accepted(1);
}

#[test]
fn who_is_too_fast_is_told() {
    let (_sink, relay) =
        relay(&format!("{PLAIN}[intake.pace]\nconnections = \"1/m burst 2\"\ncommands = \"1/m burst 6\"\n"));
    let mut client = greeted(&relay);
    assert_eq!(until_421(&mut client, "NOOP", 250), 6, "and EHLO: the one too many has its answer, and the 421");
    let (_, second) = Client::connect(relay.site().address()).expect("a connection");
    assert_eq!(second.code, 220, "{second:?}");
    let (_, third) = Client::connect(relay.site().address()).expect("a connection");
    assert!(third.code == 421 && third.text().starts_with("4.7.0"), "{third:?}");
}

#[test]
fn who_may_relay_and_who_is_believed() {
    let believed = |offered: &crate::rig::client::Heard| offered.offers("XCLIENT") && offered.offers("XFORWARD");
    let own = if is_root() { "root".to_owned() } else { nix::unistd::geteuid().to_string() };
    let cases = [
        // options, XCLIENT is offered, the answer to MAIL
        (TRUSTED.to_owned(), true, 250),
        (format!("[trust]\ntrusted_users = [\"{own}\"]\n"), true, 250),
        (PLAIN.to_owned(), false, 250),
        (format!("{PLAIN}relay_networks = [\"10.0.0.0/8\"]\n"), false, 554),
    ];
    for (options, expected, code) in cases {
        let (_sink, relay) = relay(&options);
        let (mut client, greeting) = Client::connect(relay.site().address()).expect("a connection");
        if code == 554 && greeting.code == 554 {
            continue;
        }
        let offered = client.say("EHLO client.example").expect("an answer");
        assert_eq!(believed(&offered), expected, "{options}: {offered:?}");
        client.expect("MAIL FROM:<a@example.com>", code);
    }
}

/// The account of the last message, as the log has it.
fn account_of(relay: &Relay, from: &str, content: &[u8]) -> String {
    let before = relay.site().log().matches("message.accepted").count();
    let mut client = greeted(relay);
    let heard = client.expect(&format!("MAIL FROM:{from}"), 250);
    assert_eq!(heard.code, 250);
    client.expect("RCPT TO:<b@example.net>", 250);
    client.expect("DATA", 354);
    client.send(&stuffed(content)).expect("a connection");
    assert_eq!(client.hear().expect("an answer").code, 250);
    wait_for("the line of the message", || relay.site().log().matches("message.accepted").count() > before);
    let log = relay.site().log();
    let line = log.lines().rfind(|line| line.contains("message.accepted")).expect("waited for");
    line.split(" account=").nth(1).expect("each has one").split(' ').next().expect("a word").to_owned()
}

#[test]
fn whose_mail_it_is() {
    let postfix: &[u8] = b"Received: from x (unknown [192.0.2.7])\r\n\t(Authenticated sender: box@example.org)\r\n\
        \tby mx.example.com (Postfix) with ESMTPSA id 4ABC;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n\
        Subject: x\r\n\r\nx\r\n";
    // Postfix writes Received above what it is given, a panel's milter above that.
    let panel = &[b"X-Authenticated-Id: panel@example.org\r\n", postfix].concat();
    let filtered = [b"Received: from localhost by mx.example.com (amavis); x\r\n", postfix].concat();
    let fields = "own_names = [\"mx.example.com\"]\nreceived_trusted = true\nsources = [\"header-field\", \"received\"]\n\
        header_fields = [\"X-Authenticated-Id\"]\n";
    let names = "own_names = [\"mx.example.com\"]\nreceived_trusted = true\n";
    let cases: [(&str, &str, &str, &[u8], &str); 10] = [
        // options of [account], trust, MAIL FROM, content, account
        ("", TRUSTED, "<Alice+tag@Example.COM>", CONTENT, "alice@example.com"),
        ("local_part = \"as-written\"\n", TRUSTED, "<Alice@Example.COM>", CONTENT, "Alice@example.com"),
        ("", TRUSTED, "<a@example.com> AUTH=box@example.org", CONTENT, "box@example.org"),
        ("sources = [\"reverse-path\"]\n", TRUSTED, "<a@example.com> AUTH=box@example.org", CONTENT, "a@example.com"),
        (fields, TRUSTED, "<a@example.com>", panel, "panel@example.org"),
        (names, TRUSTED, "<a@example.com>", panel, "box@example.org"),
        (names, TRUSTED, "<a@example.com>", postfix, "box@example.org"),
        ("own_names = [\"mx.example.com\"]\n", TRUSTED, "<a@example.com>", postfix, "a@example.com"),
        (names, TRUSTED, "<a@example.com>", &filtered, "a@example.com"),
        (
            "own_names = [\"mx.example.com\"]\nreceived_trusted = true\nown_hops = [\"from localhost * (amavis*\"]\n",
            TRUSTED,
            "<a@example.com>",
            &filtered,
            "box@example.org",
        ),
    ];
    let (sink, relay) = relay("");
    for (options, trust, from, content, expected) in cases {
        let before = relay.site().log().matches("daemon.reloaded").count();
        relay.site().configure(&format!("{trust}[account]\n{options}{}", smarthost(sink.address())));
        relay.signal(rustix::process::Signal::HUP);
        wait_for("the reload", || relay.site().log().matches("daemon.reloaded").count() > before);
        let account = account_of(&relay, from, content);
        assert_eq!(account, expected, "{options} {from} {}", String::from_utf8_lossy(content));
    }
    // Nobody is believed who is an ordinary user: whatever it says, it counts as itself.
    relay.site().configure(&format!("{PLAIN}[account]\n{names}{}", smarthost(sink.address())));
    relay.signal(rustix::process::Signal::HUP);
    wait_for("an account of the user's own", || account_of(&relay, "<a@example.com>", postfix).starts_with("uid:"));
}

#[test]
fn rotating_senders_are_counted_as_one() {
    let (_sink, relay) = relay(&format!("{TRUSTED}[account.rotation]\nnew_per_hour = 2\nreport_only_days = 0\n"));
    let accounts: Vec<String> = (0..4).map(|n| account_of(&relay, &format!("<new{n}@example.com>"), CONTENT)).collect();
    assert_eq!(accounts[..2], ["new0@example.com", "new1@example.com"]);
    assert_eq!(accounts[2], accounts[3], "further ones share an account");
    assert_ne!(accounts[2], "new2@example.com");
    relay.wait_log(&["account.merged", "example.com"]);
}

#[test]
fn failed_logins_are_put_off() {
    let site = Site::new("");
    let line = run(&binary(), &["password", "box"], b"right\n").stdout;
    let passwords = site.folder().join("passwords");
    std::fs::write(&passwords, line).expect("ours");
    let sink = Sink::start();
    site.configure(&format!(
        "{PLAIN}[auth]\npassword_file = {passwords:?}\nfailures_max = 2\nchecks_max = 1\n{}",
        smarthost(sink.address())
    ));
    let relay = site.start();
    let mut client = greeted(&relay);
    client.expect("AUTH PLAIN AGJveAByaWdodA==", 235); // \0box\0right
    let mut client = greeted(&relay);
    client.expect("AUTH PLAIN AGJveAB3cm9uZw==", 535); // \0box\0wrong
    client.expect("AUTH PLAIN AGJveAB3cm9uZw==", 535);
    let late = client.say("AUTH PLAIN AGJveAByaWdodA==").expect("an answer");
    assert!((400..500).contains(&late.code), "put off, not refused: {late:?}");
}

#[test]
fn sockets_and_who_may_ask() {
    let site = Site::new("");
    let smtp = site.folder().join("smtp.sock");
    set_mode(site.folder(), 0o711);
    let sink = Sink::start();
    let control = site.folder().join("control.sock");
    let configure = |others: &str| {
        site.configure(&format!(
            "[[listen]]\naddress = \"unix:{}\"\nmode = \"0666\"\n[control]\nsocket = {control:?}\nmode = \"0666\"\n\
             others = \"{others}\"\nconnections = 1\n{}",
            smtp.display(),
            smarthost(sink.address())
        ));
    };
    let cases = [("none", false, false), ("read", true, false), ("admin", true, true)];
    for (others, looks, acts) in cases {
        configure(others);
        let relay = site.start();
        let tcp = relay.site().address();
        wait_for("the line that names both listeners", || {
            let log = relay.site().log();
            let ready: Vec<&str> = log.lines().filter(|line| line.starts_with("outguard: ready")).collect();
            ready.last().is_some_and(|line| line.ends_with(&format!("mail at {tcp}, {}", smtp.display())))
        });
        for path in [&smtp, &control] {
            let mode = std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o666, "{}", path.display());
        }
        assert!(site.command(&["status"]).status.success(), "who runs it may");
        if is_root() {
            let config = site.config().display().to_string();
            let binary = binary().display().to_string();
            let setpriv = crate::rig::process::find("setpriv").expect("the rig needs it");
            let ask = |command: &[&str]| {
                let who = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", &binary];
                run(&setpriv, &[&who[..], command, &["--config", &config]].concat(), b"").status.success()
            };
            assert_eq!((ask(&["status"]), ask(&["hold", "all"])), (looks, acts), "{others}");
        }
        relay.stop();
    }
    if !is_root() {
        skip!("only root can ask as somebody else");
    }
}

/// A relay without a port: mail comes by a Unix socket, and leaves as ever.
#[test]
fn a_unix_socket_alone_takes_mail_that_is_delivered() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let smtp = site.folder().join("smtp.sock");
    let text = std::fs::read_to_string(site.config()).expect("ours");
    let only = text.replace(&site.address().to_string(), &format!("unix:{}", smtp.display()));
    std::fs::write(site.config(), only).expect("ours");
    let relay = site.start();
    assert!(std::net::TcpStream::connect(site.address()).is_err(), "no port is open");

    let stream = UnixStream::connect(&smtp).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut replies = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let mut hear = |code: &str| loop {
        let line = replies.next().expect("an answer").expect("a line");
        assert!(line.starts_with(code), "{line}");
        if line.as_bytes().get(3) == Some(&b' ') {
            break;
        }
    };
    hear("220");
    let dialogue = [
        ("EHLO client.example\r\n", "250"),
        ("MAIL FROM:<a@example.com>\r\n", "250"),
        ("RCPT TO:<b@example.net>\r\n", "250"),
        ("DATA\r\n", "354"),
        ("Subject: by a socket\r\n\r\nx\r\n.\r\n", "250"),
        ("QUIT\r\n", "221"),
    ];
    for (said, code) in dialogue {
        (&stream).write_all(said.as_bytes()).expect("it reads");
        hear(code);
    }
    let arrival = sink.wait_accepted(1).remove(0);
    assert_eq!(
        (arrival.mail_from.as_str(), arrival.recipients.as_slice()),
        ("a@example.com", &["b@example.net".into()][..])
    );
    assert!(arrival.text().ends_with("Subject: by a socket\r\n\r\nx\r\n"), "{}", arrival.text());
    relay.wait_log(&["delivery.delivered", "account=a@example.com"]);
    // The socket of the one before does not stand in the way of the next.
    relay.kill();
    let relay = site.start();
    UnixStream::connect(&smtp).expect("it listens again");
    relay.stop();
}

#[test]
fn lines_of_the_log() {
    let (_sink, relay) = relay("[log]\nto = \"json\"\n");
    assert_eq!(sent(&mut greeted(&relay), CONTENT).0, 250);
    relay.wait_log(&["delivery.delivered"]);
    let log = relay.site().log();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let line = lines.iter().find(|line| line["event"] == "message.accepted").expect("one line for each event");
    assert!(line["id"].is_string() && line["account"].is_string(), "{line}");
    let others = log.lines().filter(|line| !line.starts_with('{') && !line.starts_with("outguard: ready"));
    assert_eq!(others.count(), 0, "{log}");

    let (sink, relay) = self::relay("[log]\nto = \"text\"\nlevel = \"warn\"\n");
    assert_eq!(sent(&mut greeted(&relay), CONTENT).0, 250);
    sink.wait_accepted(1);
    assert!(!relay.site().log().contains(" INFO "), "{}", relay.site().log());
}
