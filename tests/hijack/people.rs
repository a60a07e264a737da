//! Accounts that do no harm: each a month of mail, and then the day that looks odd.

use std::net::{IpAddr, Ipv4Addr};

use crate::rig::{DAY, HOUR, MINUTE, Mail, Random, START, Tally, World};
use crate::words;

/// The days of a habit; the day that is looked at is the one after: a Wednesday.
pub(crate) const MONTH: u64 = 30;

pub(crate) fn ip(network: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, network, host).into()
}

fn is_workday(day: u64) -> bool {
    day % 7 < 5
}

/// A person at work.
pub(crate) struct Person {
    pub(crate) account: &'static str,
    pub(crate) contacts: Vec<String>,
    pub(crate) random: Random,
    pub(crate) network: u8,
}

impl Person {
    pub(crate) fn new(account: &'static str, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let contacts = (0..80).map(|n| format!("{}{n}@firm{}.example", words::name(&mut random), n % 25)).collect();
        let network = u8::try_from(seed % 50).unwrap();
        Self { account, contacts, random, network }
    }

    /// One letter of theirs: to a contact, one in ten times to somebody new.
    pub(crate) fn letter(&mut self) -> Mail {
        let (subject, text) = words::letter(&mut self.random);
        let to = if self.random.one_in(10) {
            format!("new{}@elsewhere{}.example", self.random.below(1_000_000), self.random.below(60))
        } else {
            self.contacts[self.random.below(self.contacts.len())].clone()
        };
        Mail {
            account: self.account,
            from: self.account.to_owned(),
            to: vec![to],
            client: ip(self.network, u8::try_from(self.random.below(200)).unwrap()),
            program: "Thunderbird",
            list: None,
            subject,
            text: format!("{text}\n\n-- \n{}\nSome Firm, Some Street, Some Town", self.account),
            elements: 0,
            content_points: 0,
        }
    }

    /// A month of work: some 25 letters a workday, between 7 and 17 o'clock.
    pub(crate) fn month(&mut self, world: &mut World) {
        let mut tally = Tally::default();
        for day in (0..MONTH).filter(|day| is_workday(*day)) {
            let mut at = START + day * DAY + 7 * HOUR;
            while at < START + day * DAY + 17 * HOUR {
                let letter = self.letter();
                world.send(&letter, at, &mut tally);
                at += u64::try_from(self.random.below(48)).unwrap() * MINUTE;
            }
        }
        assert_eq!(tally.held, 0, "{}: {:?}", self.account, tally.first_held);
    }
}

/// Sends a newsletter of so many readers every Wednesday, and gives back what became of the issue after a month.
pub(crate) fn newsletter(world: &mut World, readers: usize, growth_percent: usize, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    for week in 0..5 {
        tally = Tally::default();
        let text = words::issue(random);
        let subject = words::letter(random).0;
        let start = START + (2 + week * 7) * DAY + 9 * HOUR;
        let now = if week == 4 { readers * (100 + growth_percent) / 100 } else { readers };
        // One in a hundred readers is another one each week.
        let first = usize::try_from(week).unwrap() * readers / 100;
        for (nth, reader) in (first..first + now).enumerate() {
            let mail = Mail {
                account: "news@shop.example",
                from: "news@shop.example".to_owned(),
                to: vec![format!("reader{reader}@mail{}.example", reader % 300)],
                client: ip(60, 1),
                program: "Listing",
                list: Some("News <news.shop.example>"),
                subject: subject.clone(),
                text: format!("Hello {},\n{text}{reader}", words::name(random)),
                elements: 90 + u32::try_from(week).unwrap() * 20,
                content_points: 90,
            };
            world.send(&mail, start + nth as u64 * 400, &mut tally);
        }
    }
    tally
}

/// A shop's receipts: so many a day, and on the last day so many times as many.
pub(crate) fn receipts(world: &mut World, a_day: u64, rush: u64, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    for day in 0..=MONTH {
        if day == MONTH {
            tally = Tally::default();
        }
        let count = if day == MONTH { a_day * rush } else { a_day };
        for nth in 0..count {
            let (number, name) = (random.below(1_000_000), words::name(random));
            let items = words::letter(random).0;
            let mail = Mail {
                account: "shop@store.example",
                from: "orders@store.example".to_owned(),
                to: vec![format!("buyer{}@mail{}.example", random.below(100_000_000), random.below(200))],
                client: ip(61, 1),
                program: "WooCommerce",
                list: None,
                subject: format!("Your order {number}"),
                text: format!(
                    "Dear {name},\nthank you for your order {number} at our store. We have received your payment of {}.90 \
                     EUR and will send your goods ({items}) within two days to the address that you gave. You can see your \
                     order at https://store.example/o/{number} at any time. Best regards, your store",
                    random.below(200)
                ),
                elements: 60,
                content_points: 15,
            };
            let at = START + day * DAY + 6 * HOUR + nth * 16 * HOUR / count;
            world.send(&mail, at, &mut tally);
        }
    }
    tally
}

/// A helpdesk: replies out of building blocks, to customers of whom most are new.
pub(crate) fn helpdesk(world: &mut World, random: &mut Random) -> Tally {
    const ANSWERS: [&str; 4] = [
        "please restart the device, hold the button for ten seconds and wait until the light is green again",
        "we have passed your request to our technicians, who will call you within the next working day",
        "your refund was ordered today and will be on your account within five days at the latest",
        "you can change your password at our site under settings; the link in the letter is valid for one hour",
    ];
    let mut tally = Tally::default();
    for day in 0..=MONTH {
        for nth in 0..if is_workday(day) { 60 } else { 8 } {
            let known = random.one_in(3);
            let customer = if known { random.below(300) } else { 1_000 + random.below(100_000_000) };
            let answer = ANSWERS[random.below(ANSWERS.len())];
            let mail = Mail {
                account: "help@desk.example",
                from: "help@desk.example".to_owned(),
                to: vec![format!("customer{customer}@mail{}.example", customer % 400)],
                client: ip(62, 1),
                program: "OTRS",
                list: None,
                subject: format!("Re: [Ticket#{}] {}", random.below(1_000_000), words::letter(random).0),
                text: format!(
                    "Dear {},\n{answer}.\n{}\nYour helpdesk\nThis mail may hold confidential information. If it was not \
                     meant for you, please tell the sender and delete it. Registered office Some Town, court of Some Town.",
                    words::name(random),
                    words::letter(random).1
                ),
                elements: 0,
                content_points: 10,
            };
            world.send(&mail, START + day * DAY + 7 * HOUR + nth * 9 * MINUTE, &mut tally);
        }
    }
    tally
}

/// A mailing list of 300 members with 30 posts a day, each sent in three messages of a hundred; one account for all.
pub(crate) fn mailing_list(world: &mut World, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let members: Vec<String> = (0..300).map(|n| format!("member{n}@home{}.example", n % 120)).collect();
    for day in 0..=MONTH {
        for nth in 0..30 {
            let (subject, text) = words::letter(random);
            for part in members.chunks(100) {
                let mail = Mail {
                    account: "list@lists.example",
                    from: members[random.below(300)].clone(),
                    to: part.to_vec(),
                    client: ip(63, 1),
                    program: ["Thunderbird", "mutt", "Gnus", "Outlook", "KMail"][random.below(5)],
                    list: Some("<list.lists.example>"),
                    subject: format!("[list] {subject}"),
                    text: text.clone(),
                    elements: 0,
                    content_points: 5,
                };
                world.send(&mail, START + day * DAY + 5 * HOUR + nth * 35 * MINUTE, &mut tally);
            }
        }
    }
    tally
}

/// A new account: a notice of the new address to sixty contacts, then letters to people who are all new to it.
pub(crate) fn newcomer(world: &mut World, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let mut person = Person::new("newcomer@firm.example", 77);
    let notice = "Hello, I have a new address, this one. Please use it from now on and delete the old one, which will not \
                  be read after the end of the month. All the best and see you soon";
    let all = Mail {
        to: person.contacts[..60].to_vec(),
        subject: "My new address".to_owned(),
        text: notice.to_owned(),
        ..person.letter()
    };
    world.send(&all, START + 16 * DAY + 9 * HOUR, &mut tally);
    for day in 16..21 {
        for nth in 0..10 {
            let to = format!("first{}@place{}.example", random.below(1_000_000), random.below(100));
            let letter = Mail { to: vec![to], ..person.letter() };
            world.send(&letter, START + day * DAY + (10 + nth / 3) * HOUR + nth * MINUTE, &mut tally);
        }
    }
    tally
}

/// Somebody back from holidays: sixty contacts in one morning with nearly the same words, from another network.
pub(crate) fn back_from_holidays(world: &mut World) -> Tally {
    let mut tally = Tally::default();
    let mut person = Person::new("holiday@firm.example", 31);
    person.month(world);
    let day = START + (MONTH + 14) * DAY + 8 * HOUR;
    for nth in 0..60 {
        let to = person.contacts[nth].clone();
        let letter = Mail {
            to: vec![to],
            client: ip(99, 4),
            subject: "Back again".to_owned(),
            text: format!(
                "Hello {},\nI am back from my holidays and am reading what came meanwhile. If something is still open \
                 between us, please send it once more, and I will answer within this week.\nAll the best",
                words::name(&mut person.random)
            ),
            ..person.letter()
        };
        world.send(&letter, day + nth as u64 * 2 * MINUTE, &mut tally);
    }
    tally
}

/// Somebody looking for work: twelve applications in an evening, nearly the same words, to strangers.
pub(crate) fn applications(world: &mut World, content_points: i32) -> Tally {
    let mut tally = Tally::default();
    let mut person = Person::new("seeker@firm.example", 41);
    person.month(world);
    for nth in 0..12 {
        let letter = Mail {
            to: vec![format!("jobs@employer{nth}.example")],
            subject: "Application".to_owned(),
            content_points,
            text: format!(
                "Dear team of Employer {nth},\nI have read that you look for a bookkeeper and would like to apply. I have \
                 worked in a company of your size for eight years and know the usual programs. My papers are attached; I \
                 would be glad to hear from you.\nKind regards"
            ),
            ..person.letter()
        };
        world.send(&letter, START + MONTH * DAY + 16 * HOUR + nth * 10 * MINUTE, &mut tally);
    }
    tally
}
