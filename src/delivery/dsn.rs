//! Reports to senders: failure, delay and, where asked for, success (RFC 3461 6, RFC 3464, RFC 6533).
//!
//! Pure: ids, times and bytes are given, and a message to be stored comes out. A report is never answered with a report: it
//! has the null reverse-path, and what came with it goes to the operator, or waits for one.

use std::fmt::Write as _;

use bytes::Bytes;
use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};

use super::original::{Original, Scope};
use super::route::{Facts, Router};
use super::settings::DsnSettings;
use crate::account::AccountSource;
use crate::clock::{Now, WallMs};
use crate::event::Event;
use crate::guard::Verdict;
use crate::mail::{Address, BodyType, Envelope, OriginalRecipient, QueueId, Recipient, Ret, ReversePath};
use crate::smtp::client::transaction::original_xtext;
use crate::store::{Acceptance, Body, MessageRow};

/// The most of a next hop's words that a report repeats, in bytes.
const WORDS_BYTES_MAX: usize = 500;

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// It failed for good.
    Failed,
    /// It was held, or behind a gate, until it was as old as mail may become. Only who is surely ours is told: the sender of a domain in
    /// [`DsnSettings::own_domains`], or else the operator, and of the header alone.
    Unreleased,
    /// It waits, and is tried until then.
    Delayed {
        /// When it would be given up.
        until: WallMs,
    },
    /// The next hop took it and does not report itself (RFC 3461 5.2.2).
    Relayed,
}

/// One recipient of a report.
#[derive(Debug, Clone)]
pub struct Reported<'a> {
    /// Who.
    pub recipient: &'a Recipient,
    /// `5.1.1`
    pub status: &'a str,
    /// What happened, for people.
    pub words: &'a str,
    /// The next hop's reply, where it decided.
    pub diagnostic: Option<&'a str>,
    /// The host that gave it.
    pub remote_mta: Option<&'a str>,
    /// When it was last tried.
    pub last_attempt: Option<WallMs>,
}

/// What a report is made with.
#[derive(Debug, Clone, Copy)]
pub struct ReportBasis<'a> {
    /// The new message's id.
    pub id: QueueId,
    /// Now.
    pub now: Now,
    /// The name of this host.
    pub host_name: &'a str,
    /// `[dsn]`
    pub settings: &'a DsnSettings,
    /// Where the report goes.
    pub router: &'a Router,
    /// Dispatch's class for reports.
    pub class: u8,
}

/// What stands in the place of what ended.
#[derive(Debug)]
pub enum Report {
    /// Nobody wants to be told (`NOTIFY`, or a success or delay of what has no sender).
    NotWanted,
    /// A message to the sender, or to the operator where the sender cannot be told; its event says which. To be stored in
    /// the transaction of the end.
    Message(Box<Acceptance>),
    /// What failed is a report itself and can be sent to nobody: it is held for a person, for this reason.
    Hold(&'static str),
    /// It was held to its end and there is nobody to send it to: the event alone tells of it.
    EventOnly(Event),
}

/// Why a report that failed is held.
const NO_OPERATOR: &str = "it is a report that could not be delivered, and [dsn] operator is not set";
const NOT_TO_OPERATOR: &str = "it is a report that could not be delivered, not even to [dsn] operator";

impl ReportKind {
    /// The action field, and the word in events.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Failed | Self::Unreleased => "failed",
            Self::Delayed { .. } => "delayed",
            Self::Relayed => "relayed",
        }
    }

    /// Whether this recipient's sender wants such a report (RFC 3461 4.1).
    pub fn is_wanted(self, recipient: &Recipient) -> bool {
        match self {
            Self::Failed | Self::Unreleased => recipient.wants_failure(),
            Self::Delayed { .. } => recipient.wants_delay(),
            Self::Relayed => recipient.wants_success(),
        }
    }

    /// How much of the message it carries where MAIL asked for this: only a failure's may be more than the header
    /// (RFC 3461 4.3), and of held mail nobody gets more.
    pub fn carries(self, asked: Option<Ret>) -> Option<Ret> {
        asked.filter(|_| self == Self::Failed)
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Failed | Self::Unreleased => "Undelivered mail returned to sender",
            Self::Delayed { .. } => "Delayed mail (still being tried)",
            Self::Relayed => "Mail was relayed",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Failed => "Your message could not be delivered to the recipients below. It is not tried again.",
            Self::Unreleased => {
                "The message was held for review by this relay and nobody released it. It was not delivered to the \
                 recipients below, and is not kept any longer."
            }
            Self::Delayed { .. } => {
                "Your message has not been delivered to the recipients below yet. It is still being tried: you need not \
                 send it again."
            }
            Self::Relayed => {
                "Your message was handed on for the recipients below, to a server that does not report delivery. You may \
                 hear no more about it."
            }
        }
    }
}

/// Makes the report on these recipients of a message; those who do not want it are left out.
pub fn report(
    kind: ReportKind,
    message: &MessageRow,
    original: &Original,
    recipients: &[Reported<'_>],
    basis: ReportBasis<'_>,
) -> Report {
    let wanted: Vec<&Reported<'_>> = recipients.iter().filter(|one| kind.is_wanted(one.recipient)).collect();
    if wanted.is_empty() {
        return Report::NotWanted;
    }
    let (of, account) = (message.id.to_string(), message.account.clone());
    let (to, event) = match (&message.reverse_path, kind) {
        (ReversePath::Address(sender), _) if kind != ReportKind::Unreleased || basis.settings.is_own(sender) => {
            let (id, action, to) = (basis.id.to_string(), kind.action().to_owned(), sender.to_string());
            (sender, Event::DsnQueued { id, of, account, action, to })
        }
        (ReversePath::Null, ReportKind::Delayed { .. } | ReportKind::Relayed) => return Report::NotWanted,
        (reverse_path, _) => {
            let reason = match reverse_path {
                ReversePath::Null => format!("its reverse-path is null: {}", wanted[0].words),
                ReversePath::Address(_) => {
                    format!("it was held, and its sender is of no own domain: {}", wanted[0].words)
                }
            };
            // What the operator cannot be sent must not be sent to the operator again.
            let is_copy = |operator: &Address| wanted.iter().any(|one| one.recipient.address == *operator);
            let whom = match &basis.settings.operator {
                Some(operator) if !is_copy(operator) => Ok(operator),
                Some(_) => Err(NOT_TO_OPERATOR),
                None => Err(NO_OPERATOR),
            };
            match (whom, kind) {
                (Ok(operator), _) => (operator, Event::DsnToOperator { of, account, reason }),
                (Err(_), ReportKind::Unreleased) => {
                    let reason =
                        format!("nobody was told, for [dsn] operator is not set or cannot be reached: {reason}");
                    return Report::EventOnly(Event::DsnToOperator { of, account, reason });
                }
                (Err(why), _) => return Report::Hold(why),
            }
        }
    };
    let text = Text { kind, message, original, recipients: &wanted, basis, to, global: message.smtputf8 };
    Report::Message(Box::new(text.acceptance(event)))
}

/// Everything that the bytes are made of.
struct Text<'a> {
    kind: ReportKind,
    message: &'a MessageRow,
    original: &'a Original,
    recipients: &'a [&'a Reported<'a>],
    basis: ReportBasis<'a>,
    to: &'a Address,
    /// Whether the sender understands the forms of RFC 6533.
    global: bool,
}

impl Text<'_> {
    fn acceptance(&self, event: Event) -> Acceptance {
        let settings = self.basis.settings;
        let message_id = format!("{}.dsn@{}", self.basis.id, self.basis.host_name);
        let bytes = self.bytes(&message_id);
        let from = self.from();
        let from_domain = from.rsplit_once('@').map(|(_, domain)| domain);
        let facts = Facts {
            account: &settings.account,
            reverse_path: &ReversePath::Null,
            recipient_domain: self.to.domain(),
            from_domain,
        };
        let eightbit = !bytes.is_ascii();
        Acceptance {
            id: self.basis.id,
            received: self.basis.now,
            client: "outguard".to_owned(),
            account: settings.account.clone(),
            source: AccountSource::Own,
            envelope: Envelope {
                reverse_path: ReversePath::Null,
                recipients: vec![Recipient::plain(self.to.clone())],
                body: if eightbit { BodyType::EightBitMime } else { BodyType::SevenBit },
                smtputf8: self.global,
                ret: None,
                envid: None,
            },
            destinations: vec![self.basis.router.dsn_destination(facts)],
            class: self.basis.class,
            mta_id: None,
            message_id: Some(format!("<{message_id}>")),
            header_from: from_domain.map(str::to_owned),
            prefix: Bytes::new(),
            verdict: Verdict::unjudged(),
            header_needs_utf8: !self.to.is_ascii(),
            body: Body::Inline(bytes),
            report_on: Some((self.message.id, event)),
        }
    }

    fn from(&self) -> String {
        let own = || format!("MAILER-DAEMON@{}", self.basis.host_name);
        self.basis.settings.from.as_ref().map_or_else(own, ToString::to_string)
    }

    fn bytes(&self, message_id: &str) -> Bytes {
        let boundary = self.original.free_boundary(self.basis.id, self.basis.now.wall);
        let raw = |bytes: Vec<u8>| BodyPart::Binary(bytes.into());
        let encoding = |bytes: &[u8]| if bytes.is_ascii() { "7bit" } else { "8bit" };
        let status = self.status().into_bytes();
        let status_type = if self.global { "message/global-delivery-status" } else { "message/delivery-status" };
        let original_type = match (self.original.scope, self.global) {
            (Scope::Whole, false) => "message/rfc822",
            (Scope::Whole, true) => "message/global",
            (Scope::Header, false) => "text/rfc822-headers",
            (Scope::Header, true) => "message/global-headers",
        };
        let status_encoding = encoding(&status);
        let parts = vec![
            MimePart::new(ContentType::new("text/plain").attribute("charset", "utf-8"), self.explanation()),
            MimePart::new(status_type, raw(status)).transfer_encoding(status_encoding),
            MimePart::new(original_type, raw(self.original.bytes.to_vec()))
                .transfer_encoding(encoding(&self.original.bytes)),
        ];
        let kind = ContentType::new("multipart/report")
            .attribute("report-type", if self.global { "global-delivery-status" } else { "delivery-status" })
            .attribute("boundary", boundary);
        let mut bytes = Vec::new();
        MessageBuilder::new()
            .header("From", Raw::new(format!("Mail delivery <{}>", self.from())))
            .header("To", Raw::new(self.to.to_string()))
            .header("Subject", Raw::new(self.kind.subject()))
            .date(date(self.basis.now.wall))
            .message_id(message_id)
            .header("Auto-Submitted", Raw::new("auto-replied"))
            .header("MIME-Version", Raw::new("1.0"))
            .body(MimePart::new(kind, BodyPart::Multipart(parts)))
            .serialize(&mut bytes);
        bytes.into()
    }

    /// The part for people.
    fn explanation(&self) -> String {
        let mut text = format!("This is the mail relay at {}.\r\n\r\n", self.basis.host_name);
        text.push_str(self.kind.explanation());
        if let ReportKind::Delayed { until } = self.kind {
            let _ = write!(text, " It is given up at {}.", date(until).to_rfc822()); // writing to a String cannot fail
        }
        text.push_str("\r\n");
        for one in self.recipients {
            let words = self.shown(one.words);
            let _ = write!(text, "\r\n<{}>\r\n  {words}\r\n", one.recipient.address); // writing to a String cannot fail
        }
        text
    }

    /// The part for programs (RFC 3464 2.1).
    fn status(&self) -> String {
        let mut fields = Fields(String::new());
        fields.add("Reporting-MTA", &format!("dns; {}", self.basis.host_name));
        if let Some(envid) = &self.message.envid {
            fields.add("Original-Envelope-Id", &self.shown(envid));
        }
        fields.add("Arrival-Date", &date(self.message.received).to_rfc822());
        fields.add("X-Outguard-Queue-Id", &self.message.id.to_string());
        for one in self.recipients {
            fields.0.push_str("\r\n");
            if let Some(original) = &one.recipient.original {
                let address = self.original_address(original);
                fields.add("Original-Recipient", &self.shown(&format!("{}; {address}", original.address_type)));
            }
            let address = &one.recipient.address;
            let form = if address.is_ascii() { "rfc822" } else { "utf-8" };
            fields.add("Final-Recipient", &self.shown(&format!("{form}; {address}")));
            fields.add("Action", self.kind.action());
            fields.add("Status", one.status);
            if let Some(host) = one.remote_mta {
                fields.add("Remote-MTA", &format!("dns; {}", self.shown(host)));
            }
            if let Some(diagnostic) = one.diagnostic {
                fields.add("Diagnostic-Code", &format!("smtp; {}", self.shown(diagnostic)));
            }
            if let Some(at) = one.last_attempt {
                fields.add("Last-Attempt-Date", &date(at).to_rfc822());
            }
            if let ReportKind::Delayed { until } = self.kind {
                fields.add("Will-Retry-Until", &date(until).to_rfc822());
            }
        }
        fields.0
    }

    /// The address of ORCPT, decoded (RFC 3464 2.3.1); still encoded where the field could not bear it as it is.
    fn original_address(&self, original: &OriginalRecipient) -> String {
        let printable = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
        let is_plain = !original.is_international() && original.address.split(' ').all(printable);
        if self.global || is_plain { original.address.to_string() } else { original_xtext(original) }
    }

    /// A text of others, bounded, on one line; in ASCII unless the sender understands more.
    fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        for c in text.chars() {
            if shown.len() >= WORDS_BYTES_MAX {
                shown.push_str("...");
                break;
            }
            match c {
                ' '..='~' => shown.push(c),
                c if self.global && !c.is_control() => shown.push(c),
                c => shown.extend(c.escape_unicode()),
            }
        }
        shown
    }
}

/// Header fields, folded at spaces (RFC 5322 2.2.3).
struct Fields(String);

impl Fields {
    const LINE_CHARS: usize = 76;

    fn add(&mut self, name: &str, value: &str) {
        let mut line = name.len() + 1;
        self.0.push_str(name);
        self.0.push(':');
        for word in value.split(' ').filter(|word| !word.is_empty()) {
            if line + 1 + word.len() > Self::LINE_CHARS && line > name.len() + 1 {
                self.0.push_str("\r\n");
                line = 0;
            }
            self.0.push(' ');
            self.0.push_str(word);
            line += 1 + word.len();
        }
        self.0.push_str("\r\n");
    }
}

fn date(at: WallMs) -> Date {
    Date::new(i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
