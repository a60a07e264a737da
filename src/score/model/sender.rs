//! Marks of who a message says it is from: the form of name and address, and where answers go; never which name it is.
//!
//! These are the only marks of header fields but the subject. Names, hosts and software would tell the training mail's
//! source; that a name is written in capitals, or that answers go to a free mail account elsewhere, transfers. Training
//! learns them from mail with real headers alone ([`super::train::Header`]).

use super::marks::{at_most, doubling};
use crate::message::{Mailbox, Message};

/// What the names of these marks begin with.
const FROM: &str = "from-";
const ANSWERS: &str = "answers-";

/// Whether a mark is one of these.
pub(super) fn is_of_sender(name: &str) -> bool {
    name.starts_with(FROM) || name.starts_with(ANSWERS)
}

/// Puts the marks of From and Reply-To.
pub(super) fn put(message: &Message, put: &mut impl FnMut(&'static str, u8)) {
    let Some(from) = message.from.first() else {
        put("from-missing", 0);
        return;
    };
    let domain = from.domain();
    let local = from.address.split('@').next().unwrap_or_default().to_lowercase();
    name(from.name.trim(), &local, domain.as_deref().unwrap_or_default(), put);
    put("from-local-length", doubling(local.len() as u64).min(7));
    put("from-local-digits", at_most(count(&local, |c| c.is_ascii_digit()), 4));
    match &domain {
        None => put("from-domain-missing", 0),
        Some(domain) => {
            put("from-free-mail", u8::from(is_free_mail(domain)));
            put("from-domain-dots", at_most(count(domain, |c| c == '.'), 4));
            let main = domain.rsplit('.').nth(1).unwrap_or_default();
            put("from-domain-length", u8::try_from(main.len() / 5).unwrap_or(5).min(5));
            if main.contains(|c: char| c.is_ascii_digit()) {
                put("from-domain-digit", 1);
            }
            if main.contains('-') {
                put("from-domain-hyphen", 1);
            }
        }
    }
    put("answers-to", answers(message.reply_to.first(), from, domain.as_deref()));
}

fn name(name: &str, local: &str, domain: &str, put: &mut impl FnMut(&'static str, u8)) {
    put("from-name-words", at_most(u32::try_from(name.split_whitespace().count()).unwrap_or(5), 5));
    if name.is_empty() {
        return;
    }
    let letters = count(name, char::is_alphabetic);
    if letters > 3 && count(name, char::is_uppercase) == letters {
        put("from-name-case", 2);
    } else if letters > 3 && count(name, char::is_lowercase) == letters {
        put("from-name-case", 1);
    }
    if name.contains('@') {
        put("from-name-address", 1);
    }
    if name.contains(char::is_numeric) {
        put("from-name-digit", 1);
    }
    if name.contains('.') && !name.contains(' ') {
        put("from-name-dotted", 1);
    }
    if name.contains(|c: char| !c.is_alphanumeric() && !c.is_whitespace() && !".,-'@()\"&_/".contains(c)) {
        put("from-name-signs", 1);
    }
    let lower = name.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
    let in_domain = words.clone().any(|word| domain.contains(word));
    put("from-name-in-address", u8::from(words.any(|word| local.contains(word))) + 2 * u8::from(in_domain));
}

/// Where answers go: 0 nothing said, 1 to the sender, 2 to its domain, 3 elsewhere, 4 to a free mail account elsewhere.
fn answers(reply_to: Option<&Mailbox>, from: &Mailbox, from_domain: Option<&str>) -> u8 {
    let Some(reply_to) = reply_to else { return 0 };
    let domain = reply_to.domain();
    if reply_to.address.eq_ignore_ascii_case(&from.address) {
        1
    } else if domain.as_deref() == from_domain {
        2
    } else {
        3 + u8::from(domain.is_some_and(|domain| is_free_mail(&domain)))
    }
}

fn count(text: &str, is_so: impl Fn(char) -> bool) -> u32 {
    u32::try_from(text.chars().filter(|c| is_so(*c)).count()).unwrap_or(u32::MAX)
}

/// Whether anybody can have an address there for nothing.
fn is_free_mail(domain: &str) -> bool {
    const BRANDS: [&str; 5] = ["yahoo.", "hotmail.", "live.", "outlook.", "gmx."];
    FREE_MAIL.contains(&domain) || BRANDS.iter().any(|brand| domain.starts_with(brand))
}

const FREE_MAIL: [&str; 49] = [
    "gmail.com",
    "googlemail.com",
    "msn.com",
    "aol.com",
    "web.de",
    "mail.ru",
    "yandex.ru",
    "yandex.com",
    "qq.com",
    "163.com",
    "126.com",
    "sina.com",
    "icloud.com",
    "me.com",
    "protonmail.com",
    "proton.me",
    "zoho.com",
    "mail.com",
    "orange.fr",
    "free.fr",
    "wanadoo.fr",
    "laposte.net",
    "libero.it",
    "virgilio.it",
    "terra.es",
    "wp.pl",
    "o2.pl",
    "onet.pl",
    "seznam.cz",
    "rediffmail.com",
    "comcast.net",
    "att.net",
    "t-online.de",
    "freenet.de",
    "naver.com",
    "hanmail.net",
    "rambler.ru",
    "inbox.ru",
    "bk.ru",
    "list.ru",
    "ymail.com",
    "tutanota.com",
    "excite.com",
    "lycos.com",
    "netscape.net",
    "sapo.pt",
    "uol.com.br",
    "bol.com.br",
    "ukr.net",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Bounds;

    fn marks(header: &str) -> Vec<(&'static str, u8)> {
        let message = Message::parse(format!("{header}\r\n\r\ntext\r\n").as_bytes(), &Bounds::default());
        let mut marks = Vec::new();
        put(&message, &mut |name, bin| marks.push((name, bin)));
        marks
    }

    #[test]
    fn what_is_said_of_a_sender() {
        let cases = [
            ("Subject: x", ("from-missing", 0), "no From"),
            ("From: ada@example.org", ("from-name-words", 0), "no name"),
            ("From: BANK SUPPORT <b@example.org>", ("from-name-case", 2), "capitals"),
            ("From: \"x@bank.example\" <b@example.org>", ("from-name-address", 1), "an address as a name"),
            ("From: Ada Lovelace <lovelace@example.org>", ("from-name-in-address", 1), "the name is in the local part"),
            ("From: Example Shop <info@example.org>", ("from-name-in-address", 2), "the name is in the domain"),
            ("From: A B <a77@example.org>", ("from-local-digits", 2), "digits"),
            ("From: A B <a@yahoo.co.uk>", ("from-free-mail", 1), "free mail in every country"),
            ("From: A <a@b.example>", ("answers-to", 0), "no Reply-To"),
            ("From: A <a@b.example>\r\nReply-To: A@b.example", ("answers-to", 1), "itself"),
            ("From: A <a@b.example>\r\nReply-To: c@b.example", ("answers-to", 2), "its domain"),
            ("From: A <a@b.example>\r\nReply-To: c@d.example", ("answers-to", 3), "elsewhere"),
            ("From: A <a@b.example>\r\nReply-To: c@gmail.com", ("answers-to", 4), "free mail elsewhere"),
        ];
        for (header, expected, why) in cases {
            let found = marks(header);
            assert!(found.contains(&expected), "{why}: {header:?} gives {found:?}");
            assert!(found.iter().all(|(name, _)| is_of_sender(name)), "{found:?}");
        }
    }

    #[test]
    fn who_it_is_is_not_seen() {
        let one = marks("From: Ada Byron <ada@example.org>");
        let other = marks("From: Eve Stone <eve@another.test>");
        let without_length = |marks: Vec<(&'static str, u8)>| {
            marks.into_iter().filter(|(name, _)| !name.ends_with("length")).collect::<Vec<_>>()
        };
        assert_eq!(without_length(one), without_length(other));
    }
}
