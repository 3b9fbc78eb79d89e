//! The message stream, `/raft/stream/message`: a length and a message, one after another.
//!
//! Byte layout: section "The message stream" of `docs/protocol/raft.md` in the repository.
//!
//! Invariants: a length is checked before anything is kept for it; messages that are whole in the input are read where they lie.

use bytes::BytesMut;

use super::gather::Gather;
use super::{EncodeError, StreamEvent, check_message, put_message};
use crate::limits::RaftLimits;
use crate::raftpb::{self, DecodeError, Message};

#[cfg(test)]
mod tests;

/// Why a peer's bytes are no message stream. Its connection has to end. Section "The message stream".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageStreamError {
    /// The length before a message is over [`RaftLimits::message_len_max`]; nothing was kept for it.
    #[error("message of {message_len} bytes is over the limit of {message_len_max}")]
    MessageTooLong {
        /// The length.
        message_len: u64,
        /// The limit in force.
        message_len_max: usize,
    },
    /// A whole message is none.
    #[error("a message on the stream cannot be read")]
    Message {
        /// Why.
        source: DecodeError,
    },
}

/// Takes messages out of a message stream that comes in pieces of any size. Section "The message stream".
///
/// ```
/// use dunlin_rafthttp::{MessageDecoder, RaftLimits, StreamEvent};
///
/// let mut decoder = MessageDecoder::new(RaftLimits::DEFAULT);
/// let mut input: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 2, 0x08, 0x08, 0, 0];
/// assert_eq!(decoder.decode(&mut input)?, Some(StreamEvent::LinkHeartbeat));
/// assert_eq!(decoder.decode(&mut input)?, None); // Two bytes of the next length are kept.
/// assert_eq!(decoder.buffered_len(), 2);
/// # Ok::<(), dunlin_rafthttp::MessageStreamError>(())
/// ```
#[derive(Debug)]
pub struct MessageDecoder {
    limits: RaftLimits,
    gather: Gather,
    /// The length of the message whose end has not come.
    message_len: Option<usize>,
}

impl MessageDecoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(limits: RaftLimits) -> Self {
        Self { limits, gather: Gather::default(), message_len: None }
    }

    /// Takes the next message from the front of `input` and advances it, or `None` when all of `input` was taken and more
    /// must come.
    ///
    /// # Errors
    ///
    /// [`MessageStreamError`] when the peer broke the protocol or a limit. The bytes after that mean nothing: the decoder is
    /// spent and the connection has to end.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<StreamEvent>, MessageStreamError> {
        let message_len = match self.message_len {
            Some(message_len) => message_len,
            None => {
                let Some(message_len) = self.gather.take_u64(input) else { return Ok(None) };
                *self.message_len.insert(self.check(message_len)?)
            }
        };
        let Some(bytes) = self.gather.take(input, message_len) else { return Ok(None) };
        let message: Message =
            raftpb::decode(&bytes, &self.limits).map_err(|source| MessageStreamError::Message { source })?;
        self.message_len = None;
        Ok(Some(message.into()))
    }

    /// Bytes held of a length or message whose end has not come; 0 between messages.
    #[must_use]
    pub fn buffered_len(&self) -> usize {
        self.gather.len()
    }

    /// Whether the stream stands between two messages, where it may end without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.message_len.is_none() && self.gather.len() == 0
    }

    fn check(&self, message_len: u64) -> Result<usize, MessageStreamError> {
        let message_len_max = self.limits.message_len_max;
        let short = usize::try_from(message_len).ok().filter(|len| *len <= message_len_max);
        short.ok_or(MessageStreamError::MessageTooLong { message_len, message_len_max })
    }
}

/// Appends a message as the message stream carries it; a link heartbeat is
/// [`Message::link_heartbeat`]. Section "The message stream".
///
/// # Errors
///
/// [`EncodeError`] when the message is over a limit; `out` is then as it was.
pub fn encode_message(message: &Message, limits: &RaftLimits, out: &mut BytesMut) -> Result<(), EncodeError> {
    let message_len = check_message(message, limits.message_len_max, limits)?;
    put_message(message, message_len, out);
    Ok(())
}
