//! One server with its accounts, and a clock of its own: each message is parsed, judged and learned from as the daemon
//! does it.

use std::collections::HashMap;
use std::sync::LazyLock;

use outguard::account::{Account, AccountSource};
use outguard::clock::WallMs;
use outguard::guard::{Decision, Sender, Verdict};
use outguard::message::{Bounds, Message};
use outguard::reason::Reason;
use outguard::score::allow::Allow;
use outguard::score::behaviour::{self, Behaviour, BehaviourSettings, Outcome, Row, SuspendAdvice};
use outguard::score::scorer::Scorer;
use outguard::score::{ScoreSettings, Submission};

use crate::mail::Mail;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
/// Monday, 2026-06-01.
pub(crate) const START: u64 = 1_780_272_000_000;

/// Numbers that look random and are the same in each run (xorshift64*).
#[derive(Clone)]
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

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What became of many messages.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) left: u32,
    pub(crate) held: u32,
    /// How many had left when the first was held.
    pub(crate) left_before_hold: Option<u32>,
    /// The reasons of the first that was held, and of the one with the highest score.
    pub(crate) first_held: Vec<Reason>,
    pub(crate) score_max: i32,
    pub(crate) heaviest: Vec<Reason>,
    /// The points of the text alone, at most.
    pub(crate) content_max: i32,
}

impl Tally {
    /// How many had left before the first hold: all, where there was none.
    pub(crate) fn before(&self) -> u32 {
        self.left_before_hold.unwrap_or(self.left)
    }

    fn count(&mut self, verdict: Verdict, content_points: i32) {
        let Verdict { decision, score_points, reasons } = verdict;
        self.content_max =
            if self.left + self.held == 0 { content_points } else { self.content_max.max(content_points) };
        if self.heaviest.is_empty() || score_points > self.score_max {
            (self.score_max, self.heaviest) = (score_points, reasons.clone());
        }
        if decision == Decision::Send {
            self.left += 1;
            return;
        }
        self.held += 1;
        if self.left_before_hold.is_none() {
            self.left_before_hold = Some(self.left);
            self.first_held = reasons;
        }
    }
}

fn points(reasons: &[Reason]) -> i32 {
    reasons.iter().map(|reason| reason.points).sum()
}

/// One server.
pub(crate) struct World {
    behaviour: Behaviour,
    advice: HashMap<String, SuspendAdvice>,
    /// Counts messages, for their Message-IDs.
    sent: u64,
}

static SCORER: LazyLock<Scorer> = LazyLock::new(|| Scorer::new(ScoreSettings::default()).unwrap());
static BOUNDS: LazyLock<Bounds> = LazyLock::new(Bounds::default);

impl World {
    pub(crate) fn new() -> Self {
        let behaviour = Behaviour::new(BehaviourSettings::default(), None);
        Self { behaviour, advice: HashMap::new(), sent: 0 }
    }

    /// A message comes: it is judged, counted, and delivered unless it is held.
    pub(crate) fn send(&mut self, mail: &Mail, at: u64, tally: &mut Tally) {
        self.sent += 1;
        let message = Message::parse(&mail.bytes(at, self.sent), &BOUNDS);
        let envelope = mail.envelope();
        let account = Account::named(&mail.account);
        let submission = Submission {
            message: &message,
            envelope: Some(&envelope),
            account: Some(&account),
            source: Some(AccountSource::Login),
            client: Some(mail.client),
            at: WallMs(at),
        };
        let mut content = SCORER.content(&submission, None).reasons;
        if mail.misjudged_points != 0 {
            content.push(Reason { name: "misjudged".into(), points: mail.misjudged_points, sentence: "".into() });
        }
        let content_points = points(&content);
        let assessment = self.behaviour.assess(&submission);
        let thresholds = SCORER.settings().thresholds;
        let reasons = SCORER.joined(&submission, content, &assessment, &Allow::default(), thresholds);
        let verdict = Verdict::from_reasons(reasons, thresholds, Sender::Elsewhere, Decision::Send);
        let held = verdict.decision != Decision::Send;
        tally.count(verdict, content_points);
        let judged = if held { behaviour::Judged::Held } else { behaviour::Judged::Sent };
        if let Some(advice) = self.behaviour.accepted(&assessment.footprint.unwrap(), judged) {
            self.advice.insert(mail.account.clone(), advice);
        }
        for _ in mail.to.iter().filter(|_| !held) {
            let outcome = if mail.is_to_nobody { Outcome::UnknownUser } else { Outcome::Delivered };
            self.behaviour.outcome(&account, outcome, WallMs(at));
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
        for Row { kind, key, bytes } in rows {
            let bytes = bytes.as_ref().unwrap();
            assert!(world.behaviour.restore(*kind, key, bytes), "{kind:?} {key} does not come back");
        }
        world
    }
}
