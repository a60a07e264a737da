//! What an MTA's own Received field says (RFC 5321 4.4): by whom, under which queue id, for which login or local user.
//!
//! Only the reading is here; whether the field may be believed is [`resolve`](super::resolve)'s to say. Clients choose
//! what stands before `by` (their EHLO name), and senders what stands in `for` and Exim's `envelope-from`; so the *last*
//! `by` outside comments, quotes and angle brackets counts, and of comments that name a login the last before it.

/// The longest Received field looked at, in bytes.
pub const RECEIVED_BYTES_MAX: usize = 4_096;

/// One Received field, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The host that wrote it; `qmail` and `nullmailer` for those two, which name none.
    pub by: Option<String>,
    /// Its queue id.
    pub id: Option<String>,
    /// Whom it names as the sender.
    pub sender: Option<Sender>,
}

/// Who handed the message to the MTA, in the MTA's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The name that a client logged in with.
    Login(String),
    /// A local user, by number.
    Uid(u32),
    /// A local user, by name.
    User(String),
}

impl Received {
    /// Reads a field's value, unfolded and free of control characters.
    pub fn parse(value: &str) -> Self {
        if let Some(nameless) = queue_program(value) {
            return nameless;
        }
        let parts = parts(value);
        let Some(by) = parts.iter().rposition(|part| part.is_word("by")) else { return Self::default() };
        let (before, after) = (&parts[..by], &parts[by + 1..]);
        let name = after.first().and_then(Part::word);
        // What follows `for` is the sender's choice of recipient.
        let end = after.iter().position(|part| part.is_word("for")).unwrap_or(after.len());
        let after = &after[..end];
        let value_of = |key: &str| {
            let at = after.iter().position(|part| part.is_word(key))?;
            after.get(at + 1).and_then(Part::word)
        };
        let sender = login_comment(before)
            .or_else(|| qmail_login(before))
            .or_else(|| opensmtpd_user(before, after))
            .or_else(|| local_user(before, after, value_of("with")));
        Self { by: name.map(str::to_owned), id: value_of("id").map(str::to_owned), sender }
    }
}

/// A piece of a Received field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    /// Outside comments; quotes and angle brackets stay in it.
    Word(&'a str),
    /// A comment, its outer parentheses taken off.
    Comment(&'a str),
}

impl<'a> Part<'a> {
    fn word(&self) -> Option<&'a str> {
        match *self {
            Self::Word(word) => Some(word),
            Self::Comment(_) => None,
        }
    }

    fn comment(&self) -> Option<&'a str> {
        match *self {
            Self::Word(_) => None,
            Self::Comment(text) => Some(text),
        }
    }

    fn is_word(&self, name: &str) -> bool {
        self.word().is_some_and(|word| word.eq_ignore_ascii_case(name))
    }
}

/// Cuts at white space and comments, up to the `;` before the date. One pass; what is not closed runs to the end.
fn parts(value: &str) -> Vec<Part<'_>> {
    let bytes = value.as_bytes();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' => at += 1,
            b';' => break,
            b'(' => {
                let end = comment_end(&bytes[at..]) + at;
                let inside = &value[at + 1..end];
                parts.push(Part::Comment(inside.strip_suffix(')').unwrap_or(inside).trim()));
                at = end;
            }
            _ => {
                let end = word_end(&bytes[at..]) + at;
                parts.push(Part::Word(&value[at..end]));
                at = end;
            }
        }
    }
    parts
}

/// The length of the comment that `text` begins with, nested ones in it (RFC 5322 3.2.2).
fn comment_end(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (i, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// The length of the word that `text` begins with: to white space, `(` or `;` outside quotes and angle brackets.
fn word_end(text: &[u8]) -> usize {
    let (mut quoted, mut angled, mut escaped) = (false, false, false);
    for (i, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => angled = true,
            b'>' if !quoted => angled = false,
            b' ' | b'\t' | b'(' | b';' if !quoted && !angled => return i,
            _ => {}
        }
    }
    text.len()
}

/// Postfix `(Authenticated sender: alice)`; Sendmail `(authenticated alice bits=128)` and `(user=alice mech=PLAIN …)` where
/// the site's `confRECEIVED_HEADER` names the login. Sendmail's own default, `(authenticated bits=0)`, names nobody.
fn login_comment(before: &[Part<'_>]) -> Option<Sender> {
    // The client's own comment, `(host [192.0.2.7])`, parts what the client may have chosen from what the MTA says of it.
    let client = before.iter().rposition(|part| part.comment().is_some_and(|c| c.contains('[') && !names_login(c)));
    let own = &before[client.map_or(0, |at| at + 1)..];
    own.iter().filter_map(Part::comment).rfind(|comment| names_login(comment)).and_then(|comment| {
        if let Some(name) = strip_prefix_any_case(comment, "authenticated sender:") {
            return login(name);
        }
        if let Some(rest) = strip_prefix_any_case(comment, "authenticated ") {
            let mut words = rest.split_ascii_whitespace();
            let mut name = words.next()?;
            if name.eq_ignore_ascii_case("as") || name.eq_ignore_ascii_case("user") {
                name = words.next()?;
            }
            let name = name.strip_prefix("user=").unwrap_or(name);
            // "(0 bits)" and "bits=0" say how strong the layer was, not who.
            return if name.starts_with('(') || name.starts_with("bits=") { None } else { login(name) };
        }
        strip_prefix_any_case(comment, "user=").and_then(|rest| login(rest.split_ascii_whitespace().next()?))
    })
}

fn names_login(comment: &str) -> bool {
    ["authenticated ", "user="].iter().any(|prefix| strip_prefix_any_case(comment, prefix).is_some())
}

/// qmail-smtpd with the AUTH patch puts the login where ident's answer stands: `from unknown (HELO x) (alice@192.0.2.1)`.
fn qmail_login(before: &[Part<'_>]) -> Option<Sender> {
    let at = before.iter().position(|part| part.comment().is_some_and(|c| c.starts_with("HELO ")))?;
    let comment = before.get(at + 1)?.comment()?;
    let (name, ip) = comment.rsplit_once('@')?;
    ip.parse::<std::net::IpAddr>().ok()?;
    login(name)
}

/// OpenSMTPD: `by host (OpenSMTPD) with ESMTPSA id 0123 (TLS…) auth=yes user=alice`; what its own sendmail hands over comes
/// `from … (… [local])`.
fn opensmtpd_user(before: &[Part<'_>], after: &[Part<'_>]) -> Option<Sender> {
    if !after.get(1)?.comment()?.starts_with("OpenSMTPD") {
        return None;
    }
    let at = after.iter().position(|part| part.is_word("auth=yes"))?;
    let name = after.get(at + 1)?.word()?.strip_prefix("user=")?;
    let is_local = before.iter().filter_map(Part::comment).any(|comment| comment.ends_with("[local]"));
    if is_local { user(name) } else { login(name) }
}

/// Postfix and OpenSMTPD `by host (Postfix, from userid 33)`, Sendmail `(from www-data@localhost) by host`, Exim
/// `from www-data by host with local`. None of them has a client before `by`.
fn local_user(before: &[Part<'_>], after: &[Part<'_>], with: Option<&str>) -> Option<Sender> {
    match before {
        [] => {
            let (_, uid) = after.get(1)?.comment()?.rsplit_once("from userid ")?;
            uid.parse().ok().map(Sender::Uid)
        }
        [Part::Comment(comment)] => {
            let name = strip_prefix_any_case(comment, "from ")?;
            user(name.split_once('@').map_or(name, |(name, _)| name))
        }
        [from, Part::Word(name), ..] if from.is_word("from") && with == Some("local") => user(name.trim_matches('"')),
        _ => None,
    }
}

/// qmail's `(qmail 1234 invoked by uid 33); date` and `(qmail 1234 invoked from network); date`, nullmailer's
/// `(nullmailer pid 1234 invoked by uid 33); date`. No host writes its name there, so the program's stands for it.
fn queue_program(value: &str) -> Option<Received> {
    let (by, inside) = [("qmail", "(qmail "), ("nullmailer", "(nullmailer pid ")]
        .into_iter()
        .find_map(|(by, start)| value.strip_prefix(start).map(|inside| (by, inside)))?;
    let (inside, _) = inside.split_once(')')?;
    let (pid, how) = inside.split_once(" invoked ")?;
    if pid.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let sender = how.strip_prefix("by uid ").and_then(|uid| uid.parse().ok()).map(Sender::Uid);
    Some(Received { by: Some(by.to_owned()), id: None, sender })
}

fn login(name: &str) -> Option<Sender> {
    let name = name.trim();
    (!name.is_empty()).then(|| Sender::Login(name.to_owned()))
}

fn user(name: &str) -> Option<Sender> {
    let name = name.trim();
    (!name.is_empty()).then(|| Sender::User(name.to_owned()))
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| text[prefix.len()..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it is the expected value")]
    fn login(name: &str) -> Option<Sender> {
        Some(Sender::Login(name.to_owned()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is the expected value")]
    fn user(name: &str) -> Option<Sender> {
        Some(Sender::User(name.to_owned()))
    }

    /// Field, by, id, sender.
    type Case = (&'static str, &'static str, &'static str, Option<Sender>);

    fn check(cases: &[Case]) {
        for (field, by, id, sender) in cases {
            let read = Received::parse(field);
            assert_eq!(read.by.as_deref().unwrap_or(""), *by, "by of {field}");
            assert_eq!(read.id.as_deref().unwrap_or(""), *id, "id of {field}");
            assert_eq!(read.sender, *sender, "sender of {field}");
        }
    }

    #[test]
    fn postfix() {
        check(&[
            (
                "from pc.example.net (pc.example.net [192.0.2.7]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) \
                 key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256) (No client certificate requested) \
                 (Authenticated sender: alice@example.org) by mail.example.org (Postfix) with ESMTPSA id 4XvK2n1Rz9z3wqL \
                 for <bob@example.net>; Sat, 21 Nov 2026 10:00:00 +0100 (CET)",
                "mail.example.org",
                "4XvK2n1Rz9z3wqL",
                login("alice@example.org"),
            ),
            // smtpd_sasl_authenticated_header is off by default
            (
                "from pc (pc.example.net [192.0.2.7]) by mail.example.org (Postfix) with ESMTPSA id 9F3A21C04D for <b@c.example>; Sat",
                "mail.example.org",
                "9F3A21C04D",
                None,
            ),
            // pickup: mail of scripts and cron
            (
                "by mail.example.org (Postfix, from userid 33) id 9F3A21C04D; Sat, 21 Nov 2026 10:00:00 +0100 (CET)",
                "mail.example.org",
                "9F3A21C04D",
                Some(Sender::Uid(33)),
            ),
            // bounce(8): nobody
            ("by mail.example.org (Postfix) id 9F3A21C04D; Sat", "mail.example.org", "9F3A21C04D", None),
        ]);
    }

    #[test]
    fn what_a_client_or_a_sender_can_write_into_it() {
        check(&[
            // an EHLO name made to look like the rest (Postfix lets white space through, not parentheses)
            (
                "from x by evil.example with ESMTP id FORGED for y (host [192.0.2.7]) (Authenticated sender: alice) \
                 by mail.example.org (Postfix) with ESMTPSA id TRUE1 for <b@c.example>; Sat",
                "mail.example.org",
                "TRUE1",
                login("alice"),
            ),
            // an EHLO name with a comment of its own: the last before `by` is the MTA's
            (
                "from x (Authenticated sender: victim) (host [192.0.2.7]) (Authenticated sender: alice) by m (Postfix) with ESMTPSA id T; Sat",
                "m",
                "T",
                login("alice"),
            ),
            // and if the MTA writes none, the one before the client's own comment is the client's
            (
                "from x (Authenticated sender: victim) (host [192.0.2.7]) by m (Postfix) with ESMTP id T; Sat",
                "m",
                "T",
                None,
            ),
            // a recipient with words in quotes
            (
                "from x (host [192.0.2.7]) by m (Postfix) with ESMTP id T for <\"x by evil id F\"@c.example>; Sat",
                "m",
                "T",
                None,
            ),
            // comments behind `by` are no login: Exim writes the reverse-path there
            (
                "from [192.0.2.7] (helo=x) by m with esmtps (Exim 4.96) (envelope-from <\"a) (Authenticated sender: victim\"@c>) id 1a-2b-3c; Sat",
                "m",
                "1a-2b-3c",
                None,
            ),
            // not closed, empty, foreign
            ("from x (host [192.0.2.7", "", "", None),
            ("", "", "", None),
            ("by", "", "", None),
            ("from a by b (Postfix, from userid 33) id T; Sat", "b", "T", None), // pickup has no `from`
        ]);
    }

    #[test]
    fn exim_and_sendmail() {
        check(&[
            (
                "from [192.0.2.7] (helo=pc.example.net) by mail.example.org with esmtpsa (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.96) \
                 (envelope-from <alice@example.org>) id 1tDxyz-0004Ab-1C for bob@example.net; Sat, 21 Nov 2026 10:00:00 +0100",
                "mail.example.org",
                "1tDxyz-0004Ab-1C",
                None,
            ),
            (
                "from www-data by mail.example.org with local (Exim 4.96) (envelope-from <www-data@mail.example.org>) id 1tDxyz-0004Ab-1C \
                 for bob@example.net; Sat",
                "mail.example.org",
                "1tDxyz-0004Ab-1C",
                user("www-data"),
            ),
            // a remote host whose name is a user's is no user
            ("from root by m with esmtp (Exim 4.96) id 1t-1-1; Sat", "m", "1t-1-1", None),
            (
                "from pc (pc.example.net [192.0.2.7]) (authenticated bits=0) by mail.example.org (8.17.1.9/8.17.1.9/Debian-2) \
                 with ESMTPSA id 4ALA0abc012345 (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NOT) for <b@c.example>; Sat",
                "mail.example.org",
                "4ALA0abc012345",
                None, // Sendmail's default says that somebody logged in, not who
            ),
            (
                "from pc (pc.example.net [192.0.2.7]) (authenticated as alice bits=0) by m (8.17.1/8.17.1) with ESMTPSA id 4AL; Sat",
                "m",
                "4AL",
                login("alice"),
            ),
            (
                "from pc (pc [192.0.2.7]) (user=alice mech=PLAIN bits=0) by m (8.17.1/8.17.1) with ESMTPSA id 4AL; Sat",
                "m",
                "4AL",
                login("alice"),
            ),
            (
                "(from www-data@localhost) by mail.example.org (8.17.1.9/8.17.1.9/Submit) id 4ALA0abc012345; Sat",
                "mail.example.org",
                "4ALA0abc012345",
                user("www-data"),
            ),
        ]);
    }

    #[test]
    fn qmail_and_opensmtpd() {
        check(&[
            ("(qmail 12345 invoked by uid 33); 21 Nov 2026 09:00:00 -0000", "qmail", "", Some(Sender::Uid(33))),
            ("(qmail 12345 invoked from network); 21 Nov 2026 09:00:00 -0000", "qmail", "", None),
            (
                "(nullmailer pid 4242 invoked by uid 33); Sat, 21 Nov 2026 10:00:00 -0000",
                "nullmailer",
                "",
                Some(Sender::Uid(33)),
            ),
            ("(nullmailer pid x invoked by uid 33); Sat", "", "", None),
            ("(qmail 12345 invoked for bounce); 21 Nov 2026 09:00:00 -0000", "qmail", "", None),
            (
                "from unknown (HELO pc.example.net) (alice@example.org@192.0.2.7) by mail.example.org with ESMTPA; 21 Nov 2026",
                "mail.example.org",
                "",
                login("alice@example.org"),
            ),
            (
                "from unknown (HELO pc) (192.0.2.7) by mail.example.org with SMTP; 21 Nov 2026",
                "mail.example.org",
                "",
                None,
            ),
            (
                "from pc.example.net (pc.example.net [192.0.2.7]) by mail.example.org (OpenSMTPD) with ESMTPSA id 1f2e3d4c \
                 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO) auth=yes user=alice for <b@c.example>; Sat",
                "mail.example.org",
                "1f2e3d4c",
                login("alice"),
            ),
            (
                "from localhost (mail.example.org [local]) by mail.example.org (OpenSMTPD) with ESMTPA id 1f2e3d4c auth=yes user=www for <b@c>; Sat",
                "mail.example.org",
                "1f2e3d4c",
                user("www"),
            ),
        ]);
    }
}
