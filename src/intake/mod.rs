//! Taking mail: listeners, sessions, TLS, AUTH, trust.
//!
//! The edge around the pure session of `smtp`: it moves bytes, keeps deadlines and asks [`queue::Queue`] and [`judge::Judge`]. It
//! never decides what leaves, and never says 250 to content without the store's proof. Start with [`queue`], then [`settings`], `session`
//! (the loop of one connection), `acceptance` (the final dot) and [`trust`].
//!
//! Invariants kept here: 3 (no word without its deed), 4 (bytes are kept), 6 (bounded), 7 (nothing leaks).

mod acceptance;
mod client;
mod collect;
mod guards;
pub mod judge;
pub mod limits;
pub mod listener;
mod listening;
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
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use judge::Judge;
pub use listener::{BindError, Bound};
pub use live::{SettingsError, machine_name, own_name};
pub use queue::Queue;
pub use reports::Reports;
pub use settings::IntakeSettings;

use self::listener::Ready;
use self::live::Live;
use self::shared::Shared;
use crate::account::{AccountSettings, Rotation};
use crate::clock::Clock;

/// Intake at work.
pub struct Intake {
    shared: Arc<Shared>,
}

/// Settings that can be taken over.
pub struct Prepared {
    live: Live,
    sockets: Vec<Ready>,
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
    /// Who judges it.
    pub judge: Arc<dyn Judge>,
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
        Ok(Self { shared: Arc::new(Shared::new(parts.queue, parts.judge, parts.clock, parts.rotation, live)) })
    }

    /// Begins to take connections. To be called within a runtime.
    ///
    /// # Errors
    /// The runtime does not take a socket.
    pub fn serve(&self, sockets: Vec<Bound>) -> io::Result<()> {
        let sockets = sockets.into_iter().map(Bound::ready).collect::<io::Result<Vec<_>>>()?;
        self.shared.listening.begin(sockets, &self.shared);
        Ok(())
    }

    /// Reads the files that new settings name, and opens the listeners that are new in them. Nothing is in effect before
    /// [`Intake::take_over`]. To be called within a runtime.
    ///
    /// # Errors
    /// Nothing was changed: a file cannot be used, or a listener not be opened.
    pub fn prepare(&self, settings: IntakeSettings, accounts: AccountSettings) -> Result<Prepared, SettingsError> {
        let live = Live::new(settings, accounts)?;
        let sockets = self.shared.listening.open_missing(&live.settings.listen).map_err(SettingsError::Bind)?;
        Ok(Prepared { live, sockets })
    }

    /// The TCP addresses that mail is taken at once these settings are in effect.
    pub fn addresses(&self, prepared: &Prepared) -> Vec<SocketAddr> {
        let mut addresses = self.shared.listening.addresses(&prepared.live.settings.listen);
        addresses.extend(prepared.sockets.iter().filter_map(Ready::local_addr));
        addresses
    }

    /// Takes prepared settings over. Sessions under way keep theirs, also those of listeners that are closed now.
    pub fn take_over(&self, prepared: Prepared) {
        let Prepared { live, sockets } = prepared;
        self.shared.guards().set(live.settings.pace);
        self.shared.rotation().set(live.accounts.rotation);
        let listed = live.settings.listen.clone();
        self.shared.set_live(live);
        self.shared.listening.begin(sockets, &self.shared);
        self.shared.listening.end_others(&listed);
    }

    /// What is known of reverse-paths from before the start, where it was not known yet then.
    pub fn recall(&self, known: Rotation) {
        self.shared.rotation().recall(known);
    }

    /// Forgets prepared settings.
    pub fn give_up(&self, prepared: Prepared) {
        self.shared.listening.give_up(prepared.sockets);
    }

    /// Ends in order: no new sessions, idle ones get 421 at once, those in a transaction finish it. Returns when all have
    /// ended, or after `limit`; what is then still under way was not answered, so its client keeps it.
    pub async fn drain(&self, limit: Duration) {
        self.shared.drain.cancel();
        self.shared.listening.end();
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
