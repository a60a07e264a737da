//! Starting the engine from what the store remembers, and taking over a changed configuration.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use super::gates::Gates;
use super::load::WaitingLoad;
use super::loops::PastPlaced;
use super::slots::Slots;
use super::{Engine, Renewing, Signals, used_up};
use crate::clock::{BootId, BootMs, Clock, Now};
use crate::delivery::{Abandoned, DeliverySettings, Edges, NoPlan, Router};
use crate::dispatch::DispatchSettings;
use crate::limits::{
    Bridge, Charged, Counted, Filled, Limits, Moment, PaceSettings, Paces, PastAttempt, PastState, RecordId, RuleBook,
    Stamp, Timeline, WallClock,
};
use crate::store::{AttemptRow, AttemptsPruned, RouteFacts, Store, StoreError};

/// By how much an attempt whose outcome is unknown may count longer than its window, generously, in milliseconds.
const UNKNOWN_MS_MAX: u64 = 24 * 3_600_000;
/// How often mail that stands where nothing leads is filed anew at most, in milliseconds.
const STRANDED_MS: u64 = 600_000;
/// The same where the store could not file it.
const UNFILED_MS: u64 = 10_000;
/// Bytes of fresh messages kept in memory for their first attempt: what is taken while one turn goes round. More would only be
/// kept of what waits, and is read from the store by the time its turn comes.
const FRESH_BYTES_MAX: usize = 16 << 20;

/// What the engine is configured with; already checked.
#[derive(Debug)]
pub struct EngineSettings {
    /// The limits.
    pub rules: RuleBook,
    /// The pace inside them.
    pub pace: PaceSettings,
    /// Turns, retries, caps.
    pub dispatch: DispatchSettings,
    /// Routes, egresses and logins.
    pub router: Arc<Router>,
    /// Routes as written, for DSNs.
    pub delivery: DeliverySettings,
    /// The name of this host in reports.
    pub host_name: String,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the store remembers cannot be read.
    #[error("{0}; {advice}", advice = .0.advice())]
    Store(#[from] StoreError),
}

impl Engine {
    /// Reads gates, attempts and counts, and begins to dispatch. To be called within a runtime.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        settings: EngineSettings,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        edges: Arc<Edges>,
        renewing: Arc<dyn Renewing>,
        abandoned: UnboundedReceiver<Abandoned>,
    ) -> Result<Arc<Self>, StartError> {
        let now = clock.now();
        let record = Record::read(&*store, &*clock, now, &settings.rules).await?;
        if record.timeline.bridge() == Bridge::NoTimePassed {
            tracing::warn!(
                "the wall clock is not synchronised or runs behind the last record: slots used before this boot count \
                 from now on, until the clock is synchronised"
            );
        }
        let past = if record.timeline.bridge() == Bridge::Wall { PastPlaced::Yes } else { PastPlaced::Later };
        let mut limits = Limits::start(settings.rules, record.past(), record.kept_since, Moment::from(now));
        for filled in record.used_up {
            limits.filled(filled, Moment::from(now));
        }
        let gates = Gates::new(store.gates().await?);
        let own_account = settings.delivery.dsn.account.clone();
        let load = WaitingLoad::new(own_account, store.waiting_by_account().await?);
        let core = Core::new(
            settings.dispatch,
            Slots::new(limits, Paces::new(&settings.pace)),
            gates,
            settings.router,
            FRESH_BYTES_MAX,
            load,
        );
        let (broken, ends) = unbounded_channel();
        let engine = Arc::new(Self {
            core: Mutex::new(core),
            store,
            clock,
            renewing,
            edges: Mutex::new(edges),
            delivery: Mutex::new(Arc::new(settings.delivery)),
            host_name: settings.host_name,
            signals: Signals::default(),
            dates: Mutex::default(),
            looks: Mutex::default(),
            filing: tokio::sync::RwLock::default(),
            refiling: tokio::sync::Mutex::default(),
            gating: tokio::sync::Mutex::default(),
            connections: TaskTracker::new(),
            broken,
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        engine.begin(abandoned, ends, now, past);
        Ok(engine)
    }

    /// Takes over a changed configuration. Sessions, connections and attempts under way go on; what waits is read again
    /// where routes changed.
    ///
    /// # Errors
    /// The store cannot be read; nothing was changed.
    pub async fn reload(&self, settings: EngineSettings, edges: Arc<Edges>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let reading = self.core().slots.limits.reading();
        let record = Record::read(&*self.store, &*self.clock, now, &settings.rules).await?;
        let rerouted = self.delivery().routes != settings.delivery.routes;
        {
            // What was filed by the old routes is in the store before that is looked through.
            let _alone = self.filing.write().await;
            let mut core = self.core();
            let kept_since = record.kept_since;
            core.slots.limits.reload(settings.rules, record.past(), kept_since, reading, Moment::from(now));
            core.slots.paces = Paces::new(&settings.pace);
            core.dispatch.reload(&settings.dispatch);
            core.settings = settings.dispatch;
            core.load.own_account = settings.delivery.dsn.account.clone();
            core.reweigh();
            core.reroute(settings.router);
            core.rerouted = self.clock.now().boot;
            self.set_edges(edges);
            self.set_delivery(Arc::new(settings.delivery));
        }
        if rerouted {
            self.reroute_queue().await;
        } else if self.core().hops.values().any(|hop| matches!(hop.plan, Err(NoPlan::EgressGone { .. }))) {
            self.signals.lines.notify_one();
        }
        self.signals.connections.notify_one();
        self.signals.refills.notify_one();
        Ok(())
    }

    /// Mail that stands where nothing leads is filed anew: routes were changed while the daemon was down, or while it came.
    /// Where the routes of now lead it nowhere, it says so, and they are asked again in ten minutes at the soonest.
    pub(super) async fn stranded_loop(&self) {
        let mut not_before = BootMs(0);
        loop {
            tokio::select! {
                () = self.signals.stranded.notified() => {}
                () = self.stopped.cancelled() => return,
            }
            let now = self.clock.now().boot;
            if now >= not_before && self.core().take_stranded() {
                let is_filed = self.reroute_queue().await;
                not_before = BootMs(now.0.saturating_add(if is_filed { STRANDED_MS } else { UNFILED_MS }));
            }
        }
    }

    /// Files all that has not ended under the destinations that the routes of now name for it: what waits, what is held,
    /// and what is under way, should it wait again. `false`: the store could not, and it is done again as stranded mail.
    pub(super) async fn reroute_queue(&self) -> bool {
        let _one_at_a_time = self.refiling.lock().await;
        let router = Arc::clone(&self.core().router);
        let file = move |waiting: &RouteFacts<'_>| router.refile(waiting);
        self.core().forget_waiting();
        let filed = self.store.reroute(Box::new(file)).await;
        let is_filed = filed.is_ok();
        match filed {
            Ok(moved) if moved > 0 => tracing::info!(deliveries = moved, "mail of the queue goes another way now"),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "mail of the queue is still filed by the old routes; tried again");
                self.core().strand();
            }
        }
        self.core().forget_waiting();
        self.signals.lines.notify_one();
        is_filed
    }
}

/// The record of attempts, and what next hops called used up, placed on this boot's line of time.
pub(super) struct Record {
    rows: Vec<(AttemptRow, PastState)>,
    pub(super) used_up: Vec<Filled>,
    pub(super) timeline: Timeline,
    /// From when on it is complete.
    pub(super) kept_since: Moment,
}

impl Record {
    pub(super) async fn read(
        store: &dyn Store,
        clock: &dyn Clock,
        now: Now,
        rules: &RuleBook,
    ) -> Result<Self, StoreError> {
        let rows = store.attempts(rules.longest_window_ms().saturating_add(UNKNOWN_MS_MAX)).await?;
        let wall = if clock.synchronised() { WallClock::Synchronised } else { WallClock::Unsynchronised };
        let stamps: Vec<Stamp> = rows.iter().map(last_stamp).collect();
        let used_up = used_up::remembered(store).await?;
        let timeline = Timeline::new(clock.boot_id(), now, wall, &in_order(&rows, &stamps, &used_up));
        let used_up = used_up.into_iter().filter_map(|row| row.placed(&timeline)).collect();
        let states = rows.iter().zip(&stamps).map(|(row, stamp)| match (row.ended_boot, row.unknown) {
            (None, _) => PastState::UnderWay,
            (Some(_), true) => PastState::Unknown(timeline.place(stamp)),
            (Some(_), false) => PastState::Used(timeline.place(stamp)),
        });
        let states: Vec<PastState> = states.collect();
        let rows = rows.into_iter().zip(states).collect();
        let kept_since = match store.attempts_pruned().await? {
            None => Moment::BEGINNING,
            Some(AttemptsPruned { until, kept_ms }) => {
                // A clock that was wrong in the future must not make every limit full.
                Moment::from(now).minus_ms(now.wall.0.saturating_sub(until.0).max(kept_ms))
            }
        };
        Ok(Self { rows, used_up, timeline, kept_since })
    }

    pub(super) fn past(&self) -> impl Iterator<Item = PastAttempt<'_>> {
        self.rows.iter().map(|(row, state)| PastAttempt {
            id: RecordId(row.id.0),
            charged: Charged {
                account: row.account.as_str(),
                egress: &row.egress,
                login: row.login.as_deref(),
                route: &row.route,
            },
            counted: Counted { recipients: row.recipients, messages: row.messages },
            state: *state,
        })
    }
}

/// All moments on record as they came to be there. What a next hop called used up outlives the attempt that heard it, and
/// may be all that is known of its boot.
fn in_order(rows: &[AttemptRow], stamps: &[Stamp], used_up: &[used_up::Row]) -> Vec<Stamp> {
    let of_attempts = rows.iter().zip(stamps).map(|(row, stamp)| (row.id.0, stamp.clone()));
    let of_used_up = used_up.iter().map(|row| {
        let stamp = row.stamp();
        // Where it is not known who heard it: among its boot, or, since attempts are forgotten oldest first, before all.
        let of_its_boot = || rows.iter().rfind(|attempt| attempt.boot_id == *stamp.boot.0).map(|attempt| attempt.id.0);
        (row.attempt().map(|id| id.0).or_else(of_its_boot).unwrap_or(0), stamp)
    });
    let mut all: Vec<(u64, Stamp)> = of_attempts.chain(of_used_up).collect();
    all.sort_by_key(|(attempt, stamp)| (*attempt, stamp.wall_ms));
    all.into_iter().map(|(_, stamp)| stamp).collect()
}

/// The last moment that an attempt's row speaks of.
fn last_stamp(row: &AttemptRow) -> Stamp {
    Stamp {
        boot: BootId(row.boot_id.as_str().into()),
        boot_ms: BootMs(row.ended_boot.unwrap_or(row.leased_boot)),
        wall_ms: row.ended_wall.unwrap_or(row.leased_wall),
    }
}
