//! What may be in a message of each type. Who sent it, and its term, were looked at before.

use super::{Ignored, LocalView, Refusal, configuration};
use crate::limits::{COMMIT_JUMP_MAX, INDEX_MAX, RaftLimits};
use crate::raftpb::{self, ConfChange, ConfChangeV2, Entry, EntryType, Message, MessageType};

/// Looks at everything behind the term.
pub(super) fn check(
    view: &LocalView<'_>,
    message: &Message,
    msg_type: MessageType,
) -> Result<Option<Ignored>, Refusal> {
    for index in [message.index, message.commit, message.reject_hint] {
        check_index(index)?;
    }
    for (position, entry) in message.entries.iter().enumerate() {
        entry.entry_type().map_err(|source| Refusal::EntryType { position, source })?;
    }
    match msg_type {
        MessageType::App => check_append(message).map(|()| None),
        MessageType::Prop => check_proposal(message).map(|()| None),
        MessageType::Snap => check_snapshot(view, message),
        MessageType::Heartbeat if message.commit > view.last_index => {
            // Raft would end the process over it.
            Err(Refusal::CommitBeyondLog { commit: message.commit, last_index: view.last_index })
        }
        // Raft would take the sender for one that has these entries, and send on from there. In an earlier term the log may
        // well have been longer, but Raft drops what was said in it. How far the hint of a rejection may go nobody can say: a
        // follower's log may be longer than ours, and etcd 3.4 sends where it ends.
        MessageType::AppResp
            if !message.reject && message.term >= view.term && message.index > view.last_index =>
        {
            Ok(Some(Ignored::AnswerBeyondLog))
        }
        // The question is in the data of the one entry, and is read without looking whether there is one.
        MessageType::ReadIndex | MessageType::ReadIndexResp if message.entries.len() != 1 => {
            Err(Refusal::EntryCount { msg_type, entries: message.entries.len() })
        }
        MessageType::TransferLeader if message.term != view.term => Ok(Some(Ignored::TransferOfOtherTerm)),
        _ => Ok(None),
    }
}

fn check_index(index: u64) -> Result<(), Refusal> {
    if index > INDEX_MAX { Err(Refusal::IndexTooLarge { index }) } else { Ok(()) }
}

/// Entries follow each other and an entry that can be, and their terms only grow.
fn check_append(message: &Message) -> Result<(), Refusal> {
    let Message { term, index, log_term, commit, .. } = *message;
    // A log asked for the term of an entry behind its end says 0, so with a term of 0 anything would fit there.
    if (index == 0) != (log_term == 0) || log_term > term {
        return Err(Refusal::Place { term, index, log_term });
    }
    // Index and count are far below the end of their range.
    let index_last = index.saturating_add(message.entries.len() as u64);
    check_index(index_last)?;
    if commit.saturating_sub(index_last) > COMMIT_JUMP_MAX {
        return Err(Refusal::CommitJump { commit, index_last });
    }
    let (mut expected, mut term_min) = (index, log_term.max(1));
    for (position, entry) in message.entries.iter().enumerate() {
        expected = expected.saturating_add(1);
        if entry.index != expected {
            return Err(Refusal::EntryIndex { position, index: entry.index, expected });
        }
        if entry.term < term_min || entry.term > term {
            return Err(Refusal::EntryTerm { position, term: entry.term, term_min, term_max: term });
        }
        term_min = entry.term;
    }
    Ok(())
}

/// There is something proposed, and changes can be read. The leader gives entries their place, so what is there means nothing.
/// In an append changes are not read: they are in the log of the cluster, and who refused them could never go on.
fn check_proposal(message: &Message) -> Result<(), Refusal> {
    if message.entries.is_empty() {
        return Err(Refusal::EntryCount { msg_type: MessageType::Prop, entries: 0 });
    }
    message.entries.iter().enumerate().try_for_each(|(position, entry)| check_change(position, entry))
}

fn check_change(position: usize, entry: &Entry) -> Result<(), Refusal> {
    let unread = |source| Refusal::Change { position, source };
    let unknown = |source| Refusal::ChangeType { position, source };
    match entry.entry_type() {
        Ok(EntryType::ConfChange) => {
            let change: ConfChange = raftpb::decode(&entry.data, &RaftLimits::DEFAULT).map_err(unread)?;
            change.change_type().map_err(unknown)?;
        }
        Ok(EntryType::ConfChangeV2) => {
            let change: ConfChangeV2 = raftpb::decode(&entry.data, &RaftLimits::DEFAULT).map_err(unread)?;
            change.transition().map_err(unknown)?;
            change.changes.iter().try_for_each(|step| step.change_type().map(drop)).map_err(unknown)?;
        }
        Ok(EntryType::Normal) => {}
        Err(source) => return Err(Refusal::EntryType { position, source }),
    }
    Ok(())
}

/// It stands for a place and has a configuration that works, and we are in it. One that is older than our log is Raft's to answer.
fn check_snapshot(view: &LocalView<'_>, message: &Message) -> Result<Option<Ignored>, Refusal> {
    let metadata = &message.snapshot.metadata;
    let (term, index, snapshot_term) = (message.term, metadata.index, metadata.term);
    check_index(index)?;
    if index == 0 || snapshot_term == 0 || snapshot_term > term {
        return Err(Refusal::SnapshotPlace { term, index, snapshot_term });
    }
    configuration::check(&metadata.conf_state).map_err(|source| Refusal::Configuration { source })?;
    let is_for_us = configuration::has_member(&metadata.conf_state, view.me);
    Ok((!is_for_us).then_some(Ignored::SnapshotWithoutUs))
}
