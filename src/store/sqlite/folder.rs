//! The store's folder: who may enter it, which disk it is on, who has it now.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RawMode};

use super::open::OpenError;

/// The open folder. Files in it are reached from this handle, so that a path swapped later changes nothing.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) handle: OwnedFd,
    /// Held open: the lock lives as long as this.
    _lock: File,
}

const DATABASE_FILES: [&str; 3] = ["queue.db", super::database::LOG, "queue.db-shm"];
/// For files: ours alone.
pub(super) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Folder {
    /// Makes the folder if it is missing, checks it, and takes its lock.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let wrong = |source: io::Error| OpenError::Folder { path: path.to_path_buf(), source };
        match rustix::fs::mkdir(path, Mode::RWXU) {
            // A store whose folder is lost at a power cut is a lost store.
            Ok(()) => sync_parent(path).map_err(wrong)?,
            // It may be new since a crash, before its own name was synced; where it may not be, an operator made it.
            Err(rustix::io::Errno::EXIST) => drop(sync_parent(path)),
            Err(error) => return Err(wrong(error.into())),
        }
        let handle = open_folder(path)?;
        refuse_network(path, &handle)?;
        let lock = take_lock(path, &handle)?;
        for name in DATABASE_FILES {
            refuse_foreign(&path.join(name), &handle, name)?;
        }
        // SQLite would make it readable by the group; its log and index take the mode of this file.
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&handle, DATABASE_FILES[0], flags, FILE_MODE).map_err(|e| wrong(e.into()))?;
        Ok(Self { path: path.to_path_buf(), handle, _lock: lock })
    }

    /// Blocks until the names in it are on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::from(self.handle.try_clone()?).sync_all()
    }

    /// Opens the folder `name` in this one, making it if it is missing.
    pub(super) fn inner(&self, name: &str) -> Result<OwnedFd, OpenError> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.handle, name, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => open_folder(&path),
            Err(error) => Err(OpenError::Folder { path, source: error.into() }),
        }
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Opens a folder that is ours alone and no symlink.
pub(super) fn open_folder(path: &Path) -> Result<OwnedFd, OpenError> {
    let wrong = |source: io::Error| OpenError::Folder { path: path.to_path_buf(), source };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| wrong(e.into()))?;
    let stat = rustix::fs::fstat(&handle).map_err(|e| wrong(e.into()))?;
    refuse_others(path, stat.st_uid, stat.st_mode)?;
    Ok(handle)
}

/// Root may read anybody's store (`outguard queue` without a daemon); the service user its own alone.
fn refuse_others(path: &Path, owner: u32, mode: RawMode) -> Result<(), OpenError> {
    let me = rustix::process::geteuid();
    if !me.is_root() && owner != me.as_raw() {
        let fault = format!("it belongs to uid {owner}, outguard runs as uid {me}");
        return Err(OpenError::Unsafe { path: path.to_path_buf(), fault });
    }
    if mode & 0o077 != 0 {
        let fault = format!("others may use it (mode {:04o})", mode & 0o7777);
        return Err(OpenError::Unsafe { path: path.to_path_buf(), fault });
    }
    Ok(())
}

fn refuse_foreign(path: &Path, folder: &OwnedFd, name: &str) -> Result<(), OpenError> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
            Err(OpenError::Unsafe { path: path.to_path_buf(), fault: "it is no plain file".into() })
        }
        Ok(stat) => refuse_others(path, stat.st_uid, stat.st_mode),
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(OpenError::Folder { path: path.to_path_buf(), source: error.into() }),
    }
}

fn refuse_network(path: &Path, handle: &OwnedFd) -> Result<(), OpenError> {
    /// `statfs(2)`; the magic numbers of file systems on other machines.
    const NETWORK: [(u32, &str); 4] = [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x517b, "SMB")];
    let stat = rustix::fs::fstatfs(handle)
        .map_err(|source| OpenError::Folder { path: path.to_path_buf(), source: source.into() })?;
    let magic = u32::try_from(u64::try_from(stat.f_type).unwrap_or(0) & 0xffff_ffff).unwrap_or(0);
    match NETWORK.iter().find(|(number, _)| *number == magic) {
        Some((_, kind)) => Err(OpenError::Network { path: path.to_path_buf(), kind }),
        None => Ok(()),
    }
}

/// One daemon a store: the lock ends with the process, however it ends.
fn take_lock(path: &Path, handle: &OwnedFd) -> Result<File, OpenError> {
    let wrong = |source: io::Error| OpenError::Folder { path: path.join("lock"), source };
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(handle, "lock", flags, FILE_MODE).map_err(|e| wrong(e.into()))?);
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = (&file).take(32).read_to_string(&mut text); // the pid is a courtesy
            return Err(OpenError::InUse { path: path.to_path_buf(), pid: text.trim().parse().ok() });
        }
        Err(error) => return Err(wrong(error.into())),
    }
    // Never a reason to stay down: on a full disk the lock holds without its text.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_second_daemon_learns_whose_store_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        let first = Folder::take(&path).unwrap();
        let second = Folder::take(&path).unwrap_err();
        assert!(matches!(second, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{second}");
        drop(first);
        Folder::take(&path).unwrap();
    }

    #[test]
    fn open_folders_links_and_devices_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Folder::take(&path).unwrap_err();
        assert!(matches!(error, OpenError::Unsafe { .. }), "{error}");

        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = Folder::take(&link).unwrap_err();
        assert!(matches!(error, OpenError::Folder { .. }), "{error}");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path.join("queue.db")).unwrap();
        let error = Folder::take(&path).unwrap_err();
        assert!(matches!(error, OpenError::Unsafe { .. }), "{error}");
    }
}
