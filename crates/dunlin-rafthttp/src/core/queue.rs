//! What waits for a channel: bounded by count and by bytes, refused beyond that.

use std::collections::VecDeque;

use crate::raftpb::{self, Message};

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    /// Messages.
    pub(crate) messages_max: usize,
    /// Bytes of their encoding. A message that is longer still fits into an empty queue, or it would never be sent.
    pub(crate) bytes_max: usize,
}

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

    /// Puts a message at the end.
    ///
    /// # Errors
    ///
    /// The message, when there is no room for it.
    #[expect(clippy::result_large_err, reason = "a refused message goes back whole, to be reported on")]
    pub(crate) fn push(&mut self, message: Message) -> Result<(), Message> {
        let len = raftpb::encoded_len(&message);
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
        if self.messages.is_empty() {
            // A burst leaves no memory behind.
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    /// The length of the encoding of the message that is next.
    #[must_use]
    pub(crate) fn next_len(&self) -> Option<usize> {
        self.messages.front().map(|(_, len)| *len)
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

    fn message(len: usize) -> Message {
        Message { context: vec![0; len].into(), ..Message::default() }
    }

    #[test]
    fn one_message_over_the_number_is_refused_and_fits_when_one_left() {
        let mut queue = MessageQueue::new(QueueLimits { messages_max: 2, bytes_max: usize::MAX });
        assert!(queue.push(message(1)).is_ok() && queue.push(message(1)).is_ok());
        assert_eq!(queue.push(message(3)), Err(message(3)));
        queue.pop();
        assert!(queue.push(message(3)).is_ok());
    }

    #[test]
    fn bytes_are_bounded_but_for_a_message_that_fits_nowhere() {
        let mut queue = MessageQueue::new(QueueLimits { messages_max: 100, bytes_max: 1000 });
        assert!(queue.push(message(2000)).is_ok());
        assert!(queue.push(message(1)).is_err());
        assert_eq!(queue.pop(), Some(message(2000)));
        assert_eq!((queue.bytes, queue.messages.len()), (0, 0));
        assert!(queue.push(message(600)).is_ok() && queue.push(message(600)).is_err());
    }
}
