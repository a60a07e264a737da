//! DMARC: what the From domain asks receivers to do with mail that nothing aligned authenticates.
//!
//! Receivers find the record and the organizational domain in two ways: by the Public Suffix List (RFC 7489), or by
//! walking up the DNS tree (RFC 9989, which took its place in 2026). Both are followed here, each as a [`View`] of its
//! own, for outgoing mail meets receivers of both kinds. [`record`] reads a record, [`discover`] finds it. What is made
//! of it is said in `verdict`. Read [`discover`] first.

pub mod discover;
pub mod record;

pub use discover::{Applied, Method, View, discover, organizational};
pub use record::{Mode, Policy, PublicSuffix, Record};
