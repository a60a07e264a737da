//! A held message that is released: signed anew, and its egresses chosen anew. Records and keys may have been mended
//! while it was held, and its signature may be near its end. It is not judged as a hold again: a person has decided.

use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use super::aligning::{Matter, Whole};
use super::learning::envelope_of;
use super::{Judging, Live};
use crate::account::AccountSource;
use crate::align::dkim::Leaving;
use crate::align::verdict::Alignment;
use crate::clock::WallMs;
use crate::delivery::Router;
use crate::mail::QueueId;
use crate::message::Message;
use crate::store::{
    Content, ContentBody, DeliveryRow, DeliveryState, Destination, MessageRow, Renewed, Store, StoreError,
};

/// Fields of our prefix that are made anew; all others stay.
const MADE_ANEW: [&str; 4] = ["DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"];

impl Judging {
    /// What a held message is to leave with, and from where. `None`: as it is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::daemon) async fn renewed(
        &self,
        store: &dyn Store,
        id: QueueId,
        at: WallMs,
    ) -> Result<Option<Renewed>, StoreError> {
        let live = self.live();
        if !live.aligning.is_on() {
            return Ok(None);
        }
        let Some((row, deliveries)) = store.message(id).await? else { return Ok(None) };
        let is_held = deliveries.iter().any(|delivery| delivery.state == DeliveryState::Held);
        if row.source == AccountSource::Own || !is_held {
            return Ok(None);
        }
        let content = match store.content(id).await {
            Ok(content) => content,
            Err(StoreError::NoSuchMessage(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((bytes, message)) = self.read(&live, &content).await else { return Ok(None) };
        Ok(renew(&live, (&row, deliveries), &content, (&bytes, &message), at).await)
    }

    /// The bytes that are looked at, and the message in them; `None`: one that must not be read, or cannot be.
    async fn read(&self, live: &Live, content: &Content) -> Option<(Bytes, Message)> {
        let (body, bounds) = (content.body.clone(), live.bounds.clone());
        let bytes = tokio::task::spawn_blocking(move || first_bytes(&body, bounds.message_bytes_max)).await.ok()??;
        let entered = match &self.under_judgement {
            Some(file) => Some(file.enter(&bytes)?),
            None => None,
        };
        let (read, bounds) = (bytes.clone(), live.bounds.clone());
        let message = tokio::task::spawn_blocking(move || Message::parse(&read, &bounds)).await.ok()?;
        drop(entered);
        Some((bytes, message))
    }
}

async fn renew(
    live: &Live,
    (row, deliveries): (&MessageRow, Vec<DeliveryRow>),
    content: &Content,
    (bytes, message): (&Bytes, &Message),
    at: WallMs,
) -> Option<Renewed> {
    let held: Vec<DeliveryRow> =
        deliveries.into_iter().filter(|delivery| delivery.state == DeliveryState::Held).collect();
    // By every egress of the route, whichever were chosen before.
    let plain: Vec<Destination> = held.iter().map(|delivery| Router::restricted(&delivery.destination, &[])).collect();
    let places: Vec<_> = held.iter().map(|delivery| delivery.index).collect();
    let matter = Matter {
        bytes,
        message_bytes: row.size_bytes,
        whole: Whole::Stored(&content.body),
        envelope: &envelope_of(row, held),
        destinations: &plain,
        account: &row.account,
        source: row.source,
        at,
    };
    let aligned = live.aligning.aligned(&matter, message, &live.router).await;
    let is_open = aligned.finding.as_ref().is_some_and(|finding| finding.alignment == Alignment::TempError);
    if is_open && aligned.fields.is_empty() {
        return None;
    }
    // Where DNS does not say, what was found before holds on.
    let destinations = if is_open { Vec::new() } else { aligned.destinations.unwrap_or(plain) };
    let prefix = prefix_with(&content.prefix, &aligned.fields);
    Some(Renewed { prefix, destinations: places.into_iter().zip(destinations).collect() })
}

/// Our fields, those that are made anew replaced.
fn prefix_with(prefix: &[u8], fields: &str) -> Bytes {
    let mut renewed = Vec::with_capacity(prefix.len() + fields.len());
    let Ok(before) = Leaving::new(&[prefix]) else { return Bytes::copy_from_slice(prefix) };
    for field in before.fields().filter(|field| !MADE_ANEW.iter().any(|name| field.is(name))) {
        renewed.extend_from_slice(field.0);
    }
    renewed.extend_from_slice(fields.as_bytes());
    renewed.into()
}

fn first_bytes(body: &ContentBody, bytes_max: usize) -> Option<Bytes> {
    match body {
        ContentBody::Bytes(bytes) => Some(bytes.slice(..bytes.len().min(bytes_max))),
        ContentBody::File(file) => {
            let length = usize::try_from(file.metadata().ok()?.len()).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length.min(bytes_max)];
            file.read_exact_at(&mut bytes, 0).ok()?;
            Some(bytes.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signatures_and_seals_of_ours_are_replaced() {
        let prefix = b"Received: from a\r\n\tby b; today\r\nX-Outguard-Score: 5\r\nARC-Seal: i=1;\r\n\tb=x\r\n\
                       DKIM-Signature: v=1;\r\n\tb=old\r\n";
        let kept = "Received: from a\r\n\tby b; today\r\nX-Outguard-Score: 5\r\n";
        let signature = "DKIM-Signature: v=1;\r\n\tb=new\r\n";
        assert_eq!(prefix_with(prefix, signature), format!("{kept}{signature}"));
        assert_eq!(prefix_with(prefix, ""), kept);
        assert_eq!(prefix_with(b"", signature), signature);
    }
}
