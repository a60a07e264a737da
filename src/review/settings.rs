//! What an operator decides about the pages.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[review]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewSettings {
    /// A loopback address: the pages are not encrypted.
    pub listen: SocketAddr,
    /// Lines of `user:$argon2id$…`: who may look.
    pub password_file: PathBuf,
    /// Names by which a browser may ask for the pages, besides `localhost` and loopback addresses: those of a proxy.
    pub names: Vec<String>,
    /// Connections at once; further ones wait to be taken.
    pub connections_max: usize,
}

impl ReviewSettings {
    /// The default of [`ReviewSettings::connections_max`].
    pub const CONNECTIONS_MAX: usize = 32;
}
