//! TLS towards next hops: verified, or merely encrypted where plain text would be the alternative.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

/// Both ways to agree on TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Kept as an error until somebody needs it: a host without any authority installed can still use the other way.
    verified: Result<Arc<ClientConfig>, String>,
    opportunistic: Arc<ClientConfig>,
}

/// Whether the certificate must be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Name, authority and dates.
    Fully,
    /// Any certificate: against listeners only (RFC 7435).
    Not,
}

impl Tls {
    /// Reads the authorities: of the PEM file, or the system's.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map_err(|e| e.to_string())
        };
        let verified = match ca_file {
            Some(path) => Ok(Arc::new(builder()?.with_root_certificates(roots(path)?).with_no_client_auth())),
            None => match builder()?.with_platform_verifier() {
                Ok(builder) => Ok(Arc::new(builder.with_no_client_auth())),
                Err(error) => Err(format!("the system's certificate authorities cannot be read: {error}")),
            },
        };
        let unverified =
            builder()?.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider.clone())));
        Ok(Self { verified, opportunistic: Arc::new(unverified.with_no_client_auth()) })
    }

    /// The configuration that verifies, for whoever else speaks TLS.
    ///
    /// # Errors
    /// There is no authority to verify by.
    pub fn verifying(&self) -> Result<Arc<ClientConfig>, String> {
        self.verified.clone()
    }

    /// The configuration that takes any certificate, for whoever says nothing that is secret.
    pub fn unverified(&self) -> Arc<ClientConfig> {
        self.opportunistic.clone()
    }

    /// The configuration for one handshake.
    pub(super) fn config(&self, verify: Verify) -> Result<Arc<ClientConfig>, String> {
        match verify {
            Verify::Fully => self.verified.clone(),
            Verify::Not => Ok(self.opportunistic.clone()),
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| format!("{shown} cannot be read: {e}"))? {
        let certificate = certificate.map_err(|e| format!("{shown} is no PEM file: {e}"))?;
        roots.add(certificate).map_err(|e| format!("{shown} holds a certificate that is no authority: {e}"))?;
    }
    if roots.is_empty() { Err(format!("{shown} holds no certificate")) } else { Ok(roots) }
}

/// Takes any certificate; signatures of the handshake are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
