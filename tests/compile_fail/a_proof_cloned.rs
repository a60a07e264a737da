// error: E0599
//! One sync, one proof.

use outguard::mail::QueueId;
use outguard::store::Stored;

pub fn twice(proof: Stored<QueueId>) -> (Stored<QueueId>, QueueId) {
    #[cfg(lie)]
    let (proof, id) = (proof.clone(), proof.into_inner());
    #[cfg(not(lie))]
    let id = *proof.get();
    (proof, id)
}
