//! One socket of this machine, asked for by its two addresses (`sock_diag(7)`): as the kernel's table in `/proc` has it,
//! without reading the whole table.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `SOCK_DIAG_BY_FAMILY`, of request and answer.
const BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// `struct nlmsghdr` and `struct inet_diag_req_v2`, in bytes.
const REQUEST_BYTES: usize = 16 + 56;
/// Where `struct inet_diag_msg` has state and user, behind the header.
const STATE_AT: usize = 16 + 1;
const UID_AT: usize = 16 + 64;

/// A socket's state as the kernel numbers it, and its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub state: u8,
    pub uid: u32,
}

/// The socket whose own address is `own` and whose peer is `peer`. `None`: there is none, or the kernel does not tell
/// (a sandbox without netlink).
pub(super) fn tcp_socket(own: SocketAddr, peer: SocketAddr) -> Option<Found> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG)).ok()?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1))).ok()?;
    sendto(&socket, &request(own, peer), SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
    let mut answer = [0; 1_024];
    let (bytes, _) = recv(&socket, &mut answer, RecvFlags::empty()).ok()?;
    let answer = answer.get(..bytes)?;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let uid = u32::from_ne_bytes(answer.get(UID_AT..UID_AT + 4)?.try_into().ok()?);
    (kind == BY_FAMILY).then_some(Found { state: *answer.get(STATE_AT)?, uid })
}

fn request(own: SocketAddr, peer: SocketAddr) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    let mut at = 0;
    let mut put = |field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    put(&72_u32.to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&NLM_F_REQUEST.to_ne_bytes());
    put(&[0; 8]); // sequence and sender: one question a socket
    put(&[if own.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP, 0, 0]);
    put(&u32::MAX.to_ne_bytes()); // in any state
    put(&own.port().to_be_bytes());
    put(&peer.port().to_be_bytes());
    put(&octets(own.ip()));
    put(&octets(peer.ip()));
    put(&[0; 4]); // on any interface
    put(&[0xff; 8]); // with any cookie
    bytes
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut all = [0; 16];
            all[..4].copy_from_slice(&ip.octets());
            all
        }
    }
}
