//! What a message leaves in the memory of behaviour: hashes of who, whom, whence and how. Nothing of its text can be
//! read back.

use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::language::Language;
use crate::account::Account;
use crate::clock::WallMs;
use crate::mail::{Address, Envelope};
use crate::message::{Content, LinkKind, Mailbox, Message};
use crate::score::Submission;
use crate::score::rules::site;
use crate::score::similar::Signature;
use crate::score::similar::signature::hear;

/// Recipients of one message that are told apart; the rest is counted only.
const RECIPIENTS_MAX: usize = 1_000;
/// Different sites of one message that are looked at, in the order of their hashes: no place in a text is out of sight.
const SITES_MAX: usize = 64;
/// The seed of domains' hashes.
const DOMAIN: u64 = 2;

/// One message as behaviour sees it. Made anew from the stored message whenever it is needed ([`Footprint::of`]).
#[derive(Debug, Clone)]
pub struct Footprint {
    pub(super) account: Account,
    pub(super) at: WallMs,
    /// What all parts of it have ([`whole`]); 0 without a Message-ID.
    pub(super) whole: u64,
    /// Each once.
    pub(super) recipients: Box<[u64]>,
    pub(super) recipients_len: u32,
    /// Each once.
    pub(super) domains: Box<[u64]>,
    /// Sites that its links lead to, each once, as domains: the account's own and the recipients' are left out ([`sites`]).
    pub(super) sites: Box<[u64]>,
    /// The site of From, which is the account's own where it used that name before; 0: none.
    pub(super) from_site: u64,
    pub(super) client: Option<Network>,
    pub(super) from: u32,
    pub(super) program: u32,
    pub(super) layout: u32,
    pub(super) series: u32,
    /// It says how to leave its list (RFC 2369 3.2).
    pub(super) is_declared_bulk: bool,
    /// An automatic answer in form (RFC 3834 3.1): so marked, to a message, with the null reverse-path.
    pub(super) is_answer: bool,
    pub(super) language: Option<Language>,
    pub(super) signature: Option<Signature>,
}

/// The network of a client: /24 or /48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) hash: u32,
    pub(super) address: IpAddr,
}

impl Footprint {
    /// What that submission leaves. `None` for a message judged without an envelope or an account, and for outguard's own
    /// mail.
    pub fn of(submission: &Submission<'_>) -> Option<Self> {
        let (account, envelope) = (submission.account?, submission.envelope?);
        if submission.source == Some(crate::account::AccountSource::Own) {
            return None;
        }
        let message = submission.message;
        let heard = hear(message);
        let addresses = || envelope.recipients.iter().take(RECIPIENTS_MAX).map(|recipient| &recipient.address);
        let from = message.from.first().map_or(0, |from| short(1, from.address.trim().to_lowercase().as_bytes()));
        let program = program(message);
        Some(Self {
            account: account.clone(),
            at: submission.at,
            whole: whole(message, envelope),
            recipients: distinct(addresses().map(recipient_hash)),
            recipients_len: u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX),
            domains: distinct(addresses().map(|address| hash(DOMAIN, address.domain().to_string().as_bytes()))),
            sites: sites(message, account, envelope),
            from_site: message.from.first().and_then(Mailbox::domain).as_deref().map_or(0, site_hash),
            client: submission.client.map(network),
            from,
            program,
            layout: layout(message),
            series: series(message, from, program),
            is_declared_bulk: message.field("List-Unsubscribe").is_some(),
            is_answer: is_answer(message) && envelope.reverse_path.address().is_none(),
            language: heard.language,
            signature: heard.signature,
        })
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn day(&self) -> u16 {
        day_of(self.at.0)
    }

    pub(super) fn account_hash(&self) -> u64 {
        hash(0, self.account.as_str().as_bytes()).max(1)
    }

    pub(super) fn account_short(&self) -> u32 {
        shortened(self.account_hash())
    }

    pub(super) fn language_hash(&self) -> u32 {
        self.language.map_or(0, |language| short(3, language.name().as_bytes()))
    }
}

/// The template of a message: the program that wrote it and the shape of what it wrote, without its words. Kept with
/// allow rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Template(pub u64);

impl Template {
    /// The template of that message.
    pub fn of(message: &Message) -> Self {
        let from = message.from.first().and_then(crate::message::Mailbox::domain).unwrap_or_default();
        let parts = [u64::from(program(message)), u64::from(layout(message)), hash(6, from.as_bytes())];
        Self(parts.into_iter().fold(0, |sum, part| hash(sum, &part.to_le_bytes())))
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Template {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Days since 1970.
pub(super) fn day_of(at_ms: u64) -> u16 {
    u16::try_from(at_ms / 86_400_000).unwrap_or(u16::MAX)
}

/// The hash of an address as a recipient: its local part has no case here.
pub(super) fn recipient_hash(address: &Address) -> u64 {
    let text = format!("{}@{}", address.local_part().to_lowercase(), address.domain());
    hash(1, text.as_bytes())
}

pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

/// A hash for facets; never 0, which stands for none.
pub(super) fn short(seed: u64, bytes: &[u8]) -> u32 {
    shortened(hash(seed, bytes))
}

/// The upper half of a hash; never 0.
pub(super) fn shortened(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(1).max(1)
}

fn distinct(hashes: impl Iterator<Item = u64>) -> Box<[u64]> {
    let mut hashes: Vec<u64> = hashes.collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into()
}

fn network(address: IpAddr) -> Network {
    let address = address.to_canonical();
    let hash = match address {
        IpAddr::V4(v4) => short(4, &v4.octets()[..3]),
        IpAddr::V6(v6) => short(4, &v6.octets()[..6]),
    };
    Network { hash, address }
}

/// What all parts of one message have: the Message-ID, who sends it, when, to whom it says it is, and all that it says. A
/// Message-ID alone makes no two messages one: the sender chooses it.
fn whole(message: &Message, envelope: &Envelope) -> u64 {
    let Some(id) = message.field("Message-ID") else { return 0 };
    let mut sum = hash(8, id.trim().as_bytes());
    let mut add = |bytes: &[u8]| sum = hash(sum, bytes);
    add(envelope.reverse_path.as_str().as_bytes());
    message.from.iter().for_each(|from| add(from.address.as_bytes()));
    for name in ["To", "Cc", "Date"] {
        add(message.field(name).unwrap_or_default().as_bytes());
        add(&[0]);
    }
    add(message.subject.as_bytes());
    add(message.text.as_bytes());
    message.links.iter().for_each(|link| add(link.target.as_bytes()));
    for attachment in &message.attachments {
        add(attachment.name.as_bytes());
        add(&attachment.size_bytes.to_le_bytes());
    }
    sum.max(1)
}

/// The sites that a click leads to, but for the account's own and, where all recipients are at one, theirs: one recipient
/// more is quickly written.
fn sites(message: &Message, account: &Account, envelope: &Envelope) -> Box<[u64]> {
    let clicks = message.links.iter().filter(|link| link.kind != LinkKind::Loaded && !link.host.is_empty());
    let mut hosts: Vec<&str> = clicks.map(|link| link.host.as_str()).collect();
    if hosts.is_empty() {
        return Box::default();
    }
    hosts.sort_unstable();
    hosts.dedup();
    let left_out = [account.domain().map(site_hash), site_of_all(envelope)];
    let hashes = hosts.into_iter().map(site_hash).filter(|hash| !left_out.contains(&Some(*hash)));
    let mut sites = distinct(hashes).into_vec();
    sites.truncate(SITES_MAX);
    sites.into()
}

fn site_hash(host: &str) -> u64 {
    hash(DOMAIN, site(host).as_bytes())
}

/// The one site that all recipients are at.
fn site_of_all(envelope: &Envelope) -> Option<u64> {
    let mut sites = envelope.recipients.iter().map(|recipient| site_hash(&recipient.address.domain().to_string()));
    let first = sites.next()?;
    sites.all(|other| other == first).then_some(first)
}

/// Fields that a program writes always or never, in the order in which it writes them.
const WRITTEN_ALWAYS: [&str; 8] =
    ["from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"];

/// The program that wrote a message: its name where it gives one, without its version, and the order of its fields.
fn program(message: &Message) -> u32 {
    let name = message.field("X-Mailer").or_else(|| message.field("User-Agent")).unwrap_or_default();
    let name: String = name.chars().take_while(|c| !c.is_ascii_digit()).take(60).collect();
    let mut text = name.trim().to_lowercase();
    for field in &message.header {
        if let Some(nth) = WRITTEN_ALWAYS.iter().position(|known| field.name.eq_ignore_ascii_case(known)) {
            text.push(' ');
            text.push_str(WRITTEN_ALWAYS[nth]);
        }
    }
    short(5, text.as_bytes())
}

/// The shape of a message: what it is made of, in steps coarse enough for two issues of a newsletter.
fn layout(message: &Message) -> u32 {
    let step = |count: u32| u8::try_from(count.checked_ilog2().map_or(0, |log| log / 2 + 1)).unwrap_or(u8::MAX);
    let mut parts = Vec::with_capacity(16);
    if let Some(html) = &message.html {
        parts.extend([1, step(html.elements), step(html.images), step(html.forms)]);
        parts.push(u8::from(message.plain.is_empty()));
    }
    parts.push(u8::from(message.field("List-Id").is_some()));
    parts.extend([u8::from(message.shape.report), u8::from(message.shape.secured)]);
    let mut kinds: Vec<u8> = message.attachments.iter().map(|attachment| kind(attachment.content)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    parts.extend(kinds);
    short(6, &parts)
}

fn kind(content: Content) -> u8 {
    match content {
        Content::Media => 10,
        Content::Pdf => 11,
        Content::Office => 12,
        Content::Archive => 13,
        Content::Program => 14,
        Content::Script => 15,
        Content::Message => 16,
        Content::Text => 17,
        Content::Unknown => 18,
    }
}

/// What comes again and again under one name: From, and the List-Id or, without one, the program.
fn series(message: &Message, from: u32, program: u32) -> u32 {
    let mut bytes = Vec::from(from.to_le_bytes());
    match list_id(message) {
        Some(list) => bytes.extend(list.as_bytes()),
        None => bytes.extend(program.to_le_bytes()),
    }
    short(7, &bytes)
}

fn is_answer(message: &Message) -> bool {
    let automatic = message.field("Auto-Submitted").is_some_and(|value| value.to_lowercase().contains("auto-replied"));
    automatic && message.field("In-Reply-To").or_else(|| message.field("References")).is_some()
}

/// The identifier of a message's List-Id field (RFC 2919 2), in lower case.
pub fn list_id(message: &Message) -> Option<String> {
    list_id_of(message.field("List-Id")?)
}

/// The identifier in the text of such a field, or the text itself where nothing is in angle brackets.
pub fn list_id_of(field: &str) -> Option<String> {
    let inside = field.rsplit_once('<').map_or(field, |(_, rest)| rest.split('>').next().unwrap_or(rest));
    let id = inside.trim().to_lowercase();
    (!id.is_empty()).then_some(id)
}
