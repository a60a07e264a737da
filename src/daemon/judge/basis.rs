//! What mail is signed and its egresses are chosen by, and since when: what came before then is looked at anew when it
//! leaves.
//!
//! Kept in the store, so that a restart with the same configuration makes nothing anew.

use std::collections::HashSet;
use std::fmt::Write as _;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::{Judging, Live};
use crate::align::dkim::{Leaving, Signature};
use crate::clock::{Clock, WallMs};
use crate::mail::QueueId;
use crate::store::{Memory, MemoryKind, Store, StoreError};

/// Under which it is kept.
const KEY: &[u8] = b"basis";
/// So many that were looked at are remembered; beyond, some are looked at twice.
const LOOKED_AT_MAX: usize = 100_000;
/// A signature that is older is made anew, in milliseconds; where it ends after `signing.expiry`, after half of that.
const SIGNATURE_AGE_MAX_MS: u64 = 24 * 3_600_000;

/// Keys, egresses and what is asked of alignment, in so far as two configurations are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Print(u128);

impl Print {
    fn of(live: &Live) -> Self {
        let mut text = live.aligning.outline();
        let _ = write!(text, "{}", live.router.outline());
        Self(xxh3_128(text.as_bytes()))
    }
}

/// What holds now.
#[derive(Debug, Default)]
pub(super) struct Basis {
    print: Print,
    /// What came until then may have been made by another.
    since: WallMs,
    /// Of that, what was looked at since.
    looked_at: HashSet<QueueId>,
}

impl Basis {
    /// Takes over what holds from now on; whether it is another than before.
    fn take_over(&mut self, print: Print, now: WallMs) -> bool {
        if self.print == print {
            return false;
        }
        *self = Self { print, since: now, looked_at: HashSet::new() };
        true
    }

    /// Whether a message that came then may have been made by another.
    fn is_older(&self, id: QueueId, received: WallMs) -> bool {
        received <= self.since && !self.looked_at.contains(&id)
    }

    fn was_looked_at(&mut self, id: QueueId, received: WallMs) {
        if received > self.since {
            return;
        }
        if self.looked_at.len() >= LOOKED_AT_MAX {
            self.looked_at.clear();
        }
        self.looked_at.insert(id);
    }

    fn to_bytes(&self) -> Vec<u8> {
        [&self.print.0.to_be_bytes()[..], &self.since.0.to_be_bytes()].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (print, since) = bytes.split_at_checked(16)?;
        let print = Print(u128::from_be_bytes(print.try_into().ok()?));
        Some(Self { print, since: WallMs(u64::from_be_bytes(since.try_into().ok()?)), looked_at: HashSet::new() })
    }
}

impl Judging {
    /// Reads what held when the daemon stopped, and begins with what holds now.
    pub(in crate::daemon) async fn recall_basis(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        let kept = store.memory(MemoryKind::Alignment, Bytes::from_static(KEY)).await?;
        if let Some(kept) = kept.as_deref().and_then(Basis::of_bytes) {
            *self.basis() = kept;
        }
        self.keep_basis(store, clock).await
    }

    /// After settings were taken over.
    pub(in crate::daemon) async fn keep_basis(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        let print = Print::of(&self.live());
        // Read once the settings are those of now: what came before may have been judged by others.
        let now = clock.now();
        let bytes = {
            let mut basis = self.basis();
            if !basis.take_over(print, now.wall) {
                return Ok(());
            }
            basis.to_bytes()
        };
        let rows = Memory::keep(MemoryKind::Alignment, KEY, bytes).into_iter().collect();
        store.remember(rows, now).await?.into_inner();
        Ok(())
    }

    /// Whether a message of that id, received then, is to be looked at for another configuration.
    pub(super) fn is_of_another_basis(&self, id: QueueId, received: WallMs) -> bool {
        self.basis().is_older(id, received)
    }

    /// It has been, or a person decided about it.
    pub(super) fn was_looked_at(&self, id: QueueId, received: WallMs) {
        self.basis().was_looked_at(id, received);
    }
}

impl Live {
    /// Whether our signature is so old that a new one is better. `received` tells at once of most that it is not.
    pub(super) fn is_signature_old(&self, prefix: &[u8], received: WallMs, now: WallMs) -> bool {
        is_old((prefix, self.aligning.signature_lasts_ms()), received, now)
    }
}

fn is_old((prefix, lasts_ms): (&[u8], Option<u64>), received: WallMs, now: WallMs) -> bool {
    let age_max_ms = SIGNATURE_AGE_MAX_MS.min(lasts_ms.map_or(u64::MAX, |lasts| lasts / 2));
    let is_old = |made: WallMs| now.0.saturating_sub(made.0) > age_max_ms;
    is_old(received) && signed_at(prefix).is_some_and(is_old)
}

/// When the oldest of our signatures was made.
fn signed_at(prefix: &[u8]) -> Option<WallMs> {
    let leaving = Leaving::new(&[prefix]).ok()?;
    let signed = leaving.fields().filter(|field| field.is("DKIM-Signature"));
    let at = signed.filter_map(|field| Signature::parse(&String::from_utf8_lossy(field.value())).ok()?.signed_at);
    at.min().map(|seconds| WallMs(seconds.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> QueueId {
        QueueId::new(number).unwrap()
    }

    #[test]
    fn what_came_before_a_change_is_looked_at_once() {
        let mut basis = Basis::default();
        assert!(basis.take_over(Print(1), WallMs(100)), "the first");
        assert!(!basis.take_over(Print(1), WallMs(200)), "the same again, as after a restart");
        let cases = [(id(1), 99, true), (id(2), 100, true), (id(3), 101, false)];
        for (id, received, expected) in cases {
            assert_eq!(basis.is_older(id, WallMs(received)), expected, "{id} of {received}");
        }
        basis.was_looked_at(id(1), WallMs(99));
        basis.was_looked_at(id(3), WallMs(101));
        assert!(!basis.is_older(id(1), WallMs(99)));
        assert_eq!(basis.looked_at.len(), 1, "nothing is remembered of what is not asked for");
        assert_eq!(Basis::of_bytes(&basis.to_bytes()).unwrap().since, WallMs(100));
        assert!(Basis::of_bytes(&[0; 7]).is_none());
        assert!(basis.take_over(Print(2), WallMs(300)));
        assert!(
            basis.is_older(id(1), WallMs(99)) && basis.is_older(id(3), WallMs(101)),
            "another change, another look"
        );
        for n in 1..=2 * LOOKED_AT_MAX as u64 {
            basis.was_looked_at(id(n), WallMs(0));
        }
        assert!(basis.looked_at.len() <= LOOKED_AT_MAX);
    }

    #[test]
    fn the_oldest_signature_tells() {
        let signature = |t: u64| {
            format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s;\r\n\tt={t}; h=from; bh=AAAA;\r\n\tb=AAAA\r\n"
            )
        };
        let received = "Received: from a by b; today\r\n";
        let cases = [
            (String::new(), None),
            (received.to_owned(), None),
            (format!("{received}{}", signature(7)), Some(WallMs(7_000))),
            (format!("{}{received}{}", signature(9), signature(8)), Some(WallMs(8_000))),
            ("DKIM-Signature: broken\r\n".to_owned(), None),
        ];
        for (prefix, expected) in cases {
            assert_eq!(signed_at(prefix.as_bytes()), expected, "{prefix}");
        }
        let (hour, day) = (3_600_000, 24 * 3_600_000);
        let cases = [
            // made, lasts, received, now
            (0, None, 0, day, false),
            (0, None, 0, day + 1, true),
            (0, Some(14 * day), 0, day + 1, true),
            (0, Some(2 * hour), 0, hour + 1, true),
            (hour, Some(2 * hour), 0, hour + 1, false), // made anew meanwhile
            (day, None, day, 0, false),                 // a clock that was stepped back
        ];
        for (made, lasts_ms, received, now, expected) in cases {
            let prefix = signature(made / 1_000);
            let got = is_old((prefix.as_bytes(), lasts_ms), WallMs(received), WallMs(now));
            assert_eq!(got, expected, "made {made}, lasts {lasts_ms:?}, received {received}, now {now}");
        }
        assert!(!is_old((b"", None), WallMs(0), WallMs(9 * day)), "there is none");
    }
}
