//! Mutual TLS between nodes: each has a certificate of the cluster's authority, with the one name that all of them have.
//!
//! Whoever the authority signs is a node: it is to be this cluster's alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_rafthttp::PeerTls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::files::{FromFiles, LOOK_INTERVAL};
use crate::limits::HELLO_TIMEOUT;
use crate::link::chain;
use crate::net::Io;

/// Where a node's certificate is, and that of the authority of all nodes. PEM files, read again when they changed. For a new
/// authority, let the file have both certificates until all nodes have theirs of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The authority's certificate, or those of several.
    pub authority: PathBuf,
    /// The node's certificate chain, its own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The name that stands in every node's certificate, whatever address the node has. Default `dunlin`.
    pub name: String,
}

impl TlsConfig {
    /// Names the three files.
    #[must_use]
    pub fn new(
        authority: impl Into<PathBuf>,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        Self {
            authority: authority.into(),
            certificate: certificate.into(),
            key: key.into(),
            name: "dunlin".to_owned(),
        }
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of its kind.
    #[error("{what} cannot be read from {}", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// The name is none that a certificate can have.
    #[error("`{name}` is no name of a certificate")]
    Name {
        /// The name.
        name: String,
    },
    /// What is in the files does not fit together.
    #[error("the certificate of the node cannot be used")]
    Certificate(#[from] rustls::Error),
    /// The authority's certificate cannot check others.
    #[error("the certificate of the authority cannot be used")]
    Authority(#[from] rustls::server::VerifierBuilderError),
}

/// What makes connections of a node secret, in both directions. Its files are read again when they changed: connections that
/// begin from then on use what is in them, those that live stay.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<TlsConfig>,
    current: Arc<FromFiles<Configs>>,
    name: ServerName<'static>,
    raft: PeerTls,
}

/// What connections begin with.
struct Configs {
    /// For links and the registry, which speak HTTP/2.
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    /// For Raft, which speaks HTTP/1.1 and asks for no other.
    raft: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub(crate) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let name = ServerName::try_from(config.name.clone())
            .map_err(|_| TlsError::Name { name: config.name.clone() })?;
        let paths = vec![config.authority.clone(), config.certificate.clone(), config.key.clone()];
        let current = FromFiles::read(paths, || Configs::read(config))?;
        let (member, configs) = (config.name.clone(), current.get());
        let raft = PeerTls::new(configs.raft.clone(), configs.server.clone(), move |_| member.clone());
        Ok(Self { config: Arc::new(config.clone()), current: Arc::new(current), name, raft })
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// [`TlsError`]; then all stays as it was.
    fn reload(&self) -> Result<(), TlsError> {
        self.current.read_again(|| Configs::read(&self.config))?;
        let configs = self.current.get();
        self.raft.replace(configs.raft.clone(), configs.server.clone());
        Ok(())
    }

    /// Looks now and then whether the files have changed, and reads them again if so.
    pub(crate) async fn follow_files(self) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if !self.current.is_stale() {
                continue;
            }
            match self.reload() {
                Ok(()) => tracing::info!("certificate files of the node changed and were read again"),
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(
                        error,
                        "changed certificate files of the node cannot be used; the old ones stay"
                    );
                }
            }
        }
    }

    /// What Raft's transport needs of it.
    pub(crate) fn raft(&self) -> PeerTls {
        self.raft.clone()
    }

    pub(crate) async fn connect(&self, io: Box<dyn Io>) -> io::Result<Box<dyn Io>> {
        let connecting = self.current.get().connector.connect(self.name.clone(), io);
        Ok(Box::new(timeout(HELLO_TIMEOUT, connecting).await??))
    }

    pub(crate) async fn accept(&self, io: Box<dyn Io>) -> io::Result<Box<dyn Io>> {
        let accepting = self.current.get().acceptor.accept(io);
        Ok(Box::new(timeout(HELLO_TIMEOUT, accepting).await??))
    }
}

impl Configs {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("the authority's certificate", &config.authority)? {
            roots.add(certificate)?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("the node's certificate", &config.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|source| TlsError::File {
            what: "the node's key",
            path: config.key.clone(),
            source,
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.clone_key())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (raft, server) = (Arc::new(client.clone()), Arc::new(server));
        let mut link = client;
        link.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { connector: Arc::new(link).into(), acceptor: server.clone().into(), raft, server })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { what, path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(failed(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
