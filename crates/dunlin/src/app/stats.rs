//! What happened so far, in numbers: counted where it happens, read as one snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that only grows and that only one thread counts, which spares it the locked instruction.
#[derive(Debug, Default)]
pub(crate) struct OwnCounter(AtomicU64);

impl OwnCounter {
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What each shard counts for itself, because it happens often; on cache lines that no other shard touches.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ShardStats {
    pub(crate) connections: OwnCounter,
    pub(crate) connections_closed: OwnCounter,
    pub(crate) messages_in: OwnCounter,
    pub(crate) answers_out: OwnCounter,
}

/// What all shards count together, because it is rare.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) sessions_opened: Counter,
    pub(crate) sessions_closed: Counter,
    pub(crate) handshakes_refused: Counter,
    pub(crate) handshakes_timed_out: Counter,
    pub(crate) origins_refused: Counter,
    pub(crate) protocol_faults: Counter,
    pub(crate) floods: Counter,
    pub(crate) unknown_routes: Counter,
    pub(crate) errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) overloads: Counter,
    pub(crate) pushes_refused: Counter,
    pub(crate) pushes_dropped: Counter,
    pub(crate) slow_clients: Counter,
    pub(crate) forwarded_out: Counter,
    pub(crate) forwarded_in: Counter,
    /// Those of clients among them.
    pub(crate) forwarded_in_of_clients: Counter,
}

/// What happened on this node since it began. Every number but the last two only grows; differences are gauges, such as
/// [`GateStats::sessions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct GateStats {
    /// Connections accepted.
    pub connections_opened: u64,
    /// Connections that are gone.
    pub connections_closed: u64,
    /// Connections turned away by a limit before they were accepted.
    pub connections_shed: u64,
    /// Sessions that came through their handshake.
    pub sessions_opened: u64,
    /// Sessions of those that ended.
    pub sessions_closed: u64,
    /// Requests and notifies taken from clients.
    pub messages_in: u64,
    /// Answers written or queued.
    pub answers_out: u64,
    /// Handshakes refused, by the application or because they could not be read.
    pub handshakes_refused: u64,
    /// Connections that did not come through their handshake in time.
    pub handshakes_timed_out: u64,
    /// Upgrades refused for their origin.
    pub origins_refused: u64,
    /// Connections closed because the client broke the protocol.
    pub protocol_faults: u64,
    /// Connections closed because their clients sent too many messages for too long.
    pub floods: u64,
    /// Messages for routes that nobody serves.
    pub unknown_routes: u64,
    /// Calls that ended in an error, whatever it was.
    pub errors: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Handlers that took too long.
    pub timeouts: u64,
    /// Calls that had to wait where too many waited already, and were answered so.
    pub overloads: u64,
    /// Pushes refused because a send queue was full.
    pub pushes_refused: u64,
    /// Queued pushes dropped for newer ones.
    pub pushes_dropped: u64,
    /// Clients disconnected because they read too slowly.
    pub slow_clients: u64,
    /// Calls forwarded to other nodes.
    pub forwarded_out: u64,
    /// Calls taken from other nodes.
    pub forwarded_in: u64,
    /// Sessions of this node that other nodes know now.
    pub travellers: u64,
    /// Sessions of other nodes that are known here now.
    pub visitors: u64,
}

impl GateStats {
    /// Connections that are open now.
    #[must_use]
    pub const fn connections(&self) -> u64 {
        self.connections_opened.saturating_sub(self.connections_closed)
    }

    /// Sessions that are open now.
    #[must_use]
    pub const fn sessions(&self) -> u64 {
        self.sessions_opened.saturating_sub(self.sessions_closed)
    }

    pub(crate) fn of<'a>(stats: &Stats, shards: impl Iterator<Item = &'a ShardStats>) -> Self {
        let mut snapshot = Self {
            sessions_opened: stats.sessions_opened.get(),
            sessions_closed: stats.sessions_closed.get(),
            handshakes_refused: stats.handshakes_refused.get(),
            handshakes_timed_out: stats.handshakes_timed_out.get(),
            origins_refused: stats.origins_refused.get(),
            protocol_faults: stats.protocol_faults.get(),
            floods: stats.floods.get(),
            unknown_routes: stats.unknown_routes.get(),
            errors: stats.errors.get(),
            panics: stats.panics.get(),
            timeouts: stats.timeouts.get(),
            overloads: stats.overloads.get(),
            pushes_refused: stats.pushes_refused.get(),
            pushes_dropped: stats.pushes_dropped.get(),
            slow_clients: stats.slow_clients.get(),
            forwarded_out: stats.forwarded_out.get(),
            forwarded_in: stats.forwarded_in.get(),
            ..Self::default()
        };
        for shard in shards {
            snapshot.connections_opened += shard.connections.get();
            snapshot.connections_closed += shard.connections_closed.get();
            snapshot.messages_in += shard.messages_in.get();
            snapshot.answers_out += shard.answers_out.get();
        }
        snapshot
    }
}
