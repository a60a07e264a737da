//! The helper that copies the log into the database while the writer goes on writing to it.
//!
//! It never waits for anyone (PASSIVE), so it can't finish a log that keeps growing: the writer does that, between two
//! batches, when little is left.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::database;
use super::readers::lock;
use super::shared::Shared;

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

/// Runs until stopped. Its own failures are of no consequence: the writer meets the same disk.
pub(super) fn run(shared: &Shared, stop: &Stop) {
    let mut db = None;
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
        if db.is_none() {
            db = database::open_checkpointer(&database::file_in(&shared.folder.path)).ok();
        }
        let copied = db.as_ref().map(|db| db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
        match copied {
            Some(Ok(())) => done = frames,
            Some(Err(_)) | None => db = None,
        }
    }
}
