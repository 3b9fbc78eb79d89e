//! Why there is no cluster to ask.

/// Why there is no cluster to ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// What should be the URL of a member is none.
    #[error("{url} is no URL of a member")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// There is no member to ask.
    #[error("no member is given")]
    Nobody,
    /// The prefix is empty: all keys of the cluster would be ours.
    #[error("the prefix is empty")]
    PrefixEmpty,
    /// A connection cannot be made so.
    #[cfg(feature = "tls")]
    #[error("connections over TLS cannot be made so")]
    Tls {
        /// Why.
        source: tonic::transport::Error,
    },
}
