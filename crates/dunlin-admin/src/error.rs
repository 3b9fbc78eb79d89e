//! Why the admin port cannot be served.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the admin port cannot be served.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Others than this machine could ask, and no token is asked for.
    #[error("the admin port on {addr} would answer strangers: give it a token, or let it listen on loopback")]
    Open {
        /// Where it was to listen.
        addr: SocketAddr,
    },
    /// The address cannot be had.
    #[error("the admin port cannot listen on {addr}")]
    Bind {
        /// Which.
        addr: String,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The file of the token cannot be read.
    #[error("the admin port's token cannot be read from {}", path.display())]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The token could be guessed.
    #[error(
        "the admin port's token has {len} characters; it needs {} at least",
        crate::limits::TOKEN_LEN_MIN
    )]
    TokenTooShort {
        /// How many it has.
        len: usize,
    },
    /// The certificate of the port cannot be used.
    #[error("the admin port's certificate cannot be used")]
    Tls(#[from] Arc<dunlin::TlsError>),
    /// The authority of other nodes' ports cannot be read.
    #[error("the authority of other nodes' admin ports cannot be read from {}", path.display())]
    Authority {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: Arc<rustls_pki_types::pem::Error>,
    },
    /// Something else in the process records metrics already.
    #[error("the process has another recorder for metrics already")]
    Recorder,
}
