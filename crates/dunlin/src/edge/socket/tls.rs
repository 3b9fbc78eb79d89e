//! TLS for clients: certificate files, read again on request without touching open connections.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_cluster::files::FromFiles;
use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::conn::{SocketConn, TlsStream};

/// Where a listener's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// A PEM file with the certificate chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Names the two files.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file could not be read or holds nothing of its kind.
    #[error("{what} cannot be read from {}", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key are there and do not work together.
    #[error("the certificate in {} cannot be used", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
}

/// The TLS side of whoever is connected to: the certificate of two files, which can be read again. For servers beside the gate, too.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsFiles,
    current: FromFiles<ServerConfig>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let paths = vec![files.certificate.clone(), files.key.clone()];
        let current = FromFiles::read(paths, || load_config(&files))?;
        Ok(Self { files, current })
    }

    /// Reads the files again; connections that begin from now on use them. On an error the old ones stay.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.read_again(|| load_config(&self.files))
    }

    /// Whether the files were written since they were read.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.current.is_stale()
    }

    /// What a connection that begins now is to use. It speaks HTTP/1.1 to those who ask.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.get()
    }

    pub(super) fn accept(&self, stream: TcpStream) -> io::Result<SocketConn> {
        let session = ServerConnection::new(self.config()).map_err(io::Error::other)?;
        Ok(SocketConn::Tls(Box::new(TlsStream::new(stream, session))))
    }
}

fn load_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let file_error = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file_error("a certificate chain", &files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(file_error("a private key", &files.key))?;
    let certificate_error = |source| TlsError::Certificate { path: files.certificate.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(certificate_error)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(certificate_error)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
