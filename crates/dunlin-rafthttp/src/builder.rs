//! How a node's transport is set up.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::core::{ClusterId, MemberId, PeerUrls, ServerVersion, Strangers, UrlError};
use crate::limits::RaftLimits;
use crate::net::tls::PeerTls;
use crate::node::Node;
use crate::raft::Raft;
use crate::transport::Transport;

/// Sets up a [`Transport`].
#[derive(Debug, Clone)]
pub struct Builder {
    config: Config,
    is_plain_text: bool,
}

/// Why a transport does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It has neither TLS nor leave to go without.
    #[error(
        "peers need TLS (`tls`), or leave to speak in plain text on a network that is trusted (`plain_text`)"
    )]
    NoSecurity,
}

impl Builder {
    pub(crate) fn new(id: MemberId, cluster_id: ClusterId) -> Self {
        Self { config: Config::new(id, cluster_id), is_plain_text: false }
    }

    /// Our own URLs, told to peers so that one which does not know us can answer. Default: none are told.
    ///
    /// # Errors
    ///
    /// [`UrlError`] for the first one that will not do.
    pub fn urls<'a>(mut self, urls: impl IntoIterator<Item = &'a str>) -> Result<Self, UrlError> {
        self.config.urls = Some(PeerUrls::new(urls)?);
        Ok(self)
    }

    /// The server's version that is announced. Peers of etcd refuse one below 3.0 and one that they do not know.
    /// Default: [`ServerVersion::ANNOUNCED_DEFAULT`].
    #[must_use]
    pub fn server_version(mut self, version: ServerVersion) -> Self {
        self.config.local.versions.server = version;
        self
    }

    /// Who may lead or ask for a vote without being a peer or having said its URLs. Default: [`Strangers::Announced`], which
    /// a cluster needs whose nodes say theirs; [`Strangers::Any`] is for peers that never do.
    #[must_use]
    pub const fn strangers(mut self, strangers: Strangers) -> Self {
        self.config.strangers = strangers;
        self
    }

    /// How long a dial may take. Default: [`DIAL_TIMEOUT`](crate::limits::DIAL_TIMEOUT).
    #[must_use]
    pub const fn dial_timeout(mut self, limit: Duration) -> Self {
        self.config.dial_timeout = limit;
        self
    }

    /// How long a peer may take to answer a post. Default: [`POST_TIMEOUT`](crate::limits::POST_TIMEOUT).
    #[must_use]
    pub const fn post_timeout(mut self, limit: Duration) -> Self {
        self.config.post_timeout = limit;
        self
    }

    /// How long a socket may stand still. Default: [`SOCKET_TIMEOUT`](crate::limits::SOCKET_TIMEOUT); streams say every third of
    /// that that they live.
    #[must_use]
    pub const fn socket_timeout(mut self, limit: Duration) -> Self {
        self.config.socket_timeout = limit;
        self
    }

    /// The pauses before a stream is dialed again: the first, and the longest. Default:
    /// [`REDIAL_PAUSE_MIN`](crate::limits::REDIAL_PAUSE_MIN) and [`REDIAL_PAUSE_MAX`](crate::limits::REDIAL_PAUSE_MAX).
    #[must_use]
    pub const fn redial_pauses(mut self, min: Duration, max: Duration) -> Self {
        (self.config.redial_pause_min, self.config.redial_pause_max) = (min, max);
        self
    }

    /// What is taken from a peer, and sent to one. Default: [`RaftLimits::DEFAULT`].
    #[must_use]
    pub const fn limits(mut self, limits: RaftLimits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Where databases of snapshots are received. Default: they are refused.
    #[must_use]
    pub fn snapshot_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.snapshot_dir = Some(dir.into());
        self
    }

    /// Bytes of snapshots' databases that are sent each second, those to all peers together, so that a snapshot leaves the network and
    /// the disk to the messages of the group; after a silence a sixteenth of that goes at once. `None` for no limit. Default:
    /// [`SNAPSHOT_BYTES_PER_SEC_MAX_DEFAULT`](crate::limits::SNAPSHOT_BYTES_PER_SEC_MAX_DEFAULT).
    #[must_use]
    pub const fn snapshot_bytes_per_sec_max(mut self, limit: Option<NonZeroU64>) -> Self {
        self.config.snapshot_bytes_per_sec_max = limit;
        self
    }

    /// Speaks TLS with every peer, and takes each at the word of its certificate. URLs must begin with `https`.
    #[must_use]
    pub fn tls(mut self, tls: PeerTls) -> Self {
        self.config.tls = Some(tls);
        self
    }

    /// Speaks in plain text: whoever reaches the port may say to be any member. For tests, and for networks that are trusted.
    #[must_use]
    pub const fn plain_text(mut self) -> Self {
        self.is_plain_text = true;
        self
    }

    /// Starts it, on the runtime that this is called on. Peers are added to it, and it is served on a listener.
    ///
    /// # Errors
    ///
    /// [`StartError`] when it is not safe to.
    pub fn start(self, raft: impl Raft) -> Result<Transport, StartError> {
        if self.config.tls.is_none() && !self.is_plain_text {
            return Err(StartError::NoSecurity);
        }
        Ok(Transport::new(Node::new(self.config, Arc::new(raft))))
    }
}
