//! Our own DKIM signature (RFC 6376, RFC 8463), over the very bytes that will leave.
//!
//! A key signs for the From domains that it covers and for no other, and for accounts that may speak for them
//! ([`Speaker`]). Where a domain has an RSA and an Ed25519 key, both
//! sign. Header fields are over-signed, so that a second From or Subject put on a copy breaks the signature. Keys are read
//! with the configuration, and on reload; no key, part of a key or file's text appears in an error. Read [`Signer::sign`]
//! first, then [`fields`] for what is signed.

pub mod fields;
pub mod key;
mod speaks;

use std::fmt::Write as _;

use super::dkim::canonical::Wanted;
use super::dkim::signature::{is_under, signed_form};
use super::dkim::tags::to_base64;
use super::dkim::{Algorithm, Form, Leaving, Signature};
use super::settings::{Covers, DkimKeySettings, ExistingSignature, SigningSettings};
use crate::clock::WallMs;

pub use key::{KeyError, KeyKind, PrivateKey};
pub use speaks::{Permission, Speaker};

/// The header's canonical form in our signatures, and the body's.
const FORMS: (Form, Form) = (Form::Relaxed, Form::Relaxed);
/// The longest line of our field, in bytes.
const LINE_BYTES_MAX: usize = 76;

/// All keys, ready to sign.
#[derive(Debug, Default)]
pub struct Signer {
    keys: Vec<SigningKey>,
    settings: SigningSettings,
}

/// One key and whom it signs for.
#[derive(Debug)]
pub struct SigningKey {
    /// `d=`.
    pub domain: Box<str>,
    /// `s=`.
    pub selector: Box<str>,
    covers: Covers,
    /// Accounts that it signs for besides those that the settings allow.
    accounts: Vec<String>,
    key: PrivateKey,
}

/// Signatures that lack their arithmetic alone: a fraction of a millisecond for each RSA key, more for a long one.
#[derive(Debug, Default)]
pub struct Begun(Vec<Unsigned>);

impl Begun {
    /// Whether nothing is to be signed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One of them.
#[derive(Debug)]
struct Unsigned {
    domain: Box<str>,
    selector: Box<str>,
    /// Up to and with `b=`.
    field: Vec<u8>,
    /// What the signature is over.
    input: Vec<u8>,
}

/// A key cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key {selector} of {domain} {error}; `outguard dkim keygen {domain}` makes one")]
pub struct KeyFault {
    /// Whose key.
    pub domain: String,
    /// Which of them.
    pub selector: String,
    /// What is wrong.
    pub error: KeyError,
}

impl Signer {
    /// Takes the keys of the settings.
    ///
    /// # Errors
    /// The first that cannot be used: nothing is signed with half of the keys.
    pub fn new(settings: &SigningSettings) -> Result<Self, KeyFault> {
        let load = |key: &DkimKeySettings| {
            let loaded = PrivateKey::of_pem(key.key.reveal());
            loaded.map(|loaded| SigningKey::new(key, loaded)).map_err(|error| KeyFault {
                domain: key.domain.clone(),
                selector: key.selector.clone(),
                error,
            })
        };
        let keys = settings.keys.iter().map(load).collect::<Result<_, _>>()?;
        Ok(Self { keys, settings: settings.clone() })
    }

    /// A signer of keys that are in memory already.
    pub fn of(keys: Vec<SigningKey>, settings: SigningSettings) -> Self {
        Self { keys, settings }
    }

    /// All keys, for who checks what is published.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The forms of a body that we sign over.
    pub fn body_forms(&self) -> &'static [Wanted] {
        if self.keys.is_empty() { &[] } else { &[(FORMS.1, None)] }
    }

    /// Whether mail of a From domain would be signed. Own domains are those that keys cover.
    pub fn covers(&self, from_domain: &str) -> bool {
        !self.keys_for(from_domain).is_empty()
    }

    /// The domain whose keys sign for a From domain: itself, or the nearest above it that covers it.
    pub fn signs_as(&self, from_domain: &str) -> Option<&str> {
        self.keys_for(from_domain).first().map(|key| &*key.domain)
    }

    /// The key that seals forwarded mail (`seal_domain`): its first RSA key, for seals know no other kind (RFC 8617 4.1).
    pub fn sealer(&self) -> Option<&SigningKey> {
        let domain = self.settings.seal_domain.as_deref()?;
        self.keys.iter().find(|key| *key.domain == *domain && key.key.kind() == KeyKind::Rsa)
    }

    /// Signs a message given in pieces that follow each other: the rest of our prefix, then the received bytes.
    ///
    /// Returns whole header fields to be put before the pieces; nothing where no key covers the From domain, where a
    /// signature stands that is to be left alone, or where the header is too long to be looked at.
    pub fn sign(&self, pieces: &[&[u8]], from_domain: &str, at: WallMs) -> Vec<u8> {
        Leaving::new(pieces).map_or_else(|_| Vec::new(), |leaving| self.sign_leaving(&leaving, from_domain, at))
    }

    /// As [`Signer::sign`], of a message whose header was found already.
    pub fn sign_leaving(&self, leaving: &Leaving<'_>, from_domain: &str, at: WallMs) -> Vec<u8> {
        self.sign_with(&self.keys_for(from_domain), leaving, at)
    }

    /// The same with those keys alone that serve the speaker, up to the arithmetic: [`Signer::finish`] takes its time.
    pub fn begin_for(&self, speaker: Speaker<'_>, leaving: &Leaving<'_>, from_domain: &str, at: WallMs) -> Begun {
        self.begin_with(&self.keys_serving(from_domain, speaker), leaving, at)
    }

    /// The signatures that were begun by this signer, as whole fields.
    pub fn finish(&self, begun: Begun) -> Vec<u8> {
        let mut signed = Vec::new();
        for Unsigned { domain, selector, field, input } in begun.0 {
            let key = self.keys.iter().find(|key| key.domain == domain && key.selector == selector);
            if let Some(signature) = key.and_then(|key| key.key.sign(&input)) {
                signed.extend_from_slice(&field);
                fold_base64(&signature, &mut signed);
                signed.extend_from_slice(b"\r\n");
            }
        }
        signed
    }

    /// Signs with every key, whatever From says: another's signature.
    #[cfg(test)]
    pub(crate) fn sign_with_all(&self, pieces: &[&[u8]], at: WallMs) -> Vec<u8> {
        self.sign_with(&self.keys.iter().collect::<Vec<_>>(), &Leaving::new(pieces).unwrap(), at)
    }

    fn sign_with(&self, keys: &[&SigningKey], leaving: &Leaving<'_>, at: WallMs) -> Vec<u8> {
        self.finish(self.begin_with(keys, leaving, at))
    }

    fn begin_with(&self, keys: &[&SigningKey], leaving: &Leaving<'_>, at: WallMs) -> Begun {
        if keys.is_empty()
            || leaving.count("From") == 0
            || self.settings.existing == ExistingSignature::Leave && leaving.count("DKIM-Signature") > 0
        {
            return Begun::default();
        }
        let names = fields::names(leaving, &self.settings.fields);
        let mut header = Vec::with_capacity(2_048);
        leaving.signed_fields(names.iter().map(AsRef::as_ref), FORMS.0, &mut header);
        let (hash, _) = leaving.body_hash((FORMS.1, None));
        let mut begun = Begun::default();
        for key in keys {
            if self.settings.existing == ExistingSignature::SignUnlessOurs && key.has_signed(leaving, at) {
                continue;
            }
            let field = self.field(key, &names, &hash, at.0 / 1_000);
            let mut input = header.clone();
            signed_form(&field, FORMS.0, &mut input);
            let (domain, selector) = (key.domain.clone(), key.selector.clone());
            begun.0.push(Unsigned { domain, selector, field, input });
        }
        begun
    }

    /// The field up to and with `b=`.
    fn field(&self, key: &SigningKey, names: &[String], hash: &[u8], now_s: u64) -> Vec<u8> {
        let mut field = format!(
            "DKIM-Signature: v=1; a={}; c={}/{};\r\n\td={}; s={};\r\n\tt={now_s};",
            key.key.kind().algorithm().as_str(),
            FORMS.0.as_str(),
            FORMS.1.as_str(),
            key.domain,
            key.selector,
        );
        if let Some(expiry) = self.settings.expiry {
            let _ = write!(field, " x={};", now_s.saturating_add(expiry.as_secs()));
        }
        field.push_str("\r\n\th=");
        let mut line = 3;
        for (n, name) in names.iter().enumerate() {
            if n > 0 {
                field.push(':');
                line += 1;
            }
            if line + name.len() + 1 > LINE_BYTES_MAX {
                field.push_str("\r\n\t ");
                line = 2;
            }
            field.push_str(name);
            line += name.len();
        }
        let _ = write!(field, ";\r\n\tbh={};\r\n\tb=", to_base64(hash));
        field.into_bytes()
    }

    /// The first key of each kind, of the most specific domain that covers this one.
    fn keys_for(&self, from_domain: &str) -> Vec<&SigningKey> {
        let covering = || self.keys.iter().filter(|key| key.covers(from_domain));
        let Some(longest) = covering().map(|key| key.domain.len()).max() else { return Vec::new() };
        let mut keys: Vec<&SigningKey> = Vec::new();
        for key in covering().filter(|key| key.domain.len() == longest) {
            if keys.iter().all(|known| known.key.kind() != key.key.kind()) {
                keys.push(key);
            }
        }
        keys
    }
}

impl SigningKey {
    /// A key with what `[[dkim]]` says of it.
    pub fn new(settings: &DkimKeySettings, key: PrivateKey) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase().into_boxed_str();
        Self {
            domain: lower(&settings.domain),
            selector: lower(&settings.selector),
            covers: settings.covers,
            accounts: settings.accounts.clone(),
            key,
        }
    }

    /// Where the public key must stand.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What must stand there.
    pub fn record(&self) -> String {
        self.key.record()
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.key.kind().algorithm()
    }

    /// The signature over canonical bytes.
    pub(super) fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        self.key.sign(input)
    }

    fn covers(&self, from_domain: &str) -> bool {
        match self.covers {
            Covers::Subdomains => is_under(from_domain, &self.domain),
            Covers::Exactly => from_domain == &*self.domain,
        }
    }

    /// Whether a signature of this key stands in the header and holds at that time.
    fn has_signed(&self, leaving: &Leaving<'_>, at: WallMs) -> bool {
        leaving.fields().filter(|field| field.is("DKIM-Signature")).take(fields::EXISTING_MAX).any(|field| {
            let Ok(signature) = Signature::parse(&String::from_utf8_lossy(field.value())) else { return false };
            let has_expired = signature.expires_at.is_some_and(|end| end <= at.0 / 1_000);
            if signature.domain != self.domain || signature.selector != self.selector || has_expired {
                return false;
            }
            let (hash, _) = leaving.body_hash((signature.forms.1, signature.body_length));
            let mut input = Vec::new();
            leaving.signed_fields(signature.fields.iter().map(AsRef::as_ref), signature.forms.0, &mut input);
            signed_form(field.0, signature.forms.0, &mut input);
            hash.as_slice() == signature.body_hash
                && self.key.public().has_signed(signature.algorithm, &input, &signature.signature)
        })
    }
}

/// Base64 in lines; white space in it does not count.
pub(super) fn fold_base64(bytes: &[u8], into: &mut Vec<u8>) {
    let text = to_base64(bytes);
    for (n, line) in text.as_bytes().chunks(LINE_BYTES_MAX - 4).enumerate() {
        if n > 0 {
            into.extend_from_slice(b"\r\n\t ");
        }
        into.extend_from_slice(line);
    }
}

#[cfg(test)]
pub(crate) mod tests;
