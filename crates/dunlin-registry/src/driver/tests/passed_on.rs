//! Changes of members that are asked of somebody who does not lead.

use super::members::change_entry;
use super::*;
use crate::limits::{PASSED_ON_CHANGES_LEN_MAX, PASSED_ON_CHANGES_MAX};
use crate::store::MemberError;

/// Asks somebody who does not lead for a change.
fn ask(group: &mut Group, asked: u64, (change_type, id): (ConfChangeType, u64)) -> Result<(), ChangeError> {
    let (change, proposal) = change_entry(change_type, id);
    group.driver(asked).handle_change(1 << 50, (&change, proposal))?;
    group.settle();
    group.driver(asked).handle_forgotten(1 << 50);
    group.tick(2);
    Ok(())
}

fn voters(group: &mut Group, id: u64) -> Vec<u64> {
    let mut voters = group.driver(id).conf_state().voters;
    voters.sort_unstable();
    voters
}

#[test]
fn a_follower_and_a_learner_pass_changes_of_members_on_and_all_follow_them() {
    use ConfChangeType::{AddLearnerNode, AddNode, RemoveNode};
    let (mut group, leader) = Group::led(3);
    let follower = group.others(leader)[0];
    ask(&mut group, follower, (AddLearnerNode, 4)).unwrap();
    assert_eq!(group.driver(leader).conf_state().learners, [4]);
    group.members.insert(4, Member::new(4, Recovered::default()));
    group.tick(5);
    ask(&mut group, 4, (AddNode, 4)).unwrap();
    assert_eq!(voters(&mut group, follower), [1, 2, 3, 4]);
    ask(&mut group, follower, (RemoveNode, 4)).unwrap();
    assert_eq!((voters(&mut group, leader), voters(&mut group, follower)), (vec![1, 2, 3], vec![1, 2, 3]));
    assert!(group.members.values().all(|member| member.refused_to_others.is_empty()));
}

#[test]
fn what_a_follower_knows_itself_it_refuses_at_once() {
    use ConfChangeType::{AddNode, RemoveNode};
    let (mut group, leader) = Group::led(2);
    let follower = group.others(leader)[0];
    assert_eq!(ask(&mut group, follower, (AddNode, 9)), Err(ChangeError::NotLearner { id: 9 }));
    assert_eq!(ask(&mut group, follower, (RemoveNode, leader)), Err(ChangeError::LeavesOne { id: leader }));
    let mut alone = Group::of(1);
    alone.member(1).act();
    assert_eq!(ask(&mut alone, 1, (RemoveNode, 1)), Err(ChangeError::LastVoter { id: 1 }));
}

#[test]
fn what_only_the_leader_knows_it_refuses_whoever_passed_it_on_and_proposes_nothing() {
    use ConfChangeType::{AddLearnerNode, AddNode, RemoveNode};
    let (mut group, leader) = Group::led(3);
    let [asked, gone] = group.others(leader)[..] else { panic!() };
    ask(&mut group, asked, (AddLearnerNode, 4)).unwrap();
    let last_index = group.driver(leader).look().last_index;
    ask(&mut group, asked, (AddNode, 4)).unwrap();
    let behind = group.member(leader).refused_to_others.pop();
    assert!(matches!(behind, Some(PassedOnError::Change(ChangeError::Behind { id: 4, .. }))), "{behind:?}");
    group.cut.insert(gone);
    group.tick(25);
    ask(&mut group, asked, (RemoveNode, asked)).unwrap();
    let quorum = group.member(leader).refused_to_others.pop();
    assert!(
        matches!(quorum, Some(PassedOnError::Change(ChangeError::Quorum { active: 1, .. }))),
        "{quorum:?}"
    );
    assert_eq!(group.driver(leader).look().last_index, last_index);
    assert_eq!(voters(&mut group, leader), [1, 2, 3]);
}

#[test]
fn a_leader_asks_its_state_about_what_is_passed_on_and_takes_what_is_beside_a_refused_change() {
    let (mut group, leader) = Group::led(3);
    let from = group.others(leader)[0];
    let (_, Proposal { entry_type, data, .. }) = change_entry(ConfChangeType::AddLearnerNode, 4);
    let change = Entry { entry_type: entry_type.into(), data, ..Entry::default() };
    let unreadable = Entry { data: Bytes::from_static(b"\xff\xff"), ..change };
    let command = Entry { data: Bytes::from_static(b"beside"), ..Entry::default() };
    let passed_on = |entries| {
        let msg_type = MessageType::Prop.into();
        Message { msg_type, from, to: leader, entries, ..Message::default() }
    };
    let driver = group.driver(leader);
    let removed = MemberError::Removed { id: 4 };
    let refused = driver.handle_message(passed_on(vec![change.clone(), command]), |_| Err(removed));
    assert_eq!(refused, Err(PassedOnError::Member(removed)));
    let refused = driver.handle_message(passed_on(vec![unreadable]), |_| Ok(()));
    assert_eq!(refused, Err(PassedOnError::Unreadable));
    driver.handle_message(passed_on(vec![change]), |_| Ok(())).unwrap();
    group.tick(2);
    assert!(group.members.values().all(|member| member.applied == ["beside"]));
    assert_eq!(group.driver(from).conf_state().learners, [4]);
}

#[test]
fn a_change_that_meets_another_one_waits_for_it_and_is_looked_at_when_its_turn_has_come() {
    use ConfChangeType::{AddLearnerNode, RemoveNode};
    let (mut group, leader) = Group::led(3);
    let follower = group.others(leader)[0];
    let entry = |(change_type, id)| {
        let (_, Proposal { entry_type, data, .. }) = change_entry(change_type, id);
        Entry { entry_type: entry_type.into(), data, ..Entry::default() }
    };
    let entries = vec![entry((AddLearnerNode, 4)), entry((RemoveNode, 4)), entry((AddLearnerNode, 4))];
    let msg_type = MessageType::Prop.into();
    let message = Message { msg_type, from: follower, to: leader, entries, ..Message::default() };
    let driver = group.driver(leader);
    driver.handle_message(message, |_| Ok(())).unwrap();
    assert!(driver.take_passed_on_changes().is_none());
    let removed = MemberError::Removed { id: 4 };
    for (turn, learners) in [vec![4], vec![]].into_iter().enumerate() {
        group.tick(2);
        let driver = group.driver(leader);
        assert_eq!(driver.conf_state().learners, learners);
        let message = driver.take_passed_on_changes().unwrap();
        let taken = driver.handle_message(message, |_| if turn == 1 { Err(removed) } else { Ok(()) });
        assert_eq!(taken, if turn == 1 { Err(PassedOnError::Member(removed)) } else { Ok(()) });
    }
    assert!(group.driver(leader).take_passed_on_changes().is_none());
}

#[test]
fn of_changes_that_wait_there_are_not_too_many() {
    let (mut group, leader) = Group::led(3);
    let (_, Proposal { entry_type, data, .. }) = change_entry(ConfChangeType::AddLearnerNode, 4);
    let change = Entry { entry_type: entry_type.into(), data, ..Entry::default() };
    let long = Entry { data: vec![0; PASSED_ON_CHANGES_LEN_MAX + 1].into(), ..change };
    let mut pass_on = |entry: &Entry| {
        let msg_type = MessageType::Prop.into();
        let message =
            Message { msg_type, from: 9, to: leader, entries: vec![entry.clone()], ..Message::default() };
        group.driver(leader).handle_message(message, |_| Ok(()))
    };
    let too_many = Err(PassedOnError::Change(ChangeError::OneAtATime));
    pass_on(&change).unwrap();
    assert_eq!(pass_on(&long), too_many);
    (0..PASSED_ON_CHANGES_MAX).for_each(|_| pass_on(&change).unwrap());
    assert_eq!(pass_on(&change), too_many);
}

#[test]
fn a_change_that_waits_for_a_leader_is_looked_at_by_whoever_comes_to_lead() {
    let mut group = Group::of(3);
    let ids = group.others(0);
    for id in &ids {
        // Every member is asked, so whoever comes to lead was. Nobody knows a leader yet. Without member 1 there would be no quorum, since
        // member 3 is cut off.
        let (change, proposal) = change_entry(ConfChangeType::RemoveNode, 1);
        group.driver(*id).handle_change(7, (&change, proposal)).unwrap();
    }
    group.cut.insert(3);
    let leader = group.wait_for_leader();
    let refused: Vec<_> = group.members[&leader].refused.clone();
    let still_three = voters(&mut group, leader) == [1, 2, 3];
    let is_known =
        |error: &ChangeError| matches!(error, ChangeError::Quorum { .. } | ChangeError::OneAtATime);
    assert!(still_three && refused.len() == 1, "{refused:?}");
    assert!(refused.iter().all(|(request, error)| *request == 7 && is_known(error)));
}
