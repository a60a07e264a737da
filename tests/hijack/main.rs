//! An account in other hands against mail that only looks like it: how much leaves before the hold, and who is held
//! without cause.
//!
//! Parsing, rules, model, behaviour and their combination are the daemon's; time is virtual. Small numbers by default.
//! In full, with real campaigns out of a corpus (docs/behaviour.md has the figures):
//!
//! ```text
//! OUTGUARD_HIJACK=full OUTGUARD_HIJACK_SEEDS=11,12,13 cargo test --release --test hijack -- --nocapture
//! ```
//!
//! `OUTGUARD_HIJACK_ONLY="20 an hour"` runs those alone whose name has these words.

#![cfg(test)]

mod attacks;
mod bulk;
mod campaigns;
#[path = "../rig/corpus.rs"]
mod corpus;
mod mail;
mod memory;
mod people;
mod rig;
mod words;

use attacks::{Attack, FAST, From, Id, SLOW, Text, To};
use bulk::Newsletter;
use outguard::score::behaviour::{BehaviourSettings, Row};
use people::Person;
use rig::{Random, Tally, World};

/// How much is sent.
struct Extent {
    /// Only what has this in its name.
    only: String,
    seeds: Vec<u64>,
    /// Messages of each attack.
    attack: u32,
    /// Readers of a newsletter.
    readers: usize,
    /// A divisor for the days of shop, helpdesk and list.
    part: u64,
    /// Real campaigns for each seed.
    campaigns: usize,
    /// Accounts whose memory is weighed.
    accounts: Vec<usize>,
}

fn extent() -> Extent {
    let text = |name: &str| std::env::var(name).ok();
    let seeds = text("OUTGUARD_HIJACK_SEEDS").unwrap_or_else(|| "1".to_owned());
    let seeds = seeds.split(',').map(|seed| seed.parse().unwrap()).collect();
    let only = text("OUTGUARD_HIJACK_ONLY").unwrap_or_default();
    match text("OUTGUARD_HIJACK").as_deref() {
        Some("full") => Extent {
            only,
            seeds,
            attack: 2_000,
            readers: 5_000,
            part: 1,
            campaigns: 40,
            accounts: vec![10_000, 100_000],
        },
        _ => Extent { only, seeds, attack: 100, readers: 150, part: 4, campaigns: 0, accounts: vec![1_000] },
    }
}

/// A server with six people at work, whose habits are the pool of peers.
struct Office {
    people: Vec<Person>,
    rows: Vec<Row>,
}

impl Office {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        let person = |n: u64| Person::new(&format!("person{n}@firm.example"), seed * 100 + n);
        let mut people: Vec<Person> = (0..6).map(person).collect();
        for person in &mut people {
            person.month(&mut world);
        }
        Self { people, rows: world.rows() }
    }

    /// The server after a restart.
    fn world(&self) -> World {
        World::restored(&self.rows)
    }

    fn person(&self) -> Person {
        self.people[0].clone()
    }
}

fn reasons(of: &[outguard::reason::Reason]) -> String {
    let shown = of.iter().filter(|reason| reason.points != 0);
    shown.map(|reason| format!("{} {}", reason.name, reason.points)).collect::<Vec<_>>().join(", ")
}

/// Letters of the owner's that may be held beside a theft.
const OWN_HELD_MAX: u32 = 8;
/// Attacks so named come from an account made for them.
const NEW: &str = "a new account";

/// Attacks: name, how, and how many may leave before the hold, on seed 1 and on any other: a third more than was seen.
fn attacks() -> Vec<(&'static str, Attack, [u32; 2])> {
    use From::{Elsewhere, OwnMachine};
    use Text::{Clean, CleanAndAlike, CleanAndVaried, CleanOneLink, Known, Phishing};
    use To::{Colleagues, ContactsFirst, Strangers};
    let attack = |text, from, to, every_ms, recipients| Attack { text, from, to, id: Id::Each, every_ms, recipients };
    let with_one_id = |attack| Attack { id: Id::OneForAll, ..attack };
    let the_same = |attack| Attack { id: Id::WholeForAll, ..attack };
    vec![
        ("a known campaign", attack(Known, Elsewhere, Strangers, FAST, 1), [1, 1]),
        ("a known campaign, own machine", attack(Known, OwnMachine, Strangers, FAST, 1), [1, 1]),
        ("a clean text", attack(Clean, Elsewhere, Strangers, FAST, 1), [4, 6]),
        ("a clean text, own machine", attack(Clean, OwnMachine, Strangers, FAST, 1), [5, 6]),
        ("a clean text to a hundred at once", attack(Clean, OwnMachine, Strangers, FAST, 100), [0, 0]),
        ("a clean text, contacts first", attack(Clean, OwnMachine, ContactsFirst, FAST, 1), [9, 18]),
        ("one link, contacts first, elsewhere", attack(CleanOneLink, Elsewhere, ContactsFirst, FAST, 1), [5, 7]),
        ("a clean text, one link, contacts first", attack(CleanOneLink, OwnMachine, ContactsFirst, FAST, 1), [95, 104]),
        ("clean, other words each time", attack(CleanAndVaried, Elsewhere, Strangers, FAST, 1), [5, 8]),
        ("clean, other words, own machine", attack(CleanAndVaried, OwnMachine, Strangers, FAST, 1), [10, 12]),
        ("a clean text, one Message-ID", with_one_id(attack(Clean, OwnMachine, Strangers, FAST, 1)), [5, 6]),
        ("other words, one Message-ID", with_one_id(attack(CleanAndVaried, OwnMachine, Strangers, FAST, 1)), [10, 12]),
        ("all alike, own machine", attack(CleanAndAlike, OwnMachine, Strangers, FAST, 1), [5, 6]),
        ("all alike, one Message-ID", with_one_id(attack(CleanAndAlike, OwnMachine, Strangers, FAST, 1)), [5, 6]),
        ("all the same to the last letter", the_same(attack(CleanAndAlike, OwnMachine, Strangers, FAST, 1)), [5, 6]),
        ("phishing to colleagues", attack(Phishing, Elsewhere, Colleagues, FAST, 1), [4, 6]),
        ("phishing to colleagues, own machine", attack(Phishing, OwnMachine, Colleagues, FAST, 1), [5, 6]),
        ("a new account, a known campaign", attack(Known, Elsewhere, Strangers, FAST, 1), [1, 2]),
        ("a new account, a clean text", attack(Clean, Elsewhere, Strangers, FAST, 1), [5, 7]),
        ("a new account, one link for all", attack(CleanOneLink, Elsewhere, Strangers, FAST, 1), [6, 7]),
        ("a new account, other words each time", attack(CleanAndVaried, Elsewhere, Strangers, FAST, 1), [13, 14]),
        ("20 an hour, clean", attack(Clean, Elsewhere, Strangers, SLOW, 1), [4, 6]),
        ("20 an hour, clean, own machine", attack(Clean, OwnMachine, Strangers, SLOW, 1), [7, 8]),
        ("20 an hour, other words, own machine", attack(CleanAndVaried, OwnMachine, Strangers, SLOW, 1), [25, 25]),
    ]
}

#[test]
fn few_leave_before_the_hold() {
    let extent = extent();
    println!(
        "{:>4} {:<38} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5}  first hold",
        "seed", "attack", "sent", "text", "left0", "left", "held", "own"
    );
    let mut faults = Vec::new();
    for seed in &extent.seeds {
        let office = Office::new(*seed);
        for (name, attack, [first_max, other_max]) in
            attacks().into_iter().filter(|(name, ..)| name.contains(&extent.only))
        {
            let is_new = name.starts_with(NEW);
            let owner = if is_new { Person::new("fresh@firm.example", *seed) } else { office.person() };
            let (spam, own) = attack.run(&mut office.world(), owner, extent.attack, *seed);
            println!(
                "{seed:>4} {name:<38} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5}  {}",
                extent.attack,
                spam.content_max,
                spam.before(),
                spam.left,
                spam.held,
                own.held,
                reasons(&spam.first_held)
            );
            let before_max = if *seed == 1 { first_max } else { other_max };
            if spam.before() > before_max {
                faults.push(format!("seed {seed}, {name}: {} left before the hold", spam.before()));
            }
            // To strangers, while the theft is under way.
            if own.held > OWN_HELD_MAX && !is_new {
                faults.push(format!("seed {seed}, {name}: the owner's letters are held: {:?}", own.first_held));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn real_campaigns_are_held_at_once() {
    let extent = extent();
    let spam = if extent.campaigns > 0 { campaigns::all() } else { Vec::new() };
    if spam.is_empty() {
        println!("skipped: real campaigns (OUTGUARD_HIJACK=full sends those of a corpus)");
        return;
    }
    for seed in &extent.seeds {
        let campaigns = campaigns::chosen(&spam, extent.campaigns, *seed);
        let office = Office::new(*seed);
        for from in [From::Elsewhere, From::OwnMachine] {
            let mut before = Vec::new();
            for campaign in &campaigns {
                let text = Text::Found(std::rc::Rc::clone(&campaign.raw));
                let attack = Attack { text, from, to: To::Strangers, id: Id::Each, every_ms: FAST, recipients: 1 };
                let (spam, _) = attack.run(&mut office.world(), office.person(), 60, *seed);
                before.push((spam.before(), spam.content_max, campaign.source.as_str()));
            }
            before.sort_unstable();
            let within = |most: u32| before.iter().filter(|(before, ..)| *before <= most).count();
            println!(
                "seed {seed}, {from:?}: of {} campaigns {} held at the first message, {} before the sixth; the last: {:?}",
                before.len(),
                within(0),
                within(5),
                before.last()
            );
            assert!(within(5) * 10 >= before.len() * 9, "seed {seed}, {from:?}: {before:?}");
        }
    }
}

/// Bytes that an account's habit takes at most, where it writes to a few dozen.
const HABIT_BYTES_MAX: usize = 2_560;
const MB: usize = 1_000_000;

#[test]
fn the_memory_is_bounded() {
    let full = BehaviourSettings::default();
    for accounts in extent().accounts {
        let before = memory::resident_bytes();
        let memory = memory::of(accounts, full.clone());
        println!(
            "{accounts} accounts: {} bytes a habit, {} MB in all; {} texts, {} MB; the process grew by {} MB",
            memory.habits_bytes / memory.accounts,
            memory.habits_bytes / MB,
            memory.texts,
            memory.texts_bytes / MB,
            memory::resident_bytes().saturating_sub(before) / MB
        );
        assert!(memory.accounts <= full.accounts_max && memory.habits_bytes <= full.habits_bytes_max);
        assert!(memory.texts <= full.texts_max && memory.habits_bytes <= memory.accounts * HABIT_BYTES_MAX);
    }
    let small = BehaviourSettings { accounts_max: 400, texts_max: 100, ..full };
    let memory = memory::of(1_000, small);
    assert_eq!((memory.accounts, memory.texts), (400, 100), "past a bound the one of least use gives way");
}

type Run = Box<dyn Fn(&mut World, &Office, &mut Random) -> Tally>;

/// Innocent mail: name, account, how it is sent, how many may be held.
type Innocent = (&'static str, &'static str, Run, u32);

/// Of accounts that write to many.
fn to_many(extent: &Extent) -> Vec<Innocent> {
    let (readers, part) = (extent.readers, extent.part);
    let news = Newsletter {
        account: "news@shop.example",
        readers,
        issues_before: 4,
        growth_percent: 0,
        is_new_tool: false,
        misjudged_points: 0,
    };
    let issue = |news: Newsletter| -> Run { Box::new(move |world, _, random| news.run(world, random)) };
    let first = Newsletter { readers: (readers / 10).max(300), issues_before: 0, ..news.clone() };
    let (shop, news_account) = ("shop@store.example", news.account);
    vec![
        ("a weekly newsletter", news_account, issue(news.clone()), 0),
        (
            "a weekly newsletter, text misjudged by 90",
            news_account,
            issue(Newsletter { misjudged_points: 90, ..news.clone() }),
            0,
        ),
        (
            "a newsletter that grew by a third",
            news_account,
            issue(Newsletter { growth_percent: 33, ..news.clone() }),
            0,
        ),
        ("a newsletter from a new tool", news_account, issue(Newsletter { is_new_tool: true, ..news }), 0),
        ("a new account's first newsletter", news_account, issue(first), 0),
        ("a shop's receipts", shop, Box::new(move |world, _, random| bulk::receipts(world, 40 / part, 1, random)), 0),
        (
            "a shop's receipts, tenfold",
            shop,
            Box::new(move |world, _, random| bulk::receipts(world, 40 / part, 10, random)),
            0,
        ),
        (
            "the third run of invoices",
            "billing@power.example",
            Box::new(move |world, _, random| bulk::invoices(world, 400 / usize::try_from(part).unwrap(), 2, random)),
            0,
        ),
        (
            "a helpdesk's replies",
            "help@desk.example",
            Box::new(move |world, _, random| bulk::helpdesk(world, 60 / part, random)),
            0,
        ),
        (
            "a mailing list",
            "list@lists.example",
            Box::new(move |world, _, random| bulk::mailing_list(world, 28 / part, random)),
            0,
        ),
    ]
}

/// Of people.
fn letters() -> Vec<Innocent> {
    let me = "person0@firm.example";
    vec![
        (
            "a new account's first days",
            "newcomer@firm.example",
            Box::new(|world, office, _| people::newcomer(world, 77 + office.rows.len() as u64)),
            1,
        ),
        ("a change of address to 120", me, Box::new(|world, office, _| people::moved_house(world, office.person())), 1),
        (
            "holiday answers for two weeks",
            me,
            Box::new(|world, office, _| people::on_holiday(world, office.person())),
            0,
        ),
        (
            "back from holidays, 60 contacts",
            me,
            Box::new(|world, office, _| people::back_from_holidays(world, office.person())),
            0,
        ),
        (
            "a full outbox, 15 letters at once",
            me,
            Box::new(|world, office, _| people::outbox(world, office.person())),
            0,
        ),
        (
            "wedding invitations by mail merge",
            me,
            Box::new(|world, office, _| people::invitations(world, office.person())),
            // Those to somebody new.
            2,
        ),
        // The last ones, where the model takes short letters with a link for spam.
        ("plans for a journey", me, Box::new(|world, office, _| people::journey(world, office.person())), 2),
        (
            "a new site's confirmations, an evening",
            "hello@launch.example",
            Box::new(|world, _, random| bulk::confirmations(world, random)),
            0,
        ),
        (
            "a press office with twice as much to do",
            "press@office.example",
            Box::new(|world, office, _| people::press_office(world, 55 + office.rows.len() as u64)),
            0,
        ),
        (
            "twelve applications in an evening",
            me,
            Box::new(|world, office, _| people::applications(world, office.person(), 0)),
            0,
        ),
        (
            "twelve applications, misjudged by 20",
            me,
            Box::new(|world, office, _| people::applications(world, office.person(), 20)),
            7,
        ),
    ]
}

#[test]
fn the_innocent_are_not_held() {
    let extent = extent();
    println!("{:>4} {:<42} {:>5} {:>5} {:>5} {:>5}  heaviest", "seed", "innocent mail", "text", "left", "held", "max");
    let mut faults = Vec::new();
    for seed in &extent.seeds {
        let office = Office::new(*seed);
        for (name, account, run, held_max) in
            to_many(&extent).into_iter().chain(letters()).filter(|one| one.0.contains(&extent.only))
        {
            let mut world = office.world();
            let tally = run(&mut world, &office, &mut Random::new(*seed));
            println!(
                "{seed:>4} {name:<42} {:>5} {:>5} {:>5} {:>5}  {}",
                tally.content_max,
                tally.left,
                tally.held,
                tally.score_max,
                reasons(&tally.heaviest)
            );
            if tally.held > held_max {
                faults.push(format!("seed {seed}, {name}: {} held: {}", tally.held, reasons(&tally.first_held)));
            }
            if world.is_advised(account) {
                faults.push(format!("seed {seed}, {name}: suspended without cause"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
