//! What OVHcloud says: of our mail, and of the credentials for its API.
//!
//! What it writes is read here, and it is asked questions that change nothing; nothing is decided. An answer is bounded in
//! size and time; the credentials stand in no error and no log. Read [`flagged`] first: the messages that its anti-spam
//! counts against an address; then [`client`], with [`signature`] (application key, secret and consumer key)
//! and `service_account` (OAuth 2.0).

pub mod client;
pub mod flagged;
mod service_account;
pub mod settings;
pub mod signature;

pub use client::{CREDENTIAL, Credential, Looked, OvhError, Worth, worth};
pub use settings::OvhSettings;
