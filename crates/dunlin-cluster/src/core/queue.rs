//! What waits to be sent on a link: frames in order, within a number of bytes.

use std::collections::VecDeque;

use crate::frame::{Batch, Frame};
use crate::limits::{BATCH_LEN_MAX, LINK_QUEUE_LEN_MAX};

/// Why a frame is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueError {
    /// So much waits already.
    Full,
    /// So much waits that what must arrive does not fit either: the link is of no use any more.
    Overflowed,
    /// The link has ended.
    Ended,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FrameQueue {
    frames: VecDeque<Frame>,
    len: usize,
    len_max: usize,
    is_ended: bool,
}

impl Default for FrameQueue {
    fn default() -> Self {
        Self { frames: VecDeque::new(), len: 0, len_max: LINK_QUEUE_LEN_MAX, is_ended: false }
    }
}

impl FrameQueue {
    /// Takes a frame; one alone however long it is. What must arrive has as much room again as all others. Tells whether it is the first to
    /// wait.
    pub(crate) fn push(&mut self, frame: Frame) -> Result<bool, QueueError> {
        if self.is_ended {
            return Err(QueueError::Ended);
        }
        let len = frame.size();
        let over = |len_max: usize| self.len + len > len_max && !self.frames.is_empty();
        if frame.must_arrive() && over(2 * self.len_max) {
            self.is_ended = true;
            return Err(QueueError::Overflowed);
        }
        if !frame.must_arrive() && over(self.len_max) {
            return Err(QueueError::Full);
        }
        self.len += len;
        self.frames.push_back(frame);
        Ok(self.frames.len() == 1)
    }

    /// What is to be sent next; `None` when nothing waits.
    pub(crate) fn pop_batch(&mut self) -> Option<Batch> {
        let (mut count, mut len) = (0, 0);
        for frame in &self.frames {
            let next = len + frame.size();
            if next > BATCH_LEN_MAX && count > 0 {
                break;
            }
            (count, len) = (count + 1, next);
        }
        if count == 0 {
            return None;
        }
        self.len -= len;
        Some(Batch { frames: self.frames.drain(..count).collect() })
    }

    /// Takes nothing any more; what waits can still be sent.
    pub(crate) const fn end(&mut self) {
        self.is_ended = true;
    }

    /// Whether nothing comes any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_ended && self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Call, Ended, Said};
    use crate::limits::FRAME_OVERHEAD;

    fn call(id: u64, len: usize) -> Frame {
        Call { id, body: Bytes::from(vec![0; len]), ..Call::default() }.into()
    }

    fn id(frame: &Frame) -> u64 {
        match &frame.said {
            Some(Said::Call(call)) => call.id,
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_and_never_more_wait_than_may(
            steps in proptest::collection::vec((0_usize..5, 0_usize..3_000), 0..200),
        ) {
            let mut queue = FrameQueue { len_max: 10_000, ..FrameQueue::default() };
            let (mut waiting, mut next) = (VecDeque::new(), 1);
            for (step, len) in steps {
                if step == 0 {
                    let frames = queue.pop_batch().map_or_else(Vec::new, |batch| batch.frames);
                    let popped: Vec<(u64, usize)> = frames.iter().map(|frame| (id(frame), frame.size())).collect();
                    let expected: Vec<(u64, usize)> = waiting.drain(..popped.len()).collect();
                    prop_assert_eq!(popped, expected);
                } else if let Ok(is_first) = queue.push(call(next, len)) {
                    prop_assert_eq!(is_first, waiting.is_empty());
                    waiting.push_back((next, len + FRAME_OVERHEAD));
                    next += 1;
                }
                let len: usize = waiting.iter().map(|(_, len)| len).sum();
                prop_assert_eq!(queue.len, len);
                prop_assert!(len <= 10_000 || waiting.len() == 1);
            }
        }
    }

    #[test]
    fn a_batch_is_bounded_and_a_longer_frame_goes_alone() {
        let mut queue = FrameQueue::default();
        for (id, len) in [(1, 10), (2, 2 * BATCH_LEN_MAX), (3, 10), (4, 10)] {
            queue.push(call(id, len)).unwrap();
        }
        let mut ids = Vec::new();
        while let Some(batch) = queue.pop_batch() {
            ids.push(batch.frames.iter().map(id).collect::<Vec<_>>());
        }
        assert_eq!(ids, [vec![1], vec![2], vec![3, 4]]);
    }

    #[test]
    fn what_must_arrive_is_taken_when_others_are_not_and_when_it_is_not_the_queue_has_ended() {
        let mut queue = FrameQueue { len_max: 10_000, ..FrameQueue::default() };
        while queue.push(call(1, 100)).is_ok() {}
        let ended = || Frame::from(Ended { session: 7, ..Ended::default() });
        assert_eq!(queue.push(call(1, 100)), Err(QueueError::Full));
        let taken = (0..10_000).take_while(|_| queue.push(ended()).is_ok()).count();
        assert!(taken > 200, "{taken}");
        assert_eq!(queue.push(ended()), Err(QueueError::Ended));
    }

    #[test]
    fn after_the_end_what_waits_is_sent_and_nothing_more_is_taken() {
        let mut queue = FrameQueue::default();
        queue.push(call(1, 1)).unwrap();
        queue.end();
        assert_eq!(queue.push(call(2, 1)), Err(QueueError::Ended));
        assert!(!queue.is_over());
        assert_eq!(queue.pop_batch().unwrap().frames.len(), 1);
        assert!(queue.is_over());
    }
}
