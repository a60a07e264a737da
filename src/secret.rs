//! A password, key or token: in memory for as long as it is used, and nowhere else (invariant 7).
//!
//! It has no `Display`, its `Debug` says nothing, and its bytes are overwritten when it goes. Who needs the text calls
//! [`Secret::reveal`], a word that is easy to search for. What holds one by its nature is shown by [`shown_zone`].

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that must not reach a log, an error, a page or a metric.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that sends or checks them.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// In a time that depends on the lengths alone.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

/// Zones of lists in the DNS whose first label is the key of who pays for them: Spamhaus's Data Query Service, Abusix.
const KEYED_ZONES: [&str; 2] = [".dq.spamhaus.net", ".mail.abusix.zone"];

/// A list's zone as it may be shown: without the key of who pays for it.
pub fn shown_zone(zone: &str) -> String {
    let is_keyed = |end: &&str| zone.trim_end_matches('.').to_ascii_lowercase().ends_with(*end);
    let bare = zone.trim_start_matches('.');
    match bare.split_once('.') {
        Some((_key, rest)) if KEYED_ZONES.iter().any(is_keyed) => format!("(key).{rest}"),
        Some(_) | None => zone.to_owned(),
    }
}

/// A sentence of the DNS about a name in a list's zone, as it may be shown.
pub fn shown_of_zone(sentence: &str, zone: &str) -> String {
    let shown = shown_zone(zone);
    if shown == zone {
        sentence.to_owned()
    } else {
        sentence.replace(zone.trim_matches('.'), shown.trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("hunter2"));
        assert_eq!(secret, Secret::new(b"hunter2".to_vec()));
        assert_ne!(secret, Secret::new(b"hunter3".to_vec()));
    }

    #[test]
    fn a_paid_list_is_shown_without_its_key() {
        let cases = [
            ("zen.spamhaus.org", "zen.spamhaus.org"),
            ("0a1b2c.zen.dq.spamhaus.net", "(key).zen.dq.spamhaus.net"),
            ("0A1B.DBL.DQ.Spamhaus.NET.", "(key).DBL.DQ.Spamhaus.NET."),
            (".s3cret.zen.dq.spamhaus.net", "(key).zen.dq.spamhaus.net"),
            ("s3cret.combined.mail.abusix.zone", "(key).combined.mail.abusix.zone"),
            ("localhost", "localhost"),
        ];
        for (zone, shown) in cases {
            assert_eq!(shown_zone(zone), shown);
        }
        let sentence = "no answer for 10.2.0.192.0a1b2c.zen.dq.spamhaus.net in 3 s";
        let shown = shown_of_zone(sentence, "0a1b2c.zen.dq.spamhaus.net");
        assert_eq!(shown, "no answer for 10.2.0.192.(key).zen.dq.spamhaus.net in 3 s");
    }
}
