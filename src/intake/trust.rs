//! What a client may do and whether it is believed about others (design: Trust).
//!
//! By address and, for local clients, by user. A local user that is neither root nor an MTA may relay, but only for itself:
//! a hacked site that connects here counts as `uid:<name>`, whatever it says.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::peer;
use super::settings::TrustSettings;
use crate::smtp::server::{Access, AuthOffer, ClientRights, Trust};

/// The rules of [`TrustSettings`], ready to be asked.
#[derive(Debug)]
pub struct TrustRules {
    relay: Vec<IpNet>,
    trusted: Vec<IpNet>,
    trusted_uids: HashSet<u32>,
}

/// Where a client is, as far as we know ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// At an address. The user is known for a connection over loopback only.
    Address {
        /// Which.
        ip: IpAddr,
        /// The user of the connecting process.
        uid: Option<u32>,
    },
    /// At a Unix socket.
    Unix {
        /// The user of the connecting process.
        uid: u32,
    },
    /// At an address that a trusted client named with XCLIENT.
    Named {
        /// Which.
        ip: IpAddr,
    },
}

/// Whether passwords can be checked, and whether TLS can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMeans {
    /// There is no password file.
    None,
    /// There is one, but no TLS on this listener.
    Plaintext,
    /// There are both.
    Tls,
}

impl TrustRules {
    /// Looks the named users up once.
    pub fn new(settings: &TrustSettings) -> Self {
        Self {
            relay: settings.relay_networks.clone(),
            trusted: settings.trusted_networks.clone(),
            trusted_uids: settings.trusted_uids.iter().filter_map(|name| peer::uid_named(name)).collect(),
        }
    }

    /// Whether the user behind this connection makes a difference, so that it is worth to look for.
    pub fn asks_for_user(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() && !contains(&self.trusted, ip)
    }

    /// What this client may do.
    pub fn judge(&self, client: Whereabouts, means: AuthMeans) -> ClientRights {
        let (relays, trusted) = match client {
            Whereabouts::Unix { uid } => (true, self.trusted_uids.contains(&uid)),
            Whereabouts::Address { ip, uid } => {
                let ip = ip.to_canonical();
                let listed = contains(&self.trusted, ip);
                let trusted = listed || (ip.is_loopback() && uid.is_some_and(|uid| self.trusted_uids.contains(&uid)));
                (trusted || contains(&self.relay, ip), trusted)
            }
            Whereabouts::Named { ip } => {
                let ip = ip.to_canonical();
                let listed = contains(&self.trusted, ip);
                (listed || contains(&self.relay, ip), listed)
            }
        };
        // Nobody listens between a process on this machine and us.
        let local = match client {
            Whereabouts::Unix { .. } => true,
            Whereabouts::Address { ip, .. } => ip.to_canonical().is_loopback(),
            Whereabouts::Named { .. } => false,
        };
        let auth = match (means, local) {
            (AuthMeans::None, _) | (AuthMeans::Plaintext, false) => AuthOffer::Off,
            (AuthMeans::Plaintext | AuthMeans::Tls, true) => AuthOffer::Always,
            (AuthMeans::Tls, false) => AuthOffer::OverTls,
        };
        let access = match (relays, auth) {
            (true, _) => Access::Relay,
            (false, AuthOffer::Off) => Access::None,
            (false, AuthOffer::OverTls | AuthOffer::Always) => Access::AfterAuth,
        };
        ClientRights { access, trust: if trusted { Trust::Trusted } else { Trust::Plain }, auth }
    }
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_what() {
        use AuthOffer::{Always, Off, OverTls};
        let rules = TrustRules::new(&TrustSettings {
            relay_networks: ["127.0.0.0/8", "::1/128", "10.0.0.0/8"].map(|n| n.parse().unwrap()).to_vec(),
            trusted_networks: vec!["10.0.0.25/32".parse().unwrap()],
            trusted_uids: vec!["root".into(), "105".into(), "no-such-user-here".into()],
        });
        let at = |ip: &str, uid| Whereabouts::Address { ip: ip.parse().unwrap(), uid };
        let named = |ip: &str| Whereabouts::Named { ip: ip.parse().unwrap() };
        let (relay, none, after) = (Access::Relay, Access::None, Access::AfterAuth);
        let (yes, no) = (Trust::Trusted, Trust::Plain);
        let cases = [
            (at("127.0.0.1", Some(0)), AuthMeans::None, relay, yes, Off),
            (at("127.0.0.1", Some(105)), AuthMeans::None, relay, yes, Off),
            (at("::ffff:127.0.0.1", Some(105)), AuthMeans::None, relay, yes, Off),
            (at("127.0.0.1", Some(33)), AuthMeans::Plaintext, relay, no, Always), // a web site's user
            (at("127.0.0.1", None), AuthMeans::None, relay, no, Off),             // not known is not trusted
            (at("10.0.0.25", None), AuthMeans::Tls, relay, yes, OverTls),
            (at("10.0.0.26", Some(0)), AuthMeans::Tls, relay, no, OverTls), // a uid says nothing from elsewhere
            (at("192.0.2.1", None), AuthMeans::Tls, after, no, OverTls),
            (at("192.0.2.1", None), AuthMeans::Plaintext, none, no, Off), // no password in the clear
            (at("192.0.2.1", None), AuthMeans::None, none, no, Off),
            (Whereabouts::Unix { uid: 0 }, AuthMeans::None, relay, yes, Off),
            (Whereabouts::Unix { uid: 33 }, AuthMeans::Tls, relay, no, Always),
            (named("127.0.0.1"), AuthMeans::Tls, relay, no, OverTls), // trust does not come by hearsay
            (named("10.0.0.25"), AuthMeans::None, relay, yes, Off),
            (named("192.0.2.1"), AuthMeans::None, none, no, Off),
        ];
        for (client, means, access, trust, auth) in cases {
            assert_eq!(rules.judge(client, means), ClientRights { access, trust, auth }, "{client:?} {means:?}");
        }
    }
}
