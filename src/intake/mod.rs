//! Taking mail: listeners, sessions, TLS, AUTH, trust.
//!
//! The edge around the pure session of `smtp`: it moves bytes, keeps deadlines and asks [`queue::Queue`]. It never decides what
//! leaves, and never says 250 to content without the store's proof. Start with [`queue`].

pub mod queue;

pub use queue::Queue;
