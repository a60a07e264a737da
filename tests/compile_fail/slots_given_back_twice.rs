// error: E0382
//! Slots that were granted are used or given back, once.

use outguard::limits::{Granted, Limits, Moment, RecordId};

pub fn end(limits: &mut Limits, granted: Granted, now: Moment) {
    limits.give_back(granted, now);
    #[cfg(lie)]
    limits.unknown(granted, RecordId(1), now);
}
