//! Sockets that clients connect to. Binding is a step of its own, so that it can come before privileges are dropped, or
//! be done by systemd.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::limits::{ClientKey, Connected};
use super::listening::place;
use super::live::Live;
use super::reports::Report;
use super::session::Connection;
use super::settings::{ListenAt, ListenSettings, ListenTls};
use super::shared::Shared;
use super::stream::Stream;
use crate::smtp::server::{Access, Trust};
use crate::smtp::{Reply, replies};

/// Connections that wait for their turn in the kernel.
const BACKLOG: i32 = 1_024;
/// How long accepting rests after it failed (no file descriptors left).
const REST: Duration = Duration::from_millis(200);

/// An open socket that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    socket: Kind,
    pub(super) settings: ListenSettings,
}

#[derive(Debug)]
enum Kind {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

/// An open socket that the runtime knows.
#[derive(Debug)]
pub(super) struct Ready {
    socket: Accepting,
    spare: Bound,
}

#[derive(Debug)]
enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A socket that cannot be opened.
#[derive(Debug)]
pub struct BindError {
    /// Where.
    pub at: String,
    /// The system's words.
    pub detail: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.detail.kind() {
            io::ErrorKind::AddrInUse => "another process listens there; stop it, or choose another address",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE, sockets a folder that the service user may write"
            }
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
            io::ErrorKind::AlreadyExists => {
                "something that is no socket stands there; remove it, or choose another path"
            }
            _ => "is the address right?",
        };
        write!(f, "cannot listen on {}: {}; {advice}", self.at, self.detail)
    }
}

impl std::error::Error for BindError {}

impl Bound {
    /// Opens a socket.
    ///
    /// # Errors
    /// Where and why not.
    pub fn open(settings: &ListenSettings) -> Result<Self, BindError> {
        let socket = match &settings.at {
            ListenAt::Tcp(address) => open_tcp(*address).map(Kind::Tcp),
            ListenAt::Unix { path, mode } => open_unix(path, *mode).map(|socket| Kind::Unix(socket, path.clone())),
        };
        match socket {
            Ok(socket) => Ok(Self { socket, settings: settings.clone() }),
            Err(detail) => Err(BindError { at: place(&settings.at), detail }),
        }
    }

    /// The same socket, to be served by other settings for the same place.
    pub(super) fn served_as(&self, settings: &ListenSettings) -> Result<Self, BindError> {
        let mode = match &settings.at {
            ListenAt::Unix { path, mode } => std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)),
            ListenAt::Tcp(_) => Ok(()),
        };
        let again = mode.and_then(|()| self.again()).map_err(|detail| BindError { at: place(&settings.at), detail })?;
        Ok(Self { settings: settings.clone(), ..again })
    }

    fn again(&self) -> io::Result<Self> {
        let socket = match &self.socket {
            Kind::Tcp(socket) => Kind::Tcp(socket.try_clone()?),
            Kind::Unix(socket, path) => Kind::Unix(socket.try_clone()?, path.clone()),
        };
        Ok(Self { socket, settings: self.settings.clone() })
    }

    /// Where it listens, with the port that port 0 became.
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match &self.socket {
            Kind::Tcp(socket) => socket.local_addr().ok(),
            Kind::Unix(..) => None,
        }
    }

    /// Where it listens, for people: the address with the port that port 0 became, or the path of its socket.
    pub fn place(&self) -> String {
        self.local_addr().map_or_else(|| place(&self.settings.at), |address| address.to_string())
    }

    /// Makes it known to the runtime.
    pub(super) fn ready(self) -> io::Result<Ready> {
        let spare = self.again()?;
        let socket = match self.socket {
            Kind::Tcp(socket) => Accepting::Tcp(TcpListener::from_std(socket)?),
            Kind::Unix(socket, path) => Accepting::Unix(UnixListener::from_std(socket)?, path),
        };
        Ok(Ready { socket, spare })
    }
}

impl Ready {
    pub(super) fn settings(&self) -> &ListenSettings {
        &self.spare.settings
    }

    pub(super) fn local_addr(&self) -> Option<std::net::SocketAddr> {
        self.spare.local_addr()
    }

    /// Accepts until it is told to stop. Gives the socket once more, and its address.
    pub(super) fn serve(self, shared: &Arc<Shared>, stop: CancellationToken) -> (Bound, Option<std::net::SocketAddr>) {
        let (address, tls) = (self.spare.local_addr(), self.spare.settings.tls);
        match self.socket {
            Accepting::Tcp(socket) => shared.tasks.spawn(accept_tcp(socket, tls, Arc::clone(shared), stop)),
            Accepting::Unix(socket, path) => shared.tasks.spawn(accept_unix(socket, path, Arc::clone(shared), stop)),
        };
        (self.spare, address)
    }
}

fn open_tcp(address: std::net::SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn open_unix(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        // A socket that answers has an owner; one that does not was left behind by a crash.
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before `listen`, so that nobody connects while the permissions are those of the umask.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn accept_tcp(socket: TcpListener, tls: ListenTls, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let session = tcp_session(Arc::clone(&shared), stream, client, tls);
                shared.tasks.spawn(session);
            }
            Err(error) => rest(&shared, &error).await,
        }
    }
}

async fn accept_unix(socket: UnixListener, path: PathBuf, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let session = unix_session(Arc::clone(&shared), stream, path.clone());
                shared.tasks.spawn(session);
            }
            Err(error) => rest(&shared, &error).await,
        }
    }
}

async fn rest(shared: &Shared, error: &io::Error) {
    // A client that left before it was accepted is no trouble of ours.
    if error.kind() != io::ErrorKind::ConnectionAborted {
        shared.report(Report::Listener, "", &format!("accept failed: {error}; is LimitNOFILE large enough?"));
        tokio::time::sleep(REST).await;
    }
}

async fn tcp_session(shared: Arc<Shared>, stream: TcpStream, client: std::net::SocketAddr, tls: ListenTls) {
    let live = shared.live();
    let limits = &live.settings.limits;
    // Counted before its user is looked up, so that a flood costs no look-ups.
    let total = limits.connections_max;
    let Ok(counted) = shared.connections.admit(ClientKey::of(client.ip()), total, limits.connections_of_trusted_max)
    else {
        return refuse(&shared, Stream::Tcp(stream), &client.ip().to_string(), tls, &replies::CONNECTIONS_FULL).await;
    };
    // Replies are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let judged = {
        let (live, means) = (Arc::clone(&live), live.auth_means(tls));
        // The kernel's table is a file; reading it must not hold up other sessions.
        let judge = move || Client::at(client, local, &live.trust, means);
        if client.ip().to_canonical().is_loopback() { tokio::task::spawn_blocking(judge).await } else { Ok(judge()) }
    };
    let Ok(judged) = judged else { return };
    let stream = match (tls, &live.tls) {
        (ListenTls::Implicit, Some(config)) => {
            let handshake = Stream::Tcp(stream).into_tls(Arc::clone(config));
            match timeout(live.settings.timeouts.handshake, handshake).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return shared.report(Report::TlsFailed, &judged.label, &error.to_string()),
                Err(_) => return shared.report(Report::TlsFailed, &judged.label, "no handshake in time"),
            }
        }
        _ => Stream::Tcp(stream),
    };
    session(shared, live, tls, judged, stream, counted).await;
}

async fn unix_session(shared: Arc<Shared>, stream: UnixStream, path: PathBuf) {
    let live = shared.live();
    let Ok(peer) = stream.peer_cred() else { return };
    let client = Client::on_socket(&path, peer.uid(), &live.trust, live.auth_means(ListenTls::Off));
    let limits = &live.settings.limits;
    let Ok(counted) = shared.connections.admit(client.key, limits.connections_max, limits.connections_of_trusted_max)
    else {
        return refuse(&shared, Stream::Unix(stream), &client.label, ListenTls::Off, &replies::CONNECTIONS_FULL).await;
    };
    session(shared, live, ListenTls::Off, client, Stream::Unix(stream), counted).await;
}

async fn session(
    shared: Arc<Shared>,
    live: Arc<Live>,
    tls: ListenTls,
    client: Client,
    stream: Stream,
    mut counted: Connected,
) {
    let limits = &live.settings.limits;
    let of_client_max = match client.rights.trust {
        Trust::Trusted => limits.connections_of_trusted_max,
        Trust::Plain => limits.connections_of_client_max,
    };
    if counted.move_to(client.key, of_client_max).is_err() {
        return refuse(&shared, stream, &client.label, tls, &replies::CONNECTIONS_FULL).await;
    }
    if client.rights.trust == Trust::Plain && !shared.guards().connection_passes(client.key, shared.clock.now().boot) {
        return refuse(&shared, stream, &client.label, tls, &replies::CONNECTIONS_TOO_FAST).await;
    }
    if client.rights.access == Access::None {
        shared.report(Report::ClientRefused, &client.label, "is in no configured network");
    }
    if client.is_unknown_local() {
        shared.report(Report::UserUnknown, &client.label, "the user of a local client is not known; it is not trusted");
    }
    Connection::new(shared, live, tls, client, stream).run().await;
    drop(counted);
}

/// Over a limit: 421, which is the one case besides a drain where a greeting says so.
async fn refuse(shared: &Shared, mut stream: Stream, client: &str, tls: ListenTls, reply: &Reply) {
    shared.report(Report::ConnectionRefused, client, &reply.to_string());
    if tls == ListenTls::Implicit && matches!(stream, Stream::Tcp(_)) {
        return;
    }
    let mut written = Vec::new();
    reply.write(&mut written);
    // A fresh socket has room for it; one that has not is not waited for.
    let _ = timeout(Duration::from_millis(100), stream.write_all(&written)).await;
}
