//! The real binary: what it signs is what leaves, what it finds is what it does.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use outguard::align::dkim::tags::to_base64;
use outguard::align::dkim::{Form, Leaving, Outcome, check};
use outguard::align::dns::Fixed;
use rustix::process::Signal;
use serde_json::Value;

use crate::messages::messages;
use crate::others::{dkimpy, has_dkimpy, opendkim};
use crate::rig::client::{Client, stuffed};
use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process;
use crate::rig::relay::{Relay, Site, binary};
use crate::rig::sink::{Answer, Arrival, Said, Sink};

const PORT: u16 = 2525;
/// DNS answers are not kept, and a change of them is seen at once.
pub(crate) const FRESH: &str = "[align.dns]\nttl_min = \"0s\"\nttl_max = \"0s\"\n";

pub(crate) fn text(text: &str) -> Vec<Record> {
    vec![Record::Text(text.to_owned())]
}

/// A DNS server, a next hop for example.org, and a relay with two egresses that the world sees as 192.0.2.10 and .20.
pub(crate) struct World {
    pub(crate) sink: Sink,
    pub(crate) dns: Dns,
    pub(crate) site: Arc<Site>,
    relay: Option<Relay>,
    /// The name of the key and its record.
    pub(crate) key: Vec<(String, String)>,
    selector: String,
    pub(crate) egresses: [Ipv4Addr; 2],
    egresses_kept: usize,
    keys: tempfile::TempDir,
}

impl World {
    pub(crate) fn start(more: &str) -> Self {
        let sink = Sink::scripted(|said| match said {
            Said::Rcpt(path) if path.starts_with("nobody@") => Answer::say("550 5.1.1 no such user"),
            _ => Answer::Usual,
        });
        Self::with_sink(sink, more)
    }

    pub(crate) fn with_sink(sink: Sink, more: &str) -> Self {
        let keys = tempfile::TempDir::new().unwrap();
        let zone = Zone::from([
            ("example.org".into(), vec![Record::Mx(10, "mx.example.org".into())]),
            ("example.com".into(), vec![Record::Mx(10, "mx.example.org".into())]),
            ("mx.example.org".into(), vec![Record::Address(sink.address().ip())]),
        ]);
        let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
        let egresses = [own_address(), own_address()];
        let (site, key, selector) = (Site::new(""), Vec::new(), String::new());
        let mut world = Self { sink, dns, site, relay: None, key, selector, egresses, egresses_kept: 2, keys };
        world.configure_key("s1", more);
        world.start_again();
        world
    }

    pub(crate) fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("started")
    }

    pub(crate) fn stop(&mut self) {
        self.relay.take().expect("started").stop();
    }

    /// Waits for the end that a signal has asked for.
    pub(crate) fn stop_after_signal(&mut self) {
        self.relay.take().expect("started").stop_after_signal();
    }

    pub(crate) fn start_again(&mut self) {
        self.relay = Some(self.site.start());
    }

    /// Makes and publishes a new key, and names it in the configuration.
    pub(crate) fn configure_key(&mut self, selector: &str, more: &str) {
        self.key = keygen(&self.keys.path().join("keys"), selector);
        for (name, record) in &self.key {
            self.dns.set(name, text(record));
        }
        self.selector = selector.to_owned();
        self.configure_egresses(self.egresses_kept, more);
    }

    /// Takes a new key into use, as people do.
    pub(crate) fn take_key(&mut self, selector: &str, more: &str) {
        self.configure_key(selector, more);
        self.relay().signal(Signal::HUP);
        self.relay().wait_log(&["reloaded", "alignment"]);
    }

    /// Neither signs nor judges any more.
    pub(crate) fn take_no_key(&mut self) {
        let keys = self.keys.path().join("keys");
        let egresses = &self.egresses[..self.egresses_kept];
        let text = configuration(self.dns.address(), "judge = false", egresses, &keys, &self.selector);
        self.site.configure(text.split("[[dkim]]").next().expect("a text"));
        self.relay().signal(Signal::HUP);
        self.relay().wait_log(&["reloaded", "alignment"]);
    }

    /// Names the first so many egresses in the configuration.
    pub(crate) fn configure_egresses(&mut self, kept: usize, more: &str) {
        self.egresses_kept = kept;
        let keys = self.keys.path().join("keys");
        self.site.configure(&configuration(self.dns.address(), more, &self.egresses[..kept], &keys, &self.selector));
    }

    /// The same, and reloads.
    pub(crate) fn keep_egresses(&mut self, kept: usize, more: &str) {
        let before = self.site.log().matches("reloaded").count();
        self.configure_egresses(kept, more);
        self.relay().signal(Signal::HUP);
        process::wait_for("the reload", || self.site.log().matches("reloaded").count() > before);
    }

    /// Whether the signatures of what arrived hold.
    pub(crate) async fn holds(&self, content: &[u8]) -> Vec<Outcome> {
        let mut zone = Fixed::default();
        for (name, record) in &self.key {
            zone.text(name, record);
        }
        let results = check(&zone, &Leaving::new(&[content]).unwrap(), now_s(), 5).await;
        results.into_iter().map(|checked| checked.outcome).collect()
    }

    pub(crate) fn deliver(&self, from: &str, content: &[u8]) {
        let heard = Client::greeted(self.relay().site().address()).deliver(from, &["bob@example.org"], content);
        assert_eq!(heard.expect("an answer").code, 250);
    }

    /// Everything known of the newest message that is held.
    pub(crate) fn newest(&self) -> Value {
        let output = self.site.command(&["queue", "list", "--state", "held", "--json"]);
        let list = String::from_utf8(output.stdout).unwrap();
        list.lines().filter_map(|line| serde_json::from_str(line).ok()).next_back().unwrap()
    }

    /// What `trace` tells people of a message that arrived: its verdict, and each reason with its sentence.
    pub(crate) fn told_of(&self, arrival: &Arrival) -> String {
        let shown = arrival.text();
        let id = shown.split("(outguard) with ").nth(1).and_then(|rest| rest.split(" id ").nth(1));
        let id = id.and_then(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next());
        let output = self.site.command(&["trace", id.unwrap_or_else(|| panic!("no trace of ours: {shown}"))]);
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn arrived(&self, count: usize) -> Vec<Arrival> {
        self.sink.wait_accepted(count)
    }
}

fn configuration(dns: SocketAddr, more: &str, egresses: &[Ipv4Addr], keys: &Path, selector: &str) -> String {
    let key = keys.join(format!("example.com.{selector}.pem"));
    let mut text = format!("[dns]\nservers = [\"{dns}\"]\n[align]\ntimeout = \"8s\"\n{more}\n");
    let mut names = Vec::new();
    for ((name, public), address) in [("ten", "192.0.2.10"), ("twenty", "192.0.2.20")].into_iter().zip(egresses) {
        let _ = write!(
            text,
            "[[egress]]\nname = \"{name}\"\naddress = \"{address}\"\npublic_address = \"{public}\"\nehlo = \"{name}.example.com\"\n"
        );
        names.push(format!("\"{name}\""));
    }
    let _ = write!(
        text,
        "[[route]]\nmx_port = {PORT}\ntls = \"none\"\negress = [{}]\n\
         [[dkim]]\ndomain = \"example.com\"\nselector = \"{selector}\"\nkey = {{ file = \"{}\" }}\n",
        names.join(", "),
        key.display(),
    );
    text
}

/// By the command that people use. Gives the name and the record that it prints.
fn keygen(folder: &Path, selector: &str) -> Vec<(String, String)> {
    let folder = folder.display().to_string();
    let words = ["dkim", "keygen", "example.com", "--selector", selector, "--folder", &folder, "--json"];
    let output = process::run(&binary(), &words, b"");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    vec![(made["name"].as_str().unwrap().to_owned(), made["record"].as_str().unwrap().to_owned())]
}

pub(crate) fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn what_is_signed_is_what_leaves() {
    let world = World::start("");
    let mut sent: Vec<(&str, Vec<u8>)> = messages();
    // Over what is held in memory, and over what is judged: hashed as it is read from the spool.
    for (what, lines) in [("in the spool", 3_000), ("longer than is judged", 70_000)] {
        let mut message = messages().remove(0).1;
        for n in 0..lines {
            message.extend_from_slice(
                format!("line {n} of a long message, with  double spaces and an end \t\r\n").as_bytes(),
            );
        }
        sent.push((what, message));
    }
    // SMTP ends every message with a line's end.
    sent.retain(|(what, _)| *what != "no end of the last line");
    let mut leaving = Vec::new();
    for (n, (what, message)) in sent.iter().enumerate() {
        world.deliver("ann@example.com", message);
        let arrival = world.arrived(n + 1).pop().unwrap();
        // Under our Received field the signature, under that what came, byte by byte.
        assert!(arrival.content.ends_with(message), "{what}");
        assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass], "{what}");
        leaving.push(arrival.content);
    }
    if has_dkimpy() {
        for ((what, _), content) in sent.iter().zip(&leaving) {
            let said = dkimpy(&serde_json::json!({ "do": "verify", "count": 1, "zone": world.key }), content);
            assert_eq!(String::from_utf8_lossy(&said), "True\n", "{what}");
        }
    }
    let contents: Vec<&[u8]> = leaving.iter().map(AsRef::as_ref).collect();
    for (n, (holds, said)) in opendkim(&world.key, &[], &contents).into_iter().flatten().enumerate() {
        assert!(holds, "{}: {}", sent[n].0, String::from_utf8_lossy(&said));
    }
}

#[test]
fn what_is_not_this_domains_word_is_not_signed() {
    let world = World::start("");
    let sealed =
        [b"ARC-Seal: i=1; a=rsa-sha256; d=list.example; s=x; cv=none; b=AAAA\r\n".to_vec(), message("ann@example.com")]
            .concat();
    let cases = [
        ("ann@example.com", message("ann@example.com"), true, "its own"),
        ("SRS0=HHH=TT=there.example=eve@example.com", message("ceo@example.com"), false, "rewritten by a forwarder"),
        ("ann@example.com", sealed, false, "sealed by somebody before us"),
        ("bounces@news.example.com", message("ann@example.com"), true, "an account below the key's domain"),
        ("eve@other.example", message("ceo@example.com"), false, "another domain's account"),
    ];
    for (n, (from, content, signed, why)) in cases.into_iter().enumerate() {
        world.deliver(from, &content);
        let arrival = world.arrived(n + 1).pop().unwrap();
        assert_eq!(arrival.text().contains("DKIM-Signature:"), signed, "{why}");
    }
}

pub(crate) fn message(from: &str) -> Vec<u8> {
    format!(
        "From: Ann <{from}>\r\nTo: bob@example.org\r\nSubject: Minutes\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\
         Message-ID: <1@example.com>\r\n\r\nHello Bob,\r\nhere are the minutes.\r\n"
    )
    .into_bytes()
}

/// What holds a message.
pub(crate) fn reason(shown: &Value) -> (String, String) {
    let heaviest = &shown["verdict"]["reasons"][0];
    let text = |key: &str| heaviest[key].as_str().unwrap_or_else(|| panic!("no {key} in {shown}")).to_owned();
    (text("name"), text("sentence"))
}

#[test]
fn what_receivers_would_refuse_is_held_and_the_egress_that_passes_is_chosen() {
    let world = World::start("[align.verdict]\npermerror = \"hold\"\nmisaligned = \"hold\"\n");
    let dns = &world.dns;
    dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
    dns.set("strict.example", text("v=spf1 ip4:198.51.100.1 -all"));
    dns.set("_dmarc.twenty.example", text("v=DMARC1; p=reject"));
    dns.set("twenty.example", text("v=spf1 ip4:192.0.2.20 -all"));
    dns.set("_dmarc.loop.example", text("v=DMARC1; p=none"));
    dns.set("loop.example", text("v=spf1 include:loop.example -all"));

    world.deliver("ann@strict.example", &message("ann@strict.example"));
    let (name, sentence) = reason(&world.newest());
    assert_eq!(name, "align-policy");
    assert!(sentence.contains("Add `ip4:192.0.2.10` to the SPF record of strict.example"), "{sentence}");

    world.deliver("ann@loop.example", &message("ann@loop.example"));
    let (name, sentence) = reason(&world.newest());
    assert_eq!(name, "align-permerror");
    assert!(sentence.contains("more than 10 look-ups"), "{sentence}");

    // Several, since one alone might take the right way by chance.
    for n in 1..=6 {
        world.deliver("ann@twenty.example", &message("ann@twenty.example"));
        let arrival = world.arrived(n).pop().unwrap();
        assert_eq!((arrival.egress, arrival.ehlo.as_str()), (world.egresses[1].into(), "twenty.example.com"));
    }
    assert_eq!(world.arrived(6).len(), 6, "what is held stays");
}

#[test]
fn a_server_that_never_answers_holds_no_mail() {
    let world = World::start("[align.dns]\ntimeout = \"1s\"\n[score]\nheader_fields = true\n");
    for name in ["silent.example", "_dmarc.silent.example"] {
        world.dns.set(name, vec![Record::Silence]);
    }
    world.deliver("ann@silent.example", &message("ann@silent.example"));
    let arrival = world.arrived(1).pop().unwrap();
    let content = String::from_utf8(arrival.content).unwrap();
    assert!(content.contains("align-temperror"), "{content}");
}

/// A signature over the body of a message, which nobody made: its key is asked for, and no more.
fn unheard_signature(domain: &str, selector: &str, message: &[u8]) -> Vec<u8> {
    let (hash, _) = Leaving::new(&[message]).unwrap().body_hash((Form::Relaxed, None));
    let hash = to_base64(&hash);
    let field = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n\th=from; bh={hash}; b=AAAA\r\n"
    );
    [field.as_bytes(), message].concat()
}

#[test]
fn a_silent_server_of_the_senders_choice_excuses_nothing() {
    let world = World::start("[align.dns]\ntimeout = \"1s\"\n[score]\nheader_fields = true\n");
    let dns = &world.dns;
    dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
    dns.set("strict.example", text("v=spf1 ip4:198.51.100.1 -all"));
    for silent in
        ["quiet._domainkey.evil.example", "_dmarc.evil.example", "evil.example", "quiet._domainkey.m.strict.example"]
    {
        dns.set(silent, vec![Record::Silence]);
    }
    // Neither a key nor an SPF record of another domain could carry it.
    let forged = unheard_signature("evil.example", "quiet", &message("ann@strict.example"));
    world.deliver("eve@evil.example", &forged);
    let (name, sentence) = reason(&world.newest());
    assert_eq!(name, "align-policy", "{sentence}");
    // A selector that is odd to read is looked for all the same, and is not there.
    let odd = unheard_signature("strict.example", "k1_2026", &message("ann@strict.example"));
    world.deliver("eve@a_b.strict.example", &odd);
    assert_eq!(reason(&world.newest()).0, "align-policy");
    // A key of its own domain could.
    let own = unheard_signature("m.strict.example", "quiet", &message("ann@strict.example"));
    world.deliver("ann@strict.example", &own);
    let arrival = world.arrived(1).pop().unwrap();
    assert!(arrival.text().contains("align-temperror"), "{}", arrival.text());
}

#[tokio::test]
async fn addresses_in_utf_8_are_signed_as_they_leave() {
    let world = World::start("");
    let (_, content) = messages().into_iter().find(|(what, _)| *what == "SMTPUTF8").unwrap();
    let mut client = Client::greeted(world.relay().site().address());
    client.expect("MAIL FROM:<j\u{f6}rg@example.com> SMTPUTF8 BODY=8BITMIME", 250);
    client.expect("RCPT TO:<bob@example.org>", 250);
    client.expect("DATA", 354);
    client.send(&stuffed(&content)).unwrap();
    assert_eq!(client.hear().unwrap().code, 250);
    let arrival = world.arrived(1).pop().unwrap();
    assert_eq!(arrival.mail_from, "j\u{f6}rg@example.com");
    assert!(arrival.mail_parameters.contains("SMTPUTF8"), "{}", arrival.mail_parameters);
    assert!(arrival.content.ends_with(&content), "{}", arrival.text());
    assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass]);
}

#[tokio::test]
async fn our_own_reports_are_signed() {
    let world = World::start("[intake]\nown_name = \"mail.example.com\"\n");
    let mut client = Client::greeted(world.relay().site().address());
    let heard = client.deliver("ann@example.com", &["nobody@example.org"], &message("ann@example.com"));
    assert_eq!(heard.unwrap().code, 250);
    let report = world.arrived(1).pop().unwrap();
    assert_eq!((report.mail_from.as_str(), report.recipients.as_slice()), ("", &["ann@example.com".to_owned()][..]));
    assert_eq!(world.holds(&report.content).await, [Outcome::Pass], "{}", report.text());
}

#[tokio::test]
async fn a_release_signs_anew_and_chooses_the_egress_anew() {
    let more = "[align.dns]\nttl_min = \"0s\"\nttl_max = \"0s\"\n";
    let mut world = World::start(more);
    // A key that nobody published, and a policy: it is held.
    world.dns.set(&world.key[0].0, Vec::new());
    world.dns.set("_dmarc.example.com", text("v=DMARC1; p=reject"));
    // Over what is kept in the store's own table, too.
    let long = [message("ann@example.com"), b"and a long line of minutes\r\n".repeat(4_000)].concat();
    let sent = [message("ann@example.com"), long, message("ann@example.com"), message("ann@example.com")];
    for content in &sent {
        world.deliver("ann@example.com", content);
        assert_eq!(reason(&world.newest()).0, "align-policy");
    }
    let output = world.site.command(&["queue", "list", "--state", "held", "--json"]);
    let list = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<String> = list
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(ids.len(), sent.len(), "{list}");
    // The key and the record are mended while they wait.
    let spf = [text("v=spf1 ip4:192.0.2.20 -all"), vec![Record::Mx(10, "mx.example.org".into())]].concat();
    world.dns.set("example.com", spf);
    world.take_key("s2", more);
    for (n, id) in ids.iter().enumerate() {
        let output = world.site.command(&["queue", "release", id]);
        assert!(output.status.success(), "{output:?}");
        let arrival = world.arrived(n + 1).pop().unwrap();
        assert!(arrival.content.ends_with(&sent[n]), "{}", arrival.text());
        assert_eq!(arrival.text().matches("DKIM-Signature:").count(), 1, "the old one is gone: {}", arrival.text());
        assert!(arrival.content.starts_with(b"Received:"), "the trace stays on top: {}", arrival.text());
        assert_eq!(world.holds(&arrival.content).await, [Outcome::Pass]);
        assert_eq!(arrival.egress, world.egresses[1], "SPF allows that one");
    }
}

#[test]
fn forwarding_is_believed_of_own_domains_and_named_ones() {
    let world = World::start(
        "forwarders = [\"lists.example\"]\n[score]\nheader_fields = true\n\
         [dsn]\nown_domains = [\"shop.example\", \"*.shop.example\"]\n",
    );
    world.dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
    let content = message("ann@strict.example");
    // Anybody can write such an address.
    world.deliver("SRS0=HHH=TT=strict.example=ann@forwarder.example", &content);
    let (name, sentence) = reason(&world.newest());
    assert_eq!(name, "align-policy");
    assert!(sentence.contains("write forwarder.example into `align.forwarders`"), "{sentence}");
    // Who logged in sends, whatever is written.
    let mut client = Client::greeted(world.relay().site().address());
    client.expect("MAIL FROM:<SRS0=HHH=TT=strict.example=ann@example.com> AUTH=bob@example.com", 250);
    client.expect("RCPT TO:<bob@example.org>", 250);
    client.expect("DATA", 354);
    client.send(&stuffed(&content)).unwrap();
    assert_eq!(client.hear().unwrap().code, 250);
    assert_eq!(reason(&world.newest()).0, "align-policy");
    for (n, domain) in
        ["example.com", "lists.example", "shop.example", "srs.shop.example", "ten.example.com"].into_iter().enumerate()
    {
        world.deliver(&format!("SRS0=HHH=TT=strict.example=ann@{domain}"), &content);
        let arrival = world.arrived(n + 1).pop().unwrap();
        assert!(arrival.text().contains("align-forwarded"), "{domain}: {}", arrival.text());
    }
}

/// A machine without a full name greets by its address (RFC 5321 4.1.3), as the next hop hears it.
#[test]
fn a_bare_name_is_no_greeting() {
    let sink = Sink::start();
    let site = Site::new(&crate::rig::relay::smarthost(sink.address()));
    let full = std::fs::read_to_string(site.config()).unwrap();
    let bare = full.replace("ehlo = \"out.example.com\"", "ehlo = \"vm1\"");
    assert_ne!(full, bare);
    std::fs::write(site.config(), bare).unwrap();
    let _relay = site.start();
    let heard = Client::greeted(site.address()).deliver("ann@example.com", &["bob@example.org"], b"Subject: x\r\n\r\n");
    assert_eq!(heard.unwrap().code, 250);
    assert_eq!(sink.wait_accepted(1)[0].ehlo, format!("[{}]", site.egress()));
}

#[test]
fn a_from_field_cannot_be_hidden_behind_others() {
    let world = World::start("[score]\nenabled = false\n");
    world.dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
    world.dns.set("strict.example", text("v=spf1 ip4:198.51.100.1 -all"));
    let cases = [
        (1_500, "align-policy", "strict.example asks receivers to reject"),
        (2_500, "align-header", "its header is longer than is looked at (2,000 fields"),
    ];
    for (n, (fields, name, words)) in cases.into_iter().enumerate() {
        let content = ["X-Filler: x\r\n".repeat(fields).into_bytes(), message("ann@strict.example")].concat();
        world.deliver("ann@strict.example", &content);
        let held = world.site.command(&["queue", "list", "--state", "held", "--json"]);
        assert_eq!(String::from_utf8_lossy(&held.stdout).lines().count(), n + 1, "{fields} fields");
        let shown = world.newest();
        let reasons = shown["verdict"]["reasons"].as_array().unwrap();
        let found = reasons.iter().find(|reason| reason["name"] == name);
        let sentence = found.unwrap_or_else(|| panic!("{fields}: {reasons:?}"))["sentence"].as_str().unwrap();
        assert!(sentence.contains(words), "{fields}: {sentence}");
    }
    // Of its own domain such a message is signed as any other.
    let content = ["X-Filler: x\r\n".repeat(1_500).into_bytes(), message("ann@example.com")].concat();
    world.deliver("ann@example.com", &content);
    assert!(world.arrived(1)[0].text().contains("DKIM-Signature:"));
}

#[test]
fn a_strict_domain_cannot_be_hidden_behind_another_author() {
    let world = World::start("[score]\nenabled = false\n");
    world.dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
    world.dns.set("strict.example", text("v=spf1 ip4:198.51.100.1 -all"));
    world.dns.set("example.com", text("v=spf1 ip4:192.0.2.10 ip4:192.0.2.20 -all"));
    let field = "From: Ann <ann@example.com>\r\n";
    let plain = String::from_utf8(message("ann@example.com")).unwrap();
    assert!(plain.contains(field), "{plain}");
    let cases = [
        "From: ann@example.com, ceo@strict.example\r\n",
        "From: ann@example.com\r\nFrom: ceo@strict.example\r\n",
        "From : ceo@strict.example\r\n",
    ];
    for (n, written) in cases.into_iter().enumerate() {
        // At the top: a first line that begins with `From ` is a field too.
        let content = format!("{written}{}", plain.replace(field, ""));
        world.deliver("ann@example.com", content.as_bytes());
        let held = world.site.command(&["queue", "list", "--state", "held", "--json"]);
        assert_eq!(String::from_utf8_lossy(&held.stdout).lines().count(), n + 1, "{written}");
        let (name, sentence) = reason(&world.newest());
        assert_eq!(name, "align-policy", "{written}");
        assert!(sentence.contains("strict.example asks receivers to reject"), "{written}: {sentence}");
    }
    // Two of whom neither asks for anything that fails: a fault of the field, and it leaves.
    let content = plain.replace(field, "From: ann@example.com, bob@example.net\r\n");
    world.deliver("ann@example.com", content.as_bytes());
    assert_eq!(world.arrived(1).len(), 1);
}
