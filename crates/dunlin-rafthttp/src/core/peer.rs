//! One peer as a state machine: messages in, and which of them go which way, wait, or are dropped and reported.
//!
//! It knows no connection. A stream that the peer opened is attached and then asks for what it is to carry; the workers
//! of the pipeline take a message each. Who drops a message says so to Raft: [`Report`].
//!
//! Invariants: what is sent to a paused peer is gone without a word; the last stream attached is the one that carries;
//! everything that is dropped is reported, once for each message that was being written and once for a queue.

use std::time::Instant;

use super::queue::{MessageQueue, QueueLimits};
use super::status::PeerStatus;
use super::{Channel, StreamKind};
use crate::raftpb::{Message, MessageType};

/// How much a peer may keep waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerConfig {
    /// Of each stream.
    pub(crate) stream_queue: QueueLimits,
    /// Of the pipeline, the messages at work aside.
    pub(crate) pipeline_queue: QueueLimits,
}

/// What Raft must hear of a message that was dropped or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// The peer was not reached.
    Unreachable,
    /// A snapshot arrived.
    SnapshotFinished,
    /// A snapshot did not.
    SnapshotFailed,
}

/// Why a message was dropped instead of sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SendError {
    /// The queue of its channel is full.
    #[error("the queue of the {channel} is full")]
    QueueFull {
        /// The channel.
        channel: Channel,
    },
}

/// Reports to Raft: mostly none.
pub(crate) type Reports = Vec<Report>;

/// What became of a message that was to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits for this channel, which has to look.
    Queued(Channel),
    /// It is gone without a word: the peer is paused.
    Discarded,
    /// It is gone, and Raft hears of it.
    Dropped(SendError, Reports),
}

/// A stream as the peer's latest one of its kind; what was attached before is detached by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Attached {
    kind: StreamKind,
    generation: u64,
}

impl Attached {
    /// Its kind.
    #[must_use]
    pub(crate) const fn kind(self) -> StreamKind {
        self.kind
    }
}

/// What a stream is to carry next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Batch {
    /// These, in order; never none. With how many bytes their encodings have.
    Messages(Vec<Message>, usize),
    /// Nothing now.
    Empty,
    /// Nothing ever again: another one has taken its place, or the peer is gone.
    Over,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Peer {
    streams: [Stream; 2],
    pipeline: MessageQueue,
    status: PeerStatus,
    is_paused: bool,
    is_stopped: bool,
}

#[derive(Debug)]
struct Stream {
    queue: MessageQueue,
    generation: u64,
    is_attached: bool,
}

impl Peer {
    /// A peer of which nothing was heard yet.
    #[must_use]
    pub(crate) fn new(config: PeerConfig) -> Self {
        let stream =
            || Stream { queue: MessageQueue::new(config.stream_queue), generation: 0, is_attached: false };
        Self {
            streams: [stream(), stream()],
            pipeline: MessageQueue::new(config.pipeline_queue),
            status: PeerStatus::default(),
            is_paused: false,
            is_stopped: false,
        }
    }

    const fn stream(&self, kind: StreamKind) -> &Stream {
        match kind {
            StreamKind::MsgApp => &self.streams[0],
            StreamKind::Message => &self.streams[1],
        }
    }

    const fn stream_mut(&mut self, kind: StreamKind) -> &mut Stream {
        match kind {
            StreamKind::MsgApp => &mut self.streams[0],
            StreamKind::Message => &mut self.streams[1],
        }
    }

    /// Whether a stream of this kind carries.
    #[must_use]
    pub(crate) const fn is_attached(&self, kind: StreamKind) -> bool {
        self.stream(kind).is_attached
    }

    /// A message is to be sent whose encoding has `len` bytes.
    pub(crate) fn handle_send(&mut self, message: Message, len: usize) -> Outcome {
        if self.is_paused || self.is_stopped {
            return Outcome::Discarded;
        }
        let (has_msgapp, has_message) =
            (self.is_attached(StreamKind::MsgApp), self.is_attached(StreamKind::Message));
        let channel = Channel::pick(&message, has_msgapp, has_message);
        let queue = match channel {
            Channel::Stream(kind) => &mut self.stream_mut(kind).queue,
            Channel::Pipeline | Channel::Reader(_) | Channel::Snapshot => &mut self.pipeline,
        };
        match queue.push(message, len) {
            Ok(()) => Outcome::Queued(channel),
            Err(message) => Outcome::Dropped(SendError::QueueFull { channel }, reports_of(&message)),
        }
    }

    /// The peer opened a stream. What waited for the one before is dropped, since a part of it may have left.
    pub(crate) fn handle_attach(&mut self, now: Instant, kind: StreamKind) -> (Attached, Reports) {
        let is_stopped = self.is_stopped;
        let stream = self.stream_mut(kind);
        let dropped = stream.queue.clear();
        stream.generation += 1;
        stream.is_attached = !is_stopped;
        let attached = Attached { kind, generation: stream.generation };
        if !is_stopped {
            self.status.handle_active(now, Channel::Stream(kind));
        }
        (attached, unreachable_if(!dropped.is_empty()))
    }

    /// A stream ended. `lost` messages were taken from it and did not leave for certain.
    pub(crate) fn handle_detach(
        &mut self,
        now: Instant,
        attached: Attached,
        lost: usize,
        reason: &str,
    ) -> Reports {
        let kind = attached.kind;
        if !self.is_current(attached) {
            return unreachable_if(lost > 0);
        }
        let stream = self.stream_mut(kind);
        stream.is_attached = false;
        let dropped = stream.queue.clear();
        self.status.handle_failed(now, Channel::Stream(kind), reason);
        unreachable_if(lost > 0 || !dropped.is_empty())
    }

    /// Takes what a stream is to carry next: messages whose encodings have `bytes_max` bytes together, at least one.
    pub(crate) fn poll_batch(&mut self, attached: Attached, bytes_max: usize) -> Batch {
        if !self.is_current(attached) {
            return Batch::Over;
        }
        let (messages, bytes) = self.stream_mut(attached.kind).queue.pop_batch(bytes_max);
        if messages.is_empty() { Batch::Empty } else { Batch::Messages(messages, bytes) }
    }

    fn is_current(&self, attached: Attached) -> bool {
        let stream = self.stream(attached.kind);
        stream.is_attached && stream.generation == attached.generation
    }

    /// Takes a message for a worker of the pipeline.
    pub(crate) fn poll_pipeline(&mut self) -> Option<Message> {
        self.pipeline.pop()
    }

    /// A worker of the pipeline, or the sender of a snapshot, is done with a message.
    pub(crate) fn handle_posted(
        &mut self,
        now: Instant,
        channel: Channel,
        message: &Message,
        result: Result<(), &str>,
    ) -> Reports {
        match result {
            Ok(()) => {
                self.status.handle_active(now, channel);
                if message.is(MessageType::Snap) { vec![Report::SnapshotFinished] } else { Reports::new() }
            }
            Err(reason) => {
                self.status.handle_failed(now, channel, reason);
                reports_of(message)
            }
        }
    }

    /// From now on nothing is sent to the peer, nor taken from it: for tests.
    pub(crate) const fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Undoes [`Peer::pause`].
    pub(crate) const fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Whether it is paused.
    #[must_use]
    pub(crate) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Ends everything. Streams learn it when they ask next.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        for stream in &mut self.streams {
            stream.is_attached = false;
            stream.queue.clear();
        }
        self.pipeline.clear();
    }

    /// Whether it is there, by its channels.
    #[must_use]
    pub(crate) const fn status(&self) -> &PeerStatus {
        &self.status
    }

    /// The same, to tell it what a reader saw.
    pub(crate) const fn status_mut(&mut self) -> &mut PeerStatus {
        &mut self.status
    }
}

/// What Raft hears of a message that did not arrive.
fn reports_of(message: &Message) -> Reports {
    if message.is(MessageType::Snap) {
        vec![Report::Unreachable, Report::SnapshotFailed]
    } else {
        vec![Report::Unreachable]
    }
}

fn unreachable_if(is_dropped: bool) -> Reports {
    if is_dropped { vec![Report::Unreachable] } else { Reports::new() }
}

#[cfg(test)]
mod tests;
