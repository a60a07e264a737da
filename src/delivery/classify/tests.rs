//! Replies seen in the wild, with what they must mean, and near misses.

use super::*;
use crate::smtp::client::ReplyReader;

fn meaning(hop: HopKind, stage: Stage, line: &str) -> (Meaning, String) {
    let table = ReplyTable::embedded();
    let (reply, _) = ReplyReader::new().read(format!("{line}\r\n").as_bytes()).unwrap();
    let judgement = table.judge(hop, stage, &reply.unwrap());
    (judgement.meaning, judgement.row.to_owned())
}

#[test]
fn replies_and_their_meaning() {
    use HopKind::{Mx, Smarthost};
    let cases = [
        (
            Smarthost,
            "550 5.7.1 Rejected by policy: From header domain does not align with authenticated domain",
            Meaning::Hold,
        ),
        (Smarthost, "555 too many mails", Meaning::LimitFull),
        (Mx, "555 5.5.2 syntax", Meaning::Bounce), // the limit is the smarthost's word only
        (Smarthost, "555 5.5.4 unsupported option", Meaning::BounceAndTell),
        (Smarthost, "535 5.7.8 bad", Meaning::LoginRefused),
        (Smarthost, "530 5.7.0 authentication required", Meaning::Mend),
        (Mx, "503 5.5.1 bad sequence", Meaning::Bounce),
        (Mx, "421 4.7.28 Our system has detected an unusual rate of unsolicited mail", Meaning::Slow),
        (Mx, "550 5.7.1 messages from [192.0.2.1] weren't sent; blocked using Spamhaus", Meaning::EgressRefused),
        (Mx, "550 5.7.606 Access denied, banned sending IP", Meaning::EgressRefused),
        (Mx, "550 5.7.650 other", Meaning::Bounce), // one beside the range
        (Mx, "550 5.7.26 This mail is unauthenticated", Meaning::Hold),
        (Mx, "550 5.1.1 no such user", Meaning::Bounce),
        (Mx, "552 5.2.2 over quota", Meaning::Bounce),
        (Mx, "452 4.2.2 over quota", Meaning::Slow),
        (Mx, "451 4.3.0 later", Meaning::Retry),
        (Mx, "421 Too many connections, slow down. OFR_104 [104]", Meaning::Slow),
        (Mx, "551 5.7.1 we do not relay", Meaning::BounceAndTell),
        (Mx, "599 what", Meaning::Bounce),
    ];
    for (hop, line, expected) in cases {
        assert_eq!(meaning(hop, Stage::Rcpt, line).0, expected, "{hop:?} {line}");
    }
    // A greeting that refuses speaks about no message.
    assert_eq!(meaning(Mx, Stage::Greeting, "554 5.3.2 no").0, Meaning::Retry);
}

#[test]
fn every_row_has_a_name_of_its_own_and_words_for_people() {
    let table = ReplyTable::embedded();
    let mut names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(table.rows.iter().all(|row| row.sentence.len() > 20 && !row.origin.is_empty()));
}

#[test]
fn tables_that_are_none() {
    let row =
        |more: &str| format!("[[reply]]\nname = \"a\"\nmeaning = \"retry\"\nsentence = \"s\"\norigin = \"o\"\n{more}");
    let cases = [
        (row(""), "asks for nothing"), // it would fit everything
        (row("words = [\"Upper\"]"), "lower case"),
        (row("enhanced = [\"5.7\"]"), "no enhanced code"),
        (row("code = [550]"), "unknown field"),
    ];
    for (text, expected) in cases {
        let error = ReplyTable::parse(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(ReplyTable::parse(&row("codes = [550]")).is_ok());
}
