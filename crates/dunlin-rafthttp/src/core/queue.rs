//! What waits for a channel: bounded by count and by bytes, refused beyond that.

use std::collections::VecDeque;

use crate::raftpb::Message;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    /// Messages.
    pub(crate) messages_max: usize,
    /// Bytes of their encoding. A message that is longer still fits into an empty queue, or it would never be sent.
    pub(crate) bytes_max: usize,
}

/// Messages that an empty queue keeps room for: some tens of KiB, so that what trickles in costs no allocation.
const IDLE_CAPACITY_MAX: usize = 64;

/// Messages that wait, in order.
#[derive(Debug)]
pub(crate) struct MessageQueue {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
    limits: QueueLimits,
}

impl MessageQueue {
    /// An empty queue. It owns no memory until something waits.
    #[must_use]
    pub(crate) const fn new(limits: QueueLimits) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, limits }
    }

    /// Puts a message at the end whose encoding has `len` bytes.
    ///
    /// # Errors
    ///
    /// The message, when there is no room for it.
    #[expect(clippy::result_large_err, reason = "a refused message goes back whole, to be reported on")]
    pub(crate) fn push(&mut self, message: Message, len: usize) -> Result<(), Message> {
        let is_full = self.messages.len() >= self.limits.messages_max
            || (!self.messages.is_empty() && self.bytes.saturating_add(len) > self.limits.bytes_max);
        if is_full {
            return Err(message);
        }
        self.bytes += len;
        self.messages.push_back((message, len));
        Ok(())
    }

    /// Takes the message that waits for longest.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let (message, len) = self.messages.pop_front()?;
        self.bytes -= len;
        self.give_back_memory();
        Some(message)
    }

    /// Takes messages whose encodings have `bytes_max` bytes together; one at least, if there is one. With how many bytes they have.
    pub(crate) fn pop_batch(&mut self, bytes_max: usize) -> (Vec<Message>, usize) {
        let (mut count, mut bytes) = (0, 0_usize);
        for (_, len) in &self.messages {
            if count > 0 && bytes.saturating_add(*len) > bytes_max {
                break;
            }
            count += 1;
            bytes = bytes.saturating_add(*len);
        }
        let batch = self.messages.drain(..count).map(|(message, _)| message).collect();
        self.bytes -= bytes;
        self.give_back_memory();
        (batch, bytes)
    }

    /// A burst leaves no memory behind.
    fn give_back_memory(&mut self) {
        if self.messages.is_empty() && self.messages.capacity() > IDLE_CAPACITY_MAX {
            self.messages = VecDeque::new();
        }
    }

    /// Throws everything away and returns it.
    pub(crate) fn clear(&mut self) -> Vec<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages).into_iter().map(|(message, _)| message).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(index: u64) -> Message {
        Message { index, ..Message::default() }
    }

    #[test]
    fn one_message_over_the_number_is_refused_and_fits_when_one_left() {
        let mut queue = MessageQueue::new(QueueLimits { messages_max: 2, bytes_max: usize::MAX });
        assert!(queue.push(message(1), 1).is_ok() && queue.push(message(2), 1).is_ok());
        assert_eq!(queue.push(message(3), 3), Err(message(3)));
        queue.pop();
        assert!(queue.push(message(3), 3).is_ok());
    }

    #[test]
    fn bytes_are_bounded_but_for_a_message_that_fits_nowhere() {
        let mut queue = MessageQueue::new(QueueLimits { messages_max: 100, bytes_max: 1000 });
        assert!(queue.push(message(1), 2000).is_ok());
        assert!(queue.push(message(2), 1).is_err());
        assert_eq!(queue.pop(), Some(message(1)));
        assert_eq!((queue.bytes, queue.messages.len()), (0, 0));
        assert!(queue.push(message(3), 600).is_ok() && queue.push(message(4), 600).is_err());
    }

    #[test]
    fn an_empty_queue_keeps_no_memory_of_a_burst() {
        let mut queue = MessageQueue::new(QueueLimits { messages_max: 10_000, bytes_max: usize::MAX });
        for index in 0..1000 {
            assert!(queue.push(message(index), 1).is_ok());
        }
        let (batch, bytes) = queue.pop_batch(usize::MAX);
        assert_eq!(bytes, 1000);
        assert!(batch.iter().map(|message| message.index).eq(0..1000));
        assert_eq!((queue.messages.capacity(), queue.bytes), (0, 0));
    }
}
