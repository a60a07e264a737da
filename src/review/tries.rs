//! How many passwords a client may try. Pure: the time is an argument.
//!
//! A try is counted before it is checked and taken back if it was right, so that many at once are no way around.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::BootMs;
use crate::intake::limits::ClientKey;

/// Wrong passwords after which a client is put off.
const TRIES_MAX: u32 = 10;
/// The span in which they are counted, from the first on; a client that is put off may try again when it is over.
const SPAN_MS: u64 = 600_000;
/// Clients that are remembered. Loopback has few: its users.
const CLIENTS_MAX: usize = 1_000;

/// Who tried how often.
#[derive(Debug, Default)]
pub(super) struct Tries {
    clients: Mutex<HashMap<ClientKey, Tried>>,
}

#[derive(Debug, Clone, Copy)]
struct Tried {
    since: BootMs,
    times: u32,
}

/// Whether a password is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// It is; the how-manieth wrong one it would be.
    Try(u32),
    /// It is not, for so long.
    PutOff(Duration),
}

impl Tried {
    fn is_past(&self, now: BootMs) -> bool {
        now.0.saturating_sub(self.since.0) >= SPAN_MS
    }
}

impl Tries {
    /// Counts a try, or puts it off.
    pub(super) fn begin(&self, client: ClientKey, now: BootMs) -> Leave {
        let mut clients = self.clients();
        clients.retain(|_, tried| !tried.is_past(now));
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            let oldest = clients.iter().min_by_key(|(_, tried)| tried.since).map(|(client, _)| *client);
            oldest.map(|oldest| clients.remove(&oldest));
        }
        let tried = clients.entry(client).or_insert(Tried { since: now, times: 0 });
        if tried.times >= TRIES_MAX {
            return Leave::PutOff(Duration::from_millis((tried.since.0 + SPAN_MS).saturating_sub(now.0)));
        }
        tried.times += 1;
        Leave::Try(tried.times)
    }

    /// It was right, or not looked at after all. What the client tried before still counts: else whoever shares a client
    /// with an honest one could go on for ever.
    pub(super) fn take_back(&self, client: ClientKey) {
        if let Some(tried) = self.clients().get_mut(&client) {
            tried.times = tried.times.saturating_sub(1);
        }
    }

    /// Whether this was the last wrong one that is looked at.
    pub(super) fn is_last(nth: u32) -> bool {
        nth >= TRIES_MAX
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<ClientKey, Tried>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_ten_wrong_ones_in_ten_minutes() {
        let (tries, client, start) = (Tries::default(), ClientKey::User(33), BootMs(5));
        let at = |ms| BootMs(start.0 + ms);
        for nth in 1..=TRIES_MAX {
            assert_eq!(tries.begin(client, at(u64::from(nth) - 1)), Leave::Try(nth));
            assert_eq!(Tries::is_last(nth), nth == TRIES_MAX);
        }
        assert_eq!(tries.begin(client, at(1_000)), Leave::PutOff(Duration::from_secs(599)));
        assert_eq!(tries.begin(ClientKey::User(34), at(1_000)), Leave::Try(1), "another client");
        // Being put off does not make it longer.
        assert_eq!(tries.begin(client, at(SPAN_MS - 1)), Leave::PutOff(Duration::from_millis(1)));
        assert_eq!(tries.begin(client, at(SPAN_MS)), Leave::Try(1));
    }

    #[test]
    fn right_ones_are_not_counted_and_forgive_nothing() {
        let (tries, client, now) = (Tries::default(), ClientKey::User(33), BootMs(0));
        for _ in 0..100 {
            assert_eq!(tries.begin(client, now), Leave::Try(1));
            tries.take_back(client);
        }
        // Many at once: no more are looked at than one after the other.
        let looked_at = (0..40).filter(|_| matches!(tries.begin(client, now), Leave::Try(_))).count();
        assert_eq!(looked_at, 10);
        tries.take_back(client);
        assert_eq!(tries.begin(client, now), Leave::Try(TRIES_MAX));
        assert!(matches!(tries.begin(client, now), Leave::PutOff(_)), "one right one forgives itself alone");
    }

    #[test]
    fn memory_is_bounded() {
        let tries = Tries::default();
        for n in 0..u32::try_from(CLIENTS_MAX).unwrap() + 500 {
            tries.begin(ClientKey::User(n), BootMs(u64::from(n)));
        }
        assert_eq!(tries.clients().len(), CLIENTS_MAX);
        tries.begin(ClientKey::User(0), BootMs(SPAN_MS * 2));
        assert_eq!(tries.clients().len(), 1);
    }
}
