//! Attempts that ended and that the record does not show yet.
//!
//! An outcome takes its time to the store, and a record that is read meanwhile shows the attempt as under way or not at
//! all. What ended is kept here until every reading that could have missed it is over, so that rings which are made again
//! from the record hold it too (invariant 2).

use std::collections::HashMap;
use std::sync::Arc;

use super::lease::{Charge, Counted};
use super::past::{PastAttempt, PastState};

/// An attempt by its number in the record. Only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordId(pub u64);

/// The record is being read: what ends meanwhile is not forgotten. To be taken before the first row is read, and spent by
/// [`Limits::reload`] or [`Limits::retime`]; dropped, the reading came to nothing.
///
/// [`Limits::reload`]: super::Limits::reload
/// [`Limits::retime`]: super::Limits::retime
#[must_use = "without it, attempts that end during the reading are missed"]
#[derive(Debug)]
pub struct Reading(#[expect(dead_code, reason = "it is counted, not looked at")] Arc<()>);

/// The attempts, by their number.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    ended: HashMap<RecordId, Ended>,
    /// Those that are on record since a reading began, and may be missing from it.
    recorded: Vec<RecordId>,
    readings: Arc<()>,
}

#[derive(Debug)]
struct Ended {
    charge: Arc<Charge>,
    counted: Counted,
    state: PastState,
}

impl Unrecorded {
    /// Keeps the end of an attempt. One that counts nothing leaves nothing to remember.
    pub(super) fn keep(&mut self, id: RecordId, charge: Arc<Charge>, counted: Counted, state: PastState) {
        if counted != Counted::default() {
            self.ended.insert(id, Ended { charge, counted, state });
        }
    }

    /// The record shows the end from now on.
    pub(super) fn recorded(&mut self, id: RecordId) {
        if !self.ended.contains_key(&id) {
            return;
        }
        if Arc::strong_count(&self.readings) > 1 {
            self.recorded.push(id);
            return;
        }
        self.ended.remove(&id);
        for id in std::mem::take(&mut self.recorded) {
            self.ended.remove(&id);
        }
    }

    /// A reading begins.
    pub(super) fn reading(&self) -> Reading {
        Reading(Arc::clone(&self.readings))
    }

    /// Whether what the record says of an attempt is not needed: it is here.
    pub(super) fn holds(&self, id: RecordId) -> bool {
        self.ended.contains_key(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = PastAttempt<'_>> {
        self.ended.iter().map(|(id, ended)| PastAttempt {
            id: *id,
            charged: ended.charge.charged(),
            counted: ended.counted,
            state: ended.state,
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Charged, Moment};

    #[test]
    fn what_is_on_record_is_forgotten_once_no_reading_can_have_missed_it() {
        let to = Charged { account: "a@x.example", egress: "192.0.2.1", login: None, route: "mx" };
        let mut unrecorded = Unrecorded::default();
        let keep = |unrecorded: &mut Unrecorded, id: u64, recipients: u32| {
            let charge = Arc::new(Charge::new(&to));
            unrecorded.keep(RecordId(id), charge, Counted::all(recipients), PastState::Used(Moment::BEGINNING));
        };
        keep(&mut unrecorded, 0, 0);
        assert_eq!(unrecorded.len(), 0, "nothing counted");
        keep(&mut unrecorded, 1, 2);
        keep(&mut unrecorded, 2, 2);
        unrecorded.recorded(RecordId(1));
        assert_eq!(unrecorded.len(), 1);
        let (one, two) = (unrecorded.reading(), unrecorded.reading());
        unrecorded.recorded(RecordId(2));
        keep(&mut unrecorded, 3, 2);
        drop(one);
        unrecorded.recorded(RecordId(3));
        assert_eq!(unrecorded.len(), 2, "the second reading goes on");
        drop(two);
        keep(&mut unrecorded, 4, 2);
        unrecorded.recorded(RecordId(4));
        assert_eq!((unrecorded.len(), unrecorded.recorded.capacity()), (0, 0));
    }
}
