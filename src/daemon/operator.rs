//! The daemon as operators see it: what the routes of `api` call.

use super::Daemon;
use super::reload::Reloaded;
use crate::api::{LimitUse, Operator, OperatorError, OperatorFuture, Running, WhyLine};
use crate::mail::QueueId;
use crate::store::{Filter, GateKind};

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

    fn why(&self, id: QueueId) -> OperatorFuture<'_, Vec<WhyLine>> {
        Box::pin(async move { Ok(self.engine.explain(id).await?) })
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

    fn remove(&self, id: QueueId, by: String) -> OperatorFuture<'_, Option<u32>> {
        Box::pin(async move { Ok(self.engine.remove(id, by).await?) })
    }

    fn release(&self, id: QueueId, by: String) -> OperatorFuture<'_, Option<u32>> {
        Box::pin(async move { Ok(self.engine.release(id, by).await?) })
    }

    fn reload(&self, by: String) -> OperatorFuture<'_, Vec<String>> {
        Box::pin(async move {
            match Daemon::reload(self).await {
                Reloaded::Done(changes) => {
                    tracing::info!(by, changes = changes.join("; "), "reloaded");
                    Ok(changes)
                }
                Reloaded::Refused(faults) => Err(OperatorError::Refused {
                    faults,
                    advice: "the old configuration stays in effect; correct the file and reload again".to_owned(),
                }),
            }
        })
    }
}
