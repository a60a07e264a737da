//! Adding a link to a chain (RFC 8617 5.1).

use std::fmt::Write as _;

use super::verify::{Chain, sealed};
use super::{MESSAGE, RESULTS, SEAL, SETS_MAX, Set, sets};
use crate::align::dkim::canonical::RawField;
use crate::align::dkim::signature::signed_form;
use crate::align::dkim::tags::to_base64;
use crate::align::dkim::{Checked, Form, Leaving, Outcome};
use crate::align::sign::{SigningKey, fields, fold_base64};
use crate::clock::WallMs;

/// What the new link says was found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Who looked: our own name.
    pub by: &'a str,
    /// The chain as it stood.
    pub chain: &'a Chain,
    /// The signatures as they stood.
    pub signatures: &'a [Checked],
}

/// Signatures named in the results.
const SIGNATURES_MAX: usize = 5;

/// The three fields of a new link, to be put before the message. Nothing where the chain has failed or is full: a seal
/// over a broken chain helps nobody.
pub fn seal(key: &SigningKey, leaving: &Leaving<'_>, found: Found<'_>, at: WallMs) -> Vec<u8> {
    let Some(before) = sets(leaving) else { return Vec::new() };
    if before.len() >= SETS_MAX || matches!(found.chain, Chain::Fail(_) | Chain::NotAsked) {
        return Vec::new();
    }
    let instance = before.len() + 1;
    let results = results(instance, found);
    let Some(message) = message_signature(key, leaving, instance, at) else { return Vec::new() };
    let unsigned = format!(
        "{SEAL}: i={instance}; a={}; t={}; cv={};\r\n\td={}; s={};\r\n\tb=",
        key.algorithm().as_str(),
        at.0 / 1_000,
        found.chain.as_str(),
        key.domain,
        key.selector,
    );
    let mut chain = before;
    chain.push(Set {
        results: RawField(results.as_bytes()),
        message: RawField(&message),
        seal: RawField(unsigned.as_bytes()),
    });
    let Some(signature) = key.sign(&sealed(&chain)) else { return Vec::new() };
    let mut fields = unsigned.clone().into_bytes();
    fold_base64(&signature, &mut fields);
    fields.extend_from_slice(b"\r\n");
    fields.extend_from_slice(&message);
    fields.extend_from_slice(results.as_bytes());
    fields
}

fn results(instance: usize, found: Found<'_>) -> String {
    let mut text = format!("{RESULTS}: i={instance}; {};\r\n\tarc={}", found.by, found.chain.as_str());
    let told = |checked: &&Checked| !checked.domain.is_empty() && checked.outcome != Outcome::NotAsked;
    for checked in found.signatures.iter().filter(told).take(SIGNATURES_MAX) {
        let result = match &checked.outcome {
            Outcome::Pass | Outcome::PassesForFew => "pass",
            Outcome::Fails(failure) if failure.is_temporary() => "temperror",
            Outcome::Fails(_) | Outcome::NotAsked => "fail",
        };
        // Selectors are another's text: one that is no plain word is left out.
        let is_word = checked.selector.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let selector = if is_word { &*checked.selector } else { "?" };
        let _ = write!(text, ";\r\n\tdkim={result} header.d={} header.s={selector}", checked.domain);
    }
    text.push_str("\r\n");
    text
}

fn message_signature(key: &SigningKey, leaving: &Leaving<'_>, instance: usize, at: WallMs) -> Option<Vec<u8>> {
    let names = fields::sealed(leaving);
    let (hash, _) = leaving.body_hash((Form::Relaxed, None));
    let mut field = format!(
        "{MESSAGE}: i={instance}; a={}; c=relaxed/relaxed;\r\n\td={}; s={}; t={};\r\n\th=",
        key.algorithm().as_str(),
        key.domain,
        key.selector,
        at.0 / 1_000,
    );
    field.push_str(&names.join(":\r\n\t "));
    let _ = write!(field, ";\r\n\tbh={};\r\n\tb=", to_base64(&hash));
    let mut field = field.into_bytes();
    let mut input = Vec::with_capacity(2_048);
    leaving.signed_fields(names.iter().map(AsRef::as_ref), Form::Relaxed, &mut input);
    signed_form(&field, Form::Relaxed, &mut input);
    fold_base64(&key.sign(&input)?, &mut field);
    field.extend_from_slice(b"\r\n");
    Some(field)
}

#[cfg(test)]
mod tests;
