//! What an operator decides about the control socket.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where operators ask, and who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// The path of the Unix socket.
    pub socket: PathBuf,
    /// Its file mode, as in `chmod`.
    pub mode: u32,
    /// What those may do who can open the socket and are neither root nor the service user.
    pub others: Role,
    /// Connections at once; further ones wait to be taken.
    pub connections_max: usize,
}

impl ApiSettings {
    /// Where the socket is if nothing else is said.
    pub const SOCKET: &str = "/run/outguard/control.sock";
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { socket: Self::SOCKET.into(), mode: 0o660, others: Role::Read, connections_max: 32 }
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Nothing.
    None,
    /// Look.
    Read,
    /// Hold, resume, flush, remove, release, reload.
    Admin,
}
