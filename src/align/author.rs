//! Whose word a message is said to be: the domain of its From field, as DMARC takes it (RFC 9989 5.3.1, RFC 7489 6.6.1).

use super::dkim::Leaving;
use crate::message::{Bounds, MAILBOXES_MAX, Mailbox, Message, Reading};

/// What the From field says. Domains are in their comparable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// One domain, be it of one address or of several.
    Domain(Box<str>),
    /// One field with addresses of different domains: receivers exempt it from DMARC, refuse it, or apply the strictest
    /// policy of them all.
    Domains(Domains),
    /// More than one From field (RFC 5322 3.6 allows one), and the domains of them all: many receivers refuse it.
    Fields(usize, Domains),
    /// No From field.
    Missing,
    /// A From field without any address that has a domain.
    Nobody,
}

/// The domains of a From that is not one domain's, each once, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domains {
    /// All there are, at most [`Domains::MAX`].
    All(Vec<Box<str>>),
    /// There are more, or more addresses or fields than are read; the first of them.
    TooMany(Vec<Box<str>>),
    /// There may be more: a part of the field is no address to us, and may be one to another reader; those that are.
    Unclear(Vec<Box<str>>),
}

impl Domains {
    /// How many are looked at.
    pub const MAX: usize = 8;

    /// Those that are known.
    pub fn known(&self) -> &[Box<str>] {
        match self {
            Self::All(known) | Self::TooMany(known) | Self::Unclear(known) => known,
        }
    }

    /// Whether there may be others than those that are known.
    pub fn are_more(&self) -> bool {
        !matches!(self, Self::All(_))
    }
}

impl Author {
    /// Reads a message's From.
    pub fn of(message: &Message) -> Self {
        Self::of_fields(message, message.count("From"))
    }

    /// The same by the header that will leave: of a long one the message read a part, and receivers see it all. Fields
    /// that stand behind that part are read by themselves, so that nobody hides a From from its domain's policy.
    pub fn in_leaving(message: &Message, leaving: &Leaving<'_>) -> Self {
        let count = leaving.count("From");
        if count <= message.count("From") {
            return Self::of(message);
        }
        // A field before them, for a first line that begins with `From ` is taken for a mailbox file's.
        let mut header = b"X-First: x\r\n".to_vec();
        leaving.fields().filter(|field| field.is("From")).for_each(|field| header.extend_from_slice(field.0));
        header.extend_from_slice(b"\r\n");
        Self::of_fields(&Message::parse(&header, &Bounds::default()), count)
    }

    /// Of a message whose header has so many From fields.
    fn of_fields(message: &Message, count: usize) -> Self {
        if count == 0 {
            return Self::Missing;
        }
        let mut known: Vec<Box<str>> = Vec::new();
        let mut are_counted = count <= message.count("From") && message.from.len() < MAILBOXES_MAX;
        for domain in message.from.iter().filter_map(Mailbox::domain) {
            let domain = domain.trim_end_matches('.');
            if known.iter().any(|known| &**known == domain) {
                continue;
            }
            if known.len() == Domains::MAX {
                are_counted = false;
                break;
            }
            known.push(domain.into());
        }
        let domains = match message.from_reading {
            _ if !are_counted => Domains::TooMany(known),
            Reading::InPart => Domains::Unclear(known),
            Reading::Whole => Domains::All(known),
        };
        match (count, domains) {
            (1, Domains::All(known)) => match <[Box<str>; 1]>::try_from(known) {
                Ok([domain]) => Self::Domain(domain),
                Err(known) if known.is_empty() => Self::Nobody,
                Err(known) => Self::Domains(Domains::All(known)),
            },
            (1, domains) => Self::Domains(domains),
            (count, domains) => Self::Fields(count, domains),
        }
    }

    /// The domain, where there is one.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Domains(_) | Self::Fields(..) | Self::Missing | Self::Nobody => None,
        }
    }

    /// The domains of a From that is not one domain's.
    pub fn several(&self) -> Option<&Domains> {
        match self {
            Self::Domains(domains) | Self::Fields(_, domains) => Some(domains),
            Self::Domain(_) | Self::Missing | Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(domains: &[&str]) -> Domains {
        Domains::All(domains.iter().map(|domain| (*domain).into()).collect())
    }

    #[test]
    fn what_from_fields_say() {
        let one = |domain: &str| Author::Domain(domain.into());
        let many = |count: usize| (0..count).map(|n| format!("a@{n}.example")).collect::<Vec<_>>().join(", ");
        let named = |count: usize| (0..count).map(|n| format!("{n}.example").into()).collect::<Vec<Box<str>>>();
        let cases = [
            ("From: Ann <ann@Example.COM>\r\n", one("example.com")),
            ("From: a@b\u{fc}cher.example\r\n", one("xn--bcher-kva.example")), // RFC 9989 5.3.1: A-label
            ("From: a@example.com, b@example.com\r\n", one("example.com")),
            ("From: \"evil@example.net\" <a@example.com>\r\n", one("example.com")), // a name is no address
            ("From: a@example.com.\r\n", one("example.com")),
            ("From: a@example.com, b@example.net\r\n", Author::Domains(all(&["example.com", "example.net"]))),
            ("From: a@example.com\r\nFrom: a@example.com\r\n", Author::Fields(2, all(&["example.com"]))),
            (
                "From: a@example.com\r\nFrom: b@example.net, c@example.org\r\n",
                Author::Fields(2, all(&["example.com", "example.net", "example.org"])),
            ),
            ("From: nobody\r\nFrom: undisclosed:;\r\n", Author::Fields(2, all(&[]))),
            (&format!("From: {}\r\n", many(8)), Author::Domains(Domains::All(named(8)))),
            (&format!("From: {}\r\n", many(9)), Author::Domains(Domains::TooMany(named(8)))),
            // Behind all the addresses that are read.
            (
                &format!("From: {}c@example.net\r\n", "a@example.com, ".repeat(MAILBOXES_MAX)),
                Author::Domains(Domains::TooMany(vec!["example.com".into()])),
            ),
            ("From: undisclosed\r\n", Author::Nobody),
            // Another reader may find an address where we find none.
            (
                "From: a@example.com, <b@example..net>\r\n",
                Author::Domains(Domains::Unclear(vec!["example.com".into()])),
            ),
            ("From: b@example..net\r\n", Author::Domains(Domains::Unclear(Vec::new()))),
            (
                "From: =?utf-8?q?CEO?=,b@example.net, a@example.com\r\n",
                Author::Domains(all(&["example.net", "example.com"])),
            ),
            (&format!("From: <{}b@example.net>\r\n", "\r\n ".repeat(400)), one("example.net")),
            ("From: a@example.com, <b@(x)example.net>\r\n", Author::Domains(all(&["example.com", "example.net"]))),
            ("From: a@[192.0.2.1]\r\n", Author::Nobody), // an address literal has no record
            ("From:\r\n", Author::Nobody),
            ("Subject: x\r\n", Author::Missing),
        ];
        for (header, expected) in cases {
            let message = Message::parse(format!("{header}\r\nx\r\n").as_bytes(), &Bounds::default());
            assert_eq!(Author::of(&message), expected, "{header}");
        }
    }

    #[test]
    fn a_from_behind_all_that_is_read() {
        let many = "X-Filler: x\r\n".repeat(1_200);
        let from = "From: Ann <ann@example.com>\r\n";
        let cases = [
            (format!("{from}{many}"), Author::Domain("example.com".into())),
            (format!("{many}{from}"), Author::Domain("example.com".into())),
            (format!("{many}FROM :\r\n\tann@example.com\r\n"), Author::Domain("example.com".into())),
            (format!("{many}From: a@example.com, b@example.net\r\n"), {
                Author::Domains(all(&["example.com", "example.net"]))
            }),
            (format!("{from}{many}{from}"), Author::Fields(2, all(&["example.com"]))),
            (format!("{many}{from}{from}"), Author::Fields(2, all(&["example.com"]))),
            (format!("{from}{many}From: b@example.net\r\n"), Author::Fields(2, all(&["example.com", "example.net"]))),
            // As the first line it looks like a mailbox file's, and receivers read it as a field (RFC 5322 4.5).
            ("From : ann@example.com\r\n".to_owned(), Author::Domain("example.com".into())),
            (from.repeat(1_001), Author::Fields(1_001, Domains::TooMany(vec!["example.com".into()]))),
            (format!("{many}From: nobody\r\n"), Author::Nobody),
            (many.clone(), Author::Missing),
        ];
        for (header, expected) in cases {
            let bytes = format!("{header}\r\nx\r\n").into_bytes();
            let (message, leaving) = (Message::parse(&bytes, &Bounds::default()), Leaving::new(&[&bytes]).unwrap());
            let shown = header.replace(&many, "(many) ");
            assert_eq!(Author::in_leaving(&message, &leaving), expected, "{shown}");
        }
    }
}
