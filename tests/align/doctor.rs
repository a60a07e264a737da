//! The doctor of the real binary: called, and by itself between a DNS server that changes.

use std::net::SocketAddr;

use serde_json::Value;

use crate::rig::client::Client;
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process;
use crate::rig::relay::{Site, binary};
use crate::rig::sink::Sink;

fn spf(text: &str) -> Vec<Record> {
    vec![Record::Text(text.to_owned()), Record::Mx(10, "mx.example.com".into())]
}

/// Each line of output as JSON.
fn lines(output: &std::process::Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check} in {findings:?}"))
}

#[test]
fn what_goes_wrong_is_told_once_and_a_restart_forgets_nothing() {
    let good = "v=spf1 ip4:192.0.2.10 -all";
    let zone = Zone::from([
        ("example.com".into(), spf(good)),
        ("_dmarc.example.com".into(), vec![Record::Text("v=DMARC1; p=reject".into())]),
    ]);
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
    let site = Site::new(&format!(
        "[dns]\nservers = [\"{}\"]\n\
         [intake]\nown_name = \"localhost\"\n\
         [doctor]\nevery = \"1s\"\ndomains = [\"example.com\"]\nlists = []\nport25 = []\nmailboxes = []\n\
         [[egress]]\nname = \"one\"\npublic_address = \"192.0.2.10\"\nehlo = \"mail.example.com\"\n",
        dns.address(),
    ));

    // Which domains were looked at is said to people too.
    let said = String::from_utf8(site.command(&["doctor"]).stdout).unwrap();
    assert!(said.contains("sending domains looked at: example.com; name others"), "{said}");
    // Called: live, with the fault of the reverse DNS that this zone lacks.
    let called = site.command(&["doctor", "--json"]);
    assert_eq!(called.status.code(), Some(1), "{called:?}");
    let found = lines(&called);
    assert_eq!((&of(&found, "spf")["grade"], &of(&found, "spf")["about"]), (&"right".into(), &"one".into()));
    assert_eq!(of(&found, "reverse-dns")["grade"], "fault");

    let relay = site.start();
    relay.wait_log(&["`outguard doctor --last`"]);
    dns.set("example.com", spf("v=spf1 -all"));
    let told = relay.wait_log(&["doctor.worse", "check=spf", "subject=example.com", "about=one", "grade=fault"]);
    assert!(told.contains("add ip4:192.0.2.10 to the SPF record of example.com"), "{told}");
    let last = site.command(&["doctor", "--last", "--json"]);
    assert_eq!(last.status.code(), Some(1));
    let found = lines(&last);
    assert_eq!(of(&found, "spf")["grade"], "fault");
    assert_eq!(found[0]["grade"], "fault", "what is worst first");
    relay.stop();
    let told = |site: &Site, name: &str| site.log().lines().filter(|line| line.contains(name)).count();
    assert_eq!(told(&site, "doctor.worse"), 1, "once, whatever the rounds: {}", site.log());

    // What was wrong before the restart is right after it: news.
    dns.set("example.com", spf(good));
    let relay = site.start();
    relay.wait_log(&["doctor.better", "check=spf", "subject=example.com"]);
    relay.stop();
    assert_eq!(told(&site, "doctor.worse"), 1, "{}", site.log());
    assert_eq!(told(&site, "doctor.better"), 1, "{}", site.log());
}

/// A server and a domain with nothing but a warning: `p=none`.
fn healthy() -> Zone {
    Zone::from([
        ("example.com".into(), spf("v=spf1 ip4:192.0.2.10 -all")),
        ("_dmarc.example.com".into(), vec![Record::Text("v=DMARC1; p=none".into())]),
        ("10.2.0.192.in-addr.arpa".into(), vec![Record::Name("mail.example.com".into())]),
        ("mail.example.com".into(), vec![Record::Address([192, 0, 2, 10].into())]),
        ("mx.example.com".into(), vec![Record::Address([192, 0, 2, 11].into())]),
    ])
}

/// The label of a paid list's zone is the key of who pays: it is asked with, and told nowhere.
#[test]
fn the_key_of_a_paid_list_is_asked_with_and_told_nowhere() {
    const KEY: &str = "k3yofwhopays";
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), healthy());
    let domains = format!("{KEY}.dbl.dq.spamhaus.net");
    let listed = format!("bad.example.{domains}");
    let failing = format!("10.2.0.192.{KEY}.zen.dq.spamhaus.net");
    let silent = format!("10.2.0.192.{KEY}.combined.mail.abusix.zone");
    dns.set(&listed, vec![Record::Address([127, 0, 1, 2].into())]);
    dns.set(&format!("worse.example.{domains}"), vec![Record::ServerFailure]);
    dns.set(&failing, vec![Record::ServerFailure]);
    dns.set(&silent, vec![Record::Silence]);
    let sink = Sink::start();
    let site = Site::new(&format!(
        "[dns]\nservers = [\"{}\"]\n[intake]\nown_name = \"localhost\"\n[log]\nto = \"text\"\nlevel = \"debug\"\n\
         [doctor]\nevery = \"1s\"\ntimeout = \"1s\"\nport25 = []\nmailboxes = []\n\
         lists = [\"{KEY}.zen.dq.spamhaus.net\", \"{KEY}.combined.mail.abusix.zone\"]\n\
         [[scorers.list]]\nzone = \"{domains}\"\ntimeout = \"20s\"\npoints = 500\n\
         {EGRESS}[[route]]\nsmarthost = \"{}\"\ntls = \"none\"\n",
        dns.address(),
        sink.address()
    ));
    let mut told: Vec<String> = Vec::new();
    let mut ask = |arguments: &[&str]| {
        let output = site.command(arguments);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        told.push(text.clone());
        text
    };
    for look in [&["check"][..], &["check", "--json"]] {
        let text = ask(look);
        for zone in ["zen.dq.spamhaus.net", "combined.mail.abusix.zone", "dbl.dq.spamhaus.net"] {
            assert!(text.contains(&format!("(key).{zone}")), "{text}");
        }
    }
    let relay = site.start();
    for host in ["bad.example", "worse.example"] {
        let content = format!("Subject: x\r\n\r\nhttp://{host}/\r\n");
        let heard = Client::greeted(site.address()).deliver("a@example.com", &["b@example.net"], content.as_bytes());
        assert_eq!(heard.unwrap().code, 250);
    }
    process::wait_for("it to be held", || !site.held().is_empty());
    let shown = ask(&["queue", "show", &site.held()[0]]);
    assert!(shown.contains("bad.example (link) is listed in (key).dbl.dq.spamhaus.net"), "{shown}");
    process::wait_for("the other to leave", || sink.accepted().len() == 1);
    relay.wait_log(&["a list in the DNS", "(key).dbl.dq.spamhaus.net"]);
    process::wait_for("the doctor", || {
        let found = ask(&["doctor", "--last"]);
        found.contains("(key).zen.dq.spamhaus.net") && found.contains("(key).combined.mail.abusix.zone")
    });
    // A file that is wrong elsewhere, and one that has what `check` printed.
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), format!("{text}nonsense = \"{KEY}.dbl.dq.spamhaus.net")).unwrap();
    ask(&["check"]);
    std::fs::write(site.config(), text.replace(&domains, "(key).dbl.dq.spamhaus.net")).unwrap();
    assert!(ask(&["check"]).contains("this is no name in the DNS"));
    relay.stop();
    told.push(site.log());
    for text in told {
        assert!(!text.to_ascii_lowercase().contains(KEY), "{text}");
    }
    for name in [&listed, &failing, &silent] {
        assert!(dns.asked(name) > 0, "{name} was asked for, key and all");
    }
}

const EGRESS: &str = "[[egress]]\nname = \"one\"\npublic_address = \"192.0.2.10\"\nehlo = \"mail.example.com\"\n";

/// docs/alignment.md says what scripts may rely on: the fields, their words, and the exit status.
#[test]
fn what_scripts_see_is_what_the_manual_says() {
    let manual = std::fs::read_to_string("docs/alignment.md").unwrap();
    let table = manual.split("**For scripts**").nth(1).unwrap().split("An egress without").next().unwrap();
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), healthy());
    dns.set("10.2.0.192.listed.example", vec![Record::Address([127, 0, 0, 2].into())]);
    let doctor = |lists: &str, every: &str| {
        let lists_and_more = format!(
            "every = \"{every}\"\ndomains = [\"example.com\"]\nlists = [{lists}]\nport25 = []\nmailboxes = []\n"
        );
        format!(
            "[dns]\nservers = [\"{}\"]\n[intake]\nown_name = \"localhost\"\n[doctor]\n{lists_and_more}{EGRESS}",
            dns.address()
        )
    };
    let site = Site::new(&doctor("\"free.example\"", "0s"));
    let code = |arguments: &[&str]| {
        let output = site.command(arguments);
        (output.status.code(), lines(&output))
    };
    let (status, found) = code(&["doctor", "--json"]);
    assert_eq!(status, Some(0), "warnings are no faults: {found:?}");
    assert_eq!(of(&found, "dmarc")["grade"], "warning");
    for finding in &found {
        let fields: Vec<&str> = finding.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["about", "check", "found", "grade", "mend", "subject", "why"], "{finding}");
        for (field, value) in finding.as_object().unwrap() {
            assert!(value.is_string() && table.contains(&format!("`{field}`")), "{field}: {finding}");
        }
        for field in ["check", "grade"] {
            let word = format!("`{}`", finding[field].as_str().unwrap());
            assert!(table.contains(&word), "{word} stands in the manual");
        }
    }
    site.configure(&doctor("\"listed.example\"", "0s"));
    let (status, found) = code(&["doctor", "--json"]);
    assert_eq!((status, &of(&found, "listed")["grade"]), (Some(1), &"fault".into()));
    for (arguments, expected) in [
        (&["doctor", "no domain"] as &[&str], 2),
        (&["doctor", "--last", "--json"], 75), // no daemon
    ] {
        assert_eq!(code(arguments), (Some(expected), vec![]), "{arguments:?}");
    }
    let relay = site.start();
    assert_eq!(code(&["doctor", "--last", "--json"]), (Some(3), vec![]), "it looks at nothing by itself");
    relay.stop();
    site.configure("[doctor]\nevery = 5\n");
    assert_eq!(code(&["doctor", "--json"]), (Some(78), vec![]));
    for status in [0, 1, 2, 3, 75, 77, 78] {
        assert!(table.contains(&format!("\n| {status} |")), "{status} stands in the manual");
    }
}

/// A domain that no line of the configuration names, and that its users send as; and one that a stranger wrote.
#[test]
fn domains_that_really_sent_are_looked_at() {
    let zone = Zone::from([
        ("sent.example".into(), spf("v=spf1 -all")),
        ("forged.example".into(), vec![Record::Mx(10, "mx.forged.example".into())]),
        ("mx.example.com".into(), vec![Record::Address([192, 0, 2, 11].into())]),
    ]);
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
    let site = Site::new(&format!(
        "[dns]\nservers = [\"{}\"]\n[intake]\nown_name = \"localhost\"\n\
         [doctor]\nevery = \"1s\"\nlists = []\nport25 = []\nmailboxes = []\n{EGRESS}",
        dns.address(),
    ));
    let before = site.command(&["doctor", "--json"]);
    let found = lines(&before);
    assert!(of(&found, "domains")["found"].as_str().unwrap().contains("no sending domain is looked at"), "{found:?}");
    let relay = site.start();
    assert!(site.command(&["hold", "all"]).status.success());
    let mut client = Client::greeted(site.address());
    for (path, from) in [
        ("<ann@sent.example> AUTH=ann@sent.example", "ann@sent.example"),
        ("<bounces@sent.example> AUTH=ann@sent.example", "Shop <shop@sent.example>"),
        ("<> AUTH=bob@sent.example", "bob@sent.example"),
        ("<bob@sent.example> AUTH=bob@sent.example", "billing@forged.example"),
        ("<eve@forged.example>", "eve@forged.example"), // passed on by an alias
    ] {
        client.expect(&format!("MAIL FROM:{path}"), 250);
        client.expect("RCPT TO:<x@example.net>", 250);
        client.expect("DATA", 354);
        client.expect(&format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n."), 250);
    }
    let look = |arguments: &[&str]| {
        let output = site.command(arguments);
        let found = lines(&output);
        let of_sent: Vec<&Value> = found.iter().filter(|finding| finding["subject"] == "sent.example").collect();
        let told = |check: &str| of_sent.iter().find(|finding| finding["check"] == check).map(|f| f["found"].clone());
        (told("sender"), told("spf").is_some(), of(&found, "domains")["found"].as_str().unwrap().to_owned())
    };
    let origin = "sender of 4 messages in the last 7 days, most by ann@sent.example";
    let check = |who: &str, arguments: &[&str]| {
        let (sender, has_spf, domains) = look(arguments);
        assert_eq!((sender, has_spf), (Some(origin.into()), true), "{who}");
        let claimed =
            "not at these, which accounts that nobody proves wrote in the last 7 days: forged.example (2 messages)";
        assert!(domains.contains("looked at: sent.example;") && domains.contains(claimed), "{who}: {domains}");
    };
    check("the daemon is asked", &["doctor", "--json"]);
    process::wait_for("a round that knows them", || {
        let last = site.command(&["doctor", "--last", "--json"]).stdout;
        String::from_utf8(last).unwrap().contains("sent.example")
    });
    check("its own rounds", &["doctor", "--last", "--json"]);
    let mut control = std::os::unix::net::UnixStream::connect(site.folder().join("control.sock")).unwrap();
    let page = ask(&mut control, "GET /doctor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(page.contains(&format!("<dt>The domain</dt><dd>{origin}</dd>")), "{page}");
    relay.stop();
    check("no daemon, its store", &["doctor", "--json"]);
    let said = String::from_utf8(site.command(&["doctor"]).stdout).unwrap();
    assert!(said.contains(&format!("\nsent.example ({origin})\n")), "{said}");
    assert!(dns.asked("mx.example.com") > 0);
    assert_eq!(dns.asked("mx.forged.example"), 0, "nobody asks about what a stranger wrote");
}

/// Name servers that never answer: said once as what it is, and nothing is made up.
#[test]
fn where_no_name_server_answers() {
    let silent = std::net::UdpSocket::bind((own_address(), 5353)).unwrap();
    let site = Site::new(&format!(
        "[align.dns]\nservers = [\"{}\"]\ntimeout = \"100ms\"\n\
         [intake]\nown_name = \"localhost\"\n[doctor]\nevery = \"0s\"\ndomains = [\"example.com\", \"example.org\"]\n{EGRESS}",
        silent.local_addr().unwrap(),
    ));
    let called = site.command(&["doctor", "--json"]);
    let found = lines(&called);
    assert_eq!(called.status.code(), Some(1), "{found:?}");
    let dns = of(&found, "dns");
    assert!(dns["grade"] == "fault" && dns["mend"].as_str().unwrap().contains("dig @"), "{dns}");
    for check in ["reverse-dns", "ehlo", "listed", "spf", "spf-limits", "dmarc", "mx", "mailbox", "port25"] {
        assert_eq!(of(&found, check)["grade"], "unknown", "{check}: {found:?}");
    }
}

/// Sends one request as it is, and gives the whole answer.
pub(crate) fn ask(stream: &mut (impl std::io::Read + std::io::Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_pages_of_a_running_daemon() {
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use base64::Engine as _;

    let listen = SocketAddr::from((own_address(), 10081));
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("passwords");
    let line = process::run(&binary(), &["password", "ann"], b"right\n");
    std::fs::write(&passwords, &line.stdout).unwrap();
    let site = Site::new(&format!(
        "[doctor]\nevery = \"1s\"\nlists = []\nport25 = []\nmailboxes = []\n\
         [review]\nlisten = \"{listen}\"\npassword_file = \"{}\"\n",
        passwords.display()
    ));
    let relay = site.start();
    let get = |path: &str, further: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{further}Connection: close\r\n\r\n")
    };
    let login = base64::engine::general_purpose::STANDARD.encode("ann:right");
    let login = format!("Authorization: Basic {login}\r\n");

    let mut tcp = TcpStream::connect(listen).unwrap();
    let refused = ask(&mut tcp, &get("/doctor", ""));
    assert!(refused.starts_with("HTTP/1.1 401 ") && !refused.contains("egress"), "{refused}");
    let mut page = String::new();
    process::wait_for("the first look", || {
        page = ask(&mut TcpStream::connect(listen).unwrap(), &get("/doctor", &login));
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<h1>Doctor</h1>"), "{page}");
        page.contains("As seen at")
    });
    assert!(page.contains("clock") && page.contains("content-security-policy: default-src 'none'"), "{page}");

    // On the control socket the kernel says who asks.
    for (path, words) in [("/", "<h1>Overview</h1>"), ("/doctor", "<h1>Doctor</h1>"), ("/v1/status", "\"daemon\"")] {
        let mut control = UnixStream::connect(site.folder().join("control.sock")).unwrap();
        let page = ask(&mut control, &get(path, ""));
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains(words), "{path}: {page}");
    }
    // A wrong password is a line with who asked, and no password; SIGHUP reads the file anew.
    let wrong = base64::engine::general_purpose::STANDARD.encode("ann:guessed");
    let wrong = get("/doctor", &format!("Authorization: Basic {wrong}\r\n"));
    let answer = ask(&mut TcpStream::connect(listen).unwrap(), &wrong);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    relay.wait_log(&["review.password-wrong", "client=", "login=ann", "nth=1"]);
    std::fs::write(&passwords, process::run(&binary(), &["password", "bob"], b"fresh\n").stdout).unwrap();
    relay.signal(rustix::process::Signal::HUP);
    relay.wait_log(&["reloaded"]);
    let fresh = base64::engine::general_purpose::STANDARD.encode("bob:fresh");
    let fresh = get("/doctor", &format!("Authorization: Basic {fresh}\r\n"));
    let answer = ask(&mut TcpStream::connect(listen).unwrap(), &fresh);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = ask(&mut TcpStream::connect(listen).unwrap(), &get("/doctor", &login));
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    relay.stop();
    assert!(!site.log().contains("guessed") && !site.log().contains("fresh"), "{}", site.log());
    assert!(!site.log().contains("ann:right") && !site.log().contains("argon2id"), "no password in the log");
}
