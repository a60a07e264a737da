//! `[[listen]]`, `[trust]`, `[tls]`, `[auth]` and `[intake]`: how mail comes in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::dispatch::PaceOrOff;
use super::item::{Fault, Item, Setting};
use super::reader::{Reading, TableReader, a_wait, at_least, key};
use super::values::{Mode, Size, quoted, text_of, words};
use crate::intake::settings::{
    AuthSettings, IntakeLimits, IntakeSettings, IntakeTimeouts, ListenAt, ListenSettings, ListenTls, PaceOfClient,
    TlsFiles, TrustSettings,
};
use crate::smtp::framing::StrayPolicy;

const SECOND: Duration = Duration::from_secs(1);

/// Where a listener listens, without its permissions.
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Setting for Address {
    const EXPECTED: &'static str = "\"127.0.0.1:10025\", \"[::1]:10025\" or \"unix:/run/outguard/smtp.sock\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        let path = text.strip_prefix("unix:").or(text.starts_with('/').then_some(text));
        match path {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(Fault::says("a socket's path begins with /; write \"unix:/run/outguard/smtp.sock\"")),
            None => SocketAddr::read(item).map(Self::Tcp),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Tcp(address) => address.written(),
            Self::Unix(path) => quoted(&format!("unix:{}", path.display())),
        }
    }
}

words!(ListenTls, "\"starttls\", \"implicit\" or \"off\"", {
    "starttls" => ListenTls::StartTls,
    "implicit" => ListenTls::Implicit,
    "off" => ListenTls::Off,
});

words!(StrayPolicy, "\"refuse\" or \"repair\"", {
    "refuse" => StrayPolicy::Refuse,
    "repair" => StrayPolicy::Repair,
});

/// Reads all that concerns intake.
pub(super) fn read(root: &mut TableReader<'_>) -> IntakeSettings {
    let default = IntakeSettings::default();
    let reading = root.reading();
    let mut listeners = Listeners { reading, taken: Vec::new(), public: Vec::new(), implicit: Vec::new() };
    let doc = "Where clients connect. Where none is written: 127.0.0.1:10025. A new port below 1024 needs a restart.";
    let written: Vec<ListenSettings> =
        root.tables("listen", doc).into_iter().filter_map(|table| listeners.read(table)).collect();
    let trust = read_trust(root);
    let tls = read_tls(root);
    let auth = read_auth(root);
    listeners.check(&trust, tls.as_ref(), auth.as_ref());
    let mut table = root.table("intake", "How mail is taken.");
    let own_name = table
        .optional::<String>(
            key(
                "own_name",
                "Our name: in the greeting, behind `by` in Received, for <postmaster>. Absent: the machine's name.",
            )
            .example("\"relay.example.com\""),
        )
        .unwrap_or(default.own_name);
    let strays = table.or(
        key(
            "stray_line_ends",
            "What becomes of a message with a CR or LF alone, or a NUL: refuse (550 5.6.0), or repair (LF becomes CRLF, the \
             others a space).",
        )
        .example("\"repair\""),
        default.strays,
    );
    IntakeSettings {
        listen: if written.is_empty() { default.listen } else { written },
        own_name,
        trust,
        tls,
        auth,
        limits: read_limits(&mut table),
        pace: read_pace(&mut table),
        timeouts: read_timeouts(&mut table),
        strays,
    }
}

/// What is known of the listeners until the sections that they depend on are read.
struct Listeners<'r> {
    reading: &'r Reading<'r>,
    taken: Vec<ListenAt>,
    public: Vec<super::item::Place>,
    implicit: Vec<super::item::Place>,
}

impl Listeners<'_> {
    fn read(&mut self, mut table: TableReader<'_>) -> Option<ListenSettings> {
        let address = table.required::<Address>(
            key("address", "A TCP address with its port, or a socket in the file system.")
                .example("\"127.0.0.1:10025\""),
        );
        let mode = table.or(
            key("mode", "Of a socket in the file system: who may write to it may connect.").example("\"0666\""),
            Mode(0o660),
        );
        let tls = table.or(
            key(
                "tls",
                "starttls: offered where [tls] is written; implicit: from the first byte; off: never. A socket in the file \
                 system has none.",
            )
            .example("\"implicit\""),
            ListenTls::default(),
        );
        let at = match address? {
            Address::Tcp(address) => ListenAt::Tcp(address),
            Address::Unix(path) => ListenAt::Unix { path, mode: mode.0 },
        };
        if self.taken.iter().any(|other| same_place(other, &at)) {
            self.reading.error(&table.place("address"), "written twice; each address can be listened on once");
        }
        if matches!(&at, ListenAt::Tcp(address) if !address.ip().is_loopback()) {
            self.public.push(table.place("address"));
        }
        if tls == ListenTls::Implicit {
            self.implicit.push(table.place("tls"));
        }
        self.taken.push(at.clone());
        Some(ListenSettings { at, tls })
    }

    fn check(&self, trust: &TrustSettings, tls: Option<&TlsFiles>, auth: Option<&AuthSettings>) {
        if tls.is_none() {
            for place in &self.implicit {
                self.reading.error(place, "there is no certificate; write [tls] with certificate and key");
            }
        }
        let networks = trust.relay_networks.iter().chain(&trust.trusted_networks);
        let beyond_loopback = networks.map(ipnet::IpNet::addr).any(|address: IpAddr| !address.is_loopback());
        if !beyond_loopback && auth.is_none() {
            for place in &self.public {
                let advice = "others can connect here, and none of them may relay; write their networks into [trust] \
                              relay_networks, or passwords into [auth], or listen on 127.0.0.1";
                self.reading.warning(place, advice);
            }
        }
        for net in trust.relay_networks.iter().chain(&trust.trusted_networks).filter(|net| net.prefix_len() == 0) {
            for place in &self.public {
                self.reading.error(place, format!("{net} may relay: this would be an open relay; name the networks"));
            }
        }
    }
}

fn same_place(one: &ListenAt, other: &ListenAt) -> bool {
    match (one, other) {
        (ListenAt::Tcp(one), ListenAt::Tcp(other)) => one == other,
        (ListenAt::Unix { path: one, .. }, ListenAt::Unix { path: other, .. }) => one == other,
        (ListenAt::Tcp(_), ListenAt::Unix { .. }) | (ListenAt::Unix { .. }, ListenAt::Tcp(_)) => false,
    }
}

fn read_trust(root: &mut TableReader<'_>) -> TrustSettings {
    let default = TrustSettings::default();
    let mut table = root.table("trust", "Who may send, and who is believed about whose mail it is.");
    TrustSettings {
        relay_networks: table.or(
            key("relay_networks", "Addresses that may relay. Anyone else is told 554.").example("[\"10.0.0.0/8\", \"::1\"]"),
            default.relay_networks,
        ),
        trusted_networks: table.or(
            key(
                "trusted_networks",
                "Addresses that may relay and are believed about identity (XCLIENT, XFORWARD, Received), whatever program \
                 connects from there.",
            )
            .example("[\"10.0.0.5\"]"),
            default.trusted_networks,
        ),
        trusted_uids: table.or(
            key(
                "trusted_users",
                "Local users, by name or number, that are believed about identity. Other local users relay as themselves.",
            )
            .example("[\"root\", \"postfix\"]"),
            default.trusted_uids,
        ),
    }
}

fn read_tls(root: &mut TableReader<'_>) -> Option<TlsFiles> {
    let mut table = root.table("tls", "The certificate shown to clients. Absent: no TLS is offered.");
    let certificate = table.optional::<PathBuf>(
        key("certificate", "The certificate and those between it and the root, as PEM.")
            .example("\"/etc/outguard/tls/fullchain.pem\""),
    );
    let private = table.optional::<PathBuf>(
        key("key", "Its private key, as PEM, readable by the service user.").example("\"/etc/outguard/tls/key.pem\""),
    );
    let reading = table.reading();
    match (certificate, private) {
        (Some(certificate), Some(key)) => {
            let files = TlsFiles { certificate, key };
            if let Err(sentence) = reading.surroundings().check_certificate(&files) {
                reading.error(&table.place("certificate"), sentence);
            }
            Some(files)
        }
        (Some(_), None) => {
            reading.error(&table.place("certificate"), "has no key; write key too");
            None
        }
        (None, Some(_)) => {
            reading.error(&table.place("key"), "has no certificate; write certificate too");
            None
        }
        (None, None) => None,
    }
}

fn read_auth(root: &mut TableReader<'_>) -> Option<AuthSettings> {
    let default = AuthSettings::with_file(PathBuf::new());
    let mut table = root.table("auth", "Passwords for clients that log in. Absent: AUTH is not offered.");
    let file = table.optional::<PathBuf>(
        key(
            "password_file",
            "Lines of `user:$argon2id$…`, as `argon2 SALT -id -e` (Debian: argon2) prints the hash of its input.",
        )
        .example("\"/etc/outguard/passwords\""),
    );
    let failures_max = table.or(
        key("failures_max", "Failed logins of one client in ten minutes; past it AUTH is put off."),
        default.failures_max,
    );
    let checks_max = table.or(
        key("checks_max", "Passwords checked at the same time; each takes the memory that its hash asks for."),
        default.checks_max,
    );
    let password_file = file?;
    let settings = AuthSettings { password_file, failures_max, checks_max };
    if let Err(sentence) = table.reading().surroundings().check_passwords(&settings) {
        table.reading().error(&table.place("password_file"), sentence);
    }
    Some(settings)
}

fn read_limits(intake: &mut TableReader<'_>) -> IntakeLimits {
    let default = IntakeLimits::default();
    let mut table = intake.table("limits", "What is too much of one client or one message.");
    let nobody = at_least(1, "nobody could connect");
    let mut count = |name, doc, default: usize| table.or_where(key(name, doc), default, &nobody);
    let connections_max = count("connections", "Connections in all.", default.connections_max);
    let of_trusted = count(
        "connections_of_trusted",
        "Connections of one trusted client; past it the answer is 421.",
        default.connections_of_trusted_max,
    );
    let of_client = count(
        "connections_of_client",
        "Connections of one other client; an IPv6 client is its /64.",
        default.connections_of_client_max,
    );
    let line_bytes_max = table.or_where(
        key("line_bytes", "The longest command line, in bytes."),
        default.line_bytes_max,
        at_least(512, "shorter than command lines that RFC 5321 (4.5.3.1.4) allows"),
    );
    let recipients_max = table.or_where(
        key("recipients", "Recipients of one transaction; further ones are told 452 4.5.3."),
        default.recipients_max,
        at_least(1, "no message could be sent to anybody"),
    );
    let received_max = table.or_where(
        key("received", "Received fields of one message; more is a loop (554 5.4.6)."),
        default.received_max,
        at_least(1, "what an MTA sent on would be called a loop"),
    );
    let nothing = at_least(1, "no client could say anything");
    let mut said = |name, doc, default: u32| table.or_where(key(name, doc), default, &nothing);
    let commands_max = said("commands", "Commands since the last message that was taken.", default.commands_max);
    let errors_max = said("errors", "Faulty commands since the last message that was taken.", default.errors_max);
    let message = table.or_where(
        key("message_size", "The largest message; a larger one is told 552 5.3.4.").example("\"25 MiB\""),
        Size(default.message_bytes_max),
        at_least(Size(1), "every message would be too large"),
    );
    let in_flight = table.or(
        key(
            "in_flight_size",
            "Bytes of messages that are being received and not yet stored, in all; over it the answer is 452 before DATA. What \
             a client does not tell with SIZE counts as it comes, and ends no message that is on its way.",
        ),
        Size(default.in_flight_bytes_max),
    );
    IntakeLimits {
        connections_max,
        connections_of_trusted_max: of_trusted,
        connections_of_client_max: of_client,
        commands_max,
        errors_max,
        line_bytes_max,
        recipients_max,
        message_bytes_max: message.0,
        received_max,
        in_flight_bytes_max: in_flight.0,
    }
}

fn read_pace(intake: &mut TableReader<'_>) -> PaceOfClient {
    let default = PaceOfClient::default();
    let mut table =
        intake.table("pace", "What is too fast of one client that is not trusted; past it the answer is 421 4.7.0.");
    let mut pace = |name, doc, default| table.or(key(name, doc).example("\"off\""), PaceOrOff(default)).0;
    PaceOfClient {
        connections: pace("connections", "Connections.", default.connections),
        commands: pace("commands", "Commands.", default.commands),
    }
}

fn read_timeouts(intake: &mut TableReader<'_>) -> IntakeTimeouts {
    let default = IntakeTimeouts::default();
    let mut table = intake.table("timeouts", "How long a client may take.");
    let answer = table.or_where(
        key(
            "answer",
            "From the end of a message to its answer, at most 30s: what is not stored by then is told to come again.",
        ),
        default.answer,
        |limit| if (SECOND..=30 * SECOND).contains(limit) { Ok(()) } else { Err("from 1s to 30s".to_owned()) },
    );
    let too_short = a_wait("clients would be cut off in the middle");
    let mut time = |name, doc, default| table.or_where(key(name, doc), default, &too_short);
    IntakeTimeouts {
        handshake: time("handshake", "For a TLS handshake.", default.handshake),
        command: time(
            "command",
            "Until the next command has come, whole, and until a reply is taken.",
            default.command,
        ),
        content_block: time("content_block", "Until the next bytes of a message.", default.content_block),
        content: time("content", "For a whole message.", default.content),
        answer,
    }
}
