//! Why something could not be sent, and why a node does not start.

use std::io;
use std::sync::Arc;

use dunlin_registry::RegistryError;
use dunlin_registry::nodes::AnnounceError;

use crate::tls::TlsError;

/// Why a frame was not sent. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other node is not reached now.
    #[error("the node is not reached")]
    Unreachable,
    /// The other node takes less than it is sent.
    #[error("too much waits for the node")]
    Overloaded,
}

/// Why what a node said is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A batch has something that is no frame, or a frame that is cut off.
    #[error("a batch has something that is no frame")]
    NoFrame,
    /// A batch has more frames than [`BATCH_FRAMES_MAX`](crate::limits::BATCH_FRAMES_MAX).
    #[error("a batch has more than {} frames", crate::limits::BATCH_FRAMES_MAX)]
    TooMany,
    /// What a session carries is over [`SHARED_ATTRIBUTES_LEN_MAX`](crate::limits::SHARED_ATTRIBUTES_LEN_MAX).
    #[error(
        "what a session carries has {len} bytes, over the limit of {}",
        crate::limits::SHARED_ATTRIBUTES_LEN_MAX
    )]
    AttributesTooLong {
        /// How many.
        len: usize,
    },
    /// The bytes are none of a frame.
    #[error("a frame cannot be read")]
    Decode(#[from] prost::DecodeError),
}

/// Why a node of a cluster does not start.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its address cannot be served.
    #[error("the cluster's address `{addr}` cannot be served")]
    Bind {
        /// The address.
        addr: String,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// Its certificates will not do.
    #[error("TLS between nodes cannot be set up")]
    Tls(#[source] Arc<TlsError>),
    /// There is neither a registry nor a voter to make one of.
    #[error("the node has no registry: name voters, make it one of them, or give it another registry")]
    NoRegistry,
    /// The voter does not start.
    #[error("the voter does not start")]
    Voter(#[source] Arc<dunlin_registry::StartError>),
    /// The other voters do not take it.
    #[error("the other voters do not take this one")]
    Join(#[source] RegistryError),
    /// The URLs of the voters will not do.
    #[error("the voters cannot be asked")]
    Voters(#[source] Arc<dunlin_registry::grpc::RemoteError>),
    /// The node cannot be announced.
    #[error("the node cannot be announced to the others")]
    Announce(#[from] AnnounceError),
    /// The other nodes cannot be read.
    #[error("the other nodes cannot be known")]
    Nodes(#[from] RegistryError),
}
