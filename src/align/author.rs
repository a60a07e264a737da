//! Whose word a message is said to be: the domain of its From field, as DMARC takes it (RFC 9989 5.3.1, RFC 7489 6.6.1).

use super::dkim::Leaving;
use crate::message::{Bounds, Mailbox, Message};

/// What the From field says. Domains are in their comparable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// One domain, be it of one address or of several.
    Domain(Box<str>),
    /// One field with addresses of different domains: receivers exempt it from DMARC, or refuse it.
    Domains(Vec<Box<str>>),
    /// More than one From field (RFC 5322 3.6 allows one): many receivers refuse it.
    Fields(usize),
    /// No From field.
    Missing,
    /// A From field without any address that has a domain.
    Nobody,
}

/// How many domains of a From field are named.
const DOMAINS_MAX: usize = 10;

impl Author {
    /// Reads a message's From.
    pub fn of(message: &Message) -> Self {
        match message.count("From") {
            0 => return Self::Missing,
            1 => {}
            fields => return Self::Fields(fields),
        }
        let mut domains: Vec<Box<str>> = Vec::new();
        for domain in message.from.iter().filter_map(Mailbox::domain) {
            let domain = domain.trim_end_matches('.');
            if domains.len() < DOMAINS_MAX && domains.iter().all(|known| &**known != domain) {
                domains.push(domain.into());
            }
        }
        match domains.len() {
            0 => Self::Nobody,
            1 => Self::Domain(domains.remove(0)),
            _ => Self::Domains(domains),
        }
    }

    /// The same by the header that will leave: of a long one the message read a part, and receivers see it all. A field
    /// that stands behind that part is read by itself, so that nobody hides a From from its domain's policy.
    pub fn in_leaving(message: &Message, leaving: &Leaving<'_>) -> Self {
        match (leaving.count("From"), Self::of(message)) {
            (0 | 1, said @ (Self::Domain(_) | Self::Domains(_) | Self::Nobody | Self::Fields(_))) => said,
            (0, Self::Missing) => Self::Missing,
            (1, Self::Missing) => {
                let field = leaving.fields().find(|field| field.is("From")).map_or(&[][..], |field| field.0);
                Self::of(&Message::parse(&[field, b"\r\n"].concat(), &Bounds::default()))
            }
            (fields, _) => Self::Fields(fields),
        }
    }

    /// The domain, where there is one.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Domains(_) | Self::Fields(_) | Self::Missing | Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_from_fields_say() {
        let one = |domain: &str| Author::Domain(domain.into());
        let cases = [
            ("From: Ann <ann@Example.COM>\r\n", one("example.com")),
            ("From: a@b\u{fc}cher.example\r\n", one("xn--bcher-kva.example")), // RFC 9989 5.3.1: A-label
            ("From: a@example.com, b@example.com\r\n", one("example.com")),
            ("From: \"evil@example.net\" <a@example.com>\r\n", one("example.com")), // a name is no address
            ("From: a@example.com.\r\n", one("example.com")),
            (
                "From: a@example.com, b@example.net\r\n",
                Author::Domains(vec!["example.com".into(), "example.net".into()]),
            ),
            ("From: a@example.com\r\nFrom: a@example.com\r\n", Author::Fields(2)),
            ("From: undisclosed\r\n", Author::Nobody),
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
                Author::Domains(vec!["example.com".into(), "example.net".into()])
            }),
            (format!("{from}{many}{from}"), Author::Fields(2)),
            (format!("{many}{from}{from}"), Author::Fields(2)),
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
