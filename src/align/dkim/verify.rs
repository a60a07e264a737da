//! Checks the signatures of a message about to leave.

use std::time::Duration;

use super::canonical::{FORMS_MAX, Form, Leaving, RawField};
use super::key::{KeyRecord, PublicKey, RSA_BITS_MIN};
use super::signature::{Algorithm, Signature, signed_form};
use crate::align::dns::{Lookup, NoAnswer, is_name, texts};
use crate::align::together::{One, together};

/// What became of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// `d=`; empty where the field could not be read.
    pub domain: Box<str>,
    /// `s=`; likewise.
    pub selector: Box<str>,
    /// `a=`, where the field could be read.
    pub algorithm: Option<Algorithm>,
    /// The result.
    pub outcome: Outcome,
    /// `l=` is in use: what is appended is not signed, and receivers may distrust it (RFC 6376 8.2).
    pub partial: bool,
    /// The length of an RSA key in bits, once it is known.
    pub rsa_bits: Option<u32>,
    /// The domain says that it only tests (`t=y`).
    pub testing: bool,
}

/// Pass, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It holds, and is of a kind that many receivers cannot read (Ed25519, RFC 8463).
    PassesForFew,
    /// It does not.
    Fails(Failure),
    /// Its domain cannot speak for the From domain, so nothing was asked for it.
    NotAsked,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The field cannot be read.
    #[error("the signature is broken: {0}")]
    Broken(&'static str),
    /// The body is not the one that was signed.
    #[error("the body was changed after signing")]
    BodyChanged,
    /// A signed header field is not the one that was signed, or the published key is not the signer's.
    #[error("a signed header field was changed after signing, or the published key is not the signer's")]
    HeaderChanged,
    /// Nothing is published.
    #[error("no key is published at {0}")]
    KeyMissing(Box<str>),
    /// What is published is broken.
    #[error("the key at {0} is broken: {1}")]
    KeyBroken(Box<str>, &'static str),
    /// `p=` is empty.
    #[error("the key at {0} was withdrawn")]
    KeyRevoked(Box<str>),
    /// The key may not be used so.
    #[error("the key at {0} is not for this use")]
    KeyUnfit(Box<str>),
    /// Below [`RSA_BITS_MIN`], or SHA-1.
    #[error("the signature is too weak to count ({0})")]
    Weak(&'static str),
    /// `x=` is over.
    #[error("the signature has expired")]
    Expired,
    /// DNS gave no answer.
    #[error("DNS does not answer for the key ({0})")]
    NoDns(Box<str>),
}

impl Failure {
    /// Whether another time may give another result.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NoDns(_))
    }
}

/// Which signatures are asked for, and how long each may take.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// More are not looked at.
    pub signatures_max: usize,
    /// By `d=`.
    pub wanted: &'a (dyn Fn(&str) -> bool + Sync),
    /// For the key of one.
    pub time_limit: Duration,
}

/// Checks the signatures from the top, at most `signatures_max` of them.
pub async fn check(dns: &dyn Lookup, leaving: &Leaving<'_>, now_s: u64, signatures_max: usize) -> Vec<Checked> {
    let patience = Patience { signatures_max, wanted: &|_| true, time_limit: Duration::MAX };
    check_within(dns, leaving, now_s, patience).await
}

/// Checks the signatures from the top, side by side, so that none waits for the name server of another's choice.
pub async fn check_within(dns: &dyn Lookup, leaving: &Leaving<'_>, now_s: u64, patience: Patience<'_>) -> Vec<Checked> {
    let mut bodies = Bodies { leaving, known: Vec::new() };
    let mut checking: Vec<One<'_, Checked>> = Vec::new();
    for field in leaving.fields().filter(|field| field.is("DKIM-Signature")).take(patience.signatures_max) {
        let text = String::from_utf8_lossy(field.value());
        let signature = match Signature::parse(&text) {
            Ok(signature) => signature,
            Err(fault) => {
                let outcome = Outcome::Fails(Failure::Broken(fault));
                checking.push(Box::pin(std::future::ready(Checked::unread(outcome))));
                continue;
            }
        };
        let checked = Checked::of(&signature);
        if !(patience.wanted)(&signature.domain) {
            checking.push(Box::pin(std::future::ready(Checked { outcome: Outcome::NotAsked, ..checked })));
            continue;
        }
        // All that costs no question comes first.
        if let Err(failure) = before_dns(&signature, &mut bodies, now_s) {
            checking.push(Box::pin(std::future::ready(Checked { outcome: Outcome::Fails(failure), ..checked })));
            continue;
        }
        checking.push(Box::pin(async move {
            let asking = by_key(dns, leaving, field, &signature, checked.clone());
            tokio::time::timeout(patience.time_limit, asking).await.unwrap_or_else(|_| {
                let late = Failure::NoDns("it takes too long".into());
                Checked { outcome: Outcome::Fails(late), ..checked }
            })
        }));
    }
    together(checking).await
}

impl Checked {
    fn unread(outcome: Outcome) -> Self {
        let (domain, selector) = ("".into(), "".into());
        Self { domain, selector, algorithm: None, outcome, partial: false, rsa_bits: None, testing: false }
    }

    /// Of a signature of which nothing is known yet but what it says.
    fn of(signature: &Signature) -> Self {
        Self {
            domain: signature.domain.clone(),
            selector: signature.selector.clone(),
            algorithm: Some(signature.algorithm),
            partial: signature.body_length.is_some(),
            ..Self::unread(Outcome::Pass)
        }
    }
}

/// What was hashed: the form and `l=`; its hash, and the whole canonical length.
type KnownHash = ((Form, Option<u64>), [u8; 32], u64);

/// Body hashes of one message: signatures mostly want the same one.
struct Bodies<'a> {
    leaving: &'a Leaving<'a>,
    known: Vec<KnownHash>,
}

impl Bodies<'_> {
    /// The hash, and the whole canonical length; what no body has, of a form too many.
    fn hash(&mut self, form: Form, length: Option<u64>) -> ([u8; 32], u64) {
        if let Some((_, hash, whole)) = self.known.iter().find(|(key, ..)| *key == (form, length)) {
            return (*hash, *whole);
        }
        if self.known.len() >= FORMS_MAX {
            return ([0; 32], 0);
        }
        let (hash, whole) = self.leaving.body_hash((form, length));
        self.known.push(((form, length), hash, whole));
        (hash, whole)
    }
}

/// Checks ARC's message signature, which is one like ours (RFC 8617 4.1.2).
pub(crate) async fn check_seal_of_message(
    dns: &dyn Lookup,
    leaving: &Leaving<'_>,
    field: RawField<'_>,
    signature: &Signature,
    now_s: u64,
) -> Checked {
    let mut bodies = Bodies { leaving, known: Vec::new() };
    let checked = Checked::of(signature);
    match before_dns(signature, &mut bodies, now_s) {
        Ok(()) => by_key(dns, leaving, field, signature, checked).await,
        Err(failure) => Checked { outcome: Outcome::Fails(failure), ..checked },
    }
}

/// What is left once the body is known to be the signed one.
async fn by_key(
    dns: &dyn Lookup,
    leaving: &Leaving<'_>,
    field: RawField<'_>,
    signature: &Signature,
    mut checked: Checked,
) -> Checked {
    let key_name = signature.key_name();
    let record = match key_record(dns, &key_name).await {
        Ok(record) => record,
        Err(failure) => {
            checked.outcome = Outcome::Fails(failure);
            return checked;
        }
    };
    checked.testing = record.testing;
    if let PublicKey::Rsa(_, bits) = record.public {
        checked.rsa_bits = Some(bits);
    }
    if let Err(failure) = with_key(&record, leaving, field, signature, &key_name) {
        checked.outcome = Outcome::Fails(failure);
    }
    checked
}

fn before_dns(signature: &Signature, bodies: &mut Bodies<'_>, now_s: u64) -> Result<(), Failure> {
    if signature.algorithm == Algorithm::RsaSha1 {
        return Err(Failure::Weak("rsa-sha1"));
    }
    if signature.expires_at.is_some_and(|end| end <= now_s || end <= signature.signed_at.unwrap_or(0)) {
        return Err(Failure::Expired);
    }
    let (hash, whole) = bodies.hash(signature.forms.1, signature.body_length);
    if signature.body_length.is_some_and(|length| length > whole) || hash.as_slice() != signature.body_hash {
        return Err(Failure::BodyChanged);
    }
    Ok(())
}

/// The key of a name (RFC 6376 6.1.2). Of several records the first that is one.
pub(crate) async fn key_record(dns: &dyn Lookup, name: &str) -> Result<KeyRecord, Failure> {
    // A selector that the DNS library cannot read as a name must not look like trouble of the DNS, which excuses a message.
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_name(name) || !is_plain {
        return Err(Failure::KeyMissing(name.chars().take(253).collect()));
    }
    let texts = match texts(dns, name).await {
        Ok(texts) => texts,
        Err(NoAnswer::Failed(why)) => return Err(Failure::NoDns(why)),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => return Err(Failure::KeyMissing(name.into())),
    };
    let mut fault = "there is no text";
    for text in &texts {
        match KeyRecord::parse(text) {
            Ok(record) => return Ok(record),
            Err(found) => fault = found,
        }
    }
    Err(Failure::KeyBroken(name.into(), fault))
}

fn with_key(
    record: &KeyRecord,
    leaving: &Leaving<'_>,
    field: RawField<'_>,
    signature: &Signature,
    key_name: &str,
) -> Result<(), Failure> {
    match &record.public {
        PublicKey::Revoked => return Err(Failure::KeyRevoked(key_name.into())),
        PublicKey::Rsa(_, bits) if *bits < RSA_BITS_MIN => return Err(Failure::Weak("an RSA key under 1024 bits")),
        PublicKey::Rsa(..) | PublicKey::Ed25519(_) => {}
    }
    if !record.fit || record.exact_identity && signature.identity_domain != signature.domain {
        return Err(Failure::KeyUnfit(key_name.into()));
    }
    let mut signed = Vec::with_capacity(2_048);
    leaving.signed_fields(signature.fields.iter().map(AsRef::as_ref), signature.forms.0, &mut signed);
    signed_form(field.0, signature.forms.0, &mut signed);
    if record.has_signed(signature.algorithm, &signed, &signature.signature) {
        Ok(())
    } else {
        Err(Failure::HeaderChanged)
    }
}

#[cfg(test)]
mod tests;
