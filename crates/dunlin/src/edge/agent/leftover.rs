//! What a busy connection keeps: bytes that could not be taken at once, and messages that wait for the ones before them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::{Agent, Fx, QUEUED_LEN_SOFT_MAX};
use crate::service::{CallKind, RouteEntry};

/// A message that waits for the ones before it.
pub(super) struct Queued {
    pub(super) entry: Arc<RouteEntry>,
    pub(super) kind: CallKind,
    pub(super) id: u64,
    pub(super) body: Bytes,
}

/// How much at the end of some input was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// Packet bytes, unwrapped from their frame if they came in one. They come first.
    pub(super) plain: usize,
    /// Bytes as they came.
    pub(super) raw: usize,
}

impl Left {
    pub(super) const NOTHING: Self = Self { plain: 0, raw: 0 };

    fn len(self) -> usize {
        self.plain + self.raw
    }
}

/// What only a busy connection has.
#[derive(Default)]
pub(super) struct Side {
    /// An HTTP head that is not complete.
    pub(super) head: Vec<u8>,
    /// Input that was not taken; `left` says how much of its end.
    input: Vec<u8>,
    left: Option<Left>,
    queue: VecDeque<Queued>,
    queued_len: usize,
}

impl Side {
    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.left.is_none() && self.queue.is_empty()
    }
}

impl Agent {
    /// Whether bytes wait that were given and not taken.
    pub(super) fn has_leftover(&self) -> bool {
        self.side.as_ref().is_some_and(|side| side.left.is_some())
    }

    /// Whether a message waits that nothing keeps from being started.
    pub(super) fn has_startable(&self) -> bool {
        !self.is_busy && self.has_queued()
    }

    pub(super) fn has_queued(&self) -> bool {
        self.side.as_ref().is_some_and(|side| !side.queue.is_empty())
    }

    pub(super) fn is_queue_full(&self) -> bool {
        self.side.as_ref().is_some_and(|side| side.queued_len >= QUEUED_LEN_SOFT_MAX)
    }

    /// Goes on with what was left when too much was unanswered, the socket was full or the turn had done enough.
    pub(crate) fn handle_leftover(&mut self, fx: &mut Fx<'_>) {
        self.start_queued(fx);
        if self.has_leftover() && !self.is_full(fx) {
            self.feed_leftover(fx);
        }
        self.leave_if_drained(fx);
    }

    fn feed_leftover(&mut self, fx: &mut Fx<'_>) {
        let Some(side) = self.side.as_mut() else { return };
        let Some(left) = side.left.take() else { return };
        // Taken out, not copied, and put back with a smaller rest: a long rest that is taken in small pieces costs no
        // more than one that is taken at once.
        let mut input = std::mem::take(&mut side.input);
        let start = input.len().saturating_sub(left.len());
        let mut now_left = left;
        if let Some(plain) = input.get(start..start + left.plain) {
            now_left.plain = self.feed_packets(plain, fx).len();
        }
        if now_left.plain == 0 && left.raw > 0 {
            let raw_start = input.len() - left.raw;
            now_left = input.get_mut(raw_start..).map_or(Left::NOTHING, |raw| self.feed(raw, fx));
        }
        if now_left.len() > 0 && !self.is_leaving() && !self.is_draining {
            let side = self.side.get_or_insert_default();
            side.input = input;
            side.left = Some(now_left);
        }
        self.drop_empty_side();
    }

    /// Keeps a copy of the end of `input` that was not taken.
    pub(super) fn keep_leftover(&mut self, input: &[u8], left: Left) {
        if left.len() == 0 || self.is_leaving() || self.is_draining {
            return;
        }
        let start = input.len().saturating_sub(left.len());
        let side = self.side.get_or_insert_default();
        side.input = input.get(start..).unwrap_or_default().to_vec();
        side.left = Some(left);
    }

    pub(super) fn forget_leftover(&mut self) {
        if let Some(side) = self.side.as_mut() {
            side.input = Vec::new();
            side.left = None;
        }
        self.drop_empty_side();
    }

    pub(super) fn enqueue(&mut self, queued: Queued) {
        let side = self.side.get_or_insert_default();
        side.queued_len += queued.body.len();
        side.queue.push_back(queued);
    }

    pub(super) fn dequeue(&mut self) -> Option<Queued> {
        let side = self.side.as_mut()?;
        let queued = side.queue.pop_front()?;
        side.queued_len -= queued.body.len();
        Some(queued)
    }

    pub(super) fn drop_empty_side(&mut self) {
        if self.side.as_ref().is_some_and(|side| side.is_empty()) {
            self.side = None;
        }
    }
}
