//! `tag=value;` lists (RFC 6376 3.2), as signatures, keys and DMARC records are written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The tags of a list in order, white space around names and values taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags<'a>(Vec<(&'a str, &'a str)>);

/// More tags than this of one list are a fault.
const TAGS_MAX: usize = 64;

impl<'a> Tags<'a> {
    /// Reads a list; `None` if it is none, or names a tag twice.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        for part in text.split(';') {
            let part = trim(part);
            if part.is_empty() {
                continue;
            }
            let (name, value) = part.split_once('=')?;
            let (name, value) = (trim(name), trim(value));
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !is_name || tags.len() >= TAGS_MAX || tags.iter().any(|(known, _)| *known == name) {
                return None;
            }
            tags.push((name, value));
        }
        Some(Self(tags))
    }

    /// The value of a tag.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The name of the first tag.
    pub fn first(&self) -> Option<&'a str> {
        self.0.first().map(|(name, _)| *name)
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// A value with its folding taken out.
pub fn unfolded(value: &str) -> String {
    value.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

/// Base64 with white space anywhere (RFC 6376 3.2).
pub fn base64(value: &str) -> Option<Vec<u8>> {
    STANDARD.decode(unfolded(value)).ok()
}

/// Bytes as base64.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_their_faults() {
        let tags = Tags::parse(" v=DKIM1; p = AB CD\r\n\tEF ;; t=;").unwrap();
        assert_eq!((tags.first(), tags.get("p"), tags.get("t")), (Some("v"), Some("AB CD\r\n\tEF"), Some("")));
        for bad in ["v=1; v=2", "v", "=x", "1a=b", "a b=c"] {
            assert_eq!(Tags::parse(bad), None, "{bad}");
        }
        assert_eq!(base64("aGVs\r\n bG8=").as_deref(), Some(b"hello".as_slice()));
    }
}
