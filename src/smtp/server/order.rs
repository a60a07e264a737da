//! Which command may come when (RFC 5321 4.1.4), and what it does.

use super::auth::Exchange;
use super::hello;
use super::{Access, Hello, HelloKind, Phase, Question, Session, Step, TlsState, Transaction, Trust};
use crate::mail::{Address, Envelope, Recipient};
use crate::smtp::command::{Command, CommandError, Forward, ForwardAttributes, Mail, Rcpt, XclientAttributes};
use crate::smtp::replies;
use crate::smtp::reply::Reply;

impl Session {
    /// Carries a command out; a step if the edge has something to do for it.
    pub(super) fn command<'i>(&mut self, command: Command<'_>, out: &mut Vec<u8>) -> Option<Step<'i>> {
        let refused = match command {
            Command::Ehlo(name) => {
                self.greeted(name, HelloKind::Ehlo);
                hello::ehlo(&self.settings, self.rights, self.tls, out);
                return None;
            }
            Command::Helo(name) => {
                self.greeted(name, HelloKind::Helo);
                hello::helo(&self.settings.own_name).write(out);
                return None;
            }
            Command::Noop => return say(&replies::OK, out),
            Command::Help => return say(&replies::HELP, out),
            Command::Vrfy => return say(&replies::CANNOT_VERIFY, out),
            Command::Rset => {
                self.reset();
                return say(&replies::OK, out);
            }
            Command::Quit => {
                self.close_with(&replies::BYE, out);
                return None;
            }
            // A pipelining client sends RCPT and DATA before it has read the answer to MAIL (RFC 2920 3.1): these are no
            // errors of it.
            Command::Rcpt(_) | Command::Data if self.transaction.is_none() => return say(&replies::MAIL_FIRST, out),
            Command::Rcpt(rcpt) => self.rcpt(rcpt, out),
            Command::Data => return self.data(out),
            Command::Mail(mail) => self.mail(mail),
            Command::StartTls => self.start_tls(out),
            Command::Auth { mechanism, initial } => match self.may_auth() {
                Ok(()) => {
                    let step = Exchange::start(mechanism, initial);
                    return self.auth_step(step, out);
                }
                Err(reply) => Err(reply),
            },
            Command::Xclient(attributes) => self.xclient(attributes),
            Command::Xforward(attributes) => {
                if let Err(reply) = self.xforward(attributes) {
                    Err(reply)
                } else {
                    return say(&replies::FORWARD_OK, out);
                }
            }
        };
        match refused {
            Ok(step) => step,
            Err(reply) => {
                self.fault(&reply, out);
                None
            }
        }
    }

    /// A new EHLO or HELO resets, as RSET does (RFC 5321 4.1.4).
    fn greeted(&mut self, name: &str, kind: HelloKind) {
        self.reset();
        self.hello = Some(Hello { name: name.into(), kind });
    }

    fn mail<'i>(&mut self, mail: Mail) -> Result<Option<Step<'i>>, Reply> {
        if self.hello.is_none() {
            return Err(replies::HELLO_FIRST);
        }
        if self.transaction.is_some() {
            return Err(replies::WITHIN_TRANSACTION);
        }
        match self.rights.access {
            Access::Relay => {}
            Access::AfterAuth if self.login.is_some() => {}
            Access::AfterAuth if hello::auth_offered(self.rights, self.tls) => return Err(replies::AUTH_REQUIRED),
            Access::AfterAuth if self.tls == TlsState::Offered => return Err(replies::TLS_REQUIRED),
            Access::AfterAuth | Access::None => return Err(replies::CLIENT_REFUSED),
        }
        if mail.size_bytes.is_some_and(|size| size > self.settings.message_bytes_max) {
            return Err(replies::MESSAGE_TOO_LARGE);
        }
        if !mail.smtputf8 && mail.reverse_path.address().is_some_and(|a| !a.is_ascii()) {
            return Err(replies::ADDRESS_NEEDS_UTF8);
        }
        let Mail { reverse_path, size_bytes, body, smtputf8, ret, envid, auth } = mail;
        self.transaction = Some(Box::new(Transaction {
            envelope: Envelope { reverse_path, recipients: Vec::new(), body, smtputf8, ret, envid },
            mail_auth: auth,
            declared_bytes: size_bytes,
            forward: ForwardAttributes::default(),
        }));
        self.phase = Phase::Waiting(Question::Mail);
        Ok(Some(Step::DecideMail))
    }

    fn rcpt<'i>(&mut self, rcpt: Rcpt, out: &mut Vec<u8>) -> Result<Option<Step<'i>>, Reply> {
        let Some(transaction) = &self.transaction else { return Err(replies::MAIL_FIRST) };
        if transaction.envelope.recipients.len() >= self.settings.recipients_max {
            return Ok(say(&replies::TOO_MANY_RECIPIENTS, out));
        }
        let address = match rcpt.forward_path {
            Forward::Address(address) => address,
            Forward::Postmaster => Address::parse(format!("postmaster@{}", self.settings.own_name).as_bytes())
                .map_err(|_| CommandError::ForwardPath.reply())?,
        };
        if !transaction.envelope.smtputf8 && !address.is_ascii() {
            return Err(replies::ADDRESS_NEEDS_UTF8);
        }
        let recipient = Recipient { address, notify: rcpt.notify, original: rcpt.original };
        self.phase = Phase::Waiting(Question::Recipient(recipient));
        Ok(Some(Step::DecideRecipient))
    }

    fn data<'i>(&mut self, out: &mut Vec<u8>) -> Option<Step<'i>> {
        if self.transaction.as_ref().is_some_and(|t| t.envelope.recipients.is_empty()) {
            return say(&replies::NO_RECIPIENTS, out);
        }
        self.phase = Phase::Waiting(Question::Content);
        Some(Step::DecideContent)
    }

    fn start_tls<'i>(&mut self, out: &mut Vec<u8>) -> Result<Option<Step<'i>>, Reply> {
        match self.tls {
            TlsState::Unavailable => return Err(replies::COMMAND_NOT_IMPLEMENTED),
            TlsState::Active => return Err(replies::TLS_ACTIVE),
            TlsState::Offered if self.transaction.is_some() => return Err(replies::WITHIN_TRANSACTION),
            TlsState::Offered => {}
        }
        replies::TLS_READY.write(out);
        self.phase = Phase::Waiting(Question::Tls);
        Ok(Some(Step::StartTls))
    }

    fn may_auth(&self) -> Result<(), Reply> {
        if self.hello.is_none() {
            Err(replies::HELLO_FIRST)
        } else if self.rights.auth == super::AuthOffer::Off {
            Err(replies::COMMAND_NOT_IMPLEMENTED)
        } else if !hello::auth_offered(self.rights, self.tls) {
            Err(replies::AUTH_NEEDS_TLS)
        } else if self.login.is_some() {
            Err(replies::AUTH_DONE)
        } else if self.transaction.is_some() {
            Err(replies::WITHIN_TRANSACTION)
        } else {
            Ok(())
        }
    }

    fn xclient<'i>(&mut self, attributes: XclientAttributes) -> Result<Option<Step<'i>>, Reply> {
        self.may_speak_for_others()?;
        self.phase = Phase::Waiting(Question::Rights);
        Ok(Some(Step::Xclient(Box::new(attributes))))
    }

    fn xforward(&mut self, attributes: ForwardAttributes) -> Result<(), Reply> {
        self.may_speak_for_others()?;
        self.forward.overlay(attributes);
        Ok(())
    }

    fn may_speak_for_others(&self) -> Result<(), Reply> {
        if self.rights.trust == Trust::Plain {
            Err(replies::NOT_TRUSTED)
        } else if self.transaction.is_some() {
            Err(replies::WITHIN_TRANSACTION)
        } else {
            Ok(())
        }
    }
}

fn say<'i>(reply: &Reply, out: &mut Vec<u8>) -> Option<Step<'i>> {
    reply.write(out);
    None
}
