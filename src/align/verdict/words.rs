//! What the verdict says to people: what was found, and the record or command that mends it.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::super::arc::Chain;
use super::super::author::{Author, Domains};
use super::super::dkim::{Failure, Outcome, RSA_BITS_WEAK};
use super::super::dmarc::{Mode, Policy};
use super::super::facts::{Exit, Facts, Forwarded, Own, Passed, Seen, Signed, Smarthost};
use super::super::gather::may_relate;
use super::super::spf::SpfResult;
use super::{Alignment, Way};
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
        Author::Domains(Domains::All(known)) => format!(
            "The From field names addresses of several domains ({}): many receivers refuse that, others apply the strictest \
             policy of them all (RFC 7489 6.6.1). Write one of them, and the others into Reply-To",
            known.join(", ")
        ),
        Author::Domains(Domains::TooMany(known)) => format!(
            "The From field names more than {} domains, or more addresses than are read ({} …): whose policy it fails is \
             not looked at, so the strictest is taken. Write one of them, and the others into Reply-To",
            Domains::MAX,
            known.join(", ")
        ),
        Author::Domains(Domains::Unclear(known)) => format!(
            "A part of the From field cannot be read as an address{}, and another program may find one there: whose policy \
             it fails is not known, so the strictest is taken. Write one address into it, and the name in \
             quotes",
            if known.is_empty() { String::new() } else { format!(" (beside {})", known.join(", ")) }
        ),
        Author::Fields(count, domains) => {
            let policy = match domains {
                Domains::All(_) => "others apply the strictest policy of them all (RFC 7489 6.6.1)",
                Domains::TooMany(_) => "of so many domains or addresses the strictest policy is taken, unseen",
                Domains::Unclear(_) => "and as they cannot be read whole the strictest policy is taken",
            };
            format!(
                "The message has {count} From fields ({}): many receivers refuse more than one (RFC 5322 3.6), {policy}. \
                 Let the program that makes it write one",
                domains.known().join(", ")
            )
        }
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
pub(super) fn of(facts: &Facts, author: &str, way: &Way<'_>) -> String {
    let alignment = way.found.alignment;
    let mut text = match (alignment, way.smarthost) {
        (_, Some(_)) => format!("no signature that we know of authenticates {author}: "),
        (Alignment::TempError, None) => format!("whether {author} is authenticated cannot be told now: "),
        (Alignment::PermError, None) => format!("nothing authenticates {author}, and a record is broken: "),
        (Alignment::Misaligned, None) => format!("what authenticates the message does not speak for {author}: "),
        (Alignment::None | Alignment::Pass, None) => format!("nothing authenticates {author}: "),
    };
    text.push_str(&evidence(facts, way));
    text.push_str(&asked(facts, author, alignment));
    text.push_str(". ");
    text.push_str(&advice(facts, author, way));
    if let Some(domain) = &facts.doubted {
        let domain = shown(domain);
        let _ =
            write!(text, ". It says that {domain} forwards it: if that is so, write {domain} into `align.forwarders`");
    }
    text
}

/// Another's words, bounded: what stands behind them must still be read.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{} …", Visible(&text[..end])),
        None => Visible(text).to_string(),
    }
}

/// SPF's and DKIM's results.
fn evidence(facts: &Facts, way: &Way<'_>) -> String {
    let spf = match (way.exit, way.smarthost) {
        (Some((_, Seen::From(address, Passed { spf, .. }))), _) => {
            let (domain, result) = (shown(&spf.domain), spf.result.as_str());
            format!("SPF for {domain} from {address} is {result} ({})", shown(&spf.detail))
        }
        (Some((Exit { egress, .. }, Seen::Unknown)), _) => {
            format!("the public address of egress {} is not known", Visible(egress))
        }
        (None, Some(smarthost)) => format!("whether SPF passes from {} is not known here", shown(&smarthost.host)),
        (None, None) => "SPF was not asked".to_owned(),
    };
    let dkim = match facts.signatures.as_slice() {
        [] => "there is no DKIM signature".to_owned(),
        [first, ..] => {
            let asked = |signed: &&Signed| signed.checked.outcome != Outcome::NotAsked;
            let best = facts.signatures.iter().find(|signed| signed.passes());
            of_dkim(best.or(facts.signatures.iter().find(asked)).unwrap_or(first))
        }
    };
    let missing = facts.views.iter().find_map(|view| view.as_ref().err());
    let dmarc = missing.map(|why| format!("; the DMARC record cannot be had: {}", shown(why))).unwrap_or_default();
    let fault = facts.views.iter().flatten().find_map(|view| view.fault.as_ref());
    let fault = fault.map(|fault| format!("; {}", shown(fault))).unwrap_or_default();
    let open = if let Chain::NoDns(why) = &facts.chain
        && depends_on_seals(facts, way)
    {
        format!("; whether it is forwarded mail depends on seals (ARC) that cannot be checked: {}", shown(why))
    } else {
        String::new()
    };
    format!("{spf}; {dkim}{dmarc}{fault}{open}")
}

/// Whether it is open for a chain that cannot be checked.
fn depends_on_seals(facts: &Facts, way: &Way<'_>) -> bool {
    facts.forwarded == Forwarded::NoDns && way.found.alignment == Alignment::TempError
}

fn of_dkim(signed: &Signed) -> String {
    let domain = shown(&signed.checked.domain);
    match &signed.checked.outcome {
        Outcome::Pass => format!("DKIM holds for {domain}"),
        Outcome::PassesForFew => {
            format!("DKIM of {domain} holds, but with Ed25519 alone, which many receivers cannot read")
        }
        Outcome::NotAsked => format!("DKIM is of {domain}, which cannot speak for it and was not asked"),
        Outcome::Fails(failure) if domain.is_empty() => shown(&failure.to_string()),
        Outcome::Fails(failure) => format!("DKIM of {domain} fails: {}", shown(&failure.to_string())),
    }
}

/// What is weak about a signature that holds for the From domain.
pub(super) fn weak(facts: &Facts, author: &str) -> Option<String> {
    let mut faults = facts.signatures.iter().filter(|signed| may_relate(&signed.checked.domain, author)).filter_map(|signed| {
        let (domain, selector) = (shown(&signed.checked.domain), shown(&signed.checked.selector));
        match (&signed.checked.outcome, signed.checked.rsa_bits) {
            (Outcome::Pass, Some(bits)) if bits < RSA_BITS_WEAK => Some(format!(
                "the key {selector} of {domain} has {bits} bits: receivers distrust fewer than {RSA_BITS_WEAK}. Make a new one \
                 (`outguard dkim keygen {domain}`), or let who signs do so"
            )),
            (Outcome::Pass, _) if signed.checked.partial => Some(format!(
                "the signature {selector} of {domain} is over a part of the body (`l=`): anybody can add to the message, and \
                 some receivers pass over such a signature. Let who signs leave out `l=`"
            )),
            (Outcome::Pass, _) if signed.checked.testing => Some(format!(
                "the key {selector} of {domain} says that it is tested (`t=y`), and some receivers pass over it. Take \
                 `t=y` out of its record"
            )),
            _ => None,
        }
    });
    faults.next()
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
fn advice(facts: &Facts, author: &str, way: &Way<'_>) -> String {
    match facts.forwarded {
        Forwarded::NoDns if depends_on_seals(facts, way) => {
            return "It is judged as forwarded mail once DNS answers for who sealed it; `outguard doctor` tells \
                    whether your name servers answer"
                .to_owned();
        }
        Forwarded::No | Forwarded::NoDns => {}
        Forwarded::Rewritten | Forwarded::Sealed => {
            return format!(
                "It is forwarded mail: receivers accept it while the signature of {author} survives, so forward it \
                 unchanged, or seal it (`[signing] seal_domain`)"
            );
        }
    }
    if let Some(mending) = facts.signatures.iter().find_map(|signed| of_signature(signed, author)) {
        return mending;
    }
    let Some((exit, seen)) = way.exit else { return dkim(facts, author) };
    let Seen::From(address, Passed { spf, organizational }) = seen else {
        return format!("Set `public_address` of egress {}, or {}", Visible(&exit.egress), lower(&dkim(facts, author)));
    };
    let shown = shown(&spf.domain);
    let term = term(*address);
    let theirs = |(at, view): (usize, &Result<super::View, Box<str>>)| match (view, organizational.get(at)) {
        (Ok(view), Some(Some(theirs))) => view.is_aligned(author, &spf.domain, theirs, view.spf_mode()),
        _ => *spf.domain == *author,
    };
    if !facts.views.iter().enumerate().all(theirs) {
        let strict = facts.views.iter().flatten().any(|view| view.spf_mode() == Mode::Strict);
        let strictly = if strict { " itself (`aspf=s`)" } else { "" };
        return format!(
            "{}, or send it with a reverse-path of {author}{strictly} and `{term}` in the SPF record of {author}",
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
    let domain = &signed.checked.domain;
    let failure = match &signed.checked.outcome {
        Outcome::Fails(failure) => failure,
        Outcome::PassesForFew if may_relate(domain, author) => {
            return Some(format!(
                "Sign with an RSA key beside the Ed25519 one (`outguard dkim keygen {domain}`), or count on the latter \
                 (`align.ed25519 = \"counted\"`)"
            ));
        }
        Outcome::PassesForFew | Outcome::Pass | Outcome::NotAsked => return None,
    };
    if !super::super::dkim::signature::is_under(author, domain) {
        return None;
    }
    match failure {
        Failure::KeyMissing(name)
        | Failure::KeyBroken(name, _)
        | Failure::KeyRevoked(name)
        | Failure::KeyUnfit(name) => Some(format!(
            "Publish the key of the signature at {}: `outguard dkim record {domain}` prints the record",
            shown(name)
        )),
        Failure::Weak(_) => {
            Some(format!("Sign for {domain} with a key of 2048 bits (`outguard dkim keygen {domain}`)"))
        }
        Failure::Expired => Some(format!("Let who signs for {domain} sign anew, or let outguard sign it")),
        Failure::HeaderChanged | Failure::BodyChanged => {
            Some(format!("Find what changes the message after it was signed for {domain}, or let outguard sign it"))
        }
        Failure::Broken(_) | Failure::NoDns(_) => None,
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
    let strict = facts.views.iter().flatten().find(|view| view.dkim_mode() == Mode::Strict);
    if let Some(other) = facts.signatures.iter().find(|signed| signed.passes() && strict.is_some()) {
        // The record asks for the very domain, and what signs is one above or below it.
        let other = shown(&other.checked.domain);
        return format!(
            "Sign with a key of {author} itself (`outguard dkim keygen {author}`), for its record asks for just that \
             (`adkim=s`) and the one of {other} does not count"
        );
    }
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
