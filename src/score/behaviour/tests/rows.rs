//! What is kept over restarts, and a newsletter that lives on it.

use proptest::prelude::*;

use super::*;

#[test]
fn a_restart_changes_nothing() {
    let mut behaviour = month();
    for (to, judged) in
        [("a@far.example", Judged::Sent), ("b@far.example", Judged::Sent), ("c@far.example", Judged::Held)]
    {
        let letter = Letter { to, client: "198.51.100.1", text: OFFER, ..usual(0) };
        let seen = letter.with(NOW, |submission| behaviour.assess(submission)).footprint.unwrap();
        behaviour.accepted(&seen, judged);
    }
    let rows = behaviour.changed(usize::MAX);
    assert_eq!(rows.iter().filter(|row| row.kind == RowKind::Habit).count(), 2, "one account and the pool");
    let mut again = Behaviour::new(BehaviourSettings::default(), None);
    for row in &rows {
        assert!(again.restore(row.kind, &row.key, row.bytes.as_ref().unwrap()), "{row:?}");
        let cut = &row.bytes.as_ref().unwrap()[..20];
        assert!(!again.restore(row.kind, &row.key, cut), "a row cut short is refused");
    }
    for letter in [usual(1), Letter { to: "d@far.example", client: "198.51.100.9", text: OFFER, ..usual(0) }] {
        assert_eq!(points_of(&again, &letter, NOW + 5), points_of(&behaviour, &letter, NOW + 5));
    }
    assert_eq!(again.changed(usize::MAX), [], "what was restored is not written again");
}

/// An upgrade keeps what was learned.
#[test]
fn a_habit_of_the_versions_before_is_read() {
    let row = month().changed(usize::MAX).into_iter().find(|row| !row.key.is_empty()).unwrap();
    let mut bytes = row.bytes.unwrap();
    let (parts, links) = (2 * 4 + 2, 24 * 2 * 2 + 8 * 2 * 4 + 2 * 4 + 2 + 4);
    for (version, behind) in [(5, parts), (4, links), (3, 24 * 2)] {
        bytes.truncate(bytes.len() - behind);
        bytes[0] = version;
        let mut again = Behaviour::new(BehaviourSettings::default(), None);
        assert!(again.restore(RowKind::Habit, &row.key, &bytes), "version {version}");
        assert_eq!(points_of(&again, &usual(1), NOW), [], "one more of the usual");
        assert!(has(&points_of(&again, &Letter { client: "198.51.100.1", ..usual(1) }, NOW), "new-client"));
    }
}

#[test]
fn a_pool_of_the_versions_before_is_read() {
    let row = month().changed(usize::MAX).into_iter().find(|row| row.key.is_empty()).unwrap();
    let mut bytes = row.bytes.unwrap();
    for (version, behind) in [(2, 40 * 4 + 2 + 2 * 4), (1, 2 + 4 + 4)] {
        bytes.truncate(bytes.len() - behind);
        bytes[0] = version;
        let mut again = Behaviour::new(BehaviourSettings::default(), None);
        assert!(again.restore(RowKind::Habit, "", &bytes), "version {version}");
        assert_eq!(again.changed(usize::MAX), []);
    }
}

/// Five issues of a weekly newsletter to sixty readers, one by one, and what its account's memory is then.
fn newsletter_rows() -> &'static [Row] {
    static ROWS: std::sync::OnceLock<Vec<Row>> = std::sync::OnceLock::new();
    ROWS.get_or_init(|| {
        let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
        for week in 0..5 {
            for reader in 0..60 {
                let (to, text) = (format!("reader{reader}@mail.example"), issue_text(week));
                issue(&to, &text).sent(&mut behaviour, START + week * 7 * DAY + reader * 500);
            }
        }
        behaviour.changed(usize::MAX)
    })
}

fn issue<'a>(to: &'a str, text: &'a str) -> Letter<'a> {
    let news = "news@shop.example";
    Letter { account: news, from: news, to, list: "<news.shop.example>", text, elements: 100, ..usual(0) }
}

fn issue_text(week: u64) -> String {
    let topics = ["apples", "roses", "the lawn", "herbs", "the pond", "tulips"];
    let topic = topics[usize::try_from(week).unwrap() % topics.len()];
    format!(
        "In this week our garden news speak of {topic}, of what {topic} want in spring and how {topic} are kept in winter"
    )
}

fn restored(rows: &[Row]) -> Behaviour {
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    for row in rows {
        assert!(behaviour.restore(row.kind, &row.key, row.bytes.as_ref().unwrap()), "{row:?}");
    }
    behaviour
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Neither a loud text alone nor an odd issue alone (more readers, other hours, another program, another address)
    /// holds a newsletter that went out each week.
    #[test]
    fn neither_text_nor_behaviour_alone_holds_a_weekly_newsletter(
        is_loud in any::<bool>(), loud in 0_i32..=230, late_h in 0_u64..24, late_days in 0_u64..3, new_readers in 0_u64..=20,
        has_new_client in any::<bool>(), has_new_program in any::<bool>(), has_new_layout in any::<bool>(),
    ) {
        let mut behaviour = restored(newsletter_rows());
        let text = issue_text(5);
        let new_readers = if is_loud { 0 } else { new_readers };
        for nth in 0..60 + new_readers {
            // The new readers are strewn among the others.
            let reader = if nth % 4 == 3 && nth / 4 < new_readers { 60 + nth / 4 } else { nth - (nth / 4).min(new_readers) };
            let to = format!("reader{reader}@mail.example");
            let mut letter = issue(&to, &text);
            let mut at = START + 5 * 7 * DAY + nth * 500;
            let mut content = 0;
            if is_loud {
                content = loud;
            } else {
                at += late_days * DAY + late_h * 3_600_000;
                if has_new_client { letter.client = "198.51.100.9" }
                if has_new_program { letter.program = "Other 9" }
                if has_new_layout { letter.elements = 3 }
            }
            let assessment = letter.sent(&mut behaviour, at);
            let text = Reason { name: "text".into(), points: content, sentence: "loud".into() };
            let reasons = crate::score::combine::combine(vec![text], &assessment);
            let score: i32 = reasons.iter().map(|reason| reason.points).sum();
            prop_assert!(score < 150, "reader {nth}: {score}, {reasons:?}");
        }
    }

    /// What is read back is what was written, and whatever bytes a row has, reading and using them does no harm.
    #[test]
    fn rows_of_any_bytes_do_no_harm(
        which in 0_usize..200, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..600), kind in 0..4,
    ) {
        let rows = newsletter_rows();
        let row = &rows[which % rows.len()];
        let mut bytes = row.bytes.clone().unwrap();
        match kind {
            0 => {}
            1 => { let at = at.index(bytes.len()); bytes[at] = byte }
            2 => bytes.truncate(cut.index(bytes.len())),
            _ => bytes = noise,
        }
        let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
        let is_read = behaviour.restore(row.kind, &row.key, &bytes);
        prop_assert!(is_read || kind != 0);
        if is_read {
            for week in 5..7 {
                issue("reader1@mail.example", &issue_text(week)).sent(&mut behaviour, START + week * 7 * DAY);
            }
        }
        if kind == 0 && row.kind == RowKind::Habit && !row.key.is_empty() {
            // Sets come back in another order.
            let mut again = Habit::from_bytes(&bytes).unwrap().to_bytes();
            again.sort_unstable();
            bytes.sort_unstable();
            prop_assert_eq!(again, bytes);
        }
    }
}
