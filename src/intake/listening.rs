//! Which sockets are open, and how a reload changes them: what is new is bound before anything is given up, so that a
//! reload is whole or not at all, and no client finds nobody.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::listener::{BindError, Bound, Ready};
use super::settings::{ListenAt, ListenSettings};
use super::shared::Shared;

/// The listeners at work.
#[derive(Debug, Default)]
pub(super) struct Listening {
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    /// The socket once more, to be served in another way without being closed.
    spare: Bound,
    address: Option<SocketAddr>,
    /// Ends its accepting; sessions go on.
    stop: CancellationToken,
}

impl Listening {
    /// Serves these too.
    pub(super) fn begin(&self, sockets: Vec<Ready>, shared: &Arc<Shared>) {
        let mut open = self.lock();
        for ready in sockets {
            let stop = shared.drain.child_token();
            let (spare, address) = ready.serve(shared, stop.clone());
            open.push(Open { spare, address, stop });
        }
    }

    /// Opens what is listed and not open yet, without serving it.
    ///
    /// # Errors
    /// The first that cannot be opened; those before it are closed again.
    pub(super) fn open_missing(&self, listed: &[ListenSettings]) -> Result<Vec<Ready>, BindError> {
        let open = self.lock();
        let mut made = Vec::new();
        for settings in listed.iter().filter(|listed| !open.iter().any(|open| open.spare.settings == **listed)) {
            let same_socket = open.iter().find(|open| is_same_place(&open.spare.settings.at, &settings.at));
            let bound = match same_socket {
                Some(open) => open.spare.served_as(settings),
                None => Bound::open(settings),
            };
            let ready =
                bound.and_then(|bound| bound.ready().map_err(|detail| BindError { at: place(&settings.at), detail }));
            match ready {
                Ok(ready) => made.push(ready),
                Err(error) => {
                    drop(open);
                    self.give_up(made);
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    /// Closes sockets that were opened and are not to be served.
    pub(super) fn give_up(&self, sockets: Vec<Ready>) {
        let open = self.lock();
        for ready in sockets {
            let at = &ready.settings().at;
            if !open.iter().any(|open| is_same_place(&open.spare.settings.at, at)) {
                remove_file_of(at);
            }
        }
    }

    /// Closes those that are not listed.
    pub(super) fn end_others(&self, listed: &[ListenSettings]) {
        self.lock().retain(|open| {
            let stays = listed.contains(&open.spare.settings);
            if !stays {
                open.stop.cancel();
                let at = &open.spare.settings.at;
                if !listed.iter().any(|listed| is_same_place(&listed.at, at)) {
                    remove_file_of(at);
                }
            }
            stays
        });
    }

    /// Closes all of them. The files of Unix sockets stay: a start replaces them.
    pub(super) fn end(&self) {
        for open in self.lock().drain(..) {
            open.stop.cancel();
        }
    }

    /// The TCP addresses of those that are open and listed.
    pub(super) fn addresses(&self, listed: &[ListenSettings]) -> Vec<SocketAddr> {
        self.lock()
            .iter()
            .filter(|open| listed.contains(&open.spare.settings))
            .filter_map(|open| open.address)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn place(at: &ListenAt) -> String {
    match at {
        ListenAt::Tcp(address) => address.to_string(),
        ListenAt::Unix { path, .. } => path.display().to_string(),
    }
}

fn is_same_place(one: &ListenAt, other: &ListenAt) -> bool {
    match (one, other) {
        (ListenAt::Tcp(one), ListenAt::Tcp(other)) => one == other,
        (ListenAt::Unix { path: one, .. }, ListenAt::Unix { path: other, .. }) => one == other,
        (ListenAt::Tcp(_), ListenAt::Unix { .. }) | (ListenAt::Unix { .. }, ListenAt::Tcp(_)) => false,
    }
}

fn remove_file_of(at: &ListenAt) {
    if let ListenAt::Unix { path, .. } = at
        && let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a socket that is no longer served stays; remove it");
    }
}
