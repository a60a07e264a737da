//! How full the disk is, and the file that is given up when it is full.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FallocateFlags, OFlags};

use super::faults::Faults;
use super::folder::{FILE_MODE, Folder};
use crate::store::settings::{FreeMin, StoreSettings};

/// The name of the ballast.
const BALLAST: &str = "ballast";

/// What the free space allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// All.
    Enough,
    /// No new mail.
    NoMail {
        /// What is free.
        free_bytes: u64,
    },
    /// Neither new mail nor leases: the rest is for outcomes.
    OutcomesOnly {
        /// What is free.
        free_bytes: u64,
    },
}

/// Watches the file system that the store is on.
pub(super) struct Space {
    folder: Arc<Folder>,
    free_min: FreeMin,
    ballast_bytes: u64,
    /// Whether the ballast was given up: what it left is for outcomes, so no mail is taken until it can be laid again.
    given_up: bool,
    faults: Arc<dyn Faults>,
}

impl Space {
    pub(super) fn new(folder: Arc<Folder>, settings: &StoreSettings, faults: Arc<dyn Faults>) -> Self {
        Self { folder, free_min: settings.free_min, ballast_bytes: settings.ballast_bytes, given_up: false, faults }
    }

    /// What may be written now. Where it cannot be known, nothing is refused: the write itself will tell.
    pub(super) fn look(&self) -> Room {
        let Ok(stat) = rustix::fs::fstatvfs(&self.folder.handle) else { return Room::Enough };
        let free_bytes = self.faults.free_bytes(stat.f_bavail.saturating_mul(stat.f_frsize));
        let free_min = self.free_min.bytes(stat.f_blocks.saturating_mul(stat.f_frsize));
        if free_bytes < free_min / 2 {
            Room::OutcomesOnly { free_bytes }
        } else if free_bytes < free_min || (self.given_up && free_bytes <= free_min.saturating_add(self.ballast_bytes))
        {
            Room::NoMail { free_bytes }
        } else {
            Room::Enough
        }
    }

    /// Gives the ballast up, so that outcomes and deletions can be written. Gives whether there was one.
    pub(super) fn drop_ballast(&mut self) -> bool {
        let given_up = rustix::fs::unlinkat(&self.folder.handle, BALLAST, AtFlags::empty()).is_ok();
        self.given_up |= given_up;
        given_up
    }

    /// Lays the ballast in again, once there is room for it beside what new mail needs.
    pub(super) fn lay_ballast(&mut self) {
        if self.ballast_bytes == 0 || self.look() != Room::Enough {
            return;
        }
        let Ok(file) = open_ballast(&self.folder.handle) else { return };
        let have = file.metadata().map_or(0, |m| m.len());
        let laid = have >= self.ballast_bytes
            || rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.ballast_bytes).is_ok();
        if !laid || self.look() != Room::Enough {
            // Half a ballast is in the way of mail and of no help.
            self.drop_ballast();
        } else {
            self.given_up = false;
        }
    }
}

fn open_ballast(folder: &OwnedFd) -> rustix::io::Result<File> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, BALLAST, flags, FILE_MODE).map(File::from)
}
