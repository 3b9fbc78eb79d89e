//! Why bytes are none of our types within limits, and which integers name nothing.

use crate::limits::GROUP_DEPTH_MAX;

/// Why bytes of a peer are not a value of raftpb that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are more than [`RaftLimits::message_len_max`](crate::RaftLimits::message_len_max); none was looked at.
    #[error("message of {message_len} bytes is over the limit of {message_len_max}")]
    TooLong {
        /// How many there are.
        message_len: usize,
        /// The limit in force.
        message_len_max: usize,
    },
    /// There are more entries than [`RaftLimits::entries_max`](crate::RaftLimits::entries_max).
    #[error("message has more than {entries_max} entries")]
    TooManyEntries {
        /// The limit in force.
        entries_max: usize,
    },
    /// There are more members, or steps of a change, than [`RaftLimits::members_max`](crate::RaftLimits::members_max).
    #[error("configuration has more than {members_max} members")]
    TooManyMembers {
        /// The limit in force.
        members_max: usize,
    },
    /// Unknown groups nest deeper than [`GROUP_DEPTH_MAX`].
    #[error("unknown groups nest deeper than {GROUP_DEPTH_MAX}")]
    GroupsTooDeep,
    /// They are not protobuf, or a field is not of its type.
    #[error("message is not well-formed protobuf")]
    Malformed {
        /// Where it broke.
        source: prost::DecodeError,
    },
}

impl From<prost::DecodeError> for DecodeError {
    fn from(source: prost::DecodeError) -> Self {
        Self::Malformed { source }
    }
}

/// An integer that names none of the values we know. A newer peer may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownValue {
    /// Of [`MessageType`](super::MessageType).
    #[error("message type {value} is unknown")]
    MessageType {
        /// The integer.
        value: i32,
    },
    /// Of [`EntryType`](super::EntryType).
    #[error("entry type {value} is unknown")]
    EntryType {
        /// The integer.
        value: i32,
    },
    /// Of [`ConfChangeType`](super::ConfChangeType).
    #[error("configuration change type {value} is unknown")]
    ConfChangeType {
        /// The integer.
        value: i32,
    },
    /// Of [`ConfChangeTransition`](super::ConfChangeTransition).
    #[error("configuration change transition {value} is unknown")]
    ConfChangeTransition {
        /// The integer.
        value: i32,
    },
}
