//! Two classes: small mail that somebody waits for, and bulk.

use crate::mail::header;

/// Which queue of its account a message stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Small and to few: a password, an order, a letter. It goes before bulk mail.
    Transactional = 0,
    /// Lists, newsletters, large mail: it keeps its share, whatever else waits.
    Bulk = 1,
}

impl Class {
    /// Both, the small mail first.
    pub(super) const ALL: [Self; 2] = [Self::Transactional, Self::Bulk];

    /// The number that the store keeps.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The class of that number. An unknown one is bulk, which is never in anybody's way.
    pub const fn from_number(number: u8) -> Self {
        if number == Self::Transactional as u8 { Self::Transactional } else { Self::Bulk }
    }

    /// The word that texts use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Bulk => "bulk",
        }
    }
}

/// What still counts as small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassSettings {
    /// The most recipients of a transactional message.
    pub transactional_recipients_max: usize,
    /// The most bytes of a transactional message.
    pub transactional_bytes_max: u64,
}

impl Default for ClassSettings {
    fn default() -> Self {
        Self { transactional_recipients_max: 10, transactional_bytes_max: 2 << 20 }
    }
}

/// The class of a message, from its header fields, its size and its number of recipients. `message` may be the header
/// alone. A sender that calls its mail small only harms its own account, for classes are shared within fair turns.
pub fn classify(settings: &ClassSettings, message: &[u8], message_bytes: u64, recipients: usize) -> Class {
    let large = recipients > settings.transactional_recipients_max || message_bytes > settings.transactional_bytes_max;
    if large || header::fields(message).any(|field| is_bulk(&field)) { Class::Bulk } else { Class::Transactional }
}

/// RFC 2919 and RFC 2369 fields of lists; `Precedence`, which no RFC defines and all list software writes (RFC 3834 3.1.8).
fn is_bulk(field: &header::Field<'_>) -> bool {
    if field.is("List-Id") || field.is("List-Unsubscribe") {
        return true;
    }
    let word = |text: &str| ["bulk", "list", "junk"].iter().any(|bulk| text.eq_ignore_ascii_case(bulk));
    field.is("Precedence") && word(field.text(16).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        use Class::{Bulk, Transactional};
        let cases: [(&[u8], u64, usize, Class); 9] = [
            (b"Subject: your order\r\n\r\n", 4_000, 1, Transactional),
            (b"list-ID: <news.example>\r\n\r\n", 4_000, 1, Bulk), // names have no case
            (b"List-Unsubscribe: <mailto:x@y>\r\n\r\n", 4_000, 1, Bulk),
            (b"Precedence: Bulk\r\n\r\n", 4_000, 1, Bulk),
            (b"Precedence: first-class\r\n\r\n", 4_000, 1, Transactional),
            (b"Subject: x\r\n\r\nList-Id: in the body\r\n", 4_000, 1, Transactional),
            (b"Subject: x\r\n\r\n", 3 << 20, 1, Bulk), // large
            (b"Subject: x\r\n\r\n", 4_000, 11, Bulk),  // to many
            (b"", 0, 10, Transactional),
        ];
        for (message, bytes, recipients, expected) in cases {
            let class = classify(&ClassSettings::default(), message, bytes, recipients);
            assert_eq!(class, expected, "{} {bytes} {recipients}", message.escape_ascii());
            assert_eq!(Class::from_number(class.number()), class);
        }
    }
}
