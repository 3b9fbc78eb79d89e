//! What a node is set to ([`Config`]), and what all its parts share ([`Node`]).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::core::{ClusterId, MemberId, PeerConfig, PeerUrls, QueueLimits, UrlError};
use crate::limits::{self, RaftLimits};
use crate::net::link::{Clients, Link};
use crate::net::tls::PeerTls;
use crate::net::{pipeline, reader};
use crate::raft::{ErasedRaft, ProcessError};
use crate::raftpb::Message;

/// See [`Builder`](crate::Builder), whose methods set it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) id: MemberId,
    pub(crate) cluster_id: ClusterId,
    pub(crate) urls: Option<PeerUrls>,
    pub(crate) server_version: String,
    pub(crate) min_cluster_version: String,
    pub(crate) limits: RaftLimits,
    pub(crate) peer: PeerConfig,
    pub(crate) receive_queue: QueueLimits,
    pub(crate) dial_timeout: Duration,
    pub(crate) post_timeout: Duration,
    pub(crate) socket_timeout: Duration,
    pub(crate) redial_pause_min: Duration,
    pub(crate) redial_pause_max: Duration,
    pub(crate) snapshot_dir: Option<PathBuf>,
    /// `None`: plain text, as was asked for.
    pub(crate) tls: Option<PeerTls>,
}

impl Config {
    pub(crate) fn new(id: MemberId, cluster_id: ClusterId) -> Self {
        let stream_queue = QueueLimits {
            messages_max: limits::STREAM_QUEUE_MESSAGES_MAX,
            bytes_max: limits::STREAM_QUEUE_BYTES_MAX,
        };
        let pipeline_queue =
            QueueLimits { messages_max: limits::PIPELINE_QUEUE_MESSAGES_MAX, ..stream_queue };
        Self {
            id,
            cluster_id,
            urls: None,
            server_version: limits::SERVER_VERSION.to_owned(),
            min_cluster_version: limits::MIN_CLUSTER_VERSION.to_owned(),
            limits: RaftLimits::DEFAULT,
            peer: PeerConfig { stream_queue, pipeline_queue },
            receive_queue: stream_queue,
            dial_timeout: limits::DIAL_TIMEOUT,
            post_timeout: limits::POST_TIMEOUT,
            socket_timeout: limits::SOCKET_TIMEOUT,
            redial_pause_min: limits::REDIAL_PAUSE_MIN,
            redial_pause_max: limits::REDIAL_PAUSE_MAX,
            snapshot_dir: None,
            tls: None,
        }
    }
}

/// Why this node must stop. It is kept until it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Critical {
    /// A peer says that we are no longer a member, and never will be again.
    #[error("the member has been permanently removed from the cluster, says peer {by}")]
    Removed {
        /// Who says it.
        by: MemberId,
    },
}

/// A running node's transport.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) raft: Arc<dyn ErasedRaft>,
    pub(crate) stop: CancellationToken,
    pub(crate) critical: watch::Sender<Option<Critical>>,
    peers: RwLock<BTreeMap<MemberId, Arc<Link>>>,
    remotes: RwLock<BTreeMap<MemberId, Arc<Link>>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Node {
    pub(crate) fn new(config: Config, raft: Arc<dyn ErasedRaft>) -> Arc<Self> {
        Arc::new(Self {
            config,
            raft,
            stop: CancellationToken::new(),
            critical: watch::channel(None).0,
            peers: RwLock::default(),
            remotes: RwLock::default(),
        })
    }

    pub(crate) fn peers(&self) -> RwLockReadGuard<'_, BTreeMap<MemberId, Arc<Link>>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn peers_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<MemberId, Arc<Link>>> {
        self.peers.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remotes(&self) -> RwLockReadGuard<'_, BTreeMap<MemberId, Arc<Link>>> {
        self.remotes.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remotes_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<MemberId, Arc<Link>>> {
        self.remotes.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn peer(&self, id: MemberId) -> Option<Arc<Link>> {
        self.peers().get(&id).cloned()
    }

    /// With TLS no peer is spoken to in plain text, nor the other way round.
    pub(crate) fn check_scheme(&self, urls: &PeerUrls) -> Result<(), UrlError> {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        match urls.iter().find(|url| url.scheme_str() != Some(scheme)) {
            Some(url) => Err(UrlError::Security { scheme, url: url.to_string() }),
            None => Ok(()),
        }
    }

    /// Sends one message: to a peer, else to a remote, else nowhere.
    pub(crate) fn send(&self, message: Message) {
        let to = MemberId(message.to);
        if to.0 == 0 {
            return;
        }
        let link = self.peer(to).or_else(|| self.remotes().get(&to).cloned());
        match link {
            Some(link) => link.send(message),
            None => tracing::debug!(%to, "a message is for somebody unknown"),
        }
    }

    /// A message came on a stream of a peer.
    pub(crate) fn received(&self, link: &Link, message: Message) {
        if link.peer().is_paused() {
            return;
        }
        if !link.inbox.push(message) {
            link.traffic.not_received();
            tracing::warn!(peer = %link.id, "raft is behind: a message that came was dropped");
        }
    }

    /// A message came by a post.
    pub(crate) async fn process(&self, message: Message) -> Result<(), ProcessError> {
        let from = MemberId(message.from);
        if self.raft.is_id_removed(from) {
            return Err(ProcessError::Removed);
        }
        if self.peer(from).is_some_and(|link| link.peer().is_paused()) {
            return Ok(());
        }
        self.raft.process(message).await
    }

    /// A peer says that we were removed.
    pub(crate) fn removed(&self, by: MemberId) {
        tracing::error!(%by, "this member was removed from the cluster");
        self.critical.send_if_modified(|critical| {
            let is_first = critical.is_none();
            critical.get_or_insert(Critical::Removed { by });
            is_first
        });
    }

    /// Somebody of our cluster is not known to us: they can be answered from now on.
    pub(crate) fn meet(self: &Arc<Self>, id: MemberId, urls: PeerUrls) {
        if self.raft.is_id_removed(id) || self.check_scheme(&urls).is_err() {
            return;
        }
        self.add_remote(id, urls);
    }

    pub(crate) fn add_remote(self: &Arc<Self>, id: MemberId, urls: PeerUrls) {
        if id == self.config.id || id.0 == 0 || self.peer(id).is_some() || self.stop.is_cancelled() {
            return;
        }
        let mut remotes = self.remotes_mut();
        if remotes.contains_key(&id) || remotes.len() >= limits::REMOTES_MAX {
            return;
        }
        tracing::info!(remote = %id, %urls, "met somebody who is no peer yet");
        let link = Link::new(id, urls, self, (Clients::new(&self.config, id), true));
        spawn_posting(&link);
        remotes.insert(id, link);
    }

    pub(crate) fn add_peer(self: &Arc<Self>, id: MemberId, urls: PeerUrls) {
        let mut peers = self.peers_mut();
        if peers.contains_key(&id) || id == self.config.id || self.stop.is_cancelled() {
            return;
        }
        let link = Link::new(id, urls, self, (Clients::new(&self.config, id), false));
        spawn_posting(&link);
        for kind in crate::core::StreamKind::ALL {
            link.tasks.spawn(reader::run(link.clone(), kind));
        }
        for is_proposals in [true, false] {
            let inbox = link.inbox.clone();
            let deliver = inbox.deliver(id, self.raft.clone(), (is_proposals, link.stop.clone()));
            link.tasks.spawn(deliver);
        }
        peers.insert(id, link);
        drop(peers);
        // Who was met before is a peer now.
        if let Some(remote) = self.remotes_mut().remove(&id) {
            remote.stop();
        }
    }
}

fn spawn_posting(link: &Arc<Link>) {
    for _ in 0..limits::PIPELINE_WORKERS {
        link.tasks.spawn(pipeline::run(link.clone()));
    }
}

impl Clients {
    pub(crate) fn new(config: &Config, id: MemberId) -> Self {
        use dunlin_http::{MaxIdlePerHost, OnCancelDial, Protocols, Transport};
        let builder = || {
            let builder = Transport::builder()
                .protocols(Protocols::Http1)
                .dial_timeout(config.dial_timeout)
                .write_timeout(config.socket_timeout)
                .on_cancel_dial(OnCancelDial::Abort);
            match &config.tls {
                Some(tls) => tls.apply(builder, id),
                None => builder,
            }
        };
        let at_once = limits::PIPELINE_WORKERS + 1;
        Self {
            // A stream is never used again, and a silent one is dead: its heartbeats come three times as often.
            streams: builder()
                .max_idle_conns_per_host(MaxIdlePerHost::Never)
                .read_timeout(config.socket_timeout)
                .response_header_timeout(config.socket_timeout)
                .build(),
            // Idle connections go before the peer closes them.
            pipeline: builder()
                .max_conns_per_host(at_once)
                .max_idle_conns_per_host(at_once)
                .idle_conn_timeout(config.socket_timeout * 4 / 5)
                .build(),
            // The peer writes to its disk before it answers.
            snapshots: builder()
                .max_conns_per_host(limits::SNAPSHOTS_MAX)
                .response_header_timeout(config.post_timeout)
                .build(),
        }
    }
}
