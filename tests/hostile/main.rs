//! Mail made to hurt costs no more than its share, and whatever the bytes are, they are read (invariant 6).
//!
//! Memory is counted by the allocator of this program ([`counting`]) and work in instructions, by valgrind where there is
//! one ([`work`]); nothing here looks at a clock. [`mail`] makes the mail, a test for each kind; [`any`] takes any bytes,
//! [`real`] real mail with faults.

#![cfg(test)]

mod any;
#[path = "../rig/corpus.rs"]
mod corpus;
mod counting;
mod mail;
mod real;
mod work;

use std::sync::{LazyLock, Mutex};
use std::thread;

use outguard::account::{Account, AccountSource};
use outguard::clock::WallMs;
use outguard::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use outguard::message::{Bound, Bounds, ENDINGS_MAX, Message};
use outguard::score::behaviour::{Behaviour, BehaviourSettings, Judged};
use outguard::score::scorer::Scorer;
use outguard::score::{ScoreSettings, Submission};

/// What a message may hold while it is judged, and all that may be asked of the allocator for it, as a multiple of what
/// is looked at of it.
const HELD_FACTOR: usize = 2;
const ASKED_FACTOR: usize = 4;
/// Nothing recurses, so a small stack is enough. Threads of the daemon have 2 MiB.
const STACK_BYTES: usize = 512 << 10;

/// Reads and judges a message as the daemon does.
fn judged(bytes: &[u8], bounds: &Bounds) -> Message {
    let message = Message::parse(bytes, bounds);
    let (account, envelope) = (Account::named("a@example.org"), envelope(bytes));
    let submission = Submission {
        message: &message,
        envelope: Some(&envelope),
        account: Some(&account),
        source: Some(AccountSource::Login),
        client: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        at: WallMs(NOW_MS),
    };
    let _ = SCORER.content(&submission, None);
    let seen = BEHAVIOUR.lock().unwrap().assess(&submission).footprint.expect("it has an account");
    // Its copy is judged by what the first left.
    BEHAVIOUR.lock().unwrap().accepted(&seen, Judged::Sent);
    let _ = BEHAVIOUR.lock().unwrap().assess_seen(seen);
    message
}

/// A day in 2026.
const NOW_MS: u64 = 20_600 * 86_400_000;

/// As many recipients as the message has bytes, 40 at most, at sites that it may lead to.
fn envelope(bytes: &[u8]) -> Envelope {
    let recipient = |n: usize| Address::parse(format!("x{n}@{n}.bank.example").as_bytes()).unwrap();
    Envelope {
        reverse_path: ReversePath::parse(b"a@example.org").unwrap(),
        recipients: (0..bytes.len().clamp(1, 40)).map(|n| Recipient::plain(recipient(n))).collect(),
        body: BodyType::default(),
        smtputf8: false,
        ret: None,
        envid: None,
    }
}

/// Rules and model as they come.
static SCORER: LazyLock<Scorer> = LazyLock::new(|| Scorer::new(ScoreSettings::default()).unwrap());

/// The memory of behaviour, whose own room is no message's.
static BEHAVIOUR: LazyLock<Mutex<Behaviour>> =
    LazyLock::new(|| Mutex::new(Behaviour::new(BehaviourSettings::default(), None)));

/// Reads and judges a message on a small stack, and says what it was, within its bounds and its memory.
fn costs_its_share(bytes: &[u8]) -> Message {
    let bounds = Bounds::default();
    let work = || {
        LazyLock::force(&SCORER);
        LazyLock::force(&BEHAVIOUR);
        let (message, memory) = counting::counted(|| judged(bytes, &bounds));
        let share = |factor: usize| i64::try_from(factor * bounds.message_bytes_max).unwrap();
        assert!(memory.held_bytes_max <= share(HELD_FACTOR), "{memory:?}");
        assert!(memory.asked_bytes <= share(ASKED_FACTOR), "{memory:?}");
        message
    };
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    let message = thread::scope(|scope| builder.spawn_scoped(scope, work).unwrap().join().unwrap());
    is_within(&message, &bounds);
    assert_eq!(message.shape.message_bytes, bytes.len() as u64);
    message
}

/// What holds of every message, whatever it was made of.
fn is_within(message: &Message, bounds: &Bounds) {
    let shape = &message.shape;
    assert!(!shape.met.contains(&Bound::Unreadable), "a part of the reader failed");
    assert!(shape.parts > 0);
    assert!(message.header.len() <= bounds.fields_max);
    let html = message.html.clone().unwrap_or_default();
    for text in [&message.text, &message.plain, &html.visible, &html.hidden] {
        assert!(text.len() <= bounds.text_bytes_max, "{} bytes of text", text.len());
        assert!(!text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{text:?}");
    }
    for field in &message.header {
        assert!(field.value.len() <= bounds.field_bytes_max && !field.value.contains(char::is_control), "{field:?}");
        assert!(field.name.len() <= bounds.field_bytes_max, "{} bytes of a name", field.name.len());
    }
    assert!(message.subject.len() <= bounds.field_bytes_max);
    assert!(message.links.len() <= bounds.links_max);
    for link in &message.links {
        assert!(link.target.len() <= 2_000 && link.visible.len() <= 300 && link.host.len() <= 2_000, "{link:?}");
        assert!(!link.host.contains(|c: char| c.is_control() || c == ' '), "{link:?}");
    }
    assert!(message.attachments.len() <= bounds.attachments_max);
    for attachment in &message.attachments {
        assert!(attachment.contains.len() <= bounds.names_max + ENDINGS_MAX);
        assert!(attachment.name.len() <= 512 && attachment.declared.len() <= 512, "{attachment:?}");
        assert!(!attachment.name.contains(char::is_control), "{attachment:?}");
    }
}

#[test]
fn ten_thousand_multiparts_in_each_other() {
    let message = costs_its_share(&mail::multiparts(10_000));
    assert!(message.shape.met.contains(&Bound::Depth), "{:?}", message.shape);
}

#[test]
fn fifty_thousand_messages_in_each_other() {
    let message = costs_its_share(&mail::messages(50_000));
    assert!(message.shape.met.contains(&Bound::Depth), "{:?}", message.shape);
}

#[test]
fn fifty_mebibytes_in_one_line() {
    let message = costs_its_share(&mail::plain("a", 50 << 20));
    assert_eq!(message.text.len(), Bounds::default().text_bytes_max);
    assert!(message.shape.met.contains(&Bound::Bytes), "{:?}", message.shape);
}

#[test]
fn attributes_by_the_hundred_thousand() {
    let message = costs_its_share(&mail::html("<p ", "a=1 ", ">x", 400_000));
    assert_eq!(message.text, "x");
}

#[test]
fn encoded_words_by_the_ten_thousand() {
    let subject = [&b"Subject:"[..], b" ", &b"=?utf-8?q?a?= ".repeat(10_000), b"\n\nb"].concat();
    let message = costs_its_share(&subject);
    assert!(message.subject.starts_with("aaaa"), "{}", message.subject);
}

#[test]
fn an_archive_that_is_all_list() {
    let message = costs_its_share(&mail::archive(1 << 20));
    assert_eq!(message.attachments[0].contains.len(), Bounds::default().names_max);
    assert!(message.attachments[0].encrypted, "the mark of a file past the bound is seen");
}

#[test]
fn no_bytes_at_all() {
    let message = costs_its_share(b"");
    assert_eq!((message.text.as_str(), message.shape.parts), ("", 1));
}
