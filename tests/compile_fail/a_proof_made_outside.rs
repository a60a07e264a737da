// error: E0451
//! What was synced only the store can say.

use outguard::mail::QueueId;
use outguard::store::Stored;

pub fn stored(id: QueueId, proof: Stored<QueueId>) -> Stored<QueueId> {
    #[cfg(lie)]
    return Stored { value: id, ..proof };
    #[cfg(not(lie))]
    return if *proof.get() == id { proof } else { panic!("the proof of another message") };
}
