//! People: each a month of letters, and then the day that looks odd.

use crate::mail::{Body, Mail, ip};
use crate::rig::{DAY, HOUR, MINUTE, Random, START, Tally, World};
use crate::words;

/// The days of a habit; what is looked at comes on the day after: a Wednesday.
pub(crate) const MONTH: u64 = 30;

pub(crate) fn is_workday(day: u64) -> bool {
    day % 7 < 5
}

/// A person at work.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) account: String,
    pub(crate) contacts: Vec<String>,
    pub(crate) random: Random,
    pub(crate) network: u8,
}

impl Person {
    pub(crate) fn new(account: &str, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let contacts = (0..80).map(|n| format!("{}{n}@firm{}.example", words::name(&mut random), n % 25)).collect();
        let network = u8::try_from(1 + random.below(50)).unwrap();
        Self { account: account.to_owned(), contacts, random, network }
    }

    /// One letter of theirs: to a contact, one in ten times to somebody new.
    pub(crate) fn letter(&mut self) -> Mail {
        let (subject, text) = words::letter(&mut self.random);
        let to = if self.random.one_in(10) {
            format!("new{}@elsewhere{}.example", self.random.below(1_000_000), self.random.below(60))
        } else {
            self.random.pick(&self.contacts).clone()
        };
        let link = words::link(&mut self.random);
        let text = format!("{text}{link}\n\n-- \n{}\nSome Firm, Some Street, Some Town", self.account);
        let client = ip(self.network, u8::try_from(self.random.below(200)).unwrap());
        Mail { client, ..Mail::letter(&self.account, to, subject, text) }
    }

    /// A month of work: some 25 letters a workday, between 7 and 17 o'clock.
    pub(crate) fn month(&mut self, world: &mut World) {
        let mut tally = Tally::default();
        for day in (0..MONTH).filter(|day| is_workday(*day)) {
            let mut at = START + day * DAY + 7 * HOUR;
            while at < START + day * DAY + 17 * HOUR {
                let mut letter = self.letter();
                // One letter in eight goes to three at once.
                let minute = usize::try_from(at / MINUTE).unwrap();
                if minute.is_multiple_of(8) {
                    letter.to.extend([minute, minute + 1].map(|nth| self.contacts[nth % self.contacts.len()].clone()));
                }
                world.send(&letter, at, &mut tally);
                at += u64::try_from(self.random.below(48)).unwrap() * MINUTE;
            }
        }
        assert_eq!(tally.held, 0, "{}: {:?}", self.account, tally.first_held);
    }
}

/// A new account: a notice of the new address to sixty contacts, then letters to people who are all new to it.
pub(crate) fn newcomer(world: &mut World, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let mut person = Person::new("newcomer@firm.example", seed);
    let notice = "Hello, I have a new address, this one. Please use it from now on and delete the old one, which will not \
                  be read after the end of the month. All the best and see you soon";
    let to = person.contacts[..60].to_vec();
    let all = Mail {
        shown_to: Some(person.account.clone()),
        subject: "My new address".to_owned(),
        body: Body::Plain(notice.to_owned()),
        to,
        ..person.letter()
    };
    world.send(&all, START + MONTH * DAY + 9 * HOUR, &mut tally);
    for day in MONTH..MONTH + 5 {
        for nth in 0..10 {
            let to = format!("first{}@place{}.example", person.random.below(1_000_000), person.random.below(100));
            let letter = Mail { to: vec![to], ..person.letter() };
            world.send(&letter, START + day * DAY + (10 + nth / 3) * HOUR + nth * MINUTE, &mut tally);
        }
    }
    tally
}

/// A change of address, told to 120 people in one message: those it writes to and forty it never wrote to.
pub(crate) fn moved_house(world: &mut World, mut person: Person) -> Tally {
    let mut tally = Tally::default();
    let strangers = (0..40).map(|n| format!("old{n}@friend{}.example", n % 15));
    let to = person.contacts.iter().cloned().chain(strangers).collect();
    let text = "Dear all,\nfrom the first of July on you find us in our new rooms, 7 Mill Lane, second floor. Telephone \
                and mail stay as they are. Please change it in your books; we look forward to your visit.\nBest regards";
    let mail = Mail {
        shown_to: Some(person.account.clone()),
        subject: "We are moving".to_owned(),
        body: Body::Plain(text.to_owned()),
        to,
        ..person.letter()
    };
    world.send(&mail, START + MONTH * DAY + 11 * HOUR, &mut tally);
    tally
}

/// Two weeks of holiday: each day thirty automatic answers with the same words, ten of them to strangers.
pub(crate) fn on_holiday(world: &mut World, mut person: Person) -> Tally {
    let mut tally = Tally::default();
    for day in MONTH..MONTH + 14 {
        for nth in 0..30 {
            let mut mail = person.letter();
            if nth % 3 == 0 {
                mail.to = vec![format!("writer{}@any{}.example", person.random.below(1_000_000), nth)];
            }
            mail.has_null_path = true;
            mail.client = ip(0, 2);
            mail.program = "Vacation";
            mail.fields = vec![
                ("Auto-Submitted", "auto-replied".to_owned()),
                ("In-Reply-To", format!("<{day}.{nth}@any.example>")),
            ];
            mail.subject = format!("Re: {}", mail.subject);
            mail.body = Body::Plain(
                "Thank you for your message. I am out of the office until the fifteenth and read no mail. In urgent \
                 cases please turn to my colleague Mona, she will gladly help you."
                    .to_owned(),
            );
            world.send(&mail, START + day * DAY + nth * 45 * MINUTE, &mut tally);
        }
    }
    tally
}

/// Somebody back from holidays: sixty contacts in one morning with nearly the same words, from another network.
pub(crate) fn back_from_holidays(world: &mut World, mut person: Person) -> Tally {
    let mut tally = Tally::default();
    let day = START + (MONTH + 14) * DAY + 8 * HOUR;
    for nth in 0..60 {
        let text = format!(
            "Hello {},\nI am back from my holidays and am reading what came meanwhile. If something is still open between \
             us, please send it once more, and I will answer within this week.\nAll the best",
            words::name(&mut person.random)
        );
        let letter = Mail {
            to: vec![person.contacts[nth].clone()],
            client: ip(99, 4),
            subject: "Back again".to_owned(),
            body: Body::Plain(text),
            ..person.letter()
        };
        world.send(&letter, day + nth as u64 * 2 * MINUTE, &mut tally);
    }
    tally
}

/// A full outbox after a day on the train: fifteen letters within half a minute, every third to somebody new.
pub(crate) fn outbox(world: &mut World, mut person: Person) -> Tally {
    let mut tally = Tally::default();
    for nth in 0..15 {
        let mut letter = person.letter();
        if nth % 3 == 0 {
            letter.to = vec![format!("new{}@train{nth}.example", person.random.below(1_000_000))];
        }
        world.send(&letter, START + MONTH * DAY + 16 * HOUR + nth * 2_000, &mut tally);
    }
    tally
}

/// A wedding: eighty contacts, each with a letter of their own by a mail merge, all with the link to one new site.
pub(crate) fn invitations(world: &mut World, mut person: Person) -> Tally {
    let mut tally = Tally::default();
    for nth in 0..80 {
        let text = format!(
            "Dear {},\nwe are getting married on the twentieth of August and would love to have you with us! How to find the \
             house, where to sleep and what we wish for stands at https://our-day.example/welcome. Please tell us by the end \
             of next month whether you will come.\nYours",
            words::name(&mut person.random)
        );
        let letter = Mail {
            to: vec![person.contacts[nth].clone()],
            subject: "Our wedding".to_owned(),
            body: Body::Plain(text),
            ..person.letter()
        };
        world.send(&letter, START + MONTH * DAY + 12 * HOUR + nth as u64 * 2_000, &mut tally);
    }
    tally
}

/// Plans for a journey: questions to twelve hotels and guides who are strangers, each with a link to something else, in
/// one afternoon.
pub(crate) fn journey(world: &mut World, mut person: Person) -> Tally {
    let mut tally = Tally::default();
    for nth in 0..12 {
        let (_, text) = words::letter(&mut person.random);
        let letter = Mail {
            to: vec![format!("welcome@hotel{nth}.example")],
            body: Body::Plain(format!("{text} I mean this one: https://seen-at{nth}.example/{nth}")),
            ..person.letter()
        };
        world.send(&letter, START + MONTH * DAY + 13 * HOUR + nth * 9 * MINUTE, &mut tally);
    }
    tally
}

/// A press office: each day eight letters to people, four of them strangers, most with a link to an article somewhere.
pub(crate) fn press_office(world: &mut World, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let mut person = Person::new("press@office.example", seed);
    for day in (0..=MONTH).filter(|day| is_workday(*day)) {
        if day == MONTH {
            tally = Tally::default();
        }
        for nth in 0..if day == MONTH { 16 } else { 8 } {
            let (_, text) = words::letter(&mut person.random);
            let mut letter = person.letter();
            if nth % 2 == 0 {
                letter.to = vec![format!("desk{}@paper{}.example", person.random.below(1_000_000), nth)];
            }
            let article = person.random.below(1_000_000);
            letter.body = Body::Plain(format!("{text} https://article{article}.example/read"));
            world.send(&letter, START + day * DAY + 8 * HOUR + nth * 20 * MINUTE, &mut tally);
        }
    }
    tally
}

/// Somebody looking for work: twelve applications in an evening, nearly the same words, to strangers.
pub(crate) fn applications(world: &mut World, mut person: Person, misjudged_points: i32) -> Tally {
    let mut tally = Tally::default();
    for nth in 0..12 {
        let text = format!(
            "Dear team of Employer {nth},\nI have read that you look for a bookkeeper and would like to apply. I have \
             worked in a company of your size for eight years and know the usual programs. My papers are attached; I \
             would be glad to hear from you.\nKind regards"
        );
        let letter = Mail {
            to: vec![format!("jobs@employer{nth}.example")],
            subject: "Application".to_owned(),
            body: Body::Pdf(text, 4_000),
            misjudged_points,
            ..person.letter()
        };
        world.send(&letter, START + MONTH * DAY + 16 * HOUR + nth * 10 * MINUTE, &mut tally);
    }
    tally
}
