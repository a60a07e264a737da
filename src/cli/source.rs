//! Where answers come from: the running daemon, or its store where none runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arguments::{Arguments, CONFIG_PATH};
use super::exit::Failed;
use super::why;
use crate::api::view::{EventView, MessageDetail, MessageView};
use crate::api::{ApiSettings, Client, ClientError, WhyLine};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::delivery::Router;
use crate::limits::LimitSettings;
use crate::store::settings::StoreSettings;
use crate::store::sqlite::{ReadOnlyStore, SqliteStore};
use crate::store::{DeliveryRow, MessageRow, Reads};

/// Which daemon and which store are meant.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) limits: LimitSettings,
    store: PathBuf,
    /// By which egress a delivery would leave, as the configuration has it.
    router: Option<Router>,
}

impl Place {
    /// By `--socket`, else the configuration, else the defaults. The default configuration need not be there, nor be
    /// readable for this user: whoever may open the socket may ask.
    pub(super) fn find(arguments: &Arguments) -> Result<Self, Failed> {
        let loaded = match &arguments.config {
            Some(file) => Some(Config::load(file).map_err(|faults| Failed::Config(faults.to_string()))?),
            None => Config::load(Path::new(CONFIG_PATH)).ok(),
        };
        // The name of this host plays no part in it.
        let router = loaded.as_ref().and_then(|loaded| Router::new(&loaded.config.delivery, "localhost").ok());
        let (api, store, limits) = match loaded {
            Some(loaded) => (loaded.config.api, loaded.config.store, loaded.config.limits),
            None => (ApiSettings::default(), StoreSettings::default(), LimitSettings::default()),
        };
        let socket = arguments.socket.as_deref().unwrap_or(&api.socket);
        Ok(Self { client: Client::new(socket), limits, store: store.path, router })
    }

    /// Takes the daemon's answer; where no daemon runs, gives the store to read instead, and says so on standard error.
    pub(super) fn or_store<T>(&self, answer: Result<T, ClientError>) -> Result<Answer<T>, Failed> {
        let daemon = match answer {
            Ok(value) => return Ok(Answer::Daemon(value)),
            Err(error @ (ClientError::NoDaemon { .. } | ClientError::NotAllowed { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        let clock = Arc::new(SystemClock::new()?);
        let store = match SqliteStore::open_read_only(&self.store, clock) {
            Ok(store) => store,
            Err(store) => return Err(Failed::Open { daemon, store: Box::new(store) }),
        };
        tell_which(&self.store, &mut io::stderr().lock());
        Ok(Answer::Store(store))
    }

    /// For what only a daemon can do.
    pub(super) fn needs_daemon<T>(answer: Result<T, ClientError>, advice: &'static str) -> Result<T, Failed> {
        answer.map_err(|error| match error {
            daemon @ ClientError::NoDaemon { .. } => Failed::NeedsDaemon { daemon, advice },
            ClientError::NotAllowed { .. } | ClientError::Refused { .. } | ClientError::Broken { .. } => error.into(),
        })
    }
}

fn tell_which(store: &Path, err: &mut dyn io::Write) {
    let _ = writeln!(err, "outguard: no daemon answers; read from the store in {}", store.display());
}

/// Who answered.
pub(super) enum Answer<T> {
    /// The daemon, with this.
    Daemon(T),
    /// Nobody; here is the store.
    Store(ReadOnlyStore),
}

/// Messages as the store alone tells them.
pub(super) async fn views(
    place: &Place,
    store: &dyn Reads,
    found: Vec<(MessageRow, Vec<DeliveryRow>)>,
) -> Result<Vec<MessageView>, Failed> {
    let gates = store.gates().await?;
    let now = SystemClock::new()?.now().wall;
    let stand = |row: &MessageRow, delivery: &DeliveryRow| why::stand(&gates, place.router.as_ref(), row, delivery);
    Ok(found.into_iter().map(|(row, deliveries)| MessageView::of(row, deliveries, now, stand)).collect())
}

/// A message as the store alone tells it, with its history.
pub(super) async fn detail(
    place: &Place,
    store: &dyn Reads,
    (row, deliveries): (MessageRow, Vec<DeliveryRow>),
) -> Result<MessageDetail, Failed> {
    let history = store.history(row.id).await?.into_iter().map(EventView::of).collect();
    let message = views(place, store, vec![(row, deliveries)]).await?.pop().expect("one for one");
    Ok(MessageDetail { why: WhyLine::all(&message), message, history })
}
