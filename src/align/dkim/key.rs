//! The record of a public key (RFC 6376 3.6.1).

use aws_lc_rs::signature::{ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaParameters, UnparsedPublicKey};

use super::signature::Algorithm;
use super::tags::{Tags, base64, unfolded};

/// A shorter RSA key is no key (RFC 8301 3.2).
pub const RSA_BITS_MIN: u32 = 1024;
/// A shorter RSA key counts, and should be replaced (RFC 8301 3.2).
pub const RSA_BITS_WEAK: u32 = 2048;

/// A published key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// What `p=` holds.
    pub public: PublicKey,
    /// `h=` and `s=`: whether it is for mail, with SHA-256.
    pub fit: bool,
    /// `t=y`: the domain tests.
    pub testing: bool,
    /// `t=s`: `i=` must be the domain itself.
    pub exact_identity: bool,
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// `p=` is empty: it was withdrawn.
    Revoked,
    /// RSA: `RSAPublicKey` or `SubjectPublicKeyInfo`, DER, and its length in bits.
    Rsa(Vec<u8>, u32),
    /// The 32 bytes of Ed25519 (RFC 8463 4).
    Ed25519(Vec<u8>),
}

impl KeyRecord {
    /// Reads a TXT record.
    ///
    /// # Errors
    /// What is wrong with it, as part of a sentence.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
        let tags = Tags::parse(text).ok_or("it is no list of tags")?;
        if tags.get("v").is_some_and(|v| v != "DKIM1" || tags.first() != Some("v")) {
            return Err("its version is not DKIM1");
        }
        let public = base64(tags.get("p").ok_or("p= is missing")?).ok_or("p= is no base64")?;
        let public = match tags.get("k").unwrap_or("rsa") {
            _ if public.is_empty() => PublicKey::Revoked,
            "rsa" => {
                let bits = rsa_bits(&public).ok_or("p= is no RSA key")?;
                PublicKey::Rsa(public, bits)
            }
            "ed25519" if public.len() == 32 => PublicKey::Ed25519(public),
            "ed25519" => return Err("p= is no Ed25519 key"),
            _ => return Err("k= is not known"),
        };
        let listed = |list: &str, words: &[&str]| {
            unfolded(list).split(':').any(|word| words.iter().any(|known| known.eq_ignore_ascii_case(word)))
        };
        let flags = tags.get("t").unwrap_or_default();
        Ok(Self {
            public,
            fit: tags.get("h").is_none_or(|h| listed(h, &["sha256"]))
                && tags.get("s").is_none_or(|s| listed(s, &["*", "email"])),
            testing: listed(flags, &["y"]),
            exact_identity: listed(flags, &["s"]),
        })
    }

    /// Whether the signature over `signed` was made with this key; never where the algorithm is another one.
    pub fn has_signed(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.public, algorithm) {
            (PublicKey::Rsa(der, _), Algorithm::RsaSha256) => {
                UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, der)
                    .verify(signed, signature)
                    .is_ok()
            }
            (PublicKey::Ed25519(raw), Algorithm::Ed25519Sha256) => {
                let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed);
                UnparsedPublicKey::new(&ED25519, raw).verify(hash.as_ref(), signature).is_ok()
            }
            _ => false,
        }
    }
}

/// The bits of an RSA key in either encoding.
fn rsa_bits(der: &[u8]) -> Option<u32> {
    if let Ok(bits) = RsaParameters::public_modulus_len(der) {
        return Some(bits);
    }
    let key = aws_lc_rs::rsa::PublicKey::from_der(der).ok()?;
    RsaParameters::public_modulus_len(key.as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_their_faults() {
        // The key of RFC 8463 A.2.
        let ed25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert!(matches!(KeyRecord::parse(ed25519.as_bytes()).unwrap().public, PublicKey::Ed25519(_)));
        // The key of RFC 6376 C, 1024 bits.
        let rsa = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC\
                   jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToI\
                   MmPSPDdQPNUYckcQ2QIDAQAB";
        assert!(matches!(KeyRecord::parse(rsa.as_bytes()).unwrap().public, PublicKey::Rsa(_, 1024)));
        let flags = KeyRecord::parse(b"p=; t=y:s; s=other; h=sha1").unwrap();
        assert_eq!(flags, KeyRecord { public: PublicKey::Revoked, fit: false, testing: true, exact_identity: true });
        let cases = [
            ("v=DKIM2; p=", "its version is not DKIM1"),
            ("p=; v=DKIM1", "its version is not DKIM1"),
            ("v=DKIM1", "p= is missing"),
            ("p=AAAA", "p= is no RSA key"),
            ("k=ed25519; p=AAAA", "p= is no Ed25519 key"),
            ("k=dsa; p=AAAA", "k= is not known"),
            ("v=spf1 -all", "it is no list of tags"),
        ];
        for (text, fault) in cases {
            let got = KeyRecord::parse(text.as_bytes()).err();
            assert!(got == Some(fault) || got.is_some() && text.starts_with("v=spf1"), "{text}: {got:?}");
        }
    }
}
