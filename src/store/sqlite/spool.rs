//! Bodies too large for the database: one file each, named by the queue id, written while it arrives.
//!
//! A file is synced with its folder ([`FolderSync`]) before the transaction that names it, and removed after the one that ends
//! it. What
//! lies between the two at a crash belongs to no message and is swept at the next start.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::faults::Faults;
use super::folder::FILE_MODE;
use super::folder_sync::{FolderSync, Since};
use crate::mail::QueueId;
use crate::store::{Body, SpoolFile, SpoolWriter, StoreError, StoreFuture};

/// The folder of large bodies.
pub(super) struct Spool {
    folder: OwnedFd,
    syncs: FolderSync,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A file of the spool that no message has yet: it is removed when this is dropped, unless a message took it.
#[derive(Debug)]
pub(in crate::store) struct SpoolEntry {
    spool: Arc<Spool>,
    id: QueueId,
    kept: AtomicBool,
}

impl SpoolEntry {
    /// A message has it now, or may have it: the store decides about the file from here on.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Whose body it is.
    pub(super) fn id(&self) -> QueueId {
        self.id
    }
}

impl Drop for SpoolEntry {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            self.spool.remove(self.id);
        }
    }
}

impl Spool {
    pub(super) fn new(folder: OwnedFd, faults: Arc<dyn Faults>) -> io::Result<Self> {
        let syncs = FolderSync::new(File::from(folder.try_clone()?), faults);
        Ok(Self { folder, syncs })
    }

    /// A new file under that id.
    pub(super) fn create(self: &Arc<Self>, id: QueueId) -> Result<Box<dyn SpoolWriter>, StoreError> {
        let since = self.syncs.now();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&self.folder, id.to_string(), flags, FILE_MODE).map_err(|e| of_file(&e.into()))?;
        let entry = SpoolEntry { spool: Arc::clone(self), id, kept: AtomicBool::new(false) };
        Ok(Box::new(Arriving { file: Arc::new(File::from(file)), entry, since, size_bytes: 0 }))
    }

    /// The body of a message, for reading.
    pub(super) fn open(&self, id: QueueId) -> Result<File, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.folder, id.to_string(), flags, Mode::empty()) {
            Ok(file) => Ok(File::from(file)),
            Err(Errno::NOENT) => Err(StoreError::NoSuchMessage(id)),
            // Of the process or the whole folder, not of this body.
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::ACCESS | Errno::PERM)) => {
                Err(StoreError::Unavailable { detail: format!("the body of {id} cannot be opened: {error}") })
            }
            Err(error) => Err(StoreError::Corrupt { object: format!("the body of {id}"), detail: error.to_string() }),
        }
    }

    /// Removes a body whose message ended. What cannot be removed now is swept at the next start.
    pub(super) fn remove(&self, id: QueueId) {
        match rustix::fs::unlinkat(&self.folder, id.to_string(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::warn!(%id, %error, "spool file not removed; it is swept at the next start"),
        }
    }

    /// Removes every file that `is_alive` does not know. Gives how many.
    pub(super) fn sweep(&self, mut is_alive: impl FnMut(QueueId) -> bool) -> Result<u32, io::Error> {
        let mut orphans = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().ok().and_then(|name| name.parse::<QueueId>().ok());
            // What is not named by us is not ours to remove.
            orphans.extend(id.filter(|id| !is_alive(*id)));
        }
        for id in &orphans {
            self.remove(*id);
        }
        Ok(u32::try_from(orphans.len()).unwrap_or(u32::MAX))
    }
}

/// How much is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The first bytes of a body that no message has yet, at most `bytes_max`.
pub(in crate::store) async fn first_bytes(entry: Arc<SpoolEntry>, bytes_max: usize) -> Result<Bytes, StoreError> {
    off_the_runtime(move || {
        let mut bytes = Vec::new();
        let file = entry.spool.open(entry.id)?;
        file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(|e| of_file(&e))?;
        Ok(Bytes::from(bytes))
    })
    .await
}

/// A body that no message has yet, piece by piece.
pub(in crate::store) async fn fold<T: Send + 'static>(
    entry: Arc<SpoolEntry>,
    mut state: T,
    mut step: impl FnMut(&mut T, &[u8]) + Send + 'static,
) -> Result<T, StoreError> {
    off_the_runtime(move || {
        let mut file = entry.spool.open(entry.id)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece).map_err(|e| of_file(&e))? {
                0 => return Ok(state),
                length => step(&mut state, &piece[..length]),
            }
        }
    })
    .await
}

/// A body on its way to disk.
struct Arriving {
    file: Arc<File>,
    entry: SpoolEntry,
    since: Since,
    size_bytes: u64,
}

impl SpoolWriter for Arriving {
    fn write(&mut self, bytes: Bytes) -> StoreFuture<'_, ()> {
        self.size_bytes += bytes.len() as u64;
        let file = Arc::clone(&self.file);
        Box::pin(off_the_runtime(move || (&*file).write_all(&bytes).map_err(|e| of_file(&e))))
    }

    fn finish(self: Box<Self>) -> StoreFuture<'static, Body> {
        Box::pin(off_the_runtime(move || {
            let Self { file, entry, since, size_bytes } = *self;
            file.sync_all().map_err(|e| of_file(&e))?;
            entry.spool.syncs.sync(since).map_err(|e| of_file(&e))?;
            Ok(Body::Spooled(SpoolFile { entry: Arc::new(entry), size_bytes }))
        }))
    }
}

/// Runs what blocks on a thread that may block.
pub(super) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}

fn of_file(error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { free_bytes: None },
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly { detail: error.to_string() }
        }
        _ => StoreError::Unknown { detail: error.to_string() },
    }
}
