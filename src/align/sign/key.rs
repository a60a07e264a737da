//! Private keys: read from PEM, made anew, and the record that publishes them.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::align::dkim::key::PublicKey;
use crate::align::dkim::tags::to_base64;
use crate::align::dkim::{Algorithm, KeyRecord};

/// Strings of a TXT record hold at most so many bytes (RFC 1035 3.3.14).
const STRING_BYTES_MAX: usize = 255;

/// The kinds of key there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// RSA; made with 2048 bits.
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
}

impl KeyKind {
    /// The algorithm that it signs with.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Rsa => Algorithm::RsaSha256,
            Self::Ed25519 => Algorithm::Ed25519Sha256,
        }
    }
}

/// A key that can sign. It is never shown.
pub struct PrivateKey {
    pair: Pair,
    record: KeyRecord,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no PEM file of a private key.
    #[error("is no PEM file of a private key that has no passphrase")]
    NotPem,
    /// The key is of another kind, or broken.
    #[error("is neither an RSA key of 2048 to 8192 bits nor an Ed25519 key")]
    Unfit,
    /// The machine could not make one.
    #[error("the key could not be made")]
    Made,
}

impl PrivateKey {
    /// Takes a key in PEM: PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let pair = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NotPem)? {
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Pair::Rsa).map_err(|_| KeyError::Unfit)?
            }
            PrivateKeyDer::Pkcs8(der) => match RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()) {
                Ok(pair) => Pair::Rsa(pair),
                Err(_) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
                    .map(Pair::Ed25519)
                    .map_err(|_| KeyError::Unfit)?,
            },
            _ => return Err(KeyError::Unfit),
        };
        Self::of(pair)
    }

    /// Makes a key, and its PEM text.
    ///
    /// # Errors
    /// [`KeyError::Made`].
    pub fn generate(kind: KeyKind) -> Result<(Self, Zeroizing<String>), KeyError> {
        let made = |_| KeyError::Made;
        let (pair, der) = match kind {
            KeyKind::Rsa => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(made)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(made)?;
                (Pair::Rsa(pair), der)
            }
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(made)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(made)?;
                (Pair::Ed25519(pair), der)
            }
        };
        let base64 = Zeroizing::new(to_base64(der.as_ref()));
        let mut pem = Zeroizing::new(String::with_capacity(base64.len() + 128));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for (n, c) in base64.chars().enumerate() {
            if n > 0 && n % 64 == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        pem.push('\n');
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok((Self::of(pair)?, pem))
    }

    fn of(pair: Pair) -> Result<Self, KeyError> {
        let text = match &pair {
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Unfit)?;
                format!("v=DKIM1; k=rsa; p={}", to_base64(der.as_ref()))
            }
            Pair::Ed25519(pair) => format!("v=DKIM1; k=ed25519; p={}", to_base64(pair.public_key().as_ref())),
        };
        let record = KeyRecord::parse(text.as_bytes()).map_err(|_| KeyError::Unfit)?;
        Ok(Self { pair, record })
    }

    /// What kind it is.
    pub fn kind(&self) -> KeyKind {
        match self.pair {
            Pair::Rsa(_) => KeyKind::Rsa,
            Pair::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The public half.
    pub fn public(&self) -> &KeyRecord {
        &self.record
    }

    /// The text of the TXT record that publishes it.
    pub fn record(&self) -> String {
        match &self.record.public {
            PublicKey::Rsa(der, _) => format!("v=DKIM1; k=rsa; p={}", to_base64(der)),
            PublicKey::Ed25519(raw) => format!("v=DKIM1; k=ed25519; p={}", to_base64(raw)),
            PublicKey::Revoked => "v=DKIM1; p=".to_owned(),
        }
    }

    /// The signature over canonical bytes; `None` if the library refuses, which it has no cause to.
    pub fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ed25519(pair) => {
                let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input);
                Some(pair.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }
}

/// A TXT record as a zone file writes it: strings of at most 255 bytes in quotes.
pub fn zone_strings(text: &str) -> String {
    let mut out = String::new();
    for part in text.as_bytes().chunks(STRING_BYTES_MAX) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push('"');
        out.push_str(&String::from_utf8_lossy(part));
        out.push('"');
    }
    out
}
