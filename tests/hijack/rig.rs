//! What the simulation runs: the very assessment, learning and combination of the daemon, with a clock of its own.

use std::collections::HashMap;
use std::net::IpAddr;

use outguard::account::{Account, AccountSource};
use outguard::clock::WallMs;
use outguard::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use outguard::message::{HeaderField, Html, Mailbox, Message};
use outguard::reason::Reason;
use outguard::score::Submission;
use outguard::score::behaviour::{Behaviour, BehaviourSettings, Judged, Outcome, Row, SuspendAdvice};
use outguard::score::combine::combine;
use outguard::score::settings::Thresholds;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
/// Monday, 2026-06-01.
pub(crate) const START: u64 = 1_780_272_000_000;

/// Numbers that look random and are the same in each run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Whether one in so many.
    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// One message to be sent.
#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) account: &'static str,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) client: IpAddr,
    pub(crate) program: &'static str,
    pub(crate) list: Option<&'static str>,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// How much HTML there is: 0 is plain text.
    pub(crate) elements: u32,
    /// What rules and model would give.
    pub(crate) content_points: i32,
}

/// What became of many messages.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) left: u32,
    pub(crate) held: u32,
    /// How many had left when the first was held.
    pub(crate) left_before_hold: Option<u32>,
    /// How many had left when the account was proposed for suspension.
    pub(crate) left_before_advice: Option<u32>,
    /// The reasons of the first that was held, and the highest score.
    pub(crate) first_held: Vec<Reason>,
    pub(crate) score_max: i32,
    pub(crate) heaviest: Vec<Reason>,
}

/// One server with its accounts.
pub(crate) struct World {
    pub(crate) behaviour: Behaviour,
    advice: HashMap<&'static str, SuspendAdvice>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { behaviour: Behaviour::new(BehaviourSettings::default(), None), advice: HashMap::new() }
    }

    /// Sends a message as the daemon does: judged, counted, and delivered unless it is held.
    pub(crate) fn send(&mut self, mail: &Mail, at: u64, tally: &mut Tally) {
        let message = mail.message();
        let envelope = mail.envelope();
        let account = Account::named(mail.account);
        let submission = Submission {
            message: &message,
            envelope: Some(&envelope),
            account: Some(&account),
            source: Some(AccountSource::Login),
            client: Some(mail.client),
            at: WallMs(at),
        };
        let content =
            Reason { name: "content".into(), points: mail.content_points, sentence: "rules and model".into() };
        let assessment = self.behaviour.assess(&submission);
        let reasons = combine(vec![content], &assessment);
        let score_points: i32 = reasons.iter().map(|reason| reason.points).sum();
        let held = Thresholds::default().hold.points().is_some_and(|hold| score_points >= hold);
        let seen = assessment.footprint.unwrap();
        let advice = self.behaviour.accepted(&seen, if held { Judged::Held } else { Judged::Sent });
        if score_points > tally.score_max {
            (tally.score_max, tally.heaviest) = (score_points, reasons.clone());
        }
        if held {
            tally.held += 1;
            if tally.left_before_hold.is_none() {
                tally.left_before_hold = Some(tally.left);
                tally.first_held = reasons;
            }
        } else {
            tally.left += 1;
            for _ in &mail.to {
                self.behaviour.outcome(&account, Outcome::Delivered, WallMs(at));
            }
        }
        if let Some(advice) = advice {
            tally.left_before_advice.get_or_insert(tally.left);
            self.advice.insert(mail.account, advice);
        }
    }

    /// Whether suspension was proposed for an account.
    pub(crate) fn is_advised(&self, account: &str) -> bool {
        self.advice.contains_key(account)
    }

    /// What the store would keep of it.
    pub(crate) fn rows(&mut self) -> Vec<Row> {
        self.behaviour.changed(usize::MAX)
    }

    /// A server that starts with these rows.
    pub(crate) fn restored(rows: &[Row]) -> Self {
        let mut world = Self::new();
        for row in rows {
            let Some(bytes) = &row.bytes else { continue };
            assert!(
                world.behaviour.restore(row.kind, &row.key, bytes),
                "{:?} {} does not come back",
                row.kind,
                row.key
            );
        }
        world
    }
}

impl Mail {
    fn envelope(&self) -> Envelope {
        let recipient = |to: &String| Recipient::plain(Address::parse(to.as_bytes()).unwrap());
        Envelope {
            reverse_path: ReversePath::parse(self.from.as_bytes()).unwrap(),
            recipients: self.to.iter().map(recipient).collect(),
            body: BodyType::default(),
            smtputf8: false,
            ret: None,
            envid: None,
        }
    }

    fn message(&self) -> Message {
        let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
        let mut header = vec![
            field("From", &self.from),
            field("To", self.to.first().map_or("", String::as_str)),
            field("Subject", &self.subject),
            field("X-Mailer", self.program),
        ];
        header.extend(self.list.map(|list| field("List-Id", list)));
        let html = (self.elements > 0).then(|| Html {
            visible: self.text.clone(),
            elements: self.elements,
            ..Html::default()
        });
        Message {
            header,
            from: vec![Mailbox { name: String::new(), address: self.from.clone() }],
            subject: self.subject.clone(),
            plain: if html.is_some() { String::new() } else { self.text.clone() },
            text: self.text.clone(),
            html,
            ..Message::default()
        }
    }
}
