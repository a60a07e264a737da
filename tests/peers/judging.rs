//! Judgement through the real binary: what is held and why, what people decide, and what is learned from it.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::client::{Client, Heard};
use crate::rig::process::{run, wait_for};
use crate::rig::relay::{Relay, Site, binary, smarthost};
use crate::rig::sink::{Answer, Said, Sink};

/// The test string that everybody may send, cut so that this file holds none.
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-", "ANTI-UBE-TEST-EMAIL*C.34X"];

/// What a person might write.
fn note(number: u32) -> String {
    format!(
        "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\n\
         Message-ID: <note-{number}@example.org>\r\nSubject: Minutes of Tuesday\r\n\r\n\
         Hello Bob,\r\n\r\nhere are the minutes that I promised. Please look at the second point.\r\n\r\nAnn\r\n"
    )
}

/// What phishing looks like: held by rules and text together.
fn phishing(number: u32) -> String {
    format!(
        "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: \"PayPal Support\" <service@paypa1-secure.example>\r\n\
         To: Bob <bob@example.net>\r\nMessage-ID: <phish-{number}@paypa1-secure.example>\r\n\
         Subject: URGENT: verify your account now!!!\r\nContent-Type: text/html\r\n\r\n\
         <p>Dear customer, your account was limited.\r\n\
         <a href=\"http://203.0.113.9/login.php\">https://www.paypal.com/login</a></p>\r\n"
    )
}

fn newsletter(number: u32) -> String {
    format!(
        "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: Garden Shop <news@example.org>\r\nTo: Bob <bob@example.net>\r\n\
         Message-ID: <news-{number}@example.org>\r\nList-Id: Garden news <news.example.org>\r\n\
         Subject: Bulbs for spring, issue {number}\r\n\r\nour-mark-word\r\n\r\nTulips are back in the shop this week.\r\n"
    )
}

fn deliver(relay: &Relay, from: &str, content: &str) -> Heard {
    let mut client = Client::greeted(relay.site().address());
    client.deliver(from, &["bob@example.net"], content.as_bytes()).expect("an answer")
}

fn text(site: &Site, arguments: &[&str]) -> String {
    let output = site.command(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

fn rows(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let json = text(site, &[arguments, &["--json"]].concat());
    json.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

fn held(site: &Site) -> Vec<Value> {
    rows(site, &["queue", "list", "--state", "held"])
}

fn id_of(message: &Value) -> String {
    message["id"].as_str().expect("an id").to_owned()
}

/// A rule that holds each of our newsletters, so that what lets one pass is what is tested.
const MARKED: &str =
    "[[score.rule]]\nname = \"marked\"\npoints = 200\nsentence = \"It has our mark\"\npattern = \"our-mark-word\"\n";

#[test]
fn what_is_held_says_why_and_waits_for_a_person() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    assert_eq!(deliver(&relay, "ann@example.org", &note(1)).code, 250);
    sink.wait_accepted(1);
    assert_eq!(deliver(&relay, "ann@example.org", &phishing(1)).code, 250, "taken over, not refused");
    let waiting = held(&site);
    assert_eq!(waiting.len(), 1);
    let id = id_of(&waiting[0]);
    let shown = text(&site, &["queue", "show", &id]);
    for words in [
        "link-shows-other-host",
        "https://www.paypal.com/login leads to 203.0.113.9",
        "hold, ",
        "outguard queue release",
    ] {
        assert!(shown.contains(words), "{words:?} in {shown}");
    }
    let reasons = waiting[0]["verdict"]["reasons"].as_array().expect("reasons").clone();
    let points: Vec<i64> = reasons.iter().map(|reason| reason["points"].as_i64().expect("points")).collect();
    assert!(points.is_sorted_by(|a, b| a >= b), "the heaviest first: {points:?}");
    let score = waiting[0]["verdict"]["score_points"].as_i64().expect("a score");
    assert_eq!(points.iter().sum::<i64>(), score, "every point has its reason");
    assert!(score >= 150);
    // A flush is no decision.
    text(&site, &["queue", "flush"]);
    assert_eq!(deliver(&relay, "ann@example.org", &note(2)).code, 250);
    sink.wait_accepted(2);
    assert_eq!(held(&site).len(), 1);
    text(&site, &["queue", "release", &id]);
    let arrived = sink.wait_accepted(3);
    assert!(arrived[2].content_from("Date:").ends_with(phishing(1).as_bytes()), "byte for byte");
    assert!(!arrived[0].text().contains("X-Outguard"), "no fields unless asked for");
    relay.stop();
}

#[test]
fn a_test_string_is_always_held() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    let content = note(1) + &GTUBE.concat() + "\r\n";
    site.configure(&format!("[score]\nhold = \"off\"\n{}", smarthost(sink.address())));
    relay.signal(Signal::HUP);
    relay.wait_log(&["daemon.reloaded"]);
    text(&site, &["allow", "add", "--account", "ann@example.org", "--why", "all of it"]);
    assert_eq!(deliver(&relay, "ann@example.org", &content).code, 250);
    let waiting = held(&site);
    assert_eq!(waiting.len(), 1, "neither an allow rule nor a threshold lets it pass");
    assert_eq!(waiting[0]["verdict"]["reasons"][0]["name"], "gtube");
    relay.stop();
}

#[test]
fn what_is_released_with_allow_is_not_held_again() {
    let sink = Sink::start();
    let site = Site::new(&(MARKED.to_owned() + &smarthost(sink.address())));
    let relay = site.start();
    assert_eq!(deliver(&relay, "news@example.org", &newsletter(1)).code, 250);
    let id = id_of(&held(&site)[0]);
    text(&site, &["queue", "release", &id, "--allow", "7d"]);
    sink.wait_accepted(1);
    assert_eq!(deliver(&relay, "news@example.org", &newsletter(2)).code, 250);
    sink.wait_accepted(2);
    // The same list under another account is somebody who wrote its name.
    assert_eq!(deliver(&relay, "thief@example.com", &newsletter(3)).code, 250);
    assert_eq!(held(&site).len(), 1);
    let rules = rows(&site, &["allow", "list"]);
    assert_eq!((rules.len(), &rules[0]["account"]), (1, &Value::from("news@example.org")));
    // It is kept, and so is what the release taught.
    relay.kill();
    let relay = site.start();
    assert_eq!(deliver(&relay, "news@example.org", &newsletter(4)).code, 250);
    sink.wait_accepted(3);
    let lessons = rows(&site, &["teach", "list"]);
    assert_eq!((lessons.len(), &lessons[0]["label"], &lessons[0]["about"]), (1, &"ham".into(), &id.into()));
    text(&site, &["allow", "remove", &rules[0]["id"].to_string()]);
    assert_eq!(deliver(&relay, "news@example.org", &newsletter(5)).code, 250);
    assert_eq!(held(&site).len(), 2, "held again once the rule is gone");
    relay.stop();
}

#[test]
fn lessons_move_the_score_and_can_be_taken_back() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    let score = |number: u32| {
        assert_eq!(deliver(&relay, "ann@example.org", &note(number)).code, 250);
        let row = &rows(&site, &["trace", &format!("<note-{number}@example.org>")])[0];
        row["message"]["verdict"]["score_points"].as_i64().unwrap_or_else(|| panic!("{row}"))
    };
    let before = score(1);
    sink.wait_accepted(1);
    let taught = text(&site, &["teach", "spam", "<note-1@example.org>"]);
    assert!(taught.contains("1 lesson learned"), "of mail that left: {taught}");
    let after = score(2);
    assert!(after > before, "{before} then {after}");
    let exported = text(&site, &["teach", "export"]);
    assert_eq!(exported.lines().count(), 1);
    let about = rows(&site, &["teach", "list"])[0]["about"].as_str().expect("text").to_owned();
    text(&site, &["teach", "undo", &about]);
    assert_eq!(score(3), before, "as if it had never been taught");
    let config = site.config().display().to_string();
    let imported = run(&binary(), &["teach", "import", "--config", &config], exported.as_bytes());
    assert!(imported.status.success());
    assert_eq!(score(4), after);
    assert!(!site.command(&["teach", "spam", "<unknown@example.org>"]).status.success());
    // The same from a file, as of mail that never passed here; twice is once.
    text(&site, &["teach", "undo", &about]);
    let file = site.folder().join("reported.eml");
    fs::write(&file, note(1)).expect("ours");
    let file = file.display().to_string();
    for expected in ["1 lesson learned", "0 lessons learned"] {
        let told = text(&site, &["teach", "spam", "--files", &file]);
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(score(5), after);
    relay.stop();
}

/// What OVHcloud's API answers of an address that it blocked.
fn stats(message_ids: &[&str]) -> String {
    let spams: Vec<String> = message_ids
        .iter()
        .map(|id| format!(r#"{{"date":1795255200,"destinationIp":"192.0.2.9","messageId":"{id}","spamscore":410}}"#))
        .collect();
    let number = spams.len();
    format!(
        r#"[{{"timestamp":1795255200,"total":9,"numberOfSpams":{number},"averageSpamscore":410,"detectedSpams":[{}]}},
            {{"timestamp":1795255500,"total":2,"numberOfSpams":0,"averageSpamscore":null,"detectedSpams":null}}]"#,
        spams.join(",")
    )
}

fn points_of(site: &Site, message_id: &str) -> i64 {
    let row = &rows(site, &["trace", message_id])[0];
    row["message"]["verdict"]["score_points"].as_i64().unwrap_or_else(|| panic!("{row}"))
}

#[test]
fn what_the_network_flagged_teaches() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    assert_eq!(deliver(&relay, "ann@example.org", &note(1)).code, 250);
    sink.wait_accepted(1);
    // What is flagged has long been delivered, and the daemon has perhaps been started anew since.
    relay.stop();
    let relay = site.start();
    let list = site.folder().join("stats.json");
    fs::write(&list, stats(&["note-1@example.org", "elsewhere@example.com"])).expect("ours");
    let told = rows(&site, &["teach", "flagged", &list.display().to_string()]);
    assert_eq!(told.len(), 2, "{told:?}");
    let message = &told[0]["messages"][0];
    assert_eq!(
        (&told[0]["message_id"], &message["account"]),
        (&"note-1@example.org".into(), &"ann@example.org".into())
    );
    assert_eq!(message["became"], "taught");
    assert_eq!(told[1]["messages"].as_array().map(Vec::len), Some(0), "{}", told[1]);
    let lessons = rows(&site, &["teach", "list"]);
    assert_eq!((lessons.len(), &lessons[0]["label"]), (1, &"spam".into()));
    assert_eq!(lessons[0]["about"], message["id"], "which `teach undo` takes");
    assert!(lessons[0]["by"].as_str().is_some_and(|by| by.starts_with("ovhcloud, by ")), "{}", lessons[0]);
    assert_eq!(deliver(&relay, "ann@example.org", &note(2)).code, 250);
    let (before, after) = (points_of(&site, "<note-1@example.org>"), points_of(&site, "<note-2@example.org>"));
    assert!(after > before, "{before} then {after}");
    // Told again it changes nothing; lines do as well as the answer, from a pipe as from a file.
    let config = site.config().display().to_string();
    let piped = |lines: &str| run(&binary(), &["teach", "flagged", "-", "--config", &config], lines.as_bytes());
    let again = String::from_utf8(piped("<note-1@example.org>\n").stdout).expect("text");
    assert!(again.contains("of ann@example.org: known already") && again.contains("0 lessons learned"), "{again}");
    // All or nothing.
    let refused = piped("note-2@example.org\nno Message-ID\n");
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("line 2 has no Message-ID"), "{error}");
    assert_eq!(rows(&site, &["teach", "list"]).len(), 1);
    relay.stop();
}

#[test]
fn what_a_next_hop_held_teaches_nothing_by_its_release() {
    let refusals = std::sync::atomic::AtomicUsize::new(0);
    let sink = Sink::scripted(move |said| match said {
        Said::Content(..) if refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
            Answer::say("550 5.7.26 Unauthenticated email is not accepted")
        }
        _ => Answer::Usual,
    });
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    assert_eq!(deliver(&relay, "ann@example.org", &note(1)).code, 250);
    wait_for("the next hop's refusal to hold it", || !held(&site).is_empty());
    text(&site, &["queue", "release", &id_of(&held(&site)[0])]);
    sink.wait_accepted(1);
    assert!(rows(&site, &["teach", "list"]).is_empty(), "it was never judged to be spam");
    relay.stop();
}

#[test]
fn spam_that_is_removed_teaches() {
    let sink = Sink::start();
    let site = Site::new(&(MARKED.to_owned() + &smarthost(sink.address())));
    let relay = site.start();
    assert_eq!(deliver(&relay, "news@example.org", &newsletter(1)).code, 250);
    let id = id_of(&held(&site)[0]);
    text(&site, &["queue", "remove", &id, "--spam"]);
    assert!(held(&site).is_empty());
    let lessons = rows(&site, &["teach", "list"]);
    assert_eq!((lessons.len(), &lessons[0]["label"], &lessons[0]["about"]), (1, &"spam".into(), &id.into()));
    assert!(sink.arrivals().is_empty());
    relay.stop();
}

#[test]
fn all_of_an_account_is_removed() {
    let sink = Sink::start();
    let site = Site::new(&smarthost(sink.address()));
    let relay = site.start();
    text(&site, &["hold", "all", "--reason", "port 25 blocked"]);
    for n in 0..3 {
        assert_eq!(deliver(&relay, "ann@example.org", &note(n)).code, 250);
    }
    assert_eq!(deliver(&relay, "bob@example.net", &note(4)).code, 250);
    let told = text(&site, &["queue", "remove", "--account", "ann@example.org", "--spam"]);
    assert_eq!(told.lines().filter(|line| line.ends_with(": 1 delivery removed")).count(), 3, "{told}");
    assert_eq!(rows(&site, &["queue", "list"]).len(), 1, "of the other account");
    assert_eq!(rows(&site, &["teach", "list"]).len(), 3, "the model learned each");
    assert_eq!(text(&site, &["queue", "remove", "--account", "ann@example.org"]), "no messages\n");
    text(&site, &["resume", "all"]);
    sink.wait_accepted(1);
    wait_for("the queue to be empty", || rows(&site, &["queue", "list"]).is_empty());
    assert_eq!(sink.accepted().len(), 1);
    relay.stop();
}

#[test]
fn the_next_hop_is_told_where_configured() {
    let sink = Sink::start();
    let site = Site::new(&format!("[score]\nheader_fields = true\n{}", smarthost(sink.address())));
    let relay = site.start();
    assert_eq!(deliver(&relay, "ann@example.org", &note(1)).code, 250);
    let arrived = sink.wait_accepted(1)[0].text();
    let head = arrived.split("\r\n\r\n").next().expect("a head");
    assert!(head.contains("\r\nX-Outguard-Score: "), "{head}");
    assert!(arrived.ends_with(&note(1)), "the message itself is as it was");
    relay.stop();
}

#[test]
fn thresholds_differ_for_some_and_a_reload_changes_them() {
    let sink = Sink::start();
    let next_hop = smarthost(sink.address());
    let overrides = "[[score.override]]\naccount = \"news@example.org\"\nhold = 1000\n\
                     [[score.override]]\ndomain = \"example.com\"\npoints = { marked = 0 }\n";
    let site = Site::new(&format!("{MARKED}{overrides}{next_hop}"));
    let relay = site.start();
    assert_eq!(deliver(&relay, "news@example.org", &newsletter(1)).code, 250);
    assert_eq!(deliver(&relay, "any@example.com", &newsletter(2)).code, 250);
    sink.wait_accepted(2);
    assert_eq!(deliver(&relay, "any@example.org", &newsletter(3)).code, 250);
    assert_eq!(held(&site).len(), 1);
    // A pattern that is none changes nothing.
    site.configure(&format!("{}{next_hop}", MARKED.replace("our-mark-word", "(")));
    relay.signal(Signal::HUP);
    relay.wait_log(&["no regular expression"]);
    assert_eq!(deliver(&relay, "any@example.org", &newsletter(4)).code, 250);
    site.configure(&next_hop);
    assert_eq!(held(&site).len(), 2, "as before");
    relay.signal(Signal::HUP);
    relay.wait_log(&["daemon.reloaded"]);
    // Other words: near-copies of what was held have points of their own.
    let other = note(1).replace("here are the minutes", "our-mark-word");
    assert_eq!(deliver(&relay, "any@example.org", &other).code, 250);
    sink.wait_accepted(3);
    relay.stop();
}

/// Mail about lotteries as spam, about gardens as ham, each from two sources: what is trained is sure of itself.
fn train(site: &Site, model: &str) {
    let folder = |label: &str, words: [&str; 3]| {
        let folder = site.folder().join(label);
        fs::create_dir(&folder).expect("a folder of ours");
        for i in 0..60 {
            let text = format!("Subject: note {i}\n\n{} {} again {i}\n", words[i % 3], words[(i + 1) % 3]);
            fs::write(folder.join(i.to_string()), text).expect("a file of ours");
        }
        folder.display().to_string()
    };
    let ham = folder("ham", ["meeting", "report", "garden"]);
    let spam = folder("spam", ["pills", "lottery", "casino"]);
    let sources = [format!("a={ham}"), format!("b={ham}"), format!("c={spam}"), format!("d={spam}")];
    let [a, b, c, d] = &sources;
    let learn = ["train", "--ham", a, "--ham", b, "--spam", c, "--spam", d, "--output", model];
    let done = run(&binary(), &learn, b"");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_model_of_ones_own_judges_and_a_bad_one_changes_nothing() {
    let sink = Sink::start();
    let next_hop = smarthost(sink.address());
    let site = Site::new(&next_hop);
    let relay = site.start();
    let about = |words: &str, number: u32| note(number).replace("here are the minutes", words);
    assert_eq!(deliver(&relay, "ann@example.org", &about("lottery pills casino", 1)).code, 250);
    sink.wait_accepted(1);

    let model = site.folder().join("own.model").display().to_string();
    site.configure(&format!("[score]\nmodel = {model:?}\n{next_hop}"));
    fs::write(&model, "outguard model 1\n and nothing").expect("a file of ours");
    let checked = site.command(&["check"]);
    let faults = String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && faults.contains("score.model") && faults.contains("damaged"), "{faults}");
    relay.signal(Signal::HUP);
    relay.wait_log(&["not reloaded", "`outguard check`"]);
    assert_eq!(deliver(&relay, "ann@example.org", &about("casino pills", 2)).code, 250);
    sink.wait_accepted(2);

    train(&site, &model);
    relay.signal(Signal::HUP);
    relay.wait_log(&["daemon.reloaded", "scoring"]);
    assert_eq!(deliver(&relay, "bob@example.org", &about("lottery casino pills lottery", 3)).code, 250);
    assert_eq!(held(&site).len(), 1);
    assert_eq!(deliver(&relay, "bob@example.org", &about("meeting report garden", 4)).code, 250);
    sink.wait_accepted(3);
    relay.stop();
}

/// A site where ann@example.org can log in.
fn with_login(further: &str) -> std::sync::Arc<Site> {
    let password = run(&binary(), &["password", "ann@example.org"], b"open sesame\n");
    assert!(password.status.success(), "{}", String::from_utf8_lossy(&password.stderr));
    let site = Site::new("");
    let file = site.folder().join("passwords");
    fs::write(&file, password.stdout).expect("a file of ours");
    crate::rig::tls::set_mode(&file, 0o600);
    site.configure(&format!("[auth]\npassword_file = \"{}\"\n{further}", file.display()));
    site
}

fn deliver_as_ann(relay: &Relay, content: &str) -> Heard {
    let mut client = Client::greeted(relay.site().address());
    client.expect("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBvcGVuIHNlc2FtZQ==", 235);
    client.deliver("ann@example.org", &["bob@example.net"], content.as_bytes()).expect("an answer")
}

#[test]
fn a_rejection_reaches_only_who_is_proven() {
    let sink = Sink::start();
    let rejecting = "[score]\nreject = 150\nhold = \"off\"\n";
    let site = with_login(&format!("{rejecting}{MARKED}{}", smarthost(sink.address())));
    let relay = site.start();
    let unproven = deliver(&relay, "news@example.org", &newsletter(1));
    assert_eq!(unproven.code, 250, "a refusal would come back to somebody who sent nothing");
    assert_eq!(held(&site).len(), 1);
    let refused = deliver_as_ann(&relay, &newsletter(2));
    assert_eq!(refused.code, 550, "{}", refused.text());
    assert!(refused.text().contains("5.7.1"), "{}", refused.text());
    assert_eq!(held(&site).len(), 1, "nothing of it was kept");
    let told = relay.wait_log(&["message.rejected", "ann@example.org", "news-2@example.org", "It has our mark"]);
    let id = told.split_whitespace().find_map(|word| word.strip_prefix("id=")).expect("an id");
    assert!(text(&site, &["teach", "ham", id]).contains("1 lesson"), "what it was made of is known");
    relay.stop();
}

#[test]
fn an_account_in_foreign_hands_is_closed_where_configured() {
    let sink = Sink::start();
    let further = "[score.behaviour]\nwatch_first = \"0s\"\nsuspend = \"close-gate\"\nsuspend_held = 5\n";
    let site = with_login(&format!("{further}{MARKED}{}", smarthost(sink.address())));
    let relay = site.start();
    // By somebody who only wrote its address: told, but its gate stays open.
    for number in 1..=6 {
        assert_eq!(deliver(&relay, "shop@example.org", &newsletter(number)).code, 250);
    }
    let told = relay.wait_log(&["account.suspect", "account=shop@example.org"]);
    assert!(told.contains("gate_closed=false"), "{told}");
    for number in 11..=16 {
        assert_eq!(deliver_as_ann(&relay, &newsletter(number)).code, 250);
    }
    let told = relay.wait_log(&["account.suspect", "account=ann@example.org"]);
    assert!(told.contains("gate_closed=true"), "{told}");
    wait_for("its gate to be closed", || text(&site, &["status"]).contains("ann@example.org"));
    // What is good of it waits too, and that of others leaves.
    assert_eq!(deliver_as_ann(&relay, &note(1)).code, 250);
    assert_eq!(deliver(&relay, "bob@example.org", &note(2)).code, 250);
    sink.wait_accepted(1);
    text(&site, &["resume", "account", "ann@example.org"]);
    sink.wait_accepted(2);
    relay.stop();
}

#[test]
fn messages_of_files_are_scored_without_a_daemon() {
    let site = Site::new("");
    let folder = site.folder().join("mail");
    for below in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join("box").join(below)).expect("ours");
    }
    fs::write(folder.join("box/cur/1:2,S"), note(1)).expect("ours");
    fs::write(folder.join("box/new/2"), phishing(1)).expect("ours");
    fs::write(folder.join("box/tmp/3"), "not delivered yet").expect("ours");
    let mbox = folder.join("mbox");
    let both = format!(
        "From ann Sat Nov 21 10:00:00 2026\r\n{}\r\nFrom x Sat Nov 21 10:00:00 2026\r\n{}",
        note(2),
        phishing(2)
    );
    fs::write(&mbox, both).expect("ours");
    let (maildir, mbox) = (folder.join("box").display().to_string(), mbox.display().to_string());
    for place in [&maildir, &mbox] {
        let judged = rows(&site, &["score", place]);
        let decisions: Vec<&str> = judged.iter().filter_map(|one| one["decision"].as_str()).collect();
        assert_eq!(decisions, ["send", "hold"], "{place}");
    }
    let config = site.config().display().to_string();
    let piped = run(&binary(), &["score", "--config", &config], phishing(3).as_bytes());
    let piped = String::from_utf8(piped.stdout).expect("text");
    assert!(piped.contains("points, hold") && piped.contains("link-shows-other-host"), "{piped}");
    let absent = site.command(&["score", "/nowhere/at/all"]);
    assert!(!absent.status.success());
    let hostile = "Subject: \u{1b}[2J\u{7}\r\n\r\n<a href=\"http://203.0.113.9/\u{1b}[31m\">https://www.paypal.com/\u{1b}[0m</a>\r\n";
    let shown = run(&binary(), &["score", "--config", &config], hostile.as_bytes()).stdout;
    assert!(!shown.contains(&0x1b) && !shown.contains(&7), "{}", String::from_utf8_lossy(&shown));
}
