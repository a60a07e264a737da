//! The bytes of a client: over TCP, a Unix socket, or TLS.

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

/// A connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What an idle session over TLS reads into: rustls says only by a read whether there is something.
const IDLE_BYTES: usize = 256;

impl Stream {
    /// Waits until there is something to read, without a buffer, and reads it into one made then. 0: the client is gone.
    pub(super) async fn read_from_idle(&mut self, into: &mut Vec<u8>, bytes: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.readable().await?,
            Self::Unix(unix) => unix.readable().await?,
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
                return Ok(read);
            }
        }
        into.reserve_exact(bytes);
        self.read_buf(into).await
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
