//! Accounts that write to many, as they always do: newsletters, receipts, invoices, a helpdesk, a list.

use crate::mail::{Body, Mail, ip};
use crate::people::{MONTH, is_workday};
use crate::rig::{DAY, HOUR, Random, START, Tally, World};
use crate::words;

/// A newsletter.
#[derive(Clone)]
pub(crate) struct Newsletter {
    pub(crate) account: &'static str,
    pub(crate) readers: usize,
    /// Issues that went out before, one each Wednesday.
    pub(crate) issues_before: u64,
    /// So many percent more readers get this issue.
    pub(crate) growth_percent: usize,
    /// This issue leaves from another provider's program and address, in another layout.
    pub(crate) is_new_tool: bool,
    pub(crate) misjudged_points: i32,
}

impl Newsletter {
    /// What became of the issue after those before.
    pub(crate) fn run(&self, world: &mut World, random: &mut Random) -> Tally {
        let mut tally = Tally::default();
        for week in 0..=self.issues_before {
            let is_last = week == self.issues_before;
            tally = Tally::default();
            // Each issue speaks of an article somewhere else.
            let text = format!("{}https://magazine{week}.example/story\n", words::issue(random));
            let subject = format!("Garden news {}", 20 + week);
            let start = START + (MONTH - 7 * (self.issues_before - week)) * DAY + 9 * HOUR;
            let growth = if is_last { self.growth_percent } else { 0 };
            let now = self.readers * (100 + growth) / 100;
            // One in a hundred readers is another one each week.
            let first = usize::try_from(week).unwrap() * self.readers / 100;
            for (nth, reader) in (first..first + now).enumerate() {
                let mail = self.issue(random, &text, &subject, reader, is_last && self.is_new_tool);
                world.send(&mail, start + nth as u64 * 400, &mut tally);
            }
        }
        tally
    }

    fn issue(&self, random: &mut Random, text: &str, subject: &str, reader: usize, is_new_tool: bool) -> Mail {
        let text = format!("Hello {},\n{text}https://news.shop.example/u/{reader}", words::name(random));
        let fields = vec![
            ("List-Id", "Garden news <news.shop.example>".to_owned()),
            ("List-Unsubscribe", format!("<https://news.shop.example/u/{reader}>")),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
        ];
        let (program, client, rows) =
            if is_new_tool { ("Mailpoet 5", ip(70, 1), 3) } else { ("Listing 2", ip(60, 1), 40) };
        Mail {
            program,
            client,
            fields,
            body: Body::Html(text, rows),
            is_to_nobody: random.one_in(100),
            misjudged_points: self.misjudged_points,
            ..Mail::letter(
                self.account,
                format!("reader{reader}@mail{}.example", reader % 300),
                subject.to_owned(),
                String::new(),
            )
        }
    }
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
            let items = words::thing(random);
            let text = format!(
                "Dear {name},\nthank you for your order {number} at our store. We have received your payment of {}.90 EUR \
                 and will send your goods ({items}) within two days to the address that you gave. You can see your order \
                 at https://store.example/o/{number} at any time. Best regards, your store",
                random.below(200)
            );
            let to = format!("buyer{}@mail{}.example", random.below(100_000_000), random.below(200));
            let mail = Mail {
                from: "orders@store.example".to_owned(),
                client: ip(61, 1),
                program: "WooCommerce 9",
                body: Body::Html(text, 6),
                is_to_nobody: random.one_in(60),
                ..Mail::letter("shop@store.example", to, format!("Your order {number}"), String::new())
            };
            world.send(&mail, START + day * DAY + 6 * HOUR + nth * 16 * HOUR / count, &mut tally);
        }
    }
    tally
}

/// A site that opens today, from an account that is new: whoever signs up gets a letter with a link to it, in bursts.
pub(crate) fn confirmations(world: &mut World, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    for nth in 0..48_u64 {
        let number = random.below(1_000_000);
        let text = format!(
            "Hello {},\nwelcome! Please confirm that this address is yours, and your place is ready: \
             https://www.launch.example/confirm/{number}. If you did not sign up, just delete this letter, and you will \
             not hear from us again.\nYours, the team",
            words::name(random)
        );
        let to = format!("visitor{}@mail{}.example", random.below(100_000_000), random.below(60));
        let mail = Mail {
            client: ip(65, 1),
            program: "Mailer 6",
            body: Body::Html(text, 4),
            ..Mail::letter("hello@launch.example", to, "Please confirm".to_owned(), String::new())
        };
        // Eight within a minute, six times in the evening.
        let at = START + MONTH * DAY + 18 * HOUR + nth / 8 * HOUR / 2 + nth % 8 * 7_000;
        world.send(&mail, at, &mut tally);
    }
    tally
}

/// Invoices on the first day of each month, nine in ten to customers of the month before. The last run is looked at.
pub(crate) fn invoices(world: &mut World, customers: usize, runs_before: u64, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let account = "billing@power.example";
    for run in 0..=runs_before {
        tally = Tally::default();
        let start = START + (run * 30) * DAY + 6 * HOUR;
        let first = usize::try_from(run).unwrap() * customers / 10;
        for (nth, customer) in (first..first + customers).enumerate() {
            let text = format!(
                "Dear {},\nplease find attached our invoice {} for electricity over {}.17 EUR. We will collect it from \
                 your account on the tenth. Questions? Call us or write to us.\nYour power company",
                words::name(random),
                random.below(1_000_000),
                random.below(300)
            );
            let mail = Mail {
                client: ip(64, 1),
                program: "Billing 3",
                body: Body::Pdf(text, 3_000),
                is_to_nobody: random.one_in(100),
                ..Mail::letter(
                    account,
                    format!("customer{customer}@mail{}.example", customer % 150),
                    "Your invoice".to_owned(),
                    String::new(),
                )
            };
            world.send(&mail, start + nth as u64 * 1_000, &mut tally);
        }
        // Between the runs, a few answers a day.
        for day in (1..30).filter(|_| run < runs_before) {
            for nth in 0..3 {
                let customer = first + random.below(customers);
                let to = format!("customer{customer}@mail{}.example", customer % 150);
                let (subject, text) = words::letter(random);
                let mail = Mail { client: ip(64, 1), ..Mail::letter(account, to, subject, text) };
                world.send(&mail, start + day * DAY + (2 + nth) * HOUR, &mut Tally::default());
            }
        }
    }
    tally
}

/// A helpdesk: replies out of building blocks, to customers of whom most are new.
pub(crate) fn helpdesk(world: &mut World, a_day: u64, random: &mut Random) -> Tally {
    const ANSWERS: [&str; 4] = [
        "please restart the device, hold the button for ten seconds and wait until the light is green again",
        "we have passed your request to our technicians, who will call you within the next working day",
        "your refund was ordered today and will be on your account within five days at the latest",
        "you can change your password at our site under settings; the link in the letter is valid for one hour",
    ];
    let mut tally = Tally::default();
    for day in 0..=MONTH {
        for nth in 0..if is_workday(day) { a_day } else { a_day / 8 } {
            let known = random.one_in(3);
            let customer = if known { random.below(300) } else { 1_000 + random.below(100_000_000) };
            let answer = *random.pick(&ANSWERS);
            let text = format!(
                "Dear {},\n{answer}.\n{}\nYour helpdesk\nThis mail may hold confidential information. If it was not meant \
                 for you, please tell the sender and delete it. Registered office Some Town, court of Some Town.",
                words::name(random),
                words::letter(random).1
            );
            let subject = format!("Re: [Ticket#{}] {}", random.below(1_000_000), words::thing(random));
            let mail = Mail {
                client: ip(62, 1),
                program: "OTRS 6",
                fields: vec![("In-Reply-To", format!("<{day}.{nth}@mail.example>"))],
                is_to_nobody: random.one_in(200),
                ..Mail::letter(
                    "help@desk.example",
                    format!("customer{customer}@mail{}.example", customer % 400),
                    subject,
                    text,
                )
            };
            world.send(&mail, START + day * DAY + 7 * HOUR + nth * 9 * HOUR / a_day, &mut tally);
        }
    }
    tally
}

/// A mailing list of 300 members: each post is sent in three messages of a hundred; one account for all.
pub(crate) fn mailing_list(world: &mut World, posts_a_day: u64, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let members: Vec<String> = (0..300).map(|n| format!("member{n}@home{}.example", n % 120)).collect();
    for day in 0..=MONTH {
        for nth in 0..posts_a_day {
            let (subject, text) = words::letter(random);
            let from = random.pick(&members).clone();
            for part in members.chunks(100) {
                let mail = Mail {
                    from: from.clone(),
                    to: part.to_vec(),
                    shown_to: Some("list@lists.example".to_owned()),
                    client: ip(63, 1),
                    program: ["Thunderbird 128", "mutt", "Gnus 5", "Outlook 16", "KMail 6"][random.below(5)],
                    fields: vec![
                        ("List-Id", "<list.lists.example>".to_owned()),
                        ("List-Unsubscribe", "<mailto:list-leave@lists.example>".to_owned()),
                    ],
                    ..Mail::letter("list@lists.example", String::new(), format!("[list] {subject}"), text.clone())
                };
                world.send(&mail, START + day * DAY + 5 * HOUR + nth * 16 * HOUR / posts_a_day, &mut tally);
            }
        }
    }
    tally
}
