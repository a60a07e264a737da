//! How fast one client may connect and command. For clients that are not trusted: an MTA that hands over its queue is fast,
//! and a 421 at its greeting would make it call this server dead.

use std::num::NonZeroU32;

use super::limits::ClientKey;
use super::settings::PaceOfClient;
use crate::clock::BootMs;
use crate::limits::{Moment, Pacer};

/// Clients that each guard knows at most; those beyond share one bucket.
const CLIENTS_MAX: usize = 100_000;

/// Both guards.
#[derive(Debug)]
pub(super) struct Guards {
    settings: PaceOfClient,
    connections: Option<Pacer<ClientKey>>,
    commands: Option<Pacer<ClientKey>>,
}

impl Guards {
    pub(super) fn new(settings: PaceOfClient) -> Self {
        let pacer = |pace| Pacer::new(pace, CLIENTS_MAX);
        Self { settings, connections: settings.connections.map(pacer), commands: settings.commands.map(pacer) }
    }

    /// Takes over settings that were read again. What passed is remembered only where they are the same.
    pub(super) fn set(&mut self, settings: PaceOfClient) {
        if settings != self.settings {
            *self = Self::new(settings);
        }
    }

    /// Whether one more connection may come.
    pub(super) fn connection_passes(&mut self, client: ClientKey, now: BootMs) -> bool {
        passes(self.connections.as_mut(), client, 1, now)
    }

    /// Whether so many further commands may come.
    pub(super) fn commands_pass(&mut self, client: ClientKey, commands: u32, now: BootMs) -> bool {
        passes(self.commands.as_mut(), client, commands, now)
    }
}

fn passes(guard: Option<&mut Pacer<ClientKey>>, client: ClientKey, n: u32, now: BootMs) -> bool {
    let (Some(guard), Some(n)) = (guard, NonZeroU32::new(n)) else { return true };
    guard.pass(&client, n, Moment::of_boot(now)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_pace() {
        let pace = |text: &str| text.parse().ok();
        let mut guards =
            Guards::new(PaceOfClient { connections: pace("1/s burst 2"), commands: pace("10/s burst 20") });
        let (one, other) = (ClientKey::User(33), ClientKey::User(34));
        assert!(guards.connection_passes(one, BootMs(0)) && guards.connection_passes(one, BootMs(0)));
        assert!(!guards.connection_passes(one, BootMs(999)));
        assert!(guards.connection_passes(other, BootMs(999)));
        assert!(guards.connection_passes(one, BootMs(1_000)), "a second later");
        assert!(guards.commands_pass(one, 20, BootMs(0)) && guards.commands_pass(one, 0, BootMs(0)));
        assert!(!guards.commands_pass(one, 1, BootMs(0)));
        guards.set(PaceOfClient { connections: None, commands: None });
        assert!((0..1_000).all(|_| guards.connection_passes(one, BootMs(0))), "off");
    }
}
