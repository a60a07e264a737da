//! Certificates and TLS for the rig: a self-signed certificate per peer, and streams that may be either.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A self-signed certificate, as files and in memory.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) certificate_pem: PathBuf,
    pub(crate) key_pem: PathBuf,
}

impl Certificate {
    /// Makes one for `names` (host names or addresses) and writes it into `folder`.
    pub(crate) fn make(folder: &Path, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let this = Self { certificate_pem: folder.join("cert.pem"), key_pem: folder.join("key.pem") };
        std::fs::write(&this.certificate_pem, made.cert.pem()).expect("the certificate is written");
        std::fs::write(&this.key_pem, made.signing_key.serialize_pem()).expect("the key is written");
        // Some peers read the key after they dropped their privileges, some refuse one that others can read.
        set_mode(&this.key_pem, 0o600);
        this
    }

    /// For a server.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_file(&self.certificate_pem).expect("our certificate")];
        let key = PrivateKeyDer::from_pem_file(&self.key_pem).expect("our key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a pair"))
    }

    /// For a client that trusts this certificate alone.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate_pem).expect("our certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(builder.expect("versions").with_root_certificates(roots).with_no_client_auth())
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our own file");
}

/// A connection, before or after STARTTLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Accepted(Box<StreamOwned<ServerConnection, TcpStream>>),
    Opened(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// The server's side of a handshake. What was read before and not yet used must have been thrown away.
    pub(crate) fn accept_tls(self, server: Arc<ServerConfig>) -> io::Result<Self> {
        let Self::Plain(socket) = self else { return Err(io::Error::other("TLS twice")) };
        let session = ServerConnection::new(server).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Accepted(Box::new(stream)))
    }

    /// The client's side.
    pub(crate) fn open_tls(self, client: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let Self::Plain(socket) = self else { return Err(io::Error::other("TLS twice")) };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(client, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Opened(Box::new(stream)))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Accepted(stream) => &stream.sock,
            Self::Opened(stream) => &stream.sock,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Ends the connection for both directions; errors mean that it is gone already.
    pub(crate) fn cut(&self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    pub(crate) fn set_patience(&self, patience: Duration) {
        self.socket().set_read_timeout(Some(patience)).expect("not zero");
        self.socket().set_write_timeout(Some(patience)).expect("not zero");
        // Replies are small and awaited.
        let _ = self.socket().set_nodelay(true);
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Accepted(stream) => stream.read(into),
            Self::Opened(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(from),
            Self::Accepted(stream) => stream.write(from),
            Self::Opened(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Accepted(stream) => stream.flush(),
            Self::Opened(stream) => stream.flush(),
        }
    }
}
