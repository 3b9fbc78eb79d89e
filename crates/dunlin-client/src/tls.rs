//! What TLS trusts and speaks.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

/// Where the settings of TLS come from.
#[derive(Debug, Clone)]
pub(crate) enum TlsSettings {
    /// The public certificate authorities, and these.
    PublicRoots { extra: Vec<CertificateDer<'static>> },
    /// The caller's own.
    Custom(Arc<ClientConfig>),
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self::PublicRoots { extra: Vec::new() }
    }
}

impl TlsSettings {
    /// Trusts one more root; this does nothing to settings of the caller's own.
    pub(crate) fn add_root(&mut self, root: CertificateDer<'static>) {
        if let Self::PublicRoots { extra } = self {
            extra.push(root);
        }
    }

    pub(crate) fn build(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let extra = match self {
            Self::Custom(config) => return Ok(Arc::clone(config)),
            Self::PublicRoots { extra } => extra,
        };
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra {
            roots.add(root.clone())?;
        }
        // Named, so that another provider in the same program is no ambiguity.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}
