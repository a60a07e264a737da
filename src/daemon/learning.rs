//! What happens beside the mail so that judging learns: the journal is heard, memories are written, suspicion is acted on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::Daemon;
use super::judge::News;
use crate::event::Event;
use crate::score::behaviour::{Suspend, SuspendAdvice};
use crate::store::GateKind;

/// How often what was learned is written: a crash forgets no more.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// How often what is too old is forgotten.
const PRUNE_EVERY: Duration = Duration::from_mins(30);
/// The journal's name for what the guard does by itself.
const BY: &str = "guard";

impl Daemon {
    pub(super) fn begin_learning(self: &Arc<Self>, mut news: Receiver<News>) {
        let mut events = self.store.subscribe();
        let (judging, stop) = (Arc::clone(&self.judging), self.stop.clone());
        self.tasks.spawn(async move {
            while let Some(Some(rows)) = stop.run_until_cancelled(events.next_all()).await {
                judging.heard(&rows);
            }
        });
        let (daemon, stop) = (Arc::downgrade(self), self.stop.clone());
        self.tasks.spawn(async move {
            let mut is_failing = false;
            while stop.run_until_cancelled(tokio::time::sleep(WRITE_EVERY)).await.is_some() {
                let Some(daemon) = daemon.upgrade() else { return };
                let written = daemon.judging.write(daemon.store.as_ref(), daemon.clock.as_ref()).await;
                if let (Err(error), false) = (&written, is_failing) {
                    tracing::warn!(%error, advice = error.advice(), "what is learned is not written now");
                }
                is_failing = written.is_err();
            }
        });
        let (daemon, stop) = (Arc::downgrade(self), self.stop.clone());
        self.tasks.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(PRUNE_EVERY)).await.is_some() {
                let Some(daemon) = daemon.upgrade() else { return };
                if let Err(error) = daemon.judging.prune(daemon.store.as_ref(), daemon.clock.now()).await {
                    tracing::warn!(%error, advice = error.advice(), "old memories are not forgotten now");
                }
            }
        });
        let (daemon, stop) = (Arc::downgrade(self), self.stop.clone());
        self.tasks.spawn(async move {
            while let Some(Some(news)) = stop.run_until_cancelled(news.recv()).await {
                let Some(daemon) = daemon.upgrade() else { return };
                match news {
                    News::Suspect { advice, proven } => daemon.suspect(advice, proven).await,
                    News::Event(event) => daemon.note(event).await,
                }
            }
        });
    }

    /// Says that an account is perhaps in foreign hands, and closes its gate where that is configured and the account was
    /// proven: anybody may write the address of another. Once in an hour is enough; each further message that is held says
    /// so by itself.
    async fn suspect(&self, advice: SuspendAdvice, proven: bool) {
        let SuspendAdvice { account, held, messages, deed } = advice;
        let closing = deed == Suspend::CloseGate && proven;
        let now = self.clock.now().wall;
        if !self.judging.is_news(&account, closing, now) {
            return;
        }
        let mut gate_closed = false;
        if closing {
            let reason = format!("{held} of its {messages} messages of the last hour were held by their score");
            let closed = self.engine.close_gate(GateKind::Account, account.to_string(), BY.to_owned(), reason).await;
            gate_closed = closed.is_ok();
            if let Err(error) = closed {
                tracing::error!(%error, advice = error.advice(), account = %account, "a suspect account is not held");
            }
        }
        self.judging.was_told(account.clone(), gate_closed, now);
        self.note(Event::AccountSuspect { account, held, messages, gate_closed }).await;
    }
}
