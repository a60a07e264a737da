//! What all sessions share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::guards::Guards;
use super::judge::Judge;
use super::limits::{Connections, InFlight};
use super::listening::Listening;
use super::live::Live;
use super::passwords::Failures;
use super::queue::Queue;
use super::reports::{Report, Reports};
use crate::account::Rotation;
use crate::clock::Clock;

pub(super) struct Shared {
    pub queue: Arc<dyn Queue>,
    pub judge: Arc<dyn Judge>,
    pub clock: Arc<dyn Clock>,
    pub connections: Arc<Connections>,
    pub in_flight: Arc<InFlight>,
    pub failures: Failures,
    pub reports: Arc<Reports>,
    /// Cancelled when no new session may begin and idle ones end.
    pub drain: CancellationToken,
    /// Listeners and sessions.
    pub tasks: TaskTracker,
    live: RwLock<Arc<Live>>,
    rotation: Mutex<Rotation>,
    guards: Mutex<Guards>,
    pub listening: Listening,
}

impl Shared {
    pub(super) fn new(
        queue: Arc<dyn Queue>,
        judge: Arc<dyn Judge>,
        clock: Arc<dyn Clock>,
        rotation: Rotation,
        live: Live,
    ) -> Self {
        Self {
            queue,
            judge,
            clock,
            connections: Arc::default(),
            in_flight: Arc::default(),
            failures: Failures::default(),
            reports: Arc::default(),
            drain: CancellationToken::new(),
            tasks: TaskTracker::new(),
            rotation: Mutex::new(rotation),
            listening: Listening::default(),
            guards: Mutex::new(Guards::new(live.settings.pace)),
            live: RwLock::new(Arc::new(live)),
        }
    }

    /// The settings of now.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_live(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    pub(super) fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn guards(&self) -> MutexGuard<'_, Guards> {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, report: Report, client: &str, detail: &str) {
        self.reports.report(report, self.clock.now().boot, client, detail);
    }
}
