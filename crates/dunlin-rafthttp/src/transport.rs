//! The handle of a node's transport, and how it is set up.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Config;
use crate::core::{
    Channel, ChannelState, ClusterId, LeaderStats, MemberId, PeerUrls, ProbeLook, ServerStatsReport,
    ServerVersion, Strangers, UrlError,
};
use crate::limits::{RaftLimits, STOP_TIMEOUT};
use crate::net::link::Link;
use crate::net::metrics::PeerTraffic;
use crate::net::server::{AnswerBody, answer};
use crate::net::snapshot::{self, Snapshot};
use crate::net::tls::{Identity, PeerTls};
use crate::node::{Critical, Node, View};
use crate::raft::Raft;
use crate::raftpb::Message;

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
        Ok(Transport { node: Node::new(self.config, Arc::new(raft)) })
    }
}

/// Sends Raft's messages to peers and gives Raft theirs. A clone is another handle on the same one.
///
/// Nothing here waits for a peer but [`stop`](Self::stop), and that not for long.
#[derive(Debug, Clone)]
pub struct Transport {
    node: Arc<Node>,
}

impl Transport {
    /// The transport of one member of a cluster, to be set up.
    #[must_use]
    pub fn builder(id: MemberId, cluster_id: ClusterId) -> Builder {
        Builder { config: Config::new(id, cluster_id), is_plain_text: false }
    }

    /// Accepts peers on a listener until `shutdown` is ready or the transport is stopped; their connections end with it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener; connections that are open end with the transport.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        crate::net::serve::serve(self.node.clone(), listener, shutdown).await;
    }

    /// Answers one request of a peer, for those who serve other things on the same port and know themselves who may come in.
    /// Paths are those that begin with `/raft`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the request unanswered.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        answer(self.node.clone(), Identity::Trusted, request).await
    }

    /// Says how far Raft is: its term and the last index of its log. By that messages are refused that no peer can have sent
    /// in good faith, such as a commit of what is not there. Say it before the messages are sent that say it to others;
    /// until it is said, nothing is too far ahead.
    pub fn set_progress(&self, term: u64, last_index: u64) {
        *self.node.view.lock().unwrap_or_else(PoisonError::into_inner) = View { term, last_index };
    }

    /// Sends messages to the members they are for, in order for each. It never waits: what does not fit is dropped, and
    /// Raft is told.
    pub fn send(&self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            self.node.send(message);
        }
    }

    /// Sends a snapshot with its database, beside everything else, and tells Raft what became of it.
    ///
    /// Returns whether it arrived; `false` too when its member is not known.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the transfer off without a report.
    pub async fn send_snapshot(&self, snapshot: Snapshot) -> bool {
        match self.node.peer(MemberId(snapshot.message.to)) {
            Some(link) => snapshot::send(link, snapshot).await,
            None => false,
        }
    }

    /// Adds a member to talk with. One that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`UrlError`] for the first URL that will not do.
    pub fn add_peer<'a>(
        &self,
        id: MemberId,
        urls: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), UrlError> {
        let urls = self.checked(urls)?;
        self.node.add_peer(id, urls);
        Ok(())
    }

    /// Adds somebody who is to be posted to but is no member yet.
    ///
    /// # Errors
    ///
    /// [`UrlError`] for the first URL that will not do.
    pub fn add_remote<'a>(
        &self,
        id: MemberId,
        urls: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), UrlError> {
        let urls = self.checked(urls)?;
        self.node.add_remote(id, urls);
        Ok(())
    }

    /// Says where a peer is reached from now on. An unknown one is ignored.
    ///
    /// # Errors
    ///
    /// [`UrlError`] for the first URL that will not do.
    pub fn update_peer<'a>(
        &self,
        id: MemberId,
        urls: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), UrlError> {
        let urls = self.checked(urls)?;
        if let Some(link) = self.node.peer(id) {
            link.set_urls(urls);
        }
        Ok(())
    }

    fn checked<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> Result<PeerUrls, UrlError> {
        let urls = PeerUrls::new(urls)?;
        self.node.check_scheme(&urls)?;
        Ok(urls)
    }

    /// Ends everything with a peer. One that is not there is none the worse for it.
    pub fn remove_peer(&self, id: MemberId) {
        let removed = self.node.peers_mut().remove(&id);
        if let Some(link) = removed {
            link.stop();
            self.node.leader_stats().remove_follower(id);
        }
    }

    /// Ends everything with all peers.
    pub fn remove_all_peers(&self) {
        let removed = std::mem::take(&mut *self.node.peers_mut());
        for (id, link) in removed {
            link.stop();
            self.node.leader_stats().remove_follower(id);
        }
    }

    /// Since when a peer has been there without a break, by any of its channels; `None` when it is not, or not known.
    #[must_use]
    pub fn active_since(&self, id: MemberId) -> Option<Instant> {
        self.node.peer(id).and_then(|link| link.peer().status().active_since())
    }

    /// Peers that are there.
    #[must_use]
    pub fn active_peers(&self) -> usize {
        let peers = self.node.peers();
        peers.values().filter(|link| link.peer().status().active_since().is_some()).count()
    }

    /// What went to and came from a peer.
    #[must_use]
    pub fn traffic(&self, id: MemberId) -> Option<PeerTraffic> {
        self.node.peer(id).map(|link| link.traffic.look())
    }

    /// What the probes of a peer say: whether it answers, the smoothed round trip, and how far its clock is from ours, ahead
    /// or behind. `None` before the first one is over.
    #[must_use]
    pub fn probed(&self, id: MemberId) -> Option<ProbeLook> {
        self.node.peer(id)?.probed()
    }

    /// What each channel of a peer says: since when it works, or since when it does not and why. Only those that were used.
    #[must_use]
    pub fn channels(&self, id: MemberId) -> Vec<(Channel, ChannelState)> {
        let Some(link) = self.node.peer(id) else { return Vec::new() };
        let peer = link.peer();
        peer.status().channels().map(|(channel, state)| (channel, state.clone())).collect()
    }

    /// Appends sent and received by this node, in etcd's form.
    #[must_use]
    pub fn server_stats(&self) -> ServerStatsReport {
        self.node.server_stats().report(Instant::now())
    }

    /// How followers take appends, in etcd's form.
    #[must_use]
    pub fn leader_stats(&self) -> LeaderStats {
        self.node.leader_stats().clone()
    }

    /// Drops everything to and from a peer, as if the network did: for tests.
    pub fn cut(&self, id: MemberId) {
        if let Some(link) = self.node.peer(id) {
            link.peer().pause();
        }
    }

    /// Undoes [`cut`](Self::cut).
    pub fn mend(&self, id: MemberId) {
        if let Some(link) = self.node.peer(id) {
            link.peer().resume();
        }
    }

    /// What makes it necessary to stop this node; `None` while there is nothing.
    #[must_use]
    pub fn critical(&self) -> watch::Receiver<Option<Critical>> {
        self.node.critical.subscribe()
    }

    /// Ends everything. It takes a second at most, whatever hangs.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on.
    pub async fn stop(&self) {
        self.node.stop.cancel();
        let mut links: Vec<Arc<Link>> = std::mem::take(&mut *self.node.remotes_mut()).into_values().collect();
        links.extend(std::mem::take(&mut *self.node.peers_mut()).into_values());
        let ended = async {
            for link in &links {
                link.stop();
            }
            for link in &links {
                link.tasks.wait().await;
            }
        };
        if timeout(STOP_TIMEOUT, ended).await.is_err() {
            tracing::warn!("the transport stopped before all of its tasks had");
        }
    }
}
