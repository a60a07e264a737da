//! The doctor: what receivers hold against a server or a domain before they read a message, and what mends it.
//!
//! [`gather`] asks DNS and servers; [`examine`] is pure and makes [`Finding`]s of what was gathered: what was found, why
//! it matters, the record or command that mends it. Read [`examine`] first, then `egress` and `domain`, which hold the
//! sentences; `gather` says what is asked and how long, `port25` and `mailbox` visit servers. No mail is ever sent.

mod counted;
mod domain;
mod egress;
mod gather;
mod lists;
mod mailbox;
mod port25;
mod questions;
mod sender_policy;
mod sent;
mod standing;
mod visit;

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::dkim::{Failure, KeyRecord};
use super::dmarc::View;
use super::dns::{Assurance, NoAnswer};
use super::spf::{Spf, SpfResult};
use crate::clock::WallMs;
use crate::mail::ListZone;

pub use gather::{Asked, KeyWanted, Patience, Patient, Reach, Sender, Way, gather};
pub use mailbox::Deliverable;
pub use port25::{Port25, Probe};
pub use sent::{SendingDomain, Sent};
pub use standing::{Change, FindingKey, Standing, Turn};

/// Everything that is known of a server and its domains.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its egresses.
    pub egresses: Vec<EgressFacts>,
    /// Its sending domains.
    pub domains: Vec<DomainFacts>,
    /// Whether the kernel calls the clock right.
    pub clock_synchronised: bool,
    /// Whether there is any DNS.
    pub dns: Answered,
}

/// How many questions DNS answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered {
    /// Questions that were asked.
    pub asked: usize,
    /// Those that had an answer, be it that there is nothing.
    pub answered: usize,
}

/// What is known of an egress.
#[derive(Debug, Clone)]
pub struct EgressFacts {
    /// Its name.
    pub name: String,
    /// Where its connections start; `None`: the system's choice.
    pub local: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: String,
    /// How the world may see it.
    pub ways: Vec<WayFacts>,
}

/// What DNS says of an egress as the world may see it, and what it reaches.
#[derive(Debug, Clone)]
pub struct WayFacts {
    /// `IPv4` or `IPv6` where the system chooses; empty where an address is written.
    pub about: &'static str,
    /// An address of the family that it connects by.
    pub like: IpAddr,
    /// What the world sees.
    pub address: Option<IpAddr>,
    /// Whether it reaches port 25 of others.
    pub port25: Port25,
    /// The names of its address (PTR), each with whether it has the address.
    pub names: Result<Vec<(Box<str>, bool)>, NoAnswer>,
    /// The addresses of the EHLO name, of the address's family.
    pub ehlo_addresses: Result<Vec<IpAddr>, NoAnswer>,
    /// Lists in the DNS, and what each says.
    pub lists: Vec<(ListZone, Listed)>,
}

/// What a list in the DNS says of an address (RFC 5782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// It is not on it.
    No,
    /// It is.
    Yes(Vec<IpAddr>),
    /// It answers 127.255.255 and this byte: it does not talk to us.
    Refused(u8),
    /// It does not answer, or not as a list.
    Unknown(Box<str>),
}

/// The mail exchanges of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchanges {
    /// Their names.
    pub hosts: Vec<Box<str>>,
    /// Whether `.` is among its records: it takes no mail (RFC 7505).
    pub is_null: bool,
    /// Those of them that have no address.
    pub lost: Vec<Box<str>>,
    /// Whether it names none, and has an address of its own, which takes its mail then (RFC 5321 5.1).
    pub is_implied: bool,
}

/// What DNS says of a sending domain.
#[derive(Debug, Clone)]
pub struct DomainFacts {
    /// The domain.
    pub domain: String,
    /// Why it is looked at, a sentence.
    pub origin: String,
    /// SPF from each address of each egress that may carry its mail, as far as it is known.
    pub spf: Vec<SpfFacts>,
    /// Smarthosts that its mail goes through: receivers see theirs, not our addresses.
    pub smarthosts: Vec<String>,
    /// Its DMARC record.
    pub dmarc: Result<View, NoAnswer>,
    /// Its keys, and what is published.
    pub keys: Vec<KeyFacts>,
    /// The text of its SPF record, where it has one.
    pub spf_record: Option<String>,
    /// Its mail exchanges.
    pub exchanges: Result<Exchanges, NoAnswer>,
    /// Whether DNSSEC vouches for its records; `None`: nobody looks.
    pub assurance: Option<Result<Assurance, NoAnswer>>,
    /// Mailboxes that it should have, by local part.
    pub mailboxes: Vec<(String, Deliverable)>,
}

/// SPF from one address.
#[derive(Debug, Clone)]
pub struct SpfFacts {
    /// The egress, and which way of it where it has several: what the finding is about.
    pub about: String,
    /// The egress.
    pub egress: String,
    /// What the world sees.
    pub address: IpAddr,
    /// What receivers find.
    pub spf: Spf,
}

impl SpfFacts {
    /// Before anybody was asked.
    fn not_known(egress: &Patient, way: &str, address: IpAddr, domain: &str, why: &str) -> Self {
        let about = if way.is_empty() { egress.name.clone() } else { format!("{}, {way}", egress.name) };
        let (domain, detail) = (domain.into(), why.into());
        let spf = Spf { result: SpfResult::TempError, domain, lookups: 0, voids: 0, detail };
        Self { about, egress: egress.name.clone(), address, spf }
    }
}

/// A key that signs.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Where its record must stand.
    pub name: String,
    /// What must stand there.
    pub record: String,
    /// What stands there.
    pub published: Result<KeyRecord, Failure>,
}

/// How bad it is. In order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    Right,
    /// It could not be found out.
    Unknown,
    /// Some receivers hold it against us.
    Warning,
    /// Receivers refuse mail for it.
    Fault,
}

impl Grade {
    /// The word for it, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One thing that was examined. [`Finding::subject`], `check` and `about` together name it from one time to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of which egress or domain.
    pub subject: String,
    /// A stable name.
    pub check: Cow<'static, str>,
    /// Which egress, key, list or mailbox of it; empty where there is but one.
    pub about: String,
    /// How bad it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// Why it matters; empty where it is right.
    pub why: Cow<'static, str>,
    /// The record or command that mends it; empty where there is nothing to mend.
    pub mend: String,
}

/// What was found, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// When; absent: nothing was examined yet.
    pub at_ms: Option<WallMs>,
    /// When it is examined again; absent: it is not.
    pub next_ms: Option<WallMs>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Examined {
    /// The same, what is worst first.
    #[must_use]
    pub fn worst_first(mut self) -> Self {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.grade));
        self
    }
}

/// Says what is right and what is not.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for egress in &facts.egresses {
        egress::examine(egress, &mut findings);
    }
    for domain in &facts.domains {
        domain::examine(domain, &mut findings);
    }
    let clock = Subject { name: "this machine", findings: &mut findings }.check("clock", "");
    if facts.clock_synchronised {
        clock.right("the kernel calls the clock synchronised");
    } else {
        clock.tell(
            Grade::Warning,
            "the kernel does not call the clock synchronised",
            "signatures of a clock that is ahead are refused, and limits start as used after a reboot",
            "timedatectl set-ntp true",
        );
    }
    counted::tell(facts.dns, Subject { name: "this machine", findings: &mut findings }.check("dns", ""));
    findings
}

/// Who is spoken of.
struct Subject<'a> {
    name: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Subject<'a> {
    /// One thing about it that is examined.
    fn check(self, check: &'static str, about: &'a str) -> Check<'a> {
        Check { subject: self, name: check, about }
    }
}

/// What is spoken of.
struct Check<'a> {
    subject: Subject<'a>,
    name: &'static str,
    about: &'a str,
}

impl Check<'_> {
    fn right(self, found: impl Into<String>) {
        self.tell(Grade::Right, found, "", "");
    }

    fn unknown(self, found: impl Into<String>) {
        self.tell(Grade::Unknown, found, "", "");
    }

    fn warning(self, found: impl Into<String>, why: &'static str, mend: impl Into<String>) {
        self.tell(Grade::Warning, found, why, mend);
    }

    fn fault(self, found: impl Into<String>, why: &'static str, mend: impl Into<String>) {
        self.tell(Grade::Fault, found, why, mend);
    }

    fn tell(self, grade: Grade, found: impl Into<String>, why: &'static str, mend: impl Into<String>) {
        self.subject.findings.push(Finding {
            subject: self.subject.name.to_owned(),
            check: Cow::Borrowed(self.name),
            about: self.about.to_owned(),
            grade,
            found: found.into(),
            why: Cow::Borrowed(why),
            mend: mend.into(),
        });
    }
}

#[cfg(test)]
mod tests;
