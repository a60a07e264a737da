//! What OVHcloud says of our mail. Here its words are read; it asks nobody and decides nothing.
//!
//! Read [`flagged`] first: the messages that its anti-spam counts against an address.

pub mod flagged;
