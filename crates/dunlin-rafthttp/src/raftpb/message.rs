//! The message: the one thing that nodes send each other.

use bytes::Bytes;

use super::{Entry, Snapshot, UnknownValue};

/// What a message is about. Section "Messages".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MessageType {
    /// Inside a node: begin an election.
    Hup = 0,
    /// Inside a node: it is time for heartbeats.
    Beat = 1,
    /// Entries proposed to the leader.
    Prop = 2,
    /// Entries from the leader.
    App = 3,
    /// The answer to them.
    AppResp = 4,
    /// Asks for a vote.
    Vote = 5,
    /// The answer to that.
    VoteResp = 6,
    /// A snapshot instead of entries that are no more.
    Snap = 7,
    /// The leader's sign of life. From nobody to nobody it is the link's, see [`Message::is_link_heartbeat`].
    Heartbeat = 8,
    /// The answer to it.
    HeartbeatResp = 9,
    /// Inside a node: a message did not reach its receiver.
    Unreachable = 10,
    /// Inside a node: what became of a snapshot.
    SnapStatus = 11,
    /// Inside a node: does the leader still hear most of the others?
    CheckQuorum = 12,
    /// Asks the leader to hand over.
    TransferLeader = 13,
    /// Asks its receiver to begin an election at once.
    TimeoutNow = 14,
    /// Asks the leader for an index at which reading is safe.
    ReadIndex = 15,
    /// The answer to that.
    ReadIndexResp = 16,
    /// Asks whether a vote would be given.
    PreVote = 17,
    /// The answer to that.
    PreVoteResp = 18,
    /// Inside a node of etcd 3.6 or newer: write to the log.
    StorageAppend = 19,
    /// Inside such a node: the answer to that.
    StorageAppendResp = 20,
    /// Inside such a node: apply entries.
    StorageApply = 21,
    /// Inside such a node: the answer to that.
    StorageApplyResp = 22,
    /// Inside such a node: forget who leads.
    ForgetLeader = 23,
}

impl MessageType {
    /// Whether it has its meaning inside one node only, so that one from a peer is to be ignored. Section "Messages".
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(
            self,
            Self::Hup
                | Self::Beat
                | Self::Unreachable
                | Self::SnapStatus
                | Self::CheckQuorum
                | Self::StorageAppend
                | Self::StorageAppendResp
                | Self::StorageApply
                | Self::StorageApplyResp
                | Self::ForgetLeader
        )
    }
}

/// One message between two nodes. Which field means what depends on its type. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// A [`MessageType`] as it came; see [`Message::msg_type`].
    #[prost(int32, required, tag = "1")]
    pub msg_type: i32,
    /// The member it is for.
    #[prost(uint64, required, tag = "2")]
    pub to: u64,
    /// The member it is from.
    #[prost(uint64, required, tag = "3")]
    pub from: u64,
    /// The sender's term; 0 in what has none: proposals and questions for an index to read at.
    #[prost(uint64, required, tag = "4")]
    pub term: u64,
    /// The term of the entry at `index`.
    #[prost(uint64, required, tag = "5")]
    pub log_term: u64,
    /// With entries the one they follow, in an answer the last one that fits.
    #[prost(uint64, required, tag = "6")]
    pub index: u64,
    /// The entries, in the order of their indexes.
    #[prost(message, repeated, tag = "7")]
    pub entries: Vec<Entry>,
    /// The last index that the sender knows to be committed.
    #[prost(uint64, required, tag = "8")]
    pub commit: u64,
    /// A snapshot, in a message of type `Snap`; in others it is there all the same and means nothing.
    #[prost(message, required, tag = "9")]
    pub snapshot: Snapshot,
    /// Whether an answer says no.
    #[prost(bool, required, tag = "10")]
    pub reject: bool,
    /// Where a follower that says no thinks its log could fit.
    #[prost(uint64, required, tag = "11")]
    pub reject_hint: u64,
    /// What belongs to a question and its answer, or why an election is held. Empty is not written.
    #[prost(bytes = "bytes", tag = "12")]
    pub context: Bytes,
}

impl Message {
    /// What it is about.
    ///
    /// # Errors
    ///
    /// [`UnknownValue::MessageType`] for an integer that we do not know.
    pub fn msg_type(&self) -> Result<MessageType, UnknownValue> {
        let value = self.msg_type;
        MessageType::try_from(value).map_err(|_| UnknownValue::MessageType { value })
    }

    /// Whether it is of this type.
    #[must_use]
    pub fn is(&self, msg_type: MessageType) -> bool {
        self.msg_type == i32::from(msg_type)
    }

    /// A sign of life of the connection that carries it, not of a leader. Section "The link heartbeat".
    #[must_use]
    pub fn link_heartbeat() -> Self {
        Self { msg_type: MessageType::Heartbeat.into(), ..Self::default() }
    }

    /// Whether it is such a sign, known by its meaning: a heartbeat from nobody to nobody. It is none of Raft's business.
    /// Section "The link heartbeat".
    #[must_use]
    pub fn is_link_heartbeat(&self) -> bool {
        self.is(MessageType::Heartbeat) && self.from == 0 && self.to == 0
    }
}
