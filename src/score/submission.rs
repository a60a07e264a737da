//! What is judged: a message and what is known of its submission.

use std::net::IpAddr;

use crate::account::{Account, AccountSource};
use crate::clock::WallMs;
use crate::mail::Envelope;
use crate::message::Message;

/// One message about to be taken over, or read from a file.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// What it says.
    pub message: &'a Message,
    /// Reverse-path and recipients; absent where a file is judged.
    pub envelope: Option<&'a Envelope>,
    /// Whom it counts against; absent where a file is judged.
    pub account: Option<&'a Account>,
    /// How that is known.
    pub source: Option<AccountSource>,
    /// Where the account's client connected from: the first hop that the MTA names, not the MTA itself.
    pub client: Option<IpAddr>,
    /// When it came.
    pub at: WallMs,
}
