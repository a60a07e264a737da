//! What the verdict says to people: what was found, and the record or command that mends it.

use std::net::IpAddr;

use super::super::author::Author;
use super::super::dkim::{Failure, Outcome};
use super::super::dmarc::Policy;
use super::super::facts::{Exit, Facts, Forwarded, Own, Passed, Signed, Smarthost};
use super::super::spf::SpfResult;
use super::Alignment;
use crate::account::Account;
use crate::mail::Visible;

pub(super) fn login_domain(smarthost: &Smarthost, author: &Author) -> String {
    let host = Visible(&smarthost.host);
    let login = smarthost.login_domain.as_deref().unwrap_or_default();
    let from = author
        .domain()
        .map_or_else(|| "the From field names no single domain".to_owned(), |d| format!("From is of {d}"));
    let wanted = author.domain().unwrap_or("that domain");
    format!(
        "{host} refuses mail whose From domain is not the login's, and here the login is of {login} and {from}. Add a line \
         `@{wanted}` with a mailbox of {wanted} to the route's credentials, or send it as {login}"
    )
}

pub(super) fn no_author(author: &Author) -> String {
    match author {
        Author::Domain(domain) => format!("From is of {domain}"),
        Author::Domains(domains) => format!(
            "the From field names addresses of several domains ({}), which many receivers refuse and none authenticates. \
             Write one of them, and the others into Reply-To",
            domains.join(", ")
        ),
        Author::Fields(count) => format!(
            "the message has {count} From fields, and many receivers refuse more than one (RFC 5322 3.6). Let the program \
             that makes it write one"
        ),
        Author::Missing => {
            "the message has no From field, and many receivers refuse that (RFC 5322 3.6). Let the program \
                            that makes it write one"
                .to_owned()
        }
        Author::Nobody => {
            "the From field names no address with a domain, so nothing can authenticate it. Write a whole \
                           address into it"
                .to_owned()
        }
    }
}

pub(super) fn pass(facts: &Facts, author: &str) -> String {
    let signature = facts.signatures.iter().find(|signed| signed.passes());
    match signature {
        Some(signed) => {
            format!("{author} is authenticated: a DKIM signature of {} holds", signed.checked.domain)
        }
        None if facts.routes.iter().all(|route| matches!(route, super::Route::Smarthost(_))) => {
            format!("no DKIM signature of {author} holds, and SPF is the smarthost's affair")
        }
        None => format!("{author} is authenticated by SPF"),
    }
}

/// What was found on the worst way, what receivers are asked to do, and what mends it.
pub(super) fn of(facts: &Facts, author: &str, alignment: Alignment, exit: Option<&Exit>) -> String {
    let mut text = match alignment {
        Alignment::TempError => format!("whether {author} is authenticated cannot be told now: "),
        Alignment::PermError => format!("nothing authenticates {author}, and a record is broken: "),
        Alignment::Misaligned => format!("what authenticates the message does not speak for {author}: "),
        Alignment::None | Alignment::Pass => format!("nothing authenticates {author}: "),
    };
    text.push_str(&evidence(facts, exit));
    text.push_str(&asked(facts, author, alignment));
    text.push_str(". ");
    text.push_str(&advice(facts, author, exit));
    text
}

/// SPF's and DKIM's results.
fn evidence(facts: &Facts, exit: Option<&Exit>) -> String {
    let spf = match exit {
        Some(Exit { spf: Some(Passed { spf, .. }), address: Some(address), .. }) => {
            format!(
                "SPF for {} from {address} is {} ({})",
                Visible(&spf.domain),
                spf.result.as_str(),
                Visible(&spf.detail)
            )
        }
        Some(Exit { egress, .. }) => format!("the public address of egress {} is not known", Visible(egress)),
        None => "SPF was not asked".to_owned(),
    };
    let dkim = match facts.signatures.as_slice() {
        [] => "there is no DKIM signature".to_owned(),
        [first, ..] => {
            let shown = facts.signatures.iter().find(|signed| signed.passes()).unwrap_or(first);
            let domain = &shown.checked.domain;
            match &shown.checked.outcome {
                Outcome::Pass => format!("DKIM holds for {domain}"),
                Outcome::Fails(failure) if domain.is_empty() => format!("{}", Visible(&failure.to_string())),
                Outcome::Fails(failure) => format!("DKIM of {domain} fails: {}", Visible(&failure.to_string())),
            }
        }
    };
    let missing = facts.views.iter().find_map(|view| view.as_ref().err());
    let dmarc = missing.map(|why| format!("; the DMARC record cannot be had: {}", Visible(why))).unwrap_or_default();
    let fault = facts.views.iter().flatten().find_map(|view| view.fault.as_ref());
    let fault = fault.map(|fault| format!("; {fault}")).unwrap_or_default();
    format!("{spf}; {dkim}{dmarc}{fault}")
}

/// What the From domain asks for.
fn asked(facts: &Facts, author: &str, alignment: Alignment) -> String {
    if alignment == Alignment::TempError {
        return String::new();
    }
    let applied = facts.views.iter().flatten().filter_map(|view| view.applied.as_ref());
    match applied.max_by_key(|applied| applied.policy) {
        Some(applied) if applied.policy != Policy::None => {
            let policy = applied.policy.as_str();
            if *applied.record_of == *author {
                format!("; {author} asks receivers to {policy} such mail")
            } else {
                format!("; {} asks receivers to {policy} such mail of {author}", applied.record_of)
            }
        }
        _ => String::new(),
    }
}

/// What mends it.
fn advice(facts: &Facts, author: &str, exit: Option<&Exit>) -> String {
    if facts.forwarded != Forwarded::No {
        return format!(
            "It is forwarded mail: receivers accept it while the signature of {author} survives, so forward it unchanged, \
             or seal it (`[signing] seal_domain`)"
        );
    }
    if let Some(mending) = facts.signatures.iter().find_map(|signed| of_signature(signed, author)) {
        return mending;
    }
    let Some(exit) = exit else { return dkim(facts, author) };
    let (Some(Passed { spf, organizational }), Some(address)) = (&exit.spf, exit.address) else {
        return format!("Set `public_address` of egress {}, or {}", Visible(&exit.egress), lower(&dkim(facts, author)));
    };
    let shown = Visible(&spf.domain);
    let term = term(address);
    let theirs = |(at, view): (usize, &Result<super::View, Box<str>>)| match (view, organizational.get(at)) {
        (Ok(view), Some(Some(theirs))) => view.is_aligned(author, &spf.domain, theirs, view.spf_mode()),
        _ => *spf.domain == *author,
    };
    if !facts.views.iter().enumerate().all(theirs) {
        return format!(
            "{}, or send it with a reverse-path of {author} and `{term}` in the SPF record of {author}",
            dkim(facts, author)
        );
    }
    let dkim = lower(&dkim(facts, author));
    match spf.result {
        SpfResult::None => format!("Publish the TXT record `v=spf1 {term} ~all` at {shown}, or {dkim}"),
        SpfResult::PermError => format!("Mend the SPF record of {shown}, or {dkim}"),
        SpfResult::TempError => format!("It goes by itself once DNS answers for {shown}; to depend on it less, {dkim}"),
        SpfResult::Pass | SpfResult::Neutral | SpfResult::Fail | SpfResult::SoftFail => {
            format!("Add `{term}` to the SPF record of {shown}, or {dkim}")
        }
    }
}

/// Of a signature that would speak for the From domain, if it held.
fn of_signature(signed: &Signed, author: &str) -> Option<String> {
    let Outcome::Fails(failure) = &signed.checked.outcome else { return None };
    let domain = &signed.checked.domain;
    if !super::super::dkim::signature::is_under(author, domain) {
        return None;
    }
    match failure {
        Failure::KeyMissing(name)
        | Failure::KeyBroken(name, _)
        | Failure::KeyRevoked(name)
        | Failure::KeyUnfit(name) => Some(format!(
            "Publish the key of the signature at {}: `outguard dkim record {domain}` prints the record",
            Visible(name)
        )),
        Failure::HeaderChanged | Failure::BodyChanged => {
            Some(format!("Find what changes the message after it was signed for {domain}, or let outguard sign it"))
        }
        Failure::Broken(_) | Failure::Weak(_) | Failure::Expired | Failure::NoDns(_) => None,
    }
}

/// What lets an account have a signature.
pub(super) fn not_signed(domain: &str, account: &Account) -> String {
    format!(
        "Write \"{}\" into `accounts` of the [[dkim]] of {domain} if it may speak for that domain",
        Visible(account.as_str())
    )
}

fn dkim(facts: &Facts, author: &str) -> String {
    match &facts.own {
        Own::NotForAccount(domain, account) => not_signed(domain, account),
        Own::Key => format!("Check the DKIM key of {author} (`outguard dkim record {author}`)"),
        Own::NoKey => format!("Sign with DKIM for {author} (`outguard dkim keygen {author}`)"),
    }
}

fn lower(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next().map_or_else(String::new, |first| first.to_lowercase().chain(rest).collect())
}

/// An address as an SPF record writes it.
fn term(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("ip4:{v4}"),
        IpAddr::V6(v6) => format!("ip6:{v6}"),
    }
}
