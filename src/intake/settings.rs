//! What an operator decides about intake. The defaults are the documented ones.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::limits::Pace;
use crate::smtp::framing::StrayPolicy;

const MIB: u64 = 1 << 20;

/// All of intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeSettings {
    /// Where clients connect. A new port below 1024 needs a restart.
    pub listen: Vec<ListenSettings>,
    /// Our name: in the greeting, behind `by` in Received, and for `<postmaster>`. Empty: the machine's.
    pub own_name: String,
    /// Who may send, and who is believed about others.
    pub trust: TrustSettings,
    /// Certificate and key for STARTTLS and implicit TLS.
    pub tls: Option<TlsFiles>,
    /// Passwords for AUTH.
    pub auth: Option<AuthSettings>,
    /// What is too much.
    pub limits: IntakeLimits,
    /// What is too fast.
    pub pace: PaceOfClient,
    /// What is too long.
    pub timeouts: IntakeTimeouts,
    /// What becomes of stray CR, LF and NUL in a message.
    pub strays: StrayPolicy,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// Where.
    pub at: ListenAt,
    /// Whether and how TLS is offered. On a Unix socket it never is.
    pub tls: ListenTls,
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAt {
    /// A TCP address. An IPv6 one takes IPv6 alone.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix {
        /// Where it is made; a dead socket there is replaced, anything else is left alone.
        path: PathBuf,
        /// Its permissions, such as `0o660`.
        mode: u32,
    },
}

/// TLS of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListenTls {
    /// STARTTLS is offered where a certificate is configured.
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314 3.3).
    Implicit,
    /// Never.
    Off,
}

/// Who may send, and who is believed about others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustSettings {
    /// Addresses that may relay.
    pub relay_networks: Vec<IpNet>,
    /// Addresses that may relay and are believed about identity, whoever the process there is.
    pub trusted_networks: Vec<IpNet>,
    /// Local users, by name or number, that are believed about identity: root, the MTA's. A name that the machine does not
    /// know is passed over.
    pub trusted_uids: Vec<String>,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How passwords are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// Lines of `user:$argon2id$…`.
    pub password_file: PathBuf,
    /// Failed logins of one client address within ten minutes; past it AUTH is put off unread.
    pub failures_max: u32,
    /// Passwords checked at the same time. Each takes the memory that its hash asks for.
    pub checks_max: usize,
}

/// What is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeLimits {
    /// Connections in all.
    pub connections_max: usize,
    /// Connections of one trusted client.
    pub connections_of_trusted_max: usize,
    /// Connections of one other client (an IPv6 client is its /64).
    pub connections_of_client_max: usize,
    /// Commands since the last message that was taken.
    pub commands_max: u32,
    /// Faulty commands since the last message that was taken.
    pub errors_max: u32,
    /// The longest command line, CRLF included.
    pub line_bytes_max: usize,
    /// Recipients of one transaction.
    pub recipients_max: usize,
    /// The largest message.
    pub message_bytes_max: u64,
    /// Received fields of one message; more is a loop.
    pub received_max: usize,
    /// Bytes of messages that are being received and not yet stored.
    pub in_flight_bytes_max: u64,
}

/// What is too fast, of each client that is not trusted (an IPv6 client is its /64, a local one its user). `None`: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceOfClient {
    /// Connections.
    pub connections: Option<Pace>,
    /// Commands.
    pub commands: Option<Pace>,
}

/// What is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeTimeouts {
    /// A TLS handshake.
    pub handshake: Duration,
    /// Until the next command has come, whole, and until a reply is taken (RFC 5321 4.5.3.2.7: at least 5 minutes).
    pub command: Duration,
    /// Until the next bytes of a message (RFC 5321 4.5.3.2.5: 3 minutes).
    pub content_block: Duration,
    /// A whole message.
    pub content: Duration,
    /// From the end of a message to its answer: what is not stored by then is told to come again, and may be stored yet.
    pub answer: Duration,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        let local =
            |ip: [u8; 4]| ListenSettings { at: ListenAt::Tcp(SocketAddr::from((ip, 10025))), tls: ListenTls::StartTls };
        Self {
            listen: vec![local([127, 0, 0, 1])],
            own_name: String::new(),
            trust: TrustSettings::default(),
            tls: None,
            auth: None,
            limits: IntakeLimits::default(),
            pace: PaceOfClient::default(),
            timeouts: IntakeTimeouts::default(),
            strays: StrayPolicy::Refuse,
        }
    }
}

impl Default for TrustSettings {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network is written right here"));
        let mtas =
            ["root", "postfix", "Debian-exim", "exim", "qmailr", "qmailq", "opensmtpd", "smtpq", "_smtpd", "mail"];
        Self {
            relay_networks: loopback.to_vec(),
            trusted_networks: Vec::new(),
            trusted_uids: mtas.map(str::to_owned).to_vec(),
        }
    }
}

impl AuthSettings {
    /// The defaults for that file.
    pub fn with_file(password_file: PathBuf) -> Self {
        Self { password_file, failures_max: 20, checks_max: 2 }
    }
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            connections_of_trusted_max: 200,
            connections_of_client_max: 50,
            commands_max: 10_000,
            errors_max: 20,
            line_bytes_max: 4_096,
            recipients_max: 100,
            message_bytes_max: 50 * MIB,
            received_max: 50,
            in_flight_bytes_max: 256 * MIB,
        }
    }
}

impl Default for PaceOfClient {
    /// Far above what a web site or a mail client does, far below what a flood does.
    fn default() -> Self {
        let pace = |text: &str| text.parse().ok();
        Self { connections: pace("50/s burst 1000"), commands: pace("5000/s burst 50000") }
    }
}

impl Default for IntakeTimeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            handshake: minutes(1),
            command: minutes(5),
            content_block: minutes(3),
            content: minutes(60),
            answer: Duration::from_secs(30),
        }
    }
}
