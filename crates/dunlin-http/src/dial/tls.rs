//! TLS over a dialed socket, by rustls.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::Connection;
use crate::config::Protocols;
use crate::error::BoxError;

/// The certificates of the public authorities, and no client certificate.
pub(crate) fn public_authorities() -> Arc<ClientConfig> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The user's settings, with the protocols that are to be offered.
pub(crate) fn with_protocols(
    config: &ClientConfig,
    protocols: Protocols,
    is_http1_only: bool,
) -> ClientConfig {
    let mut config = config.clone();
    config.alpn_protocols = match protocols {
        Protocols::Http2PriorKnowledge => vec![b"h2".to_vec()],
        Protocols::Negotiated if !is_http1_only => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocols::Negotiated | Protocols::Http1 => vec![b"http/1.1".to_vec()],
    };
    config
}

/// Does the handshake on a socket; the peer must prove to be `host`.
pub(crate) async fn handshake(
    connection: Connection,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<Connection, BoxError> {
    let name = ServerName::try_from(host.to_owned())?;
    let stream = TlsConnector::from(config).connect(name, connection.io).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Connection { io: Box::new(stream), is_http2, ..connection })
}
