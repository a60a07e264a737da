//! What can go to this next hop at all, before a word is said: other scripts and 8-bit content (RFC 6531 3, RFC 6152 3).

use std::borrow::Cow;

use super::attempt::{Fate, Outgoing, RecipientEnd};
use super::settings::EightBit;
use crate::mail::{Address, BodyType, ReversePath};
use crate::smtp::client::{Extensions, RcptFacts};
use crate::store::Index;

/// A message as this next hop can take it.
#[derive(Debug)]
pub(super) struct Screened<'a> {
    /// Who can be served.
    pub(super) rcpts: Vec<ScreenedRcpt<'a>>,
    /// Who cannot.
    pub(super) refused: Vec<RecipientEnd>,
    pub(super) reverse_path: Cow<'a, str>,
    pub(super) smtputf8: bool,
    pub(super) eightbit: bool,
}

/// A recipient that can be served.
#[derive(Debug)]
pub(super) struct ScreenedRcpt<'a> {
    pub(super) index: Index,
    pub(super) facts: RcptFacts<'a>,
}

/// Sorts the recipients, and decides what MAIL will ask for.
pub(super) fn screen(message: &Outgoing, offered: Extensions, policy: EightBit) -> Screened<'_> {
    let eightbit = message.body_type == BodyType::EightBitMime;
    let reverse_path = match &message.reverse_path {
        ReversePath::Null => Some(Cow::Borrowed("")),
        ReversePath::Address(address) => written(address, offered),
    };
    // A header of raw bytes that nobody declared is old mail, not SMTPUTF8: it goes as it is. To ask for SMTPUTF8 would
    // forbid this next hop to hand it to one that does not offer it.
    let declared = message.smtputf8 && message.header_needs_utf8;
    let header_stuck = declared && !offered.smtputf8;
    let all = if reverse_path.is_none() || header_stuck {
        Some((
            "5.6.7",
            "550 5.6.7 the next hop does not offer SMTPUTF8, which an address or header of this message needs",
        ))
    } else if eightbit && !offered.eightbitmime && policy == EightBit::Bounce {
        Some(("5.6.3", "554 5.6.3 the next hop does not offer 8BITMIME, which this message needs"))
    } else {
        None
    };
    let mut screened = Screened {
        rcpts: Vec::with_capacity(message.recipients.len()),
        refused: Vec::new(),
        reverse_path: reverse_path.unwrap_or_default(),
        smtputf8: declared,
        eightbit,
    };
    screened.smtputf8 |= !screened.reverse_path.is_ascii();
    for (index, recipient) in &message.recipients {
        let refusal = match (all, written(&recipient.address, offered)) {
            (None, Some(address)) => {
                screened.smtputf8 |= !address.is_ascii();
                let facts = RcptFacts { address, notify: recipient.notify, original: recipient.original.as_ref() };
                screened.rcpts.push(ScreenedRcpt { index: *index, facts });
                continue;
            }
            (Some(refusal), _) => refusal,
            (None, None) => ("5.6.7", "553 5.6.7 the next hop does not offer SMTPUTF8, which this address needs"),
        };
        screened.refused.push(RecipientEnd::ours(*index, Fate::Bounced, refusal.0, refusal.1.to_owned()));
    }
    screened
}

/// An address as it can be written to this next hop: as it came, or with its domain as A-labels where that is enough.
fn written(address: &Address, offered: Extensions) -> Option<Cow<'_, str>> {
    if address.is_ascii() || offered.smtputf8 {
        Some(Cow::Borrowed(address.as_str()))
    } else if address.local_part().is_ascii() {
        Some(Cow::Owned(format!("{}@{}", address.local_part(), address.domain())))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Recipient;
    use crate::store::Content;
    use crate::store::query::ContentBody;

    fn message(from: &str, to: &[&str]) -> Outgoing {
        let recipient =
            |(n, text): (u32, &&str)| (Index(n), Recipient::plain(Address::parse(text.as_bytes()).unwrap()));
        Outgoing {
            reverse_path: ReversePath::parse(from.as_bytes()).unwrap(),
            recipients: (0..).zip(to).map(recipient).collect(),
            body_type: BodyType::SevenBit,
            smtputf8: true,
            header_needs_utf8: false,
            ret: None,
            envid: None,
            content: Content {
                prefix: bytes::Bytes::new(),
                body: ContentBody::Bytes(bytes::Bytes::new()),
                size_bytes: 0,
            },
        }
    }

    #[test]
    fn other_scripts_go_only_where_they_are_understood() {
        let utf8 = Extensions { smtputf8: true, eightbitmime: true, ..Extensions::default() };
        let plain = Extensions::default();
        let cases = [
            (plain, "a@example.org", vec!["b@x.example"], vec!["b@x.example"], false), // declared, not needed: not asked
            (utf8, "a@example.org", vec!["ü@x.example"], vec!["ü@x.example"], true),
            (plain, "a@example.org", vec!["ü@x.example", "b@x.example"], vec!["b@x.example"], false),
            (plain, "a@bücher.example", vec!["b@bücher.example"], vec!["b@xn--bcher-kva.example"], false),
            (plain, "ü@x.example", vec!["b@x.example"], vec![], false), // the sender's own name cannot be told
        ];
        for (offered, from, to, sent, asked) in cases {
            let message = message(from, &to);
            let screened = screen(&message, offered, EightBit::Send);
            let written: Vec<&str> = screened.rcpts.iter().map(|rcpt| &*rcpt.facts.address).collect();
            assert_eq!((written, screened.smtputf8), (sent.clone(), asked), "{from} {to:?}");
            assert_eq!(screened.refused.len(), to.len() - sent.len());
            assert!(screened.refused.iter().all(|end| end.status == "5.6.7" && end.fate == Fate::Bounced));
        }
    }

    #[test]
    fn eight_bit_content_bounces_only_where_the_operator_wants_it() {
        let mut message = message("a@example.org", &["b@x.example"]);
        message.body_type = BodyType::EightBitMime;
        assert!(screen(&message, Extensions::default(), EightBit::Send).refused.is_empty());
        assert_eq!(screen(&message, Extensions::default(), EightBit::Bounce).refused[0].status, "5.6.3");
        message.body_type = BodyType::SevenBit;
        message.header_needs_utf8 = true;
        assert_eq!(screen(&message, Extensions::default(), EightBit::Send).refused[0].status, "5.6.7");
        message.smtputf8 = false; // nobody declared it
        assert!(screen(&message, Extensions::default(), EightBit::Send).refused.is_empty());
    }
}
