//! What mail is signed and its egresses are chosen by, and since when: what came before then is looked at anew when it
//! leaves.
//!
//! Kept in the store, so that a restart with the same configuration makes nothing anew that came since. What came before is
//! looked at once more by the next daemon, for which of it was looked at already is not kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::aligning::Aligning;
use super::{Judging, Live};
use crate::align::dkim::{Leaving, Signature};
use crate::clock::{Clock, WallMs};
use crate::daemon::engine::Print;
use crate::delivery::Router;
use crate::mail::QueueId;
use crate::score::behaviour::BehaviourSettings;
use crate::store::{Memory, MemoryKind, Store, StoreError};

/// Under which it is kept.
const KEY: &[u8] = b"basis-by-id";
/// So many that were looked at are remembered; beyond, some are looked at twice.
const LOOKED_AT_MAX: usize = 100_000;
/// What DNS or a disk left undecided is looked at again after so long, in milliseconds.
const UNDECIDED_PAUSE_MS: u64 = 5 * 60_000;
/// A signature that is older is made anew, in milliseconds; where it ends after `signing.expiry`, after half of that.
const SIGNATURE_AGE_MAX_MS: u64 = 24 * 3_600_000;

/// What tells two configurations apart for mail that waits: keys, egresses and what is asked of alignment.
pub(super) fn print(aligning: &Aligning, router: &Router) -> Print {
    Print(xxh3_128(format!("{}{}", aligning.outline(), router.outline()).as_bytes()))
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

    /// What came up to now, or was looked at by now, may be of before.
    fn widen(&mut self, newest: QueueId) {
        *self = Self { print: self.print, since: Some(newest), ..Self::default() };
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

    /// Takes settings over, and then has others take them over, who make mail without judging it. What was made or looked at
    /// meanwhile is looked at as what came before: it may be as it was by the settings of before, and a reload that files
    /// waiting mail anew may have written over what was made of it. Where the others cannot, what held before holds again.
    ///
    /// # Errors
    /// Those of the others.
    pub(in crate::daemon) async fn take_over_with<E>(
        &self,
        (store, clock): (&dyn Store, &dyn Clock),
        (live, behaviour): (Arc<Live>, BehaviourSettings),
        behaviour_before: BehaviourSettings,
        others: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let before = self.live();
        // First who knows that mail is to be made anew, then who sends it.
        self.take_over(live, behaviour);
        let is_another = self.keep_basis(store, clock).await.unwrap_or_else(|error| {
            is_unkept(&error);
            true
        });
        let taken_over = others.await;
        if taken_over.is_err() {
            self.take_over(before, behaviour_before);
            let _ = self.keep_basis(store, clock).await.inspect_err(is_unkept);
        } else if is_another {
            let widened = self.begin(store, clock, Basis::widen).await;
            let _ = widened.inspect_err(is_unkept);
        }
        taken_over
    }

    /// After settings were taken over; whether they are others.
    async fn keep_basis(&self, store: &dyn Store, clock: &dyn Clock) -> Result<bool, StoreError> {
        let print = self.live().print;
        if self.basis().print == print {
            return Ok(false);
        }
        self.begin(store, clock, |basis, newest| {
            basis.take_over(print, newest);
        })
        .await
        .map(|()| true)
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

/// It holds; only a restart will think that it is new.
fn is_unkept(error: &StoreError) {
    tracing::warn!(%error, advice = error.advice(), "what mail is signed by is not on record");
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
    use std::cell::Cell;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::Config;
    use crate::daemon::reload;
    use crate::store::settings::{FreeMin, StoreSettings};
    use crate::store::sqlite::SqliteStore;

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

    /// What mail is judged by with so many signatures looked at: another number, another print.
    fn live(signatures_max: usize, clock: &Arc<dyn Clock>) -> Arc<Live> {
        let mut config = Config::default();
        config.align.signatures_max = signatures_max;
        let router = reload::engine_settings(&config).unwrap().router;
        let (abandoned, _) = tokio::sync::mpsc::unbounded_channel();
        let edges = reload::edges(&config, &[], abandoned).unwrap();
        Arc::new(reload::judge(&config, &edges, router, clock, None).unwrap())
    }

    #[tokio::test]
    async fn what_is_made_while_others_take_settings_over_is_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
        // However little room the machine of the tests has left.
        let (path, free_min) = (folder.path().join("q"), FreeMin::Bytes(0));
        let settings = StoreSettings { path, free_min, ballast_bytes: 0, ..StoreSettings::default() };
        let (store, _) = SqliteStore::open(&settings, Arc::clone(&clock)).unwrap();
        let kept_in = (store.as_ref() as &dyn Store, clock.as_ref());
        let judging = || {
            let first = Arc::into_inner(live(1, &clock)).unwrap();
            let (news, _) = tokio::sync::mpsc::channel(1);
            Judging::new(folder.path(), clock.now(), first, BehaviourSettings::default(), news)
        };
        let present = judging();
        present.recall_basis(kept_in.0, kept_in.1).await.unwrap();
        // Messages of before, of while the others take over, and whether they are to be looked at after it.
        let cases = [
            ("another key", 2, Ok(()), true),
            ("nothing that matters", 2, Ok(()), false),
            ("another key, and the others cannot", 3, Err("no"), true),
        ];
        for (what, signatures_max, others, expected) in cases {
            let (waited, came) = (store.allocate().unwrap(), Cell::new(None));
            let meanwhile = async {
                came.set(Some(store.allocate().unwrap()));
                present.was_looked_at(waited, present.live().print);
                present.is_undecided(waited, present.live().print, clock.now().wall);
                others
            };
            let settings = (live(signatures_max, &clock), BehaviourSettings::default());
            let result = present.take_over_with(kept_in, settings, BehaviourSettings::default(), meanwhile).await;
            assert_eq!(result, others, "{what}");
            let restarted = judging();
            restarted.take_over(present.live(), BehaviourSettings::default());
            restarted.recall_basis(kept_in.0, kept_in.1).await.unwrap();
            for judging in [&present, &restarted] {
                let is_looked_at = |id| judging.is_of_another_basis(id) && !judging.rests(id, clock.now().wall);
                assert_eq!(is_looked_at(waited), expected, "{what}: what waited");
                assert_eq!(is_looked_at(came.get().unwrap()), expected, "{what}: what came meanwhile");
                assert!(!is_looked_at(store.allocate().unwrap()), "{what}: what comes now");
            }
        }
        assert_eq!(present.live().print, live(2, &clock).print, "what held before holds again");
        store.close();
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
