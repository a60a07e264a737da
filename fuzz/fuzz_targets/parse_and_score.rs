//! Whatever the bytes are, they are a message within its bounds, and rules, model and behaviour judge it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use outguard::account::{Account, AccountSource};
use outguard::clock::WallMs;
use outguard::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use outguard::message::{Bound, Bounds, Message};
use outguard::score::behaviour::{Behaviour, BehaviourSettings, Judged};
use outguard::score::scorer::Scorer;
use outguard::score::{ScoreSettings, Submission};

static SCORER: LazyLock<Scorer> =
    LazyLock::new(|| Scorer::new(ScoreSettings::default()).expect("the rules as they come"));

fuzz_target!(|data: &[u8]| {
    // Small bounds are met by small inputs.
    for bounds in [Bounds::default(), small()] {
        let message = Message::parse(data, &bounds);
        assert!(!message.shape.met.contains(&Bound::Unreadable), "no part of the reader fails");
        assert!(message.header.len() <= bounds.fields_max);
        assert!(message.header.iter().all(|field| field.value.len() <= bounds.field_bytes_max));
        let html = message.html.clone().unwrap_or_default();
        for text in [&message.text, &message.plain, &html.visible, &html.hidden] {
            assert!(text.len() <= bounds.text_bytes_max);
            assert!(!text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')));
        }
        assert!(message.links.len() <= bounds.links_max && message.attachments.len() <= bounds.attachments_max);
        let (account, envelope) = sent(data);
        let submission = Submission {
            message: &message,
            envelope: Some(&envelope),
            account: Some(&account),
            source: Some(AccountSource::Login),
            client: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            at: WallMs(20_600 * 86_400_000),
        };
        let content = SCORER.content(&submission, None);
        assert!((0.0..=1.0).contains(&content.text.probability));
        for reason in &content.reasons {
            assert!(!reason.sentence.contains(char::is_control), "a terminal reads it");
        }
        let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
        if let Some(seen) = behaviour.assess(&submission).footprint {
            behaviour.accepted(&seen, Judged::Sent);
            for reason in behaviour.assess_seen(seen).reasons {
                assert!(!reason.sentence.contains(char::is_control), "a terminal reads it");
            }
        }
    }
});

/// Who sends it and to whom, by the last bytes: eight accounts, up to 16 recipients.
fn sent(data: &[u8]) -> (Account, Envelope) {
    let last = |nth: usize| usize::from(data.iter().rev().nth(nth).copied().unwrap_or(0));
    let address = |text: String| Address::parse(text.as_bytes()).expect("an address of letters and digits");
    let sender = format!("a{}@example.org", last(0) % 8);
    let recipients = (0..=last(1) % 16).map(|n| Recipient::plain(address(format!("x{n}@b{}.example", last(n)))));
    let envelope = Envelope {
        reverse_path: ReversePath::parse(sender.as_bytes()).expect("the same"),
        recipients: recipients.collect(),
        body: BodyType::default(),
        smtputf8: false,
        ret: None,
        envid: None,
    };
    (Account::named(&sender), envelope)
}

fn small() -> Bounds {
    Bounds {
        message_bytes_max: 4_000,
        depth_max: 3,
        parts_max: 6,
        fields_max: 10,
        field_bytes_max: 50,
        text_bytes_max: 200,
        links_max: 3,
        attachments_max: 2,
        names_max: 2,
    }
}
