//! Checking a chain (RFC 8617 5.2).
//!
//! The newest link comes first: who sealed last is the one who is believed, so a link that is not his is told from one
//! whose key the DNS keeps from us. What others wrote beneath is asked for once that one holds.

use tokio::time::{Instant, timeout_at};

use super::{Set, sets};
use crate::align::dkim::signature::{name_of, signed_form};
use crate::align::dkim::tags::{Tags, base64, unfolded};
use crate::align::dkim::verify::{check_seal_of_message, key_record};
use crate::align::dkim::{Algorithm, Failure, Form, Leaving, Outcome, Signature};
use crate::align::dns::Lookup;
use crate::align::together::{One, together};

/// What became of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// There is none.
    None,
    /// It holds, and has so many links.
    Pass(usize),
    /// It does not.
    Fail(Box<str>),
    /// DNS gives no answer for a key, so another time it may hold.
    NoDns(Box<str>),
    /// There is one that nobody whom we believe has sealed, so nothing was asked for it.
    NotAsked,
}

impl Chain {
    /// As `cv=` and `arc=` write it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass(_) => "pass",
            Self::Fail(_) | Self::NoDns(_) | Self::NotAsked => "fail",
        }
    }
}

/// The domain of the newest seal, whether it holds or not; `None` where there is no chain.
pub fn newest_sealer(leaving: &Leaving<'_>) -> Option<Box<str>> {
    let newest = sets(leaving)?.pop()?;
    name_of(Tags::parse(&String::from_utf8_lossy(newest.seal.value()))?.get("d")?)
}

/// Checks the chain of a message. What DNS does not say until then is left open.
pub async fn verify(dns: &dyn Lookup, leaving: &Leaving<'_>, now_s: u64, until: Instant) -> Chain {
    let Some(sets) = sets(leaving) else { return Chain::Fail("its fields are no chain".into()) };
    let Some((newest, older)) = sets.split_last() else { return Chain::None };
    for (at, set) in sets.iter().enumerate() {
        let text = String::from_utf8_lossy(set.seal.value());
        let cv = Tags::parse(&text).and_then(|tags| tags.get("cv").map(str::to_ascii_lowercase));
        let wanted = if at == 0 { "none" } else { "pass" };
        if cv.as_deref() != Some(wanted) {
            return Chain::Fail(format!("seal {} does not say cv={wanted}", at + 1).into());
        }
    }
    // Bodies may be changed on the way: of the messages' signatures only the newest must hold.
    let (seal, message) =
        tokio::join!(within(until, seal_holds(dns, &sets)), within(until, message_holds(dns, leaving, newest, now_s)),);
    let of_newest = [("seal", sets.len(), seal), ("signature", sets.len(), message)];
    if let Some(chain) = weighed(of_newest) {
        return chain;
    }
    let seal = |last| -> One<'_, Held> { Box::pin(within(until, seal_holds(dns, &sets[..last]))) };
    let of_older = together((1..=older.len()).map(seal).collect())
        .await
        .into_iter()
        .zip(1..)
        .map(|(held, number)| ("seal", number, held));
    weighed(of_older).unwrap_or(Chain::Pass(sets.len()))
}

/// Whether one signature of a link holds.
type Held = Result<(), Fault>;

/// Why it does not.
enum Fault {
    Broken(String),
    NoDns(Box<str>),
}

async fn within(until: Instant, asking: impl Future<Output = Held>) -> Held {
    timeout_at(until, asking).await.unwrap_or_else(|_| Err(Fault::NoDns("DNS takes too long".into())))
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        if failure.is_temporary() { Self::NoDns(failure.to_string().into()) } else { Self::Broken(failure.to_string()) }
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Broken(why.to_owned())
    }
}

/// What does not hold for certain; else what may hold another time; `None`: all hold.
fn weighed<'a>(links: impl IntoIterator<Item = (&'a str, usize, Held)>) -> Option<Chain> {
    let mut open = None;
    for (what, number, held) in links {
        match held {
            Ok(()) => {}
            Err(Fault::Broken(why)) => return Some(Chain::Fail(format!("{what} {number}: {why}").into())),
            Err(Fault::NoDns(why)) => open = open.or(Some(Chain::NoDns(format!("{what} {number}: {why}").into()))),
        }
    }
    open
}

async fn message_holds(dns: &dyn Lookup, leaving: &Leaving<'_>, set: &Set<'_>, now_s: u64) -> Held {
    let text = String::from_utf8_lossy(set.message.value());
    let tags = Tags::parse(&text).ok_or("it is no list of tags")?;
    let signature = Signature::of_tags(&tags, None)?;
    if signature.fields.iter().any(|name| name.eq_ignore_ascii_case(super::SEAL)) {
        return Err("h= lists ARC-Seal".into()); // RFC 8617 4.1.2
    }
    match check_seal_of_message(dns, leaving, set.message, &signature, now_s).await.outcome {
        Outcome::Pass | Outcome::PassesForFew => Ok(()),
        Outcome::Fails(failure) => Err(failure.into()),
        Outcome::NotAsked => Err("it was not asked for".into()),
    }
}

/// What a seal signs: all fields of the chain so far, in their relaxed form, its own last (RFC 8617 5.1.1).
pub(super) fn sealed(sets: &[Set<'_>]) -> Vec<u8> {
    let Some((newest, before)) = sets.split_last() else { return Vec::new() };
    let mut signed = earlier(before);
    add_newest(newest, &mut signed);
    signed
}

/// The part of it that is there before the newest link is made.
pub(super) fn earlier(sets: &[Set<'_>]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(4_096);
    for set in sets {
        set.results.canonical(Form::Relaxed, &mut signed);
        set.message.canonical(Form::Relaxed, &mut signed);
        set.seal.canonical(Form::Relaxed, &mut signed);
    }
    signed
}

/// The rest: the newest link, its seal without the signature.
pub(super) fn add_newest(set: &Set<'_>, signed: &mut Vec<u8>) {
    set.results.canonical(Form::Relaxed, signed);
    set.message.canonical(Form::Relaxed, signed);
    signed_form(set.seal.0, Form::Relaxed, signed);
}

async fn seal_holds(dns: &dyn Lookup, sets: &[Set<'_>]) -> Held {
    let newest = sets.last().ok_or("there is none")?;
    let text = String::from_utf8_lossy(newest.seal.value());
    let tags = Tags::parse(&text).ok_or("it is no list of tags")?;
    let needed = |name: &str| tags.get(name).filter(|value| !value.is_empty());
    let algorithm = needed("a").and_then(Algorithm::named).ok_or("its algorithm is not known")?;
    let domain = needed("d").and_then(name_of).ok_or("d= is no domain")?;
    let selector = unfolded(needed("s").ok_or("s= is missing")?).to_ascii_lowercase();
    let signature = needed("b").and_then(base64).ok_or("b= is no base64")?;
    if needed("h").is_some() {
        return Err("it has h=".into()); // RFC 8617 4.1.3: that makes the chain fail
    }
    let key = key_record(dns, &format!("{selector}._domainkey.{domain}")).await?;
    if key.has_signed(algorithm, &sealed(sets), &signature) { Ok(()) } else { Err("the seal is broken".into()) }
}
