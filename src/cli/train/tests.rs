//! The whole way: labelled files in, a model and its figures out.

use super::*;

fn arguments(words: &[&str]) -> TrainArguments {
    use crate::cli::arguments::{Arguments, Command};
    use clap::Parser as _;
    let all = ["outguard", "train"].iter().chain(words);
    match Arguments::try_parse_from(all).unwrap().command {
        Command::Train(asked) => *asked,
        other => unreachable!("{other:?}"),
    }
}

/// An mbox of ham, a Maildir of spam: a model comes out, the same again, and it can be measured.
#[test]
fn from_an_mbox_and_a_maildir() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let text = |i: usize, words: [&str; 3]| {
        format!("Subject: note {i}\n\n{} {} again {i}\n\n", words[i % 3], words[(i + 1) % 3])
    };
    let ham: String = (0..60)
        .map(|i| text(i, ["meeting", "report", "garden"]))
        .fold(String::new(), |all, one| all + "From x\n" + &one);
    std::fs::write(at("ham.mbox"), ham).unwrap();
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(at(&format!("spam/{part}"))).unwrap();
    }
    for i in 0..60 {
        let part = ["cur", "new"][i % 2];
        std::fs::write(at(&format!("spam/{part}/{i}")), text(i, ["pills", "lottery", "casino"])).unwrap();
    }
    std::fs::write(at("spam/tmp/half"), "not a message yet").unwrap();
    let run_to = |output: &str| {
        let (ham, spam) = (format!("wanted={}", at("ham.mbox")), format!("junk={}", at("spam")));
        let (output, draw) = (at(output), at("drawn"));
        let words = [
            "--ham",
            &ham,
            "--spam",
            &spam,
            "--evaluate",
            "--draw",
            &draw,
            "--output",
            &output,
            "--made",
            "2026-11-21",
        ];
        let mut out = Vec::new();
        run(&arguments(&words), &mut out).unwrap();
        (std::fs::read(output).unwrap(), String::from_utf8(out).unwrap())
    };
    let (model, said) = run_to("one");
    assert_eq!(model, run_to("two").0);
    let card = Model::load(&model).unwrap().card().clone();
    let counted: usize = card.sources.iter().map(|s| s.ham + s.spam).sum();
    assert!(counted < 120 && counted > 70, "a fifth is kept apart: {counted}");
    assert_eq!(card.sources.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["wanted", "junk"]);
    for part in ["Calibration", "Sources left out", "wanted", "roc.svg"] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    for drawn in ["roc.svg", "scores.svg"] {
        let svg = std::fs::read_to_string(folder.path().join("drawn").join(drawn)).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{drawn}: {svg}");
    }
}

#[test]
fn what_cannot_be_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "Subject: a\n\nb\n").unwrap();
    let path = folder.path().display().to_string();
    let cases: [&[&str]; 3] = [
        &[],                  // nothing
        &["--ham", &path],    // no spam
        &["--corpus", &path], // no manifest
    ];
    for words in cases {
        assert!(run(&arguments(words), &mut Vec::new()).is_err(), "{words:?}");
    }
}
