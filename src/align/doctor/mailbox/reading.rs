//! What the answer to RCPT speaks of: the mailbox, or us who ask. Pure.
//!
//! A server that takes nothing from an address refuses each mailbox with the codes of a missing one, often without an
//! enhanced code. So a mailbox is called missing only where the answer says so in a way that can mean nothing else.

use crate::smtp::client::{PeerReply, Tone};

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It takes mail.
    Takes,
    /// There is no such mailbox, or it takes nothing.
    NoMailbox,
    /// The server does not know the domain.
    NoDomain,
    /// It refuses us.
    Us,
    /// It wants us to come back.
    Later,
    /// It may mean anything.
    Unclear,
}

/// Lists, by their names: whatever else is said, this is about our address.
const LISTS: [&str; 10] = [
    "spamhaus",
    "spamcop",
    "barracuda",
    "dnsbl",
    "rbl",
    "blacklist",
    "black list",
    "blocklist",
    "block list",
    "blocked",
];
/// A server that is asked for a domain of others.
const RELAY: [&str; 8] = [
    "relay access denied",
    "relaying denied",
    "relay denied",
    "relay not permitted",
    "not permitted to relay",
    "unable to relay",
    "relaying not allowed",
    "not relay",
];
/// Words about who sends.
const US: [&str; 24] = [
    "listed",
    "reputation",
    "reverse",
    "ptr",
    "rdns",
    "helo",
    "ehlo",
    "client host",
    "your ip",
    "your host",
    "your server",
    "sender",
    "spf",
    "dkim",
    "dmarc",
    "authenticat",
    "greylist",
    "graylist",
    "too many",
    "rate limit",
    "try again",
    "policy",
    "spam",
    "bounce",
];
/// Words about a mailbox that is not there, or takes nothing.
const MAILBOX: [&str; 22] = [
    "no such",
    "user unknown",
    "unknown user",
    "user not found",
    "unknown recipient",
    "recipient unknown",
    "recipient not found",
    "mailbox not found",
    "not exist",
    "doesn't exist",
    "no mailbox",
    "invalid recipient",
    "invalid mailbox",
    "unrouteable",
    "unroutable",
    "unknown address",
    "address unknown",
    "no user",
    "unknown local",
    "not known here",
    "over quota",
    "mailbox full",
];

/// Words about something that takes nothing, which is the mailbox only where one of [`WHOSE`] stands beside.
const SWITCHED_OFF: [&str; 2] = ["disabled", "inactive"];
const WHOSE: [&str; 4] = ["account", "mailbox", "user", "recipient"];

/// Reads the answer to RCPT for this address, asked from that one of ours.
pub(super) fn read(reply: &PeerReply, mailbox: &str, ours: Option<std::net::IpAddr>) -> Reading {
    match reply.tone() {
        Tone::Done => return Reading::Takes,
        Tone::NotNow => return Reading::Later,
        Tone::GoOn => return Reading::Unclear,
        Tone::Never => {}
    }
    // A mailbox at "policy.example" is no policy.
    let text = reply.text.to_ascii_lowercase().replace(&mailbox.to_ascii_lowercase(), "");
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let names_us = ours.is_some_and(|ip| text.contains(&ip.to_string()));
    if says(&LISTS) || names_us {
        return Reading::Us;
    }
    if says(&RELAY) {
        return Reading::NoDomain;
    }
    if says(&US) {
        return Reading::Us;
    }
    match reply.enhanced.map(|enhanced| (enhanced.subject, enhanced.detail)) {
        // RFC 3463 3.2, 3.3; RFC 7505 4.2: the address, or its mailbox.
        Some((1, 1..=4 | 6 | 10) | (2, _)) => Reading::NoMailbox,
        // The sender's address, and policy.
        Some((1, 7..=9) | (7, _)) => Reading::Us,
        // Microsoft's word for who is not in a directory.
        Some((4, 1)) if text.contains("recipient address rejected") => Reading::NoMailbox,
        Some(_) | None if says(&MAILBOX) || says(&SWITCHED_OFF) && says(&WHOSE) => Reading::NoMailbox,
        Some(_) | None => Reading::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::client::ReplyReader;

    #[test]
    fn what_an_answer_speaks_of() {
        use Reading::{Later, NoDomain, NoMailbox, Takes, Unclear, Us};
        let cases = [
            ("250 2.1.5 Ok", Takes),
            ("251 will forward", Takes),
            // The mailbox: by its enhanced code, or in words that can mean nothing else.
            (
                "550 5.1.1 <abuse@policy.example>: Recipient address rejected: User unknown in virtual mailbox table",
                NoMailbox,
            ),
            ("550-5.1.1 The email account that you tried to reach does not exist.", NoMailbox),
            ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", NoMailbox),
            ("550 5.2.1 The account is inactive", NoMailbox),
            ("552 5.2.2 mailbox full", NoMailbox),
            ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", NoMailbox), // Microsoft
            ("550 Unrouteable address", NoMailbox),                                            // Exim
            ("550 no such user", NoMailbox),
            ("550 Account disabled", NoMailbox),
            ("550 Service disabled", Unclear),
            ("550 <abuse@policy.example> No such user here", NoMailbox),
            ("511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", NoMailbox),
            // The domain.
            ("554 5.7.1 <abuse@policy.example>: Relay access denied", NoDomain), // Postfix
            ("550 5.7.1 Relaying denied. Proper authentication required.", NoDomain), // Sendmail
            ("550 relay not permitted", NoDomain),                               // Exim
            ("553 sorry, that domain isn't in my list of allowed rcpthosts; not relay", NoDomain),
            // Us: policy, the null sender, our address, a list, our name, whatever the code is.
            ("550 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org", Us),
            ("550 5.1.1 blocked by spamcop, see https://www.spamcop.net/bl.shtml?192.0.2.10", Us),
            ("550 5.7.1 refused", Us),
            ("550 5.7.25 no PTR record", Us),
            ("550 5.1.7 <>: null address rejected", Us),
            ("550 5.1.8 Domain of sender does not exist", Us),
            ("554 5.7.1 <mail.example.com>: Helo command rejected: Host not found", Us),
            ("550 192.0.2.10 is not welcome", Us),
            ("550 Access denied, your IP has a bad reputation", Us),
            ("550 Administrative prohibition: reverse DNS", Us),
            ("550 Sender verify failed", Us),
            ("550-Requested action not taken: mailbox unavailable - policy restrictions", Us),
            ("530 5.7.0 Must issue a STARTTLS command first", Us),
            // It comes back, or not: the next round asks again.
            ("450 4.2.0 <abuse@policy.example>: Recipient address rejected: Greylisted", Later),
            ("451 4.7.1 Greylisting in action, please come back later", Later),
            ("421 4.7.0 too many connections", Later),
            ("452 4.2.2 mailbox full", Later),
            // Nobody knows.
            ("550 Requested action not taken: mailbox unavailable", Unclear), // RFC 5321's own word for half a dozen reasons
            ("550 Access denied", Unclear),
            ("554 Transaction failed", Unclear),
            ("550", Unclear),
            ("550 5.0.0 no", Unclear),
            ("554 5.3.2 not accepting messages", Unclear),
        ];
        for (line, expected) in cases {
            let bytes = format!("{}\r\n", line.replacen("550-", "550 ", 1));
            let (reply, _) = ReplyReader::new().read(bytes.as_bytes()).unwrap();
            let reply = reply.unwrap();
            let ours = Some("192.0.2.10".parse().unwrap());
            assert_eq!(read(&reply, "abuse@policy.example", ours), expected, "{line}");
        }
    }
}
