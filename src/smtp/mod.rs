//! SMTP without sockets: framing, commands, replies, the server's session and the client's. Bytes in, actions out.
//!
//! Nothing here does I/O, reads a clock or keeps a queue. Start with [`server`], or with
//! [`framing`] for where lines and messages end.

pub mod client;
pub mod command;
pub mod framing;
pub mod replies;
pub mod reply;
pub mod server;

pub use reply::{Accepted, Class, ContentAnswer, Prompt, Refusal, Reply, Text};
