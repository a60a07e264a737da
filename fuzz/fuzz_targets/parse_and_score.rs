//! Whatever the bytes are, they are a message within its bounds, and rules and model judge it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use outguard::clock::WallMs;
use outguard::message::{Bound, Bounds, Message};
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
        let submission =
            Submission { message: &message, envelope: None, account: None, source: None, client: None, at: WallMs(0) };
        let content = SCORER.content(&submission, None);
        assert!((0.0..=1.0).contains(&content.text.probability));
        for reason in &content.reasons {
            assert!(!reason.sentence.contains(char::is_control), "a terminal reads it");
        }
    }
});

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
    }
}
