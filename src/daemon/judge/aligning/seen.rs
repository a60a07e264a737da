//! What the world sees of an egress, as far as that is known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::align::doctor::Way;
use crate::delivery::Egress;

/// Where connections start whose address the system chooses: one for each family that has a way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::daemon) struct SystemAddresses(Vec<IpAddr>);

impl SystemAddresses {
    /// As the machine is now. Nothing is sent.
    pub(in crate::daemon) fn now() -> Self {
        // Any address of the world that stands for none in particular (RFC 5737, RFC 3849).
        let v4 = source(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
        let v6 = source(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
        Self([v4, v6].into_iter().flatten().collect())
    }
}

/// Where connections to an address start.
fn source(any: IpAddr, to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// What receivers may see of an egress; `None`: an address that is not known. Never empty.
pub(super) fn addresses(egress: &Egress, system: &SystemAddresses) -> Vec<Option<IpAddr>> {
    match (egress.public_address, egress.address) {
        (Some(public), _) => vec![Some(public)],
        (None, Some(own)) => vec![seen(own)],
        (None, None) if system.0.is_empty() => vec![None],
        (None, None) => system.0.iter().copied().map(seen).collect(),
    }
}

/// How the world may see an egress, for the doctor: the addresses by which mail is judged, each with its family.
pub(in crate::daemon) fn ways_out(egress: &Egress, system: &SystemAddresses) -> Vec<Way> {
    match (egress.public_address, egress.address) {
        // Where NAT stands between, connections begin at our own address, and are of its family.
        (Some(public), own) => vec![Way { about: "", like: own.unwrap_or(public), address: Some(public) }],
        (None, Some(own)) => vec![Way { about: "", like: own, address: seen(own) }],
        (None, None) => {
            let way = |&own: &IpAddr| Way {
                about: if own.is_ipv4() { "IPv4" } else { "IPv6" },
                like: own,
                address: seen(own),
            };
            system.0.iter().map(way).collect()
        }
    }
}

/// What the world sees of an own address; `None`: it is not public, and a router makes another of it.
fn seen(own: IpAddr) -> Option<IpAddr> {
    Some(own).filter(is_public)
}

/// Whether the world sees the address as we do: none of those that are of one site or machine (RFC 6890).
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // RFC 6598: what a provider shares among its customers.
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || a == 0 || shared)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(&v4.into()),
            None => {
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_world_sees() {
        let both = SystemAddresses(vec![ip("198.51.100.7"), ip("2001:db8::7")]);
        let behind_nat = SystemAddresses(vec![ip("10.0.0.7"), ip("2001:db8::7")]);
        let offline = SystemAddresses::default();
        let cases = [
            // own, public, the system's: what may be seen
            (None, Some("192.0.2.1"), &both, vec![Some("192.0.2.1")]), // what is written holds
            (Some("10.0.0.1"), Some("192.0.2.1"), &both, vec![Some("192.0.2.1")]),
            (Some("192.0.2.2"), None, &both, vec![Some("192.0.2.2")]),
            (Some("10.0.0.1"), None, &both, vec![None]), // a router makes another of it
            (Some("100.64.3.4"), None, &both, vec![None]), // a provider's
            (Some("fd00::1"), None, &both, vec![None]),
            (Some("::ffff:10.0.0.1"), None, &both, vec![None]),
            (None, None, &both, vec![Some("198.51.100.7"), Some("2001:db8::7")]), // by either family
            (None, None, &behind_nat, vec![None, Some("2001:db8::7")]),
            (None, None, &offline, vec![None]),
        ];
        for (own, public, system, expected) in cases {
            let egress = Egress {
                name: "one".into(),
                counted_as: "one".into(),
                address: own.map(ip),
                public_address: public.map(ip),
                ehlo: "mail.example.com".into(),
                concurrency: 1,
            };
            let expected: Vec<_> = expected.into_iter().map(|address| address.map(ip)).collect();
            assert_eq!(addresses(&egress, system), expected, "{own:?} {public:?} {system:?}");
            // The doctor looks at no other addresses than those that mail is judged by.
            let ways = ways_out(&egress, system);
            let looked_at: Vec<_> = ways.iter().map(|way| way.address).collect();
            if system == &offline && own.is_none() && public.is_none() {
                assert!(ways.is_empty(), "nothing leaves: {ways:?}");
            } else {
                assert_eq!(looked_at, expected, "{own:?} {public:?} {system:?}");
            }
            let by_choice = own.is_none() && public.is_none();
            for way in ways {
                let family = if way.like.is_ipv4() { "IPv4" } else { "IPv6" };
                assert_eq!(way.about, if by_choice { family } else { "" }, "{own:?} {public:?}");
            }
        }
    }
}
