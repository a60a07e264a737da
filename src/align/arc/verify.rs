//! Checking a chain (RFC 8617 5.2).

use super::{Set, sets};
use crate::align::dkim::signature::{name_of, signed_form};
use crate::align::dkim::tags::{Tags, base64, unfolded};
use crate::align::dkim::verify::{check_seal_of_message, key_record};
use crate::align::dkim::{Algorithm, Form, Leaving, Outcome, Signature};
use crate::align::dns::Lookup;

/// What became of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// There is none.
    None,
    /// It holds, and has so many links.
    Pass(usize),
    /// It does not.
    Fail(Box<str>),
    /// There is one that nobody whom we believe has sealed, so nothing was asked for it.
    NotAsked,
}

impl Chain {
    /// Whether there is a chain that holds.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Pass(_))
    }

    /// As `cv=` and `arc=` write it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass(_) => "pass",
            Self::Fail(_) | Self::NotAsked => "fail",
        }
    }
}

/// The domain of the newest seal, whether it holds or not; `None` where there is no chain.
pub fn newest_sealer(leaving: &Leaving<'_>) -> Option<Box<str>> {
    let newest = sets(leaving)?.pop()?;
    name_of(Tags::parse(&String::from_utf8_lossy(newest.seal.value()))?.get("d")?)
}

/// Checks the chain of a message. DNS trouble counts as a chain that does not hold.
pub async fn verify(dns: &dyn Lookup, leaving: &Leaving<'_>, now_s: u64) -> Chain {
    let Some(sets) = sets(leaving) else { return Chain::Fail("its fields are no chain".into()) };
    let Some(newest) = sets.last() else { return Chain::None };
    for (at, set) in sets.iter().enumerate() {
        let text = String::from_utf8_lossy(set.seal.value());
        let cv = Tags::parse(&text).and_then(|tags| tags.get("cv").map(str::to_ascii_lowercase));
        let wanted = if at == 0 { "none" } else { "pass" };
        if cv.as_deref() != Some(wanted) {
            return Chain::Fail(format!("seal {} does not say cv={wanted}", at + 1).into());
        }
    }
    // Bodies may be changed on the way: of the messages' signatures only the newest must hold.
    if let Err(why) = message_holds(dns, leaving, newest, now_s).await {
        return Chain::Fail(format!("signature {}: {why}", sets.len()).into());
    }
    for last in (0..sets.len()).rev() {
        if let Err(why) = seal_holds(dns, &sets[..=last]).await {
            return Chain::Fail(format!("seal {}: {why}", last + 1).into());
        }
    }
    Chain::Pass(sets.len())
}

async fn message_holds(dns: &dyn Lookup, leaving: &Leaving<'_>, set: &Set<'_>, now_s: u64) -> Result<(), String> {
    let text = String::from_utf8_lossy(set.message.value());
    let tags = Tags::parse(&text).ok_or("it is no list of tags")?;
    let signature = Signature::of_tags(&tags, None)?;
    if signature.fields.iter().any(|name| name.eq_ignore_ascii_case(super::SEAL)) {
        return Err("h= lists ARC-Seal".into()); // RFC 8617 4.1.2
    }
    match check_seal_of_message(dns, leaving, set.message, &signature, now_s).await.outcome {
        Outcome::Pass | Outcome::PassesForFew => Ok(()),
        Outcome::Fails(failure) => Err(failure.to_string()),
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

async fn seal_holds(dns: &dyn Lookup, sets: &[Set<'_>]) -> Result<(), String> {
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
    let key = key_record(dns, &format!("{selector}._domainkey.{domain}")).await.map_err(|e| e.to_string())?;
    if key.has_signed(algorithm, &sealed(sets), &signature) { Ok(()) } else { Err("the seal is broken".into()) }
}
