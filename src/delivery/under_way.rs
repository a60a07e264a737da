//! One message on its way: a transaction over a connection, ending in the fate of each recipient.
//!
//! Invariants 2 and 3: content counts from the moment its first byte is handed to the socket, and an attempt dropped before
//! its end gives its lease to [`Edges::abandoned`](super::next_hop::Edges), to be counted as unknown.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attempt::{Abandoned, AttemptEnd, ContentBegan, Outgoing, RecipientEnd, Signal};
use super::next_hop::NextHop;
use super::screen::{self, Screened};
use super::verdict;
use super::wire::WireError;
use crate::smtp::client::{MailFacts, PeerReply, ReplyFault, Stage, Step, Transaction};
use crate::smtp::framing::DotStuffer;
use crate::store::query::ContentBody;
use crate::store::{Lease, Stored};

/// How much content is handed over at once, before dots are stuffed.
const BLOCK_BYTES: usize = 256 * 1024;
/// How many times the limit of one answer all those to MAIL and RCPT may take, for slots are held meanwhile.
const ENVELOPE_TIMES_MAX: u32 = 5;
/// How long is waited for the reply of a next hop that stopped taking content.
const CUT_SHORT_LIMIT: Duration = Duration::from_secs(5);

/// A message on its way. Dropped before [`UnderWay::run`] ends, its outcome is unknown.
#[derive(Debug)]
pub struct UnderWay {
    held: HeldLease,
    hop: NextHop,
    message: Outgoing,
}

/// The lease, which goes to `abandoned` if nobody takes it out.
#[derive(Debug)]
struct HeldLease {
    lease: Option<Lease>,
    egress: Arc<str>,
    next_hop: String,
    abandoned: mpsc::UnboundedSender<Abandoned>,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let abandoned =
                Abandoned { lease, egress: self.egress.clone(), next_hop: std::mem::take(&mut self.next_hop) };
            // Without a receiver the daemon is going down, and the store's recovery finds the open attempt.
            let _ = self.abandoned.send(abandoned);
        }
    }
}

/// How far the dialogue came.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) transaction: Transaction,
    pub(super) content: Sent,
    /// Why it stopped, if it did before the last reply.
    pub(super) lost: Option<String>,
    /// Whether the next hop had had enough of a connection used before (idle, or messages enough): nothing is wrong with
    /// this message, and a new connection takes it at once.
    pub(super) was_stale: bool,
}

/// What was handed to the socket of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    Begun,
}

impl UnderWay {
    pub(super) fn new(hop: NextHop, lease: Stored<Lease>, message: Outgoing) -> Self {
        let held = HeldLease {
            lease: Some(lease.into_inner()),
            egress: hop.egress.name.clone(),
            next_hop: hop.peer.to_string(),
            abandoned: hop.edges.abandoned.clone(),
        };
        Self { held, hop, message }
    }

    /// Sends the message and reads what becomes of it. Bounded in time by the timeouts of its connection.
    ///
    /// # Panics
    /// Never: the lease is taken out here alone.
    pub async fn run(mut self) -> AttemptEnd {
        let mut screened = screen::screen(&self.message, self.hop.offered, self.hop.edges.eightbit);
        let mut recipients = std::mem::take(&mut screened.refused);
        let mut content = ContentBegan::No;
        let mut signals = Vec::new();
        let mut usable = true;
        if !screened.rcpts.is_empty() {
            let dialogue = self.hop.talk(&self.message, &screened).await;
            let taken = u32::try_from(dialogue.transaction.accepted()).unwrap_or(u32::MAX);
            content = match (dialogue.content, dialogue.lost.is_some()) {
                (Sent::Nothing, _) => ContentBegan::No,
                (Sent::Begun, false) => ContentBegan::Yes { recipients: taken },
                (Sent::Begun, true) => ContentBegan::Unanswered,
            };
            let cut = self.hop.wire.is_spent();
            usable = dialogue.lost.is_none() && dialogue.transaction.closing().is_none() && !cut;
            self.hop.before = dialogue.transaction.left();
            let (ends, said): (Vec<RecipientEnd>, Vec<Signal>) = verdict::ends(&self.hop, &screened, &dialogue);
            recipients.extend(ends);
            signals = said;
        }
        let eightbit_as_is = screened.eightbit && !self.hop.offered.eightbitmime && content != ContentBegan::No;
        drop(screened);
        let lease = self.held.lease.take().expect("taken out here alone, and self is gone after it");
        AttemptEnd {
            lease,
            content,
            recipients,
            signals,
            egress: self.hop.egress.name.clone(),
            next_hop: self.hop.peer.to_string(),
            eightbit_as_is,
            connection: usable.then_some(self.hop),
        }
    }
}

impl NextHop {
    async fn talk(&mut self, message: &Outgoing, screened: &Screened<'_>) -> Dialogue {
        let mail = MailFacts {
            reverse_path: &screened.reverse_path,
            size_bytes: message.content.size_bytes,
            eightbit: screened.eightbit || message.header_needs_utf8,
            smtputf8: screened.smtputf8,
            ret: message.ret,
            envid: message.envid.as_deref(),
        };
        let facts: Vec<_> = screened.rcpts.iter().map(|rcpt| rcpt.facts.clone()).collect();
        let transaction = Transaction::new(self.offered, mail, &facts, self.before);
        let mut dialogue = Dialogue { transaction, content: Sent::Nothing, lost: None, was_stale: false };
        let mut closed = false;
        if let Err(error) = self.exchange(message, &mut dialogue).await {
            closed = matches!(error, WireError::Closed | WireError::Io(_));
            dialogue.lost = Some(self.told(dialogue.transaction.stage(), &error));
        }
        closed |= dialogue.transaction.closing().is_some();
        dialogue.was_stale = closed && self.messages() > 1 && dialogue.transaction.is_unheard();
        dialogue
    }

    async fn exchange(&mut self, message: &Outgoing, dialogue: &mut Dialogue) -> Result<(), WireError> {
        let timeouts = self.edges.timeouts;
        let envelope_until = Instant::now() + timeouts.envelope * ENVELOPE_TIMES_MAX;
        let transaction = &mut dialogue.transaction;
        self.wire.send(transaction.bytes(transaction.begin()), Instant::now() + timeouts.envelope).await?;
        loop {
            // Each answer has its time (RFC 5321 4.5.3.2), and those to MAIL and RCPT have one more together.
            let until = match (transaction.stage(), dialogue.content) {
                (Stage::Data, _) => Instant::now() + timeouts.data,
                (Stage::Content, Sent::Begun) => Instant::now() + timeouts.content,
                (Stage::Content, Sent::Nothing) => Instant::now() + timeouts.envelope,
                _ => envelope_until.min(Instant::now() + timeouts.envelope),
            };
            let reply = self.wire.reply(until).await?;
            let step = transaction.reply(reply).map_err(WireError::Fault)?;
            // It counts, but what follows cannot be read: content whose answer is lost would arrive again and again.
            if self.wire.is_spent() && step != Step::Done {
                return Err(WireError::Fault(ReplyFault::TooLong));
            }
            match step {
                Step::Wait => {}
                Step::Send(range) => {
                    self.wire.send(transaction.bytes(range), Instant::now() + timeouts.envelope).await?;
                }
                Step::LoneDot => self.wire.send(b".\r\n", Instant::now() + timeouts.envelope).await?,
                Step::Content => {
                    if let Some(early) = self.send_content(message, &mut dialogue.content).await? {
                        transaction.content_cut_short(early);
                        // It no longer takes content: what it would read next is not a command.
                        return Ok(());
                    }
                }
                Step::Done => return Ok(()),
            }
        }
    }

    /// Sends prefix, body and final dot. Gives the reply of a next hop that refused in the middle and stopped taking more.
    async fn send_content(&mut self, message: &Outgoing, sent: &mut Sent) -> Result<Option<PeerReply>, WireError> {
        let mut stuffer = DotStuffer::new();
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        stuffer.encode(&message.content.prefix, &mut out);
        let result = match &message.content.body {
            ContentBody::Bytes(body) => self.send_bytes(body, &mut stuffer, &mut out, sent).await,
            ContentBody::File(file) => self.send_file(file.clone(), &mut stuffer, &mut out, sent).await,
        };
        let result = match result {
            // Its end is written only behind the whole: a body cut short on disk must not become a shorter message.
            Ok(length) if length + message.content.prefix.len() as u64 != message.content.size_bytes => {
                Err(WireError::Content(io::Error::new(io::ErrorKind::InvalidData, "it is not whole")))
            }
            Ok(_) => {
                stuffer.finish(&mut out);
                self.send_block(&out, sent).await
            }
            Err(error) => Err(error),
        };
        out.clear();
        out.shrink_to(BLOCK_BYTES);
        self.out = out;
        match result {
            Ok(()) => Ok(None),
            Err(error @ (WireError::Io(_) | WireError::Closed)) => {
                // Perhaps it said why before it closed.
                match self.wire.reply(Instant::now() + CUT_SHORT_LIMIT).await {
                    Ok(reply) if matches!(reply.code / 100, 4 | 5) => Ok(Some(reply)),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn send_bytes(
        &mut self,
        body: &[u8],
        stuffer: &mut DotStuffer,
        out: &mut Vec<u8>,
        sent: &mut Sent,
    ) -> Result<u64, WireError> {
        for block in body.chunks(BLOCK_BYTES) {
            if out.len() >= BLOCK_BYTES {
                self.send_block(out, sent).await?;
                out.clear();
            }
            stuffer.encode(block, out);
        }
        Ok(body.len() as u64)
    }

    async fn send_file(
        &mut self,
        file: Arc<std::fs::File>,
        stuffer: &mut DotStuffer,
        out: &mut Vec<u8>,
        sent: &mut Sent,
    ) -> Result<u64, WireError> {
        let mut at = 0;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let source = file.clone();
            let read = tokio::task::spawn_blocking(move || {
                let n = source.read_at(&mut block, at)?;
                Ok::<_, io::Error>((block, n))
            });
            let n;
            (block, n) =
                read.await.map_err(|e| WireError::Content(io::Error::other(e)))?.map_err(WireError::Content)?;
            if n == 0 {
                return Ok(at);
            }
            at += n as u64;
            stuffer.encode(&block[..n], out);
            if out.len() >= BLOCK_BYTES {
                self.send_block(out, sent).await?;
                out.clear();
            }
        }
    }

    async fn send_block(&mut self, block: &[u8], sent: &mut Sent) -> Result<(), WireError> {
        *sent = Sent::Begun;
        self.wire.send(block, Instant::now() + self.edges.timeouts.block).await
    }

    fn told(&self, stage: Stage, error: &WireError) -> String {
        let peer = &self.peer;
        match error {
            WireError::Timeout => format!("{peer}: no answer to {stage} in time"),
            WireError::Closed => format!("{peer}: connection closed while {stage} was to be answered"),
            WireError::Io(error) => format!("{peer}: connection lost while {stage} was to be answered ({error})"),
            WireError::Fault(fault) => format!("{peer}: no SMTP in reply to {stage}: {fault}"),
            WireError::Content(error) => format!("the stored content of the message cannot be read: {error}"),
        }
    }
}
