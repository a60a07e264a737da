//! What mail is signed and its egresses are chosen by, and since when: what came before then is looked at anew when it
//! leaves.
//!
//! Kept in the store, so that a restart with the same configuration makes nothing anew that came since. What came before is
//! looked at once more by the next daemon, for which of it was looked at already is not kept.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::{Judging, Live};
use crate::align::dkim::{Leaving, Signature};
use crate::clock::{Clock, WallMs};
use crate::mail::QueueId;
use crate::store::{Memory, MemoryKind, Store, StoreError};

/// Under which it is kept.
const KEY: &[u8] = b"basis-by-id";
/// So many that were looked at are remembered; beyond, some are looked at twice.
const LOOKED_AT_MAX: usize = 100_000;
/// What DNS or a disk left undecided is looked at again after so long, in milliseconds.
const UNDECIDED_PAUSE_MS: u64 = 5 * 60_000;
/// A signature that is older is made anew, in milliseconds; where it ends after `signing.expiry`, after half of that.
const SIGNATURE_AGE_MAX_MS: u64 = 24 * 3_600_000;

/// Keys, egresses and what is asked of alignment, in so far as two configurations are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Print(pub(super) u128);

impl Print {
    pub(super) fn of(live: &Live) -> Self {
        let mut text = live.aligning.outline();
        let _ = write!(text, "{}", live.router.outline());
        Self(xxh3_128(text.as_bytes()))
    }
}

/// What holds now.
#[derive(Debug, Default)]
pub(super) struct Basis {
    print: Print,
    /// What has an id up to this one may have been made by another. No clock: it may be wrong at the start.
    since: Option<QueueId>,
    /// Of that, what was made anew since, and is stored so.
    looked_at: HashSet<QueueId>,
    /// What was looked at then, and is to be looked at again.
    undecided: HashMap<QueueId, WallMs>,
}

impl Basis {
    /// Takes over what holds from now on; whether it is another than before.
    fn take_over(&mut self, print: Print, newest: QueueId) -> bool {
        if self.print == print {
            return false;
        }
        *self = Self { print, since: Some(newest), ..Self::default() };
        true
    }

    /// Whether a message may have been made by another.
    fn is_older(&self, id: QueueId) -> bool {
        Some(id) <= self.since && !self.looked_at.contains(&id)
    }

    fn rests(&self, id: QueueId, now: WallMs) -> bool {
        self.undecided.get(&id).is_some_and(|at| now.0.abs_diff(at.0) < UNDECIDED_PAUSE_MS)
    }

    /// By a print that holds no longer it means nothing.
    fn was_looked_at(&mut self, id: QueueId, by: Print) {
        if Some(id) > self.since || by != self.print {
            return;
        }
        if self.looked_at.len() >= LOOKED_AT_MAX {
            self.looked_at.clear();
        }
        self.looked_at.insert(id);
        self.undecided.remove(&id);
    }

    fn is_undecided(&mut self, id: QueueId, by: Print, now: WallMs) {
        if by != self.print {
            return;
        }
        if self.undecided.len() >= LOOKED_AT_MAX {
            self.undecided.clear();
        }
        self.undecided.insert(id, now);
    }

    fn to_bytes(&self) -> Vec<u8> {
        [&self.print.0.to_be_bytes()[..], &self.since.map_or(0, QueueId::number).to_be_bytes()].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (print, since) = bytes.split_at_checked(16)?;
        let print = Print(u128::from_be_bytes(print.try_into().ok()?));
        let since = Some(QueueId::new(u64::from_be_bytes(since.try_into().ok()?))?);
        Some(Self { print, since, ..Self::default() })
    }
}

impl Judging {
    /// Reads what held when the daemon stopped, and begins with what holds now.
    pub(in crate::daemon) async fn recall_basis(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        let kept = store.memory(MemoryKind::Alignment, Bytes::from_static(KEY)).await;
        if let Ok(Some(kept)) = &kept
            && let Some(kept) = Basis::of_bytes(kept)
        {
            *self.basis() = kept;
        }
        // What cannot be read is another: all that waits is looked at.
        self.keep_basis(store, clock).await.and(kept).map(drop)
    }

    /// After settings were taken over; whether they are others.
    pub(in crate::daemon) async fn keep_basis(&self, store: &dyn Store, clock: &dyn Clock) -> Result<bool, StoreError> {
        let print = Print::of(&self.live());
        if self.basis().print == print {
            return Ok(false);
        }
        self.begin(store, clock, |basis, newest| {
            basis.take_over(print, newest);
        })
        .await
        .map(|()| true)
    }

    /// Once other settings are taken over by those too who make mail without judging it: what they made meanwhile is looked
    /// at as what came before.
    pub(in crate::daemon) async fn widen_basis(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        // A reload files waiting mail anew, and may have written over what was made of it meanwhile.
        self.begin(store, clock, |basis, newest| {
            *basis = Basis { print: basis.print, since: Some(newest), ..Basis::default() };
        })
        .await
    }

    async fn begin(
        &self,
        store: &dyn Store,
        clock: &dyn Clock,
        with: impl FnOnce(&mut Basis, QueueId),
    ) -> Result<(), StoreError> {
        // Given once the settings are those of now: what has a lower one may have been judged by others. Where none can be
        // given, everything may.
        let newest = store.allocate();
        let bytes = {
            let mut basis = self.basis();
            with(&mut basis, *newest.as_ref().unwrap_or(&QueueId::MAX));
            basis.to_bytes()
        };
        newest?;
        let rows = Memory::keep(MemoryKind::Alignment, KEY, bytes).into_iter().collect();
        store.remember(rows, clock.now()).await?.into_inner();
        Ok(())
    }

    /// Whether a message is to be looked at for another configuration.
    pub(super) fn is_of_another_basis(&self, id: QueueId) -> bool {
        self.basis().is_older(id)
    }

    /// Whether it was looked at lately, and nothing could be said.
    pub(super) fn rests(&self, id: QueueId, now: WallMs) -> bool {
        self.basis().rests(id, now)
    }

    /// By what it was looked at, if it was since that holds.
    pub(super) fn print_of(&self, id: QueueId) -> Option<Print> {
        let basis = self.basis();
        (basis.looked_at.contains(&id) || basis.undecided.contains_key(&id)).then_some(basis.print)
    }

    /// Whether what is made by those settings is made by what holds.
    pub(super) fn is_by(&self, by: Print) -> bool {
        self.basis().print == by
    }

    /// It is stored as those settings make it, or they can do nothing for it.
    pub(super) fn was_looked_at(&self, id: QueueId, by: Print) {
        self.basis().was_looked_at(id, by);
    }

    /// It is to be looked at again after a while.
    pub(super) fn is_undecided(&self, id: QueueId, by: Print, now: WallMs) {
        self.basis().is_undecided(id, by, now);
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
    fn what_came_before_a_change_is_looked_at_until_it_is_made_anew() {
        let mut basis = Basis::default();
        assert!(basis.take_over(Print(1), id(100)), "the first");
        assert!(!basis.take_over(Print(1), id(200)), "the same again, as after a restart");
        let cases = [(99, true), (100, true), (101, false)];
        for (number, expected) in cases {
            assert_eq!(basis.is_older(id(number)), expected, "{number}");
        }
        basis.was_looked_at(id(99), Print(7));
        assert!(basis.is_older(id(99)), "it was made by what holds no longer");
        basis.is_undecided(id(99), Print(1), WallMs(5_000));
        let after = 5_000 + UNDECIDED_PAUSE_MS;
        let cases = [(5_000, true), (after - 1, true), (after, false), (0, true)];
        for (now, expected) in cases {
            assert_eq!(basis.rests(id(99), WallMs(now)), expected, "at {now}");
        }
        assert!(basis.is_older(id(99)), "it only rests");
        basis.was_looked_at(id(99), Print(1));
        basis.was_looked_at(id(101), Print(1));
        assert!(!basis.is_older(id(99)) && !basis.rests(id(99), WallMs(5_000)));
        assert_eq!(basis.looked_at.len(), 1, "nothing is remembered of what is not asked for");
        assert_eq!(Basis::of_bytes(&basis.to_bytes()).unwrap().since, Some(id(100)));
        for broken in [&[0; 7][..], &[0xff; 24]] {
            assert!(Basis::of_bytes(broken).is_none(), "{broken:?}");
        }
        basis.is_undecided(id(99), Print(1), WallMs(5_000));
        assert!(basis.take_over(Print(2), id(300)));
        assert!(!basis.rests(id(99), WallMs(5_000)), "another may decide it");
        assert!(basis.is_older(id(99)) && basis.is_older(id(101)), "another change, another look");
        for n in 1..=2 * LOOKED_AT_MAX as u64 {
            basis.since = Some(id(n));
            basis.was_looked_at(id(n), Print(2));
            basis.is_undecided(id(n), Print(2), WallMs(0));
        }
        assert!(basis.looked_at.len() <= LOOKED_AT_MAX && basis.undecided.len() <= LOOKED_AT_MAX);
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
