//! The pages on a loopback address: bound at the start, bounded in connections and time.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Overview;
use super::door::{Door, Keys, Visitor, enter, with_headers};
use super::pages::{pages, sorry};
use super::settings::ReviewSettings;
use crate::clock::Clock;
use crate::intake::passwords::PasswordFileError;
use crate::sockets::let_in;

/// How long a browser may take for the head of a request, and so how long an idle connection lives.
const REQUEST_HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// The longest head of a request, in bytes.
const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a connection lives, whatever it does.
const CONNECTION_TIME_MAX: Duration = Duration::from_mins(2);

/// Why there are no pages.
#[derive(Debug)]
pub enum PageError {
    /// The address cannot be had.
    Bind {
        /// Which.
        listen: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
    /// The password file cannot be used.
    Passwords(PasswordFileError),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { listen, source } => {
                write!(f, "[review] listen {listen}: {source}; take a free port over 1023")
            }
            Self::Passwords(error) => write!(f, "[review] password_file: {error}"),
        }
    }
}

impl std::error::Error for PageError {}

/// The pages, bound and listening.
#[derive(Debug)]
pub struct PageListener {
    listener: TcpListener,
    door: Arc<Door>,
    connections_max: usize,
}

impl PageListener {
    /// Reads the passwords and takes the address.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn bind(settings: &ReviewSettings, clock: Arc<dyn Clock>) -> Result<Self, PageError> {
        let door = Door::new(Keys::read(settings).map_err(PageError::Passwords)?, clock);
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).await.map_err(|source| PageError::Bind { listen, source })?;
        Ok(Self { listener, door, connections_max: settings.connections_max.max(1) })
    }

    /// Who may come in, for a reload.
    pub fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop; what was asked before is answered.
    pub async fn serve(self, overview: Arc<dyn Overview>, stop: CancellationToken) {
        let routes = guarded(overview, &self.door);
        let_in(&self.listener, self.connections_max, &stop, |stream| {
            let (routes, stop) = (routes.clone(), stop.clone());
            async move {
                let (Ok(client), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return }; // gone already
                let routes = routes.layer(Extension(Visitor::at(client, local)));
                let _ = tokio::time::timeout(CONNECTION_TIME_MAX, converse(stream, routes, stop)).await; // cut then
            }
        })
        .await;
    }
}

/// The pages behind the door.
fn guarded(overview: Arc<dyn Overview>, door: &Arc<Door>) -> Router {
    pages(overview)
        .fallback(async || sorry(StatusCode::NOT_FOUND, "No such page", "There is no page of that name."))
        .layer(middleware::from_fn_with_state(Arc::clone(door), enter))
        .layer(middleware::map_response(with_headers))
}

async fn converse(stream: TcpStream, routes: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIME_MAX)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {} // a browser that breaks off harms nobody
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests;
