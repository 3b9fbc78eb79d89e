//! The endless response that a peer reads its messages from: hyper asks for more when the socket has taken what it had.
//!
//! There is no task and no buffer behind it. What waits for the peer is in its bounded queue; what is asked for is
//! encoded then, as much as fits into one write.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::link::Link;
use crate::codec::{EncodeError, MsgAppEncoder, StreamEnds, encode_message};
use crate::core::{Attached, Batch, Report, StreamKind};
use crate::limits::WRITE_LEN;
use crate::raftpb::Message;

/// See the module.
pub(crate) struct Outgoing {
    link: Arc<Link>,
    attached: Attached,
    encoder: Encoder,
    heartbeat: Interval,
    /// Messages of the frame that was given last; when the next one is asked for, they have left.
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
        Self { attached: link.attach(kind), link: link.clone(), encoder, heartbeat, in_hand: 0 }
    }

    fn encode(&mut self, message: &Message, out: &mut BytesMut) -> Result<(), EncodeError> {
        match &mut self.encoder {
            Encoder::MsgApp(encoder) => encoder.encode(message, out),
            Encoder::Message => encode_message(message, &self.link.node.config.limits, out),
        }
    }

    fn encode_batch(&mut self, messages: &[Message]) -> BytesMut {
        let mut out = BytesMut::new();
        for message in messages {
            let begin = std::time::Instant::now();
            match self.encode(message, &mut out) {
                Ok(()) => {
                    self.in_hand += 1;
                    if self.attached.kind() == StreamKind::MsgApp {
                        // What a follower's latency means to etcd on a stream: there is no answer to wait for.
                        self.link.node.leader_stats().handle_success(self.link.id, begin.elapsed());
                    }
                }
                Err(error) => {
                    tracing::error!(peer = %self.link.id, %error, "a message cannot be sent");
                    self.link.report(&vec![Report::Unreachable]);
                }
            }
        }
        out
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        this.link.waker(this.attached.kind()).register(cx.waker());
        this.in_hand = 0;
        loop {
            let batch = this.link.peer().poll_batch(this.attached, WRITE_LEN);
            let out = match batch {
                Batch::Over => return Poll::Ready(None),
                Batch::Messages(messages) => this.encode_batch(&messages),
                Batch::Empty => {
                    if this.heartbeat.poll_tick(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let mut out = BytesMut::new();
                    // It is short and within every limit.
                    this.encode(&Message::link_heartbeat(), &mut out).ok();
                    out
                }
            };
            if !out.is_empty() {
                this.link.traffic.sent(out.len());
                return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.link.detach(self.attached, self.in_hand, "the peer's connection ended");
    }
}
