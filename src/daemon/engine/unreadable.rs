//! What is read of a message to be sent, and what becomes of one whose content cannot be read: it is held for a person, so
//! that it neither waits for ever nor keeps the others of its line waiting.

use super::Engine;
use super::cache::Loaded;
use crate::mail::QueueId;
use crate::store::{DeliveryEnd, DeliveryOutcome, DeliveryRow, DeliveryState, StoreError, Stored};

impl Engine {
    /// What an attempt needs of a message. `None`: it is gone, or its last delivery ended between the reads, and its body
    /// with it.
    ///
    /// # Errors
    /// It cannot be read now; [`StoreError::Corrupt`] if its content could not be read twice.
    pub(super) async fn load_message(&self, id: QueueId) -> Result<Option<Loaded>, StoreError> {
        match self.load_once(id).await {
            Err(StoreError::Corrupt { .. }) => self.load_once(id).await,
            read => read,
        }
    }

    async fn load_once(&self, id: QueueId) -> Result<Option<Loaded>, StoreError> {
        let Some((row, deliveries)) = self.store.message(id).await? else { return Ok(None) };
        match self.store.content(id).await {
            Ok(content) => Ok(Some(Loaded { row, deliveries, content })),
            // The body goes with the last delivery: while one is left, it is lost.
            Err(StoreError::NoSuchMessage(_)) => match self.store.message(id).await? {
                Some((_, left)) if left.iter().any(is_left) => {
                    Err(StoreError::Corrupt { object: format!("the body of {id}"), detail: "it is missing".to_owned() })
                }
                Some(_) | None => Ok(None),
            },
            Err(error) => Err(error),
        }
    }

    /// Holds what waits of a message whose content is damaged. `false`: it is not, or that cannot be stored now.
    pub(super) async fn hold_unreadable(&self, id: QueueId, error: &StoreError) -> bool {
        let StoreError::Corrupt { object, detail } = error else { return false };
        let Ok(Some((row, deliveries))) = self.store.message(id).await else { return false };
        let reason = format!(
            "its content cannot be read: {object} is damaged: {detail}; restore it from a backup (over 64 KiB it is the \
             file spool/{id}) and release it, or remove it"
        );
        let waiting = deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Waiting);
        let held = |delivery: &DeliveryRow| DeliveryEnd {
            index: delivery.index,
            outcome: DeliveryOutcome::Held { reason: reason.clone() },
        };
        let ends: Vec<DeliveryEnd> = waiting.map(held).collect();
        if ends.is_empty() {
            return true; // held by another line of it, or with a next hop that reads it still
        }
        let now = self.clock.now();
        match self
            .store
            .end_unattempted(id, now, DeliveryState::Waiting, ends, Vec::new())
            .await
            .map(Stored::into_inner)
        {
            Ok(true) => {}
            Ok(false) => return false, // another line of it has it in hand
            Err(error) => {
                tracing::error!(%id, %error, advice = error.advice(), "a message that cannot be read is not held");
                return false;
            }
        }
        tracing::error!(%id, account = %row.account, reason, "a message is held");
        true
    }
}

fn is_left(delivery: &DeliveryRow) -> bool {
    match delivery.state {
        DeliveryState::Waiting | DeliveryState::Held | DeliveryState::UnderWay => true,
        DeliveryState::Delivered | DeliveryState::Bounced | DeliveryState::Removed => false,
    }
}
