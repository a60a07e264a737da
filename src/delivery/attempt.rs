//! What an attempt is given and how it ends: a message with its recipients in, the fate of each recipient out.

use std::sync::Arc;

use super::next_hop::NextHop;
use crate::mail::{BodyType, Recipient, Ret, ReversePath};
use crate::smtp::client::{PeerReply, Stage};
use crate::store::{Content, DeliveryRow, Index, Lease, MessageRow, SlotsEnd};

/// A message on its way to a next hop, with the recipients of one lease.
#[derive(Debug)]
pub struct Outgoing {
    /// Where failures are told.
    pub reverse_path: ReversePath,
    /// Those of the lease, in their order.
    pub recipients: Vec<(Index, Recipient)>,
    /// As the client declared it.
    pub body_type: BodyType,
    /// Whether the client declared SMTPUTF8.
    pub smtputf8: bool,
    /// Whether the header has bytes over 127.
    pub header_needs_utf8: bool,
    /// `RET=`
    pub ret: Option<Ret>,
    /// `ENVID=`
    pub envid: Option<Box<str>>,
    /// The bytes that leave.
    pub content: Content,
}

impl Outgoing {
    /// The message of a row, to those of its deliveries that the lease is for.
    pub fn new(message: &MessageRow, deliveries: &[DeliveryRow], lease: &Lease, content: Content) -> Self {
        let leased = deliveries.iter().filter(|delivery| lease.deliveries().contains(&delivery.index));
        Self {
            reverse_path: message.reverse_path.clone(),
            recipients: leased.map(|delivery| (delivery.index, delivery.recipient.clone())).collect(),
            body_type: message.body_type,
            smtputf8: message.smtputf8,
            header_needs_utf8: message.header_needs_utf8,
            ret: message.ret,
            envid: message.envid.clone(),
            content,
        }
    }
}

/// How an attempt ended. The lease is in it, to be concluded.
#[derive(Debug)]
pub struct AttemptEnd {
    /// What was leased.
    pub lease: Lease,
    /// Whether content left, which is what slots are used for.
    pub content: ContentBegan,
    /// The end of each recipient.
    pub recipients: Vec<RecipientEnd>,
    /// What the replies say beyond this message.
    pub signals: Vec<Signal>,
    /// The egress's name.
    pub egress: Arc<str>,
    /// Host and address: `mx.example[192.0.2.1]:25`.
    pub next_hop: String,
    /// Whether content with bytes over 127 went as it is to a next hop that does not offer 8BITMIME.
    pub eightbit_as_is: bool,
    /// The connection, if it can take another message.
    pub connection: Option<NextHop>,
}

impl AttemptEnd {
    /// Where the slots go, if refused recipients give theirs back.
    pub fn slots(&self) -> SlotsEnd {
        match self.content {
            ContentBegan::No => SlotsEnd::Returned,
            ContentBegan::Yes { recipients } => SlotsEnd::Used { recipients, messages: 1 },
            ContentBegan::Unanswered => SlotsEnd::Unknown,
        }
    }
}

/// Whether the first byte of content was handed to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentBegan {
    /// It was not: nothing that a network counts has left.
    No,
    /// It was, to so many accepted recipients, and the next hop answered it.
    Yes {
        /// Recipients that the next hop had accepted.
        recipients: u32,
    },
    /// It was, and no answer came: it may have been taken (invariant 3, a second copy is possible).
    Unanswered,
}

/// How the attempt ended for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientEnd {
    /// Which.
    pub index: Index,
    /// What is to become of it.
    pub fate: Fate,
    /// For store, log and history: who said what.
    pub words: String,
    /// Status for a report (RFC 3464 2.3.4), such as `5.1.1`.
    pub status: String,
    /// The next hop's own words, if it is they that decided.
    pub diagnostic: Option<String>,
}

/// What is to become of a recipient after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Taken by the next hop.
    Delivered(ReportDuty),
    /// Not now: tried again by the schedule.
    Deferred,
    /// Not in this transaction, at once in the next; no attempt is counted. After 452 4.5.3, and where the next hop closed a
    /// connection used before instead of answering MAIL: the next is a new one, so this cannot go on for ever.
    Again,
    /// Never.
    Bounced,
    /// A person must look first.
    Held,
}

/// Who reports success, where it was asked for (RFC 3461 5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportDuty {
    /// The next hop speaks DSN and was told.
    NextHops,
    /// It does not: a report of "relayed" is ours to make.
    Ours,
}

/// What a reply says about more than its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// What it says.
    pub kind: SignalKind,
    /// The row of the table that says so.
    pub row: String,
    /// One plain sentence for the operator, from that row.
    pub sentence: String,
    /// The next hop's words.
    pub reply: String,
}

/// What is to be done beyond the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalKind {
    /// The hourly limit of the login, or without one of the egress, is used up at the next hop: nothing for W.
    LimitFull,
    /// The login is refused: not tried again until its pause is over.
    LoginRefused,
    /// This destination wants less mail for a while.
    SlowDestination,
    /// This destination refuses the egress for its reputation.
    EgressRefused,
    /// A fault that only the operator can mend.
    AskOperator,
}

/// A lease whose attempt was dropped before its end: unknown, whatever had been sent.
#[derive(Debug)]
pub struct Abandoned {
    /// What was leased.
    pub lease: Lease,
    /// The egress's name.
    pub egress: Arc<str>,
    /// Host and address.
    pub next_hop: String,
}

/// Between the next hop's name and what it answered, in [`RecipientEnd::words`].
const SAID: &str = " said in reply to ";

impl RecipientEnd {
    /// An end that the next hop's reply decided.
    pub(super) fn replied(index: Index, fate: Fate, next_hop: &str, stage: Stage, reply: &PeerReply) -> Self {
        let words = format!("{next_hop}{SAID}{stage}: {reply}");
        Self { index, fate, words, status: reply.status(), diagnostic: Some(reply.to_string()) }
    }

    /// The reply within words that were stored, such as `450 4.2.1 mailbox busy`; `None` where the next hop said nothing.
    pub fn reply_in(words: &str) -> Option<&str> {
        let (_, said) = words.split_once(SAID)?;
        let (_, reply) = said.split_once(": ")?;
        reply.get(..3)?.bytes().all(|b| b.is_ascii_digit()).then_some(reply)
    }

    /// Status of a delivery that is late or given up after such words. RFC 3463 3.5 (X.4.7) wants the actual problem where
    /// one is known: what the next hop said, or X.4.1 where it gave no answer. 4.4.7, "too old", is for what was never
    /// tried.
    pub fn status_of_late(last_words: Option<&str>) -> String {
        let Some(words) = last_words else { return "4.4.7".to_owned() };
        let Some(reply) = Self::reply_in(words) else { return "4.4.1".to_owned() };
        let status = reply.split(' ').nth(1).unwrap_or_default();
        match status.split('.').map(str::parse::<u16>).collect::<Result<Vec<u16>, _>>().as_deref() {
            // Whatever it said, the delivery went on after it: the class is that of what is not for good.
            Ok([_, subject, detail]) => format!("4.{subject}.{detail}"),
            Ok(_) | Err(_) => "4.0.0".to_owned(),
        }
    }

    /// An end that we decided.
    pub(super) fn ours(index: Index, fate: Fate, status: &str, words: String) -> Self {
        Self { index, fate, words, status: status.to_owned(), diagnostic: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_has_the_status_of_what_went_wrong() {
        let cases = [
            (None, "4.4.7"), // never tried: all there is to say is that it is old
            (Some("mx.example: not reached in 30 s (timed out)"), "4.4.1"),
            (Some("mx.example[192.0.2.1]:25 said in reply to RCPT: 450 4.2.1 busy: later"), "4.2.1"),
            (Some("mx.example[192.0.2.1]:25 said in reply to MAIL: 451 later"), "4.0.0"), // no enhanced code
            (Some("mx.example[192.0.2.1]:25 said in reply to the content: 554 5.7.1 not now"), "4.7.1"), // waits all the same
            (Some("mx.example[192.0.2.1]:25 said in reply to RCPT: 450 4.2 x"), "4.0.0"),
            (Some("mx.example[192.0.2.1]:25 said in reply to RCPT: ä"), "4.4.1"), // no reply at all
        ];
        for (words, expected) in cases {
            assert_eq!(RecipientEnd::status_of_late(words), expected, "{words:?}");
        }
    }
}
