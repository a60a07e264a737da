//! Rspamd, SpamAssassin and ClamAV as Debian ships them, asked by the relay at the final dot.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::rig::client::Client;
use crate::rig::loopback::own_address;
use crate::rig::process::{Running, find, run, wait_for};
use crate::rig::relay::{Relay, Site, smarthost};
use crate::rig::sink::{Sink, nobody};
use crate::rig::tls::set_mode;
use crate::{need, skip};

/// The test string of SpamAssassin and Rspamd (GTUBE), cut so that this file is none.
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-", "ANTI-UBE-TEST-EMAIL*C.34X"];
/// The test file of virus scanners (EICAR), cut for the same reason.
const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"];

/// What a person might write.
const NOTE: &str = "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\n\
                    Message-ID: <note-1@example.org>\r\nSubject: Minutes of Tuesday\r\n\r\n\
                    Hello Bob,\r\n\r\nhere are the minutes that I promised. Please look at the second point.\r\n\r\nAnn\r\n";

fn with(text: &str) -> String {
    format!("{NOTE}\r\n{text}\r\n")
}

/// Own rules off, so that what is seen is the other scorer's word alone.
fn site(sink: &Sink, scorer: &str) -> std::sync::Arc<Site> {
    Site::new(&format!("[score.points]\ngtube = 0\n{scorer}\n{}", smarthost(sink.address())))
}

fn deliver(relay: &Relay, content: &str) -> u16 {
    let mut client = Client::greeted(relay.site().address());
    client.deliver("ann@example.org", &["bob@example.net"], content.as_bytes()).expect("it answers").code
}

/// The reason of that name on the only message of the queue.
fn reason(relay: &Relay, name: &str) -> (i64, String) {
    let listed = relay.site().command(&["queue", "list", "--state", "held", "--json"]);
    let message: Value = serde_json::from_slice(&listed.stdout).expect("one held message");
    let reasons = message["verdict"]["reasons"].as_array().expect("reasons");
    let reason = reasons.iter().find(|reason| reason["name"] == name).unwrap_or_else(|| panic!("{reasons:?}"));
    (reason["points"].as_i64().expect("a number"), reason["sentence"].as_str().expect("a text").to_owned())
}

fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

#[test]
fn spamassassin_is_asked() {
    let Some(spamd) = find("spamd") else { skip!("spamd is not installed") };
    let folder = tempfile::tempdir().expect("a folder");
    let address = SocketAddr::from((own_address(), 783));
    fs::write(folder.path().join("local.cf"), "dns_available no\nuse_bayes 0\nrequired_score 5\n").expect("ours");
    fs::write(folder.path().join("init.pre"), "loadplugin Mail::SpamAssassin::Plugin::Check\n").expect("ours");
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let log = folder.path().join("log");
    let configuration = folder.path().display().to_string();
    let _spamd = Running::start(
        "spamd",
        &spamd,
        &[
            "-L",
            "-x",
            "-m",
            "1",
            "-i",
            &host,
            "-A",
            "127.0.0.0/8",
            "-p",
            &port,
            "--siteconfigpath",
            &configuration,
            "-s",
            "stderr",
        ],
        &log,
    );
    wait_for("spamd", || is_open(address));
    let sink = Sink::start();
    let site = site(
        &sink,
        &format!("[scorers.spamassassin]\naddress = \"{address}\"\ntimeout = \"20s\"\non_failure = \"defer\"\n"),
    );
    let relay = site.start();
    assert_eq!(deliver(&relay, NOTE), 250);
    sink.wait_accepted(1);
    assert_eq!(deliver(&relay, &with(&GTUBE.concat())), 250);
    let (points, sentence) = reason(&relay, "spamassassin");
    assert!(points >= 150 && sentence.contains("GTUBE"), "{points} {sentence}");
    relay.stop();
}

#[test]
fn rspamd_is_asked() {
    let Some(rspamd) = find("rspamd") else { skip!("rspamd is not installed") };
    let folder = tempfile::tempdir().expect("a folder");
    set_mode(folder.path(), 0o755);
    let address = SocketAddr::from((own_address(), 11_333));
    let at = folder.path().display();
    let configuration = folder.path().join("rspamd.conf");
    fs::write(
        &configuration,
        format!(
            "options {{ pidfile = \"{at}/pid\"; tempdir = \"{at}\"; filters = \"\"; dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; }} }}\n\
             logging {{ type = \"file\"; filename = \"{at}/rspamd.log\"; level = \"warning\"; }}\n\
             worker {{ type = \"normal\"; bind_socket = \"{address}\"; count = 1; }}\n\
             metric {{ name = \"default\"; actions {{ reject = 15; add_header = 6; }} }}\n"
        ),
    )
    .expect("ours");
    let log = folder.path().join("log");
    let path = configuration.display().to_string();
    let _rspamd = Running::start("rspamd", &rspamd, &["-f", "-i", "-c", &path], &log);
    wait_for("rspamd", || is_open(address));
    let sink = Sink::start();
    let site =
        site(&sink, &format!("[scorers.rspamd]\naddress = \"{address}\"\ntimeout = \"20s\"\non_failure = \"defer\"\n"));
    let relay = site.start();
    assert_eq!(deliver(&relay, NOTE), 250);
    sink.wait_accepted(1);
    assert_eq!(deliver(&relay, &with(&GTUBE.concat())), 250);
    let (points, sentence) = reason(&relay, "rspamd");
    assert!(points >= 150 && sentence.contains("GTUBE"), "{points} {sentence}");
    relay.stop();
}

#[test]
fn clamav_is_asked() {
    let Some(clamd) = find("clamd") else { skip!("clamd is not installed") };
    let sha256sum = need!("sha256sum");
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("database");
    fs::create_dir(&database).expect("ours");
    // A database of one signature: Debian's own comes from the network, and is of no use here.
    let sample = folder.path().join("sample");
    fs::write(&sample, EICAR.concat()).expect("ours");
    let hash = String::from_utf8(run(&sha256sum, &[&sample.display().to_string()], b"").stdout).expect("text");
    let hash = hash.split(' ').next().expect("before the name");
    fs::write(database.join("test.hsb"), format!("{hash}:{}:Test.Sample\n", EICAR.concat().len())).expect("ours");
    let socket = folder.path().join("clamd.ctl");
    let configuration = folder.path().join("clamd.conf");
    let database = database.display();
    fs::write(
        &configuration,
        format!("Foreground yes\nLocalSocket {}\nDatabaseDirectory {database}\nStreamMaxLength 1M\n", socket.display()),
    )
    .expect("ours");
    let log = folder.path().join("log");
    let path = configuration.display().to_string();
    let _clamd = Running::start("clamd", &clamd, &["-c", &path], &log);
    wait_for("clamd", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let sink = Sink::start();
    let scorer = format!(
        "[scorers.clamav]\naddress = \"unix:{}\"\ntimeout = \"20s\"\non_failure = \"defer\"\n",
        socket.display()
    );
    let site = site(&sink, &scorer);
    let relay = site.start();
    assert_eq!(deliver(&relay, NOTE), 250);
    sink.wait_accepted(1);
    // Encoded, so that what is found in it is the sample to the letter.
    let encoded = run(&find("base64").expect("everywhere"), &[&sample.display().to_string()], b"").stdout;
    let encoded = String::from_utf8(encoded).expect("text").replace('\n', "\r\n");
    let fields = "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=a.bin\r\n\
                  Content-Transfer-Encoding: base64";
    let head = NOTE.split("\r\n\r\n").next().expect("a head");
    assert_eq!(deliver(&relay, &format!("{head}\r\n{fields}\r\n\r\n{encoded}")), 250);
    let (points, sentence) = reason(&relay, "clamav");
    assert!(points >= 150 && sentence.contains("Test.Sample"), "{points} {sentence}");
    // More than it takes: its words, not the broken pipe, and the configured outcome.
    let huge = with(&format!("{}\r\n", "x".repeat(900)).repeat(1_500));
    assert_eq!(deliver(&relay, &huge), 451);
    let log = relay.wait_log(&["a scorer does not answer", "size limit"]);
    assert!(log.contains("ClamAV"), "{log}");
    relay.stop();
}

#[test]
fn a_scorer_that_fails_has_its_configured_outcome() {
    for (word, code, left) in [("pass", 250, 1), ("hold", 250, 0), ("defer", 451, 0)] {
        let sink = Sink::start();
        let site = site(&sink, &format!("[scorers.rspamd]\naddress = \"{}\"\non_failure = \"{word}\"\n", nobody()));
        let relay = site.start();
        assert_eq!(deliver(&relay, NOTE), code, "{word}");
        relay.wait_log(&["a scorer does not answer", "Rspamd", "not reached"]);
        match word {
            "pass" => assert_eq!(sink.wait_accepted(left).len(), left),
            "hold" => assert!(reason(&relay, "scorer-failed").1.contains("Rspamd did not answer, held for that")),
            _ => assert!(relay.site().command(&["queue", "list", "--json"]).stdout.is_empty(), "{word}"),
        }
        relay.stop();
    }
}
