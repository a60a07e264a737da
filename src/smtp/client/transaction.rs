//! One mail transaction: MAIL, RCPT, DATA and the final dot, pipelined where offered (RFC 5321 3.3, RFC 2920, RFC 3461).

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Stage;
use super::extensions::Extensions;
use super::reply::{PeerReply, ReplyFault, Tone};
use crate::mail::envelope::xtext_encode;
use crate::mail::{Notify, OriginalRecipient, Ret};

/// What MAIL says.
#[derive(Debug, Clone, Copy)]
pub struct MailFacts<'a> {
    /// Without its brackets; empty for the null one.
    pub reverse_path: &'a str,
    /// Length of the content, before dots are stuffed.
    pub size_bytes: u64,
    /// Whether the content may have bytes over 127.
    pub eightbit: bool,
    /// Whether an address or header field needs SMTPUTF8.
    pub smtputf8: bool,
    /// `RET=`
    pub ret: Option<Ret>,
    /// `ENVID=`
    pub envid: Option<&'a str>,
}

/// What one RCPT says.
#[derive(Debug, Clone)]
pub struct RcptFacts<'a> {
    /// Without its brackets.
    pub address: Cow<'a, str>,
    /// `NOTIFY=`
    pub notify: Option<Notify>,
    /// `ORCPT=`
    pub original: Option<&'a OriginalRecipient>,
}

/// Whether a transaction before this one was left open at the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing to undo.
    Clean,
    /// RSET goes first.
    LeftOpen,
}

/// One transaction under way: its commands and what was answered.
#[derive(Debug)]
pub struct Transaction {
    /// All commands as they go over the wire.
    wire: Vec<u8>,
    /// Each command and where it ends in `wire`.
    commands: Vec<(Command, usize)>,
    answered: usize,
    pipelining: bool,
    mail: Option<PeerReply>,
    rcpts: Vec<Option<PeerReply>>,
    data: Option<PeerReply>,
    content: Option<PeerReply>,
    /// The reply with which the next hop ends the connection: 421 (RFC 5321 3.8), or one in the middle of content.
    closing: Option<PeerReply>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    /// The final dot, which is not in `wire`.
    Dot,
}

/// What to do after a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the next reply.
    Wait,
    /// Send [`Transaction::bytes`] of this range, then read.
    Send(std::ops::Range<usize>),
    /// Send the content with its final dot, then read.
    Content,
    /// Nobody was accepted, yet the next hop awaits content: send a dot alone, then read (RFC 2920 3.1).
    LoneDot,
    /// Every command is answered.
    Done,
}

impl Transaction {
    /// Writes the commands. Parameters go along where their extension is offered.
    pub fn new(offered: Extensions, mail: MailFacts<'_>, rcpts: &[RcptFacts<'_>], before: Before) -> Self {
        let mut line = String::with_capacity(80 * (rcpts.len() + 2));
        let mut commands = Vec::with_capacity(rcpts.len() + 3);
        if before == Before::LeftOpen {
            line.push_str("RSET\r\n");
            commands.push((Command::Rset, line.len()));
        }
        mail_command(&mut line, offered, mail);
        commands.push((Command::Mail, line.len()));
        for (index, rcpt) in rcpts.iter().enumerate() {
            rcpt_command(&mut line, offered, rcpt);
            commands.push((Command::Rcpt(index), line.len()));
        }
        line.push_str("DATA\r\n");
        commands.push((Command::Data, line.len()));
        Self {
            wire: line.into_bytes(),
            commands,
            answered: 0,
            pipelining: offered.pipelining,
            mail: None,
            rcpts: vec![None; rcpts.len()],
            data: None,
            content: None,
            closing: None,
        }
    }

    /// What to send first: everything up to DATA where PIPELINING is offered, or the first command.
    pub fn begin(&self) -> std::ops::Range<usize> {
        if self.pipelining { 0..self.wire.len() } else { 0..self.commands[0].1 }
    }

    /// The bytes of a range given here.
    pub fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.wire[range]
    }

    /// What is being answered now.
    pub fn stage(&self) -> Stage {
        match self.commands.get(self.answered) {
            Some((Command::Rset | Command::Mail, _)) => Stage::Mail,
            Some((Command::Rcpt(_), _)) => Stage::Rcpt,
            Some((Command::Data, _)) => Stage::Data,
            Some((Command::Dot, _)) | None => Stage::Content,
        }
    }

    /// Takes the next reply.
    ///
    /// # Errors
    /// It is no answer to what was asked; the connection cannot be used any further.
    pub fn reply(&mut self, reply: PeerReply) -> Result<Step, ReplyFault> {
        let Some(&(command, _)) = self.commands.get(self.answered) else { return Err(ReplyFault::Unasked) };
        if reply.code == 421 {
            self.closing = Some(reply.clone());
        }
        let starts_content = command == Command::Data && reply.code == 354;
        let fits = match command {
            Command::Data => starts_content || matches!(reply.tone(), Tone::NotNow | Tone::Never),
            Command::Rset | Command::Mail | Command::Rcpt(_) | Command::Dot => reply.tone() != Tone::GoOn,
        };
        if !fits {
            return Err(ReplyFault::Unasked);
        }
        self.answered += 1;
        match command {
            Command::Rset => {}
            Command::Mail => self.mail = Some(reply),
            Command::Rcpt(index) => self.rcpts[index] = Some(reply),
            Command::Data if starts_content => {
                self.commands.push((Command::Dot, self.wire.len()));
                return Ok(if self.accepted() > 0 { Step::Content } else { Step::LoneDot });
            }
            Command::Data => {
                self.data = Some(reply);
                return Ok(Step::Done);
            }
            Command::Dot => {
                self.content = Some(reply);
                return Ok(Step::Done);
            }
        }
        Ok(self.next_command())
    }

    fn next_command(&self) -> Step {
        if self.pipelining {
            return Step::Wait;
        }
        let nobody = self.commands.get(self.answered).is_some_and(|(command, _)| *command == Command::Data)
            && self.accepted() == 0;
        if self.closing.is_some() || nobody || self.mail.as_ref().is_some_and(|mail| mail.tone() != Tone::Done) {
            return Step::Done;
        }
        Step::Send(self.commands[self.answered - 1].1..self.commands[self.answered].1)
    }

    /// How many recipients the next hop took.
    pub fn accepted(&self) -> usize {
        if self.mail.as_ref().is_none_or(|mail| mail.tone() != Tone::Done) {
            return 0;
        }
        self.rcpts.iter().flatten().filter(|reply| reply.tone() == Tone::Done).count()
    }

    /// Whether the next hop took this recipient.
    pub fn is_accepted(&self, index: usize) -> bool {
        self.rcpts[index].as_ref().is_some_and(|reply| reply.tone() == Tone::Done) && self.accepted() > 0
    }

    /// The reply that decides about a recipient, and what it answered. `None`: it never came.
    pub fn verdict(&self, index: usize) -> Option<(Stage, &PeerReply)> {
        let refusal = |stage, reply: &'_ Option<PeerReply>| match reply {
            Some(reply) if reply.tone() != Tone::Done => Some(stage),
            _ => None,
        };
        if let Some(stage) = refusal(Stage::Mail, &self.mail) {
            return self.mail.as_ref().map(|reply| (stage, reply));
        }
        if let Some(stage) = refusal(Stage::Rcpt, &self.rcpts[index]) {
            return self.rcpts[index].as_ref().map(|reply| (stage, reply));
        }
        if let Some(reply) = &self.data {
            return Some((Stage::Data, reply));
        }
        if let (Some(reply), Some(_)) = (&self.content, &self.rcpts[index]) {
            return Some((Stage::Content, reply));
        }
        None
    }

    /// The reply with which the next hop ends the connection, if it said one.
    pub fn closing(&self) -> Option<&PeerReply> {
        self.closing.as_ref()
    }

    /// Whether the next hop has said nothing about this message yet but that it closes.
    pub fn is_unheard(&self) -> bool {
        self.mail.as_ref().is_none_or(|reply| reply.code == 421)
    }

    /// Whether content was answered, so that nothing of this transaction is left at the next hop.
    pub fn left(&self) -> Before {
        if self.content.is_some() { Before::Clean } else { Before::LeftOpen }
    }

    /// Notes an answer to the content that came before its end. The next hop takes no further command.
    pub fn content_cut_short(&mut self, reply: PeerReply) {
        self.closing = Some(reply.clone());
        self.content = Some(reply);
    }
}

fn mail_command(line: &mut String, offered: Extensions, mail: MailFacts<'_>) {
    line.push_str("MAIL FROM:<");
    line.push_str(mail.reverse_path);
    line.push('>');
    if offered.size {
        let _ = write!(line, " SIZE={}", mail.size_bytes); // writing to a String cannot fail
    }
    // SMTPUTF8 implies 8-bit content (RFC 6531 3.6).
    if offered.eightbitmime && (mail.eightbit || mail.smtputf8) {
        line.push_str(" BODY=8BITMIME");
    }
    if offered.smtputf8 && mail.smtputf8 {
        line.push_str(" SMTPUTF8");
    }
    if offered.dsn {
        match mail.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Headers) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = mail.envid {
            line.push_str(" ENVID=");
            line.push_str(&xtext_encode(envid));
        }
    }
    line.push_str("\r\n");
}

fn rcpt_command(line: &mut String, offered: Extensions, rcpt: &RcptFacts<'_>) {
    line.push_str("RCPT TO:<");
    line.push_str(&rcpt.address);
    line.push('>');
    if offered.dsn {
        if let Some(notify) = rcpt.notify {
            line.push_str(" NOTIFY=");
            line.push_str(&notify_list(notify));
        }
        if let Some(original) = rcpt.original {
            let _ = write!(line, " ORCPT={};", original.address_type); // writing to a String cannot fail
            line.push_str(&original_xtext(original));
        }
    }
    line.push_str("\r\n");
}

fn notify_list(notify: Notify) -> String {
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let words: Vec<&str> = words.into_iter().filter(|(asked, _)| *asked).map(|(_, word)| word).collect();
    if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }
}

/// An original recipient as ORCPT carries it: xtext, or for the type `utf-8` the form of RFC 6533 3 that is ASCII.
pub fn original_xtext(original: &OriginalRecipient) -> String {
    if !original.is_international() {
        return xtext_encode(&original.address);
    }
    let mut text = String::new();
    for c in original.address.chars() {
        match c {
            '!'..='~' if !matches!(c, '\\' | '+' | '=') => text.push(c),
            c => {
                let _ = write!(text, "\\x{{{:02X}}}", u32::from(c)); // writing to a String cannot fail
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
