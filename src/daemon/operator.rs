//! The daemon as operators see it: what the routes of `api` call.

use super::Daemon;
use super::judge::Stored;
use super::reload::Reloaded;
use crate::align::doctor::{Examined, Sent};
use crate::api::guardian::{AllowRequest, ReleaseRequest, RemoveRequest};
use crate::api::view::MessageView;
use crate::api::{LimitUse, Operator, OperatorError, OperatorFuture, Running};
use crate::mail::QueueId;
use crate::store::{DeliveryRow, Filter, GateKind, MessageRow, Renewed};

impl Operator for Daemon {
    fn running(&self) -> OperatorFuture<'_, Running> {
        Box::pin(async move {
            Ok(Running {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started: self.started,
                sessions: u32::try_from(self.intake.connections()).unwrap_or(u32::MAX),
                connections: u32::try_from(self.engine.connections()).unwrap_or(u32::MAX),
                troubles: self.engine.troubles(),
            })
        })
    }

    fn views(&self, found: Vec<(MessageRow, Vec<DeliveryRow>)>) -> OperatorFuture<'_, Vec<MessageView>> {
        Box::pin(async move { Ok(self.engine.views(found).await) })
    }

    fn limits(&self) -> OperatorFuture<'_, Vec<LimitUse>> {
        Box::pin(async move { Ok(self.engine.limit_uses()) })
    }

    fn hold(&self, kind: GateKind, key: String, by: String, reason: String) -> OperatorFuture<'_, u32> {
        Box::pin(async move {
            let egresses = self.engine.egress_names();
            if kind == GateKind::Egress && !egresses.contains(&key) {
                return Err(OperatorError::Refused {
                    faults: vec![format!("there is no egress \"{key}\"")],
                    advice: format!("the egresses are: {}", egresses.join(", ")),
                });
            }
            Ok(self.engine.close_gate(kind, key, by, reason).await?)
        })
    }

    fn resume(&self, kind: GateKind, key: String, by: String) -> OperatorFuture<'_, bool> {
        Box::pin(async move { Ok(self.engine.open_gate(kind, key, by).await?) })
    }

    fn flush(&self, which: Filter, by: String) -> OperatorFuture<'_, u64> {
        Box::pin(async move {
            let flushed = self.engine.flush(which).await?;
            tracing::info!(by, deliveries = flushed, "waiting mail is tried now");
            Ok(flushed)
        })
    }

    fn remove(&self, id: QueueId, how: RemoveRequest, by: String) -> OperatorFuture<'_, Option<u32>> {
        Box::pin(async move {
            // Read first: its body goes with its last delivery.
            let stored = if how.spam { self.read_for_learning(id).await } else { None };
            let removed = self.engine.remove(id, by.clone()).await?;
            if let Some(stored) = stored.filter(|_| removed.is_some_and(|deliveries| deliveries > 0)) {
                self.judging.rejected(&stored, &by, self.clock.now().wall);
                self.keep_learned().await;
            }
            Ok(removed)
        })
    }

    fn release(&self, id: QueueId, how: ReleaseRequest, by: String) -> OperatorFuture<'_, Option<u32>> {
        Box::pin(async move {
            let stored = self.read_for_learning(id).await;
            let released = {
                // A reload between the two would leave it signed and filed by a configuration that is gone.
                let _no_reload = self.reloading.read().await;
                let renewed = self.renewed(id).await;
                self.engine.release(id, by.clone(), renewed).await?
            };
            if released.is_none_or(|deliveries| deliveries == 0) {
                return Ok(released);
            }
            // What a next hop's refusal held was no judgement of ours: its release says nothing about spam.
            if let Some(stored) = stored.as_ref().filter(|stored| stored.was_held_by_verdict()) {
                self.judging.released(stored, &by, self.clock.now().wall);
                self.keep_learned().await;
            }
            if let Some(ms) = how.allow_ms {
                let why = format!("more like {id}, which was released");
                let asked = AllowRequest { for_ms: Some(ms), why, ..AllowRequest::default() };
                self.allowed_after_release(stored.as_ref(), &asked, &by).await?;
            }
            Ok(released)
        })
    }

    fn examined(&self) -> OperatorFuture<'_, Examined> {
        Box::pin(async move { Ok(self.rounds.examined()) })
    }

    fn sent(&self) -> OperatorFuture<'_, Sent> {
        Box::pin(
            async move { Ok(super::doctor::sent(&self.config(), self.store.as_ref(), self.clock.now().wall).await) },
        )
    }

    fn reload(&self, by: String) -> OperatorFuture<'_, Vec<String>> {
        Box::pin(async move {
            let turn = self.reloading.write().await;
            match Box::pin(Daemon::reload(self, turn, Some(by))).await {
                Reloaded::Done(changes) => Ok(changes),
                Reloaded::Refused { faults, mend } => {
                    Err(OperatorError::Refused { faults, advice: mend.advice().to_owned() })
                }
            }
        })
    }
}

impl Daemon {
    /// What a held message is to leave with. A release does not fail because nothing can be made anew.
    async fn renewed(&self, id: QueueId) -> Option<Renewed> {
        let renewed = self.judging.renewed(self.store.as_ref(), id, self.clock.now().wall).await;
        let warned = renewed.inspect_err(|error| {
            tracing::warn!(id = %id, %error, "a message is released with the signature that it came to be held with");
        });
        warned.ok().flatten()
    }

    /// The message as a decision about it teaches. A deed does not fail because nothing can be learned from it.
    async fn read_for_learning(&self, id: QueueId) -> Option<Stored> {
        let read = self.judging.stored(self.store.as_ref(), id).await;
        let warned = read.inspect_err(|error| {
            tracing::warn!(id = %id, %error, "nothing is learned from a decision: its message cannot be read");
        });
        warned.ok().flatten()
    }

    /// What was learned is written; if it cannot be now, it is tried again with all else.
    async fn keep_learned(&self) {
        if let Err(error) = self.judging.write(self.store.as_ref(), self.clock.as_ref()).await {
            tracing::warn!(%error, advice = error.advice(), "what a decision taught is written later");
        }
    }

    /// The allow rule of `queue release --allow`: the message has left already, so a failure says so.
    async fn allowed_after_release(
        &self,
        stored: Option<&Stored>,
        asked: &AllowRequest,
        by: &str,
    ) -> Result<(), OperatorError> {
        let fault = match stored {
            None => "its message could not be read".to_owned(),
            Some(stored) => match self.allowed_scope(stored.scope(), asked, by).await {
                Ok(_) => return Ok(()),
                Err(OperatorError::Refused { faults, .. }) => faults.join("; "),
                Err(error) => error.to_string(),
            },
        };
        Err(OperatorError::Refused {
            faults: vec![format!("it is released, but no allow rule was made: {fault}")],
            advice: "make one by `outguard allow add`".to_owned(),
        })
    }
}
