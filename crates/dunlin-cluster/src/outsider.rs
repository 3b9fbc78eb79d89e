//! A cluster's registry as somebody asks it who is no node: from afar, over the mutual TLS that nodes have between them.

use std::sync::Arc;

use dunlin_registry::grpc::{RemoteError, RemoteRegistry};

use crate::net::{TcpNetwork, Way};
use crate::tls::{Tls, TlsConfig, TlsError};

/// Who asks, as networks that are told see it. Sockets are told nothing.
const NAME: &str = "outsider";

/// Why a cluster cannot be asked over TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutsiderError {
    /// The files cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// There is nobody to ask.
    #[error("there is no voter to ask")]
    Nobody(#[from] RemoteError),
}

/// The registry of the voters at these URLs, `https://host:port`, asked with a certificate of the cluster's authority. Nobody is asked yet.
/// Where nodes talk in plain text, [`RemoteRegistry::new`] is enough.
///
/// # Errors
///
/// [`OutsiderError`].
pub fn registry_over_tls<'a>(
    urls: impl IntoIterator<Item = &'a str>,
    tls: &TlsConfig,
) -> Result<RemoteRegistry, OutsiderError> {
    let way = Way { network: Arc::new(TcpNetwork), tls: Some(Tls::load(tls)?), from: NAME.to_owned() };
    Ok(RemoteRegistry::over(urls.into_iter().map(|url| way.lazy_channel(url)))?)
}
