//! Whether a receiver will find that a message is from whom it says: SPF, DKIM and DMARC judged before it leaves, and
//! our own signature.
//!
//! What is judged is what the receiver will see: the egress's public address and EHLO name, and the very bytes that will
//! leave, our signature among them. Nothing here decides: the guard weighs what is found. DNS trouble is an outcome of
//! its own and never holds mail. Read [`settings`] first.

pub mod arc;
pub mod author;
pub mod dkim;
pub mod dmarc;
pub mod dns;
pub mod doctor;
pub mod facts;
pub mod gather;
pub mod settings;
pub mod sign;
pub mod spf;
mod together;
pub mod verdict;

pub use settings::AlignSettings;
