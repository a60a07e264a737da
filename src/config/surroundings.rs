//! What a configuration refers to outside its file: the environment, secret files, the machine's addresses.
//!
//! The one door, so that a test can bring its own machine.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use crate::intake::settings::{AuthSettings, TlsFiles};

/// The longest secret read, in bytes: a private key has some thousands.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The machine that the configuration is for.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// The bytes of a file that holds a secret, and whether users other than owner and group may read it.
    ///
    /// # Errors
    /// It cannot be read, or is longer than [`SECRET_BYTES_MAX`].
    fn secret_file(&self, path: &Path) -> io::Result<(Vec<u8>, Readers)>;
    /// Whether certificate and key can be read and belong together.
    ///
    /// # Errors
    /// What is wrong with which file.
    fn check_certificate(&self, files: &TlsFiles) -> Result<(), String>;
    /// Whether the password file can be used.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_passwords(&self, settings: &AuthSettings) -> Result<(), String>;
    /// Whether the file holds certificates of authorities.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_authorities(&self, ca_file: &Path) -> Result<(), String>;
    /// Whether the machine has this address, so that a connection can leave from it.
    fn has_address(&self, address: IpAddr) -> bool;
    /// The name of the machine, as the kernel knows it.
    fn host_name(&self) -> String;
    /// Where relative paths of the file begin.
    fn folder(&self) -> &Path;
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner and group at most.
    Few,
    /// Every local user.
    Everyone,
}

/// This machine.
#[derive(Debug, Clone)]
pub struct Machine {
    folder: PathBuf,
}

impl Machine {
    /// For a configuration file in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret_file(&self, path: &Path) -> io::Result<(Vec<u8>, Readers)> {
        use std::io::Read;
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::File::open(self.folder.join(path))?;
        let mode = file.metadata()?.permissions().mode();
        let mut bytes = Vec::new();
        file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 64 KiB"));
        }
        Ok((bytes, if mode & 0o004 == 0 { Readers::Few } else { Readers::Everyone }))
    }

    fn check_certificate(&self, files: &TlsFiles) -> Result<(), String> {
        crate::intake::tls::server_config(files).map(drop).map_err(|e| e.to_string())
    }

    fn check_passwords(&self, settings: &AuthSettings) -> Result<(), String> {
        crate::intake::passwords::Passwords::load(settings).map(drop).map_err(|e| e.to_string())
    }

    fn check_authorities(&self, ca_file: &Path) -> Result<(), String> {
        crate::delivery::Tls::new(Some(ca_file)).map(drop)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        // Binding asks the kernel itself; a list of interfaces would not know ip_nonlocal_bind and network namespaces.
        UdpSocket::bind((address, 0)).is_ok()
    }

    fn host_name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}
