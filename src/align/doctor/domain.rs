//! What is said of a sending domain.

use super::{DomainFacts, Exchanges, Finding, Grade, KeyFacts, Subject, mailbox, sender_policy};
use crate::align::dkim::key::PublicKey;
use crate::align::dkim::{KeyRecord, RSA_BITS_MIN, RSA_BITS_WEAK};
use crate::align::dmarc::{Policy, View};
use crate::align::dns::{Assurance, NoAnswer};
use crate::align::sign::key::zone_strings;
use crate::mail::Visible;

const WHY_DKIM: &str = "a signature whose key is not published counts as none";
const WHY_WEAK: &str = "receivers count no signature of a key under 1024 bits (RFC 8301)";
const WHY_SHORT: &str = "keys under 2048 bits count less from year to year (RFC 8301)";
const WHY_TESTING: &str = "t=y says that the domain tests: receivers may treat its mail as unsigned (RFC 6376 3.6.1)";
const WHY_UNFIT: &str = "receivers do not use a key for what its record does not allow (h=, s=)";
const WHY_NO_KEY: &str = "forwarded mail and mail under a strict policy passes by its signature alone";
const WHY_ED25519: &str = "many receivers count only signatures of RSA keys (RFC 8463)";
const WHY_DMARC: &str = "large receivers ask every sending domain for a DMARC record";
const WHY_BOGUS: &str = "for receivers that check signatures it has no SPF, no DKIM and no DMARC record now";
const WHY_MX: &str = "receivers refuse mail of a domain that takes no answers";
const WHY_NO_NAME: &str = "receivers refuse mail of a domain that does not exist";

pub(super) fn examine(domain: &DomainFacts, findings: &mut Vec<Finding>) {
    let name = domain.domain.as_str();
    Subject { name, findings }.check("sender", "").right(domain.origin.clone());
    // Of each key the findings stand behind those of SPF, which ask whether a signature would carry the mail.
    let mut of_keys = Vec::new();
    for key in &domain.keys {
        of_key(name, key, &mut of_keys);
    }
    let signed = domain.keys.iter().any(carries);
    sender_policy::examine(domain, signed, findings);
    findings.append(&mut of_keys);
    if domain.keys.is_empty() {
        let mend = format!("outguard dkim keygen {name}");
        let check = Subject { name, findings }.check("dkim", "");
        check.tell(Grade::Warning, "no key signs its mail", WHY_NO_KEY, mend);
    }
    let is_ed25519 = |key: &KeyFacts| {
        KeyRecord::parse(key.record.as_bytes()).is_ok_and(|ours| matches!(ours.public, PublicKey::Ed25519(_)))
    };
    if !domain.keys.is_empty() && domain.keys.iter().all(is_ed25519) {
        let mend = format!("outguard dkim keygen {name} --kind rsa");
        let check = Subject { name, findings }.check("dkim", "");
        check.tell(Grade::Warning, "only Ed25519 keys sign its mail", WHY_ED25519, mend);
    }
    of_policy(name, &domain.dmarc, findings);
    of_exchanges(name, &domain.exchanges, findings);
    of_signatures(name, domain.assurance.as_ref(), findings);
    // Where it says that it takes no mail, that is the news.
    let takes_mail = !matches!(&domain.exchanges, Ok(found) if found.is_null && found.hosts.is_empty());
    for (mailbox, deliverable) in domain.mailboxes.iter().filter(|_| takes_mail) {
        let check = Subject { name, findings }.check("mailbox", mailbox);
        mailbox::tell(name, mailbox, deliverable, check);
    }
}

fn of_exchanges(name: &str, exchanges: &Result<Exchanges, NoAnswer>, findings: &mut Vec<Finding>) {
    let check = Subject { name, findings }.check("mx", "");
    let publish =
        format!("{name}. IN MX 10 HOST. with HOST for the server that takes its mail, abuse@ and postmaster@ among it");
    let Exchanges { hosts, is_null, lost, is_implied } = match exchanges {
        Ok(exchanges) => exchanges,
        Err(NoAnswer::Failed(why)) => return check.unknown(format!("no answer: {}", Visible(why))),
        Err(NoAnswer::NoSuchName) => return check.fault("it does not exist in the DNS", WHY_NO_NAME, publish),
        Err(NoAnswer::NoRecords) => return check.fault("it has no mail exchange and no address", WHY_MX, publish),
    };
    let shown = |hosts: &[Box<str>]| hosts.iter().map(|host| Visible(host).to_string()).collect::<Vec<_>>().join(", ");
    if *is_implied {
        check.right("it has no MX record, so its mail is taken by its own address (RFC 5321 5.1)");
    } else if *is_null && hosts.is_empty() {
        let mend = format!("remove {name}. IN MX 0 . and publish {publish}");
        check.fault("it says that it takes no mail (RFC 7505)", WHY_MX, mend);
    } else if *is_null {
        let found = format!("it says that it takes no mail, and names {} (RFC 7505 3)", shown(hosts));
        check.warning(found, WHY_MX, format!("remove {name}. IN MX 0 ."));
    } else if lost.is_empty() {
        check.right(format!("its mail is taken by {}", shown(hosts)));
    } else {
        let first = lost.first().map(|host| Visible(host).to_string()).unwrap_or_default();
        let found = format!("of its mail exchanges these have no address: {}", shown(lost));
        let mend =
            format!("{first}. IN A with the address of the server, or remove {first} from the MX records of {name}");
        let grade = if lost.len() == hosts.len() { Grade::Fault } else { Grade::Warning };
        check.tell(grade, found, WHY_MX, mend);
    }
}

pub(super) fn of_signatures(name: &str, assurance: Option<&Result<Assurance, NoAnswer>>, findings: &mut Vec<Finding>) {
    let Some(assurance) = assurance else { return };
    let check = Subject { name, findings }.check("dnssec", "");
    match assurance {
        Ok(Assurance::Signed) => check.right("its records are signed, and the signatures hold"),
        Ok(Assurance::Unsigned) | Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => {
            check.right("its zone is not signed");
        }
        Err(fault) if fault.is_bogus() => {
            let mend = format!(
                "sign the zone of {name} again, or correct its DS record at the registrar (delv {name} MX says what is \
                 wrong); if all domains are told so, the name servers of [align.dns] do not hand signatures on"
            );
            check.tell(Grade::Fault, format!("no answer to rely on: {fault}"), WHY_BOGUS, mend);
        }
        Err(fault) => check.unknown(format!("no answer: {}", Visible(&fault.to_string()))),
    }
}

/// Whether receivers count what this key signs.
fn carries(key: &KeyFacts) -> bool {
    let Ok(published) = &key.published else { return false };
    let long_enough = match published.public {
        PublicKey::Rsa(_, bits) => bits >= RSA_BITS_MIN,
        // Many receivers do not know it (RFC 8463): beside an RSA key it is of use, alone it is not.
        PublicKey::Ed25519(_) | PublicKey::Revoked => false,
    };
    let ours = KeyRecord::parse(key.record.as_bytes()).is_ok_and(|ours| published.public == ours.public);
    long_enough && ours && published.fit && !published.testing
}

pub(super) fn of_key(name: &str, key: &KeyFacts, findings: &mut Vec<Finding>) {
    let check = Subject { name, findings }.check("dkim", &key.name);
    let publish = || format!("{}. IN TXT ( {} )", key.name, zone_strings(&key.record));
    let renew = || format!("outguard dkim keygen {name}");
    let published = match &key.published {
        Err(failure) if failure.is_temporary() => return check.unknown(Visible(&failure.to_string()).to_string()),
        Err(failure) => {
            return check.tell(Grade::Fault, Visible(&failure.to_string()).to_string(), WHY_DKIM, publish());
        }
        Ok(published) => published,
    };
    if KeyRecord::parse(key.record.as_bytes()).is_ok_and(|ours| published.public != ours.public) {
        let found = format!("another key is published at {} than the one that signs", key.name);
        return check.tell(Grade::Fault, found, WHY_DKIM, publish());
    }
    if !published.fit {
        let found = format!("the record at {} does not allow the key for mail with SHA-256", key.name);
        return check.tell(Grade::Fault, found, WHY_UNFIT, publish());
    }
    match &published.public {
        PublicKey::Rsa(_, bits) if *bits < RSA_BITS_MIN => {
            check.tell(Grade::Fault, format!("the key at {} has {bits} bits", key.name), WHY_WEAK, renew());
        }
        _ if published.testing => {
            let found = format!("the record at {} has t=y", key.name);
            check.tell(Grade::Warning, found, WHY_TESTING, publish());
        }
        PublicKey::Rsa(_, bits) if *bits < RSA_BITS_WEAK => {
            check.tell(Grade::Warning, format!("the key at {} has {bits} bits", key.name), WHY_SHORT, renew());
        }
        PublicKey::Rsa(..) | PublicKey::Ed25519(_) | PublicKey::Revoked => {
            // Ours names no identity of its own (i=), so t=s holds for all that it signs.
            let exact = if published.exact_identity { ", for its own domain alone (t=s)" } else { "" };
            check.right(format!("the key at {} is the one that signs{exact}", key.name));
        }
    }
}

fn of_policy(name: &str, dmarc: &Result<View, NoAnswer>, findings: &mut Vec<Finding>) {
    let check = Subject { name, findings }.check("dmarc", "");
    let record = |policy: &str| format!("_dmarc.{name}. IN TXT \"v=DMARC1; p={policy}; rua=mailto:postmaster@{name}\"");
    let alone = || format!("{}, and no other record that begins with v=DMARC1 there", record("none"));
    match dmarc {
        Err(why) => check.unknown(format!("no answer: {}", Visible(&why.to_string()))),
        Ok(View { applied: None, fault, .. }) => {
            let found = Visible(fault.as_deref().unwrap_or("there is no DMARC record")).to_string();
            check.fault(found, WHY_DMARC, if fault.is_some() { alone() } else { record("none") });
        }
        Ok(View { applied: Some(applied), .. }) => {
            let found = format!("p={} by the record of {}", applied.policy.as_str(), Visible(&applied.record_of));
            if applied.policy == Policy::None {
                let why = "with p=none anybody can send in its name";
                check.tell(Grade::Warning, found, why, format!("once all its mail passes: {}", record("quarantine")));
            } else {
                check.right(found);
            }
        }
    }
}
