//! A name and an address of a header field (RFC 5322 3.4).

use crate::mail::Domain;

/// One mailbox of From, Sender, Reply-To, To or Cc.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// The display name, decoded; empty if there is none.
    pub name: String,
    /// What stands as the address, as written; it need not be a valid one.
    pub address: String,
}

/// How much of a field's addresses was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    /// All that any reader would find.
    #[default]
    Whole,
    /// A part of it is too long to be read, or is no address and may be one to another reader.
    InPart,
}

impl Mailbox {
    /// The domain in its comparable form (lower case, A-label), if the address has a valid one.
    pub fn domain(&self) -> Option<String> {
        match Domain::parse(self.address.rsplit_once('@')?.1.trim()).ok()? {
            Domain::Name(name) => Some(name.into()),
            Domain::Literal(_) => None,
        }
    }
}
