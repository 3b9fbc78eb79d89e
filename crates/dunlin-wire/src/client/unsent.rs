//! Packets that wait to be sent: one buffer, of which one packet at a time is taken.
//!
//! Invariant: the buffer holds whole packets only, and no memory once it is empty and was large.

use crate::limits::PACKET_HEADER_LEN;

/// An empty queue keeps a buffer up to this size, so that steady traffic does not allocate.
const KEPT_CAPACITY_MAX: usize = 4096;

/// Packets one after another, as they will be sent.
#[derive(Debug, Default)]
pub(super) struct UnsentPackets {
    bytes: Vec<u8>,
    sent_len: usize,
}

impl UnsentPackets {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent_len
    }

    /// Where an encoder appends one whole packet.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        // What was sent goes before the buffer grows, once it is the larger half, so that moving stays cheap.
        if self.sent_len > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent_len);
            self.sent_len = 0;
        }
        &mut self.bytes
    }

    /// Moves the first packet to the end of `out`.
    pub(super) fn pop(&mut self, out: &mut Vec<u8>) -> bool {
        let waiting = self.bytes.get(self.sent_len..).unwrap_or_default();
        let Some(([_, high, mid, low], _)) = waiting.split_first_chunk::<PACKET_HEADER_LEN>() else {
            return false;
        };
        let body_len = (usize::from(*high) << 16) | (usize::from(*mid) << 8) | usize::from(*low);
        let Some(packet) = waiting.get(..PACKET_HEADER_LEN + body_len) else {
            return false;
        };
        out.extend_from_slice(packet);
        self.sent_len += packet.len();
        if self.sent_len == self.bytes.len() {
            self.clear();
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_CAPACITY_MAX);
        self.sent_len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_packets_leave_no_memory_behind() {
        let mut unsent = UnsentPackets::default();
        let packet = [4, 0, 0x40, 0].into_iter().chain([7; 0x4000]).collect::<Vec<u8>>();
        for _ in 0..10 {
            unsent.tail().extend_from_slice(&packet);
        }
        let mut out = Vec::new();
        assert!(unsent.pop(&mut out) && unsent.len() == 9 * packet.len());
        for _ in 0..1000 {
            unsent.tail().extend_from_slice(&packet);
            assert!(unsent.pop(&mut out));
            out.clear();
        }
        assert!(unsent.bytes.capacity() <= 64 * packet.len(), "what was sent is dropped before growth");
        while unsent.pop(&mut out) {}
        assert_eq!(unsent.len(), 0);
        assert!(unsent.bytes.capacity() <= KEPT_CAPACITY_MAX);
    }
}
