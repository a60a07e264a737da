//! Lessons: what they move, how far, for whom, for how long, and that they are taken back without a trace.

use proptest::prelude::*;

use super::*;
use crate::score::model::features::PAIR;

fn features(words: &[u32]) -> Features {
    Features { text: words.to_vec(), ..Features::default() }
}

fn lesson(about: &str, at_days: u64, label: Label, words: &[u32]) -> Lesson {
    Lesson {
        about: about.into(),
        by: "ada".into(),
        at: WallMs(at_days * 86_400_000),
        label,
        sketch: Sketch::of(&features(words)),
        account: None,
    }
}

fn newsletter() -> Vec<u32> {
    (1..=400).map(|i| (i * 7_919) | if i % 2 == 0 { PAIR } else { 0 }).collect()
}

#[test]
fn ham_that_is_copied_under_other_text_speaks_for_nothing() {
    let mut taught = Taught::default();
    let words = newsletter();
    taught.teach(lesson("issue 1", 1, Label::Ham, &words));
    let own = taught.adds(&features(&words), None);
    assert!(own < -1.5, "{own}");
    let other = |count: u32| (1..=count).map(|i| (i * 104_729 + 13) | if i % 2 == 0 { PAIR } else { 0 });
    let with =
        |count: u32| taught.adds(&features(&words.iter().copied().chain(other(count)).collect::<Vec<_>>()), None);
    assert!(with(20) < own * 0.5, "a changed line: {}", with(20));
    assert!(with(800).abs() < 0.05, "twice as much of something else: {}", with(800));
    assert!((0..40).map(|i| with(i * 20)).is_sorted(), "the more of it, the less");
}

#[test]
fn a_lesson_moves_what_is_like_it() {
    let mut taught = Taught::default();
    let words = newsletter();
    assert!(taught.teach(lesson("1", 1, Label::Ham, &words)).kept);
    let same = taught.adds(&features(&words), None);
    assert!((-3.01..=-2.98).contains(&same), "{same}");
    let half: Vec<u32> = words.iter().enumerate().filter(|(i, _)| i % 4 < 2).map(|(_, w)| *w).collect();
    assert!((-2.0..=0.0).contains(&taught.adds(&features(&half), None)), "an excerpt of what was wanted: less");
    taught.teach(lesson("1", 1, Label::Spam, &words));
    assert!((1.0..=2.0).contains(&taught.adds(&features(&half), None)), "an excerpt of spam");
    assert!(taught.adds(&features(&[1, 2, 3]), None).abs() < 1e-9, "another message");
}

#[test]
fn bounds() {
    let mut taught = Taught::new(Teaching { lessons_max: 3, ..Teaching::default() });
    let words = newsletter();
    for i in 0..5 {
        let changed = taught.teach(lesson(&i.to_string(), i, Label::Spam, &words));
        let dropped: Vec<String> = i.checked_sub(3).map(|i| i.to_string()).into_iter().collect();
        assert_eq!(changed, Changed { forgotten: dropped, kept: true }, "lesson {i}");
    }
    assert!((taught.adds(&features(&words), None) - 6.0).abs() < 1e-9, "three steps of 3 are cut to 6");
    assert!(Sketch::of(&features(&(0..20_000).collect::<Vec<_>>())).to_bytes().len() <= Sketch::BYTES_MAX);
    const { assert!(Sketch::BYTES_MAX <= 1_024) };
}

#[test]
fn the_last_word_counts() {
    let (mut taught, words) = (Taught::default(), newsletter());
    taught.teach(lesson("1", 1, Label::Spam, &words));
    assert_eq!(taught.teach(lesson("1", 2, Label::Spam, &words)), Changed::default(), "known");
    assert!(taught.teach(lesson("1", 3, Label::Ham, &words)).kept);
    assert_eq!(taught.lessons().count(), 1);
    assert!(taught.adds(&features(&words), None) < 0.0);
}

#[test]
fn lessons_fade() {
    let (mut taught, words) = (Taught::default(), newsletter());
    taught.teach(lesson("1", 0, Label::Spam, &words));
    let fresh = taught.adds(&features(&words), None);
    taught.fade(WallMs(91 * 86_400_000));
    let faded = taught.adds(&features(&words), None);
    assert!((faded / fresh - 0.5).abs() < 0.01, "{faded} of {fresh}");
    taught.fade(WallMs(0));
    assert!((taught.adds(&features(&words), None) - faded).abs() < 1e-12, "a clock that steps back gives nothing back");
    taught.undo("1");
    assert!(taught.adds.is_empty());
}

#[test]
fn what_an_account_wanted_counts_most_for_it() {
    let (mut taught, words) = (Taught::default(), newsletter());
    taught.teach(lesson("1", 1, Label::Ham, &words).of_account("news@shop.example"));
    let of = |taught: &Taught, account| taught.adds(&features(&words), account);
    let own = of(&taught, Some("news@shop.example"));
    assert!((-3.01..=-2.98).contains(&own), "{own}");
    for other in [None, Some("thief@shop.example")] {
        let others = of(&taught, other);
        assert!((-1.01..=-0.98).contains(&others), "{other:?}: {others}");
    }
    // A provider's word against it holds for all.
    taught.teach(lesson("2", 2, Label::Spam, &words).of_account("news@shop.example"));
    assert!(of(&taught, Some("news@shop.example")).abs() < 0.01);
    assert!(of(&taught, None) > 1.9);
    taught.undo("2");
    taught.fade(WallMs(92 * 86_400_000));
    assert!((of(&taught, Some("news@shop.example")) / own - 0.5).abs() < 0.01, "it fades as the rest does");
    taught.undo("1");
    assert!(taught.adds.is_empty() && taught.own.is_empty());
}

/// The store of a version that knew no accounts, and its exports.
#[test]
fn a_lesson_without_an_account_counts_for_all() {
    let line = lesson("1", 1, Label::Ham, &newsletter()).to_line();
    assert!(!line.contains("account"));
    let mut taught = Taught::default();
    taught.import(&line).unwrap();
    for account in [None, Some("any@example.org")] {
        assert!(taught.adds(&features(&newsletter()), account) < -2.9);
    }
    let of = lesson("1", 1, Label::Ham, &newsletter()).of_account("a@example.org");
    assert_eq!(Lesson::from_line(&of.to_line()), Ok(of));
    let long = lesson("1", 1, Label::Ham, &newsletter()).of_account(&"a".repeat(300));
    assert_eq!(long.account, None, "and can be read again");
}

#[test]
fn lines_that_are_no_lessons() {
    let good = lesson("1", 1, Label::Ham, &newsletter()).to_line();
    assert_eq!(Lesson::from_line(&good).unwrap().to_line(), good);
    let long = good.replace("\"ada\"", &format!("\"{}\"", "a".repeat(300)));
    let cases = [
        ("", "nothing"),
        (&good.replace("ham", "eggs"), "another label"),
        (&good.replace("\"by\"", "\"buy\""), "another name"),
        (&good.replace("\"sketch\":\"", "\"sketch\":\"A"), "a sketch of odd length"),
        (&long, "a long name"),
    ];
    for (line, why) in cases {
        assert!(Lesson::from_line(line).is_err(), "{why}");
        assert!(Taught::default().import(&format!("{good}\n{line}!\n")).is_err(), "{why}");
    }
}

proptest! {
    /// Whatever was taught and undone in whatever order, the layer is what its lessons alone would make.
    #[test]
    fn undo_is_exact(deeds in prop::collection::vec((0_u8..12, prop::bool::ANY, prop::bool::ANY, 0_u64..400), 0..40)) {
        let mut taught = Taught::new(Teaching { lessons_max: 6, ..Teaching::default() });
        for (i, undo, spam, day) in deeds {
            if undo {
                taught.undo(&i.to_string());
            } else {
                let words: Vec<u32> = (0..300).map(|w| (w * 31 + u32::from(i) * 500) ^ (w << 24)).collect();
                let label = if spam { Label::Spam } else { Label::Ham };
                let one = lesson(&i.to_string(), day, label, &words);
                let account = ["a@example.org", "b@example.org"].get(usize::from(i % 3));
                taught.teach(account.map_or(one.clone(), |account| one.of_account(account)));
            }
            taught.fade(WallMs(day * 86_400_000));
        }
        let mut again = Taught::new(Teaching { lessons_max: 6, ..Teaching::default() });
        again.fade(taught.now);
        again.import(&taught.export()).unwrap();
        prop_assert_eq!(&again, &taught);
        let all: Vec<String> = taught.lessons().map(|l| l.about.clone()).collect();
        for about in all {
            taught.undo(&about);
        }
        prop_assert!(taught.adds.is_empty() && taught.own.is_empty());
    }
}
