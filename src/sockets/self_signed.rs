//! TLS between the two ends of a test: a server by a certificate that it signed itself, and clients that believe it.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A server's side, and what a client is to believe.
pub(crate) struct SelfSigned {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) certificate: CertificateDer<'static>,
    /// The certificate, as `ca_file` has it.
    pub(crate) pem: String,
}

/// A server of that name.
pub(crate) fn self_signed(name: &str) -> SelfSigned {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let (certificate, pem) = (made.cert.der().clone(), made.cert.pem());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    SelfSigned { server: Arc::new(server), certificate, pem }
}

/// A client that believes these certificates alone.
pub(crate) fn trusting(certificates: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}
