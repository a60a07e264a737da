//! How a request is signed. Pure.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::settings::Keys;

/// The signature of a request without a body: over the address exactly as it is sent, and the seconds of OVHcloud's clock.
pub fn of_request(keys: &Keys, method: &str, url: &str, seconds: u64) -> String {
    let mut signed = Vec::with_capacity(256);
    signed.extend_from_slice(keys.application_secret.reveal());
    signed.push(b'+');
    signed.extend_from_slice(keys.consumer_key.reveal());
    signed.extend_from_slice(format!("+{method}+{url}++{seconds}").as_bytes());
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &signed);
    zeroize::Zeroize::zeroize(&mut signed);
    let mut signature = String::from("$1$");
    for byte in hash.as_ref() {
        let _ = write!(signature, "{byte:02x}"); // to a String
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_request_is_signed_as_the_scheme_says() {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let keys = Keys {
            application_key: secret("key"),
            application_secret: secret("secret"),
            consumer_key: secret("consumer"),
        };
        // printf 'secret+consumer+GET+https://eu.api.ovh.com/1.0/auth/currentCredential++1457018875' | sha1sum
        let signed = of_request(&keys, "GET", "https://eu.api.ovh.com/1.0/auth/currentCredential", 1_457_018_875);
        assert_eq!(signed, "$1$59bc1cfb59891cfeaa0ae387eb052d3da733d26c");
    }
}
