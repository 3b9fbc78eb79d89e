//! What the shells of one peer share: its state machine behind a lock, its URLs, its clients, its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use http::Uri;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::inbox::Inbox;
use crate::config::Node;
use crate::core::{
    Attached, Channel, MemberId, Outcome, Peer, PeerUrls, ProbeLook, Report, Reports, StreamKind,
};
use crate::raft::SnapshotStatus;
use crate::raftpb::Message;

/// One peer, or a remote: one that is no member yet and is only posted to.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: MemberId,
    pub(crate) node: Arc<Node>,
    pub(crate) clients: Clients,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// A worker of the pipeline has something to do.
    pub(crate) posts: Notify,
    pub(crate) traffic: Traffic,
    /// Remotes are not reported on: Raft does not know them.
    pub(crate) is_remote: bool,
    peer: Mutex<Peer>,
    urls: Mutex<PeerUrls>,
    probed: Mutex<Option<ProbeLook>>,
    wakers: [AtomicWaker; 2],
}

/// What went to and came from one peer since it was added.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    sent_failures: AtomicU64,
    received_failures: AtomicU64,
}

impl Traffic {
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn not_sent(&self) {
        self.sent_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn not_received(&self) {
        self.received_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn look(&self) -> PeerTraffic {
        PeerTraffic {
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            sent_failures: self.sent_failures.load(Ordering::Relaxed),
            received_failures: self.received_failures.load(Ordering::Relaxed),
        }
    }
}

/// What went to and came from one peer since it was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerTraffic {
    /// Bytes of messages that were handed to its connections, heartbeats of the link included.
    pub sent_bytes: u64,
    /// Bytes of messages that came from it.
    pub received_bytes: u64,
    /// Messages that were dropped or not taken.
    pub sent_failures: u64,
    /// Messages that came and were not given to Raft.
    pub received_failures: u64,
}

/// The connections to one peer: an endless stream, short posts and long ones must not wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) streams: dunlin_http::Transport,
    pub(crate) pipeline: dunlin_http::Transport,
    pub(crate) snapshots: dunlin_http::Transport,
}

impl Link {
    pub(crate) fn new(
        id: MemberId,
        urls: PeerUrls,
        node: &Arc<Node>,
        (clients, is_remote): (Clients, bool),
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            node: node.clone(),
            clients,
            inbox: Arc::new(Inbox::new(node.config.receive_queue)),
            stop: node.stop.child_token(),
            tasks: TaskTracker::new(),
            posts: Notify::new(),
            traffic: Traffic::default(),
            is_remote,
            peer: Mutex::new(Peer::new(node.config.peer)),
            urls: Mutex::new(urls),
            probed: Mutex::default(),
            wakers: [AtomicWaker::new(), AtomicWaker::new()],
        })
    }

    pub(crate) fn peer(&self) -> MutexGuard<'_, Peer> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn waker(&self, kind: StreamKind) -> &AtomicWaker {
        match kind {
            StreamKind::MsgApp => &self.wakers[0],
            StreamKind::Message => &self.wakers[1],
        }
    }

    /// Sends a message, without waiting for anything.
    pub(crate) fn send(&self, message: Message) {
        let outcome = self.peer().handle_send(message);
        match outcome {
            Outcome::Queued(Channel::Stream(kind)) => self.waker(kind).wake(),
            Outcome::Queued(_) => self.posts.notify_one(),
            Outcome::Discarded => {}
            Outcome::Dropped(error, reports) => {
                self.traffic.not_sent();
                tracing::warn!(peer = %self.id, %error, "dropped a message");
                self.report(&reports);
            }
        }
    }

    /// Attaches a stream that the peer opened; the one before ends.
    pub(crate) fn attach(&self, kind: StreamKind) -> Attached {
        let (attached, reports) = self.peer().handle_attach(Instant::now(), kind);
        self.waker(kind).wake();
        self.report(&reports);
        attached
    }

    pub(crate) fn detach(&self, attached: Attached, lost: usize, reason: &str) {
        let reports = self.peer().handle_detach(Instant::now(), attached, lost, reason);
        self.report(&reports);
    }

    /// A post of a message ended.
    pub(crate) fn posted(&self, channel: Channel, message: &Message, result: Result<(), &str>) {
        if result.is_err() {
            self.traffic.not_sent();
        }
        let reports = self.peer().handle_posted(Instant::now(), channel, message, result);
        self.report(&reports);
    }

    pub(crate) fn report(&self, reports: &Reports) {
        if self.is_remote {
            return;
        }
        for report in reports {
            match report {
                Report::Unreachable => self.node.raft.report_unreachable(self.id),
                Report::SnapshotFinished => self.node.raft.report_snapshot(self.id, SnapshotStatus::Finished),
                Report::SnapshotFailed => self.node.raft.report_snapshot(self.id, SnapshotStatus::Failed),
            }
        }
    }

    pub(crate) fn url(&self) -> Uri {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).picked().clone()
    }

    pub(crate) fn url_failed(&self, url: &Uri) {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).handle_unreachable(url);
    }

    pub(crate) fn set_urls(&self, urls: PeerUrls) {
        *self.urls.lock().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    /// What is known by the last probe.
    pub(crate) fn set_probed(&self, look: ProbeLook) {
        *self.probed.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }

    pub(crate) fn probed(&self) -> Option<ProbeLook> {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends every task and stream of the peer, without waiting for them.
    pub(crate) fn stop(&self) {
        self.peer().stop();
        self.stop.cancel();
        self.tasks.close();
        for kind in StreamKind::ALL {
            self.waker(kind).wake();
        }
    }
}
