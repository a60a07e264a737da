//! In whose name mail was sent: what makes a domain a sending one, whatever the configuration names.

use serde::{Deserialize, Serialize};

use crate::account::Account;

/// In whose name mail was sent lately, what sends most first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Of accounts that may speak for the domain: its users by what their MTA or our own AUTH proves, keys and names of
    /// this site.
    pub spoken_for: Vec<SendingDomain>,
    /// Of accounts that only claim it. Anybody can write any domain into a message that an alias passes on, so nobody asks
    /// about these.
    pub claimed: Vec<SendingDomain>,
    /// Of which mail: "in the last 7 days".
    pub span: String,
    /// Why it is not known who sent, where it is not.
    pub trouble: Option<String>,
}

/// A domain that stood in From fields or reverse-paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendingDomain {
    /// The domain.
    pub domain: String,
    /// How many messages.
    pub messages: u64,
    /// Who sent most of them.
    pub account: Account,
}

impl Sent {
    /// Nobody could be asked.
    pub fn unknown(why: String) -> Self {
        Self { trouble: Some(why), ..Self::default() }
    }
}
