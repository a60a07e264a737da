//! DKIM (RFC 6376, with RFC 8301 and RFC 8463): signatures read, checked over the bytes that will leave, and why one fails.
//!
//! [`canonical`] is what signing and checking share: the message in its canonical form. [`signature`] reads the header
//! field, [`key`] the record of the public key, [`verify`] puts them together. Time is an argument. The own signature is
//! made by `sign`. Read [`verify`] first.

pub mod canonical;
pub mod key;
pub mod signature;
pub mod tags;
pub mod verify;

pub use canonical::{BodyHash, Form, Leaving};
pub use key::{KeyRecord, RSA_BITS_MIN, RSA_BITS_WEAK};
pub use signature::{Algorithm, Signature};
pub use verify::{Checked, Failure, Outcome, Patience, check, check_within};
