//! Why a store does not open, and what a good opening found.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::clock::BootId;

/// What the recovery at start did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Attempts that a crash left under way: their slots are used, their deliveries wait again.
    pub unknown_attempts: u32,
    /// Deliveries waiting.
    pub waiting: u64,
    /// Spool files that belonged to no message and were removed.
    pub orphans: u32,
    /// The boot whose clock the store writes from now on.
    pub boot: BootId,
}

/// Why the store does not open. None of these is tried again by itself: the daemon says it and ends.
#[derive(Debug)]
pub enum OpenError {
    /// The folder or a file in it cannot be used.
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The folder belongs to someone else, or others may enter it.
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A network file system, where locks and syncs cannot be relied on.
    Network {
        /// The folder.
        path: PathBuf,
        /// Which kind.
        kind: &'static str,
    },
    /// Another daemon has this store.
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other's process id, where it could be read.
        pid: Option<u32>,
    },
    /// Another process has the database open, and the log must be copied by one who is alone with it.
    Watched {
        /// The database.
        file: PathBuf,
    },
    /// A newer outguard wrote this store.
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: usize,
        /// The newest version this program knows.
        known: usize,
    },
    /// SQLite refuses the file.
    Database {
        /// The database.
        file: PathBuf,
        /// Its words.
        source: rusqlite::Error,
        /// The system's, where it had any.
        system: Option<io::Error>,
    },
    /// The check at start found damage.
    Damaged {
        /// The database.
        file: PathBuf,
        /// The first findings.
        findings: String,
    },
}

/// What to do where the kernel refuses every write.
const READ_ONLY: &str =
    "its file system is read-only: see the kernel log for why, mount it for writing, and start again";
/// What to do where there is no room even to open.
const FULL: &str = "free space on its disk, and start again";

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, source } => write!(f, "store {}: {source}", path.display())?,
            Self::Unsafe { path, fault } => write!(f, "store {}: {fault}", path.display())?,
            Self::Network { path, kind } => {
                write!(f, "store {}: {kind} does not keep what it says is synced", path.display())?;
            }
            Self::InUse { path, pid: Some(pid) } => {
                write!(f, "store {}: process {pid} has it open", path.display())?;
            }
            Self::InUse { path, pid: None } => write!(f, "store {}: another daemon has it open", path.display())?,
            Self::Watched { file } => {
                write!(f, "store {}: another process has it open, and its log is not copied", file.display())?;
            }
            Self::Newer { file, found, known } => {
                write!(f, "store {}: version {found}, this outguard knows {known}", file.display())?;
            }
            Self::Database { file, source, system: None } => write!(f, "store {}: {source}", file.display())?,
            Self::Database { file, source, system: Some(system) } => {
                write!(f, "store {}: {source}: {system}", file.display())?;
            }
            Self::Damaged { file, findings } => write!(f, "store {}: damaged: {findings}", file.display())?,
        }
        write!(f, "; {}", self.advice())
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } => Some(source),
            Self::Database { source, .. } => Some(source),
            Self::Unsafe { .. }
            | Self::Network { .. }
            | Self::InUse { .. }
            | Self::Watched { .. }
            | Self::Newer { .. }
            | Self::Damaged { .. } => None,
        }
    }
}

impl OpenError {
    /// What the operator can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Folder { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => READ_ONLY,
            Self::Folder { source, .. } if source.kind() == io::ErrorKind::StorageFull => FULL,
            Self::Database { system: Some(system), .. } if system.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                READ_ONLY
            }
            Self::Database { system: Some(system), .. } if system.kind() == io::ErrorKind::StorageFull => FULL,
            Self::Folder { .. } => "make the folder and let the service user own it: mkdir -m 0700, chown",
            Self::Unsafe { .. } => "mail is private: chown it to the service user and chmod 0700 it",
            Self::Network { .. } => "set `store` to a folder on a local disk",
            Self::InUse { .. } => "one store, one daemon: stop the other one, or give this one its own `store`",
            Self::Watched { .. } => {
                "end what looks at it without a daemon (an outguard command, sqlite3), and start again"
            }
            Self::Newer { .. } => "start the newer outguard again, or restore the copy made before the upgrade",
            Self::Database { .. } => {
                "keep a copy of the folder before anything else; see the kernel log for disk errors"
            }
            Self::Damaged { .. } => {
                "keep a copy of the folder; \"The store is damaged\" in docs/known-issues.md tells how its mail is saved"
            }
        }
    }
}
