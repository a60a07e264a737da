//! One connection as bytes: plain or TLS, replies out of it, commands into it, each with its time limit.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::smtp::client::{PeerReply, ReplyFault, ReplyReader};

const READ_BYTES: usize = 4 * 1024;

/// A connection to a next hop.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    unread: BytesMut,
    reader: ReplyReader,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why the wire gave nothing.
#[derive(Debug)]
pub(super) enum WireError {
    /// The time is over.
    Timeout,
    /// Closed in order.
    Closed,
    /// Broken.
    Io(io::Error),
    /// Bytes that are no reply.
    Fault(ReplyFault),
    /// Not the wire: the stored content cannot be read as a whole.
    Content(io::Error),
}

impl Wire {
    /// A connection whose greeting is not read yet.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), unread: BytesMut::new(), reader: ReplyReader::new() }
    }

    /// Both ends of the connection.
    pub(super) fn ends(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        let tcp = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        Ok((tcp.local_addr()?, tcp.peer_addr()?))
    }

    /// Agrees on TLS. What was received before is thrown away (RFC 3207 4.2).
    pub(super) async fn encrypt(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        limit: Duration,
    ) -> io::Result<Self> {
        let Stream::Plain(tcp) = self.stream else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "encrypted already"));
        };
        let agreed = tokio::time::timeout(limit, TlsConnector::from(config).connect(name, tcp)).await;
        let late = || format!("no answer in {:.0} s", limit.as_secs_f32());
        let tls = agreed.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, late()))??;
        Ok(Self { stream: Stream::Tls(Box::new(tls)), unread: BytesMut::new(), reader: ReplyReader::new() })
    }

    /// The next whole reply.
    pub(super) async fn reply(&mut self, until: Instant) -> Result<PeerReply, WireError> {
        loop {
            let (reply, used) = self.reader.read(&self.unread).map_err(WireError::Fault)?;
            self.unread.advance(used);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            self.unread.reserve(READ_BYTES);
            match timeout_at(until, self.stream.read_buf(&mut self.unread)).await {
                Err(_) => return Err(WireError::Timeout),
                Ok(Err(error)) => return Err(WireError::Io(error)),
                Ok(Ok(0)) => return Err(WireError::Closed),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// Whether the last reply was too long to find its end: it counts, and is the last one of this connection.
    pub(super) fn is_spent(&self) -> bool {
        self.reader.is_spent()
    }

    /// Hands all bytes to the socket.
    pub(super) async fn send(&mut self, bytes: &[u8], until: Instant) -> Result<(), WireError> {
        let sent = timeout_at(until, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        match sent.await {
            Err(_) => Err(WireError::Timeout),
            Ok(Err(error)) => Err(WireError::Io(error)),
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Whether nothing is heard from the other side: no reply that nobody asked for, no end.
    pub(super) fn is_quiet(&mut self) -> bool {
        if !self.unread.is_empty() {
            return false;
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer).is_pending()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
