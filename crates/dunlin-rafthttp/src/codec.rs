//! The codecs of rafthttp's three endless or long bodies: bytes in, messages out, and back.
//!
//! Knows nothing of HTTP: whoever owns the connection takes the body out of it, feeds what came to a decoder and takes messages
//! until it wants more bytes. Byte layout: `docs/protocol/raft.md` in the repository. The body of a POST to `/raft` needs no codec:
//! it is one message from beginning to end, read with [`decode`](crate::raftpb::decode) and written with
//! [`encode`](crate::raftpb::encode). Read next: `codec/message.rs`, the simpler of the two streams.

mod gather;
mod message;
mod msgapp;
mod output;
mod snapshot;

use bytes::{BufMut, BytesMut};

pub use message::{MessageDecoder, MessageStreamError, encode_message};
pub use msgapp::{MsgAppDecoder, MsgAppEncoder, MsgAppError, StreamEnds};
pub use output::{Output, Pieces};
pub use snapshot::{
    SnapshotBody, SnapshotBodyError, SnapshotDecoder, SnapshotError, SnapshotEvent, encode_snapshot_head,
};

use crate::limits::RaftLimits;
use crate::raftpb::{self, Message};

/// What came on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it comes out, and seldom the small one"
)]
pub enum StreamEvent {
    /// The connection lives; nothing for Raft. Section "The link heartbeat" of `docs/protocol/raft.md`.
    LinkHeartbeat,
    /// A message for Raft, not looked into: its type may be unknown and its members anybody.
    Message(Message),
}

impl From<Message> for StreamEvent {
    fn from(message: Message) -> Self {
        if message.is_link_heartbeat() { Self::LinkHeartbeat } else { Self::Message(message) }
    }
}

/// Why a message is not sent. Nothing was written then. A peer within the same limits would refuse it, and every time anew,
/// so it is not worth its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It is longer than its limit in [`RaftLimits`].
    #[error("message of {message_len} bytes is over the limit of {message_len_max}")]
    MessageTooLong {
        /// Its length; of an append without a message around it that of its entries.
        message_len: usize,
        /// The limit in force.
        message_len_max: usize,
    },
    /// It has more entries than [`RaftLimits::entries_max`].
    #[error("message of {entries} entries is over the limit of {entries_max}")]
    TooManyEntries {
        /// How many.
        entries: usize,
        /// The limit in force.
        entries_max: usize,
    },
    /// The configuration in it has more members than [`RaftLimits::members_max`].
    #[error("configuration of {members} members is over the limit of {members_max}")]
    TooManyMembers {
        /// How many, in all lists together.
        members: usize,
        /// The limit in force.
        members_max: usize,
    },
    /// The msgapp stream carries appends and link heartbeats only.
    #[error("message of type {msg_type} is no append and has no place on the msgapp stream")]
    NotAppend {
        /// Its type.
        msg_type: i32,
    },
    /// Before a database goes a snapshot.
    #[error("message of type {msg_type} is no snapshot and has no place before a database")]
    NotSnapshot {
        /// Its type.
        msg_type: i32,
    },
}

/// The length of a message, if it is within the limits.
fn check_message(
    message: &Message,
    message_len_max: usize,
    limits: &RaftLimits,
) -> Result<usize, EncodeError> {
    let message_len = raftpb::encoded_len(message);
    check_lens(message_len, message_len_max, message.entries.len(), limits)?;
    let conf_state = &message.snapshot.metadata.conf_state;
    let lists =
        [&conf_state.voters, &conf_state.learners, &conf_state.voters_outgoing, &conf_state.learners_next];
    let members = lists.iter().map(|list| list.len()).sum();
    if members > limits.members_max {
        return Err(EncodeError::TooManyMembers { members, members_max: limits.members_max });
    }
    Ok(message_len)
}

fn check_lens(
    message_len: usize,
    message_len_max: usize,
    entries: usize,
    limits: &RaftLimits,
) -> Result<(), EncodeError> {
    if message_len > message_len_max {
        return Err(EncodeError::MessageTooLong { message_len, message_len_max });
    }
    if entries > limits.entries_max {
        return Err(EncodeError::TooManyEntries { entries, entries_max: limits.entries_max });
    }
    Ok(())
}

/// Appends the length of a message, which was checked, and the message.
fn put_message(message: &Message, message_len: usize, out: &mut BytesMut) {
    out.reserve(size_of::<u64>() + message_len);
    put_len(message_len, out);
    raftpb::encode(message, out);
}

/// Appends a length or a count as the streams write it: eight bytes, big-endian.
fn put_len(len: usize, out: &mut BytesMut) {
    out.put_u64(len as u64);
}
