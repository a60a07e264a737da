//! What intake asks of the queue behind it; the daemon's engine answers.

use crate::account::Account;
use crate::clock::Now;
use crate::dispatch::Class;
use crate::event::Event;
use crate::mail::{Envelope, QueueId};
use crate::smtp::Refusal;
use crate::store::{Acceptance, Destination, SpoolWriter, StoreError, StoreFuture, Stored};

/// The queue, as a session sees it.
pub trait Queue: Send + Sync + 'static {
    /// A new queue id.
    ///
    /// # Errors
    /// Those of the store: the client is told to try later.
    fn allocate(&self) -> Result<QueueId, StoreError>;

    /// A place for a body over [`Body::INLINE_BYTES_MAX`](crate::store::Body::INLINE_BYTES_MAX).
    fn spool(&self, id: QueueId) -> StoreFuture<'_, Box<dyn SpoolWriter>>;

    /// Whether so many more recipients of this account may wait: the cap of waiting mail, a full or failing store.
    ///
    /// # Errors
    /// The 4xx to answer, with the time at which there is room.
    fn admit(&self, account: &Account, recipients: u32) -> Result<(), Refusal>;

    /// Where each recipient's mail stands in line, in the envelope's order. `header_from` is the domain of the From field,
    /// by which some smarthosts demand their login to be chosen.
    fn destinations(&self, account: &Account, envelope: &Envelope, header_from: Option<&str>) -> Vec<Destination>;

    /// Which class a message of that header, size and number of recipients is of, as dispatch is configured.
    fn class(&self, head: &[u8], message_bytes: u64, recipients: usize) -> Class;

    /// Takes the message over. The proof, and with it the 250, comes after the sync.
    fn accept(&self, acceptance: Acceptance) -> StoreFuture<'_, Stored<QueueId>>;

    /// Appends an event that belongs to no message to the journal, without waiting for it.
    fn note(&self, event: Event, now: Now);
}
