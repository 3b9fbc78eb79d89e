//! What a node takes: the least message of each type, and what makes it another's, a stranger's or nonsense.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::limits::{COMMIT_JUMP_MAX, INDEX_MAX, TERM_JUMP_MAX};
use crate::raftpb::{
    self, ConfChange, ConfChangeSingle, ConfChangeV2, ConfState, Entry, EntryType, SnapshotMetadata,
    UnknownValue,
};

const TERM: u64 = 5;
const LAST_INDEX: u64 = 20;
const BETWEEN_NODES: [MessageType; 14] = [
    MessageType::Prop,
    MessageType::App,
    MessageType::AppResp,
    MessageType::Vote,
    MessageType::VoteResp,
    MessageType::Snap,
    MessageType::Heartbeat,
    MessageType::HeartbeatResp,
    MessageType::TransferLeader,
    MessageType::TimeoutNow,
    MessageType::ReadIndex,
    MessageType::ReadIndexResp,
    MessageType::PreVote,
    MessageType::PreVoteResp,
];

/// What became of a message, with what Raft gets.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are few of them")]
enum Taken {
    Deliver(Message),
    Ignore(Ignored),
}

/// Member 1 of 1, 2 and 3; 4 is joining and 5 was removed.
struct Node {
    members: BTreeSet<MemberId>,
    joining: BTreeSet<MemberId>,
    removed: BTreeSet<MemberId>,
    strangers: Strangers,
}

impl Node {
    fn member() -> Self {
        Self {
            members: [1, 2, 3].map(MemberId).into(),
            joining: [MemberId(4)].into(),
            removed: [MemberId(5)].into(),
            strangers: Strangers::Announced,
        }
    }

    fn that_knows_nobody() -> Self {
        Self { members: BTreeSet::new(), joining: BTreeSet::new(), ..Self::member() }
    }

    /// Judges a message that its author brings.
    fn admit(&self, message: Message) -> Result<Taken, Refusal> {
        self.admit_from(MemberId(message.from), message)
    }

    fn admit_from(&self, sender: MemberId, mut message: Message) -> Result<Taken, Refusal> {
        let Self { members, joining, removed, strangers } = self;
        let view = LocalView {
            me: MemberId(1),
            sender,
            members,
            joining,
            removed,
            strangers: *strangers,
            term: TERM,
            last_index: LAST_INDEX,
        };
        Ok(match admit(&view, &mut message)? {
            Admission::Deliver => Taken::Deliver(message),
            Admission::Ignore(ignored) => Taken::Ignore(ignored),
        })
    }

    /// The types that somebody may send to it, and those of him that are ignored.
    fn takes_from(&self, from: u64) -> (Vec<MessageType>, Vec<MessageType>) {
        let (mut delivered, mut ignored) = (Vec::new(), Vec::new());
        for msg_type in BETWEEN_NODES {
            match self.admit(Message { from, ..message(msg_type) }) {
                Ok(Taken::Deliver(_)) => delivered.push(msg_type),
                Ok(Taken::Ignore(Ignored::AnswerOfStranger)) => ignored.push(msg_type),
                Ok(Taken::Ignore(ignored)) => panic!("{msg_type:?}: {ignored}"),
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::Stranger { from: MemberId(from), msg_type });
                }
            }
        }
        (delivered, ignored)
    }
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { term, index, ..Entry::default() }
}

/// The least message of a type that a member may send.
fn message(msg_type: MessageType) -> Message {
    let mut message = Message { msg_type: msg_type.into(), to: 1, from: 2, term: TERM, ..Message::default() };
    match msg_type {
        MessageType::Prop | MessageType::ReadIndex => {
            message.term = 0;
            message.entries = vec![entry(0, 0)];
        }
        MessageType::ReadIndexResp => message.entries = vec![entry(0, 0)],
        MessageType::Snap => message.snapshot.metadata = snapshot_metadata(&[1, 2]),
        _ => {}
    }
    message
}

fn snapshot_metadata(voters: &[u64]) -> SnapshotMetadata {
    SnapshotMetadata {
        conf_state: ConfState { voters: voters.into(), ..ConfState::default() },
        index: 7,
        term: 3,
    }
}

fn append(index: u64, log_term: u64, entries: &[(u64, u64)]) -> Message {
    let entries = entries.iter().map(|(term, index)| entry(*term, *index)).collect();
    Message { index, log_term, entries, ..message(MessageType::App) }
}

fn ignored(reason: Ignored) -> Result<Taken, Refusal> {
    Ok(Taken::Ignore(reason))
}

#[test]
fn a_member_may_send_every_type_that_goes_between_nodes() {
    for msg_type in BETWEEN_NODES {
        let sent = message(msg_type);
        let taken = match Node::member().admit(sent.clone()) {
            Ok(Taken::Deliver(taken)) => taken,
            other => panic!("{msg_type:?}: {other:?}"),
        };
        let term = if msg_type == MessageType::TransferLeader { 0 } else { sent.term };
        assert_eq!(taken, Message { term, ..sent });
    }
}

#[test]
fn local_and_unknown_types_are_ignored_whoever_sends_them() {
    for msg_type in [0, 1, 10, 11, 12, 19, 20, 21, 22, 23] {
        for from in [0, 2, 9] {
            let message = Message { msg_type, from, ..Message::default() };
            assert_eq!(Node::member().admit(message), ignored(Ignored::LocalType), "{msg_type}");
        }
    }
    for msg_type in [24, 99, -1, i32::MAX, i32::MIN] {
        let message = Message { msg_type, ..Message::default() };
        assert_eq!(Node::member().admit(message), ignored(Ignored::UnknownType), "{msg_type}");
    }
    assert_eq!(Node::member().admit(Message::link_heartbeat()), ignored(Ignored::LinkHeartbeat));
}

#[test]
fn a_message_for_another_or_from_nobody_or_us_reaches_nothing() {
    let node = Node::member();
    for msg_type in BETWEEN_NODES {
        let not_for_me = Refusal::NotForMe { to: MemberId(3) };
        assert_eq!(node.admit(Message { to: 3, ..message(msg_type) }), Err(not_for_me));
        let from_nobody = node.admit(Message { from: 0, ..message(msg_type) });
        assert_eq!(from_nobody, Err(Refusal::NoSender { msg_type }));
        assert_eq!(node.admit(Message { from: 1, ..message(msg_type) }), ignored(Ignored::FromMyself));
    }
}

#[test]
fn a_member_says_nothing_in_anothers_name_and_passes_on_what_is_for_the_leader() {
    use MessageType::{Prop, ReadIndex, TransferLeader};
    let node = Node::member();
    for msg_type in BETWEEN_NODES {
        let by_member = node.admit_from(MemberId(3), message(msg_type));
        let by_stranger = node.admit_from(MemberId(9), message(msg_type));
        if [Prop, ReadIndex, TransferLeader].contains(&msg_type) {
            assert!(matches!(by_member, Ok(Taken::Deliver(_))), "{msg_type:?}");
            assert_eq!(by_stranger, Err(Refusal::Stranger { from: MemberId(9), msg_type }));
        } else {
            let refusal = by_member.unwrap_err();
            assert_eq!(refusal.status().as_u16(), 401);
            assert_eq!(refusal, Refusal::InAnothersName { from: MemberId(2), sender: MemberId(3) });
            assert!(by_stranger.is_err());
        }
    }
}

#[test]
fn only_a_removed_member_is_told_that_it_was_removed() {
    let node = Node::member();
    let removed = node.admit(Message { from: 5, ..message(MessageType::Vote) }).unwrap_err();
    assert_eq!((removed.status().as_u16(), removed), (403, Refusal::Removed { from: MemberId(5) }));
    for other in [
        Message { from: 9, ..message(MessageType::Vote) },
        Message { to: 9, ..message(MessageType::Vote) },
        Message { term: 0, ..message(MessageType::Vote) },
    ] {
        assert_eq!(node.admit(other).unwrap_err().status().as_u16(), 400);
    }
}

#[test]
fn a_node_that_knows_nobody_hears_leaders_and_candidates() {
    use MessageType::{App, AppResp, Heartbeat, HeartbeatResp, PreVote, PreVoteResp, Snap, Vote};
    use MessageType::{ReadIndexResp, VoteResp};
    let (delivered, ignored) = Node::that_knows_nobody().takes_from(9);
    assert_eq!(delivered, [App, Vote, Snap, Heartbeat, PreVote]);
    assert_eq!(ignored, [AppResp, VoteResp, HeartbeatResp, ReadIndexResp, PreVoteResp]);
}

#[test]
fn a_joining_node_may_lead_and_follow_and_not_elect() {
    use MessageType::{
        App, AppResp, Heartbeat, HeartbeatResp, PreVote, PreVoteResp, Prop, ReadIndex, Snap, Vote,
    };
    use MessageType::{ReadIndexResp, VoteResp};
    let (delivered, ignored) = Node::member().takes_from(4);
    assert_eq!(delivered, [Prop, App, AppResp, Vote, Snap, Heartbeat, HeartbeatResp, ReadIndex, PreVote]);
    assert_eq!(ignored, [VoteResp, ReadIndexResp, PreVoteResp]);
}

#[test]
fn a_stranger_may_lead_only_where_strangers_need_not_be_announced() {
    use MessageType::{App, Heartbeat, PreVote, Snap, Vote};
    assert_eq!(Node::member().takes_from(9).0, []);
    let open = Node { strangers: Strangers::Any, ..Node::member() };
    assert_eq!(open.takes_from(9).0, [App, Vote, Snap, Heartbeat, PreVote]);
}

#[test]
fn a_term_is_there_where_it_belongs_and_not_too_far_ahead() {
    let node = Node::member();
    for msg_type in BETWEEN_NODES {
        let with_term = |term| node.admit(Message { term, ..message(msg_type) });
        if matches!(msg_type, MessageType::Prop | MessageType::ReadIndex) {
            assert_eq!(with_term(1), Err(Refusal::UnexpectedTerm { msg_type, term: 1 }));
            continue;
        }
        assert_eq!(with_term(0), Err(Refusal::NoTerm { msg_type }));
        assert!(with_term(TERM + TERM_JUMP_MAX).is_ok(), "{msg_type:?}");
        for term in [TERM + TERM_JUMP_MAX + 1, u64::MAX] {
            assert_eq!(with_term(term), Err(Refusal::TermJump { term, local_term: TERM }));
        }
    }
    let earlier = Message { term: 1, ..message(MessageType::Heartbeat) };
    assert!(matches!(node.admit(earlier), Ok(Taken::Deliver(_))), "its sender has to hear of our term");
}

#[test]
fn a_transfer_of_leadership_counts_in_our_term_alone() {
    for term in [TERM - 1, TERM + 1] {
        let transfer = Message { term, ..message(MessageType::TransferLeader) };
        assert_eq!(Node::member().admit(transfer), ignored(Ignored::TransferOfOtherTerm));
    }
}

#[test]
fn entries_of_an_append_follow_each_other_and_a_place_that_can_be() {
    let node = Node::member();
    for good in [
        append(0, 0, &[]),
        append(0, 0, &[(1, 1), (1, 2), (3, 3)]),
        append(9, 4, &[(4, 10), (5, 11)]),
        append(100, 5, &[]),
        Message { commit: 11 + COMMIT_JUMP_MAX, ..append(10, 4, &[(5, 11)]) },
    ] {
        assert_eq!(node.admit(good.clone()), Ok(Taken::Deliver(good)));
    }
    let place = |index, log_term| Refusal::Place { term: TERM, index, log_term };
    let index = |position, index, expected| Refusal::EntryIndex { position, index, expected };
    let term = |position, term, term_min| Refusal::EntryTerm { position, term, term_min, term_max: TERM };
    let commit = 12 + COMMIT_JUMP_MAX;
    for (bad, refusal) in [
        (append(9, 0, &[]), place(9, 0)),
        (append(0, 4, &[]), place(0, 4)),
        (append(9, 6, &[]), place(9, 6)),
        (append(9, 4, &[(4, 11)]), index(0, 11, 10)),
        (append(9, 4, &[(4, 10), (4, 10)]), index(1, 10, 11)),
        (append(9, 4, &[(4, 10), (4, 0)]), index(1, 0, 11)),
        (append(9, 4, &[(3, 10)]), term(0, 3, 4)),
        (append(9, 4, &[(5, 10), (4, 11)]), term(1, 4, 5)),
        (append(9, 4, &[(6, 10)]), term(0, 6, 4)),
        (append(0, 0, &[(0, 1)]), term(0, 0, 1)),
        (Message { commit, ..append(10, 4, &[(5, 11)]) }, Refusal::CommitJump { commit, index_last: 11 }),
        (append(INDEX_MAX, 4, &[(5, 1)]), Refusal::IndexTooLarge { index: INDEX_MAX + 1 }),
    ] {
        assert_eq!(node.admit(bad), Err(refusal));
    }
}

#[test]
fn no_index_is_near_the_end_of_its_range() {
    for msg_type in BETWEEN_NODES {
        for index in [INDEX_MAX + 1, u64::MAX] {
            let refusal = Err(Refusal::IndexTooLarge { index });
            assert_eq!(Node::member().admit(Message { index, ..message(msg_type) }), refusal);
            assert_eq!(Node::member().admit(Message { commit: index, ..message(msg_type) }), refusal);
            assert_eq!(Node::member().admit(Message { reject_hint: index, ..message(msg_type) }), refusal);
        }
    }
}

#[test]
fn entries_of_unknown_types_are_refused_in_every_message() {
    for msg_type in BETWEEN_NODES {
        let strange = Entry { entry_type: 3, ..entry(TERM, 1) };
        let refused = Node::member().admit(Message { entries: vec![strange], ..message(msg_type) });
        let source = UnknownValue::EntryType { value: 3 };
        assert_eq!(refused, Err(Refusal::EntryType { position: 0, source }));
    }
}

#[test]
fn a_heartbeat_commits_nothing_that_we_do_not_have() {
    let heartbeat = |commit| Node::member().admit(Message { commit, ..message(MessageType::Heartbeat) });
    assert!(heartbeat(LAST_INDEX).is_ok());
    let (commit, last_index) = (LAST_INDEX + 1, LAST_INDEX);
    assert_eq!(heartbeat(commit), Err(Refusal::CommitBeyondLog { commit, last_index }));
}

#[test]
fn an_answer_that_has_more_than_our_log_is_ignored_unless_it_is_of_an_earlier_term() {
    let node = Node::member();
    let answer = |term, index| Message { term, index, ..message(MessageType::AppResp) };
    assert_eq!(node.admit(answer(TERM, LAST_INDEX + 1)), ignored(Ignored::AnswerBeyondLog));
    for fine in [
        answer(TERM, LAST_INDEX),
        answer(TERM - 1, LAST_INDEX + 1),
        Message { reject: true, reject_hint: LAST_INDEX + 9, ..answer(TERM, LAST_INDEX + 1) },
    ] {
        assert_eq!(node.admit(fine.clone()), Ok(Taken::Deliver(fine)));
    }
}

#[test]
fn questions_have_one_entry_and_proposals_at_least_one() {
    let node = Node::member();
    let with =
        |msg_type, count| node.admit(Message { entries: vec![entry(0, 0); count], ..message(msg_type) });
    for msg_type in [MessageType::ReadIndex, MessageType::ReadIndexResp] {
        for entries in [0, 2] {
            assert_eq!(with(msg_type, entries), Err(Refusal::EntryCount { msg_type, entries }));
        }
    }
    let msg_type = MessageType::Prop;
    assert_eq!(with(msg_type, 0), Err(Refusal::EntryCount { msg_type, entries: 0 }));
    assert!(with(msg_type, 3).is_ok());
}

#[test]
fn a_proposed_change_is_one_that_we_understand() {
    fn written(change: &impl raftpb::Raftpb) -> Bytes {
        let mut out = BytesMut::new();
        raftpb::encode(change, &mut out);
        out.freeze()
    }
    fn v1(change_type: i32) -> (EntryType, Bytes) {
        (EntryType::ConfChange, written(&ConfChange { change_type, node_id: 4, ..ConfChange::default() }))
    }
    fn v2(transition: i32, change_type: i32) -> (EntryType, Bytes) {
        let changes = vec![ConfChangeSingle { change_type, node_id: 4 }];
        let change = ConfChangeV2 { transition, changes, ..ConfChangeV2::default() };
        (EntryType::ConfChangeV2, written(&change))
    }
    let propose = |(entry_type, data): (EntryType, Bytes)| {
        let entry = Entry { entry_type: entry_type.into(), data, ..Entry::default() };
        Node::member().admit(Message { entries: vec![entry], ..message(MessageType::Prop) })
    };
    let empty = (EntryType::ConfChangeV2, Bytes::new());
    for good in [v1(0), v1(2), v1(3), v2(0, 0), v2(2, 3), empty] {
        assert!(propose(good).is_ok());
    }
    for bad in [v1(4), v1(-1), v2(3, 0), v2(0, 4)] {
        assert!(matches!(propose(bad), Err(Refusal::ChangeType { position: 0, .. })));
    }
    for entry_type in [EntryType::ConfChange, EntryType::ConfChangeV2] {
        let torn = propose((entry_type, Bytes::from_static(&[0x08])));
        assert!(matches!(torn, Err(Refusal::Change { position: 0, .. })), "{torn:?}");
    }
    // What is in the log of the cluster is not for one node to refuse.
    let committed = Entry { entry_type: EntryType::ConfChange.into(), data: v1(4).1, ..entry(TERM, 1) };
    let append = Message { entries: vec![committed], ..message(MessageType::App) };
    assert!(Node::member().admit(append).is_ok());
}

#[test]
fn a_snapshot_stands_for_a_place_and_names_us() {
    let node = Node::member();
    let with = |change: fn(&mut SnapshotMetadata)| {
        let mut snap = message(MessageType::Snap);
        change(&mut snap.snapshot.metadata);
        node.admit(snap)
    };
    for bad in [
        with(|metadata| metadata.index = 0),
        with(|metadata| metadata.term = 0),
        with(|metadata| metadata.term = TERM + 1),
    ] {
        assert!(matches!(bad, Err(Refusal::SnapshotPlace { term: TERM, .. })), "{bad:?}");
    }
    let far = with(|metadata| metadata.index = INDEX_MAX + 1);
    assert_eq!(far, Err(Refusal::IndexTooLarge { index: INDEX_MAX + 1 }));
    assert_eq!(with(|metadata| metadata.conf_state.voters = vec![2, 3]), ignored(Ignored::SnapshotWithoutUs));
    let learner = with(|metadata| {
        metadata.conf_state.voters = vec![2];
        metadata.conf_state.learners = vec![1];
    });
    let outgoing = with(|metadata| {
        metadata.conf_state.voters = vec![2];
        metadata.conf_state.voters_outgoing = vec![1, 2];
    });
    for named in [learner, outgoing] {
        assert!(matches!(named, Ok(Taken::Deliver(_))), "{named:?}");
    }
}

#[test]
fn a_configuration_that_no_change_makes_is_refused() {
    let refused = |conf_state| {
        let mut snap = message(MessageType::Snap);
        snap.snapshot.metadata.conf_state = conf_state;
        match Node::member().admit(snap) {
            Err(Refusal::Configuration { source }) => source,
            other => panic!("{other:?}"),
        }
    };
    let voters = || ConfState { voters: vec![1, 2], ..ConfState::default() };
    assert_eq!(refused(ConfState::default()), ConfigurationError::NoVoter);
    let nobody = ConfState { learners: vec![0], ..voters() };
    assert_eq!(refused(nobody), ConfigurationError::Nobody);
    let twice = ConfState { voters_outgoing: vec![3, 3], ..voters() };
    assert_eq!(refused(twice), ConfigurationError::Twice { member: MemberId(3) });
    for both in [
        ConfState { learners: vec![2], ..voters() },
        ConfState { learners: vec![3], voters_outgoing: vec![3], ..voters() },
    ] {
        assert!(matches!(refused(both), ConfigurationError::LearnerVotes { .. }));
    }
    for unchanging in
        [ConfState { auto_leave: true, ..voters() }, ConfState { learners_next: vec![3], ..voters() }]
    {
        assert_eq!(refused(unchanging), ConfigurationError::NotChanging);
    }
    for next in [2, 4] {
        let staying = ConfState { learners_next: vec![next], voters_outgoing: vec![2, 3], ..voters() };
        assert_eq!(refused(staying), ConfigurationError::NotOutgoing { member: MemberId(next) });
    }
    let mut snap = message(MessageType::Snap);
    snap.snapshot.metadata.conf_state =
        ConfState { learners_next: vec![3], voters_outgoing: vec![2, 3], auto_leave: true, ..voters() };
    assert_eq!(Node::member().admit(snap.clone()), Ok(Taken::Deliver(snap)));
}

#[test]
fn a_snapshot_in_another_message_is_gone() {
    for msg_type in BETWEEN_NODES.into_iter().filter(|msg_type| *msg_type != MessageType::Snap) {
        let mut sent = message(msg_type);
        sent.snapshot.metadata = snapshot_metadata(&[0, 0]);
        match Node::member().admit(sent) {
            Ok(Taken::Deliver(taken)) => assert_eq!(taken.snapshot, Snapshot::default()),
            other => panic!("{msg_type:?}: {other:?}"),
        }
    }
}
