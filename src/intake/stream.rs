//! The bytes of a client: over TCP, a Unix socket, or TLS.

use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroize as _;

/// A connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What an idle session over TLS reads into: rustls says only by a read whether there is something.
const IDLE_BYTES: usize = 256;

thread_local! {
    /// Where sessions of this thread read into before they know how much there is. Between two commands a session gives its
    /// buffer back, so each read would allocate one of full size for a line of a few bytes.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads at most so many bytes into a buffer of their own size. `None`: there was nothing after all.
fn read_what_is_there(
    into: &mut Vec<u8>,
    bytes: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Option<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(bytes, 0);
        match read(scratch) {
            Ok(n) => {
                into.reserve_exact(n);
                into.extend_from_slice(&scratch[..n]);
                // It may have been a password.
                scratch[..n].zeroize();
                Ok(Some(n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    })
}

impl Stream {
    /// Waits until there is something to read, without a buffer, and reads it into one made then. 0: the client is gone.
    pub(super) async fn read_from_idle(&mut self, into: &mut Vec<u8>, bytes: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => loop {
                tcp.readable().await?;
                if let Some(read) = read_what_is_there(into, bytes, |scratch| tcp.try_read(scratch))? {
                    return Ok(read);
                }
            },
            Self::Unix(unix) => loop {
                unix.readable().await?;
                if let Some(read) = read_what_is_there(into, bytes, |scratch| unix.try_read(scratch))? {
                    return Ok(read);
                }
            },
            Self::Tls(tls) => {
                let mut first = [0; IDLE_BYTES];
                let read = tls.read(&mut first).await?;
                into.reserve_exact(bytes);
                into.extend_from_slice(&first[..read]);
                // What is decrypted already comes along; what is not is not waited for.
                let mut rest = pin!(tls.read_buf(into));
                if let Poll::Ready(more) = poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx))).await {
                    return Ok(read + more?);
                }
                Ok(read)
            }
        }
    }

    /// Begins TLS. A Unix socket never does.
    pub(super) async fn into_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        match self {
            Self::Tcp(tcp) => Ok(Self::Tls(Box::new(TlsAcceptor::from(config).accept(tcp).await?))),
            Self::Unix(_) | Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
