//! Session ids: unique across nodes and across restarts of a node, without asking anybody.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one session: 10 bits of node, then 54 bits that start at the node's start time and count up.
///
/// The number is larger than JavaScript's exact integers; it is written as a decimal string in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// An id that another node made.
    pub(crate) const fn of(id: u64) -> Self {
        Self(id)
    }

    /// The id as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The node that made the session, 0 to 1023.
    #[must_use]
    pub const fn node(self) -> u16 {
        (self.0 >> 54) as u16
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.0)
    }
}

impl serde::Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bits left for the counter below the start time in milliseconds: a node may make 8,192 sessions a millisecond,
/// averaged over its life, before its counter reaches what a restart would begin with.
const COUNTER_BITS: u32 = 13;
/// 2025-01-01T00:00:00Z in milliseconds; 41 bits of milliseconds last until 2094.
const EPOCH_MS: u64 = 1_735_689_600_000;

/// Hands out the session ids of one node.
#[derive(Debug)]
pub(crate) struct SessionIds {
    node_bits: AtomicU64,
    next: AtomicU64,
}

impl SessionIds {
    /// `started_at_ms` is the node's start in unix milliseconds; `node` is taken modulo 1024.
    pub(crate) fn new(node: u16, started_at_ms: u64) -> Self {
        let since_epoch = started_at_ms.saturating_sub(EPOCH_MS) & ((1 << 41) - 1);
        Self { node_bits: AtomicU64::new(bits_of(node)), next: AtomicU64::new(since_epoch << COUNTER_BITS) }
    }

    /// The node has a number now, before it has sessions.
    pub(crate) fn set_node(&self, node: u16) {
        self.node_bits.store(bits_of(node), Ordering::Relaxed);
    }

    pub(crate) fn next(&self) -> SessionId {
        SessionId(
            self.node_bits.load(Ordering::Relaxed)
                | (self.next.fetch_add(1, Ordering::Relaxed) & ((1 << 54) - 1)),
        )
    }
}

const fn bits_of(node: u16) -> u64 {
    (node as u64 % 1024) << 54
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_restarted_node_do_not_repeat_those_of_its_former_life() {
        let before = SessionIds::new(7, EPOCH_MS + 1_000);
        let last_before = (0..8_000).map(|_| before.next()).last().unwrap();
        let first_after = SessionIds::new(7, EPOCH_MS + 1_001).next();
        assert!(first_after > last_before);
    }

    #[test]
    fn ids_of_two_nodes_never_meet() {
        let (one, two) = (SessionIds::new(1, EPOCH_MS), SessionIds::new(2, EPOCH_MS));
        assert_ne!(one.next(), two.next());
        assert_eq!((one.next().node(), two.next().node()), (1, 2));
    }
}
