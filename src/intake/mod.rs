//! Taking mail: listeners, sessions, TLS, AUTH, trust.
//!
//! The edge around the pure session of `smtp`: it moves bytes, keeps deadlines and asks [`queue::Queue`]. It never decides what
//! leaves, and never says 250 to content without the store's proof. Start with [`queue`], then [`settings`], `session`
//! (the loop of one connection), `acceptance` (the final dot) and [`trust`].
//!
//! Invariants kept here: 3 (no word without its deed), 4 (bytes are kept), 6 (bounded), 7 (nothing leaks).

mod acceptance;
mod client;
mod collect;
mod guards;
pub mod limits;
pub mod listener;
mod live;
pub mod passwords;
pub mod peer;
pub mod queue;
pub mod reports;
mod session;
pub mod settings;
mod shared;
mod sock_diag;
mod stream;
pub mod tls;
pub mod trace;
pub mod trust;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use listener::{BindError, Bound};
pub use live::SettingsError;
pub use queue::Queue;
pub use reports::Reports;
pub use settings::IntakeSettings;

use self::live::Live;
use self::shared::Shared;
use crate::account::{AccountSettings, Rotation};
use crate::clock::Clock;

/// Intake at work.
pub struct Intake {
    shared: Arc<Shared>,
}

/// What intake works with.
pub struct Parts {
    /// How it is configured.
    pub settings: IntakeSettings,
    /// How accounts are found.
    pub accounts: AccountSettings,
    /// What is remembered of reverse-paths.
    pub rotation: Rotation,
    /// Where mail goes.
    pub queue: Arc<dyn Queue>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Intake {
    /// Opens every configured socket. No runtime is needed, and privileges may be dropped afterwards.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn bind(settings: &IntakeSettings) -> Result<Vec<Bound>, BindError> {
        settings.listen.iter().map(Bound::open).collect()
    }

    /// Reads certificate, key and passwords, without listening to anybody. From here on [`Intake::serve`] cannot fail for
    /// them.
    ///
    /// # Errors
    /// Which file cannot be used.
    pub fn new(parts: Parts) -> Result<Self, SettingsError> {
        let live = Live::new(parts.settings, parts.accounts)?;
        Ok(Self { shared: Arc::new(Shared::new(parts.queue, parts.clock, parts.rotation, live)) })
    }

    /// Begins to take connections. To be called within a runtime.
    ///
    /// # Errors
    /// The runtime does not take a socket.
    pub fn serve(&self, sockets: Vec<Bound>) -> io::Result<()> {
        sockets.into_iter().try_for_each(|socket| socket.serve(&self.shared))
    }

    /// Takes over settings that were read again, certificate, key and passwords too. Sessions under way keep theirs.
    ///
    /// # Errors
    /// Nothing was changed: a file cannot be used, or the listeners are others.
    pub fn reload(&self, settings: IntakeSettings, accounts: AccountSettings) -> Result<(), SettingsError> {
        if settings.listen != self.shared.live().settings.listen {
            return Err(SettingsError::ListenChanged);
        }
        let rotation = accounts.rotation;
        self.shared.guards().set(settings.pace);
        self.shared.set_live(Live::new(settings, accounts)?);
        self.shared.rotation().set(rotation);
        Ok(())
    }

    /// Ends in order: no new sessions, idle ones get 421 at once, those in a transaction finish it. Returns when all have
    /// ended, or after `limit`; what is then still under way was not answered, so its client keeps it.
    pub async fn drain(&self, limit: Duration) {
        self.shared.drain.cancel();
        self.shared.tasks.close();
        let _ = tokio::time::timeout(limit, self.shared.tasks.wait()).await;
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// How many bytes of messages are being received.
    pub fn in_flight_bytes(&self) -> u64 {
        self.shared.in_flight.bytes()
    }

    /// What was refused so far, by name.
    pub fn reports(&self) -> &Reports {
        &self.shared.reports
    }
}

#[cfg(test)]
mod tests;
