//! From a dialogue to the end of each recipient. Pure.

use super::attempt::{Fate, RecipientEnd, ReportDuty, Signal, SignalKind};
use super::classify::{Answered, HopKind, Meaning, ReplyTable};
use super::next_hop::NextHop;
use super::screen::{Screened, ScreenedRcpt};
use super::under_way::{Dialogue, Sent};
use crate::smtp::client::{PeerReply, Stage, Tone, Transaction};

/// The end of each recipient that was in the transaction, and what the replies say beyond it.
pub(super) fn ends(hop: &NextHop, screened: &Screened<'_>, dialogue: &Dialogue) -> (Vec<RecipientEnd>, Vec<Signal>) {
    let next_hop = hop.peer.to_string();
    let duty = if hop.offered.dsn { ReportDuty::NextHops } else { ReportDuty::Ours };
    let (table, reverse_path) = (&*hop.edges.replies, &*screened.reverse_path);
    let judge = Judge { table, kind: hop.kind, next_hop: &next_hop, duty, reverse_path };
    let mut signals = Vec::new();
    let mut ends = Vec::with_capacity(screened.rcpts.len());
    for (at, rcpt) in screened.rcpts.iter().enumerate() {
        let (end, signal) = judge.end(rcpt, at, dialogue);
        ends.push(end);
        signals.extend(signal.filter(|new: &Signal| signals.iter().all(|known: &Signal| known.kind != new.kind)));
    }
    (ends, signals)
}

struct Judge<'a> {
    table: &'a ReplyTable,
    kind: HopKind,
    next_hop: &'a str,
    duty: ReportDuty,
    reverse_path: &'a str,
}

impl Judge<'_> {
    fn end(&self, rcpt: &ScreenedRcpt<'_>, at: usize, dialogue: &Dialogue) -> (RecipientEnd, Option<Signal>) {
        let (index, transaction) = (rcpt.index, &dialogue.transaction);
        if dialogue.was_stale {
            let words = format!("{} closed a connection that was used before", self.next_hop);
            return (RecipientEnd::ours(index, Fate::Again, "4.4.2", words), None);
        }
        if let Some((stage, reply)) = transaction.verdict(at).or_else(|| closing(dialogue)) {
            let (recipient, reverse_path) = (&*rcpt.facts.address, self.reverse_path);
            let (fate, signal) = self.fate(transaction, Answered { stage, reply, recipient, reverse_path });
            return (RecipientEnd::replied(index, fate, self.next_hop, stage, reply), signal);
        }
        let why = dialogue.lost.as_deref().unwrap_or("the next hop gave no answer about this recipient");
        let words = match dialogue.content {
            Sent::Begun => format!("{why}; the message was sent and may have arrived, a second copy is possible"),
            Sent::Nothing => why.to_owned(),
        };
        (RecipientEnd::ours(index, Fate::Deferred, "4.4.2", words), None)
    }

    fn fate(&self, transaction: &Transaction, answered: Answered<'_>) -> (Fate, Option<Signal>) {
        let Answered { stage, reply, .. } = answered;
        if reply.tone() == Tone::Done {
            return (Fate::Delivered(self.duty), None);
        }
        if stage == Stage::Rcpt && transaction.accepted() > 0 && is_too_many_recipients(reply) {
            return (Fate::Again, None);
        }
        let judgement = self.table.judge(self.kind, answered);
        let refused = reply.tone() == Tone::Never;
        let (fate, kind) = match judgement.meaning {
            Meaning::Retry => (Fate::Deferred, None),
            Meaning::Slow => (Fate::Deferred, Some(SignalKind::SlowDestination)),
            Meaning::EgressRefused => (Fate::Deferred, Some(SignalKind::EgressRefused)),
            Meaning::LoginRefused => (Fate::Deferred, Some(SignalKind::LoginRefused)),
            Meaning::LimitFull => (Fate::Deferred, Some(SignalKind::LimitFull)),
            Meaning::Mend => (Fate::Deferred, Some(SignalKind::AskOperator)),
            Meaning::Bounce => (Fate::Bounced, None),
            Meaning::BounceAndTell => (Fate::Bounced, Some(SignalKind::AskOperator)),
            Meaning::Hold => (Fate::Held, Some(SignalKind::AskOperator)),
        };
        // "Not now" is tried again, whatever the words mean for the rest.
        let fate = if refused || fate == Fate::Deferred { fate } else { Fate::Deferred };
        let signal = kind.map(|kind| Signal {
            kind,
            row: judgement.row.to_owned(),
            sentence: judgement.sentence.to_owned(),
            reply: reply.to_string(),
        });
        (fate, signal)
    }
}

/// The 421 that stands for all replies that did not come any more, unless content was under way: then nothing is known.
fn closing(dialogue: &Dialogue) -> Option<(Stage, &PeerReply)> {
    let reply = dialogue.transaction.closing()?;
    (dialogue.content == Sent::Nothing).then(|| (dialogue.transaction.stage(), reply))
}

/// `452 4.5.3` or, from servers of before RFC 2821, `552` (RFC 5321 4.5.3.1.10).
fn is_too_many_recipients(reply: &PeerReply) -> bool {
    let coded = reply.enhanced.is_some_and(|enhanced| (enhanced.subject, enhanced.detail) == (5, 3));
    matches!(reply.code, 452 | 552) && (coded || reply.text.to_ascii_lowercase().contains("too many recipients"))
}
