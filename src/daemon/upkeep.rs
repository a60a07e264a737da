//! What happens beside the mail: the journal's events become log lines, history is pruned.

use std::sync::Arc;
use std::time::Duration;

use super::log::Log;
use super::{Daemon, reload};
use crate::clock::WallMs;
use crate::limits::RuleBook;
use crate::store::{KeepAttempts, Store as _};

/// How often history is pruned at least, once it is done, and at most: a hundredth of the time that it is kept.
const PRUNE_EVERY_MAX: Duration = Duration::from_mins(10);
const PRUNE_EVERY_MIN: Duration = Duration::from_secs(1);
/// How long after the start first: one that is started every few minutes forgets too.
const PRUNE_FIRST_MAX: Duration = Duration::from_mins(1);
/// How long after the stop the last events are waited for.
const LAST_EVENTS: Duration = Duration::from_millis(100);
/// The pause between two small batches, so that mail goes first.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);

impl Daemon {
    pub(super) fn begin_upkeep(self: &Arc<Self>, log: Log) {
        let mut events = self.store.subscribe();
        let (stop, writer) = (self.stop.clone(), log.clone());
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    rows = events.next_all() => match rows {
                        Some(rows) => writer.events(&rows),
                        None => return,
                    },
                    () = stop.cancelled() => break,
                }
            }
            // What was committed before the stop is written too.
            while let Ok(Some(rows)) = tokio::time::timeout(LAST_EVENTS, events.next_all()).await {
                writer.events(&rows);
            }
        });
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_mins(1)) => log.report_left_out(),
                    () = stop.cancelled() => return,
                }
            }
        });
        let daemon = Arc::downgrade(self);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let Some(mut wait) = daemon.upgrade().map(|daemon| daemon.prune_every().min(PRUNE_FIRST_MAX)) else {
                return;
            };
            loop {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => return,
                }
                let Some(daemon) = daemon.upgrade() else { return };
                wait = if daemon.prune().await { PRUNE_PAUSE } else { daemon.prune_every() };
            }
        });
    }

    fn prune_every(&self) -> Duration {
        (self.config().store.journal_keep / 100).clamp(PRUNE_EVERY_MIN, PRUNE_EVERY_MAX)
    }

    /// One small batch; whether there is more to do.
    async fn prune(&self) -> bool {
        let config = self.config();
        let now = self.clock.now().wall;
        let before = |keep: u64| WallMs(now.0.saturating_sub(keep));
        let journal_keep = u64::try_from(config.store.journal_keep.as_millis()).unwrap_or(u64::MAX);
        let longest = RuleBook::new(&config.limits).map_or(0, |rules| rules.longest_window_ms());
        let attempts_keep = reload::attempts_keep_ms(&config, longest);
        let bytes_max = config.store.journal_bytes_max;
        let attempts = KeepAttempts {
            keep_ms: attempts_keep,
            earlier_boots_since: self.clock.synchronised().then(|| before(attempts_keep)),
        };
        match self.store.prune(before(journal_keep), attempts, bytes_max).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, advice = error.advice(), "history is not pruned now");
                false
            }
        }
    }
}
