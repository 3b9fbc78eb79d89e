//! What is counted of each peer: for [`Transport::traffic`](crate::Transport::traffic), and for whatever recorder the program
//! has installed by the crate `metrics`. Names are etcd's with a prefix of ours; labels are ids of peers that were added,
//! so there are never more than the cluster has members.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::core::MemberId;

/// What went to and came from one peer since it was added.
pub(crate) struct Traffic {
    sent_bytes: Total,
    received_bytes: Total,
    sent_failures: Total,
    received_failures: Total,
    active: Gauge,
    disconnected: Counter,
    round_trip: Histogram,
    pub(crate) snapshots_sent: Snapshots,
    pub(crate) snapshots_received: Snapshots,
}

/// A number that only grows.
struct Total {
    count: AtomicU64,
    exported: Counter,
}

impl Total {
    const fn new(exported: Counter) -> Self {
        Self { count: AtomicU64::new(0), exported }
    }

    fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        self.exported.increment(count);
    }

    fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Traffic {
    /// Of us and a peer; `None`: of a stranger, who gets no label.
    pub(crate) fn new(ends: Option<(MemberId, MemberId)>) -> Self {
        let Some((local, remote)) = ends else { return Self::unlabelled() };
        let (local, remote) = (local.to_string(), remote.to_string());
        Self {
            sent_bytes: Total::new(counter!("dunlin_network_peer_sent_bytes_total", "to" => remote.clone())),
            received_bytes: Total::new(
                counter!("dunlin_network_peer_received_bytes_total", "from" => remote.clone()),
            ),
            sent_failures: Total::new(
                counter!("dunlin_network_peer_sent_failures_total", "to" => remote.clone()),
            ),
            received_failures: Total::new(
                counter!("dunlin_network_peer_received_failures_total", "from" => remote.clone()),
            ),
            active: gauge!("dunlin_network_active_peers", "local" => local.clone(), "remote" => remote.clone()),
            disconnected: counter!(
                "dunlin_network_disconnected_peers_total", "local" => local, "remote" => remote.clone()
            ),
            round_trip: histogram!("dunlin_network_peer_round_trip_time_seconds", "to" => remote.clone()),
            snapshots_sent: Snapshots {
                success: counter!("dunlin_network_snapshot_send_success", "to" => remote.clone()),
                failures: counter!("dunlin_network_snapshot_send_failures", "to" => remote.clone()),
                in_flight: gauge!("dunlin_network_snapshot_send_inflights_total", "to" => remote.clone()),
                duration: histogram!(
                    "dunlin_network_snapshot_send_total_duration_seconds", "to" => remote.clone()
                ),
            },
            snapshots_received: Snapshots {
                success: counter!("dunlin_network_snapshot_receive_success", "from" => remote.clone()),
                failures: counter!("dunlin_network_snapshot_receive_failures", "from" => remote.clone()),
                in_flight: gauge!("dunlin_network_snapshot_receive_inflights_total", "from" => remote.clone()),
                duration: histogram!(
                    "dunlin_network_snapshot_receive_total_duration_seconds", "from" => remote
                ),
            },
        }
    }

    fn unlabelled() -> Self {
        let total = || Total::new(Counter::noop());
        Self {
            sent_bytes: total(),
            received_bytes: total(),
            sent_failures: total(),
            received_failures: total(),
            active: Gauge::noop(),
            disconnected: Counter::noop(),
            round_trip: Histogram::noop(),
            snapshots_sent: Snapshots::unlabelled(),
            snapshots_received: Snapshots::unlabelled(),
        }
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.add(bytes as u64);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.add(bytes as u64);
    }

    pub(crate) fn not_sent(&self) {
        self.sent_failures.add(1);
    }

    pub(crate) fn not_received(&self) {
        self.received_failures.add(1);
    }

    /// The peer came, or went.
    pub(crate) fn active(&self, is_active: bool) {
        self.active.set(if is_active { 1.0 } else { 0.0 });
        if !is_active {
            self.disconnected.increment(1);
        }
    }

    pub(crate) fn round_trip(&self, round_trip: Duration) {
        self.round_trip.record(round_trip);
    }

    pub(crate) fn look(&self) -> PeerTraffic {
        PeerTraffic {
            sent_bytes: self.sent_bytes.get(),
            received_bytes: self.received_bytes.get(),
            sent_failures: self.sent_failures.get(),
            received_failures: self.received_failures.get(),
        }
    }
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traffic").field("look", &self.look()).finish_non_exhaustive()
    }
}

/// Snapshots with a database, in one direction.
pub(crate) struct Snapshots {
    success: Counter,
    failures: Counter,
    in_flight: Gauge,
    duration: Histogram,
}

impl Snapshots {
    fn unlabelled() -> Self {
        Self {
            success: Counter::noop(),
            failures: Counter::noop(),
            in_flight: Gauge::noop(),
            duration: Histogram::noop(),
        }
    }

    /// One is on its way.
    pub(crate) fn begin(&self) {
        self.in_flight.increment(1.0);
    }

    /// It arrived after so long, or did not.
    pub(crate) fn end(&self, took: Duration, has_arrived: bool) {
        self.in_flight.decrement(1.0);
        if has_arrived {
            self.success.increment(1);
            self.duration.record(took);
        } else {
            self.failures.increment(1);
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
