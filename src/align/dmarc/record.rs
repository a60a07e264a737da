//! The syntax of a DMARC record (RFC 9989 4.7, RFC 7489 6.3). What is broken behind the version counts as not written.

use serde::{Deserialize, Serialize};

/// What a domain asks receivers to do with mail that fails. In order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing.
    None,
    /// To treat it as suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

impl Policy {
    /// As `p=` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// One step milder.
    #[must_use]
    pub fn milder(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject].into_iter().find(|p| p.as_str().eq_ignore_ascii_case(text))
    }
}

/// How alike two domains must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Of one organizational domain.
    #[default]
    Relaxed,
    /// The same.
    Strict,
}

/// Whether the domain is one under which others register (`psd=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicSuffix {
    /// It is.
    Yes,
    /// It is not, and it is the organizational domain of what lies below.
    No,
    /// Nothing is said.
    #[default]
    Unsaid,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `p=`.
    pub policy: Policy,
    /// `sp=`.
    pub subdomains: Option<Policy>,
    /// `np=` (RFC 9989 alone).
    pub nonexistent: Option<Policy>,
    /// `adkim=`.
    pub dkim: Mode,
    /// `aspf=`.
    pub spf: Mode,
    /// `pct=`, 0 to 100 (RFC 7489 alone).
    pub percent: u8,
    /// `t=y` (RFC 9989 alone).
    pub testing: bool,
    /// `psd=` (RFC 9989 alone).
    pub public_suffix: PublicSuffix,
}

/// What a TXT record under `_dmarc` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Something else, to be passed over.
    Other,
    /// A DMARC record without a policy that could be applied: it counts as none, and is worth a word.
    Useless(&'static str),
    /// A DMARC record.
    Record(Record),
}

impl Record {
    /// Reads the text of a TXT record.
    pub fn parse(text: &[u8]) -> Parsed {
        let Ok(text) = std::str::from_utf8(text) else { return Parsed::Other };
        let mut tags = text.split(';').filter_map(|part| part.split_once('=')).map(|(n, v)| (trim(n), trim(v)));
        // The version's letters are the one thing in it that has a case.
        if tags.next().is_none_or(|(name, value)| !name.eq_ignore_ascii_case("v") || value != "DMARC1") {
            return Parsed::Other;
        }
        let tags: Vec<(&str, &str)> = tags.collect();
        let get = |name: &str| tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let policy = |name: &str| get(name).map(|value| Policy::of(value).ok_or(()));
        let wants_reports = get("rua").is_some_and(|uris| uris.split(',').any(|uri| uri.contains(':')));
        let (p, sp, np) = (policy("p"), policy("sp"), policy("np"));
        let broken = !matches!(p, Some(Ok(_))) || sp == Some(Err(())) || np == Some(Err(()));
        if broken && !wants_reports {
            return Parsed::Useless("it has no valid p=, sp= or np=, and asks for no reports");
        }
        let or_none = |policy: Option<Result<Policy, ()>>| if broken { None } else { policy.and_then(Result::ok) };
        let mode =
            |name| if get(name).is_some_and(|v| v.eq_ignore_ascii_case("s")) { Mode::Strict } else { Mode::Relaxed };
        Parsed::Record(Self {
            policy: or_none(p).unwrap_or(Policy::None),
            subdomains: or_none(sp),
            nonexistent: or_none(np),
            dkim: mode("adkim"),
            spf: mode("aspf"),
            percent: get("pct").and_then(|digits| digits.parse().ok()).filter(|n| *n <= 100).unwrap_or(100),
            testing: get("t").is_some_and(|value| value.eq_ignore_ascii_case("y")),
            public_suffix: match get("psd") {
                Some("y" | "Y") => PublicSuffix::Yes,
                Some("n" | "N") => PublicSuffix::No,
                _ => PublicSuffix::Unsaid,
            },
        })
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        let record = |text: &str| match Record::parse(text.as_bytes()) {
            Parsed::Record(record) => Some(record),
            Parsed::Other | Parsed::Useless(_) => None,
        };
        let plain = record("v=DMARC1; p=none").unwrap();
        let cases = [
            ("v=DMARC1;p=reject;", Record { policy: Policy::Reject, ..plain.clone() }),
            ("v = DMARC1 ; P = Reject", Record { policy: Policy::Reject, ..plain.clone() }),
            ("v=DMARC1; rua=mailto:a@b.example", plain.clone()), // p= may be absent, RFC 9989 4.7
            ("v=DMARC1; p=rejct; rua=mailto:a@b.example", plain.clone()),
            ("v=DMARC1; p=reject; sp=x; rua=mailto:a@b.example", plain.clone()), // RFC 9989 4.10.1
            ("v=DMARC1; p=none; pct=abc; adkim=x; foo; bar=baz", plain.clone()), // defaults, unknown tags
            ("v=DMARC1; p=none; pct=101", plain.clone()),
            ("v=DMARC1; p=none; pct=0", Record { percent: 0, ..plain.clone() }),
            (
                "v=DMARC1; p=none; sp=quarantine; np=reject; adkim=s; aspf=S; t=y; psd=n",
                Record {
                    subdomains: Some(Policy::Quarantine),
                    nonexistent: Some(Policy::Reject),
                    dkim: Mode::Strict,
                    spf: Mode::Strict,
                    testing: true,
                    public_suffix: PublicSuffix::No,
                    ..plain.clone()
                },
            ),
            ("v=DMARC1; p=none; psd=y", Record { public_suffix: PublicSuffix::Yes, ..plain.clone() }),
        ];
        for (text, expected) in cases {
            assert_eq!(record(text), Some(expected), "{text}");
        }
        // The version stands first and has a case (RFC 9989 4.7).
        for other in ["v=DMARC2; p=none", "p=none; v=DMARC1", "v=dmarc1; p=none", "v=spf1 -all", "", "\u{ff}"] {
            assert_eq!(Record::parse(other.as_bytes()), Parsed::Other, "{other}");
        }
        for useless in ["v=DMARC1", "v=DMARC1; p=rejct", "v=DMARC1; p=none; sp=all", "v=DMARC1; p=x; rua=me"] {
            assert!(matches!(Record::parse(useless.as_bytes()), Parsed::Useless(_)), "{useless}");
        }
    }
}
