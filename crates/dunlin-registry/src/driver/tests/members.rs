//! Changes of members, and the two numberings of what is done with them.

use dunlin_rafthttp::raftpb::ConfChangeTransition;

use super::*;
use crate::consensus::Role;
use crate::limits::PROMOTE_LAG_MAX;

pub(super) fn change_entry(change_type: ConfChangeType, id: u64) -> (ConfChangeV2, Proposal) {
    let step = ConfChangeSingle { change_type: change_type.into(), node_id: id };
    let change = ConfChangeV2 {
        transition: ConfChangeTransition::Auto.into(),
        changes: vec![step],
        context: Bytes::from_static(b"http://somewhere"),
    };
    let mut data = bytes::BytesMut::new();
    dunlin_rafthttp::raftpb::encode(&change, &mut data);
    let data = data.freeze();
    (change, Proposal { entry_type: EntryType::ConfChangeV2, data, is_repeatable: false })
}

impl Group {
    fn change(&mut self, leader: u64, change_type: ConfChangeType, id: u64) -> Result<(), ChangeError> {
        let (change, proposal) = change_entry(change_type, id);
        self.driver(leader).handle_change(1 << 50, (&change, proposal))?;
        self.settle();
        self.driver(leader).handle_forgotten(1 << 50);
        self.tick(2);
        Ok(())
    }

    fn conf_states(&self) -> BTreeSet<(Vec<u64>, Vec<u64>)> {
        let states = self.members.values().map(|member| member.driver.conf_state());
        states.map(|state| (sorted(state.voters), sorted(state.learners))).collect()
    }
}

fn sorted(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids
}

#[test]
fn a_member_joins_as_a_learner_catches_up_and_gets_a_vote() {
    let (mut group, leader) = Group::led(3);
    group.propose(leader, 1, "before");
    assert_eq!(group.change(leader, ConfChangeType::AddNode, 4), Err(ChangeError::NotLearner { id: 4 }));
    group.change(leader, ConfChangeType::AddLearnerNode, 4).unwrap();
    group.members.insert(4, Member::new(4, Recovered::default()));
    group.tick(5);
    assert_eq!(group.members[&4].applied, ["before"]);
    assert!(!group.driver(4).look().is_voter);
    group.change(leader, ConfChangeType::AddNode, 4).unwrap();
    group.tick(3);
    assert_eq!(group.conf_states(), BTreeSet::from([(vec![1, 2, 3, 4], vec![])]));
    assert!(group.driver(4).look().is_voter);
}

#[test]
fn a_learner_that_was_never_heard_of_or_is_far_behind_gets_no_vote_yet() {
    let (mut group, leader) = Group::led(1);
    group.change(leader, ConfChangeType::AddLearnerNode, 2).unwrap();
    let refused = group.change(leader, ConfChangeType::AddNode, 2);
    assert!(matches!(refused, Err(ChangeError::Behind { id: 2, matched: 0, .. })), "{refused:?}");
    for request in 0..=PROMOTE_LAG_MAX {
        group.propose(leader, request, "x");
    }
    let refused = group.change(leader, ConfChangeType::AddNode, 2);
    assert!(matches!(refused, Err(ChangeError::Behind { id: 2, matched: 0, .. })), "{refused:?}");
}

#[test]
fn an_update_moves_no_vote_though_its_number_is_that_of_a_learner_elsewhere() {
    let (mut group, leader) = Group::led(3);
    let before = group.conf_states();
    let other = group.others(leader)[0];
    group.change(leader, ConfChangeType::UpdateNode, other).unwrap();
    assert_eq!(group.conf_states(), before);
    group.change(leader, ConfChangeType::AddLearnerNode, other).unwrap();
    let voters = group.others(other);
    assert_eq!(group.conf_states(), BTreeSet::from([(voters, vec![other])]));
}

#[test]
fn members_change_one_at_a_time() {
    let (mut group, leader) = Group::led(3);
    let (change, proposal) = change_entry(ConfChangeType::AddLearnerNode, 4);
    group.driver(leader).handle_change(1, (&change, proposal.clone())).unwrap();
    let again = group.driver(leader).handle_change(2, (&change, proposal.clone()));
    assert_eq!(again, Err(ChangeError::OneAtATime));
    group.settle();
    assert_eq!(group.driver(leader).handle_change(3, (&change, proposal)), Ok(()));
}

#[test]
fn a_change_that_would_leave_no_quorum_is_refused() {
    let (mut group, leader) = Group::led(3);
    let [gone, alive] = group.others(leader)[..] else { panic!() };
    group.cut.insert(gone);
    group.tick(25);
    let refused = group.change(leader, ConfChangeType::RemoveNode, alive);
    assert_eq!(refused, Err(ChangeError::Quorum { voters: 2, active: 1, quorum: 2 }));
    group.change(leader, ConfChangeType::RemoveNode, gone).unwrap();
    group.change(leader, ConfChangeType::RemoveNode, alive).unwrap();
    assert_eq!(
        group.change(leader, ConfChangeType::RemoveNode, leader),
        Err(ChangeError::LastVoter { id: leader })
    );
}

#[test]
fn a_removed_member_no_longer_counts_and_disturbs_nobody() {
    let (mut group, leader) = Group::led(3);
    let removed = group.others(leader)[0];
    group.change(leader, ConfChangeType::RemoveNode, removed).unwrap();
    let term = group.driver(leader).look().term;
    group.tick(100);
    assert_eq!((group.leaders(), group.driver(leader).look().term), (vec![leader], term));
}

#[test]
fn a_leader_that_loses_its_vote_leads_no_more_and_answers_no_reads() {
    let (mut group, leader) = Group::led(3);
    let [learner, voter] = group.others(leader)[..] else { panic!() };
    group.change(leader, ConfChangeType::AddLearnerNode, learner).unwrap();
    // It would refuse this, but leaders of other programs may have proposed it.
    let (_, proposal) = change_entry(ConfChangeType::AddLearnerNode, leader);
    group.driver(leader).core.propose(proposal.entry_type, proposal.data).unwrap();
    group.settle();
    group.tick(2);
    group.cut.insert(voter);
    group.driver(leader).handle_read(77).unwrap();
    group.driver(learner).handle_read(78).unwrap();
    group.tick(30);
    assert!(!leads(&group.driver(leader).look()));
    assert!(group.members.values().all(|member| member.reads.is_empty()), "the one voter was not asked");
    group.cut.clear();
    assert_eq!(group.wait_for_leader(), voter);
    group.tick(5);
    assert_eq!(
        (&group.members[&leader].reads[..], &group.members[&learner].reads[..]),
        (&[77][..], &[78][..])
    );
}

#[test]
fn a_change_that_a_snapshot_has_overtaken_is_not_done_on_top_of_it() {
    let mut member = Member::new(2, Recovered::bootstrap((1..=3).map(|id| (id, Bytes::new()))));
    member.act();
    let driver = &mut member.driver;
    let (change, Proposal { entry_type, data, .. }) = change_entry(ConfChangeType::AddLearnerNode, 4);
    let added = Entry { entry_type: entry_type.into(), term: 2, index: 4, data };
    let message = |msg_type: MessageType| Message {
        msg_type: msg_type.into(),
        from: 1,
        to: 2,
        term: 2,
        ..Message::default()
    };
    let append =
        Message { log_term: 1, index: 3, entries: vec![added], commit: 4, ..message(MessageType::App) };
    driver.handle_message(append, |_| Ok(())).unwrap();
    let mut given = 0;
    while let Some(step) = driver.poll() {
        driver.handle_persisted(step.number);
        given = step.committed.last().map_or(given, |entry| entry.index);
    }
    assert_eq!(given, 4);
    // It is still to be applied when the leader sends a snapshot, in which that learner is no more.
    let mut snapshot = message(MessageType::Snap);
    let conf_state = ConfState { voters: vec![1, 2, 3], ..ConfState::default() };
    snapshot.snapshot.metadata = SnapshotMetadata { index: 50, term: 2, conf_state };
    let metadata = snapshot.snapshot.metadata.clone();
    driver.handle_message(snapshot, |_| Ok(())).unwrap();
    driver.handle_applied(4, vec![AppliedChange { index: 4, change, is_rafts: true }]);
    assert_eq!(driver.snapshot_at(4), None, "nor is there a snapshot of it");
    let step = driver.poll().unwrap();
    driver.handle_persisted(step.number);
    driver.handle_installed(&metadata);
    let ConfState { voters, learners, .. } = driver.conf_state();
    assert_eq!((sorted(voters), learners), (vec![1, 2, 3], vec![]));
    assert_eq!(driver.applied(), 50);
}

#[test]
fn a_node_that_is_no_voter_never_holds_an_election() {
    let mut group = Group::of(3);
    group.members.insert(9, Member::new(9, Recovered::default()));
    group.cut.extend([1, 2, 3]);
    group.tick(200);
    let look = group.driver(9).look();
    assert_eq!((look.role, look.term), (Role::Follower, 0));
}

#[test]
fn that_a_change_is_committed_is_synced_and_a_leader_does_not_leave_a_group_of_two() {
    let (mut group, leader) = Group::led(2);
    let other = group.others(leader)[0];
    let refused = group.change(leader, ConfChangeType::RemoveNode, leader);
    assert_eq!(refused, Err(ChangeError::LeavesOne { id: leader }));
    let (change, proposal) = change_entry(ConfChangeType::RemoveNode, other);
    group.driver(leader).handle_change(1, (&change, proposal)).unwrap();
    let mut is_synced = None;
    for _ in 0..20 {
        let said = group.member(other).act();
        said.into_iter().for_each(|message| group.member(leader).hear(message));
        let mut heard = Vec::new();
        let driver = group.driver(leader);
        while let Some(step) = driver.poll() {
            driver.handle_persisted(step.number);
            let commit = step.persist.hard_state.map_or(0, |hard_state| hard_state.commit);
            if let Some(last) = step.committed.last() {
                is_synced = is_synced.or(Some(step.persist.must_sync && commit >= last.index));
            }
            heard.extend(step.messages.into_iter().chain(step.messages_after));
        }
        heard.into_iter().for_each(|message| group.member(other).hear(message));
    }
    assert_eq!(is_synced, Some(true));
}
