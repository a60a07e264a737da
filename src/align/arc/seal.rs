//! Adding a link to a chain (RFC 8617 5.1).

use std::fmt::Write as _;

use super::verify::{Chain, add_newest, earlier};
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

/// A new link that lacks its arithmetic alone: a fraction of a millisecond for each of its two signatures.
#[derive(Debug)]
pub struct Begun {
    /// What the seal is over, up to this link.
    earlier: Vec<u8>,
    results: String,
    /// The link's own signature of the message up to and with `b=`, and what it is over.
    message: (Vec<u8>, Vec<u8>),
    /// The seal up to and with `b=`.
    seal: String,
}

/// Begins a new link. Nothing where the chain has failed, is full, or DNS does not say: a seal over a broken chain helps
/// nobody, and what is open must not be called broken.
pub fn begin(key: &SigningKey, leaving: &Leaving<'_>, found: Found<'_>, at: WallMs) -> Option<Begun> {
    let before = sets(leaving)?;
    if before.len() >= SETS_MAX || matches!(found.chain, Chain::Fail(_) | Chain::NoDns(_) | Chain::NotAsked) {
        return None;
    }
    let instance = before.len() + 1;
    let seal = format!(
        "{SEAL}: i={instance}; a={}; t={}; cv={};\r\n\td={}; s={};\r\n\tb=",
        key.algorithm().as_str(),
        at.0 / 1_000,
        found.chain.as_str(),
        key.domain,
        key.selector,
    );
    let message = message_signature(key, leaving, instance, at);
    Some(Begun { earlier: earlier(&before), results: results(instance, found), message, seal })
}

impl Begun {
    /// The three fields of the link, to be put before the message, by the key that it was begun with.
    pub fn finish(self, key: &SigningKey) -> Vec<u8> {
        let Self { earlier: mut input, results, message: (mut message, of_message), seal } = self;
        let Some(signature) = key.sign(&of_message) else { return Vec::new() };
        fold_base64(&signature, &mut message);
        message.extend_from_slice(b"\r\n");
        let newest =
            Set { results: RawField(results.as_bytes()), message: RawField(&message), seal: RawField(seal.as_bytes()) };
        add_newest(&newest, &mut input);
        let Some(signature) = key.sign(&input) else { return Vec::new() };
        let mut fields = seal.into_bytes();
        fold_base64(&signature, &mut fields);
        fields.extend_from_slice(b"\r\n");
        fields.extend_from_slice(&message);
        fields.extend_from_slice(results.as_bytes());
        fields
    }
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

fn message_signature(key: &SigningKey, leaving: &Leaving<'_>, instance: usize, at: WallMs) -> (Vec<u8>, Vec<u8>) {
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
    let field = field.into_bytes();
    let mut input = Vec::with_capacity(2_048);
    leaving.signed_fields(names.iter().map(AsRef::as_ref), Form::Relaxed, &mut input);
    signed_form(&field, Form::Relaxed, &mut input);
    (field, input)
}

#[cfg(test)]
mod tests;
