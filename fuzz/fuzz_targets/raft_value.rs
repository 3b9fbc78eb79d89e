//! Values of raftpb: what is taken is within the limits, and is read the same again after it was written.
#![no_main]

use std::fmt::Debug;

use bytes::BytesMut;
use dunlin_rafthttp::RaftLimits;
use dunlin_rafthttp::raftpb::{self, ConfChange, ConfChangeV2, ConfState, Entry, HardState, Message, Raftpb};
use libfuzzer_sys::fuzz_target;

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 4096, snapshot_message_len_max: 4096, entries_max: 16, members_max: 16 };

fn read<T: Raftpb + Clone + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = raftpb::decode(bytes, &LIMITS).ok()?;
    let mut written = BytesMut::new();
    raftpb::encode(&value, &mut written);
    assert_eq!(written.len(), raftpb::encoded_len(&value));
    // Ours is the longest dialect, so what was within the limit need not be any more.
    assert_eq!(raftpb::decode(&written, &RaftLimits::DEFAULT), Ok(value.clone()));
    Some(value)
}

fn members(conf_state: &ConfState) -> usize {
    [&conf_state.voters, &conf_state.learners, &conf_state.voters_outgoing, &conf_state.learners_next]
        .iter()
        .map(|list| list.len())
        .sum()
}

fuzz_target!(|data: &[u8]| {
    if let Some(message) = read::<Message>(data) {
        assert!(message.entries.len() <= LIMITS.entries_max);
        assert!(members(&message.snapshot.metadata.conf_state) <= LIMITS.members_max);
        assert!(!message.is_link_heartbeat() || message.msg_type().is_ok());
    }
    if let Some(change) = read::<ConfChangeV2>(data) {
        assert!(change.changes.len() <= LIMITS.members_max);
    }
    if let Some(conf_state) = read::<ConfState>(data) {
        assert!(members(&conf_state) <= LIMITS.members_max);
    }
    read::<Entry>(data);
    read::<ConfChange>(data);
    read::<HardState>(data);
});
