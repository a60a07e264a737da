//! Which local user is at the other end of a connection.
//!
//! The kernel knows: for a Unix socket it says so, for loopback TCP the client's own socket is asked for with its user, by
//! netlink or in `/proc/net/tcp`. Once a connection.
//!
//! A socket that its process has closed has no user any more, and the kernel then says 0, which is root. A client could
//! send all it has to say, close, and be taken for root; so only an established socket has a user here.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use nix::unistd::{Uid, User};

use super::sock_diag::{self, Found};
use crate::account::PeerUser;

/// The kernel's number for a connection that neither end has begun to close.
const ESTABLISHED: u8 = 1;

/// The user of the process at `client`, connected to `local` on this machine. `None` if its socket is not established any
/// more, or the client is in another network namespace.
pub fn tcp_user(client: SocketAddr, local: SocketAddr) -> Option<u32> {
    let (client, local) = (canonical(client), canonical(local));
    let uid = established_user(client, local)?;
    // State and user are read one after the other. That the socket is established even now proves that it had not been
    // closed when its user was read.
    established_user(client, local)?;
    Some(uid)
}

fn established_user(client: SocketAddr, local: SocketAddr) -> Option<u32> {
    let found = sock_diag::tcp_socket(client, local).or_else(|| in_tables(client, local))?;
    (found.state == ESTABLISHED).then_some(found.uid)
}

fn in_tables(client: SocketAddr, local: SocketAddr) -> Option<Found> {
    // A client with an IPv6 socket may speak IPv4: then its socket stands in the IPv6 table, in mapped form.
    let tables: &[(&str, Form)] = match client.ip() {
        IpAddr::V4(_) => &[("/proc/net/tcp", Form::Plain), ("/proc/net/tcp6", Form::Mapped)],
        IpAddr::V6(_) => &[("/proc/net/tcp6", Form::Plain)],
    };
    tables.iter().find_map(|(table, form)| {
        let (client, local) = (written(client, *form), written(local, *form));
        let lines = BufReader::new(File::open(table).ok()?).lines().map_while(Result::ok);
        find(lines, &client, &local)
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
fn find(lines: impl Iterator<Item = String>, client: &str, local: &str) -> Option<Found> {
    for line in lines {
        let mut columns = line.split_ascii_whitespace().skip(1);
        if columns.next() == Some(client) && columns.next() == Some(local) {
            let state = u8::from_str_radix(columns.next()?, 16).ok()?;
            return Some(Found { state, uid: columns.nth(3)?.parse().ok()? });
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
        // The last: an IPv6 socket that speaks IPv4.
        let cases = [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("127.0.0.1:0", "::ffff:127.0.0.1")];
        for (address, connect_to) in cases {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((connect_to, port)).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let (local, uid) = (server.local_addr().unwrap(), Uid::current().as_raw());
            assert_eq!(tcp_user(peer, local), Some(uid), "{address}");
            let asked = sock_diag::tcp_socket(canonical(peer), canonical(local));
            match asked {
                Some(found) => assert_eq!(found, Found { state: ESTABLISHED, uid }, "{address}"),
                None => println!("skipped: no netlink here, the tables alone are tested"),
            }
            assert_eq!(
                in_tables(canonical(peer), canonical(local)),
                Some(Found { state: ESTABLISHED, uid }),
                "{address}"
            );
            assert_eq!(tcp_user("127.0.0.1:1".parse().unwrap(), local), None);
            // Closed by its process, its data still to be read here: the kernel would call it root's.
            drop(client);
            assert_eq!(tcp_user(peer, local), None, "{address}");
        }
    }

    #[test]
    fn the_table_is_read_by_columns() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2729 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 1 1 0 100 0 0 10 0\n\
            1: 0100007F:9C40 0100007F:2729 01 00000000:00000000 00:00000000 00000000    33        0 2 1 0 20 4 30 10 -1\n";
        let lines = || table.lines().map(str::to_owned);
        assert_eq!(find(lines(), "0100007F:9C40", "0100007F:2729"), Some(Found { state: 1, uid: 33 }));
        assert_eq!(find(lines(), "0100007F:2729", "0100007F:9C40"), None, "our own end is another line");
    }

    #[test]
    fn names() {
        assert_eq!(uid_named("root"), Some(0));
        assert_eq!(uid_named("33"), Some(33));
        assert_eq!(uid_named("no-such-user-here"), None);
        assert_eq!(user(0), PeerUser { uid: 0, name: Some("root".into()) });
    }
}
