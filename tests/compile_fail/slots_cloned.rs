// error: E0599
//! A second proof of the same slots would let twice as many leave.

use outguard::limits::{Granted, Limits, Moment, RecordId};

pub fn end(limits: &mut Limits, granted: Granted, now: Moment) {
    #[cfg(lie)]
    limits.unknown(granted.clone(), RecordId(1), now);
    limits.give_back(granted, now);
}
