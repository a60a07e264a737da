//! From the greeting to a connection that takes MAIL: EHLO, STARTTLS, AUTH (RFC 5321 4.1.1.1, RFC 3207, RFC 4954).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Stage;
use super::extensions::Extensions;
use super::reply::{PeerReply, Tone};
use crate::secret::Secret;

/// How the connection is to be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsWish {
    /// Not with STARTTLS: it is encrypted already, or stays plain.
    Settled,
    /// Where offered.
    IfOffered,
    /// Or not at all.
    Must,
}

/// The dialogue up to MAIL. Each reply makes one [`Next`].
#[derive(Debug)]
pub struct Handshake {
    state: State,
    ehlo_name: Box<str>,
    tls: TlsWish,
    login: Option<(Box<str>, Secret)>,
    /// Whether a greeting with our own name is a loop.
    own_name: OwnName,
    /// The name by which our own listeners greet.
    listeners_name: Box<str>,
    offered: Extensions,
}

/// What it means that a next hop greets with our own EHLO name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnName {
    /// We would talk to ourselves.
    IsALoop,
    /// An MTA on this machine shares the name, and we are to talk to it.
    IsShared,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this and read one reply. It may hold a password.
    Send(Vec<u8>),
    /// Throw away what was received after this reply, agree on TLS, then call [`Handshake::encrypted`].
    StartTls,
    /// The connection takes MAIL.
    Ready(Extensions),
}

/// Why the connection does not come to take mail. None of these speaks about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeFault {
    /// It said 4xx or 5xx, or something that is no answer to this.
    Refused {
        /// In reply to what.
        stage: Stage,
        /// Its words.
        reply: PeerReply,
    },
    /// It calls itself by our own EHLO name.
    OwnName,
    /// TLS is required and STARTTLS not offered.
    NoStartTls,
    /// There is a login and no mechanism that we speak.
    NoAuth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Plain,
    LoginUser,
    LoginPassword,
    LoginEnd,
    Ready,
}

impl Handshake {
    /// A dialogue that awaits the greeting.
    pub fn new(ehlo_name: &str, tls: TlsWish, login: Option<(&str, &Secret)>, own_name: OwnName) -> Self {
        Self {
            state: State::Greeting,
            ehlo_name: ehlo_name.into(),
            tls,
            login: login.map(|(user, password)| (user.into(), password.clone())),
            own_name,
            listeners_name: ehlo_name.into(),
            offered: Extensions::default(),
        }
    }

    /// The same, where our own listeners greet by another name than EHLO says: an address in brackets stands in for a name
    /// without a dot.
    #[must_use]
    pub fn listening_as(mut self, name: &str) -> Self {
        self.listeners_name = name.into();
        self
    }

    /// What is being answered now.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::Ehlo | State::Helo => Stage::Ehlo,
            State::StartTls => Stage::StartTls,
            State::Plain | State::LoginUser | State::LoginPassword | State::LoginEnd | State::Ready => Stage::Auth,
        }
    }

    /// Takes the next reply.
    ///
    /// # Errors
    /// The connection will not take mail.
    pub fn reply(&mut self, reply: PeerReply) -> Result<Next, HandshakeFault> {
        let stage = self.stage();
        let refused = |reply| Err(HandshakeFault::Refused { stage, reply });
        match (self.state, reply.tone()) {
            (State::Greeting, Tone::Done) => {
                self.check_name(&reply)?;
                Ok(self.command(State::Ehlo, format!("EHLO {}\r\n", self.ehlo_name)))
            }
            (State::Ehlo, Tone::Done) => {
                self.check_name(&reply)?;
                self.offered = Extensions::of(&reply);
                self.after_ehlo()
            }
            // A server of before 1995: it has no extensions, so neither TLS nor AUTH.
            (State::Ehlo, Tone::Never) if self.tls != TlsWish::Must && self.login.is_none() => {
                Ok(self.command(State::Helo, format!("HELO {}\r\n", self.ehlo_name)))
            }
            (State::Helo, Tone::Done) => {
                self.check_name(&reply)?;
                self.state = State::Ready;
                Ok(Next::Ready(self.offered))
            }
            (State::StartTls, Tone::Done) => Ok(Next::StartTls),
            (State::StartTls, Tone::NotNow | Tone::Never) if self.tls == TlsWish::IfOffered && reply.code != 421 => {
                self.tls = TlsWish::Settled;
                self.after_ehlo()
            }
            (State::Plain | State::LoginEnd, Tone::Done) => {
                self.state = State::Ready;
                Ok(Next::Ready(self.offered))
            }
            (State::LoginUser, Tone::GoOn) => {
                let line = self.login.as_ref().map(|(user, _)| BASE64.encode(user.as_bytes()) + "\r\n");
                Ok(self.command(State::LoginPassword, line.unwrap_or_default()))
            }
            (State::LoginPassword, Tone::GoOn) => {
                let line = self.login.as_ref().map(|(_, password)| BASE64.encode(password.reveal()) + "\r\n");
                Ok(self.command(State::LoginEnd, line.unwrap_or_default()))
            }
            _ => refused(reply),
        }
    }

    /// TLS was agreed: what was said before is forgotten (RFC 3207 4.2).
    pub fn encrypted(&mut self) -> Next {
        self.tls = TlsWish::Settled;
        self.offered = Extensions::default();
        self.command(State::Ehlo, format!("EHLO {}\r\n", self.ehlo_name))
    }

    fn command(&mut self, state: State, line: String) -> Next {
        self.state = state;
        Next::Send(line.into_bytes())
    }

    fn after_ehlo(&mut self) -> Result<Next, HandshakeFault> {
        match self.tls {
            TlsWish::Must if !self.offered.starttls => return Err(HandshakeFault::NoStartTls),
            TlsWish::Must | TlsWish::IfOffered if self.offered.starttls => {
                return Ok(self.command(State::StartTls, "STARTTLS\r\n".to_owned()));
            }
            TlsWish::Must | TlsWish::IfOffered | TlsWish::Settled => {}
        }
        let Some((user, password)) = &self.login else {
            self.state = State::Ready;
            return Ok(Next::Ready(self.offered));
        };
        if self.offered.auth_plain {
            let mut response = vec![0];
            response.extend_from_slice(user.as_bytes());
            response.push(0);
            response.extend_from_slice(password.reveal());
            let line = format!("AUTH PLAIN {}\r\n", BASE64.encode(response));
            return Ok(self.command(State::Plain, line));
        }
        if self.offered.auth_login {
            return Ok(self.command(State::LoginUser, "AUTH LOGIN\r\n".to_owned()));
        }
        Err(HandshakeFault::NoAuth)
    }

    /// Greeting and answer to EHLO begin with the server's name (RFC 5321 4.2, 4.1.1.1).
    fn check_name(&self, reply: &PeerReply) -> Result<(), HandshakeFault> {
        let name = reply.text.split(' ').next().unwrap_or_default();
        let is_ours = [&self.ehlo_name, &self.listeners_name].into_iter().any(|own| name.eq_ignore_ascii_case(own));
        if self.own_name == OwnName::IsALoop && is_ours {
            return Err(HandshakeFault::OwnName);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::ReplyReader;
    use super::*;

    /// Plays a dialogue: `S: ` lines are the server's, `C: ` what we must answer, the last line how it ends.
    fn play(tls: TlsWish, login: bool, dialogue: &str) {
        let password = Secret::new(b"pw".to_vec());
        let login = login.then_some(("user", &password));
        let mut handshake = Handshake::new("us.example", tls, login, OwnName::IsALoop);
        let (mut reader, mut said) = (ReplyReader::new(), String::new());
        for line in dialogue.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (who, text) = line.split_once(' ').unwrap();
            if who != "S:" {
                assert_eq!(line, said, "in\n{dialogue}");
                continue;
            }
            let (reply, _) = reader.read(format!("{text}\r\n").as_bytes()).unwrap();
            let Some(reply) = reply else { continue };
            let mut next = handshake.reply(reply);
            if next == Ok(Next::StartTls) {
                next = Ok(handshake.encrypted());
            }
            said = match next {
                Ok(Next::Send(bytes)) => format!("C: {}", String::from_utf8(bytes).unwrap().trim_end()),
                Ok(Next::Ready(offered)) => format!("= ready, pipelining {}", offered.pipelining),
                Ok(Next::StartTls) => panic!("twice"),
                Err(HandshakeFault::Refused { stage, reply }) => format!("= refused at {stage}: {reply}"),
                Err(fault) => format!("= {fault:?}"),
            };
        }
    }

    #[test]
    fn dialogues_that_end_well() {
        play(
            TlsWish::IfOffered,
            false,
            "S: 220 mx.example hi\nC: EHLO us.example\nS: 250-mx.example\nS: 250 PIPELINING\n= ready, pipelining true",
        );
        // A server that knows no EHLO.
        play(
            TlsWish::IfOffered,
            false,
            "S: 220 old\nC: EHLO us.example\nS: 500 what\nC: HELO us.example\nS: 250 old\n= ready, pipelining false",
        );
        // What was offered in plain text is forgotten.
        play(
            TlsWish::Must,
            false,
            "S: 220 mx\nC: EHLO us.example\nS: 250-mx\nS: 250-PIPELINING\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n\
             C: EHLO us.example\nS: 250 mx\n= ready, pipelining false",
        );
        // STARTTLS refused where it is a wish only.
        play(
            TlsWish::IfOffered,
            false,
            "S: 220 mx\nC: EHLO us.example\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 no\n= ready, pipelining false",
        );
        play(
            TlsWish::Settled,
            true,
            "S: 220 mx\nC: EHLO us.example\nS: 250-mx\nS: 250 AUTH LOGIN PLAIN\nC: AUTH PLAIN AHVzZXIAcHc=\nS: 235 ok\n= ready, pipelining false",
        );
        play(
            TlsWish::Settled,
            true,
            "S: 220 mx\nC: EHLO us.example\nS: 250-mx\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\n\
             C: dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: cHc=\nS: 235 ok\n= ready, pipelining false",
        );
    }

    #[test]
    fn dialogues_that_end_badly() {
        let cases = [
            (TlsWish::IfOffered, false, "S: 554 5.7.1 go away\n= refused at the connection: 554 5.7.1 go away"),
            (TlsWish::IfOffered, false, "S: 220 us.EXAMPLE hi\n= OwnName"), // we talk to ourselves
            (TlsWish::IfOffered, false, "S: 220 mx\nC: EHLO us.example\nS: 250 us.example hi\n= OwnName"),
            (TlsWish::Must, false, "S: 220 mx\nC: EHLO us.example\nS: 250 mx\n= NoStartTls"),
            (TlsWish::Must, false, "S: 220 mx\nC: EHLO us.example\nS: 502 no\n= refused at EHLO: 502 no"),
            (TlsWish::Settled, true, "S: 220 mx\nC: EHLO us.example\nS: 250-mx\nS: 250 AUTH GSSAPI\n= NoAuth"),
            (TlsWish::Settled, true, "S: 220 mx\nC: EHLO us.example\nS: 500 no\n= refused at EHLO: 500 no"),
            (
                TlsWish::IfOffered,
                false,
                "S: 220 mx\nC: EHLO us.example\nS: 421 4.3.2 bye\n= refused at EHLO: 421 4.3.2 bye",
            ),
            (TlsWish::IfOffered, false, "S: 354 what\n= refused at the connection: 354 what"),
            (
                TlsWish::Settled,
                true,
                "S: 220 mx\nC: EHLO us.example\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHVzZXIAcHc=\n\
                 S: 535 5.7.8 no\n= refused at AUTH: 535 5.7.8 no",
            ),
        ];
        for (tls, login, dialogue) in cases {
            play(tls, login, dialogue);
        }
    }

    #[test]
    fn who_greets_as_our_listeners_do_is_ourselves() {
        let greeting = |banner: &str| {
            let mut handshake =
                Handshake::new("[192.0.2.10]", TlsWish::IfOffered, None, OwnName::IsALoop).listening_as("web1");
            let mut reader = ReplyReader::new();
            let (reply, _) = reader.read(format!("220 {banner} hi\r\n").as_bytes()).unwrap();
            handshake.reply(reply.unwrap())
        };
        for (banner, is_ours) in [("WEB1", true), ("[192.0.2.10]", true), ("web2", false)] {
            assert_eq!(greeting(banner) == Err(HandshakeFault::OwnName), is_ours, "{banner}");
        }
    }
}
