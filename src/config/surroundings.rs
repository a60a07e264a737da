//! What a configuration refers to outside its file: the environment, secret files, the machine's addresses.
//!
//! The one door, so that a test can bring its own machine.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use crate::intake::settings::{AuthSettings, TlsFiles};

/// The longest secret read, in bytes: a private key has some thousands.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;
/// The longest model read, in bytes: one has some millions at most.
pub const MODEL_BYTES_MAX: u64 = 16 << 20;

/// The machine that the configuration is for.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// The bytes of a file that holds a secret, and whether users other than owner and group may read it.
    ///
    /// # Errors
    /// It cannot be read, or is longer than [`SECRET_BYTES_MAX`].
    fn secret_file(&self, path: &Path) -> io::Result<(Vec<u8>, Readers)>;
    /// The bytes of a file that may hold a model of text.
    ///
    /// # Errors
    /// It cannot be read, is no file, or is longer than [`MODEL_BYTES_MAX`].
    fn model_file(&self, path: &Path) -> io::Result<Vec<u8>>;
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

fn whole(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let sentence = format!("longer than {} KiB", bytes_max >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, sentence));
    }
    Ok(bytes)
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
        use std::os::unix::fs::PermissionsExt;
        let file = File::open(self.folder.join(path))?;
        let mode = file.metadata()?.permissions().mode();
        let bytes = whole(file, SECRET_BYTES_MAX)?;
        Ok((bytes, if mode & 0o004 == 0 { Readers::Few } else { Readers::Everyone }))
    }

    fn model_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.folder.join(path);
        // Opening a pipe would wait for whoever writes to it.
        if !std::fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        whole(File::open(path)?, MODEL_BYTES_MAX)
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
