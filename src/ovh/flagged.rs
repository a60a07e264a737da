//! The messages that OVHcloud's anti-spam flagged: read from the answer of its API, from a notice, or from plain Message-IDs.
//!
//! ```
//! let answer = r#"[{"timestamp": 1661788800, "total": 9, "numberOfSpams": 1, "averageSpamscore": 410, "detectedSpams":
//!     [{"date": 1661788900, "destinationIp": "192.0.2.9", "messageId": "2PXQSX@example.com", "spamscore": 410}]}]"#;
//! assert_eq!(outguard::ovh::flagged::read(answer.as_bytes()).unwrap(), ["2PXQSX@example.com"]);
//! ```

use std::collections::HashSet;

use serde::Deserialize;
use thiserror::Error;

use crate::mail::Visible;

/// The longest list that is read, in bytes: the API answers with less than 200 for each message.
pub const LIST_BYTES_MAX: usize = 4 << 20;
/// Messages that one list names at most.
pub const MESSAGES_MAX: usize = 10_000;
/// The longest Message-ID, in bytes: that of a line (RFC 5322 2.1.1).
const ID_BYTES_MAX: usize = 998;
/// What a notice's line begins with, in every language.
const NOTICE_KEY: &str = "Destination IP";
/// Of a line that says nothing, so many bytes are shown.
const SHOWN_BYTES_MAX: usize = 80;

/// Why a list cannot be read. Nothing is taken over of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlaggedError {
    /// Longer than [`LIST_BYTES_MAX`], or more than [`MESSAGES_MAX`].
    #[error("more than {} MiB or {MESSAGES_MAX} messages; give it in parts", LIST_BYTES_MAX >> 20)]
    TooLong,
    /// Not UTF-8.
    #[error("not text; give the API's answer as it came, or Message-IDs, one a line")]
    NotText,
    /// JSON, but not that of the call.
    #[error(
        "not the answer of /ip/{{ip}}/spam/{{ipSpamming}}/stats: {why}; give it as it came, or Message-IDs, one a line"
    )]
    NotTheAnswer {
        /// What is amiss.
        why: String,
    },
    /// Lines of a notice that were wrapped or joined on their way.
    #[error("a notice with {told} Message-IDs, of which {found} stand in a line of their own; give them one a line")]
    BrokenNotice {
        /// Those in whole lines.
        found: usize,
        /// All.
        told: usize,
    },
    /// A Message-ID that none can be.
    #[error("{place} has no Message-ID: {shown}; take it out and repeat")]
    NoMessageId {
        /// Line, or number of the message in the answer.
        place: String,
        /// What stands there, made visible.
        shown: String,
    },
}

/// A part of an hour or a day, as the API counts it; the guide shows what is in it alone, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Parts(Vec<Part>),
    Part(Part),
    Messages(Vec<Detected>),
    Message(Detected),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "numberOfSpams")]
    _number: u64,
    #[serde(rename = "detectedSpams")]
    detected: Option<Vec<Detected>>,
}

#[derive(Deserialize)]
struct Detected {
    #[serde(rename = "messageId")]
    message_id: String,
    #[serde(rename = "spamscore")]
    _score: i64,
}

/// The Message-IDs of a list, each once, without angle brackets, in its order.
///
/// A list is the JSON answer of `/ip/{ip}/spam/{ipSpamming}/stats`; or a notice, with its lines `Destination IP: … - Message-ID:
/// … - Spam score: …`, whatever stands around them; or lines of one Message-ID each. Empty lines are passed over.
///
/// # Errors
/// It is too long, or something in it is not understood; then nothing of it counts.
pub fn read(list: &[u8]) -> Result<Vec<String>, FlaggedError> {
    if list.len() > LIST_BYTES_MAX {
        return Err(FlaggedError::TooLong);
    }
    let text = std::str::from_utf8(list).map_err(|_| FlaggedError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let found = if text.trim_start().starts_with(['[', '{']) { answer(text)? } else { lines(text)? };
    let mut seen = HashSet::new();
    let each_once: Vec<String> = found.into_iter().filter(|id| seen.insert(id.clone())).collect();
    if each_once.len() > MESSAGES_MAX {
        return Err(FlaggedError::TooLong);
    }
    Ok(each_once)
}

fn answer(text: &str) -> Result<Vec<String>, FlaggedError> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|e| not_the_answer(&e))?;
    if let Some(words) = json.get("message").and_then(serde_json::Value::as_str) {
        let why = format!("OVHcloud refused the call, saying {}", shown(words));
        return Err(FlaggedError::NotTheAnswer { why });
    }
    let detected = match Answer::deserialize(json) {
        Ok(Answer::Parts(parts)) => parts.into_iter().filter_map(|part| part.detected).flatten().collect(),
        Ok(Answer::Part(part)) => part.detected.unwrap_or_default(),
        Ok(Answer::Messages(messages)) => messages,
        Ok(Answer::Message(message)) => vec![message],
        Err(_) => {
            let why = "neither parts with numberOfSpams and detectedSpams, nor messages with messageId and spamscore";
            return Err(FlaggedError::NotTheAnswer { why: why.to_owned() });
        }
    };
    let ids = detected.iter().zip(1..).map(|(one, number): (&Detected, u32)| {
        message_id(&one.message_id).ok_or_else(|| no_message_id(format!("message {number}"), &one.message_id))
    });
    ids.collect()
}

fn lines(text: &str) -> Result<Vec<String>, FlaggedError> {
    let numbered = || text.lines().map(|line| line.trim_matches(|c| c == '>' || is_space(c))).zip(1_u32..);
    let of_line = |(id, number): (&str, u32)| message_id(id).ok_or_else(|| no_message_id(format!("line {number}"), id));
    let told = text.matches(NOTICE_KEY).count();
    if told == 0 {
        return numbered().filter(|(line, _)| !line.is_empty()).map(of_line).collect();
    }
    let found: Vec<(&str, u32)> = numbered().filter_map(|(line, number)| Some((in_a_notice(line)?, number))).collect();
    if found.len() < told {
        return Err(FlaggedError::BrokenNotice { found: found.len(), told });
    }
    found.into_iter().filter(|(id, _)| !is_masked(id)).map(of_line).collect()
}

/// What a copy on a web page shows in place of an address.
fn is_masked(id: &str) -> bool {
    id.contains("[email") && id.contains("protected]")
}

/// The Message-ID of a notice's line. Its keys are the same in every language; the French one has a space before each colon.
fn in_a_notice(line: &str) -> Option<&str> {
    let (_address, rest) = line.strip_prefix(NOTICE_KEY)?.split_once("Message-ID")?;
    let rest = rest.trim_start_matches(is_space).strip_prefix(':')?;
    let (id, _score) = rest.rsplit_once("Spam score")?; // a Message-ID may have dashes of its own
    let id = id.trim_end_matches(is_space);
    Some(id.strip_suffix(['-', '\u{2013}']).unwrap_or(id).trim_matches(is_space))
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{a0}' | '\u{202f}')
}

fn message_id(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = text.strip_prefix('<').unwrap_or(text);
    let bare = bare.strip_suffix('>').unwrap_or(bare);
    let fits = |c: char| !c.is_control() && !is_space(c) && !matches!(c, '<' | '>');
    ((1..=ID_BYTES_MAX).contains(&bare.len()) && bare.chars().all(fits)).then(|| bare.to_owned())
}

fn no_message_id(place: String, text: &str) -> FlaggedError {
    FlaggedError::NoMessageId { place, shown: shown(text) }
}

fn not_the_answer(error: &serde_json::Error) -> FlaggedError {
    FlaggedError::NotTheAnswer { why: error.to_string() }
}

fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    let cut = if end < text.len() { "…" } else { "" };
    format!("\u{201c}{}{cut}\u{201d}", Visible(&text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[
        {"timestamp": 1661788800, "total": 12, "numberOfSpams": 2, "averageSpamscore": 355, "detectedSpams": [
            {"date": 1661788900, "destinationIp": "192.0.2.9", "messageId": "<one@example.com>", "spamscore": 410},
            {"date": 1661788901, "destinationIp": "192.0.2.10", "messageId": "Two.2-x@example.com", "spamscore": 300}]},
        {"timestamp": 1661789100, "total": 3, "numberOfSpams": 0, "averageSpamscore": null, "detectedSpams": null},
        {"timestamp": 1661789400, "total": 1, "numberOfSpams": 1, "averageSpamscore": 410, "detectedSpams": [
            {"date": 1661789401, "destinationIp": "192.0.2.11", "messageId": "one@example.com", "spamscore": 410}]}]"#;
    const NOTICE: &str = "Dear Customer,\r\n\r\nwe have blocked the port 25 of your server:\r\n\
        > Destination IP: 192.0.2.9 - Message-ID: d24aa492-5f37@xx.local - Spam score: 300\r\n\
        >Destination IP\u{a0}: 192.0.2.9 - Message-ID\u{202f}: <a - b@example.com> - Spam score\u{a0}: 300\r\n";

    #[test]
    fn every_form_is_read() {
        let one = r#"{"messageId": "one@example.com", "destinationIp": "192.0.2.9", "date": 1, "spamscore": 410}"#;
        let part = r#"{"timestamp": 1, "total": 1, "numberOfSpams": 1, "averageSpamscore": 1, "detectedSpams": [ONE]}"#;
        let cases: [(&str, &[&str]); 12] = [
            (ANSWER, &["one@example.com", "Two.2-x@example.com"]), // each once, in order, without brackets
            ("[]", &[]),                                           // nothing was flagged in that time
            (one, &["one@example.com"]),                           // as the guide shows it
            (&format!("[{one}]"), &["one@example.com"]),
            (&part.replace("ONE", one), &["one@example.com"]),
            (&part.replace("ONE", &one.replace("\"date\"", "\"more\": [], \"date\"")), &["one@example.com"]), // what is new there
            ("", &[]),
            ("one@example.com\n\n <two@example.com>\r\none@example.com\n", &["one@example.com", "two@example.com"]),
            ("\u{feff}one@example.com", &["one@example.com"]),
            ("local-part-alone", &["local-part-alone"]), // some programs write no domain
            (&NOTICE.replace("a - b", "a-b"), &["d24aa492-5f37@xx.local", "a-b@example.com"]),
            ("Destination IP: 192.0.2.9 - Message-ID: [email protected] - Spam score: 300", &[]), // a web page hid it
        ];
        for (list, expected) in cases {
            let expected = expected.iter().map(ToString::to_string).collect();
            assert_eq!(read(list.as_bytes()), Ok(expected), "{list}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        let cases: [(&str, &str); 9] = [
            ("one@example.com\ntwo words\n", "line 2 has no Message-ID: \u{201c}two words"),
            ("\u{1b}[2J@example.com", "\\u{1b}"), // and shown harmless
            (NOTICE, "line 5 has no Message-ID: \u{201c}<a - b@"),
            (
                "Destination IP: 192.0.2.9 - Message-ID:\n one@example.com - Spam score: 300",
                "of which 0 stand in a line",
            ),
            (
                r#"{"message": "This call has not been granted", "errorCode": "NOT_GRANTED_CALL"}"#,
                "has not been granted",
            ),
            (r#"{"ipSpamming": "192.0.2.1", "state": "blockedForSpam"}"#, "neither parts"), // another call's answer
            (r#"[{"numberOfSpams": 1, "detectedSpams": [{"messageId": 7, "spamscore": 1}]}]"#, "neither parts"),
            (r#"{"messageId": "", "spamscore": 410}"#, "message 1 has no Message-ID"),
            ("[{]", "line 1 column 3"),
        ];
        for (list, expected) in cases {
            let error = read(list.as_bytes()).expect_err(list).to_string();
            assert!(error.contains(expected), "{list}: {error}");
            assert!(!error.contains(char::is_control), "a terminal reads it: {error:?}");
        }
        assert_eq!(read(b"\xff"), Err(FlaggedError::NotText));
    }

    #[test]
    fn a_list_is_bounded() {
        assert_eq!(read(&vec![b'\n'; LIST_BYTES_MAX + 1]), Err(FlaggedError::TooLong));
        let ids = |n: usize| (0..n).map(|i| format!("{i}@example.com")).collect::<Vec<_>>().join("\n");
        assert_eq!(read(ids(MESSAGES_MAX).as_bytes()).map(|ids| ids.len()), Ok(MESSAGES_MAX));
        assert_eq!(read(ids(MESSAGES_MAX + 1).as_bytes()), Err(FlaggedError::TooLong));
        let long = format!("{}@example.com", "x".repeat(ID_BYTES_MAX));
        assert!(read(long.as_bytes()).is_err_and(|error| error.to_string().len() < 200), "and is not shown whole");
        let deep = "[".repeat(100_000);
        assert!(matches!(read(deep.as_bytes()), Err(FlaggedError::NotTheAnswer { .. })));
    }
}
