//! What SQLite's errors mean for the request at hand and for the whole store.

use std::io;

use rusqlite::{ErrorCode, ffi};
use rustix::io::Errno;

use crate::store::StoreError;

/// Why a request did not run.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was refused before it wrote anything: the others of the batch go on.
    Refused(StoreError),
    /// One of its statements failed for itself (a constraint): it is taken back alone.
    Statement(rusqlite::Error),
    /// Disk or database: the whole batch fails.
    Store(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        if is_ours(&error) { Self::Statement(error) } else { Self::Store(error) }
    }
}

/// Whether a statement failed because of what it was asked, and not because of disk or database.
fn is_ours(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationAborted
                | ErrorCode::OperationInterrupted
        )
    )
}

/// The error of a request whose own statement failed.
pub(super) fn of_statement(error: &rusqlite::Error) -> StoreError {
    StoreError::Corrupt { object: "the request".into(), detail: error.to_string() }
}

/// Whether a call of the system failed, so that its number stands beside SQLite's.
pub(super) fn is_of_system(error: &rusqlite::Error) -> bool {
    let Some(code) = error.sqlite_error() else { return false };
    // These come without one: the file was shorter than the page, memory was short, bytes were not what they must be.
    let of_sqlite = [ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_IOERR_NOMEM, ffi::SQLITE_IOERR_DATA];
    matches!(code.code, ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) && !of_sqlite.contains(&code.extended_code)
}

/// The error of everything that waited for a failed write, commit or sync. `system`: what the system said to it.
pub(super) fn of_write(error: &rusqlite::Error, system: Option<&io::Error>) -> StoreError {
    let detail = system.map_or_else(|| error.to_string(), |system| format!("{error}: {system}"));
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { free_bytes: None },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { object: "the database".into(), detail }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly { detail },
        code => match system.and_then(Errno::from_io_error) {
            Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => StoreError::ReadOnly { detail },
            Some(Errno::NOSPC | Errno::DQUOT) => StoreError::Full { free_bytes: None },
            _ if code == Some(ErrorCode::CannotOpen) => StoreError::ReadOnly { detail },
            _ => StoreError::Unknown { detail },
        },
    }
}

/// The error of a read.
pub(super) fn of_read(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { object: "the database".into(), detail: error.to_string() }
        }
        Some(ErrorCode::OperationInterrupted) => {
            StoreError::Unavailable { detail: "the read held the log for too long and was stopped".into() }
        }
        _ => StoreError::Unavailable { detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite keeps the number of the last call of the system that failed, whatever failed after it.
    #[test]
    fn the_systems_number_is_believed_of_its_own_errors_alone() {
        let cases = [
            (ffi::SQLITE_IOERR, true),
            (ffi::SQLITE_IOERR_FSYNC, true),
            (ffi::SQLITE_IOERR_WRITE, true),
            (ffi::SQLITE_IOERR_READ, true),
            (ffi::SQLITE_CANTOPEN, true),
            (ffi::SQLITE_IOERR_SHORT_READ, false), // the file ended: no call failed
            (ffi::SQLITE_IOERR_NOMEM, false),
            (ffi::SQLITE_IOERR_DATA, false), // a checksum
            (ffi::SQLITE_NOMEM, false),
            (ffi::SQLITE_BUSY, false),
            (ffi::SQLITE_INTERRUPT, false),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, false),
            (ffi::SQLITE_FULL, false), // ENOSPC by its own name
            (ffi::SQLITE_READONLY, false),
            (ffi::SQLITE_CORRUPT, false),
        ];
        for (code, expected) in cases {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(is_of_system(&error), expected, "{code}: {error}");
        }
        assert!(!is_of_system(&rusqlite::Error::InvalidQuery), "no error of SQLite's at all");
    }
}
