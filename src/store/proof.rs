//! The proof that something survived a sync (invariant 3).

use crate::mail::QueueId;
use crate::smtp::Accepted;

/// `T` is in the store, and the sync of its transaction returned.
///
/// Private field, no `Clone`: only `store` makes one, and it is spent once.
#[must_use = "a proof is there to be spent: a 250, a MAIL, the next deed"]
#[derive(Debug, PartialEq, Eq)]
pub struct Stored<T> {
    value: T,
}

impl<T> Stored<T> {
    /// For the stores of this room alone, after their sync.
    pub(in crate::store) fn after_sync(value: T) -> Self {
        Self { value }
    }

    /// For tests of the rooms above, whose stores keep nothing.
    #[cfg(test)]
    pub(crate) fn pretended(value: T) -> Self {
        Self { value }
    }

    /// Looks at what was stored.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Spends the proof.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl Accepted {
    /// The only 250 after a message's content.
    pub fn of(stored: &Stored<QueueId>) -> Self {
        Self::with_proof_of(stored.value)
    }
}
