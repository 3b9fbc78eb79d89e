//! The endless response that a peer reads its messages from: hyper asks for more when the socket has taken what it had.
//!
//! There is no task and no buffer behind it. What waits for the peer is in its bounded queue; what is asked for is
//! encoded then, as much as fits into one write.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::link::Link;
use crate::codec::{EncodeError, MsgAppEncoder, Output, Pieces, StreamEnds, encode_message};
use crate::core::{Attached, Batch, Report, StreamKind};
use crate::limits::{SHARED_DATA_LEN_MIN, WRITE_LEN};
use crate::raftpb::Message;

/// See the module.
pub(crate) struct Outgoing {
    link: Arc<Link>,
    attached: Attached,
    encoder: Encoder,
    heartbeat: Interval,
    /// What was encoded and not yet asked for.
    pieces: Pieces,
    /// Messages of the pieces that were made last; when more is asked for, they have left.
    in_hand: usize,
}

enum Encoder {
    MsgApp(MsgAppEncoder),
    Message,
}

impl Outgoing {
    /// A stream that the peer just opened. It takes the place of the one before.
    pub(crate) fn attach(link: &Arc<Link>, kind: StreamKind) -> Self {
        let config = &link.node.config;
        let ends = StreamEnds { from: config.id.0, to: link.id.0 };
        let encoder = match kind {
            StreamKind::MsgApp => Encoder::MsgApp(MsgAppEncoder::new(ends, config.limits)),
            StreamKind::Message => Encoder::Message,
        };
        // A third of what the reader waits.
        let period = config.socket_timeout / 3;
        let mut heartbeat = interval_at(Instant::now() + period, period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pieces = Pieces::default();
        Self { attached: link.attach(kind), link: link.clone(), encoder, heartbeat, pieces, in_hand: 0 }
    }

    fn encode(&mut self, message: &Message) -> Result<(), EncodeError> {
        match &mut self.encoder {
            Encoder::MsgApp(encoder) => encoder.encode(message, &mut self.pieces),
            Encoder::Message => encode_message(message, &self.link.node.config.limits, self.pieces.buffer()),
        }
    }

    fn encode_batch(&mut self, messages: &[Message], bytes: usize) {
        let is_shared = |data: &&Bytes| data.len() >= SHARED_DATA_LEN_MIN;
        let data = messages.iter().flat_map(|message| &message.entries).map(|entry| &entry.data);
        let shared: usize = data.filter(is_shared).map(Bytes::len).sum();
        // The streams write a length before each entry or message, which is not among the bytes of the messages.
        let lens = messages.iter().map(|message| message.entries.len() + 1).sum::<usize>() * size_of::<u64>();
        self.pieces = Pieces::with_capacity(bytes.saturating_sub(shared) + lens);
        let (mut encoded, begin) = (0, std::time::Instant::now());
        for message in messages {
            match self.encode(message) {
                Ok(()) => encoded += 1,
                Err(error) => {
                    tracing::error!(peer = %self.link.id, %error, "a message cannot be sent");
                    self.link.report(&vec![Report::Unreachable]);
                }
            }
        }
        self.in_hand = encoded;
        if self.attached.kind() == StreamKind::MsgApp && encoded > 0 {
            // What a follower's latency means to etcd on a stream: there is no answer to wait for.
            let (count, each) = share(begin.elapsed(), encoded);
            self.link.node.leader_stats().handle_successes(self.link.id, count, each);
        }
    }
}

/// So many, each of which took its part of the time.
fn share(elapsed: Duration, count: usize) -> (u32, Duration) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (count, elapsed / count.max(1))
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = this.pieces.pop() {
                this.link.traffic.sent(piece.len());
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            this.in_hand = 0;
            this.link.waker(this.attached.kind()).register(cx.waker());
            let batch = this.link.peer().poll_batch(this.attached, WRITE_LEN);
            match batch {
                Batch::Over => return Poll::Ready(None),
                Batch::Messages(messages, bytes) => this.encode_batch(&messages, bytes),
                Batch::Empty => {
                    if this.heartbeat.poll_tick(cx).is_pending() {
                        return Poll::Pending;
                    }
                    // It is short and within every limit.
                    this.encode(&Message::link_heartbeat()).ok();
                }
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.link.detach(self.attached, self.in_hand, "the peer's connection ended");
    }
}
