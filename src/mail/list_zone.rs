//! The zone of a list in the DNS (RFC 5782). The label of one that is paid for is a key, and stays here (invariant 7).

use std::fmt;
use std::str::FromStr;

use crate::secret::Secret;

/// Zones whose first label is the key of who pays for them: Spamhaus's Data Query Service, Abusix.
const KEYED_ZONES: [&str; 2] = [".dq.spamhaus.net", ".mail.abusix.zone"];
/// Elsewhere a label of letters and digits that is as long as this is taken for one.
const KEY_CHARS_MIN: usize = 16;
/// The longest zone: a name under it has at most 253 characters, and an IPv6 address takes 64 of them.
const ZONE_CHARS_MAX: usize = 253 - 64;

/// A zone. Shown (`Display` and `Debug` alike) without the key; only [`ListZone::name_of`] has it.
#[derive(Clone, PartialEq, Eq)]
pub struct ListZone {
    name: Secret,
    shown: Box<str>,
}

/// Why a text is no zone. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no name in the DNS")]
pub struct ListZoneError;

impl FromStr for ListZone {
    type Err = ListZoneError;

    fn from_str(text: &str) -> Result<Self, ListZoneError> {
        let name = text.trim_matches('.');
        let is_label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if name.len() > ZONE_CHARS_MAX || !name.split('.').all(is_label) {
            return Err(ListZoneError);
        }
        let lower = name.to_ascii_lowercase();
        let keyed = KEYED_ZONES.iter().any(|end| lower.ends_with(end));
        let labels = name.split('.').enumerate();
        let shown = labels.map(|(n, label)| if keyed && n == 0 || looks_like_a_key(label) { "(key)" } else { label });
        let shown = shown.collect::<Vec<_>>().join(".").into();
        Ok(Self { name: Secret::new(name.as_bytes().to_vec()), shown })
    }
}

fn looks_like_a_key(label: &str) -> bool {
    let of = |is: fn(&u8) -> bool| label.as_bytes().iter().any(is);
    label.len() >= KEY_CHARS_MIN
        && label.bytes().all(|b| b.is_ascii_alphanumeric())
        && of(u8::is_ascii_digit)
        && of(u8::is_ascii_alphabetic)
}

impl ListZone {
    /// The name that is looked up: of these labels, in the zone.
    pub fn name_of(&self, labels: &str) -> String {
        format!("{labels}.{}", self.revealed())
    }

    /// A sentence of the DNS about a name in this zone, as it may be shown.
    pub fn hide_in(&self, sentence: &str) -> String {
        let name = self.revealed();
        if *self.shown == *name {
            return sentence.to_owned();
        }
        // The DNS gives names back in whatever case it likes. ASCII case changes no offset.
        let (lower, wanted) = (sentence.to_ascii_lowercase(), name.to_ascii_lowercase());
        let mut hidden = String::with_capacity(sentence.len());
        let mut from = 0;
        for (at, _) in lower.match_indices(&wanted) {
            hidden.push_str(&sentence[from..at]);
            hidden.push_str(&self.shown);
            from = at + wanted.len();
        }
        hidden.push_str(&sentence[from..]);
        hidden
    }

    fn revealed(&self) -> &str {
        std::str::from_utf8(self.name.reveal()).expect("a zone is ASCII")
    }
}

impl fmt::Display for ListZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ListZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paid_list_is_shown_without_its_key() {
        let cases = [
            ("zen.spamhaus.org", "zen.spamhaus.org"),
            ("0a1b2c.zen.dq.spamhaus.net", "(key).zen.dq.spamhaus.net"),
            ("0A1B.DBL.DQ.Spamhaus.NET.", "(key).DBL.DQ.Spamhaus.NET"),
            (".s3cret.zen.dq.spamhaus.net", "(key).zen.dq.spamhaus.net"),
            ("s3cret.combined.mail.abusix.zone", "(key).combined.mail.abusix.zone"),
            ("sip.4f2a9c0d77e1b3aa.lists.example", "sip.(key).lists.example"), // whoever's it is
            ("hostkarma.junkemailfilter.com", "hostkarma.junkemailfilter.com"), // no digit
            ("127000000000000000001.lists.example", "127000000000000000001.lists.example"), // no letter
            ("spam-of-the-year-2026.lists.example", "spam-of-the-year-2026.lists.example"), // words
            ("localhost", "localhost"),
        ];
        for (text, shown) in cases {
            let zone: ListZone = text.parse().unwrap();
            assert_eq!((zone.to_string(), format!("{zone:?}")), (shown.into(), shown.into()), "{text}");
            assert_eq!(zone.name_of("2.0.0.127"), format!("2.0.0.127.{}", text.trim_matches('.')), "asked as written");
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        let long = ["x".repeat(60).as_str(); 4].join(".");
        // The third is what `check` prints of one with a key: it cannot be used in its place.
        for text in ["", ".", "(key).zen.dq.spamhaus.net", "a..b", "a b.example", "l\u{e9}.example", &long] {
            assert_eq!(text.parse::<ListZone>(), Err(ListZoneError), "{text}");
        }
    }

    #[test]
    fn a_sentence_is_shown_without_the_key() {
        let cases = [
            // zone, what the DNS says, as it is shown
            (
                "0a1b2c.zen.dq.spamhaus.net",
                "no answer for 10.2.0.192.0a1b2c.zen.dq.spamhaus.net in 3 s",
                "no answer for 10.2.0.192.(key).zen.dq.spamhaus.net in 3 s",
            ),
            ("0A1b.zen.dq.spamhaus.net", "0a1B.ZEN.dq.spamhaus.net.: \u{fc}?", "(key).zen.dq.spamhaus.net.: \u{fc}?"),
            ("zen.spamhaus.org", "ZEN.spamhaus.org is silent", "ZEN.spamhaus.org is silent"),
        ];
        for (zone, said, shown) in cases {
            assert_eq!(zone.parse::<ListZone>().unwrap().hide_in(said), shown);
        }
    }
}
