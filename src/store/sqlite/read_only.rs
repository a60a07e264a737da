//! The reads of [`Reads`], for the daemon's store and for one that is only read.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::SqliteStore;
use super::database;
use super::faults::NoFaults;
use super::folder;
use super::open::OpenError;
use super::readers::{Reader, Readers};
use super::spool::Spool;
use crate::account::Account;
use crate::clock::{Clock, WallMs};
use crate::mail::QueueId;
use crate::store::{
    AttemptRow, AttemptsPruned, AuthorRow, Content, DeliveryRow, DueAfter, DueDelivery, EventRow, Filter, Gate, Line,
    LineCount, MemoryKind, MemoryRow, MessageRow, Page, Reads, SenderRow, StoreFuture, Totals, WaitingMessage,
};

/// A store that is only read: beside a daemon, or without one.
pub struct ReadOnlyStore {
    readers: Arc<Readers>,
}

impl std::fmt::Debug for ReadOnlyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadOnlyStore").finish_non_exhaustive()
    }
}

impl ReadOnlyStore {
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        folder::open_folder(path)?;
        let file = database::file_in(path);
        let wrong = |source| OpenError::Database { file: file.clone(), source, system: None };
        let found = database::version(&database::open_reader(&file).map_err(wrong)?).map_err(wrong)?;
        let known = database::known_version();
        if found > known {
            return Err(OpenError::Newer { file, found, known });
        }
        let folder = path.join("spool");
        let spool = Spool::new(folder::open_folder(&folder)?, Arc::new(NoFaults));
        let spool = Arc::new(spool.map_err(|source| OpenError::Folder { path: folder, source })?);
        Ok(Self { readers: Arc::new(Readers::new(file, spool, clock)) })
    }
}

/// Both have the same readers; only the way to them differs.
macro_rules! reads {
    ($($store:ty: $($way:ident).+),+) => {$(
        impl Reads for $store {
            fn lines(&self) -> StoreFuture<'_, Vec<LineCount>> {
                Box::pin(Arc::clone(&self.$($way).+).read(|reader| reader.lines()))
            }

            fn line_page(&self, line: Line, now: WallMs, limit: usize) -> StoreFuture<'_, Vec<WaitingMessage>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.line_page(&line, now, limit)))
            }

            fn due(&self, after: DueAfter, until: WallMs, limit: usize) -> StoreFuture<'_, Vec<DueDelivery>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.due(after, until, limit)))
            }

            fn next_due(&self, after: WallMs) -> StoreFuture<'_, Option<WallMs>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.next_due(after)))
            }

            fn message(&self, id: QueueId) -> StoreFuture<'_, Option<(MessageRow, Vec<DeliveryRow>)>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.message(id)))
            }

            fn content(&self, id: QueueId) -> StoreFuture<'_, Content> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.content(id)))
            }

            fn list(&self, filter: Filter, page: Page) -> StoreFuture<'_, Vec<(MessageRow, Vec<DeliveryRow>)>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.list(&filter, page)))
            }

            fn find(&self, term: String, page: Page) -> StoreFuture<'_, Vec<(MessageRow, Vec<DeliveryRow>)>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.find(&term, page)))
            }

            fn history(&self, id: QueueId) -> StoreFuture<'_, Vec<EventRow>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.history(id)))
            }

            fn events(&self, after: u64, limit: usize) -> StoreFuture<'_, Vec<EventRow>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.events(after, limit)))
            }

            fn attempts(&self, look_back_ms: u64) -> StoreFuture<'_, Vec<AttemptRow>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.attempts(look_back_ms)))
            }

            fn attempts_pruned(&self) -> StoreFuture<'_, Option<AttemptsPruned>> {
                Box::pin(Arc::clone(&self.$($way).+).read(|reader| reader.attempts_pruned()))
            }

            fn gates(&self) -> StoreFuture<'_, Vec<Gate>> {
                Box::pin(Arc::clone(&self.$($way).+).read(|reader| reader.gates()))
            }

            fn memories(
                &self,
                kind: MemoryKind,
                after_key: Option<Bytes>,
                limit: usize,
            ) -> StoreFuture<'_, Vec<MemoryRow>> {
                let read = move |reader: &Reader| reader.memories(kind, after_key.as_deref(), limit);
                Box::pin(Arc::clone(&self.$($way).+).read(read))
            }

            fn memory(&self, kind: MemoryKind, key: Bytes) -> StoreFuture<'_, Option<Bytes>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.memory(kind, &key)))
            }

            fn totals(&self) -> StoreFuture<'_, Totals> {
                Box::pin(Arc::clone(&self.$($way).+).read(|reader| reader.totals()))
            }

            fn senders(&self, after: Option<QueueId>, limit: usize) -> StoreFuture<'_, Vec<SenderRow>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.senders(after, limit)))
            }

            fn authors(&self, before: Option<QueueId>, limit: usize) -> StoreFuture<'_, Vec<AuthorRow>> {
                Box::pin(Arc::clone(&self.$($way).+).read(move |reader| reader.authors(before, limit)))
            }

            fn waiting_by_account(&self) -> StoreFuture<'_, Vec<(Account, u64)>> {
                Box::pin(Arc::clone(&self.$($way).+).read(|reader| reader.waiting_by_account()))
            }
        }
    )+};
}

reads!(SqliteStore: shared.readers, ReadOnlyStore: readers);
