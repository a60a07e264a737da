//! Real mail of each program that people write with: its text is read, its links are found, its subject is decoded. What
//! mail-parser finds in it is the measure, but for a few broken ones; where nothing is found there is nothing to miss.

#![cfg(test)]

#[path = "rig/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;

use mail_parser::MessageParser;
use outguard::message::{Bounds, Message};

/// How X-Mailer or User-Agent of the programs begin that most mail of the corpus comes from.
const MAILERS: [&str; 29] = [
    "AOL",
    "AcyMailing",
    "Apple Mail",
    "Evolution",
    "Foxmail",
    "Gnus",
    "Internet Mail Service",
    "KMail",
    "Lotus Notes",
    "MIME-tools",
    "MailPoet",
    "Microsoft CDO",
    "Microsoft Office Outlook",
    "Microsoft Outlook",
    "Microsoft Outlook Express",
    "Mozilla",
    "Mutt",
    "PHPMailer",
    "Pegasus Mail",
    "QUALCOMM Windows Eudora",
    "Roundcube",
    "SquirrelMail",
    "Sylpheed",
    "The Bat!",
    "Thunderbird",
    "YahooMailRC",
    "Zimbra",
    "iPhone Mail",
    "phplist",
];
/// How many messages of each are read.
const EACH_MAX: usize = 40;

#[test]
fn mail_of_every_program_is_read() {
    let mut read: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for mail in corpus::read(&["train.tar.zst", "train-2.tar.zst"]) {
        let Some(mailer) = mailer(&mail.bytes) else { continue };
        let count = read.entry(mailer).or_default();
        if *count < EACH_MAX {
            *count += 1;
            faults.extend(missed(&mail.bytes).map(|what| format!("{mailer}: {what} of {}", mail.name)));
        }
    }
    println!("{read:?}\n{faults:#?}");
    // What is broken in one of a hundred ways is read otherwise by every program.
    let total: usize = read.values().sum();
    assert!(faults.len() * 50 <= total, "{} of {total} messages are read otherwise: {faults:#?}", faults.len());
}

/// The program that wrote it: the longest name that its field begins with.
fn mailer(bytes: &[u8]) -> Option<&'static str> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(16 << 10)]).into_owned();
    let head = head.split("\n\n").next()?;
    let named = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        ["X-Mailer", "User-Agent"].iter().any(|field| name.eq_ignore_ascii_case(field)).then(|| value.trim())
    })?;
    MAILERS.into_iter().filter(|mailer| named.starts_with(mailer)).max_by_key(|mailer| mailer.len())
}

/// What we did not find and mail-parser did.
fn missed(bytes: &[u8]) -> Option<&'static str> {
    let ours = Message::parse(bytes, &Bounds::default());
    let theirs = MessageParser::default().parse(bytes)?;
    let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let plain = theirs.body_text(0).unwrap_or_default();
    let html = theirs.body_html(0).unwrap_or_default();
    // A picture with a text in the colour of the page has no text to a reader.
    let hidden = ours.html.as_ref().is_some_and(|html| !html.hidden.is_empty());
    if !letters(&plain).is_empty() && ours.text.trim().is_empty() && !hidden {
        return Some("the text");
    }
    let lower = html.to_ascii_lowercase();
    if lower.contains("href=\"http") && !ours.links.iter().any(|link| link.scheme.starts_with("http")) {
        return Some("the links");
    }
    // What is neither ASCII nor encoded is guessed, and an empty encoded word is left as it is over there.
    let subject = theirs.subject().unwrap_or_default();
    let is_guessed = !theirs.header_raw("Subject").is_some_and(str::is_ascii) || subject.contains("=?");
    if !is_guessed && letters(subject) != letters(&ours.subject) {
        return Some("the subject");
    }
    None
}
