//! What a node is set to.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::{ClusterId, LocalNode, MemberId, PeerConfig, PeerUrls, QueueLimits, Strangers, Versions};
use crate::limits::{self, RaftLimits};
use crate::net::tls::PeerTls;

/// See [`Builder`](crate::Builder), whose methods set it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) id: MemberId,
    pub(crate) local: LocalNode,
    pub(crate) urls: Option<PeerUrls>,
    pub(crate) strangers: Strangers,
    pub(crate) limits: RaftLimits,
    pub(crate) peer: PeerConfig,
    pub(crate) receive_queue: QueueLimits,
    pub(crate) dial_timeout: Duration,
    pub(crate) post_timeout: Duration,
    pub(crate) socket_timeout: Duration,
    pub(crate) redial_pause_min: Duration,
    pub(crate) redial_pause_max: Duration,
    pub(crate) snapshot_dir: Option<PathBuf>,
    /// `None`: as fast as the peer takes them.
    pub(crate) snapshot_bytes_per_sec_max: Option<NonZeroU64>,
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
            local: LocalNode { versions: Versions::default(), cluster: cluster_id },
            urls: None,
            strangers: Strangers::Announced,
            limits: RaftLimits::DEFAULT,
            peer: PeerConfig { stream_queue, pipeline_queue },
            receive_queue: stream_queue,
            dial_timeout: limits::DIAL_TIMEOUT,
            post_timeout: limits::POST_TIMEOUT,
            socket_timeout: limits::SOCKET_TIMEOUT,
            redial_pause_min: limits::REDIAL_PAUSE_MIN,
            redial_pause_max: limits::REDIAL_PAUSE_MAX,
            snapshot_dir: None,
            snapshot_bytes_per_sec_max: Some(limits::SNAPSHOT_BYTES_PER_SEC_MAX_DEFAULT),
            tls: None,
        }
    }
}
