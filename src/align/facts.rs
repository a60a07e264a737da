//! What is known of a message before it is judged: everything that DNS says, gathered; nothing weighed.

use std::net::IpAddr;
use std::sync::Arc;

use super::arc::Chain;
use super::author::Author;
use super::dkim::{Checked, Outcome};
use super::dmarc::View;
use super::spf::Spf;
use crate::account::Account;

/// The organizational domain of an authenticated domain, for each of [`Facts::views`]. `None`: DNS does not say.
pub type Organizational = Vec<Option<Box<str>>>;

/// Everything that a verdict is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose word it is said to be.
    pub author: Author,
    /// What receivers find for the From domain, each kind of receiver; in place of one that DNS keeps from us, the
    /// reason. Empty where there is no one From domain.
    pub views: Vec<Result<View, Box<str>>>,
    /// Every signature, ours among them, checked over the bytes that will leave.
    pub signatures: Vec<Signed>,
    /// Where it will go, by each route that one of its recipients takes.
    pub routes: Vec<Route>,
    /// Whether it is forwarded.
    pub forwarded: Forwarded,
    /// Who says that it is forwarded and is not believed: the domain of its reverse-path, or of the newest seal.
    pub doubted: Option<Box<str>>,
    /// The chain of seals that it came with.
    pub chain: Chain,
    /// Whether we have a key for the From domain.
    pub own: Own,
    /// Of a From that is not one domain's: the same for each domain that is known, as if it stood there alone.
    pub each: Vec<Facts>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What became of it.
    pub checked: Checked,
    /// The organizational domain of its `d=`.
    pub organizational: Organizational,
}

impl Signed {
    /// Whether it holds, for receivers of every kind.
    pub fn passes(&self) -> bool {
        self.checked.outcome == Outcome::Pass
    }
}

/// One way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the recipients' own servers, which see one of these.
    Direct(Vec<Exit>),
    /// To a server that sends it on: receivers see that one's address, and SPF is its affair.
    Smarthost(Smarthost),
}

/// An egress, as receivers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its name.
    pub egress: Arc<str>,
    /// What receivers see of it: one, or one of each family where the system chooses; never empty.
    pub seen: Vec<Seen>,
}

/// What a receiver sees of an egress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// An address that we do not know, as behind a router that makes private ones public.
    Unknown,
    /// This address, for which SPF says this.
    From(IpAddr, Passed),
}

impl Seen {
    /// What SPF says, where the address is known.
    pub fn spf(&self) -> Option<&Passed> {
        match self {
            Self::Unknown => None,
            Self::From(_, passed) => Some(passed),
        }
    }
}

/// What SPF says, and for whom it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Result and domain.
    pub spf: Spf,
    /// The organizational domain of that domain.
    pub organizational: Organizational,
}

/// A server that sends mail on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smarthost {
    /// Its name.
    pub host: Arc<str>,
    /// The domain of the login, in its comparable form; `None`: no login, or no address.
    pub login_domain: Option<Box<str>>,
    /// What it demands of the From field.
    pub demands: Demands,
}

/// What a smarthost demands of the From field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demands {
    /// Nothing that we know.
    #[default]
    Nothing,
    /// The domain of the login, as OVHcloud's shared mail servers since July 2026.
    LoginDomain,
}

/// Hosts that demand the login's domain.
const LOGIN_DOMAIN_HOSTS: [&str; 3] = ["ssl0.ovh.net", "smtp.mail.ovh.net", "smtp.mail.ovh.ca"];

impl Demands {
    /// What is known of a host.
    pub fn of_host(host: &str) -> Self {
        let host = host.trim_end_matches('.');
        if LOGIN_DOMAIN_HOSTS.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            Self::LoginDomain
        } else {
            Self::Nothing
        }
    }
}

/// Whether a message is passed on for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forwarded {
    /// Nothing says so.
    #[default]
    No,
    /// Its reverse-path is a forwarder's (SRS), and one that we believe.
    Rewritten,
    /// It carries a chain of ARC seals that holds (RFC 8617), the newest by one whom we believe.
    Sealed,
    /// It carries one whose newest seal says that it is of one whom we believe, and DNS gives no answer for a key of it.
    NoDns,
}

/// Whether we have a key for the From domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Own {
    /// We have, and signed with it or left a signature that stood.
    Key,
    /// We have one of this domain, and it is not for the message's account.
    NotForAccount(Box<str>, Account),
    /// We have none.
    #[default]
    NoKey,
}
