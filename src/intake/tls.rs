//! TLS from files, read again at each reload.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::settings::TlsFiles;

/// Why certificate and key cannot be used.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read, or holds no such thing in PEM.
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The key does not belong to the certificate, or is of a kind that cannot be used.
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, detail } => write!(
                f,
                "{}: {detail}; TLS is not offered; is it PEM, and readable for the service user?",
                path.display()
            ),
            Self::Pair { certificate, detail } => write!(
                f,
                "{}: {detail}; TLS is not offered; do certificate and key belong together?",
                certificate.display()
            ),
        }
    }
}

impl std::error::Error for TlsError {}

/// Reads the files.
///
/// # Errors
/// What is wrong with which of them.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let file_error = |path: &PathBuf, detail: rustls::pki_types::pem::Error| TlsError::File {
        path: path.clone(),
        detail: detail.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(&files.certificate, error))?;
    if chain.is_empty() {
        return Err(TlsError::File { path: files.certificate.clone(), detail: "holds no certificate".into() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| file_error(&files.key, error))?;
    let pair_error =
        |error: rustls::Error| TlsError::Pair { certificate: files.certificate.clone(), detail: error.to_string() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair_error)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair_error)?;
    // Tickets would keep keys beyond a session for handshakes that are rare here.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_none_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        assert!(matches!(server_config(&files), Err(TlsError::File { .. })));

        let a = rcgen::generate_simple_self_signed(vec!["relay.example".into()]).unwrap();
        let b = rcgen::generate_simple_self_signed(vec!["relay.example".into()]).unwrap();
        std::fs::write(&files.certificate, a.cert.pem()).unwrap();
        std::fs::write(&files.key, b.signing_key.serialize_pem()).unwrap();
        assert!(matches!(server_config(&files), Err(TlsError::Pair { .. })), "a key of another certificate");
        std::fs::write(&files.key, a.signing_key.serialize_pem()).unwrap();
        assert!(server_config(&files).is_ok());
    }
}
