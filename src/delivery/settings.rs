//! Settings of egresses, routes, reports and DNS. The defaults here are the documented ones.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::credentials::Credentials;
use super::route::domain_matches;
use crate::account::Account;
use crate::mail::Address;

/// Everything delivery is told by the operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliverySettings {
    /// `[[egress]]`. Where none is written there is one: [`EgressSettings::default`].
    pub egresses: Vec<EgressSettings>,
    /// `[[route]]`, the first that matches wins. What no route matches goes by MX from every egress.
    pub routes: Vec<RouteSettings>,
    /// `[delivery.timeouts]`
    pub timeouts: Timeouts,
    /// `[dsn]`
    pub dsn: DsnSettings,
    /// `[dns]`
    pub dns: DnsSettings,
    /// What happens to 8-bit content where the next hop does not offer 8BITMIME.
    pub eightbit: EightBit,
    /// PEM file of the authorities believed in place of the system's, where TLS is verified.
    pub ca_file: Option<PathBuf>,
}

/// One source of outgoing mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressSettings {
    /// Its name, without white space: what routes, gates and the log call it.
    pub name: String,
    /// The local address to send from; `None` leaves the choice to the system.
    pub address: Option<IpAddr>,
    /// The address that the world sees, where NAT stands between.
    pub public_address: Option<IpAddr>,
    /// The name given in EHLO, bound to the address; `None` is the host's name.
    pub ehlo: Option<String>,
    /// Connections open at once from it.
    pub concurrency: u32,
}

impl EgressSettings {
    /// What its limit counts by: the address that the world sees, for the world counts by it too. Two egresses behind one
    /// address share one limit. Where no address is known, the name.
    pub fn counted_as(&self) -> String {
        self.public_address.or(self.address).map_or_else(|| self.name.clone(), |address| address.to_string())
    }
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self { name: "default".to_owned(), address: None, public_address: None, ehlo: None, concurrency: 200 }
    }
}

/// One `[[route]]`: whose mail, and how it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// Its name, without white space: what waiting mail is filed under.
    pub name: String,
    /// Which mail takes it.
    pub matches: RouteMatch,
    /// How it goes on.
    pub kind: RouteKind,
    /// Names of the egresses that it may leave from; empty means all.
    pub egresses: Vec<String>,
    /// Connections open at once to one destination of this route.
    pub concurrency: u32,
}

/// Which mail takes a route. An empty list asks for nothing; all lists that are filled must match.
///
/// A domain is written as `example.org`, or as `*.example.org` for all below it (not itself).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteMatch {
    /// Domains of the reverse-path; `<>` stands for the null one.
    pub sender_domains: Vec<String>,
    /// Accounts, as they are written in log and listings.
    pub accounts: Vec<String>,
    /// Domains of the recipient.
    pub recipient_domains: Vec<String>,
}

/// How mail goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteKind {
    /// To one configured server.
    Smarthost(SmarthostSettings),
    /// To the servers of the recipient's domain (RFC 5321 5.1).
    Mx(MxSettings),
}

/// A configured server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmarthostSettings {
    /// A host name, whose addresses are looked up (no MX), or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: TlsMode,
    /// Whom we log in as; empty: nobody.
    pub credentials: Credentials,
}

impl SmarthostSettings {
    /// The default concurrency of such a route, for one login and host.
    pub const CONCURRENCY: u32 = 10;
}

/// Mail by MX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxSettings {
    /// The port of the servers; 25 anywhere but in a laboratory.
    pub port: u16,
    /// How the connection is encrypted. [`TlsMode::Implicit`] has no meaning between MXes.
    pub tls: TlsMode,
}

impl MxSettings {
    /// The default concurrency of such a route, for one domain.
    pub const CONCURRENCY: u32 = 5;
}

impl Default for MxSettings {
    fn default() -> Self {
        Self { port: 25, tls: TlsMode::Opportunistic }
    }
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsMode {
    /// Never.
    None,
    /// STARTTLS where offered, the certificate unverified; plain text where it is not offered or fails. With a login
    /// this counts as [`TlsMode::Required`]: a password is not told to whoever answers.
    #[default]
    Opportunistic,
    /// STARTTLS with a verified certificate, or the mail waits.
    Required,
    /// TLS from the first byte (RFC 8314), the certificate verified.
    Implicit,
}

/// How long is waited. The defaults are those of RFC 5321 4.5.3.2, but for the time that slots are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection to one address.
    pub connect: Duration,
    /// For the greeting, and for each answer until the connection is ready for MAIL.
    pub greeting: Duration,
    /// For each answer to MAIL or RCPT; five times that for all of one message together. Slots are held meanwhile, and a
    /// stop waits little longer than this once: so it is shorter than the five minutes of RFC 5321.
    pub envelope: Duration,
    /// For the answer to DATA.
    pub data: Duration,
    /// For each block of content to be taken.
    pub block: Duration,
    /// For the answer to the final dot. Long: giving up here may make a second copy.
    pub content: Duration,
    /// For TLS to be agreed.
    pub tls: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_mins(5),
            envelope: Duration::from_mins(1),
            data: Duration::from_mins(2),
            block: Duration::from_mins(3),
            content: Duration::from_mins(10),
            tls: Duration::from_mins(1),
        }
    }
}

/// Reports to senders (RFC 3464).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnSettings {
    /// The route that reports take, whatever the others say; `None` is the ordinary way.
    pub route: Option<String>,
    /// The account they are counted against.
    pub account: Account,
    /// The address in their From field; `None` is `MAILER-DAEMON@` the host's name.
    pub from: Option<Address>,
    /// Who gets what no sender can get: bounces of bounces. `None`: they are held for a person.
    pub operator: Option<Address>,
    /// Domains whose mail is ours, as in [`RouteMatch`]: held mail that ends unreleased is told to its sender there alone,
    /// else to the operator, for the sender of held mail may be anybody.
    pub own_domains: Vec<String>,
    /// The largest message that goes back whole, in bytes, where RET=FULL asks for it; over it, the header alone. At most
    /// [`DsnSettings::FULL_BYTES_MAX`].
    pub full_bytes_max: u64,
}

impl DsnSettings {
    /// The highest useful [`DsnSettings::full_bytes_max`]: a report is kept in the store's own table.
    pub const FULL_BYTES_MAX: u64 = 50 * 1024;

    /// Whether that sender is surely ours.
    pub fn is_own(&self, sender: &Address) -> bool {
        let domain = sender.domain().to_string();
        self.own_domains.iter().any(|own| domain_matches(own, &domain))
    }
}

impl Default for DsnSettings {
    fn default() -> Self {
        Self {
            route: None,
            account: Account::named("mailer-daemon"),
            from: None,
            operator: None,
            own_domains: Vec::new(),
            full_bytes_max: Self::FULL_BYTES_MAX,
        }
    }
}

/// Where names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSettings {
    /// Name servers; empty means the system's.
    pub servers: Vec<SocketAddr>,
    /// For one question, to one server.
    pub timeout: Duration,
    /// Answers kept.
    pub cache_entries_max: u64,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Duration::from_secs(5), cache_entries_max: 10_000 }
    }
}

/// What happens to content declared 8BITMIME where the next hop does not offer it. It is never re-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EightBit {
    /// It goes as it is.
    #[default]
    Send,
    /// It bounces with 5.6.3.
    Bounce,
}
