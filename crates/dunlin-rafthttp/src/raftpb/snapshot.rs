//! A snapshot, and to which place in the log it belongs.

use bytes::Bytes;

use super::ConfState;

/// A snapshot: what stands for the log up to an index. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Snapshot {
    /// The application's state, opaque here; of etcd only the membership, because its database travels behind the message.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
    /// Which place in the log it stands for.
    #[prost(message, required, tag = "2")]
    pub metadata: SnapshotMetadata,
}

/// To which place in the log a snapshot belongs. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SnapshotMetadata {
    /// Who the members were.
    #[prost(message, required, tag = "1")]
    pub conf_state: ConfState,
    /// The index of the last entry in it.
    #[prost(uint64, required, tag = "2")]
    pub index: u64,
    /// The term of that entry.
    #[prost(uint64, required, tag = "3")]
    pub term: u64,
}
