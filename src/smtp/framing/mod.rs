//! Where lines and messages end, for both sides of SMTP (RFC 5321 2.3.8, 4.1.1.4, 4.5.2).
//!
//! Only CRLF ends a line and only CRLF.CRLF ends a message: a reader that is more liberal than its neighbour lets one
//! message be read as two. Nothing here keeps bytes. The caller holds them, hands over what is unread, and gives what
//! was not used again with more behind it; so no split of the stream changes the result. Start with [`content`].

pub mod content;
pub mod line;
pub mod stuff;

pub use content::{ContentDecoder, ContentFault, Piece, StrayPolicy};
pub use line::{LineDecoder, LineFault};
pub use stuff::DotStuffer;
