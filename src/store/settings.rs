//! What the operator can set about the store, with the documented defaults.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the store. Changing `path` needs a restart; the rest is read at start as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder of the store: 0700, owned by the service user, on a local disk.
    pub path: PathBuf,
    /// Below so much free space no mail is taken (452 4.3.1); below half of it nothing is leased either.
    pub free_min: FreeMin,
    /// How long ended messages and their events are kept for `trace`. Default: 30 days.
    pub journal_keep: Duration,
    /// How large the kept events may grow, in bytes. Default: 2 GiB.
    pub journal_bytes_max: u64,
    /// How long attempts are kept: the limits are rebuilt from them. At least the longest window. Default: 8 days.
    pub attempts_keep: Duration,
    /// A file of so many bytes that is given up when the disk is full, so that outcomes can still be written.
    /// Default: 64 MiB; 0 for none.
    pub ballast_bytes: u64,
}

/// How much space must stay free for new mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeMin {
    /// The larger of 5 % of the file system and 512 MiB.
    Auto,
    /// So many bytes.
    Bytes(u64),
}

impl FreeMin {
    /// The bytes that must be free on a file system of `total_bytes`.
    pub fn bytes(self, total_bytes: u64) -> u64 {
        match self {
            Self::Auto => (total_bytes / 20).max(512 << 20),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            path: PathBuf::from("/var/lib/outguard"),
            free_min: FreeMin::Auto,
            journal_keep: DAY * 30,
            journal_bytes_max: 2 << 30,
            attempts_keep: DAY * 8,
            ballast_bytes: 64 << 20,
        }
    }
}
