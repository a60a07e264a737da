//! Replies whose code and enhanced code cannot disagree (RFC 5321 4.2, RFC 3463, RFC 2034 4).
//!
//! The class digit exists once, in [`Class`]; both codes are written from it. 334 and 354 ask for more and are no
//! replies: they are [`Prompt`]. The one 250 that ends a message's content is [`Accepted`], which only `store` can make.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

use crate::mail::QueueId;

/// The longest text of a reply line, in bytes: with codes and CRLF under the 512 of RFC 5321 4.5.3.1.5.
pub const TEXT_BYTES_MAX: usize = 480;

/// What a final reply means for the command (RFC 5321 4.2.1, RFC 3463 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Done.
    Done = 2,
    /// Not now: the client keeps the message and tries again.
    Retry = 4,
    /// Never: the client gives up and bounces.
    Refuse = 5,
}

/// A final reply to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    class: Class,
    /// The two further digits of the code: 50 of 250.
    yz: u8,
    /// Subject and detail of the enhanced code (RFC 3463 2); `None` for the greeting, EHLO and HELO, which carry none.
    enhanced: Option<(u8, u16)>,
    text: Text,
}

/// Printable text without line breaks, in at most [`TEXT_BYTES_MAX`] bytes of ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Cow<'static, str>);

impl Text {
    /// A text of ours, checked when the program is built.
    ///
    /// # Panics
    /// If the text is too long or not printable ASCII; in a constant that stops the build.
    pub const fn fixed(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(bytes.len() <= TEXT_BYTES_MAX);
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i] >= 0x20 && bytes[i] < 0x7f);
            i += 1;
        }
        Self(Cow::Borrowed(text))
    }

    /// A text made at run time: what is not printable ASCII becomes `?`, what is too long is cut.
    pub fn made(text: &str) -> Self {
        let clean = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' });
        Self(Cow::Owned(clean.take(TEXT_BYTES_MAX).collect()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reply {
    /// A reply with an enhanced code: `of(Class::Retry, 52, 3, 1, …)` is `452 4.3.1 …`.
    ///
    /// # Panics
    /// If the parts are out of their ranges: yz under 60, subject under 8 (RFC 3463 2), detail under 1,000.
    pub const fn of(class: Class, yz: u8, subject: u8, detail: u16, text: Text) -> Self {
        assert!(yz < 60 && subject < 8 && detail < 1_000); // a bad constant stops the build
        Self { class, yz, enhanced: Some((subject, detail)), text }
    }

    /// A reply without an enhanced code, for the greeting, HELO and EHLO (RFC 2034 4).
    ///
    /// # Panics
    /// If `yz` is not under 60.
    pub const fn bare(class: Class, yz: u8, text: Text) -> Self {
        assert!(yz < 60);
        Self { class, yz, enhanced: None, text }
    }

    /// The same reply with another text.
    #[must_use]
    pub fn with_text(self, text: &str) -> Self {
        Self { text: Text::made(text), ..self }
    }

    /// What it means.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The three-digit code.
    pub const fn code(&self) -> u16 {
        self.class as u16 * 100 + self.yz as u16
    }

    /// The enhanced code as text, `4.3.1`.
    pub fn enhanced(&self) -> Option<String> {
        self.enhanced.map(|(subject, detail)| format!("{}.{subject}.{detail}", self.class as u8))
    }

    /// The text after the codes.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// Appends the reply as it goes over the wire, CRLF included.
    pub fn write(&self, out: &mut Vec<u8>) {
        write!(out, "{self}\r\n").expect("a Vec takes every write");
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.code())?;
        if let Some((subject, detail)) = self.enhanced {
            write!(f, " {}.{subject}.{detail}", self.class as u8)?;
        }
        write!(f, " {}", self.text())
    }
}

/// An answer that asks for more: 334 within AUTH (RFC 4954 4), 354 after DATA (RFC 5321 4.1.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// `334` and a challenge, already in base 64.
    Challenge(Text),
    /// `354`.
    StartContent,
}

impl Prompt {
    /// Appends the prompt as it goes over the wire, CRLF included.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Challenge(text) => {
                out.extend_from_slice(b"334 ");
                out.extend_from_slice(text.as_str().as_bytes());
            }
            Self::StartContent => out.extend_from_slice(b"354 end with <CRLF>.<CRLF>"),
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The 250 that takes a message over: from here on it is ours to lose.
///
/// Only `store/proof.rs` makes one, out of the proof that the message survived a sync (invariant 3).
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted(Reply);

impl Accepted {
    pub(crate) fn with_proof_of(id: QueueId) -> Self {
        Self(Reply::of(Class::Done, 50, 6, 0, Text::made(&format!("queued as {id}"))))
    }

    /// The reply to send.
    pub fn into_reply(self) -> Reply {
        self.0
    }
}

/// The answer to a message's content.
#[derive(Debug, PartialEq, Eq)]
pub enum ContentAnswer {
    /// Stored and synced.
    Accepted(Accepted),
    /// Not taken, and still the client's.
    Refused(Refusal),
}

/// A reply that takes nothing over: its class is never [`Class::Done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Reply);

impl Refusal {
    /// This reply as a refusal, unless it says "done".
    pub fn new(reply: Reply) -> Option<Self> {
        (reply.class != Class::Done).then_some(Self(reply))
    }

    /// A refusal that is fixed when the program is built.
    ///
    /// # Panics
    /// If the reply says "done": a bad constant stops the build.
    pub const fn fixed(reply: Reply) -> Self {
        assert!(!matches!(reply.class, Class::Done));
        Self(reply)
    }

    /// The store cannot take mail now (read-only, failed sync): invariant 6, never 5xx.
    pub const STORE_UNAVAILABLE: Self =
        Self(Reply::of(Class::Retry, 51, 3, 0, Text::fixed("the queue cannot store mail now, try later")));

    /// The store's disk is full (RFC 3463 3.4, X.3.1).
    pub const STORE_FULL: Self =
        Self(Reply::of(Class::Retry, 52, 3, 1, Text::fixed("the queue's disk is full, try later")));

    /// The reply to send.
    pub fn into_reply(self) -> Reply {
        self.0
    }

    /// The reply.
    pub fn reply(&self) -> &Reply {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_codes_share_their_class() {
        let reply = Reply::of(Class::Retry, 52, 3, 1, Text::fixed("store is full, try later"));
        assert_eq!(reply.to_string(), "452 4.3.1 store is full, try later");
        assert_eq!(Refusal::new(Reply::bare(Class::Done, 50, Text::fixed("ok"))), None);
    }

    #[test]
    fn made_text_is_one_printable_line() {
        assert_eq!(Text::made("a\r\n250 b\x1b\u{e9}").as_str(), "a??250 b??");
        assert_eq!(Text::made(&"x".repeat(9_000)).as_str().len(), TEXT_BYTES_MAX);
    }
}
