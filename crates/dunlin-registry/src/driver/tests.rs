//! Members by themselves, with a network and disks that are lists: elections, proposals, reads, changes of members, snapshots.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_rafthttp::raftpb::{ConfChangeSingle, ConfChangeType};

use super::*;
use crate::consensus::{CoreConfig, RaftRs, Recovered, change_of};

mod members;
mod passed_on;
mod reads;

/// A member with a disk that never fails and a state that is a list.
struct Member {
    driver: Driver<RaftRs>,
    disk: Recovered,
    /// The data of what was applied, empty entries left out.
    applied: Vec<Bytes>,
    reads: Vec<RequestId>,
    snapshots_sent: usize,
    /// What came of requests, and of changes that others passed on.
    refused: Vec<(RequestId, ChangeError)>,
    refused_to_others: Vec<PassedOnError>,
}

struct Group {
    members: BTreeMap<u64, Member>,
    /// Who is not reached, nor reaches anybody.
    cut: BTreeSet<u64>,
    in_flight: Vec<Message>,
}

impl Member {
    fn new(id: u64, disk: Recovered) -> Self {
        let core = RaftRs::new(CoreConfig::new(id, 7), disk.clone()).unwrap();
        let driver = Driver::new(core, &disk.snapshot, id << 32);
        Self {
            driver,
            disk,
            applied: Vec::new(),
            reads: Vec::new(),
            snapshots_sent: 0,
            refused: Vec::new(),
            refused_to_others: Vec::new(),
        }
    }

    /// A message comes; the state has nothing against any change of members.
    fn hear(&mut self, message: Message) {
        self.refused_to_others.extend(self.driver.handle_message(message, |_| Ok(())).err());
    }

    /// Does everything that is to be done, at once; gives what is to be sent.
    fn act(&mut self) -> Vec<Message> {
        let mut out = Vec::new();
        while let Some(step) = self.driver.poll() {
            out.extend(step.messages);
            self.snapshots_sent += step.snapshots.len();
            out.extend(step.snapshots);
            let installed = step.persist.snapshot.clone();
            if let Some(snapshot) = installed.clone() {
                self.disk = Recovered { snapshot, ..Recovered::default() };
            }
            if let Some(first) = step.persist.entries.first() {
                self.disk.entries.retain(|entry| entry.index < first.index);
                self.disk.entries.extend(step.persist.entries);
            }
            self.disk.hard_state = step.persist.hard_state.unwrap_or(self.disk.hard_state);
            self.driver.handle_persisted(step.number);
            if let Some(snapshot) = installed {
                self.driver.handle_installed(&snapshot);
            }
            out.extend(step.messages_after);
            self.apply(&step.committed);
            self.reads.extend(step.reads);
            self.refused.extend(step.refused);
        }
        out
    }

    fn apply(&mut self, entries: &[Entry]) {
        let mut changes = Vec::new();
        for entry in entries {
            match change_of(entry) {
                Some(change) => {
                    changes.push(AppliedChange { index: entry.index, is_rafts: is_rafts(&change), change });
                }
                None if entry.data.is_empty() => {}
                None => self.applied.push(entry.data.clone()),
            }
        }
        if let Some(last) = entries.last() {
            self.driver.handle_applied(last.index, changes);
        }
    }
}

fn is_rafts(change: &ConfChangeV2) -> bool {
    let updates = |step: &ConfChangeSingle| step.change_type() == Ok(ConfChangeType::UpdateNode);
    change.changes.is_empty() || !change.changes.iter().all(updates)
}

impl Group {
    fn of(count: u64) -> Self {
        let disk = Recovered::bootstrap((1..=count).map(|id| (id, Bytes::new())));
        let members = (1..=count).map(|id| (id, Member::new(id, disk.clone()))).collect();
        Self { members, cut: BTreeSet::new(), in_flight: Vec::new() }
    }

    /// One that has a leader.
    fn led(count: u64) -> (Self, u64) {
        let mut group = Self::of(count);
        let leader = group.wait_for_leader();
        (group, leader)
    }

    fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    fn driver(&mut self, id: u64) -> &mut Driver<RaftRs> {
        &mut self.member(id).driver
    }

    /// Lets messages go to and fro until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            for member in self.members.values_mut() {
                self.in_flight.extend(member.act());
            }
            let messages = std::mem::take(&mut self.in_flight);
            if messages.is_empty() {
                return;
            }
            for message in messages {
                if self.cut.contains(&message.from) || self.cut.contains(&message.to) {
                    continue;
                }
                let Some(member) = self.members.get_mut(&message.to) else { continue };
                let (from, is_snapshot) = (message.from, message.is(MessageType::Snap));
                member.hear(message);
                if is_snapshot {
                    let to = member.driver.look();
                    assert!(to.term > 0);
                    let id = *self.members.iter().find(|(_, other)| other.driver.look() == to).unwrap().0;
                    self.driver(from).handle_snapshot_sent(id, true);
                }
            }
        }
    }

    fn tick(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.members.values_mut().for_each(|member| member.driver.handle_tick());
            self.settle();
        }
    }

    fn leaders(&self) -> Vec<u64> {
        let leads = |(id, member): (&u64, &Member)| leads(&member.driver.look()).then_some(*id);
        self.members.iter().filter_map(leads).filter(|id| !self.cut.contains(id)).collect()
    }

    fn wait_for_leader(&mut self) -> u64 {
        for _ in 0..200 {
            self.tick(1);
            if let [leader] = self.leaders()[..] {
                self.tick(2);
                return leader;
            }
        }
        panic!("nobody leads");
    }

    fn propose(&mut self, id: u64, request: RequestId, data: &'static str) {
        self.driver(id).handle_proposal(request, proposal(data)).unwrap();
        self.settle();
    }

    fn others(&self, id: u64) -> Vec<u64> {
        self.members.keys().copied().filter(|other| *other != id).collect()
    }
}

fn proposal(data: &'static str) -> Proposal {
    Proposal { entry_type: EntryType::Normal, data: Bytes::from_static(data.as_bytes()), is_repeatable: true }
}

#[test]
fn three_members_elect_one_and_agree_on_what_each_of_them_proposes() {
    let (mut group, leader) = Group::led(3);
    let followers = group.others(leader);
    group.propose(leader, 1, "by the leader");
    group.propose(followers[0], 2, "by a follower");
    group.tick(2);
    for member in group.members.values() {
        assert_eq!(member.applied, ["by the leader", "by a follower"]);
        assert_eq!(member.driver.look().leader, leader);
    }
}

#[test]
fn the_same_seed_elects_the_same_member_in_the_same_term() {
    let elected = || {
        let (mut group, leader) = Group::led(5);
        (leader, group.driver(leader).look().term)
    };
    let first = elected();
    assert!((0..5).all(|_| elected() == first));
}

#[test]
fn a_proposal_without_a_leader_waits_for_one() {
    let mut group = Group::of(3);
    group.propose(1, 1, "early");
    assert!(group.members.values().all(|member| member.applied.is_empty()));
    group.wait_for_leader();
    group.tick(2);
    assert!(group.members.values().all(|member| member.applied == ["early"]));
}

#[test]
fn without_the_leader_the_others_go_on_and_it_learns_what_it_missed() {
    let (mut group, leader) = Group::led(3);
    group.cut.insert(leader);
    group.propose(leader, 1, "to nobody");
    let next = group.wait_for_leader();
    assert_ne!(next, leader);
    group.propose(next, 1, "without it");
    group.tick(30);
    assert!(!leads(&group.driver(leader).look()), "it has not heard of a quorum");
    group.cut.clear();
    group.tick(60);
    // What it had proposed is proposed again, since it said that it may be.
    let applied: BTreeSet<Vec<Bytes>> = group.members.values().map(|member| member.applied.clone()).collect();
    assert_eq!(applied.len(), 1);
    let [applied] = applied.into_iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(applied[0], "without it");
    assert!(applied.contains(&Bytes::from("to nobody")));
}

#[test]
fn what_must_not_be_applied_twice_is_proposed_once() {
    let (mut group, leader) = Group::led(3);
    let follower = group.others(leader)[0];
    let once = Proposal { is_repeatable: false, ..proposal("once") };
    group.driver(follower).handle_proposal(1, once).unwrap();
    group.settle();
    group.cut.insert(leader);
    group.wait_for_leader();
    group.tick(100);
    let applied = &group.members[&follower].applied;
    assert_eq!(applied.iter().filter(|data| **data == "once").count(), 1);
}

#[test]
fn a_proposal_that_is_lost_on_its_way_is_proposed_again() {
    let (mut group, leader) = Group::led(3);
    let follower = group.others(leader)[0];
    group.driver(follower).handle_proposal(1, proposal("lost")).unwrap();
    // Nothing of what it says now arrives.
    group.member(follower).act();
    group.tick(19);
    assert!(group.members[&follower].applied.is_empty());
    group.tick(3);
    assert_eq!(group.members[&follower].applied, ["lost"]);
    group.driver(follower).handle_forgotten(1);
    group.tick(60);
    assert_eq!(group.members[&leader].applied, ["lost"], "nobody waits for it any more");
}

#[test]
fn where_commits_take_long_the_same_is_proposed_less_and_less_often() {
    let (mut group, leader) = Group::led(3);
    // The others take nothing any more, and say that they live.
    let before = group.driver(leader).look().last_index;
    group.cut.extend(group.others(leader));
    group.driver(leader).handle_proposal(1, proposal("slow")).unwrap();
    let (mut proposed, mut ticks) = (Vec::new(), 0);
    while ticks < 700 && leads(&group.driver(leader).look()) {
        group.member(leader).act();
        // Heartbeats are answered, so it goes on leading.
        for from in group.others(leader) {
            let term = group.driver(leader).look().term;
            let answer = MessageType::HeartbeatResp.into();
            let alive = Message { msg_type: answer, from, to: leader, term, ..Message::default() };
            group.member(leader).hear(alive);
        }
        let last = group.driver(leader).look().last_index;
        if last > before + proposed.len() as u64 {
            proposed.push(ticks);
        }
        group.driver(leader).handle_tick();
        ticks += 1;
    }
    assert_eq!(proposed, [0, 20, 60, 140, 300, 620]);
}

#[test]
fn reads_are_answered_by_leader_and_followers_and_not_by_a_minority() {
    let (mut group, leader) = Group::led(3);
    for id in [1, 2, 3] {
        for request in [10, 11, 12] {
            group.driver(id).handle_read(request).unwrap();
        }
    }
    group.settle();
    assert!(group.members.values().all(|member| BTreeSet::from_iter(&member.reads).len() == 3));
    group.cut.insert(leader);
    group.driver(leader).handle_read(13).unwrap();
    group.tick(40);
    assert_eq!(group.members[&leader].reads.len(), 3, "it leads nobody any more");
    group.cut.clear();
    group.tick(40);
    assert_eq!(group.members[&leader].reads.last(), Some(&13), "and reads when it is heard again");
}

#[test]
fn a_read_waits_until_what_was_committed_before_it_is_applied() {
    let (mut group, leader) = Group::led(3);
    let follower = group.others(leader)[0];
    group.propose(leader, 1, "before");
    group.driver(follower).handle_read(5).unwrap();
    let asked = group.member(follower).act();
    group.in_flight.extend(asked);
    for _ in 0..3 {
        // The follower hears everything and applies nothing.
        let ids = group.others(follower);
        for id in ids {
            let said = group.member(id).act();
            group.in_flight.extend(said);
        }
        for message in std::mem::take(&mut group.in_flight) {
            group.member(message.to).hear(message);
        }
    }
    let driver = group.driver(follower);
    let applied_before = driver.applied();
    while let Some(step) = driver.poll() {
        driver.handle_persisted(step.number);
        assert!(step.reads.is_empty(), "applied up to {applied_before}");
        if let Some(last) = step.committed.last() {
            driver.handle_applied(last.index, Vec::new());
            assert_eq!(driver.poll().unwrap().reads, [5]);
            return;
        }
    }
    // It had applied all of it before it asked.
    assert_eq!(applied_before, driver.look().committed);
}

#[test]
fn too_many_requests_are_refused_and_those_that_are_over_make_room() {
    let mut group = Group::of(3);
    let driver = group.driver(1);
    for request in 0..PROPOSALS_MAX as u64 {
        driver.handle_proposal(request, proposal("x")).unwrap();
    }
    assert_eq!(driver.handle_proposal(1 << 40, proposal("x")), Err(RequestError::Overloaded));
    driver.handle_forgotten(7);
    assert_eq!(driver.handle_proposal(1 << 40, proposal("x")), Ok(()));
    for request in 0..READS_MAX as u64 {
        driver.handle_read(request).unwrap();
    }
    assert_eq!(driver.handle_read(1 << 40), Err(RequestError::Overloaded));
    driver.handle_forgotten(9);
    assert_eq!(driver.handle_read(1 << 40), Ok(()));
}

#[test]
fn leadership_goes_where_it_is_asked_to_whoever_is_asked() {
    let (mut group, mut leader) = Group::led(3);
    for asked in [0, 1, 2] {
        let next = group.others(leader)[1];
        let asked = [leader, group.others(leader)[0], next][asked];
        group.driver(asked).handle_transfer(next);
        group.tick(3);
        assert_eq!(group.leaders(), [next]);
        leader = next;
    }
}

#[test]
fn a_member_that_starts_again_goes_on_from_its_disk() {
    let (mut group, leader) = Group::led(3);
    let follower = group.others(leader)[0];
    group.propose(leader, 1, "one");
    let disk = group.members[&follower].disk.clone();
    group.members.insert(follower, Member::new(follower, disk));
    group.propose(leader, 2, "two");
    group.tick(3);
    assert_eq!(group.members[&follower].applied, ["one", "two"], "applied again from the beginning");
}

#[test]
fn a_follower_that_needs_what_the_log_forgot_gets_a_snapshot() {
    let (mut group, leader) = Group::led(3);
    let behind = group.others(leader)[0];
    group.cut.insert(behind);
    for data in ["a", "b", "c", "d"] {
        group.propose(leader, 1, data);
        group.driver(leader).handle_forgotten(1);
    }
    let index = group.driver(leader).applied();
    let snapshot = group.driver(leader).snapshot_at(index).unwrap();
    assert_eq!(snapshot.conf_state.voters, [1, 2, 3]);
    group.driver(leader).handle_snapshot_taken(snapshot.clone(), 1);
    group.cut.clear();
    group.tick(20);
    assert_eq!(group.members[&leader].snapshots_sent, 1);
    assert_eq!(group.members[&behind].disk.snapshot, snapshot);
    group.propose(leader, 2, "after");
    group.tick(2);
    assert_eq!(group.members[&behind].applied, ["after"], "the rest is in the snapshot");
}
