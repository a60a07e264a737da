//! Sockets as this machine opens them: out from an address of its own, in at a door with so many places.
//!
//! It knows no protocol: what is said over a connection is its caller's.

#[cfg(test)]
pub(crate) mod self_signed;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain as Family, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long conversations may finish what was asked after the stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// The wait after accept failed for want of file descriptors, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A socket to connect to `to` with, bound to `from` where that is given: an egress's own address. Its port is the
/// system's to choose.
///
/// # Errors
/// The address is none of this machine's, or of another family than `to`.
pub fn leaving_from(from: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpSocket> {
    let socket = Socket::new(Family::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// Where connections come in.
pub trait Door: Sync {
    /// A connection.
    type Stream: Send + 'static;

    /// The next one.
    ///
    /// # Errors
    /// The system has no place for it.
    fn enter(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn enter(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;

    async fn enter(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Lets connections in until told to stop, at most `connections_max` at once: the next one waits in the system's queue. A
/// conversation hears of the stop by itself, and has five seconds to end.
pub async fn let_in<D, F>(
    door: &D,
    connections_max: usize,
    stop: &CancellationToken,
    converse: impl Fn(D::Stream) -> F + Send,
) where
    D: Door,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { break }; // only a closed semaphore refuses, and nobody closes it
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            entered = door.enter() => entered,
        };
        let Ok(stream) = stream else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let conversation = converse(stream);
        tasks.spawn(async move {
            conversation.await;
            drop(place);
        });
    }
    tasks.close();
    let _ = tokio::time::timeout(STOP_TIME_MAX, tasks.wait()).await; // the rest is cut with the runtime
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_connection_leaves_from_the_address_that_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        let own = IpAddr::from([127, 0, 0, 9]);
        let _leaving = leaving_from(Some(own), to).unwrap().connect(to).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip(), own);
        // RFC 5737: none of this machine's.
        assert!(leaving_from(Some(IpAddr::from([192, 0, 2, 7])), to).is_err());
    }

    #[tokio::test]
    async fn no_more_are_let_in_than_there_are_places_and_all_end_with_the_stop() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, inside) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let door = {
            let (stop, inside) = (stop.clone(), inside.clone());
            tokio::spawn(async move {
                let converse = |mut stream: TcpStream| {
                    let (inside, stopped) = (inside.clone(), stop.clone());
                    async move {
                        inside.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.write_all(b"!").await;
                        tokio::select! {
                            _ = stream.read_u8() => {}
                            () = stopped.cancelled() => {}
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                };
                let_in(&listener, 2, &stop, converse).await;
            })
        };
        let mut here = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(at).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'!');
            here.push(stream);
        }
        let mut third = TcpStream::connect(at).await.unwrap();
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, third.read_u8()).await.is_err(), "there are two places");
        drop(here.pop());
        assert_eq!(third.read_u8().await.unwrap(), b'!');
        stop.cancel();
        door.await.unwrap();
        assert_eq!(inside.load(Ordering::SeqCst), 0);
    }
}
