//! The whole way: labelled files in, a model and its figures out.

use super::*;
use crate::score::model::Model;

fn arguments(words: &[&str]) -> TrainArguments {
    use crate::cli::arguments::{Arguments, Command};
    use clap::Parser as _;
    let all = ["outguard", "train"].iter().chain(words);
    match Arguments::try_parse_from(all).unwrap().command {
        Command::Train(asked) => *asked,
        other => unreachable!("{other:?}"),
    }
}

/// An mbox of ham and a Maildir of spam, sixty of each.
struct Mail(tempfile::TempDir);

impl Mail {
    fn written() -> Self {
        let mail = Self(tempfile::tempdir().unwrap());
        let text = |i: usize, words: [&str; 3]| {
            format!("Subject: note {i}\n\n{} {} again {i}\n\n", words[i % 3], words[(i + 1) % 3])
        };
        let ham: String = (0..60)
            .map(|i| text(i, ["meeting", "report", "garden"]))
            .fold(String::new(), |all, one| all + "From x Sat Nov 21 10:00:00 2026\n" + &one);
        std::fs::write(mail.at("ham.mbox"), ham).unwrap();
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(mail.at(&format!("spam/{part}"))).unwrap();
        }
        for i in 0..60 {
            let part = ["cur", "new"][i % 2];
            std::fs::write(mail.at(&format!("spam/{part}/{i}")), text(i, ["pills", "lottery", "casino"])).unwrap();
        }
        std::fs::write(mail.at("spam/tmp/half"), "not a message yet").unwrap();
        mail
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Trains on it; the model's bytes, and what was said.
    fn train(&self, output: &str) -> (Vec<u8>, String) {
        let (ham, spam) = (format!("wanted={}", self.at("ham.mbox")), format!("junk={}", self.at("spam")));
        let (output, draw) = (self.at(output), self.at("drawn"));
        let learn = ["--ham", &ham, "--spam", &spam, "--output", &output, "--made", "2026-11-21"];
        let mut out = Vec::new();
        run(&arguments(&[&learn[..], &["--evaluate", "--draw", &draw]].concat()), &mut out).unwrap();
        (std::fs::read(output).unwrap(), String::from_utf8(out).unwrap())
    }
}

/// A model comes out, the same again, and it can be measured.
#[test]
fn from_an_mbox_and_a_maildir() {
    let mail = Mail::written();
    let (model, said) = mail.train("one");
    assert_eq!(model, mail.train("two").0);
    let card = Model::load(&model).unwrap().card().clone();
    let counted: usize = card.sources.iter().map(|s| s.ham + s.spam).sum();
    assert!(counted < 120 && counted > 70, "a fifth is kept apart: {counted}");
    assert_eq!(card.sources.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["wanted", "junk"]);
    for part in ["Calibration", "Sources left out", "wanted", "roc.svg"] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    for drawn in ["roc.svg", "scores.svg"] {
        let svg = std::fs::read_to_string(mail.at(&format!("drawn/{drawn}"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{drawn}: {svg}");
    }
}

/// What was trained could once be loaded by nothing but `train` itself.
#[test]
fn what_is_trained_judges() {
    let mail = Mail::written();
    // A word counts that two sources have, and is sure of itself where a source that was left out agrees.
    let (ham, spam) = (mail.at("ham.mbox"), mail.at("spam"));
    let sources = [format!("a={ham}"), format!("b={ham}"), format!("c={spam}"), format!("d={spam}")];
    let [a, b, c, d] = &sources;
    let output = mail.at("own.model");
    let learn = ["--ham", a, "--ham", b, "--spam", c, "--spam", d, "--output", &output];
    run(&arguments(&learn), &mut Vec::new()).unwrap();
    std::fs::write(mail.at("casino"), "Subject: note\n\ncasino pills again\n\n").unwrap();
    std::fs::write(mail.at("shipped.toml"), "").unwrap();
    std::fs::write(mail.at("own.toml"), format!("[score]\nmodel = {:?}\n", mail.at("own.model"))).unwrap();
    let probability = |words: &[&str]| -> f64 {
        use clap::Parser as _;
        let all = ["outguard", "--json", "score"].iter().chain(words);
        let mut out = Vec::new();
        crate::cli::run(&crate::cli::arguments::Arguments::try_parse_from(all).unwrap(), &mut out).unwrap();
        let judged: serde_json::Value = serde_json::from_slice(&out).unwrap();
        judged["probability"].as_f64().unwrap()
    };
    let (message, shipped, own, file) =
        (mail.at("casino"), mail.at("shipped.toml"), mail.at("own.toml"), mail.at("own.model"));
    let by_shipped = probability(&[&message, "--config", &shipped]);
    let by_own = probability(&[&message, "--config", &own]);
    assert!(by_own > 0.9 && by_own > by_shipped + 0.1, "{by_own}, {by_shipped} by the one that ships");
    let asked_for = probability(&[&message, "--config", &shipped, "--model", &file]);
    assert!((asked_for - by_own).abs() < 1e-9, "{asked_for}, {by_own} as configured");
}

#[test]
fn what_cannot_be_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "Subject: a\n\nb\n").unwrap();
    let path = folder.path().display().to_string();
    let nowhere = folder.path().join("nonsuch").display().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&[], "give --ham and --spam"),
        (&["--ham", &path], "give --ham and --spam"),
        (&["--corpus", &path], &path), // no manifest
        (&["--ham", &format!("wanted={nowhere}")], &nowhere),
        (&["--corpus", &nowhere], &nowhere),
    ];
    for (words, expected) in cases {
        let failed = run(&arguments(words), &mut Vec::new()).unwrap_err();
        let mut said = Vec::new();
        failed.tell(&mut said);
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}
