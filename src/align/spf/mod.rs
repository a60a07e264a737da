//! SPF (RFC 7208): whether an address may send for a domain, as a receiver will see it.
//!
//! [`record`] reads a record, [`macros`] fills in its macros, [`evaluate`] asks DNS and answers. The explanation (`exp=`)
//! is read for its syntax alone: it is for the receiver's reply. Read [`evaluate`] first.

pub mod evaluate;
pub mod macros;
pub mod record;

pub use evaluate::{Identity, LOOKUPS_MAX, Spf, SpfResult, VOIDS_MAX, check_host};
