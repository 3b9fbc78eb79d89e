//! The msgapp stream, `/raft/stream/msgapp`: appends, most of them without a message around their entries.
//!
//! Both ends remember how far the log got on this connection. An append that goes on exactly there is written as its entries and
//! the commit index; everything else in it follows from the place and from whose connection it is. Byte layout and the rules of
//! the place: section "The msgapp stream" of `docs/protocol/raft.md` in the repository.
//! Read next: `codec/msgapp/encode.rs`, then `codec/msgapp/decode.rs`.
//!
//! Invariants: a short form never loses anything; what has more to say goes as a whole message. The two ends never differ in the
//! place, whatever is sent.

use crate::raftpb::{DecodeError, Message, MessageType};

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::MsgAppDecoder;
pub use encode::MsgAppEncoder;

/// The first byte of a link heartbeat, which is all of it.
const LINK_HEARTBEAT: u8 = 0;

/// The first byte of an append in the short form.
const APPEND: u8 = 1;

/// The first byte of a whole message.
const MESSAGE: u8 = 2;

/// Whose connection it is. Both ends name it alike: the log flows from one to the other.
/// Section "The msgapp stream".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnds {
    /// The member that writes the stream.
    pub from: u64,
    /// The member that reads it.
    pub to: u64,
}

/// Why a peer's bytes are no msgapp stream. Its connection has to end. Section "The msgapp stream".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MsgAppError {
    /// The first byte is none of the three.
    #[error("msgapp stream has an item of unknown type {first_byte}")]
    UnknownItem {
        /// The byte.
        first_byte: u8,
    },
    /// The number before the entries is over [`RaftLimits::entries_max`](crate::RaftLimits::entries_max).
    #[error("append of {entries} entries is over the limit of {entries_max}")]
    TooManyEntries {
        /// The number.
        entries: u64,
        /// The limit in force.
        entries_max: usize,
    },
    /// The entries would go on behind the last index there is.
    #[error("append of {entries} entries after index {index} goes over the last index there is")]
    IndexOverflow {
        /// The index they follow.
        index: u64,
        /// How many.
        entries: u64,
    },
    /// With the length before an entry the entries are over [`RaftLimits::message_len_max`](crate::RaftLimits::message_len_max);
    /// nothing was kept for it.
    #[error("append with {entries_len} bytes of entries or more is over the limit of {entries_len_max}")]
    EntriesTooLong {
        /// The length so far, with the entry just announced.
        entries_len: u64,
        /// The limit in force.
        entries_len_max: usize,
    },
    /// A whole entry is none.
    #[error("entry {position} of an append cannot be read")]
    Entry {
        /// Which of them, from 0 on.
        position: usize,
        /// Why.
        source: DecodeError,
    },
    /// The length before a message is over [`RaftLimits::message_len_max`](crate::RaftLimits::message_len_max); nothing was
    /// kept for it.
    #[error("message of {message_len} bytes is over the limit of {message_len_max}")]
    MessageTooLong {
        /// The length.
        message_len: u64,
        /// The limit in force.
        message_len_max: usize,
    },
    /// A whole message is none.
    #[error("a message on the msgapp stream cannot be read")]
    Message {
        /// Why.
        source: DecodeError,
    },
}

/// How far the log got on this connection: where an append has to go on so that it needs no message around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    term: u64,
    index: u64,
}

impl Place {
    /// Where it is after a whole message.
    fn after(message: &Message) -> Self {
        let index = message.entries.last().map_or(message.index, |entry| entry.index);
        Self { term: message.term, index }
    }

    /// Where it is after so many entries in the short form, or `None` where there is no such index.
    fn plus(self, entries: u64) -> Option<Self> {
        Some(Self { index: self.index.checked_add(entries)?, ..self })
    }

    /// The append that a short form stands for, without its entries.
    fn message(self, ends: StreamEnds, commit: u64) -> Message {
        Message {
            msg_type: MessageType::App.into(),
            to: ends.to,
            from: ends.from,
            term: self.term,
            log_term: self.term,
            index: self.index,
            commit,
            ..Message::default()
        }
    }
}
