//! What reading a message has cost so far, and which bounds it met.

use super::shape::{Bound, Shape, Unkept};

/// Counts that all parts of a message share.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What is told of the message.
    pub(super) shape: Shape,
    /// Bytes of HTML that were read.
    pub(super) html_bytes: usize,
    /// Bytes decoded out of parts that hold a message of their own.
    pub(super) message_bytes: usize,
    /// Bytes inflated out of attachments.
    pub(super) inflated_bytes: usize,
}

impl Tally {
    /// Notes that a bound was met.
    pub(super) fn meet(&mut self, bound: Bound) {
        if !self.shape.met.contains(&bound) {
            self.shape.met.push(bound);
        }
    }

    /// Notes that a rule of the transport was not kept.
    pub(super) fn note(&mut self, unkept: Unkept) {
        if !self.shape.unkept.contains(&unkept) {
            self.shape.unkept.push(unkept);
        }
    }
}
