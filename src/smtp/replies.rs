//! Every fixed reply that our server gives, each once, with the sentence of the RFC that asks for it.
//!
//! Another room says [`Refusal`](super::Refusal) for what it decides itself; nothing else writes a code. [`ALL`] lists
//! them for the test that prints them and for the reference.

use super::reply::{Class, Reply, Text};

const fn done(yz: u8, subject: u8, detail: u16, text: &'static str) -> Reply {
    Reply::of(Class::Done, yz, subject, detail, Text::fixed(text))
}

const fn retry(yz: u8, subject: u8, detail: u16, text: &'static str) -> Reply {
    Reply::of(Class::Retry, yz, subject, detail, Text::fixed(text))
}

const fn refuse(yz: u8, subject: u8, detail: u16, text: &'static str) -> Reply {
    Reply::of(Class::Refuse, yz, subject, detail, Text::fixed(text))
}

macro_rules! replies {
    ($($(#[$doc:meta])+ $name:ident = $reply:expr;)+) => {
        $($(#[$doc])+ pub const $name: Reply = $reply;)+

        /// The name and the value of each.
        pub const ALL: &[(&str, Reply)] = &[$((stringify!($name), $name)),+];
    };
}

replies! {
    /// RSET, NOOP (RFC 5321 4.1.1.5, 4.1.1.9).
    OK = done(50, 0, 0, "ok");
    /// XFORWARD.
    FORWARD_OK = done(50, 0, 0, "noted");
    /// MAIL (RFC 5321 4.1.1.2).
    SENDER_OK = done(50, 1, 0, "sender ok");
    /// RCPT (RFC 5321 4.1.1.3).
    RECIPIENT_OK = done(50, 1, 5, "recipient ok");
    /// QUIT (RFC 5321 4.1.1.10).
    BYE = done(21, 0, 0, "bye");
    /// HELP (RFC 5321 4.1.1.8).
    HELP = done(14, 0, 0, "EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH; see RFC 5321");
    /// VRFY: neither yes nor no (RFC 5321 3.5.3, 7.3).
    CANNOT_VERIFY = done(52, 1, 5, "cannot verify, but will take mail and try");
    /// STARTTLS (RFC 3207 4).
    TLS_READY = done(20, 0, 0, "ready to start TLS");
    /// AUTH (RFC 4954 6).
    AUTH_OK = done(35, 7, 0, "authenticated");

    /// The daemon stops or is reloaded: one of the two uses of 421 (RFC 5321 3.8).
    DRAINING = retry(21, 3, 2, "this server is stopping, try again soon");
    /// Connections in all or from one client: the other use of 421.
    CONNECTIONS_FULL = retry(21, 7, 0, "too many connections, try again later");
    /// The client was silent for too long (RFC 5321 4.5.3.2).
    TIMED_OUT = retry(21, 4, 2, "nothing came in time, closing");
    /// More commands without a message than the limit.
    TOO_MANY_COMMANDS = retry(21, 7, 0, "too many commands without a message, closing");
    /// More faulty commands than the limit.
    TOO_MANY_ERRORS = retry(21, 7, 0, "too many errors, closing");
    /// A fault of ours: the session ends and nothing was taken.
    INTERNAL = retry(21, 3, 0, "internal error, closing; nothing was taken");
    /// Taking the message over lasts longer than a client should wait. It may yet be stored: then two copies leave, which
    /// is better than none.
    STORE_SLOW = retry(51, 3, 0, "not stored in time, try again later");
    /// The guard refuses it, and its sender is known for sure: a human or program that can read this (RFC 3463 3.8).
    JUDGED_SPAM = refuse(50, 7, 1, "this message looks like spam and was not taken; ask your postmaster");
    /// Receivers would refuse it, for nothing authenticates its From domain (RFC 7372 3.3); its sender is known for sure.
    NOT_ALIGNED = refuse(50, 7, 26, "nothing authenticates the domain of this message's From; ask your postmaster");
    /// A scorer without which nothing may pass does not answer, or the disk does not give what is to be looked at.
    SCORER_FAILED = retry(51, 7, 0, "this message cannot be checked now, try again later");
    /// More connections in a short time than the pace of one client.
    CONNECTIONS_TOO_FAST = retry(21, 7, 0, "too many connections in a short time, try again later");
    /// More commands in a short time than the pace of one client.
    COMMANDS_TOO_FAST = retry(21, 7, 0, "too many commands in a short time, closing");
    /// Further recipients go into a further transaction (RFC 5321 4.5.3.1.10).
    TOO_MANY_RECIPIENTS = retry(52, 5, 3, "too many recipients, send the rest in another transaction");
    /// The bytes of messages in flight are at their limit (RFC 3463 3.4, X.3.1).
    IN_FLIGHT_FULL = retry(52, 3, 1, "too many messages in flight, try later");
    /// STARTTLS with no usable certificate at the moment (RFC 3207 4).
    TLS_UNAVAILABLE = retry(54, 7, 0, "TLS is not available now");
    /// The password file cannot be read, or too many checks wait (RFC 4954 6).
    AUTH_UNAVAILABLE = retry(54, 7, 0, "cannot check passwords now, try later");

    /// No such verb (RFC 5321 4.2.4).
    COMMAND_UNKNOWN = refuse(0, 5, 2, "command not recognized");
    /// A verb that is not offered (RFC 5321 4.2.4).
    COMMAND_NOT_IMPLEMENTED = refuse(2, 5, 1, "command not implemented");
    /// A line over the limit (RFC 5321 4.5.3.1.9).
    LINE_TOO_LONG = refuse(0, 5, 2, "line too long");
    /// CR or LF alone in a command (RFC 5321 2.3.8).
    LINE_STRAY_BREAK = refuse(0, 5, 2, "bare CR or LF in a command, lines end in CRLF");
    /// NUL in a command (RFC 5321 2.3.1).
    LINE_NUL = refuse(0, 5, 2, "NUL in a command");
    /// Bytes that no argument may hold.
    LINE_BYTES = refuse(1, 5, 2, "argument is not UTF-8");
    /// A verb without its argument.
    ARGUMENT_MISSING = refuse(1, 5, 4, "argument missing");
    /// An argument where none may stand, or one that cannot be used.
    ARGUMENT_UNEXPECTED = refuse(1, 5, 4, "argument not allowed here");
    /// No `MAIL FROM:<…>` or `RCPT TO:<…>`.
    PATH_SYNTAX = refuse(1, 5, 2, "write MAIL FROM:<address> or RCPT TO:<address>");
    /// The reverse-path holds no address (RFC 3463 3.2, X.1.7).
    REVERSE_PATH_SYNTAX = refuse(1, 1, 7, "bad sender address");
    /// The forward-path holds no address (RFC 3463 3.2, X.1.3).
    FORWARD_PATH_SYNTAX = refuse(1, 1, 3, "bad recipient address");
    /// A parameter of no extension that we offer (RFC 5321 4.1.1.11).
    PARAMETER_UNKNOWN = refuse(55, 5, 4, "parameter not recognized");
    /// A parameter given twice or with a value that it cannot have.
    PARAMETER_VALUE = refuse(1, 5, 4, "bad parameter value");
    /// A bad attribute of XCLIENT or XFORWARD.
    ATTRIBUTE_SYNTAX = refuse(1, 5, 4, "bad attribute");
    /// An address outside ASCII without SMTPUTF8 (RFC 6531 3.5).
    ADDRESS_NEEDS_UTF8 = refuse(53, 6, 7, "address needs SMTPUTF8");

    /// MAIL or AUTH before EHLO or HELO (RFC 5321 4.1.4).
    HELLO_FIRST = refuse(3, 5, 1, "send EHLO first");
    /// A second MAIL, or what may not stand within a transaction (RFC 5321 4.1.4, 3.3).
    WITHIN_TRANSACTION = refuse(3, 5, 1, "a mail transaction is under way, send RSET first");
    /// RCPT or DATA without MAIL.
    MAIL_FIRST = refuse(3, 5, 1, "send MAIL first");
    /// DATA after no RCPT was taken (RFC 5321 3.3).
    NO_RECIPIENTS = refuse(54, 5, 1, "no valid recipients");
    /// A second STARTTLS.
    TLS_ACTIVE = refuse(3, 5, 1, "TLS is already active");
    /// A second AUTH (RFC 4954 4).
    AUTH_DONE = refuse(3, 5, 1, "already authenticated");

    /// A client that may not relay, at the greeting and after XCLIENT.
    CLIENT_REFUSED = refuse(54, 7, 1, "this server takes no mail from you");
    /// XCLIENT or XFORWARD from a client that is not trusted.
    NOT_TRUSTED = refuse(50, 7, 0, "not allowed for this client");
    /// MAIL before AUTH where AUTH is asked for (RFC 4954 6).
    AUTH_REQUIRED = refuse(30, 7, 0, "authentication required");
    /// MAIL before STARTTLS where AUTH is asked for and waits for TLS (RFC 3207 4).
    TLS_REQUIRED = refuse(30, 7, 0, "send STARTTLS first, then AUTH");
    /// AUTH without TLS (RFC 4954 6).
    AUTH_NEEDS_TLS = refuse(38, 7, 11, "encryption required for authentication");
    /// A mechanism that is not offered (RFC 4954 4).
    AUTH_MECHANISM = refuse(4, 5, 4, "mechanism not offered");
    /// The client cancelled with `*` (RFC 4954 4).
    AUTH_CANCELLED = refuse(1, 7, 0, "authentication cancelled");
    /// What should be base 64 or a PLAIN message is none (RFC 4954 4).
    AUTH_SYNTAX = refuse(1, 5, 2, "cannot decode the response");
    /// Login or password is wrong, which of the two is not told (RFC 4954 6).
    AUTH_FAILED = refuse(35, 7, 8, "authentication failed");

    /// Larger than the limit, by SIZE or in fact (RFC 1870 6.1, 6.3).
    MESSAGE_TOO_LARGE = refuse(52, 3, 4, "message too large");
    /// CR or LF alone in the content, read to its true end.
    CONTENT_STRAY_BREAK = refuse(50, 6, 0, "bare CR or LF in the message, lines end in CRLF");
    /// NUL in the content, read to its true end.
    CONTENT_NUL = refuse(50, 6, 0, "NUL in the message");
    /// More Received fields than the limit (RFC 5321 6.3).
    MAIL_LOOP = refuse(54, 4, 6, "too many hops, this is a mail loop");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_is_one_legal_line() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, reply) in ALL {
            let line = reply.to_string();
            assert!(seen.insert(line.clone()), "{name} says the same as another reply: {line}");
            let enhanced = reply.enhanced().expect("only greeting and EHLO go without");
            assert_eq!(&line[..1], &enhanced[..1], "{name}: {line}");
            assert!(line.starts_with(&format!("{:03} {enhanced} ", reply.code())), "{name}: {line}");
            let mut wire = Vec::new();
            reply.write(&mut wire);
            assert!(wire.ends_with(b"\r\n") && wire.len() <= 512, "{name}: {line}"); // RFC 5321 4.5.3.1.5
            println!("{name}: {line}");
        }
        // 421 ends a session: to Postfix the whole relayhost looks dead, so only these may say it.
        let closing = ALL.iter().filter(|(_, r)| r.code() == 421).map(|(name, _)| *name).collect::<Vec<_>>();
        let expected = [
            "DRAINING",
            "CONNECTIONS_FULL",
            "TIMED_OUT",
            "TOO_MANY_COMMANDS",
            "TOO_MANY_ERRORS",
            "INTERNAL",
            "CONNECTIONS_TOO_FAST",
            "COMMANDS_TOO_FAST",
        ];
        assert_eq!(closing, expected);
    }
}
