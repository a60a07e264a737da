//! The data and the code know each other, and points are what settings say.

use std::collections::{BTreeMap, BTreeSet};

use super::data::embedded;
use super::sample::{Mail, mail};
use super::*;
use crate::account::AccountSource;
use crate::score::settings::{Asks, Case, DomainOf, OwnRule, Place, ScoreOverride};

fn rules(settings: &ScoreSettings) -> Rules {
    Rules::new(settings).unwrap()
}

fn points(rules: &Rules, mail: &Mail) -> BTreeMap<String, i32> {
    mail.reasons(rules).into_iter().map(|reason| (reason.name.into_owned(), reason.points)).collect()
}

#[test]
fn the_embedded_data_is_whole() {
    let data = embedded();
    let code: BTreeSet<&str> = registry::all().map(|rule| rule.name).collect();
    let written: BTreeSet<&str> =
        data.rules.iter().filter(|rule| rule.words.is_none()).map(|rule| rule.name.as_str()).collect();
    assert_eq!(code, written, "rules that are code, and what the data says of them");
    let kebab = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !name.starts_with('-');
    let names = data.rule_names().chain(data.list_names()).chain(data.families.iter().map(|f| f.name.as_str()));
    assert_eq!(names.filter(|name| !kebab(name)).collect::<Vec<_>>(), Vec::<&str>::new());
    for topic in &data.topics {
        let languages: Vec<&str> = topic.by_language.keys().map(String::as_str).collect();
        assert_eq!(languages, ["de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru"], "{}", topic.name);
        for (language, words) in &topic.by_language {
            let unique: BTreeSet<&String> = words.iter().collect();
            assert_eq!(unique.len(), words.len(), "{} {language} has a word twice", topic.name);
        }
    }
    let rules = rules(&ScoreSettings::default());
    assert_eq!(rules.built_in.len(), data.rules.len(), "every rule is ready to look");
}

/// An ordinary text speaks against what suggests, never against what decides or what the operator set.
#[test]
fn soft_is_what_suggests_and_nobody_set() {
    let is_soft = |rules: &Rules, name: &str, points: i32| {
        rules.is_soft(&Reason { name: name.to_owned().into(), points, sentence: "seen".into() })
    };
    let shipped = rules(&ScoreSettings::default());
    let cases = [
        ("subject-capitals", 15, true, "a light rule"),
        ("name-or-subject-disguised", 70, true, "the heaviest that is soft"),
        ("attachment-archive-encrypted", 50, false, "a file comes with any text"),
        ("link-borrows-brand", 50, false, "so does a borrowed name"),
        ("link-looks-like-brand", 100, false, "this decides"),
        ("link-looks-like-brand", 20, false, "even where its family leaves it little"),
        ("gtube", 1_000, false, "a test"),
        ("answers-a-message", -10, false, "it speaks for the message"),
        ("a-rule-of-mine", 15, false, "the operator wrote it"),
    ];
    for (name, points, expected, why) in cases {
        assert_eq!(is_soft(&shipped, name, points), expected, "{why}");
    }
    let points = BTreeMap::from([("subject-capitals".to_owned(), 40)]);
    let changed = rules(&ScoreSettings { points, ..ScoreSettings::default() });
    assert!(!is_soft(&changed, "subject-capitals", 40), "the operator means these points");
}

#[test]
fn data_that_is_not_whole_is_refused() {
    let family = "[[family]]\nname = \"f\"\npoints_max = 1\nsentence = \"s\"\n";
    let rule = |rest: &str| {
        format!(
            "{family}[[rule]]\nname = \"r\"\nfamily = \"f\"\npoints = 1\nsentence = \"s\"\nwhy = \"w\"\norigin = \"o\"\n{rest}"
        )
    };
    let end = "[[list]]\nname = \"l\"\nsentence = \"s\"\norigin = \"o\"\nentries = [\"a\"]\n\
               [[words]]\nname = \"w\"\nsentence = \"s\"\norigin = \"o\"\nby_language = { en = [\"x\"] }\n\
               [[brand]]\nname = \"b\"\ndomains = []\n";
    let cases = [
        (rule("") + end, Ok(())),
        (rule("").replace("points = 1", "points = 0") + end, Err("rule r: 0 would switch it off")),
        (rule("").replace("family = \"f\"", "family = \"g\"") + end, Err("rule r: no such family")),
        (rule("words = \"y\"\n") + end, Err("rule r: no such topic of words")),
        (rule("words = \"w\"\n") + end, Err("rule r: a rule of words brings a text that it sees")),
        (rule("").replace("\"s\"", "\"S.\"") + end, Err("rule r: it has a sentence without a full stop")),
        (rule("").replace("points_max = 1", "points_max = -1") + end, Err("family f: points_max is 0 or more")),
        (rule("") + end + "[[brand]]\nname = \"b\"\ndomains = []\n", Err("brand \"b\" stands there twice")),
        (rule("") + &end.replace("\"a\"", "\"A\""), Err("list l: entries are in lower case")),
        (rule("hit = \"x\"\n") + end, Err("unknown field")),
    ];
    for (text, expected) in cases {
        match (RuleData::parse(&text), expected) {
            (Ok(_), Ok(())) => {}
            (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}\nin place of {expected}"),
            (read, expected) => panic!("{expected:?}, but {:?}\n{text}", read.map(drop)),
        }
    }
}

#[test]
fn ordinary_mail_gives_no_reason() {
    assert_eq!(mail().reasons(&rules(&ScoreSettings::default())), Vec::new());
}

#[test]
fn rules_of_words_see_their_samples() {
    let rules = rules(&ScoreSettings::default());
    for entry in embedded().rules.iter().filter(|rule| rule.words.is_some()) {
        let with = |sample: &str| match entry.part {
            Part::Both => mail().text(sample),
            Part::Subject => mail().subject(sample),
        };
        assert!(
            points(&rules, &with(&entry.hits)).contains_key(&entry.name),
            "{} does not see {:?}",
            entry.name,
            entry.hits
        );
        assert!(
            !points(&rules, &with(&entry.misses)).contains_key(&entry.name),
            "{} sees {:?}",
            entry.name,
            entry.misses
        );
    }
    let in_text = points(&rules, &mail().text("Last chance"));
    assert!(!in_text.contains_key("words-buying"), "words of the subject are not looked for in the text");
}

/// Every language of a topic is enough for its rules.
#[test]
fn every_language_is_seen() {
    let rules = rules(&ScoreSettings::default());
    for entry in embedded().rules.iter().filter(|rule| rule.words.is_some()) {
        let topic = embedded().topics.iter().find(|topic| Some(&topic.name) == entry.words.as_ref()).unwrap();
        for (language, words) in &topic.by_language {
            let text = words.iter().map(|word| word.trim_matches('*')).collect::<Vec<_>>().join(". ");
            let mail = mail().subject(&text).text(&text);
            assert!(points(&rules, &mail).contains_key(&entry.name), "{} in {language}", entry.name);
        }
    }
}

#[test]
fn points_are_the_operators() {
    let over = |applies_to, points: &[(&str, i32)]| ScoreOverride {
        applies_to,
        points: points.iter().map(|(name, points)| ((*name).to_owned(), *points)).collect(),
        hold: None,
        reject: None,
    };
    let settings = ScoreSettings {
        points: [("subject-empty".to_owned(), 33), ("date-missing".to_owned(), 0)].into(),
        overrides: vec![
            over(ScoredAs::Account("alice@example.org".into()), &[("subject-empty", 44)]),
            over(ScoredAs::Domain("example.org".into()), &[("subject-empty", 55), ("message-id-missing", 7)]),
        ],
        ..ScoreSettings::default()
    };
    let rules = rules(&settings);
    let bare = || mail().subject("").without("Date").without("Message-ID");
    let cases: [(&str, &[(&str, i32)]); 3] = [
        ("x@other.example", &[("message-id-missing", 2), ("subject-empty", 33)]), // the general points; one rule is off
        ("bob@example.org", &[("message-id-missing", 7), ("subject-empty", 55)]), // the domain's
        ("alice@example.org", &[("message-id-missing", 7), ("subject-empty", 44)]), // the account's before the domain's
    ];
    for (account, expected) in cases {
        let seen = points(&rules, &bare().account(account, AccountSource::ReversePath));
        let expected: BTreeMap<String, i32> =
            expected.iter().map(|(name, points)| ((*name).to_owned(), *points)).collect();
        assert_eq!(seen, expected, "{account}");
    }
}

#[test]
fn lists_are_changed() {
    let settings = ScoreSettings {
        lists: [("shorteners".to_owned(), vec!["-bit.ly".to_owned(), "go.example".to_owned()])].into(),
        ..ScoreSettings::default()
    };
    let rules = rules(&settings);
    for (target, expected) in [("https://bit.ly/x", false), ("https://go.example/x", true), ("https://is.gd/x", true)] {
        assert_eq!(points(&rules, &mail().click(target, "x")).contains_key("link-shortener"), expected, "{target}");
    }
}

fn own(name: &str, asks: Asks) -> OwnRule {
    OwnRule {
        name: name.to_owned(),
        asks,
        points: 60,
        sentence: "our own reason".to_owned(),
        accounts: Vec::new(),
        domains: Vec::new(),
    }
}

fn pattern(place: Place, pattern: &str, case: Case) -> Asks {
    Asks::Pattern { place, pattern: pattern.to_owned(), case }
}

#[test]
fn own_rules_look_where_they_are_told() {
    let listed = |domain| Asks::Listed { domain, domains: vec!["listed.example".to_owned()] };
    let cases = [
        ("any case", pattern(Place::Subject, "black friday", Case::Ignored), mail().subject("BLACK FRIDAY"), true),
        ("exact case", pattern(Place::Subject, "black friday", Case::Exact), mail().subject("BLACK FRIDAY"), false),
        ("the body", pattern(Place::Body, r"\bmember no\. \d+", Case::Ignored), mail().text("Member No. 17"), true),
        ("not the subject", pattern(Place::Body, "x7", Case::Ignored), mail().subject("x7"), false),
        (
            "a field",
            pattern(Place::Header("x-mailer".to_owned()), "^evil", Case::Ignored),
            mail().field("X-Mailer", "Evil 1"),
            true,
        ),
        (
            "another field",
            pattern(Place::Header("X-Mailer".to_owned()), "^evil", Case::Ignored),
            mail().field("X-Tool", "Evil"),
            false,
        ),
        ("From", listed(DomainOf::From), mail().from("a@b.listed.example"), true),
        ("a name that ends alike", listed(DomainOf::From), mail().from("a@unlisted.example"), false),
        ("a link", listed(DomainOf::Link), mail().click("https://www.listed.example/", "x"), true),
        ("the reverse-path", listed(DomainOf::ReversePath), mail().reverse_path("a@listed.example"), true),
        ("a recipient", listed(DomainOf::Recipient), mail().recipients(&["b@example.net", "a@listed.example"]), true),
        ("a recipient that is only named", listed(DomainOf::Recipient), mail().to("a@listed.example"), false),
    ];
    for (why, asks, mail, expected) in cases {
        let rules = rules(&ScoreSettings { rules: vec![own("ours", asks)], ..ScoreSettings::default() });
        let seen = mail.reasons(&rules).into_iter().find(|reason| reason.name == "ours");
        assert_eq!(seen.is_some(), expected, "{why}");
        if let Some(reason) = seen {
            assert_eq!(reason.points, 60);
            assert!(reason.sentence.starts_with("our own reason"), "{}", reason.sentence);
        }
    }
}

#[test]
fn own_rules_are_for_some() {
    let asks = || pattern(Place::Subject, "minutes", Case::Ignored);
    let only_alice = OwnRule { accounts: vec!["alice@example.org".to_owned()], ..own("alice", asks()) };
    let only_domain = OwnRule { domains: vec!["example.com".to_owned()], ..own("domain", asks()) };
    let off = OwnRule { points: 0, ..own("off", asks()) };
    let settings =
        ScoreSettings { rules: vec![only_alice, only_domain, own("all", asks()), off], ..ScoreSettings::default() };
    let rules = rules(&settings);
    let cases: [(&str, &[&str]); 3] = [
        ("alice@example.org", &["alice", "all"]),
        ("bob@example.com", &["all", "domain"]),
        ("x@other.example", &["all"]),
    ];
    for (account, expected) in cases {
        let seen = points(&rules, &mail().account(account, AccountSource::Login).from(account).reverse_path(account));
        assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{account}");
    }
}

#[test]
fn patterns_are_bounded() {
    let long = "a".repeat(1_001);
    let cases = [
        ("a+b", Ok(())),
        ("(", Err("no regular expression: unclosed group")),
        ("(?=x)", Err("no regular expression: look-around, including look-ahead and look-behind, is not supported")),
        ("(a{1000}){1000}", Err("the pattern takes more than 1 MiB when compiled; use smaller repetitions")),
        (long.as_str(), Err("the pattern is longer than 1000 bytes; write several rules")),
    ];
    for (text, expected) in cases {
        assert_eq!(own::check(text).map_err(|e| e.to_string()), expected.map_err(str::to_owned), "{text:.20}");
    }
    let settings = ScoreSettings {
        rules: vec![own("broken", pattern(Place::Body, "(", Case::Ignored))],
        ..ScoreSettings::default()
    };
    let said = Rules::new(&settings).unwrap_err().to_string();
    assert!(said.starts_with("the rule broken: no regular expression"), "{said}");
}

/// What mail brings into a sentence is short and cannot speak to a terminal.
#[test]
fn sentences_are_bounded_and_visible() {
    let rules = rules(&ScoreSettings::default());
    let mail = mail().field("Message-ID", &format!("\u{1b}[31m{}", "x".repeat(5_000)));
    for reason in mail.reasons(&rules) {
        assert!(!reason.sentence.contains(char::is_control), "{reason:?}");
        assert!(reason.sentence.len() < 300, "{reason:?}");
    }
}

/// Any text, of any size and script, gives reasons without a panic.
#[test]
fn any_text_is_looked_at() {
    let rules = rules(&ScoreSettings::default());
    let pieces = [
        "re:", "%", "-50%", "@", "#", "://", "xn--", ".", " ", "\u{200b}", "а", "a", "é", "\u{202e}", "<", ">", "1",
        "http", "😀", "\n", "ß", "İ", "𝗔", "/", "?", "\u{0}",
    ];
    for seed in 0..300_u64 {
        let mut state = seed;
        let mut text = || -> String {
            (0..30)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]
                })
                .collect()
        };
        let sample = mail()
            .subject(&text())
            .text(&text())
            .from(&text())
            .to(&text())
            .reply_to(&text())
            .field("Message-ID", &text())
            .field("References", &text())
            .field("X-PHP-Originating-Script", &text())
            .click(&text(), &text())
            .click(&format!("https://{}", text()), &text())
            .file(&text(), "application/pdf", crate::message::Content::Unknown);
        sample.reasons(&rules);
    }
}
