//! What the edge answers to the questions of [`Step`](super::Step).

use super::content::ContentReader;
use super::{ClientRights, Phase, Question, Session, TlsState};
use crate::smtp::replies;
use crate::smtp::reply::{ContentAnswer, Prompt, Refusal};

/// The edge's answers. Each panics when another question, or none, was asked: an edge that mixes them up would answer
/// one command with another's reply.
#[expect(clippy::missing_panics_doc, reason = "said once, above")]
impl Session {
    fn take_question(&mut self) -> Question {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Waiting(question) => question,
            other => panic!("answered in {other:?}, where nothing was asked"),
        }
    }

    /// Answers [`Step::DecideAuth`].
    pub fn auth_decided(&mut self, answer: Result<(), Refusal>, out: &mut Vec<u8>) {
        let Question::Auth(login) = self.take_question() else { panic!("AUTH was not asked") };
        match answer {
            Ok(()) => {
                self.login = Some(login);
                replies::AUTH_OK.write(out);
            }
            Err(refusal) => self.fault(refusal.reply(), out),
        }
    }

    /// Answers [`Step::DecideMail`].
    pub fn mail_decided(&mut self, answer: Result<(), Refusal>, out: &mut Vec<u8>) {
        assert_eq!(self.take_question(), Question::Mail);
        match answer {
            Ok(()) => replies::SENDER_OK.write(out),
            Err(refusal) => {
                refusal.reply().write(out);
                self.reset();
            }
        }
    }

    /// Answers [`Step::DecideRecipient`].
    pub fn recipient_decided(&mut self, answer: Result<(), Refusal>, out: &mut Vec<u8>) {
        let Question::Recipient(recipient) = self.take_question() else { panic!("RCPT was not asked") };
        match answer {
            Ok(()) => {
                let transaction = self.transaction.as_mut().expect("RCPT is asked only within a transaction");
                transaction.envelope.recipients.push(recipient);
                self.commands -= 1;
                replies::RECIPIENT_OK.write(out);
            }
            Err(refusal) => refusal.reply().write(out),
        }
    }

    /// Answers [`Step::DecideContent`].
    pub fn content_decided(&mut self, answer: Result<(), Refusal>, out: &mut Vec<u8>) {
        assert_eq!(self.take_question(), Question::Content);
        match answer {
            Ok(()) => {
                Prompt::StartContent.write(out);
                self.phase = Phase::Content(ContentReader::new(&self.settings));
            }
            Err(refusal) => {
                refusal.reply().write(out);
                self.reset();
            }
        }
    }

    /// Answers [`Step::Message`]: the only way to a 250 after content, and it takes the store's proof (invariant 3).
    pub fn content_answered(&mut self, answer: ContentAnswer, out: &mut Vec<u8>) {
        assert_eq!(self.take_question(), Question::Message);
        match answer {
            ContentAnswer::Accepted(accepted) => {
                accepted.into_reply().write(out);
                (self.commands, self.errors) = (0, 0);
            }
            ContentAnswer::Refused(refusal) => refusal.reply().write(out),
        }
    }

    /// Answers [`Step::StartTls`] after the handshake: all that the client said before is forgotten (RFC 3207 4.2).
    pub fn tls_started(&mut self, rights: ClientRights) {
        assert_eq!(self.take_question(), Question::Tls);
        self.tls = TlsState::Active;
        self.rights = rights;
        self.hello = None;
        self.login = None;
        self.reset();
    }

    /// Answers [`Step::Xclient`]: the session begins anew, for another client.
    pub fn client_judged(&mut self, rights: ClientRights, out: &mut Vec<u8>) {
        assert_eq!(self.take_question(), Question::Rights);
        self.rights = rights;
        self.hello = None;
        self.login = None;
        self.reset();
        self.greet(out);
    }
}
