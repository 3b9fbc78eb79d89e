//! What is asked over gRPC, and answered. Their parts are those of the store.

use prost::Message;

use crate::store::{Answered, KeyRange, KeyValue, Member, Operation, Refusal};

/// A command.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExecuteRequest {
    /// Who asks; 0 for somebody who does not mind when the same is done twice.
    #[prost(uint64, tag = "1")]
    pub client: u64,
    /// The number of this command among those of its client, from 1 on without a gap.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// What to do.
    #[prost(oneof = "Operation", tags = "3, 4, 5, 6, 7, 8")]
    pub operation: Option<Operation>,
    /// How long it may take, in milliseconds; 0 for as long as the member lets it.
    #[prost(uint64, tag = "9")]
    pub timeout_ms: u64,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExecuteResponse {
    /// What came of it.
    #[prost(oneof = "Executed", tags = "1, 2")]
    pub executed: Option<Executed>,
}

/// What came of a command.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Executed {
    /// It was done.
    #[prost(message, tag = "1")]
    Answered(Answered),
    /// The store refused it.
    #[prost(message, tag = "2")]
    Refused(Refusal),
}

/// A read.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RangeRequest {
    /// Which keys.
    #[prost(message, required, tag = "1")]
    pub range: KeyRange,
    /// How many at most; 0 for as many as there may be.
    #[prost(uint64, tag = "2")]
    pub limit: u64,
    /// Whether what the member has will do.
    #[prost(bool, tag = "3")]
    pub is_stale: bool,
    /// How long it may take, in milliseconds; 0 for as long as the member lets it.
    #[prost(uint64, tag = "4")]
    pub timeout_ms: u64,
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RangeResponse {
    /// The keys, in order.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<KeyValue>,
    /// Whether there are more than were given.
    #[prost(bool, tag = "2")]
    pub has_more: bool,
    /// The revision that they are of.
    #[prost(uint64, tag = "3")]
    pub revision: u64,
}

/// A watch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchRequest {
    /// Which keys.
    #[prost(message, required, tag = "1")]
    pub range: KeyRange,
    /// From which revision on; 0 for what comes.
    #[prost(uint64, tag = "2")]
    pub from_revision: u64,
}

/// Some events, in order.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchResponse {
    /// The events. There may be none: the watch has begun.
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<WatchEvent>,
    /// The revision to watch from when this is the last that came.
    #[prost(uint64, tag = "2")]
    pub resume_revision: u64,
}

/// Something that happened to a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchEvent {
    /// Whether the key is gone.
    #[prost(bool, tag = "1")]
    pub is_delete: bool,
    /// The key, as it is since then.
    #[prost(message, required, tag = "2")]
    pub entry: KeyValue,
}

/// A change of members.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ChangeMemberRequest {
    /// Which, as a [`MemberChange`].
    #[prost(enumeration = "MemberChange", tag = "1")]
    pub change: i32,
    /// Whom it is about.
    #[prost(message, required, tag = "2")]
    pub member: Member,
    /// How long it may take, in milliseconds; 0 for as long as the member lets it.
    #[prost(uint64, tag = "3")]
    pub timeout_ms: u64,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MemberChange {
    /// None that is known.
    Unknown = 0,
    /// It is added, learns, and votes as soon as it can.
    Add = 1,
    /// It is added and learns.
    AddLearner = 2,
    /// It votes, after it has learnt.
    Promote = 3,
    /// It is removed for ever.
    Remove = 4,
    /// It is called otherwise, or is elsewhere.
    Update = 5,
    /// It leads, if it can.
    Transfer = 6,
}

/// The change is committed; a transfer is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ChangeMemberResponse {}

/// How does the member do?
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StatusRequest {}

/// What a member is and how it does.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatusResponse {
    /// Its id.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Who leads; 0 when nobody is known to.
    #[prost(uint64, tag = "2")]
    pub leader: u64,
    /// The current term.
    #[prost(uint64, tag = "3")]
    pub term: u64,
    /// The last index known to be committed.
    #[prost(uint64, tag = "4")]
    pub committed: u64,
    /// The last index that was applied.
    #[prost(uint64, tag = "5")]
    pub applied: u64,
    /// The revision of its store.
    #[prost(uint64, tag = "6")]
    pub revision: u64,
    /// The members of the group.
    #[prost(message, repeated, tag = "7")]
    pub members: Vec<Member>,
    /// The id of the group.
    #[prost(uint64, tag = "8")]
    pub cluster: u64,
}
