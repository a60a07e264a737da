//! An account with a month of habit in other hands.

use crate::people::{MONTH, Person, ip};
use crate::rig::{DAY, HOUR, MINUTE, Mail, Random, START, Tally, World};
use crate::words;

/// Where the thief sends from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A machine of their own, with a program of their own.
    Elsewhere,
    /// The account's own webmail: same network, same program.
    OwnWebmail,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// A campaign that rules and model know.
    Known,
    /// One that they find clean, with other names and links for each recipient.
    Clean,
    /// One that they find clean, in other words each time.
    CleanAndVaried,
    /// A request to log in, as colleagues would get it, that they find suspicious.
    Phishing,
}

/// To whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// People that nobody here ever wrote to.
    Strangers,
    /// People of the account's own domain.
    Colleagues,
}

/// 2,000 messages after a month of work.
pub(crate) struct Attack {
    pub(crate) account: &'static str,
    pub(crate) seed: u64,
    pub(crate) text: Text,
    pub(crate) from: From,
    pub(crate) to: To,
    /// Milliseconds between two.
    pub(crate) every_ms: u64,
}

/// How many the thief tries to send.
pub(crate) const MESSAGES: u32 = 2_000;
/// One in two seconds.
pub(crate) const FAST: u64 = 2_000;
/// Twenty an hour.
pub(crate) const SLOW: u64 = 3 * MINUTE;

impl Attack {
    /// A month of work, then the attack, with a restart of the daemon in between. The second tally is the account's own
    /// mail meanwhile, one letter an hour.
    pub(crate) fn run(&self, world: &mut World) -> (Tally, Tally) {
        let mut owner = Person::new(self.account, self.seed);
        owner.month(world);
        let (mut spam, mut own) = (Tally::default(), Tally::default());
        let mut random = Random::new(self.seed + 1);
        let start = START + MONTH * DAY + 10 * HOUR;
        let mut own_at = start + 7 * MINUTE;
        for nth in 0..MESSAGES {
            let at = start + u64::from(nth) * self.every_ms;
            while own_at < at {
                // The owner sleeps at night.
                if (7..17).contains(&(own_at / HOUR % 24)) {
                    let letter = owner.letter();
                    world.send(&letter, own_at, &mut own);
                }
                own_at += HOUR;
            }
            let mail = self.mail(&mut owner, &mut random);
            world.send(&mail, at, &mut spam);
        }
        (spam, own)
    }

    fn mail(&self, owner: &mut Person, random: &mut Random) -> Mail {
        let (subject, text, content_points) = self.text(random);
        let to = match self.to {
            To::Strangers => format!("target{}@mail{}.example", random.below(100_000_000), random.below(3_000)),
            To::Colleagues => format!("colleague{}@firm.example", random.below(5_000)),
        };
        let own = owner.letter();
        let (client, program, elements) = match self.from {
            From::Elsewhere => (ip(200, 9), "Bulk", 12),
            From::OwnWebmail => (own.client, own.program, 0),
        };
        Mail { to: vec![to], client, program, subject, text, elements, content_points, ..own }
    }

    fn text(&self, random: &mut Random) -> (String, String, i32) {
        let (name, number) = (words::name(random), random.below(1_000_000));
        match self.text {
            Text::Known => (
                "You have won".to_owned(),
                format!(
                    "Dear {name}, your address has won 850,000 USD in our lottery. To claim your prize {number} answer \
                     with your name, bank and telephone number to our agent within three days, http://win{number}.example"
                ),
                220,
            ),
            Text::Clean => (
                format!("Your file {number}"),
                format!(
                    "Hello {name},\nas agreed I send you the file {number} that we spoke of last month. You find it at \
                     https://files{number}.example/view together with the plan for the second half of the year. Please \
                     look at it until Friday and tell me what you think.\nBest regards"
                ),
                5,
            ),
            Text::CleanAndVaried => {
                let (subject, text) = words::letter(random);
                (subject, format!("{text} https://files{number}.example/{name}"), 5)
            }
            Text::Phishing => (
                "Your mailbox is full".to_owned(),
                format!(
                    "Dear {name}, your mailbox has reached its limit. Please log in at https://mail{number}.example/login \
                     with your password within 24 hours, or it will be closed. Your administrator"
                ),
                80,
            ),
        }
    }
}
