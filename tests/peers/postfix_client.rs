//! Postfix in front of the relay, and Debian's `smtp-sink` or a second Postfix behind it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::rig::client::Client;
use crate::rig::loopback::own_address;
use crate::rig::postfix::{self, Plan, Postfix};
use crate::rig::process::{Running, is_root, wait_for};
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::Sink;
use crate::rig::tls::{Certificate, set_mode};
use crate::{need, skip};

/// Debian's `smtp-sink`, and the folder it writes what it takes to.
struct SmtpSink {
    folder: TempDir,
    address: SocketAddr,
    _running: Running,
}

impl SmtpSink {
    /// `dump` is its option: with `-d` each message has a file of its own, with `-D` they follow each other in one.
    fn start(program: &Path, dump: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from((own_address(), 2525));
        let pattern = folder.path().join("mail.%M.").display().to_string();
        // Root must name the user it becomes, who must then be able to write here.
        let user: &[&str] = if is_root() { &["-u", "nobody"] } else { &[] };
        set_mode(folder.path(), 0o777);
        let at = address.to_string();
        let arguments = [user, &[dump, &pattern, &at, "100"]].concat();
        let running = Running::start("smtp-sink", program, &arguments, &folder.path().join("log"));
        wait_for("smtp-sink", || TcpStream::connect(address).is_ok());
        Self { folder, address, _running: running }
    }

    /// What it has written so far, each message as far as it has come.
    fn dumps(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("our folder").flatten();
        let mails = files.filter(|file| file.file_name().to_string_lossy().starts_with("mail."));
        mails.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
    }
}

#[test]
fn through_the_relay_into_smtp_sink() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = SmtpSink::start(&need!("smtp-sink"), "-D");
    let relay = Site::new(&smarthost(sink.address)).start();
    let client = Postfix::start(&Plan::default().recipe(relay.site().address()));
    client.sendmail("alice@example.com", &["bob@example.net"], b"Subject: whole way\n\n.dot\nGr\xc3\xbc\xc3\x9fe\n");

    let whole = |dump: &String| dump.contains("Gr\u{fc}\u{df}e");
    wait_for("a dump of smtp-sink", || sink.dumps().iter().any(whole));
    let dump = sink.dumps().concat();
    for expected in
        ["X-Mail-Args: <alice@example.com>", "X-Rcpt-Args: <bob@example.net>", "Subject: whole way", "\n.dot\n"]
    {
        assert!(dump.contains(expected), "{expected:?} is not in {dump}");
    }
    wait_for("an empty queue", || client.queued() == 0);
}

/// One line of main.cf and none of the recipe: mail arrives as it is, and whose it is the sender's address alone tells, as
/// README says.
#[test]
fn a_plain_relayhost_carries_mail_and_knows_the_sender_alone() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = SmtpSink::start(&need!("smtp-sink"), "-d");
    let relay = Site::new(&smarthost(sink.address)).start();
    let client = Postfix::start(&Plan::default().relayhost(relay.site().address()));

    // A long line, dots, bytes over 127, spaces and tabs at line ends, a last line without an end.
    let long = "x".repeat(900);
    let body = format!("Subject: whole way\r\n\r\n.dot\r\n..\r\nGr\u{fc}\u{df}e \t\r\n{long}\r\n\r\n \r\nend\r\n");
    let mut session = Client::greeted(client.address());
    let heard = session.deliver("alice@example.com", &["bob@example.net"], body.as_bytes()).expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
    // And as a script hands it in.
    client.sendmail("carol@example.com", &["bob@example.net"], b"Subject: from a script\n\nx\n");
    let whole = |dump: &String| dump.contains("end\n") || dump.contains("from a script\n") && dump.contains("\n\nx\n");
    wait_for("two dumps of smtp-sink", || sink.dumps().iter().filter(|dump| whole(dump)).count() == 2);
    let dumps = sink.dumps();
    // smtp-sink writes lines as Unix has them; Postfix writes the field of its own before the subject.
    let sent = body.replace("\r\n", "\n");
    let body_of = |dump: &String| dump.split("\n\n").skip(1).collect::<Vec<_>>().join("\n\n");
    let expected = sent.split_once("\n\n").expect("a header").1.trim_end().to_owned();
    assert!(dumps.iter().any(|dump| body_of(dump).trim_end() == expected), "{expected:?} is not in {dumps:?}");
    for account in ["alice@example.com", "carol@example.com"] {
        let taken = relay.wait_log(&["message.accepted", &format!("account={account}")]);
        assert!(taken.contains("source=reverse-path"), "{taken}");
    }
    wait_for("an empty queue", || client.queued() == 0);
}

#[test]
fn to_a_second_postfix_over_starttls() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::start();
    let certificate = Certificate::make(folder.path(), &["server.example"]);
    let server = Postfix::start(
        &Plan::default()
            .relayhost(sink.address())
            .main("smtpd_tls_security_level", "encrypt") // MAIL without TLS is refused
            .main("smtpd_tls_cert_file", certificate.certificate_pem.display())
            .main("smtpd_tls_key_file", certificate.key_pem.display())
            .main("smtpd_tls_received_header", "yes"),
    );
    let route = format!("[[route]]\nsmarthost = \"{}\"\ntls = \"opportunistic\"\n", server.address());
    let relay = Site::new(&route).start();
    let client = Postfix::start(&Plan::default().recipe(relay.site().address()));
    client.sendmail("alice@example.com", &["bob@example.net"], b"Subject: whole way\n\nx\n");
    let arrival = &sink.wait_accepted(1)[0];
    assert!(arrival.text().contains("(using TLSv1.3 with cipher"), "{}", arrival.text());
    assert!(arrival.text().contains("out.example.com"), "the relay greets with its EHLO name: {}", arrival.text());
}

const ACCOUNTS: usize = 10;
const EACH: usize = 100;

/// A thousand messages of ten accounts wait for slots; then a hundred windows' worth of them leave, one connection at a
/// time, so that the order at the next hop is the order of dispatch.
#[test]
fn a_queue_of_a_thousand_drains_in_exact_rotation() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = Sink::start();
    let route = smarthost(sink.address()) + "concurrency = 1\n";
    let site = Site::new(&format!("[limits]\naccount = []\negress = \"0/h\"\n{route}"));
    let relay = site.start();
    let client = Postfix::start(&Plan::default().recipe(site.address()));
    // The first account hands in all it has before the others begin: that must not help it.
    let mut submission = Client::greeted(client.address());
    for account in 0..ACCOUNTS {
        for number in 0..EACH {
            let content = format!("Subject: {account}/{number}\r\n\r\nx\r\n");
            let from = format!("user{account}@example.com");
            let heard = submission.deliver(&from, &["reader@example.net"], content.as_bytes()).expect("an answer");
            assert_eq!(heard.code, 250, "{heard:?}");
        }
    }
    wait_for("Postfix to hand over its queue", || client.queued() == 0);
    assert_eq!(sink.arrivals().len(), 0, "0/h means that nothing leaves");
    let oldest = site.command(&["queue", "list", "--limit", "1", "--json"]);
    let oldest: serde_json::Value = serde_json::from_slice(&oldest.stdout).expect("one message");
    let why = site.command(&["queue", "show", oldest["id"].as_str().expect("its id")]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains(&format!("egress 0/h of egress {}", site.egress())), "the limit that holds is named: {why}");

    site.configure(&format!("[limits]\naccount = []\negress = \"50/1s\"\nfair_reserve = false\n{route}"));
    relay.signal(Signal::HUP);
    let arrivals = sink.wait_accepted(ACCOUNTS * EACH);
    assert_eq!(arrivals.len(), ACCOUNTS * EACH);

    // Equal weights, one recipient each, and all of it waits: the accounts take turns, in each round each once and in the
    // same order.
    let senders: Vec<&str> = arrivals.iter().map(|arrival| arrival.mail_from.as_str()).collect();
    let first_round = &senders[..ACCOUNTS];
    assert_eq!(first_round.iter().collect::<BTreeSet<_>>().len(), ACCOUNTS, "the first round: {first_round:?}");
    for (number, round) in senders.chunks(ACCOUNTS).enumerate() {
        assert_eq!(round, first_round, "round {number}");
    }
    let moments: Vec<u64> = arrivals.iter().map(|arrival| arrival.content_ms).collect();
    let fullest = crate::rig::windows::fullest(&moments, 1_000);
    assert!(fullest <= 50, "egress 50/1s did not hold while the queue drained: {fullest}");
    if fullest <= 25 {
        println!("this machine is too slow for egress 50/1s to be what the queue waits for: {fullest}");
    }
}

/// One place an hour for each account: who an account is shows in what waits.
#[test]
fn the_login_at_postfix_is_the_account() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = Sink::start();
    let limits = "[limits]\naccount = \"1/h\"\negress = []\n";
    let site = Site::new(&format!("{limits}{}", smarthost(sink.address())));
    let _relay = site.start();
    // XCLIENT LOGIN makes Postfix believe that a client has logged in, as SASL would.
    let plan = Plan::default().recipe(site.address()).main("smtpd_authorized_xclient_hosts", "127.0.0.0/8");
    let client = Postfix::start(&plan);
    let send = |login: &str, from: &str| {
        let mut session = Client::greeted(client.address());
        session.expect(&format!("XCLIENT LOGIN={login}"), 220);
        session.expect("EHLO client.example", 250);
        let heard = session.deliver(from, &["reader@example.net"], b"Subject: x\r\n\r\nx\r\n").expect("an answer");
        assert_eq!(heard.code, 250, "{heard:?}");
        wait_for("Postfix to hand over its queue", || client.queued() == 0);
    };
    send("alice", "one@example.com");
    sink.wait_accepted(1);
    send("alice", "two@example.com"); // another reverse-path, the same account: it waits
    send("bob", "one@example.com"); // the same reverse-path, another account
    let arrivals = sink.wait_accepted(2);
    let senders: Vec<&str> = arrivals.iter().map(|arrival| arrival.mail_from.as_str()).collect();
    assert_eq!(senders, ["one@example.com", "one@example.com"]);
}

/// Mail of scripts and cron, whatever sender the script writes.
#[test]
fn the_local_user_at_postfix_is_the_account() {
    if let Some(reason) = postfix::missing() {
        skip!("{reason}");
    }
    let sink = Sink::start();
    let settings = "[limits]\naccount = \"1/h\"\negress = []\n\
                    [account]\nown_names = [\"client.example\"]\n";
    let site = Site::new(&format!("{settings}{}", smarthost(sink.address())));
    let _relay = site.start();
    let client = Postfix::start(&Plan::default().recipe(site.address()));
    for from in ["one@example.com", "two@example.com"] {
        client.sendmail(from, &["reader@example.net"], b"Subject: x\n\nx\n");
        wait_for("Postfix to hand over its queue", || client.queued() == 0);
        sink.wait_accepted(1);
    }
    // Another account passes, so the second message has had its chance.
    let heard =
        Client::greeted(client.address()).deliver("three@example.com", &["r@example.net"], b"Subject: x\r\n\r\nx\r\n");
    assert_eq!(heard.expect("an answer").code, 250);
    let arrivals = sink.wait_accepted(2);
    let senders: Vec<&str> = arrivals.iter().map(|arrival| arrival.mail_from.as_str()).collect();
    assert_eq!(senders, ["one@example.com", "three@example.com"]);
}
