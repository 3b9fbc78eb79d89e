//! The crate `raft` as a core: what of its types and its habits must not get out, nor in.

use dunlin_rafthttp::raftpb::{ConfChangeSingle, ConfChangeTransition, MessageType};
use raft::{Storage as _, eraftpb};

use super::convert::{change_to_core, message_from_core, message_to_core, snapshot_to_core, stand_in};
use super::memory::MemoryLog;
use super::*;

fn change(steps: &[(ConfChangeType, u64)]) -> ConfChangeV2 {
    let step = |(change_type, node_id): &(ConfChangeType, u64)| ConfChangeSingle {
        change_type: (*change_type).into(),
        node_id: *node_id,
    };
    ConfChangeV2 {
        transition: ConfChangeTransition::Auto.into(),
        changes: steps.iter().map(step).collect(),
        context: Bytes::from_static(b"context"),
    }
}

fn change_entry(change: &ConfChangeV2) -> Entry {
    let mut data = BytesMut::new();
    raftpb::encode(change, &mut data);
    Entry { entry_type: EntryType::ConfChangeV2.into(), data: data.freeze(), ..Entry::default() }
}

/// A member of a group of so many, whose first entries are applied.
fn core_of(id: u64, count: u64) -> RaftRs {
    let disk = Recovered::bootstrap((1..=count).map(|id| (id, Bytes::new())));
    let mut core = RaftRs::new(CoreConfig::new(id, 3), disk).unwrap();
    while let Some(todo) = core.poll() {
        core.handle_persisted(todo.number);
        for entry in &todo.committed {
            core.apply_change(&change_of(entry).unwrap()).unwrap();
            core.handle_applied(entry.index);
        }
    }
    core
}

/// The only member of its group, which leads.
fn leader() -> RaftRs {
    let mut core = core_of(1, 1);
    (0..30).for_each(|_| core.handle_tick());
    settle(&mut core);
    assert_eq!(core.look().role, Role::Leader);
    core
}

fn settle(core: &mut RaftRs) -> Vec<Entry> {
    let mut written = Vec::new();
    while let Some(todo) = core.poll() {
        written.extend(todo.persist.entries);
        core.handle_persisted(todo.number);
        if let Some(last) = todo.committed.last() {
            core.handle_applied(last.index);
        }
    }
    written
}

#[test]
fn changes_are_translated_by_what_they_do_and_not_by_their_numbers() {
    use eraftpb::ConfChangeType as Theirs;
    let all = change(&[
        (ConfChangeType::AddNode, 1),
        (ConfChangeType::RemoveNode, 2),
        (ConfChangeType::UpdateNode, 3),
        (ConfChangeType::AddLearnerNode, 4),
    ]);
    let translated = change_to_core(&all).unwrap();
    let steps = translated.get_changes().iter().map(|step| (step.get_change_type(), step.node_id));
    let expected = [(Theirs::AddNode, 1), (Theirs::RemoveNode, 2), (Theirs::AddLearnerNode, 4)];
    assert!(steps.eq(expected), "who is where is none of raft's business");
    let mut unknown = change(&[(ConfChangeType::AddNode, 1)]);
    unknown.changes[0].change_type = 9;
    assert!(change_to_core(&unknown).is_none());
}

#[test]
fn what_is_proposed_is_what_the_log_gets_also_where_the_crate_cannot_read_it() {
    let learner = change_entry(&change(&[(ConfChangeType::AddLearnerNode, 2)]));
    assert!(stand_in(&learner).is_some_and(|shown| shown != learner.data));
    assert!(stand_in(&change_entry(&change(&[(ConfChangeType::RemoveNode, 2)]))).is_none());
    let mut core = leader();
    core.propose(EntryType::ConfChangeV2, learner.data.clone()).unwrap();
    let written = settle(&mut core);
    assert_eq!(written.last().map(|entry| &entry.data), Some(&learner.data));
}

#[test]
fn a_change_that_another_member_proposes_is_passed_on_as_it_was() {
    let mut core = core_of(2, 3);
    let heartbeat =
        Message { msg_type: MessageType::Heartbeat.into(), from: 1, to: 2, term: 2, ..Message::default() };
    core.handle_message(heartbeat).unwrap();
    let learner = change_entry(&change(&[(ConfChangeType::AddLearnerNode, 4)]));
    core.propose(EntryType::ConfChangeV2, learner.data.clone()).unwrap();
    let todo = core.poll().unwrap();
    let said: Vec<Message> = todo.messages.into_iter().chain(todo.messages_after).collect();
    let passed_on = said.iter().find(|message| message.is(MessageType::Prop)).unwrap();
    assert_eq!((passed_on.to, &passed_on.entries[0].data), (1, &learner.data));
}

#[test]
fn a_second_change_before_the_first_is_applied_becomes_an_empty_entry() {
    let mut core = leader();
    let add = |id| change_entry(&change(&[(ConfChangeType::AddLearnerNode, id)])).data;
    core.propose(EntryType::ConfChangeV2, add(2)).unwrap();
    core.propose(EntryType::ConfChangeV2, add(3)).unwrap();
    let written = settle(&mut core);
    let last = written.last().unwrap();
    assert_eq!((last.entry_type(), last.data.len()), (Ok(EntryType::Normal), 0));
}

#[test]
fn messages_come_back_as_they_went_in_and_fields_of_the_crate_alone_stay_inside() {
    let message = Message {
        msg_type: MessageType::App.into(),
        to: 1,
        from: 2,
        term: 3,
        log_term: 2,
        index: 7,
        entries: vec![Entry { term: 3, index: 8, data: Bytes::from_static(b"x"), ..Entry::default() }],
        commit: 6,
        reject: true,
        reject_hint: 5,
        context: Bytes::from_static(b"y"),
        ..Message::default()
    };
    let mut inside = message_to_core(message.clone()).unwrap();
    inside.request_snapshot = 4;
    inside.priority = 5;
    inside.commit_term = 6;
    assert_eq!(message_from_core(inside), message);
    let unknown = Message { msg_type: 23, ..Message::default() };
    assert_eq!(core_of(1, 3).handle_message(unknown), Err(CoreError::Refused));
}

#[test]
fn what_the_crate_says_no_to_is_an_error_and_no_end() {
    let mut core = core_of(1, 3);
    assert_eq!(core.propose(EntryType::Normal, Bytes::from_static(b"x")), Err(CoreError::Dropped));
    let stranger =
        Message { msg_type: MessageType::AppResp.into(), from: 9, to: 1, term: 1, ..Message::default() };
    assert_eq!(core.handle_message(stranger), Err(CoreError::Refused));
    core.handle_unreachable(9);
    core.handle_snapshot_sent(9, false);
    core.transfer_leader(9);
    core.ask_read_index(1);
    settle(&mut core);
}

#[test]
fn a_snapshot_is_given_to_members_of_it_and_another_one_is_wanted_for_those_who_are_not() {
    let metadata = |index, voters: &[u64]| SnapshotMetadata {
        index,
        term: 2,
        conf_state: ConfState { voters: voters.into(), ..ConfState::default() },
    };
    let snapshot = snapshot_to_core(&metadata(5, &[1, 2]));
    let mut log = MemoryLog::new(eraftpb::HardState::default(), Some(snapshot), []);
    assert!(log.snapshot(0, 2).is_ok() && !log.take_newer_wanted());
    assert!(log.snapshot(0, 3).is_err() && log.take_newer_wanted() && !log.take_newer_wanted());
    assert!(log.snapshot(6, 2).is_err() && log.take_newer_wanted(), "it is older than what is asked for");
    log.compact(snapshot_to_core(&metadata(5, &[1, 2, 3])), 6);
    assert!(log.snapshot(0, 3).is_ok());
}

#[test]
fn an_election_while_a_leaders_snapshot_is_not_installed_yet_is_an_election_and_no_end() {
    let mut core = core_of(1, 3);
    let conf_state = ConfState { voters: vec![1, 2, 3], ..ConfState::default() };
    let mut message =
        Message { msg_type: MessageType::Snap.into(), from: 2, to: 1, term: 2, ..Message::default() };
    message.snapshot.metadata = SnapshotMetadata { index: 50, term: 2, conf_state };
    core.handle_message(message).unwrap();
    let snapshot = core.poll().unwrap();
    assert_eq!(snapshot.persist.snapshot.unwrap().index, 50);
    // Neither is it on the disk, nor is what was before it applied, when the leader goes silent.
    core.handle_applied(3);
    (0..30).for_each(|_| core.handle_tick());
    assert_eq!(core.look().role, Role::Candidate);
    core.handle_persisted(snapshot.number);
    core.handle_applied(50);
    settle(&mut core);
}

#[test]
fn the_log_in_memory_keeps_what_follows_and_forgets_what_was_replaced() {
    let entry = |term, index| {
        let mut entry = eraftpb::Entry::default();
        (entry.term, entry.index, entry.data) = (term, index, vec![0; 100].into());
        entry
    };
    let mut log = MemoryLog::default();
    log.append(&[entry(1, 1), entry(1, 2), entry(1, 3)]);
    log.append(&[entry(2, 2)]);
    assert_eq!((log.last_index(), log.term(2), log.term_at(3)), (Ok(2), Ok(2), None));
    log.append(&[entry(2, 3), entry(2, 4)]);
    let read = |low, high, max| log.entries(low, high, Some(max), raft::GetEntriesContext::empty(false));
    assert_eq!(read(1, 5, u64::MAX).unwrap().len(), 4);
    assert_eq!(read(1, 5, 300).unwrap().len(), 2);
    assert_eq!(read(1, 5, 0).unwrap().len(), 1, "one at least");
    let metadata = SnapshotMetadata { index: 3, term: 2, ..SnapshotMetadata::default() };
    log.compact(snapshot_to_core(&metadata), 3);
    assert_eq!((log.first_index(), log.term(2), log.last_index()), (Ok(3), Ok(2), Ok(4)));
    assert!(log.term(1).is_err(), "it is compacted");
    let conf_state = ConfState { voters: vec![1], ..ConfState::default() };
    log.install(snapshot_to_core(&SnapshotMetadata { index: 9, term: 4, conf_state }));
    assert_eq!((log.first_index(), log.last_index(), log.term(9)), (Ok(10), Ok(9), Ok(4)));
    // A snapshot of our own of what was before.
    log.compact(snapshot_to_core(&SnapshotMetadata { index: 5, ..SnapshotMetadata::default() }), 6);
    assert_eq!(log.snapshot(0, 1).map(|snapshot| snapshot.get_metadata().index), Ok(9));
}
