//! Signs of a campaign and of another hand, one by one.

use super::*;

#[test]
fn from_addresses_that_change_are_more_than_a_new_one() {
    let mut behaviour = month();
    let from = |nth| ["a@firm.example", "b@firm.example", "c@firm.example"][nth];
    for nth in 0..3 {
        let points = Letter { from: from(nth), ..usual(1) }.sent(&mut behaviour, NOW + 1_000).reasons;
        let many = points.iter().any(|reason| reason.name == "many-froms");
        assert_eq!(many, nth == 2, "after {nth}: {points:?}");
    }
}

#[test]
fn many_copies_to_strangers_are_a_campaign_and_to_a_known_list_are_not() {
    // Each day a letter to forty people, one by one; then one to forty others.
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    let reader = |nth: u64, of: &str| format!("reader{nth}@{of}.example");
    for day in 0..10 {
        for nth in 0..40 {
            let to = reader(nth, "known");
            usual_of_day(day, &to).sent(&mut behaviour, START + day * DAY + nth * 60_000);
        }
    }
    let now = START + 10 * DAY;
    for (of, is_campaign) in [("known", false), ("stranger", true)] {
        let mut last = Vec::new();
        for nth in 0..40 {
            let to = reader(nth, of);
            let letter = Letter { text: OFFER, ..usual_of_day(0, &to) };
            last = letter.sent(&mut behaviour, now + nth * 60_000).reasons;
        }
        let copies = last.iter().find(|reason| reason.name == "near-copies-to-strangers");
        assert_eq!(copies.is_some_and(|reason| reason.points >= 60), is_campaign, "{of}: {last:?}");
    }
}

fn usual_of_day(day: u64, to: &str) -> Letter<'_> {
    const TEXTS: [&str; 2] = [
        "The rehearsal on Friday begins at seven; please bring the second part of the scores and your own chairs this time.",
        "We have found new rooms for the summer, near the station, and will show them to all of you before the next concert.",
    ];
    Letter { to, text: TEXTS[usize::try_from(day % 2).unwrap()], ..usual(0) }
}

#[test]
fn a_text_that_was_held_speaks_against_all_accounts() {
    let mut behaviour = month();
    for nth in 0..4 {
        let to = format!("victim{nth}@far.example");
        Letter { account: "thief@other.example", to: &to, text: OFFER, ..usual(0) }.judged(
            &mut behaviour,
            NOW + nth,
            Judged::Held,
        );
    }
    let letter = Letter { to: "fifth@far.example", text: OFFER, ..usual(0) };
    let reasons = letter.with(NOW + 60_000, |submission| behaviour.assess(submission)).reasons;
    let held = reasons.iter().find(|reason| reason.name == "text-was-held").unwrap();
    assert!(held.points == 90 && held.sentence.contains("other accounts too"), "{held:?}");
    let after = points_of(&behaviour, &letter, NOW + 3 * DAY);
    assert!(!has(&after, "text-was-held"), "three days later: {after:?}");
}

#[test]
fn a_hand_does_not_send_a_dozen_letters_a_minute() {
    let mut behaviour = month();
    for nth in 0..6 {
        let to = format!("somebody{nth}@far{nth}.example");
        let letter = Letter { to: &to, text: "ok", ..usual(0) };
        let points = letter.sent(&mut behaviour, NOW + nth * 2_000).reasons;
        assert_eq!(points.iter().any(|reason| reason.name == "rush"), nth >= 4, "letter {nth}: {points:?}");
    }
    // To people it knows, they are only many.
    let mut behaviour = month();
    for nth in 0..6 {
        let points = usual(nth).sent(&mut behaviour, NOW + nth * 2_000).reasons;
        assert!(!points.iter().any(|reason| reason.name == "rush"), "to a known one: {points:?}");
    }
}

#[test]
fn strangers_all_day_are_seen_however_slow() {
    const PACE: u64 = 180_000;
    let words = ["plan", "roof", "stone", "garden", "ship", "paper", "winter", "bread", "glass", "river", "song"];
    let to_strangers = |behaviour: &mut Behaviour, from: u64, count: u64, judged: Judged| {
        let mut points = 0;
        for nth in 0..count {
            let word = |step: u64| words[usize::try_from((nth * step + nth / 11) % 11).unwrap()];
            let text =
                format!("About the {} and the {}: there is {} enough, says {}.", word(1), word(3), word(5), word(7));
            let to = format!("stranger{}@far{nth}.example", from + nth);
            let letter = Letter { to: &to, text: &text, ..usual(0) };
            let reasons = letter.judged(behaviour, from + nth * PACE, judged).reasons;
            points = reasons.iter().find(|one| one.name == "strangers-all-day").map_or(0, |one| one.points);
        }
        points
    };
    let mut behaviour = month();
    assert_eq!(to_strangers(&mut behaviour, NOW, 16, Judged::Sent), 0, "a day of many letters");
    assert!((35..=45).contains(&to_strangers(&mut behaviour, NOW + 16 * PACE, 50, Judged::Sent)));
    // What is held counts too, or a thief would begin anew each day.
    let next = NOW + 66 * PACE;
    assert_eq!(to_strangers(&mut behaviour, next, 400, Judged::Held), 60, "into the next day");
    assert_eq!(
        points_of(&behaviour, &usual(1), next + 400 * PACE).iter().find(|one| one.0 == "strangers-all-day"),
        None
    );
    let quiet = next + 400 * PACE + 2 * DAY;
    assert_eq!(to_strangers(&mut behaviour, quiet, 5, Judged::Sent), 0, "two days later");
    // Who always writes to strangers has customers.
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    for day in 0..20 {
        to_strangers(&mut behaviour, START + day * DAY, 60, Judged::Sent);
    }
    assert_eq!(to_strangers(&mut behaviour, START + 20 * DAY, 100, Judged::Sent), 0);
}

#[test]
fn peers_stand_in_for_the_habit_of_a_new_account() {
    let crowd = |of: &str| (0..60).map(|n| format!("{of}{n}@far.example")).collect::<Vec<_>>().join(" ");
    let mut behaviour = month();
    let to = crowd("stranger");
    let new = Letter { account: "new@firm.example", to: &to, ..usual(0) };
    assert!(has(&points_of(&behaviour, &new, NOW), "many-recipients"), "where others write to ten at most");
    // Twenty accounts that write to sixty at once, for three days each.
    let all = crowd("reader");
    for day in 0..4 {
        for nth in 0..20 {
            let account = format!("news{nth}@other.example");
            Letter { account: &account, to: &all, ..usual(0) }.sent(&mut behaviour, NOW + day * DAY + nth);
        }
    }
    let after = points_of(&behaviour, &new, NOW + 4 * DAY);
    assert!(!has(&after, "many-recipients"), "where many do: {after:?}");
}

#[test]
fn a_letter_that_comes_in_parts_is_one_letter() {
    // Some MTAs send each recipient a transaction of its own.
    for (id, is_campaign) in [("<one@firm.example>", false), ("", true)] {
        let mut behaviour = month();
        let mut last = Vec::new();
        for nth in 0..8 {
            let to = format!("guest{nth}@far{nth}.example");
            let letter = Letter { to: &to, id, text: OFFER, ..usual(0) };
            last = letter.sent(&mut behaviour, NOW + nth * 300).reasons;
        }
        let found = last.iter().any(|reason| ["rush", "near-copies-to-strangers"].contains(&&*reason.name));
        assert_eq!(found, is_campaign, "{id}: {last:?}");
    }
    // As many parts as a message to a crowd has recipients weigh as that message.
    let mut behaviour = month();
    let mut last = Vec::new();
    for nth in 0..60 {
        let to = format!("guest{nth}@far{nth}.example");
        last = Letter { to: &to, id: "<one@firm.example>", text: OFFER, ..usual(0) }
            .sent(&mut behaviour, NOW + nth)
            .reasons;
    }
    assert!(last.iter().any(|reason| reason.name == "many-recipients" && reason.points >= 30), "{last:?}");
}

#[test]
fn where_mail_comes_whole_single_copies_are_no_parts() {
    let guests = |from: u64, len: u64| {
        (from..from + len).map(|nth| format!("guest{nth}@far{nth}.example")).collect::<Vec<_>>().join(" ")
    };
    // Each day one letter of five goes to three at once.
    let whole_month = || {
        let mut behaviour = month();
        for day in 0..30 {
            let to = "bob@one.example cleo@two.example dan@three.example";
            Letter { to, ..usual(0) }.sent(&mut behaviour, START + day * DAY + 9_000_000);
        }
        behaviour
    };
    let cases = [("one by one", 1, 10, true), ("in threes", 3, 4, true), ("in full parts, and the rest", 50, 2, false)];
    for (what, len, parts, is_flood) in cases {
        let (mut behaviour, mut last) = (whole_month(), Vec::new());
        for nth in 0..parts {
            let to = guests(nth * len, if nth + 1 == parts { 1 } else { len });
            let letter = Letter { to: &to, id: "<one@firm.example>", text: OFFER, ..usual(0) };
            last = letter.sent(&mut behaviour, NOW + nth * 300).reasons;
        }
        let found = last.iter().any(|reason| reason.name == "near-copies-to-strangers");
        assert_eq!(found, is_flood, "{what}: {last:?}");
    }
    // An account whose program sends in parts has been seen to.
    let mut behaviour = whole_month();
    for nth in 0..60_u64 {
        let (to, id) = (format!("guest{nth}@far{nth}.example"), format!("<{}@firm.example>", nth / 6));
        let (account, at) = ("shop@firm.example", START + nth / 6 * DAY + nth % 6);
        Letter { account, to: &to, id: &id, text: "ok", ..usual(0) }.sent(&mut behaviour, at);
    }
    let mut last = Vec::new();
    for nth in 0..6 {
        let to = guests(100 + nth, 1);
        let letter = Letter { account: "shop@firm.example", to: &to, id: "<n@firm.example>", text: OFFER, ..usual(0) };
        last = letter.sent(&mut behaviour, NOW + nth).reasons;
    }
    assert!(!last.iter().any(|reason| reason.name == "near-copies-to-strangers"), "{last:?}");
}

#[test]
fn known_people_are_no_excuse_from_another_machine_or_for_a_crowd() {
    let reader = |nth: u64| format!("reader{nth}@known.example");
    let month = || {
        let mut behaviour = weeks_with_links();
        for nth in 0..300 {
            let text = format!("{} {}", usual(0).text, nth);
            Letter { to: &reader(nth), text: &text, ..usual(0) }.sent(&mut behaviour, START + 20 * DAY + nth * 90_000);
        }
        behaviour
    };
    let (own, other) = (("192.0.2.7", "Mailer 1.2"), ("198.51.100.1", "Bulk 7"));
    let cases = [
        ("eighty invitations", own, "our-day.example", 80, 0..=30),
        ("a hundred and twenty", own, "our-day.example", 120, 0..=40),
        ("three hundred in a quarter of an hour", own, "our-day.example", 300, 165..=180),
        ("seven from elsewhere", other, "our-day.example", 7, 150..=170),
        ("the same without a link", other, "", 7, 40..=60),
        ("from another network alone: a journey", ("198.51.100.1", "Mailer 1.2"), "our-day.example", 40, 30..=60),
    ];
    for (what, (client, program), link, count, expected) in cases {
        let (mut behaviour, mut last) = (month(), Vec::new());
        for nth in 0..count {
            let letter = Letter { to: &reader(nth), client, program, link, text: OFFER, ..usual(0) };
            last = letter.sent(&mut behaviour, NOW + nth * 2_000).reasons;
        }
        let points: i32 = last.iter().map(|reason| reason.points).sum();
        assert!(expected.contains(&points), "{what}: {points}, {last:?}");
    }
}

#[test]
fn a_new_account_has_its_peers_habit_of_links() {
    let (others, same) = (|nth: u64| format!("files{nth}.example"), |_: u64| "fresh.example".to_owned());
    let (one, own) = (|_: u64| "one-site.example".to_owned(), |_: u64| "www.new.example".to_owned());
    let cases = [
        ("ever other sites in a rush", &others as &dyn Fn(u64) -> String, 2_000, 150..=400),
        ("one site for all in a rush", &one, 2_000, 150..=400),
        ("its own site: a shop that opens", &own, 2_000, 80..=140),
        ("a letter each ten minutes", &same, 600_000, 50..=90),
    ];
    for (what, site, every, expected) in cases {
        let (mut behaviour, mut last) = (weeks_with_links(), Vec::new());
        for nth in 0..8 {
            let (to, link) = (format!("somebody{nth}@far{nth}.example"), site(nth));
            let letter = Letter {
                account: "hi@new.example",
                from: "hi@new.example",
                to: &to,
                link: &link,
                text: OFFER,
                ..usual(0)
            };
            last = letter.sent(&mut behaviour, NOW + nth * every).reasons;
        }
        let points: i32 = last.iter().map(|reason| reason.points).sum();
        assert!(expected.contains(&points), "{what}: {points}, {last:?}");
    }
}

#[test]
fn a_new_list_that_can_be_left_may_speak_of_a_page() {
    let mut behaviour = weeks_with_links();
    for nth in 0..300_u64 {
        let to = format!("reader{nth}@far{nth}.example");
        let (account, list, link) = ("news@new.example", "<news.new.example>", "magazine.example");
        let issue = Letter { account, from: account, to: &to, list, link, text: OFFER, ..usual(0) };
        let reasons = issue.sent(&mut behaviour, NOW + nth * 400).reasons;
        let points: i32 = reasons.iter().map(|reason| reason.points).sum();
        assert!(points < 140, "reader {nth}: {points}, {reasons:?}");
    }
}

#[test]
fn one_message_id_does_not_make_letters_one() {
    // The sender chooses it.
    let guest = |nth: u64| format!("Dear guest {nth}, {OFFER}");
    let offer = |_: u64| OFFER.to_owned();
    let cases =
        [("another name in each", &guest as &dyn Fn(u64) -> String, false), ("another From in each", &offer, true)];
    for (what, text, has_other_from) in cases {
        let (mut behaviour, mut last) = (month(), Vec::new());
        for nth in 0..8 {
            let (to, text) = (format!("guest{nth}@far{nth}.example"), text(nth));
            let from = if has_other_from { format!("ann{nth}@firm.example") } else { "ann@firm.example".to_owned() };
            let letter = Letter { to: &to, from: &from, id: "<one@firm.example>", text: &text, ..usual(0) };
            last = letter.sent(&mut behaviour, NOW + nth * 300).reasons;
        }
        for name in ["rush", "near-copies-to-strangers"] {
            assert!(last.iter().any(|reason| reason.name == name), "{what}: {name}: {last:?}");
        }
    }
}

/// Three weeks in which one letter of four leads somewhere: to where it led before.
fn weeks_with_links() -> Behaviour {
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    for nth in 0..120 {
        let link = if nth % 4 == 0 { "www.known.example" } else { "" };
        Letter { link, ..usual(nth) }.sent(&mut behaviour, START + nth / 4 * DAY + nth % 4 * 1_800_000);
    }
    behaviour
}

fn new_links(reasons: &[Reason]) -> i32 {
    reasons.iter().find(|reason| reason.name == "new-links").map_or(0, |reason| reason.points)
}

#[test]
fn letters_to_strangers_that_lead_to_ever_other_sites() {
    let (same, others) = (|_: u64| "files.example".to_owned(), |nth: u64| format!("files{nth}.example"));
    let (known, theirs) = (|_: u64| "known.example".to_owned(), |nth: u64| format!("www.far{nth}.example"));
    let cases = [
        ("ever other new sites", &others as &dyn Fn(u64) -> String, 55, 60),
        ("one new site: a project of somebody's", &same, 15, 20),
        ("where mail from here leads", &known, 0, 0),
        ("the recipient's own", &theirs, 0, 0),
    ];
    for (what, site, least, most) in cases {
        let (mut behaviour, mut last) = (weeks_with_links(), 0);
        for nth in 0..12 {
            let (to, link) = (format!("somebody{nth}@far{nth}.example"), site(nth));
            let letter = Letter { to: &to, link: &link, text: "ok", ..usual(0) };
            last = new_links(&letter.sent(&mut behaviour, NOW + nth * 600_000).reasons);
        }
        assert!((least..=most).contains(&last), "{what}: {last}");
    }
}

#[test]
fn no_field_and_no_recipient_makes_a_site_ones_own() {
    let known: Vec<String> = (0..40).map(|n| format!("www{n}.known.example ")).collect();
    let known = known.concat();
    let cases = [
        ("one recipient more at each site", " drop@files{n}.example", "ann@firm.example", ""),
        ("From is there", "", "ann@files{n}.example", ""),
        ("behind forty links to what is known", "", "ann@firm.example", known.as_str()),
    ];
    for (what, more, from, before) in cases {
        let (mut behaviour, mut last) = (weeks_with_links(), 0);
        for nth in 0..12 {
            let of_nth = |text: &str| text.replace("{n}", &nth.to_string());
            let (to, from) = (of_nth(&format!("somebody{nth}@far{nth}.example{more}")), of_nth(from));
            let link = format!("{before}files{nth}.example");
            let letter = Letter { to: &to, from: &from, link: &link, text: "ok", ..usual(0) };
            last = new_links(&letter.sent(&mut behaviour, NOW + nth * 600_000).reasons);
        }
        assert!((55..=60).contains(&last), "{what}: {last}");
    }
    // A name that was used on a day before is the account's own.
    let mut behaviour = weeks_with_links();
    let own = Letter { from: "ann@side.example", text: "ok", ..usual(0) };
    own.sent(&mut behaviour, NOW);
    let mut last = 0;
    for nth in 0..12 {
        let to = format!("somebody{nth}@far{nth}.example");
        let letter = Letter { to: &to, link: "www.side.example", ..own };
        last = new_links(&letter.sent(&mut behaviour, NOW + DAY + nth * 600_000).reasons);
    }
    assert_eq!(last, 0);
}

#[test]
fn near_copies_to_friends_that_lead_to_ever_other_sites() {
    for (what, varied, is_strange) in [("other sites", true, true), ("one new site: an invitation", false, false)] {
        let (mut behaviour, mut last) = (weeks_with_links(), Vec::new());
        for nth in 0..9 {
            let link = if varied { format!("files{nth}.example") } else { "our-day.example".to_owned() };
            let letter = Letter { link: &link, text: OFFER, ..usual(nth) };
            last = letter.sent(&mut behaviour, NOW + nth * 2_000).reasons;
        }
        let rush = last.iter().any(|reason| reason.name == "rush");
        assert_eq!((new_links(&last) >= 80, rush), (is_strange, is_strange), "{what}: {last:?}");
    }
}

#[test]
fn who_always_links_to_new_sites_may() {
    let mut behaviour = weeks_with_links();
    let mut last = 0;
    for nth in 0..200_u64 {
        let (link, to) = (format!("article{nth}.example"), format!("desk{nth}@paper.example"));
        let letter = Letter { link: &link, to: &to, text: "ok", ..usual(0) };
        last = new_links(&letter.sent(&mut behaviour, NOW + nth / 8 * DAY + nth % 8 * 1_800_000).reasons);
    }
    assert_eq!(last, 0);
}

#[test]
fn more_dead_addresses_than_chance() {
    let mut behaviour = month();
    let ann = Account::named("ann@firm.example");
    let letter = Letter { to: "x@far.example", ..usual(0) };
    letter.sent(&mut behaviour, NOW); // the day begins
    for (delivered, unknown, expected) in [(20, 2, 0..=0), (60, 4, 5..=20), (200, 30, 50..=60)] {
        for nth in 0..delivered + unknown {
            let outcome = if nth < unknown { Outcome::UnknownUser } else { Outcome::Delivered };
            behaviour.outcome(&ann, outcome, WallMs(NOW));
        }
        letter.sent(&mut behaviour, NOW);
        let points = points_of(&behaviour, &letter, NOW + 1_000);
        let found = points.iter().find(|(name, _)| name == "unknown-users").map_or(0, |(_, points)| *points);
        assert!(expected.contains(&found), "{unknown} further of {delivered}: {found}");
    }
}
