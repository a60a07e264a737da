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

impl Mailbox {
    /// The domain in its comparable form (lower case, A-label), if the address has a valid one.
    pub fn domain(&self) -> Option<String> {
        match Domain::parse(self.address.rsplit_once('@')?.1.trim()).ok()? {
            Domain::Name(name) => Some(name.into()),
            Domain::Literal(_) => None,
        }
    }
}
