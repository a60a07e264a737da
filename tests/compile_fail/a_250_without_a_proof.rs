// error: E0624
//! A 250 after content is made of the store's proof, and of nothing else.

use outguard::mail::QueueId;
use outguard::smtp::{Accepted, ContentAnswer};
use outguard::store::Stored;

pub fn answer(stored: &Stored<QueueId>) -> ContentAnswer {
    #[cfg(lie)]
    return ContentAnswer::Accepted(Accepted::with_proof_of(*stored.get()));
    #[cfg(not(lie))]
    return ContentAnswer::Accepted(Accepted::of(stored));
}
