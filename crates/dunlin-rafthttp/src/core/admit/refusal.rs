//! Why a message does not reach Raft, and what its sender is told.

use http::StatusCode;

use super::ConfigurationError;
use crate::core::MemberId;
use crate::limits::{COMMIT_JUMP_MAX, INDEX_MAX, TERM_JUMP_MAX};
use crate::raftpb::{DecodeError, MessageType, UnknownValue};

/// Why a message was refused: no node that works would have sent it to us. Nothing of it reached Raft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its sender was removed from the cluster, and should hear of it.
    #[error("member {from} has been permanently removed from the cluster")]
    Removed {
        /// The sender.
        from: MemberId,
    },
    /// It is from somebody else than the node that brought it, and of a type that nobody passes on.
    #[error("message from member {from} is brought by member {sender}")]
    InAnothersName {
        /// Whom it says it is from.
        from: MemberId,
        /// Who brought it.
        sender: MemberId,
    },
    /// It is for somebody else.
    #[error("message is for member {to}")]
    NotForMe {
        /// Whom it is for.
        to: MemberId,
    },
    /// It is from nobody.
    #[error("message of type {msg_type:?} has no sender")]
    NoSender {
        /// Its type.
        msg_type: MessageType,
    },
    /// Its sender is no member, and this is for members to say.
    #[error("member {from} is unknown and sends {msg_type:?}")]
    Stranger {
        /// The sender.
        from: MemberId,
        /// The type.
        msg_type: MessageType,
    },
    /// It has no term and needs one.
    #[error("message of type {msg_type:?} has no term")]
    NoTerm {
        /// Its type.
        msg_type: MessageType,
    },
    /// It has a term and is of a type that has none.
    #[error("message of type {msg_type:?} has the term {term}")]
    UnexpectedTerm {
        /// Its type.
        msg_type: MessageType,
        /// Its term.
        term: u64,
    },
    /// Its term is further ahead of ours than elections can have been.
    #[error("term {term} is more than {TERM_JUMP_MAX} ahead of ours, {local_term}")]
    TermJump {
        /// Its term.
        term: u64,
        /// Ours.
        local_term: u64,
    },
    /// An index in it is over [`INDEX_MAX`].
    #[error("index {index} is over the limit of {INDEX_MAX}")]
    IndexTooLarge {
        /// The index.
        index: u64,
    },
    /// It has another number of entries than its type has.
    #[error("message of type {msg_type:?} has {entries} entries")]
    EntryCount {
        /// Its type.
        msg_type: MessageType,
        /// How many.
        entries: usize,
    },
    /// An entry is of an unknown type.
    #[error("entry {position} cannot be understood")]
    EntryType {
        /// Which of them, from 0 on.
        position: usize,
        /// The type.
        source: UnknownValue,
    },
    /// An entry of an append does not follow the one before.
    #[error("entry {position} has index {index} where {expected} follows")]
    EntryIndex {
        /// Which of them, from 0 on.
        position: usize,
        /// Its index.
        index: u64,
        /// The index that follows.
        expected: u64,
    },
    /// The term of an entry of an append is before that of the entry before, or after that of the append.
    #[error("entry {position} has term {term}, which is not within {term_min} and {term_max}")]
    EntryTerm {
        /// Which of them, from 0 on.
        position: usize,
        /// Its term.
        term: u64,
        /// The term of the entry before, at least 1.
        term_min: u64,
        /// The term of the append.
        term_max: u64,
    },
    /// A proposed change of the configuration is none.
    #[error("the change of the configuration in entry {position} cannot be read")]
    Change {
        /// Which entry, from 0 on.
        position: usize,
        /// Why.
        source: DecodeError,
    },
    /// A proposed change of the configuration does something unknown.
    #[error("the change of the configuration in entry {position} cannot be understood")]
    ChangeType {
        /// Which entry, from 0 on.
        position: usize,
        /// What.
        source: UnknownValue,
    },
    /// An append follows an entry that cannot be: of no term or no index, or of a later term than its own.
    #[error("append of term {term} after index {index} of term {log_term}")]
    Place {
        /// The term of the append.
        term: u64,
        /// The index it follows.
        index: u64,
        /// The term of the entry there.
        log_term: u64,
    },
    /// The leader has committed further ahead of what it sends than logs are long.
    #[error("commit {commit} is more than {COMMIT_JUMP_MAX} ahead of the append's last index, {index_last}")]
    CommitJump {
        /// Its commit index.
        commit: u64,
        /// The index of the last entry in the append.
        index_last: u64,
    },
    /// A heartbeat commits what is not in our log, though a leader commits what we said we have. Either it lies, or we lost
    /// entries that we had answered for.
    #[error("heartbeat commits {commit}, and our log ends at {last_index}")]
    CommitBeyondLog {
        /// Its commit index.
        commit: u64,
        /// The last index of our log.
        last_index: u64,
    },
    /// A snapshot stands for a place that cannot be: of no term or no index, or of a later term than the message.
    #[error("message of term {term} with a snapshot of index {index} and term {snapshot_term}")]
    SnapshotPlace {
        /// The term of the message.
        term: u64,
        /// The index of the snapshot.
        index: u64,
        /// The term of the snapshot.
        snapshot_term: u64,
    },
    /// The configuration in a snapshot is none.
    #[error("the snapshot has no configuration that works")]
    Configuration {
        /// Why.
        source: ConfigurationError,
    },
}

impl Refusal {
    /// The status of the answer where the message came in a request of its own.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            // A node of etcd's that reads this gives itself up as removed, so nobody else may get it.
            Self::Removed { .. } => StatusCode::FORBIDDEN,
            Self::InAnothersName { .. } => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
