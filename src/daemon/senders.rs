//! The memory of reverse-paths, made again from the store at a start: else each restart would make every sender new, and
//! the first days, in which the rule only reports, begin anew.

use crate::account::{AccountSettings, AccountSource, Rotation, resolve};
use crate::clock::WallMs;
use crate::store::{Reads, StoreError};

/// How many messages are read at once.
const PAGE_ROWS: usize = 10_000;
/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// What is remembered of reverse-paths. If the store cannot tell, the rule begins anew, which makes it only report.
pub(super) async fn remembered(store: &dyn Reads, settings: &AccountSettings, now: WallMs) -> Rotation {
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
