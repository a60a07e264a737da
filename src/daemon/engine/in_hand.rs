//! What one task holds and must not lose with itself: a turn, its slots, the end of an attempt.
//!
//! A task that ends too early (a panic, a fault of ours) drops these, and each says so: turns and slots go back, and an
//! attempt whose end was not stored is concluded by [`broken_off`](super::broken_off) at once, as a start would.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::Engine;
use crate::delivery::RecipientEnd;
use crate::dispatch::{Line, Turn};
use crate::limits::Granted;
use crate::mail::QueueId;
use crate::store::{Conclusion, Lease, Stored};

/// A turn, and its slots until they are leased on record.
pub(super) struct InHand {
    engine: Arc<Engine>,
    turn: Option<Turn>,
    granted: Option<Granted>,
}

impl InHand {
    pub(super) fn new(engine: &Arc<Engine>, turn: Turn, granted: Granted) -> Self {
        Self { engine: Arc::clone(engine), turn: Some(turn), granted: Some(granted) }
    }

    fn turn(&self) -> &Turn {
        self.turn.as_ref().expect("taken out by the methods that spend it alone")
    }

    pub(super) fn message(&self) -> QueueId {
        self.turn().message()
    }

    pub(super) fn line(&self) -> Line {
        self.turn().line()
    }

    /// The slots, for the lease on record.
    pub(super) fn take_granted(&mut self) -> Option<Granted> {
        self.granted.take()
    }

    /// How many recipients there are slots for.
    pub(super) fn room(&self) -> usize {
        self.granted.as_ref().map_or(0, |granted| granted.recipients() as usize)
    }

    /// The turn is over: `left` recipients of its message can go on at once.
    pub(super) fn finish(mut self, left: u32) {
        if let Some(turn) = self.turn.take() {
            self.engine.core().finish_turn(turn, left);
        }
    }

    /// It came to nothing: its message stands first in its line again.
    pub(super) fn put_back(mut self) {
        if let Some(turn) = self.turn.take() {
            self.engine.core().put_back(turn);
        }
    }

    /// It was for what does not wait any more, or not here.
    pub(super) fn annul(mut self) {
        if let Some(turn) = self.turn.take() {
            self.engine.core().annul(turn);
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let (turn, granted) = (self.turn.take(), self.granted.take());
        if turn.is_none() && granted.is_none() {
            return;
        }
        let now = self.engine.clock.now();
        let mut core = self.engine.core();
        if let Some(turn) = turn {
            core.lost_turn(turn.id());
        }
        if let Some(granted) = granted {
            core.give_back(granted, now);
        }
        drop(core);
        self.engine.signals.connections.notify_one();
    }
}

/// A lease on record, until MAIL is said with it: dropped, it is an attempt that broke off.
#[derive(Debug)]
pub(super) struct OnRecord {
    lease: Option<Stored<Lease>>,
    egress: Arc<str>,
    next_hop: String,
    to: UnboundedSender<BrokenOff>,
}

impl OnRecord {
    pub(super) fn new(
        lease: Stored<Lease>,
        egress: &Arc<str>,
        next_hop: String,
        to: &UnboundedSender<BrokenOff>,
    ) -> Self {
        Self { lease: Some(lease), egress: Arc::clone(egress), next_hop, to: to.clone() }
    }

    pub(super) fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("taken by spending it alone, which ends this").get()
    }

    /// For the attempt, which keeps it from now on.
    pub(super) fn spend(mut self) -> Stored<Lease> {
        self.lease.take().expect("taken here alone, which ends this")
    }
}

impl Drop for OnRecord {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let (egress, next_hop) = (Arc::clone(&self.egress), std::mem::take(&mut self.next_hop));
            let attempt = OpenAttempt { lease: lease.into_inner(), egress, next_hop, ends: Vec::new() };
            // Without a receiver the daemon is going down, and the store's recovery finds the open attempt.
            let _ = self.to.send(BrokenOff::Open(attempt));
        }
    }
}

/// An attempt whose task is gone before its end was stored.
#[derive(Debug)]
pub(super) enum BrokenOff {
    /// Nothing was decided.
    Open(OpenAttempt),
    /// It was decided, and is to be stored as it was.
    Decided(Box<Conclusion>),
}

/// What is known of an attempt that was not settled.
#[derive(Debug)]
pub(super) struct OpenAttempt {
    pub(super) lease: Lease,
    pub(super) egress: Arc<str>,
    pub(super) next_hop: String,
    /// What the next hop said of its recipients, if the dialogue came to its end.
    pub(super) ends: Vec<RecipientEnd>,
}

/// An attempt whose dialogue is over and whose outcome is being decided.
#[derive(Debug)]
pub(super) struct Undecided {
    attempt: Option<OpenAttempt>,
    to: UnboundedSender<BrokenOff>,
}

impl Undecided {
    pub(super) fn new(attempt: OpenAttempt, to: &UnboundedSender<BrokenOff>) -> Self {
        Self { attempt: Some(attempt), to: to.clone() }
    }

    pub(super) fn attempt(&mut self) -> &mut OpenAttempt {
        self.attempt.as_mut().expect("taken by deciding alone, which ends this")
    }

    /// It is decided now.
    pub(super) fn decide(mut self, conclude: impl FnOnce(OpenAttempt) -> Conclusion) -> Unstored {
        Unstored { conclusion: self.attempt.take().map(conclude).map(Box::new), to: self.to.clone() }
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            let _ = self.to.send(BrokenOff::Open(attempt)); // as above
        }
    }
}

/// An outcome on its way to the store.
#[derive(Debug)]
pub(super) struct Unstored {
    conclusion: Option<Box<Conclusion>>,
    to: UnboundedSender<BrokenOff>,
}

impl Unstored {
    /// For the store, which keeps it from now on.
    pub(super) fn take(mut self) -> Conclusion {
        *self.conclusion.take().expect("taken here alone, which ends this")
    }
}

impl Drop for Unstored {
    fn drop(&mut self) {
        if let Some(conclusion) = self.conclusion.take() {
            let _ = self.to.send(BrokenOff::Decided(conclusion)); // as above
        }
    }
}
