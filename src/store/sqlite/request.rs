//! A request on its way through the writer: what to run, and whom to tell.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::failure::Failure;
use super::tx::Tx;
use crate::mail::QueueId;
use crate::store::{AttemptId, StoreError};

/// What is at stake, which decides when a request is refused and what follows a commit whose end is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// New mail, and what was learned: the first to be refused when space or trust in the disk is short.
    Accept,
    /// Leave to send: refused next.
    Lease,
    /// What happened outside and cannot be undone: kept and written again until it holds.
    Outcome,
    /// All else: refused only when nothing can be written.
    Other,
}

/// What must not stay if it turns out that a commit which was reported as failed is on disk.
#[derive(Debug)]
pub(super) enum Undo {
    /// A message whose client was told to come again.
    Message(QueueId),
    /// An attempt whose MAIL was never sent.
    Attempt(AttemptId),
}

/// One request. It can run more than once: each time from the same input, only the last run counts.
pub(super) trait Request: Send {
    fn kind(&self) -> Kind;
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Failure>;
    /// What a run left that an unconfirmed commit may have stored.
    fn undo(&self) -> Option<Undo>;
    /// Ends it: with what its last run gave, or with an error.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A request made of plain functions: `run` may be called again and again, `finish` is called once.
pub(super) struct Deed<I, T, A> {
    pub(super) kind: Kind,
    pub(super) input: I,
    pub(super) run: fn(&I, &mut Tx<'_>) -> Result<T, Failure>,
    pub(super) undo: fn(&I, &T) -> Option<Undo>,
    pub(super) finish: fn(I, Result<T, StoreError>) -> A,
    pub(super) output: Option<T>,
    pub(super) reply: oneshot::Sender<A>,
    /// Bounds how much may wait for the writer; outcomes are bounded by the leases they end.
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

impl<I: Send, T: Send, A: Send> Request for Deed<I, T, A> {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        self.output = None;
        self.output = Some((self.run)(&self.input, tx)?);
        Ok(())
    }

    fn undo(&self) -> Option<Undo> {
        self.output.as_ref().and_then(|output| (self.undo)(&self.input, output))
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let result = match (outcome, self.output) {
            (Ok(()), Some(output)) => Ok(output),
            (Ok(()), None) => Err(StoreError::Closed),
            (Err(error), _) => Err(error),
        };
        // Who asked may have gone; what is stored stays stored.
        let _ = self.reply.send((self.finish)(self.input, result));
    }
}
