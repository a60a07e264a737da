//! The syncs of a folder, shared by all who make files in it.
//!
//! A failed sync is told to one and covered the names of many: the kernel calls them clean then, and the next sync succeeds
//! without having written them. So a name counts as synced only if no sync failed since before it was made. One sync runs at a
//! time, and the next one serves all who wait.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::faults::Faults;
use super::readers::lock;

/// See the module.
pub(super) struct FolderSync {
    folder: File,
    faults: Arc<dyn Faults>,
    rounds: Mutex<Rounds>,
    ended: Condvar,
}

/// Syncs are numbered from 1.
#[derive(Default)]
struct Rounds {
    begun: u64,
    ended: u64,
    /// The last that failed, with the system's number.
    failed: Option<(u64, Option<i32>)>,
}

/// A moment before a name was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    ended: u64,
}

impl FolderSync {
    pub(super) fn new(folder: File, faults: Arc<dyn Faults>) -> Self {
        Self { folder, faults, rounds: Mutex::default(), ended: Condvar::new() }
    }

    /// To be asked before a name is made.
    pub(super) fn now(&self) -> Since {
        Since { ended: lock(&self.rounds).ended }
    }

    /// Blocks until what was made after `since` is on disk.
    pub(super) fn sync(&self, since: Since) -> io::Result<()> {
        let mut rounds = lock(&self.rounds);
        // One that runs already may have looked before our name was there.
        let ours = rounds.begun + 1;
        while rounds.ended < ours {
            if rounds.begun > rounds.ended {
                rounds = self.ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds.begun += 1;
            drop(rounds);
            let result = self.sync_once();
            rounds = lock(&self.rounds);
            rounds.ended = rounds.begun;
            if let Err(error) = result {
                rounds.failed = Some((rounds.ended, error.raw_os_error()));
            }
            self.ended.notify_all();
        }
        match rounds.failed {
            Some((round, number)) if round > since.ended => {
                Err(number
                    .map_or_else(|| io::Error::other("a sync of the folder failed"), io::Error::from_raw_os_error))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn sync_once(&self) -> io::Result<()> {
        if !self.faults.folder_sync() {
            return Err(io::Error::other("injected: the folder was not synced"));
        }
        self.folder.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails in the rounds of its list, and counts them.
    struct Script(Vec<usize>, AtomicUsize);

    impl Faults for Script {
        fn folder_sync(&self) -> bool {
            !self.0.contains(&(self.1.fetch_add(1, Ordering::Relaxed) + 1))
        }
    }

    fn over(failing: &[usize]) -> (tempfile::TempDir, FolderSync, Arc<Script>) {
        let folder = tempfile::tempdir().unwrap();
        let script = Arc::new(Script(failing.to_vec(), AtomicUsize::new(0)));
        let handle = File::open(folder.path()).unwrap();
        (folder, FolderSync::new(handle, Arc::clone(&script) as Arc<dyn Faults>), script)
    }

    #[test]
    fn a_name_older_than_a_failed_sync_is_never_believed() {
        let (_folder, syncs, _) = over(&[2]);
        let (first, other) = (syncs.now(), syncs.now());
        syncs.sync(first).unwrap();
        let second = syncs.now();
        syncs.sync(second).unwrap_err();
        // The third sync succeeds: this name was there at the second, and is on no disk.
        syncs.sync(other).unwrap_err();
        syncs.sync(syncs.now()).expect("made after it");
    }

    #[test]
    fn who_waits_is_served_by_one_sync() {
        let (_folder, syncs, script) = over(&[]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let since = syncs.now();
                        syncs.sync(since).unwrap();
                    }
                });
            }
        });
        let rounds = script.1.load(Ordering::Relaxed);
        assert!((50..=400).contains(&rounds), "{rounds} syncs for 400 names");
        let rounds = lock(&syncs.rounds);
        assert_eq!(rounds.begun, rounds.ended);
    }
}
