//! An account in other hands against mail that only looks like it: how much leaves before the hold, and who is held
//! without cause.
//!
//! `cargo test --test hijack -- --nocapture` prints the tables. The assessment, learning and combination are the daemon's;
//! what rules and model would give stands in as a fixed number of points for each kind of text. Seeds are fixed.

#![cfg(test)]

mod attacks;
mod people;
mod rig;
mod words;

use std::sync::OnceLock;

use attacks::{Attack, FAST, From, MESSAGES, SLOW, Text, To};
use outguard::score::behaviour::Row;
use people::Person;
use rig::{Random, Tally, World};

/// A server with a few people at work, whose habits are the pool of peers, after a restart.
fn office() -> World {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    World::restored(ROWS.get_or_init(|| month_of_an_office().rows()))
}

fn month_of_an_office() -> World {
    const OTHERS: [&str; 6] =
        ["a@firm.example", "b@firm.example", "c@firm.example", "d@firm.example", "e@firm.example", "f@firm.example"];
    let mut world = World::new();
    for (seed, account) in (100..).zip(OTHERS) {
        Person::new(account, seed).month(&mut world);
    }
    world
}

type Run<'a> = &'a dyn Fn(&mut World, &mut Random) -> Tally;

fn reasons(of: &[outguard::reason::Reason]) -> String {
    of.iter().map(|reason| format!("{} {}", reason.name, reason.points)).collect::<Vec<_>>().join(", ")
}

#[test]
fn few_leave_before_the_hold() {
    use From::{Elsewhere, OwnWebmail};
    use Text::{Clean, CleanAndVaried, Known, Phishing};
    use To::{Colleagues, Strangers};
    // What is asked of each: how many may leave before the first hold, and in all.
    let cases = [
        ("a known campaign", Known, Elsewhere, Strangers, FAST, 0, 0),
        ("a known campaign, own webmail", Known, OwnWebmail, Strangers, FAST, 0, 0),
        ("clean-looking text", Clean, Elsewhere, Strangers, FAST, 5, 5),
        ("phishing to colleagues", Phishing, Elsewhere, Colleagues, FAST, 5, 5),
        ("phishing to colleagues, own webmail", Phishing, OwnWebmail, Colleagues, FAST, 5, 5),
        ("clean-looking text, 20 an hour", Clean, Elsewhere, Strangers, SLOW, 5, 100),
        ("clean-looking text, own webmail", Clean, OwnWebmail, Strangers, FAST, 20, 20),
        ("clean-looking text, own webmail, 20 an hour", Clean, OwnWebmail, Strangers, SLOW, 2_000, 2_000),
        ("clean text in other words each time", CleanAndVaried, Elsewhere, Strangers, FAST, 60, 60),
    ];
    println!(
        "{:<46} {:>11} {:>10} {:>6} {:>10}  first hold",
        "2,000 messages", "before hold", "left", "held", "own held"
    );
    for (seed, (name, text, from, to, every_ms, before_max, left_max)) in (1..).zip(cases) {
        let mut world = office();
        let attack = Attack { account: "victim@firm.example", seed, text, from, to, every_ms };
        let (spam, own) = attack.run(&mut world);
        let before = spam.left_before_hold.unwrap_or(MESSAGES);
        println!(
            "{name:<46} {before:>11} {:>10} {:>6} {:>10}  {}",
            spam.left,
            spam.held,
            own.held,
            reasons(&spam.first_held)
        );
        assert!(
            before <= before_max && spam.left <= left_max,
            "{name}: {before} left before the hold, {} in all",
            spam.left
        );
        assert_eq!(own.held, 0, "{name}: the owner's letters, {:?}", own.first_held);
    }
}

#[test]
fn the_innocent_are_not_held() {
    let mut world = office();
    let random = &mut Random::new(5);
    let shop = |world: &mut World, random: &mut Random, rush| people::receipts(world, 40, rush, random);
    let cases: [(&str, &str, Run<'_>); 11] = [
        ("a weekly newsletter of 5,000", "news@shop.example", &|world, random| {
            people::newsletter(world, 5_000, 0, random)
        }),
        ("a newsletter whose list grew by a third", "news@shop.example", &|world, random| {
            people::newsletter(world, 600, 33, random)
        }),
        ("a shop's receipts", "shop@store.example", &|world, random| shop(world, random, 1)),
        ("a shop's receipts on Black Friday, tenfold", "shop@store.example", &|world, random| shop(world, random, 10)),
        ("a helpdesk's replies", "help@desk.example", &|world, random| people::helpdesk(world, random)),
        ("a mailing list", "list@lists.example", &|world, random| people::mailing_list(world, random)),
        ("a new account's first days", "newcomer@firm.example", &|world, random| people::newcomer(world, random)),
        ("back from holidays, 60 contacts", "holiday@firm.example", &|world, _| people::back_from_holidays(world)),
        ("twelve applications in an evening", "seeker@firm.example", &|world, _| people::applications(world, 0)),
        ("twelve applications that read like adverts", "seeker@firm.example", &|world, _| {
            people::applications(world, 9)
        }),
        ("an office of six", "a@firm.example", &|_, _| Tally::default()),
    ];
    println!("{:<46} {:>6} {:>6} {:>10}  heaviest", "innocent mail", "sent", "held", "score max");
    for (name, account, run) in cases {
        let mut fresh = office();
        let world = if name.contains("adverts") || name.contains("list grew") || name.contains("Black Friday") {
            &mut fresh
        } else {
            &mut world
        };
        let tally = run(world, random);
        println!(
            "{name:<46} {:>6} {:>6} {:>10}  {}",
            tally.left,
            tally.held,
            tally.score_max,
            reasons(&tally.heaviest)
        );
        assert_eq!(tally.held, 0, "{name}: {:?}", tally.first_held);
        assert!(!world.is_advised(account), "{name}: suspended without cause");
    }
}
