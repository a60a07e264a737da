//! An account in other hands.

use std::rc::Rc;

use crate::mail::{Body, Mail, ip};
use crate::people::{MONTH, Person};
use crate::rig::{DAY, HOUR, MINUTE, Random, START, Tally, World};
use crate::words;

/// Where the thief sends from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A machine of their own, with a program of their own.
    Elsewhere,
    /// The account's own machine or webmail: same network, same program.
    OwnMachine,
}

/// What is sent.
#[derive(Clone)]
pub(crate) enum Text {
    /// One of the texts that rules and model know.
    Known,
    /// Somebody's real campaign, as found.
    Found(Rc<[u8]>),
    /// One that looks clean, with other names and links for each recipient.
    Clean,
    /// The same with one link for all.
    CleanOneLink,
    /// One that looks clean, in other words each time.
    CleanAndVaried,
    /// The very same for all.
    CleanAndAlike,
    /// A request to log in.
    Phishing,
}

/// What tells messages apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// Each has a Message-ID of its own.
    Each,
    /// All have the same.
    OneForAll,
    /// All have the same, and the same To and Date: each is the first to the last letter.
    WholeForAll,
}

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// People that nobody here ever wrote to; one in eight addresses is dead.
    Strangers,
    /// People of the account's own domain.
    Colleagues,
    /// First all that the account knows, then strangers.
    ContactsFirst,
}

/// How it is sent.
#[derive(Clone)]
pub(crate) struct Attack {
    pub(crate) text: Text,
    pub(crate) from: From,
    pub(crate) to: To,
    pub(crate) id: Id,
    /// Milliseconds between two messages.
    pub(crate) every_ms: u64,
    /// Recipients of each.
    pub(crate) recipients: usize,
}

/// One message in two seconds.
pub(crate) const FAST: u64 = 2_000;
/// Twenty an hour.
pub(crate) const SLOW: u64 = 3 * MINUTE;

impl Attack {
    /// Sends so many messages from the day after the month on. The second tally is the account's own mail meanwhile, one
    /// letter an hour.
    pub(crate) fn run(&self, world: &mut World, mut owner: Person, messages: u32, seed: u64) -> (Tally, Tally) {
        let (mut spam, mut own) = (Tally::default(), Tally::default());
        let mut random = Random::new(seed);
        let pick = random.below(60);
        let start = START + MONTH * DAY + 10 * HOUR;
        let mut own_at = start + 7 * MINUTE;
        for nth in 0..messages {
            let at = start + u64::from(nth) * self.every_ms;
            while own_at < at {
                // The owner sleeps at night.
                if (7..17).contains(&(own_at / HOUR % 24)) {
                    let letter = owner.letter();
                    world.send(&letter, own_at, &mut own);
                }
                own_at += HOUR;
            }
            let mail = self.mail(&mut owner, &mut random, usize::try_from(nth).unwrap(), pick);
            world.send(&mail, at, &mut spam);
        }
        (spam, own)
    }

    fn mail(&self, owner: &mut Person, random: &mut Random, nth: usize, pick: usize) -> Mail {
        let to: Vec<String> =
            (0..self.recipients).map(|n| self.recipient(owner, random, nth * self.recipients + n)).collect();
        let is_to_nobody = to[0].starts_with("target") && random.one_in(8);
        let (subject, body) = self.text(random, pick);
        let own = owner.letter();
        let (client, program) = match self.from {
            From::Elsewhere => (ip(200, 9), "Bulk 7"),
            From::OwnMachine => (own.client, own.program),
        };
        let is_whole = self.id == Id::WholeForAll;
        let shown_to = (to.len() > 1 || is_whole).then(|| owner.account.clone());
        let id = (self.id != Id::Each).then_some("<1@firm.example>");
        let dated = is_whole.then_some(START + MONTH * DAY);
        Mail { to, shown_to, client, program, id, dated, subject, body, is_to_nobody, ..own }
    }

    fn recipient(&self, owner: &Person, random: &mut Random, nth: usize) -> String {
        match self.to {
            To::Colleagues => format!("colleague{}@firm.example", random.below(5_000)),
            To::ContactsFirst if nth < owner.contacts.len() => owner.contacts[nth].clone(),
            To::Strangers | To::ContactsFirst => {
                format!("target{}@mail{}.example", random.below(100_000_000), random.below(3_000))
            }
        }
    }

    fn text(&self, random: &mut Random, pick: usize) -> (String, Body) {
        let one_of = |texts: &[&str], subject: &str, random: &mut Random| {
            let text = words::filled(texts[pick % texts.len()], random);
            (subject.to_owned(), self.shape(text))
        };
        match &self.text {
            Text::Found(raw) => (String::new(), Body::Raw(Rc::clone(raw))),
            Text::Known => one_of(&words::KNOWN, "For you", random),
            Text::Clean => one_of(&words::CLEAN, "As agreed", random),
            Text::CleanOneLink => {
                let (subject, _) = one_of(&words::CLEAN, "As agreed", random);
                let text = words::CLEAN[pick % words::CLEAN.len()].replace("{number}", "7");
                (subject, self.shape(text.replace("{name}", words::name(random))))
            }
            Text::CleanAndAlike => {
                let text = words::CLEAN[pick % words::CLEAN.len()].replace("{number}", "7").replace("{name}", "friend");
                ("As agreed".to_owned(), self.shape(text))
            }
            Text::Phishing => one_of(&words::PHISHING, "Your account", random),
            Text::CleanAndVaried => {
                let (subject, text) = words::letter(random);
                let link = format!("{text} https://files{}.example/view", random.below(1_000_000));
                (subject, self.shape(link))
            }
        }
    }

    /// A thief's own program writes HTML; at the owner's machine it is a letter.
    fn shape(&self, text: String) -> Body {
        match self.from {
            From::Elsewhere => Body::Html(text, 4),
            From::OwnMachine => Body::Plain(text),
        }
    }
}
