//! The body of a POST to `/raft/snapshot`: a length, a message with a snapshot, and a database behind it up to the end.
//!
//! Byte layout: section "The snapshot" of `docs/protocol/raft.md` in the repository. How long the database is, is written
//! nowhere, and a body that ends too early looks like a short one. So it is on the sender never to end a body that is not whole: it
//! counts with a [`SnapshotBody`] and breaks the connection off. The receiver believes an end only when HTTP says that it is one.
//!
//! Invariants: the database is passed on where it lies and never gathered; the length of the message is checked before anything
//! is kept for it.

use bytes::BytesMut;

use super::gather::Gather;
use super::{EncodeError, check_message, put_message};
use crate::limits::RaftLimits;
use crate::raftpb::{self, DecodeError, Message, MessageType};

#[cfg(test)]
mod tests;

/// What came. Section "The snapshot".
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "the large one comes once, and first")]
pub enum SnapshotEvent<'a> {
    /// The message, of type `Snap`. It is for Raft after the database is safe.
    Head(Message),
    /// The next bytes of the database; never empty.
    Body(&'a [u8]),
}

/// Why a body is no message with a database behind it. It has to be answered with an error and nothing of it kept.
/// Section "The snapshot".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The length before the message is over [`RaftLimits::snapshot_message_len_max`]; nothing was kept for it.
    #[error("snapshot message of {message_len} bytes is over the limit of {message_len_max}")]
    MessageTooLong {
        /// The length.
        message_len: u64,
        /// The limit in force.
        message_len_max: usize,
    },
    /// The body ended within the length or the message.
    #[error("body ends within its snapshot message, after {received_len} bytes of it")]
    MessageCutShort {
        /// How many bytes came of what was cut.
        received_len: usize,
    },
    /// The whole message is none.
    #[error("the message of a snapshot cannot be read")]
    Message {
        /// Why.
        source: DecodeError,
    },
    /// The message is one, and not of type `Snap`.
    #[error("message of type {msg_type} came where a snapshot has to be")]
    NotSnapshot {
        /// Its type.
        msg_type: i32,
    },
}

/// Takes the body of a snapshot apart that comes in pieces of any size. Section "The snapshot".
#[derive(Debug)]
pub struct SnapshotDecoder {
    message_len_max: usize,
    limits: RaftLimits,
    gather: Gather,
    step: Step,
}

/// What has to come next.
#[derive(Debug, Clone, Copy)]
enum Step {
    MessageLen,
    Message { message_len: usize },
    Body { body_len: u64 },
}

impl SnapshotDecoder {
    /// A decoder at the beginning of a body.
    #[must_use]
    pub fn new(limits: RaftLimits) -> Self {
        let message_len_max = message_len_max(&limits);
        Self { message_len_max, limits, gather: Gather::default(), step: Step::MessageLen }
    }

    /// Takes the next event from the front of `input` and advances it, or `None` when all of `input` was taken and more must come
    /// or the body has ended.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] when the peer broke the protocol or a limit. The bytes after that mean nothing.
    pub fn decode<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<SnapshotEvent<'a>>, SnapshotError> {
        loop {
            match self.step {
                Step::MessageLen => {
                    let Some(message_len) = self.gather.take_u64(input) else { return Ok(None) };
                    self.step = self.begin_message(message_len)?;
                }
                Step::Message { message_len } => {
                    let Some(bytes) = self.gather.take(input, message_len) else { return Ok(None) };
                    let message = self.end_message(&bytes)?;
                    self.step = Step::Body { body_len: 0 };
                    return Ok(Some(SnapshotEvent::Head(message)));
                }
                Step::Body { body_len } => {
                    let bytes = std::mem::take(input);
                    self.step = Step::Body { body_len: body_len.saturating_add(bytes.len() as u64) };
                    return Ok((!bytes.is_empty()).then_some(SnapshotEvent::Body(bytes)));
                }
            }
        }
    }

    /// The body has ended as HTTP ends one: how many bytes the database has.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::MessageCutShort`] when not even the message was whole.
    pub fn handle_end(&self) -> Result<u64, SnapshotError> {
        match self.step {
            Step::Body { body_len } => Ok(body_len),
            _ => Err(SnapshotError::MessageCutShort { received_len: self.gather.len() }),
        }
    }

    /// Bytes held of the length or message whose end has not come.
    #[must_use]
    pub fn buffered_len(&self) -> usize {
        self.gather.len()
    }

    fn begin_message(&self, message_len: u64) -> Result<Step, SnapshotError> {
        let message_len_max = self.message_len_max;
        let short = usize::try_from(message_len).ok().filter(|len| *len <= message_len_max);
        let message_len = short.ok_or(SnapshotError::MessageTooLong { message_len, message_len_max })?;
        Ok(Step::Message { message_len })
    }

    fn end_message(&self, bytes: &[u8]) -> Result<Message, SnapshotError> {
        let message: Message =
            raftpb::decode(bytes, &self.limits).map_err(|source| SnapshotError::Message { source })?;
        if message.is(MessageType::Snap) {
            Ok(message)
        } else {
            Err(SnapshotError::NotSnapshot { msg_type: message.msg_type })
        }
    }
}

/// Appends the beginning of a snapshot's body, behind which the database has to follow. Section "The snapshot".
///
/// # Errors
///
/// [`EncodeError`] when the message is no snapshot or over a limit; `out` is then as it was.
pub fn encode_snapshot_head(
    message: &Message,
    limits: &RaftLimits,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if !message.is(MessageType::Snap) {
        return Err(EncodeError::NotSnapshot { msg_type: message.msg_type });
    }
    let message_len = check_message(message, message_len_max(limits), limits)?;
    put_message(message, message_len, out);
    Ok(())
}

fn message_len_max(limits: &RaftLimits) -> usize {
    limits.snapshot_message_len_max.min(limits.message_len_max)
}

/// Why a database is not as long as its owner said. The body must be broken off and not ended, or the receiver would take a wrong
/// database for a whole one. Section "The snapshot".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotBodyError {
    /// There is more than was announced; the piece that goes over it must not be sent.
    #[error("database has more than the {body_len} bytes announced")]
    TooLong {
        /// The length announced.
        body_len: u64,
    },
    /// It ended before.
    #[error("database ended {missing_len} bytes before the {body_len} announced")]
    TooShort {
        /// The length announced.
        body_len: u64,
        /// How much of it did not come.
        missing_len: u64,
    },
}

/// The sender's count of the database that goes behind the message. Section "The snapshot".
#[derive(Debug)]
pub struct SnapshotBody {
    body_len: u64,
    missing_len: u64,
}

impl SnapshotBody {
    /// A count for a database of this length.
    #[must_use]
    pub const fn new(body_len: u64) -> Self {
        Self { body_len, missing_len: body_len }
    }

    /// The next bytes of the database are about to be sent.
    ///
    /// # Errors
    ///
    /// [`SnapshotBodyError::TooLong`] when they go over the length announced.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), SnapshotBodyError> {
        let too_long = SnapshotBodyError::TooLong { body_len: self.body_len };
        self.missing_len = self.missing_len.checked_sub(bytes.len() as u64).ok_or(too_long)?;
        Ok(())
    }

    /// The database has ended: the body may be ended too.
    ///
    /// # Errors
    ///
    /// [`SnapshotBodyError::TooShort`] when it is shorter than announced.
    pub const fn handle_end(&self) -> Result<(), SnapshotBodyError> {
        let Self { body_len, missing_len } = *self;
        if missing_len == 0 { Ok(()) } else { Err(SnapshotBodyError::TooShort { body_len, missing_len }) }
    }
}
