//! Where tests make the disk fail. The daemon runs with [`NoFaults`].

/// What a disk can do to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It works.
    None,
    /// It fails, and nothing is on disk.
    Lost,
    /// It is reported as failed, and all is on disk.
    StoredAllTheSame,
}

/// A disk that fails on demand.
pub trait Faults: Send + Sync {
    /// What becomes of the next commit.
    fn commit(&self) -> CommitFault {
        CommitFault::None
    }

    /// Whether the helper's next copy of the log is synced.
    fn copy(&self) -> bool {
        true
    }

    /// Whether the spool's folder is synced.
    fn folder_sync(&self) -> bool {
        true
    }

    /// Whether the database can be opened again after a failure.
    fn reopen(&self) -> bool {
        true
    }

    /// Whether the first commit after a failure is answered; it is on disk.
    fn probe(&self) -> bool {
        true
    }

    /// How many bytes are free, where `real` are.
    fn free_bytes(&self, real: u64) -> u64 {
        real
    }
}

/// A disk that does what the kernel says.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl Faults for NoFaults {}
