//! What a refusal means: a table of codes and words, read from data (`config/replies.toml`).
//!
//! Pure. The first row that fits wins. Only replies to MAIL, RCPT and content come here, for only they speak about a message;
//! a refusal before is a [`DeliveryError`](super::error::DeliveryError) and bounces nothing.

use serde::Deserialize;

use super::own_words::{Fragment, OwnWords};
use crate::smtp::client::{Enhanced, PeerReply, Stage, Tone};

/// The rows that outguard comes with.
const EMBEDDED: &str = include_str!("../../config/replies.toml");

/// Where the meaning of what no row knows comes from.
const RFC: &str = "RFC 5321 4.2.1";

/// What kind of server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HopKind {
    /// The provider's, which takes our mail on for us.
    Smarthost,
    /// The recipient's.
    Mx,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// Not now.
    Retry,
    /// Not so fast: this destination wants less mail.
    Slow,
    /// Never, for this recipient or message.
    Bounce,
    /// Never, and the operator should know.
    BounceAndTell,
    /// The operator must mend something; the message is held for a person.
    Hold,
    /// The operator must mend something; the message waits meanwhile.
    Mend,
    /// This destination refuses the egress for its reputation.
    EgressRefused,
    /// The login is refused or blocked.
    LoginRefused,
    /// The hourly limit is used up at the next hop.
    LimitFull,
}

/// A reply, and whose addresses it may repeat.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// What it answers.
    pub stage: Stage,
    /// What was said.
    pub reply: &'a PeerReply,
    /// The recipient, as RCPT had it.
    pub recipient: &'a str,
    /// The sender, as MAIL had it.
    pub reverse_path: &'a str,
}

/// What a row wants the reply to be an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answers {
    /// MAIL, RCPT or DATA: the next hop knows client and addresses alone.
    Envelope,
    /// The final dot: it has seen what the sender wrote.
    Content,
}

/// What a reply means, and which row says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// The meaning.
    pub meaning: Meaning,
    /// The row's name.
    pub row: &'a str,
    /// The row's sentence, for the operator.
    pub sentence: &'a str,
    /// Where the row is known from.
    pub origin: &'a str,
}

/// All rows, in order.
#[derive(Debug, Clone)]
pub struct ReplyTable {
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    reply: Vec<Row>,
}

/// One row: every condition that is written must hold; of a list, one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    codes: Vec<u16>,
    #[serde(default)]
    enhanced: Vec<Pattern>,
    /// Fragments of the text, in lower case.
    #[serde(default)]
    words: Vec<Fragment>,
    hop: Option<HopKind>,
    answers: Option<Answers>,
    meaning: Meaning,
    sentence: String,
    /// Where this is known from.
    origin: String,
}

/// `5.7.26`, `*.7.26` for both classes, `5.7.606-649` for a range of details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Pattern {
    class: Option<u8>,
    subject: u16,
    details: (u16, u16),
}

impl ReplyTable {
    /// The table that outguard comes with.
    ///
    /// # Panics
    /// Never: a test reads the same text.
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the embedded table is read by a test")
    }

    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong with the text, with its place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        for row in &file.reply {
            if row.codes.is_empty() && row.enhanced.is_empty() && row.words.is_empty() {
                return Err(format!("the row \"{}\" asks for nothing; give it codes, enhanced or words", row.name));
            }
        }
        Ok(Self { rows: file.reply })
    }

    /// What a 4xx or 5xx reply means. What no row knows is "not now" for 4xx, and "never" for 5xx.
    pub fn judge(&self, hop: HopKind, answered: Answered<'_>) -> Judgement<'_> {
        let Answered { stage, reply, recipient, reverse_path } = answered;
        let words = OwnWords::of(&reply.to_string(), recipient, reverse_path);
        if let Some(row) = self.rows.iter().find(|row| row.fits(hop, stage, reply, &words)) {
            return Judgement { meaning: row.meaning, row: &row.name, sentence: &row.sentence, origin: &row.origin };
        }
        let (meaning, row, sentence) = if reply.tone() == Tone::Never && stage.is_about_the_message() {
            (Meaning::Bounce, "refused", "the next hop refused the message")
        } else {
            (Meaning::Retry, "not-now", "the next hop put the message off")
        };
        Judgement { meaning, row, sentence, origin: RFC }
    }
}

impl Row {
    fn fits(&self, hop: HopKind, stage: Stage, reply: &PeerReply, words: &OwnWords) -> bool {
        let enhanced = |pattern: &Pattern| reply.enhanced.is_some_and(|code| pattern.fits(code));
        let answers = if stage == Stage::Content { Answers::Content } else { Answers::Envelope };
        self.hop.is_none_or(|own| own == hop)
            && self.answers.is_none_or(|own| own == answers)
            && (self.codes.is_empty() || self.codes.contains(&reply.code))
            && (self.enhanced.is_empty() || self.enhanced.iter().any(enhanced))
            && (self.words.is_empty() || self.words.iter().any(|fragment| words.have(fragment)))
    }
}

impl Pattern {
    fn fits(self, code: Enhanced) -> bool {
        self.class.is_none_or(|class| class == code.class)
            && self.subject == code.subject
            && (self.details.0..=self.details.1).contains(&code.detail)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fault = || format!("{text:?} is no enhanced code; write \"5.7.26\", \"*.7.26\" or \"5.7.606-649\"");
        let mut parts = text.split('.');
        let (Some(class), Some(subject), Some(detail), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fault());
        };
        let class = if class == "*" { None } else { Some(class.parse().map_err(|_| fault())?) };
        let (from, to) = detail.split_once('-').unwrap_or((detail, detail));
        let number = |text: &str| text.parse::<u16>().map_err(|_| fault());
        Ok(Self { class, subject: number(subject)?, details: (number(from)?, number(to)?) })
    }
}

#[cfg(test)]
mod tests;
