//! `[align]` and `[doctor]`: what receivers will find.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::item::{Fault, Item, Setting};
use super::reader::{TableReader, key};
use super::signing;
use super::values::{Size, expected, words};
use crate::align::settings::{
    AlignDnsSettings, AlignSettings, Deed, Deeds, DiscoverySettings, Dnssec, DoctorSettings, Ed25519, Judge,
};
use crate::mail::Domain;

/// The longest time for a judgement: a client is answered within 30 s of its final dot.
const TIMEOUT_MAX: Duration = Duration::from_secs(20);
/// Visits of other people's servers in shorter turns are told.
const OFTEN: Duration = Duration::from_mins(10);
/// Domains that the doctor greets the servers of.
const PROBES_MAX: usize = 5;
/// More points than this make no difference.
const POINTS_MAX: u16 = 1_000;

words!(DiscoverySettings, "\"both\", \"tree-walk\" or \"public-suffix\"", {
    "both" => DiscoverySettings::Both,
    "tree-walk" => DiscoverySettings::TreeWalk,
    "public-suffix" => DiscoverySettings::PublicSuffix,
});

words!(Ed25519, "\"ignored\" or \"counted\"", {
    "ignored" => Ed25519::Ignored,
    "counted" => Ed25519::Counted,
});

impl Setting for Deed {
    const EXPECTED: &'static str = "\"send\", \"hold\", \"reject\" or points such as 40";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        if item.value().is_integer() {
            return match u16::read(item)? {
                points if points <= POINTS_MAX => Ok(Self::Points(points)),
                _ => Err(Fault::says(format!("at most {POINTS_MAX} points"))),
            };
        }
        match item.text() {
            Some("send") => Ok(Self::Send),
            Some("hold") => Ok(Self::Hold),
            Some("reject") => Ok(Self::Reject),
            Some(_) | None => Err(expected::<Self>(item)),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Send => "\"send\"".to_owned(),
            Self::Hold => "\"hold\"".to_owned(),
            Self::Reject => "\"reject\"".to_owned(),
            Self::Points(points) => points.to_string(),
        }
    }
}

/// A domain, in its comparable form.
pub(super) struct DomainSetting(pub(super) String);

impl Setting for DomainSetting {
    const EXPECTED: &'static str = "a domain such as \"example.com\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        match item.text().map(Domain::parse) {
            Some(Ok(Domain::Name(name))) => Ok(Self(name.into())),
            Some(_) | None => Err(expected::<Self>(item)),
        }
    }

    fn written(&self) -> String {
        super::values::quoted(&self.0)
    }
}

/// Reads all that concerns alignment. `servers` are those of `[dns]`.
pub(super) fn read(root: &mut TableReader<'_>, servers: &[SocketAddr]) -> AlignSettings {
    let default = AlignSettings::default();
    let doc = "What receivers will make of a message: SPF of each egress, the DKIM signatures as they leave, DMARC.";
    let mut table = root.table("align", doc);
    let judge = table.or(key("judge", "Whether messages are judged."), default.judge == Judge::All);
    let time_limit = table.or_where(
        key("timeout", "How long DNS may take for one message; past it the verdict is temperror."),
        default.time_limit,
        |time| if *time <= TIMEOUT_MAX { Ok(()) } else { Err("at most 20s".to_owned()) },
    );
    let discovery = table.or(
        key(
            "discovery",
            "How DMARC records are found: as RFC 9989 says (tree-walk), as RFC 7489 said (public-suffix), or both, and the \
             worse counts: receivers do the one or the other.",
        ),
        default.discovery,
    );
    let signatures_max = table.or_where(
        key("signatures", "More DKIM signatures of one message than this are not looked at."),
        default.signatures_max,
        |count| if (1..=50).contains(count) { Ok(()) } else { Err("from 1 to 50".to_owned()) },
    );
    let ed25519 = table.or(
        key(
            "ed25519",
            "Whether an Ed25519 signature counts where there is no RSA one beside it: many receivers cannot read it.",
        ),
        default.ed25519,
    );
    let forwarders = table.or(
        key(
            "forwarders",
            "Domains whose word is believed that mail is forwarded: by an SRS address of theirs, or a chain of ARC seals that \
             holds and whose newest is theirs. Own names and domains with a [[dkim]] are believed without being named.",
        )
        .example("[\"lists.example.org\"]"),
        Vec::<DomainSetting>::new(),
    );
    let deeds = read_deeds(&mut table);
    let dns = read_dns(&mut table, servers);
    AlignSettings {
        judge: if judge { Judge::All } else { Judge::Nothing },
        time_limit,
        discovery,
        signatures_max,
        ed25519,
        forwarders: forwarders.into_iter().map(|domain| domain.0).collect(),
        deeds,
        dns,
        signing: signing::read(root, ed25519),
        doctor: read_doctor(root),
    }
}

fn read_doctor(root: &mut TableReader<'_>) -> DoctorSettings {
    let default = DoctorSettings::default();
    let mut table = root.table("doctor", "What the doctor looks at, and how often.");
    let domains = table.or(
        key(
            "domains",
            "Sending domains besides those of [[dkim]], [dsn], routes, logins and limits, and the 20 that sent most.",
        )
        .example("[\"example.com\"]"),
        Vec::<DomainSetting>::new(),
    );
    let lists = table.or(
        key("lists", "Lists in the DNS that the egresses are looked up in. Many refuse public resolvers."),
        default.lists,
    );
    let named = |domains: Vec<String>| domains.into_iter().map(DomainSetting).collect::<Vec<_>>();
    let port25 = table.or_where(
        key(
            "port25",
            "Domains whose servers are greeted from each egress, to see whether port 25 can be reached: one connection where \
             all is well. Empty: none.",
        ),
        named(default.port25),
        |domains| if domains.len() <= PROBES_MAX { Ok(()) } else { Err(format!("at most {PROBES_MAX} domains")) },
    );
    let mailboxes = table.or_where(
        key(
            "mailboxes",
            "What each sending domain should take mail for: its server is asked (RCPT), no mail is sent. Empty: nothing is \
             asked.",
        ),
        default.mailboxes,
        |names| if names.iter().all(|name| is_mailbox(name)) { Ok(()) } else { Err("not the part before an @".into()) },
    );
    let every = table.or(
        key(
            "every",
            "How often the daemon looks by itself; what was right and is wrong is told once, as doctor.worse. 0s: never.",
        ),
        default.every.unwrap_or_default(),
    );
    let asks_others = !port25.is_empty() || !mailboxes.is_empty();
    if asks_others && !every.is_zero() && every < OFTEN {
        let sentence =
            "other people's servers are visited so often; write 10m or more, or port25 = [] and mailboxes = []";
        table.reading().warning(&table.place("every"), sentence);
    }
    DoctorSettings {
        every: Some(every).filter(|time| !time.is_zero()),
        domains: domains.into_iter().map(|domain| domain.0).collect(),
        lists,
        port25: port25.into_iter().map(|domain| domain.0).collect(),
        mailboxes,
        time_limit: table.or_where(
            key("timeout", "For each connection to a server, and for each of its replies."),
            default.time_limit,
            |time| {
                if time.as_secs() <= 60 && !time.is_zero() { Ok(()) } else { Err("more than 0s, at most 1m".into()) }
            },
        ),
    }
}

/// A plain local part (RFC 5321 4.1.2), fit for a command.
fn is_mailbox(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b))
}

fn read_deeds(align: &mut TableReader<'_>) -> Deeds {
    let default = Deeds::default();
    let doc = "What each verdict does: send, so many points, hold, or reject. A pass does nothing.";
    let mut table = align.table("verdict", doc);
    let mild = |deed: &Deed| match deed {
        Deed::Send | Deed::Points(_) => Ok(()),
        Deed::Hold | Deed::Reject => Err("DNS trouble holds no mail; write \"send\" or points such as 5".to_owned()),
    };
    Deeds {
        policy_fails: table.or(
            key("policy", "It fails, and the From domain asks receivers to reject or quarantine what fails."),
            default.policy_fails,
        ),
        forwarded_fails: table.or(
            key("forwarded", "The same of mail that one forwards whom we believe (`forwarders`)."),
            default.forwarded_fails,
        ),
        smarthost_fails: table.or(
            key(
                "smarthost",
                "The same through a smarthost, where no signature holds: whether SPF passes for its address is not known.",
            ),
            default.smarthost_fails,
        ),
        misaligned: table.or(
            key("misaligned", "Something authenticates it, but not for the From domain, which asks for nothing."),
            default.misaligned,
        ),
        none: table.or(key("none", "Nothing authenticates it, and the From domain asks for nothing."), default.none),
        temperror: table.or_where(
            key("temperror", "DNS does not answer, or an egress's public address is not known: send, or points."),
            default.temperror,
            mild,
        ),
        permerror: table.or(
            key("permerror", "A record or the From field is broken, and the From domain asks for nothing."),
            default.permerror,
        ),
        login_domain: table.or(
            key("login_domain", "OVHcloud's mail servers would refuse the From domain, for it is not the login's."),
            default.login_domain,
        ),
    }
}

fn read_dns(align: &mut TableReader<'_>, servers: &[SocketAddr]) -> AlignDnsSettings {
    let default = AlignDnsSettings::default();
    let mut table = align.table("dns", "The resolver for records of alignment, and its memory.");
    let own = table.or(
        key("servers", "Name servers with their ports. Empty: those of [dns].").example("[\"127.0.0.1:53\"]"),
        default.servers,
    );
    let mut time = |name, doc, default| table.or(key(name, doc), default);
    let timeout = time("timeout", "For one question.", default.timeout);
    let ttl_min = time("ttl_min", "An answer is kept at least so long.", default.ttl_min);
    let ttl_max = time("ttl_max", "An answer is fresh at most so long.", default.ttl_max);
    let stale_max =
        time("stale", "How long past its time an answer stands in while DNS is down (RFC 8767).", default.stale_max);
    let stale_after =
        time("stale_after", "How long is waited for a better answer where an old one is there.", default.stale_after);
    let failure_ttl = time("failure_ttl", "A question that failed is not asked again so long.", default.failure_ttl);
    AlignDnsSettings {
        servers: if own.is_empty() { servers.to_vec() } else { own },
        timeout,
        questions_max: table.or_where(
            key("questions", "Questions under way at once."),
            default.questions_max,
            |count| if (1..=10_000).contains(count) { Ok(()) } else { Err("from 1 to 10000".to_owned()) },
        ),
        cache_entries_max: table.or(key("cache_entries", "Answers kept."), default.cache_entries_max),
        cache_bytes_max: usize::try_from(
            table.or(key("cache_size", "Memory for them."), Size(default.cache_bytes_max as u64)).0,
        )
        .unwrap_or(usize::MAX),
        ttl_min,
        ttl_max,
        stale_max,
        stale_after,
        failure_ttl,
        dnssec: read_dnssec(&mut table),
    }
}

/// Whether signatures are checked, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    Off,
    Validate,
}

words!(Checks, "\"off\" or \"validate\"", {
    "off" => Checks::Off,
    "validate" => Checks::Validate,
});

fn read_dnssec(dns: &mut TableReader<'_>) -> Dnssec {
    let checks = dns.or(
        key(
            "dnssec",
            "Whether the signatures of answers are checked here. The name servers must hand them on (unbound, BIND and Knot \
             Resolver do); an answer whose signatures do not hold is none (temperror).",
        )
        .example("\"validate\""),
        Checks::Off,
    );
    let trust_anchor = dns.optional::<PathBuf>(
        key("trust_anchor", "DNSKEY records that are trusted, as in a zone file. Absent: those of the root.")
            .example("\"/etc/outguard/root.key\""),
    );
    match checks {
        Checks::Validate => Dnssec::Validate { trust_anchor },
        Checks::Off => Dnssec::Off,
    }
}
