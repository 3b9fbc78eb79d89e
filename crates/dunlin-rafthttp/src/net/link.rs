//! What the shells of one peer share: its state machine behind a lock, its URLs, its clients, its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use http::Uri;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::inbox::Inbox;
use super::metrics::Traffic;
use crate::config::Config;
use crate::core::{
    Attached, Channel, MemberId, Outcome, Peer, PeerUrls, ProbeLook, Report, Reports, StreamKind,
};
use crate::limits;
use crate::node::Node;
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
    was_active: AtomicBool,
    /// Remotes are not reported on: Raft does not know them.
    pub(crate) is_remote: bool,
    peer: Mutex<Peer>,
    urls: Mutex<PeerUrls>,
    probed: Mutex<Option<ProbeLook>>,
    wakers: [AtomicWaker; 2],
}

/// The connections to one peer: an endless stream, short posts and long ones must not wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) streams: dunlin_http::Transport,
    pub(crate) pipeline: dunlin_http::Transport,
    pub(crate) snapshots: dunlin_http::Transport,
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
            traffic: Traffic::new((!is_remote).then_some((node.config.id, id))),
            was_active: AtomicBool::new(false),
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

    /// Sends a message whose encoding has `len` bytes, without waiting for anything.
    pub(crate) fn send(&self, message: Message, len: usize) {
        let outcome = self.peer().handle_send(message, len);
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
        self.status_changed(Channel::Stream(kind), "");
        attached
    }

    pub(crate) fn detach(&self, attached: Attached, lost: usize, reason: &str) {
        let reports = self.peer().handle_detach(Instant::now(), attached, lost, reason);
        self.report(&reports);
        self.status_changed(Channel::Stream(attached.kind()), reason);
    }

    /// One of our streams is read, or why it is not.
    pub(crate) fn reading(&self, kind: StreamKind, result: Result<(), &str>) {
        let channel = Channel::Reader(kind);
        let mut peer = self.peer();
        match result {
            Ok(()) => peer.status_mut().handle_active(Instant::now(), channel),
            Err(reason) => peer.status_mut().handle_failed(Instant::now(), channel, reason),
        };
        drop(peer);
        self.status_changed(channel, result.err().unwrap_or_default());
    }

    /// One of our streams was ended by the peer, which is no fault.
    pub(crate) fn stopped_reading(&self, kind: StreamKind) {
        self.peer().status_mut().handle_closed(Channel::Reader(kind));
        self.status_changed(Channel::Reader(kind), "the peer ended its stream");
    }

    /// Tells when the peer came or went, by whatever channel just changed.
    fn status_changed(&self, channel: Channel, reason: &str) {
        if self.is_remote {
            return;
        }
        let is_active = self.peer().status().active_since().is_some();
        if self.was_active.swap(is_active, Ordering::AcqRel) == is_active {
            return;
        }
        self.traffic.active(is_active);
        if is_active {
            tracing::info!(peer = %self.id, %channel, "peer became active");
        } else {
            tracing::warn!(peer = %self.id, %channel, reason, "peer became inactive");
        }
    }

    /// A post of a message ended.
    pub(crate) fn posted(&self, channel: Channel, message: &Message, result: Result<(), &str>) {
        if result.is_err() {
            self.traffic.not_sent();
        }
        let reports = self.peer().handle_posted(Instant::now(), channel, message, result);
        self.report(&reports);
        self.status_changed(channel, result.err().unwrap_or_default());
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
        if let Some(round_trip) = look.round_trip {
            self.traffic.round_trip(round_trip);
        }
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
