//! Counts with an upper end: connections, and bytes of messages in flight. What was taken goes back when its holder goes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whom a connection is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// An IPv4 address, or the /64 of an IPv6 one: a host has all of it to choose from.
    Address(IpAddr),
    /// A local user.
    User(u32),
}

impl ClientKey {
    /// The key of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) => Self::Address(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::Address(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

/// How many connections there are, in all and of each client.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_client: HashMap<ClientKey, usize>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Connected {
    connections: Arc<Connections>,
    client: ClientKey,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// In all.
    Connections,
    /// Of this client.
    OfClient,
}

impl Connections {
    /// Counts one more, unless a limit is reached.
    ///
    /// # Errors
    /// Which one.
    pub fn admit(
        self: &Arc<Self>,
        client: ClientKey,
        all_max: usize,
        of_client_max: usize,
    ) -> Result<Connected, TooMany> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= all_max {
            return Err(TooMany::Connections);
        }
        if open.of_client.get(&client).copied().unwrap_or(0) >= of_client_max {
            return Err(TooMany::OfClient);
        }
        open.all += 1;
        *open.of_client.entry(client).or_default() += 1;
        Ok(Connected { connections: Arc::clone(self), client })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Connected {
    /// Counts this connection for another client instead: the user that was found behind an address.
    ///
    /// # Errors
    /// That client has its number already; nothing changes.
    pub fn move_to(&mut self, client: ClientKey, of_client_max: usize) -> Result<(), TooMany> {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = usize::from(client == self.client);
        if open.of_client.get(&client).copied().unwrap_or(0) >= of_client_max + own {
            return Err(TooMany::OfClient);
        }
        open.forget(self.client);
        *open.of_client.entry(client).or_default() += 1;
        self.client = client;
        Ok(())
    }
}

impl Open {
    fn forget(&mut self, client: ClientKey) {
        if let Some(count) = self.of_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&client);
            }
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        open.forget(self.client);
    }
}

/// Bytes of messages that are being received.
#[derive(Debug, Default)]
pub struct InFlight {
    bytes: AtomicU64,
}

/// A message's share of them.
#[derive(Debug)]
pub struct Share {
    all: Arc<InFlight>,
    bytes: u64,
}

impl InFlight {
    /// What a message that tells no size is taken for.
    const UNTOLD_BYTES: u64 = 64 * 1024;

    /// Room for a message of the size that the client told; `None` if there is not enough. A message that grows past its
    /// word takes more as it comes, so that the next ones are put off: it is not refused in mid-content.
    pub fn take(self: &Arc<Self>, told_bytes: Option<u64>, bytes_max: u64) -> Option<Share> {
        let wanted = told_bytes.unwrap_or(Self::UNTOLD_BYTES);
        let room = |taken: u64| {
            // A message larger than everything may pass alone, or it would be put off for ever.
            let after = taken.saturating_add(wanted);
            (after <= bytes_max || taken == 0).then_some(after)
        };
        self.bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Share { all: Arc::clone(self), bytes: wanted })
    }

    /// How many there are.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Share {
    /// The message has grown to this size.
    pub fn grown_to(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.all.bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_back() {
        let connections = Arc::new(Connections::default());
        let key = |text: &str| ClientKey::of(text.parse().unwrap());
        let a = connections.admit(key("192.0.2.1"), 3, 2).unwrap();
        let _b = connections.admit(key("::ffff:192.0.2.1"), 3, 2).unwrap();
        assert_eq!(connections.admit(key("192.0.2.1"), 3, 2).unwrap_err(), TooMany::OfClient);
        let _c = connections.admit(key("2001:db8::1"), 3, 1).unwrap();
        assert_eq!(connections.admit(ClientKey::User(33), 3, 1).unwrap_err(), TooMany::Connections);
        drop(a);
        assert_eq!(connections.count(), 2);
        assert_eq!(connections.admit(key("2001:db8::2"), 3, 1).unwrap_err(), TooMany::OfClient, "one /64");
        assert!(connections.admit(key("192.0.2.1"), 3, 2).is_ok());
    }

    #[test]
    fn bytes_go_back() {
        let all = Arc::new(InFlight::default());
        let mut a = all.take(Some(600), 1_000).unwrap();
        assert!(all.take(Some(401), 1_000).is_none());
        let b = all.take(Some(400), 1_000).unwrap();
        a.grown_to(500); // smaller than told: nothing goes back before the end
        a.grown_to(5_000);
        assert_eq!(all.bytes(), 5_400);
        drop((a, b));
        assert_eq!(all.bytes(), 0);
        assert!(all.take(Some(5_000), 1_000).is_some(), "alone, the largest may pass");
    }
}
