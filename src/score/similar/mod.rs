//! Near-copies: how often a text was seen lately, in other words too, by whom and to whom.
//!
//! A text becomes a [`Signature`] that survives other names, numbers and links for each recipient; the [`Texts`] of the
//! last two days are kept in a bounded store over all accounts. Many copies to strangers are a campaign; to a known list
//! they are not: that is for [`behaviour`](super::behaviour) to say. Pure. Read [`signature`] first.

pub mod signature;
pub mod texts;

pub use signature::Signature;
pub use texts::{Copies, Texts};
