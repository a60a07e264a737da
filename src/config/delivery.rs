//! `[[egress]]`, `[[route]]`, `[delivery]`, `[dsn]` and `[dns]`: how mail goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::item::{Fault, Item, Place, Setting};
use super::reader::{Reading, TableReader, a_wait, key};
use super::secrets::SecretSetting;
use super::values::{Size, quoted, text_of, words};
use crate::account::Account;
use crate::delivery::credentials::{Credentials, Login};
use crate::delivery::route::{DEFAULT_ROUTE, NAME_BYTES_MAX, Router};
use crate::delivery::settings::{
    DeliverySettings, DnsSettings, DsnSettings, EgressSettings, EightBit, MxSettings, RouteKind, RouteMatch,
    RouteSettings, SmarthostSettings, Timeouts, TlsMode,
};
use crate::mail::Address;

words!(TlsMode, "\"none\", \"opportunistic\", \"required\" or \"implicit\"", {
    "none" => TlsMode::None,
    "opportunistic" => TlsMode::Opportunistic,
    "required" => TlsMode::Required,
    "implicit" => TlsMode::Implicit,
});

words!(EightBit, "\"send\" or \"bounce\"", {
    "send" => EightBit::Send,
    "bounce" => EightBit::Bounce,
});

impl Setting for Address {
    const EXPECTED: &'static str = "a mail address such as \"postmaster@example.com\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        Self::parse(text.as_bytes()).map_err(|e| Fault::says(format!("{e}; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        quoted(self.as_str())
    }
}

/// A server and its port.
struct HostPort {
    host: String,
    port: u16,
}

impl Setting for HostPort {
    const EXPECTED: &'static str = "a host with its port such as \"smtp.example.net:587\" or \"[2001:db8::1]:25\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        let fault = |why: &str| Fault::says(format!("{why}; write {}", Self::EXPECTED));
        let (host, port) = text.rsplit_once(':').ok_or_else(|| fault("has no port"))?;
        if port.is_empty() {
            return Err(fault("has no port"));
        }
        let is_port = |port: &u16| *port != 0;
        let port = port
            .parse()
            .ok()
            .filter(is_port)
            .ok_or_else(|| Fault::says(format!("{port:?} is not a port; write 1 to 65535")))?;
        let host = match host.strip_prefix('[') {
            Some(inside) => inside.strip_suffix(']').filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains(':') && is_host_name(host)),
        };
        Ok(Self { host: host.ok_or_else(|| fault("not a host"))?.to_owned(), port })
    }

    fn written(&self) -> String {
        if self.host.contains(':') {
            return quoted(&format!("[{}]:{}", self.host, self.port));
        }
        quoted(&format!("{}:{}", self.host, self.port))
    }
}

/// A name of labels, or an IPv4 address.
fn is_host_name(text: &str) -> bool {
    matches!(crate::mail::Domain::parse(text), Ok(crate::mail::Domain::Name(_))) && text.is_ascii()
}

/// Where a name stands that another section must know.
struct Named {
    name: String,
    place: Place,
}

/// Reads all that concerns delivery; and where `dsn.from` stands.
pub(super) fn read(root: &mut TableReader<'_>) -> (DeliverySettings, Place) {
    let reading = root.reading();
    let mut egress_names = Vec::new();
    let doc = "A source of outgoing mail. Where none is written there is one, named default, whose address the system \
               chooses.";
    let egresses: Vec<EgressSettings> =
        root.tables("egress", doc).into_iter().map(|table| read_egress(table, &mut egress_names)).collect();
    let (mut route_names, mut used) = (Vec::new(), Vec::new());
    let doc = "How mail goes on. The first that matches is taken; what none matches goes by MX from every egress.";
    let routes: Vec<RouteSettings> =
        root.tables("route", doc).into_iter().map(|table| read_route(table, &mut route_names, &mut used)).collect();
    unique(reading, &egress_names, "an egress");
    unique(reading, &route_names, "a route");
    for route in route_names.iter().filter(|route| route.name == DEFAULT_ROUTE) {
        let sentence = format!(
            "the name {DEFAULT_ROUTE} belongs to the route that takes what no other matches; write another name = \"…\""
        );
        reading.error(&route.place, sentence);
    }
    if egress_names.is_empty() {
        egress_names.push(Named { name: EgressSettings::default().name, place: root.here() });
    }
    for wanted in used {
        known(reading, &wanted, &egress_names, "egress");
    }
    let mut table = root.table("delivery", "How mail is handed over.");
    let eightbit = table.or(
        key("eightbit", "8-bit content where the next hop offers no 8BITMIME: send as it is, which the journal tells, or bounce with 5.6.3.")
            .example("\"bounce\""),
        EightBit::default(),
    );
    let ca_file = table.optional::<PathBuf>(
        key("ca_file", "Authorities believed where TLS is verified, as PEM. Absent: those of the system.")
            .example("\"/etc/outguard/ca.pem\""),
    );
    if let Some(Err(sentence)) = ca_file.as_ref().map(|path| reading.surroundings().check_authorities(path)) {
        reading.error(&table.place("ca_file"), sentence);
    }
    let timeouts = read_timeouts(&mut table);
    let (dsn, dsn_from) = read_dsn(root, &route_names);
    let settings = DeliverySettings { egresses, routes, timeouts, dsn, dns: read_dns(root), eightbit, ca_file };
    // What the router refuses beyond the above must not be found out at the start of the daemon.
    if !reading.has_errors()
        && let Err(e) = Router::new(&settings, &reading.surroundings().host_name())
    {
        reading.error(&table.here(), e.to_string());
    }
    (settings, dsn_from)
}

fn read_egress(mut table: TableReader<'_>, names: &mut Vec<Named>) -> EgressSettings {
    let default = EgressSettings::default();
    let address = table.optional::<std::net::IpAddr>(
        key("address", "The local address to send from. Absent: the system chooses.").example("\"192.0.2.10\""),
    );
    let name = table.optional::<String>(
        key("name", "Its name in routes, log and limits. Absent: its address.").example("\"main\""),
    );
    let public_address = table.optional(
        key("public_address", "The address that the world sees, where NAT stands between.").example("\"192.0.2.10\""),
    );
    let ehlo = table.optional::<String>(
        key("ehlo", "The name given in EHLO; the address should resolve to it and back. Absent: the machine's name.")
            .example("\"mail.example.com\""),
    );
    let concurrency = table.or(key("concurrency", "Connections open at once from it."), default.concurrency);
    let reading = table.reading();
    if let Some(address) = address.filter(|address| !reading.surroundings().has_address(*address)) {
        let advice = format!("this machine does not have {address} now; its mail would wait until it has");
        reading.warning(&table.place("address"), advice);
    }
    if ehlo.as_deref().is_some_and(|name| !is_host_name(name)) {
        reading.error(&table.place("ehlo"), "not a host name; write one such as \"mail.example.com\"");
    }
    if concurrency == 0 {
        reading.error(&table.place("concurrency"), "with 0 connections nothing leaves; to stop it, hold the egress");
    }
    let name = name.unwrap_or_else(|| address.map_or(default.name, |address| address.to_string()));
    names.push(Named { name: name.clone(), place: table.here() });
    EgressSettings { name, address, public_address, ehlo, concurrency }
}

fn read_route(mut table: TableReader<'_>, names: &mut Vec<Named>, used: &mut Vec<Named>) -> RouteSettings {
    let name = table.optional::<String>(
        key(
            "name",
            "Its name in log and limits. Absent: the smarthost's, or mx. A change makes waiting mail choose again.",
        )
        .example("\"bulk\""),
    );
    let smarthost = table.optional::<HostPort>(
        key(
            "smarthost",
            "The server that takes all mail of this route. Absent: the servers of each recipient's domain.",
        )
        .example("\"smtp.example.net:587\""),
    );
    let mx_port = table.or(key("mx_port", "Without a smarthost: the port of the servers."), MxSettings::default().port);
    let tls = table.optional::<TlsMode>(
        key(
            "tls",
            "none; opportunistic: where offered, unverified; required: verified, or the mail waits; implicit: from the first \
             byte, verified. Absent: implicit on port 465, else opportunistic. With a login, opportunistic is required.",
        )
        .example("\"required\""),
    );
    let tls = tls.unwrap_or(match &smarthost {
        Some(HostPort { port: 465, .. }) => TlsMode::Implicit,
        _ => TlsMode::default(),
    });
    let credentials = read_credentials(&mut table);
    let concurrency = table.optional::<u32>(
        key(
            "concurrency",
            "Connections open at once to one destination. Absent: 10 to a smarthost, 5 to an MX domain.",
        )
        .example("3"),
    );
    if concurrency == Some(0) {
        let sentence = "with 0 connections nothing leaves by this route; write 1 or more";
        table.reading().error(&table.place("concurrency"), sentence);
    }
    let matches = read_match(&mut table);
    let egresses = table.or(
        key("egress", "Names of the egresses it may leave from. Empty: all.").example("[\"main\"]"),
        Vec::<String>::new(),
    );
    used.extend(egresses.iter().map(|name| Named { name: name.clone(), place: table.place("egress") }));
    check_route(&table, tls, &credentials);
    let name = name.unwrap_or_else(|| smarthost.as_ref().map_or("mx".to_owned(), |hop| hop.host.clone()));
    names.push(Named { name: name.clone(), place: table.here() });
    let concurrency = concurrency.unwrap_or(match smarthost {
        Some(_) => SmarthostSettings::CONCURRENCY,
        None => MxSettings::CONCURRENCY,
    });
    let kind = match smarthost {
        Some(HostPort { host, port }) => RouteKind::Smarthost(SmarthostSettings { host, port, tls, credentials }),
        None => RouteKind::Mx(MxSettings { port: mx_port, tls }),
    };
    RouteSettings { name, matches, kind, egresses, concurrency }
}

/// What goes together in one route.
fn check_route(table: &TableReader<'_>, tls: TlsMode, credentials: &Credentials) {
    let reading = table.reading();
    if tls == TlsMode::None && !credentials.is_empty() {
        reading.error(&table.place("tls"), "a password would travel in clear text; write tls = \"required\"");
    }
    if table.is_absent("smarthost") {
        if !credentials.is_empty() {
            reading.error(&table.here(), "a login needs a smarthost; write smarthost = \"smtp.example.net:587\"");
        }
        if tls == TlsMode::Implicit {
            reading.error(&table.place("tls"), "mail servers of domains have no implicit TLS; write \"required\"");
        }
    }
}

fn read_match(table: &mut TableReader<'_>) -> RouteMatch {
    let mut list = |name, doc, example| table.or(key(name, doc).example(example), Vec::<String>::new());
    RouteMatch {
        sender_domains: list(
            "sender_domains",
            "Takes mail from these domains (*.example.com: all below; <>: the null reverse-path). Empty: from all.",
            "[\"example.com\", \"*.example.com\"]",
        ),
        accounts: list("accounts", "Takes mail of these accounts. Empty: of all.", "[\"news@example.com\"]"),
        recipient_domains: list(
            "recipient_domains",
            "Takes mail to these domains. Empty: to all.",
            "[\"example.org\"]",
        ),
    }
}

fn read_credentials(table: &mut TableReader<'_>) -> Credentials {
    let user = table.optional::<String>(
        key("user", "Whom to log in as at the smarthost, for all mail of this route.").example("\"box@example.com\""),
    );
    let password = table.optional::<SecretSetting>(
        key("password", "The password of user.").example("{ file = \"/etc/outguard/password\" }"),
    );
    let file = table.optional::<SecretSetting>(
        key(
            "logins",
            "Or a file of lines `WHOSE USER PASSWORD`, where WHOSE is an account, @ and the domain of the header From, or * \
             for all others.",
        )
        .example("{ file = \"/etc/outguard/logins\" }"),
    );
    let reading = table.reading();
    match (user, password, file) {
        (Some(user), Some(password), None) => Credentials::for_all(Login { user, password: password.secret }),
        (None, None, Some(file)) => match Credentials::parse(file.secret.reveal()) {
            Ok(credentials) => credentials,
            Err(e) => {
                reading.error(&table.key_place("logins"), format!("{}: {e}", file.source));
                Credentials::default()
            }
        },
        (Some(_) | None, Some(_), Some(_)) | (Some(_), None, Some(_)) => {
            reading.error(&table.here(), "user with password, or logins, not both");
            Credentials::default()
        }
        (Some(_), None, None) if table.is_absent("password") => {
            reading
                .error(&table.place("user"), "has no password; write password = { file = \"/etc/outguard/password\" }");
            Credentials::default()
        }
        (None, Some(_), None) => {
            reading.error(&table.key_place("password"), "has no user; write user = \"box@example.com\"");
            Credentials::default()
        }
        (Some(_) | None, None, None) => Credentials::default(),
    }
}

fn read_timeouts(delivery: &mut TableReader<'_>) -> Timeouts {
    let default = Timeouts::default();
    let mut table = delivery.table("timeouts", "How long a server may take.");
    let too_short = a_wait("no server would be quick enough");
    let mut time = |name, doc, default| table.or_where(key(name, doc), default, &too_short);
    Timeouts {
        connect: time("connect", "For the connection to one address.", default.connect),
        greeting: time("greeting", "For the greeting, and each answer until MAIL.", default.greeting),
        envelope: time(
            "envelope",
            "For each answer to MAIL or RCPT, and five times that for all of a message: slots are held so long. Servers \
             that ask others before they take a recipient may need 5m.",
            default.envelope,
        ),
        data: time("data", "For the answer to DATA.", default.data),
        block: time("block", "For each block of content to be taken.", default.block),
        content: time(
            "content",
            "For the answer to the final dot. Giving up early can make a second copy.",
            default.content,
        ),
        tls: time("tls", "For TLS to be agreed.", default.tls),
    }
}

fn read_dsn(root: &mut TableReader<'_>, routes: &[Named]) -> (DsnSettings, Place) {
    let default = DsnSettings::default();
    let mut table = root.table("dsn", "Reports to senders about mail that was not delivered.");
    let route = table.optional::<String>(
        key("route", "The name of the route that reports take. Absent: the ordinary way.").example("\"back-to-mta\""),
    );
    let account =
        table.or(key("account", "The account that reports are counted against."), default.account.as_str().to_owned());
    let from = table.optional::<Address>(
        key("from", "The address in their From field. Absent: MAILER-DAEMON at the machine's name.")
            .example("\"mailer-daemon@example.com\""),
    );
    let operator = table.optional::<Address>(
        key("operator", "Who gets what no sender can get: bounces of bounces. Absent: those are held until age_max.")
            .example("\"postmaster@example.com\""),
    );
    let own_domains = table.or(
        key(
            "own_domains",
            "Domains whose mail is yours (*.example.org: all below it). Of held mail that nobody released until age_max \
             only senders of these are told, with the header alone; else the operator.",
        )
        .example("[\"example.com\"]"),
        default.own_domains,
    );
    let full = table.or(
        key(
            "full_size",
            "The largest message that goes back whole where the sender asked for it; over it, its header.",
        ),
        Size(default.full_bytes_max),
    );
    if let Some(name) = &route {
        known(table.reading(), &Named { name: name.clone(), place: table.place("route") }, routes, "route");
    }
    let (account, place) = (Account::named(&account), table.place("from"));
    (DsnSettings { route, account, from, operator, own_domains, full_bytes_max: full.0 }, place)
}

fn read_dns(root: &mut TableReader<'_>) -> DnsSettings {
    let default = DnsSettings::default();
    let mut table = root.table("dns", "Where names are looked up.");
    DnsSettings {
        servers: table.or(
            key("servers", "Name servers with their ports. Empty: those of the system.").example("[\"127.0.0.1:53\"]"),
            default.servers,
        ),
        timeout: table.or(key("timeout", "For one question to one server."), default.timeout),
        cache_entries_max: table.or(key("cache_entries", "Answers kept."), default.cache_entries_max),
    }
}

/// Names are kept in the store and counted by: each means one thing.
fn unique(reading: &Reading<'_>, all: &[Named], what: &str) {
    for (i, one) in all.iter().enumerate() {
        let unfit = |c: char| c.is_whitespace() || c.is_control();
        if one.name.is_empty() || one.name.len() > NAME_BYTES_MAX || one.name.contains(unfit) {
            let sentence = format!("a name is one word without spaces, of at most {NAME_BYTES_MAX} bytes");
            reading.error(&one.place, sentence);
        }
        if all[..i].iter().any(|other| other.name == one.name) {
            let sentence = format!("{what} named {} stands above; give this one its own name = \"…\"", one.name);
            reading.error(&one.place, sentence);
        }
    }
}

fn known(reading: &Reading<'_>, wanted: &Named, all: &[Named], what: &str) {
    if all.iter().any(|one| one.name == wanted.name) {
        return;
    }
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let names = Vec::from_iter(names);
    let sentence = match super::item::nearest(&wanted.name, &names) {
        Some(near) => format!("there is no {what} named {}; did you mean {near}?", wanted.name),
        None if names.is_empty() => format!("there is no {what} named {}; write [[{what}]]", wanted.name),
        None => format!("there is no {what} named {}; there are: {}", wanted.name, names.join(", ")),
    };
    reading.error(&wanted.place, sentence);
}
