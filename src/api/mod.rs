//! The routes that CLI, pages and scripts share: HTTP and JSON on a Unix socket, and their client.
//!
//! The socket's peer credentials say who asks: root and the service user are admin, others have the configured role. What
//! the store can answer is read from it; what only the daemon knows or does stands behind the trait [`Operator`]. Nothing
//! here decides about mail. Read [`operator`] first, then [`view`] (the JSON), [`routes`] (which path is what) and
//! [`socket`].

pub mod caller;
pub mod client;
#[cfg(test)]
pub(crate) mod fake;
mod guard_routes;
pub mod guardian;
pub mod operator;
pub mod refusal;
pub mod routes;
pub mod settings;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod view;
pub mod why;

pub use client::{Client, ClientError};
pub use guardian::Guardian;
pub use operator::{LimitUse, Operator, OperatorError, OperatorFuture, Running};
pub use routes::Api;
pub use settings::{ApiSettings, Role};
pub use socket::{ControlSocket, SocketError};
pub use why::{Stand, WhyLine};
