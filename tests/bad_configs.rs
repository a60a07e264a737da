//! Files with mistakes, each with what must be said about them: `tests/bad_configs/NAME.toml` and `NAME.expected`.
//!
//! `OUTGUARD_BLESS=1 cargo test --test bad_configs` writes what is said now; look at the difference.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use outguard::align::sign::{KeyKind, PrivateKey};
use outguard::config::Config;
use outguard::config::surroundings::{Readers, Surroundings};
use outguard::intake::settings::{AuthSettings, TlsFiles};

/// A machine with one address, one secret and nothing else, so that the answers are the same everywhere.
struct OneMachine(PathBuf);

impl OneMachine {
    fn known(&self, path: &Path) -> Result<(), String> {
        if path.starts_with(self.0.join("tls")) { Ok(()) } else { Err(format!("{} is not there", path.display())) }
    }
}

impl Surroundings for OneMachine {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "OUTGUARD_PASSWORD").then(|| "hunter2".to_owned())
    }

    fn secret_file(&self, path: &Path) -> io::Result<(Vec<u8>, Readers)> {
        match path.to_str() {
            Some("/etc/outguard/password") => Ok((b"hunter2\n".to_vec(), Readers::Few)),
            Some("/etc/outguard/open-password") => Ok((b"hunter2\n".to_vec(), Readers::Everyone)),
            Some("/etc/outguard/logins") => Ok((b"* box hunter2\n* other hunter2\n".to_vec(), Readers::Few)),
            Some("/etc/outguard/ed25519.pem") => Ok((key(KeyKind::Ed25519), Readers::Few)),
            Some("/etc/outguard/rsa.pem") => Ok((key(KeyKind::Rsa), Readers::Few)),
            Some(_) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn model_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/etc/outguard/damaged.model") => Ok(b"outguard model 1\n, and then nothing".to_vec()),
            Some("/etc/outguard/foreign.model") => Ok(b"GGUF".to_vec()),
            Some(_) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn check_certificate(&self, files: &TlsFiles) -> Result<(), String> {
        self.known(&files.certificate).and_then(|()| self.known(&files.key))
    }

    fn check_passwords(&self, settings: &AuthSettings) -> Result<(), String> {
        self.known(&settings.password_file)
    }

    fn check_authorities(&self, ca_file: &Path) -> Result<(), String> {
        self.known(ca_file)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        address.to_string() == "192.0.2.10"
    }

    fn host_name(&self) -> String {
        "mail.example.com".to_owned()
    }

    fn folder(&self) -> &Path {
        &self.0
    }
}

fn key(kind: KeyKind) -> Vec<u8> {
    PrivateKey::generate(kind).expect("the machine makes keys").1.as_bytes().to_vec()
}

#[test]
fn each_says_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let said = match Config::parse(&text, "outguard.toml", &OneMachine("/etc/outguard".into())) {
            Ok(loaded) => format!("usable\n{}\n", loaded.warnings),
            Err(diagnostics) => format!("refused\n{diagnostics}\n"),
        };
        assert!(!said.contains("hunter2"), "{} tells a secret: {said}", path.display());
        let expected = path.with_extension("expected");
        if std::env::var_os("OUTGUARD_BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        let kept = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, kept, "{}", path.display());
    }
    assert!(seen >= 8, "the files are there");
}
