//! What nodes say to each other on a link: batches of frames, in order.
//!
//! A link is dialed by the node whose sessions it is about. The dialer sends [`Call`], [`Ended`] and [`Alive`]; the other end [`Answer`],
//! [`Push`] and [`Close`]; both send [`Hello`] first, [`Altered`], [`Ping`] and [`Pong`]. `docs/protocol/cluster.md` has it in one place.

use bytes::{Buf as _, Bytes};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::error::FrameError;
use crate::limits::{BATCH_FRAMES_MAX, FRAME_OVERHEAD, SHARED_ATTRIBUTES_LEN_MAX};

/// Some frames, in order.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// The frames.
    #[prost(message, repeated, tag = "1")]
    pub frames: Vec<Frame>,
}

impl Batch {
    /// Reads a batch, once it is known how many frames it has: nothing is made of them before.
    ///
    /// # Errors
    ///
    /// [`FrameError`] when there are too many, or they are none.
    pub fn read(bytes: Bytes) -> Result<Self, FrameError> {
        let (mut rest, mut count) = (bytes.clone(), 0);
        while rest.has_remaining() {
            let (_, WireType::LengthDelimited) = decode_key(&mut rest)? else {
                return Err(FrameError::NoFrame);
            };
            let len = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
            if len > rest.remaining() {
                return Err(FrameError::NoFrame);
            }
            rest.advance(len);
            count += 1;
            if count > BATCH_FRAMES_MAX {
                return Err(FrameError::TooMany);
            }
        }
        Ok(Self::decode(bytes)?)
    }
}

/// One thing that is said.
#[derive(Clone, PartialEq, Message)]
pub struct Frame {
    /// What. None is of a version to come, and passed over.
    #[prost(oneof = "Said", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub said: Option<Said>,
}

/// See [`Frame`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Said {
    /// Who speaks.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// A call.
    #[prost(message, tag = "2")]
    Call(Call),
    /// What came of a call.
    #[prost(message, tag = "3")]
    Answer(Answer),
    /// A push to sessions.
    #[prost(message, tag = "4")]
    Push(Push),
    /// A session is to end.
    #[prost(message, tag = "5")]
    Close(Close),
    /// A session has ended.
    #[prost(message, tag = "6")]
    Ended(Ended),
    /// Something of a session has changed.
    #[prost(message, tag = "7")]
    Altered(Altered),
    /// Nothing but that the sender lives.
    #[prost(message, tag = "8")]
    Ping(Ping),
    /// The sessions there are.
    #[prost(message, tag = "9")]
    Alive(Alive),
    /// The answer to a ping.
    #[prost(message, tag = "10")]
    Pong(Pong),
}

impl From<Said> for Frame {
    fn from(said: Said) -> Self {
        Self { said: Some(said) }
    }
}

macro_rules! said {
    ($($frame:ident),*) => {
        $(impl From<$frame> for Frame {
            fn from(frame: $frame) -> Self {
                Said::$frame(frame).into()
            }
        })*
    };
}
said!(Hello, Call, Answer, Push, Close, Ended, Altered, Ping, Alive, Pong);

impl Frame {
    /// Bytes that it takes on a link, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let carried = match &self.said {
            Some(Said::Call(call)) => call.route.len() + call.body.len() + call.trace.len(),
            Some(Said::Answer(answer)) => match &answer.outcome {
                Some(Outcome::Reply(reply)) => reply.body.len(),
                Some(Outcome::Refusal(refusal)) => refusal.message.len() + refusal.details.len(),
                None => 0,
            },
            Some(Said::Push(push)) => push.route.len() + push.body.len() + 8 * push.sessions.len(),
            Some(Said::Alive(alive)) => 8 * alive.sessions.len(),
            Some(Said::Close(close)) => close.reason.len(),
            Some(Said::Altered(altered)) => altered.attributes.as_ref().map_or(0, Bytes::len),
            Some(Said::Ended(ended)) => ended.detail.len(),
            Some(Said::Hello(_) | Said::Ping(_) | Said::Pong(_)) | None => 0,
        };
        carried + FRAME_OVERHEAD
    }

    /// Whether both ends would know different things if it did not arrive: such a frame is sent however much waits, or the link ends.
    #[must_use]
    pub const fn must_arrive(&self) -> bool {
        matches!(
            self.said,
            Some(Said::Hello(_) | Said::Close(_) | Said::Ended(_) | Said::Altered(_) | Said::Alive(_))
        )
    }
}

/// Who speaks.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Hello {
    /// The node's id, of this life of its process.
    #[prost(fixed64, tag = "1")]
    pub node: u64,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The name of the cluster. Nodes of another one are refused.
    #[prost(string, tag = "3")]
    pub cluster: String,
    /// Whom it wants to reach, by its id; 0 when it does not say. A node that is another one, such as the next life of that one at the
    /// same address, refuses it.
    #[prost(fixed64, tag = "4")]
    pub to: u64,
}

/// A call of a session, or of a node.
#[derive(Clone, PartialEq, Message)]
pub struct Call {
    /// By what its answer is known; 0 when none is wanted.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The session; 0 for a call of the node itself.
    #[prost(fixed64, tag = "2")]
    pub session: u64,
    /// The route.
    #[prost(string, tag = "3")]
    pub route: String,
    /// The payload.
    #[prost(bytes = "bytes", tag = "4")]
    pub body: Bytes,
    /// How long the answer is waited for, in milliseconds.
    #[prost(uint32, tag = "5")]
    pub timeout_ms: u32,
    /// What is to be known of the session, with its first call to this node.
    #[prost(message, optional, tag = "6")]
    pub client: Option<Client>,
    /// Whether nobody waits for what is answered. It is answered all the same, when it is done, so that a session never has more on its way
    /// than it may.
    #[prost(bool, tag = "7")]
    pub is_notify: bool,
    /// The trace that the call is part of, as a `traceparent` of W3C; empty when it is part of none.
    #[prost(string, tag = "8")]
    pub trace: String,
}

/// What is to be known of a session.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Client {
    /// The address the client connects from; empty when there is none.
    #[prost(string, tag = "1")]
    pub remote_addr: String,
    /// Whether it is connected by WebSocket.
    #[prost(bool, tag = "2")]
    pub is_websocket: bool,
    /// The user, if it has logged in.
    #[prost(string, optional, tag = "3")]
    pub uid: Option<String>,
    /// What the session carries with it: [`Attributes`], encoded.
    #[prost(bytes = "bytes", tag = "4")]
    pub attributes: Bytes,
}

/// What came of a call.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    /// The call's id.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// What came of it.
    #[prost(oneof = "Outcome", tags = "2, 3")]
    pub outcome: Option<Outcome>,
}

/// See [`Answer`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Outcome {
    /// It was answered.
    #[prost(message, tag = "2")]
    Reply(Reply),
    /// It was answered with an error.
    #[prost(message, tag = "3")]
    Refusal(Refusal),
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Reply {
    /// The payload.
    #[prost(bytes = "bytes", tag = "1")]
    pub body: Bytes,
    /// Whether it is JSON text, which some clients want escaped.
    #[prost(bool, tag = "2")]
    pub is_text: bool,
}

/// An error, as clients see it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Refusal {
    /// Its code.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Its message.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Its details as JSON; empty for none.
    #[prost(string, tag = "3")]
    pub details: String,
}

/// A push to sessions of the receiver.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Push {
    /// The sessions.
    #[prost(fixed64, repeated, tag = "1")]
    pub sessions: Vec<u64>,
    /// The route.
    #[prost(string, tag = "2")]
    pub route: String,
    /// The payload, once.
    #[prost(bytes = "bytes", tag = "3")]
    pub body: Bytes,
    /// Whether it is JSON text.
    #[prost(bool, tag = "4")]
    pub is_text: bool,
    /// What it takes the place of, if that still waits.
    #[prost(uint64, optional, tag = "5")]
    pub coalesce_key: Option<u64>,
}

/// A session of the receiver is to end.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Close {
    /// Which.
    #[prost(fixed64, tag = "1")]
    pub session: u64,
    /// Whether the client is told why.
    #[prost(bool, tag = "2")]
    pub is_kick: bool,
    /// Why.
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// A session of the sender has ended.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ended {
    /// Which.
    #[prost(fixed64, tag = "1")]
    pub session: u64,
    /// Why, as a number that the nodes' services agree on.
    #[prost(uint32, tag = "2")]
    pub cause: u32,
    /// What else is to be said of that.
    #[prost(string, tag = "3")]
    pub detail: String,
}

/// Something of a session has changed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Altered {
    /// Which session.
    #[prost(fixed64, tag = "1")]
    pub session: u64,
    /// The user that it is bound to from now on; an empty one is none. Unset: as it was.
    #[prost(string, optional, tag = "2")]
    pub uid: Option<String>,
    /// What it carries from now on: [`Attributes`], encoded. Unset: as it was.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub attributes: Option<Bytes>,
}

/// What a session carries with it from node to node.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Attributes {
    /// Values by their names.
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub values: std::collections::BTreeMap<String, Bytes>,
}

impl Attributes {
    /// Reads what a frame has, within the limit.
    ///
    /// # Errors
    ///
    /// [`FrameError`] when it is longer than [`SHARED_ATTRIBUTES_LEN_MAX`], or no attributes.
    pub fn read(encoded: &Bytes) -> Result<Self, FrameError> {
        if encoded.len() > SHARED_ATTRIBUTES_LEN_MAX {
            return Err(FrameError::AttributesTooLong { len: encoded.len() });
        }
        Ok(Self::decode(encoded.clone())?)
    }
}

/// Nothing but that the sender lives.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Ping {
    /// When the sender's clock of this link said it, in microseconds; it comes back in the [`Pong`].
    #[prost(uint64, tag = "1")]
    pub sent_us: u64,
}

/// The answer to a [`Ping`], from which its sender learns how long the way there and back takes.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Pong {
    /// What the ping said.
    #[prost(uint64, tag = "1")]
    pub sent_us: u64,
}

/// The sessions of the sender that the receiver knows and that still are. All others of the sender's have ended. Sent first on a link
/// that takes the place of one that broke.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Alive {
    /// Some of them.
    #[prost(fixed64, repeated, tag = "1")]
    pub sessions: Vec<u64>,
    /// Whether these are the last.
    #[prost(bool, tag = "2")]
    pub is_last: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let call = Call { id: 7, route: "Room.say".to_owned(), body: "hi".into(), ..Call::default() };
        let batch = Batch { frames: vec![call.into(), Ping { sent_us: 5 }.into()] };
        assert_eq!(Batch::read(batch.encode_to_vec().into()).unwrap(), batch);
    }

    #[test]
    fn a_batch_of_more_frames_than_may_be_is_refused_before_they_are_made() {
        let frames = |count: usize| Bytes::from([0x0a, 0x00].repeat(count));
        assert_eq!(Batch::read(frames(BATCH_FRAMES_MAX)).unwrap().frames.len(), BATCH_FRAMES_MAX);
        assert!(Batch::read(frames(BATCH_FRAMES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            Batch::read(bytes.into()).ok();
        }
    }
}
