//! The server's side of a session as a state machine: bytes in, replies and questions out (RFC 5321 3, 4).
//!
//! [`Session::feed`] takes what has arrived and gives back one [`Step`] at a time. The edge owns the bytes: what was not
//! used it gives again with more behind it, so an idle session holds no buffer, and no split of the stream changes a
//! reply. Where a step is a question, the answer comes through the method that its documentation names; until then
//! pipelined bytes stay unread. The body of a message is never kept here: its pieces pass through.
//!
//! It never decides who may send, whose mail it is or what is stored. Files: [`rights`] what a client may do, `order`
//! which command may come when, `answers` the edge's answers, `auth` the AUTH exchange, `hello` the answer to EHLO,
//! `content` what comes after DATA.

mod answers;
mod auth;
mod content;
mod hello;
mod order;
pub mod rights;

use std::sync::Arc;

pub use auth::Credentials;
pub use rights::{Access, AuthOffer, ClientRights, TlsState, Trust};

use self::auth::{AuthStep, Exchange};
use self::content::ContentReader;
use super::command::{Command, ForwardAttributes, MailAuth, XclientAttributes};
use super::framing::{LineDecoder, LineFault, StrayPolicy};
use super::replies;
use super::reply::Reply;
use crate::mail::{Envelope, Recipient};

/// What all sessions of a listener share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Our name, in the greeting and for `<postmaster>`.
    pub own_name: Box<str>,
    /// The longest command line, CRLF included. 4,096: MAIL and RCPT with every parameter (RFC 3461, 4954, 6531), and any
    /// AUTH response of a password of reasonable length.
    pub line_bytes_max: usize,
    /// Recipients of one transaction.
    pub recipients_max: usize,
    /// The largest message, as received, dots taken off.
    pub message_bytes_max: u64,
    /// Commands since the last message that was taken; RCPTs that were taken are not counted.
    pub commands_max: u32,
    /// Faulty commands since the last message that was taken.
    pub errors_max: u32,
    /// What becomes of stray CR, LF and NUL in a message.
    pub strays: StrayPolicy,
}

/// One session with one client.
#[derive(Debug)]
pub struct Session {
    settings: Arc<ServerSettings>,
    rights: ClientRights,
    tls: TlsState,
    phase: Phase,
    lines: LineDecoder,
    hello: Option<Hello>,
    login: Option<Box<str>>,
    forward: ForwardAttributes,
    transaction: Option<Box<Transaction>>,
    commands: u32,
    /// Those that the edge was not told yet.
    commands_untold: u32,
    errors: u32,
    draining: bool,
}

/// What the client said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its name, printable.
    pub name: Box<str>,
    /// EHLO or HELO.
    pub kind: HelloKind,
}

/// EHLO or HELO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloKind {
    /// With extensions.
    Ehlo,
    /// Without.
    Helo,
}

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// What MAIL and RCPT said so far.
    pub envelope: Envelope,
    /// `AUTH=` of MAIL. It is here whoever sent it: who is believed is not the session's to say.
    pub mail_auth: Option<MailAuth>,
    /// `SIZE=` of MAIL.
    pub declared_bytes: Option<u64>,
    /// What XFORWARD said; only trusted clients may send it.
    pub forward: ForwardAttributes,
}

#[derive(Debug)]
enum Phase {
    /// The greeting has not been written.
    New,
    Command,
    Auth(Exchange),
    Content(ContentReader),
    Waiting(Question),
    Closed,
}

/// What the edge was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    Auth(Box<str>),
    Mail,
    Recipient(Recipient),
    Content,
    Message,
    Tls,
    Rights,
}

/// What [`Session::feed`] asks of the edge.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'i> {
    /// All that could be used was. Send what was written, read more. What is left of the input is the start of a line,
    /// at most `line_bytes_max`.
    Read,
    /// Are these a user's? Answered by [`Session::auth_decided`].
    DecideAuth(Credentials),
    /// May [`Session::transaction`] begin? Answered by [`Session::mail_decided`].
    DecideMail,
    /// May [`Session::recipient_asked`] be added? Answered by [`Session::recipient_decided`].
    DecideRecipient,
    /// DATA: is there room for the content? Answered by [`Session::content_decided`].
    DecideContent,
    /// The next bytes of the message, dots taken off.
    Content(&'i [u8]),
    /// The message has ended and was refused here, with this reply: forget its bytes.
    ContentRefused(Reply),
    /// The message has ended. Answered by [`Session::content_answered`].
    Message(Box<Transaction>),
    /// The client may begin TLS as soon as what was written is sent. Plaintext that came behind STARTTLS is gone
    /// (RFC 3207 4.2). Answered by [`Session::tls_started`].
    StartTls,
    /// XCLIENT: the client is another one. Answered by [`Session::client_judged`].
    Xclient(Box<XclientAttributes>),
    /// Send what was written and close.
    Close,
}

impl Session {
    /// A session that has said nothing yet.
    pub fn new(settings: Arc<ServerSettings>, rights: ClientRights, tls: TlsState) -> Self {
        let lines = LineDecoder::new(settings.line_bytes_max);
        Self {
            settings,
            rights,
            tls,
            phase: Phase::New,
            lines,
            hello: None,
            login: None,
            forward: ForwardAttributes::default(),
            transaction: None,
            commands: 0,
            commands_untold: 0,
            errors: 0,
            draining: false,
        }
    }

    /// Takes what has arrived off `input`, appends replies to `out`, and stops at the first thing the edge must do.
    ///
    /// # Panics
    /// If a question is not answered yet: the edge must not read on then.
    pub fn feed<'i>(&mut self, input: &mut &'i [u8], out: &mut Vec<u8>) -> Step<'i> {
        loop {
            let step = match &mut self.phase {
                Phase::Closed => return Step::Close,
                Phase::Waiting(question) => panic!("fed while {question:?} is not answered"),
                Phase::New => {
                    self.greet(out);
                    continue;
                }
                Phase::Content(_) => self.content(input, out),
                Phase::Command | Phase::Auth(_) if self.draining && self.transaction.is_none() => {
                    self.close_with(&replies::DRAINING, out);
                    continue;
                }
                Phase::Command | Phase::Auth(_) => match self.lines.next(input) {
                    None => return Step::Read,
                    Some(Err(fault)) => {
                        self.phase = Phase::Command;
                        self.count_command(out);
                        self.fault(&line_fault(fault), out);
                        None
                    }
                    Some(Ok(line)) => self.line(line, input, out),
                },
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn greet(&mut self, out: &mut Vec<u8>) {
        if self.rights.access == Access::None {
            self.close_with(&replies::CLIENT_REFUSED, out);
        } else {
            hello::greeting(&self.settings.own_name).write(out);
            self.phase = Phase::Command;
        }
    }

    fn line<'i>(&mut self, line: &[u8], input: &mut &'i [u8], out: &mut Vec<u8>) -> Option<Step<'i>> {
        if let Phase::Auth(exchange) = std::mem::replace(&mut self.phase, Phase::Command) {
            let step = exchange.response(line);
            return self.auth_step(step, out);
        }
        if !self.count_command(out) {
            return None;
        }
        match Command::parse(line) {
            Ok(command) => {
                let step = self.command(command, out);
                if matches!(step, Some(Step::StartTls)) {
                    *input = &[];
                }
                step
            }
            Err(error) => {
                self.fault(&error.reply(), out);
                None
            }
        }
    }

    fn auth_step<'i>(&mut self, step: AuthStep, out: &mut Vec<u8>) -> Option<Step<'i>> {
        match step {
            AuthStep::Ask(prompt, exchange) => {
                prompt.write(out);
                self.phase = Phase::Auth(exchange);
                None
            }
            AuthStep::Check(credentials) => {
                self.phase = Phase::Waiting(Question::Auth(credentials.login.clone()));
                Some(Step::DecideAuth(credentials))
            }
            AuthStep::Refuse(reply) => {
                self.fault(&reply, out);
                None
            }
        }
    }

    fn content<'i>(&mut self, input: &mut &'i [u8], out: &mut Vec<u8>) -> Option<Step<'i>> {
        let Phase::Content(reader) = &mut self.phase else { return None };
        match reader.next(input) {
            content::Progress::Bytes(bytes) => Some(Step::Content(bytes)),
            content::Progress::Dropped => None,
            content::Progress::More => Some(Step::Read),
            content::Progress::End(Ok(())) => {
                self.phase = Phase::Waiting(Question::Message);
                let mut transaction = self.transaction.take().expect("content begins only within a transaction");
                transaction.forward = std::mem::take(&mut self.forward);
                Some(Step::Message(transaction))
            }
            content::Progress::End(Err(reply)) => {
                reply.write(out);
                self.phase = Phase::Command;
                self.reset();
                Some(Step::ContentRefused(reply))
            }
        }
    }

    /// Forgets the transaction under way (RFC 5321 4.1.1.5), and what XFORWARD said of it.
    fn reset(&mut self) {
        self.transaction = None;
        self.forward = ForwardAttributes::default();
    }

    /// Counts a command; `false` when the session is over for it.
    fn count_command(&mut self, out: &mut Vec<u8>) -> bool {
        self.commands += 1;
        self.commands_untold += 1;
        let over = self.commands > self.settings.commands_max;
        if over {
            self.close_with(&replies::TOO_MANY_COMMANDS, out);
        }
        !over
    }

    /// Answers a command that the client should not have sent.
    fn fault(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        reply.write(out);
        self.errors += 1;
        if self.errors > self.settings.errors_max {
            self.close_with(&replies::TOO_MANY_ERRORS, out);
        }
    }

    fn close_with(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        reply.write(out);
        self.phase = Phase::Closed;
        self.reset();
    }
}

fn line_fault(fault: LineFault) -> Reply {
    match fault {
        LineFault::TooLong => replies::LINE_TOO_LONG,
        LineFault::BareCr | LineFault::BareLf => replies::LINE_STRAY_BREAK,
        LineFault::Nul => replies::LINE_NUL,
    }
}

/// What the edge asks of the session at any time.
impl Session {
    /// Ends the session as soon as no transaction is under way: with 421 at the next [`Session::feed`], which may be
    /// given no bytes (RFC 5321 3.8).
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether the session waits for a command outside a transaction, so that nobody loses work by its end.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Command | Phase::Auth(_)) && self.transaction.is_none()
    }

    /// Whether content is being read: its time limits are others.
    pub fn in_content(&self) -> bool {
        matches!(self.phase, Phase::Content(_))
    }

    /// Whether the next line may hold a password.
    pub fn awaits_secret(&self) -> bool {
        matches!(self.phase, Phase::Auth(_))
    }

    /// Ends the session because nothing came in time.
    pub fn timed_out(&mut self, out: &mut Vec<u8>) {
        self.close_with(&replies::TIMED_OUT, out);
    }

    /// Ends the session because commands come faster than they may.
    pub fn too_fast(&mut self, out: &mut Vec<u8>) {
        self.close_with(&replies::COMMANDS_TOO_FAST, out);
    }

    /// How many commands came since this was asked last.
    pub fn take_commands(&mut self) -> u32 {
        std::mem::take(&mut self.commands_untold)
    }

    /// Our AUTH login, once it was answered 235.
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// What the client said of itself.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Whether TLS is active.
    pub fn tls(&self) -> TlsState {
        self.tls
    }

    /// The transaction under way.
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_deref()
    }

    /// The recipient that [`Step::DecideRecipient`] asks about.
    pub fn recipient_asked(&self) -> Option<&Recipient> {
        match &self.phase {
            Phase::Waiting(Question::Recipient(recipient)) => Some(recipient),
            _ => None,
        }
    }

    /// Faulty commands since the last message that was taken.
    pub fn errors(&self) -> u32 {
        self.errors
    }
}

#[cfg(test)]
mod dialogues;
