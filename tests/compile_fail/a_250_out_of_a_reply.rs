// error: E0423
//! A reply of the right code is no 250 after content.

use outguard::smtp::{Accepted, ContentAnswer, Refusal, replies};

pub fn answer() -> ContentAnswer {
    #[cfg(lie)]
    return ContentAnswer::Accepted(Accepted(replies::OK));
    #[cfg(not(lie))]
    return match None::<Accepted> {
        Some(accepted) => ContentAnswer::Accepted(accepted),
        None => ContentAnswer::Refused(Refusal::fixed(replies::INTERNAL)),
    };
}
