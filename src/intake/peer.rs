//! Which local user is at the other end of a connection.
//!
//! The kernel knows: for a Unix socket it says so, for loopback TCP it stands in `/proc/net/tcp`, where the client's own
//! socket is listed with its user. Read once a connection.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use nix::unistd::{Uid, User};

use crate::account::PeerUser;

/// The user of the process at `client`, connected to `local` on this machine. `None` if the socket is not listed: it is
/// closed already, or the client is in another network namespace.
pub fn tcp_user(client: SocketAddr, local: SocketAddr) -> Option<u32> {
    let (client, local) = (canonical(client), canonical(local));
    // A client with an IPv6 socket may speak IPv4: then its socket stands in the IPv6 table, in mapped form.
    let tables: &[(&str, Form)] = match client.ip() {
        IpAddr::V4(_) => &[("/proc/net/tcp", Form::Plain), ("/proc/net/tcp6", Form::Mapped)],
        IpAddr::V6(_) => &[("/proc/net/tcp6", Form::Plain)],
    };
    tables.iter().find_map(|(table, form)| {
        let (client, local) = (written(client, *form), written(local, *form));
        let lines = BufReader::new(File::open(table).ok()?).lines().map_while(Result::ok);
        uid_in(lines, &client, &local)
    })
}

/// That user, with a name where the system knows one.
pub fn user(uid: u32) -> PeerUser {
    PeerUser { uid, name: user_name(uid) }
}

/// The name of a local user.
pub fn user_name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// A user given by name or number.
pub fn uid_named(name: &str) -> Option<u32> {
    if let Ok(uid) = name.parse() {
        return Some(uid);
    }
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// IPv4 as `::ffff:a.b.c.d`.
    Mapped,
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An address as the kernel writes it there: 32-bit words in the machine's byte order, in hexadecimal.
fn written(address: SocketAddr, form: Form) -> String {
    let words = |bytes: &[u8]| {
        bytes.chunks_exact(4).fold(String::new(), |mut text, word| {
            let word = u32::from_ne_bytes(word.try_into().expect("chunks of four"));
            write!(text, "{word:08X}").expect("a String takes every write");
            text
        })
    };
    let ip = match (address.ip(), form) {
        (IpAddr::V4(ip), Form::Plain) => words(&ip.octets()),
        (IpAddr::V4(ip), Form::Mapped) => words(&Ipv4Addr::to_ipv6_mapped(&ip).octets()),
        (IpAddr::V6(ip), _) => words(&ip.octets()),
    };
    format!("{ip}:{:04X}", address.port())
}

/// Columns: number, local address, remote address, state, queues, timer, retransmits, uid.
fn uid_in(lines: impl Iterator<Item = String>, client: &str, local: &str) -> Option<u32> {
    for line in lines {
        let mut columns = line.split_ascii_whitespace().skip(1);
        if columns.next() == Some(client) && columns.next() == Some(local) {
            return columns.nth(4)?.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn our_own_connection_is_ours() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, peer) = listener.accept().unwrap();
            assert_eq!(tcp_user(peer, server.local_addr().unwrap()), Some(Uid::current().as_raw()), "{address}");
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(tcp_user("127.0.0.1:1".parse().unwrap(), server.local_addr().unwrap()), None);
        }
    }

    #[test]
    fn the_table_is_read_by_columns() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2729 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 1 1 0 100 0 0 10 0\n\
            1: 0100007F:9C40 0100007F:2729 01 00000000:00000000 00:00000000 00000000    33        0 2 1 0 20 4 30 10 -1\n";
        let lines = || table.lines().map(str::to_owned);
        assert_eq!(uid_in(lines(), "0100007F:9C40", "0100007F:2729"), Some(33));
        assert_eq!(uid_in(lines(), "0100007F:2729", "0100007F:9C40"), None, "our own end is another line");
    }

    #[test]
    fn names() {
        assert_eq!(uid_named("root"), Some(0));
        assert_eq!(uid_named("33"), Some(33));
        assert_eq!(uid_named("no-such-user-here"), None);
        assert_eq!(user(0), PeerUser { uid: 0, name: Some("root".into()) });
    }
}
