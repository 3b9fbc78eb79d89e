//! What is admitted: never a panic, only what the rules allow, said here once more, and everything that real nodes sent.

use std::collections::BTreeSet;

use dunlin_rafthttp::limits::{COMMIT_JUMP_MAX, INDEX_MAX, TERM_JUMP_MAX};
use dunlin_rafthttp::raftpb::{ConfState, Entry, Message, Snapshot};
use dunlin_rafthttp::{Admission, LocalView, MemberId, Strangers, admit};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::any::{any_conf_state, any_message, any_number};
use crate::captures::every_captured_message;

#[derive(Debug, Clone)]
struct Node {
    members: BTreeSet<MemberId>,
    joining: BTreeSet<MemberId>,
    removed: BTreeSet<MemberId>,
    strangers: Strangers,
    term: u64,
    last_index: u64,
}

impl Node {
    fn view(&self, sender: u64) -> LocalView<'_> {
        LocalView {
            me: MemberId(1),
            sender: MemberId(sender),
            members: &self.members,
            joining: &self.joining,
            removed: &self.removed,
            strangers: self.strangers,
            term: self.term,
            last_index: self.last_index,
        }
    }
}

/// What Raft gets of a message.
fn delivered(view: &LocalView<'_>, sent: &Message) -> Option<Message> {
    let mut message = sent.clone();
    (admit(view, &mut message) == Ok(Admission::Deliver)).then_some(message)
}

fn any_node() -> impl Strategy<Value = Node> {
    let ids = |range: std::ops::Range<u64>, count_max: usize| {
        vec(range.prop_map(MemberId), 0..count_max).prop_map(BTreeSet::from_iter)
    };
    let strangers = prop_oneof![Just(Strangers::Any), Just(Strangers::Announced)];
    let number = || prop_oneof![4 => 0..6_u64, 1 => any_number()];
    (ids(1..6, 6), ids(1..7, 2), ids(1..7, 2), strangers, number(), number()).prop_map(
        |(members, joining, removed, strangers, term, last_index)| Node {
            members,
            joining,
            removed,
            strangers,
            term,
            last_index,
        },
    )
}

/// The numbers of a message, and which of the ways of being right it takes.
fn near_parts() -> impl Strategy<Value = (Message, ConfState, Vec<(u64, i32)>, u8)> {
    let near = || {
        prop_oneof![40 => 0..6_u64, 1 => any_number(), 1 => Just(TERM_JUMP_MAX), 1 => Just(INDEX_MAX)].boxed()
    };
    let numbers = [(); 6].map(|()| near());
    let to = prop_oneof![19 => Just(1_u64), 1 => Just(2_u64)];
    let voters = prop_oneof![vec(1..4_u64, 1..3).prop_map(Some), Just(None)].boxed();
    let conf_state = (voters, any_conf_state().boxed()).prop_map(|(voters, conf_state)| match voters {
        Some(voters) => ConfState { voters, ..ConfState::default() },
        None => conf_state,
    });
    let entry_type = prop_oneof![8 => Just(0), 1 => -1..4_i32];
    let steps = vec((0..2_u64, entry_type), 0..3).boxed();
    let message = (0..24_i32, to, 0..7_u64, numbers, any_message().boxed()).prop_map(
        |(
            msg_type,
            to,
            from,
            [term, log_term, index, commit, snapshot_index, snapshot_term],
            mut message,
        )| {
            (message.snapshot.metadata.index, message.snapshot.metadata.term) =
                (snapshot_index, snapshot_term);
            Message { msg_type, to, from, term, log_term, index, commit, reject_hint: commit, ..message }
        },
    );
    (message.boxed(), conf_state.boxed(), steps, any::<u8>())
}

/// A node and a message to it that is nearly right, so that many are admitted and many miss by one thing.
fn near_case() -> impl Strategy<Value = (Node, Message)> {
    (any_node().boxed(), near_parts().boxed()).prop_map(|(node, (mut message, conf_state, steps, rights))| {
        let is_right = |bit: u8| rights & (3 << (2 * bit)) != 0;
        message.snapshot.metadata.conf_state = conf_state;
        if is_right(0) && (message.index == 0) != (message.log_term == 0) {
            (message.index, message.log_term) = (1, 1);
        }
        let off = u64::from(!is_right(1));
        let mut term = message.log_term.max(1);
        let entries =
            steps.iter().zip(message.index.saturating_add(1)..u64::MAX).map(|((step, entry_type), index)| {
                term = term.saturating_add(*step);
                Entry { entry_type: *entry_type, term, index: index + off, ..Entry::default() }
            });
        message.entries = entries.collect();
        if is_right(2) {
            message.term = match message.msg_type {
                2 | 15 => 0,
                13 => node.term,
                3 | 7 => term.max(message.term).max(message.snapshot.metadata.term),
                _ => message.term,
            };
        }
        if is_right(3) && matches!(message.msg_type, 15 | 16) {
            message.entries = vec![Entry::default()];
        }
        (node, message)
    })
}

/// Also messages that are anything at all.
fn any_case() -> impl Strategy<Value = (Node, Message)> {
    prop_oneof![3 => near_case().boxed(), 1 => (any_node(), any_message()).boxed()]
}

/// What holds for every message that gets to Raft, by what the cores of Raft rely on.
fn assert_safe_for_raft(node: &Node, sent: &Message, taken: &Message) {
    let msg_type = sent.msg_type().expect("a known type");
    let number: i32 = msg_type.into();
    assert!(matches!(number, 2..=9 | 13..=18), "{number}");
    let from = MemberId(taken.from);
    assert!(taken.to == 1 && taken.from > 1 && !node.removed.contains(&from));
    if !node.members.contains(&from) {
        let may_follow = node.joining.contains(&from);
        let may_lead = may_follow || node.members.is_empty() || node.strangers == Strangers::Any;
        assert!(match number {
            3 | 5 | 7 | 8 | 17 => may_lead,
            2 | 4 | 9 | 15 => may_follow,
            _ => false,
        });
    }
    // Nothing is added, and what means something is kept.
    let mut expected = sent.clone();
    if number != 7 {
        expected.snapshot = Snapshot::default();
    }
    if number == 13 {
        assert_eq!(sent.term, node.term);
        expected.term = 0;
    }
    assert_eq!(taken, &expected);
    assert_eq!(sent.term == 0, matches!(number, 2 | 15));
    assert!(u128::from(sent.term) <= u128::from(node.term) + u128::from(TERM_JUMP_MAX));
    assert!([taken.index, taken.commit, taken.reject_hint].iter().all(|index| *index <= INDEX_MAX));
    assert!(taken.entries.iter().all(|entry| (0..=2).contains(&entry.entry_type)));
    match number {
        2 => assert!(!taken.entries.is_empty()),
        3 => assert_append(taken),
        4 => assert!(taken.reject || taken.term < node.term || taken.index <= node.last_index),
        7 => assert_snapshot(taken),
        8 => assert!(taken.commit <= node.last_index),
        15 | 16 => assert_eq!(taken.entries.len(), 1),
        _ => {}
    }
}

fn assert_append(append: &Message) {
    assert_eq!(append.index == 0, append.log_term == 0);
    let indexes = append.entries.iter().map(|entry| entry.index);
    assert!(indexes.eq((append.index + 1..).take(append.entries.len())));
    let terms = append.entries.iter().map(|entry| entry.term);
    let terms: Vec<u64> = [append.log_term].into_iter().chain(terms).chain([append.term]).collect();
    assert!(terms.is_sorted() && !terms.iter().skip(1).any(|term| *term == 0));
    let last = append.index + append.entries.len() as u64;
    assert!(last <= INDEX_MAX && append.commit <= last + COMMIT_JUMP_MAX);
}

/// Raft makes its members of the lists one after another; what comes out must be what the lists say.
fn assert_snapshot(snap: &Message) {
    let metadata = &snap.snapshot.metadata;
    assert!((1..=INDEX_MAX).contains(&metadata.index) && (1..=snap.term).contains(&metadata.term));
    let conf_state = &metadata.conf_state;
    let (voters, outgoing) = (&conf_state.voters, &conf_state.voters_outgoing);
    let (learners, next) = (&conf_state.learners, &conf_state.learners_next);
    assert!(!voters.is_empty());
    for list in [voters, outgoing, learners, next] {
        assert!(!list.contains(&0));
        assert_eq!(BTreeSet::from_iter(list).len(), list.len());
    }
    assert!(!learners.iter().any(|id| voters.contains(id) || outgoing.contains(id) || next.contains(id)));
    assert!(next.iter().all(|id| outgoing.contains(id) && !voters.contains(id)));
    assert!(!conf_state.auto_leave || !outgoing.is_empty());
    assert!([voters, outgoing, learners].iter().any(|list| list.contains(&1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_admitted_of_arbitrary_messages_is_safe_for_raft(
        (node, message) in any_case(),
        other in prop_oneof![3 => Just(None), 1 => (0..7_u64).prop_map(Some)],
    ) {
        let sender = other.unwrap_or(message.from);
        if let Some(taken) = delivered(&node.view(sender), &message) {
            let is_passed_on = matches!(message.msg_type, 2 | 13 | 15);
            let is_member = node.members.contains(&MemberId(sender));
            prop_assert!(taken.from == sender || is_passed_on && is_member);
            assert_safe_for_raft(&node, &message, &taken);
        }
    }

    #[test]
    fn what_was_admitted_is_admitted_again((node, message) in near_case()) {
        let view = node.view(message.from);
        if let Some(taken) = delivered(&view, &message) {
            let again = Message { term: message.term, ..taken.clone() };
            prop_assert_eq!(delivered(&view, &again), Some(taken));
        }
    }
}

#[test]
fn everything_that_real_nodes_sent_is_admitted() {
    let messages = every_captured_message();
    assert!(messages.len() > 3000);
    for message in messages {
        let node = Node {
            members: [message.from, message.to].map(MemberId).into(),
            joining: BTreeSet::new(),
            removed: BTreeSet::new(),
            strangers: Strangers::Announced,
            term: message.term,
            last_index: INDEX_MAX,
        };
        let view = LocalView { me: MemberId(message.to), ..node.view(message.from) };
        assert!(delivered(&view, &message).is_some(), "{message:?}");
    }
}
