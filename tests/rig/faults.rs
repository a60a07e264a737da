//! A disk that fails while the relay runs on it, and works again: `faults.c`, compiled for the test, preloaded into the relay
//! alone. The switch is a file, so that a test turns faults on and off in a running process.

use std::path::{Path, PathBuf};

use super::process::{find, run};
use super::relay::Site;

/// What the disk does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing can be written, made, shortened or removed (EROFS).
    ReadOnly,
    /// Nothing can be written (ENOSPC).
    Full,
    /// Every sync fails (EIO).
    NoSync,
    /// The syncs of `queue.db` fail (EIO): commits go to its log, and are synced there.
    NoCopySync,
    /// Every sync of a folder fails (EIO).
    NoFolderSync,
    /// Nothing can be removed (EIO).
    NoRemoval,
    /// What is read of `queue.db` from this byte on is not what was written.
    DamagedFrom(u64),
}

/// The disk below a site's store.
#[derive(Debug)]
pub(crate) struct Disk {
    variables: Vec<(&'static str, String)>,
    control: PathBuf,
    believed: PathBuf,
}

impl Disk {
    /// `None` without a C compiler.
    pub(crate) fn of(site: &Site) -> Option<Self> {
        let (cc, folder) = (find("cc")?, site.folder());
        let library = folder.join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/faults.c");
        let (source, target) = (source.display().to_string(), library.display().to_string());
        let made = run(&cc, &["-O1", "-shared", "-fPIC", "-o", &target, &source, "-lpthread"], b"");
        assert!(made.status.success(), "faults.c: {}", String::from_utf8_lossy(&made.stderr));
        let (control, believed) = (folder.join("fault"), folder.join("believed"));
        let of = |path: &Path| path.display().to_string();
        let variables = vec![
            ("LD_PRELOAD", target),
            ("FAULTS_STORE", of(site.store())),
            ("FAULTS_CONTROL", of(&control)),
            ("FAULTS_BELIEVED", of(&believed)),
            ("FAULTS_LOST", of(&folder.join("lost"))),
        ];
        Some(Self { variables, control, believed })
    }

    /// What the relay must be started with.
    pub(crate) fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    pub(crate) fn turn_on(&self, fault: Fault) {
        let words = match fault {
            Fault::ReadOnly => "read-only".to_owned(),
            Fault::Full => "full".to_owned(),
            Fault::NoSync => "no-sync".to_owned(),
            Fault::NoCopySync => "no-copy-sync".to_owned(),
            Fault::NoFolderSync => "no-folder-sync".to_owned(),
            Fault::NoRemoval => "no-removal".to_owned(),
            Fault::DamagedFrom(byte) => format!("damaged {byte}"),
        };
        let new = self.control.with_extension("new");
        std::fs::write(&new, words).expect("a file of ours");
        std::fs::rename(&new, &self.control).expect("a file of ours");
    }

    pub(crate) fn turn_off(&self) {
        std::fs::remove_file(&self.control).expect("it was on");
    }

    /// The files of which a sync succeeded although bytes of them, covered by one that had failed, were never written again.
    pub(crate) fn believed(&self) -> String {
        std::fs::read_to_string(&self.believed).unwrap_or_default()
    }
}
