//! What judging a message costs: messages a second on one core, how long the slow ones take, over real mail; and Rspamd and
//! SpamAssassin beside it, on the same messages in the same run.
//!
//! `cargo bench --bench score`; `-- alone` leaves the others out.
//!
//! The mail is the dev part of the corpus in `../shared/corpus`, or in the folder that `OUTGUARD_CORPUS` names, but for what
//! its manifest calls constructed. All times are processor time: they stay nearly the same on a busy machine.

#![expect(clippy::print_stdout, reason = "a bench tells its figures there")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock itself")]

#[path = "../../tests/rig/corpus.rs"]
mod corpus;
mod others;

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

use outguard::account::{Account, AccountSource};
use outguard::clock::WallMs;
use outguard::mail::envelope::{BodyType, Recipient};
use outguard::mail::{Address, Envelope, ReversePath};
use outguard::message::{Bounds, Message};
use outguard::score::allow::Allow;
use outguard::score::behaviour::{BehaviourSettings, Judged};
use outguard::score::scorer::Scorer;
use outguard::score::{Behaviour, Rules, ScoreSettings, Submission};
use rustix::time::{ClockId, clock_gettime};

use corpus::Mail;
use others::Other;

/// That of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages up to this size are what the percentiles speak of, in bytes.
const ORDINARY_BYTES_MAX: usize = 100 << 10;
/// How often the corpus is gone through; the best time of each message counts, for what disturbs only ever adds.
const ROUNDS: usize = 3;
/// How many messages Rspamd and SpamAssassin look at.
const RSPAMD_SAMPLE: usize = 1_000;
const SPAMASSASSIN_SAMPLE: usize = 150;

fn main() {
    let mut mail = corpus::read(&["dev.tar.zst", "dev-2.tar.zst"]);
    let constructed = constructed();
    mail.retain(|mail| !constructed.contains(&mail.name));
    if mail.is_empty() {
        return println!("skipped: all of it; there is no mail");
    }
    let bytes: usize = mail.iter().map(|mail| mail.bytes.len()).sum();
    println!("{} messages, {} KB on average", mail.len(), bytes / 1024 / mail.len());
    let ours = stages(&mail);
    if std::env::args().any(|word| word == "alone") {
        return;
    }
    beside(Other::rspamd(), &mail, RSPAMD_SAMPLE, &ours);
    beside(Other::spamassassin(), &mail, SPAMASSASSIN_SAMPLE, &ours);
}

/// The names of mail that was made by a template, by the corpus's manifest.
fn constructed() -> HashSet<String> {
    let Ok(manifest) = std::fs::read_to_string(corpus::root().join("manifest.csv")) else {
        println!("skipped: leaving constructed mail out; there is no manifest.csv");
        return HashSet::new();
    };
    let row = |line: &str| {
        let columns: Vec<&str> = line.split(',').collect();
        (*columns.get(8)? == "yes").then(|| columns.get(3).map(ToString::to_string))?
    };
    manifest.lines().filter_map(row).collect()
}

/// Each stage over all of the mail, each with all before it; returns what the whole took for each message.
fn stages(mail: &[Mail]) -> Vec<Duration> {
    let settings = ScoreSettings::default();
    let bounds = Bounds::default();
    let rules = Rules::new(&settings).expect("the rules as they come");
    let scorer = Scorer::new(settings).expect("the rules as they come");
    report("parse", mail, |bytes| drop(black_box(Message::parse(bytes, &bounds))));
    report("parse, rules", mail, |bytes| {
        let message = Message::parse(bytes, &bounds);
        drop(black_box(rules.evaluate(&bare(&message))));
    });
    report("parse, rules, model", mail, |bytes| {
        let message = Message::parse(bytes, &bounds);
        drop(black_box(scorer.content(&bare(&message), None)));
    });
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    let mut at = WallMs(1_700_000_000_000);
    report("parse, rules, model, behaviour", mail, |bytes| {
        at.0 += 1_000;
        let message = Message::parse(bytes, &bounds);
        let (account, envelope) = sent_by(&message);
        let submission = Submission {
            message: &message,
            envelope: Some(&envelope),
            account: Some(&account),
            source: Some(AccountSource::Login),
            client: None,
            at,
        };
        let content = scorer.content(&submission, None);
        let assessment = behaviour.assess(&submission);
        let thresholds = scorer.settings().thresholds(Some(&account), &[]);
        drop(black_box(scorer.joined(&submission, content.reasons, &assessment, &Allow::default(), thresholds)));
        if let Some(seen) = &assessment.footprint {
            let _ = behaviour.accepted(seen, Judged::Sent);
        }
    })
}

/// A message of which nothing else is known.
fn bare(message: &Message) -> Submission<'_> {
    Submission { message, envelope: None, account: None, source: None, client: None, at: WallMs(0) }
}

/// Who would have sent it to whom, by its header.
fn sent_by(message: &Message) -> (Account, Envelope) {
    let address = |text: &str| Address::parse(text.as_bytes()).ok();
    let from = message.from.first().and_then(|from| address(&from.address));
    let account = Account::named(from.as_ref().map_or("nobody@example.org", |from| from.as_str()));
    let to = message.to.iter().chain(&message.cc).filter_map(|to| address(&to.address));
    let envelope = Envelope {
        reverse_path: from.map_or(ReversePath::Null, ReversePath::Address),
        recipients: to.map(Recipient::plain).collect(),
        body: BodyType::default(),
        smtputf8: false,
        ret: None,
        envid: None,
    };
    (account, envelope)
}

/// Runs `work` on all of the mail and tells its rate and percentiles; returns the best time of each message.
fn report(name: &str, mail: &[Mail], mut work: impl FnMut(&[u8])) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; mail.len()];
    for _ in 0..ROUNDS {
        for (best, mail) in best.iter_mut().zip(mail) {
            let start = thread_time();
            work(black_box(&mail.bytes));
            *best = thread_time().saturating_sub(start).min(*best);
        }
    }
    let mut ordinary: Vec<Duration> = best
        .iter()
        .zip(mail)
        .filter(|(_, mail)| mail.bytes.len() <= ORDINARY_BYTES_MAX)
        .map(|(time, _)| *time)
        .collect();
    ordinary.sort_unstable();
    let at = |thousandths: usize| {
        let place = (ordinary.len() * thousandths / 1000).min(ordinary.len().saturating_sub(1));
        ordinary.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    println!("{name}: {:.0} messages/s on one core", rate(mail.len(), best.iter().sum()));
    println!(
        "    up to 100 KB: p50 {:.0} us, p90 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, max {:.0} us",
        at(500),
        at(900),
        at(990),
        at(999),
        at(1000)
    );
    best
}

/// The rate of another scorer on a sample of the mail, and ours on the same.
fn beside(other: Result<Other, String>, mail: &[Mail], sample: usize, ours: &[Duration]) {
    let other = match other {
        Ok(other) => other,
        Err(why) => return println!("skipped: {why}"),
    };
    let step = (mail.len() / sample).max(1);
    let (theirs, answered) = other.judge(mail.iter().step_by(step).map(|mail| mail.bytes.as_slice()));
    let our_time: Duration = ours.iter().step_by(step).sum();
    let (theirs, ours) = (rate(answered, theirs), rate(ours.iter().step_by(step).count(), our_time));
    println!(
        "{}, on {answered} of them: {theirs:.1} messages/s on one core; outguard on the same: {ours:.0}, {:.0} times as many",
        other.name(),
        ours / theirs
    );
}

#[expect(clippy::cast_precision_loss, reason = "a count of messages")]
fn rate(messages: usize, time: Duration) -> f64 {
    messages as f64 / time.as_secs_f64()
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
