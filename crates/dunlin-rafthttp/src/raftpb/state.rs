//! What a node keeps of its own votes, and who the members are.

/// What a node has to remember over its death. It is in no message, and has a place here because etcd writes it in the same way.
/// Section "Messages".
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HardState {
    /// The latest term seen.
    #[prost(uint64, required, tag = "1")]
    pub term: u64,
    /// Who has the vote in that term; 0 for nobody.
    #[prost(uint64, required, tag = "2")]
    pub vote: u64,
    /// The last index known to be committed.
    #[prost(uint64, required, tag = "3")]
    pub commit: u64,
}

/// Who the members are. The lists are written one number after another, as etcd does, and read packed as well. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfState {
    /// Who votes; while the configuration changes, who will.
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub voters: Vec<u64>,
    /// Who receives the log without a vote.
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    pub learners: Vec<u64>,
    /// Who voted before the change that is going on; empty outside of one.
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub voters_outgoing: Vec<u64>,
    /// Who becomes a learner when the change ends, and is a voter until then.
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub learners_next: Vec<u64>,
    /// Whether the change ends by itself.
    #[prost(bool, required, tag = "5")]
    pub auto_leave: bool,
}
