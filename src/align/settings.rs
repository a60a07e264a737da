//! What is asked of alignment, and what each verdict does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::mail::ListZone;
use crate::secret::Secret;

/// `[align]`, `[signing]` and `[[dkim]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlignSettings {
    /// Whether messages are judged at all.
    pub judge: Judge,
    /// How long a judgement may take; past it the verdict is temperror.
    pub time_limit: Duration,
    /// How a domain's DMARC record and its organizational domain are found.
    pub discovery: DiscoverySettings,
    /// More signatures of one message than this are not looked at.
    pub signatures_max: usize,
    /// Whether an Ed25519 signature alone counts.
    pub ed25519: Ed25519,
    /// Domains whose SRS addresses and ARC seals are believed, besides our own.
    pub forwarders: Vec<String>,
    /// What each verdict does.
    pub deeds: Deeds,
    /// Where names are looked up.
    pub dns: AlignDnsSettings,
    /// How outgoing mail is signed.
    pub signing: SigningSettings,
    /// What the doctor looks at.
    pub doctor: DoctorSettings,
}

/// `[doctor]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorSettings {
    /// Sending domains that have no key here.
    pub domains: Vec<String>,
    /// Lists in the DNS (RFC 5782) that egresses are looked up in.
    pub lists: Vec<ListZone>,
    /// Domains whose servers are greeted to see whether port 25 can be reached; empty: none.
    pub port25: Vec<String>,
    /// Local parts that every sending domain should take mail for; empty: none is asked about.
    pub mailboxes: Vec<String>,
    /// For each connection to a server, and for each of its replies.
    pub time_limit: Duration,
    /// How often the daemon looks by itself; `None`: never.
    pub every: Option<Duration>,
}

impl Default for DoctorSettings {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Self {
            domains: Vec::new(),
            lists: ["zen.spamhaus.org", "bl.spamcop.net"].map(|zone| zone.parse().expect("a zone")).into(),
            port25: list(&["gmail.com", "outlook.com", "gmx.net"]),
            mailboxes: list(&["abuse", "postmaster"]),
            time_limit: Duration::from_secs(10),
            every: Some(Duration::from_hours(6)),
        }
    }
}

/// Whether messages are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Judge {
    /// Every message.
    #[default]
    All,
    /// None.
    Nothing,
}

/// How the DMARC record and the organizational domain are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiscoverySettings {
    /// By the Public Suffix List (RFC 7489 3.2).
    PublicSuffix,
    /// By walking up the DNS tree (RFC 9989 4.10).
    TreeWalk,
    /// Both, for receivers do the one or the other: the worse result counts.
    #[default]
    Both,
}

/// Whether an Ed25519 signature (RFC 8463) alone counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ed25519 {
    /// It does not: many receivers cannot read it, and find no signature.
    #[default]
    Ignored,
    /// It does.
    Counted,
}

/// What is done about a message. In order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// It goes, and the reason is noted.
    Send,
    /// It gets so many points.
    Points(u16),
    /// It waits for a person.
    Hold,
    /// It is refused.
    Reject,
}

/// What each verdict does. `pass` does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deeds {
    /// The From domain asks receivers to reject or quarantine what fails, and this fails.
    pub policy_fails: Deed,
    /// The same of forwarded mail, whose own domain's policy is another's word.
    pub forwarded_fails: Deed,
    /// The same through a smarthost without a signature: SPF may pass by its address, which we do not know.
    pub smarthost_fails: Deed,
    /// Something authenticates the message, but not for its From domain.
    pub misaligned: Deed,
    /// Nothing authenticates the message.
    pub none: Deed,
    /// DNS gave no answer to rely on. Never [`Deed::Hold`] or [`Deed::Reject`]: DNS trouble holds no mail.
    pub temperror: Deed,
    /// A record or the header is broken.
    pub permerror: Deed,
    /// OVHcloud's servers would refuse the From domain for this login.
    pub login_domain: Deed,
}

impl Default for Deeds {
    fn default() -> Self {
        Self {
            policy_fails: Deed::Hold,
            forwarded_fails: Deed::Points(20),
            smarthost_fails: Deed::Points(10),
            misaligned: Deed::Points(40),
            none: Deed::Points(40),
            temperror: Deed::Points(5),
            permerror: Deed::Points(40),
            login_domain: Deed::Hold,
        }
    }
}

/// `[align.dns]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlignDnsSettings {
    /// Name servers; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// How long one question may take.
    pub timeout: Duration,
    /// Questions under way at once.
    pub questions_max: usize,
    /// Answers kept.
    pub cache_entries_max: usize,
    /// Bytes of answers kept.
    pub cache_bytes_max: usize,
    /// An answer is kept at least so long.
    pub ttl_min: Duration,
    /// An answer is kept as fresh at most so long.
    pub ttl_max: Duration,
    /// How long past its time an answer stands in while DNS is down (RFC 8767).
    pub stale_max: Duration,
    /// How long is waited for a better answer where an old one is there.
    pub stale_after: Duration,
    /// For how long a question that failed is not asked again.
    pub failure_ttl: Duration,
    /// Whether signatures of answers are checked here.
    pub dnssec: Dnssec,
}

/// Whether signatures of answers are checked here (DNSSEC, RFC 4035).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Dnssec {
    /// They are not; a resolver that validates gives no answer in place of a forged one.
    #[default]
    Off,
    /// They are, from the keys of this file, or from the root's where there is none. The name servers must hand
    /// signatures on.
    Validate {
        /// DNSKEY records as in a zone file.
        trust_anchor: Option<PathBuf>,
    },
}

impl Default for AlignDnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(4),
            questions_max: 256,
            cache_entries_max: 20_000,
            cache_bytes_max: 16 << 20,
            ttl_min: Duration::from_secs(30),
            ttl_max: Duration::from_hours(6),
            stale_max: Duration::from_hours(24),
            stale_after: Duration::from_millis(1_800),
            failure_ttl: Duration::from_secs(15),
            dnssec: Dnssec::Off,
        }
    }
}

/// `[signing]` and `[[dkim]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningSettings {
    /// The keys; the domain of each is an own one.
    pub keys: Vec<DkimKeySettings>,
    /// Which accounts a key signs for, besides those that its `accounts` name.
    pub senders: Senders,
    /// What is done where a signature stands already.
    pub existing: ExistingSignature,
    /// Names of header fields that are signed where they stand, besides those that always are.
    pub fields: Vec<String>,
    /// After so long a signature is no longer good; `None`: it does not end.
    pub expiry: Option<Duration>,
    /// Whether forwarded mail is sealed (ARC, RFC 8617), with the key of this domain.
    pub seal_domain: Option<String>,
}

impl Default for SigningSettings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            senders: Senders::default(),
            existing: ExistingSignature::SignUnlessOurs,
            fields: Vec::new(),
            expiry: Some(Duration::from_hours(24 * 14)),
            seal_domain: None,
        }
    }
}

/// One `[[dkim]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKeySettings {
    /// The domain that the signature speaks for (`d=`), lower case, A-label form.
    pub domain: String,
    /// The selector (`s=`).
    pub selector: String,
    /// The private key as PEM: PKCS #8 of an RSA or Ed25519 key, or PKCS #1 of an RSA key.
    pub key: Secret,
    /// Which From domains it signs for.
    pub covers: Covers,
    /// Accounts that it signs for in any case: names as the log shows them, or `@example.com` for all of a domain.
    pub accounts: Vec<String>,
}

/// Which accounts a key signs for, besides those that its `accounts` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Senders {
    /// All but those that are addresses of a domain that is neither the key's, nor above it, nor below it as the key
    /// covers. Local users and programs, which have no domain, are signed for.
    #[default]
    Plausible,
    /// The same, and addresses of the domain of every other key: all are one owner's.
    OneOwner,
    /// Addresses of these domains alone, and proven ones: a login, or the word of a trusted MTA.
    Proven,
    /// Every account.
    Any,
}

/// Which From domains a key signs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covers {
    /// Its domain and all below it.
    #[default]
    Subdomains,
    /// Its domain alone.
    Exactly,
}

/// What is done where a signature stands already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingSignature {
    /// Sign, unless one of the same domain and selector stands there: an MTA behind us signs already.
    #[default]
    SignUnlessOurs,
    /// Sign in any case.
    Sign,
    /// Leave a message alone that has any signature.
    Leave,
}

impl Default for AlignSettings {
    fn default() -> Self {
        Self {
            judge: Judge::All,
            time_limit: Duration::from_secs(8),
            discovery: DiscoverySettings::Both,
            signatures_max: 10,
            ed25519: Ed25519::default(),
            forwarders: Vec::new(),
            deeds: Deeds::default(),
            dns: AlignDnsSettings::default(),
            signing: SigningSettings::default(),
            doctor: DoctorSettings::default(),
        }
    }
}
