//! The memory of reverse-paths, made again from the store at a start: else each restart would make every sender new, and
//! the first days, in which the rule only reports, begin anew. With very many messages it is made while mail is taken.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{AccountSettings, AccountSource, Rotation, resolve};
use crate::clock::WallMs;
use crate::store::{Reads, StoreError};

use super::Daemon;

/// How many messages are read at once.
const PAGE_ROWS: usize = 2_000;
/// How long a start waits for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// What is remembered, or will be.
pub(super) enum Remembered {
    Now(Rotation),
    Later(tokio::task::JoinHandle<Rotation>),
}

/// Begins to read what is remembered; a short memory is there at once.
pub(super) async fn begin(store: Arc<dyn Reads>, settings: AccountSettings, now: WallMs) -> Remembered {
    let rotation = settings.rotation;
    let mut reading = tokio::spawn(async move { remembered(&*store, &settings, now).await });
    match tokio::time::timeout(PATIENCE, &mut reading).await {
        Ok(Ok(remembered)) => Remembered::Now(remembered),
        // A panic in it is a fault of ours, shown by the log: the rule begins anew, which makes it only report.
        Ok(Err(_)) => Remembered::Now(Rotation::new(rotation, now)),
        Err(_) => Remembered::Later(reading),
    }
}

impl Daemon {
    /// Gives intake what is remembered as soon as it is read.
    pub(super) fn recall_senders(self: &Arc<Self>, reading: tokio::task::JoinHandle<Rotation>) {
        let daemon = Arc::downgrade(self);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let abort = reading.abort_handle();
            tokio::select! {
                read = reading => {
                    let Some(daemon) = daemon.upgrade() else { return };
                    // A panic in it is a fault of ours, shown by the log: the rule begins anew, which makes it only report.
                    let rotation = read.unwrap_or_else(|_| {
                        Rotation::new(daemon.config().account.rotation, daemon.clock.now().wall)
                    });
                    daemon.intake.recall(rotation);
                }
                () = stop.cancelled() => abort.abort(),
            }
        });
    }
}

/// What is remembered of reverse-paths. If the store cannot tell, the rule begins anew, which makes it only report.
async fn remembered(store: &dyn Reads, settings: &AccountSettings, now: WallMs) -> Rotation {
    match from_store(store, settings, now).await {
        Ok(rotation) => rotation,
        Err(error) => {
            tracing::warn!(%error, "the senders of the last days are not known; senders that rotate are only reported");
            Rotation::new(settings.rotation, now)
        }
    }
}

async fn from_store(store: &dyn Reads, settings: &AccountSettings, now: WallMs) -> Result<Rotation, StoreError> {
    // The journal forgets after weeks, the rule only reports for days: what is left is old enough either way.
    let since = store.events(0, 1).await?.first().map_or(now, |event| event.at.min(now));
    let mut rotation = Rotation::new(settings.rotation, since);
    let oldest = now.0.saturating_sub(u64::from(settings.rotation.new_after_days) * DAY_MS);
    let mut after = None;
    loop {
        let page = store.senders(after, PAGE_ROWS).await?;
        let Some(last) = page.last() else { return Ok(rotation) };
        after = Some(last.id);
        for row in page {
            let young = (oldest..=now.0).contains(&row.received.0);
            if let (AccountSource::ReversePath, true, Some(address)) = (row.source, young, row.reverse_path.address()) {
                let sender = resolve::claimed(settings, address);
                rotation.remember(&sender, &row.account, &row.client, row.received);
            }
        }
    }
}
