//! Plays `tests/dialogues/*.txt` against the session: line by line, then with the stream cut at every byte.
//!
//! A line `C: text` is sent with CRLF behind it, `C> text` without; `\r`, `\n`, `\0` and `\xNN` stand for those bytes.
//! `S: text` is a line that must be answered. `= key value` sets the scene or the next answer of the edge, `#` is a
//! comment. `= lockstep` is for dialogues whose answer depends on what arrives together, which is STARTTLS alone.

#![cfg(test)]

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::mail::QueueId;
use crate::smtp::reply::{Accepted, Class, ContentAnswer, Refusal, Text};

struct Scene {
    settings: ServerSettings,
    rights: ClientRights,
    tls: TlsState,
    lockstep: bool,
    /// Which question is refused once, counted in the order of asking.
    refusals: Vec<(String, Refusal)>,
    turns: Vec<(Vec<u8>, String)>,
}

impl Scene {
    fn read(text: &str) -> Self {
        let mut scene = Self {
            settings: ServerSettings {
                own_name: "relay.example".into(),
                line_bytes_max: 512,
                recipients_max: 3,
                message_bytes_max: 100,
                commands_max: 30,
                errors_max: 8,
                strays: StrayPolicy::Refuse,
            },
            rights: ClientRights { access: Access::Relay, trust: Trust::Plain, auth: AuthOffer::Off },
            tls: TlsState::Unavailable,
            lockstep: false,
            refusals: Vec::new(),
            turns: vec![(Vec::new(), String::new())],
        };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match mark {
                "C:" => scene.turns.push(([unescape(rest), b"\r\n".to_vec()].concat(), String::new())),
                "C>" => scene.turns.push((unescape(rest), String::new())),
                "S:" => writeln!(scene.turns.last_mut().unwrap().1, "{rest}").unwrap(),
                "= " => scene.set(rest),
                _ => panic!("cannot read {line:?}"),
            }
        }
        scene
    }

    fn set(&mut self, directive: &str) {
        let words: Vec<&str> = directive.splitn(3, ' ').collect();
        match words.as_slice() {
            ["lockstep"] => self.lockstep = true,
            ["access", "none"] => self.rights.access = Access::None,
            ["access", "after-auth"] => self.rights.access = Access::AfterAuth,
            ["trusted"] => self.rights.trust = Trust::Trusted,
            ["auth", "always"] => self.rights.auth = AuthOffer::Always,
            ["auth", "over-tls"] => self.rights.auth = AuthOffer::OverTls,
            ["tls", "offered"] => self.tls = TlsState::Offered,
            ["repair"] => self.settings.strays = StrayPolicy::Repair,
            ["errors_max", n] => self.settings.errors_max = n.parse().unwrap(),
            ["commands_max", n] => self.settings.commands_max = n.parse().unwrap(),
            ["refuse", question, text] => {
                let reply = Reply::of(Class::Retry, 50, 7, 1, Text::made(text));
                self.refusals.push(((*question).to_string(), Refusal::new(reply).unwrap()));
            }
            _ => panic!("cannot read = {directive:?}"),
        }
    }

    /// Plays the client's bytes, arriving in these pieces; gives the answer to each piece.
    fn play(&self, pieces: &[&[u8]]) -> Vec<String> {
        let mut session = Session::new(Arc::new(self.settings.clone()), self.rights, self.tls);
        let mut edge = Edge { refusals: self.refusals.clone(), content: Vec::new(), messages: 0 };
        let mut held = Vec::new();
        pieces
            .iter()
            .map(|piece| {
                held.extend_from_slice(piece);
                let mut out = Vec::new();
                let mut input = held.as_slice();
                edge.run(&mut session, &mut input, &mut out);
                held = input.to_vec();
                String::from_utf8(out).unwrap()
            })
            .collect()
    }
}

/// An edge that answers at once.
struct Edge {
    refusals: Vec<(String, Refusal)>,
    content: Vec<u8>,
    messages: u64,
}

impl Edge {
    fn decide(&mut self, question: &str) -> Result<(), Refusal> {
        match self.refusals.iter().position(|(q, _)| q == question) {
            Some(at) => Err(self.refusals.remove(at).1),
            None => Ok(()),
        }
    }

    fn run(&mut self, session: &mut Session, input: &mut &[u8], out: &mut Vec<u8>) {
        loop {
            match session.feed(input, out) {
                Step::Read => return,
                Step::Close => {
                    *input = &[];
                    return;
                }
                Step::DecideAuth(c) => {
                    let right = c.password.as_slice() == b"right";
                    session.auth_decided(right.then_some(()).ok_or(Refusal::fixed(replies::AUTH_FAILED)), out);
                }
                Step::DecideMail => session.mail_decided(self.decide("mail"), out),
                Step::DecideRecipient => {
                    assert!(session.recipient_asked().is_some());
                    session.recipient_decided(self.decide("rcpt"), out);
                }
                Step::DecideContent => session.content_decided(self.decide("data"), out),
                Step::Content(bytes) => self.content.extend_from_slice(bytes),
                Step::ContentRefused(_) => self.content.clear(),
                Step::Message(transaction) => {
                    let answer = match self.decide("message") {
                        Ok(()) => {
                            ContentAnswer::Accepted(Accepted::with_proof_of(QueueId::new(self.messages).unwrap()))
                        }
                        Err(refusal) => ContentAnswer::Refused(refusal),
                    };
                    self.messages += 1;
                    session.content_answered(answer, out);
                    // So that a dialogue can tell what was read.
                    let recipients: Vec<&str> =
                        transaction.envelope.recipients.iter().map(|r| r.address.as_str()).collect();
                    let ident = transaction.forward.ident.given().map_or("", AsRef::as_ref);
                    write!(
                        StringOf(out),
                        "* <{}> for {} ident {ident:?}: {}\r\n",
                        transaction.envelope.reverse_path,
                        recipients.join(" "),
                        std::mem::take(&mut self.content).escape_ascii()
                    )
                    .unwrap();
                }
                Step::StartTls => {
                    let rights = session.rights;
                    session.tls_started(rights);
                }
                Step::Xclient(attributes) => {
                    let access = if attributes.login.given().is_some() { Access::Relay } else { Access::None };
                    session.client_judged(ClientRights { access, trust: Trust::Plain, auth: AuthOffer::Off }, out);
                }
            }
        }
    }
}

struct StringOf<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for StringOf<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '\\').then(|| chars.next()).flatten()) {
            ('\\', Some('r')) => bytes.push(b'\r'),
            ('\\', Some('n')) => bytes.push(b'\n'),
            ('\\', Some('0')) => bytes.push(0),
            ('\\', Some('x')) => {
                let hex: String = chars.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            ('\\', other) => panic!("unknown escape {other:?} in {text:?}"),
            _ => bytes.extend_from_slice(c.to_string().as_bytes()),
        }
    }
    bytes
}

#[test]
fn all_dialogues() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "dialogues are missing from {folder}");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let scene = Scene::read(&std::fs::read_to_string(&file).unwrap());
        let pieces: Vec<&[u8]> = scene.turns.iter().map(|(bytes, _)| bytes.as_slice()).collect();
        for (answer, (bytes, expected)) in scene.play(&pieces).iter().zip(&scene.turns) {
            assert_eq!(&answer.replace("\r\n", "\n"), expected, "{name} after {}", bytes.escape_ascii());
        }
        if scene.lockstep {
            continue;
        }
        let stream: Vec<u8> = pieces.concat();
        let whole = scene.play(&[&stream]).concat();
        assert_eq!(whole.replace("\r\n", "\n"), scene.turns.iter().map(|t| t.1.as_str()).collect::<String>(), "{name}");
        for split in 0..=stream.len() {
            let (a, b) = stream.split_at(split);
            assert_eq!(scene.play(&[a, b]).concat(), whole, "{name} split at {split}");
        }
        let single: Vec<&[u8]> = std::iter::once(&[][..]).chain(stream.chunks(1)).collect();
        assert_eq!(scene.play(&single).concat(), whole, "{name} byte by byte");
    }
}

#[test]
fn a_draining_session_ends_once_nobody_loses_work() {
    let scene = Scene::read("");
    let session = || Session::new(Arc::new(scene.settings.clone()), scene.rights, scene.tls);
    let edge = || Edge { refusals: Vec::new(), content: Vec::new(), messages: 0 };
    let mut out = Vec::new();

    let mut idle = session();
    edge().run(&mut idle, &mut b"HELO x\r\n".as_slice(), &mut out);
    assert!(idle.is_idle());
    idle.drain();
    out.clear();
    assert_eq!(idle.feed(&mut [].as_slice(), &mut out), Step::Close);
    assert_eq!(out, b"421 4.3.2 this server is stopping, try again soon\r\n");

    let mut busy = session();
    let begun = b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\n";
    edge().run(&mut busy, &mut begun.as_slice(), &mut out);
    busy.drain();
    out.clear();
    assert_eq!(busy.feed(&mut [].as_slice(), &mut out), Step::Read);
    assert!(out.is_empty() && !busy.is_idle());
    edge().run(&mut busy, &mut b"DATA\r\n.\r\nMAIL FROM:<>\r\n".as_slice(), &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("\r\n250 2.6.0 ") && out.ends_with("\r\n421 4.3.2 this server is stopping, try again soon\r\n"),
        "{out}"
    );
}
