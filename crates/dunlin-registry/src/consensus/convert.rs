//! Our types and those of the crate `raft`. Payloads are shared, never copied.
//!
//! Numbers of message and entry types are the same; those of changes of members are not, and a change is translated when it is
//! applied and nowhere else: what lies in entries is etcd's.

use bytes::{Bytes, BytesMut};
use dunlin_rafthttp::raftpb::{
    self, ConfChange, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType,
    HardState, Message, Snapshot, SnapshotMetadata,
};
use protobuf::ProtobufEnum as _;
use raft::eraftpb;

/// A message for the core; `None` for one of a type that it does not know.
pub(super) fn message_to_core(message: Message) -> Option<eraftpb::Message> {
    let mut out = eraftpb::Message::default();
    out.set_msg_type(eraftpb::MessageType::from_i32(message.msg_type)?);
    out.to = message.to;
    out.from = message.from;
    out.term = message.term;
    out.log_term = message.log_term;
    out.index = message.index;
    let entries: Option<Vec<_>> = message.entries.into_iter().map(entry_to_core).collect();
    out.set_entries(entries?.into());
    out.commit = message.commit;
    if out.get_msg_type() == eraftpb::MessageType::MsgSnapshot {
        out.set_snapshot(snapshot_to_core(&message.snapshot.metadata));
    }
    out.reject = message.reject;
    out.reject_hint = message.reject_hint;
    out.context = message.context;
    Some(out)
}

pub(super) fn message_from_core(mut message: eraftpb::Message) -> Message {
    let metadata = snapshot_from_core(message.get_snapshot());
    Message {
        msg_type: message.get_msg_type().value(),
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries: message.take_entries().into_iter().map(entry_from_core).collect(),
        commit: message.commit,
        snapshot: Snapshot { metadata, ..Snapshot::default() },
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context,
    }
}

pub(super) fn entry_to_core(entry: Entry) -> Option<eraftpb::Entry> {
    let mut out = eraftpb::Entry::default();
    out.set_entry_type(eraftpb::EntryType::from_i32(entry.entry_type)?);
    out.term = entry.term;
    out.index = entry.index;
    out.data = entry.data;
    Some(out)
}

pub(super) fn entry_from_core(entry: eraftpb::Entry) -> Entry {
    Entry {
        entry_type: entry.get_entry_type().value(),
        term: entry.term,
        index: entry.index,
        data: entry.data,
    }
}

pub(super) fn snapshot_to_core(metadata: &SnapshotMetadata) -> eraftpb::Snapshot {
    let mut out = eraftpb::Snapshot::default();
    let inner = out.mut_metadata();
    inner.index = metadata.index;
    inner.term = metadata.term;
    inner.set_conf_state(conf_state_to_core(&metadata.conf_state));
    out
}

pub(super) fn snapshot_from_core(snapshot: &eraftpb::Snapshot) -> SnapshotMetadata {
    let metadata = snapshot.get_metadata();
    SnapshotMetadata {
        conf_state: conf_state_from_core(metadata.get_conf_state()),
        index: metadata.index,
        term: metadata.term,
    }
}

pub(super) fn conf_state_to_core(conf_state: &ConfState) -> eraftpb::ConfState {
    let mut out = eraftpb::ConfState::default();
    out.voters.clone_from(&conf_state.voters);
    out.learners.clone_from(&conf_state.learners);
    out.voters_outgoing.clone_from(&conf_state.voters_outgoing);
    out.learners_next.clone_from(&conf_state.learners_next);
    out.auto_leave = conf_state.auto_leave;
    out
}

pub(super) fn conf_state_from_core(conf_state: &eraftpb::ConfState) -> ConfState {
    ConfState {
        voters: conf_state.voters.clone(),
        learners: conf_state.learners.clone(),
        voters_outgoing: conf_state.voters_outgoing.clone(),
        learners_next: conf_state.learners_next.clone(),
        auto_leave: conf_state.auto_leave,
    }
}

pub(super) fn hard_state_to_core(hard_state: HardState) -> eraftpb::HardState {
    let mut out = eraftpb::HardState::default();
    (out.term, out.vote, out.commit) = (hard_state.term, hard_state.vote, hard_state.commit);
    out
}

pub(super) fn hard_state_from_core(hard_state: &eraftpb::HardState) -> HardState {
    HardState { term: hard_state.term, vote: hard_state.vote, commit: hard_state.commit }
}

/// A change for the core, without the steps that are none of its business; `None` where it does something unknown.
pub(super) fn change_to_core(change: &ConfChangeV2) -> Option<eraftpb::ConfChangeV2> {
    let mut out = eraftpb::ConfChangeV2::default();
    out.set_transition(match change.transition().ok()? {
        ConfChangeTransition::Auto => eraftpb::ConfChangeTransition::Auto,
        ConfChangeTransition::JointImplicit => eraftpb::ConfChangeTransition::Implicit,
        ConfChangeTransition::JointExplicit => eraftpb::ConfChangeTransition::Explicit,
    });
    for step in &change.changes {
        let change_type = match step.change_type().ok()? {
            ConfChangeType::AddNode => eraftpb::ConfChangeType::AddNode,
            ConfChangeType::RemoveNode => eraftpb::ConfChangeType::RemoveNode,
            ConfChangeType::AddLearnerNode => eraftpb::ConfChangeType::AddLearnerNode,
            ConfChangeType::UpdateNode => continue,
        };
        out.mut_changes().push(raft_proto_step(change_type, step.node_id));
    }
    Some(out)
}

fn raft_proto_step(change_type: eraftpb::ConfChangeType, id: u64) -> eraftpb::ConfChangeSingle {
    let mut out = eraftpb::ConfChangeSingle::default();
    out.set_change_type(change_type);
    out.node_id = id;
    out
}

/// The change in an entry, in either form; `None` when the entry is none or cannot be read.
#[must_use]
pub fn change_of(entry: &Entry) -> Option<ConfChangeV2> {
    use dunlin_rafthttp::RaftLimits;
    use dunlin_rafthttp::raftpb::{ConfChangeSingle, decode};
    match entry.entry_type().ok()? {
        EntryType::Normal => None,
        EntryType::ConfChange => {
            let change: ConfChange = decode(&entry.data, &RaftLimits::DEFAULT).ok()?;
            let step = ConfChangeSingle { change_type: change.change_type, node_id: change.node_id };
            Some(ConfChangeV2 { changes: vec![step], context: change.context, ..ConfChangeV2::default() })
        }
        EntryType::ConfChangeV2 => decode(&entry.data, &RaftLimits::DEFAULT).ok(),
    }
}

/// What the core may be shown instead of an entry's data: it refuses proposals of changes that it cannot read, and cannot read those
/// that make a learner, whose number it does not know. It looks at nothing in them but whether there is a step at all. `None` where
/// it can read what is there.
pub(super) fn stand_in(entry: &Entry) -> Option<Bytes> {
    let mut change = change_of(entry)?;
    let unreadable = i32::from(ConfChangeType::AddLearnerNode);
    if change.changes.iter().all(|step| step.change_type != unreadable) {
        return None;
    }
    for step in &mut change.changes {
        step.change_type = step.change_type.min(i32::from(ConfChangeType::UpdateNode));
    }
    let mut data = BytesMut::new();
    match entry.entry_type().ok()? {
        EntryType::Normal => return None,
        EntryType::ConfChangeV2 => raftpb::encode(&change, &mut data),
        EntryType::ConfChange => {
            let [step] = change.changes[..] else { return None };
            let (change_type, node_id, context) = (step.change_type, step.node_id, change.context);
            raftpb::encode(&ConfChange { id: 0, change_type, node_id, context }, &mut data);
        }
    }
    Some(data.freeze())
}
