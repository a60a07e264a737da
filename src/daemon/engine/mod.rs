//! The engine: the shell that moves mail from the store to next hops, as `dispatch` and `limits` decide.
//!
//! A connection that is ready for MAIL asks for a turn; the turn comes with slots of every limit that applies; both are
//! on record before MAIL is said, and the outcome is on record before anything that depends on it (invariants 2 and 3).
//! The engine decides nothing about fairness, limits or replies itself.
//!
//! Read `core.rs` for what is decided under the lock, `connection.rs` for the life of a connection, `settle.rs` for the end
//! of an attempt (`broken_off.rs` for one whose task is gone), `feed.rs` for how waiting mail comes in, `renew.rs` for what
//! is made anew before it leaves, `intake.rs` for what sessions ask, `loops.rs` for what runs all the time.

mod aged;
mod broken_off;
mod cache;
mod connection;
mod core;
mod doubted;
mod explain;
mod failure;
mod feed;
mod gates;
mod hops;
mod in_hand;
mod intake;
mod load;
mod loops;
mod operate;
mod renew;
mod reports;
mod retime;
mod servers;
mod settle;
mod shunned;
mod slots;
mod start;
mod unreadable;
mod used_up;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::core::Core;
use self::in_hand::BrokenOff;
use crate::clock::Clock;
use crate::delivery::{DeliverySettings, Edges};
use crate::store::Store;

pub use renew::{Anew, AsItCame, Outlook, Print, Renewal, Renewing, Waiting};
pub use start::{EngineSettings, StartError};

/// Dispatching and delivery of everything that waits.
pub struct Engine {
    core: Mutex<Core>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    renewing: Arc<dyn Renewing>,
    edges: Mutex<Arc<Edges>>,
    delivery: Mutex<Arc<DeliverySettings>>,
    /// The name of this host in reports.
    host_name: String,
    signals: Signals,
    dates: Mutex<aged::Dates>,
    looks: Mutex<aged::Looks>,
    /// Shared while a message is filed by the routes of now; alone while those change.
    filing: tokio::sync::RwLock<()>,
    /// The queue is filed by one set of routes at a time: the last that is set files last.
    refiling: tokio::sync::Mutex<()>,
    /// One gate is closed or opened at a time, in memory and on record.
    gating: tokio::sync::Mutex<()>,
    connections: TaskTracker,
    /// Where ends go whose task is gone.
    broken: UnboundedSender<BrokenOff>,
    /// No further turns; connections end after what they have under way.
    draining: CancellationToken,
    /// The loops end.
    stopped: CancellationToken,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("connections", &self.connections.len()).finish_non_exhaustive()
    }
}

/// What wakes the loops.
#[derive(Debug, Default)]
struct Signals {
    /// A hop may want a connection.
    connections: Notify,
    /// A line wants more of the store.
    refills: Notify,
    /// The lines of the store are to be read.
    lines: Notify,
    /// Deliveries have a new due time ([`Engine::due_from`]).
    deferred: Notify,
    /// An hour may have passed since it was looked for mail that is too old.
    ages: Notify,
    /// Mail stands where nothing leads any more.
    stranded: Notify,
    /// What is on record of a gate may not be what is believed of it.
    gates: Notify,
}

/// How long an idle connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(5);

impl Engine {
    /// The decisions, locked. Never held over an await.
    fn core(&self) -> MutexGuard<'_, Core> {
        // A panic inside would be a bug of the pure rooms; what they keep is rebuilt from the store at the next start, and
        // until then a refused turn is worth more than a dead relay.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sockets, TLS, names and timeouts of the present configuration.
    fn edges(&self) -> Arc<Edges> {
        Arc::clone(&self.edges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_edges(&self, edges: Arc<Edges>) {
        *self.edges.lock().unwrap_or_else(PoisonError::into_inner) = edges;
    }

    /// Routes and reports of the present configuration.
    fn delivery(&self) -> Arc<DeliverySettings> {
        Arc::clone(&self.delivery.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_delivery(&self, settings: Arc<DeliverySettings>) {
        *self.delivery.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    fn random(&self) -> u64 {
        (self.edges().random)()
    }

    /// Connections to next hops now open or being opened.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Stops: no further turns are given, attempts under way end, at most for `patience`. What has not ended by then is
    /// recovered as unknown at the next start.
    pub async fn drain(&self, patience: Duration) {
        self.draining.cancel();
        self.core().drain();
        self.connections.close();
        if tokio::time::timeout(patience, self.connections.wait()).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                "attempts are still under way at the end; their outcome is unknown, so their mail may be sent once more"
            );
        }
        self.stopped.cancel();
    }

    /// Opens the connections that hops want, until the engine stops.
    async fn connection_loop(self: &Arc<Self>) {
        loop {
            let now = self.clock.now();
            let (wanted, wakeup) = {
                let mut core = self.core();
                let wanted = core.next_connection(now);
                let wakeup = core.next_wakeup();
                (wanted, wakeup)
            };
            if let Some((hop, plan, egress)) = wanted {
                let engine = Arc::clone(self);
                self.connections.spawn(async move { engine.connection(hop, plan, egress).await });
                continue;
            }
            self.signals.refills.notify_one();
            self.signals.stranded.notify_one();
            let wait = wakeup.map_or(Duration::from_mins(1), |at| {
                Duration::from_millis(at.since_ms(crate::limits::Moment::from(now)).saturating_add(1))
            });
            tokio::select! {
                () = self.signals.connections.notified() => {}
                () = tokio::time::sleep(wait.min(Duration::from_mins(1))) => {}
                () = self.stopped.cancelled() => return,
            }
        }
    }

    /// Housekeeping: names and keys that nothing uses, gates whose end has come.
    async fn sweep_loop(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(20)) => {}
                () = self.stopped.cancelled() => return,
            }
            let now = self.clock.now();
            let ended = {
                let mut core = self.core();
                core.sweep(now);
                core.gates.ended(now.wall)
            };
            for (kind, key) in ended {
                if let Err(error) = self.open_ended_gate(kind, key).await {
                    tracing::error!(%error, "a gate whose end has come stays closed; tried again");
                }
            }
        }
    }
}
