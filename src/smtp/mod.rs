//! SMTP without sockets: framing, commands, replies, the server's session and the client's. Bytes in, actions out.
//!
//! Nothing here does I/O, reads a clock or keeps a queue. Start with [`reply`].

pub mod framing;
pub mod reply;

pub use reply::{Accepted, Class, ContentAnswer, Prompt, Refusal, Reply, Text};
