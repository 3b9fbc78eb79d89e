//! HTTP clients under measurement: what each is asked to do, the clients, and the small server of the wave.
//!
//! Every client is a process of its own (`http-load`), so that the kernel's account of the process is the client's
//! cost. The Go client in `bench/peers/go-http` takes the same arguments and prints the same line.

pub mod clients;
pub mod server;
pub mod steady;
pub mod wave;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What is spoken. With TLS it is what ALPN must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2, over TLS only.
    H2,
}

impl Protocol {
    fn alpn(self) -> Vec<Vec<u8>> {
        vec![match self {
            Self::H1 => b"http/1.1".to_vec(),
            Self::H2 => b"h2".to_vec(),
        }]
    }
}

/// Where the requests go, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// URL that is asked for.
    #[arg(long)]
    pub target: http::Uri,
    /// Certificate that is trusted, as PEM.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// What is spoken.
    #[arg(long, value_enum, default_value = "h1")]
    pub protocol: Protocol,
    /// Connections that the client may have at a time; 0 is any number.
    #[arg(long, default_value_t = 0)]
    pub conns_max: usize,
}

impl Target {
    /// TLS that trusts the one certificate, without protocols of ALPN; nothing is trusted if there is none.
    ///
    /// # Errors
    ///
    /// When the file is no certificate.
    pub fn trust(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            roots.add(CertificateDer::from_pem_file(path).context("no certificate")?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// The same with the protocol for ALPN.
    ///
    /// # Errors
    ///
    /// As [`trust`](Self::trust).
    pub fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut config = self.trust()?;
        config.alpn_protocols = self.protocol.alpn();
        Ok(Arc::new(config))
    }
}

/// The files of a certificate for the loopback that nobody else trusts.
#[derive(Debug, Clone, clap::Args)]
pub struct CertificateFiles {
    /// The certificate, PEM.
    #[arg(long)]
    pub cert: PathBuf,
    /// Its key, PEM.
    #[arg(long)]
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Makes a certificate and writes both files.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn make(&self) -> Result<()> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        write(&self.cert, &made.cert.pem())?;
        write(&self.key, &made.signing_key.serialize_pem())
    }

    fn server(&self, protocol: Protocol) -> Result<Arc<ServerConfig>> {
        let chain = vec![CertificateDer::from_pem_file(&self.cert).context("no certificate")?];
        let key = PrivateKeyDer::from_pem_file(&self.key).context("no key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = protocol.alpn();
        Ok(Arc::new(config))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
