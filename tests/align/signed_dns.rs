//! DNSSEC by a real name server (BIND) and its signatures, from a root of our own: what is signed counts, what was tampered
//! with is no answer, and what is provably unsigned is as before.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::end_to_end::message;
use crate::rig::client::Client;
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::relay::Site;
use crate::rig::sink::Sink;

const NAMED: &str = "/usr/sbin/named";

/// A name server that ends with the test.
struct Named(Child);

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A zone file with these lines, signed by a key of that algorithm, and the DS records that its parent is to have.
/// `None` for the algorithm: it is not signed.
fn zone(folder: &Path, name: &str, algorithm: Option<&str>, lines: &str) -> String {
    let file = if name == "." { "root" } else { name };
    let absolute = if name == "." { ".".to_owned() } else { format!("{name}.") };
    let text =
        format!("$TTL 60\n$ORIGIN {absolute}\n@ SOA ns.test. root.test. 1 60 60 3600 60\n@ NS ns.test.\n{lines}\n");
    std::fs::write(folder.join(file), text).unwrap();
    let Some(algorithm) = algorithm else {
        std::fs::copy(folder.join(file), folder.join(format!("{file}.signed"))).unwrap();
        return String::new();
    };
    let bits: &[&str] = if algorithm.starts_with("RSA") { &["-b", "2048"] } else { &[] };
    let key = run(folder, &[&["dnssec-keygen", "-q", "-f", "KSK", "-a", algorithm], bits, &[&absolute]].concat());
    let key = key.trim();
    run(folder, &["dnssec-signzone", "-q", "-z", "-S", "-o", &absolute, "-f", &format!("{file}.signed"), file]);
    std::fs::copy(folder.join(format!("{key}.key")), folder.join(format!("{file}.key"))).unwrap();
    run(folder, &["dnssec-dsfromkey", "-2", &format!("{key}.key")])
}

/// The name server with its zones, and where it listens; the keys of its root are in `root.key`. `None`, said aloud, where
/// there is no BIND.
fn named(folder: &Path, sink: &Sink) -> Option<(Named, SocketAddr)> {
    // It listens on addresses of interfaces alone, which those of other tests are not.
    let address = Ipv4Addr::LOCALHOST;
    if !Path::new(NAMED).exists() || !Path::new("/usr/bin/dnssec-signzone").exists() {
        let _ = writeln!(io::stderr(), "skipped: no BIND; ./check installs bind9 and bind9-utils");
        return None;
    }
    let mail = |spf: &str| {
        format!("@ TXT \"{spf}\"\n@ MX 10 mx\n_dmarc TXT \"v=DMARC1; p=reject\"\nmx A {}\n", sink.address().ip())
    };
    let (here, elsewhere) = ("v=spf1 ip4:192.0.2.10 -all", "v=spf1 ip4:198.51.100.7 -all");
    let mut top = format!("ns A {address}\n");
    for (name, algorithm, spf) in [
        ("ec.test", Some("ECDSAP256SHA256"), here),
        ("rsa.test", Some("RSASHA256"), here),
        ("elsewhere.test", Some("ECDSAP256SHA256"), elsewhere),
        ("bogus.test", Some("ECDSAP256SHA256"), elsewhere),
        ("plain.test", None, here),
    ] {
        let ds = zone(folder, name, algorithm, &mail(spf));
        let _ = write!(top, "{name}. NS ns.test.\n{ds}");
    }
    let ds = zone(folder, "test", Some("ECDSAP256SHA256"), &top);
    zone(folder, ".", Some("RSASHA256"), &format!("test. NS ns.test.\nns.test. A {address}\n{ds}"));
    // Somebody on the way lets the record name the egress.
    let bogus = folder.join("bogus.test.signed");
    let signed = std::fs::read_to_string(&bogus).unwrap();
    assert!(signed.contains("198.51.100.7"));
    std::fs::write(&bogus, signed.replace("198.51.100.7", "192.0.2.10")).unwrap();

    // Another test may take the port before BIND does.
    for _ in 0..5 {
        let at = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap();
        if let Some(named) = listening(folder, at) {
            return Some((named, at));
        }
    }
    panic!("BIND does not listen: {}", std::fs::read_to_string(folder.join("named.log")).unwrap());
}

/// `None` where that port is another's.
fn listening(folder: &Path, at: SocketAddr) -> Option<Named> {
    let (address, port) = (at.ip(), at.port());
    let mut conf = format!(
        "options {{ directory \"{}\"; listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }}; recursion no;\n\
         pid-file none; session-keyfile none; dnssec-validation no; allow-query {{ any; }}; }};\ncontrols {{ }};\n",
        folder.display()
    );
    for name in [".", "test", "ec.test", "rsa.test", "elsewhere.test", "bogus.test", "plain.test"] {
        let file = if name == "." { "root" } else { name };
        let _ = writeln!(conf, "zone \"{name}\" {{ type master; file \"{file}.signed\"; }};");
    }
    std::fs::write(folder.join("named.conf"), conf).unwrap();
    let log = std::fs::File::create(folder.join("named.log")).unwrap();
    let conf = folder.join("named.conf").display().to_string();
    let child = Command::new(NAMED).args(["-g", "-n", "1", "-c", &conf]).stderr(log).stdout(Stdio::null()).spawn();
    let mut named = Named(child.unwrap());
    let mut is_taken = false;
    wait_for("the name server", || {
        let log = std::fs::read_to_string(folder.join("named.log")).unwrap();
        is_taken = log.contains("address in use") || named.0.try_wait().unwrap().is_some();
        if is_taken {
            return true;
        }
        let asking = UdpSocket::bind("127.0.0.1:0").unwrap();
        asking.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // The SOA of the root (RFC 1035 4.1).
        let question = [&[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0, 0, 6, 0, 1]].concat();
        asking.send_to(&question, at).unwrap();
        asking.recv(&mut [0; 512]).is_ok()
    });
    (!is_taken).then_some(named)
}

#[test]
fn what_is_signed_counts_and_what_was_tampered_with_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start();
    let Some((_named, at)) = named(folder.path(), &sink) else { return };
    let config = |align: &str| {
        format!(
            "[dns]\nservers = [\"{}\"]\n[align]\ntimeout = \"8s\"\n[align.dns]\n{align}[score]\nheader_fields = true\n\
             [doctor]\nevery = \"0s\"\nlists = []\nport25 = []\nmailboxes = []\n\
             [[egress]]\nname = \"ten\"\npublic_address = \"192.0.2.10\"\naddress = \"{}\"\nehlo = \"ten.example.com\"\n\
             [[route]]\nmx_port = {}\ntls = \"none\"\n",
            at,
            own_address(),
            sink.address().port(),
        )
    };
    let anchor = folder.path().join("root.key");
    let site = Site::new(&config(&format!("dnssec = \"validate\"\ntrust_anchor = \"{}\"\n", anchor.display())));
    let relay = site.start();
    // From domain, what becomes of the message.
    let cases = [
        ("ec.test", "", "algorithm 13: the record counts"),
        ("rsa.test", "", "algorithm 8: the record counts"),
        ("plain.test", "", "provably unsigned: as before"),
        ("bogus.test", "align-temperror", "no answer, so no pass, and no hold either"),
        ("elsewhere.test", "align-policy", "a signed record that names another address"),
    ];
    let mut arrived = 0;
    for (domain, reason, why) in cases {
        let from = format!("ann@{domain}");
        let heard = Client::greeted(relay.site().address()).deliver(&from, &["bob@plain.test"], &message(&from));
        assert_eq!(heard.unwrap().code, 250, "{why}");
        if reason == "align-policy" {
            let held = site.command(&["queue", "list", "--state", "held", "--json"]);
            assert!(String::from_utf8_lossy(&held.stdout).contains(reason), "{domain}, {why}: {held:?}");
            continue;
        }
        arrived += 1;
        let text = sink.wait_accepted(arrived).pop().unwrap().text();
        let told = text.lines().skip_while(|line| !line.starts_with("X-Outguard-Reasons:")).take(4).collect::<String>();
        assert_eq!(told.contains("align-"), !reason.is_empty(), "{domain}, {why}: {told}");
        assert!(told.contains(reason), "{domain}, {why}: {told}");
    }
    // The doctor tells which is which.
    let output = site.command(&["doctor", "ec.test", "plain.test", "bogus.test", "--json", "--all"]);
    let found: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = |check: &str, domain: &str| {
        let of = |finding: &&Value| finding["check"] == check && finding["subject"] == domain;
        found.iter().find(of).unwrap_or_else(|| panic!("{check} of {domain}: {found:?}")).clone()
    };
    assert_eq!(told("dnssec", "ec.test")["grade"], "right");
    assert_ne!(told("dnssec", "plain.test")["found"], told("dnssec", "ec.test")["found"]);
    assert_eq!(told("spf", "ec.test")["grade"], "right");
    assert_ne!(told("spf", "bogus.test")["grade"], "right", "{}", told("spf", "bogus.test"));

    // Without it the forgery is believed.
    relay.stop();
    site.configure(&config(""));
    let relay = site.start();
    let heard = Client::greeted(relay.site().address()).deliver(
        "ann@bogus.test",
        &["bob@plain.test"],
        &message("ann@bogus.test"),
    );
    assert_eq!(heard.unwrap().code, 250);
    assert!(!sink.wait_accepted(arrived + 1).pop().unwrap().text().contains("align-temperror"), "the test can fail");
}
