//! Replies seen in the wild, with what they must mean, and near misses.

use super::*;
use crate::smtp::client::ReplyReader;

fn meaning(hop: HopKind, stage: Stage, line: &str) -> (Meaning, String) {
    meaning_for("sender@a.example", "someone@b.example", hop, stage, line)
}

fn meaning_for(reverse_path: &str, recipient: &str, hop: HopKind, stage: Stage, line: &str) -> (Meaning, String) {
    let table = ReplyTable::embedded();
    let (reply, _) = ReplyReader::new().read(format!("{line}\r\n").as_bytes()).unwrap();
    let judgement = table.judge(hop, Answered { stage, reply: &reply.unwrap(), recipient, reverse_path });
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
        (Mx, "452 4.2.2 over quota", Meaning::Retry),
        (Mx, "451 4.3.0 later", Meaning::Retry),
        (Mx, "421 Too many connections, slow down. OFR_104 [104]", Meaning::Slow),
        (Mx, "421 Service refuse. Veuillez essayer plus tard. OFR004_109", Meaning::Slow),
        (Mx, "550 5.7.1 Client host blocked for spamming issues. OFR006_102 [102]", Meaning::EgressRefused),
        (Smarthost, "452 4.3.1 Insufficient system storage", Meaning::Slow),
        (Mx, "535 5.7.8 bad", Meaning::Bounce), // nobody logs in there
        (Mx, "551 5.7.1 we do not relay", Meaning::BounceAndTell),
        (Mx, "599 what", Meaning::Bounce),
    ];
    for (hop, line, expected) in cases {
        assert_eq!(meaning(hop, Stage::Rcpt, line).0, expected, "{hop:?} {line}");
    }
    // A greeting that refuses speaks about no message.
    assert_eq!(meaning(Mx, Stage::Greeting, "554 5.3.2 no").0, Meaning::Retry);
}

/// Mail to one full mailbox at a large receiver, or to one that does not exist, once kept all other mail for that receiver,
/// or for the whole smarthost, for five minutes, and each retry anew.
const OF_ONE_MESSAGE: &[(HopKind, Stage, &str, Meaning)] = &[
    // One recipient.
    (
        HopKind::Mx,
        Stage::Rcpt,
        "452 4.2.2 The email account that you tried to reach is out of storage space.",
        Meaning::Retry,
    ),
    (HopKind::Smarthost, Stage::Rcpt, "452 4.2.2 <someone@b.example>: user is over quota", Meaning::Retry),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "452 <someone@b.example> Mailbox is full / Blocks limit exceeded / Inode limit exceeded",
        Meaning::Retry,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "452 4.1.1 <someone@b.example> Recipient address rejected: unverified address",
        Meaning::Retry,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that",
        Meaning::Retry,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "554 5.2.121 Recipient's per hour message receive limit from specific sender exceeded",
        Meaning::Retry,
    ),
    (HopKind::Mx, Stage::Rcpt, "554 5.2.122 Recipient's per hour message receive limit exceeded", Meaning::Retry),
    (HopKind::Mx, Stage::Rcpt, "552 5.2.2 Mailbox quota exceeded", Meaning::Bounce),
    (HopKind::Smarthost, Stage::Rcpt, "555 5.5.2 Syntax error, cannot decode response", Meaning::Bounce),
    // One sender, link or content.
    (
        HopKind::Mx,
        Stage::Content,
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail containing one of your URL domains.",
        Meaning::Retry,
    ),
    (
        HopKind::Mx,
        Stage::Content,
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your DKIM domain",
        Meaning::Retry,
    ),
    (
        HopKind::Mx,
        Stage::Content,
        "550 5.7.1 [192.0.2.1] Gmail has detected that this message is likely unsolicited mail.",
        Meaning::BounceAndTell,
    ),
    (
        HopKind::Mx,
        Stage::Content,
        "550 5.7.1 this message is likely suspicious due to the very low reputation of the sending domain.",
        Meaning::BounceAndTell,
    ),
    (HopKind::Mx, Stage::Content, "550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506]", Meaning::BounceAndTell),
    (
        HopKind::Mx,
        Stage::Content,
        "550 5.5.0 Service refuse. Veuillez essayer plus tard. service refused, please try later. LPN007_510",
        Meaning::BounceAndTell,
    ),
    (HopKind::Mx, Stage::Content, "554 5.7.1 URL listed, blocked using Spamhaus DBL", Meaning::BounceAndTell),
    (
        HopKind::Mx,
        Stage::Content,
        "550 5.7.1 Message contains a link that is on SURBL, see https://surbl.org/",
        Meaning::BounceAndTell,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "554 5.7.1 Service unavailable; Sender address [sender@a.example] blocked using dbl.spamhaus.org",
        Meaning::BounceAndTell,
    ),
    (
        HopKind::Mx,
        Stage::Content,
        "554 5.7.0 Reject, id=12-01 - BANNED: .exe,blocked using spamhaus.exe",
        Meaning::BounceAndTell,
    ),
];

/// Others are not served either.
const OF_THE_ADDRESS: &[(HopKind, Stage, &str, Meaning)] = &[
    (
        HopKind::Mx,
        Stage::Content,
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.",
        Meaning::Slow,
    ),
    (
        HopKind::Mx,
        Stage::Content,
        "550 5.7.1 likely suspicious due to the very low reputation of the sending IP address.",
        Meaning::EgressRefused,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; see there",
        Meaning::EgressRefused,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "554 5.7.1 Service unavailable; Helo command [relay.example] blocked using dbl.spamhaus.org;",
        Meaning::EgressRefused,
    ),
    (
        HopKind::Mx,
        Stage::Content,
        "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org",
        Meaning::EgressRefused,
    ),
    (
        HopKind::Mx,
        Stage::Rcpt,
        "550 5.7.1 Service refuse. service refused, please try later. LPN007_510",
        Meaning::EgressRefused,
    ),
    (
        HopKind::Mx,
        Stage::Mail,
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list",
        Meaning::EgressRefused,
    ),
    (
        HopKind::Mx,
        Stage::Mail,
        "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.) (BL)",
        Meaning::EgressRefused,
    ),
];

#[test]
fn what_is_the_matter_with_one_message_keeps_no_other_mail() {
    for (hop, stage, line, expected) in OF_ONE_MESSAGE.iter().chain(OF_THE_ADDRESS) {
        assert_eq!(meaning(*hop, *stage, line).0, *expected, "{hop:?} {stage} {line}");
    }
}

/// Anybody who may relay chooses the address that a next hop repeats: `spamhaus@` made an unknown user a block of the egress.
#[test]
fn whoever_chooses_an_address_does_not_choose_the_meaning() {
    use Meaning::{Bounce, BounceAndTell, Retry};
    let cases = [
        // recipient, the reply of a server that repeats it, meaning
        (
            "spamhaus@b.example",
            "550 5.1.1 <spamhaus@b.example>: Recipient address rejected: User unknown in virtual mailbox table",
            Bounce,
        ), // Postfix
        ("spamhaus@b.example", "550 <spamhaus@b.example>: Recipient address rejected: undeliverable address", Bounce),
        (
            "spamhaus@b.example",
            "450 4.1.1 <spamhaus@b.example>: Recipient address rejected: unverified address: Address verification in progress",
            Retry,
        ),
        ("x@spamhaus.example", "450 4.1.2 <x@spamhaus.example>: Recipient address rejected: Domain not found", Retry),
        ("x@spamhaus.example", "554 5.7.1 <x@spamhaus.example>: Relay access denied", Bounce),
        ("x@spamhaus.example", "550 relay not permitted for x@spamhaus.example", Bounce), // Exim
        ("spamhaus@b.example", "550 Verification failed for spamhaus@b.example", Bounce),
        ("spamhaus@b.example", "550 5.1.1 <spamhaus@b.example>... User unknown", Bounce), // Sendmail
        (
            "x@spamhaus.example",
            "550 5.7.1 x@spamhaus.example... Relaying denied. Host unknown (Name server: spamhaus.example: host not found)",
            Bounce,
        ),
        ("spamhaus@b.example", "550 sorry, no mailbox here by that name spamhaus (#5.1.1)", Bounce), // qmail
        ("spamhaus@b.example", "550 spamhaus unknown user account", Bounce),                         // CommuniGate
        ("spamhaus+1@b.example", "550 No such user: spamhaus", Bounce),
        (
            "spamhaus@b.example",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient spamhaus@b.example not found by SMTP address lookup",
            Bounce,
        ), // Exchange
        ("spamhaus@b.example", "550 5.4.1 Recipient address rejected: Access denied. For: spamhaus@b.example", Bounce),
        ("\"blocked using\"@b.example", "550 \"blocked using\"@b.example: no such user", Bounce),
        ("\"a> blocked using b\"@b.example", "550 <\"a> blocked using b\"@b.example>: no such user", Bounce), // a bracket of its own
        ("server@b.example", "451 4.3.0 <server@b.example>: Temporary lookup failure", Retry),
        ("\"server busy\"@b.example", "451 4.3.0 <\"server busy\"@b.example>: Temporary lookup failure", Retry),
        ("a_101@b.example", "550 a_101 unknown", Bounce),
        ("ofr_101@b.example", "550 ofr_101 unknown", Bounce),
        ("tobr@rx.t-online.de", "550 tobr@rx.t-online.de unknown", Bounce),
        ("5.2.121@b.example", "450 4.7.1 <5.2.121@b.example>: Recipient address rejected: Greylisted", Retry),
        // What a server of the recipient's own domain said, told by Exim and Postfix.
        ("x@b.example", "550 Callout verification failed: 550 blocked using spamhaus", Bounce),
        ("x@b.example", "550 Callout verification failed: 421 too many connections, slow down", Bounce),
        (
            "x@b.example",
            "550 Verification failed for <s@a.example> Called: 192.0.2.9 Sent: RCPT TO:<s@a.example> Response: 550 blocked using spamhaus",
            Bounce,
        ),
        ("x@b.example", "450 4.1.1 unverified: host mx.b.example[192.0.2.9] said: 421 4.7.0 server busy", Retry),
        ("x@b.example", "550 5.7.1 see http://spf.example/Why?id=x%40spamhaus.b.example", Bounce),
        ("mailbox@b.example", "555 5.5.4 unsupported option for <mailbox@b.example>", BounceAndTell),
    ];
    for (address, line, expected) in cases {
        for hop in [HopKind::Mx, HopKind::Smarthost] {
            let (as_recipient, row) = meaning_for("s@a.example", address, hop, Stage::Rcpt, line);
            assert_eq!(as_recipient, expected, "{hop:?} {line} ({row})");
            let (as_sender, row) = meaning_for(address, "r@c.example", hop, Stage::Mail, line);
            assert_eq!(as_sender, expected, "{hop:?} {line} ({row}) in reply to MAIL");
        }
    }
    // Nor do common words in an address hide what the next hop says.
    let line = "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org";
    for recipient in ["client@spamhaus.org", "host@blocked.example", "using@b.example"] {
        assert_eq!(meaning_for("s@a.example", recipient, HopKind::Mx, Stage::Rcpt, line).0, Meaning::EgressRefused);
    }
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
        (row("words = [\"a*\"]"), "beside it"),
        (row("enhanced = [\"5.7\"]"), "no enhanced code"),
        (row("code = [550]"), "unknown field"),
    ];
    for (text, expected) in cases {
        let error = ReplyTable::parse(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(ReplyTable::parse(&row("codes = [550]")).is_ok());
}
