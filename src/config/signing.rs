//! `[signing]` and `[[dkim]]`: our own signature.

use super::align::DomainSetting;
use super::item::Place;
use super::reader::{TableReader, key};
use super::secrets::SecretSetting;
use super::values::words;
use crate::align::dkim::signature::is_under;
use crate::align::settings::{Covers, DkimKeySettings, Ed25519, ExistingSignature, Senders, SigningSettings};
use crate::align::sign::{KeyKind, PrivateKey};
use crate::secret::Secret;

words!(ExistingSignature, "\"sign-unless-ours\", \"sign\" or \"leave\"", {
    "sign-unless-ours" => ExistingSignature::SignUnlessOurs,
    "sign" => ExistingSignature::Sign,
    "leave" => ExistingSignature::Leave,
});

words!(Senders, "\"plausible\", \"one-owner\", \"proven\" or \"any\"", {
    "plausible" => Senders::Plausible,
    "one-owner" => Senders::OneOwner,
    "proven" => Senders::Proven,
    "any" => Senders::Any,
});

words!(Covers, "\"subdomains\" or \"exactly\"", {
    "subdomains" => Covers::Subdomains,
    "exactly" => Covers::Exactly,
});

/// Reads all that concerns our signature.
pub(super) fn read(root: &mut TableReader<'_>, ed25519: Ed25519) -> SigningSettings {
    let default = SigningSettings::default();
    let doc = "A DKIM key. Mail is signed whose From domain it covers; with an RSA and an Ed25519 key of one domain, by both. \
               `outguard dkim keygen` makes one.";
    let mut known = Vec::new();
    let keys: Vec<DkimKeySettings> =
        root.tables("dkim", doc).into_iter().filter_map(|table| read_key(table, &mut known)).collect();
    if ed25519 == Ed25519::Ignored {
        warn_of_lone_keys(root, &keys);
    }
    let mut table = root.table("signing", "How outgoing mail is signed.");
    let senders = table.or(
        key(
            "senders",
            "Which accounts a key signs for, besides its `accounts`: plausible is all but addresses of other domains (local \
             users and scripts have none), one-owner is these and addresses of all domains that have a key, proven is addresses of its domain that a login or a trusted MTA proves, any is \
             whoever may relay.",
        ),
        default.senders,
    );
    if table.is_absent("senders") {
        warn_of_several_domains(&table, &keys);
    }
    let existing = table.or(
        key(
            "existing",
            "What is done where a signature stands already: sign unless one of the same key stands and holds, sign in any \
             case, or leave the message alone.",
        ),
        default.existing,
    );
    let fields = table.or(
        key("fields", "Further header fields to sign where they stand.").example("[\"X-Campaign\"]"),
        default.fields,
    );
    for field in &fields {
        let is_name = !field.is_empty() && field.bytes().all(|b| b.is_ascii_graphic() && b != b':' && b != b';');
        if !is_name {
            table.reading().error(&table.place("fields"), format!("{field:?} is no name of a header field"));
        }
    }
    let expiry = table.or(
        key("expiry", "After so long a signature is no longer good; 0s: it does not end."),
        default.expiry.unwrap_or_default(),
    );
    let seal_domain = table.optional::<DomainSetting>(
        key("seal_domain", "Forwarded mail is sealed (ARC) with the RSA key of this domain. Absent: it is not.")
            .example("\"example.com\""),
    );
    if let Some(DomainSetting(domain)) = &seal_domain
        && let Some(fault) = fault_of_sealer(&keys, domain)
    {
        table.reading().error(&table.place("seal_domain"), fault);
    }
    SigningSettings {
        keys,
        senders,
        existing,
        fields,
        expiry: Some(expiry).filter(|time| !time.is_zero()),
        seal_domain: seal_domain.map(|domain| domain.0),
    }
}

/// Why a domain cannot seal. A key that cannot be read is told at its own place.
fn fault_of_sealer(keys: &[DkimKeySettings], domain: &str) -> Option<String> {
    let kinds: Vec<_> = keys.iter().filter(|key| key.domain == *domain).map(kind).collect();
    if kinds.is_empty() {
        return Some(format!("there is no [[dkim]] of {domain}"));
    }
    let is_lone = kinds.iter().all(|kind| *kind == Some(KeyKind::Ed25519));
    is_lone.then(|| {
        format!(
            "{domain} has an Ed25519 key alone, and seals know RSA keys only (RFC 8617 4.1); add one (`outguard dkim keygen \
             {domain}`)"
        )
    })
}

/// Of what kind a key is; `None`: it cannot be read.
fn kind(key: &DkimKeySettings) -> Option<KeyKind> {
    PrivateKey::of_pem(key.key.reveal()).ok().map(|key| key.kind())
}

/// A domain that signs with Ed25519 alone is unsigned to many receivers, and counts so here.
fn warn_of_lone_keys(root: &TableReader<'_>, keys: &[DkimKeySettings]) {
    let kinds: Vec<_> = keys.iter().map(|key| (key.domain.as_str(), kind(key))).collect();
    let mut told: Vec<&str> = Vec::new();
    for (domain, _) in kinds.iter().filter(|(_, kind)| *kind == Some(KeyKind::Ed25519)) {
        if !kinds.contains(&(domain, Some(KeyKind::Rsa))) && !told.contains(domain) {
            told.push(domain);
            let sentence = format!(
                "{domain} has an Ed25519 key alone, which many receivers cannot read, so its mail counts as unsigned; add an \
                 RSA key (`outguard dkim keygen {domain}`), or write align.ed25519 = \"counted\""
            );
            root.reading().warning(&root.place("dkim"), sentence);
        }
    }
}

/// Mail of a login of one domain that writes as another is not signed, unless somebody says whose the domains are.
fn warn_of_several_domains(table: &TableReader<'_>, keys: &[DkimKeySettings]) {
    let mut domains: Vec<&str> = Vec::new();
    for key in keys.iter().filter(|key| key.accounts.is_empty()) {
        let related = |known: &&str| is_under(known, &key.domain) || is_under(&key.domain, known);
        if !domains.iter().any(related) {
            domains.push(&key.domain);
        }
    }
    let [first, second, ..] = domains[..] else { return };
    let sentence = format!(
        "there are keys of several domains ({}): what an account of {first} writes as {second} is not signed. Write senders = \
         \"one-owner\" if they are one owner's, \"proven\" if customers share this server, or \"plausible\" to keep it so; \
         `accounts` of a [[dkim]] names exceptions",
        domains.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ")
    );
    table.reading().warning(&table.here(), sentence);
}

/// So many domains are named in a warning.
const NAMED_MAX: usize = 5;

fn read_key(mut table: TableReader<'_>, known: &mut Vec<(String, String)>) -> Option<DkimKeySettings> {
    let domain =
        table.required::<DomainSetting>(key("domain", "The domain that signs (d=).").example("\"example.com\""));
    let selector = table.required::<DomainSetting>(
        key("selector", "The selector (s=), under which the public key is published.").example("\"s1\""),
    );
    let pem = table.required::<SecretSetting>(
        key("key", "The private key, as PEM.").example("{ file = \"/etc/outguard/dkim/example.com.s1.pem\" }"),
    );
    let covers =
        table.or(key("covers", "Whether mail of domains below it is signed too, or of it alone."), Covers::default());
    let accounts = table.or(
        key("accounts", "Accounts that it signs for in any case, as the log shows them, or all of a domain.")
            .example("[\"uid:www-data\", \"@example.org\"]"),
        Vec::<String>::new(),
    );
    let place: Place = table.key_place("key");
    let reading = table.reading();
    if let Some(pem) = &pem
        && let Err(error) = PrivateKey::of_pem(pem.secret.reveal())
    {
        reading.error(&place, format!("{}: {error}", pem.source));
    }
    let (DomainSetting(domain), DomainSetting(selector)) = (domain?, selector?);
    let name = (selector.clone(), domain.clone());
    if known.contains(&name) {
        let sentence = format!("a key {selector} of {domain} stands above; give this one its own selector");
        reading.error(&table.place("selector"), sentence);
    }
    known.push(name);
    let key = pem.map_or_else(|| Secret::new(Vec::new()), |pem| pem.secret);
    Some(DkimKeySettings { domain, selector, key, covers, accounts })
}
