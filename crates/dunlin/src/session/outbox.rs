//! What waits to be written to one client: a queue bounded by bytes and by packets, and what happens when it is full.
//!
//! Pure: no socket, no clock, no lock. The session guards it with its mutex; the shard takes packets out of it.
//!
//! Invariants: `bytes` is the sum of the queued packets' lengths; a queue of at most one packet owns no memory of its own; an answer to
//! a request is never dropped, only pushes are.

use std::collections::VecDeque;

use bytes::Bytes;

/// How much may wait for one client, and what happens beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendQueue {
    /// Bytes of packets that may wait, those handed to the socket's writer included. Default 1 MiB.
    pub bytes_max: u32,
    /// Packets that may wait. Default 1,024.
    pub packets_max: u32,
    /// What happens to a push that finds the queue full.
    pub when_full: WhenFull,
}

impl Default for SendQueue {
    fn default() -> Self {
        Self { bytes_max: 1 << 20, packets_max: 1024, when_full: WhenFull::Disconnect }
    }
}

/// What happens to a push that finds its client's queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// The push is refused and the client is disconnected: it is too slow for what it asked for.
    #[default]
    Disconnect,
    /// The oldest queued pushes make room for the new one.
    DropOldest,
    /// The new push is refused, the client stays.
    DropNewest,
    /// The new push takes the place of a queued one of the same coalescing key; without one it is refused.
    Coalesce,
}

/// How a push was taken by the queue of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushed {
    /// It waits for the next write of the connection.
    Queued,
    /// It waits, and this many older pushes were dropped for it ([`WhenFull::DropOldest`]).
    Displaced {
        /// Pushes that were dropped.
        dropped: u32,
    },
    /// It took the place of an older push of the same key ([`WhenFull::Coalesce`]).
    Coalesced,
}

/// Why the queue did not take a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full and the policy keeps the client.
    Full,
    /// So many older pushes were dropped for it, and then it did not fit beside the answers that wait.
    FullAfterDrops {
        /// Pushes that were dropped.
        dropped: u32,
    },
    /// The queue is full and the client has to go.
    Disconnect,
}

/// One packet that waits, complete with its header but without WebSocket framing.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) packet: Bytes,
    pub(crate) kind: QueuedKind,
}

/// What a queued packet is, which decides whether it may be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueuedKind {
    /// An answer to a request; never dropped.
    Answer,
    /// A push, with the key under which newer ones may replace it.
    Push { key: Option<u64> },
}

/// The queue itself.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The oldest packet, in place: a broadcast to an idle crowd then allocates nothing for each of its members.
    first: Option<Queued>,
    /// What is behind it. Boxed, because most queues never hold a second packet; `None` when there is none.
    #[expect(clippy::box_collection, reason = "it costs a pointer in each of very many sessions")]
    rest: Option<Box<VecDeque<Queued>>>,
    bytes: u32,
    /// Bytes the shard took out of the queue and the socket has not accepted yet.
    unsent: u32,
}

impl Outbox {
    /// Queues a push, by the rules of `limits`.
    pub(crate) fn push(
        &mut self,
        packet: Bytes,
        key: Option<u64>,
        limits: &SendQueue,
    ) -> Result<Pushed, Refused> {
        let len = packet_len(&packet);
        let queued = Queued { packet, kind: QueuedKind::Push { key } };
        if self.has_room(len, limits) {
            self.append(queued, len);
            return Ok(Pushed::Queued);
        }
        match limits.when_full {
            WhenFull::Disconnect => Err(Refused::Disconnect),
            WhenFull::DropNewest => Err(Refused::Full),
            WhenFull::DropOldest => self.displace(queued, len, limits),
            WhenFull::Coalesce => self.coalesce(queued, len, limits),
        }
    }

    /// Queues an answer. Answers are bounded by the requests a session may have open, so only their bytes count;
    /// beyond the limit the client has to go, whatever the policy: an answer may not be lost silently.
    pub(crate) fn answer(&mut self, packet: Bytes, limits: &SendQueue) -> Result<(), Refused> {
        let len = packet_len(&packet);
        if self.total_bytes().saturating_add(u64::from(len)) > u64::from(limits.bytes_max) {
            return Err(Refused::Disconnect);
        }
        self.append(Queued { packet, kind: QueuedKind::Answer }, len);
        Ok(())
    }

    /// Takes the oldest packet out.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let first = self.first.take()?;
        self.bytes -= packet_len(&first.packet);
        if let Some(rest) = self.rest.as_mut() {
            self.first = rest.pop_front();
            if rest.is_empty() {
                self.rest = None;
            }
        }
        Some(first)
    }

    /// Tells how many bytes taken out before are still unsent.
    pub(crate) fn set_unsent(&mut self, unsent: usize) {
        self.unsent = u32::try_from(unsent).unwrap_or(u32::MAX);
    }

    /// Drops everything that waits, for a connection that is gone.
    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.rest = None;
        self.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Packets that wait.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// Bytes that wait, those in the writer's hands included.
    pub(crate) fn total_bytes(&self) -> u64 {
        u64::from(self.bytes) + u64::from(self.unsent)
    }

    fn has_room(&self, len: u32, limits: &SendQueue) -> bool {
        self.total_bytes() + u64::from(len) <= u64::from(limits.bytes_max)
            && self.len() < limits.packets_max as usize
    }

    fn append(&mut self, queued: Queued, len: u32) {
        self.bytes += len;
        if self.first.is_none() {
            self.first = Some(queued);
        } else {
            self.rest.get_or_insert_default().push_back(queued);
        }
    }

    fn displace(&mut self, queued: Queued, len: u32, limits: &SendQueue) -> Result<Pushed, Refused> {
        if u64::from(self.unsent) + u64::from(len) > u64::from(limits.bytes_max) {
            return Err(Refused::Full);
        }
        let mut dropped = 0;
        while !self.has_room(len, limits) {
            if !self.drop_oldest_push() {
                return Err(if dropped == 0 { Refused::Full } else { Refused::FullAfterDrops { dropped } });
            }
            dropped += 1;
        }
        self.append(queued, len);
        Ok(Pushed::Displaced { dropped })
    }

    /// Drops the oldest packet that is a push; `false` when there is none.
    fn drop_oldest_push(&mut self) -> bool {
        let is_push = |queued: &Queued| matches!(queued.kind, QueuedKind::Push { .. });
        if self.first.as_ref().is_some_and(is_push) {
            return self.pop().is_some();
        }
        let Some(rest) = self.rest.as_mut() else { return false };
        let Some(old) = rest.iter().position(is_push).and_then(|at| rest.remove(at)) else { return false };
        if rest.is_empty() {
            self.rest = None;
        }
        self.bytes -= packet_len(&old.packet);
        true
    }

    fn coalesce(&mut self, queued: Queued, len: u32, limits: &SendQueue) -> Result<Pushed, Refused> {
        let QueuedKind::Push { key: Some(key) } = queued.kind else { return Err(Refused::Full) };
        let room = u64::from(limits.bytes_max).saturating_sub(self.total_bytes());
        let same_key = |old: &&mut Queued| old.kind == QueuedKind::Push { key: Some(key) };
        let rest = self.rest.iter_mut().flat_map(|rest| rest.iter_mut().rev());
        let Some(old) = rest.chain(self.first.as_mut()).find(same_key) else { return Err(Refused::Full) };
        let old_len = packet_len(&old.packet);
        if u64::from(len) > room + u64::from(old_len) {
            return Err(Refused::Full);
        }
        *old = queued;
        self.bytes = self.bytes - old_len + len;
        Ok(Pushed::Coalesced)
    }
}

/// A packet's length; the codec caps packets far below 4 GiB.
fn packet_len(packet: &Bytes) -> u32 {
    u32::try_from(packet.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(when_full: WhenFull) -> SendQueue {
        SendQueue { bytes_max: 10, packets_max: 3, when_full }
    }

    fn packet(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.pop()).map(|q| String::from_utf8(q.packet.to_vec()).unwrap()).collect()
    }

    #[test]
    fn full_by_count_or_by_bytes_refuses_and_disconnects_by_default() {
        let limits = limits(WhenFull::Disconnect);
        let mut outbox = Outbox::default();
        for text in ["a", "b", "c"] {
            assert_eq!(outbox.push(packet(text), None, &limits), Ok(Pushed::Queued));
        }
        assert_eq!(outbox.push(packet("d"), None, &limits), Err(Refused::Disconnect));
        let mut outbox = Outbox::default();
        outbox.push(packet("0123456789"), None, &limits).unwrap();
        assert_eq!(outbox.push(packet("d"), None, &limits), Err(Refused::Disconnect));
    }

    #[test]
    fn bytes_in_the_writers_hands_count_against_the_bound() {
        let limits = limits(WhenFull::DropNewest);
        let mut outbox = Outbox::default();
        outbox.set_unsent(10);
        assert_eq!(outbox.push(packet("d"), None, &limits), Err(Refused::Full));
    }

    #[test]
    fn drop_oldest_spares_answers() {
        let limits = limits(WhenFull::DropOldest);
        let mut outbox = Outbox::default();
        outbox.answer(packet("answer"), &limits).unwrap();
        outbox.push(packet("b"), None, &limits).unwrap();
        outbox.push(packet("c"), None, &limits).unwrap();
        assert_eq!(outbox.push(packet("d"), None, &limits), Ok(Pushed::Displaced { dropped: 1 }));
        assert_eq!(drain(&mut outbox), ["answer", "c", "d"]);
    }

    #[test]
    fn coalescing_replaces_the_same_key_in_place_and_refuses_strangers() {
        let limits = limits(WhenFull::Coalesce);
        let mut outbox = Outbox::default();
        outbox.push(packet("x1"), Some(1), &limits).unwrap();
        outbox.push(packet("y1"), Some(2), &limits).unwrap();
        outbox.push(packet("z"), None, &limits).unwrap();
        assert_eq!(outbox.push(packet("x2"), Some(1), &limits), Ok(Pushed::Coalesced));
        assert_eq!(outbox.push(packet("w"), Some(3), &limits), Err(Refused::Full));
        assert_eq!(drain(&mut outbox), ["x2", "y1", "z"]);
    }

    #[test]
    fn pushes_dropped_for_one_that_does_not_fit_beside_answers_are_counted() {
        let limits = limits(WhenFull::DropOldest);
        let mut outbox = Outbox::default();
        outbox.answer(packet("1234567"), &limits).unwrap();
        outbox.push(packet("a"), None, &limits).unwrap();
        outbox.push(packet("b"), None, &limits).unwrap();
        assert_eq!(outbox.push(packet("cdef"), None, &limits), Err(Refused::FullAfterDrops { dropped: 2 }));
        assert_eq!(drain(&mut outbox), ["1234567"]);
    }

    #[test]
    fn an_answer_over_the_byte_bound_asks_for_the_disconnect_under_every_policy() {
        for policy in [WhenFull::DropNewest, WhenFull::DropOldest, WhenFull::Coalesce, WhenFull::Disconnect] {
            let mut outbox = Outbox::default();
            assert_eq!(outbox.answer(packet("0123456789x"), &limits(policy)), Err(Refused::Disconnect));
        }
    }

    proptest! {
        #[test]
        fn no_sequence_of_pushes_exceeds_the_bounds(
            policy in prop_oneof![
                Just(WhenFull::Disconnect), Just(WhenFull::DropOldest),
                Just(WhenFull::DropNewest), Just(WhenFull::Coalesce)
            ],
            steps in proptest::collection::vec((0_usize..14, 0_u64..3, any::<bool>()), 0..60),
        ) {
            let limits = limits(policy);
            let mut outbox = Outbox::default();
            for (len, key, pop) in steps {
                if pop {
                    outbox.pop();
                }
                outbox.push(Bytes::from(vec![0; len]), Some(key), &limits).ok();
                prop_assert!(outbox.total_bytes() <= u64::from(limits.bytes_max));
                prop_assert!(outbox.len() <= limits.packets_max as usize);
            }
            while outbox.pop().is_some() {}
            prop_assert_eq!(outbox.total_bytes(), 0);
        }
    }
}
