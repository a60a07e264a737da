//! What mail is made of: addresses, the envelope, queue ids, header fields.
//!
//! Plain values that know their RFC and hold nothing invalid. Nothing here reads a socket or a file. Start with
//! [`envelope`].

pub mod address;
pub mod envelope;
pub mod header;
pub mod list_zone;
pub mod queue_id;
pub mod visible;

pub use address::{Address, AddressError, Domain, ReversePath};
pub use envelope::{BodyType, Envelope, Notify, OriginalRecipient, Recipient, Ret};
pub use list_zone::{ListZone, ListZoneError};
pub use queue_id::QueueId;
pub use visible::{Quoted, Visible};
