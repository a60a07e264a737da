//! The client's side of SMTP: from the greeting to a connection that takes mail, and one transaction after another.
//!
//! Pure: replies in, commands out. It never decides what becomes of a message; it says which reply speaks about which
//! recipient. A next hop is believed for its own message only: [`reply`] reads it strictly and within bounds. Start with
//! [`handshake`], then [`transaction`].

pub mod extensions;
pub mod handshake;
pub mod reply;
pub mod transaction;

use std::fmt;

pub use extensions::Extensions;
pub use handshake::{Handshake, HandshakeFault, Next, TlsWish};
pub use reply::{Enhanced, PeerReply, ReplyFault, ReplyReader, Tone};
pub use transaction::{MailFacts, RcptFacts, Step, Transaction};

/// What a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The connection itself.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// The final dot.
    Content,
}

impl Stage {
    /// As in "in reply to …".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "the connection",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "the content",
        }
    }

    /// Whether a reply at this stage speaks about one message, and so may bounce it.
    pub const fn is_about_the_message(self) -> bool {
        match self {
            Self::Greeting | Self::Ehlo | Self::StartTls | Self::Auth => false,
            Self::Mail | Self::Rcpt | Self::Data | Self::Content => true,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
