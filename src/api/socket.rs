//! The control socket: bound with its mode, guarded by peer credentials, bounded in connections and time.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::routes::Api;
use super::settings::{ApiSettings, Role};
use crate::sockets::let_in;

/// How long a client may take for the head of a request, and so how long an idle connection lives.
const REQUEST_HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// The socket, bound and listening. Dropped, its file is removed.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    others: Role,
    connections_max: usize,
}

/// Why the socket could not be bound.
#[derive(Debug)]
pub enum SocketError {
    /// Another daemon answers there.
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something stands there that is no socket; it is left alone.
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system refused.
    Bind {
        /// Where.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => {
                write!(f, "control socket {}: another outguard answers there; stop it first", path.display())
            }
            Self::NotASocket { path } => {
                write!(f, "control socket {}: a file that is no socket stands there; move it away", path.display())
            }
            Self::Bind { path, source } => write!(
                f,
                "control socket {}: {source}; its folder must exist and belong to the service user (RuntimeDirectory=outguard)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SocketError {}

impl ControlSocket {
    /// Binds the socket of the settings. A socket that a crash left behind is replaced. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(settings: &ApiSettings) -> Result<Self, SocketError> {
        let path = &settings.socket;
        let failed = |source| SocketError::Bind { path: path.clone(), source };
        clear_the_way(path)?;
        // Until the mode is set, only the owner can connect: no umask leaves others the right to write.
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(settings.mode & 0o777)).map_err(failed)?;
        Ok(Self {
            listener,
            path: path.clone(),
            others: settings.others,
            connections_max: settings.connections_max.max(1),
        })
    }

    /// Serves until told to stop; what was asked before is answered.
    pub async fn serve(self, api: Api, stop: CancellationToken) {
        let routes = api.routes();
        let own_uid = rustix::process::geteuid().as_raw();
        let_in(&self.listener, self.connections_max, &stop, |stream| {
            let (routes, others, stop) = (routes.clone(), self.others, stop.clone());
            async move {
                if let Some(caller) = caller_of(&stream, own_uid, others).await {
                    converse(stream, routes, caller, stop).await;
                }
            }
        })
        .await;
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // a socket left behind is replaced at the next start
    }
}

fn clear_the_way(path: &Path) -> Result<(), SocketError> {
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !there.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(_) => std::fs::remove_file(path).map_err(|source| SocketError::Bind { path: path.to_owned(), source }),
    }
}

async fn caller_of(stream: &UnixStream, own_uid: u32, others: Role) -> Option<Caller> {
    let uid = stream.peer_cred().ok()?.uid();
    // The user database may be a network service, so it is asked off the runtime's threads.
    let name = tokio::task::spawn_blocking(move || nix::unistd::User::from_uid(uid.into())).await.ok()?;
    Some(Caller::of_uid(uid, own_uid, name.ok().flatten().map(|user| user.name), others))
}

async fn converse(stream: UnixStream, routes: Router, caller: Caller, stop: CancellationToken) {
    let service = TowerToHyperService::new(routes.layer(Extension(caller)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {} // a client that breaks off harms nobody
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
