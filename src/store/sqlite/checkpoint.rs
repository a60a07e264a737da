//! The helper that copies the log into the database while the writer goes on writing to it.
//!
//! It never waits for anyone (PASSIVE), so it can't finish a log that keeps growing: the writer does that, between two
//! batches, when little is left.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::database;
use super::failure::of_write;
use super::faults::Faults;
use super::readers::lock;
use super::shared::{Copying, Shared};
use crate::store::StoreError;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(50);
/// Frames of new log that make it worth a sync: 8 MiB. The pages that every message changes are copied once each time.
const FRAMES_MIN: u32 = 2_048;
/// Frames of log from which on readers that hold it are stopped: 256 MiB.
const FRAMES_MAX: u32 = 64 * 1_024;

/// Tells the helper to end.
#[derive(Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Whether to go on, after a while.
    fn wait(&self) -> bool {
        let stopped = lock(&self.stopped);
        let (stopped, _) =
            self.changed.wait_timeout_while(stopped, EVERY, |s| !*s).unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }
}

/// Runs until stopped. A copy of its own that failed is the writer's to know: pages that it wrote may be on no disk, and no
/// later sync would tell.
pub(super) fn run(shared: &Shared, stop: &Stop, faults: &dyn Faults) {
    let mut done = 0;
    while stop.wait() {
        let frames = shared.log_frames();
        if frames > FRAMES_MAX {
            shared.readers.interrupt_long();
        }
        if frames < done {
            done = 0;
        }
        if frames < done + FRAMES_MIN {
            continue;
        }
        // Opened for this copy alone: the index that calls it copied must not outlive a failure.
        let _open = shared.readers.open();
        let mut copying = lock(&shared.copying);
        if !matches!(*copying, Copying::Trusted) {
            continue;
        }
        let Ok(db) = database::open_checkpointer(&database::file_in(&shared.folder.path)) else { continue };
        match copy(&db, faults) {
            Ok(()) => done = frames,
            Err(error) => *copying = Copying::Failed(error),
        }
    }
}

fn copy(db: &Connection, faults: &dyn Faults) -> Result<(), StoreError> {
    let copied = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    copied.map_err(|error| of_write(&error, database::system_error(db, &error).as_ref()))?;
    if faults.copy() { Ok(()) } else { Err(StoreError::Unknown { detail: "injected: the copy was not synced".into() }) }
}
