//! The one event type: a fact that happened to accepted mail, an account, an egress, or by an operator.
//!
//! Events are appended to the journal inside the transaction of the deed; log lines, metrics and history read them from
//! there, so no two reports drift apart. A name is never renamed, only retired.

use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountSource};
use crate::clock::WallMs;

/// A fact. The field names here are the log's and the journal's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// A message was taken over with 250.
    #[serde(rename = "message.accepted")]
    Accepted {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// How that is known.
        source: AccountSource,
        /// Reverse-path, empty for the null one.
        from: String,
        /// How many recipients.
        recipients: u32,
        /// The received message in bytes, our prefix not counted.
        size_bytes: u64,
        /// The address or socket of the client.
        client: String,
        /// The client MTA's own queue id, where it told it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mta_id: Option<String>,
        /// Message-ID field.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        message_id: Option<String>,
    },
    /// A message was taken and waits for a person.
    #[serde(rename = "message.held")]
    Held {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// Score in points.
        score_points: i32,
        /// The heaviest reason.
        reason: String,
    },
    /// A message was refused at the end of its content by its score; nothing of it was kept.
    #[serde(rename = "message.rejected")]
    Rejected {
        /// The queue id that it would have had.
        id: String,
        /// Whom it would have counted against.
        account: Account,
        /// Reverse-path.
        from: String,
        /// Message-ID.
        message_id: Option<String>,
        /// Score in points.
        score_points: i32,
        /// The heaviest reasons.
        reasons: Vec<String>,
    },
    /// A delivery was taken by the next hop.
    #[serde(rename = "delivery.delivered")]
    Delivered {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// Recipient.
        to: String,
        /// Egress name.
        egress: String,
        /// Host and address that took it.
        next_hop: String,
        /// Its words.
        reply: String,
    },
    /// A delivery was put off.
    #[serde(rename = "delivery.deferred")]
    Deferred {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// Recipient.
        to: String,
        /// Why: the next hop's words or ours.
        reply: String,
        /// When it is tried again, Unix milliseconds.
        due: WallMs,
    },
    /// A delivery failed for good; a DSN or an operator's copy stands in its place.
    #[serde(rename = "delivery.bounced")]
    Bounced {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// Recipient.
        to: String,
        /// Why.
        reply: String,
        /// The queue id of the report, if one was made.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        dsn: Option<String>,
    },
    /// An operator took a message or a delivery out of the queue.
    #[serde(rename = "message.removed")]
    Removed {
        /// Queue id.
        id: String,
        /// Whom it counted against.
        account: Account,
        /// Who did it.
        by: String,
        /// How many recipients had not been served.
        recipients: u32,
    },
    /// A held message was let go by an operator.
    #[serde(rename = "message.released")]
    Released {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// Who did it.
        by: String,
    },
    /// An attempt's end is not known (connection lost after content began, crash): its slots stay used, the mail is
    /// tried again, and a recipient may get a second copy.
    #[serde(rename = "attempt.unknown")]
    AttemptUnknown {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// How many recipients were under way.
        recipients: u32,
        /// What happened.
        reason: String,
    },
    /// Content with bytes over 127 was sent as it is to a next hop that does not offer 8BITMIME; told at a message's first
    /// attempt alone.
    #[serde(rename = "message.eightbit-as-is")]
    EightBitAsIs {
        /// Queue id.
        id: String,
        /// Whom it counts against.
        account: Account,
        /// Host and address of the next hop.
        next_hop: String,
    },
    /// A report (RFC 3464) was queued.
    #[serde(rename = "dsn.queued")]
    DsnQueued {
        /// The report's queue id.
        id: String,
        /// The message reported on.
        of: String,
        /// The account of the message reported on.
        account: Account,
        /// `failed`, `delayed`, `delivered` or `relayed`.
        action: String,
        /// To whom.
        to: String,
    },
    /// A report that its sender may not or cannot be sent went to the operator; or to nobody, as its reason then says.
    #[serde(rename = "dsn.to-operator")]
    DsnToOperator {
        /// The message reported on.
        of: String,
        /// Its account.
        account: Account,
        /// Why no DSN was sent.
        reason: String,
    },
    /// 90 % of a limit is used (again after it fell below 75 %).
    #[serde(rename = "limit.nearly-reached")]
    LimitNearlyReached {
        /// The key: an account, an egress, a login.
        key: String,
        /// The rule with its unit.
        rule: String,
        /// Slots in use.
        used: u32,
        /// Slots in all.
        slots: u32,
        /// How the account is known, if it is an account's limit.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        source: Option<AccountSource>,
        /// Whose recipients were busiest, most first.
        busiest: Vec<String>,
    },
    /// A gate was closed: mail behind it is held.
    #[serde(rename = "gate.closed")]
    GateClosed {
        /// `account`, `egress` or `all`.
        kind: String,
        /// Which one; empty for `all`.
        key: String,
        /// Who closed it.
        by: String,
        /// Why.
        reason: String,
        /// Deliveries under way at that moment, which can't be called back.
        under_way: u32,
    },
    /// A gate was opened.
    #[serde(rename = "gate.opened")]
    GateOpened {
        /// `account`, `egress` or `all`.
        kind: String,
        /// Which one; empty for `all`.
        key: String,
        /// Who opened it.
        by: String,
    },
    /// A next hop cannot be used at all now: not reached, a 5xx at greeting, EHLO, STARTTLS or AUTH, a loop.
    #[serde(rename = "next-hop.trouble")]
    NextHopTrouble {
        /// The line of mail that waits for it.
        destination: String,
        /// What happened, in its words or ours.
        reason: String,
        /// What the operator can do.
        advice: String,
        /// When it is tried again, Unix milliseconds.
        due: WallMs,
    },
    /// Rotating senders were merged into one account.
    #[serde(rename = "account.merged")]
    AccountMerged {
        /// The account that takes them.
        into: Account,
        /// The first reverse-path that was merged.
        from: String,
        /// How many new ones were seen within the hour.
        new_senders: u32,
        /// Whether it only reports (the first seven days).
        report_only: bool,
    },
    /// An account's mail is held message after message: it is perhaps in foreign hands.
    #[serde(rename = "account.suspect")]
    AccountSuspect {
        /// Whom.
        account: Account,
        /// Messages of the last hour that were held.
        held: u32,
        /// All messages of the last hour.
        messages: u32,
        /// Whether all of its mail is held from now on.
        gate_closed: bool,
    },
    /// Once a day while anything is held: how much, and since when.
    #[serde(rename = "queue.held")]
    HeldReminder {
        /// Deliveries held by their verdict or by a next hop's word.
        held: u64,
        /// The queue id of the oldest of them.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        oldest: Option<String>,
        /// When that one came, Unix milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        since: Option<WallMs>,
        /// Deliveries behind the gates of accounts, or before all mail.
        behind_gates: u64,
        /// The closed gates, the oldest first.
        gates: Vec<String>,
    },
    /// The doctor found that something which was right, or less bad, is so no more.
    #[serde(rename = "doctor.worse")]
    DoctorWorse {
        /// The egress or domain.
        subject: String,
        /// What was examined, a stable name.
        check: String,
        /// Which of its egresses, keys, lists or mailboxes; empty where there is but one.
        about: String,
        /// `warning` or `fault`.
        grade: String,
        /// What was found.
        found: String,
        /// The record or command that mends it.
        mend: String,
    },
    /// The doctor found right again what was wrong.
    #[serde(rename = "doctor.better")]
    DoctorBetter {
        /// The egress or domain.
        subject: String,
        /// What was examined, a stable name.
        check: String,
        /// Which of its egresses, keys, lists or mailboxes; empty where there is but one.
        about: String,
        /// What was found.
        found: String,
    },
    /// The daemon started.
    #[serde(rename = "daemon.started")]
    Started {
        /// Version.
        version: String,
        /// Deliveries waiting.
        waiting: u64,
        /// Attempts that a crash left open.
        unknown_attempts: u32,
    },
    /// The configuration was read again.
    #[serde(rename = "daemon.reloaded")]
    Reloaded {
        /// What is different, one short phrase a section.
        changes: Vec<String>,
        /// Who asked for it over the control socket; nobody is named at SIGHUP.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The daemon stopped in order.
    #[serde(rename = "daemon.stopped")]
    Stopped {
        /// Deliveries left waiting.
        waiting: u64,
    },
}

impl Event {
    /// The name in journal, log and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "message.accepted",
            Self::Held { .. } => "message.held",
            Self::Rejected { .. } => "message.rejected",
            Self::Delivered { .. } => "delivery.delivered",
            Self::Deferred { .. } => "delivery.deferred",
            Self::Bounced { .. } => "delivery.bounced",
            Self::Removed { .. } => "message.removed",
            Self::Released { .. } => "message.released",
            Self::AttemptUnknown { .. } => "attempt.unknown",
            Self::EightBitAsIs { .. } => "message.eightbit-as-is",
            Self::DsnQueued { .. } => "dsn.queued",
            Self::DsnToOperator { .. } => "dsn.to-operator",
            Self::LimitNearlyReached { .. } => "limit.nearly-reached",
            Self::GateClosed { .. } => "gate.closed",
            Self::GateOpened { .. } => "gate.opened",
            Self::NextHopTrouble { .. } => "next-hop.trouble",
            Self::AccountMerged { .. } => "account.merged",
            Self::AccountSuspect { .. } => "account.suspect",
            Self::HeldReminder { .. } => "queue.held",
            Self::DoctorWorse { .. } => "doctor.worse",
            Self::DoctorBetter { .. } => "doctor.better",
            Self::Started { .. } => "daemon.started",
            Self::Reloaded { .. } => "daemon.reloaded",
            Self::Stopped { .. } => "daemon.stopped",
        }
    }

    /// The message it is about: the queue id under which `trace` finds it.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Accepted { id, .. }
            | Self::Held { id, .. }
            | Self::Rejected { id, .. }
            | Self::Delivered { id, .. }
            | Self::Deferred { id, .. }
            | Self::Bounced { id, .. }
            | Self::Removed { id, .. }
            | Self::Released { id, .. }
            | Self::AttemptUnknown { id, .. }
            | Self::EightBitAsIs { id, .. } => Some(id),
            Self::DsnQueued { of, .. } | Self::DsnToOperator { of, .. } => Some(of),
            Self::LimitNearlyReached { .. }
            | Self::GateClosed { .. }
            | Self::GateOpened { .. }
            | Self::NextHopTrouble { .. }
            | Self::AccountMerged { .. }
            | Self::AccountSuspect { .. }
            | Self::HeldReminder { .. }
            | Self::DoctorWorse { .. }
            | Self::DoctorBetter { .. }
            | Self::Started { .. }
            | Self::Reloaded { .. }
            | Self::Stopped { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_journal_is_the_name_in_the_code() {
        let event = Event::Stopped { waiting: 3 };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], event.name());
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
