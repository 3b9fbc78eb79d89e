//! The handle of a node's transport. `builder.rs` sets it up.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::builder::Builder;
use crate::core::{
    Channel, ChannelState, ClusterId, LeaderStats, MemberId, PeerUrls, ProbeLook, ServerStatsReport, UrlError,
};
use crate::limits::STOP_TIMEOUT;
use crate::net::link::Link;
use crate::net::metrics::PeerTraffic;
use crate::net::server::{AnswerBody, answer};
use crate::net::snapshot::{self, Snapshot};
use crate::net::tls::Identity;
use crate::node::{Critical, Node, View};
use crate::raftpb::Message;

/// Sends Raft's messages to peers and gives Raft theirs. A clone is another handle on the same one.
///
/// Nothing here waits for a peer but [`stop`](Self::stop), and that not for long.
#[derive(Debug, Clone)]
pub struct Transport {
    node: Arc<Node>,
}

impl Transport {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// The transport of one member of a cluster, to be set up.
    #[must_use]
    pub fn builder(id: MemberId, cluster_id: ClusterId) -> Builder {
        Builder::new(id, cluster_id)
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
        let now = Instant::now();
        for message in messages {
            self.node.send(now, message);
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
        let removed = self.node.directory_mut().remove_peer(id);
        if let Some(link) = removed {
            link.stop();
            self.node.leader_stats().remove_follower(id);
        }
    }

    /// Ends everything with all peers.
    pub fn remove_all_peers(&self) {
        let removed = self.node.directory_mut().take_peers();
        for link in removed {
            link.stop();
            self.node.leader_stats().remove_follower(link.id);
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
        let directory = self.node.directory();
        directory.peers().filter(|link| link.peer().status().active_since().is_some()).count()
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
        let links = self.end();
        let ended = async {
            for link in &links {
                link.tasks.wait().await;
            }
        };
        if timeout(STOP_TIMEOUT, ended).await.is_err() {
            tracing::warn!("the transport stopped before all of its tasks had");
        }
    }

    /// Ends everything without waiting for it.
    pub fn abort(&self) {
        self.end();
    }

    fn end(&self) -> Vec<Arc<Link>> {
        self.node.stop.cancel();
        let links = self.node.directory_mut().take_all();
        for link in &links {
            link.stop();
        }
        links
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::Transport;
    use crate::raft::{ProcessError, Raft, SnapshotStatus};
    use crate::raftpb::{Entry, Message, MessageType};
    use crate::{ClusterId, MemberId};

    struct Nobody;

    impl Raft for Nobody {
        async fn process(&self, _: Message) -> Result<(), ProcessError> {
            Ok(())
        }

        fn is_id_removed(&self, _: MemberId) -> bool {
            false
        }

        fn report_unreachable(&self, _: MemberId) {}

        fn report_snapshot(&self, _: MemberId, _: SnapshotStatus) {}
    }

    #[tokio::test]
    async fn what_comes_while_the_transport_stops_is_no_failure_of_the_peer() {
        let builder = Transport::builder(MemberId(1), ClusterId(7)).plain_text();
        let transport = builder.start(Nobody).unwrap();
        transport.add_peer(MemberId(2), ["http://127.0.0.1:1"]).unwrap();
        let link = transport.node.peer(MemberId(2)).unwrap();
        let proposal = || Message {
            msg_type: MessageType::Prop.into(),
            from: 2,
            to: 1,
            entries: vec![Entry::default()],
            ..Message::default()
        };
        transport.node.received(Instant::now(), &link, Message { from: 3, ..proposal() });
        assert_eq!(link.traffic.look().received_failures, 1, "of a stranger it is one");
        transport.stop().await;
        transport.node.received(Instant::now(), &link, proposal());
        assert_eq!(link.traffic.look().received_failures, 1);
    }
}
