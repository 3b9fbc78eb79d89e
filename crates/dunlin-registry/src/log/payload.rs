//! What a frame says. A protocol buffer, so that what a later version adds has a place.
//!
//! An unknown field is skipped, so a field without which the rest cannot be understood needs a new version of the segment.

use dunlin_rafthttp::raftpb::{Entry, HardState, SnapshotMetadata};
use prost::encoding;

use super::types::{Batch, Identity};

/// What a frame says.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    #[prost(message, repeated, tag = "1")]
    pub(super) entries: Vec<Entry>,
    #[prost(message, optional, tag = "2")]
    pub(super) hard_state: Option<HardState>,
    #[prost(message, optional, tag = "3")]
    pub(super) snapshot: Option<SnapshotMetadata>,
    /// Whether entries after the mark went as well. It is written down, since whoever reads may no longer have the entry that
    /// decided it.
    #[prost(bool, tag = "4")]
    pub(super) drops_all: bool,
    /// In the first frame of a segment, and in no other.
    #[prost(message, optional, tag = "5")]
    pub(super) start: Option<Start>,
}

/// What was so before the first frame of a segment, so that the segments before it need not be there.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Start {
    #[prost(fixed64, required, tag = "1")]
    pub(super) cluster_id: u64,
    #[prost(fixed64, required, tag = "2")]
    pub(super) member_id: u64,
    #[prost(message, required, tag = "3")]
    pub(super) hard_state: HardState,
    #[prost(message, required, tag = "4")]
    pub(super) snapshot: SnapshotMetadata,
}

impl Start {
    pub(super) fn identity(&self) -> Identity {
        Identity { cluster_id: self.cluster_id, member_id: self.member_id }
    }
}

/// Writes what [`Payload`] reads, without a copy of the entries.
pub(super) fn encode(batch: &Batch<'_>, drops_all: bool, start: Option<&Start>, out: &mut Vec<u8>) {
    for entry in batch.entries {
        encoding::message::encode(1, entry, out);
    }
    if let Some(hard_state) = &batch.hard_state {
        encoding::message::encode(2, hard_state, out);
    }
    if let Some(snapshot) = batch.snapshot {
        encoding::message::encode(3, snapshot, out);
    }
    if drops_all {
        encoding::bool::encode(4, &drops_all, out);
    }
    if let Some(start) = start {
        encoding::message::encode(5, start, out);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn payload_is_written_as_prost_would_write_it() {
        let entries = vec![Entry { term: 1, index: 2, data: b"three".as_slice().into(), ..Entry::default() }];
        let hard_state = Some(HardState { term: 1, vote: 2, commit: 3 });
        let snapshot = SnapshotMetadata { index: 1, term: 1, ..SnapshotMetadata::default() };
        let start = Start { cluster_id: 7, member_id: 8, ..Start::default() };
        let batch = Batch { entries: &entries, hard_state, snapshot: Some(&snapshot) };
        let mut out = Vec::new();
        encode(&batch, true, Some(&start), &mut out);
        let payload = Payload {
            entries: entries.clone(),
            hard_state,
            snapshot: Some(snapshot.clone()),
            drops_all: true,
            start: Some(start),
        };
        assert_eq!(out, payload.encode_to_vec());
        let mut out = Vec::new();
        encode(&Batch::default(), false, None, &mut out);
        assert_eq!(out, Payload::default().encode_to_vec());
    }
}
