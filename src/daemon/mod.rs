//! The daemon: wires the parts, takes signals, reloads, drains.
//!
//! Read [`run`]: it is the picture of `docs/architecture.md` in the order in which things must happen. Nothing here decides
//! about mail.

mod doctor;
pub mod engine;
mod guardian;
mod judge;
mod lacks;
mod learning;
pub mod log;
mod operator;
mod overview;
pub mod privileges;
mod readiness;
mod reload;
mod senders;
mod signals;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::doctor::rounds::Rounds;
pub use self::doctor::{asked_by, look, sent};
pub use self::engine::Engine;
use self::engine::{Renewing, StartError};
use self::judge::Judging;
pub use self::lacks::lacks;
use self::privileges::{PrivilegeError, RunsAs};
use self::reload::OneAtATime;
pub use self::reload::engine_settings;
use self::senders::Remembered;
use self::signals::{Ending, HangupKept};
use crate::account::Rotation;
use crate::api::{Api, ControlSocket, SocketError};
use crate::clock::{Clock, SystemClock, WallMs};
use crate::config::{Config, Diagnostics};
use crate::delivery::Abandoned;
use crate::event::Event;
use crate::intake::{BindError, Bound, Intake, Parts, SettingsError};
use crate::review::{self, Door, PageError, PageListener};
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::store::{Reads as _, Store};

/// How long sessions may take to end at a stop.
const SESSIONS_PATIENCE: Duration = Duration::from_secs(30);
/// How long attempts may: longer than `delivery.timeouts.envelope`, so that one whose next hop falls silent before its
/// content ends by itself, and its lease goes back; shorter than `TimeoutStopSec` of the unit.
const ATTEMPTS_PATIENCE: Duration = Duration::from_secs(75);

/// Why the daemon does not run. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(#[from] Diagnostics),
    /// A socket for clients cannot be opened.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// The process cannot become the service user.
    #[error("{0}")]
    Privileges(#[from] PrivilegeError),
    /// The log cannot be set up.
    #[error("{0}")]
    Log(#[from] log::LogError),
    /// The store does not open.
    #[error("{0}")]
    Store(#[from] OpenError),
    /// Certificate, key or passwords cannot be used.
    #[error("{0}")]
    Intake(#[from] SettingsError),
    /// The control socket cannot be opened.
    #[error("{0}")]
    Control(#[from] SocketError),
    /// The pages cannot be served.
    #[error("{0}")]
    Review(#[from] PageError),
    /// The queue cannot be read.
    #[error("{0}")]
    Engine(#[from] StartError),
    /// What delivery needs cannot be set up.
    #[error("{what}: {detail}; {advice}")]
    Delivery {
        /// Which part.
        what: &'static str,
        /// What is wrong.
        detail: String,
        /// What to do.
        advice: &'static str,
    },
    /// The system refuses something without which nothing runs.
    #[error("{what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Its words.
        source: std::io::Error,
    },
}

/// Runs the daemon in the foreground until a signal ends it. `ready` is told once mail is taken, and where: addresses, and
/// the paths of Unix sockets.
///
/// # Errors
/// It could not start.
pub fn run(config_file: &Path, ready: impl FnOnce(&[String])) -> Result<(), RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let hangup = HangupKept::begin().map_err(system("SIGHUP"))?;
    let config = Config::load(config_file)?;
    // Ports below 1024 need rights that are then given up, before there is a second thread.
    let sockets = Intake::bind(&config.config.intake)?;
    let runs_as = privileges::drop_to(config.config.user.as_deref())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().map_err(system("the boot id of this machine"))?);
    let log = log::Log::start(&config.config.log, Arc::clone(&clock))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for warning in lacks(&config.config) {
        tracing::warn!("{warning}");
    }
    match runs_as {
        RunsAs::Root => {
            tracing::warn!("running as root: name a `user` in the configuration, or start outguard as its own user");
        }
        RunsAs::Dropped => reload::warn_of_unreadable(config_file),
        RunsAs::User => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system("threads"))?;
    runtime.block_on(async {
        let signals = (hangup.listen().map_err(system("SIGHUP"))?, Ending::new().map_err(system("SIGTERM"))?);
        let places: Vec<String> = sockets.iter().map(Bound::place).collect();
        let daemon = Daemon::start(config.config, sockets, clock, Some(config_file.to_owned()), log).await?;
        ready(&places);
        Box::pin(daemon.until_signalled(signals)).await;
        Ok(())
    })
}

/// A running daemon.
pub struct Daemon {
    /// The TCP addresses that mail is taken at since the start; a reload may change them.
    pub addresses: Vec<SocketAddr>,
    /// The queue at work.
    pub engine: Arc<Engine>,
    /// The store behind it.
    pub store: Arc<SqliteStore>,
    intake: Intake,
    clock: Arc<dyn Clock>,
    config: Mutex<Config>,
    config_file: Option<PathBuf>,
    /// Who may look at the pages, where there are any.
    door: Option<Arc<Door>>,
    started: WallMs,
    judging: Arc<Judging>,
    rounds: Rounds,
    /// One reload at a time; shared by what makes a message anew by the configuration of now and then files it.
    reloading: tokio::sync::RwLock<OneAtATime>,
    /// Where attempts tell that they were broken off; a reload passes it on.
    abandoned: tokio::sync::mpsc::UnboundedSender<Abandoned>,
    /// Loops that end with the daemon.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Daemon {
    /// Opens the store, recovers, and takes mail. To be called within a runtime.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn start(
        config: Config,
        sockets: Vec<Bound>,
        clock: Arc<dyn Clock>,
        config_file: Option<PathBuf>,
        log: log::Log,
    ) -> Result<Arc<Self>, RunError> {
        let (store, recovered) = SqliteStore::open(&config.store, Arc::clone(&clock))?;
        let addresses: Vec<SocketAddr> = sockets.iter().filter_map(Bound::local_addr).collect();
        let (abandoned, abandoned_receiver) = tokio::sync::mpsc::unbounded_channel();
        let edges = reload::edges(&config, &addresses, abandoned.clone())?;
        let settings = reload::engine_settings(&config)?;
        let live = reload::judge(&config, &edges, Arc::clone(&settings.router), &clock, None)?;
        let any_store: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let (news, heard) = tokio::sync::mpsc::channel(judge::NEWS_MAX);
        let folder = config.store.path.clone();
        let judging = Judging::new(&folder, clock.now(), live, config.behaviour.clone(), news);
        let judging = Arc::new(judging);
        if let Err(error) = judging.recall(store.as_ref(), clock.as_ref()).await {
            tracing::warn!(%error, advice = error.advice(), "habits and lessons of earlier runs are not known");
        }
        let reads = Arc::clone(&store) as Arc<dyn crate::store::Reads>;
        if let Err(error) = judging.recall_basis(store.as_ref(), clock.as_ref()).await {
            tracing::warn!(%error, advice = error.advice(), "all waiting mail is looked at once more before it leaves");
        }
        let renewing = Arc::clone(&judging) as Arc<dyn Renewing>;
        let engine =
            Engine::start(settings, any_store, Arc::clone(&clock), edges, renewing, abandoned_receiver).await?;
        let senders = senders::begin(reads, config.account.clone(), clock.now().wall).await;
        let (rotation, still_read) = match senders {
            Remembered::Now(rotation) => (rotation, None),
            Remembered::Later(reading) => (Rotation::unread(config.account.rotation), Some(reading)),
        };
        let intake = Intake::new(Parts {
            settings: config.intake.clone(),
            accounts: config.account.clone(),
            rotation,
            queue: Arc::clone(&engine) as Arc<dyn crate::intake::Queue>,
            judge: Arc::clone(&judging) as Arc<dyn crate::intake::Judge>,
            clock: Arc::clone(&clock),
        })?;
        let control = ControlSocket::bind(&config.api)?;
        let pages = match &config.review {
            Some(settings) => Some(PageListener::bind(settings, Arc::clone(&clock)).await?),
            None => None,
        };
        let door = pages.as_ref().map(PageListener::door);
        let local_part = config.account.local_part;
        let daemon = Arc::new(Self {
            addresses,
            engine,
            store,
            intake,
            judging,
            rounds: Rounds::default(),
            started: clock.now().wall,
            clock,
            config: Mutex::new(config),
            config_file,
            door,
            reloading: tokio::sync::RwLock::default(),
            abandoned,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let reads = Arc::clone(&daemon.store) as Arc<dyn crate::store::Reads>;
        let api = Api::new(reads, Arc::clone(&daemon) as _, Arc::clone(&daemon) as _, local_part)
            .with_pages(review::pages(Arc::clone(&daemon) as _));
        daemon.tasks.spawn(control.serve(api, daemon.stop.clone()));
        if let Some(pages) = pages {
            daemon.tasks.spawn(pages.serve(Arc::clone(&daemon) as _, daemon.stop.clone()));
        }
        daemon.begin_upkeep(log);
        daemon.begin_learning(heard);
        if let Some(reading) = still_read {
            daemon.recall_senders(reading);
        }
        daemon.begin_rounds().await;
        daemon
            .note(Event::Started {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                waiting: recovered.waiting,
                unknown_attempts: recovered.unknown_attempts,
            })
            .await;
        // Last, so that the first session finds everything at work.
        daemon.intake.serve(sockets).map_err(|source| RunError::System { what: "the listeners", source })?;
        Ok(daemon)
    }

    /// Reloads at SIGHUP; returns after a drain, at SIGTERM or SIGINT.
    async fn until_signalled(self: &Arc<Self>, (mut hangup, mut ending): (Signal, Ending)) {
        readiness::ready("taking mail");
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    readiness::reloading();
                    // A release may wait for DNS, and a reload for the release; an end waits for neither.
                    let turn = tokio::select! {
                        turn = self.reloading.write() => turn,
                        () = ending.told() => break,
                    };
                    self.reload_and_tell(turn).await;
                    readiness::ready("taking mail");
                }
                () = ending.told() => break,
            }
        }
        readiness::stopping();
        tracing::info!("stopping: sessions end, attempts under way end; a second signal stops at once");
        tokio::select! {
            () = self.shutdown() => {}
            () = ending.told() => tracing::warn!("stopped at once; attempts under way are recovered at the next start"),
        }
    }

    /// Ends in order: no new mail, no new attempts, everything on record.
    pub async fn shutdown(&self) {
        tokio::join!(self.intake.drain(SESSIONS_PATIENCE), self.engine.drain(ATTEMPTS_PATIENCE));
        if let Err(error) = self.judging.write(self.store.as_ref(), self.clock.as_ref()).await {
            tracing::warn!(%error, "what was learned in the last seconds is lost");
        }
        let waiting = self.store.totals().await.map_or(0, |totals| totals.waiting);
        self.note(Event::Stopped { waiting }).await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await.is_err() {
            tracing::warn!("some readers of the store did not end in time");
        }
        self.store.close();
    }

    async fn note(&self, event: Event) {
        let name = event.name();
        if let Err(error) = self.store.note(event, self.clock.now()).await {
            tracing::error!(%error, event = name, advice = error.advice(), "the journal lacks an event");
        }
    }

    fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
